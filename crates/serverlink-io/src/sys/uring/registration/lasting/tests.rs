//! On pairs of sockets, of which one is registered.

use std::{
    io::{Read, Write},
    sync::{Mutex, atomic::Ordering},
    time::Duration,
};

use socket2::{Domain, Socket, Type};

use super::*;
use crate::{
    Handler, PortOptions,
    sys::{
        Backend, Entry,
        uring::{FEW, Uring, provided::Arming},
    },
};

/// Notes what has completed.
#[derive(Default)]
struct Log(Mutex<Vec<Event>>);

impl Handler for Log {
    fn complete(&self, event: Event) {
        lock(&self.0).push(event);
    }
}

struct Bench {
    backend: Uring,
    log: Arc<Log>,
}

impl Bench {
    fn new() -> Self {
        Self::of(Uring::new(&PortOptions::default()).expect("it starts"))
    }

    fn of(backend: Uring) -> Self {
        Self { backend, log: Arc::default() }
    }

    fn pair(&self) -> (Arc<dyn Entry>, Socket) {
        let (near, far) = Socket::pair(Domain::UNIX, Type::STREAM, None).expect("sockets");
        far.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        (self.backend.register(near, self.log.clone()).expect("it registers"), far)
    }

    fn turn(&self) {
        self.backend.turn(Some(Duration::from_millis(10))).expect("it turns");
    }

    fn until(&self, mut there: impl FnMut() -> bool) {
        let begun = std::time::Instant::now();
        while !there() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", lock(&self.log.0));
            self.turn();
        }
    }

    /// The next event, which is the only one.
    fn event(&self) -> Event {
        self.until(|| !lock(&self.log.0).is_empty());
        let mut log = lock(&self.log.0);
        assert_eq!(log.len(), 1, "{log:?}");
        log.remove(0)
    }

    fn bytes(&self) -> Vec<u8> {
        match self.event() {
            Event::Received(Ok(bytes)) => bytes.to_vec(),
            other => panic!("bytes expected, not {other:?}"),
        }
    }

    /// What a receive brings that begins now.
    fn receive(&self, entry: &Arc<dyn Entry>) -> Vec<u8> {
        entry.receive(None).expect("nothing is pending");
        self.bytes()
    }

    /// One message, for which is waited.
    fn message(&self, entry: &Arc<dyn Entry>, mut far: &Socket, text: &[u8]) {
        entry.receive(None).expect("nothing is pending");
        self.backend.turn(Some(Duration::ZERO)).expect("it turns");
        far.write_all(text).expect("it is connected");
        assert_eq!(self.bytes(), text);
    }

    /// A connection that has brought one message after the other, so that its next receive lasts.
    fn lone(&self) -> (Arc<dyn Entry>, Socket) {
        let (entry, far) = self.pair();
        for _ in 0..LONE {
            self.message(&entry, &far, b"x");
        }
        (entry, far)
    }

    /// One whose receive lasts; the last one has been answered.
    fn lasting(&self) -> (Arc<dyn Entry>, Socket) {
        let (before, (entry, far)) = (self.last(), self.lone());
        assert_eq!(self.last(), before);
        self.message(&entry, &far, b"y");
        assert_eq!(self.last(), before + 1);
        (entry, far)
    }

    /// How many receives last.
    fn last(&self) -> usize {
        self.backend.engine.lasting.armed()
    }

    fn submitted(&self) -> usize {
        self.backend.engine.submitted.load(Ordering::Relaxed)
    }
}

#[test]
fn one_receive_brings_many_messages() {
    let bench = Bench::new();
    let (entry, far) = bench.lasting();
    for text in [b"one".as_slice(), b"two", b"three"] {
        assert_eq!((bench.last(), bench.submitted()), (1, 1));
        bench.message(&entry, &far, text);
    }
}

#[test]
fn what_nobody_asked_for_is_held_and_ends_it() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    far.write_all(b"held").expect("it is connected");
    bench.until(|| bench.last() == 0);
    // Nobody receives this now.
    far.write_all(b"left").expect("it is connected");
    bench.turn();
    assert_eq!(bench.submitted(), 0);
    assert!(lock(&bench.log.0).is_empty());
    assert_eq!(bench.receive(&entry), b"held");
    assert_eq!(bench.receive(&entry), b"left");
}

#[test]
fn nothing_overtakes_what_is_held() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    let engine = &bench.backend.engine;
    far.write_all(b"first").expect("it is connected");
    engine.serve_completions();
    // It is not submitted yet that the receive is to end, so that this comes by it, too; and is asked for
    // between the driver's looks at its queue and at the completions.
    far.write_all(b"second").expect("it is connected");
    assert_eq!(engine.ring.completed(), 1);
    entry.receive(None).expect("nothing is pending");
    engine.serve_completions();
    assert_eq!(bench.bytes(), b"first");
    assert_eq!(bench.receive(&entry), b"second");
}

#[test]
fn a_peer_that_is_not_heard_is_held_back() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    far.set_nonblocking(true).expect("a socket");
    let mut sent = 0;
    // Until it has been full for some turns.
    let mut full = 0;
    while full < 10 {
        match far.write(&[7; 8192]) {
            Ok(length) => (sent, full) = (sent + length, 0),
            Err(_) => full += 1,
        }
        bench.backend.turn(Some(Duration::ZERO)).expect("it turns");
    }
    assert!(sent < 16 << 20, "{sent} bytes");
    let mut received = 0;
    while received < sent {
        let bytes = bench.receive(&entry);
        assert!(bytes.iter().all(|byte| *byte == 7));
        received += bytes.len();
    }
    assert_eq!(received, sent);
}

#[test]
fn what_is_held_goes_into_supplied_buffers() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    far.write_all(b"abcdef").expect("it is connected");
    bench.until(|| bench.last() == 0);
    let mut buffer = BytesMut::with_capacity(4);
    buffer.extend_from_slice(b"-");
    let room = buffer.capacity() - 1;
    entry.receive(Some(buffer)).expect("nothing is pending");
    assert_eq!(bench.bytes(), [b"-", &b"abcdef"[..room.min(6)]].concat());
    if room < 6 {
        assert_eq!(bench.receive(&entry), b"abcdef"[room..]);
    }
}

#[test]
fn a_supplied_buffer_waits_for_its_end() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    entry.receive(Some(BytesMut::with_capacity(8))).expect("nothing is pending");
    bench.until(|| bench.last() == 0 && bench.submitted() == 1);
    far.write_all(b"abc").expect("it is connected");
    assert_eq!(bench.bytes(), b"abc");
}

#[test]
fn a_supplied_buffer_gets_what_comes_before_its_end() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    far.write_all(b"abc").expect("it is connected");
    entry.receive(Some(BytesMut::with_capacity(8))).expect("nothing is pending");
    assert_eq!(bench.bytes(), b"abc");
    bench.until(|| bench.submitted() == 0);
}

#[test]
fn a_cancelled_wait_loses_nothing() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    entry.receive(None).expect("nothing is pending");
    entry.cancel(Direction::Inward);
    far.write_all(b"abc").expect("it is connected");
    match bench.event() {
        Event::Received(Err(error)) => assert!(errors::is_cancelled(&error), "{error}"),
        other => panic!("a cancellation expected, not {other:?}"),
    }
    bench.until(|| bench.last() == 0);
    assert_eq!(bench.receive(&entry), b"abc");
}

#[test]
fn a_cancelled_wait_ends_it() {
    let bench = Bench::new();
    let (entry, far) = bench.lasting();
    entry.receive(None).expect("nothing is pending");
    entry.cancel(Direction::Inward);
    assert!(matches!(bench.event(), Event::Received(Err(_))));
    bench.until(|| bench.last() == 0 && bench.submitted() == 0);
    bench.message(&entry, &far, b"abc");
}

#[test]
fn a_new_receive_while_it_ends_is_answered() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    entry.receive(None).expect("nothing is pending");
    entry.cancel(Direction::Inward);
    assert!(matches!(bench.event(), Event::Received(Err(_))));
    entry.receive(None).expect("nothing is pending");
    bench.until(|| bench.last() == 1 && bench.submitted() == 1);
    far.write_all(b"abc").expect("it is connected");
    assert_eq!(bench.bytes(), b"abc");
}

#[test]
fn retiring_closes_and_lets_go() {
    for held in [false, true] {
        let bench = Bench::new();
        let (entry, mut far) = bench.lasting();
        if held {
            far.write_all(b"held").expect("it is connected");
            bench.until(|| bench.last() == 0);
        } else {
            entry.receive(None).expect("nothing is pending");
        }
        entry.retire();
        // Without a turn.
        assert_eq!(far.read(&mut [0]).expect("it is closed"), 0);
        bench.until(|| bench.last() == 0 && bench.submitted() == 0);
        assert!(lock(&bench.log.0).is_empty());
        let weak = Arc::downgrade(&entry);
        drop(entry);
        assert_eq!(weak.strong_count(), 0);
    }
}

#[test]
fn dropping_the_backend_closes() {
    let bench = Bench::new();
    let (_entry, mut far) = bench.lasting();
    drop(bench);
    assert_eq!(far.read(&mut [0]).expect("it is closed"), 0);
}

#[test]
fn the_end_of_the_stream_keeps_its_place() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    far.write_all(b"last").expect("it is connected");
    drop(far);
    bench.until(|| bench.last() == 0);
    for expected in [b"last".as_slice(), b"", b""] {
        assert_eq!(bench.receive(&entry), expected);
    }
}

#[test]
fn what_is_held_is_readable() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    far.write_all(b"held").expect("it is connected");
    bench.until(|| bench.last() == 0);
    entry.probe(Interest { readable: true, writable: false }).expect("nothing is pending");
    match bench.event() {
        Event::Ready(Ok(found)) => assert!(found.readable),
        other => panic!("readiness expected, not {other:?}"),
    }
    assert_eq!(bench.receive(&entry), b"held");
}

#[test]
fn a_probe_ends_it() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    entry.probe(Interest { readable: true, writable: false }).expect("nothing is pending");
    bench.until(|| bench.last() == 0 && bench.submitted() == 1);
    far.write_all(b"abc").expect("it is connected");
    assert!(matches!(bench.event(), Event::Ready(Ok(_))));
    assert_eq!(bench.receive(&entry), b"abc");
}

#[test]
fn those_that_find_no_piece_go_on() {
    let backend = Uring::with_pieces(&PortOptions::default(), 2).expect("it starts");
    let bench = Bench::of(backend);
    let pairs: Vec<_> = (0..20).map(|_| bench.lasting()).collect();
    assert_eq!(bench.last(), pairs.len());
    for _ in 0..3 {
        for (entry, _) in &pairs {
            entry.receive(None).expect("nothing is pending");
        }
        bench.turn();
        for (_, far) in &pairs {
            assert_eq!(far.send(b"x").expect("it is connected"), 1);
        }
        bench.until(|| lock(&bench.log.0).len() == pairs.len());
        for event in mem::take(&mut *lock(&bench.log.0)) {
            assert!(matches!(event, Event::Received(Ok(bytes)) if bytes == b"x"[..]));
        }
    }
}

#[test]
fn a_stream_ends_it() {
    let bench = Bench::new();
    let (entry, mut far) = bench.lasting();
    let text: Vec<u8> = (0..50_000_u32).map(|number| number as u8).collect();
    far.write_all(&text).expect("there is room");
    let mut received = Vec::new();
    while received.len() < text.len() {
        received.extend(bench.receive(&entry));
    }
    assert!(received == text);
    bench.until(|| bench.last() == 0);
}

#[test]
fn in_a_crowd_none_lasts() {
    let bench = Bench::new();
    let pairs: Vec<_> = (0..2 * FEW).map(|_| bench.pair()).collect();
    for _ in 0..2 * LONE {
        for (entry, _) in &pairs {
            entry.receive(None).expect("nothing is pending");
        }
        bench.backend.turn(Some(Duration::ZERO)).expect("it turns");
        for (_, far) in &pairs {
            assert_eq!(far.send(b"x").expect("it is connected"), 1);
        }
        bench.until(|| lock(&bench.log.0).len() == pairs.len());
        lock(&bench.log.0).clear();
    }
    assert_eq!(bench.last(), 0);
}

#[test]
fn no_more_last_than_may() {
    let bench = Bench::new();
    let mut all: Vec<_> = (0..MOST).map(|_| bench.lasting()).collect();
    let (entry, far) = bench.lone();
    bench.message(&entry, &far, b"z");
    assert_eq!(bench.last(), MOST);
    all.pop().expect("many").0.retire();
    bench.until(|| bench.last() < MOST);
    bench.message(&entry, &far, b"z");
    assert_eq!(bench.last(), MOST);
}

#[test]
fn another_driver_has_its_own() {
    let bench = Bench::new();
    let (entry, far) = bench.lasting();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            bench.message(&entry, &far, b"elsewhere");
            bench.until(|| bench.last() == 0);
            for _ in 0..3 {
                bench.message(&entry, &far, b"elsewhere");
                bench.turn();
                assert_eq!(bench.last(), 1);
            }
            entry.receive(None).expect("nothing is pending");
            bench.until(|| bench.last() == 1 && bench.submitted() == 1);
        });
    });
    // The thread that submitted it has ended.
    assert_eq!(far.send(b"here").expect("it is connected"), 4);
    assert_eq!(bench.bytes(), b"here");
    bench.message(&entry, &far, b"again");
}

#[test]
fn a_kernel_without_it_serves_all_the_same() {
    let mut bench = Bench::new();
    Arc::get_mut(&mut bench.backend.engine).expect("nothing is registered").lasting =
        Arming::new(0);
    let (entry, far) = bench.lone();
    bench.message(&entry, &far, b"z");
    assert_eq!(bench.last(), 0);
}
