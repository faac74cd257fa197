//! Descriptors that show other event loops what a socket is ready for.

use std::{thread, time::Duration};

use serverlink::{
    EventDescriptor, Events, PollItem, Poller, Socket,
    SocketType::{self, *},
    poll,
};

use crate::harness::{
    PATIENCE, TRANSPORTS, bound, context, couple, errno, eventually, expect, fill, number, scaled,
    socket,
};

/// Whether the system says that it is readable.
fn is_readable(descriptor: &EventDescriptor) -> bool {
    let mut items = [PollItem::descriptor(descriptor, Events::IN)];
    poll(&mut items, Some(Duration::ZERO)).unwrap() == 1
}

/// Waits in the system until it is readable.
fn await_readable(descriptor: &EventDescriptor) {
    let mut items = [PollItem::descriptor(descriptor, Events::IN)];
    assert_eq!(poll(&mut items, Some(PATIENCE)).unwrap(), 1);
    assert_eq!(items[0].ready(), Events::IN);
}

/// Where the system takes a moment for it, it may be readable a moment longer.
fn expect_unreadable(descriptor: &EventDescriptor, socket: &Socket) {
    if cfg!(windows) {
        eventually("for the descriptor to be reset", || {
            socket.set_receive_timeout(None).unwrap();
            !is_readable(descriptor)
        });
    }
    assert!(!is_readable(descriptor));
}

#[test]
fn it_is_readable_as_long_as_there_is_a_message() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (pull, push) = couple(&context, endpoint, Pull, Push);
        let descriptor = pull.receive_descriptor().unwrap();
        expect_unreadable(&descriptor, &pull);
        for _ in 0..3 {
            push.send("one").unwrap();
            push.send("two").unwrap();
            for _ in 0..3 {
                await_readable(&descriptor);
            }
            expect(&pull, "one");
            await_readable(&descriptor);
            expect(&pull, "two");
            expect_unreadable(&descriptor, &pull);
            assert_eq!(errno(pull.try_recv()), "EAGAIN");
            expect_unreadable(&descriptor, &pull);
        }
        // One made now shows what is there.
        push.send("three").unwrap();
        await_readable(&descriptor);
        drop(descriptor);
        let descriptor = pull.receive_descriptor().unwrap();
        await_readable(&descriptor);
        let same = pull.receive_descriptor().unwrap();
        drop(descriptor);
        expect(&pull, "three");
        expect_unreadable(&same, &pull);
    }
}

#[test]
fn another_one_shows_whether_a_message_can_be_sent() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (pull, endpoint) = bound(&context, Pull, endpoint);
        let push = socket(&context, Push);
        for socket in [&pull, &push] {
            socket.set_send_high_water_mark(10).unwrap();
            socket.set_receive_high_water_mark(10).unwrap();
        }
        pull.set_receive_buffer(Some(4096)).unwrap();
        push.set_send_buffer(Some(4096)).unwrap();
        let (receive, send) = (push.receive_descriptor().unwrap(), push.send_descriptor().unwrap());
        expect_unreadable(&send, &push);
        push.connect(&endpoint).unwrap();
        await_readable(&send);
        let mut sent = 0;
        let mut items = [PollItem::descriptor(&send, Events::IN)];
        // What is under way makes room for a while.
        while poll(&mut items, Some(Duration::from_millis(20))).unwrap() > 0 {
            sent += fill(&push);
        }
        eventually("for the messages", || {
            while pull.try_recv().is_ok() {
                sent -= 1;
            }
            sent == 0
        });
        await_readable(&send);
        expect_unreadable(&receive, &push);
    }
}

#[test]
fn it_goes_with_the_turns_of_a_conversation() {
    let context = context();
    let (rep, req) = couple(&context, "tcp://127.0.0.1:*", Rep, Req);
    let descriptors =
        |socket: &Socket| (socket.receive_descriptor().unwrap(), socket.send_descriptor().unwrap());
    let ((ask_in, ask_out), (serve_in, serve_out)) = (descriptors(&req), descriptors(&rep));
    for _ in 0..3 {
        await_readable(&ask_out);
        expect_unreadable(&serve_out, &rep);
        req.send("question").unwrap();
        expect_unreadable(&ask_out, &req);
        await_readable(&serve_in);
        expect(&rep, "question");
        expect_unreadable(&serve_in, &rep);
        await_readable(&serve_out);
        rep.send("answer").unwrap();
        await_readable(&ask_in);
        expect(&req, "answer");
        expect_unreadable(&ask_in, &req);
    }
}

#[test]
fn options_may_change_it() {
    let context = context();
    let router = socket(&context, Router);
    let descriptor = router.send_descriptor().unwrap();
    await_readable(&descriptor);
    router.set_router_mandatory(true).unwrap();
    expect_unreadable(&descriptor, &router);
    router.set_router_mandatory(false).unwrap();
    await_readable(&descriptor);
    let poller = Poller::new();
    router.set_router_mandatory(true).unwrap();
    poller.add(&router, 0, Events::OUT).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| router.set_router_mandatory(false).unwrap());
        assert_eq!(poller.wait(&mut Vec::new(), Some(PATIENCE)).unwrap(), 1);
    });
}

#[test]
fn a_socket_that_ended_is_readable_for_good() {
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", Pull, Push);
    let closed = pull.receive_descriptor().unwrap();
    let terminated = [push.receive_descriptor().unwrap(), push.send_descriptor().unwrap()];
    expect_unreadable(&closed, &pull);
    assert_eq!(errno(context.terminate_timeout(Duration::ZERO)), "EBUSY");
    terminated.iter().for_each(await_readable);
    await_readable(&closed);
    pull.close();
    // What happens to its peers does not change it.
    eventually("for the peer to go", || push.peer_count() == 0);
    assert_eq!(errno(push.try_send("x")), "ETERM");
    terminated.iter().for_each(await_readable);
    assert_eq!(errno(push.receive_descriptor()), "ETERM");
    drop(push);
    terminated.iter().for_each(await_readable);
    await_readable(&closed);
}

/// A loop of another library, so to say: it knows nothing but the descriptor.
#[test]
fn a_loop_that_waits_for_it_alone_gets_everything() {
    let count = scaled(3000);
    let pairs: [(SocketType, SocketType); 3] = [(Pull, Push), (Pair, Pair), (Dealer, Dealer)];
    let context = context();
    for endpoint in TRANSPORTS {
        for (receives, sends) in pairs {
            let (receiver, sender) = couple(&context, endpoint, receives, sends);
            thread::scope(|scope| {
                scope.spawn(|| (0..count).for_each(|n| sender.send(number(n)).unwrap()));
                let descriptor = receiver.receive_descriptor().unwrap();
                let mut received = 0;
                while received < count {
                    await_readable(&descriptor);
                    // Once in a while everything, and else one message.
                    while let Ok(message) = receiver.try_recv() {
                        assert_eq!(message, number(received));
                        received += 1;
                        if received % 7 != 0 {
                            break;
                        }
                    }
                }
            });
        }
    }
}
