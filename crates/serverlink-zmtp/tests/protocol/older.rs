//! Peers that speak ZMTP 2.0 (RFC 15) and ZMTP 1.0 (RFC 13), the latter with a version or without.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serverlink_zmtp::{
    Config, Connection, Error, Framing, Heartbeat, PeerIncompatible, PeerMisbehaved, SocketType,
    Version, encode_subscription,
};

use crate::support::{self, Older, Seen, drain, established_by};

/// What a connection says to these bytes from its peer.
fn answer(config: Config, bytes: &[u8]) -> (Connection, Result<Vec<Seen>, Error>) {
    let now = Instant::now();
    let mut connection = Connection::new(config, now);
    connection.feed(Bytes::copy_from_slice(bytes), now);
    let seen = drain(&mut connection, now);
    (connection, seen)
}

fn error_of(config: Config, bytes: &[u8]) -> Error {
    answer(config, bytes).1.expect_err("a bad peer")
}

fn misbehaved(config: Config, bytes: &[u8]) -> PeerMisbehaved {
    match error_of(config, bytes) {
        Error::PeerMisbehaved(error) => error,
        error => panic!("{error}"),
    }
}

fn ready(older: Older, socket_type: SocketType, routing_id: &'static str) -> Seen {
    match older {
        Older::Unversioned => Seen::ReadyUntold(routing_id.into()),
        _ => Seen::Ready(socket_type, routing_id.into()),
    }
}

fn dealer() -> Config {
    let mut config = Config::new(SocketType::Dealer);
    config.routing_id = Bytes::from_static(b"me");
    config
}

/// The signature counts the routing id as the header of its frame would, for the sake of ZMTP 1.0.
const SIGNATURE_OF_ME: &[u8] = b"\xff\0\0\0\0\0\0\0\x03\x7f";

#[test]
fn each_is_told_what_its_version_has() {
    for (older, rest) in [
        (Older::Unversioned, &b"me"[..]),
        (Older::Revision0, b"\x03\x05\x03\0me"),
        (Older::Revision1, b"\x03\x05\0\x02me"),
    ] {
        let theirs = older.handshake(SocketType::Router, b"you");
        let (mut connection, seen) = answer(dealer(), &theirs);
        assert_eq!(seen, Ok(vec![ready(older, SocketType::Router, "you")]));
        let sent = connection.take_output().expect("a greeting");
        assert_eq!(sent, [SIGNATURE_OF_ME, rest].concat(), "{older:?}");
        let version = connection.peer().expect("a peer").version;
        let expected = if older == Older::Revision1 { Version::V2_0 } else { Version::V1_0 };
        assert_eq!(version, expected);
    }
}

/// One that waits for our part before it goes on gets it.
#[test]
fn each_part_is_sent_as_soon_as_the_peers_version_shows() {
    for (older, known_at) in
        [(Older::Unversioned, 2), (Older::Revision0, 12), (Older::Revision1, 12)]
    {
        let now = Instant::now();
        let mut connection = Connection::new(dealer(), now);
        assert_eq!(connection.take_output(), Some(Bytes::from_static(SIGNATURE_OF_ME)));
        let theirs = older.handshake(SocketType::Router, b"you");
        for (index, byte) in theirs.iter().enumerate() {
            connection.feed(vec![*byte].into(), now);
            let seen = drain(&mut connection, now).expect("a good handshake");
            assert_eq!(seen.len(), usize::from(index + 1 == theirs.len()));
            let sent = connection.take_output().map_or(0, |sent| sent.len());
            let expected = match index + 1 {
                10 if older != Older::Unversioned => 1,
                known if known == known_at => match older {
                    Older::Unversioned => 2,
                    _ => 5,
                },
                _ => 0,
            };
            assert_eq!(sent, expected, "{older:?} after {} bytes", index + 1);
        }
    }
}

#[test]
fn a_routing_id_of_any_length_is_understood() {
    for older in Older::ALL {
        for len in [0, 1, 252, 253, 254, 255] {
            let id = vec![b'i'; len];
            let theirs = older.handshake(SocketType::Dealer, &id);
            let (connection, _) = answer(Config::new(SocketType::Router), &theirs);
            let peer = connection.peer().unwrap_or_else(|| panic!("{older:?}, {len}"));
            assert_eq!(peer.routing_id, id);
        }
    }
    // Flags as libzmq 2 sends them, and a length in the form that long frames have.
    for theirs in [&b"\x04\x7eyou"[..], b"\xff\0\0\0\0\0\0\0\x04\x00you", b"\x04\x01you"] {
        let (_, seen) = answer(Config::new(SocketType::Router), theirs);
        assert_eq!(seen, Ok(vec![Seen::ReadyUntold("you".into())]));
    }
    // An empty one in the long form is complete with its header.
    let (_, seen) = answer(Config::new(SocketType::Router), b"\xff\0\0\0\0\0\0\0\x01\x7e");
    assert_eq!(seen, Ok(vec![Seen::ReadyUntold("".into())]));
}

#[test]
fn routing_ids_are_checked() {
    for older in Older::ALL {
        let told = |id: &[u8]| {
            misbehaved(Config::new(SocketType::Router), &older.handshake(SocketType::Dealer, id))
        };
        assert!(matches!(told(&[0, 1]), PeerMisbehaved::RoutingId(_)), "{older:?}");
        assert_eq!(told(&[1; 256]), PeerMisbehaved::FrameTooLong { length: 256, limit: 255 });
    }
    let cut_in_two = [Older::Revision1.greeting(5), Older::Revision1.frame(true, b"you")].concat();
    assert!(matches!(
        misbehaved(Config::new(SocketType::Router), &cut_in_two),
        PeerMisbehaved::RoutingId(_)
    ));
}

#[test]
fn the_routing_id_of_types_that_have_none_is_not_looked_at() {
    let theirs = Older::Revision1.handshake(SocketType::Push, b"\0whatever");
    let (_, seen) = answer(Config::new(SocketType::Pull), &theirs);
    assert_eq!(seen, Ok(vec![Seen::Ready(SocketType::Push, Bytes::new())]));
}

#[test]
fn types_that_do_not_match_are_refused_before_the_routing_id_is_there() {
    for older in [Older::Revision0, Older::Revision1] {
        for ours in SocketType::ALL {
            let known =
                SocketType::ALL.into_iter().take_while(|&theirs| theirs <= SocketType::XSub);
            for (number, theirs) in known.enumerate() {
                let (connection, seen) = answer(Config::new(ours), &older.greeting(number as u8));
                let error = PeerIncompatible::SocketType { ours, theirs: theirs.to_string() };
                match ours.is_compatible_with(theirs) {
                    true => assert_eq!(seen, Ok(vec![])),
                    false => assert_eq!(seen, Err(error.into())),
                }
                assert!(!connection.is_ready());
            }
        }
        for number in [11, 0x7f, 0xff] {
            let error = error_of(Config::new(SocketType::Pull), &older.greeting(number));
            let theirs = format!("number {number}");
            let expected = PeerIncompatible::SocketType { ours: SocketType::Pull, theirs };
            assert_eq!(error, expected.into());
        }
    }
}

/// In RFC 15 there are no XPUB and XSUB.
#[test]
fn extended_types_call_themselves_by_the_plain_ones() {
    for (ours, theirs, number) in [
        (SocketType::XPub, SocketType::Sub, 1),
        (SocketType::Pub, SocketType::XSub, 1),
        (SocketType::XSub, SocketType::Pub, 2),
        (SocketType::Sub, SocketType::XPub, 2),
        (SocketType::Push, SocketType::Pull, 8),
    ] {
        let (mut connection, _) =
            answer(Config::new(ours), &Older::Revision1.handshake(theirs, b""));
        let sent = connection.take_output().expect("a greeting");
        assert_eq!(sent[10..], [3, number, 0, 0]);
    }
}

#[test]
fn a_peer_that_cannot_subscribe_gets_everything() {
    for ours in [SocketType::Pub, SocketType::XPub] {
        let theirs = |older: Older| older.handshake(SocketType::Sub, b"");
        let (_, seen) = answer(Config::new(ours), &theirs(Older::Unversioned));
        assert_eq!(seen, Ok(vec![Seen::ReadyUntold(Bytes::new()), Seen::Subscribe(Bytes::new())]));
        for older in [Older::Revision0, Older::Revision1] {
            let (_, seen) = answer(Config::new(ours), &theirs(older));
            assert_eq!(seen, Ok(vec![Seen::Ready(SocketType::Sub, Bytes::new())]));
        }
    }
    let (_, seen) = answer(Config::new(SocketType::Push), b"\x01\x00");
    assert_eq!(seen, Ok(vec![Seen::ReadyUntold(Bytes::new())]));
}

#[test]
fn subscriptions_are_messages() {
    for older in Older::ALL {
        let now = Instant::now();
        let handshake = older.handshake(SocketType::Sub, b"");
        let mut publisher = established_by(Config::new(SocketType::XPub), handshake, now);
        if older == Older::Unversioned {
            assert_eq!(drain(&mut publisher, now), Ok(vec![Seen::Subscribe(Bytes::new())]));
        }
        let long = vec![b'l'; 300];
        let told = [
            older.frame(false, b"\x01topic"),
            older.frame(false, b"\x00topic"),
            older.frame(false, &[b"\x01", &long[..]].concat()),
            older.frame(false, b"another message"),
        ];
        publisher.feed(told.concat().into(), now);
        assert_eq!(
            drain(&mut publisher, now),
            Ok(vec![
                Seen::Subscribe("topic".into()),
                Seen::Cancel("topic".into()),
                Seen::Subscribe(long.clone().into()),
                Seen::frame("another message", false),
            ])
        );

        let handshake = older.handshake(SocketType::Pub, b"");
        let subscriber = established_by(Config::new(SocketType::Sub), handshake, now);
        let version = subscriber.peer().expect("a peer").version;
        for (topic, subscribe) in [(&b"topic"[..], true), (b"", false), (&long, true)] {
            let mut out = BytesMut::new();
            encode_subscription(&mut out, version, topic, subscribe);
            assert_eq!(out, older.frame(false, &[&[u8::from(subscribe)], topic].concat()));
            let mut same = BytesMut::new();
            subscriber.subscribe(topic, subscribe, &mut same);
            assert_eq!(same, out);
        }
    }
}

#[test]
fn silence_is_no_sign_of_death_and_no_ping_is_sent() {
    for older in Older::ALL {
        let now = Instant::now();
        let mut config = Config::new(SocketType::Pull);
        let second = Duration::from_secs(1);
        config.heartbeat = Some(Heartbeat { interval: second, timeout: second, ttl: second });
        let handshake = older.handshake(SocketType::Push, b"");
        let mut connection = established_by(config, handshake, now);
        assert_eq!(connection.next_timeout(), None);
        assert_eq!(connection.handle_timeout(now + 100 * second), Ok(()));
        assert!(!connection.has_output());
    }
}

#[test]
fn a_handshake_that_is_not_completed_is_given_up() {
    for older in Older::ALL {
        let now = Instant::now();
        let mut connection = Connection::new(Config::new(SocketType::Router), now);
        let mut handshake = older.handshake(SocketType::Dealer, b"you");
        handshake.pop();
        connection.feed(handshake.into(), now);
        assert_eq!(drain(&mut connection, now), Ok(vec![]));
        assert_eq!(connection.next_timeout(), Some(now + Duration::from_secs(30)));
        assert!(connection.handle_timeout(now + Duration::from_secs(30)).is_err());
    }
}

#[test]
fn lengths_beyond_reason_are_an_error() {
    let after_handshake = |older: Older, bytes: &[u8]| {
        let theirs = [&older.handshake(SocketType::Push, b"")[..], bytes].concat();
        misbehaved(Config::new(SocketType::Pull), &theirs)
    };
    for len in [(1 << 63) + 1, u64::MAX] {
        let old = [&[255][..], &len.to_be_bytes(), &[0]].concat();
        for older in [Older::Revision0, Older::Unversioned] {
            assert_eq!(after_handshake(older, &old), PeerMisbehaved::FrameLength(len - 1));
        }
    }
    for len in [1 << 63, u64::MAX] {
        let present = [&[2][..], &u64::to_be_bytes(len)].concat();
        assert_eq!(after_handshake(Older::Revision1, &present), PeerMisbehaved::FrameLength(len));
    }
    for none in [&b"\0\0"[..], b"\xff\0\0\0\0\0\0\0\0\0"] {
        let old = after_handshake(Older::Unversioned, none);
        assert_eq!(old, PeerMisbehaved::NoRoomForFlags);
    }
}

#[test]
fn the_limit_on_messages_counts_bodies() {
    for older in Older::ALL {
        for (limit, len, allowed) in [(10, 10, true), (10, 11, false), (300, 300, true)] {
            let mut config = Config::new(SocketType::Pull);
            config.max_message_size = Some(limit);
            let body = vec![7; len];
            let handshake = older.handshake(SocketType::Push, b"a routing id of more bytes");
            let seen = answer(config, &[handshake, older.frame(false, &body)].concat()).1;
            match allowed {
                true => assert_eq!(seen.map(|seen| seen[1].clone()), Ok(Seen::frame(body, false))),
                false => assert!(seen.is_err(), "{older:?}"),
            }
        }
    }
}

#[test]
fn there_are_no_commands() {
    let ping = support::raw_command("PING", b"\0\0");
    let theirs = [Older::Revision1.handshake(SocketType::Push, b""), ping].concat();
    assert_eq!(misbehaved(Config::new(SocketType::Pull), &theirs), PeerMisbehaved::Flags(4));
    // In ZMTP 1.0 that is a flag without meaning, as are all that libzmq 2 sets.
    for older in [Older::Revision0, Older::Unversioned] {
        let theirs = [&older.handshake(SocketType::Push, b"")[..], b"\x02\x7fa\x02\x7ez"].concat();
        let seen = answer(Config::new(SocketType::Pull), &theirs).1.expect("good frames");
        assert_eq!(seen[1..], [Seen::frame("a", true), Seen::frame("z", false)]);
    }
}

#[test]
fn a_long_frame_can_be_read_straight_into_its_buffer() {
    for older in Older::ALL {
        let now = Instant::now();
        let handshake = older.handshake(SocketType::Push, b"");
        let mut pull = established_by(Config::new(SocketType::Pull), handshake, now);
        let body: Vec<u8> = (0..200_000).map(|index| index as u8).collect();
        let mut frame = older.frame(true, &body);
        let rest = frame.split_off(10);
        pull.feed(frame.into(), now);
        assert_eq!(drain(&mut pull, now), Ok(vec![]));
        let mut rest = &rest[..];
        while let Some(mut buffer) = pull.awaited_frame() {
            let room = (buffer.capacity() - buffer.len()).min(rest.len());
            buffer.extend_from_slice(&rest[..room]);
            rest = &rest[room..];
            pull.return_frame(buffer, now);
        }
        pull.feed(Bytes::copy_from_slice(rest), now);
        assert_eq!(drain(&mut pull, now), Ok(vec![Seen::frame(body, true)]));
    }
}

fn frames() -> impl Strategy<Value = Vec<(Vec<u8>, bool)>> {
    let len = prop_oneof![0..4_usize, 250..260_usize, 0..3000_usize];
    let body = (len, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]);
    proptest::collection::vec((body, any::<bool>()), 0..12)
}

fn any_older() -> impl Strategy<Value = Older> {
    proptest::sample::select(&Older::ALL[..])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_gives_the_same_events(
        older in any_older(),
        id in proptest::collection::vec(1..=255_u8, 0..=255),
        frames in frames(),
        cuts in proptest::collection::vec(1..400_usize, 1..40),
    ) {
        let mut stream = older.handshake(SocketType::Dealer, &id);
        let mut expected = vec![match older {
            Older::Unversioned => Seen::ReadyUntold(id.into()),
            _ => Seen::Ready(SocketType::Dealer, id.into()),
        }];
        let framing = if older.is_old_framing() { Framing::Old } else { Framing::Present };
        for (body, more) in frames {
            let (header, used) = framing.header(more, body.len() as u64);
            let frame = [&header[..used], &body].concat();
            prop_assert_eq!(&frame, &older.frame(more, &body));
            stream.extend(frame);
            expected.push(Seen::frame(body, more));
        }
        let now = Instant::now();
        let mut connection = Connection::new(Config::new(SocketType::Router), now);
        let mut seen = Vec::new();
        let mut stream = Bytes::from(stream);
        for cut in cuts.iter().cycle() {
            if stream.is_empty() {
                break;
            }
            connection.feed(stream.split_to(stream.len().min(*cut)), now);
            seen.extend(drain(&mut connection, now)?);
        }
        prop_assert_eq!(seen, expected);
        prop_assert!(!connection.has_buffered_input());
    }

    #[test]
    fn truncated_handshakes_wait_for_more(
        older in any_older(),
        cut in any::<prop::sample::Index>(),
    ) {
        let stream = older.handshake(SocketType::Dealer, b"somebody");
        let cut = cut.index(stream.len());
        let (connection, seen) = answer(Config::new(SocketType::Router), &stream[..cut]);
        prop_assert_eq!(seen, Ok(vec![]));
        prop_assert!(!connection.is_ready());
    }
}
