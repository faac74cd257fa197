//! Heartbeats: whoever is there stays, whoever is silent goes.

use std::{
    process::Command,
    thread,
    time::{Duration, Instant},
};

use serverlink::SocketType::{Dealer, Pull, Push, Router};
use serverlink_interop::{
    Contexts, Frames,
    Library::{Libzmq, ServerLink},
    Peer, Process, Transport, Way, each_way,
    raw::{self, RawPeer},
    until,
};

const INTERVAL: Duration = Duration::from_millis(50);
/// Long enough for a busy machine, short against [`WATCHED`].
const TIMEOUT: Duration = Duration::from_millis(1_000);
/// How long those that answer are watched.
const WATCHED: Duration = Duration::from_millis(3_000);

each_way!(idle_peers_that_answer_stay, heartbeats_do_not_get_between_messages);

/// `way.from` is the one that asks for signs of life.
fn link(way: Way) -> [Peer; 2] {
    let pair = Contexts::new().link(way, [Dealer, Router], |dealer, _| set_heartbeats(dealer));
    pair[0].send(["hello"]);
    pair
}

fn set_heartbeats(peer: &Peer) {
    match peer.library() {
        ServerLink => {
            peer.ours().set_heartbeat_interval(Some(INTERVAL)).unwrap();
            peer.ours().set_heartbeat_timeout(Some(TIMEOUT)).unwrap();
            peer.ours().set_heartbeat_ttl(TIMEOUT).unwrap();
        }
        Libzmq => {
            let (socket, _) = peer.theirs();
            socket.set_heartbeat_ivl(INTERVAL.as_millis() as i32).unwrap();
            socket.set_heartbeat_timeout(TIMEOUT.as_millis() as i32).unwrap();
            socket.set_heartbeat_ttl(TIMEOUT.as_millis() as i32).unwrap();
        }
    }
}

/// A new connection would have another routing id.
fn idle_peers_that_answer_stay(way: Way) {
    let [dealer, router] = link(way);
    let first = router.recv();
    assert_eq!(router.recv_within(WATCHED), None);
    router.send([&first[0][..], b"still there?"]);
    dealer.expect(["still there?"]);
    dealer.send(["yes"]);
    assert_eq!(router.recv(), [&first[0][..], b"yes"]);
}

/// They go on while messages of many frames are under way.
fn heartbeats_do_not_get_between_messages(way: Way) {
    let [dealer, router] = link(way);
    let first = router.recv();
    let frames: Frames = (0..1000).map(|i| vec![i as u8; i]).collect();
    let start = Instant::now();
    while start.elapsed() < 5 * INTERVAL {
        dealer.send(&frames);
        let message = router.recv();
        assert_eq!(message[0], first[0]);
        assert!(message[1..] == frames);
        router.send(message);
        dealer.expect(&frames);
    }
}

/// Peers that speak ZMTP 3.0, too: libzmq 4.2 does, and knows heartbeats.
#[test]
fn a_silent_peer_is_asked_and_dropped() {
    for minor in [0, 1] {
        let pull = Contexts::new().open(ServerLink, Pull);
        set_heartbeats(&pull);
        let mut silent = RawPeer::connect(&pull.bind()).shake_hands(minor, "PUSH");
        until("it is there", || pull.ours().peer_count() == 1);
        let ping = silent.frame();
        assert!(ping.is_command("PING"), "{ping:?}");
        // In tenths of a second.
        let ttl = (TIMEOUT.as_millis() / 100) as u16;
        assert_eq!(ping.body[5..7], ttl.to_be_bytes());
        silent.rest();
        until("it is gone", || pull.ours().peer_count() == 0);
    }
}

#[test]
fn a_peer_that_only_answers_stays() {
    let pull = Contexts::new().open(ServerLink, Pull);
    set_heartbeats(&pull);
    let mut peer = RawPeer::connect(&pull.bind()).shake_hands(1, "PUSH");
    let start = Instant::now();
    while start.elapsed() < WATCHED {
        let ping = peer.frame();
        assert!(ping.is_command("PING"), "{ping:?}");
        peer.write(&raw::command("PONG", &ping.body[7..]));
    }
    peer.write(&raw::frame(0, b"here I am"));
    pull.expect(["here I am"]);
}

/// Whether it has heartbeats of its own or not.
#[test]
fn pings_are_answered_with_their_context() {
    let push = Contexts::new().open(ServerLink, Push);
    let mut peer = RawPeer::connect(&push.bind()).shake_hands(1, "PULL");
    for context in [&b""[..], b"x", b"sixteen bytes ok"] {
        peer.write(&raw::command("PING", &[b"\x00\x00", context].concat()));
        let pong = peer.frame();
        assert_eq!(raw::frame(pong.flags, &pong.body), raw::command("PONG", context));
    }
}

/// The peer says with its PING how long it may be silent.
#[test]
fn a_peer_silent_for_longer_than_it_said_is_dropped() {
    let pull = Contexts::new().open(ServerLink, Pull);
    let mut peer = RawPeer::connect(&pull.bind()).shake_hands(1, "PUSH");
    peer.write(&raw::command("PING", &5u16.to_be_bytes()));
    let start = Instant::now();
    let pong = peer.rest();
    assert_eq!(pong, raw::command("PONG", b""));
    assert!(start.elapsed() >= Duration::from_millis(490), "{:?}", start.elapsed());
}

/// A process that is stopped keeps its connection: only heartbeats can tell.
#[test]
#[cfg(unix)]
fn a_stopped_libzmq_is_dropped_and_welcome_again() {
    use rustix::process::{Pid, Signal, kill_process};

    let pull = Contexts::new().open(ServerLink, Pull);
    set_heartbeats(&pull);
    let endpoint = pull.bind();
    let mut command = Command::new(env!("CARGO_BIN_EXE_libzmq-peer"));
    let process = Process::start(command.args(["push", "connect", &endpoint, "peer"]));
    let pid = Pid::from_raw(process.id() as i32).unwrap();
    for _ in 0..2 {
        let _ = pull.recv();
        kill_process(pid, Signal::STOP).unwrap();
        // What is under way is a sign of life, and what is not read is no silence.
        until("it is dropped", || {
            while pull.recv_within(Duration::ZERO).is_some() {}
            pull.ours().peer_count() == 0
        });
        kill_process(pid, Signal::CONT).unwrap();
        until("it is back", || {
            let _ = pull.recv_within(Duration::ZERO);
            pull.ours().peer_count() == 1
        });
    }
    process.kill();
}

/// Nothing is read from a peer while the queues are full: that it is not heard is no fault of its
/// own.
#[test]
fn a_peer_that_waits_for_room_is_not_dropped() {
    const MESSAGES: u8 = 100;
    let way = Way { from: Libzmq, binder: ServerLink, transport: Transport::Tcp };
    let [mut push, pull] = Contexts::new().link(way, [Push, Pull], |push, pull| {
        push.set_high_water_marks(1);
        pull.set_high_water_marks(1);
        set_heartbeats(pull);
    });
    thread::scope(|scope| {
        let push = &mut push;
        scope.spawn(move || (0..MESSAGES).for_each(|index| push.send([vec![index; 1 << 17]])));
        pull.await_connected();
        let slow = Instant::now();
        until("longer than the time-out", || slow.elapsed() > 2 * TIMEOUT);
        for index in 0..MESSAGES {
            assert!(pull.recv() == [vec![index; 1 << 17]], "message {index}");
        }
    });
}
