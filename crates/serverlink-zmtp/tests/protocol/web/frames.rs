//! Frames, fragments, and their limits.

use bytes::BytesMut;
use serverlink_zmtp::{
    Error, MAX_WEB_HEADER_LEN, PeerMisbehaved, Refusal, SocketType, encode_frame, encode_membership,
};

use super::{SECOND, close, judging, misbehaved, of, pull};
use crate::support::{
    Seen, raw_command,
    web::{End, Role, WebPair, parse_web, raw_web},
};

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
