//! The thread that runs the port pauses when nobody waits for what comes.

use std::{
    io::Write,
    net::TcpStream,
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::{Duration, Instant},
};

use serverlink_io::{Event, Handle, Handler, Manner, Notice, Port};

use crate::rig::{Driver, Inbox, LIMIT, Rig, pair, scaled};

/// Longer than any test: every pause that ends is one that was ended.
const FOR_EVER: Duration = Duration::from_secs(3600);
/// What has not come by then is held back, or late; either will do.
const A_WHILE: Duration = Duration::from_millis(20);

/// Receives again and again, and says that there is no hurry.
struct Unhurried {
    port: Port,
    handle: OnceLock<Handle>,
    received: mpsc::Sender<()>,
}

impl Handler for Unhurried {
    fn complete(&self, event: Event) {
        let Event::Received(Ok(_)) = event else { return };
        self.port.unhurried();
        self.handle.get().expect("it is registered").receive(None).expect("it starts");
        let _ = self.received.send(());
    }
}

/// Ends the waits of a test that fails, too.
struct Raised<'a>(&'a Port, &'a Notice);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.raise(self.1);
    }
}

/// A port that a thread runs, and a connection.
struct Paused {
    rig: Rig,
    driver: Driver,
    far: TcpStream,
    received: mpsc::Receiver<()>,
    handler: Arc<Unhurried>,
}

impl Paused {
    /// One that does not pause yet.
    fn soon(backend: &str) -> Self {
        let rig = Rig::with(backend, |options| options.pause = Some(FOR_EVER));
        let (near, far) = pair();
        far.set_nodelay(true).expect("it is a connection");
        let (sender, received) = mpsc::channel();
        let port = rig.port.clone();
        let handler = Arc::new(Unhurried { port, handle: OnceLock::new(), received: sender });
        let handle = rig.port.register(near.into(), handler.clone()).expect("it registers");
        handle.receive(None).expect("it starts");
        assert!(handler.handle.set(handle).is_ok());
        let driver = rig.spawn();
        Self { rig, driver, far, received, handler }
    }

    /// One that pauses, while there is something to receive.
    fn new(backend: &str) -> Self {
        let paused = Self::soon(backend);
        paused.wait_for_it();
        paused
    }

    fn wait_for_it(&self) {
        for _ in 0..scaled(500) {
            self.send();
            if self.received.recv_timeout(A_WHILE).is_err() {
                return;
            }
        }
        panic!("it never pauses");
    }

    fn send(&self) {
        (&self.far).write_all(b"x").expect("it sends");
    }

    /// What was held back comes.
    fn goes_on(&self) {
        self.received.recv_timeout(LIMIT).expect("the pause ends");
    }

    fn end(self) {
        self.handler.handle.get().expect("it is registered").retire();
        drop(self.driver);
    }
}

pub(crate) fn a_pause_ends_when_it_is_hastened(backend: &str) {
    let paused = Paused::new(backend);
    for _ in 0..3 {
        paused.rig.port.hasten();
        paused.goes_on();
        paused.wait_for_it();
    }
    paused.end();
}

pub(crate) fn nothing_is_held_back_from_who_is_in_a_hurry(backend: &str) {
    let paused = Paused::new(backend);
    paused.rig.port.begin_hurry();
    paused.goes_on();
    for _ in 0..scaled(100) {
        paused.send();
        paused.goes_on();
    }
    paused.rig.port.end_hurry();
    paused.wait_for_it();
    paused.end();
}

pub(crate) fn who_looks_again_and_again_need_not_wait(backend: &str) {
    let paused = Paused::soon(backend);
    for _ in 0..scaled(100) {
        paused.send();
        let start = Instant::now();
        while paused.received.try_recv().is_err() {
            assert!(start.elapsed() < LIMIT, "it pauses");
            paused.rig.port.hasten();
            thread::yield_now();
        }
    }
    paused.end();
}

pub(crate) fn timers_and_packets_end_a_pause(backend: &str) {
    let begin: [fn(&Port, Arc<Inbox>); 4] = [
        |port, inbox| _ = port.set_timer(Instant::now(), inbox, 0),
        |port, inbox| _ = port.set_timer(Instant::now() + A_WHILE, inbox, 0),
        |port, inbox| port.post(inbox, 0),
        |port, inbox| port.post_lazily(inbox, 0),
    ];
    for begin in begin {
        let paused = Paused::new(backend);
        let inbox = Inbox::new();
        begin(&paused.rig.port, inbox.clone());
        inbox.wait();
        paused.goes_on();
        paused.end();
    }
}

pub(crate) fn no_pause_goes_beyond_a_timer(backend: &str) {
    let paused = Paused::soon(backend);
    let inbox = Inbox::new();
    paused.rig.port.set_timer(Instant::now() + 5 * A_WHILE, inbox.clone(), 0);
    while inbox.is_empty() {
        paused.send();
        // If this is held back, the timer brings it.
        paused.goes_on();
    }
    paused.end();
}

pub(crate) fn a_waiter_need_not_wait_for_the_end_of_a_pause(backend: &str) {
    for manner in [Manner::Eager, Manner::Patient] {
        let paused = Paused::new(backend);
        let notice = Notice::new();
        thread::scope(|scope| {
            let raised = Raised(&paused.rig.port, &notice);
            scope.spawn(|| {
                while notice.epoch() == 0 {
                    let deadline = Some(Instant::now() + LIMIT);
                    paused.rig.port.wait(&notice, 0, deadline, manner).expect("it waits");
                }
            });
            paused.goes_on();
            // As long as it waits, there are none.
            for _ in 0..scaled(100) {
                paused.send();
                paused.goes_on();
            }
            drop(raised);
        });
        paused.end();
    }
}

pub(crate) fn what_is_not_said_to_be_unhurried_is_followed_at_once(backend: &str) {
    let rig = Rig::with(backend, |options| options.pause = Some(FOR_EVER));
    let driver = rig.spawn();
    let (handle, inbox, mut far) = rig.connected();
    for _ in 0..scaled(100) {
        handle.receive(None).expect("it starts");
        far.write_all(b"x").expect("it sends");
        inbox.wait();
    }
    handle.retire();
    drop(driver);
}

pub(crate) fn a_port_that_pauses_can_be_stopped(backend: &str) {
    Paused::new(backend).end();
}
