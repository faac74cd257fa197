//! RFC 52, CHANNEL: a test for each thing that it shall do.

use std::{io::Write, net::TcpStream, thread, time::Duration};

use serverlink::SocketType;

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, couple, errno, eventually, expect,
    expect_nothing, expect_numbers, fill, frames, number, scaled, shake_hands, socket, vacant,
};

#[test]
fn both_sides_talk_in_any_order() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (one, other) = couple(&context, endpoint, SocketType::Channel, SocketType::Channel);
        for (from, to) in [(&one, &other), (&other, &one)] {
            for size in [0, 1, 70, 71, 255, 256, 5000, 300_000] {
                from.send(vec![7; size]).unwrap();
            }
            for size in [0, 1, 70, 71, 255, 256, 5000, 300_000] {
                assert!(to.recv().unwrap()[0] == vec![7; size][..], "{size} bytes");
            }
        }
    }
}

#[test]
fn there_is_one_peer() {
    let context = context();
    let (one, endpoint) = bound(&context, SocketType::Channel, "tcp://127.0.0.1:*");
    let first = connected(&context, SocketType::Channel, &endpoint);
    await_peers(&first, 1);
    let second = connected(&context, SocketType::Channel, &endpoint);
    await_peers(&second, 1);
    await_peers(&second, 0);
    first.send("first").unwrap();
    expect(&one, "first");
    assert_eq!(errno(first.connect("inproc://another")), "EFSM");
    // The next one has its turn when the first has left.
    drop(first);
    eventually("for the second to be taken", || {
        let _ = one.try_send("welcome");
        second.recv_timeout(Duration::from_millis(20)).is_ok()
    });
    second.send("second").unwrap();
    expect(&one, "second");
}

#[test]
fn with_nobody_to_send_to_it_waits_and_discards_nothing() {
    let context = context();
    let channel = socket(&context, SocketType::Channel);
    assert_eq!(errno(channel.try_send("x")), "EAGAIN");
    channel.set_send_high_water_mark(4).unwrap();
    let endpoint = vacant(&context);
    channel.connect(&endpoint).unwrap();
    assert_eq!(fill(&channel), 4);
    thread::scope(|scope| {
        scope.spawn(|| channel.send(number(4)).unwrap());
        let (other, _) = bound(&context, SocketType::Channel, &endpoint);
        expect_numbers(&other, 0..5);
    });
}

#[test]
fn messages_of_several_frames_are_refused_and_discarded() {
    let context = context();
    let (one, endpoint) = bound(&context, SocketType::Channel, "tcp://127.0.0.1:*");
    let mut peer = TcpStream::connect(endpoint.replace("tcp://", "")).unwrap();
    shake_hands(&mut peer, "CHANNEL");
    peer.write_all(b"\x01\x01a\x00\x01b\x00\x04good").unwrap();
    expect(&one, "good");
    expect_nothing(&one);
    let refused = one.send(frames(["a", "b"])).unwrap_err();
    assert_eq!((refused.error.errno_name(), refused.message), ("EINVAL", frames(["a", "b"])));
}

#[test]
fn threads_share_both_sides() {
    let count = scaled(5000);
    for endpoint in TRANSPORTS {
        let context = context();
        let (one, other) = couple(&context, endpoint, SocketType::Channel, SocketType::Channel);
        thread::scope(|scope| {
            for (from, to) in [(&one, &other), (&other, &one)] {
                for _ in 0..2 {
                    scope.spawn(move || (0..count).for_each(|n| from.send(number(n)).unwrap()));
                    scope.spawn(move || (0..count).for_each(|_| drop(to.recv().unwrap())));
                }
            }
        });
        expect_nothing(&one);
        expect_nothing(&other);
    }
}
