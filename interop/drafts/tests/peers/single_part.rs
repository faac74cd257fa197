//! CLIENT, SERVER, SCATTER, GATHER, PEER and CHANNEL, either library binding, over tcp and ipc.

use std::thread;

use serverlink::{Context, Message, SocketType};
use serverlink_interop_drafts::{self as theirs, Kind, Libzmq, Socket, ours};

/// What is said in all conversations.
fn sayings() -> Vec<Vec<u8>> {
    [0, 1, 29, 33, 66, 67, 70, 71, 255, 256, 8192, 300_000]
        .map(|size| (0..size).map(|n| (n % 251) as u8).collect())
        .to_vec()
}

/// Does the same with every way to join two sockets.
fn joined(our_type: SocketType, their_kind: Kind, test: impl Fn(&serverlink::Socket, &Socket)) {
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "ws://127.0.0.1:*"] {
        for we_bind in [true, false] {
            let (context, libzmq) = (Context::new().unwrap(), Libzmq::new());
            let (a, b) = (ours(&context, our_type), libzmq.socket(their_kind));
            if we_bind {
                b.connect(&a.bind(endpoint).unwrap());
            } else {
                a.connect(&b.bind(endpoint)).unwrap();
            }
            test(&a, &b);
        }
    }
}

#[track_caller]
fn same(got: &[u8], expected: &[u8]) {
    assert!(got == expected, "{} bytes instead of {}", got.len(), expected.len());
}

#[test]
fn a_client_of_ours_with_their_server() {
    joined(SocketType::Client, Kind::Server, |client, server| {
        for saying in sayings() {
            client.send(saying.clone()).unwrap();
            let request = server.recv();
            same(&request.body, &saying);
            server.send(&theirs::Message::new(&saying).to(request.routing_id));
            same(&client.recv().unwrap()[0], &saying);
        }
    });
}

#[test]
fn a_server_of_ours_with_their_client() {
    joined(SocketType::Server, Kind::Client, |server, client| {
        let mut id = None;
        for saying in sayings() {
            client.send(&theirs::Message::new(&saying));
            let request = server.recv().unwrap();
            same(&request[0], &saying);
            assert_eq!(*id.get_or_insert(request.routing_id()), request.routing_id());
            server.send(request).unwrap();
            same(&client.recv().body, &saying);
        }
    });
}

#[test]
fn scattered_and_gathered() {
    joined(SocketType::Scatter, Kind::Gather, |scatter, gather| {
        sayings().iter().for_each(|saying| scatter.send(saying.clone()).unwrap());
        sayings().iter().for_each(|saying| same(&gather.recv().body, saying));
    });
    joined(SocketType::Gather, Kind::Scatter, |gather, scatter| {
        sayings().iter().for_each(|saying| scatter.send(&theirs::Message::new(saying)));
        sayings().iter().for_each(|saying| same(&gather.recv().unwrap()[0], saying));
    });
}

#[test]
fn channels() {
    joined(SocketType::Channel, Kind::Channel, |one, other| {
        sayings().iter().for_each(|saying| one.send(saying.clone()).unwrap());
        sayings().iter().for_each(|saying| other.send(&theirs::Message::new(saying)));
        sayings().iter().for_each(|saying| same(&other.recv().body, saying));
        sayings().iter().for_each(|saying| same(&one.recv().unwrap()[0], saying));
    });
}

#[test]
fn peers_that_connect_by_number() {
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "ws://127.0.0.1:*"] {
        let (context, libzmq) = (Context::new().unwrap(), Libzmq::new());
        let (one, other) = (ours(&context, SocketType::Peer), libzmq.socket(Kind::Peer));
        let id = one.connect_peer(&other.bind(endpoint)).unwrap();
        for saying in sayings() {
            one.send(Message::from(saying.clone()).with_routing_id(id)).unwrap();
            let message = other.recv();
            same(&message.body, &saying);
            other.send(&message);
            let echo = one.recv().unwrap();
            same(&echo[0], &saying);
            assert_eq!(echo.routing_id(), Some(id));
        }
        let (one, other) = (ours(&context, SocketType::Peer), libzmq.socket(Kind::Peer));
        let id = other.connect_peer(&one.bind(endpoint).unwrap());
        for saying in sayings() {
            other.send(&theirs::Message::new(&saying).to(id));
            let message = one.recv().unwrap();
            same(&message[0], &saying);
            one.send(message).unwrap();
            let echo = other.recv();
            same(&echo.body, &saying);
            assert_eq!(echo.routing_id, id);
        }
    }
}

#[test]
fn many_pass_in_order() {
    joined(SocketType::Gather, Kind::Scatter, |gather, scatter| {
        thread::scope(|scope| {
            scope.spawn(|| {
                for n in 0..20_000_u32 {
                    same(&gather.recv().unwrap()[0], &n.to_be_bytes());
                }
            });
            (0..20_000_u32).for_each(|n| scatter.send(&theirs::Message::new(n.to_be_bytes())));
        });
    });
}

const HELLO_MSG: i32 = 110;
const DISCONNECT_MSG: i32 = 111;
const HICCUP_MSG: i32 = 114;

/// Over streams: a socket of ours, one of theirs, and where the one that is bound is.
fn apart(our_type: SocketType, their_kind: Kind, test: impl Fn(serverlink::Socket, Socket, &str)) {
    for endpoint in ["tcp://127.0.0.1:*", "ipc://*", "ws://127.0.0.1:*"] {
        let (context, libzmq) = (Context::new().unwrap(), Libzmq::new());
        test(ours(&context, our_type), libzmq.socket(their_kind), endpoint);
    }
}

const BOTH_WAYS: [(SocketType, Kind); 3] = [
    (SocketType::Client, Kind::Server),
    (SocketType::Server, Kind::Client),
    (SocketType::Peer, Kind::Peer),
];

#[test]
fn each_greets_the_other() {
    for (our_type, their_kind) in BOTH_WAYS {
        for we_bind in [true, false] {
            apart(our_type, their_kind, |a, b, endpoint| {
                a.set_option(HELLO_MSG, b"from us").unwrap();
                b.set_bytes(HELLO_MSG, b"from them");
                if we_bind {
                    b.connect(&a.bind(endpoint).unwrap());
                } else {
                    a.connect(&b.bind(endpoint)).unwrap();
                }
                same(&a.recv().unwrap()[0], b"from them");
                same(&b.recv().body, b"from us");
            });
        }
    }
}

#[test]
fn who_is_bound_hears_of_the_others_end() {
    for (our_type, their_kind) in
        [(SocketType::Server, Kind::Client), (SocketType::Peer, Kind::Peer)]
    {
        apart(our_type, their_kind, |bound, leaves, endpoint| {
            bound.set_option(DISCONNECT_MSG, b"gone").unwrap();
            leaves.set_bytes(HELLO_MSG, b"here");
            leaves.connect(&bound.bind(endpoint).unwrap());
            let first = bound.recv().unwrap();
            same(&first[0], b"here");
            drop(leaves);
            let last = bound.recv().unwrap();
            same(&last[0], b"gone");
            assert_eq!(last.routing_id(), first.routing_id());
        });
    }
    for (our_type, their_kind) in
        [(SocketType::Client, Kind::Server), (SocketType::Peer, Kind::Peer)]
    {
        apart(our_type, their_kind, |leaves, bound, endpoint| {
            bound.set_bytes(DISCONNECT_MSG, b"gone");
            leaves.set_option(HELLO_MSG, b"here").unwrap();
            leaves.connect(&bound.bind(endpoint)).unwrap();
            let first = bound.recv();
            same(&first.body, b"here");
            drop(leaves);
            let last = bound.recv();
            same(&last.body, b"gone");
            assert_eq!(last.routing_id, first.routing_id);
        });
    }
}

#[test]
fn who_connects_hears_of_a_lost_connection() {
    for (our_type, their_kind) in
        [(SocketType::Client, Kind::Server), (SocketType::Peer, Kind::Peer)]
    {
        apart(our_type, their_kind, |connects, bound, endpoint| {
            connects.set_option(HICCUP_MSG, b"hiccup").unwrap();
            bound.set_bytes(HELLO_MSG, b"here");
            connects.connect(&bound.bind(endpoint)).unwrap();
            same(&connects.recv().unwrap()[0], b"here");
            drop(bound);
            same(&connects.recv().unwrap()[0], b"hiccup");
        });
    }
    for (our_type, their_kind) in
        [(SocketType::Server, Kind::Client), (SocketType::Peer, Kind::Peer)]
    {
        apart(our_type, their_kind, |bound, connects, endpoint| {
            connects.set_bytes(HICCUP_MSG, b"hiccup");
            bound.set_option(HELLO_MSG, b"here").unwrap();
            connects.connect(&bound.bind(endpoint).unwrap());
            same(&connects.recv().body, b"here");
            drop(bound);
            same(&connects.recv().body, b"hiccup");
        });
    }
}
