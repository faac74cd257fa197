//! Subscriptions are commands to peers that speak ZMTP 3.1, and messages to those that speak 3.0;
//! publishers take both from anyone.

use std::net::TcpListener;

use serverlink::SocketType::{self, Sub, XPub, XSub};
use serverlink_interop::{
    Contexts,
    Library::ServerLink,
    Peer,
    raw::{self, COMMAND, RawFrame, RawPeer},
};

/// How a peer says that it subscribes to a topic, or does no longer.
type Form = fn(bool, &str) -> Vec<u8>;

fn as_message(subscribe: bool, topic: &str) -> Vec<u8> {
    raw::frame(0, &[&[u8::from(subscribe)], topic.as_bytes()].concat())
}

fn as_command(subscribe: bool, topic: &str) -> Vec<u8> {
    raw::command(if subscribe { "SUBSCRIBE" } else { "CANCEL" }, topic.as_bytes())
}

fn publisher() -> (Peer, String) {
    let publisher = Contexts::new().open(ServerLink, XPub);
    let endpoint = publisher.bind();
    (publisher, endpoint)
}

fn subscribes(minor: u8, form: Form) {
    let (publisher, endpoint) = publisher();
    let mut subscriber = RawPeer::connect(&endpoint).shake_hands(minor, "SUB");
    for topic in ["a", "mark"] {
        subscriber.write(&form(true, topic));
        publisher.expect_subscription(true, topic);
    }
    publisher.send(["a", "wanted"]);
    assert_eq!(subscriber.frame().body, b"a");
    assert_eq!(subscriber.frame().body, b"wanted");
    subscriber.write(&form(false, "a"));
    publisher.expect_subscription(false, "a");
    publisher.send(["a", "unwanted"]);
    publisher.send(["mark"]);
    assert_eq!(subscriber.frame(), RawFrame { flags: 0, body: b"mark".to_vec() });
}

#[test]
fn a_3_0_peer_subscribes_with_messages() {
    subscribes(0, as_message);
}

#[test]
fn a_3_1_peer_subscribes_with_commands() {
    subscribes(1, as_command);
}

#[test]
fn a_3_1_peer_may_subscribe_with_messages() {
    subscribes(1, as_message);
}

#[test]
fn a_3_0_peer_may_subscribe_with_commands() {
    subscribes(0, as_command);
}

/// What a subscriber of ServerLink says to a publisher that speaks ZMTP 3.`minor`.
fn is_told(minor: u8, socket_type: SocketType, form: Form) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let subscriber = Contexts::new().open(ServerLink, socket_type);
    let subscribe = |on: bool, topic: &str| match (socket_type, on) {
        (XSub, _) => subscriber.send_subscription(on, topic),
        (_, true) => subscriber.subscribe(topic),
        (_, false) => subscriber.unsubscribe(topic),
    };
    subscribe(true, "early");
    subscriber.connect(&format!("tcp://{}", listener.local_addr().unwrap()));
    let mut publisher = RawPeer::accept(&listener).shake_hands(minor, "PUB");
    let mut expect = |on: bool, topic: &str| {
        let frame = publisher.frame();
        assert_eq!(raw::frame(frame.flags & COMMAND, &frame.body), form(on, topic), "{frame:?}");
    };
    expect(true, "early");
    for topic in ["late", "", &"long ".repeat(100)] {
        subscribe(true, topic);
        expect(true, topic);
        subscribe(false, topic);
        expect(false, topic);
    }
    publisher.write(&raw::frame(0, b"early bird"));
    subscriber.expect(["early bird"]);
}

#[test]
fn a_3_0_publisher_is_sent_messages_by_a_sub() {
    is_told(0, Sub, as_message);
}

#[test]
fn a_3_0_publisher_is_sent_messages_by_an_xsub() {
    is_told(0, XSub, as_message);
}

#[test]
fn a_3_1_publisher_is_sent_commands_by_a_sub() {
    is_told(1, Sub, as_command);
}

#[test]
fn a_3_1_publisher_is_sent_commands_by_an_xsub() {
    is_told(1, XSub, as_command);
}

/// An XPUB shows them to its user instead.
#[test]
fn other_messages_subscribe_to_nothing() {
    let (publisher, endpoint) = publisher();
    let mut subscriber = RawPeer::connect(&endpoint).shake_hands(1, "XSUB");
    for body in ["topic", "", "\u{2}topic"] {
        subscriber.write(&raw::frame(0, body.as_bytes()));
        publisher.expect([body]);
    }
    // There is nothing to cancel.
    subscriber.write(&as_message(false, "topic"));
    subscriber.write(&as_command(false, "topic"));
    subscriber.write(&as_command(true, "mark"));
    publisher.expect_subscription(true, "mark");
    publisher.send(["topic"]);
    publisher.send(["mark"]);
    assert_eq!(subscriber.frame().body, b"mark");
}
