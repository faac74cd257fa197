//! Pollers: what is ready is told, to whoever waits, for as long as it is.

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use serverlink::{
    Context, Events, PollEvent, Poller, Socket,
    SocketType::{self, *},
};

use crate::harness::{
    PATIENCE, TRANSPORTS, bound, connected, context, couple, errno, eventually, expect,
    expect_numbers, fill, number, number_in, scaled, socket,
};

const NOW: Option<Duration> = Some(Duration::ZERO);
const SOON: Duration = Duration::from_millis(30);

/// What the next wait finds.
fn wait(poller: &Poller, timeout: Option<Duration>) -> Vec<(u64, Events)> {
    let mut events = Vec::new();
    let count = poller.wait(&mut events, timeout).unwrap();
    assert_eq!(count, events.len());
    let mut found: Vec<_> = events.iter().map(|event| (event.token, event.events)).collect();
    found.sort_unstable_by_key(|(token, _)| *token);
    found
}

#[track_caller]
fn expect_events(poller: &Poller, expected: &[(u64, Events)]) {
    assert_eq!(wait(poller, Some(PATIENCE)), expected);
}

fn poller(items: &[(&Socket, Events)]) -> Poller {
    let poller = Poller::new();
    for (token, (socket, interest)) in (0..).zip(items) {
        poller.add(socket, token, *interest).unwrap();
    }
    poller
}

fn stream_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

/// Runs `wait` in a thread that is about to wait by the time this returns.
fn in_wait<T: Send + 'static>(
    poller: &Arc<Poller>,
    wait: impl FnOnce(&Poller) -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    let (about_to, started) = mpsc::channel();
    let poller = poller.clone();
    let thread = thread::spawn(move || {
        about_to.send(()).unwrap();
        wait(&poller)
    });
    started.recv().unwrap();
    // Whether it waits already makes no difference to what it must find; mostly it does.
    thread::park_timeout(SOON);
    thread
}

#[test]
fn what_is_ready_is_told_until_it_is_not() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (pull, push) = couple(&context, endpoint, Pull, Push);
        let poller = poller(&[(&pull, Events::IN), (&push, Events::IN)]);
        assert_eq!(wait(&poller, NOW), []);
        push.send("one").unwrap();
        push.send("two").unwrap();
        for _ in 0..3 {
            expect_events(&poller, &[(0, Events::IN)]);
        }
        expect(&pull, "one");
        expect_events(&poller, &[(0, Events::IN)]);
        expect(&pull, "two");
        assert_eq!(wait(&poller, NOW), []);
        push.send("three").unwrap();
        expect_events(&poller, &[(0, Events::IN)]);
    }
}

#[test]
fn only_what_was_asked_for_is_told() {
    let context = context();
    let (one, other) = couple(&context, "tcp://127.0.0.1:*", Dealer, Dealer);
    let poller = poller(&[(&one, Events::NONE)]);
    assert_eq!(wait(&poller, NOW), []);
    poller.modify(0, Events::OUT).unwrap();
    expect_events(&poller, &[(0, Events::OUT)]);
    poller.modify(0, Events::IN).unwrap();
    assert_eq!(wait(&poller, NOW), []);
    other.send("x").unwrap();
    expect_events(&poller, &[(0, Events::IN)]);
    poller.modify(0, Events::OUT).unwrap();
    expect_events(&poller, &[(0, Events::OUT)]);
    poller.modify(0, Events::IN | Events::OUT).unwrap();
    expect_events(&poller, &[(0, Events::IN | Events::OUT)]);
    poller.modify(0, Events::NONE).unwrap();
    assert_eq!(wait(&poller, NOW), []);
}

#[test]
fn a_request_is_passed_back_and_forth() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (rep, req) = couple(&context, endpoint, Rep, Req);
        let both = Events::IN | Events::OUT;
        let poller = poller(&[(&rep, both), (&req, both)]);
        for _ in 0..3 {
            expect_events(&poller, &[(1, Events::OUT)]);
            req.send("question").unwrap();
            expect_events(&poller, &[(0, Events::IN)]);
            expect(&rep, "question");
            expect_events(&poller, &[(0, Events::OUT)]);
            rep.send("answer").unwrap();
            expect_events(&poller, &[(1, Events::IN)]);
            expect(&req, "answer");
        }
    }
}

#[test]
fn another_threads_call_may_be_what_is_waited_for() {
    let context = context();
    let (rep, req) = couple(&context, "inproc://calls", Rep, Req);
    req.send("question").unwrap();
    let poller = Arc::new(poller(&[(&rep, Events::OUT)]));
    let waiter = in_wait(&poller, |poller| wait(poller, Some(PATIENCE)));
    rep.recv().unwrap();
    assert_eq!(waiter.join().unwrap(), [(0, Events::OUT)]);
}

#[test]
fn time_outs_are_kept() {
    let context = context();
    let (pull, _push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let (stream, _far) = stream_pair();
    for with_descriptor in [false, true] {
        let poller = poller(&[(&pull, Events::IN)]);
        if with_descriptor {
            poller.add_descriptor(&stream, 1, Events::IN).unwrap();
        }
        for timeout in [Duration::ZERO, Duration::from_micros(700), Duration::from_millis(60)] {
            let start = Instant::now();
            assert_eq!(wait(&poller, Some(timeout)), []);
            let took = start.elapsed();
            assert!(took >= timeout, "{took:?} instead of {timeout:?}");
            assert!(took < timeout + PATIENCE / 2, "{took:?} instead of {timeout:?}");
        }
    }
    let empty = Poller::new();
    let start = Instant::now();
    assert_eq!(wait(&empty, Some(SOON)), []);
    assert!(start.elapsed() >= SOON);
}

#[test]
fn nobody_looks_in_vain_while_nothing_happens() {
    let context = context();
    let (pull, _push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let poller = poller(&[(&pull, Events::IN)]);
    assert_eq!(wait(&poller, Some(SOON)), []);
    let before = context.statistics().turns;
    assert_eq!(wait(&poller, Some(Duration::from_millis(300))), []);
    let turns = context.statistics().turns - before;
    assert!(turns < 20, "{turns} turns of the engine while it was to be idle");
}

#[test]
fn a_message_ends_the_wait() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (pull, push) = couple(&context, endpoint, Pull, Push);
        let poller = Arc::new(poller(&[(&pull, Events::IN)]));
        for _ in 0..5 {
            let waiter = in_wait(&poller, |poller| wait(poller, None));
            push.send("x").unwrap();
            assert_eq!(waiter.join().unwrap(), [(0, Events::IN)]);
            expect(&pull, "x");
        }
    }
}

#[test]
fn room_ends_the_wait() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (pull, endpoint) = bound(&context, Pull, endpoint);
        let push = socket(&context, Push);
        for socket in [&pull, &push] {
            socket.set_send_high_water_mark(10).unwrap();
            socket.set_receive_high_water_mark(10).unwrap();
        }
        pull.set_receive_buffer(Some(4096)).unwrap();
        push.set_send_buffer(Some(4096)).unwrap();
        let poller = Arc::new(poller(&[(&push, Events::OUT)]));
        push.connect(&endpoint).unwrap();
        expect_events(&poller, &[(0, Events::OUT)]);
        // What is under way makes room for a while.
        let mut sent = 0;
        while !wait(&poller, Some(SOON)).is_empty() {
            sent += fill(&push);
        }
        let waiter = in_wait(&poller, |poller| wait(poller, None));
        eventually("for the messages", || {
            while pull.try_recv().is_ok() {
                sent -= 1;
            }
            sent == 0
        });
        assert_eq!(waiter.join().unwrap(), [(0, Events::OUT)]);
    }
}

#[test]
fn what_is_added_during_a_wait_counts() {
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    push.send("x").unwrap();
    let poller = Arc::new(Poller::new());
    let waiter = in_wait(&poller, |poller| wait(poller, None));
    poller.add(&pull, 7, Events::IN).unwrap();
    assert_eq!(waiter.join().unwrap(), [(7, Events::IN)]);

    poller.modify(7, Events::NONE).unwrap();
    let waiter = in_wait(&poller, |poller| wait(poller, None));
    poller.modify(7, Events::IN).unwrap();
    assert_eq!(waiter.join().unwrap(), [(7, Events::IN)]);

    // A poller that waits at a port is told to wait at another one.
    expect(&pull, "x");
    let waiter = in_wait(&poller, |poller| wait(poller, None));
    let (stream, mut far) = stream_pair();
    poller.add_descriptor(&stream, 8, Events::IN).unwrap();
    far.write_all(b"x").unwrap();
    assert_eq!(waiter.join().unwrap(), [(8, Events::IN)]);
}

#[test]
fn what_is_removed_during_a_wait_is_not_told() {
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let (marker, send_marker) = couple(&context, "inproc://marker", Pull, Push);
    let poller = Arc::new(poller(&[(&pull, Events::IN), (&marker, Events::IN)]));
    let waiter = in_wait(&poller, |poller| wait(poller, None));
    poller.remove(0).unwrap();
    push.send("x").unwrap();
    eventually("for the message", || pull.events().unwrap() == Events::IN);
    send_marker.send("x").unwrap();
    assert_eq!(waiter.join().unwrap(), [(1, Events::IN)]);
    assert_eq!((poller.len(), poller.is_empty()), (1, false));
    // The token is free, and the socket may come back.
    poller.add(&pull, 0, Events::IN).unwrap();
    expect_events(&poller, &[(0, Events::IN), (1, Events::IN)]);
}

#[test]
fn a_socket_that_is_closed_is_told_until_it_is_removed() {
    let context = context();
    let (pull, _push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let poller = Arc::new(poller(&[(&pull, Events::IN)]));
    let waiter = in_wait(&poller, |poller| wait(poller, None));
    pull.close();
    assert_eq!(waiter.join().unwrap(), [(0, Events::IN | Events::ERR)]);
    expect_events(&poller, &[(0, Events::IN | Events::ERR)]);
    poller.modify(0, Events::NONE).unwrap();
    expect_events(&poller, &[(0, Events::ERR)]);
    poller.remove(0).unwrap();
    assert_eq!(wait(&poller, NOW), []);
}

#[test]
fn termination_ends_the_wait() {
    let context = context();
    let (pull, _push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let poller = Arc::new(poller(&[(&pull, Events::IN)]));
    let waiter = in_wait(&poller, |poller| wait(poller, None));
    assert_eq!(errno(context.terminate_timeout(Duration::ZERO)), "EBUSY");
    assert_eq!(waiter.join().unwrap(), [(0, Events::IN | Events::ERR)]);
    assert_eq!(errno(pull.try_recv()), "ETERM");
    expect_events(&poller, &[(0, Events::IN | Events::ERR)]);
    // It may be added only now.
    let late = Poller::new();
    late.add(&pull, 1, Events::OUT).unwrap();
    expect_events(&late, &[(1, Events::OUT | Events::ERR)]);
}

#[test]
fn a_poller_keeps_neither_sockets_nor_contexts() {
    let poller = Poller::new();
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    poller.add(&pull, 0, Events::IN).unwrap();
    push.send("x").unwrap();
    expect_events(&poller, &[(0, Events::IN)]);
    drop((pull, push));
    // Would wait for ever.
    context.terminate();
    drop(context);
    expect_events(&poller, &[(0, Events::IN | Events::ERR)]);
}

#[test]
fn it_can_be_woken() {
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let (stream, _far) = stream_pair();
    let poller = Arc::new(Poller::new());
    for stage in 0..3 {
        match stage {
            0 => {}
            1 => poller.add(&pull, 0, Events::IN).unwrap(),
            _ => poller.add_descriptor(&stream, 1, Events::IN).unwrap(),
        }
        let waiter = in_wait(&poller, |poller| wait(poller, None));
        poller.wake();
        assert_eq!(waiter.join().unwrap(), []);
        // Before the wait: once, however often.
        poller.wake();
        poller.wake();
        assert_eq!(wait(&poller, None), []);
        let start = Instant::now();
        assert_eq!(wait(&poller, Some(SOON)), []);
        assert!(start.elapsed() >= SOON);
    }
    push.send("x").unwrap();
    expect_events(&poller, &[(0, Events::IN)]);
}

#[test]
fn tokens_are_told_apart() {
    let context = context();
    let (pull, _push) = couple(&context, "inproc://tokens", Pull, Push);
    let (stream, _far) = stream_pair();
    let poller = poller(&[(&pull, Events::IN)]);
    assert_eq!(errno(poller.add(&pull, 0, Events::IN)), "EINVAL");
    assert_eq!(errno(poller.add_descriptor(&stream, 0, Events::IN)), "EINVAL");
    assert_eq!(errno(poller.modify(1, Events::IN)), "EINVAL");
    assert_eq!(errno(poller.remove(1)), "EINVAL");
    assert_eq!(errno(poller.add(&pull, 1, Events::ERR)), "EINVAL");
    assert_eq!(errno(poller.add(&pull, 1, Events::PRI | Events::IN)), "EINVAL");
    assert_eq!(poller.len(), 1);
    // A socket may be there twice.
    poller.add(&pull, u64::MAX, Events::IN).unwrap();
    poller.remove(0).unwrap();
    assert_eq!(errno(poller.remove(0)), "EINVAL");
}

#[test]
fn of_many_sockets_those_that_are_ready_are_told() {
    const MANY: u64 = if cfg!(windows) { 60 } else { 400 };
    let context = Context::builder().max_sockets(2000).build().unwrap();
    let poller = Poller::new();
    let couples: Vec<_> = (0..MANY)
        .map(|token| {
            let endpoint = if token % 2 == 0 { "tcp://127.0.0.1:*" } else { "inproc://*" };
            let endpoint = endpoint.replace("inproc://*", &format!("inproc://{token}"));
            let (pull, push) = couple(&context, &endpoint, Pull, Push);
            poller.add(&pull, token, Events::IN).unwrap();
            (pull, push)
        })
        .collect();
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..5 {
        let chosen: HashSet<u64> = (0..30).map(|_| random.u64(..MANY)).collect();
        for &token in &chosen {
            couples[token as usize].1.send("x").unwrap();
        }
        let mut found = HashSet::new();
        while found.len() < chosen.len() {
            found = wait(&poller, Some(PATIENCE)).iter().map(|(token, _)| *token).collect();
            assert!(found.is_subset(&chosen), "{found:?} of {chosen:?}");
        }
        for &token in &chosen {
            expect(&couples[token as usize].0, "x");
        }
        assert_eq!(wait(&poller, NOW), []);
    }
}

#[test]
fn several_pollers_share_a_socket() {
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let pollers = [(); 3].map(|()| Arc::new(poller(&[(&pull, Events::IN)])));
    let waiters = [0, 1, 2].map(|n| in_wait(&pollers[n], |poller| wait(poller, None)));
    push.send("x").unwrap();
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), [(0, Events::IN)]);
    }
    drop(pollers);
    expect(&pull, "x");
}

#[test]
fn several_threads_share_a_poller() {
    const THREADS: usize = 4;
    let count = scaled(4000);
    let context = context();
    for endpoint in TRANSPORTS {
        for descriptors in [false, true] {
            let (pull, push) = couple(&context, endpoint, Pull, Push);
            let (stream, _far) = stream_pair();
            let poller = poller(&[(&pull, Events::IN)]);
            if descriptors {
                poller.add_descriptor(&stream, 1, Events::IN).unwrap();
            }
            let received = AtomicU32::new(0);
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        let mut events = Vec::new();
                        while received.load(Ordering::SeqCst) < count {
                            poller.wait(&mut events, Some(PATIENCE)).unwrap();
                            if !events.is_empty() && pull.try_recv().is_ok() {
                                received.fetch_add(1, Ordering::SeqCst);
                            }
                        }
                        // The others may wait for what does not come any more.
                        (0..THREADS).for_each(|_| poller.wake());
                    });
                }
                for n in 0..count {
                    push.send(number(n)).unwrap();
                    if n % 100 == 0 {
                        thread::yield_now();
                    }
                }
            });
            assert_eq!(received.load(Ordering::SeqCst), count);
        }
    }
}

#[test]
fn sockets_of_several_contexts_and_threads() {
    let contexts = [1, 1, 3].map(|threads| Context::builder().io_threads(threads).build().unwrap());
    let couples: Vec<_> = contexts
        .iter()
        .flat_map(|context| {
            [
                couple(context, "tcp://127.0.0.1:*", Pull, Push),
                couple(context, "inproc://x", Pull, Push),
            ]
        })
        .collect();
    let items: Vec<_> = couples.iter().map(|(pull, _)| (pull, Events::IN)).collect();
    let poller = Arc::new(poller(&items));
    for _ in 0..3 {
        for (token, (pull, push)) in (0..).zip(&couples) {
            let waiter = in_wait(&poller, |poller| wait(poller, None));
            push.send("x").unwrap();
            assert_eq!(waiter.join().unwrap(), [(token, Events::IN)]);
            expect(pull, "x");
        }
    }
}

#[test]
fn connections_are_served_while_a_thread_waits() {
    let context = context();
    let (rep, endpoint) = bound(&context, Rep, "tcp://127.0.0.1:*");
    let poller = poller(&[(&rep, Events::IN)]);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..20 {
                expect_events(&poller, &[(0, Events::IN)]);
                let request = rep.try_recv().unwrap();
                rep.send(request).unwrap();
            }
        });
        for _ in 0..20 {
            let req = connected(&context, Req, &endpoint);
            req.send("x").unwrap();
            expect(&req, "x");
        }
    });
}

#[test]
fn a_descriptor_is_told_until_it_is_not_ready() {
    let (mut near, mut far) = stream_pair();
    let poller = Poller::new();
    poller.add_descriptor(&near, 5, Events::IN).unwrap();
    assert_eq!(wait(&poller, NOW), []);
    for _ in 0..3 {
        far.write_all(b"xy").unwrap();
        for _ in 0..3 {
            expect_events(&poller, &[(5, Events::IN)]);
        }
        near.read_exact(&mut [0; 2]).unwrap();
        assert_eq!(wait(&poller, NOW), []);
    }
    poller.modify(5, Events::IN | Events::OUT).unwrap();
    expect_events(&poller, &[(5, Events::OUT)]);
    far.write_all(b"x").unwrap();
    let mut found = Vec::new();
    eventually("for the byte", || {
        found = wait(&poller, Some(PATIENCE));
        found != [(5, Events::OUT)]
    });
    assert_eq!(found, [(5, Events::IN | Events::OUT)]);
    poller.modify(5, Events::OUT).unwrap();
    expect_events(&poller, &[(5, Events::OUT)]);
    poller.modify(5, Events::IN).unwrap();
    near.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(wait(&poller, NOW), []);
    // Its end can be read, too.
    far.shutdown(Shutdown::Write).unwrap();
    for _ in 0..2 {
        expect_events(&poller, &[(5, Events::IN)]);
    }
    poller.remove(5).unwrap();
    assert_eq!(wait(&poller, NOW), []);
    // It was left open, and as it was: blocking.
    near.write_all(b"still open").unwrap();
    far.read_exact(&mut [0; 10]).unwrap();
}

#[test]
fn a_change_of_interest_during_a_wait_for_a_descriptor_counts() {
    let (near, mut far) = stream_pair();
    let poller = Arc::new(Poller::new());
    poller.add_descriptor(&near, 0, Events::IN).unwrap();
    let waiter = in_wait(&poller, |poller| wait(poller, None));
    poller.modify(0, Events::OUT).unwrap();
    assert_eq!(waiter.join().unwrap(), [(0, Events::OUT)]);
    poller.modify(0, Events::IN).unwrap();
    let waiter = in_wait(&poller, |poller| wait(poller, None));
    poller.modify(0, Events::NONE).unwrap();
    poller.modify(0, Events::IN).unwrap();
    far.write_all(b"x").unwrap();
    assert_eq!(waiter.join().unwrap(), [(0, Events::IN)]);

    // What is asked for now is not the case yet, and what was asked for before never will be.
    let (near, mut far) = stream_pair();
    near.set_nonblocking(true).unwrap();
    poller.add_descriptor(&near, 1, Events::IN).unwrap();
    poller.modify(0, Events::NONE).unwrap();
    assert_eq!(wait(&poller, NOW), []);
    let mut written = 0;
    while {
        poller.modify(1, Events::OUT).unwrap();
        // What is under way makes room for a while.
        !wait(&poller, Some(SOON)).is_empty()
    } {
        while let Ok(count) = (&near).write(&[0; 64 * 1024]) {
            written += count;
        }
        poller.modify(1, Events::IN).unwrap();
        assert_eq!(wait(&poller, NOW), []);
    }
    let waiter = in_wait(&poller, |poller| wait(poller, Some(PATIENCE)));
    far.read_exact(&mut vec![0; written]).unwrap();
    assert_eq!(waiter.join().unwrap(), [(1, Events::OUT)]);
}

#[test]
fn sockets_and_descriptors_are_waited_for_together() {
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let (near, mut far) = stream_pair();
    let poller = Arc::new(poller(&[(&pull, Events::IN)]));
    poller.add_descriptor(&near, 1, Events::IN).unwrap();
    for _ in 0..3 {
        let waiter = in_wait(&poller, |poller| wait(poller, None));
        push.send("x").unwrap();
        assert_eq!(waiter.join().unwrap(), [(0, Events::IN)]);
        expect(&pull, "x");
        let waiter = in_wait(&poller, |poller| wait(poller, None));
        far.write_all(b"x").unwrap();
        assert_eq!(waiter.join().unwrap(), [(1, Events::IN)]);
        (&near).read_exact(&mut [0]).unwrap();
    }
    // Without it, the thread waits where the sockets are.
    let waiter = in_wait(&poller, |poller| wait(poller, None));
    poller.remove(1).unwrap();
    push.send("x").unwrap();
    assert_eq!(waiter.join().unwrap(), [(0, Events::IN)]);
}

#[cfg(unix)]
#[test]
fn descriptors_of_other_kinds() {
    let (reader, mut writer) = std::io::pipe().unwrap();
    let poller = Poller::new();
    poller.add_descriptor(&reader, 0, Events::IN).unwrap();
    poller.add_descriptor(&writer, 1, Events::OUT).unwrap();
    expect_events(&poller, &[(1, Events::OUT)]);
    writer.write_all(b"x").unwrap();
    expect_events(&poller, &[(0, Events::IN), (1, Events::OUT)]);
    poller.remove(1).unwrap();
    drop(writer);
    (&reader).read_exact(&mut [0]).unwrap();
    let hung_up = (0, Events::IN | Events::ERR);
    for _ in 0..2 {
        expect_events(&poller, &[hung_up]);
    }
}

/// Messages of two sources are received in turn, and none is lost, by a thread that only does what
/// the poller says.
#[test]
fn a_loop_that_does_as_it_is_told_gets_everything() {
    let count = scaled(3000);
    let context = context();
    for endpoint in TRANSPORTS {
        let (pull, push) = couple(&context, endpoint, Pull, Push);
        let (one, other) = couple(&context, "inproc://there and back", Pair, Pair);
        thread::scope(|scope| {
            scope.spawn(|| (0..count).for_each(|n| push.send(number(n)).unwrap()));
            scope.spawn(|| {
                (0..count).for_each(|n| other.send(number(n)).unwrap());
                expect_numbers(&other, 0..count);
            });
            let poller = poller(&[(&pull, Events::IN), (&one, Events::IN)]);
            let (mut pulled, mut echoed) = (0, 0);
            let mut events: Vec<PollEvent> = Vec::new();
            while pulled < count || echoed < count {
                poller.wait(&mut events, Some(PATIENCE)).unwrap();
                assert!(!events.is_empty(), "after {pulled} and {echoed}");
                for event in &events {
                    if event.token == 0 {
                        assert_eq!(number_in(&pull.try_recv().unwrap()), pulled);
                        pulled += 1;
                    } else {
                        let message = one.try_recv().unwrap();
                        assert_eq!(number_in(&message), echoed);
                        echoed += 1;
                        one.send(message).unwrap();
                    }
                }
            }
        });
    }
}

#[test]
fn every_pattern_that_receives_can_be_waited_for() {
    let pairs: [(SocketType, SocketType); 6] =
        [(Pull, Push), (Pair, Pair), (Rep, Req), (Router, Dealer), (XPub, XSub), (Dealer, Dealer)];
    let context = context();
    for endpoint in TRANSPORTS {
        for (receives, sends) in pairs {
            let (receiver, sender) = couple(&context, endpoint, receives, sends);
            let poller = Arc::new(poller(&[(&receiver, Events::IN)]));
            let waiter = in_wait(&poller, |poller| wait(poller, None));
            sender.send("\u{1}x").unwrap();
            assert_eq!(waiter.join().unwrap(), [(0, Events::IN)], "{receives}");
        }
        let (publisher, subscriber) = couple(&context, endpoint, XPub, Sub);
        let poller = Arc::new(poller(&[(&subscriber, Events::IN)]));
        let waiter = in_wait(&poller, |poller| wait(poller, None));
        subscriber.subscribe("").unwrap();
        expect(&publisher, "\u{1}");
        publisher.send("x").unwrap();
        assert_eq!(waiter.join().unwrap(), [(0, Events::IN)]);
    }
}
