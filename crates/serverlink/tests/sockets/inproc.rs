//! Links within a context: names, and who comes first.

use std::{sync::Barrier, thread};

use serverlink::SocketType;

use crate::harness::{
    await_peers, bound, connected, context, errno, expect, expect_nothing, expect_numbers, number,
    scaled, socket,
};

#[test]
fn a_name_belongs_to_one_socket_of_a_context() {
    let (one, other) = (context(), context());
    let (pull, endpoint) = bound(&one, SocketType::Pull, "inproc://name");
    assert_eq!(endpoint, "inproc://name");
    let late = socket(&one, SocketType::Pull);
    assert_eq!(errno(late.bind("inproc://name")), "EADDRINUSE");
    assert_eq!(errno(pull.bind("inproc://name")), "EADDRINUSE");
    // Another context has names of its own.
    let (elsewhere, _) = bound(&other, SocketType::Pull, "inproc://name");
    connected(&one, SocketType::Push, "inproc://name").send("one").unwrap();
    connected(&other, SocketType::Push, "inproc://name").send("other").unwrap();
    expect(&pull, "one");
    expect(&elsewhere, "other");
    // A name is free when its owner closes or unbinds.
    drop(pull);
    late.bind("inproc://name").unwrap();
    late.unbind("inproc://name").unwrap();
    let (third, _) = bound(&one, SocketType::Pull, "inproc://name");
    connected(&one, SocketType::Push, "inproc://name").send("third").unwrap();
    expect(&third, "third");
}

#[test]
fn several_may_wait_for_a_name() {
    let context = context();
    let waiting: Vec<_> = (0..5)
        .map(|n| {
            let push = connected(&context, SocketType::Push, "inproc://later");
            (0..10).for_each(|m| push.send(number(10 * n + m)).unwrap());
            assert_eq!(push.peer_count(), 0);
            push
        })
        .collect();
    // One of another type, and one that gives up, are not in the way.
    let stranger = connected(&context, SocketType::Rep, "inproc://later");
    let gives_up = connected(&context, SocketType::Push, "inproc://later");
    gives_up.send("given up").unwrap();
    gives_up.disconnect("inproc://later").unwrap();
    drop(connected(&context, SocketType::Push, "inproc://later"));
    let (pull, _) = bound(&context, SocketType::Pull, "inproc://later");
    assert_eq!((pull.peer_count(), stranger.peer_count()), (5, 0));
    let mut seen: Vec<_> =
        (0..50).map(|_| crate::harness::number_in(&pull.recv().unwrap())).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
    expect_nothing(&pull);
    waiting.iter().for_each(|push| assert_eq!(push.peer_count(), 1));
}

#[test]
fn types_that_cannot_talk_are_refused() {
    let context = context();
    let (rep, _) = bound(&context, SocketType::Rep, "inproc://rep");
    let push = socket(&context, SocketType::Push);
    assert_eq!(errno(push.connect("inproc://rep")), "EINVAL");
    assert_eq!((push.last_endpoint(), push.peer_count(), rep.peer_count()), (None, 0, 0));
    assert_eq!(errno(push.try_send("x")), "EAGAIN");
    assert_eq!(errno(push.disconnect("inproc://rep")), "ENOENT");
    // It is none the worse for it.
    let (pull, endpoint) = bound(&context, SocketType::Pull, "inproc://pull");
    push.connect(&endpoint).unwrap();
    push.send("x").unwrap();
    expect(&pull, "x");
}

#[test]
fn a_socket_may_connect_to_itself_and_many_times_to_another() {
    let context = context();
    let (dealer, endpoint) = bound(&context, SocketType::Dealer, "inproc://self");
    dealer.connect(&endpoint).unwrap();
    dealer.send("to myself").unwrap();
    expect(&dealer, "to myself");
    let (pull, endpoint) = bound(&context, SocketType::Pull, "inproc://other");
    let push = socket(&context, SocketType::Push);
    (0..3).for_each(|_| push.connect(&endpoint).unwrap());
    assert_eq!((push.peer_count(), pull.peer_count()), (3, 3));
    // Each disconnect ends one of them.
    for left in [2, 1, 0] {
        push.disconnect(&endpoint).unwrap();
        assert_eq!((push.peer_count(), pull.peer_count()), (left, left));
    }
    assert_eq!(errno(push.disconnect(&endpoint)), "ENOENT");
}

#[test]
fn what_was_sent_is_read_after_the_sender_left() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "inproc://left");
    let push = connected(&context, SocketType::Push, &endpoint);
    (0..900).for_each(|n| push.send(number(n)).unwrap());
    drop(push);
    assert_eq!(pull.peer_count(), 0);
    expect_numbers(&pull, 0..900);
    expect_nothing(&pull);
}

#[test]
fn binding_and_connecting_at_the_same_moment_always_meet() {
    let context = context();
    for round in 0..scaled(1000) {
        let endpoint = format!("inproc://race {round}");
        let barrier = Barrier::new(2);
        let (pull, push) = (socket(&context, SocketType::Pull), socket(&context, SocketType::Push));
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                push.connect(&endpoint).unwrap();
            });
            barrier.wait();
            pull.bind(&endpoint).unwrap();
        });
        assert_eq!((pull.peer_count(), push.peer_count()), (1, 1), "round {round}");
        push.send(number(round)).unwrap();
        expect_numbers(&pull, [round]);
    }
}

#[test]
fn closing_and_connecting_at_the_same_moment_do_no_harm() {
    let context = context();
    for round in 0..scaled(500) {
        let endpoint = format!("inproc://race {round}");
        let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
        let push = socket(&context, SocketType::Push);
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                barrier.wait();
                drop(pull);
            });
            barrier.wait();
            push.connect(&endpoint).unwrap();
        });
        // Either it waits for the next owner of the name, or it met the last one.
        let (next, _) = bound(&context, SocketType::Pull, &endpoint);
        push.connect(&endpoint).unwrap();
        push.send(number(round)).unwrap();
        expect_numbers(&next, [round]);
    }
}

#[test]
fn unbinding_keeps_the_links_there_are() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "inproc://unbound");
    let push = connected(&context, SocketType::Push, &endpoint);
    pull.unbind(&endpoint).unwrap();
    await_peers(&pull, 1);
    push.send("still").unwrap();
    expect(&pull, "still");
}
