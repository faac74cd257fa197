//! The opening, and what is no WebSocket.

use bytes::Bytes;
use serverlink_zmtp::{Error, SocketType, TimedOut};

use super::{
    SECOND, curve_pair, judging, modern, not_web, of, plain_client, plain_server, subprotocols,
};
use crate::support::{
    Seen,
    web::{EXAMPLE_ACCEPT, EXAMPLE_KEY, End, Role, answer, field, request},
};

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
        let expected = crate::support::web::request(protocols).replace(EXAMPLE_KEY, &key);
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
