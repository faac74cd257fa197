//! A peer that ends and comes back at the same endpoint: the stream goes on, nothing comes twice or
//! out of order, and nothing is lost that ZeroMQ does not lose.
//!
//! What a receiver has not read when it closes is lost with it, in libzmq too. What is sent while
//! there is no peer waits for one, and what a sender has sent when it closes arrives as long as it
//! lingers.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serverlink::SocketType::*;
use serverlink_interop::{
    Contexts,
    Library::{self, Libzmq, ServerLink},
    OnDrop, Peer, Transport, Way, each_way, payload,
};

const RESTARTS: u64 = 5;

each_way!(the_receiver_restarts_in_mid_stream, a_sender_that_lingers_loses_nothing);

fn over_each_transport(library: Library, scenario: fn(Library, Transport)) {
    for transport in Transport::HERE {
        scenario(library, *transport);
    }
}

/// Opens a socket and binds it to `endpoint`, or connects it.
fn reopen(
    contexts: &Contexts,
    library: Library,
    socket_type: serverlink::SocketType,
    endpoint: &str,
    binds: bool,
) -> Peer {
    let peer = contexts.open(library, socket_type);
    if binds {
        peer.bind_to(endpoint);
    } else {
        peer.connect(endpoint);
    }
    peer
}

fn the_receiver_restarts_in_mid_stream(way: Way) {
    const BETWEEN: usize = 500;
    let contexts = Contexts::new();
    let receiver = way.from.other();
    let receiver_binds = way.binder == receiver;
    let push = contexts.open(way.from, Push);
    let mut pull = contexts.open(receiver, Pull);
    let endpoint = if receiver_binds {
        let endpoint = pull.bind_over(way.transport);
        push.connect(&endpoint);
        endpoint
    } else {
        let endpoint = push.bind_over(way.transport);
        pull.connect(&endpoint);
        endpoint
    };
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let done = &done;
        scope.spawn(move || {
            for index in 0.. {
                while !push.send_within(Duration::from_millis(50), [payload::numbered(index)])
                    && !done.load(Ordering::Relaxed)
                {}
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let _end = OnDrop(|| done.store(true, Ordering::Relaxed));
        let mut next = 0;
        for restart in 0..=RESTARTS {
            if restart > 0 {
                drop(pull);
                pull = reopen(&contexts, receiver, Pull, &endpoint, receiver_binds);
            }
            for _ in 0..BETWEEN {
                let message = pull.recv();
                let number = payload::number(&message[0]);
                assert!(number >= next, "{number} came after {}", next - 1);
                next = number + 1;
            }
        }
    });
}

/// Each sender says who it is: what two of them sent may come mixed.
fn a_sender_that_lingers_loses_nothing(way: Way) {
    const EACH: u64 = 1_000;
    let contexts = Contexts::new();
    let sender_binds = way.binder == way.from;
    let pull = contexts.open(way.from.other(), Pull);
    let first = contexts.open(way.from, Push);
    let binder = if sender_binds { &first } else { &pull };
    let endpoint = binder.bind_over(way.transport);
    if sender_binds {
        pull.connect(&endpoint);
    } else {
        first.connect(&endpoint);
    }
    thread::scope(|scope| {
        let (contexts, endpoint) = (&contexts, &endpoint);
        scope.spawn(move || {
            let mut push = first;
            for restart in 0..=RESTARTS {
                if restart > 0 {
                    drop(push);
                    push = reopen(contexts, way.from, Push, endpoint, sender_binds);
                }
                push.set_linger(None);
                for index in 0..EACH {
                    push.send([restart.to_be_bytes().to_vec(), payload::numbered(index)]);
                }
            }
        });
        let mut next = [0; RESTARTS as usize + 1];
        for _ in 0..EACH * (RESTARTS + 1) {
            let message = pull.recv();
            let sender = u64::from_be_bytes(message[0][..].try_into().unwrap()) as usize;
            assert_eq!(payload::number(&message[1]), next[sender], "of sender {sender}");
            next[sender] += 1;
        }
    });
}

#[test]
fn what_serverlink_queued_reaches_the_peer_that_comes_back() {
    over_each_transport(ServerLink, queued_messages_wait);
}

#[test]
fn what_libzmq_queued_reaches_the_peer_that_comes_back() {
    over_each_transport(Libzmq, queued_messages_wait);
}

fn queued_messages_wait(sender: Library, transport: Transport) {
    let contexts = Contexts::new();
    let [push, mut pull] = contexts.link(
        Way { from: sender, binder: sender.other(), transport },
        [Push, Pull],
        |_, _| {},
    );
    let endpoint = endpoint_of(&pull);
    push.await_connected();
    let mut index = 0;
    for _ in 0..RESTARTS {
        for number in index..index + 10 {
            push.send([payload::numbered(number)]);
        }
        for number in index..index + 10 {
            assert_eq!(payload::number(&pull.recv()[0]), number);
        }
        drop(pull);
        push.await_disconnected();
        for number in index + 10..index + 200 {
            push.send([payload::numbered(number)]);
        }
        pull = reopen(&contexts, sender.other(), Pull, &endpoint, true);
        for number in index + 10..index + 200 {
            assert_eq!(payload::number(&pull.recv()[0]), number);
        }
        push.await_connected();
        index += 200;
    }
}

fn endpoint_of(peer: &Peer) -> String {
    match peer.library() {
        ServerLink => peer.ours().last_endpoint().unwrap(),
        Libzmq => peer.theirs().0.get_last_endpoint().unwrap().unwrap(),
    }
}

#[test]
fn serverlink_subscribes_again_when_the_publisher_is_back() {
    over_each_transport(ServerLink, subscribes_again);
}

#[test]
fn libzmq_subscribes_again_when_the_publisher_is_back() {
    over_each_transport(Libzmq, subscribes_again);
}

fn subscribes_again(subscriber: Library, transport: Transport) {
    let contexts = Contexts::new();
    let way = Way { from: subscriber.other(), binder: subscriber.other(), transport };
    let [mut publisher, subscriber] = contexts.link(way, [XPub, Sub], |_, subscriber| {
        for topic in ["a", "b", "c", "a"] {
            subscriber.subscribe(topic);
        }
    });
    let endpoint = endpoint_of(&publisher);
    subscriber.await_connected();
    for restart in 0..RESTARTS {
        let mut topics = [publisher.recv(), publisher.recv(), publisher.recv()];
        topics.sort();
        let tail = [b"\x01c"];
        if restart == 0 {
            assert_eq!(topics, [[b"\x01a"], [b"\x01b"], tail]);
            subscriber.unsubscribe("b");
            publisher.expect_subscription(false, "b");
            subscriber.subscribe("d");
            publisher.expect_subscription(true, "d");
        } else {
            // As they are now.
            assert_eq!(topics, [[b"\x01a"], tail, [b"\x01d"]]);
        }
        publisher.send(["b"]);
        publisher.send(["d"]);
        subscriber.expect(["d"]);
        drop(publisher);
        subscriber.await_disconnected();
        publisher = reopen(&contexts, way.from, XPub, &endpoint, true);
        subscriber.await_connected();
    }
}

#[test]
fn serverlink_dealers_are_answered_when_the_router_is_back() {
    over_each_transport(ServerLink, answered_again);
}

#[test]
fn libzmq_dealers_are_answered_when_the_router_is_back() {
    over_each_transport(Libzmq, answered_again);
}

fn answered_again(client: Library, transport: Transport) {
    let contexts = Contexts::new();
    let way = Way { from: client, binder: client.other(), transport };
    let [dealer, mut router] = contexts.link(way, [Dealer, Router], |dealer, _| {
        dealer.set_routing_id("dealer");
    });
    let endpoint = endpoint_of(&router);
    dealer.await_connected();
    for restart in 0..RESTARTS {
        for index in 0..100 {
            let request = [format!("{restart}.{index}")];
            dealer.send(&request);
            let envelope = router.recv();
            assert_eq!(envelope, [b"dealer", request[0].as_bytes()]);
            router.send(envelope);
            dealer.expect(request);
        }
        drop(router);
        dealer.await_disconnected();
        router = reopen(&contexts, client.other(), Router, &endpoint, true);
        dealer.await_connected();
    }
}

/// The routing id of a peer that has gone is free for the one that comes instead.
#[test]
fn a_serverlink_router_knows_a_libzmq_dealer_that_is_back() {
    over_each_transport(ServerLink, known_again);
}

#[test]
fn a_libzmq_router_knows_a_serverlink_dealer_that_is_back() {
    over_each_transport(Libzmq, known_again);
}

fn known_again(server: Library, transport: Transport) {
    let contexts = Contexts::new();
    let router = contexts.open(server, Router);
    if server == Libzmq {
        // Without handover, its user cannot tell when a name is free again.
        router.theirs().0.set_router_handover(true).unwrap();
    }
    let endpoint = router.bind_over(transport);
    for restart in 0..RESTARTS {
        let dealer = contexts.open(server.other(), Dealer);
        dealer.set_routing_id("dealer");
        dealer.connect(&endpoint);
        dealer.send([format!("{restart}")]);
        let envelope = router.recv();
        assert_eq!(envelope, [b"dealer", format!("{restart}").as_bytes()]);
        router.send(envelope);
        dealer.expect([format!("{restart}")]);
        drop(dealer);
        router.await_disconnected();
    }
}
