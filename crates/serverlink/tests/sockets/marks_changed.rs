//! High-water marks that are changed while there are connections: they hold for these at once.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    thread,
    time::Duration,
};

use serverlink::{Context, Error, Events, Message, Poller, Socket, SocketType};

use crate::harness::{
    PATIENCE, STREAMS, TRANSPORTS, await_peers, bound, connected, context, eventually, expect,
    expect_nothing, expect_numbers, fill, number, number_in, refusal, scaled, socket, vacancies,
    vacant,
};

fn marks(socket: &Socket, send: usize, receive: usize) {
    socket.set_send_high_water_mark(send).unwrap();
    socket.set_receive_high_water_mark(receive).unwrap();
}

/// A socket with the least marks.
fn narrow(context: &Context, socket_type: SocketType) -> Socket {
    let socket = socket(context, socket_type);
    marks(&socket, 1, 1);
    socket
}

/// Two of these, joined; the first is bound.
fn narrow_couple(
    context: &Context,
    endpoint: &str,
    binds: SocketType,
    connects: SocketType,
) -> (Socket, Socket) {
    let (one, other) = (narrow(context, binds), narrow(context, connects));
    other.connect(&one.bind(endpoint).unwrap()).unwrap();
    await_peers(&one, 1);
    await_peers(&other, 1);
    (one, other)
}

fn queued(socket: &Socket) -> usize {
    let peers = socket.peers();
    assert_eq!(peers.len(), 1, "{peers:?}");
    peers[0].statistics.queued_incoming
}

/// What waits when full, each time `widen` has raised the mark by one; it is never read. The sender
/// waits each time.
fn goes_on(
    sender: &Socket,
    first: u32,
    widen: impl Fn(usize),
    message: impl Fn(u32) -> Message + Sync,
) {
    const STEPS: u32 = 20;
    let sent = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..first + STEPS {
                sender.send(message(n)).unwrap();
                sent.fetch_add(1, Ordering::Relaxed);
            }
        });
        for step in 0..=STEPS {
            if step > 0 {
                widen(step as usize + 1);
            }
            let expected = first + step;
            eventually("for the sender", || sent.load(Ordering::Relaxed) >= expected);
            assert_eq!(sent.load(Ordering::Relaxed), expected);
        }
    });
}

/// A message to the peer called so, or to the only one.
fn to_peer(from: SocketType) -> impl Fn(u32) -> Message + Sync {
    move |n| {
        let mut message = number(n);
        if from == SocketType::Router {
            message.push_front("peer");
        }
        message
    }
}

#[test]
fn a_sender_that_waits_goes_on_when_either_mark_is_raised() {
    for (from, to) in [
        (SocketType::Push, SocketType::Pull),
        (SocketType::Dealer, SocketType::Router),
        (SocketType::Router, SocketType::Dealer),
        (SocketType::Pair, SocketType::Pair),
        (SocketType::XPub, SocketType::XSub),
        (SocketType::Client, SocketType::Server),
        (SocketType::Channel, SocketType::Channel),
        (SocketType::Scatter, SocketType::Gather),
    ] {
        for raises_send in [false, true] {
            let context = context();
            let (sender, receiver) = (narrow(&context, from), narrow(&context, to));
            match from {
                SocketType::Router => {
                    sender.set_router_mandatory(true).unwrap();
                    receiver.set_routing_id("peer").unwrap();
                }
                SocketType::XPub => sender.set_xpub_nodrop(true).unwrap(),
                _ => {}
            }
            sender.bind("inproc://raised").unwrap();
            receiver.connect("inproc://raised").unwrap();
            if to == SocketType::XSub {
                receiver.send("\u{1}").unwrap();
                expect(&sender, "\u{1}");
            }
            let widen = |mark| {
                if raises_send {
                    sender.set_send_high_water_mark(mark).unwrap();
                } else {
                    receiver.set_receive_high_water_mark(mark).unwrap();
                }
            };
            goes_on(&sender, 2, widen, to_peer(from));
            (0..22).for_each(|n| assert_eq!(number_in(&receiver.recv().unwrap()), n, "{from}"));
            expect_nothing(&receiver);
        }
    }
}

#[test]
fn a_sender_that_waits_for_an_absent_peer_goes_on_when_the_mark_is_raised() {
    let from = [SocketType::Push, SocketType::Dealer, SocketType::Pair, SocketType::Router];
    for from in from {
        let context = context();
        for endpoint in vacancies(&context) {
            let sender = narrow(&context, from);
            if from == SocketType::Router {
                sender.set_router_mandatory(true).unwrap();
                sender.set_connect_routing_id("peer").unwrap();
            }
            sender.connect(&endpoint).unwrap();
            let widen = |mark| sender.set_send_high_water_mark(mark).unwrap();
            goes_on(&sender, 1, widen, to_peer(from));
        }
    }
}

#[test]
fn a_lowered_mark_holds_up_what_comes_and_loses_nothing_that_waits() {
    let context = context();
    for endpoint in vacancies(&context) {
        let sender = narrow(&context, SocketType::Push);
        sender.connect(&endpoint).unwrap();
        sender.set_send_high_water_mark(10).unwrap();
        assert_eq!(fill(&sender), 10);
        sender.set_send_high_water_mark(3).unwrap();
        assert_eq!(fill(&sender), 0);
        let receiver = bound(&context, SocketType::Pull, &endpoint).0;
        expect_numbers(&receiver, 0..10);
        drop(receiver);
        await_peers(&sender, 0);
        assert_eq!(fill(&sender), 3);
        // As if it had been so from the start.
        sender.set_send_high_water_mark(1).unwrap();
        sender.set_send_high_water_mark(4).unwrap();
        assert!(sender.try_send(number(3)).is_ok());
        assert!(matches!(refusal(sender.try_send("more")), Error::WouldBlock));
        let receiver = bound(&context, SocketType::Pull, &endpoint).0;
        expect_numbers(&receiver, 0..4);
        expect_nothing(&receiver);
    }
}

#[test]
fn lowered_marks_hold_up_what_comes_within_the_process() {
    for lowers_send in [false, true] {
        let context = context();
        let (from, to) =
            narrow_couple(&context, "inproc://lowered", SocketType::Push, SocketType::Pull);
        marks(&from, 10, 1);
        marks(&to, 1, 10);
        assert_eq!(fill(&from), 20);
        if lowers_send {
            from.set_send_high_water_mark(2).unwrap();
        } else {
            to.set_receive_high_water_mark(2).unwrap();
        }
        assert_eq!(fill(&from), 0);
        expect_numbers(&to, 0..20);
        expect_nothing(&to);
        assert_eq!(fill(&from), 12);
        expect_numbers(&to, 0..12);
    }
}

#[test]
fn a_connection_reads_on_when_the_receive_mark_is_raised() {
    for endpoint in STREAMS {
        let context = context();
        let (to, from) = narrow_couple(&context, endpoint, SocketType::Pull, SocketType::Push);
        from.set_send_high_water_mark(0).unwrap();
        to.set_receive_high_water_mark(5).unwrap();
        (0..50).for_each(|n| from.send(number(n)).unwrap());
        for mark in [5, 6, 20, 0] {
            to.set_receive_high_water_mark(mark).unwrap();
            let expected = if mark == 0 { 50 } else { mark };
            eventually("for as many as may wait", || queued(&to) >= expected);
            assert_eq!(queued(&to), expected);
        }
        // Nothing of it is lost, and what comes then waits outside.
        to.set_receive_high_water_mark(1).unwrap();
        (50..100).for_each(|n| from.send(number(n)).unwrap());
        expect_numbers(&to, 0..50);
        eventually("for as many as may wait", || queued(&to) >= 1);
        assert_eq!(queued(&to), 1);
        expect_numbers(&to, 50..100);
        expect_nothing(&to);
    }
}

#[test]
fn a_mark_may_become_none_and_one_again() {
    let many = scaled(20_000);
    for inproc in [false, true] {
        let context = context();
        let sender = narrow(&context, SocketType::Push);
        let endpoint = if inproc { "inproc://none".to_owned() } else { vacant(&context) };
        sender.connect(&endpoint).unwrap();
        assert_eq!(fill(&sender), 1);
        sender.set_send_high_water_mark(0).unwrap();
        (1..many).for_each(|n| sender.try_send(number(n)).unwrap());
        sender.set_send_high_water_mark(5).unwrap();
        assert_eq!(fill(&sender), 0);
        let receiver = narrow(&context, SocketType::Pull);
        receiver.bind(&endpoint).unwrap();
        expect_numbers(&receiver, 0..many);
        if inproc {
            assert_eq!(fill(&sender), 6);
            receiver.set_receive_high_water_mark(0).unwrap();
            (6..many).for_each(|n| sender.try_send(number(n)).unwrap());
            receiver.set_receive_high_water_mark(1).unwrap();
            assert_eq!(fill(&sender), 0);
            expect_numbers(&receiver, 0..many);
        }
    }
}

#[test]
fn publishers_drop_by_the_marks_there_are_now() {
    for (publisher, subscriber) in
        [(SocketType::Pub, SocketType::Sub), (SocketType::Radio, SocketType::Dish)]
    {
        let context = context();
        let publisher = narrow(&context, publisher);
        let subscriber = narrow(&context, subscriber);
        let radio = publisher.socket_type() == SocketType::Radio;
        if radio {
            subscriber.join("group").unwrap();
        } else {
            subscriber.subscribe("").unwrap();
        }
        publisher.bind("inproc://published").unwrap();
        subscriber.connect("inproc://published").unwrap();
        for (send, receive) in [(1, 1), (1, 5), (7, 5), (2, 5), (2, 1), (1, 1)] {
            publisher.set_send_high_water_mark(send).unwrap();
            subscriber.set_receive_high_water_mark(receive).unwrap();
            for n in 0..30 {
                let message = if radio { number(n).with_group("group") } else { number(n) };
                publisher.send(message).unwrap();
            }
            expect_numbers(&subscriber, 0..(send + receive) as u32);
            expect_nothing(&subscriber);
        }
    }
}

#[test]
fn a_router_drops_by_the_marks_there_are_now() {
    let context = context();
    let router = narrow(&context, SocketType::Router);
    router.bind("inproc://router").unwrap();
    let dealer = narrow(&context, SocketType::Dealer);
    dealer.set_routing_id("peer").unwrap();
    dealer.connect("inproc://router").unwrap();
    let message = to_peer(SocketType::Router);
    for (send, receive) in [(1, 1), (4, 1), (4, 9), (2, 2)] {
        router.set_send_high_water_mark(send).unwrap();
        dealer.set_receive_high_water_mark(receive).unwrap();
        (0..30).for_each(|n| router.send(message(n)).unwrap());
        expect_numbers(&dealer, 0..(send + receive) as u32);
        expect_nothing(&dealer);
    }
}

#[test]
fn connections_that_come_later_have_the_marks_there_are_now() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (to, endpoint) = bound(&context, SocketType::Pull, endpoint);
        to.set_receive_high_water_mark(4).unwrap();
        let from = connected(&context, SocketType::Push, &endpoint);
        from.set_send_high_water_mark(2).unwrap();
        await_peers(&from, 1);
        await_peers(&to, 1);
        if endpoint.starts_with("inproc") {
            assert_eq!(fill(&from), 6);
        } else {
            from.set_send_high_water_mark(0).unwrap();
            (0..20).for_each(|n| from.send(number(n)).unwrap());
            eventually("for as many as may wait", || queued(&to) >= 4);
            assert_eq!(queued(&to), 4);
        }
    }
}

#[test]
fn links_that_wait_for_somebody_to_bind_have_the_marks_there_are_then() {
    let context = context();
    let from = narrow(&context, SocketType::Push);
    from.connect("inproc://later").unwrap();
    from.set_send_high_water_mark(3).unwrap();
    assert_eq!(fill(&from), 3);
    let to = narrow(&context, SocketType::Pull);
    to.bind("inproc://later").unwrap();
    assert_eq!(fill(&from), 1);
}

#[test]
fn who_polls_is_told_of_room_that_a_raised_mark_makes() {
    for raises_send in [false, true] {
        let context = context();
        let (from, to) =
            narrow_couple(&context, "inproc://polled", SocketType::Push, SocketType::Pull);
        fill(&from);
        let poller = Poller::new();
        poller.add(&from, 0, Events::OUT).unwrap();
        let ready = |patience| poller.wait(&mut Vec::new(), Some(patience)).unwrap();
        assert_eq!(ready(Duration::ZERO), 0);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| ready(PATIENCE));
            if raises_send {
                from.set_send_high_water_mark(2).unwrap();
            } else {
                to.set_receive_high_water_mark(2).unwrap();
            }
            assert_eq!(waiting.join().unwrap(), 1);
        });
        from.set_send_high_water_mark(1).unwrap();
        assert_eq!(fill(&from), u32::from(!raises_send));
    }
}

/// Both ends change their marks all the time, and nobody waits for ever.
#[test]
fn messages_pass_while_marks_change() {
    let many = scaled(5000);
    for endpoint in TRANSPORTS {
        let context = context();
        let (to, from) = narrow_couple(&context, endpoint, SocketType::Pull, SocketType::Push);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| (0..many).for_each(|n| from.send(number(n)).unwrap()));
            for (socket, seed) in [(&from, 1), (&to, 2)] {
                let over = &over;
                scope.spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed);
                    while !over.load(Ordering::Relaxed) {
                        let mark = random.usize(0..50);
                        marks(socket, mark, mark);
                        thread::yield_now();
                    }
                });
            }
            expect_numbers(&to, 0..many);
            over.store(true, Ordering::Relaxed);
        });
        expect_nothing(&to);
    }
}
