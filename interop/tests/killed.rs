//! Peers that go: killed in mid-stream, a hundred times each, the stream goes on with the next one,
//! and neither descriptors nor memory stay behind.
#![cfg(target_os = "linux")]

use std::{
    process::Command,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serverlink::{
    Context, Error, Message, Socket,
    SocketType::{self, Pub, Pull, Push, Router, Sub},
};
use serverlink_interop::{
    OnDrop, PATIENCE, Process, limits, panics, payload,
    raw::{self, RawPeer},
    until,
};

const KILLS: u64 = 100;
/// By then, everything that is allocated once is.
const WARM: u64 = 20;
/// How many messages are seen before each kill.
const BETWEEN: u64 = 200;
/// How much the memory may vary with what happens to be queued, in KiB.
const LEEWAY: usize = 1024;
/// What each thread that sends or receives may keep to use again for copies of three sizes, in KiB.
const KEPT: usize = 3 * 1024;
/// Those threads: the test's, and the context's.
const THREADS: usize = 2;

/// Counts of the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn child(role: &str, how: &str, endpoint: &str, name: u64) -> (Process, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_libzmq-peer"));
    let mut process = Process::start(command.args([role, how, endpoint, &name.to_string()]));
    let endpoint = process.line();
    (process, endpoint)
}

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(socket_type: SocketType) -> Socket {
    let socket = Context::new().unwrap().socket(socket_type).unwrap();
    socket.set_receive_timeout(Some(PATIENCE)).unwrap();
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    socket.set_reconnect_interval(Some(Duration::from_millis(10))).unwrap();
    socket
}

/// Starts a peer that plays `role`, has `meet` wait until the stream flows, and kills it: a hundred
/// times. What the process uses early and late is compared.
fn kill_a_hundred(
    socket: &Socket,
    role: &str,
    binder: Binder,
    mut meet: impl FnMut(&mut Process, u64),
) {
    panics::watch();
    let mut endpoint = match binder {
        Binder::Us => socket.bind("tcp://127.0.0.1:*").unwrap(),
        Binder::Them => "tcp://127.0.0.1:*".to_owned(),
    };
    let mut early = (0, 0);
    for kill in 0..KILLS {
        match binder {
            Binder::Us => {
                let (mut process, _) = child(role, "connect", &endpoint, kill);
                meet(&mut process, kill);
                process.kill();
            }
            Binder::Them => {
                let (mut process, bound) = child(role, "bind", &endpoint, kill);
                if kill == 0 {
                    socket.connect(&bound).unwrap();
                    // The others bind to the same port.
                    endpoint = bound;
                }
                meet(&mut process, kill);
                process.kill();
            }
        }
        if kill == WARM {
            settle(socket);
            early = (limits::open_files(), limits::resident_kib());
        }
    }
    settle(socket);
    until("all descriptors are closed", || limits::open_files() <= early.0);
    let memory = limits::resident_kib();
    println!("{} KiB after {WARM} kills, {memory} KiB after {KILLS}", early.1);
    let most = early.1 + LEEWAY + THREADS * KEPT;
    assert!(memory <= most, "the memory grows: {early:?} KiB, {memory} KiB");
    assert_eq!(panics::count(), 0);
}

/// Waits until the peer that was killed is gone. It is not while what it sent waits to be received.
fn settle(socket: &Socket) {
    until("the killed peer is noticed", || {
        while socket.try_recv().is_ok() {}
        socket.peer_count() == 0
    });
}

#[derive(Clone, Copy)]
enum Binder {
    Us,
    Them,
}

/// Many more than a hundred, so that what each of them leaves behind would show.
#[test]
fn thousands_of_peers_that_come_and_go() {
    const PEERS: u64 = 3_000;
    let _alone = alone();
    let pull = open(Pull);
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let mut early = (0, 0);
    for peer in 0..PEERS {
        let mut stream = RawPeer::connect(&endpoint).shake_hands(1, "PUSH");
        stream.write(&raw::frame(0, &payload::numbered(peer)));
        assert_eq!(payload::number(&pull.recv().unwrap()[0]), peer);
        drop(stream);
        if peer == PEERS / 5 {
            settle(&pull);
            early = (limits::open_files(), limits::resident_kib());
        }
    }
    settle(&pull);
    until("all descriptors are closed", || limits::open_files() <= early.0);
    let memory = limits::resident_kib();
    println!("{} KiB, {memory} KiB after {PEERS} peers", early.1);
    assert!(memory <= early.1 + LEEWAY, "the memory grows: {early:?} KiB, {memory} KiB");
}

/// Receives from the peer of that name, after what others have left: in order, and everything if it
/// is `complete`.
fn receive_from(socket: &Socket, name: u64, complete: bool) {
    let mut next = 0;
    for seen in 0..BETWEEN {
        let message = loop {
            let message = socket.recv().unwrap();
            if message[0] == name.to_string().as_str() {
                break message;
            }
        };
        let number = payload::number(&message[1]);
        let expected = if complete { number == next } else { number >= next };
        assert!(expected, "{number} came instead of {next}, after {seen} messages");
        next = number + 1;
    }
}

#[test]
fn pushing_peers_that_connect() {
    let _alone = alone();
    let pull = open(Pull);
    kill_a_hundred(&pull, "push", Binder::Us, |_, kill| receive_from(&pull, kill, true));
}

#[test]
fn pushing_peers_that_bind() {
    let _alone = alone();
    let pull = open(Pull);
    kill_a_hundred(&pull, "push", Binder::Them, |_, kill| receive_from(&pull, kill, true));
}

/// They publish also while nobody has subscribed.
#[test]
fn publishing_peers_that_bind() {
    let _alone = alone();
    let subscriber = open(Sub);
    subscriber.subscribe("").unwrap();
    kill_a_hundred(&subscriber, "pub", Binder::Them, |_, kill| {
        receive_from(&subscriber, kill, false);
    });
}

/// Sends numbered messages without end while `body` runs.
fn sending(socket: &Socket, body: impl FnOnce()) {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = OnDrop(|| done.store(true, Ordering::Relaxed));
        scope.spawn(|| {
            let mut index = 0;
            while !done.load(Ordering::Relaxed) {
                let message: Message =
                    [b"".to_vec(), payload::numbered(index)].into_iter().collect();
                match socket.send_timeout(message, Duration::from_millis(20)).map_err(Error::from) {
                    Ok(()) => index += 1,
                    Err(Error::WouldBlock) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        body();
    });
}

/// The peer tells of every hundredth message, and ends if they are not in order.
fn see_progress(process: &mut Process, _: u64) {
    let lines = [process.line(), process.line()];
    assert!(lines.iter().all(|line| line.parse::<u64>().is_ok()), "{lines:?}");
}

#[test]
fn pulling_peers_that_connect() {
    let _alone = alone();
    let push = open(Push);
    sending(&push, || kill_a_hundred(&push, "pull", Binder::Us, see_progress));
}

#[test]
fn pulling_peers_that_bind() {
    let _alone = alone();
    let push = open(Push);
    sending(&push, || kill_a_hundred(&push, "pull", Binder::Them, see_progress));
}

#[test]
fn subscribed_peers_that_connect() {
    let _alone = alone();
    let publisher = open(Pub);
    sending(&publisher, || kill_a_hundred(&publisher, "sub", Binder::Us, see_progress));
}

#[test]
fn asking_peers_that_connect() {
    let _alone = alone();
    let router = open(Router);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = OnDrop(|| done.store(true, Ordering::Relaxed));
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if let Ok(request) = router.recv_timeout(Duration::from_millis(20)) {
                    router.send(request).unwrap();
                }
            }
        });
        kill_a_hundred(&router, "dealer", Binder::Us, see_progress);
    });
}
