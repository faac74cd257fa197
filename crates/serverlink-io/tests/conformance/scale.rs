//! How much a port bears, and what it costs.

use std::{
    fs,
    io::{ErrorKind, Write},
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use serverlink_io::{Direction, Event, Handle, Handler, Port, Sending, Turn, is_cancelled};
use socket2::Socket;

use crate::{
    crowd::{Crowd, OTHERS, raise_descriptor_limit},
    heap,
    rig::{Call, Inbox, LIMIT, Rig, narrow_pair, pair, received, released, scaled, stream},
};

/// What a port may have of its own while its connections are idle: a buffer or two.
const AT_WORK: usize = 256 << 10;
/// What a port keeps when they are gone: its buffers for reuse above all, 2 MiB of them.
const KEPT: usize = 3 << 20;

/// What an idle connection may take on the heap, its handler here included. At a completion port the
/// memory of its operations is part of it, for that must stay where it is.
fn idle_connection(backend: &str) -> usize {
    if backend == "iocp" { 1152 } else { 768 }
}

/// What a port may have lent to idle connections, however many they are: 256 buffers. Only a kernel
/// that carries receives out is lent any.
fn lent(backend: &str) -> usize {
    if backend == "iocp" { 256 * 128 * 1024 } else { 0 }
}

/// Descriptors are the process's: where tests are its threads, only one takes thousands at a time.
fn many_descriptors(count: usize) -> MutexGuard<'static, ()> {
    static TURNS: Mutex<()> = Mutex::new(());
    let turn = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    raise_descriptor_limit(count + OTHERS);
    turn
}

/// A listener with room for as many as the system allows.
fn wide_listener() -> (Socket, SocketAddr) {
    let listener = stream();
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("loopback listens");
    listener.listen(4096).expect("loopback listens");
    let address = listener.local_addr().expect("it listens").as_socket().expect("of IPv4");
    (listener, address)
}

/// Accepts for ever, and welcomes each with a byte.
struct Accept {
    port: Port,
    listener: OnceLock<Handle>,
    served: Arc<Served>,
}

/// What has become of the connections of an [`Accept`].
#[derive(Default)]
struct Served {
    connections: Mutex<Vec<Arc<Echo>>>,
    accepted: AtomicUsize,
    answered: AtomicUsize,
    ended: AtomicUsize,
}

/// Sends back what it receives.
struct Echo {
    port: Port,
    handle: OnceLock<Handle>,
    served: Arc<Served>,
}

impl Accept {
    fn start(rig: &Rig) -> (Arc<Self>, SocketAddr) {
        let (listener, address) = wide_listener();
        let accept = Arc::new(Self {
            port: rig.port.clone(),
            listener: OnceLock::new(),
            served: Arc::default(),
        });
        let handle = rig.port.register(listener, accept.clone()).expect("it registers");
        let handle = accept.listener.get_or_init(|| handle);
        handle.accept().expect("nothing is pending");
        (accept, address)
    }

    /// Lets all that have been accepted begin; before, they cost a select nothing.
    fn receive(&self) {
        for echo in &*self.served.connections.lock().expect("no panic") {
            let handle = echo.handle.get().expect("set at once");
            handle.receive(None).expect("nothing is pending");
        }
    }

    fn close(&self) {
        self.listener.get().expect("set at once").retire();
        for echo in self.served.connections.lock().expect("no panic").drain(..) {
            echo.handle.get().expect("set at once").retire();
        }
    }
}

impl Handler for Accept {
    fn complete(&self, event: Event) {
        let socket = match event {
            Event::Accepted(Ok((socket, _))) => socket,
            other => panic!("a connection expected, not {other:?}"),
        };
        let echo = Arc::new(Echo {
            port: self.port.clone(),
            handle: OnceLock::new(),
            served: self.served.clone(),
        });
        let handle = self.port.register(socket, echo.clone()).expect("it registers");
        let welcomed = handle.send(vec![Bytes::from_static(b"!")]);
        assert!(matches!(welcomed, Sending::Done { result: Ok(()), .. }), "{welcomed:?}");
        echo.handle.set(handle).expect("set once");
        self.served.connections.lock().expect("no panic").push(echo);
        self.served.accepted.fetch_add(1, Ordering::Relaxed);
        self.listener.get().expect("set at once").accept().expect("nothing is pending");
    }
}

impl Handler for Echo {
    fn complete(&self, event: Event) {
        let handle = self.handle.get().expect("set at once");
        match event {
            Event::Received(Ok(buffer)) if !buffer.is_empty() => {
                let answer = Bytes::copy_from_slice(&buffer);
                self.port.reuse(buffer);
                assert!(matches!(handle.send(vec![answer]), Sending::Done { result: Ok(()), .. }));
                self.served.answered.fetch_add(1, Ordering::Relaxed);
                handle.receive(None).expect("nothing is pending");
            }
            // However it ends.
            Event::Received(_) => {
                self.served.ended.fetch_add(1, Ordering::Relaxed);
                handle.retire();
            }
            other => panic!("{other:?}"),
        }
    }
}

fn reached(count: &AtomicUsize, wanted: usize) -> Option<()> {
    (count.load(Ordering::Relaxed) >= wanted).then_some(())
}

/// What the process has in memory, where the system tells it as a file.
fn resident() -> Option<usize> {
    let pages: usize =
        fs::read_to_string("/proc/self/statm").ok()?.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

pub(crate) fn ten_thousand_connections_on_bounded_memory(backend: &str) {
    if Crowd::attend() {
        return;
    }
    let count = scaled(10_000);
    let _turn = many_descriptors(count);
    let rig = Rig::new(backend);
    let (accept, address) = Accept::start(&rig);
    let (before, resident_before) = (heap::held(), resident());
    let name = format!("{backend}::seed_load::ten_thousand_connections_on_bounded_memory");
    let start = Instant::now();
    let mut crowd = Crowd::gather(&name, address, count);
    rig.until("everyone", || reached(&accept.served.accepted, count));
    accept.receive();
    // Idle, used, and idle again.
    for round in 0..=1 {
        rig.until("the echoes", || reached(&accept.served.answered, round * count));
        rig.settle();
        assert_eq!(accept.served.answered.load(Ordering::Relaxed), round * count);
        let taken = usize::try_from(heap::held() - before).expect("some");
        let grown = resident().zip(resident_before).map(|(now, before)| now.saturating_sub(before));
        println!(
            "{backend}: {count} idle connections after {:.1} s take {} bytes each of the heap; \
             of resident memory {:?}",
            start.elapsed().as_secs_f64(),
            taken / count,
            grown.map(|grown| grown / count),
        );
        let bound = AT_WORK + lent(backend) + count * idle_connection(backend);
        assert!(taken <= bound, "{taken} bytes");
        if round == 0 {
            crowd.speak();
        }
    }
    crowd.disperse();
    rig.until("the end of each", || reached(&accept.served.ended, count));
    accept.close();
    released(&rig, &accept);
    released(&rig, &accept.served);
    let left = heap::held() - before;
    assert!(left <= KEPT.cast_signed(), "{left} bytes are left");
}

/// All of them connect before the first is accepted.
pub(crate) fn an_accept_storm_is_weathered(backend: &str) {
    let count = scaled(2_000);
    let _turn = many_descriptors(2 * count);
    let rig = Rig::new(backend);
    let (accept, address) = Accept::start(&rig);
    let connected = Arc::new(AtomicUsize::new(0));
    let clients: Vec<Handle> = (0..count)
        .map(|_| {
            let socket = stream();
            // See `Crowd`.
            socket.set_linger(Some(Duration::ZERO)).expect("a socket");
            let connected = connected.clone();
            let note = move |event| match event {
                Event::Connected(Ok(())) => _ = connected.fetch_add(1, Ordering::Relaxed),
                other => panic!("a connection expected, not {other:?}"),
            };
            let client = rig.port.register(socket, Arc::new(Call(note))).expect("it registers");
            client.connect(&address.into()).expect("nothing is pending");
            client
        })
        .collect();
    let (start, mut turns) = (Instant::now(), 0);
    rig.until("everyone", || {
        turns += 1;
        reached(&connected, count).and_then(|()| reached(&accept.served.accepted, count))
    });
    println!("{backend}: {count} accepted in {turns} turns, {:?}", start.elapsed());
    // One accept a turn at the least, and a wait now and then.
    assert!(turns <= count + count / 4 + 50, "{turns} turns");
    rig.settle();
    assert_eq!(connected.load(Ordering::Relaxed), count);
    assert_eq!(accept.served.accepted.load(Ordering::Relaxed), count);
    for client in &clients {
        client.retire();
    }
    accept.close();
    released(&rig, &accept);
}

pub(crate) fn a_hundred_thousand_timers(backend: &str) {
    // Trees and heaps take a fraction of a second, lists would take minutes.
    const SENSIBLE: Duration = Duration::from_secs(20);
    let count = scaled(100_000) as u64;
    let rig = Rig::new(backend);
    let fired = Arc::new(Mutex::new(Vec::new()));
    let (sink, begun) = (fired.clone(), Instant::now());
    let note = Arc::new(Call(move |event| match event {
        Event::Timer { tag, .. } => sink.lock().expect("no panic").push(tag),
        other => panic!("a timer expected, not {other:?}"),
    }));
    // Scattered over a fifth of a second; no two are at the same time.
    let delay = |tag: u64| tag * 48_271 % count;
    let step = Duration::from_millis(200) / u32::try_from(count).expect("not as many");
    let soon = begun + Duration::from_millis(50);
    let timers: Vec<_> = (0..count)
        .map(|tag| {
            let deadline = soon + step * u32::try_from(delay(tag)).expect("not as many");
            rig.port.set_timer(deadline, note.clone(), tag)
        })
        .collect();
    for timer in timers.iter().skip(1).step_by(2) {
        assert!(rig.port.cancel_timer(*timer));
    }
    let left = usize::try_from(count / 2).expect("not as many");
    rig.until("all timers", || (fired.lock().expect("no panic").len() >= left).then_some(()));
    rig.settle();
    let took = begun.elapsed();
    println!("{backend}: {count} timers set, half of them cancelled, half expired within {took:?}");
    assert!(took < SENSIBLE, "{took:?}");
    let mut expected: Vec<u64> = (0..count).step_by(2).collect();
    expected.sort_by_key(|tag| delay(*tag));
    assert!(*fired.lock().expect("no panic") == expected, "not in order, or not the right ones");
    assert_eq!(Arc::strong_count(&note), 1);
}

/// What one side does not take the other may not pile up.
pub(crate) fn a_slow_reader_costs_no_memory(backend: &str) {
    const PIECE: usize = 256 * 1024;
    const SIP: usize = 4096;
    /// Neither the engine nor this test may hold more.
    const BOUND: isize = 128 * 1024;
    let rig = Rig::new(backend);
    let (near, far) = narrow_pair();
    let (writing, reading) = (Inbox::new(), Inbox::new());
    let writer = rig.port.register(near, writing.clone()).expect("it registers");
    let reader = rig.port.register(far, reading.clone()).expect("it registers");
    let piece = Bytes::from((0..PIECE).map(|at| (at % 251) as u8).collect::<Vec<u8>>());
    let pieces = scaled(64);
    let mut taken = 0;
    // What is used all the time is there before it is counted.
    rig.settle();
    let peak = heap::peak(|| {
        for _ in 0..pieces {
            assert!(matches!(writer.send(vec![piece.clone()]), Sending::Pending));
            let sent = loop {
                // Whoever writes faster than that is told to wait, and nothing is kept of it.
                match writer.send(vec![piece.clone()]) {
                    Sending::Done { sent: 0, result: Err(error), .. } => {
                        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
                    }
                    other => panic!("one is pending, but {other:?}"),
                }
                reader.receive(Some(BytesMut::with_capacity(SIP))).expect("nothing is pending");
                let sip = received(rig.next(&reading));
                for byte in sip {
                    assert_eq!(usize::from(byte), taken % PIECE % 251);
                    taken += 1;
                }
                if let Some(event) = writing.take() {
                    break event;
                }
            };
            assert!(matches!(sent, Event::Sent { sent: PIECE, result: Ok(()), .. }), "{sent:?}");
        }
    });
    println!("{backend}: {taken} bytes through {SIP} at a time took {peak} bytes");
    assert!(peak < BOUND, "{peak} bytes");

    // Nobody receives at all: the port takes nothing in.
    let (handle, inbox, far) = rig.connected();
    far.set_nonblocking(true).expect("a socket");
    let peak = heap::peak(|| {
        for _ in 0..100 {
            while (&far).write(&piece).is_ok() {}
            rig.settle();
        }
    });
    assert!(peak < BOUND, "{peak} bytes");
    assert!(inbox.is_empty());
    handle.retire();
}

/// Threads that start, cancel and retire on one port whatever they like, each told of its own.
pub(crate) fn many_threads_share_one_port(backend: &str) {
    let rig = Rig::new(backend);
    let driver = rig.spawn();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let port = rig.port.clone();
            thread::spawn(move || {
                (0..scaled(200)).for_each(|round| one_of_many(&port, number + round));
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
    drop(driver);
}

fn one_of_many(port: &Port, round: usize) {
    let (near, mut far) = pair();
    socket2::SockRef::from(&far).set_linger(Some(Duration::ZERO)).expect("a socket");
    let inbox = Inbox::new();
    let (open, end) = mpsc::channel();
    let kept = Arc::new(Kept { inbox: inbox.clone(), _open: open });
    let handle = port.register(near.into(), kept).expect("it registers");
    handle.receive(None).expect("nothing is pending");
    match round % 4 {
        0 => {
            far.write_all(b"hello").expect("it is connected");
            assert_eq!(received(inbox.wait())[..], *b"hello");
        }
        1 => {
            handle.cancel(Direction::Inward);
            let event = inbox.wait();
            assert!(matches!(&event, Event::Received(Err(error)) if is_cancelled(error)));
        }
        2 => {
            let timer = port.set_timer(Instant::now(), inbox.clone(), 2);
            if !port.cancel_timer(timer) {
                assert!(matches!(inbox.wait(), Event::Timer { tag: 2, .. }));
            }
        }
        _ => {
            port.post(inbox.clone(), 3);
            assert!(matches!(inbox.wait(), Event::Posted { tag: 3 }));
        }
    }
    handle.retire();
    let end = end.recv_timeout(LIMIT).expect_err("nothing is sent");
    assert_eq!(end, RecvTimeoutError::Disconnected, "the handler is not released");
    assert!(inbox.is_empty());
}

/// Puts events into an inbox, and closes a channel when the engine lets go of it.
struct Kept {
    inbox: Arc<Inbox>,
    _open: Sender<()>,
}

impl Handler for Kept {
    fn complete(&self, event: Event) {
        self.inbox.complete(event);
    }
}

/// Ends while hundreds of connections are at work, and lets go of every one.
pub(crate) fn stop_among_many_connections(backend: &str) {
    let rig = Rig::new(backend);
    let ended = Arc::new(Inbox::default());
    let mut far_ends = Vec::new();
    let handles: Vec<Handle> = (0..scaled(200))
        .map(|number| {
            let (near, mut far) = pair();
            let handle = rig.port.register(near.into(), ended.clone()).expect("it registers");
            handle.receive(None).expect("nothing is pending");
            if number % 2 == 0 {
                far.write_all(b"in the middle of it").expect("it is connected");
            }
            far_ends.push(far);
            handle
        })
        .collect();
    let driver = rig.spawn();
    for _ in 0..handles.len() / 2 {
        assert_eq!(received(ended.wait())[..], *b"in the middle of it");
    }
    drop(driver);
    assert_eq!(rig.port.turn(None).expect("it turns"), Turn::Stopped);
    drop(rig);
    assert_eq!(Arc::strong_count(&ended), 1, "a handler is not released");
    assert!(ended.is_empty(), "told of something after the end");
    for (handle, far) in handles.iter().zip(&mut far_ends) {
        assert_eq!(handle.receive(None).expect_err("gone").kind(), ErrorKind::NotConnected);
        far.set_read_timeout(Some(LIMIT)).expect("a socket");
        assert!(!matches!(std::io::Read::read(far, &mut [0]), Ok(1..)), "it is closed");
    }
}
