//! What sockets drop is counted for each peer.

use std::io::Write;

use serverlink::{Message, PeerStatistics, Socket, SocketType};

use crate::harness::{
    STREAMS, TRANSPORTS, await_peers, bound, connected, context, eventually, expect, frames,
    number, shake_hands, socket, vacancies, vacant,
};

fn statistics(socket: &Socket) -> PeerStatistics {
    let peers = socket.peers();
    assert_eq!(peers.len(), 1, "{peers:?}");
    peers[0].statistics
}

/// A socket that sends with the least high-water mark, to one within the process.
fn narrow(endpoint: &str, binds: SocketType, connects: SocketType) -> (Socket, Socket) {
    let context = context();
    let [one, other] = [binds, connects].map(|socket_type| {
        let socket = socket(&context, socket_type);
        socket.set_send_high_water_mark(1).unwrap();
        socket.set_receive_high_water_mark(1).unwrap();
        socket
    });
    other.set_routing_id("other").unwrap();
    one.bind(endpoint).unwrap();
    other.connect(endpoint).unwrap();
    (one, other)
}

#[test]
fn a_radio_counts_what_a_dish_does_not_get() {
    let (radio, dish) = narrow("inproc://radio", SocketType::Radio, SocketType::Dish);
    dish.join("group").unwrap();
    (0..10).for_each(|_| radio.send(Message::from("x").with_group("group")).unwrap());
    // Nobody has joined this one: nothing is dropped.
    radio.send(Message::from("x").with_group("other")).unwrap();
    let counted = statistics(&radio);
    assert_eq!((counted.messages_sent, counted.dropped), (2, 8));
    dish.recv().unwrap();
    dish.recv().unwrap();
    radio.send(Message::from("more").with_group("group")).unwrap();
    assert_eq!(statistics(&radio).dropped, 8);
}

#[test]
fn an_xpub_counts_what_a_subscriber_does_not_get() {
    let (xpub, xsub) = narrow("inproc://xpub", SocketType::XPub, SocketType::XSub);
    xsub.send("\u{1}").unwrap();
    (0..10).for_each(|_| xpub.send("x").unwrap());
    assert_eq!(statistics(&xpub).dropped, 8);
    // And so does the other side.
    (0..10).for_each(|_| xsub.send("upstream").unwrap());
    assert_eq!(statistics(&xsub).dropped, 0, "an XPUB reads at once");
}

#[test]
fn a_rep_counts_replies_that_nobody_takes() {
    let context = context();
    let (rep, endpoint) = bound(&context, SocketType::Rep, "tcp://127.0.0.1:*");
    drop((rep, endpoint));
    let rep = socket(&context, SocketType::Rep);
    rep.set_send_high_water_mark(1).unwrap();
    rep.set_receive_high_water_mark(1000).unwrap();
    rep.bind("inproc://rep").unwrap();
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_send_high_water_mark(1000).unwrap();
    dealer.set_receive_high_water_mark(1).unwrap();
    dealer.connect("inproc://rep").unwrap();
    for _ in 0..10 {
        dealer.send(frames(["", "request"])).unwrap();
        rep.recv().unwrap();
        rep.send("reply").unwrap();
    }
    let counted = statistics(&rep);
    assert_eq!((counted.messages_sent, counted.dropped), (2, 8));
    assert_eq!(statistics(&dealer).queued_incoming, 2);
}

#[test]
fn a_stream_counts_what_a_lost_connection_did_not_take() {
    let context = context();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = socket(&context, SocketType::Stream);
    stream.set_send_high_water_mark(0).unwrap();
    stream.set_connect_routing_id("peer").unwrap();
    stream.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    expect(&stream, frames(["peer", ""]));
    let send = || stream.send(["peer".into(), vec![7; 100_000]].into_iter().collect::<Message>());
    // More than the kernel takes from one that reads nothing.
    (0..200).for_each(|_| send().unwrap());
    drop((accepted, listener));
    // Those of a write that failed are counted before those behind it, which wait for the end.
    eventually("for all of them to be counted", || {
        let counted = statistics(&stream);
        counted.dropped > 0
            && counted.messages_sent + counted.dropped >= 200
            && (counted.queued_outgoing, counted.queued_outgoing_bytes) == (0, 0)
    });
}

#[test]
fn what_waits_is_told_in_bytes_too() {
    for socket_type in [SocketType::Push, SocketType::Dealer] {
        let context = context();
        let push = socket(&context, socket_type);
        push.connect(&vacant(&context)).unwrap();
        push.send(vec![7; 100]).unwrap();
        push.send(vec![7; 1000]).unwrap();
        let counted = statistics(&push);
        // Headers of 2 and of 9 bytes.
        assert_eq!((counted.queued_outgoing, counted.queued_outgoing_bytes), (2, 1111));
    }
}

#[test]
fn a_peer_was_heard_when_it_last_sent_something() {
    for endpoint in STREAMS.into_iter().filter(|endpoint| endpoint.starts_with("tcp")) {
        let context = context();
        let (pull, endpoint) = bound(&context, SocketType::Pull, endpoint);
        let address = endpoint.trim_start_matches("tcp://");
        let mut client = std::net::TcpStream::connect(address).unwrap();
        shake_hands(&mut client, "PUSH");
        eventually("for the peer", || pull.peer_count() == 1);
        let heard = statistics(&pull).last_heard.unwrap();
        assert_eq!(statistics(&pull).last_heard, Some(heard), "nothing has come");
        client.write_all(b"\0\x01x").unwrap();
        expect(&pull, "x");
        assert!(statistics(&pull).last_heard.unwrap() > heard);
    }
}

#[test]
fn messages_that_newer_ones_replace_are_counted_where_they_wait() {
    let context = context();
    for endpoint in vacancies(&context) {
        let push = socket(&context, SocketType::Push);
        push.set_conflate(true).unwrap();
        push.connect(&endpoint).unwrap();
        (0..10).for_each(|n| push.send(number(n)).unwrap());
        let counted = statistics(&push);
        assert_eq!((counted.dropped, counted.queued_outgoing), (9, 1));
    }
    for endpoint in TRANSPORTS {
        let (push, endpoint) = bound(&context, SocketType::Push, endpoint);
        let pull = socket(&context, SocketType::Pull);
        pull.set_conflate(true).unwrap();
        pull.connect(&endpoint).unwrap();
        await_peers(&push, 1);
        (0..10).for_each(|n| push.send(number(n)).unwrap());
        eventually("for all to arrive", || statistics(&pull).dropped == 9);
        expect(&pull, number(9));
        assert_eq!(statistics(&pull).dropped, 9);
        // Within the process it waits for both.
        let expected = if endpoint.starts_with("inproc") { 9 } else { 0 };
        assert_eq!(statistics(&push).dropped, expected);
    }
}

#[test]
fn datagrams_that_are_not_kept_are_counted() {
    for socket_type in [SocketType::Dish, SocketType::Dgram] {
        let context = context();
        let receiver = socket(&context, socket_type);
        receiver.set_receive_high_water_mark(10).unwrap();
        let endpoint = receiver.bind("udp://127.0.0.1:*").unwrap();
        let address = endpoint.strip_prefix("udp://").unwrap();
        let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // A group, or what a DGRAM takes for a body.
        (0..50).for_each(|_| _ = stranger.send_to(b"\x01gx", address).unwrap());
        eventually("for all to arrive", || {
            let counted = statistics(&receiver);
            (counted.queued_incoming, counted.dropped) == (10, 40)
        });
    }
}

#[test]
fn datagrams_that_the_system_does_not_send_are_counted() {
    let context = context();
    let (_dish, endpoint) = bound(&context, SocketType::Dish, "udp://127.0.0.1:*");
    let radio = connected(&context, SocketType::Radio, &endpoint);
    radio.send(Message::from("fits").with_group("group")).unwrap();
    assert_eq!(statistics(&radio).dropped, 0);
    radio.send(Message::from(vec![0; 70_000]).with_group("group")).unwrap();
    assert_eq!(statistics(&radio).dropped, 1);
}
