//! What libzmq 4.3.5 really sends, recorded from its sockets by a bare TCP peer.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use serverlink_zmtp::{Config, Connection, SocketType, Version};

use crate::support::{Seen, drain};

/// libzmq sends 10 bytes, waits for as many, then sends 11 and the rest.
const GREETING: [&str; 2] = [
    "ff00000000000000017f",
    "03014e554c4c0000000000000000000000000000000000000000000000000000\
     00000000000000000000000000000000000000000000",
];
const READY_PUSH_WITH_PROPERTY: &str =
    "04280552454144590b536f636b65742d54797065000000045055534805582d4170700000000464656d6f";
const READY_SUB: &str = "04190552454144590b536f636b65742d5479706500000003535542";
const READY_REQ: &str =
    "04260552454144590b536f636b65742d5479706500000003524551084964656e7469747900000000";
/// With the routing id "me".
const READY_DEALER: &str =
    "042b0552454144590b536f636b65742d54797065000000064445414c4552084964656e74697479000000026d65";
const READY_PULL: &str = "041a0552454144590b536f636b65742d547970650000000450554c4c";

fn bytes(hex: &str) -> Bytes {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let text = |pair: &[u8]| String::from_utf8(pair.to_vec()).expect("digits");
    digits.chunks(2).map(|pair| u8::from_str_radix(&text(pair), 16).expect("digits")).collect()
}

/// A connection that has heard libzmq's greeting and READY in the pieces in which it sends them.
fn greeted(ours: SocketType, ready: &str) -> (Connection, Vec<Seen>) {
    let now = Instant::now();
    let mut connection = Connection::new(Config::new(ours), now);
    for piece in GREETING {
        connection.feed(bytes(piece), now);
        assert_eq!(drain(&mut connection, now), Ok(vec![]));
    }
    connection.feed(bytes(ready), now);
    let seen = drain(&mut connection, now).expect("a good handshake");
    (connection, seen)
}

fn hear(connection: &mut Connection, hex: &str) -> Vec<Seen> {
    let now = Instant::now();
    connection.feed(bytes(hex), now);
    drain(connection, now).expect("good traffic")
}

#[test]
fn its_handshakes_are_understood() {
    let (dealer, seen) = greeted(SocketType::Router, READY_DEALER);
    assert_eq!(seen, [Seen::Ready(SocketType::Dealer, "me".into())]);
    assert_eq!(dealer.peer().map(|peer| peer.version), Some(Version::V3_1));
    let (_, seen) = greeted(SocketType::Rep, READY_REQ);
    assert_eq!(seen, [Seen::Ready(SocketType::Req, Bytes::new())]);
    let (push, _) = greeted(SocketType::Pull, READY_PUSH_WITH_PROPERTY);
    assert_eq!(push.peer().expect("a peer").property("X-App"), Some(&"demo".into()));
    let (_, seen) = greeted(SocketType::XPub, READY_SUB);
    assert_eq!(seen, [Seen::Ready(SocketType::Sub, Bytes::new())]);
}

#[test]
fn our_handshake_is_byte_for_byte_the_same() {
    let now = Instant::now();
    let mut dealer = Config::new(SocketType::Dealer);
    dealer.routing_id = Bytes::from_static(b"me");
    dealer.older_peers = false;
    let sent = Connection::new(dealer, now).take_output().expect("a greeting");
    // The routing id's length is in the padding.
    assert_eq!(sent[..10], bytes("ff00000000000000037f"));
    assert_eq!(sent[10..64], bytes(GREETING[1]));
    assert_eq!(sent[64..], bytes(READY_DEALER));
    for (kind, ready) in
        [(SocketType::Sub, READY_SUB), (SocketType::Req, READY_REQ), (SocketType::Pull, READY_PULL)]
    {
        let mut config = Config::new(kind);
        config.older_peers = false;
        let sent = Connection::new(config, now).take_output().expect("a greeting");
        assert_eq!(sent, bytes(&[GREETING[0], GREETING[1], ready].concat()));
    }
}

#[test]
fn its_messages_are_understood() {
    let (mut router, _) = greeted(SocketType::Router, READY_DEALER);
    let frames = ["01026869", "02000000000000012c", &"78".repeat(300)].concat();
    assert_eq!(
        hear(&mut router, &frames),
        [Seen::frame("hi", true), Seen::frame(vec![b'x'; 300], false)]
    );
    let (mut rep, _) = greeted(SocketType::Rep, READY_REQ);
    assert_eq!(hear(&mut rep, "0100000171"), [Seen::frame("", true), Seen::frame("q", false)]);
}

#[test]
fn its_subscriptions_to_3_1_and_to_3_0_peers_are_understood_and_ours_are_the_same() {
    for (subscribe, cancel, version) in [
        ("040d09535542534352494245746f70", "040a0643414e43454c746f70", Version::V3_1),
        ("000401746f70", "000400746f70", Version::V3_0),
    ] {
        let (mut publisher, _) = greeted(SocketType::Pub, READY_SUB);
        assert_eq!(
            hear(&mut publisher, &[subscribe, cancel].concat()),
            [Seen::Subscribe("top".into()), Seen::Cancel("top".into())]
        );
        for (expected, subscribes) in [(subscribe, true), (cancel, false)] {
            let mut out = BytesMut::new();
            serverlink_zmtp::encode_subscription(&mut out, version, b"top", subscribes);
            assert_eq!(out, bytes(expected));
        }
    }
}

#[test]
fn its_pings_are_answered_as_it_answers_ours() {
    let (mut pull, _) = greeted(SocketType::Pull, READY_PUSH_WITH_PROPERTY);
    pull.take_output();
    assert_eq!(hear(&mut pull, "04070450494e47000f"), [Seen::Ping]);
    assert_eq!(pull.take_output(), Some(bytes("040504504f4e47")));
    // Its answer to a PING with the context "ctx".
    let (mut push, _) = greeted(SocketType::Push, READY_PULL);
    assert_eq!(hear(&mut push, "040804504f4e47637478"), [Seen::Pong]);
    push.take_output();
    hear(&mut push, "040a0450494e470014637478");
    assert_eq!(push.take_output(), Some(bytes("040804504f4e47637478")));
}
