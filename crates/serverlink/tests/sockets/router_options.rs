//! What the options of ROUTER and DEALER do.

use std::time::Duration;

use serverlink::{Message, RouterNotify, Socket, SocketType};

use crate::harness::{
    STREAMS, TRANSPORTS, await_peers, bind_again, bound, connected, context, errno, expect, frames,
    socket, vacancies,
};

/// Receives a message of a ROUTER, and says from whom it is.
#[track_caller]
fn expect_from(router: &Socket, body: &str) -> Message {
    let mut message = router.recv().unwrap();
    let id = Message::from(message.pop_front().unwrap());
    assert_eq!(message, Message::from(body));
    id
}

#[test]
fn a_router_calls_whom_it_connects_to_as_it_likes() {
    for endpoint in TRANSPORTS {
        let context = context();
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_routing_id("its own name").unwrap();
        let endpoint = dealer.bind(endpoint).unwrap();
        let router = socket(&context, SocketType::Router);
        router.set_router_mandatory(true).unwrap();
        router.set_connect_routing_id("given").unwrap();
        router.connect(&endpoint).unwrap();
        // At once, without waiting for the handshake.
        router.send(frames(["given", "hello"])).unwrap();
        expect(&dealer, "hello");
        dealer.send("hello yourself").unwrap();
        expect(&router, frames(["given", "hello yourself"]));
        assert_eq!(errno(router.send(frames(["its own name", "x"]))), "EHOSTUNREACH");
    }
}

#[test]
fn a_given_name_is_for_one_connection() {
    let context = context();
    let [(one, first), (other, second)] =
        [(); 2].map(|()| bound(&context, SocketType::Dealer, "tcp://127.0.0.1:*"));
    let router = socket(&context, SocketType::Router);
    router.set_connect_routing_id("given").unwrap();
    router.connect(&first).unwrap();
    router.connect(&second).unwrap();
    await_peers(&router, 2);
    other.send("nameless").unwrap();
    let id = expect_from(&router, "nameless");
    assert_eq!((id[0].len(), id[0][0]), (5, 0), "an id of the router's own");
    one.send("named").unwrap();
    assert_eq!(expect_from(&router, "named"), Message::from("given"));
    assert!(router.connect_routing_id().is_empty());
}

#[test]
fn a_name_is_given_to_one_peer_at_a_time() {
    for endpoint in ["tcp://127.0.0.1:*", "inproc://one-name"] {
        let context = context();
        let (dealer, endpoint) = bound(&context, SocketType::Dealer, endpoint);
        let router = socket(&context, SocketType::Router);
        for expected in ["taken", "EFSM", "taken"] {
            router.set_connect_routing_id("given").unwrap();
            let result = router.connect(&endpoint);
            if expected == "EFSM" {
                assert_eq!(errno(result), "EFSM");
                router.disconnect(&endpoint).unwrap();
                await_peers(&router, 0);
            } else {
                result.unwrap();
                router.send(frames(["given", expected])).unwrap();
                expect(&dealer, expected);
            }
        }
    }
}

#[test]
fn a_given_name_outlives_the_connection() {
    let context = context();
    for endpoint in vacancies(&context) {
        let router = socket(&context, SocketType::Router);
        router.set_connect_routing_id("given").unwrap();
        router.connect(&endpoint).unwrap();
        for name in ["one", "another"] {
            let dealer = socket(&context, SocketType::Dealer);
            dealer.set_routing_id(name).unwrap();
            bind_again(&dealer, &endpoint);
            dealer.send(name).unwrap();
            expect(&router, frames(["given", name]));
        }
    }
}

#[test]
fn a_router_hears_of_those_who_come_and_go() {
    for endpoint in STREAMS {
        let context = context();
        let router = socket(&context, SocketType::Router);
        router.set_router_notify(RouterNotify { connect: true, disconnect: true }).unwrap();
        let endpoint = router.bind(endpoint).unwrap();
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_linger(None).unwrap();
        dealer.set_routing_id("peer").unwrap();
        dealer.connect(&endpoint).unwrap();
        expect(&router, frames(["peer", ""]));
        for n in ["1", "2", "3"] {
            dealer.send(n).unwrap();
        }
        drop(dealer);
        for n in ["1", "2", "3"] {
            expect(&router, frames(["peer", n]));
        }
        expect(&router, frames(["peer", ""]));
    }
}

#[test]
fn a_router_hears_only_of_what_it_wants_to() {
    for (notify, expected) in [
        (RouterNotify { connect: true, disconnect: false }, ["", "body"]),
        (RouterNotify { connect: false, disconnect: true }, ["body", ""]),
    ] {
        let context = context();
        let router = socket(&context, SocketType::Router);
        router.set_router_notify(notify).unwrap();
        assert_eq!(router.router_notify(), notify);
        let endpoint = router.bind("tcp://127.0.0.1:*").unwrap();
        let dealer = connected(&context, SocketType::Dealer, &endpoint);
        dealer.set_linger(None).unwrap();
        dealer.send("body").unwrap();
        drop(dealer);
        for body in expected {
            expect_from(&router, body);
        }
        let other = connected(&context, SocketType::Req, &endpoint);
        other.send("marker").unwrap();
        let mut message = router.recv().unwrap();
        if notify.connect {
            assert!(message[1].is_empty());
            message = router.recv().unwrap();
        }
        assert_eq!(message[2], "marker");
    }
}

#[test]
fn a_router_that_connects_hears_of_lost_connections_in_order() {
    let context = context();
    for endpoint in vacancies(&context) {
        let router = socket(&context, SocketType::Router);
        router.set_router_notify(RouterNotify { connect: true, disconnect: true }).unwrap();
        router.set_connect_routing_id("peer").unwrap();
        router.connect(&endpoint).unwrap();
        for _ in 0..2 {
            let dealer = socket(&context, SocketType::Dealer);
            dealer.set_linger(None).unwrap();
            bind_again(&dealer, &endpoint);
            dealer.send("body").unwrap();
            drop(dealer);
            for body in ["", "body", ""] {
                expect(&router, frames(["peer", body]));
            }
        }
    }
}

#[test]
fn peers_are_greeted_first() {
    for endpoint in TRANSPORTS {
        for (binds, connects) in
            [(SocketType::Router, SocketType::Dealer), (SocketType::Dealer, SocketType::Dealer)]
        {
            let context = context();
            let one = socket(&context, binds);
            one.set_hello_message("from the one that binds").unwrap();
            let endpoint = one.bind(endpoint).unwrap();
            let other = socket(&context, connects);
            other.set_hello_message("from the other").unwrap();
            other.connect(&endpoint).unwrap();
            other.send("second").unwrap();
            expect(&other, "from the one that binds");
            for body in ["from the other", "second"] {
                if binds == SocketType::Router {
                    expect_from(&one, body);
                } else {
                    expect(&one, body);
                }
            }
        }
    }
}

#[test]
fn a_greeting_goes_with_every_connection() {
    let context = context();
    for endpoint in vacancies(&context) {
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_hello_message("hello").unwrap();
        dealer.connect(&endpoint).unwrap();
        dealer.send("once").unwrap();
        for bodies in [&["hello", "once"][..], &["hello"]] {
            let other = socket(&context, SocketType::Dealer);
            bind_again(&other, &endpoint);
            bodies.iter().for_each(|body| expect(&other, *body));
        }
    }
}

#[test]
fn a_lost_peer_has_a_last_word() {
    for endpoint in STREAMS {
        let context = context();
        let router = socket(&context, SocketType::Router);
        router.set_disconnect_message("gone").unwrap();
        let endpoint = router.bind(endpoint).unwrap();
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_linger(None).unwrap();
        dealer.set_routing_id("peer").unwrap();
        dealer.connect(&endpoint).unwrap();
        dealer.send("body").unwrap();
        drop(dealer);
        expect(&router, frames(["peer", "body"]));
        expect(&router, frames(["peer", "gone"]));
    }
}

#[test]
fn a_dealer_hears_of_a_lost_connection() {
    let context = context();
    for endpoint in vacancies(&context) {
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_hiccup_message("hiccup").unwrap();
        dealer.connect(&endpoint).unwrap();
        for body in ["one", "another"] {
            let other = socket(&context, SocketType::Dealer);
            other.set_linger(Some(Duration::from_secs(30))).unwrap();
            bind_again(&other, &endpoint);
            other.send(body).unwrap();
            drop(other);
            expect(&dealer, body);
            expect(&dealer, "hiccup");
        }
    }
}
