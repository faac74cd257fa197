//! `poll`: one wait for a list of sockets and descriptors.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use serverlink::{Events, PollItem, SocketType::*, poll};

use crate::harness::{
    PATIENCE, TRANSPORTS, context, couple, errno, eventually, expect, expect_numbers, number,
    scaled,
};

const NOW: Option<Duration> = Some(Duration::ZERO);

fn stream_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn ready(items: &[PollItem<'_>]) -> Vec<Events> {
    items.iter().map(PollItem::ready).collect()
}

#[test]
fn sockets_are_told_as_long_as_they_are_ready() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (pull, push) = couple(&context, endpoint, Pull, Push);
        let mut items = [
            PollItem::socket(&pull, Events::IN | Events::OUT),
            PollItem::socket(&push, Events::IN),
        ];
        assert_eq!(poll(&mut items, NOW).unwrap(), 0);
        push.send("x").unwrap();
        for _ in 0..3 {
            assert_eq!(poll(&mut items, None).unwrap(), 1);
            assert_eq!(ready(&items), [Events::IN, Events::NONE]);
        }
        expect(&pull, "x");
        assert_eq!(poll(&mut items, NOW).unwrap(), 0);
        assert_eq!(ready(&items), [Events::NONE; 2]);
    }
}

#[test]
fn sockets_and_descriptors_end_a_wait() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (pull, push) = couple(&context, endpoint, Pull, Push);
        let (mut near, mut far) = stream_pair();
        for round in 0..6 {
            thread::scope(|scope| {
                // With and without descriptors.
                let count = 1 + round % 2;
                let (pull, near) = (&pull, &near);
                let waiter = scope.spawn(move || {
                    let mut items = [
                        PollItem::socket(pull, Events::IN),
                        PollItem::descriptor(near, Events::IN),
                    ];
                    assert_eq!(poll(&mut items[..count], None).unwrap(), 1);
                    ready(&items)
                });
                thread::park_timeout(Duration::from_millis(10));
                if round == 3 {
                    far.write_all(b"x").unwrap();
                    assert_eq!(waiter.join().unwrap(), [Events::NONE, Events::IN]);
                } else {
                    push.send("x").unwrap();
                    assert_eq!(waiter.join().unwrap(), [Events::IN, Events::NONE]);
                    expect(pull, "x");
                }
            });
            if round == 3 {
                near.read_exact(&mut [0]).unwrap();
            }
        }
    }
}

#[test]
fn time_outs_are_kept() {
    let context = context();
    let (pull, _push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let (near, _far) = stream_pair();
    for timeout in [Duration::ZERO, Duration::from_micros(700), Duration::from_millis(60)] {
        for count in 0..3 {
            let mut items =
                [PollItem::socket(&pull, Events::IN), PollItem::descriptor(&near, Events::IN)];
            let start = Instant::now();
            assert_eq!(poll(&mut items[..count], Some(timeout)).unwrap(), 0);
            let took = start.elapsed();
            assert!(took >= timeout, "{took:?} instead of {timeout:?}");
            assert!(took < timeout + PATIENCE / 2, "{took:?} instead of {timeout:?}");
        }
    }
}

#[test]
fn descriptors_are_told_with_what_they_are_ready_for() {
    let (near, mut far) = stream_pair();
    let mut items = [
        PollItem::descriptor(&near, Events::IN),
        PollItem::descriptor(&near, Events::IN | Events::OUT),
        PollItem::descriptor(&near, Events::NONE),
    ];
    assert_eq!(poll(&mut items, None).unwrap(), 1);
    assert_eq!(ready(&items), [Events::NONE, Events::OUT, Events::NONE]);
    far.write_all(b"x").unwrap();
    eventually("for the byte", || poll(&mut items, None).unwrap() == 2);
    assert_eq!(ready(&items), [Events::IN, Events::IN | Events::OUT, Events::NONE]);
}

#[test]
fn termination_ends_the_wait() {
    let context = context();
    let (pull, _push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let (near, _far) = stream_pair();
    thread::scope(|scope| {
        let waiters = [1, 2].map(|count| {
            let (pull, near) = (&pull, &near);
            scope.spawn(move || {
                let mut items =
                    [PollItem::socket(pull, Events::IN), PollItem::descriptor(near, Events::IN)];
                errno(poll(&mut items[..count], None))
            })
        });
        thread::park_timeout(Duration::from_millis(10));
        assert_eq!(errno(context.terminate_timeout(Duration::ZERO)), "EBUSY");
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), "ETERM");
        }
    });
}

/// Several threads poll the same sockets, and receive what is there.
#[test]
fn threads_that_poll_the_same_sockets_get_everything() {
    let count = scaled(2000);
    let context = context();
    for endpoint in TRANSPORTS {
        for descriptors in [false, true] {
            let (pull, push) = couple(&context, endpoint, Pull, Push);
            let (quit, tell) = couple(&context, "inproc://quit", Sub, Pub);
            quit.subscribe("").unwrap();
            let (near, _far) = stream_pair();
            let received = AtomicU32::new(0);
            let work = || {
                while received.load(Ordering::SeqCst) < count {
                    let mut items = vec![
                        PollItem::socket(&pull, Events::IN),
                        PollItem::socket(&quit, Events::IN),
                    ];
                    if descriptors {
                        items.push(PollItem::descriptor(&near, Events::IN));
                    }
                    assert!(poll(&mut items, Some(PATIENCE)).unwrap() > 0);
                    if pull.try_recv().is_ok() {
                        received.fetch_add(1, Ordering::SeqCst);
                    }
                }
                // The others may wait for what does not come any more.
                tell.send("quit").unwrap();
            };
            thread::scope(|scope| {
                (0..3).for_each(|_| _ = scope.spawn(work));
                (0..count).for_each(|n| push.send(number(n)).unwrap());
            });
            assert_eq!(received.load(Ordering::SeqCst), count);
        }
    }
}

#[test]
fn a_list_may_be_long() {
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let mut items: Vec<_> = (0..200).map(|_| PollItem::socket(&pull, Events::IN)).collect();
    thread::scope(|scope| {
        scope.spawn(|| (0..3).for_each(|n| push.send(number(n)).unwrap()));
        assert!(poll(&mut items, None).unwrap() > 0);
        // It may have come in the middle of the look.
        assert_eq!(poll(&mut items, None).unwrap(), 200);
    });
    expect_numbers(&pull, 0..3);
}

#[cfg(unix)]
mod signals {
    use std::sync::{Arc, atomic::AtomicBool};

    use serverlink::{SignalMask, poll_with_signals};
    use signal_hook::{consts::SIGUSR1, flag, low_level};

    use super::*;

    #[test]
    fn a_signal_that_is_let_in_ends_a_wait_and_nothing_else() {
        let context = context();
        let (pull, push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
        let (near, mut far) = stream_pair();
        let caught = Arc::new(AtomicBool::new(false));
        let caught_now = || caught.swap(false, Ordering::SeqCst);
        flag::register(SIGUSR1, caught.clone()).unwrap();
        let open = SignalMask::current();
        let mut closed = open;
        closed.block(SIGUSR1).unwrap();
        closed.apply();
        let mut items =
            [PollItem::socket(&pull, Events::IN), PollItem::descriptor(&near, Events::IN)];
        for count in 0..3 {
            // It is there before the wait, be it that nothing is waited for.
            low_level::raise(SIGUSR1).unwrap();
            assert!(!caught_now(), "it is blocked");
            let soon = Some(Duration::from_millis(10));
            assert_eq!(poll(&mut items[..count], soon).unwrap(), 0);
            assert_eq!(poll_with_signals(&mut items[..count], soon, &closed).unwrap(), 0);
            assert!(!caught_now(), "it still is");
            let timeout = [None, NOW, Some(PATIENCE)][count];
            let result = poll_with_signals(&mut items[..count], timeout, &open);
            assert_eq!((count, errno(result)), (count, "EINTR"));
            assert!(caught_now());
        }
        // It waits for the rest as `poll` does.
        assert_eq!(poll_with_signals(&mut items, NOW, &open).unwrap(), 0);
        thread::scope(|scope| {
            scope.spawn(|| push.send("x").unwrap());
            assert_eq!(poll_with_signals(&mut items, None, &open).unwrap(), 1);
        });
        assert_eq!(ready(&items), [Events::IN, Events::NONE]);
        expect(&pull, "x");
        thread::scope(|scope| {
            scope.spawn(|| far.write_all(b"x").unwrap());
            assert_eq!(poll_with_signals(&mut items, None, &open).unwrap(), 1);
        });
        assert_eq!(ready(&items), [Events::NONE, Events::IN]);
    }

    #[test]
    fn urgent_data_is_told() {
        let (near, far) = stream_pair();
        let mut items =
            [PollItem::descriptor(&near, Events::IN), PollItem::descriptor(&near, Events::PRI)];
        assert_eq!(poll(&mut items, NOW).unwrap(), 0);
        socket2::SockRef::from(&far).send_out_of_band(b"!").unwrap();
        assert!(poll(&mut items, Some(PATIENCE)).unwrap() > 0);
        assert_eq!(items[1].ready(), Events::PRI);
    }
}
