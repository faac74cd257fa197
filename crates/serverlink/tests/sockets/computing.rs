//! Applications that do something else: meanwhile their sockets go on by themselves.

use std::{
    hint,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use serverlink::{Context, Message, Socket, SocketType};

use crate::harness::{
    PATIENCE, await_peers, bind_again, context, errno, expect, expect_numbers, number, scaled,
    socket,
};

const INTERVAL: Duration = Duration::from_millis(20);
/// Long enough for a busy machine.
const TIMEOUT: Duration = Duration::from_millis(400);
/// For how long the application is busy.
const COMPUTING: Duration = TIMEOUT.saturating_mul(3);
/// How often peers talk before, so that the thread that waits is the one that drives.
const ROUNDS: u32 = 100;

/// A server and a client, in a context each, who have talked, and the last answer: the calling thread
/// waited for it and drove the client's connection meanwhile.
fn acquainted(server: &Context, client: &Context) -> (Socket, Socket, Message) {
    let router = socket(server, SocketType::Router);
    router.set_router_mandatory(true).unwrap();
    let dealer = socket(client, SocketType::Dealer);
    for socket in [&router, &dealer] {
        socket.set_heartbeat_interval(Some(INTERVAL)).unwrap();
        socket.set_heartbeat_timeout(Some(TIMEOUT)).unwrap();
        socket.set_heartbeat_ttl(TIMEOUT).unwrap();
    }
    dealer.connect(&router.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let answer = thread::scope(|scope| {
        let answering = scope.spawn(|| {
            let answer = || {
                let message = router.recv().unwrap();
                router.send(message.clone()).unwrap();
                message
            };
            (1..ROUNDS).for_each(|_| drop(answer()));
            answer()
        });
        for _ in 0..ROUNDS {
            dealer.send("work?").unwrap();
            expect(&dealer, "work?");
        }
        answering.join().unwrap()
    });
    (router, dealer, answer)
}

/// Keeps a processor busy until `done`.
fn compute(mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < 2 * PATIENCE, "in vain computed");
        hint::spin_loop();
    }
}

#[test]
fn heartbeats_are_answered_while_the_application_computes_or_sleeps() {
    let computes = |start: Instant| compute(|| start.elapsed() >= COMPUTING);
    let sleeps = |start: Instant| {
        while let Some(left) = COMPUTING.checked_sub(start.elapsed()) {
            thread::park_timeout(left);
        }
    };
    for spend in [&computes as &dyn Fn(Instant), &sleeps] {
        let contexts = [context(), context()];
        let (router, dealer, answer) = acquainted(&contexts[0], &contexts[1]);
        thread::scope(|scope| {
            // It waits, and so looks after the heartbeats itself.
            let server = scope.spawn(|| errno(router.recv_timeout(COMPUTING)));
            spend(Instant::now());
            assert_eq!(server.join().unwrap(), "EAGAIN");
        });
        // On a new connection the dealer would have another name.
        router.send(answer).expect("the connection has lived on");
        expect(&dealer, "work?");
    }
}

#[test]
fn a_lost_connection_comes_back_while_the_application_computes() {
    let contexts = [context(), context()];
    let (router, dealer, _) = acquainted(&contexts[0], &contexts[1]);
    let endpoint = router.last_endpoint().unwrap();
    let back = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            dealer.send("last").unwrap();
            expect(&dealer, "last");
            compute(|| back.load(Ordering::Relaxed));
        });
        router.send(router.recv().unwrap()).unwrap();
        router.set_linger(Some(PATIENCE)).unwrap();
        router.close();
        let router = socket(&contexts[0], SocketType::Router);
        bind_again(&router, &endpoint);
        await_peers(&router, 1);
        back.store(true, Ordering::Relaxed);
    });
}

#[test]
fn messages_are_taken_and_sent_while_the_application_computes() {
    // As many as the high-water mark of one side, which nobody reads meanwhile.
    let contexts = [context(), context()];
    let receiver = socket(&contexts[0], SocketType::Dealer);
    let count = scaled(1000);
    receiver.set_receive_high_water_mark(count as usize).unwrap();
    receiver.set_receive_buffer(Some(64 * 1024)).unwrap();
    let sender = socket(&contexts[1], SocketType::Dealer);
    sender.set_send_buffer(Some(64 * 1024)).unwrap();
    sender.set_send_high_water_mark(1).unwrap();
    sender.connect(&receiver.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let all_sent = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..ROUNDS {
                expect(&receiver, "go");
                receiver.send("going").unwrap();
            }
            compute(|| all_sent.load(Ordering::Relaxed));
            expect_numbers(&receiver, 0..count);
        });
        for _ in 0..ROUNDS {
            sender.send("go").unwrap();
            expect(&sender, "going");
        }
        // More than the system keeps: the receiving side takes them off its hands.
        for n in 0..count {
            let mut message = number(n);
            message.push_front(vec![0; 20_000]);
            sender.send(message).unwrap();
        }
        all_sent.store(true, Ordering::Relaxed);
    });
}
