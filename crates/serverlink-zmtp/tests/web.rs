//! ZMTP over WebSockets (RFC 45, RFC 6455): opening, frames, and what ends it.

mod support;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use serverlink_zmtp::{
    Config, Credentials, Error, Heartbeat, MAX_WEB_HEADER_LEN, Mechanism, PeerIncompatible,
    PeerMisbehaved, PlainLogin, Refusal, SocketType, TimedOut, Version, encode_frame,
    encode_membership,
};
use support::secure::{self, keys};
use support::web::{
    EXAMPLE_ACCEPT, EXAMPLE_KEY, End, Role, WebPair, answer, field, parse_web, raw_web, request,
};
use support::{Seen, raw_command};

const SECOND: Duration = Duration::from_secs(1);

fn of(socket_type: SocketType) -> Config {
    Config::new(socket_type)
}

/// A PULL socket's end, in traffic with a PUSH.
fn pull(role: Role) -> End {
    End::established(role, of(SocketType::Pull), SocketType::Push)
}

/// The close with which an end says this status.
fn close(status: u16) -> (u8, Vec<u8>) {
    (0x88, status.to_be_bytes().to_vec())
}

fn misbehaved(what: &'static str) -> Option<Error> {
    Some(PeerMisbehaved::WebSocket(what).into())
}

fn not_web(what: impl Into<String>) -> Option<Error> {
    Some(PeerIncompatible::NotWebSocket(what.into()).into())
}

fn subprotocols(ours: &str, theirs: &str) -> Option<Error> {
    let (ours, theirs) = (ours.to_owned(), theirs.to_owned());
    Some(PeerIncompatible::Subprotocol { ours, theirs }.into())
}

fn plain_client() -> Config {
    let mut config = of(SocketType::Dealer);
    config.mechanism = Mechanism::PlainClient(PlainLogin {
        username: Bytes::from_static(b"user"),
        password: Bytes::from_static(b"secret"),
    });
    config
}

fn plain_server() -> Config {
    let mut config = of(SocketType::Router);
    config.mechanism = Mechanism::PlainServer;
    config
}

fn curve_pair() -> [Config; 2] {
    let own = keys();
    [secure::client(SocketType::Dealer, &keys(), &own), secure::server(SocketType::Router, &own)]
}

fn judging(socket_type: SocketType) -> Config {
    let mut config = of(socket_type);
    config.judges_peers = true;
    config
}

fn modern(socket_type: SocketType) -> Config {
    let mut config = of(socket_type);
    config.older_peers = false;
    config
}

// ---- Opening.

#[test]
fn the_request_is_that_of_rfc_6455() {
    for (config, protocols) in [
        (of(SocketType::Push), "ZWS2.0/NULL,ZWS2.0"),
        (judging(SocketType::Push), "ZWS2.0/NULL"),
        (modern(SocketType::Push), "ZWS2.0/NULL"),
        (plain_client(), "ZWS2.0/PLAIN"),
        (plain_server(), "ZWS2.0/PLAIN"),
        (curve_pair()[0].clone(), "ZWS2.0/CURVE"),
        (curve_pair()[1].clone(), "ZWS2.0/CURVE"),
    ] {
        let mut end = End::new(Role::Client, config);
        let request = String::from_utf8(end.says()).expect("text");
        let key = field(&request, "Sec-WebSocket-Key").to_owned();
        assert!(key.len() == 24 && key.ends_with("=="), "{key}");
        let expected = support::web::request(protocols).replace(EXAMPLE_KEY, &key);
        assert_eq!(request, expected);
        assert_eq!(end.says(), b"", "nothing before the answer");
    }
}

#[test]
fn every_request_has_another_key() {
    let key = || {
        let request = End::new(Role::Client, of(SocketType::Push)).says();
        field(str::from_utf8(&request).expect("text"), "Sec-WebSocket-Key").to_owned()
    };
    assert_ne!(key(), key());
}

#[test]
#[should_panic(expected = "neither a host nor a path has spaces")]
fn a_path_that_would_add_fields_is_refused() {
    let now = std::time::Instant::now();
    let path = "/ HTTP/1.1\r\nEvil: 1";
    let _ = serverlink_zmtp::WebConnection::connecting("a", path, of(SocketType::Push), now);
}

#[test]
fn the_answer_has_the_key_of_rfc_6455_and_the_protocol_that_was_chosen() {
    for (config, offered, chosen) in [
        (of(SocketType::Pull), "ZWS2.0/NULL", "ZWS2.0/NULL"),
        // A mechanism is better than none, and the order is ours.
        (of(SocketType::Pull), "ZWS2.0,ZWS2.0/NULL", "ZWS2.0/NULL"),
        (of(SocketType::Pull), "chat , ZWS2.0\t,superchat", "ZWS2.0"),
        (of(SocketType::Pull), ",, ZWS2.0/NULL", "ZWS2.0/NULL"),
        (judging(SocketType::Pull), "ZWS2.0,ZWS2.0/NULL", "ZWS2.0/NULL"),
        (plain_server(), "ZWS2.0,ZWS2.0/PLAIN", "ZWS2.0/PLAIN"),
        (curve_pair()[1].clone(), "ZWS2.0/CURVE", "ZWS2.0/CURVE"),
    ] {
        let mut end = End::new(Role::Server, config);
        end.hear(request(offered).as_bytes());
        assert_eq!(end.error, None);
        let expected = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {EXAMPLE_ACCEPT}\r\nSec-WebSocket-Protocol: {chosen}\r\n\r\n"
        );
        let said = end.says();
        assert_eq!(String::from_utf8_lossy(&said[..expected.len()]), expected);
    }
}

/// The field of this name replaced in a request; with an empty line, left out.
fn replaced(name: &str, line: &str) -> String {
    let good = request("ZWS2.0/NULL");
    let prefix = format!("{name}: ");
    let lines = good.split("\r\n").map(|old| if old.starts_with(&prefix) { line } else { old });
    let changed = lines.collect::<Vec<_>>().join("\r\n");
    assert_ne!(changed, good, "{name}");
    // An empty line would end the head.
    if line.is_empty() { changed.replacen("\r\n\r\n", "\r\n", 1) } else { changed }
}

#[test]
fn fields_may_be_written_in_many_ways() {
    for good in [
        request("ZWS2.0/NULL"),
        request("ZWS2.0/NULL").replace("Upgrade: websocket", "UPGRADE:WebSocket"),
        replaced("Connection", "connection: keep-alive, UPGRADE"),
        replaced("Connection", "Connection: keep-alive\r\nConnection: Upgrade"),
        replaced("Connection", "Connection:\t Upgrade \t"),
        replaced("Upgrade", "Upgrade: h2c, websocket"),
        replaced(
            "Sec-WebSocket-Protocol",
            "sec-websocket-protocol: a\r\nSec-WebSocket-Protocol: ZWS2.0/NULL",
        ),
        // libzmq and browsers ask for extensions, none of which we take up.
        replaced(
            "Host",
            "Host: a\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
        ),
        replaced("Host", "Host: [::1]:8080\r\nOrigin: http://example.com\r\nCookie: \u{e4}"),
        request("ZWS2.0/NULL").replace("GET /queue", "GET http://example.com/?a=b"),
        format!("\r\n{}", request("ZWS2.0/NULL")),
        // "A recipient MAY recognize a single LF as a line terminator" (RFC 9112, section 2.2).
        request("ZWS2.0/NULL").replace("\r\n", "\n"),
    ] {
        let mut end = End::new(Role::Server, of(SocketType::Pull));
        end.hear(good.as_bytes());
        assert_eq!(end.error, None, "{good}");
        assert!(end.says().starts_with(b"HTTP/1.1 101 "), "{good}");
    }
}

/// What a server answers to a request that it does not grant.
fn turned_away(request: &str) -> (String, Option<Error>) {
    let mut end = End::new(Role::Server, of(SocketType::Pull));
    end.hear(request.as_bytes());
    let said = String::from_utf8(end.says()).expect("text");
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{said:?}"));
    assert_eq!(field(head, "Content-Length"), body.len().to_string());
    assert_eq!(field(head, "Sec-WebSocket-Version"), "13");
    // "A server MUST send an Upgrade header field in a 426 response" (RFC 9110, section 15.5.22), and
    // name it in Connection (section 7.8).
    assert_eq!(field(head, "Connection"), "close, Upgrade");
    assert_eq!(field(head, "Upgrade"), "websocket");
    assert!(body.starts_with("ZeroMQ over WebSockets (ZWS 2.0) is spoken here: "), "{body}");
    assert!(body.is_ascii() && body.len() < 700, "{body}");
    let error = end.error.clone();
    assert!(body.contains(
        &error.as_ref().expect("an error").to_string()["the peer is incompatible: ".len()..]
    ));

    // Nothing that comes behind it counts, and nothing more is said, not even later.
    end.hear(request.as_bytes());
    end.hear(&Role::Server.ready(SocketType::Push));
    assert_eq!((end.seen, end.error), (vec![], error.clone()));
    assert!(!end.web.say_goodbye());
    assert!(end.web.inner().handle_timeout(end.now + 60 * SECOND).is_err());
    assert_eq!(end.web.take_output(), None);
    (head.split("\r\n").next().unwrap_or_default().to_owned(), error)
}

#[test]
fn bad_requests_are_answered_with_a_status() {
    let not_get = "a request that is not GET of HTTP/1.1";
    let no_upgrade = "a request without an upgrade to it";
    let no_key = "a Sec-WebSocket-Key that is none";
    let bad = "HTTP/1.1 400 Bad Request";
    let upgrade = "HTTP/1.1 426 Upgrade Required";
    let good = || request("ZWS2.0/NULL");
    for (request, status, what) in [
        (good().replace("GET ", "POST "), bad, not_get),
        (good().replace("GET ", "get "), bad, not_get),
        (good().replace("HTTP/1.1", "HTTP/1.0"), bad, not_get),
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(), upgrade, no_upgrade),
        (replaced("Host", ""), bad, "a request without a host"),
        (replaced("Host", "Host: a\r\nHost: a"), bad, "a request without a host"),
        (replaced("Upgrade", ""), upgrade, no_upgrade),
        (replaced("Upgrade", "Upgrade: h2c"), upgrade, no_upgrade),
        (replaced("Upgrade", "Upgrade: websockets"), upgrade, no_upgrade),
        (replaced("Connection", ""), upgrade, no_upgrade),
        (replaced("Connection", "Connection: keep-alive"), upgrade, no_upgrade),
        (replaced("Connection", "Connection: Upgraded"), upgrade, no_upgrade),
        (
            replaced("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"),
            upgrade,
            "another version than 13",
        ),
        (
            replaced("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8, 13"),
            upgrade,
            "another version than 13",
        ),
        (
            replaced(
                "Sec-WebSocket-Version",
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13",
            ),
            upgrade,
            "another version than 13",
        ),
        (replaced("Sec-WebSocket-Version", ""), upgrade, "another version than 13"),
        (replaced("Sec-WebSocket-Key", ""), bad, no_key),
        (replaced("Sec-WebSocket-Key", "Sec-WebSocket-Key:"), bad, no_key),
        // Too short, too long, of other characters, with padding that is not there or has bits in it.
        (good().replace(EXAMPLE_KEY, "dGhlIHNhbXBsZSBub25jZ"), bad, no_key),
        (good().replace(EXAMPLE_KEY, "AAAAAAAAAAAAAAAAAAAA"), bad, no_key),
        (good().replace(EXAMPLE_KEY, "AAAAAAAAAAAAAAAAAAAAAAA="), bad, no_key),
        (good().replace(EXAMPLE_KEY, "AAAAAAAAAAAAAAAAAAAAAAAAAAAA"), bad, no_key),
        (good().replace(EXAMPLE_KEY, "dGhlIHNhbXBsZSBub25jZ-=="), bad, no_key),
        (good().replace(EXAMPLE_KEY, "dGhlIHNhbXBsZSBub25jZQ"), bad, no_key),
        (good().replace(EXAMPLE_KEY, "dGhlIHNhbXBsZSBub25jZR=="), bad, no_key),
        (
            replaced(
                "Sec-WebSocket-Key",
                &format!("Sec-WebSocket-Key: {EXAMPLE_KEY}\r\nSec-WebSocket-Key: {EXAMPLE_KEY}"),
            ),
            bad,
            no_key,
        ),
    ] {
        let (answered, error) = turned_away(&request);
        assert_eq!((&answered[..], error), (status, not_web(what)), "{request}");
    }
    let ours = "ZWS2.0/NULL,ZWS2.0";
    for (request, theirs) in [
        (replaced("Sec-WebSocket-Protocol", ""), ""),
        (self::request("ZWS1.0, ZWS2.0/PLAIN"), "ZWS1.0,ZWS2.0/PLAIN"),
        (self::request("ZWS2.0/NULLS"), "ZWS2.0/NULLS"),
        // What is chosen has to be one that was offered, letter by letter.
        (self::request("zws2.0/null"), "zws2.0/null"),
        (self::request("<b>\u{e9}\t"), "<b>\\xc3\\xa9"),
        (self::request(&"x".repeat(1000)), &"x".repeat(64)[..]),
    ] {
        let (answered, error) = turned_away(&request);
        assert_eq!((&answered[..], error), (bad, subprotocols(ours, theirs)), "{request}");
    }
}

/// What is no text counts, too.
#[test]
fn fields_may_have_any_bytes() {
    let good = request("ZWS2.0/NULL");
    let with = |line: &[u8]| {
        let mut end = End::new(Role::Server, of(SocketType::Pull));
        let head =
            [b"GET / HTTP/1.1\r\n", line, &good.as_bytes()["GET /queue HTTP/1.1\r\n".len()..]];
        end.hear(&head.concat());
        (end.error.is_none(), end.says().len() > 100)
    };
    assert_eq!(with(b"Cookie: \xff\r\n"), (true, true));
    assert_eq!(with(b"Sec-WebSocket-Protocol: \xff\r\n"), (true, true));
    assert_eq!(with(b"Sec-WebSocket-Key: \xff\r\n"), (false, true));
}

#[test]
fn what_is_no_http_is_quoted() {
    let good = request("ZWS2.0/NULL");
    for (request, what) in [
        (
            "\u{ff}\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL\r\n\r\n".to_owned(),
            "no HTTP (invalid token): it began with \"\\xc3\\xbf\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x7f\\x03\\x01NUL\"",
        ),
        (
            good.replace("HTTP/1.1", "HTTP/2.0"),
            "no HTTP (invalid HTTP version): it began with \"GET /queue HTTP/\"",
        ),
        (
            good.replace("Host", "Ho st"),
            "no HTTP (invalid header name): it began with \"GET /queue HTTP/\"",
        ),
        // "A server MUST reject [...] any received request message that contains whitespace between a
        // header field name and colon" (RFC 9112, section 5.1), and may do so with folded lines (5.2).
        (
            good.replace("Host:", "Host :"),
            "no HTTP (invalid header name): it began with \"GET /queue HTTP/\"",
        ),
        (
            good.replace("websocket\r\n", "\r\n websocket\r\n"),
            "no HTTP (invalid header name): it began with \"GET /queue HTTP/\"",
        ),
        (
            good.replace("example.com", "exam\0ple"),
            "no HTTP (invalid header value): it began with \"GET /queue HTTP/\"",
        ),
        (
            good.replace("Host", &format!("{}Host", "X: y\r\n".repeat(64))),
            "no HTTP (too many headers): it began with \"GET /queue HTTP/\"",
        ),
    ] {
        assert_eq!(turned_away(&request), ("HTTP/1.1 400 Bad Request".to_owned(), not_web(what)));
    }
}

#[test]
fn a_head_is_at_most_16_kib_long() {
    let padded = |len: usize| {
        let head = request("ZWS2.0/NULL");
        let room = len - head.len() - "X: \r\n".len();
        head.replace("Host", &format!("X: {}\r\nHost", "y".repeat(room)))
    };
    for pieces in [100, 1000, 20_000] {
        for (len, good) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
            let mut end = End::new(Role::Server, of(SocketType::Pull));
            padded(len).as_bytes().chunks(pieces).for_each(|piece| end.hear(piece));
            let error = if good { None } else { not_web("a head of more than 16 KiB") };
            assert_eq!(end.error, error);
        }
    }
    // Of one that has no end nothing more is kept.
    let mut end = End::new(Role::Client, of(SocketType::Push));
    end.says();
    end.hear(&[b"HTTP/1.1 101 ", &[b'a'; 100_000][..]].concat());
    assert_eq!(end.error, not_web("a head of more than 16 KiB"));
    assert_eq!(end.says(), b"");
}

#[test]
fn what_comes_behind_the_head_counts() {
    for role in Role::BOTH {
        for cuts in [1, 7, 100_000] {
            let mut end = End::new(role, of(SocketType::Pull));
            let head = match role {
                Role::Client => {
                    let request = String::from_utf8(end.says()).expect("a request");
                    answer(&request, "ZWS2.0/NULL")
                }
                Role::Server => request("ZWS2.0/NULL"),
            };
            let message = vec![7; 20_000];
            let stream =
                [head.as_bytes(), &role.ready(SocketType::Push), &role.zmq(0, &message)].concat();
            stream.chunks(cuts).for_each(|piece| end.hear(piece));
            let ready = Seen::Ready(SocketType::Push, Bytes::new());
            assert_eq!((end.seen, end.error), (vec![ready, Seen::frame(message, false)], None));
        }
    }
}

/// What is made of a good answer.
type Change = fn(String) -> String;

#[test]
fn bad_answers_end_it() {
    let changes: [(Change, Option<Error>); 14] = [
        (
            |good| good.replace("101 Switching Protocols", "404 Not \x01Found"),
            not_web("no HTTP (invalid response status): it began with \"HTTP/1.1 404 Not\""),
        ),
        (
            |good| good.replace("101 Switching Protocols", "404 Not\tFound"),
            not_web("the answer 404 Not\\tFound"),
        ),
        (
            |good| good.replace("101 Switching Protocols", &format!("500 {}", "x".repeat(100))),
            not_web(format!("the answer 500 {}", "x".repeat(64))),
        ),
        (|good| good.replace("101 ", "100 "), not_web("the answer 100 Switching Protocols")),
        (
            |good| good.replace("Upgrade: websocket\r\n", ""),
            not_web("an answer without an upgrade to it"),
        ),
        (
            |good| good.replace("Upgrade: websocket", "Upgrade: h2c"),
            not_web("an answer without an upgrade to it"),
        ),
        (
            |good| good.replace("Connection: Upgrade", "Connection: close"),
            not_web("an answer without an upgrade to it"),
        ),
        (
            |good| good.replace("Accept: ", "Accept: A"),
            not_web("a Sec-WebSocket-Accept that does not go with our key"),
        ),
        (
            |good| good.replace("Sec-WebSocket-Accept", "X"),
            not_web("a Sec-WebSocket-Accept that does not go with our key"),
        ),
        (
            |good| good.replace("\r\nSec-WebSocket-Protocol: ZWS2.0/NULL", ""),
            subprotocols("ZWS2.0/NULL,ZWS2.0", ""),
        ),
        (
            |good| good.replace("/NULL", "/PLAIN"),
            subprotocols("ZWS2.0/NULL,ZWS2.0", "ZWS2.0/PLAIN"),
        ),
        // One that is not as we wrote it we have not asked for.
        (
            |good| good.replace("ZWS2.0/NULL", "zws2.0/null"),
            subprotocols("ZWS2.0/NULL,ZWS2.0", "zws2.0/null"),
        ),
        (
            |good| {
                good.replace(
                    "Upgrade: w",
                    "Sec-WebSocket-Extensions: permessage-deflate\r\nUpgrade: w",
                )
            },
            not_web("extensions that we have not asked for"),
        ),
        (
            |_| "SSH-2.0-OpenSSH\r\n".to_owned(),
            not_web("no HTTP (invalid HTTP version): it began with \"SSH-2.0-OpenSSH\\r\""),
        ),
    ];
    for (change, error) in changes {
        let mut end = End::new(Role::Client, of(SocketType::Push));
        let good = answer(str::from_utf8(&end.says()).expect("a request"), "ZWS2.0/NULL");
        let bad = change(good);
        end.hear(bad.as_bytes());
        assert_eq!(end.error, error, "{bad}");
        assert_eq!(end.says(), b"", "a client answers nothing");
        // A WebSocket that is not open is not closed either.
        assert!(!end.web.say_goodbye());
        assert!(end.web.inner().handle_timeout(end.now + 60 * SECOND).is_err());
        assert_eq!(end.web.take_output(), None);
    }
}

#[test]
fn an_answer_may_be_written_in_many_ways() {
    let changes: [Change; 5] = [
        |good| good,
        |good| good.replace(" Switching Protocols", ""),
        |good| good.replace("Upgrade: w", "Sec-WebSocket-Extensions:\r\nUpgrade: w"),
        |good| good.replace("Upgrade: websocket", "upgrade:WebSocket"),
        |good| good.replace("Connection: Upgrade", "Connection: keep-alive,upgrade\r\nServer: x"),
    ];
    for change in changes {
        let mut end = End::new(Role::Client, of(SocketType::Push));
        let good = answer(str::from_utf8(&end.says()).expect("a request"), "ZWS2.0/NULL");
        end.hear(change(good).as_bytes());
        end.hear(&Role::Client.ready(SocketType::Pull));
        assert_eq!((end.seen.len(), end.error), (1, None));
    }
}

#[test]
fn an_opening_that_is_not_completed_is_given_up() {
    for role in Role::BOTH {
        let mut config = of(SocketType::Pull);
        config.handshake_timeout = Some(2 * SECOND);
        let mut end = End::new(role, config.clone());
        end.says();
        end.hear(if role == Role::Client { b"HTTP/1.1 1" } else { b"GET / HTTP/1.1\r\n" });
        assert_eq!(end.web.peek().next_timeout(), Some(end.now + 2 * SECOND));
        assert_eq!(end.web.inner().handle_timeout(end.now + SECOND), Ok(()));
        let late = Err(Error::TimedOut(TimedOut::Handshake(2 * SECOND)));
        assert_eq!(end.web.inner().handle_timeout(end.now + 2 * SECOND), late);
        end.hear(b"and so on");
        assert_eq!((end.error.clone(), end.says()), (late.err(), vec![]));

        // So is a handshake on a WebSocket that is open.
        let mut end = End::open(role, config, "ZWS2.0/NULL");
        end.hear(&role.ready(SocketType::Push)[..5]);
        assert!(end.web.inner().handle_timeout(end.now + 2 * SECOND).is_err());
    }
}

#[test]
fn a_configuration_that_breaks_the_contract_shows_at_once() {
    for role in Role::BOTH {
        let mut config = of(SocketType::Dealer);
        config.routing_id = Bytes::from(vec![1; 256]);
        let mut end = End::new(role, config);
        assert_eq!(end.says(), b"");
        end.hear(request("ZWS2.0/NULL").as_bytes());
        assert!(matches!(end.error, Some(Error::ApiMisuse(_))));
        assert_eq!(end.says(), b"");
    }
}

// ---- Without a mechanism.

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
        let ready = raw_command("READY", &support::raw_property("Socket-Type", b"PULL"));
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

// ---- Frames.

const LENGTHS: [usize; 12] = [0, 1, 123, 124, 125, 126, 254, 255, 65533, 65534, 65535, 65536];

#[test]
fn frames_go_out_in_the_shortest_form_masked_by_clients_only() {
    for role in Role::BOTH {
        let mut framer = pull(role).framer.expect("a framer");
        assert_eq!(framer.masks(), role == Role::Client);
        for len in LENGTHS {
            let body = (0..len).map(|at| at as u8).collect::<Vec<_>>();
            for (more, command, flags) in [(false, false, 0), (true, false, 1), (false, true, 2)] {
                let mut out = BytesMut::from("before");
                framer.frame(more, command, &body, &mut out);
                let out = &out[6..];
                assert_eq!(out.len(), framer.frame_len(len));
                let payload = [&[flags][..], &body].concat();
                let header = out.len() - payload.len() + 1;
                assert!(header <= MAX_WEB_HEADER_LEN);
                let key = framer.masks().then(|| *out[header - 5..].first_chunk().expect("a key"));
                assert_eq!(out, raw_web(0x82, key, &payload), "{len}");
                let mut encoded = BytesMut::new();
                if command {
                    continue;
                }
                encode_frame(&mut encoded, more, &body);
                let mut same = BytesMut::new();
                framer.encoded(&encoded, &mut same);
                assert_eq!(parse_web(&same)[0].2, payload);
                if !framer.masks() {
                    let mut header = BytesMut::new();
                    framer.message_header(more, len as u64, &mut header);
                    assert_eq!([&header[..], &body].concat(), out);
                }
            }
        }
    }
    assert_eq!(raw_web(0x82, Some([0; 4]), &[0; 65536]).len() - 65536, MAX_WEB_HEADER_LEN - 1);
}

#[test]
fn every_frame_has_another_mask() {
    let mut framer = pull(Role::Client).framer.expect("a framer");
    let mut keys = std::collections::HashSet::new();
    for _ in 0..200 {
        let mut out = BytesMut::new();
        framer.frame(false, false, b"the same", &mut out);
        keys.insert(out[2..6].to_vec());
    }
    assert!(keys.len() > 190, "{}", keys.len());
    let printed = format!("{framer:?}");
    assert_eq!(printed, "WebFramer { masks: true }");
}

#[test]
fn commands_pass() {
    let mut pair = WebPair::new(of(SocketType::Dish), of(SocketType::Radio));
    pair.settle();
    let mut join = BytesMut::new();
    encode_membership(&mut join, b"group", true);
    pair.ends[0].send_encoded(&join);
    assert_eq!(parse_web(&pair.ends[0].says()), [(0x82, true, b"\x02\x04JOINgroup".to_vec())]);
    pair.ends[0].send_encoded(&join);
    pair.settle();
    assert_eq!(pair.seen()[1].last(), Some(&Seen::Join("group".into())));
}

#[test]
fn fragments_are_put_together() {
    for role in Role::BOTH {
        let frame = |first, payload: &[u8]| role.peers(first, payload);
        let mut end = pull(role);
        let long = vec![9; 70_000];
        end.hear(
            &[
                frame(0x02, b"\x01he"),
                frame(0x89, b"within"),
                frame(0x00, b"l"),
                frame(0x8a, b""),
                frame(0x00, b""),
                frame(0x80, b"lo"),
                // Nothing in the first, not even the flags.
                frame(0x02, b""),
                frame(0x00, b"\0"),
                frame(0x80, &long),
                frame(0x02, b"\0"),
                frame(0x80, b""),
                frame(0x82, b"\0whole"),
            ]
            .concat(),
        );
        let told = [
            Seen::frame("hello", true),
            Seen::frame(long, false),
            Seen::frame("", false),
            Seen::frame("whole", false),
        ];
        assert_eq!((&end.seen[..], &end.error), (&told[..], &None));
        assert_eq!(end.says_frames(), [(0x8a, b"within".to_vec())]);
    }
}

#[test]
fn lengths_may_be_longer_than_they_need_to_be() {
    for role in Role::BOTH {
        let mut end = pull(role);
        let short = role.peers(0x82, b"\0x");
        let masked = short[1] & 0x80;
        let rest = &short[2..];
        end.hear(&[&[0x82, masked | 126, 0, 2], rest].concat());
        end.hear(&[&[0x82, masked | 127, 0, 0, 0, 0, 0, 0, 0, 2], rest].concat());
        assert_eq!((end.seen, end.error), (vec![Seen::frame("x", false); 2], None));
    }
}

#[test]
fn a_mask_of_zeros_hides_nothing() {
    for len in [0, 3, 4094, 4095, 4096, 4097, 200_000] {
        for cuts in [1000, 5000, usize::MAX] {
            let mut end = pull(Role::Server);
            let body = (0..len).map(|at| at as u8).collect::<Vec<_>>();
            let payload = [&[1], &body[..]].concat();
            let stream = [
                raw_web(0x82, Some([0; 4]), &payload),
                raw_web(0x82, Some([0, 2, 3, 4]), &payload),
                raw_web(0x02, Some([0; 4]), &payload),
                raw_web(0x80, Some([0, 0, 0, 1]), b"rest"),
            ];
            stream.concat().chunks(cuts).for_each(|piece| end.hear(piece));
            let third = [&body[..], b"rest"].concat();
            let told = [body.clone(), body, third].map(|body| Seen::frame(body, true));
            assert_eq!((&end.seen[..], &end.error), (&told[..], &None));
        }
    }
}

/// What comes of these frames, the good message before them, and the close that is said.
fn faulty(role: Role, stream: &[u8], cuts: usize) -> (Option<Error>, Vec<(u8, Vec<u8>)>) {
    let mut end = pull(role);
    let stream = [&role.zmq(0, b"good")[..], stream, &role.zmq(0, b"later")].concat();
    stream.chunks(cuts).for_each(|piece| end.hear(piece));
    assert_eq!(end.seen, [Seen::frame("good", false)], "{:?}", end.error);
    let said = end.says_frames();
    // It is over.
    let error = end.error.clone();
    end.hear(&[role.peers(0x89, b""), role.zmq(0, b"last")].concat());
    assert!(!end.web.say_goodbye());
    assert_eq!((end.seen.len(), &end.error), (1, &error));
    assert_eq!(end.says(), b"");
    (error, said)
}

#[test]
fn faults_of_framing_end_it_with_a_close() {
    const CONTROL: &str = "a control frame is in fragments, or longer than 125 bytes";
    const RESERVED: &str = "a frame has bits of extensions that were not agreed upon";
    const OPCODE: &str = "a frame has an opcode that RFC 6455 does not define";
    const NO_FLAGS: &str = "a message has no flags";
    for role in Role::BOTH {
        let frame = |first, payload: &[u8]| role.peers(first, payload);
        let (other_mask, mask_fault) = match role {
            Role::Client => (Some([1, 2, 3, 4]), "a server must not mask its frames"),
            Role::Server => (None, "a client has to mask its frames"),
        };
        let key = role.peers_key().map_or(vec![], |key| key.to_vec());
        let huge = |first| {
            let masked = if role == Role::Server { 0x80 } else { 0 };
            [&[first, 127 | masked][..], &(1_u64 << 63).to_be_bytes(), &key].concat()
        };
        let mut cases = vec![
            (raw_web(0x82, other_mask, b"\0x"), mask_fault),
            (raw_web(0x89, other_mask, b""), mask_fault),
            (huge(0x82), "a frame's length has its highest bit set"),
            (huge(0x02), "a frame's length has its highest bit set"),
            (huge(0x89), "a frame's length has its highest bit set"),
            (frame(0x81, b"\0x"), "a message is text, but frames of ZeroMQ are binary"),
            (frame(0x01, b"\0x"), "a message is text, but frames of ZeroMQ are binary"),
            (frame(0x08, &[3, 232]), CONTROL),
            (frame(0x09, b""), CONTROL),
            (frame(0x0a, b""), CONTROL),
            (frame(0x88, &[3; 126]), CONTROL),
            (frame(0x89, &[3; 126]), CONTROL),
            (frame(0x8a, &[3; 70_000]), CONTROL),
            (frame(0x80, b"\0x"), "a fragment continues nothing"),
            (frame(0x00, b"\0x"), "a fragment continues nothing"),
            (frame(0x82, b""), NO_FLAGS),
            ([frame(0x02, b""), frame(0x00, b""), frame(0x80, b"")].concat(), NO_FLAGS),
            (
                [frame(0x02, b"\0x"), frame(0x82, b"\0y")].concat(),
                "a message begins within another",
            ),
            (
                [frame(0x02, b"\0x"), frame(0x02, b"\0y")].concat(),
                "a message begins within another",
            ),
            ([frame(0x02, b""), frame(0x82, b"")].concat(), "a message begins within another"),
            (
                [frame(0x02, b"\0x"), frame(0x81, b"y")].concat(),
                "a message is text, but frames of ZeroMQ are binary",
            ),
        ];
        for first in [0xc2, 0xa2, 0x92, 0xf2, 0xc9, 0x98, 0x40] {
            cases.push((frame(first, b"\0x"), RESERVED));
        }
        for opcode in [3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf] {
            cases.push((frame(0x80 | opcode, b"\0x"), OPCODE));
        }
        for (stream, fault) in cases {
            for cuts in [1, 3, 50, usize::MAX] {
                let expected = (misbehaved(fault), vec![close(1002)]);
                assert_eq!(faulty(role, &stream, cuts), expected, "{role:?} {stream:x?}");
            }
        }
        for flags in [3, 4, 8, 0x10, 0x20, 0x40, 0x80, 0xff] {
            for stream in
                [role.zmq(flags, b"x"), [frame(0x02, &[flags]), frame(0x80, b"x")].concat()]
            {
                let expected = (Some(PeerMisbehaved::Flags(flags).into()), vec![close(1002)]);
                assert_eq!(faulty(role, &stream, 1), expected);
                assert_eq!(faulty(role, &stream, usize::MAX), expected);
            }
        }
    }
}

#[test]
fn what_ends_the_connection_within_closes_the_websocket() {
    for role in Role::BOTH {
        for (stream, error, status) in [
            (
                role.zmq(0, &[0; 301]),
                PeerMisbehaved::FrameTooLong { length: 301, limit: 300 },
                1009,
            ),
            (
                role.command("PING", b""),
                PeerMisbehaved::MalformedCommand {
                    command: "PING",
                    defect: "it has no time to live",
                },
                1002,
            ),
        ] {
            let mut config = of(SocketType::Pull);
            config.max_message_size = Some(300);
            let mut end = End::established(role, config, SocketType::Push);
            end.hear(&[role.zmq(0, &[0; 300]), stream, role.zmq(0, b"")].concat());
            assert_eq!((end.seen.len(), &end.error), (1, &Some(error.into())));
            assert_eq!(end.says_frames(), [close(status)]);
            end.hear(&role.peers(0x89, b""));
            assert!(!end.web.say_goodbye());
            assert_eq!(end.says(), b"");
        }

        // Whatever follows it.
        let mut end = pull(role);
        end.hear(&[role.zmq(0, &[0; 9]), role.command("", b""), role.peers(0x88, b"")].concat());
        assert_eq!(end.seen, [Seen::frame(vec![0; 9], false)]);
        assert!(matches!(end.error, Some(Error::PeerMisbehaved(_))), "{:?}", end.error);
        assert_eq!(end.says_frames(), [close(1002)]);

        // During the handshake, too: behind what is said of it by the mechanism, if anything.
        let mut end = End::open(role, of(SocketType::Pull), "ZWS2.0/NULL");
        end.says();
        end.hear(&role.ready(SocketType::Pull));
        let error = raw_command("ERROR", b"\x18PULL-cannot-talk-to-PULL");
        let error = [&[2][..], &error[2..]].concat();
        assert_eq!(end.says_frames(), [(0x82, error), close(1008)]);

        let mut end = End::open(role, judging(SocketType::Pull), "ZWS2.0/NULL");
        end.web.inner().next_event(end.now).expect("credentials");
        end.web.inner().refuse(Refusal::Temporary);
        assert_eq!(end.says_frames(), [close(1008)]);

        let mut end = End::open(role, of(SocketType::Pull), "ZWS2.0/NULL");
        end.says();
        assert!(end.web.inner().handle_timeout(end.now + 30 * SECOND).is_err());
        assert_eq!(end.says_frames(), [close(1008)]);
    }
}

// ---- Limits.

#[test]
fn an_announced_length_costs_nothing() {
    for role in Role::BOTH {
        let mut end = pull(role);
        let masked = if role == Role::Server { 0x80 } else { 0 };
        let key = role.peers_key().map_or(vec![], |key| key.to_vec());
        let huge = [&[0x82, 127 | masked][..], &(1_u64 << 62).to_be_bytes(), &key].concat();
        end.hear(&huge);
        end.hear(&role.peers_key().map_or(vec![0], |key| vec![key[0]]));
        end.hear(&[1; 1000]);
        assert_eq!((end.seen, end.error), (vec![], None));
    }
}

#[test]
fn fragments_are_limited_by_what_they_announce() {
    // Commands may always have 64 KiB.
    for (limit, most) in [(300, 65536), (65536, 65536), (100_000, 100_000)] {
        for role in Role::BOTH {
            let mut config = of(SocketType::Pull);
            config.max_message_size = Some(limit);
            let begin = |end: &mut End| {
                end.hear(&role.peers(0x02, b"\0"));
                // Not a fragment of that message.
                end.hear(&role.peers(0x89, &[0; 125]));
                let body = vec![0; most as usize - 1];
                body.chunks(9999).for_each(|part| end.hear(&role.peers(0x00, part)));
                assert_eq!((end.seen.len(), &end.error), (0, &None));
                end.says();
            };
            let mut end = End::established(role, config.clone(), SocketType::Push);
            begin(&mut end);
            end.hear(&role.peers(0x80, &[0]));
            if most == limit {
                assert_eq!(end.seen, [Seen::frame(vec![0; most as usize], false)]);
            } else {
                let error = PeerMisbehaved::FrameTooLong { length: most, limit };
                assert_eq!(end.error, Some(error.into()));
            }

            let mut end = End::established(role, config, SocketType::Push);
            begin(&mut end);
            // The header says it: nothing of it has to come.
            let frame = role.peers(0x00, &[0; 100]);
            end.hear(&frame[..frame.len() - 100]);
            let error = PeerMisbehaved::FrameTooLong { length: most + 99, limit: most };
            assert_eq!(end.error, Some(error.into()));
            assert_eq!(end.says_frames(), [close(1009)]);
        }
    }
}

#[test]
fn endless_fragments_are_not_kept_of_a_peer_that_is_not_known() {
    for role in Role::BOTH {
        let mut end = End::open(role, of(SocketType::Pull), "ZWS2.0/NULL");
        end.says();
        end.hear(&role.peers(0x02, b"\x02\x05READY"));
        let mut heard = 7;
        while end.error.is_none() {
            end.hear(&role.peers(0x00, &[0; 1000]));
            heard += 1000;
        }
        assert!((65536..68_000).contains(&heard), "{heard}");
        let Some(Error::PeerMisbehaved(PeerMisbehaved::FrameTooLong { limit: 65536, .. })) =
            end.error
        else {
            panic!("{:?}", end.error)
        };
        assert_eq!(end.says_frames(), [close(1009)]);
    }
}

#[test]
fn a_message_in_fragments_may_come_together_with_ready() {
    for role in Role::BOTH {
        let long = vec![5; 100_000];
        let message = [&b"\0"[..], &long].concat();
        let fragments =
            [role.peers(0x02, &message[..70_000]), role.peers(0x80, &message[70_000..])];
        let begin = [role.ready(SocketType::Push), role.zmq(0, b"")];
        for (begin, protocol) in begin.iter().zip(["ZWS2.0/NULL", "ZWS2.0"]) {
            let stream = [begin, &fragments.concat()[..]].concat();
            // Be the events asked for late.
            for cuts in [1000, 90_000, usize::MAX] {
                let mut end = End::open(role, of(SocketType::Pull), protocol);
                stream.chunks(cuts).for_each(|piece| end.feed(piece));
                end.listen();
                assert_eq!(end.error, None);
                assert_eq!(end.seen[1..], [Seen::frame(long.clone(), false)]);
            }
        }
    }
}

#[test]
fn what_was_received_is_not_printed() {
    for role in Role::BOTH {
        let mut end = End::new(role, of(SocketType::Pull));
        end.says();
        end.hear(if role == Role::Client { b"HTTP/1.1 101 secret" } else { b"GET /secret" });
        let before = format!("{:?}", end.web);
        let mut end = pull(role);
        end.hear(&[role.peers(0x02, b"\0secret"), role.peers(0x00, b"secret")].concat());
        for printed in [before, format!("{:?}", end.web)] {
            let bytes = format!("{:?}", b"secret");
            assert!(!printed.contains("secret"), "{printed}");
            assert!(!printed.contains(bytes.trim_matches(['[', ']'])), "{printed}");
        }
    }
}

// ---- Control frames.

#[test]
fn a_ping_is_answered_with_what_is_in_it() {
    for role in Role::BOTH {
        let payload = [b'p'; 125];
        for payload in [&b""[..], b"x", b"\0\x0acontext", &payload] {
            let ping = role.peers(0x89, payload);
            // During the handshake.
            let mut end = End::open(role, of(SocketType::Pull), "ZWS2.0/NULL");
            let before = end.says_frames().len();
            assert_eq!(before, 1);
            end.hear(&ping);
            assert_eq!(end.says_frames(), [(0x8a, payload.to_vec())]);
            // Behind it, and in the midst of a message.
            end.hear(&role.ready(SocketType::Push));
            end.hear(&[role.zmq(1, b"a"), ping].concat());
            assert_eq!(end.says_frames(), [(0x8a, payload.to_vec())]);
            end.hear(&role.zmq(0, b"b"));
            assert_eq!(end.seen[1..], [Seen::frame("a", true), Seen::frame("b", false)]);
        }
    }
}

#[test]
fn a_pong_that_nobody_asked_for_is_let_go() {
    for role in Role::BOTH {
        let mut end = pull(role);
        end.hear(&[role.peers(0x8a, &[7; 125]), role.zmq(0, b"x")].concat());
        assert_eq!((end.says(), end.error.clone()), (vec![], None));
        assert_eq!(end.seen, [Seen::frame("x", false)]);
    }
}

/// "MAY elect to send a Pong frame for only the most recently processed Ping frame" (RFC 6455, section
/// 5.5.3).
#[test]
fn a_flood_of_pings_does_not_hoard_pongs() {
    for role in Role::BOTH {
        let mut end = pull(role);
        for number in 0..1000 {
            end.hear(&role.peers(0x89, &[number as u8; 125]).repeat(2));
        }
        assert_eq!(end.says_frames(), [(0x8a, vec![999_u32 as u8; 125])]);
        end.hear(&role.peers(0x89, b"again"));
        assert_eq!(end.says_frames(), [(0x8a, b"again".to_vec())]);
    }
}

#[test]
fn a_close_is_answered_once_and_reported_behind_all_events() {
    for role in Role::BOTH {
        let long = [&b"\x0b\xb8"[..], &[b'\xe4'; 123]].concat();
        let quoted = format!("3000 {}", "\\xe4".repeat(123));
        for (payload, words, answered) in [
            (&b""[..], "", 1000),
            (b"\x03\xe8", "1000", 1000),
            (b"\x03\xe9going away", "1001 going away", 1001),
            (b"\x03\xe9\xe4\n\"", "1001 \\xe4\\n\\\"", 1001),
            (b"\x13\x87 ", "4999  ", 4999),
            (&long, &quoted, 3000),
            // What may not be sent.
            (b"\x03", "", 1002),
            (b"\x03\xe7", "999", 1002),
            (b"\x03\xec", "1004", 1002),
            (b"\x03\xed", "1005", 1002),
            (b"\x03\xf7", "1015", 1002),
            (b"\x07\xd0", "2000", 1002),
            (b"\xff\xff", "65535", 1002),
        ] {
            let mut end = pull(role);
            // Even in the midst of a message of several fragments.
            let stream = [
                role.zmq(0, b"before"),
                role.peers(0x02, b"\0part"),
                role.peers(0x88, payload),
                role.peers(0x88, payload),
                role.peers(0x89, b""),
                role.zmq(0, b"behind"),
            ];
            end.feed(&stream.concat());
            assert!(matches!(end.web.fault(), Some(Error::Closed(_))));
            end.listen();
            assert_eq!(end.seen, [Seen::frame("before", false)]);
            assert_eq!(end.error, Some(Error::Closed(words.to_owned())));
            assert_eq!(end.says_frames(), [close(answered)]);
            end.hear(&role.peers(0x88, payload));
            assert!(!end.web.say_goodbye());
            assert_eq!(end.says(), b"");
        }
    }
}

#[test]
fn a_close_during_the_handshake_is_answered_and_reported() {
    for role in Role::BOTH {
        for protocol in ["ZWS2.0", "ZWS2.0/NULL"] {
            let mut end = End::open(role, of(SocketType::Pull), protocol);
            end.says();
            end.hear(&role.peers(0x88, b"\x03\xe8"));
            assert_eq!(end.error, Some(Error::Closed("1000".to_owned())));
            assert_eq!(end.says_frames(), [close(1000)]);
        }
    }
}

#[test]
fn goodbye_is_said_once_behind_everything_else() {
    let mut pair = WebPair::new(of(SocketType::Push), of(SocketType::Pull));
    assert!(!pair.ends[0].web.say_goodbye(), "not before the handshake is complete");
    pair.settle();
    pair.ends[0].send(&[b"last"]);
    assert!(pair.ends[0].web.say_goodbye());
    assert!(!pair.ends[0].web.say_goodbye());
    assert!(pair.ends[0].web.has_output());
    assert_eq!(pair.ends[0].error, None);
    pair.settle();
    // Either has heard the other's.
    let closed = Error::Closed("1000".to_owned());
    assert_eq!(pair.errors(), [Some(&closed), Some(&closed)]);
    assert_eq!(pair.seen()[1].last(), Some(&Seen::frame("last", false)));

    // What is to be said anyway goes before it, be it heard only later.
    let mut end = End::established(Role::Server, beating(3), SocketType::Push);
    assert!(end.web.say_goodbye());
    end.hear(&Role::Server.peers(0x89, b"ping"));
    end.hear(&Role::Server.zmq(0, b"still heard"));
    assert_eq!(end.seen, [Seen::frame("still heard", false)]);
    assert_eq!(end.says_frames().last(), Some(&close(1000)));
    end.hear(&Role::Server.peers(0x89, b"ping"));
    end.web.inner().handle_timeout(end.now + 60 * SECOND).expect("a PING");
    assert_eq!(end.says(), b"", "nothing behind the close");
}

// ---- Time.

fn beating(timeout: u64) -> Config {
    let mut config = of(SocketType::Pull);
    config.heartbeat = Some(Heartbeat {
        interval: 2 * SECOND,
        timeout: Duration::from_secs(timeout),
        ttl: 9 * SECOND,
    });
    config
}

#[test]
fn heartbeats_are_the_websockets_own() {
    for role in Role::BOTH {
        let mut end = End::established(role, beating(3), SocketType::Push);
        end.now += 2 * SECOND;
        assert_eq!(end.web.inner().handle_timeout(end.now), Ok(()));
        assert_eq!(end.says_frames(), [(0x89, vec![])], "a PING knows of no time to live");
        // A PONG is life, though no event.
        end.now += 2 * SECOND;
        end.hear(&role.peers(0x8a, b""));
        assert_eq!(end.web.peek().last_arrival(), end.now);
        assert_eq!((end.seen.len(), end.web.inner().handle_timeout(end.now)), (0, Ok(())));
        // Silence is not.
        let late = end.web.inner().handle_timeout(end.now + 3 * SECOND);
        assert_eq!(late, Err(Error::TimedOut(TimedOut::Heartbeat(3 * SECOND))));
    }
}

/// As with libzmq: they need no commands.
#[test]
fn without_a_mechanism_there_are_heartbeats_all_the_same() {
    for role in Role::BOTH {
        let mut end = End::open(role, beating(3), "ZWS2.0");
        end.hear(&role.zmq(0, b""));
        end.says();
        assert_eq!(end.web.peek().next_timeout(), Some(end.now + 2 * SECOND));
        end.now += 2 * SECOND;
        assert_eq!(end.web.inner().handle_timeout(end.now), Ok(()));
        assert_eq!(end.says_frames(), [(0x89, vec![])]);
        assert!(end.web.inner().handle_timeout(end.now + 3 * SECOND).is_err());
    }
}

#[test]
fn peers_keep_each_other_alive_until_one_is_cut_off() {
    let mut push = of(SocketType::Push);
    push.heartbeat = beating(1).heartbeat;
    let mut pair = WebPair::new(push, beating(1));
    pair.wait(100 * SECOND);
    assert_eq!(pair.errors(), [None, None]);
    assert_eq!(pair.seen().map(<[Seen]>::len), [1, 1], "they are no events");
    pair.cut[1] = true;
    pair.wait(3 * SECOND);
    assert!(matches!(pair.errors()[0], Some(Error::TimedOut(TimedOut::Heartbeat(_)))));
}

// ---- All of it, however it is cut.

fn messages() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    let len = prop_oneof![
        4 => 0..4_usize,
        4 => 120..130_usize,
        1 => 250..260_usize,
        1 => 65_530..65_540_usize,
        1 => 100_000..150_000_usize,
    ];
    // Length, content, and whether it has MORE, or is a command.
    proptest::collection::vec((len, any::<u8>(), 0..3_u8), 0..10)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    })]

    #[test]
    fn both_ends_talk_whatever_the_split(
        flows in [messages(), messages()],
        cuts in proptest::collection::vec(prop_oneof![1..20_usize, 1..100_000_usize, 50_000..100_000_usize], 1..20),
    ) {
        let mut ends = [
            End::new(Role::Client, of(SocketType::Dealer)),
            End::new(Role::Server, of(SocketType::Router)),
        ];
        let mut cuts = cuts.into_iter().cycle();
        let mut expected = [Vec::new(), Vec::new()];
        let mut talk = |ends: &mut [End; 2]| {
            let mut quiet = 0;
            while quiet < 2 {
                for from in 0..2 {
                    let said = ends[from].says();
                    quiet = if said.is_empty() { quiet + 1 } else { 0 };
                    let mut rest = &said[..];
                    while !rest.is_empty() {
                        let (now, later) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                        ends[1 - from].hear(now);
                        rest = later;
                    }
                }
            }
        };
        talk(&mut ends);
        for from in 0..2 {
            expected[from].push(Seen::Ready(
                [SocketType::Router, SocketType::Dealer][from],
                Bytes::new(),
            ));
        }
        for (from, flow) in flows.iter().enumerate() {
            for (len, byte, kind) in flow {
                let body = vec![*byte; *len];
                let end = &mut ends[from];
                let mut out = BytesMut::new();
                let framer = end.framer.as_mut().expect("a framer");
                if *kind == 2 {
                    let command = [b"\x09SUBSCRIBE", &body[..]].concat();
                    framer.frame(false, true, &command, &mut out);
                    expected[1 - from].push(Seen::Subscribe(body.into()));
                } else {
                    framer.frame(*kind == 1, false, &body, &mut out);
                    expected[1 - from].push(Seen::frame(body, *kind == 1));
                }
                prop_assert!(parse_web(&out)[0].1 == (from == 0));
                end.push(&out);
            }
        }
        talk(&mut ends);
        for at in 0..2 {
            prop_assert_eq!(&ends[at].error, &None);
            prop_assert!(ends[at].seen == expected[at]);
            prop_assert!(!ends[at].web.peek().has_buffered_input());
        }
    }
}
