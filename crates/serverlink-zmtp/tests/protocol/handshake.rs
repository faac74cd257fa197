//! Greeting and NULL handshake (RFC 37, "Version Negotiation", "The NULL Security Mechanism").

use std::time::{Duration, Instant};

use bytes::Bytes;
use serverlink_zmtp::{
    ApiMisuse, Config, Connection, Error, Event, PeerIncompatible, PeerMisbehaved, SocketType,
    TimedOut, Version,
};

use crate::support::{
    self, Pair, Seen, raw_command, raw_frame, raw_greeting, raw_handshake, raw_property,
};

/// What a connection says to these bytes from its peer.
fn answer(config: Config, bytes: &[u8]) -> (Connection, Result<Vec<Seen>, Error>) {
    let now = Instant::now();
    let mut connection = Connection::new(config, now);
    connection.take_output();
    connection.feed(Bytes::copy_from_slice(bytes), now);
    let seen = support::drain(&mut connection, now);
    (connection, seen)
}

fn error_of(bytes: &[u8]) -> Error {
    answer(Config::new(SocketType::Pull), bytes).1.expect_err("a bad handshake")
}

fn ready_with(properties: &[Vec<u8>]) -> Vec<u8> {
    [raw_greeting(3, 1, "NULL"), raw_command("READY", &properties.concat())].concat()
}

#[test]
fn compatible_sockets_become_ready_and_know_each_other() {
    let mut dealer = Config::new(SocketType::Dealer);
    dealer.routing_id = Bytes::from_static(b"me");
    dealer.metadata = vec![("X-App".into(), Bytes::from_static(b"demo"))];
    let router = Config::new(SocketType::Router);
    let mut pair = Pair::new([dealer, router]);
    pair.settle();
    assert_eq!(pair.seen[0], [Seen::Ready(SocketType::Router, Bytes::new())]);
    assert_eq!(pair.seen[1], [Seen::Ready(SocketType::Dealer, Bytes::from_static(b"me"))]);
    let peer = pair.ends[1].peer().expect("a peer");
    assert_eq!(peer.version, Version::V3_1);
    assert_eq!(peer.property("x-app"), Some(&Bytes::from_static(b"demo")));
    assert!(!peer.as_server);
    pair.send(0, &[b"a", b"b"]);
    assert_eq!(pair.seen[1][1..], [Seen::frame("a", true), Seen::frame("b", false)]);
}

#[test]
fn every_pair_of_types_is_accepted_or_refused_by_both_sides() {
    for ours in SocketType::ALL {
        for theirs in SocketType::ALL {
            let mut pair = Pair::new([Config::new(ours), Config::new(theirs)]);
            pair.settle();
            let ready = pair.ends.each_ref().map(Connection::is_ready);
            assert_eq!(ready, [ours.is_compatible_with(theirs); 2], "{ours} with {theirs}");
        }
    }
}

#[test]
fn greeting_and_ready_are_sent_at_once_where_no_older_peers_are_admitted() {
    let now = Instant::now();
    let mut config = Config::new(SocketType::Pull);
    config.older_peers = false;
    let mut connection = Connection::new(config, now);
    assert_eq!(connection.take_output().expect("a greeting"), raw_handshake(SocketType::Pull));
    assert_eq!(connection.take_output(), None);
}

/// Signature, version, all the rest: each as soon as it cannot be wrong.
#[test]
fn the_greeting_is_sent_as_far_as_the_peers_allows_it() {
    let now = Instant::now();
    let ours = raw_handshake(SocketType::Pull);
    let mut connection = Connection::new(Config::new(SocketType::Pull), now);
    let mut sent = connection.take_output().expect("a signature").to_vec();
    for (index, byte) in raw_handshake(SocketType::Push).into_iter().enumerate() {
        let expected = if index < 10 {
            10
        } else if index < 11 {
            11
        } else {
            ours.len()
        };
        assert_eq!(sent, ours[..expected], "{index}");
        connection.feed(vec![byte].into(), now);
        support::drain(&mut connection, now).expect("a good handshake");
        sent.extend(connection.take_output().unwrap_or_default());
    }
    assert_eq!(sent, ours);
    assert!(connection.is_ready());
}

#[test]
fn incompatible_types_are_told_in_an_error_command() {
    let (mut connection, seen) =
        answer(Config::new(SocketType::Pull), &raw_handshake(SocketType::Pub));
    assert_eq!(
        seen,
        Err(Error::PeerIncompatible(PeerIncompatible::SocketType {
            ours: SocketType::Pull,
            theirs: "PUB".into()
        }))
    );
    let output = connection.take_output().expect("an ERROR command");
    // Behind what was left of the greeting, and READY.
    assert!(output.ends_with(&raw_command("ERROR", b"\x17PULL-cannot-talk-to-PUB")));
    assert!(!connection.is_ready());
    assert_eq!(connection.peer(), None);
}

#[test]
fn an_error_command_is_a_refusal_during_and_right_after_the_handshake() {
    let refusal = raw_command("ERROR", b"\x09no\x01\xff entr and more");
    let refused = Error::Refused { reason: "no\\x01\\xff entr".into() };
    assert_eq!(error_of(&[raw_greeting(3, 1, "NULL"), refusal.clone()].concat()), refused);
    assert_eq!(error_of(&[raw_handshake(SocketType::Push), refusal].concat()), refused);
    let cut = [raw_greeting(3, 1, "NULL"), raw_command("ERROR", b"\x09no")].concat();
    assert!(matches!(
        error_of(&cut),
        Error::PeerMisbehaved(PeerMisbehaved::MalformedCommand { command: "ERROR", .. })
    ));
}

#[test]
fn higher_versions_are_accepted_and_padding_is_ignored() {
    for (major, minor) in [(3, 0), (3, 1), (3, 9), (4, 0), (255, 255)] {
        let mut bytes = raw_handshake(SocketType::Push);
        bytes[1..9].fill(0xa5);
        (bytes[10], bytes[11]) = (major, minor);
        let (connection, seen) = answer(Config::new(SocketType::Pull), &bytes);
        assert!(seen.is_ok(), "{seen:?}");
        assert_eq!(connection.peer().map(|peer| peer.version), Some(Version(major, minor)));
    }
}

#[test]
fn older_versions_that_are_not_admitted_are_named() {
    let versioned = |revision| {
        let mut greeting = raw_greeting(3, 1, "NULL");
        greeting[10] = revision;
        greeting.truncate(12);
        greeting
    };
    let long_identity = b"\xff\0\0\0\0\0\0\x01\x2c\0";
    for (bytes, version) in [
        (&b"\x01\x00"[..], Version(1, 0)),
        (b"\x06\x00ident", Version(1, 0)),
        (long_identity, Version(1, 0)),
        (&versioned(0), Version(1, 0)),
        (&versioned(1), Version(2, 0)),
        (&versioned(2), Version(2, 1)),
    ] {
        let mut config = Config::new(SocketType::Pull);
        config.older_peers = false;
        let seen = answer(config, bytes).1;
        assert_eq!(seen, Err(Error::PeerIncompatible(PeerIncompatible::Version(version))));
    }
    // There never was such a version.
    assert_eq!(
        error_of(&versioned(2)),
        Error::PeerIncompatible(PeerIncompatible::Version(Version(2, 1)))
    );
}

#[test]
fn a_peer_that_speaks_something_else_is_quoted() {
    let error = error_of(b"GET / HTTP/1.1\r\nHost: x");
    assert_eq!(
        error,
        Error::PeerIncompatible(PeerIncompatible::NotZmtp("GET / HTTP/1.1\\r\\n".into()))
    );
    assert!(error.to_string().contains("check the address"));
    // A long routing id with flags that nobody ever sent.
    let error = error_of(b"\xff\0\0\0\0\0\0\x01\x00\x40");
    assert!(matches!(error, Error::PeerIncompatible(PeerIncompatible::NotZmtp(_))), "{error}");
}

#[test]
fn another_mechanism_is_named() {
    for (theirs, printed) in [("CURVE", "CURVE"), ("NULLX", "NULLX"), ("", ""), ("\x01", "\\x01")] {
        assert_eq!(
            error_of(&raw_greeting(3, 1, theirs)),
            Error::PeerIncompatible(PeerIncompatible::Mechanism {
                ours: "NULL",
                theirs: printed.into()
            })
        );
    }
}

#[test]
fn property_names_are_read_in_any_case_and_unknown_ones_are_kept() {
    let bytes = ready_with(&[
        raw_property("socket-TYPE", b"Push"),
        raw_property("Resource", b"r"),
        raw_property("X-Empty", b""),
        raw_property("Identity", b"ignored for PUSH"),
    ]);
    let (connection, seen) = answer(Config::new(SocketType::Pull), &bytes);
    assert_eq!(seen, Ok(vec![Seen::Ready(SocketType::Push, Bytes::new())]));
    let names: Vec<_> =
        connection.peer().expect("a peer").properties.iter().map(|(name, _)| &name[..]).collect();
    assert_eq!(names, ["Resource", "X-Empty"]);
}

#[test]
fn malformed_ready_commands_are_refused() {
    let push = || raw_property("Socket-Type", b"PUSH");
    let misbehaved = |bytes: &[u8]| match error_of(bytes) {
        Error::PeerMisbehaved(error) => error,
        error => panic!("{error}"),
    };
    assert_eq!(misbehaved(&ready_with(&[])), PeerMisbehaved::NoSocketType);
    assert_eq!(
        misbehaved(&ready_with(&[push(), raw_property("socket-type", b"PUSH")])),
        PeerMisbehaved::DuplicateProperty("socket-type".into())
    );
    assert_eq!(
        misbehaved(&ready_with(&[push(), raw_property("X-a", b""), raw_property("x-A", b"")])),
        PeerMisbehaved::DuplicateProperty("x-A".into())
    );
    let many: Vec<_> = (0..129).map(|n| raw_property(&format!("X-{n}"), b"")).collect();
    assert_eq!(misbehaved(&ready_with(&many)), PeerMisbehaved::TooManyProperties(128));
    for cut in 1..push().len() {
        let bytes = ready_with(&[push()[..cut].to_vec()]);
        assert!(
            matches!(misbehaved(&bytes), PeerMisbehaved::MalformedCommand { command: "READY", .. }),
            "cut after {cut}"
        );
    }
    assert!(matches!(
        misbehaved(&ready_with(&[raw_property("", b"x")])),
        PeerMisbehaved::MalformedCommand { .. }
    ));
}

#[test]
fn routing_ids_of_peers_are_checked() {
    let router_hears = |id: &[u8]| {
        let bytes =
            ready_with(&[raw_property("Socket-Type", b"DEALER"), raw_property("Identity", id)]);
        answer(Config::new(SocketType::Router), &bytes).1
    };
    assert!(router_hears(&[1; 255]).is_ok());
    for id in [&[1; 256][..], &[0, 1]] {
        assert!(matches!(
            router_hears(id),
            Err(Error::PeerMisbehaved(PeerMisbehaved::RoutingId(_)))
        ));
    }
}

#[test]
fn only_ready_may_come_before_traffic() {
    let after_greeting = |frame: Vec<u8>| error_of(&[raw_greeting(3, 1, "NULL"), frame].concat());
    assert_eq!(after_greeting(raw_frame(0, b"hi")), PeerMisbehaved::MessageBeforeReady.into());
    assert_eq!(
        after_greeting(raw_command("PING", b"\0\0")),
        PeerMisbehaved::UnexpectedCommand("PING".into()).into()
    );
    for body in [&b""[..], b"\x00", b"\x06READY"] {
        assert!(matches!(
            after_greeting(raw_frame(4, body)),
            Error::PeerMisbehaved(PeerMisbehaved::MalformedCommand { .. })
        ));
    }
}

#[test]
fn the_handshake_takes_no_more_than_64_kib() {
    let command = |len: u64| {
        let mut bytes = raw_greeting(3, 1, "NULL");
        bytes.push(6);
        bytes.extend(len.to_be_bytes());
        bytes
    };
    assert_eq!(
        error_of(&command(65_537)),
        PeerMisbehaved::FrameTooLong { length: 65_537, limit: 65_536 }.into()
    );
    assert_eq!(answer(Config::new(SocketType::Pull), &command(65_536)).1, Ok(vec![]));
    let large = ready_with(&[
        raw_property("Socket-Type", b"PUSH"),
        raw_property("X-Large", &vec![1; 65_000]),
    ]);
    assert!(answer(Config::new(SocketType::Pull), &large).0.is_ready());
}

#[test]
fn a_small_limit_on_messages_lets_the_handshake_pass() {
    let mut config = Config::new(SocketType::Pull);
    config.max_message_size = Some(1);
    let ping = raw_command("PING", b"\0\0sixteen bytes ok");
    let bytes = [raw_handshake(SocketType::Push), ping].concat();
    assert_eq!(
        answer(config, &bytes).1,
        Ok(vec![Seen::Ready(SocketType::Push, Bytes::new()), Seen::Ping])
    );
}

#[test]
fn a_handshake_that_takes_too_long_is_given_up() {
    let now = Instant::now();
    let mut config = Config::new(SocketType::Pull);
    config.handshake_timeout = Some(Duration::from_secs(3));
    let mut connection = Connection::new(config, now);
    let deadline = now + Duration::from_secs(3);
    assert_eq!(connection.next_timeout(), Some(deadline));
    connection.feed(raw_greeting(3, 1, "NULL").into(), now);
    assert!(matches!(connection.next_event(now), Ok(None)));
    assert_eq!(connection.handle_timeout(deadline - Duration::from_nanos(1)), Ok(()));
    let late = Error::TimedOut(TimedOut::Handshake(Duration::from_secs(3)));
    assert_eq!(connection.handle_timeout(deadline), Err(late.clone()));
    assert_eq!(connection.next_event(deadline).err(), Some(late));
    assert_eq!(connection.next_timeout(), None);
}

#[test]
fn a_completed_handshake_has_no_deadline() {
    let now = Instant::now();
    let mut connection = support::established(Config::new(SocketType::Pull), SocketType::Push, now);
    assert_eq!(connection.next_timeout(), None);
    assert_eq!(connection.handle_timeout(now + Duration::from_secs(3600)), Ok(()));
    assert!(connection.is_ready());
}

#[test]
fn an_impossible_configuration_is_an_error_and_sends_nothing() {
    let refused = |change: fn(&mut Config)| {
        let now = Instant::now();
        let mut config = Config::new(SocketType::Dealer);
        change(&mut config);
        let mut connection = Connection::new(config, now);
        assert_eq!(connection.take_output(), None);
        match connection.next_event(now) {
            Err(Error::ApiMisuse(misuse)) => misuse,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(refused(|c| c.routing_id = vec![1; 256].into()), ApiMisuse::RoutingId);
    assert_eq!(refused(|c| c.routing_id = vec![0].into()), ApiMisuse::RoutingId);
    for name in ["", "identity", "Socket-Type", "é"] {
        let mut config = Config::new(SocketType::Dealer);
        config.metadata = vec![(name.into(), Bytes::new())];
        let mut connection = Connection::new(config, Instant::now());
        let event = connection.next_event(Instant::now());
        assert!(matches!(event, Err(Error::ApiMisuse(ApiMisuse::PropertyName(_)))), "{name}");
    }
    assert!(matches!(
        refused(|c| c.metadata = vec![("X".into(), Bytes::new()), ("x".into(), Bytes::new())]),
        ApiMisuse::PropertyName(_)
    ));
    assert!(matches!(
        refused(|c| c.metadata = vec![("X".into(), vec![0; 65_536].into())]),
        ApiMisuse::MetadataTooLarge(_)
    ));
}

#[test]
fn the_largest_metadata_we_may_send_is_accepted_by_ourselves() {
    let mut config = Config::new(SocketType::Push);
    let others = 6 + raw_property("Socket-Type", b"PUSH").len() + raw_property("X-L", b"").len();
    config.metadata = vec![("X-L".into(), vec![7; 65_536 - others + 1].into())];
    let mut connection = Connection::new(config.clone(), Instant::now());
    assert_eq!(
        connection.next_event(Instant::now()).err(),
        Some(ApiMisuse::MetadataTooLarge(65_537).into())
    );
    config.metadata = vec![("X-L".into(), vec![7; 65_536 - others].into())];
    let mut pair = Pair::new([config, Config::new(SocketType::Pull)]);
    pair.settle();
    assert_eq!(pair.errors, [None, None]);
    assert!(pair.ends.iter().all(Connection::is_ready));
}

#[test]
fn ready_comes_before_the_messages_that_arrived_with_it() {
    let bytes = [raw_handshake(SocketType::Push), raw_frame(0, b"early")].concat();
    let now = Instant::now();
    let mut connection = Connection::new(Config::new(SocketType::Pull), now);
    connection.feed(bytes.into(), now);
    assert!(matches!(connection.next_event(now), Ok(Some(Event::Ready(_)))));
    assert!(connection.has_buffered_input());
    assert_eq!(support::drain(&mut connection, now), Ok(vec![Seen::frame("early", false)]));
    assert!(!connection.has_buffered_input());
}
