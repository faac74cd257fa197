//! Connections that are lost and come again.

use std::{
    io::Read,
    net::{TcpListener, TcpStream},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serverlink::{Context, SocketType};

use crate::harness::{
    PATIENCE, await_peers, bound, connected, context, errno, eventually, expect, expect_numbers,
    frames, number, number_in, shake_hands, socket, vacancies, vacant,
};

/// Somebody who listens at a port of ours and speaks no ZMTP.
struct Stranger(TcpListener);

impl Stranger {
    fn new() -> (Self, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        (Self(listener), endpoint)
    }

    fn accept(&self) -> TcpStream {
        let (stream, _) = self.0.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }
}

#[test]
fn a_stream_goes_on_when_the_listener_comes_back() {
    let context = context();
    for endpoint in vacancies(&context) {
        let push = connected(&context, SocketType::Push, &endpoint);
        for round in 0..10 {
            let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
            await_peers(&push, 1);
            (0..100).for_each(|n| push.send(number(100 * round + n)).unwrap());
            expect_numbers(&pull, 100 * round..100 * (round + 1));
            drop(pull);
            await_peers(&push, 0);
        }
    }
}

#[test]
fn what_is_sent_while_nobody_is_there_waits() {
    let context = context();
    for endpoint in vacancies(&context) {
        for (socket_type, to) in [
            (SocketType::Push, SocketType::Pull),
            (SocketType::Dealer, SocketType::Dealer),
            (SocketType::Router, SocketType::Dealer),
            (SocketType::Pair, SocketType::Pair),
        ] {
            let from = socket(&context, socket_type);
            let is_router = socket_type == SocketType::Router;
            if is_router {
                from.set_router_mandatory(true).unwrap();
                from.set_connect_routing_id("peer").unwrap();
            }
            from.connect(&endpoint).unwrap();
            for round in 0..3 {
                for n in 0..50 {
                    let mut message = number(50 * round + n);
                    if is_router {
                        message.push_front("peer");
                    }
                    from.send(message).unwrap();
                }
                let (to, _) = bound(&context, to, &endpoint);
                expect_numbers(&to, 50 * round..50 * (round + 1));
                drop(to);
                await_peers(&from, 0);
            }
        }
    }
}

#[test]
fn an_immediate_socket_sends_only_to_who_is_there() {
    let context = context();
    for endpoint in vacancies(&context) {
        for socket_type in [SocketType::Push, SocketType::Dealer, SocketType::Pair] {
            let to = if socket_type == SocketType::Push { SocketType::Pull } else { socket_type };
            let from = socket(&context, socket_type);
            from.set_immediate(true).unwrap();
            from.connect(&endpoint).unwrap();
            for _ in 0..3 {
                assert_eq!(errno(from.try_send("nobody there")), "EAGAIN");
                let (to, _) = bound(&context, to, &endpoint);
                from.send("somebody").unwrap();
                expect(&to, "somebody");
                drop(to);
                await_peers(&from, 0);
            }
        }
    }
}

#[test]
fn an_immediate_socket_prefers_who_is_there() {
    let context = context();
    let push = socket(&context, SocketType::Push);
    push.set_immediate(true).unwrap();
    push.connect(&vacant(&context)).unwrap();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    push.connect(&endpoint).unwrap();
    (0..100).for_each(|n| push.send(number(n)).unwrap());
    expect_numbers(&pull, 0..100);
}

#[test]
fn who_was_connected_to_before_has_messages_wait() {
    for socket_type in [SocketType::Push, SocketType::Dealer, SocketType::Pair] {
        let context = context();
        let to = if socket_type == SocketType::Push { SocketType::Pull } else { socket_type };
        let endpoint = vacant(&context);
        let from = connected(&context, socket_type, &endpoint);
        from.set_immediate(true).unwrap();
        // Neither before its peer comes, nor once it has left.
        for body in ["early", "later"] {
            from.try_send(body).unwrap();
            let (to, _) = bound(&context, to, &endpoint);
            expect(&to, body);
            drop(to);
            await_peers(&from, 0);
        }
        from.disconnect(&endpoint).unwrap();
        from.connect(&vacant(&context)).unwrap();
        assert_eq!(errno(from.try_send("nobody there")), "EAGAIN");
    }
}

/// And the other way round.
#[test]
fn an_immediate_peer_stays_one() {
    let context = context();
    let endpoint = vacant(&context);
    let push = socket(&context, SocketType::Push);
    push.set_immediate(true).unwrap();
    push.connect(&endpoint).unwrap();
    push.set_immediate(false).unwrap();
    for _ in 0..2 {
        assert_eq!(errno(push.try_send("nobody there")), "EAGAIN");
        let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
        push.send("somebody").unwrap();
        expect(&pull, "somebody");
        drop(pull);
        await_peers(&push, 0);
    }
}

#[test]
fn a_connection_told_not_to_come_back_does_not() {
    let context = context();
    let (stranger, endpoint) = Stranger::new();
    let push = socket(&context, SocketType::Push);
    push.set_reconnect_interval(None).unwrap();
    push.connect(&endpoint).unwrap();
    drop(stranger.accept());
    // Its pipe is gone with it.
    eventually("for the peer to be given up", || push.try_send("x").is_err());
    // Another connection is the next to come, and the first did not come between.
    let other = socket(&context, SocketType::Push);
    other.set_routing_id("other").unwrap();
    other.connect(&endpoint).unwrap();
    let mut signature = [0; 10];
    stranger.accept().read_exact(&mut signature).unwrap();
    stranger.0.set_nonblocking(true).unwrap();
    assert!(stranger.0.accept().is_err() || other.peer_count() == 0);
}

/// The times between the attempts of a socket whose peer hangs up at once.
fn attempts(context: &Context, interval: u64, most: u64, count: usize) -> Vec<Duration> {
    let (stranger, endpoint) = Stranger::new();
    let push = socket(context, SocketType::Push);
    push.set_reconnect_interval(Some(Duration::from_millis(interval))).unwrap();
    push.set_reconnect_interval_max(Duration::from_millis(most)).unwrap();
    push.connect(&endpoint).unwrap();
    drop(stranger.accept());
    let mut last = Instant::now();
    (0..count)
        .map(|_| {
            drop(stranger.accept());
            let now = Instant::now();
            now - std::mem::replace(&mut last, now)
        })
        .collect()
}

#[test]
fn the_interval_between_attempts_is_kept() {
    let context = context();
    for wait in attempts(&context, 50, 0, 5) {
        // It is measured from the moment we saw the last attempt, not from when it failed.
        assert!(wait >= Duration::from_millis(40), "{wait:?}");
        assert!(wait < PATIENCE);
    }
}

#[test]
fn the_interval_doubles_up_to_its_maximum() {
    let context = context();
    for (wait, least) in attempts(&context, 20, 160, 5).into_iter().zip([20u64, 40, 80, 160, 160]) {
        assert!(wait >= Duration::from_millis(least - 10), "{wait:?} instead of {least} ms");
    }
}

#[test]
fn the_interval_does_not_exceed_its_maximum() {
    // Doubled each time, the last ones would be over five seconds.
    let waits = attempts(&context(), 10, 20, 12);
    let shortest = waits[9..].iter().min().unwrap();
    assert!(*shortest < Duration::from_secs(2), "{waits:?}");
}

#[test]
fn a_router_recognises_a_client_that_comes_back() {
    let context = context();
    for endpoint in vacancies(&context) {
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_routing_id("client").unwrap();
        dealer.connect(&endpoint).unwrap();
        for round in 0..5 {
            let (router, _) = bound(&context, SocketType::Router, &endpoint);
            router.set_router_mandatory(true).unwrap();
            await_peers(&router, 1);
            router.send(frames(["client", &round.to_string()])).unwrap();
            expect(&dealer, round.to_string());
            drop(router);
            await_peers(&dealer, 0);
        }
    }
}

#[test]
fn nothing_comes_twice_or_out_of_order() {
    // What a listener had when it went is lost with it, and nothing else is.
    let context = context();
    for endpoint in vacancies(&context) {
        let push = connected(&context, SocketType::Push, &endpoint);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                for n in (0..).take_while(|_| !done.load(Ordering::Relaxed)) {
                    push.send(number(n)).unwrap();
                }
            });
            let mut next = 0;
            for _ in 0..20 {
                let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
                let mut last = None;
                for _ in 0..500 {
                    let n = number_in(&pull.recv().unwrap());
                    assert!(n >= next, "{n} came again after {next}");
                    assert!(last.is_none_or(|last| n == last + 1), "{n} after {last:?}");
                    last = Some(n);
                    next = n + 1;
                }
            }
            done.store(true, Ordering::Relaxed);
            // The sender may be waiting for room.
            let (last, _) = bound(&context, SocketType::Pull, &endpoint);
            while !sending.is_finished() {
                let _ = last.recv_timeout(Duration::from_millis(20));
            }
        });
    }
}

#[test]
fn a_peer_that_speaks_no_zmtp_does_no_harm() {
    use std::io::Write;
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let address = endpoint.strip_prefix("tcp://").unwrap();
    for garbage in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0xFF; 100], &[0; 64], b"\xFF"] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(garbage).unwrap();
    }
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("hello").unwrap();
    expect(&pull, "hello");
    await_peers(&pull, 1);
}

#[test]
fn a_handshake_that_does_not_end_is_broken_off() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.set_handshake_interval(Some(Duration::from_millis(50))).unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    // Before it is accepted, which may be before the call returns.
    let start = Instant::now();
    let mut silent = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    // To its end, which is what we wait for; a reset is an end, too.
    let _ = silent.read_to_end(&mut rest);
    assert!((Duration::from_millis(50)..PATIENCE).contains(&start.elapsed()));
}

#[test]
fn heartbeats_find_a_peer_that_is_silent() {
    // A peer that shakes hands and then neither speaks nor listens: a DEALER whose process hangs.
    // Here it is one that never answers at all after its greeting.
    let context = context();
    let (dealer, endpoint) = {
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_heartbeat_interval(Some(Duration::from_millis(20))).unwrap();
        dealer.set_heartbeat_timeout(Some(Duration::from_millis(100))).unwrap();
        let endpoint = dealer.bind("tcp://127.0.0.1:*").unwrap();
        (dealer, endpoint)
    };
    // One that answers stays, though it has nothing to say.
    let quiet = connected(&context, SocketType::Dealer, &endpoint);
    await_peers(&dealer, 1);
    let mut silent = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    shake_hands(&mut silent, "DEALER");
    await_peers(&dealer, 2);
    await_peers(&dealer, 1);
    quiet.send("still here").unwrap();
    expect(&dealer, "still here");
}
