//! PAIR: one peer at a time.

use std::time::Duration;

use serverlink::SocketType;

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, couple, errno, eventually, expect,
    expect_nothing, expect_numbers, number, socket,
};

#[test]
fn both_sides_talk_as_they_like() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (one, other) = couple(&context, endpoint, SocketType::Pair, SocketType::Pair);
        (0..500).for_each(|n| one.send(number(n)).unwrap());
        (0..500).for_each(|n| other.send(number(1000 + n)).unwrap());
        expect_numbers(&one, 1000..1500);
        expect_numbers(&other, 0..500);
    }
}

#[test]
fn a_second_connection_is_an_error() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (_one, other) = couple(&context, endpoint, SocketType::Pair, SocketType::Pair);
        let endpoint = other.last_endpoint().unwrap();
        assert_eq!(errno(other.connect(&endpoint)), "EFSM");
        assert_eq!(errno(other.connect("inproc://elsewhere")), "EFSM");
        assert_eq!(errno(other.connect("tcp://127.0.0.1:9")), "EFSM");
        // The one it has is none the worse for it.
        other.send("still here").unwrap();
        assert_eq!(other.peer_count(), 1);
        // And may be given up for another.
        other.disconnect(&endpoint).unwrap();
        let (third, endpoint) = bound(&context, SocketType::Pair, "inproc://third");
        other.connect(&endpoint).unwrap();
        other.send("hello").unwrap();
        expect(&third, "hello");
    }
}

#[test]
fn a_second_peer_is_turned_away_until_the_first_has_left() {
    let context = context();
    let (one, endpoint) = bound(&context, SocketType::Pair, "tcp://127.0.0.1:*");
    let first = connected(&context, SocketType::Pair, &endpoint);
    first.send("first").unwrap();
    expect(&one, "first");
    let second = connected(&context, SocketType::Pair, &endpoint);
    await_peers(&second, 1);
    await_peers(&second, 0);
    one.send("to the first").unwrap();
    expect(&first, "to the first");
    drop(first);
    eventually("for the second to be taken", || {
        let _ = one.try_send("welcome");
        second.recv_timeout(Duration::from_millis(20)).is_ok()
    });
    second.send("second").unwrap();
    expect(&one, "second");
}

#[test]
fn a_second_peer_within_the_process_is_turned_away() {
    let context = context();
    let (one, _) = bound(&context, SocketType::Pair, "inproc://one");
    let first = connected(&context, SocketType::Pair, "inproc://one");
    let second = connected(&context, SocketType::Pair, "inproc://one");
    assert_eq!((one.peer_count(), second.peer_count()), (1, 0));
    assert_eq!(errno(second.try_send("x")), "EAGAIN");
    drop(first);
    assert_eq!(one.peer_count(), 0);
    let third = connected(&context, SocketType::Pair, "inproc://one");
    third.send("third").unwrap();
    expect(&one, "third");
    one.send("reply").unwrap();
    expect(&third, "reply");
    expect_nothing(&second);
}

#[test]
fn what_peers_sent_is_read_after_they_left_in_order() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (one, endpoint) = bound(&context, SocketType::Pair, endpoint);
        for visitor in 0..4 {
            let peer = socket(&context, SocketType::Pair);
            peer.set_linger(None).unwrap();
            peer.connect(&endpoint).unwrap();
            await_peers(&one, 1);
            // The third says nothing.
            if visitor != 2 {
                (0..3).for_each(|n| peer.send(number(10 * visitor + n)).unwrap());
            }
            drop(peer);
            await_peers(&one, 0);
        }
        expect_numbers(&one, [0, 1, 2, 10, 11, 12, 30, 31, 32]);
        expect_nothing(&one);
        let last = connected(&context, SocketType::Pair, &endpoint);
        await_peers(&one, 1);
        last.send("last").unwrap();
        expect(&one, "last");
        one.send("reply").unwrap();
        expect(&last, "reply");
    }
}
