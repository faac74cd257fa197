//! What receivers are told of the peers that messages come from: the same by both libraries.

use serverlink::SocketType::{Dealer, Router};
use serverlink_interop::{Contexts, Library, Peer, Transport};

/// Those that both libraries know. libzmq names `Routing-Id` in its manual, but tells it as
/// `Identity` only.
const NAMES: [&str; 6] =
    ["Socket-Type", "Identity", "Peer-Address", "Resource", "User-Id", "X-nothing"];

/// What is told of the peer with the last frame of the next message.
fn properties(receiver: &Peer, names: &[&str]) -> Vec<Option<String>> {
    match receiver.library() {
        Library::ServerLink => {
            let received = receiver.ours().recv_with_peer().unwrap();
            let told = |name: &&str| received.property(name).map(|value| value.to_vec());
            names.iter().map(told).map(|value| value.map(text)).collect()
        }
        Library::Libzmq => {
            let socket = receiver.theirs().0;
            let mut frame = socket.recv_msg(0).unwrap();
            while frame.get_more() {
                frame = socket.recv_msg(0).unwrap();
            }
            names.iter().map(|name| frame.gets(name).map(str::to_owned)).collect()
        }
    }
}

fn text(value: Vec<u8>) -> String {
    String::from_utf8(value).unwrap()
}

#[test]
fn of_peers_of_either_library() {
    for transport in Transport::HERE {
        for sender in Library::BOTH {
            let told = Library::BOTH.map(|receiver| {
                let contexts = Contexts::new();
                let router = contexts.open(receiver, Router);
                let dealer = contexts.open(sender, Dealer);
                dealer.set_routing_id("me");
                dealer.connect(&router.bind_over(*transport));
                dealer.send(["hello"]);
                let mut there = properties(&router, &NAMES);
                if *transport == Transport::Ipc {
                    // libzmq adds the process's ids only where it was built to.
                    let address = there[2].take().unwrap();
                    assert!(address == "localhost" || address.starts_with("localhost:"));
                    there[2] = Some("localhost".to_owned());
                }
                router.send(["me", "back"]);
                let back = properties(&dealer, &NAMES[..2]);
                (there, back)
            });
            assert_eq!(told[0], told[1], "from {sender} over {transport:?}");
            let (there, back) = &told[0];
            assert_eq!(there[0].as_deref(), Some("DEALER"));
            assert_eq!(there[1].as_deref(), Some("me"));
            assert!(there[2].is_some() && there[3..].iter().all(Option::is_none), "{there:?}");
            assert_eq!(back[0].as_deref(), Some("ROUTER"));
            assert_eq!(back[1].as_deref(), Some(""));
        }
    }
}

#[test]
fn of_what_else_a_peer_tells() {
    for receiver in Library::BOTH {
        let contexts = Contexts::new();
        let router = contexts.open(receiver, Router);
        let dealer = contexts.open(Library::ServerLink, Dealer);
        dealer.ours().set_metadata(&[("X-hello", "there"), ("X-more", "to tell")]).unwrap();
        dealer.connect(&router.bind());
        dealer.send(["hello"]);
        let told = properties(&router, &["X-hello", "X-more", "X-other"]);
        assert_eq!(told, [Some("there".to_owned()), Some("to tell".to_owned()), None]);
    }
}
