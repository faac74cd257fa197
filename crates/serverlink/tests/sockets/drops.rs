//! What sockets drop is counted for each peer.

use std::io::Write;

use serverlink::{Message, PeerStatistics, Socket, SocketType};

use crate::harness::{
    STREAMS, bound, context, eventually, expect, frames, shake_hands, socket, vacant,
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
    eventually("for the end", || statistics(&stream).dropped > 0);
    let counted = statistics(&stream);
    assert!(counted.messages_sent + counted.dropped >= 200, "{counted:?}");
    assert_eq!((counted.queued_outgoing, counted.queued_outgoing_bytes), (0, 0));
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
