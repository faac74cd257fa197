//! Peers that somebody judges: with the NULL mechanism, and with PLAIN (RFC 24), by the rules of ZAP
//! (RFC 27).

use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use serverlink_zmtp::{
    ApiMisuse, Config, Connection, Credentials, Error, Mechanism, PeerIncompatible, PeerMisbehaved,
    PlainLogin, Refusal, SocketType, TimedOut,
};

use crate::support::{
    self, Older, Pair, Seen, raw_command, raw_frame, raw_greeting, raw_handshake, raw_property,
};

fn login(username: &'static str, password: &'static str) -> PlainLogin {
    PlainLogin { username: username.into(), password: password.into() }
}

fn config(socket_type: SocketType, mechanism: Mechanism) -> Config {
    let mut config = Config::new(socket_type);
    config.mechanism = mechanism;
    config
}

fn plain_client() -> Config {
    let mut config =
        config(SocketType::Dealer, Mechanism::PlainClient(login("admin", "pass\0word")));
    config.routing_id = Bytes::from_static(b"me");
    config
}

fn plain_server() -> Config {
    config(SocketType::Router, Mechanism::PlainServer)
}

fn judging() -> Config {
    let mut config = Config::new(SocketType::Router);
    config.judges_peers = true;
    config
}

fn initiate() -> Vec<u8> {
    raw_command("INITIATE", &raw_property("Socket-Type", b"DEALER"))
}

/// A connection that has heard this, and what it made of it.
fn heard(config: Config, bytes: &[u8]) -> (Connection, Result<Vec<Seen>, Error>) {
    let now = Instant::now();
    let mut connection = Connection::new(config, now);
    connection.feed(Bytes::copy_from_slice(bytes), now);
    let seen = support::drain(&mut connection, now);
    (connection, seen)
}

#[test]
fn a_client_that_is_admitted_shakes_hands_and_talks() {
    for (server, client, shown) in [
        (plain_server(), plain_client(), Credentials::Plain(login("admin", "pass\0word"))),
        (judging(), Config::new(SocketType::Dealer), Credentials::None),
    ] {
        let mut pair = Pair::new([client, server]);
        pair.settle();
        assert_eq!(pair.seen[1], [Seen::Credentials(shown.clone())]);
        assert_eq!(pair.ends[1].credentials(), Some(&shown));
        assert!(!pair.ends[0].is_ready() && !pair.ends[1].is_ready());
        pair.ends[1].admit();
        pair.settle();
        assert_eq!(pair.seen[0], [Seen::Ready(SocketType::Router, Bytes::new())]);
        let id = pair.ends[0].peer().and_then(|_| pair.ends[1].peer()).unwrap().routing_id.clone();
        assert_eq!(pair.seen[1][1..], [Seen::Ready(SocketType::Dealer, id)]);
        assert_eq!(pair.ends[1].credentials(), None);
        pair.send(0, &[b"a", b"b"]);
        pair.send(1, &[b"c"]);
        assert_eq!(pair.seen[1][2..], [Seen::frame("a", true), Seen::frame("b", false)]);
        assert_eq!(pair.seen[0][1..], [Seen::frame("c", false)]);
    }
}

#[test]
fn plain_peers_know_each_other() {
    let mut pair = Pair::new([plain_client(), plain_server()]);
    pair.settle();
    pair.ends[1].admit();
    pair.settle();
    let [server, client] = pair.ends.each_ref().map(|end| end.peer().expect("a peer"));
    assert_eq!(client.routing_id, "me");
    assert!(server.as_server && !client.as_server);
}

#[test]
fn a_client_that_is_refused_is_told_the_status_unless_it_may_try_again() {
    for server in [plain_server(), judging()] {
        for refusal in [Refusal::Temporary, Refusal::Credentials, Refusal::Internal] {
            let client =
                if server.judges_peers { Config::new(SocketType::Dealer) } else { plain_client() };
            let mut pair = Pair::new([client, server.clone()]);
            pair.settle();
            pair.ends[1].refuse(refusal);
            assert_eq!(pair.ends[1].has_output(), refusal != Refusal::Temporary);
            pair.settle();
            assert_eq!(pair.errors[1], Some(Error::Denied(refusal)));
            let told = pair.errors[0].clone();
            match refusal {
                Refusal::Temporary => assert_eq!(told, None),
                _ => {
                    let reason = refusal.status().to_string();
                    assert_eq!(told, Some(Error::Refused { reason }));
                }
            }
            assert_eq!(Refusal::of(refusal.status()), Some(refusal));
        }
    }
    assert_eq!(Refusal::of(200), None);
}

/// Neither READY nor WELCOME, whatever the peer says meanwhile.
#[test]
fn nothing_is_said_before_the_judgement() {
    let null = [&raw_greeting(3, 1, "NULL")[..], &raw_command("READY", b"\x00")].concat();
    let hello = raw_command("HELLO", b"\x01u\x01p");
    let plain = [raw_greeting(3, 1, "PLAIN"), hello, initiate()].concat();
    for (config, bytes) in [(judging(), null), (plain_server(), plain)] {
        let (mut connection, seen) = heard(config, &bytes);
        assert!(matches!(seen.as_deref(), Ok([Seen::Credentials(_)])), "{seen:?}");
        assert_eq!(connection.take_output().expect("a greeting").len(), 64);
        assert!(!connection.is_ready());
    }
}

#[test]
fn a_judgement_that_does_not_come_is_waited_for_as_long_as_the_handshake_may_take() {
    let mut pair = Pair::new([plain_client(), plain_server()]);
    pair.settle();
    pair.wait(Duration::from_secs(29));
    assert_eq!(pair.errors, [None, None]);
    pair.wait(Duration::from_secs(2));
    let late = Some(Error::TimedOut(TimedOut::Handshake(Duration::from_secs(30))));
    assert_eq!(pair.errors, [late.clone(), late]);
    pair.ends[1].admit();
    assert!(!pair.ends[1].has_output(), "it comes too late");
}

#[test]
fn another_mechanism_and_another_role_are_refused() {
    for (ours, theirs) in [
        (plain_server(), Config::new(SocketType::Dealer)),
        (plain_client(), Config::new(SocketType::Router)),
    ] {
        let mut pair = Pair::new([ours, theirs]);
        pair.settle();
        for error in &pair.errors {
            let mismatch = PeerIncompatible::Mechanism { ours: "PLAIN", theirs: "NULL".into() };
            let other = PeerIncompatible::Mechanism { ours: "NULL", theirs: "PLAIN".into() };
            let error = error.clone().expect("an error");
            assert!(error == mismatch.into() || error == other.into(), "{error}");
        }
    }
    let mut clients = Pair::new([plain_client(), plain_client()]);
    clients.settle();
    let unexpected = PeerMisbehaved::UnexpectedCommand("HELLO".into());
    assert_eq!(clients.errors[0], Some(unexpected.into()));
    let mut servers = Pair::new([plain_server(), plain_server()]);
    servers.wait(Duration::from_secs(31));
    assert!(matches!(servers.errors[0], Some(Error::TimedOut(_))));
}

#[test]
fn older_peers_are_refused_where_somebody_judges() {
    for config in [judging(), plain_server(), plain_client()] {
        for older in Older::ALL {
            let (connection, seen) =
                heard(config.clone(), &older.handshake(SocketType::Dealer, b"id"));
            let expected = matches!(
                seen,
                Err(Error::PeerIncompatible(
                    PeerIncompatible::Version(_) | PeerIncompatible::NotZmtp(_)
                ))
            );
            assert!(expected, "{older:?}: {seen:?}");
            assert!(!connection.is_ready());
        }
    }
}

#[test]
fn a_client_that_leaves_the_order_is_refused() {
    let greeting = raw_greeting(3, 1, "PLAIN");
    for (command, expected) in [
        (initiate(), PeerMisbehaved::UnexpectedCommand("INITIATE".into())),
        (
            raw_command("READY", &raw_property("Socket-Type", b"DEALER")),
            PeerMisbehaved::UnexpectedCommand("READY".into()),
        ),
        (raw_frame(0, b"message"), PeerMisbehaved::MessageBeforeReady),
    ] {
        let (connection, seen) = heard(plain_server(), &[greeting.clone(), command].concat());
        assert_eq!(seen, Err(expected.into()));
        assert!(!connection.is_ready());
    }
    let hello = raw_command("HELLO", b"\x01u\x01p");
    let now = Instant::now();
    let (mut connection, _) = heard(plain_server(), &[greeting, hello.clone()].concat());
    connection.admit();
    connection.feed(hello.into(), now);
    let twice = support::drain(&mut connection, now);
    assert_eq!(twice, Err(PeerMisbehaved::UnexpectedCommand("HELLO".into()).into()));
}

#[test]
fn malformed_commands_are_refused() {
    let greeting = raw_greeting(3, 1, "PLAIN");
    let hellos: [(&[u8], _); 5] = [
        (b"", "its username is cut short"),
        (b"\x05user", "its username is cut short"),
        (b"\x04user", "its password is cut short"),
        (b"\x04user\x02p", "its password is cut short"),
        (b"\x04user\x01pp", "something follows its password"),
    ];
    for (data, defect) in hellos {
        let hello = raw_command("HELLO", data);
        let (_, seen) = heard(plain_server(), &[greeting.clone(), hello].concat());
        let malformed = PeerMisbehaved::MalformedCommand { command: "HELLO", defect };
        assert_eq!(seen, Err(malformed.into()));
    }
    let welcome = raw_command("WELCOME", b"x");
    let (_, seen) = heard(plain_client(), &[greeting, welcome].concat());
    let defect = "it is not empty";
    let malformed = PeerMisbehaved::MalformedCommand { command: "WELCOME", defect };
    assert_eq!(seen, Err(malformed.into()));
}

#[test]
fn an_empty_login_is_one() {
    let client = config(SocketType::Dealer, Mechanism::PlainClient(PlainLogin::default()));
    let mut pair = Pair::new([client, plain_server()]);
    pair.settle();
    assert_eq!(pair.seen[1], [Seen::Credentials(Credentials::Plain(PlainLogin::default()))]);
}

#[test]
fn a_login_that_is_too_long_is_refused() {
    let long = Bytes::from(vec![b'x'; 256]);
    for login in [
        PlainLogin { username: long.clone(), password: Bytes::new() },
        PlainLogin { username: Bytes::new(), password: long },
    ] {
        let (_, seen) = heard(config(SocketType::Dealer, Mechanism::PlainClient(login)), b"x");
        assert_eq!(seen, Err(ApiMisuse::PlainLogin.into()));
    }
}

/// It is no command by the grammar.
#[test]
fn a_refusal_as_libzmq_writes_it_is_understood_with_plain_only() {
    let refusal = raw_frame(4, b"^RROR\x03400");
    let greeting = raw_greeting(3, 1, "PLAIN");
    let (_, seen) = heard(plain_client(), &[greeting.clone(), refusal.clone()].concat());
    assert_eq!(seen, Err(Error::Refused { reason: "400".into() }));
    let malformed =
        |seen| matches!(seen, Err(Error::PeerMisbehaved(PeerMisbehaved::MalformedCommand { .. })));
    let (_, seen) = heard(plain_client(), &[greeting, raw_frame(4, b"^RROR\x04400")].concat());
    assert!(malformed(seen));
    let greeting = raw_greeting(3, 1, "NULL");
    let (_, seen) = heard(Config::new(SocketType::Dealer), &[greeting, refusal].concat());
    assert!(malformed(seen));
}

#[test]
fn a_password_is_not_printed() {
    let printed = format!("{:?}", plain_client());
    assert!(printed.contains("admin") && !printed.contains("word"), "{printed}");
}

/// What a server says to all of these bytes once it has admitted the peer.
fn answer(config: &Config, pieces: &[&[u8]]) -> (Vec<Seen>, Option<Error>, Bytes) {
    let now = Instant::now();
    let mut connection = Connection::new(config.clone(), now);
    let (mut seen, mut error) = (Vec::new(), None);
    for piece in pieces {
        connection.feed(Bytes::copy_from_slice(piece), now);
        while error.is_none() {
            match connection.next_event(now).map(|event| event.map(Seen::of)) {
                Ok(Some(event)) => {
                    if matches!(event, Seen::Credentials(_)) {
                        connection.admit();
                    }
                    seen.push(event);
                }
                Ok(None) => break,
                Err(failed) => error = Some(failed),
            }
        }
    }
    (seen, error, connection.take_output().unwrap_or_default())
}

proptest! {
    #[test]
    fn a_handshake_is_the_same_in_any_split(
        at in prop::collection::vec(0usize..200, 0..6),
        null in any::<bool>(),
    ) {
        let (config, bytes) = if null {
            (judging(), raw_handshake(SocketType::Dealer))
        } else {
            let hello = raw_command("HELLO", b"\x05admin\x08password");
            (plain_server(), [raw_greeting(3, 1, "PLAIN"), hello, initiate()].concat())
        };
        let whole = answer(&config, &[&bytes]);
        prop_assert!(matches!(whole.0[..], [Seen::Credentials(_), Seen::Ready(..)]));
        let mut at: Vec<_> = at.into_iter().map(|at| at.min(bytes.len())).collect();
        at.sort_unstable();
        let (mut pieces, mut from) = (Vec::new(), 0);
        for to in at.into_iter().chain([bytes.len()]) {
            pieces.push(&bytes[from..to]);
            from = to;
        }
        prop_assert_eq!(answer(&config, &pieces), whole);
    }

    #[test]
    fn whatever_follows_the_greeting_nobody_panics_or_is_let_in_unasked(
        garbage in prop::collection::vec(any::<u8>(), 0..300),
        server in any::<bool>(),
    ) {
        let config = if server { plain_server() } else { plain_client() };
        let bytes = [raw_greeting(3, 1, "PLAIN"), garbage].concat();
        let (connection, _) = heard(config, &bytes);
        prop_assert!(!connection.is_ready());
    }
}
