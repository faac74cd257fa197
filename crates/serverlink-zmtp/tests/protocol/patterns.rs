//! Subscriptions to patterns, an extension of ours: who says that it takes them, and who hears of
//! them.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use serverlink_zmtp::{
    ApiMisuse, Config, Connection, Error, MAX_PATTERN_LEN, PATTERNS_PROPERTY, PeerMisbehaved,
    SocketType, encode_pattern,
};

use crate::support::{
    Older, Pair, Seen, drain, established, established_by, raw_command, raw_greeting, raw_property,
};

#[test]
fn publishers_say_that_they_take_patterns_and_others_do_not() {
    for (ours, theirs, takes) in [
        (SocketType::Sub, SocketType::Pub, true),
        (SocketType::XSub, SocketType::XPub, true),
        (SocketType::Pub, SocketType::Sub, false),
        (SocketType::Pull, SocketType::Push, false),
    ] {
        let mut pair = Pair::new([Config::new(ours), Config::new(theirs)]);
        pair.settle();
        assert_eq!(pair.ends[0].peer().map(|peer| peer.takes_patterns()), Some(takes), "{theirs}");
    }
}

#[test]
fn only_who_says_so_takes_patterns() {
    let now = Instant::now();
    for (name, value, takes) in [
        ("X-ServerLink-Patterns", "1", true),
        ("x-serverlink-patterns", "1", true),
        ("X-ServerLink-Patterns", "2", false),
        ("X-ServerLink-Patterns", "", false),
        ("X-Patterns", "1", false),
    ] {
        let properties =
            [raw_property("Socket-Type", b"PUB"), raw_property(name, value.as_bytes())].concat();
        let handshake = [raw_greeting(3, 1, "NULL"), raw_command("READY", &properties)].concat();
        let sub = established_by(Config::new(SocketType::Sub), handshake, now);
        assert_eq!(sub.peer().unwrap().takes_patterns(), takes, "{name}: {value}");
    }
    for older in Older::ALL {
        let handshake = older.handshake(SocketType::Pub, b"");
        let sub = established_by(Config::new(SocketType::Sub), handshake, now);
        assert!(!sub.peer().unwrap().takes_patterns(), "{older:?}");
    }
}

#[test]
fn the_property_is_not_the_applications_to_set() {
    let mut config = Config::new(SocketType::Sub);
    config.metadata = vec![(PATTERNS_PROPERTY.to_lowercase(), Bytes::from_static(b"1"))];
    let now = Instant::now();
    let error = Connection::new(config, now).next_event(now).unwrap_err();
    assert!(matches!(error, Error::ApiMisuse(ApiMisuse::PropertyName(_))), "{error}");
}

#[test]
fn a_publisher_hears_who_subscribes_to_patterns() {
    let long = vec![b'?'; MAX_PATTERN_LEN];
    for ours in [SocketType::Pub, SocketType::XPub] {
        let now = Instant::now();
        let mut publisher = established(Config::new(ours), SocketType::Sub, now);
        let mut bytes = BytesMut::new();
        encode_pattern(&mut bytes, b"news.*", true);
        encode_pattern(&mut bytes, b"", true);
        encode_pattern(&mut bytes, b"news.*", false);
        encode_pattern(&mut bytes, &long, true);
        let direct = [
            raw_command("PSUBSCRIBE", b"news.*"),
            raw_command("PSUBSCRIBE", b""),
            raw_command("PCANCEL", b"news.*"),
            raw_command("PSUBSCRIBE", &long),
        ];
        assert_eq!(bytes, direct.concat()[..]);
        publisher.feed(bytes.freeze(), now);
        assert_eq!(
            drain(&mut publisher, now),
            Ok(vec![
                Seen::SubscribePattern("news.*".into()),
                Seen::SubscribePattern("".into()),
                Seen::CancelPattern("news.*".into()),
                Seen::SubscribePattern(long.clone().into()),
            ])
        );
    }
}

#[test]
fn a_pattern_that_is_too_long_breaks_the_protocol() {
    for (name, subscribe) in [("PSUBSCRIBE", true), ("PCANCEL", false)] {
        let now = Instant::now();
        let mut publisher = established(Config::new(SocketType::Pub), SocketType::Sub, now);
        let mut bytes = BytesMut::new();
        encode_pattern(&mut bytes, &[b'*'; MAX_PATTERN_LEN + 1], subscribe);
        publisher.feed(bytes.freeze(), now);
        let error = drain(&mut publisher, now).unwrap_err();
        assert!(
            matches!(&error, Error::PeerMisbehaved(PeerMisbehaved::MalformedCommand { command, .. })
                if *command == name),
            "{error}"
        );
    }
}

#[test]
fn nobody_else_hears_of_patterns() {
    for (ours, theirs) in
        [(SocketType::Sub, SocketType::Pub), (SocketType::Radio, SocketType::Dish)]
    {
        let now = Instant::now();
        let mut connection = established(Config::new(ours), theirs, now);
        let bytes = [
            raw_command("PSUBSCRIBE", &[b'*'; 300]),
            raw_command("PCANCEL", b"x"),
            raw_command("PING", b"\0\0"),
        ];
        connection.feed(bytes.concat().into(), now);
        assert_eq!(drain(&mut connection, now), Ok(vec![Seen::Ping]));
    }
}
