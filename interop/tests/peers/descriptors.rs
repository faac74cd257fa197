//! `ZMQ_FD` and `ZMQ_EVENTS`: a program that waits for the one and asks for the other goes on with
//! either library, and sees the same.

use std::time::Duration;

use serverlink::SocketType::{Pull, Push};
use serverlink_interop::{Contexts, Library, PATIENCE, Peer, until};

const FD: i32 = 14;
const EVENTS: i32 = 15;

fn number(socket: &serverlink::Socket, option: i32) -> i32 {
    i32::from_ne_bytes(socket.option(option).unwrap().try_into().expect("an int"))
}

fn descriptor(peer: &Peer) -> i32 {
    match peer.library() {
        Library::ServerLink => number(peer.ours(), FD),
        Library::Libzmq => peer.theirs().0.get_fd().unwrap(),
    }
}

fn events(peer: &Peer) -> i32 {
    match peer.library() {
        Library::ServerLink => number(peer.ours(), EVENTS),
        Library::Libzmq => peer.theirs().0.get_events().unwrap().bits().into(),
    }
}

fn is_readable(descriptor: i32, wait: Duration) -> bool {
    let mut items = [zmq::PollItem::from_fd(descriptor, zmq::POLLIN)];
    zmq::poll(&mut items, wait.as_millis() as i64).unwrap() == 1
}

/// Waits as such programs do.
#[track_caller]
fn await_events(peer: &Peer, descriptor: i32, wanted: i32) {
    while events(peer) & wanted == 0 {
        assert!(is_readable(descriptor, PATIENCE), "{} tells of no change", peer.library());
    }
    settle(descriptor, || _ = events(peer));
}

/// The descriptor is unreadable once `look` has seen what there is. What the socket has shown already
/// it may still be about to tell.
#[track_caller]
fn settle(descriptor: i32, mut look: impl FnMut()) {
    until("the descriptor is reset", || {
        look();
        !is_readable(descriptor, Duration::ZERO)
    });
}

#[test]
fn changes_are_told_once() {
    for library in Library::BOTH {
        let contexts = Contexts::new();
        let pull = contexts.open(library, Pull);
        let push = contexts.open(library.other(), Push);
        let descriptor = descriptor(&pull);
        assert!(!is_readable(descriptor, Duration::ZERO), "{library}");
        push.connect(&pull.bind());
        for _ in 0..3 {
            push.send(["one"]);
            await_events(&pull, descriptor, 1);
            pull.expect(["one"]);
            settle(descriptor, || assert_eq!(events(&pull), 0));
        }
        push.send(["last"]);
        assert!(is_readable(descriptor, PATIENCE));
        pull.expect(["last"]);
        // To have found nothing is to have looked.
        settle(descriptor, || assert!(pull.recv_within(Duration::ZERO).is_none()));
    }
}

#[test]
fn room_is_told_too() {
    for library in Library::BOTH {
        let contexts = Contexts::new();
        let push = contexts.open(library, Push);
        let descriptor = descriptor(&push);
        let endpoint = push.bind();
        assert_eq!(events(&push), 0);
        let pull = contexts.open(library.other(), Pull);
        pull.connect(&endpoint);
        await_events(&push, descriptor, 2);
        push.send(["x"]);
        pull.expect(["x"]);
    }
}
