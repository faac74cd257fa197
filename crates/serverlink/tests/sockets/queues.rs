//! What RFCs 28 to 31, 49 and 52 say of all their types alike: whose messages wait where, and which
//! way they go.

use serverlink::{Message, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, errno, eventually, expect, expect_nothing,
    frames, number, socket,
};

/// Sends until there is no more room; how many there was room for.
fn fill_up(sender: &Socket, message: impl Fn(u32) -> Message) -> u32 {
    (0..1000).find(|&n| sender.try_send(message(n)).is_err()).expect("a limit")
}

#[test]
fn what_waits_for_a_peer_that_connected_goes_with_it() {
    for (binds, connects) in [
        (SocketType::Push, SocketType::Pull),
        (SocketType::Dealer, SocketType::Dealer),
        (SocketType::Pair, SocketType::Pair),
        (SocketType::Scatter, SocketType::Gather),
        (SocketType::Channel, SocketType::Channel),
        (SocketType::Client, SocketType::Server),
    ] {
        for endpoint in TRANSPORTS {
            let context = context();
            let sender = socket(&context, binds);
            sender.set_send_high_water_mark(5).unwrap();
            let endpoint = sender.bind(endpoint).unwrap();
            let first = socket(&context, connects);
            first.set_receive_high_water_mark(5).unwrap();
            first.connect(&endpoint).unwrap();
            await_peers(&sender, 1);
            // More than is on its way at any time: the rest waits here.
            fill_up(&sender, |_| Message::from(vec![7; 200_000]));
            drop(first);
            await_peers(&sender, 0);
            assert_eq!(errno(sender.try_send("to nobody")), "EAGAIN", "{binds} over {endpoint}");
            let second = connected(&context, connects, &endpoint);
            await_peers(&sender, 1);
            sender.send("for you").unwrap();
            expect(&second, "for you");
            expect_nothing(&second);
        }
    }
}

#[test]
fn what_waits_for_a_subscriber_or_a_named_peer_goes_with_it() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (publisher, endpoint) = bound(&context, SocketType::XPub, endpoint);
        for subscriber in 0..2 {
            let topic = format!("topic {subscriber}");
            let sub = socket(&context, SocketType::Sub);
            sub.subscribe(&topic).unwrap();
            sub.connect(&endpoint).unwrap();
            expect(&publisher, format!("\u{1}{topic}"));
            (0..100).for_each(|n| publisher.send(format!("{topic} {n}")).unwrap());
            if subscriber == 1 {
                expect(&sub, "topic 1 0");
            }
            drop(sub);
            expect(&publisher, format!("\0{topic}"));
        }
    }
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
        router.set_router_mandatory(true).unwrap();
        for body in ["for the first", "for the second"] {
            let dealer = socket(&context, SocketType::Dealer);
            dealer.set_routing_id("same").unwrap();
            dealer.connect(&endpoint).unwrap();
            await_peers(&router, 1);
            (0..10).for_each(|_| router.send(frames(["same", body])).unwrap());
            if body == "for the second" {
                expect(&dealer, body);
            }
            drop(dealer);
            await_peers(&router, 0);
            assert_eq!(errno(router.send(frames(["same", "late"]))), "EHOSTUNREACH");
        }
    }
}

#[test]
fn types_of_one_way_refuse_the_other() {
    let context = context();
    for sends in [SocketType::Push, SocketType::Pub, SocketType::Scatter, SocketType::Radio] {
        let socket = socket(&context, sends);
        let error = socket.try_recv().unwrap_err();
        assert_eq!(error.errno_name(), "ENOTSUP");
        assert!(error.to_string().contains(sends.as_str()), "{error}");
    }
    for receives in [SocketType::Pull, SocketType::Sub, SocketType::Gather, SocketType::Dish] {
        let socket = socket(&context, receives);
        let error = socket.try_send("x").unwrap_err();
        assert_eq!(error.error.errno_name(), "ENOTSUP");
        assert!(error.to_string().contains(receives.as_str()), "{error}");
    }
}

/// Two sockets of each kind that may connect to several peers do, in both directions.
#[test]
fn types_of_many_peers_may_bind_and_connect_at_once() {
    for (one, other) in [
        (SocketType::Push, SocketType::Pull),
        (SocketType::Dealer, SocketType::Dealer),
        (SocketType::Scatter, SocketType::Gather),
        (SocketType::Client, SocketType::Server),
    ] {
        let context = context();
        let (sender, endpoint) = bound(&context, one, "tcp://127.0.0.1:*");
        let receivers = [connected(&context, other, &endpoint), socket(&context, other)];
        sender.connect(&receivers[1].bind("inproc://second").unwrap()).unwrap();
        await_peers(&sender, 2);
        (0..10).for_each(|n| sender.send(number(n)).unwrap());
        let mut received = 0;
        eventually("all of it", || {
            for receiver in &receivers {
                received += std::iter::from_fn(|| receiver.try_recv().ok()).count();
            }
            received == 10
        });
    }
}
