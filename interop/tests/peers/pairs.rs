//! Every pair of socket types that may talk (RFC 37, table of legal combinations), either side
//! binding, over each transport; and that no other pair may.

use std::{thread, time::Duration};

use serverlink::SocketType::{self, *};
use serverlink_interop::{
    Contexts, Library,
    Library::{Libzmq, ServerLink},
    PATIENCE, Peer, Transport,
};
use zmq::SocketEvent;

/// One test for each pair and binder, and the table of them all: ServerLink's type comes first.
macro_rules! pairs {
    ($($name:ident: $ours:ident, $theirs:ident;)+) => {
        const TABLE: &[(SocketType, SocketType)] = &[$(($ours, $theirs)),+];

        $(mod $name {
            use super::*;

            #[test]
            fn serverlink_binds() {
                converse($ours, $theirs, ServerLink, Transport::Tcp);
            }

            #[test]
            fn libzmq_binds() {
                converse($ours, $theirs, Libzmq, Transport::Tcp);
            }

            #[test]
            fn serverlink_binds_web() {
                converse($ours, $theirs, ServerLink, Transport::Web);
            }

            #[test]
            fn libzmq_binds_web() {
                converse($ours, $theirs, Libzmq, Transport::Web);
            }

            #[cfg(unix)]
            #[test]
            fn serverlink_binds_ipc() {
                converse($ours, $theirs, ServerLink, Transport::Ipc);
            }

            #[cfg(unix)]
            #[test]
            fn libzmq_binds_ipc() {
                converse($ours, $theirs, Libzmq, Transport::Ipc);
            }
        })+
    };
}

pairs! {
    pair_with_pair: Pair, Pair;
    pub_with_sub: Pub, Sub;
    pub_with_xsub: Pub, XSub;
    sub_with_pub: Sub, Pub;
    sub_with_xpub: Sub, XPub;
    req_with_rep: Req, Rep;
    req_with_router: Req, Router;
    rep_with_req: Rep, Req;
    rep_with_dealer: Rep, Dealer;
    dealer_with_rep: Dealer, Rep;
    dealer_with_dealer: Dealer, Dealer;
    dealer_with_router: Dealer, Router;
    router_with_req: Router, Req;
    router_with_dealer: Router, Dealer;
    router_with_router: Router, Router;
    pull_with_push: Pull, Push;
    push_with_pull: Push, Pull;
    xpub_with_sub: XPub, Sub;
    xpub_with_xsub: XPub, XSub;
    xsub_with_pub: XSub, Pub;
    xsub_with_xpub: XSub, XPub;
}

/// What is said in all conversations: one frame, several, empty ones.
const SAYINGS: [&[&str]; 5] = [&["hello"], &["several", "frames"], &[""], &["", "", "x"], &["bye"]];

fn converse(ours: SocketType, theirs: SocketType, binder: Library, transport: Transport) {
    let contexts = Contexts::new();
    let ours_first = (ours, contexts.open(ServerLink, ours));
    let theirs_first = (theirs, contexts.open(Libzmq, theirs));
    for (_, peer) in [&ours_first, &theirs_first] {
        peer_prepared(peer, if peer.library() == ServerLink { ours } else { theirs });
    }
    let (binds, connects) = match binder {
        ServerLink => (&ours_first.1, &theirs_first.1),
        Libzmq => (&theirs_first.1, &ours_first.1),
    };
    connects.connect(&binds.bind_over(transport));
    let [(_, a), (_, b)] = {
        let mut both = [ours_first, theirs_first];
        both.sort_by_key(|(socket_type, _)| rank(*socket_type));
        both
    };
    let types = if rank(ours) <= rank(theirs) { (ours, theirs) } else { (theirs, ours) };
    match types {
        (Pair, Pair) | (Dealer, Dealer) => both_ways(&a, &b),
        (Push, Pull) => SAYINGS.iter().for_each(|saying| pass(&a, &b, saying)),
        (Req, Rep) => SAYINGS.iter().for_each(|saying| {
            pass(&a, &b, saying);
            pass(&b, &a, &[*saying, &["answer"]].concat());
        }),
        (Req, Router) => SAYINGS.iter().for_each(|saying| answered(&a, &b, &[""], saying)),
        (Dealer, Router) => SAYINGS.iter().for_each(|saying| answered(&a, &b, &[], saying)),
        (Dealer, Rep) => SAYINGS.iter().for_each(|saying| {
            a.send([&["way back", ""], *saying].concat());
            b.expect(saying);
            b.send([*saying, &["answer"]].concat());
            a.expect([&["way back", ""], *saying, &["answer"]].concat());
        }),
        (Router, Router) => between_routers(&a, &b),
        (Pub | XPub, Sub | XSub) => published(&a, &b, types),
        _ => panic!("there is no conversation between {types:?}"),
    }
}

/// Which of two types begins the conversation.
fn rank(socket_type: SocketType) -> usize {
    [Pair, Push, Pull, Req, Dealer, Rep, Router, Pub, XPub, Sub, XSub]
        .iter()
        .position(|other| *other == socket_type)
        .unwrap()
}

/// Gives a name to those that may have one, before they connect.
fn peer_prepared(peer: &Peer, socket_type: SocketType) {
    if matches!(socket_type, Req | Dealer | Router) {
        peer.set_routing_id(&peer.library().to_string());
    }
    if socket_type == Router {
        peer.set_router_mandatory();
    }
}

#[track_caller]
fn pass(from: &Peer, to: &Peer, frames: &[&str]) {
    from.send(frames);
    to.expect(frames);
}

fn both_ways(a: &Peer, b: &Peer) {
    for saying in SAYINGS {
        pass(a, b, saying);
        pass(b, a, saying);
    }
    for saying in SAYINGS {
        a.send(saying);
    }
    for saying in SAYINGS {
        b.expect(saying);
    }
}

/// A request to a ROUTER, which sees it behind the name of the client and `envelope`.
fn answered(client: &Peer, router: &Peer, envelope: &[&str], saying: &[&str]) {
    let name = client.library().to_string();
    client.send(saying);
    router.expect([&[name.as_str()], envelope, saying].concat());
    router.send([&[name.as_str()], envelope, saying, &["answer"]].concat());
    client.expect([saying, &["answer"]].concat());
}

fn between_routers(a: &Peer, b: &Peer) {
    let (name_a, name_b) = (a.library().to_string(), b.library().to_string());
    for saying in SAYINGS {
        for (from, from_name, to, to_name) in [(a, &name_a, b, &name_b), (b, &name_b, a, &name_a)] {
            let message = [&[to_name.as_str()], saying].concat();
            // Until the handshake is done, there is nobody of that name.
            serverlink_interop::until("the ROUTERs know each other", || {
                from.send_within(PATIENCE, &message)
            });
            to.expect([&[from_name.as_str()], saying].concat());
        }
    }
}

fn published(publisher: &Peer, subscriber: &Peer, types: (SocketType, SocketType)) {
    match types.1 {
        Sub => subscriber.subscribe("topic"),
        _ => subscriber.send_subscription(true, "topic"),
    }
    subscriber.await_connected();
    match types.0 {
        XPub => publisher.expect_subscription(true, "topic"),
        _ => subscribed(publisher, subscriber, "topic"),
    }
    for saying in SAYINGS {
        publisher.send(["other topic", "unwanted"]);
        pass(publisher, subscriber, &[&["topic"], saying].concat());
    }
    if types == (XPub, XSub) {
        // A pair of these also carries the user's messages upstream.
        pass(subscriber, publisher, &["upstream", "message"]);
        subscriber.send_subscription(false, "topic");
        publisher.expect_subscription(false, "topic");
    }
}

/// Publishes until the subscriber gets something, for there is no other sign of its subscription.
fn subscribed(publisher: &Peer, subscriber: &Peer, topic: &str) {
    serverlink_interop::until("the subscription is there", || {
        publisher.send([topic, "are you there?"]);
        subscriber.recv_within(Duration::from_millis(10)).is_some()
    });
    publisher.send([topic, "now we begin"]);
    while subscriber.recv() != [topic.as_bytes(), b"now we begin"] {}
}

/// The types that speak ZMTP and that every libzmq has.
fn types() -> impl Iterator<Item = SocketType> {
    SocketType::ALL.into_iter().take_while(|socket_type| *socket_type != Stream)
}

#[test]
fn the_table_has_every_pair_that_may_talk() {
    for ours in types() {
        for theirs in types() {
            let legal = ours.is_compatible_with(theirs);
            assert_eq!(TABLE.contains(&(ours, theirs)), legal, "{ours} with {theirs}");
        }
    }
}

/// Every other pair is refused, by whichever side connects.
#[test]
fn other_pairs_do_not_connect() {
    let contexts = Contexts::new();
    thread::scope(|scope| {
        for ours in types() {
            for binder in Library::BOTH {
                let contexts = &contexts;
                scope.spawn(move || {
                    for theirs in types() {
                        if !TABLE.contains(&(ours, theirs)) {
                            refused(contexts, ours, theirs, binder);
                        }
                    }
                });
            }
        }
    });
}

fn refused(contexts: &Contexts, ours: SocketType, theirs: SocketType, binder: Library) {
    let a = contexts.open(ServerLink, ours);
    let b = contexts.open(Libzmq, theirs);
    match binder {
        ServerLink => b.connect(&a.bind()),
        Libzmq => a.connect(&b.bind()),
    }
    let outcome = b.theirs().1.wait_for(&[
        SocketEvent::HANDSHAKE_SUCCEEDED,
        SocketEvent::HANDSHAKE_FAILED_NO_DETAIL,
        SocketEvent::HANDSHAKE_FAILED_PROTOCOL,
        SocketEvent::DISCONNECTED,
    ]);
    let what = format!("{ours} with {theirs}, {binder} binds");
    assert_ne!(outcome, SocketEvent::HANDSHAKE_SUCCEEDED, "{what}");
    assert_eq!(a.ours().peer_count(), 0, "{what}");
}
