//! Time-outs: calls that wait, wait as long as they may and not much longer.

use std::{
    thread,
    time::{Duration, Instant},
};

use serverlink::{Error, SocketType};

use crate::harness::{
    PATIENCE, bound, connected, context, couple, errno, expect, fill, frames, refusal, socket,
};

const WAIT: Duration = Duration::from_millis(60);

/// Runs `call`, which must take at least `least`.
#[track_caller]
fn takes<T>(least: Duration, call: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = call();
    let took = start.elapsed();
    assert!(took >= least, "{took:?} instead of {least:?}");
    assert!(took < least + PATIENCE / 2, "{took:?} instead of {least:?}");
    result
}

#[test]
fn receiving_waits_as_long_as_it_is_told() {
    let context = context();
    for socket_type in [
        SocketType::Pull,
        SocketType::Sub,
        SocketType::XSub,
        SocketType::XPub,
        SocketType::Pair,
        SocketType::Dealer,
        SocketType::Router,
        SocketType::Rep,
    ] {
        let (socket, _) = bound(&context, socket_type, "tcp://127.0.0.1:*");
        assert_eq!(errno(takes(WAIT, || socket.recv_timeout(WAIT))), "EAGAIN");
        assert_eq!(errno(takes(Duration::ZERO, || socket.recv_timeout(Duration::ZERO))), "EAGAIN");
        socket.set_receive_timeout(Some(WAIT)).unwrap();
        assert_eq!(errno(takes(WAIT, || socket.recv())), "EAGAIN");
        // The option is not for calls that say themselves.
        socket.set_receive_timeout(None).unwrap();
        assert_eq!(errno(socket.try_recv()), "EAGAIN");
        assert_eq!(errno(takes(WAIT, || socket.recv_timeout(WAIT))), "EAGAIN");
        socket.set_receive_timeout(Some(Duration::ZERO)).unwrap();
        assert_eq!(errno(socket.recv()), "EAGAIN");
    }
}

#[test]
fn sending_waits_as_long_as_it_is_told() {
    let context = context();
    for socket_type in [SocketType::Push, SocketType::Pair, SocketType::Dealer, SocketType::Req] {
        let (socket, _) = bound(&context, socket_type, "tcp://127.0.0.1:*");
        let timed = |result| matches!(refusal(result), Error::WouldBlock);
        assert!(timed(takes(WAIT, || socket.send_timeout("x", WAIT))));
        assert!(timed(socket.send_timeout("x", Duration::ZERO)));
        assert!(timed(socket.try_send("x")));
        socket.set_send_timeout(Some(WAIT)).unwrap();
        let refused = takes(WAIT, || socket.send(frames(["x", "y"]))).unwrap_err();
        assert_eq!(refused.message, frames(["x", "y"]));
        socket.set_send_timeout(Some(Duration::ZERO)).unwrap();
        assert!(timed(socket.send("x")));
    }
}

#[test]
fn a_full_peer_is_waited_for_as_long_as_told() {
    let context = context();
    let (push, pull) = couple(&context, "inproc://full", SocketType::Push, SocketType::Pull);
    fill(&push);
    assert_eq!(errno(takes(WAIT, || push.send_timeout("x", WAIT))), "EAGAIN");
    drop(pull.recv().unwrap());
}

#[test]
fn a_message_in_time_ends_the_wait() {
    for endpoint in crate::harness::TRANSPORTS {
        let context = context();
        let (one, other) = couple(&context, endpoint, SocketType::Pair, SocketType::Pair);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| one.recv_timeout(PATIENCE).unwrap());
            other.send("in time").unwrap();
            assert_eq!(waiting.join().unwrap(), "in time".into());
            let waiting = scope.spawn(|| {
                one.set_receive_timeout(None).unwrap();
                one.recv().unwrap()
            });
            other.send("whenever").unwrap();
            assert_eq!(waiting.join().unwrap(), "whenever".into());
        });
    }
}

#[test]
fn a_peer_that_comes_ends_the_wait_of_a_sender() {
    for endpoint in crate::harness::TRANSPORTS {
        let context = context();
        let (push, endpoint) = bound(&context, SocketType::Push, endpoint);
        thread::scope(|scope| {
            let sending = scope.spawn(|| push.send("for whoever comes"));
            let pull = connected(&context, SocketType::Pull, &endpoint);
            sending.join().unwrap().unwrap();
            expect(&pull, "for whoever comes");
        });
    }
}

#[test]
fn what_is_there_is_had_without_waiting() {
    let context = context();
    let (one, other) = couple(&context, "inproc://there", SocketType::Pair, SocketType::Pair);
    for _ in 0..4 {
        one.send("x").unwrap();
    }
    other.try_recv().unwrap();
    other.recv_timeout(Duration::ZERO).unwrap();
    other.set_receive_timeout(Some(Duration::ZERO)).unwrap();
    other.recv().unwrap();
    other.recv_timeout(Duration::MAX).unwrap();
    assert_eq!(errno(other.try_recv()), "EAGAIN");
}

#[test]
fn others_events_do_not_lengthen_a_wait() {
    // Every peer that comes or goes wakes the waiting thread for nothing.
    let context = context();
    let (router, endpoint) = bound(&context, SocketType::Router, "inproc://noise");
    router.set_router_mandatory(true).unwrap();
    let full = socket(&context, SocketType::Dealer);
    full.set_routing_id("full").unwrap();
    full.connect(&endpoint).unwrap();
    while router.try_send(frames(["full", "x"])).is_ok() {}
    thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let result = takes(WAIT, || router.send_timeout(frames(["full", "x"]), WAIT));
            assert_eq!(errno(result), "EAGAIN");
        });
        while !sending.is_finished() {
            drop(connected(&context, SocketType::Dealer, &endpoint));
        }
        sending.join().unwrap();
    });
}
