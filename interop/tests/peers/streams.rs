//! Thousands of messages arrive, all of them and in order, on every pattern that promises it.

use std::thread;

use serverlink::SocketType::{self, *};
use serverlink_interop::{Contexts, PATIENCE, Peer, Way, each_way, payload, until};

const MESSAGES: u64 = 10_000;

each_way!(
    push_to_pull,
    pair_both_ways_at_once,
    dealer_to_router_and_back,
    req_to_rep_in_lockstep,
    pub_to_sub_without_high_water_mark,
    push_to_a_slow_pull_with_small_high_water_marks,
    router_to_dealer_by_name,
);

fn send_all(from: &Peer, messages: u64) {
    (0..messages).for_each(|index| from.send([payload::numbered(index)]));
}

/// Receives messages, the last frame of which is the next number.
#[track_caller]
fn expect_all(to: &Peer, messages: u64) {
    for index in 0..messages {
        assert_eq!(payload::number(to.recv().last().unwrap()), index);
    }
}

fn link(way: Way, types: [SocketType; 2]) -> [Peer; 2] {
    Contexts::new().link(way, types, |_, _| {})
}

fn push_to_pull(way: Way) {
    let [push, mut pull] = link(way, [Push, Pull]);
    thread::scope(|scope| {
        let pull = &mut pull;
        scope.spawn(move || expect_all(pull, MESSAGES));
        send_all(&push, MESSAGES);
    });
}

/// Every message waits for the receiver: nothing may be dropped when all queues are full.
fn push_to_a_slow_pull_with_small_high_water_marks(way: Way) {
    let [push, mut pull] = Contexts::new().link(way, [Push, Pull], |push, pull| {
        push.set_high_water_marks(2);
        pull.set_high_water_marks(2);
    });
    thread::scope(|scope| {
        let pull = &mut pull;
        scope.spawn(move || {
            for index in 0..MESSAGES {
                if index % 100 == 0 {
                    thread::yield_now();
                }
                assert_eq!(payload::number(&pull.recv()[0]), index);
            }
        });
        send_all(&push, MESSAGES);
    });
}

/// Both sides send a window and receive one, in turns, from one thread each.
fn pair_both_ways_at_once(way: Way) {
    const WINDOW: usize = 100;
    let [a, mut b] = link(way, [Pair, Pair]);
    let talk = |peer: &Peer| {
        let numbers: Vec<u64> = (0..MESSAGES).collect();
        for window in numbers.chunks(WINDOW) {
            window.iter().for_each(|&index| peer.send([payload::numbered(index)]));
            for &index in window {
                assert_eq!(payload::number(&peer.recv()[0]), index);
            }
        }
    };
    thread::scope(|scope| {
        let b = &mut b;
        scope.spawn(move || talk(b));
        talk(&a);
    });
}

/// A ROUTER drops what it cannot deliver, so the DEALER has at most a window of requests open.
fn dealer_to_router_and_back(way: Way) {
    const WINDOW: u64 = 500;
    let [mut dealer, router] = link(way, [Dealer, Router]);
    thread::scope(|scope| {
        let dealer = &mut dealer;
        scope.spawn(move || {
            for index in 0..MESSAGES + WINDOW {
                if index < MESSAGES {
                    dealer.send([payload::numbered(index)]);
                }
                if let Some(reply) = index.checked_sub(WINDOW) {
                    assert_eq!(payload::number(&dealer.recv()[0]), reply);
                }
            }
        });
        for index in 0..MESSAGES {
            let request = router.recv();
            assert_eq!(payload::number(&request[1]), index);
            router.send(request);
        }
    });
}

fn router_to_dealer_by_name(way: Way) {
    let [router, mut dealer] = Contexts::new().link(way, [Router, Dealer], |router, dealer| {
        // Mandatory: it waits for room, as others do.
        router.set_router_mandatory();
        dealer.set_routing_id("dealer");
    });
    until("the ROUTER knows the DEALER", || router.send_within(PATIENCE, ["dealer", "hello"]));
    dealer.expect(["hello"]);
    thread::scope(|scope| {
        let dealer = &mut dealer;
        scope.spawn(move || expect_all(dealer, MESSAGES));
        for index in 0..MESSAGES {
            router.send([b"dealer".to_vec(), payload::numbered(index)]);
        }
    });
}

fn req_to_rep_in_lockstep(way: Way) {
    const ROUND_TRIPS: u64 = 2_000;
    let [req, mut rep] = link(way, [Req, Rep]);
    thread::scope(|scope| {
        let rep = &mut rep;
        scope.spawn(move || {
            for _ in 0..ROUND_TRIPS {
                let request = rep.recv();
                rep.send(request);
            }
        });
        for index in 0..ROUND_TRIPS {
            req.send([payload::numbered(index)]);
            assert_eq!(payload::number(&req.recv()[0]), index);
        }
    });
}

fn pub_to_sub_without_high_water_mark(way: Way) {
    // XPUB, because it tells when the subscription is there.
    let [publisher, subscriber] =
        Contexts::new().link(way, [XPub, Sub], |publisher, subscriber| {
            publisher.set_high_water_marks(0);
            subscriber.set_high_water_marks(0);
            subscriber.subscribe("");
        });
    subscriber.await_connected();
    publisher.expect_subscription(true, "");
    // Nobody receives meanwhile: all of it waits somewhere.
    send_all(&publisher, MESSAGES);
    expect_all(&subscriber, MESSAGES);
}
