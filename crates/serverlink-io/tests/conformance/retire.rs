//! Retiring and dropping.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use bytes::Bytes;
use serverlink_io::{Direction, Event, Handle, Handler, Interest, Sending};

use crate::rig::{Call, Inbox, LIMIT, Rig, listener, narrow_pair, pair, released, scaled, stream};

/// Reads until the connection has ended, in whichever way.
fn drain(mut far: TcpStream) {
    far.set_read_timeout(Some(LIMIT)).expect("it is a socket");
    let mut bytes = [0; 4096];
    loop {
        match far.read(&mut bytes) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                assert!(
                    !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                    "the connection stays open"
                );
                return;
            }
        }
    }
}

pub(crate) fn a_retired_handle_refuses_everything(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, far) = rig.connected();
    handle.retire();
    handle.retire();
    let both = Interest { readable: true, writable: true };
    let address = far.local_addr().expect("it is connected").into();
    let refusals = [
        handle.receive(None),
        handle.accept(),
        handle.connect(&address),
        handle.probe(both),
        handle.shutdown_send(),
        handle.local_address().map(drop),
        handle.peer_address().map(drop),
    ];
    for refusal in refusals {
        assert_eq!(refusal.expect_err("it is retired").kind(), ErrorKind::NotConnected);
    }
    match handle.send(vec![Bytes::from_static(b"x")]) {
        Sending::Done { sent: 0, result: Err(error), buffers } => {
            assert_eq!(error.kind(), ErrorKind::NotConnected);
            assert_eq!(buffers.len(), 1);
        }
        other => panic!("it is retired, but {other:?}"),
    }
    handle.cancel(Direction::Inward);
    handle.cancel(Direction::Outward);
    released(&rig, &inbox);
    assert!(inbox.is_empty());
    drain(far);
}

pub(crate) fn drop_handle_with_operations_in_flight(backend: &str) {
    let rig = Rig::new(backend);
    for _ in 0..scaled(50) {
        let (near, far) = narrow_pair();
        let inbox = Inbox::new();
        let handle = rig.port.register(near, inbox.clone()).expect("it registers");
        handle.receive(None).expect("nothing is pending");
        assert!(matches!(handle.send(vec![Bytes::from(vec![0; 1 << 20])]), Sending::Pending));
        rig.settle();
        assert_eq!(handle.receive(None).expect_err("still there").kind(), ErrorKind::ResourceBusy);
        drop(handle);
        released(&rig, &inbox);
        assert!(inbox.is_empty());
        drain(far.into());
    }
}

pub(crate) fn drop_port_with_operations_in_flight(backend: &str) {
    for _ in 0..scaled(50) {
        let rig = Rig::new(backend);
        let inbox = Inbox::new();
        let register = |socket| rig.port.register(socket, inbox.clone()).expect("it registers");
        let (near, far) = narrow_pair();
        let connection = register(near);
        connection.receive(None).expect("nothing is pending");
        assert!(matches!(connection.send(vec![Bytes::from(vec![0; 1 << 20])]), Sending::Pending));
        let (listening, address) = listener();
        let listening = register(listening.into());
        listening.accept().expect("nothing is pending");
        let connecting = register(stream());
        connecting.connect(&address.into()).expect("nothing is pending");
        let (probed, other_end) = pair();
        let watch = rig.port.watch(&probed, inbox.clone()).expect("it can be watched");
        watch.probe(Interest { readable: true, writable: false }).expect("nothing is pending");
        rig.port.set_timer(Instant::now() + LIMIT, inbox.clone(), 0);
        rig.port.post(inbox.clone(), 0);
        drop(rig);

        assert_eq!(Arc::strong_count(&inbox), 1, "the handler is not released");
        assert!(inbox.is_empty());
        drain(far.into());
        assert!(connection.receive(None).is_err());
        assert!(watch.probe(Interest { readable: true, writable: false }).is_err());
        drop((connection, listening, connecting, watch));
        // The watched one still works.
        (&other_end).write_all(b"!").expect("it is open");
        (&probed).read_exact(&mut [0]).expect("it is open");
    }
}

/// Nobody drives any more.
#[cfg(unix)]
pub(crate) fn retiring_after_a_stop_lets_go(backend: &str) {
    let rig = Rig::new(backend);
    let inbox = Inbox::new();
    let (near, far) = narrow_pair();
    let connection = rig.port.register(near, inbox.clone()).expect("it registers");
    connection.receive(None).expect("nothing is pending");
    assert!(matches!(connection.send(vec![Bytes::from(vec![0; 1 << 20])]), Sending::Pending));
    rig.settle();
    rig.port.stop();
    connection.retire();
    assert_eq!(Arc::strong_count(&inbox), 1, "the handler is not released");
    drain(far.into());
}

/// Whether the kernel has accepted it by then or not.
pub(crate) fn a_connection_that_nobody_accepts_any_more_is_closed(backend: &str) {
    let rig = Rig::new(backend);
    for _ in 0..scaled(20) {
        let (listener, address) = listener();
        let inbox = Inbox::new();
        let listening = rig.port.register(listener.into(), inbox.clone()).expect("it registers");
        listening.accept().expect("nothing is pending");
        rig.settle();
        let client = TcpStream::connect(address).expect("it listens");
        listening.retire();
        released(&rig, &inbox);
        rig.settle();
        assert!(inbox.is_empty());
        drain(client);
    }
}

/// Receives for ever.
struct Reader {
    handle: OnceLock<Handle>,
    events: AtomicUsize,
    retired: AtomicBool,
}

impl Handler for Reader {
    fn complete(&self, event: Event) {
        self.events.fetch_add(1, Ordering::Relaxed);
        if let (Event::Received(Ok(bytes)), Some(handle)) = (event, self.handle.get()) {
            match handle.receive((bytes.len() < bytes.capacity()).then_some(bytes)) {
                Ok(()) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::NotConnected),
            }
        }
        if self.retired.load(Ordering::Relaxed) {
            let _ = self.handle.get().map(Handle::retire);
        }
    }
}

fn reader(rig: &Rig) -> (Arc<Reader>, TcpStream) {
    let (near, far) = pair();
    let reader = Arc::new(Reader {
        handle: OnceLock::new(),
        events: AtomicUsize::new(0),
        retired: AtomicBool::new(false),
    });
    let handle = rig.port.register(near.into(), reader.clone()).expect("it registers");
    handle.receive(None).expect("nothing is pending");
    reader.handle.set(handle).expect("set once");
    (reader, far)
}

/// Retired from another thread while data pours in.
pub(crate) fn retire_during_active_io(backend: &str) {
    let rig = Rig::new(backend);
    let driver = rig.spawn();
    for _ in 0..scaled(100) {
        let (reader, mut far) = reader(&rig);
        let writer = thread::spawn(move || {
            let bytes = [0; 4096];
            while far.write_all(&bytes).is_ok() {}
        });
        let start = Instant::now();
        while reader.events.load(Ordering::Relaxed) < 3 {
            assert!(start.elapsed() < LIMIT);
            thread::yield_now();
        }
        reader.handle.get().expect("it is set").retire();
        // The call that may be going on ends before the marker arrives.
        let marker = Inbox::new();
        for tag in 0..2 {
            rig.port.post(marker.clone(), tag);
            marker.wait();
        }
        let events = reader.events.load(Ordering::Relaxed);
        // The writer ends because the connection does.
        writer.join().expect("no panic");
        rig.port.post(marker.clone(), 2);
        marker.wait();
        assert_eq!(reader.events.load(Ordering::Relaxed), events);
        let start = Instant::now();
        while Arc::strong_count(&reader) > 1 {
            assert!(start.elapsed() < LIMIT, "the handler is not released");
            thread::yield_now();
        }
    }
    drop(driver);
}

/// Nothing else happens that would end the driver's wait.
pub(crate) fn retire_closes_while_the_driver_waits(backend: &str) {
    let rig = Rig::new(backend);
    let driver = rig.spawn();
    for _ in 0..scaled(50) {
        let (reader, far) = reader(&rig);
        let marker = Inbox::new();
        rig.port.post(marker.clone(), 0);
        marker.wait();
        reader.handle.get().expect("it is set").retire();
        drain(far);
    }
    drop(driver);
}

pub(crate) fn retire_within_its_own_handler(backend: &str) {
    let rig = Rig::new(backend);
    for _ in 0..scaled(50) {
        let (reader, mut far) = reader(&rig);
        reader.retired.store(true, Ordering::Relaxed);
        far.write_all(b"once").expect("it is connected");
        rig.until("the event", || (reader.events.load(Ordering::Relaxed) > 0).then_some(()));
        let _ = far.write_all(b"and again");
        rig.settle();
        assert_eq!(reader.events.load(Ordering::Relaxed), 1);
        released(&rig, &reader);
        drain(far);
    }
}

/// Nothing of a retired handle may reach the descriptor that takes the number over.
pub(crate) fn send_races_retire(backend: &str) {
    let rig = Rig::new(backend);
    let driver = rig.spawn();
    for round in 0..scaled(300) {
        let (near, far) = pair();
        let handle = rig.port.register(near.into(), Arc::new(Call(|_| {}))).expect("it registers");
        let handle = Arc::new(handle);
        let sender = {
            let handle = handle.clone();
            thread::spawn(move || {
                let mut refused = 0;
                while refused < 200 {
                    match handle.send(vec![Bytes::from_static(b"stray")]) {
                        Sending::Done { result: Err(error), .. } => match error.kind() {
                            ErrorKind::NotConnected => refused += 1,
                            ErrorKind::ResourceBusy => thread::yield_now(),
                            other => panic!("{other}"),
                        },
                        Sending::Done { .. } | Sending::Pending => {}
                    }
                }
            })
        };
        for _ in 0..round % 50 * 20 {
            std::hint::spin_loop();
        }
        handle.retire();
        // Takes the numbers that have just become free.
        let fresh = [(); 3].map(|()| pair());
        sender.join().expect("no panic");
        for (one, other) in &fresh {
            for end in [one, other] {
                end.set_nonblocking(true).expect("it is a socket");
                let peeked = end.peek(&mut [0; 8]);
                assert!(
                    matches!(&peeked, Err(error) if error.kind() == ErrorKind::WouldBlock),
                    "a stray byte: {peeked:?}"
                );
            }
        }
        drain(far);
    }
    drop(driver);
}
