//! Control frames and time.

use std::time::Duration;

use serverlink_zmtp::{Config, Error, Heartbeat, SocketType, TimedOut};

use super::{SECOND, close, of, pull};
use crate::support::{
    Seen,
    web::{End, Role, WebPair},
};

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
