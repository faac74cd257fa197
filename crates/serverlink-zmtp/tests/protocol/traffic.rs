//! Frames and commands after the handshake (RFC 37, "Framing", "The Publish-Subscribe Pattern").

use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};
use proptest::prelude::*;
use serverlink_zmtp::{
    ApiMisuse, Config, Connection, Error, Event, PeerMisbehaved, SocketType, encode_frame,
};

use crate::support::{self, Seen, established, raw_command, raw_frame};

fn pull() -> Connection {
    established(Config::new(SocketType::Pull), SocketType::Push, Instant::now())
}

fn hear(connection: &mut Connection, bytes: &[u8]) -> Result<Vec<Seen>, Error> {
    let now = Instant::now();
    connection.feed(Bytes::copy_from_slice(bytes), now);
    support::drain(connection, now)
}

/// The error that comes of these bytes to a socket without limits.
fn misbehaviour(bytes: &[u8]) -> PeerMisbehaved {
    match hear(&mut pull(), bytes) {
        Err(Error::PeerMisbehaved(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn short_and_long_headers_are_both_read() {
    let bytes = [
        raw_frame(1, b"short"),
        raw_frame(2, b"long, though it need not be"),
        raw_frame(3, &[7; 70_000]),
        raw_frame(0, b""),
    ];
    assert_eq!(
        hear(&mut pull(), &bytes.concat()),
        Ok(vec![
            Seen::frame("short", true),
            Seen::frame("long, though it need not be", false),
            Seen::frame(vec![7; 70_000], true),
            Seen::frame("", false),
        ])
    );
}

#[test]
fn a_body_within_one_chunk_is_shared_and_not_copied() {
    let mut connection = pull();
    let now = Instant::now();
    let chunk = Bytes::from([raw_frame(0, b"small"), raw_frame(2, &[1; 1000])].concat());
    connection.feed(chunk.clone(), now);
    for start in [2, 7 + 9] {
        let Ok(Some(Event::Frame { body, .. })) = connection.next_event(now) else { panic!() };
        assert_eq!(body.as_slice().as_ptr(), chunk[start..].as_ptr());
        assert_eq!(body.to_bytes().as_ptr(), chunk[start..].as_ptr());
        assert_eq!(body.pinned_len(), chunk.len());
    }
}

#[test]
fn undefined_flags_are_refused() {
    for flags in (0..=u8::MAX).filter(|flags| ![0, 1, 2, 3, 4, 6].contains(flags)) {
        let body = b"\x04PONG";
        assert_eq!(misbehaviour(&raw_frame(flags, body)), PeerMisbehaved::Flags(flags));
    }
}

#[test]
fn a_length_with_the_highest_bit_is_refused_whatever_the_limit() {
    let header = [&[2][..], &(1_u64 << 63).to_be_bytes()].concat();
    assert_eq!(misbehaviour(&header), PeerMisbehaved::FrameLength(1 << 63));
}

#[test]
fn a_length_of_2_to_the_62_is_awaited_without_memory_for_it() {
    let mut connection = pull();
    let header = [&[2][..], &(1_u64 << 62).to_be_bytes(), b"start"].concat();
    assert_eq!(hear(&mut connection, &header), Ok(vec![]));
    let buffer = connection.awaited_frame().expect("a long frame");
    assert_eq!(buffer, &b"start"[..]);
    assert_eq!(buffer.capacity(), 5 + 64 * 1024);
}

#[test]
fn the_limit_on_messages_is_exact_and_counts_frames() {
    for limit in [0, 10, 255, 256, 1000] {
        let mut config = Config::new(SocketType::Pull);
        config.max_message_size = Some(limit);
        let frame = |len: u64, more: bool| {
            let mut out = BytesMut::new();
            encode_frame(&mut out, more, &vec![3; len as usize]);
            out
        };
        let mut connection = established(config, SocketType::Push, Instant::now());
        let two = [frame(limit, true), frame(limit, false)].concat();
        assert_eq!(hear(&mut connection, &two).map(|seen| seen.len()), Ok(2));
        assert_eq!(
            hear(&mut connection, &frame(limit + 1, false)),
            Err(PeerMisbehaved::FrameTooLong { length: limit + 1, limit }.into())
        );
    }
}

#[test]
fn commands_may_come_between_the_frames_of_a_message() {
    let bytes = [raw_frame(1, b"a"), raw_command("PING", b"\0\0"), raw_frame(0, b"b")].concat();
    assert_eq!(
        hear(&mut pull(), &bytes),
        Ok(vec![Seen::frame("a", true), Seen::Ping, Seen::frame("b", false)])
    );
}

#[test]
fn a_run_of_messages_ends_before_what_only_an_event_tells() {
    let now = Instant::now();
    let bytes = [
        &raw_frame(0, b"one")[..],
        &raw_frame(0, b"two"),
        &raw_command("PING", b"\0\0"),
        &raw_frame(0, b"three"),
        &raw_frame(0x10, b"bad"),
    ]
    .concat();
    let run = |connection: &mut Connection| {
        let mut bodies = Vec::new();
        connection.take_messages(usize::MAX, |body| bodies.push(body.to_vec()));
        bodies
    };
    let mut connection = pull();
    connection.feed(Bytes::from(bytes), now);
    assert_eq!(run(&mut connection), [b"one", b"two"]);
    assert!(matches!(connection.next_event(now), Ok(Some(Event::Ping))));
    assert_eq!(run(&mut connection), [b"three"]);
    assert!(connection.next_event(now).is_err());
    assert!(run(&mut connection).is_empty());

    // A publisher's messages may be subscriptions, and a message may be too long.
    let mut publisher = established(Config::new(SocketType::XPub), SocketType::Sub, now);
    publisher.feed(Bytes::from(raw_frame(0, b"\x01topic")), now);
    assert!(run(&mut publisher).is_empty());
    assert!(matches!(publisher.next_event(now), Ok(Some(Event::Subscribe(_)))));
    let mut limited = Config::new(SocketType::Pull);
    limited.max_message_size = Some(3);
    let mut limited = established(limited, SocketType::Push, now);
    limited.feed(Bytes::from([raw_frame(0, b"abc"), raw_frame(0, b"abcd")].concat()), now);
    assert_eq!(run(&mut limited), [b"abc"]);
    assert!(limited.next_event(now).is_err());
}

#[test]
fn unknown_commands_are_ignored() {
    let bytes = [
        raw_command("WEIRD", b"data"),
        raw_command("READY", b""),
        raw_command("ping", b""),
        raw_frame(6, &[&b"\x03NEW"[..], &[0; 500]].concat()),
        raw_frame(0, b"after"),
    ];
    assert_eq!(hear(&mut pull(), &bytes.concat()), Ok(vec![Seen::frame("after", false)]));
}

#[test]
fn malformed_commands_are_refused() {
    for body in [&b""[..], b"\x00PING", b"\x05PING"] {
        let error = misbehaviour(&raw_frame(4, body));
        assert!(matches!(error, PeerMisbehaved::MalformedCommand { .. }), "{error}");
    }
}

#[test]
fn an_error_is_final() {
    let mut connection = pull();
    let bytes = [raw_frame(0x80, b""), raw_frame(0, b"left over")].concat();
    let first = hear(&mut connection, &bytes).expect_err("undefined flags");
    assert!(!connection.has_buffered_input(), "what nobody will read is let go");
    assert_eq!(hear(&mut connection, &raw_frame(0, b"fine")), Err(first.clone()));
    assert_eq!(connection.handle_timeout(Instant::now()), Err(first));
    assert!(!connection.has_buffered_input());
}

#[test]
fn subscriptions_are_written_as_the_peer_reads_them() {
    let now = Instant::now();
    let config = Config::new(SocketType::Sub);
    let mut handshake = support::raw_handshake(SocketType::Pub);
    let long = vec![7; 255];
    for (minor, subscribe, cancel, long_header) in [
        (1, raw_command("SUBSCRIBE", b"top"), raw_command("CANCEL", b"top"), 6),
        (0, raw_frame(0, b"\x01top"), raw_frame(0, b"\x00top"), 2),
    ] {
        handshake[11] = minor;
        let mut connection = Connection::new(config.clone(), now);
        connection.feed(Bytes::copy_from_slice(&handshake), now);
        assert!(matches!(connection.next_event(now), Ok(Some(Event::Ready(_)))));
        let mut out = BytesMut::new();
        connection.subscribe(b"top", true, &mut out);
        assert_eq!(out.split(), subscribe);
        connection.subscribe(b"top", false, &mut out);
        assert_eq!(out.split(), cancel);
        connection.subscribe(&long, true, &mut out);
        assert_eq!(out[0], long_header);
    }
}

#[test]
fn publishers_accept_subscriptions_in_both_forms() {
    let bytes = [
        raw_command("SUBSCRIBE", b"A"),
        raw_command("CANCEL", b""),
        raw_frame(0, b"\x01B"),
        raw_frame(2, b"\x00B"),
        raw_frame(0, b"\x01"),
    ]
    .concat();
    for (ours, minor) in [(SocketType::Pub, 0), (SocketType::Pub, 1), (SocketType::XPub, 1)] {
        let now = Instant::now();
        let mut handshake = support::raw_handshake(SocketType::Sub);
        handshake[11] = minor;
        let mut connection = Connection::new(Config::new(ours), now);
        connection.feed(handshake.into(), now);
        connection.next_event(now).expect("READY");
        assert_eq!(
            hear(&mut connection, &bytes),
            Ok(vec![
                Seen::Subscribe("A".into()),
                Seen::Cancel("".into()),
                Seen::Subscribe("B".into()),
                Seen::Cancel("B".into()),
                Seen::Subscribe("".into()),
            ])
        );
    }
}

#[test]
fn user_messages_to_a_publisher_stay_messages() {
    let mut connection =
        established(Config::new(SocketType::XPub), SocketType::XSub, Instant::now());
    let bytes = [
        raw_frame(0, b"\x02user"),
        raw_frame(0, b""),
        raw_frame(1, b"\x01first of two"),
        raw_frame(0, b"\x01second of two"),
        raw_frame(0, b"\x01topic"),
    ];
    assert_eq!(
        hear(&mut connection, &bytes.concat()),
        Ok(vec![
            Seen::frame("\x02user", false),
            Seen::frame("", false),
            Seen::frame("\x01first of two", true),
            Seen::frame("\x01second of two", false),
            Seen::Subscribe("topic".into()),
        ])
    );
}

#[test]
fn others_do_not_take_messages_for_subscriptions() {
    assert_eq!(hear(&mut pull(), &raw_frame(0, b"\x01x")), Ok(vec![Seen::frame("\x01x", false)]));
}

#[test]
fn a_long_frame_is_read_straight_into_its_buffer() {
    let now = Instant::now();
    let mut connection = pull();
    let body: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    let stream = [raw_frame(2, &body), raw_frame(0, b"next")].concat();
    let mut stream = &stream[..];
    assert!(connection.awaited_frame().is_none());
    connection.feed(Bytes::copy_from_slice(&stream[..100]), now);
    stream = &stream[100..];
    assert!(connection.awaited_frame().is_none(), "input is left");
    assert!(matches!(connection.next_event(now), Ok(None)));
    let mut arrived = 100 - 9;
    while let Some(mut buffer) = connection.awaited_frame() {
        assert_eq!(buffer, body[..arrived]);
        assert!(connection.awaited_frame().is_none(), "it is handed out once");
        assert!(matches!(connection.next_event(now), Ok(None)));
        let spare = buffer.capacity() - buffer.len();
        let missing = body.len() - buffer.len();
        assert!(spare >= missing.min(64 * 1024) && spare <= missing, "{spare} for {missing}");
        let (read, rest) = stream.split_at(spare.min(stream.len()));
        buffer.put_slice(read);
        stream = rest;
        arrived += read.len();
        connection.return_frame(buffer, now);
    }
    connection.feed(Bytes::copy_from_slice(stream), now);
    let seen = support::drain(&mut connection, now);
    assert_eq!(seen, Ok(vec![Seen::frame(body, false), Seen::frame("next", false)]));
}

#[test]
fn bytes_beyond_an_awaited_frame_are_the_input_that_follows() {
    let now = Instant::now();
    let mut connection = pull();
    let stream = [raw_frame(2, &[9; 100_000]), raw_frame(0, b"b"), raw_frame(0, b"cd")].concat();
    assert_eq!(hear(&mut connection, &stream[..10]), Ok(vec![]));
    let mut buffer = connection.awaited_frame().expect("a long frame");
    let (direct, fed) = stream[10..].split_at(stream.len() - 10 - 3);
    buffer.put_slice(direct);
    // What is fed meanwhile comes after what the buffer brings.
    for piece in fed.chunks(1) {
        connection.feed(Bytes::copy_from_slice(piece), now);
    }
    assert!(matches!(connection.next_event(now), Ok(None)));
    connection.return_frame(buffer, now);
    assert_eq!(
        support::drain(&mut connection, now),
        Ok(vec![
            Seen::frame(vec![9; 100_000], false),
            Seen::frame("b", false),
            Seen::frame("cd", false)
        ])
    );
}

#[test]
fn a_complete_awaited_frame_is_buffered_input() {
    let now = Instant::now();
    let mut connection = pull();
    let stream = raw_frame(2, &[9; 100_000]);
    assert_eq!(hear(&mut connection, &stream[..9]), Ok(vec![]));
    assert!(!connection.has_buffered_input());
    let mut buffer = connection.awaited_frame().expect("a long frame");
    buffer.put_slice(&stream[9..]);
    connection.return_frame(buffer, now);
    assert!(connection.has_buffered_input());
    assert_eq!(
        support::drain(&mut connection, now),
        Ok(vec![Seen::frame(vec![9; 100_000], false)])
    );
}

#[test]
fn a_buffer_that_comes_back_shorter_is_an_error() {
    let mut connection = pull();
    assert_eq!(hear(&mut connection, &raw_frame(2, &[9; 100_000])[..50]), Ok(vec![]));
    let mut buffer = connection.awaited_frame().expect("a long frame");
    buffer.truncate(3);
    connection.return_frame(buffer, Instant::now());
    assert_eq!(connection.next_event(Instant::now()).err(), Some(ApiMisuse::FrameShortened.into()));
}

#[test]
fn a_buffer_that_was_never_lent_is_input() {
    let mut connection = pull();
    connection.return_frame(raw_frame(0, b"odd").into_iter().collect(), Instant::now());
    assert_eq!(hear(&mut connection, b""), Ok(vec![Seen::frame("odd", false)]));
}

/// Frames of a message, with the sizes at which the encoding changes made likely.
fn messages() -> impl Strategy<Value = Vec<(Vec<u8>, bool)>> {
    let len = prop_oneof![6 => 0..40_usize, 2 => 250..260_usize, 1 => 65_530..65_550_usize];
    let frame = (len, any::<u8>(), any::<bool>()).prop_map(|(n, byte, more)| (vec![byte; n], more));
    proptest::collection::vec(frame, 0..20)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_decoded_in_any_split(
        frames in messages(),
        cuts in proptest::collection::vec(1..400_usize, 1..40),
    ) {
        let mut out = BytesMut::new();
        for (body, more) in &frames {
            encode_frame(&mut out, *more, body);
        }
        let expected: Vec<_> =
            frames.into_iter().map(|(body, more)| Seen::frame(body, more)).collect();
        let now = Instant::now();
        let mut connection = pull();
        let mut seen = Vec::new();
        let mut stream = out.freeze();
        for cut in cuts.iter().cycle() {
            if stream.is_empty() {
                break;
            }
            connection.feed(stream.split_to(stream.len().min(*cut)), now);
            seen.extend(support::drain(&mut connection, now)?);
        }
        prop_assert_eq!(seen, expected);
        prop_assert!(!connection.has_buffered_input());
    }

    #[test]
    fn a_caller_may_stop_asking_and_lose_nothing(frames in messages(), pause in 0..20_usize) {
        let now = Instant::now();
        let mut connection = pull();
        let mut seen = Vec::new();
        for (index, (body, more)) in frames.iter().enumerate() {
            let mut out = BytesMut::new();
            encode_frame(&mut out, *more, body);
            connection.feed(out.freeze(), now);
            if index >= pause && let Some(event) = connection.next_event(now)? {
                seen.push(Seen::of(event));
            }
        }
        seen.extend(support::drain(&mut connection, now)?);
        let expected: Vec<_> =
            frames.into_iter().map(|(body, more)| Seen::frame(body, more)).collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn messages_taken_by_the_run_are_those_that_events_would_tell_of(
        frames in messages(),
        cuts in proptest::collection::vec(1..2_000_usize, 1..40),
        most in 0..5_usize,
    ) {
        let mut out = BytesMut::new();
        for (body, more) in &frames {
            encode_frame(&mut out, *more, body);
        }
        let now = Instant::now();
        let mut connection = pull();
        let (mut seen, mut runs, mut within) = (Vec::new(), 0, false);
        let mut stream = out.freeze();
        for cut in cuts.iter().cycle() {
            if stream.is_empty() {
                break;
            }
            connection.feed(stream.split_to(stream.len().min(*cut)), now);
            loop {
                if !within {
                    let before = seen.len();
                    let taken = connection
                        .take_messages(most, |body| seen.push(Seen::frame(body.to_vec(), false)));
                    prop_assert_eq!(seen.len() - before, taken);
                    prop_assert!(taken <= most);
                    runs += taken;
                }
                let Some(event) = connection.next_event(now)? else { break };
                within = matches!(event, Event::Frame { more: true, .. });
                seen.push(Seen::of(event));
            }
        }
        prop_assert!(runs <= seen.len());
        let expected: Vec<_> =
            frames.into_iter().map(|(body, more)| Seen::frame(body, more)).collect();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn truncated_streams_yield_what_is_whole(frames in messages(), cut in any::<prop::sample::Index>()) {
        let mut out = BytesMut::new();
        let mut ends = Vec::new();
        for (body, more) in &frames {
            encode_frame(&mut out, *more, body);
            ends.push(out.len());
        }
        let cut = cut.index(out.len() + 1);
        let seen = hear(&mut pull(), &out[..cut])?;
        prop_assert_eq!(seen.len(), ends.iter().filter(|end| **end <= cut).count());
    }
}
