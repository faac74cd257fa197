//! ROUTER: peers and their routing ids.

use std::time::Duration;

use serverlink::{Error, Message, Socket, SocketType};

use crate::harness::{
    PATIENCE, TRANSPORTS, await_peers, bind_again, bound, connected, context, errno, eventually,
    expect, expect_nothing, frames, number, refusal, socket, vacancies, vacant,
};

#[test]
fn peers_are_known_by_the_ids_they_gave_themselves() {
    for endpoint in TRANSPORTS {
        for peer in [SocketType::Dealer, SocketType::Req, SocketType::Router] {
            let context = context();
            let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
            router.set_router_mandatory(true).unwrap();
            let named = socket(&context, peer);
            // The longest id there may be.
            let id = vec![b'n'; 255];
            named.set_routing_id(&id).unwrap();
            named.connect(&endpoint).unwrap();
            await_peers(&router, 1);
            let mut message = Message::from(id);
            message.extend(["", "hello"]);
            router.send(message).unwrap();
        }
    }
}

#[test]
fn nameless_peers_get_ids_of_their_own() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
        let dealers: Vec<_> = (0..10u32)
            .map(|n| {
                let dealer = connected(&context, SocketType::Dealer, &endpoint);
                dealer.send(number(n)).unwrap();
                dealer.send(number(n)).unwrap();
                dealer
            })
            .collect();
        let mut ids = std::collections::HashMap::new();
        for _ in 0..20 {
            let message = router.recv().unwrap();
            assert_eq!((message[0].len(), message[0][0]), (5, 0), "zero and four bytes");
            let known = ids.entry(message[1].clone()).or_insert_with(|| message[0].clone());
            assert_eq!(*known, message[0], "an id is for the peer's life");
            router.send(message).unwrap();
        }
        let mut distinct: Vec<_> = ids.values().map(|id| id.to_bytes()).collect();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), 10);
        for (n, dealer) in (0..).zip(&dealers) {
            (0..2).for_each(|_| expect(dealer, number(n)));
        }
    }
}

#[test]
fn messages_to_nobody_are_dropped_or_refused() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
        router.send(frames(["nobody", "x"])).unwrap();
        router.set_router_mandatory(true).unwrap();
        let refused = router.send(frames(["nobody", "x"])).unwrap_err();
        assert!(
            matches!(&refused.error, Error::HostUnreachable { routing_id } if routing_id == "nobody")
        );
        assert_eq!(refused.message, frames(["nobody", "x"]));
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_routing_id("somebody").unwrap();
        dealer.connect(&endpoint).unwrap();
        await_peers(&router, 1);
        router.send(frames(["somebody", "x"])).unwrap();
        expect(&dealer, "x");
        drop(dealer);
        await_peers(&router, 0);
        assert_eq!(errno(router.send(frames(["somebody", "x"]))), "EHOSTUNREACH");
    }
}

#[test]
fn a_message_needs_an_id_and_a_body() {
    let context = context();
    let router = socket(&context, SocketType::Router);
    let refused = router.send("id only").unwrap_err();
    assert!(matches!(refused.error, Error::InvalidMessage(_)));
    assert_eq!(refused.message, Message::from("id only"));
}

#[test]
fn a_second_peer_of_the_same_id_is_turned_away() {
    let context = context();
    let (router, endpoint) = bound(&context, SocketType::Router, "tcp://127.0.0.1:*");
    let claim = || {
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_routing_id("same").unwrap();
        dealer.connect(&endpoint).unwrap();
        dealer
    };
    let first = claim();
    first.send("first").unwrap();
    expect(&router, frames(["same", "first"]));
    let second = claim();
    // It shook hands, was turned away and comes again.
    await_peers(&second, 1);
    await_peers(&second, 0);
    router.send(frames(["same", "to the first"])).unwrap();
    expect(&first, "to the first");
    assert_eq!(router.peer_count(), 1);
    drop(first);
    // Now its turn has come.
    router.set_router_mandatory(true).unwrap();
    eventually("for the newcomer", || {
        let _ = router.send(frames(["same", "welcome"]));
        second.recv_timeout(Duration::from_millis(20)).is_ok()
    });
}

#[test]
fn a_second_peer_of_the_same_id_is_turned_away_within_the_process() {
    let context = context();
    let (router, _) = bound(&context, SocketType::Router, "inproc://router");
    let claim = || {
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_routing_id("same").unwrap();
        dealer.connect("inproc://router").unwrap();
        dealer
    };
    let first = claim();
    let second = claim();
    assert_eq!((router.peer_count(), second.peer_count()), (1, 0));
    assert_eq!(errno(second.try_send("x")), "EAGAIN");
    router.send(frames(["same", "x"])).unwrap();
    expect(&first, "x");
    drop(first);
    let third = claim();
    router.send(frames(["same", "x"])).unwrap();
    expect(&third, "x");
    expect_nothing(&second);
}

#[test]
fn handover_gives_the_id_to_the_newcomer() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
        router.set_router_handover(true).unwrap();
        router.set_router_mandatory(true).unwrap();
        let claim = || {
            let dealer = socket(&context, SocketType::Dealer);
            dealer.set_routing_id("same").unwrap();
            // The loser does not come back to take it again.
            dealer.set_reconnect_interval(None).unwrap();
            dealer.connect(&endpoint).unwrap();
            dealer
        };
        let first = claim();
        first.send("first").unwrap();
        expect(&router, frames(["same", "first"]));
        let second = claim();
        second.send("second").unwrap();
        expect(&router, frames(["same", "second"]));
        router.send(frames(["same", "x"])).unwrap();
        expect(&second, "x");
        await_peers(&first, 0);
        assert_eq!(router.peer_count(), 1);
        expect_nothing(&first);
    }
}

/// Of several servers of one name, the one that came last.
#[test]
fn handover_leaves_connections_be_that_are_made_anew() {
    let context = context();
    let router = socket(&context, SocketType::Router);
    router.set_router_handover(true).unwrap();
    router.set_router_mandatory(true).unwrap();
    router.set_reconnect_interval(Some(Duration::from_millis(1))).unwrap();
    let server = |endpoint: &str| {
        let server = socket(&context, SocketType::Dealer);
        server.set_routing_id("server").unwrap();
        eventually("for the port to be free", || server.bind(endpoint).is_ok());
        server
    };
    let reaches = |server: &Socket| {
        eventually("for the server to have the id", || {
            _ = router.try_send(frames(["server", "request"]));
            server.try_recv().is_ok()
        });
        while server.try_recv().is_ok() {}
        server.send("reply").unwrap();
        expect(&router, frames(["server", "reply"]));
    };
    let endpoints = [vacant(&context), vacant(&context)];
    let first = server(&endpoints[0]);
    router.connect(&endpoints[0]).unwrap();
    reaches(&first);
    // It fails, and the other comes in its place,
    drop(first);
    await_peers(&router, 0);
    let second = server(&endpoints[1]);
    router.connect(&endpoints[1]).unwrap();
    reaches(&second);
    // until it is back. Nobody hears the other then,
    let first = server(&endpoints[0]);
    reaches(&first);
    second.send("whose?").unwrap();
    // which comes back itself.
    drop(second);
    let second = server(&endpoints[1]);
    reaches(&second);
}

#[test]
fn what_a_peer_sent_is_read_after_it_left() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_linger(None).unwrap();
        dealer.set_routing_id("gone").unwrap();
        dealer.connect(&endpoint).unwrap();
        await_peers(&router, 1);
        (0..100).for_each(|n| dealer.send(number(n)).unwrap());
        drop(dealer);
        await_peers(&router, 0);
        router.set_router_mandatory(true).unwrap();
        assert_eq!(errno(router.send(frames(["gone", "x"]))), "EHOSTUNREACH");
        for n in 0..100 {
            let mut expected = number(n);
            expected.push_front("gone");
            expect(&router, expected);
        }
        expect_nothing(&router);
    }
}

#[test]
fn an_id_is_free_again_while_its_last_owner_is_still_read() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
        let claim = |text: &str| {
            let dealer = socket(&context, SocketType::Dealer);
            dealer.set_linger(None).unwrap();
            dealer.set_routing_id("same").unwrap();
            dealer.connect(&endpoint).unwrap();
            dealer.send(text).unwrap();
            dealer
        };
        let first = claim("one");
        await_peers(&router, 1);
        first.send("two").unwrap();
        drop(first);
        await_peers(&router, 0);
        let second = claim("three");
        await_peers(&router, 1);
        let mut seen: Vec<_> = (0..3).map(|_| router.recv().unwrap()).collect();
        seen.sort_by_key(|message| message[1].to_bytes());
        assert_eq!(
            seen,
            ["one", "three", "two"].map(|text| frames(["same", text])),
            "over {endpoint}"
        );
        router.send(frames(["same", "hello"])).unwrap();
        expect(&second, "hello");
    }
}

#[test]
fn a_probe_announces_the_prober() {
    for endpoint in TRANSPORTS {
        for prober in [SocketType::Dealer, SocketType::Req, SocketType::Router] {
            let context = context();
            let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
            let probing = socket(&context, prober);
            probing.set_routing_id("prober").unwrap();
            probing.set_probe_router(true).unwrap();
            probing.connect(&endpoint).unwrap();
            expect(&router, frames(["prober", ""]));
        }
    }
}

#[test]
fn a_probe_goes_before_what_is_sent_with_every_connection() {
    let context = context();
    for endpoint in vacancies(&context) {
        for prober in [SocketType::Dealer, SocketType::Router] {
            let probing = socket(&context, prober);
            probing.set_routing_id("prober").unwrap();
            probing.set_probe_router(true).unwrap();
            let sent = if prober == SocketType::Router {
                probing.set_connect_routing_id("router").unwrap();
                frames(["router", "once"])
            } else {
                Message::from("once")
            };
            probing.connect(&endpoint).unwrap();
            probing.send(sent).unwrap();
            for bodies in [&["", "once"][..], &[""]] {
                let router = socket(&context, SocketType::Router);
                bind_again(&router, &endpoint);
                bodies.iter().for_each(|body| expect(&router, frames(["prober", body])));
            }
        }
    }
}

#[test]
fn within_the_process_too_a_probe_goes_before_what_is_sent() {
    let context = context();
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_routing_id("prober").unwrap();
    dealer.set_probe_router(true).unwrap();
    dealer.connect("inproc://later").unwrap();
    dealer.send("sent").unwrap();
    let (router, _) = bound(&context, SocketType::Router, "inproc://later");
    for body in ["", "sent"] {
        expect(&router, frames(["prober", body]));
    }
}

/// It is sent to those that come after the option was set.
#[test]
fn who_accepts_may_begin_to_probe() {
    for endpoint in TRANSPORTS {
        let context = context();
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_routing_id("prober").unwrap();
        let endpoint = dealer.bind(endpoint).unwrap();
        dealer.set_probe_router(true).unwrap();
        let router = connected(&context, SocketType::Router, &endpoint);
        dealer.send("sent").unwrap();
        for body in ["", "sent"] {
            expect(&router, frames(["prober", body]));
        }
    }
}

#[test]
fn a_probe_is_no_request() {
    let context = context();
    let (rep, endpoint) = bound(&context, SocketType::Rep, "tcp://127.0.0.1:*");
    let req = socket(&context, SocketType::Req);
    req.set_probe_router(true).unwrap();
    req.connect(&endpoint).unwrap();
    req.send("question").unwrap();
    expect(&rep, "question");
    rep.send("answer").unwrap();
    expect(&req, "answer");
}

#[test]
fn a_router_that_connects_keeps_a_peers_id_over_reconnects() {
    let context = context();
    let endpoint = vacant(&context);
    let router = socket(&context, SocketType::Router);
    router.connect(&endpoint).unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (dealer, _) = bound(&context, SocketType::Dealer, &endpoint);
        await_peers(&dealer, 1);
        dealer.send("hello").unwrap();
        ids.push(router.recv().unwrap()[0].clone());
        drop(dealer);
        await_peers(&router, 0);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[test]
fn many_peers_come_and_go() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
        for round in 0..5u32 {
            let dealers: Vec<_> =
                (0..20).map(|_| connected(&context, SocketType::Dealer, &endpoint)).collect();
            dealers.iter().for_each(|dealer| dealer.send(number(round)).unwrap());
            for _ in &dealers {
                let message = router.recv().unwrap();
                assert_eq!(message[1], &round.to_be_bytes());
                router.send(message).unwrap();
            }
            dealers.iter().for_each(|dealer| expect(dealer, number(round)));
            drop(dealers);
            await_peers(&router, 0);
        }
    }
}

#[test]
fn a_mandatory_router_without_room_keeps_its_time() {
    let context = context();
    let (router, _) = bound(&context, SocketType::Router, "inproc://router");
    router.set_router_mandatory(true).unwrap();
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_routing_id("full").unwrap();
    dealer.connect("inproc://router").unwrap();
    while router.try_send(frames(["full", "x"])).is_ok() {}
    let wait = Duration::from_millis(50);
    let refused = refusal(router.send_timeout(frames(["full", "x"]), wait));
    assert!(matches!(refused, Error::WouldBlock));
    // Its leaving wakes whoever waits for it.
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| router.send_timeout(frames(["full", "x"]), PATIENCE));
        drop(dealer);
        assert_eq!(errno(sending.join().unwrap()), "EHOSTUNREACH");
    });
}
