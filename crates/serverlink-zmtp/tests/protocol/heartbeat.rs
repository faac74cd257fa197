//! PING and PONG with a virtual clock (RFC 37, "Connection Heartbeating").

use std::time::{Duration, Instant};

use serverlink_zmtp::{Config, Connection, Error, Heartbeat, PeerMisbehaved, SocketType, TimedOut};

use crate::support::{self, Pair, Seen, established, raw_command, raw_frame};

const SECOND: Duration = Duration::from_secs(1);

fn pull(interval: u64, timeout: u64, ttl: u64) -> Config {
    let mut config = Config::new(SocketType::Pull);
    config.heartbeat = Some(Heartbeat {
        interval: Duration::from_secs(interval),
        timeout: Duration::from_secs(timeout),
        ttl: Duration::from_secs(ttl),
    });
    config
}

fn established_pull(config: Config) -> (Connection, Instant) {
    let now = Instant::now();
    (established(config, SocketType::Push, now), now)
}

fn hear(connection: &mut Connection, bytes: Vec<u8>, now: Instant) -> Vec<Seen> {
    connection.feed(bytes.into(), now);
    support::drain(connection, now).expect("good input")
}

#[test]
fn pings_are_sent_and_answered_at_the_interval() {
    let mut pair = Pair::new([pull(2, 1, 0), Config::new(SocketType::Push)]);
    pair.wait(9 * SECOND);
    assert_eq!(pair.errors, [None, None]);
    let count = |seen: &[Seen], what| seen.iter().filter(|event| **event == what).count();
    assert_eq!(count(&pair.seen[0], Seen::Pong), 4);
    assert_eq!(count(&pair.seen[1], Seen::Ping), 4);
}

#[test]
fn a_ping_carries_the_time_to_live_in_tenths_of_a_second() {
    let (mut connection, now) = established_pull(pull(2, 1, 3));
    assert_eq!(connection.next_timeout(), Some(now + 2 * SECOND));
    assert_eq!(connection.handle_timeout(now + 2 * SECOND), Ok(()));
    assert_eq!(connection.take_output().expect("a PING"), raw_command("PING", b"\x00\x1e"));
}

#[test]
fn a_peer_that_falls_silent_after_a_ping_is_given_up() {
    let mut pair = Pair::new([pull(2, 3, 0), Config::new(SocketType::Push)]);
    pair.wait(SECOND);
    pair.cut[1] = true;
    // The PING at 2 s stays unanswered until 5 s; the one at 4 s must not move the deadline.
    pair.wait(3 * SECOND + 999 * SECOND / 1000);
    assert_eq!(pair.errors[0], None);
    pair.wait(SECOND / 1000);
    assert_eq!(pair.errors[0], Some(Error::TimedOut(TimedOut::Heartbeat(3 * SECOND))));
    assert!(!pair.ends[0].is_ready());
}

#[test]
fn any_byte_is_a_sign_of_life() {
    let (mut connection, now) = established_pull(pull(2, 3, 0));
    connection.handle_timeout(now + 2 * SECOND).expect("a PING");
    // Not even a whole frame header.
    assert_eq!(hear(&mut connection, vec![0], now + 4 * SECOND), []);
    assert_eq!(connection.last_arrival(), now + 4 * SECOND);
    connection.handle_timeout(now + 4 * SECOND).expect("a PING");
    assert_eq!(connection.handle_timeout(now + 6 * SECOND), Ok(()));
    assert!(connection.handle_timeout(now + 7 * SECOND).is_err());
}

#[test]
fn bytes_read_straight_into_a_frame_are_a_sign_of_life() {
    let (mut connection, now) = established_pull(pull(2, 3, 0));
    hear(&mut connection, raw_frame(2, &[0; 100_000])[..20].to_vec(), now);
    connection.handle_timeout(now + 2 * SECOND).expect("a PING");
    let buffer = connection.awaited_frame().expect("a long frame");
    connection.return_frame(buffer, now + 3 * SECOND);
    assert_eq!(connection.last_arrival(), now, "nothing came");
    let mut buffer = connection.awaited_frame().expect("a long frame");
    buffer.extend_from_slice(b"x");
    connection.return_frame(buffer, now + 4 * SECOND);
    assert_eq!(connection.last_arrival(), now + 4 * SECOND);
    assert_eq!(connection.handle_timeout(now + 5 * SECOND), Ok(()));
}

#[test]
fn a_timeout_of_zero_never_gives_up() {
    let mut pair = Pair::new([pull(1, 0, 0), Config::new(SocketType::Push)]);
    pair.settle();
    pair.cut[1] = true;
    pair.wait(1000 * SECOND);
    assert_eq!(pair.errors[0], None);
}

#[test]
fn a_peers_time_to_live_is_a_deadline_for_its_next_traffic() {
    let (mut connection, now) = established_pull(Config::new(SocketType::Pull));
    let ping = raw_command("PING", b"\x00\x0f");
    assert_eq!(hear(&mut connection, ping.clone(), now), [Seen::Ping]);
    let deadline = now + SECOND * 3 / 2;
    assert_eq!(connection.next_timeout(), Some(deadline));
    // Traffic redeems the promise; silence is free until the next PING.
    hear(&mut connection, raw_frame(0, b"x"), now + SECOND);
    assert_eq!(connection.next_timeout(), None);
    hear(&mut connection, ping, now + 2 * SECOND);
    assert_eq!(
        connection.handle_timeout(now + SECOND * 7 / 2),
        Err(Error::TimedOut(TimedOut::TimeToLive(SECOND * 3 / 2)))
    );
}

#[test]
fn the_longest_time_to_live_does_not_wrap() {
    let (mut connection, now) = established_pull(Config::new(SocketType::Pull));
    hear(&mut connection, raw_command("PING", b"\xff\xff"), now);
    assert_eq!(connection.next_timeout(), Some(now + Duration::from_millis(6_553_500)));
}

#[test]
fn input_behind_a_ping_redeems_its_promise() {
    let (mut connection, now) = established_pull(Config::new(SocketType::Pull));
    let bytes = [raw_command("PING", b"\x00\x0f"), raw_frame(0, b"x")].concat();
    hear(&mut connection, bytes, now);
    assert_eq!(connection.next_timeout(), None);
}

#[test]
fn a_pong_echoes_at_most_sixteen_bytes_of_context() {
    for (context, echoed) in [
        (&b""[..], &b""[..]),
        (b"0123456789abcdef", b"0123456789abcdef"),
        (b"0123456789abcdefg", b"0123456789abcdef"),
    ] {
        let (mut connection, now) = established_pull(Config::new(SocketType::Pull));
        let ping = raw_command("PING", &[b"\0\0", context].concat());
        assert_eq!(hear(&mut connection, ping, now), [Seen::Ping]);
        assert!(connection.has_output());
        assert_eq!(connection.take_output().expect("a PONG"), raw_command("PONG", echoed));
        assert_eq!(connection.next_timeout(), None);
    }
}

#[test]
fn a_ping_without_time_to_live_is_refused() {
    let (mut connection, now) = established_pull(Config::new(SocketType::Pull));
    connection.feed(raw_command("PING", b"\0").into(), now);
    assert!(matches!(
        connection.next_event(now),
        Err(Error::PeerMisbehaved(PeerMisbehaved::MalformedCommand { command: "PING", .. }))
    ));
}

#[test]
fn a_flood_of_pings_does_not_hoard_pongs() {
    let (mut connection, now) = established_pull(Config::new(SocketType::Pull));
    let flood = raw_command("PING", b"\0\0sixteen bytes ok").repeat(10_000);
    assert_eq!(hear(&mut connection, flood, now).len(), 10_000);
    assert!(connection.take_output().expect("PONGs").len() < 5_000);
    // Once they are on their way, PONGs flow again.
    hear(&mut connection, raw_command("PING", b"\0\0"), now);
    assert_eq!(connection.take_output().expect("a PONG"), raw_command("PONG", b""));
}

#[test]
fn silence_is_no_sign_of_death_while_input_waits_for_the_caller() {
    let (mut connection, now) = established_pull(pull(1, 2, 0));
    connection.feed(raw_frame(0, b"unread").into(), now);
    for second in 1..20 {
        assert_eq!(connection.handle_timeout(now + second * SECOND), Ok(()));
    }
    assert_eq!(support::drain(&mut connection, now).map(|seen| seen.len()), Ok(1));
    connection.pause_input(true);
    for second in 20..40 {
        assert_eq!(connection.handle_timeout(now + second * SECOND), Ok(()));
    }
    connection.pause_input(false);
    let next = connection.next_timeout().expect("a timer");
    assert!(next > now + 39 * SECOND, "a paused connection does not spin");
    assert!((40..45).any(|second| connection.handle_timeout(now + second * SECOND).is_err()));
}

#[test]
fn the_peers_promise_waits_while_input_is_paused() {
    let (mut connection, now) = established_pull(Config::new(SocketType::Pull));
    hear(&mut connection, raw_command("PING", b"\x00\x0a"), now);
    connection.pause_input(true);
    assert_eq!(connection.handle_timeout(now + SECOND), Ok(()));
    assert_eq!(connection.next_timeout(), Some(now + 2 * SECOND));
    connection.pause_input(false);
    assert!(connection.handle_timeout(now + 2 * SECOND).is_err());
}

#[test]
fn durations_beyond_the_clock_mean_never() {
    let config = pull(u64::MAX, u64::MAX, u64::MAX);
    let (connection, _) = established_pull(config);
    assert_eq!(connection.next_timeout(), None);
}
