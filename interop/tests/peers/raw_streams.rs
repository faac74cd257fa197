//! STREAM sockets of both libraries, which speak nothing but what their users say; and our ROUTER that
//! does the same.

use std::time::Duration;

use serverlink::SocketType::{Router, Stream};
use serverlink_interop::{
    Contexts, Library,
    Library::{Libzmq, ServerLink},
    Peer, Transport, until,
};

/// What our end may be.
const OURS: [serverlink::SocketType; 2] = [Stream, Router];

/// A STREAM of libzmq and one of ours, or a raw ROUTER, joined, and under what id each knows the other.
struct Scene {
    ours: (Peer, Vec<u8>),
    theirs: (Peer, Vec<u8>),
    _contexts: Contexts,
}

impl Scene {
    fn new(binder: Library, our_type: serverlink::SocketType) -> Self {
        let contexts = Contexts::new();
        let (ours, theirs) = (contexts.open(ServerLink, our_type), contexts.open(Libzmq, Stream));
        if our_type == Router {
            ours.ours().set_router_raw(true).unwrap();
        }
        match binder {
            ServerLink => theirs.connect(&ours.bind_over(Transport::Tcp)),
            Libzmq => ours.connect(&theirs.bind_over(Transport::Tcp)),
        }
        let [ours, theirs] = [ours, theirs].map(|peer| {
            let id = notified(&peer);
            (peer, id)
        });
        Self { ours, theirs, _contexts: contexts }
    }

    fn both_ways(&self) -> [[&(Peer, Vec<u8>); 2]; 2] {
        [[&self.ours, &self.theirs], [&self.theirs, &self.ours]]
    }
}

#[track_caller]
fn notified(peer: &Peer) -> Vec<u8> {
    let message = peer.recv();
    assert_eq!((message.len(), message[0].len(), message[1].len()), (2, 5, 0), "{message:?}");
    message[0].clone()
}

#[track_caller]
fn expect_bytes((peer, id): &(Peer, Vec<u8>), expected: &[u8]) {
    let mut bytes = Vec::new();
    while bytes.len() < expected.len() {
        let message = peer.recv();
        assert_eq!((message.len(), &message[0]), (2, id));
        assert!(!message[1].is_empty(), "{}: the end", peer.library());
        bytes.extend_from_slice(&message[1]);
    }
    assert!(bytes == expected, "{}", peer.library());
}

#[test]
fn bytes_pass_both_ways() {
    for (binder, our_type) in Library::BOTH.into_iter().flat_map(|one| OURS.map(|ours| (one, ours)))
    {
        let scene = Scene::new(binder, our_type);
        let large: Vec<u8> = (0..3 << 20).map(|n| (n % 251) as u8).collect();
        for [from, to] in scene.both_ways() {
            for bytes in [b"hello", &large[..], b"\0", b"bye"] {
                from.0.send([&from.1[..], bytes]);
                expect_bytes(to, bytes);
            }
        }
    }
}

#[test]
fn either_ends_the_connection() {
    for (binder, our_type) in Library::BOTH.into_iter().flat_map(|one| OURS.map(|ours| (one, ours)))
    {
        for ends in Library::BOTH {
            let scene = Scene::new(binder, our_type);
            let [[a, b], [c, d]] = scene.both_ways();
            let [from, to] = if ends == ServerLink { [a, b] } else { [c, d] };
            from.0.send([&from.1[..], b"the last"]);
            expect_bytes(to, b"the last");
            from.0.send([&from.1[..], b""]);
            let mut end = None;
            until("the end is told", || {
                if ends == Libzmq {
                    // It acts during calls only.
                    from.0.theirs().0.get_events().unwrap();
                }
                end = to.0.recv_within(Duration::from_millis(10));
                end.is_some()
            });
            assert_eq!(end.unwrap(), [&to.1[..], b""], "{ends} ends, {binder} binds");
        }
    }
}
