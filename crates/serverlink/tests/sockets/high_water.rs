//! High-water marks: how much fits, who waits and who drops, and how it goes on.

use std::{sync::Barrier, thread, time::Duration};

use serverlink::{Context, Error, Message, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bind_again, bound, context, couple, eventually, expect,
    expect_nothing, expect_numbers, fill, frames, number, number_in, refusal, scaled, socket,
    vacant,
};

fn marks(socket: &Socket, send: usize, receive: usize) {
    socket.set_send_high_water_mark(send).unwrap();
    socket.set_receive_high_water_mark(receive).unwrap();
}

/// A sender with a send mark and a receiver with a receive mark, joined.
fn joined(
    context: &Context,
    endpoint: &str,
    sender: (SocketType, usize),
    receiver: (SocketType, usize),
) -> (Socket, Socket) {
    let from = socket(context, sender.0);
    marks(&from, sender.1, 1);
    let to = socket(context, receiver.0);
    marks(&to, 1, receiver.1);
    let endpoint = to.bind(endpoint).unwrap();
    from.connect(&endpoint).unwrap();
    await_peers(&to, 1);
    await_peers(&from, 1);
    (from, to)
}

#[test]
fn a_link_within_the_process_holds_both_marks() {
    for (from, to) in [
        (SocketType::Push, SocketType::Pull),
        (SocketType::Dealer, SocketType::Dealer),
        (SocketType::Pair, SocketType::Pair),
    ] {
        for (send, receive) in [(1, 1), (3, 5), (1, 8)] {
            let context = context();
            let (from, to) = joined(&context, "inproc://marks", (from, send), (to, receive));
            let total = (send + receive) as u32;
            assert_eq!(fill(&from), total, "{send} and {receive}");
            expect_numbers(&to, 0..total);
            expect_nothing(&to);
            // And again, once all is read.
            assert_eq!(fill(&from), total, "{send} and {receive}, again");
        }
    }
}

#[test]
fn the_marks_are_the_same_whoever_binds_first() {
    let context = context();
    let from = socket(&context, SocketType::Push);
    marks(&from, 4, 1);
    from.connect("inproc://later").unwrap();
    assert_eq!(fill(&from), 4, "with nobody there, the sender's own mark");
    let to = socket(&context, SocketType::Pull);
    marks(&to, 1, 6);
    to.bind("inproc://later").unwrap();
    assert_eq!(fill(&from), 6, "the rest");
    expect_numbers(&to, (0..4).chain(0..6));
}

#[test]
fn a_request_that_has_to_wait_comes_back_whole() {
    let context = context();
    let (req, _router) =
        joined(&context, "inproc://marks", (SocketType::Req, 2), (SocketType::Router, 3));
    req.set_req_relaxed(true).unwrap();
    req.set_req_correlate(true).unwrap();
    assert_eq!(fill(&req), 5);
}

#[test]
fn a_mark_of_zero_is_no_limit() {
    let many = scaled(50_000);
    for (send, receive) in [(0, 1), (1, 0), (0, 0)] {
        let context = context();
        let (from, to) = joined(
            &context,
            "inproc://marks",
            (SocketType::Push, send),
            (SocketType::Pull, receive),
        );
        (0..many).for_each(|n| from.try_send(number(n)).unwrap());
        expect_numbers(&to, 0..many);
    }
    let context = context();
    let push = socket(&context, SocketType::Push);
    marks(&push, 0, 1);
    push.connect(&vacant(&context)).unwrap();
    (0..many).for_each(|n| push.try_send(number(n)).unwrap());
}

#[test]
fn an_absent_peer_is_owed_exactly_the_mark() {
    for socket_type in [SocketType::Push, SocketType::Dealer, SocketType::Pair, SocketType::Req] {
        let context = context();
        let endpoint = vacant(&context);
        let sender = socket(&context, socket_type);
        marks(&sender, 7, 1);
        if socket_type == SocketType::Req {
            sender.set_req_relaxed(true).unwrap();
        }
        sender.connect(&endpoint).unwrap();
        assert_eq!(fill(&sender), 7, "{socket_type}");
    }
}

/// Sends bodies of `size` bytes until nothing moves any more.
fn flood(socket: &Socket, size: usize) -> u32 {
    for n in 0u32.. {
        let mut message = Message::from(vec![0; size]);
        message.push_back(n.to_be_bytes());
        if let Err(refused) = socket.send_timeout(message, Duration::from_millis(400)) {
            assert!(matches!(refused.error, Error::WouldBlock));
            return n;
        }
        assert!(n < 10_000, "the flood is not stemmed");
    }
    unreachable!()
}

#[test]
fn a_slow_reader_bounds_what_its_peer_may_send() {
    const SIZE: usize = 64 * 1024;
    for (from, to) in [
        (SocketType::Push, SocketType::Pull),
        (SocketType::Dealer, SocketType::Router),
        (SocketType::Pair, SocketType::Pair),
    ] {
        let context = context();
        let sender = socket(&context, from);
        marks(&sender, 8, 1);
        sender.set_send_buffer(Some(SIZE)).unwrap();
        let receiver = socket(&context, to);
        marks(&receiver, 1, 8);
        receiver.set_receive_buffer(Some(SIZE)).unwrap();
        sender.connect(&receiver.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        let sent = flood(&sender, SIZE);
        // The marks, the kernel's two buffers (of which Linux doubles both), and what is just
        // being read.
        assert!(sent <= 8 + 8 + 4 + 16, "{from}: {sent} messages");
        // It goes on by itself when the reader does.
        thread::scope(|scope| {
            let rest = scope.spawn(|| {
                (sent..sent + 100).for_each(|n| {
                    let mut message = Message::from(vec![0; SIZE]);
                    message.push_back(n.to_be_bytes());
                    sender.send(message).unwrap();
                });
            });
            expect_numbers(&receiver, 0..sent + 100);
            rest.join().unwrap();
        });
    }
}

#[test]
fn a_blocked_sender_goes_on_when_there_is_room() {
    for endpoint in TRANSPORTS {
        for mark in [1, 2, 10] {
            let context = context();
            let (from, to) =
                joined(&context, endpoint, (SocketType::Push, mark), (SocketType::Pull, mark));
            let many = scaled(2000);
            thread::scope(|scope| {
                scope.spawn(|| (0..many).for_each(|n| from.send(number(n)).unwrap()));
                expect_numbers(&to, 0..many);
            });
            expect_nothing(&to);
        }
    }
}

#[test]
fn one_reader_unblocks_many_senders() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (from, to) = joined(&context, endpoint, (SocketType::Push, 1), (SocketType::Pull, 1));
        let senders = 4;
        let each = scaled(500);
        thread::scope(|scope| {
            for _ in 0..senders {
                scope.spawn(|| (0..each).for_each(|n| from.send(number(n)).unwrap()));
            }
            (0..senders * each).for_each(|_| drop(to.recv().unwrap()));
        });
        expect_nothing(&to);
    }
}

#[test]
fn publishers_drop_for_a_slow_subscriber_and_serve_it_again_later() {
    for publisher in [SocketType::Pub, SocketType::XPub] {
        let context = context();
        let (sub, endpoint) = {
            let sub = socket(&context, SocketType::Sub);
            marks(&sub, 1, 5);
            sub.subscribe("").unwrap();
            let endpoint = sub.bind("inproc://slow").unwrap();
            (sub, endpoint)
        };
        let publisher = socket(&context, publisher);
        marks(&publisher, 3, 1);
        publisher.connect(&endpoint).unwrap();
        for n in 0..100 {
            publisher.try_send(number(n)).unwrap();
        }
        expect_numbers(&sub, 0..8);
        publisher.try_send("marker").unwrap();
        expect(&sub, "marker");
    }
}

#[test]
fn one_slow_subscriber_does_not_hold_the_others_up() {
    let context = context();
    let publisher = socket(&context, SocketType::Pub);
    marks(&publisher, 2, 1);
    let endpoint = publisher.bind("inproc://fan").unwrap();
    let subscribe = |receive| {
        let sub = socket(&context, SocketType::Sub);
        marks(&sub, 1, receive);
        sub.subscribe("").unwrap();
        sub.connect(&endpoint).unwrap();
        sub
    };
    let (slow, quick) = (subscribe(2), subscribe(1000));
    (0..500).for_each(|n| publisher.send(number(n)).unwrap());
    expect_numbers(&quick, 0..500);
    expect_numbers(&slow, 0..4);
    expect_nothing(&slow);
}

#[test]
fn a_publisher_told_not_to_drop_waits() {
    for endpoint in TRANSPORTS {
        let context = context();
        let publisher = socket(&context, SocketType::XPub);
        marks(&publisher, 3, 1);
        publisher.set_xpub_nodrop(true).unwrap();
        let endpoint = publisher.bind(endpoint).unwrap();
        let sub = socket(&context, SocketType::Sub);
        marks(&sub, 1, 5);
        sub.subscribe("").unwrap();
        sub.connect(&endpoint).unwrap();
        expect(&publisher, "\u{1}");
        if endpoint.starts_with("inproc") {
            assert_eq!(fill(&publisher), 8);
            expect_numbers(&sub, 0..8);
        }
        let many = scaled(2000);
        thread::scope(|scope| {
            scope.spawn(|| (0..many).for_each(|n| publisher.send(number(n)).unwrap()));
            expect_numbers(&sub, 0..many);
        });
    }
}

/// A reader who takes some from each in turn must never wait for one subscriber while the publisher
/// waits for it to read more of another.
#[test]
fn a_waiting_publisher_goes_on_while_its_subscribers_are_read_in_turn() {
    const TURN: u32 = 7;
    const TURNS: u32 = 60;
    let context = context();
    // Wherever the first batch ends, and whoever is read first.
    for first in 1..100 {
        let publisher = socket(&context, SocketType::Pub);
        marks(&publisher, 50, 1);
        publisher.set_xpub_nodrop(true).unwrap();
        publisher.bind("inproc://turns").unwrap();
        let mut subs = [(); 3].map(|()| {
            let sub = socket(&context, SocketType::Sub);
            marks(&sub, 1, 50);
            sub.subscribe("").unwrap();
            sub.connect("inproc://turns").unwrap();
            sub
        });
        subs.rotate_left(first as usize % 3);
        (0..first).for_each(|n| publisher.try_send(number(n)).unwrap());
        subs.iter().for_each(|sub| expect_numbers(sub, 0..1));
        let full = (first..).find(|&n| publisher.try_send(number(n)).is_err()).unwrap();
        let started = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                started.wait();
                (full..=TURNS * TURN).for_each(|n| publisher.send(number(n)).unwrap());
            });
            started.wait();
            for turn in 0..TURNS {
                let from = 1 + turn * TURN;
                subs.iter().for_each(|sub| expect_numbers(sub, from..from + TURN));
            }
        });
    }
}

#[test]
fn a_waiting_publisher_goes_on_when_the_slow_subscriber_leaves() {
    let context = context();
    let publisher = socket(&context, SocketType::XPub);
    marks(&publisher, 1, 1);
    publisher.set_xpub_nodrop(true).unwrap();
    publisher.bind("inproc://leaving").unwrap();
    let sub = socket(&context, SocketType::Sub);
    marks(&sub, 1, 1);
    sub.subscribe("").unwrap();
    sub.connect("inproc://leaving").unwrap();
    fill(&publisher);
    thread::scope(|scope| {
        let sending = scope.spawn(|| publisher.send("to nobody"));
        drop(sub);
        sending.join().unwrap().unwrap();
    });
}

#[test]
fn a_publisher_that_dropped_can_be_told_to_wait() {
    let context = context();
    let publisher = socket(&context, SocketType::XPub);
    marks(&publisher, 4, 1);
    publisher.bind("inproc://change").unwrap();
    let sub = socket(&context, SocketType::Sub);
    marks(&sub, 1, 4);
    sub.subscribe("").unwrap();
    sub.connect("inproc://change").unwrap();
    (0..9).for_each(|n| publisher.send(number(n)).unwrap());
    // There is some room again, though not yet half.
    expect_numbers(&sub, 0..4);
    publisher.set_xpub_nodrop(true).unwrap();
    let mut taken = Vec::new();
    for n in 100..110 {
        match publisher.try_send(number(n)) {
            Ok(()) => taken.push(n),
            Err(refused) => assert!(matches!(refused.error, Error::WouldBlock)),
        }
    }
    expect_numbers(&sub, 4..8);
    expect_numbers(&sub, taken);
}

#[test]
fn a_router_drops_what_a_slow_peer_has_no_room_for() {
    let context = context();
    let router = socket(&context, SocketType::Router);
    marks(&router, 3, 1);
    router.bind("inproc://router").unwrap();
    let dealer = socket(&context, SocketType::Dealer);
    marks(&dealer, 1, 5);
    dealer.set_routing_id("slow").unwrap();
    dealer.connect("inproc://router").unwrap();
    let numbered = |n: u32| {
        let mut message = Message::from("slow");
        message.push_back(n.to_be_bytes());
        message
    };
    (0..100).for_each(|n| router.try_send(numbered(n)).unwrap());
    expect_numbers(&dealer, 0..8);
    router.send(frames(["slow", "marker"])).unwrap();
    expect(&dealer, "marker");
}

#[test]
fn a_mandatory_router_waits_for_a_slow_peer() {
    for endpoint in TRANSPORTS {
        let context = context();
        let router = socket(&context, SocketType::Router);
        marks(&router, 3, 1);
        router.set_router_mandatory(true).unwrap();
        let endpoint = router.bind(endpoint).unwrap();
        let dealer = socket(&context, SocketType::Dealer);
        marks(&dealer, 1, 5);
        dealer.set_routing_id("slow").unwrap();
        dealer.connect(&endpoint).unwrap();
        await_peers(&router, 1);
        let numbered = |n: u32| {
            let mut message = Message::from("slow");
            message.push_back(n.to_be_bytes());
            message
        };
        let mut sent = 0;
        if endpoint.starts_with("inproc") {
            while let Ok(()) = router.try_send(numbered(sent)) {
                sent += 1;
            }
            assert_eq!(sent, 8);
            let refused = router.try_send(numbered(sent)).unwrap_err();
            assert_eq!(refused.message, numbered(sent));
        }
        let many = sent + scaled(1000);
        thread::scope(|scope| {
            scope.spawn(|| (sent..many).for_each(|n| router.send(numbered(n)).unwrap()));
            expect_numbers(&dealer, 0..many);
        });
    }
}

#[test]
fn an_xsub_drops_what_it_says_to_a_publisher_without_room() {
    let context = context();
    let endpoint = vacant(&context);
    let xsub = socket(&context, SocketType::XSub);
    marks(&xsub, 3, 1);
    xsub.connect(&endpoint).unwrap();
    (0..10).for_each(|n| xsub.try_send(frames(["user", &n.to_string()])).unwrap());
    let (xpub, _) = bound(&context, SocketType::XPub, &endpoint);
    (0..3).for_each(|n| expect(&xpub, frames(["user", &n.to_string()])));
    xsub.send("marker").unwrap();
    expect(&xpub, "marker");
}

#[test]
fn nobody_to_send_to_means_waiting_or_dropping() {
    for (socket_type, waits) in [
        (SocketType::Push, true),
        (SocketType::Dealer, true),
        (SocketType::Req, true),
        (SocketType::Pair, true),
        (SocketType::Pub, false),
        (SocketType::XPub, false),
        (SocketType::XSub, false),
        (SocketType::Router, false),
    ] {
        let context = context();
        let socket = socket(&context, socket_type);
        let sent = socket.try_send(frames(["a", "b"]));
        if waits {
            assert!(matches!(refusal(sent), Error::WouldBlock), "{socket_type}");
        } else {
            sent.unwrap();
        }
    }
}

#[test]
fn replies_nobody_has_room_for_are_dropped() {
    let context = context();
    let rep = socket(&context, SocketType::Rep);
    marks(&rep, 1, 100);
    rep.bind("inproc://replies").unwrap();
    let dealer = socket(&context, SocketType::Dealer);
    marks(&dealer, 100, 1);
    dealer.connect("inproc://replies").unwrap();
    for n in 0..10u32 {
        let mut request = Message::from("");
        request.push_back(n.to_be_bytes());
        dealer.send(request).unwrap();
        let request = rep.recv().unwrap();
        rep.try_send(number(number_in(&request))).unwrap();
    }
    expect_numbers(&dealer, 0..2);
    expect_nothing(&dealer);
}

#[test]
fn a_sender_that_shares_a_full_socket_with_others_is_not_forgotten() {
    // Many threads wait, and the reader makes room for one message at a time.
    let context = context();
    let (from, to) =
        joined(&context, "inproc://shared", (SocketType::Dealer, 1), (SocketType::Dealer, 1));
    fill(&from);
    thread::scope(|scope| {
        let waiting: Vec<_> = (10..18)
            .map(|n| {
                scope.spawn({
                    let from = &from;
                    move || from.send(number(n))
                })
            })
            .collect();
        expect_numbers(&to, 0..2);
        let mut seen: Vec<_> = (0..8).map(|_| number_in(&to.recv().unwrap())).collect();
        seen.sort_unstable();
        assert_eq!(seen, (10..18).collect::<Vec<_>>());
        waiting.into_iter().for_each(|sending| sending.join().unwrap().unwrap());
    });
}

#[test]
fn connected_pairs_wait_both_ways() {
    let context = context();
    let (one, other) = couple(&context, "inproc://pair", SocketType::Pair, SocketType::Pair);
    assert_eq!((fill(&one), fill(&other)), (2000, 2000));
    expect_numbers(&one, 0..2000);
    expect_numbers(&other, 0..2000);
}

/// What came by one connection counts when the next one takes its place.
#[test]
fn the_receive_mark_holds_across_connections() {
    for stream in ["tcp://127.0.0.1:*", "ws://127.0.0.1:*"] {
        let context = context();
        let dealer = socket(&context, SocketType::Dealer);
        marks(&dealer, 1000, 1);
        dealer.set_reconnect_interval(Some(Duration::from_millis(1))).unwrap();
        let (first, endpoint) = bound(&context, SocketType::Dealer, stream);
        dealer.connect(&endpoint).unwrap();
        let statistics = |socket: &Socket| socket.peers()[0].statistics;
        let answer = |server: &Socket, answer: &str| {
            await_peers(server, 1);
            server.send(answer).unwrap();
            eventually("for it to be written", || statistics(server).messages_sent == 1);
        };
        answer(&first, "first");
        eventually("for it to come", || statistics(&dealer).queued_incoming == 1);
        drop(first);
        // It reads no more, and learns of that as it writes.
        eventually("for the end", || {
            dealer.try_send("are you there?").unwrap();
            !dealer.is_connected(&endpoint)
        });
        let second = socket(&context, SocketType::Dealer);
        bind_again(&second, &endpoint);
        await_peers(&dealer, 1);
        answer(&second, "second");
        // By the same I/O thread, behind what it does about that.
        let (push, pull) = couple(&context, stream, SocketType::Push, SocketType::Pull);
        push.send("behind").unwrap();
        expect(&pull, "behind");
        assert_eq!(statistics(&dealer).queued_incoming, 1, "over {stream}");
        expect(&dealer, "first");
        expect(&dealer, "second");
    }
}
