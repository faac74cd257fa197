//! What sockets of one process hear of each other's coming and going, and of subscriptions: the same
//! in both libraries.

use std::time::Duration;

use serverlink::{Context, SocketType};
use serverlink_interop_drafts::{Kind, Libzmq, Message, ours, until};

const XPUB_VERBOSE: i32 = 40;
const XPUB_VERBOSER: i32 = 78;
const ROUTING_ID: i32 = 5;
const ROUTER_NOTIFY: i32 = 97;
const HELLO_MSG: i32 = 110;
const DISCONNECT_MSG: i32 = 111;
const HICCUP_MSG: i32 = 114;

/// For libzmq's commands to arrive; nothing tells when.
const MOMENT: Duration = Duration::from_millis(200);

/// The frames of all messages.
type Heard = Vec<Vec<u8>>;

/// What a ROUTER with such options hears of a DEALER that connects, says something, and leaves by
/// closing, or by disconnecting.
fn our_router(options: &[(i32, &[u8])], closes: bool) -> Heard {
    let context = Context::new().unwrap();
    let (router, dealer) = (ours(&context, SocketType::Router), ours(&context, SocketType::Dealer));
    options.iter().for_each(|(id, value)| router.set_option(*id, value).unwrap());
    dealer.set_option(ROUTING_ID, b"peer").unwrap();
    router.bind("inproc://router").unwrap();
    dealer.connect("inproc://router").unwrap();
    dealer.send("body").unwrap();
    if closes {
        drop(dealer);
    } else {
        dealer.disconnect("inproc://router").unwrap();
    }
    until("the peer is gone", || router.peer_count() == 0);
    let messages = std::iter::from_fn(|| router.try_recv().ok());
    messages.flatten().map(|frame| frame.to_vec()).collect()
}

fn their_router(options: &[(i32, &[u8])], closes: bool) -> Heard {
    let libzmq = Libzmq::new();
    let (router, dealer) = (libzmq.socket(Kind::Router), libzmq.socket(Kind::Dealer));
    options.iter().for_each(|(id, value)| router.set_bytes(*id, value));
    dealer.set_bytes(ROUTING_ID, b"peer");
    router.bind("inproc://router");
    dealer.connect("inproc://router");
    dealer.send(&Message::new("body"));
    let _open = if closes {
        drop(dealer);
        None
    } else {
        dealer.disconnect("inproc://router");
        Some(dealer)
    };
    let frames = std::iter::from_fn(|| router.recv_within(MOMENT));
    frames.map(|frame| frame.body).collect()
}

#[test]
fn a_router_hears_of_the_end_of_a_link_if_it_wants_to() {
    for closes in [false, true] {
        let notify = 3_i32.to_ne_bytes();
        for (options, expected) in [
            (&[][..], &["peer", "body"][..]),
            (&[(DISCONNECT_MSG, &b"gone"[..])], &["peer", "body", "peer", "gone"]),
            // There are no notifications within the process.
            (&[(ROUTER_NOTIFY, &notify[..])], &["peer", "body"]),
        ] {
            let expected: Heard = expected.iter().map(|text| text.as_bytes().to_vec()).collect();
            assert_eq!(our_router(options, closes), expected);
            assert_eq!(their_router(options, closes), expected);
        }
    }
}

#[test]
fn a_dealer_has_no_hiccups_within_the_process() {
    let context = Context::new().unwrap();
    let (dealer, router) = (ours(&context, SocketType::Dealer), ours(&context, SocketType::Router));
    dealer.set_option(HICCUP_MSG, b"hiccup").unwrap();
    router.bind("inproc://router").unwrap();
    dealer.connect("inproc://router").unwrap();
    drop(router);
    until("the peer is gone", || dealer.peer_count() == 0);
    assert!(dealer.try_recv().is_err());

    let libzmq = Libzmq::new();
    let (dealer, router) = (libzmq.socket(Kind::Dealer), libzmq.socket(Kind::Router));
    dealer.set_bytes(HICCUP_MSG, b"hiccup");
    router.bind("inproc://router");
    dealer.connect("inproc://router");
    drop(router);
    assert_eq!(dealer.recv_within(MOMENT), None);
}

/// What a SERVER or PEER that wants to hear of the end of links hears within the process, from one that
/// has something to say first.
#[test]
fn servers_and_peers_hear_of_the_end_of_a_link_within_the_process() {
    for (our_types, their_kinds) in [
        ([SocketType::Server, SocketType::Client], [Kind::Server, Kind::Client]),
        ([SocketType::Peer, SocketType::Peer], [Kind::Peer, Kind::Peer]),
    ] {
        for binds_first in [false, true] {
            let context = Context::new().unwrap();
            let [bound, leaves] = our_types.map(|kind| ours(&context, kind));
            bound.set_option(DISCONNECT_MSG, b"gone").unwrap();
            bound.set_option(HELLO_MSG, b"welcome").unwrap();
            leaves.set_option(HELLO_MSG, b"here").unwrap();
            if binds_first {
                bound.bind("inproc://x").unwrap();
            }
            leaves.connect("inproc://x").unwrap();
            if !binds_first {
                bound.bind("inproc://x").unwrap();
            }
            assert_eq!(leaves.recv().unwrap()[0], "welcome");
            drop(leaves);
            let heard = [(); 2].map(|()| bound.recv().unwrap()[0].to_vec());
            assert!(bound.try_recv().is_err());

            let libzmq = Libzmq::new();
            let [bound, leaves] = their_kinds.map(|kind| libzmq.socket(kind));
            bound.set_bytes(DISCONNECT_MSG, b"gone");
            bound.set_bytes(HELLO_MSG, b"welcome");
            leaves.set_bytes(HELLO_MSG, b"here");
            if binds_first {
                let _ = bound.bind("inproc://x");
            }
            leaves.connect("inproc://x");
            if !binds_first {
                let _ = bound.bind("inproc://x");
            }
            assert_eq!(leaves.recv().body, b"welcome");
            drop(leaves);
            assert_eq!([(); 2].map(|()| bound.recv().body), heard);
            assert_eq!(heard, [&b"here"[..], b"gone"]);
            assert_eq!(bound.recv_within(MOMENT), None);
        }
    }
}

/// What an XPUB hears of two XSUBs that subscribe to a topic, and cancel that.
fn our_xpub(options: &[(i32, i32)]) -> Heard {
    let context = Context::new().unwrap();
    let xpub = ours(&context, SocketType::XPub);
    options.iter().for_each(|(id, value)| xpub.set_option(*id, &value.to_ne_bytes()).unwrap());
    xpub.bind("inproc://xpub").unwrap();
    let subscribers = [(), ()].map(|()| ours(&context, SocketType::XSub));
    for subscriber in &subscribers {
        subscriber.connect("inproc://xpub").unwrap();
    }
    for what in ["\u{1}topic", "\0topic"] {
        subscribers.iter().for_each(|subscriber| subscriber.send(what).unwrap());
    }
    std::iter::from_fn(|| xpub.try_recv().ok()).map(|message| message[0].to_vec()).collect()
}

fn their_xpub(options: &[(i32, i32)]) -> Heard {
    let libzmq = Libzmq::new();
    let xpub = libzmq.socket(Kind::XPub);
    options.iter().for_each(|(id, value)| xpub.set_number(*id, *value));
    xpub.bind("inproc://xpub");
    let subscribers = [(), ()].map(|()| libzmq.socket(Kind::XSub));
    for subscriber in &subscribers {
        subscriber.connect("inproc://xpub");
    }
    let mut heard = Vec::new();
    for what in ["\u{1}topic", "\0topic"] {
        subscribers.iter().for_each(|subscriber| subscriber.send(&Message::new(what)));
        // It hears all of one peer before it turns to the next.
        heard.extend(std::iter::from_fn(|| xpub.recv_within(MOMENT)).map(|message| message.body));
    }
    heard
}

#[test]
fn verbose_and_verboser_take_each_other_back() {
    let one = [XPUB_VERBOSE, XPUB_VERBOSER].map(|id| [(id, 0), (id, 1)]).concat();
    let two = one.iter().flat_map(|first| one.iter().map(move |second| vec![*first, *second]));
    let mut cases: Vec<_> = two.collect();
    cases.push(vec![]);
    cases.extend(one.iter().map(|only| vec![*only]));
    for options in cases {
        assert_eq!(our_xpub(&options), their_xpub(&options), "{options:?}");
    }
}
