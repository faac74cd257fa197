//! RFC 51, PEER: a test for each thing that it shall do.

use std::{collections::HashSet, io::Write, net::TcpStream, thread};

use serverlink::{Message, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, errno, expect, expect_nothing,
    expect_numbers, frames, number, number_in, scaled, shake_hands, socket, vacant,
};

#[test]
fn connecting_gives_the_id_at_once() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (one, endpoint) = bound(&context, SocketType::Peer, endpoint);
        let other = socket(&context, SocketType::Peer);
        let id = other.connect_peer(&endpoint).unwrap();
        assert_ne!(id, 0);
        // Before any handshake, and without a word from the other side.
        other.send(Message::from("hello").with_routing_id(id)).unwrap();
        let hello = one.recv().unwrap();
        assert_eq!(hello, "hello".into());
        one.send(Message::from("hello yourself").with_routing_id(hello.routing_id().unwrap()))
            .unwrap();
        let answer = other.recv().unwrap();
        assert_eq!((answer.routing_id(), &answer[0][..]), (Some(id), &b"hello yourself"[..]));
    }
}

#[test]
fn each_connection_has_an_id_of_its_own_whoever_connects_at_the_same_time() {
    let context = context();
    let peers: Vec<_> =
        (0..8).map(|_| bound(&context, SocketType::Peer, "tcp://127.0.0.1:*")).collect();
    let one = socket(&context, SocketType::Peer);
    let ids: HashSet<u32> = thread::scope(|scope| {
        let connecting: Vec<_> = (0..)
            .zip(&peers)
            .map(|(n, (_, endpoint))| {
                let one = &one;
                scope.spawn(move || {
                    let id = one.connect_peer(endpoint).unwrap();
                    one.send(number(n).with_routing_id(id)).unwrap();
                    id
                })
            })
            .collect();
        connecting.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(ids.len(), 8);
    for (n, (peer, _)) in (0..).zip(&peers) {
        assert_eq!(number_in(&peer.recv().unwrap()), n, "it went to the one it was meant for");
    }
}

#[test]
fn only_a_peer_connects_by_number() {
    let context = context();
    let (_one, endpoint) = bound(&context, SocketType::Peer, "tcp://127.0.0.1:*");
    let server = socket(&context, SocketType::Server);
    assert_eq!(errno(server.connect_peer(&endpoint)), "ENOTSUP");
    let peer = socket(&context, SocketType::Peer);
    peer.set_immediate(true).unwrap();
    assert_eq!(errno(peer.connect_peer(&endpoint)), "EFSM");
    peer.set_immediate(false).unwrap();
    assert_eq!(errno(peer.connect_peer("tcp://")), "EINVAL");
    peer.connect_peer(&endpoint).unwrap();
}

#[test]
fn a_peer_keeps_messages_for_one_that_is_not_there() {
    let context = context();
    let endpoint = vacant(&context);
    let one = socket(&context, SocketType::Peer);
    one.set_send_high_water_mark(10).unwrap();
    let id = one.connect_peer(&endpoint).unwrap();
    (0..10).for_each(|n| one.send(number(n).with_routing_id(id)).unwrap());
    let refused = one.try_send(number(10).with_routing_id(id)).unwrap_err();
    assert_eq!((refused.error.errno_name(), refused.message.routing_id()), ("EAGAIN", Some(id)));
    let (other, _) = bound(&context, SocketType::Peer, &endpoint);
    expect_numbers(&other, 0..10);
}

#[test]
fn a_peer_does_not_modify_what_passes() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (one, endpoint) = bound(&context, SocketType::Peer, endpoint);
        let other = socket(&context, SocketType::Peer);
        let id = other.connect_peer(&endpoint).unwrap();
        for size in [0, 1, 66, 67, 70, 71, 255, 256, 5000, 300_000] {
            let body: Vec<u8> = (0..size).map(|n| n as u8).collect();
            other.send(Message::from(body.clone()).with_routing_id(id)).unwrap();
            let message = one.recv().unwrap();
            assert!(message[0] == body[..], "{size} bytes");
            one.send(message).unwrap();
            assert!(other.recv().unwrap()[0] == body[..], "{size} bytes back");
        }
    }
}

#[test]
fn a_peer_takes_from_every_other_in_turn() {
    let context = context();
    let (hub, endpoint) = bound(&context, SocketType::Peer, "inproc://hub");
    let others: Vec<_> = (0..3)
        .map(|_| {
            let other = socket(&context, SocketType::Peer);
            let id = other.connect_peer(&endpoint).unwrap();
            (0..10).for_each(|n| other.send(number(n).with_routing_id(id)).unwrap());
            other
        })
        .collect();
    for n in 0..10 {
        let round = others.iter().map(|_| {
            let message = hub.recv().unwrap();
            assert_eq!(number_in(&message), n);
            message.routing_id().unwrap()
        });
        let ids: HashSet<_> = round.collect();
        assert!(ids.len() == 3 && !ids.contains(&0), "each once, by its number: {ids:?}");
    }
    expect_nothing(&hub);
}

#[test]
fn an_id_that_is_nobodys_is_an_error_and_its_queue_is_gone() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (hub, endpoint) = bound(&context, SocketType::Peer, endpoint);
        let refused = hub.send(Message::from("x").with_routing_id(0)).unwrap_err();
        assert_eq!(refused.error.errno_name(), "EHOSTUNREACH");
        let come = || {
            let other = socket(&context, SocketType::Peer);
            let id = other.connect_peer(&endpoint).unwrap();
            other.send(Message::from("hello").with_routing_id(id)).unwrap();
            (other, hub.recv().unwrap().routing_id().unwrap())
        };
        let (first, id) = come();
        // More than is on its way at any time: the rest waits here.
        let long = || Message::from(vec![7; 200_000]).with_routing_id(id);
        hub.set_send_high_water_mark(50).unwrap();
        first.set_receive_high_water_mark(5).unwrap();
        let full = (0..1000).find_map(|_| hub.try_send(long()).err()).expect("a limit");
        assert_eq!((full.error.errno_name(), full.message), ("EAGAIN", long()));
        drop(first);
        await_peers(&hub, 0);
        let refused = hub.send(Message::from("late").with_routing_id(id)).unwrap_err();
        assert_eq!(refused.error.errno_name(), "EHOSTUNREACH");
        assert_eq!(refused.message, Message::from("late"), "it comes back whole");
        let (second, other) = come();
        assert_ne!(id, other);
        assert_eq!(errno(hub.send(Message::from("stray").with_routing_id(id))), "EHOSTUNREACH");
        hub.send(Message::from("for you").with_routing_id(other)).unwrap();
        expect(&second, "for you");
        expect_nothing(&second);
    }
}

#[test]
fn a_peer_waits_for_one_without_room_and_discards_nothing() {
    let context = context();
    let hub = socket(&context, SocketType::Peer);
    hub.set_send_high_water_mark(2).unwrap();
    let endpoint = hub.bind("inproc://full").unwrap();
    let other = socket(&context, SocketType::Peer);
    other.set_receive_high_water_mark(2).unwrap();
    let to_hub = other.connect_peer(&endpoint).unwrap();
    other.send(Message::from("hello").with_routing_id(to_hub)).unwrap();
    let id = hub.recv().unwrap().routing_id().unwrap();
    (0..4).for_each(|n| hub.try_send(number(n).with_routing_id(id)).unwrap());
    assert_eq!(errno(hub.try_send(number(4).with_routing_id(id))), "EAGAIN");
    thread::scope(|scope| {
        scope.spawn(|| (4..100).for_each(|n| hub.send(number(n).with_routing_id(id)).unwrap()));
        expect_numbers(&other, 0..100);
    });
}

#[test]
fn messages_of_several_frames_are_refused_and_discarded() {
    let context = context();
    let (one, endpoint) = bound(&context, SocketType::Peer, "tcp://127.0.0.1:*");
    let other = socket(&context, SocketType::Peer);
    let id = other.connect_peer(&endpoint).unwrap();
    assert_eq!(errno(other.send(frames(["a", "b"]).with_routing_id(id))), "EINVAL");
    assert_eq!(errno(other.send("to nobody")), "EINVAL");
    let mut stranger = TcpStream::connect(endpoint.replace("tcp://", "")).unwrap();
    shake_hands(&mut stranger, "PEER");
    stranger.write_all(b"\x01\x01a\x00\x01b\x00\x04good").unwrap();
    expect(&one, "good");
    expect_nothing(&one);
}

#[test]
fn peers_talk_in_any_order_and_to_many() {
    let count = scaled(500);
    for endpoint in TRANSPORTS {
        let context = context();
        let (hub, endpoint) = bound(&context, SocketType::Peer, endpoint);
        thread::scope(|scope| {
            for _ in 0..4 {
                let peer = connected(&context, SocketType::Peer, &endpoint);
                peer.disconnect(&endpoint).unwrap();
                let id = peer.connect_peer(&endpoint).unwrap();
                scope.spawn(move || {
                    for n in 0..count {
                        peer.send(number(n).with_routing_id(id)).unwrap();
                        let echo = peer.recv().unwrap();
                        assert_eq!((number_in(&echo), echo.routing_id()), (n, Some(id)));
                    }
                });
            }
            for _ in 0..2 {
                scope.spawn(|| {
                    (0..2 * count).for_each(|_| hub.send(hub.recv().unwrap()).unwrap());
                });
            }
        });
    }
}
