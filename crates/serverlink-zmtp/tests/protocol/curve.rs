//! The CURVE mechanism (RFC 26).

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serverlink_zmtp::{
    ApiMisuse, Config, Connection, Credentials, CurveKeyPair, CurvePublicKey, Error, Heartbeat,
    Mechanism, PeerIncompatible, PeerMisbehaved, PlainLogin, Refusal, SEALED, SocketType, Version,
    encode_frame, encode_subscription, frame_len,
};

use crate::support::{
    self, Older, Seen, raw_command, raw_frame, raw_greeting,
    secure::{Secure, client, keys, server},
};

/// A client and a server, DEALER and ROUTER, that have shaken hands.
fn ready() -> Secure {
    let mut pair = Secure::new(SocketType::Dealer, SocketType::Router);
    pair.settle();
    assert!(pair.ends.iter().all(Connection::is_ready), "{:?}", pair.errors);
    pair
}

#[test]
fn whoever_has_the_key_of_the_server_is_let_in_and_known() {
    let mut pair = Secure::new(SocketType::Dealer, SocketType::Router);
    pair.settle();
    assert_eq!(pair.seen[0], [Seen::Ready(SocketType::Router, Bytes::new())]);
    assert_eq!(pair.seen[1], [Seen::Ready(SocketType::Dealer, "me".into())]);
    let [to_server, to_client] = pair.ends.each_ref().map(|end| end.peer().expect("a peer"));
    assert!(to_server.as_server && !to_client.as_server);
    assert!(pair.ends[0].take_sealer().is_none(), "it is there once");
}

#[test]
fn who_the_client_is_is_judged_by_its_key() {
    for refusal in [None, Some(Refusal::Temporary), Some(Refusal::Credentials)] {
        let [own, known] = [keys(), keys()];
        let mut config = server(SocketType::Router, &own);
        config.judges_peers = true;
        let mut pair = Secure::of(client(SocketType::Dealer, &known, &own), config);
        pair.settle();
        let shown = Credentials::Curve(known.public);
        assert_eq!(pair.seen[1], [Seen::Credentials(shown)]);
        assert!(!pair.ends.iter().any(Connection::is_ready));
        match refusal {
            None => pair.ends[1].admit(),
            Some(refusal) => pair.ends[1].refuse(refusal),
        }
        pair.settle();
        assert_eq!(pair.ends.each_ref().map(Connection::is_ready), [refusal.is_none(); 2]);
        let told = (refusal == Some(Refusal::Credentials))
            .then(|| Error::Refused { reason: "400".into() });
        assert_eq!(pair.errors, [told, refusal.map(Error::Denied)]);
    }
}

#[test]
fn the_commands_have_the_lengths_of_the_rfc() {
    let mut pair = Secure::new(SocketType::Push, SocketType::Pull);
    pair.settle();
    let metadata = raw_command("", b"").len() + "Socket-Type".len() + 4 + "PULL".len() - 2;
    // Greetings; HELLO and INITIATE; WELCOME and READY.
    let lengths = pair.sent.each_ref().map(Vec::len);
    assert_eq!(lengths[0], 64 + 2 + 200 + 9 + 9 + 96 + 8 + 16 + 128 + metadata);
    assert_eq!(lengths[1], 64 + 2 + 168 + 2 + 6 + 8 + 16 + metadata);
    assert_eq!(pair.sent[0][64..72], *b"\x04\xc8\x05HELLO");
    assert_eq!(pair.sent[0][72..74], [1, 0]);
    assert!(pair.sent[0][74..146].iter().all(|&byte| byte == 0));
}

#[test]
fn messages_of_any_size_arrive_encrypted_and_whole() {
    let mut pair = ready();
    for from in [0, 1] {
        for len in [0, 1, 222, 223, 255, 256, 8_192, 70_000, 1_000_000] {
            pair.seen = [Vec::new(), Vec::new()];
            let body = vec![len as u8 ^ 0x5a; len];
            let before = pair.sent[from].len();
            pair.send(from, &[b"envelope", b"", &body]);
            assert_eq!(pair.errors, [None, None]);
            assert_eq!(
                pair.seen[1 - from],
                [
                    Seen::frame("envelope", true),
                    Seen::frame("", true),
                    Seen::frame(body.clone(), false)
                ]
            );
            let sent = &pair.sent[from][before..];
            let frames = [8, 0, len].map(|len| frame_len(len + SEALED));
            assert_eq!(sent.len(), frames.iter().sum::<usize>());
            assert!(!sent.windows(8).any(|window| window == b"envelope"));
        }
    }
}

#[test]
fn commands_are_encrypted_as_well() {
    let mut config = client(SocketType::Sub, &keys(), &keys());
    config.heartbeat = Some(Heartbeat {
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        ttl: Duration::ZERO,
    });
    let own = keys();
    let Mechanism::CurveClient(curve) = &mut config.mechanism else { panic!("it is") };
    curve.server = own.public;
    let mut pair = Secure::of(config, server(SocketType::Pub, &own));
    pair.settle();
    let mut out = BytesMut::new();
    encode_subscription(&mut out, Version::V3_1, b"topic", true);
    encode_subscription(&mut out, Version::V3_1, b"topic", false);
    let before = pair.sent[0].len();
    pair.send_encoded(0, &out);
    pair.wait(Duration::from_millis(1500));
    assert_eq!(pair.errors, [None, None]);
    let heard = [Seen::Subscribe("topic".into()), Seen::Cancel("topic".into()), Seen::Ping];
    assert_eq!(pair.seen[1][1..], heard);
    assert_eq!(pair.seen[0][1..], [Seen::Pong]);
    // The frames are no commands outside.
    assert_eq!(pair.sent[0][before], 0);
}

#[test]
fn the_limit_on_messages_is_exact() {
    let own = keys();
    let mut config = server(SocketType::Router, &own);
    config.max_message_size = Some(100);
    for (len, fits) in [(100, true), (101, false), (70_000, false)] {
        let mut pair = Secure::of(client(SocketType::Dealer, &keys(), &own), config.clone());
        pair.settle();
        pair.send(0, &[&vec![1; len]]);
        assert_eq!(pair.seen[1].len(), 1 + usize::from(fits));
        assert_eq!(pair.errors[1].is_some(), !fits);
        let too_long =
            |error| matches!(error, Error::PeerMisbehaved(PeerMisbehaved::FrameTooLong { .. }));
        assert!(pair.errors[1].clone().is_none_or(too_long));
    }
}

#[test]
fn a_client_with_another_servers_key_gets_nowhere() {
    let mut pair = Secure::of(
        client(SocketType::Dealer, &keys(), &keys()),
        server(SocketType::Router, &keys()),
    );
    pair.settle();
    assert_eq!(pair.errors[1], Some(PeerMisbehaved::Cryptographic("HELLO").into()));
    assert_eq!(pair.sent[1].len(), 64, "it says nothing");
}

#[test]
fn who_listens_does_not_learn_that_the_types_of_the_sockets_do_not_match() {
    let mut pair = Secure::new(SocketType::Push, SocketType::Pub);
    pair.settle();
    let differ = |error: &Option<Error>| {
        matches!(error, Some(Error::PeerIncompatible(PeerIncompatible::SocketType { .. })))
    };
    assert!(differ(&pair.errors[1]), "{:?}", pair.errors);
    assert_eq!(pair.sent[1].len(), 64 + 2 + 168, "the greeting and WELCOME");
}

/// What our properties come with differs.
#[test]
fn the_largest_properties_that_may_be_sent_are_accepted() {
    let [own, known] = [keys(), keys()];
    let plain = |socket_type, mechanism| {
        let mut config = Config::new(socket_type);
        config.mechanism = mechanism;
        config
    };
    let login = Mechanism::PlainClient(PlainLogin::default());
    for configs in [
        [client(SocketType::Dealer, &known, &own), server(SocketType::Router, &own)],
        [plain(SocketType::Dealer, login), plain(SocketType::Router, Mechanism::PlainServer)],
    ] {
        for who in [0, 1] {
            let with = |len| {
                let mut configs = configs.clone();
                configs[who].metadata = vec![("X-L".into(), vec![7; len].into())];
                configs
            };
            let refused = |len| {
                let now = Instant::now();
                Connection::new(with(len)[who].clone(), now).next_event(now).err()
            };
            let too_much = (65_000..65_536).find(|&len| refused(len).is_some()).expect("a limit");
            assert_eq!(refused(too_much), Some(ApiMisuse::MetadataTooLarge(65_537).into()));
            let [a, b] = with(too_much - 1);
            let mut pair = Secure::of(a, b);
            pair.settle();
            pair.ends[1].admit();
            pair.settle();
            assert!(pair.ends.iter().all(Connection::is_ready), "{:?}", pair.errors);
        }
    }
}

#[test]
fn keys_are_usable_unless_they_are_known_to_all() {
    assert!(keys().public.is_usable());
    assert!(!CurvePublicKey::from([0; 32]).is_usable());
}

#[test]
fn what_is_printed_for_debugging_tells_no_password() {
    let mut config = Config::new(SocketType::Dealer);
    let login = PlainLogin { username: "name".into(), password: "hunter2".into() };
    config.mechanism = Mechanism::PlainClient(login);
    let mut server = Config::new(SocketType::Router);
    server.mechanism = Mechanism::PlainServer;
    let mut pair = Secure::of(config, server);
    for _ in 0..4 {
        // What it has to say is not fetched yet.
        pair.hear(0, b"");
        let printed = format!("{:?}", pair.ends);
        let bytes = format!("{:?}", "hunter2".as_bytes());
        assert!(!printed.contains("hunter2") && !printed.contains(&bytes[1..bytes.len() - 1]));
        pair.step();
    }
    assert!(pair.sent[0].windows(7).any(|window| window == b"hunter2"));
}

#[test]
fn nobody_gets_in_by_a_lesser_mechanism() {
    let own = keys();
    let null = Config::new(SocketType::Dealer);
    let mut plain = Config::new(SocketType::Dealer);
    plain.mechanism = Mechanism::PlainClient(PlainLogin::default());
    for lesser in [null, plain] {
        for secure in [server(SocketType::Router, &own), client(SocketType::Router, &own, &own)] {
            let mut pair = Secure::of(lesser.clone(), secure);
            pair.settle();
            let refused = Error::PeerIncompatible(PeerIncompatible::Mechanism {
                ours: "CURVE",
                theirs: lesser.mechanism.as_str().into(),
            });
            let error = pair.errors[1].clone().or(pair.errors[0].clone());
            assert!(error.is_some(), "somebody notices");
            assert!(pair.errors[1].clone().is_none_or(|error| error == refused));
            assert!(!pair.ends[1].is_ready());
            assert_eq!(pair.sent[1].len(), 64, "nothing but the greeting");
        }
    }
    for older in Older::ALL {
        let now = Instant::now();
        let mut connection = Connection::new(server(SocketType::Router, &own), now);
        connection.feed(older.handshake(SocketType::Dealer, b"id").into(), now);
        assert!(support::drain(&mut connection, now).is_err(), "{older:?}");
    }
}

#[test]
fn two_clients_and_two_servers_get_nowhere() {
    let [one, other] = [keys(), keys()];
    let mut clients = Secure::of(
        client(SocketType::Dealer, &one, &other),
        client(SocketType::Router, &other, &one),
    );
    clients.settle();
    let unexpected = Some(PeerMisbehaved::UnexpectedCommand("HELLO".into()).into());
    assert_eq!(clients.errors[0], unexpected);
    let mut servers =
        Secure::of(server(SocketType::Dealer, &one), server(SocketType::Router, &other));
    servers.wait(Duration::from_secs(31));
    assert!(servers.errors.iter().all(|error| matches!(error, Some(Error::TimedOut(_)))));
}

/// Whatever is changed of what either end says, before or after the handshake.
#[test]
fn what_is_changed_on_the_way_is_refused() {
    // HELLO's padding may be anything, and nobody looks at the greeting's.
    let unchecked = 64 + 2 + 6 + 2..64 + 2 + 6 + 2 + 72;
    for from in [0, 1] {
        let mut at = 12;
        loop {
            let mut pair = Secure::new(SocketType::Push, SocketType::Pull);
            pair.change = Some((from, at));
            pair.settle();
            if pair.change.is_some() {
                break;
            }
            let greeting = (33..64).contains(&at) || at == 32;
            let harmless = greeting || (from == 0 && unchecked.contains(&at));
            let ready = pair.ends.each_ref().map(Connection::is_ready);
            assert_eq!(ready[1 - from], harmless, "{from} at {at}: {:?}", pair.errors);
            at += if at < 74 { 1 } else { 7 };
        }
        assert!(at > 200, "{at}");
    }
}

#[test]
fn what_comes_again_or_in_another_order_is_refused() {
    let seal = |pair: &mut Secure, body: &[u8]| {
        let mut out = BytesMut::new();
        let sealer = pair.sealers[0].as_mut().expect("it is ready");
        sealer.seal(false, false, body, &mut out);
        out.freeze()
    };
    let sequence = Some(Error::from(PeerMisbehaved::Sequence));
    let mut pair = ready();
    let first = seal(&mut pair, b"first");
    pair.feed(1, first.clone());
    pair.feed(1, first);
    assert_eq!(pair.errors[1], sequence);
    assert_eq!(pair.seen[1][1..], [Seen::frame("first", false)]);

    let mut pair = ready();
    let [first, second] = [&b"first"[..], b"second"].map(|body| seal(&mut pair, body));
    pair.feed(1, second);
    pair.feed(1, first);
    assert_eq!(pair.errors[1], sequence);
    assert_eq!(pair.seen[1][1..], [Seen::frame("second", false)]);

    // Nor is what one end has said taken from the other, or from another connection.
    let cryptographic = Some(Error::from(PeerMisbehaved::Cryptographic("MESSAGE")));
    let mut pair = ready();
    let own = seal(&mut pair, b"own");
    pair.feed(0, own);
    assert_eq!(pair.errors[0], cryptographic);
    let [mut one, mut other] = [ready(), ready()];
    other.feed(1, seal(&mut one, b"of another"));
    assert_eq!(other.errors[1], cryptographic);
}

#[test]
fn nothing_is_taken_unencrypted() {
    let mut message = BytesMut::new();
    encode_frame(&mut message, false, b"a message");
    let ping = raw_command("PING", b"\0\0");
    for bytes in [message.freeze(), ping.into()] {
        let mut pair = ready();
        pair.feed(1, bytes);
        let unexpected = |error: &Error| {
            matches!(error, Error::PeerMisbehaved(PeerMisbehaved::UnexpectedCommand(_)))
        };
        assert!(pair.errors[1].as_ref().is_some_and(unexpected), "{:?}", pair.errors[1]);
        assert_eq!(pair.seen[1].len(), 1);
    }
}

#[test]
fn what_is_too_short_is_refused() {
    for (len, flags) in [(0, 0), (8, 0), (24, 4), (24, 0)] {
        let mut pair = ready();
        let body = [&b"\x07MESSAGE"[..], &vec![9; len]].concat();
        pair.feed(1, raw_frame(flags, &body).into());
        let wrong = PeerMisbehaved::CommandLength { command: "MESSAGE", length: len };
        assert_eq!(pair.errors[1], Some(wrong.into()));
    }
    let own = keys();
    for (name, len, error) in [
        ("HELLO", 193, PeerMisbehaved::CommandLength { command: "HELLO", length: 193 }),
        ("HELLO", 195, PeerMisbehaved::CommandLength { command: "HELLO", length: 195 }),
        ("INITIATE", 248, PeerMisbehaved::UnexpectedCommand("INITIATE".into())),
        ("READY", 30, PeerMisbehaved::UnexpectedCommand("READY".into())),
    ] {
        let now = Instant::now();
        let mut connection = Connection::new(server(SocketType::Router, &own), now);
        let data = [&[1, 0][..], &vec![0; len - 2]].concat();
        let bytes = [raw_greeting(3, 1, "CURVE"), raw_command(name, &data)].concat();
        connection.feed(bytes.into(), now);
        assert_eq!(support::drain(&mut connection, now), Err(error.into()));
    }
}

/// A long frame is read straight into its buffer, and decrypted there.
#[test]
fn a_long_frame_is_read_where_it_stays() {
    let mut pair = ready();
    let body = vec![7; 500_000];
    let mut out = BytesMut::new();
    pair.sealers[0].as_mut().expect("it is ready").seal(false, false, &body, &mut out);
    let mut rest = &out[..];
    let now = pair.now;
    let end = &mut pair.ends[1];
    let (first, behind) = rest.split_at(1000);
    end.feed(Bytes::copy_from_slice(first), now);
    rest = behind;
    while !rest.is_empty() {
        assert!(matches!(end.next_event(now), Ok(None)));
        let mut buffer = end.awaited_frame().unwrap_or_default();
        let room = (buffer.capacity() - buffer.len()).clamp(1, rest.len());
        let (piece, behind) = rest.split_at(room);
        buffer.extend_from_slice(piece);
        end.return_frame(buffer, now);
        rest = behind;
    }
    assert_eq!(support::drain(end, now), Ok(vec![Seen::frame(body, false)]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_split_gives_the_same_messages(
        bodies in prop::collection::vec(
            (prop::collection::vec(any::<u8>(), 0..600), any::<bool>()), 0..8),
        pieces in prop::collection::vec(1usize..400, 1..20),
    ) {
        let mut pair = ready();
        let mut out = BytesMut::new();
        for (body, more) in &bodies {
            pair.sealers[0].as_mut().expect("it is ready").seal(*more, false, body, &mut out);
        }
        let mut rest = &out[..];
        for len in pieces.iter().cycle() {
            let (piece, behind) = rest.split_at((*len).min(rest.len()));
            pair.feed(1, Bytes::copy_from_slice(piece));
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let expected: Vec<_> =
            bodies.into_iter().map(|(body, more)| Seen::frame(body, more)).collect();
        prop_assert_eq!(&pair.seen[1][1..], &expected[..]);
    }

    #[test]
    fn keys_are_read_as_they_are_written(bytes in any::<[u8; 32]>()) {
        let secret = serverlink_zmtp::CurveSecretKey::from(bytes);
        prop_assert_eq!(secret.to_z85().parse(), Ok(secret.clone()));
        let pair = CurveKeyPair { public: secret.public_key(), secret };
        prop_assert_eq!(pair.public.to_string().parse(), Ok(pair.public));
    }
}
