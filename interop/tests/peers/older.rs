//! Peers that speak ZMTP 2.0 and 1.0: what ServerLink tells them is what libzmq does, to the byte.

use std::{net::TcpListener, thread, time::Duration};

use serverlink::SocketType::{self, *};
use serverlink_interop::{
    Contexts,
    Library::{self, Libzmq, ServerLink},
    Peer,
    older::{Older, OlderPeer},
    panics, payload,
    raw::RawPeer,
    until,
};

/// What is said in all conversations: frames of the lengths where headers change, empty ones, many.
fn sayings() -> Vec<Vec<Vec<u8>>> {
    let frame = |len: usize| payload::bytes(len, len as u64);
    let mut sayings: Vec<_> = [0, 1, 252, 253, 254, 255, 256, 4096, 70_000]
        .map(|len| vec![frame(len)])
        .into_iter()
        .collect();
    sayings.push(vec![frame(3), frame(0), frame(254), frame(5000), frame(0), frame(2)]);
    sayings
}

/// The number of a socket type in ZMTP 2.0.
fn number(socket_type: SocketType) -> u8 {
    SocketType::ALL.iter().position(|&other| other == socket_type).unwrap() as u8
}

/// The type of peer in the conversation with each type.
fn partner(ours: SocketType) -> SocketType {
    match ours {
        Pair => Pair,
        Pub | XPub => Sub,
        Sub | XSub => Pub,
        Req => Rep,
        Rep => Req,
        Dealer => Router,
        Router => Dealer,
        Pull => Push,
        Push => Pull,
        other => panic!("older versions have no {other}"),
    }
}

/// Joins a socket and an older peer, whichever binds.
#[track_caller]
fn join(socket: &Peer, older: Older, binds: bool, theirs: u8, id: &[u8]) -> (OlderPeer, Vec<u8>) {
    if binds {
        let endpoint = socket.bind();
        return older.shake_hands(RawPeer::connect(&endpoint), theirs, id);
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    socket.connect(&format!("tcp://{}", listener.local_addr().unwrap()));
    older.shake_hands(RawPeer::accept(&listener), theirs, id)
}

/// A message behind another frame, or behind several.
fn behind(envelope: &[&[u8]], saying: &[Vec<u8>]) -> Vec<Vec<u8>> {
    envelope.iter().map(|frame| frame.to_vec()).chain(saying.iter().cloned()).collect()
}

/// Has a socket and an older peer talk; returns all that the socket wrote.
fn converse(library: Library, ours: SocketType, older: Older, binds: bool) -> Vec<u8> {
    let socket = Contexts::new().open(library, ours);
    if matches!(ours, Req | Dealer | Router) {
        socket.set_routing_id("socket");
    }
    if ours == Sub {
        socket.subscribe("topic");
    }
    let (mut peer, id) = join(&socket, older, binds, number(partner(ours)), b"peer");
    let expected_id: &[u8] = if matches!(ours, Req | Dealer | Router) { b"socket" } else { b"" };
    assert_eq!(id, expected_id);
    match ours {
        XPub if older == Older::Unversioned => socket.expect_subscription(true, ""),
        Sub => {
            // libzmq takes new peers in, and tells them of its subscriptions, during calls only.
            peer.send(["topic"]);
            socket.expect(["topic"]);
            peer.expect(["\u{1}topic"]);
        }
        XSub => {
            // As above: a subscription sent before would wait for the next call.
            peer.send(["topic"]);
            socket.expect(["topic"]);
            socket.send_subscription(true, "topic");
            peer.expect(["\u{1}topic"]);
        }
        _ => {}
    }
    if ours == XPub {
        peer.send(["\u{1}topic"]);
        socket.expect_subscription(true, "topic");
    }
    for saying in sayings() {
        match ours {
            Push => {
                socket.send(&saying);
                peer.expect(&saying);
            }
            Pull => {
                peer.send(&saying);
                socket.expect(&saying);
            }
            Pair | Dealer => {
                socket.send(&saying);
                peer.expect(&saying);
                peer.send(&saying);
                socket.expect(&saying);
            }
            Router => {
                let addressed = behind(&[b"peer"], &saying);
                peer.send(&saying);
                socket.expect(&addressed);
                socket.send(&addressed);
                peer.expect(&saying);
            }
            Req => {
                let enveloped = behind(&[b""], &saying);
                socket.send(&saying);
                peer.expect(&enveloped);
                peer.send(&enveloped);
                socket.expect(&saying);
            }
            Rep => {
                let enveloped = behind(&[b"way back", b""], &saying);
                peer.send(&enveloped);
                socket.expect(&saying);
                socket.send(&saying);
                peer.expect(&enveloped);
            }
            XPub => {
                let published = behind(&[b"topic"], &saying);
                socket.send(["other topic"]);
                socket.send(&published);
                if older == Older::Unversioned {
                    peer.expect(["other topic"]);
                }
                peer.expect(&published);
            }
            Sub | XSub => {
                let published = behind(&[b"topic"], &saying);
                peer.send(["other topic"]);
                peer.send(&published);
                if ours == XSub {
                    socket.expect(["other topic"]);
                }
                socket.expect(&published);
            }
            Pub => panic!("a PUB does not tell when it is subscribed to"),
            other => panic!("older versions have no {other}"),
        }
    }
    match ours {
        Sub => {
            socket.unsubscribe("topic");
            peer.expect(["\u{0}topic"]);
        }
        XSub => {
            socket.send_subscription(false, "topic");
            peer.expect(["\u{0}topic"]);
        }
        XPub => {
            peer.send(["\u{0}topic"]);
            if older == Older::Unversioned {
                // It is subscribed to everything nevertheless.
                socket.send(["topic"]);
                peer.expect(["topic"]);
            }
            socket.expect_subscription(false, "topic");
        }
        _ => {}
    }
    drop(socket);
    peer.all_heard()
}

fn alike(ours: SocketType) {
    panics::watch();
    for older in Older::ALL {
        for binds in [true, false] {
            let [serverlink, mut libzmq] =
                [ServerLink, Libzmq].map(|library| converse(library, ours, older, binds));
            if matches!(ours, XPub | XSub) && older != Older::Unversioned {
                // RFC 15 knows them by the names of PUB and SUB only; libzmq sends their own
                // numbers.
                assert_eq!(libzmq[11], number(ours));
                libzmq[11] = number(if ours == XPub { Pub } else { Sub });
            }
            assert!(serverlink == libzmq, "{older:?}, binds: {binds}");
        }
    }
    assert_eq!(panics::count(), 0);
}

macro_rules! alike {
    ($($name:ident: $ours:ident;)+) => {
        $(#[test]
        fn $name() {
            alike($ours);
        })+
    };
}

alike! {
    as_libzmq_a_pair: Pair;
    as_libzmq_an_xpub: XPub;
    as_libzmq_a_sub: Sub;
    as_libzmq_an_xsub: XSub;
    as_libzmq_a_req: Req;
    as_libzmq_a_rep: Rep;
    as_libzmq_a_dealer: Dealer;
    as_libzmq_a_router: Router;
    as_libzmq_a_pull: Pull;
    as_libzmq_a_push: Push;
}

/// A PUB filters by what the peer asked for, if it could ask.
#[test]
fn a_pub_sends_what_is_subscribed_to() {
    for older in Older::ALL {
        let publisher = Contexts::new().open(ServerLink, Pub);
        let (mut peer, _) = join(&publisher, older, true, number(Sub), b"");
        peer.send(["\u{1}topic"]);
        publisher.await_connected();
        let reader = thread::spawn(move || (0..20).map(|_| peer.recv()).collect::<Vec<_>>());
        until("twenty messages arrive", || {
            publisher.send(["unwanted"]);
            publisher.send(["topic"]);
            reader.is_finished()
        });
        let messages = reader.join().unwrap();
        // They alternate.
        let unwanted = messages.iter().filter(|message| *message == &[b"unwanted"]).count();
        assert_eq!(unwanted, if older == Older::Unversioned { 10 } else { 0 }, "{older:?}");
    }
}

/// A peer without a routing id is given one, under which it can be answered.
#[test]
fn a_router_answers_a_peer_without_a_name() {
    for older in Older::ALL {
        let router = Contexts::new().open(ServerLink, Router);
        let (mut peer, _) = join(&router, older, true, number(Dealer), b"");
        peer.send(["question", "in two frames"]);
        let question = router.recv();
        assert_eq!((question.len(), question[0].len(), question[0][0]), (3, 5, 0));
        router.send([&question[0][..], b"answer", b""]);
        peer.expect(["answer", ""]);
    }
}

#[test]
fn a_rep_and_a_req_of_another_router_get_along() {
    for older in Older::ALL {
        let req = Contexts::new().open(ServerLink, Req);
        // A ROUTER may be at the other end of a REQ.
        let (mut peer, _) = join(&req, older, false, number(Router), b"");
        req.send(["question"]);
        peer.expect(["", "question"]);
        peer.send(["", "answer", "in two frames"]);
        req.expect(["answer", "in two frames"]);
    }
}

/// What was written to one peer in part goes to the next one whole, whichever version either speaks.
#[test]
fn a_message_cut_off_is_sent_again_and_those_before_it_are_not() {
    const BEFORE: u64 = 100;
    const BEHIND: u64 = 10;
    let large = payload::bytes(16 << 20, 1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = Contexts::new().open(ServerLink, Push);
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap()));
    (0..BEFORE).for_each(|index| push.send([payload::numbered(index)]));
    push.send([&[7; 300][..], &large, b"and a frame behind it"]);
    (0..BEHIND).for_each(|index| push.send([payload::numbered(index)]));

    let accept = |older: Older| older.shake_hands(RawPeer::accept(&listener), number(Pull), b"").0;
    let mut first = accept(Older::Unversioned);
    (0..BEFORE).for_each(|index| assert_eq!(payload::number(&first.recv()[0]), index));
    first.skip(1);
    drop(first);
    for older in Older::ALL {
        accept(older).skip(1 << 20);
        RawPeer::accept(&listener).shake_hands(1, "PULL").skip(2 << 20);
    }

    let mut last = accept(Older::Unversioned);
    let message = last.recv();
    assert!(message == [&[7; 300][..], &large, b"and a frame behind it"]);
    (0..BEHIND).for_each(|index| assert_eq!(payload::number(&last.recv()[0]), index));
}

/// What the kernel took is known to the byte, though no byte of it is as it was queued.
#[test]
fn the_next_peer_begins_where_the_kernel_took_no_more() {
    const COUNT: u64 = 100_000;
    // The length at which the headers differ most.
    const BODY: usize = 254;
    const FRAME: usize = 10 + BODY;
    let message = |index: u64| [&index.to_be_bytes()[..], &[7; BODY - 8]].concat();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = Contexts::new().open(ServerLink, Push);
    push.set_high_water_marks(0);
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap()));
    let accept = || Older::Unversioned.shake_hands(RawPeer::accept(&listener), number(Pull), b"").0;
    let first = accept();
    // More than the kernel takes from one that reads nothing.
    (0..COUNT).for_each(|index| push.send([message(index)]));
    first.finish();
    let heard = first.all_heard();
    let whole = (heard.len() - 10) / FRAME;
    assert!(whole > 0 && (whole as u64) < COUNT, "{whole}");
    assert!(
        heard[10 + (whole - 1) * FRAME..]
            .starts_with(&[&[255][..], &[0; 7], &[255, 0], &message(whole as u64 - 1)].concat())
    );
    accept().expect([message(whole as u64)]);
}

#[test]
fn streams_arrive_whole_and_in_order() {
    const COUNT: u64 = 20_000;
    for older in Older::ALL {
        let contexts = Contexts::new();
        let pair = contexts.open(ServerLink, Pair);
        let (mut peer, _) = join(&pair, older, true, number(Pair), b"");
        thread::scope(|scope| {
            scope.spawn(|| {
                (0..COUNT).for_each(|index| assert_eq!(payload::number(&peer.recv()[0]), index));
                (0..COUNT).for_each(|index| peer.send([payload::numbered(index)]));
            });
            (0..COUNT).for_each(|index| pair.send([payload::numbered(index)]));
            (0..COUNT).for_each(|index| assert_eq!(payload::number(&pair.recv()[0]), index));
        });
    }
}

/// What an older peer may do wrong gets it thrown out, and does no harm to others.
#[test]
fn what_they_do_wrong_gets_them_thrown_out() {
    panics::watch();
    let pull = Contexts::new().open(ServerLink, Pull);
    pull.ours().set_max_message_size(Some(1 << 20)).unwrap();
    let endpoint = pull.bind();
    let mut good = Older::Unversioned.shake_hands(RawPeer::connect(&endpoint), 8, b"").0;
    for older in Older::ALL {
        let introduced =
            |bytes: &[u8]| [&older.handshake(number(Push), b"name")[..], bytes].concat();
        let announced = |len: u64| match older {
            Older::Revision1 => introduced(&[&[2][..], &len.to_be_bytes()].concat()),
            _ => introduced(&[&[255][..], &len.to_be_bytes(), &[0]].concat()),
        };
        let mut wrong = vec![
            older.handshake(number(Push), &[b'n'; 256]),
            announced(1 << 63),
            announced(u64::MAX),
            announced((1 << 20) + 2),
        ];
        match older {
            Older::Revision1 => wrong.push(introduced(b"\x04\x07\x04PING\0\0")),
            _ => wrong.push(introduced(&[0, 0])),
        }
        if older != Older::Unversioned {
            wrong.extend([0, 1, 6, 7, 11, 255].map(|number| older.greeting(number)));
        }
        for bytes in wrong {
            let mut peer = RawPeer::connect(&endpoint);
            peer.try_write(&bytes);
            peer.rest();
        }
        // One that stops anywhere.
        let whole = introduced(&older.frame(false, &[7; 300]));
        for len in 0..whole.len() {
            let mut peer = RawPeer::connect(&endpoint);
            peer.write(&whole[..len]);
            peer.finish();
            peer.rest();
        }
        until("the others are gone", || pull.ours().peer_count() == 1);
        good.send(["well?"]);
        pull.expect(["well?"]);
    }
    assert_eq!(panics::count(), 0);
}

#[test]
fn random_damage_does_no_harm() {
    panics::watch();
    let pull = Contexts::new().open(ServerLink, Pull);
    let endpoint = pull.bind();
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let older = Older::ALL[random.usize(..3)];
        let mut stream = [
            older.handshake(number(Push), b"name"),
            older.frame(true, b"first"),
            older.frame(false, &[7; 300]),
            older.frame(false, b"last"),
        ]
        .concat();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..stream.len());
            match random.u8(..3) {
                0 => stream[at] = random.u8(..),
                1 => drop(stream.remove(at)),
                _ => stream.insert(at, random.u8(..)),
            }
        }
        let mut peer = RawPeer::connect(&endpoint);
        peer.try_write(&stream);
        peer.finish();
        peer.rest();
    }
    while pull.recv_within(Duration::from_millis(1)).is_some() {}
    until("all are gone", || pull.ours().peer_count() == 0);
    let mut good = Older::Revision1.shake_hands(RawPeer::connect(&endpoint), 8, b"").0;
    good.send(["well?"]);
    pull.expect(["well?"]);
    assert_eq!(panics::count(), 0);
}
