//! Threads that wait for something by driving the port.

use std::{
    io::{ErrorKind, Read, Write},
    sync::{Arc, Mutex, OnceLock, mpsc},
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use serverlink_io::{Event, Handle, Handler, Manner, Notice, Port, Sending, Vigil};

use crate::rig::{Call, Inbox, LIMIT, Rig, pair, scaled};

fn deadline() -> Option<Instant> {
    Some(Instant::now() + LIMIT)
}

/// Waits until the notice is raised.
fn wait(port: &Port, notice: &Notice, seen: u64, manner: Manner<'_>) {
    while notice.epoch() == seen {
        port.wait(notice, seen, deadline(), manner).expect("it waits");
    }
}

/// A vigil whose next wait stays awake, unless this thread was held up time and again.
fn brief(port: &Port) -> Vigil {
    let vigil = Vigil::new();
    for _ in 0..3 {
        port.wait(&Notice::new(), 1, None, Manner::Awake(&vigil)).expect("it does not wait");
    }
    vigil
}

/// With one processor nobody does.
pub(crate) fn who_may_stay_awake_turns_once_more(backend: &str) {
    let rig = Rig::new(backend);
    let turns = |vigil: Option<&Vigil>| {
        let manner = vigil.map_or(Manner::Eager, Manner::Awake);
        let before = rig.port.statistics().turns;
        let until = Some(Instant::now() + Duration::from_millis(5));
        rig.port.wait(&Notice::new(), 0, until, manner).expect("it waits");
        rig.port.statistics().turns - before
    };
    let stays_awake = || turns(Some(&brief(&rig.port))) > turns(None);
    let alone = thread::available_parallelism().is_ok_and(|processors| processors.get() == 1);
    assert!(alone || (0..20).any(|_| stays_awake()), "nobody stays awake");
}

/// Raises a notice, and notes the thread it is called on.
struct Raise {
    port: Port,
    notice: Notice,
    on: Mutex<Option<ThreadId>>,
}

impl Raise {
    fn new(port: &Port) -> Arc<Self> {
        Arc::new(Self { port: port.clone(), notice: Notice::new(), on: Mutex::new(None) })
    }
}

impl Handler for Raise {
    fn complete(&self, _: Event) {
        *self.on.lock().expect("no panic") = Some(thread::current().id());
        self.port.raise(&self.notice);
    }
}

pub(crate) fn a_waiter_handles_its_own_event(backend: &str) {
    let rig = Rig::new(backend);
    let (near, mut far) = pair();
    let raise = Raise::new(&rig.port);
    let handle = rig.port.register(near.into(), raise.clone()).expect("it registers");
    for round in 0..scaled(100) as u64 {
        handle.receive(None).expect("it starts");
        far.write_all(b"x").expect("it sends");
        wait(&rig.port, &raise.notice, round, Manner::Eager);
        assert_eq!(*raise.on.lock().expect("no panic"), Some(thread::current().id()));
    }
    handle.retire();
}

/// As the sockets wait for answers, here without any other thread at the port.
pub(crate) fn a_waiter_that_stays_awake_handles_its_own_event(backend: &str) {
    let rig = Rig::new(backend);
    let (near, mut far) = pair();
    let raise = Raise::new(&rig.port);
    let handle = rig.port.register(near.into(), raise.clone()).expect("it registers");
    let vigil = brief(&rig.port);
    let (tell, told) = mpsc::channel();
    let answering = thread::spawn(move || {
        while told.recv().is_ok() {
            far.write_all(b"x").expect("it sends");
        }
    });
    for round in 0..scaled(300) as u64 {
        handle.receive(None).expect("it starts");
        tell.send(()).expect("it is told");
        wait(&rig.port, &raise.notice, round, Manner::Awake(&vigil));
        assert_eq!(*raise.on.lock().expect("no panic"), Some(thread::current().id()));
    }
    drop(tell);
    answering.join().expect("no panic");
    handle.retire();
}

/// Bytes, packets and timers reach a background that stays awake, and stopping ends it.
pub(crate) fn a_background_that_stays_awake_hears_everything(backend: &str) {
    let rig = Rig::with(backend, |options| options.stay_awake = true);
    let driver = rig.spawn();
    let (handle, inbox, mut far) = rig.connected();
    for round in 0..scaled(300) {
        match round % 3 {
            0 => {
                handle.receive(None).expect("it starts");
                far.write_all(b"x").expect("it sends");
            }
            1 => _ = rig.port.set_timer(Instant::now(), inbox.clone(), 0),
            _ => rig.port.post(inbox.clone(), 0),
        }
        inbox.wait();
    }
    handle.retire();
    drop(driver);
}

pub(crate) fn the_background_gives_way_to_an_eager_waiter(backend: &str) {
    let rig = Rig::new(backend);
    let driver = rig.spawn();
    let inbox = Inbox::new();
    rig.port.post(inbox.clone(), 0);
    inbox.wait();
    let notice = Arc::new(Notice::new());
    let waiter = {
        let (port, notice) = (rig.port.clone(), notice.clone());
        thread::spawn(move || wait(&port, &notice, 0, Manner::Eager))
    };
    let start = Instant::now();
    loop {
        let raise = Raise::new(&rig.port);
        rig.port.post(raise.clone(), 0);
        while raise.notice.epoch() == 0 {
            raise.notice.park(0, deadline());
        }
        if *raise.on.lock().expect("no panic") == Some(waiter.thread().id()) {
            break;
        }
        assert!(start.elapsed() < LIMIT, "the waiter never drives");
    }
    rig.port.raise(&notice);
    waiter.join().expect("no panic");
    drop(driver);
}

pub(crate) fn the_background_takes_over_when_waiters_have_left(backend: &str) {
    let rig = Rig::new(backend);
    let driver = rig.spawn();
    for round in 0..scaled(20) {
        let raise = Raise::new(&rig.port);
        rig.port.post(raise.clone(), 0);
        wait(&rig.port, &raise.notice, 0, Manner::Eager);
        // Nobody waits now: neither bytes nor timers nor packets may be left lying.
        let (handle, inbox, mut far) = rig.connected();
        match round % 4 {
            0 => {
                handle.receive(None).expect("it starts");
                far.write_all(b"x").expect("it sends");
            }
            1 => _ = rig.port.set_timer(Instant::now(), inbox.clone(), 0),
            2 => rig.port.post_lazily(inbox.clone(), 0),
            _ => rig.port.post(inbox.clone(), 0),
        }
        inbox.wait();
        handle.retire();
    }
    drop(driver);
}

pub(crate) fn a_lazy_packet_waits_for_a_driver(backend: &str) {
    let rig = Rig::new(backend);
    let inbox = Inbox::new();
    rig.port.post_lazily(inbox.clone(), 7);
    rig.port.post(inbox.clone(), 8);
    assert!(inbox.is_empty());
    assert!(matches!(rig.next(&inbox), Event::Posted { tag: 7 }));
    assert!(matches!(rig.next(&inbox), Event::Posted { tag: 8 }));
}

pub(crate) fn a_lazy_packet_reaches_a_driver_that_waits(backend: &str) {
    let rig = Rig::new(backend);
    let driver = rig.spawn();
    for tag in 0..scaled(100) as u64 {
        let inbox = Inbox::new();
        rig.port.post_lazily(inbox.clone(), tag);
        assert!(matches!(inbox.wait(), Event::Posted { tag: found } if found == tag));
    }
    drop(driver);
}

pub(crate) fn a_wait_ends_at_its_deadline(backend: &str) {
    let rig = Rig::new(backend);
    let vigil = brief(&rig.port);
    for manner in [Manner::Patient, Manner::Eager, Manner::Awake(&vigil)] {
        let until = Instant::now() + Duration::from_millis(20);
        let notice = Notice::new();
        while Instant::now() < until {
            rig.port.wait(&notice, 0, Some(until), manner).expect("it waits");
        }
        assert_eq!(notice.epoch(), 0);
    }
    // One that is over does not wait at all.
    let notice = Notice::new();
    rig.port.wait(&notice, 1, None, Manner::Eager).expect("it does not wait");
    rig.port.wait(&notice, 0, Some(Instant::now()), Manner::Eager).expect("it does not wait");
}

pub(crate) fn stop_ends_every_wait(backend: &str) {
    for _ in 0..scaled(50) {
        let rig = Rig::new(backend);
        let vigil = brief(&rig.port);
        thread::scope(|scope| {
            let waiters = [Manner::Awake(&vigil), Manner::Eager, Manner::Patient].map(|manner| {
                let port = &rig.port;
                scope.spawn(move || port.wait(&Notice::new(), 0, None, manner))
            });
            rig.port.stop();
            for waiter in waiters {
                waiter.join().expect("no panic").expect("no error");
            }
        });
    }
}

pub(crate) fn waiting_within_a_handler_is_refused(backend: &str) {
    let rig = Rig::new(backend);
    let (tell, told) = mpsc::channel();
    let port = rig.port.clone();
    rig.port.post(
        Arc::new(Call(move |_| {
            let error =
                port.wait(&Notice::new(), 0, None, Manner::Eager).expect_err("it would not end");
            tell.send(error.kind()).expect("somebody waits");
        })),
        0,
    );
    assert_eq!(rig.until("the refusal", || told.try_recv().ok()), ErrorKind::Deadlock);
}

/// One end of a round trip: raises its notice with each byte.
struct Caller {
    port: Port,
    notice: Notice,
    handle: OnceLock<Handle>,
}

impl Handler for Caller {
    fn complete(&self, event: Event) {
        match event {
            Event::Received(Ok(bytes)) => {
                assert_eq!(bytes.len(), 1);
                self.handle.get().expect("it is set").receive(None).expect("it starts");
                self.port.raise(&self.notice);
            }
            Event::Sent { result: Ok(()), .. } => {}
            _ => panic!("{event:?}"),
        }
    }
}

/// Threads that all wait at one port, each for bytes of its own, without a background and with one
/// that sleeps or stays awake.
pub(crate) fn many_waiters_hear_each_their_own(backend: &str) {
    for (background, stay_awake) in [(false, false), (true, false), (true, true)] {
        let rig = Rig::with(backend, |options| options.stay_awake = stay_awake);
        let driver = background.then(|| rig.spawn());
        let waiters: Vec<_> = (0..5)
            .map(|number| {
                let port = rig.port.clone();
                thread::spawn(move || {
                    let (near, mut far) = pair();
                    let echo = thread::spawn(move || {
                        let mut byte = [0];
                        while far.read(&mut byte).expect("it reads") == 1 {
                            far.write_all(&byte).expect("it writes");
                        }
                    });
                    let caller = Arc::new(Caller {
                        port: port.clone(),
                        notice: Notice::new(),
                        handle: OnceLock::new(),
                    });
                    let handle = port.register(near.into(), caller.clone()).expect("it registers");
                    let handle = caller.handle.get_or_init(|| handle);
                    handle.receive(None).expect("it starts");
                    let vigil = Vigil::new();
                    let manner =
                        [Manner::Patient, Manner::Eager, Manner::Awake(&vigil)][number % 3];
                    for round in 0..scaled(300) as u64 {
                        let sent = handle.send(vec![bytes::Bytes::from_static(b"x")]);
                        assert!(!matches!(sent, Sending::Done { result: Err(_), .. }));
                        wait(&port, &caller.notice, round, manner);
                    }
                    handle.retire();
                    // What is pending still has to be dequeued before the socket is closed.
                    while !echo.is_finished() {
                        port.turn(Some(Duration::from_millis(1))).expect("it turns");
                    }
                    echo.join().expect("no panic");
                })
            })
            .collect();
        for waiter in waiters {
            waiter.join().expect("no panic");
        }
        drop(driver);
    }
}
