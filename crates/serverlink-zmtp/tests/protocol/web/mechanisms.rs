//! Mechanisms, and peers that have none.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serverlink_zmtp::{
    Credentials, Error, Heartbeat, PeerIncompatible, PeerMisbehaved, PlainLogin, Refusal,
    SocketType, Version,
};

use super::{
    SECOND, close, curve_pair, judging, modern, of, plain_client, plain_server, subprotocols,
};
use crate::support::{
    Seen, raw_command,
    web::{End, Role, WebPair, answer, field, parse_web, request},
};

#[test]
fn without_a_mechanism_there_is_a_routing_id_then_messages() {
    for role in Role::BOTH {
        let mut config = of(SocketType::Dealer);
        config.routing_id = Bytes::from_static(b"me");
        let mut end = End::open(role, config, "ZWS2.0");
        assert_eq!(end.says_frames(), [(0x82, b"\0me".to_vec())]);
        end.hear(&[role.zmq(0, b"you"), role.zmq(1, b"a"), role.zmq(0, b"")].concat());
        let told =
            [Seen::ReadyUntold("you".into()), Seen::frame("a", true), Seen::frame("", false)];
        assert_eq!((&end.seen[..], &end.error), (&told[..], &None));
        assert_eq!(end.web.peek().peer().map(|peer| peer.version), Some(Version::V2_0));
        end.send(&[b"x", b"y"]);
        assert_eq!(end.says_frames(), [(0x82, b"\x01x".to_vec()), (0x82, b"\0y".to_vec())]);
    }
}

#[test]
fn without_a_mechanism_subscriptions_are_messages() {
    for role in Role::BOTH {
        let mut publisher = End::open(role, of(SocketType::Pub), "ZWS2.0");
        publisher.says();
        publisher
            .hear(&[role.zmq(0, b""), role.zmq(0, b"\x01topic"), role.zmq(0, b"\0topic")].concat());
        let told = [
            Seen::ReadyUntold(Bytes::new()),
            Seen::Subscribe("topic".into()),
            Seen::Cancel("topic".into()),
        ];
        assert_eq!((&publisher.seen[..], &publisher.error), (&told[..], &None));
    }
    // As they are for peers with one, which libzmq has count as of ZMTP 3.0.
    for protocol in ["ZWS2.0", "ZWS2.0/NULL"] {
        let role = Role::Client;
        let mut subscriber = End::open(role, of(SocketType::Sub), protocol);
        subscriber.hear(&if protocol == "ZWS2.0" {
            role.zmq(0, b"")
        } else {
            role.ready(SocketType::Pub)
        });
        subscriber.says();
        let mut out = BytesMut::new();
        subscriber.web.peek().subscribe(b"topic", true, &mut out);
        subscriber.web.peek().subscribe(b"topic", false, &mut out);
        subscriber.send_encoded(&out);
        let said = [(0x82, b"\0\x01topic".to_vec()), (0x82, b"\0\0topic".to_vec())];
        assert_eq!(subscriber.says_frames(), said);
    }
}

#[test]
fn without_a_mechanism_there_are_no_commands_and_routing_ids_are_checked() {
    for role in Role::BOTH {
        for (stream, error) in [
            (role.command("READY", b""), PeerMisbehaved::Flags(4)),
            (role.zmq(0, &[b'x'; 256]), PeerMisbehaved::FrameTooLong { length: 256, limit: 255 }),
        ] {
            let mut end = End::open(role, of(SocketType::Dealer), "ZWS2.0");
            end.hear(&stream);
            assert_eq!(end.error, Some(error.into()));
        }
        for stream in [role.zmq(1, b"you"), role.zmq(0, b"\0you")] {
            let mut end = End::open(role, of(SocketType::Dealer), "ZWS2.0");
            end.hear(&stream);
            assert!(matches!(end.error, Some(Error::PeerMisbehaved(PeerMisbehaved::RoutingId(_)))));
        }
    }
}

#[test]
fn without_a_mechanism_nobody_is_admitted_where_older_peers_are_not() {
    let [client, server] = curve_pair();
    for (config, ours) in [
        (judging(SocketType::Pull), "ZWS2.0/NULL"),
        (modern(SocketType::Pull), "ZWS2.0/NULL"),
        (plain_client(), "ZWS2.0/PLAIN"),
        (plain_server(), "ZWS2.0/PLAIN"),
        (client, "ZWS2.0/CURVE"),
        (server, "ZWS2.0/CURVE"),
    ] {
        let mut end = End::new(Role::Server, config.clone());
        end.hear(request("ZWS2.0").as_bytes());
        assert_eq!(end.error, subprotocols(ours, "ZWS2.0"));
        let mut end = End::new(Role::Client, config);
        let request = String::from_utf8(end.says()).expect("a request");
        assert_eq!(field(&request, "Sec-WebSocket-Protocol"), ours);
        end.hear(answer(&request, "ZWS2.0").as_bytes());
        assert_eq!(end.error, subprotocols(ours, "ZWS2.0"));
    }
}

// ---- Mechanisms.

#[test]
fn ready_is_a_command_behind_the_opening() {
    for role in Role::BOTH {
        let mut end = End::open(role, of(SocketType::Pull), "ZWS2.0/NULL");
        let ready = raw_command("READY", &crate::support::raw_property("Socket-Type", b"PULL"));
        // Flags of another kind, and no length.
        let expected = [&[2][..], &ready[2..]].concat();
        assert_eq!(end.says_frames(), [(0x82, expected)]);
        end.hear(&role.ready(SocketType::Push));
        let peer = end.web.peek().peer().expect("a peer");
        assert_eq!((peer.version, peer.as_server), (Version::V3_0, false));
    }
}

#[test]
fn types_that_do_not_match_are_refused_with_an_error() {
    let mut pair = WebPair::new(of(SocketType::Push), of(SocketType::Push));
    pair.settle();
    assert!(pair.errors().iter().any(|error| matches!(
        error,
        Some(Error::PeerIncompatible(PeerIncompatible::SocketType { .. }))
    )));
    assert!(pair.errors().iter().all(Option::is_some));
}

#[test]
fn plain_is_judged_and_admitted_or_refused() {
    let login = PlainLogin { username: "user".into(), password: "secret".into() };
    for refusal in [None, Some(Refusal::Credentials)] {
        let mut pair = WebPair::new(plain_client(), plain_server());
        pair.settle();
        assert_eq!(pair.seen()[1], [Seen::Credentials(Credentials::Plain(login.clone()))]);
        match refusal {
            None => pair.ends[1].web.inner().admit(),
            Some(refusal) => pair.ends[1].web.inner().refuse(refusal),
        }
        pair.settle();
        match refusal {
            None => {
                assert_eq!(pair.errors(), [None, None]);
                pair.ends[0].send(&[b"hello"]);
                pair.settle();
                assert_eq!(pair.seen()[1].last(), Some(&Seen::frame("hello", false)));
            }
            Some(refusal) => {
                let reason = "400".to_owned();
                assert_eq!(
                    pair.errors(),
                    [Some(&Error::Refused { reason }), Some(&Error::Denied(refusal))]
                );
            }
        }
    }
}

#[test]
fn null_is_judged_if_it_should_be() {
    for role in Role::BOTH {
        let mut end = End::open(role, judging(SocketType::Pull), "ZWS2.0/NULL");
        end.hear(&role.ready(SocketType::Push));
        assert_eq!(end.seen, [Seen::Credentials(Credentials::None)]);
        assert_eq!(end.says(), b"", "no READY before");
        end.web.inner().admit();
        end.listen();
        assert_eq!(end.seen.len(), 2);
        assert_eq!(end.says_frames().len(), 1);
    }
}

#[test]
fn curve_is_encrypted_within_messages() {
    let [client, server] = curve_pair();
    let mut pair = WebPair::new(client, server);
    pair.settle();
    assert_eq!(pair.errors(), [None, None]);
    assert_eq!(pair.seen()[1], [Seen::Ready(SocketType::Dealer, "me".into())]);
    for from in 0..2 {
        let long = vec![7; 100_000];
        pair.ends[from].send(&[b"first", b"", &long]);
        let said = pair.ends[from].says();
        let frames = parse_web(&said);
        // Neither what it is nor that more follows shows outside.
        assert!(frames.iter().all(|(first, ..)| *first == 0x82), "{from}");
        assert!(frames.iter().all(|(.., payload)| payload.starts_with(b"\0\x07MESSAGE")));
        pair.ends[1 - from].hear(&said);
        let told = [Seen::frame("first", true), Seen::frame("", true), Seen::frame(long, false)];
        assert!(pair.ends[1 - from].seen.ends_with(&told));
    }
}

#[test]
fn heartbeats_are_not_encrypted_with_curve() {
    let [mut client, server] = curve_pair();
    client.heartbeat =
        Some(Heartbeat { interval: 2 * SECOND, timeout: SECOND, ttl: Duration::ZERO });
    let mut pair = WebPair::new(client, server);
    pair.settle();
    pair.ends.iter_mut().for_each(|end| end.now += 2 * SECOND);
    let now = pair.ends[0].now;
    pair.ends[0].web.inner().handle_timeout(now).expect("a PING");
    let ping = pair.ends[0].says();
    assert_eq!(parse_web(&ping), [(0x89, true, vec![])]);
    pair.ends[1].hear(&ping);
    let pong = pair.ends[1].says();
    assert_eq!(parse_web(&pong), [(0x8a, false, vec![])]);
    pair.ends[0].hear(&pong);
    pair.wait(9 * SECOND);
    assert_eq!(pair.errors(), [None, None]);
    // The close neither.
    assert!(pair.ends[1].web.say_goodbye());
    assert_eq!(pair.ends[1].says_frames(), [close(1000)]);
}

#[test]
fn a_curve_message_that_was_changed_ends_it() {
    let [client, server] = curve_pair();
    let mut pair = WebPair::new(client, server);
    pair.settle();
    pair.ends[0].send(&[b"hello"]);
    let mut said = pair.ends[0].says();
    *said.last_mut().expect("a byte") ^= 1;
    pair.ends[1].hear(&said);
    let error = Some(PeerMisbehaved::Cryptographic("MESSAGE").into());
    assert_eq!(pair.ends[1].error, error);
    assert_eq!(pair.ends[1].says_frames(), [close(1002)]);
}
