//! Sockets shared by threads.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use serverlink::{Context, Error, Message, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, couple, expect_nothing, frames, number_in,
    scaled, socket,
};

const THREADS: u32 = 4;

/// A message of as many frames as its number says, all of which name the thread.
fn numbered(thread: u32, n: u32) -> Message {
    let mut message: Message = (0..1 + n % 5).map(|_| thread.to_be_bytes()).collect();
    message.push_back(n.to_be_bytes());
    message
}

/// What thread sent a message, and its number; a message of mixed origin is an error.
#[track_caller]
fn origin(message: &Message) -> (u32, u32) {
    let n = number_in(message);
    assert_eq!(message.len() as u32, 2 + n % 5, "{message:?}");
    assert!(message.iter().take(message.len() - 1).all(|frame| *frame == message[0]));
    (u32::from_be_bytes(message[0][..].try_into().unwrap()), n)
}

fn produce(socket: &Socket, thread: u32, count: u32) {
    (0..count).for_each(|n| socket.send(numbered(thread, n)).unwrap());
}

/// Checks that of each thread all numbers came, and in order if `ordered`.
#[track_caller]
fn check(mut seen: Vec<(u32, u32)>, count: u32, ordered: bool) {
    let mut next = HashMap::new();
    if !ordered {
        seen.sort_unstable();
    }
    for (thread, n) in seen {
        let expected = next.entry(thread).or_insert(0);
        assert_eq!(n, *expected, "of thread {thread}");
        *expected += 1;
    }
    assert_eq!(next.len(), THREADS as usize);
    assert!(next.values().all(|&end| end == count), "{next:?}");
}

/// Both transports, with one I/O thread and with four.
fn everywhere(test: impl Fn(&Context, &str)) {
    for io_threads in [1, 4] {
        for endpoint in TRANSPORTS {
            test(&Context::builder().io_threads(io_threads).build().unwrap(), endpoint);
        }
    }
}

#[test]
fn producers_share_a_push() {
    everywhere(|context, endpoint| {
        let (pull, push) = couple(context, endpoint, SocketType::Pull, SocketType::Push);
        let count = scaled(2000);
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let push = &push;
                scope.spawn(move || produce(push, thread, count));
            }
            let seen = (0..THREADS * count).map(|_| origin(&pull.recv().unwrap())).collect();
            check(seen, count, true);
        });
        expect_nothing(&pull);
    });
}

#[test]
fn consumers_share_a_pull() {
    everywhere(|context, endpoint| {
        let (pull, endpoint) = bound(context, SocketType::Pull, endpoint);
        let count = scaled(2000);
        let left = AtomicU32::new(THREADS * count);
        let seen = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let endpoint = &endpoint;
                scope.spawn(move || {
                    let push = socket(context, SocketType::Push);
                    push.set_linger(None).unwrap();
                    push.connect(endpoint).unwrap();
                    produce(&push, thread, count);
                });
                scope.spawn(|| {
                    while left
                        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                            left.checked_sub(1)
                        })
                        .is_ok()
                    {
                        let message = pull.recv().unwrap();
                        seen.lock().unwrap().push(origin(&message));
                    }
                });
            }
        });
        check(seen.into_inner().unwrap(), count, false);
        expect_nothing(&pull);
    });
}

#[test]
fn threads_share_a_dealer_and_a_router() {
    everywhere(|context, endpoint| {
        let (router, dealer) = couple(context, endpoint, SocketType::Router, SocketType::Dealer);
        let count = scaled(500);
        let seen = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (router, dealer, seen) = (&router, &dealer, &seen);
                // Every server answers what it gets; every client sends and receives, although not
                // the answers to what it sent itself.
                scope.spawn(move || {
                    for _ in 0..count {
                        router.send(router.recv().unwrap()).unwrap();
                    }
                });
                scope.spawn(move || {
                    for n in 0..count {
                        dealer.send(numbered(thread, n)).unwrap();
                        let answer = dealer.recv().unwrap();
                        seen.lock().unwrap().push(origin(&answer));
                    }
                });
            }
        });
        check(seen.into_inner().unwrap(), count, false);
    });
}

#[test]
fn threads_share_a_publisher_and_a_subscriber() {
    everywhere(|context, endpoint| {
        let publisher = socket(context, SocketType::XPub);
        publisher.set_xpub_nodrop(true).unwrap();
        let endpoint = publisher.bind(endpoint).unwrap();
        let sub = connected(context, SocketType::Sub, &endpoint);
        sub.subscribe("").unwrap();
        publisher.recv().unwrap();
        let count = scaled(1000);
        let seen = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (publisher, sub, seen) = (&publisher, &sub, &seen);
                scope.spawn(move || produce(publisher, thread, count));
                scope.spawn(move || {
                    for _ in 0..count {
                        let message = sub.recv().unwrap();
                        seen.lock().unwrap().push(origin(&message));
                    }
                });
            }
        });
        check(seen.into_inner().unwrap(), count, false);
    });
}

#[test]
fn one_thread_sends_while_another_receives() {
    everywhere(|context, endpoint| {
        let (one, other) = couple(context, endpoint, SocketType::Pair, SocketType::Pair);
        let count = scaled(3000);
        thread::scope(|scope| {
            for (from, to) in [(&one, &other), (&other, &one)] {
                scope.spawn(move || produce(from, 0, count));
                scope.spawn(move || {
                    (0..count).for_each(|n| assert_eq!(origin(&to.recv().unwrap()), (0, n)));
                });
            }
        });
    });
}

#[test]
fn peers_come_and_go_while_messages_flow() {
    everywhere(|context, endpoint| {
        let (pull, endpoint) = bound(context, SocketType::Pull, endpoint);
        let count = scaled(2000);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            // Short-lived senders, each of which delivers what it has.
            let visitors: Vec<_> = (0..2)
                .map(|_| {
                    let (done, endpoint) = (&done, &endpoint);
                    scope.spawn(move || {
                        let mut visits = 0;
                        while !done.load(Ordering::Relaxed) {
                            let push = socket(context, SocketType::Push);
                            push.set_linger(None).unwrap();
                            push.connect(endpoint).unwrap();
                            push.send("visitor").unwrap();
                            await_peers(&push, 1);
                            visits += 1;
                        }
                        visits
                    })
                })
                .collect();
            // Other endpoints of the same socket come and go, too.
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let extra = pull.bind("tcp://127.0.0.1:*").unwrap();
                    pull.unbind(&extra).unwrap();
                }
            });
            for thread in 0..THREADS {
                let endpoint = &endpoint;
                scope.spawn(move || {
                    let push = socket(context, SocketType::Push);
                    push.set_linger(None).unwrap();
                    push.connect(endpoint).unwrap();
                    produce(&push, thread, count);
                });
            }
            let (mut seen, mut visits) = (Vec::new(), 0);
            while seen.len() < (THREADS * count) as usize {
                let message = pull.recv().unwrap();
                if message[0] == "visitor" {
                    visits += 1;
                } else {
                    seen.push(origin(&message));
                }
            }
            done.store(true, Ordering::Relaxed);
            check(seen, count, true);
            let expected: u32 = visitors.into_iter().map(|visitor| visitor.join().unwrap()).sum();
            while visits < expected {
                assert_eq!(pull.recv().unwrap(), "visitor".into());
                visits += 1;
            }
            expect_nothing(&pull);
        });
    });
}

#[test]
fn subscriptions_change_while_messages_flow() {
    everywhere(|context, endpoint| {
        let (xpub, sub) = couple(context, endpoint, SocketType::XPub, SocketType::Sub);
        sub.subscribe("always").unwrap();
        xpub.recv().unwrap();
        xpub.set_xpub_nodrop(true).unwrap();
        let count = scaled(2000);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    sub.subscribe("sometimes").unwrap();
                    sub.unsubscribe("sometimes").unwrap();
                }
            });
            scope.spawn(|| {
                for n in 0..count {
                    xpub.send(frames(["sometimes", "noise"])).unwrap();
                    let mut message = Message::from("always");
                    message.push_back(n.to_be_bytes());
                    xpub.send(message).unwrap();
                }
            });
            let mut next = 0;
            while next < count {
                let message = sub.recv().unwrap();
                if message[0] == "always" {
                    assert_eq!(number_in(&message), next);
                    next += 1;
                }
            }
            done.store(true, Ordering::Relaxed);
        });
    });
}

#[test]
fn options_may_change_while_messages_flow() {
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", SocketType::Pull, SocketType::Push);
    let count = scaled(5000);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for socket in [&push, &pull] {
                    socket.set_send_high_water_mark(1).unwrap();
                    socket.set_receive_timeout(Some(crate::harness::PATIENCE)).unwrap();
                    socket.set_linger(Some(Duration::ZERO)).unwrap();
                    let _ = (socket.peer_count(), socket.last_endpoint(), format!("{socket:?}"));
                }
            }
        });
        scope.spawn(|| produce(&push, 0, count));
        (0..count).for_each(|n| assert_eq!(origin(&pull.recv().unwrap()), (0, n)));
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_request_in_lockstep_is_nobody_elses() {
    // Threads that share a REQ are told when it is not their turn, and nothing is mixed up.
    let context = context();
    let (rep, req) = couple(&context, "inproc://lockstep", SocketType::Rep, SocketType::Req);
    let rounds = scaled(200);
    let asked = AtomicU32::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            loop {
                let request = rep.recv().unwrap();
                if request == "end".into() {
                    break;
                }
                rep.send(request).unwrap();
            }
        });
        let clients = [0, 1, 2, 3].map(|thread| {
            let (req, asked) = (&req, &asked);
            scope.spawn(move || {
                while asked.load(Ordering::Relaxed) < rounds {
                    match req.try_send(numbered(thread, 0)) {
                        Ok(()) => {
                            asked.fetch_add(1, Ordering::Relaxed);
                            assert_eq!(origin(&req.recv().unwrap()), (thread, 0));
                        }
                        Err(refused) => {
                            assert!(matches!(refused.error, Error::InvalidState(_)));
                            thread::yield_now();
                        }
                    }
                }
            })
        });
        clients.into_iter().for_each(|client| client.join().unwrap());
        req.send("end").unwrap();
    });
}
