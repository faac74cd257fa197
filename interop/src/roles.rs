//! The command in each of its roles, with a peer of libzmq.
//!
//! One side of each role binds and the other one connects; which of them it is is up to the role.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Write},
    process::Stdio,
};

use serverlink::SocketType;

use crate::{
    Contexts,
    Library::Libzmq,
    Peer,
    command::{Running, Serverlink},
    lines,
};

const BIND: &str = "--bind=tcp://127.0.0.1:*";
/// So long the command waits for anything.
const TIMEOUT: &str = "--timeout=40s";

/// One test for each role of the command that `$command` gives.
#[macro_export]
macro_rules! each_role {
    ($command:expr) => {
        $crate::each_role!($command, [push, pull, publish, subscribe, req, rep, dealer, router, pair]);
    };
    ($command:expr, [$($role:ident),+]) => {
        $(#[test]
        fn $role() {
            $crate::roles::$role(&$command);
        })+
    };
}

fn peer(socket_type: SocketType) -> Peer {
    Contexts::new().open(Libzmq, socket_type)
}

/// Starts a role that binds, and connects to it.
fn meet(command: &Serverlink, socket_type: SocketType, arguments: &[&str]) -> (Peer, Running) {
    let arguments = [arguments, &[BIND, TIMEOUT]].concat();
    let running = command.start(&arguments, Stdio::null(), Stdio::piped());
    let peer = peer(socket_type);
    peer.connect(running.endpoint());
    (peer, running)
}

/// Starts a role that connects to a peer.
fn await_it(command: &Serverlink, peer: &Peer, arguments: &[&str]) -> Running {
    let connect = format!("--connect={}", peer.bind());
    let arguments = [arguments, &[&connect, TIMEOUT]].concat();
    command.start(&arguments, Stdio::null(), Stdio::piped())
}

/// `push` sends its arguments.
pub fn push(command: &Serverlink) {
    let pull = peer(SocketType::Pull);
    let push = await_it(command, &pull, &["push", "one", "two", ""]);
    for message in ["one", "two", ""] {
        pull.expect([message]);
    }
    push.finish();
}

/// `pull` prints lines.
pub fn pull(command: &Serverlink) {
    let (push, pull) = meet(command, SocketType::Push, &["pull", "-n3"]);
    push.send(["one"]);
    push.send(["two", "frames"]);
    push.send([""]);
    assert_eq!(pull.finish(), "one\ntwo\tframes\n\n");
}

/// `pub` waits for a subscriber and publishes to it.
pub fn publish(command: &Serverlink) {
    let arguments = ["pub", "--wait-subscribers=1", "--topic=news", "one", "two"];
    let arguments = [&arguments[..], &[BIND, TIMEOUT]].concat();
    let publisher = command.start(&arguments, Stdio::null(), Stdio::piped());
    let subscriber = peer(SocketType::Sub);
    subscriber.subscribe("news");
    subscriber.connect(publisher.endpoint());
    subscriber.expect(["news", "one"]);
    subscriber.expect(["news", "two"]);
    publisher.finish();
}

/// `sub` prints what it subscribed to.
pub fn subscribe(command: &Serverlink) {
    let publisher = peer(SocketType::XPub);
    let subscriber = await_it(command, &publisher, &["sub", "--topic=news", "-n2"]);
    publisher.expect_subscription(true, "news");
    publisher.send(["news", "one"]);
    publisher.send(["old", "one"]);
    publisher.send(["news", "two"]);
    assert_eq!(subscriber.finish(), "news\tone\nnews\ttwo\n");
}

/// `req` asks and prints the answers.
pub fn req(command: &Serverlink) {
    let rep = peer(SocketType::Rep);
    let req = await_it(command, &rep, &["req", "one", "two"]);
    for (question, answer) in [("one", "1"), ("two", "2")] {
        rep.expect([question]);
        rep.send([answer]);
    }
    assert_eq!(req.finish(), "1\n2\n");
}

/// `rep` prints questions and echoes them.
pub fn rep(command: &Serverlink) {
    let (req, rep) = meet(command, SocketType::Req, &["rep", "-n2"]);
    for question in ["one", "two"] {
        req.send([question]);
        req.expect([question]);
    }
    assert_eq!(rep.finish(), "one\ntwo\n");
}

/// `dealer` sends, and prints what comes.
pub fn dealer(command: &Serverlink) {
    let router = peer(SocketType::Router);
    let dealer = await_it(command, &router, &["dealer", "--routing-id=me", "-n2", "one", "two"]);
    for (request, reply) in [("one", "1"), ("two", "2")] {
        router.expect(["me", request]);
        router.send(["me", reply]);
    }
    assert_eq!(dealer.finish(), "1\n2\n");
}

/// `router` prints who sent what, and echoes it.
pub fn router(command: &Serverlink) {
    let (dealer, router) = meet(command, SocketType::Dealer, &["router", "--echo", "-n2"]);
    for request in ["one", "two"] {
        dealer.send([request]);
        dealer.expect([request]);
    }
    let printed = router.finish();
    let requests: Vec<_> = printed.lines().map(|line| line.rsplit_once('\t').unwrap().1).collect();
    assert_eq!(requests, ["one", "two"]);
}

/// `pair` sends, and prints what comes.
pub fn pair(command: &Serverlink) {
    let (peer, pair) = meet(command, SocketType::Pair, &["pair", "-n2", "one", "two"]);
    peer.expect(["one"]);
    peer.expect(["two"]);
    peer.send(["1"]);
    peer.send(["2"]);
    assert_eq!(pair.finish(), "1\n2\n");
}

/// `pull` writes a file that a libzmq PUSH sends line by line.
pub fn pull_a_file(command: &Serverlink, bytes: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (sent, received) = (folder.path().join("sent"), folder.path().join("received"));
    let count = format!("--count={}", lines::write(&sent, bytes));
    let pull = command.start(
        &["pull", BIND, TIMEOUT, &count],
        Stdio::null(),
        File::create(&received).unwrap().into(),
    );
    let push = peer(SocketType::Push);
    push.connect(pull.endpoint());
    for line in BufReader::new(File::open(&sent).unwrap()).split(b'\n') {
        push.send([line.unwrap()]);
    }
    pull.finish();
    lines::assert_same(&sent, &received);
}

/// `push` sends a file to a libzmq PULL, line by line.
pub fn push_a_file(command: &Serverlink, bytes: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (sent, received) = (folder.path().join("sent"), folder.path().join("received"));
    let count = lines::write(&sent, bytes);
    let pull = peer(SocketType::Pull);
    let connect = format!("--connect={}", pull.bind());
    let push = command.start(
        &["push", &connect, TIMEOUT],
        File::open(&sent).unwrap().into(),
        Stdio::null(),
    );
    let mut file = BufWriter::new(File::create(&received).unwrap());
    for _ in 0..count {
        let message = pull.recv();
        assert_eq!(message.len(), 1);
        file.write_all(&message[0]).unwrap();
        file.write_all(b"\n").unwrap();
    }
    file.into_inner().unwrap();
    push.finish();
    lines::assert_same(&sent, &received);
}
