//! The descriptor that tells of changes, `ZMQ_FD`, and what it is used with, `ZMQ_EVENTS`.

use std::{iter, time::Duration};

use serverlink::{
    EventDescriptor, Events, PollItem, Socket,
    SocketType::{self, *},
    poll,
};

use crate::harness::{
    PATIENCE, TRANSPORTS, bound, connected, context, couple, errno, eventually, expect, number,
    socket,
};

const FD: i32 = 14;
const EVENTS: i32 = 15;

fn events(socket: &Socket) -> i32 {
    i32::from_ne_bytes(socket.option(EVENTS).unwrap().try_into().unwrap())
}

fn is_readable(descriptor: &EventDescriptor) -> bool {
    poll(&mut [PollItem::descriptor(descriptor, Events::IN)], Some(Duration::ZERO)).unwrap() == 1
}

fn await_readable(descriptor: &EventDescriptor) {
    let mut items = [PollItem::descriptor(descriptor, Events::IN)];
    assert_eq!(poll(&mut items, Some(PATIENCE)).unwrap(), 1);
}

/// It is unreadable once `look` has seen what there is. What the socket has shown already it may
/// still be about to tell, and the system may take a moment.
fn expect_unreadable(descriptor: &EventDescriptor, mut look: impl FnMut()) {
    eventually("for the descriptor to be reset", || {
        look();
        !is_readable(descriptor)
    });
}

#[test]
fn events_are_told_by_number() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (rep, endpoint) = bound(&context, Rep, endpoint);
        assert_eq!(events(&rep), 0);
        let req = connected(&context, Req, &endpoint);
        assert_eq!(events(&req), 2);
        req.send("hello").unwrap();
        assert_eq!(events(&req), 0);
        eventually("for the request", || events(&rep) == 1);
        rep.recv().unwrap();
        assert_eq!(events(&rep), 2);
        let (pair, other) = couple(&context, "inproc://pair", Pair, Pair);
        other.send("x").unwrap();
        assert_eq!(events(&pair), 3);
    }
}

/// It is the number of the same descriptor each time, as the system has it.
#[test]
fn the_descriptor_is_told_by_number() {
    let context = context();
    for socket_type in SocketType::ALL {
        let socket = socket(&context, socket_type);
        let number = socket.option(FD).unwrap();
        assert_eq!(number, socket.option(FD).unwrap());
        let descriptor = socket.change_descriptor().unwrap();
        #[cfg(unix)]
        let same = std::os::fd::AsRawFd::as_raw_fd(&descriptor).to_ne_bytes().to_vec();
        #[cfg(windows)]
        let same =
            std::os::windows::io::AsRawSocket::as_raw_socket(&descriptor).to_ne_bytes().to_vec();
        assert_eq!(number, same, "{socket_type}");
        assert!(!is_readable(&descriptor), "{socket_type}");
        assert_eq!(errno(socket.set_option(FD, &number)), "EINVAL");
        assert_eq!(errno(socket.set_option(EVENTS, &[0; 4])), "EINVAL");
    }
}

#[test]
fn it_is_readable_from_a_change_until_somebody_looks() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (pull, push) = couple(&context, endpoint, Pull, Push);
        let changed = pull.change_descriptor().unwrap();
        assert_eq!(events(&pull), 0);
        expect_unreadable(&changed, || _ = events(&pull));
        push.send("one").unwrap();
        push.send("two").unwrap();
        await_readable(&changed);
        await_readable(&changed);
        assert_eq!(events(&pull), 1);
        expect_unreadable(&changed, || _ = events(&pull));
        // More of the same is no change, as in libzmq: there is something to receive already.
        expect(&pull, "one");
        eventually("for the other", || events(&pull) == 1);
        expect(&pull, "two");
        assert_eq!(events(&pull), 0);
        expect_unreadable(&changed, || _ = events(&pull));
        push.send("three").unwrap();
        await_readable(&changed);
        expect(&pull, "three");
        // Nor need anybody ask: to find nothing is to have looked.
        expect_unreadable(&changed, || assert_eq!(errno(pull.try_recv()), "EAGAIN"));
    }
}

/// What a program written for libzmq does, which waits for this descriptor only.
#[test]
fn waiting_for_it_and_then_looking_misses_nothing() {
    const COUNT: u32 = 2000;
    for endpoint in TRANSPORTS {
        let context = context();
        let (pull, endpoint) = bound(&context, Pull, endpoint);
        let changed = pull.change_descriptor().unwrap();
        let push = socket(&context, Push);
        push.set_send_high_water_mark(10).unwrap();
        push.connect(&endpoint).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..COUNT).for_each(|n| push.send(number(n)).unwrap()));
            let mut seen = 0;
            while seen < COUNT {
                if events(&pull) & 1 == 0 {
                    await_readable(&changed);
                    continue;
                }
                while let Ok(message) = pull.try_recv() {
                    assert_eq!(message, number(seen));
                    seen += 1;
                }
            }
        });
    }
}

#[test]
fn it_tells_that_messages_can_be_sent_again() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (pull, endpoint) = bound(&context, Pull, endpoint);
        let push = socket(&context, Push);
        for socket in [&pull, &push] {
            socket.set_send_high_water_mark(10).unwrap();
            socket.set_receive_high_water_mark(10).unwrap();
        }
        let changed = push.change_descriptor().unwrap();
        push.connect(&endpoint).unwrap();
        eventually("for the peer", || push.peer_count() == 1);
        let mut sent = 0;
        // Until nothing is taken any more, be it later.
        eventually("for it to be full", || {
            // More than the system keeps for one that reads nothing.
            sent += iter::repeat_with(|| push.try_send(vec![7; 100_000]))
                .take_while(Result::is_ok)
                .count();
            events(&push) == 0 && !is_readable(&changed)
        });
        for _ in 0..sent {
            pull.recv().unwrap();
        }
        await_readable(&changed);
        eventually("for room", || events(&push) == 2);
    }
}

#[test]
fn what_is_there_already_is_a_change() {
    let context = context();
    let (pull, push) = couple(&context, "inproc://there", Pull, Push);
    push.send("x").unwrap();
    let changed = pull.change_descriptor().unwrap();
    assert!(is_readable(&changed));
    assert_eq!(events(&pull), 1);
    expect_unreadable(&changed, || _ = events(&pull));
    // To have it told once more makes no change.
    assert!(!is_readable(&pull.change_descriptor().unwrap()));
}

#[test]
fn it_is_readable_for_good_when_the_context_ends() {
    let context = context();
    let pull = socket(&context, Pull);
    let changed = pull.change_descriptor().unwrap();
    assert!(context.terminate_timeout(Duration::ZERO).is_err());
    assert!(is_readable(&changed));
    assert_eq!(errno(pull.option(EVENTS)), "ETERM");
    assert_eq!(errno(pull.try_recv()), "ETERM");
    assert!(is_readable(&changed));
    assert_eq!(errno(pull.change_descriptor()), "ETERM");
    drop(pull);
    assert!(is_readable(&changed));
}
