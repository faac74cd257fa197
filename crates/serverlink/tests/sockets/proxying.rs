//! Proxies: everything passes, as a whole, and nothing is taken that cannot be passed on.

use std::{sync::Arc, thread, time::Duration};

use serverlink::{
    Context, Message, Proxy, ProxyHandle, ProxyStatistics, Socket,
    SocketType::{self, *},
    proxy, proxy_steerable,
};

use crate::harness::{
    PATIENCE, TRANSPORTS, await_peers, bound, connected, context, couple, errno, eventually,
    expect, expect_nothing, expect_numbers, frames, number, number_in, scaled, socket,
};

/// A proxy between two sockets of these types, and where to connect to them.
fn start(
    context: &Context,
    endpoint: &str,
    types: [SocketType; 2],
) -> (ProxyHandle, String, String) {
    // Inproc names are not given out.
    let [one, other] = ["front", "back"].map(|side| match endpoint {
        "inproc://endpoint" => format!("inproc://{side}"),
        other => other.to_owned(),
    });
    let (frontend, near) = bound(context, types[0], &one);
    let (backend, far) = bound(context, types[1], &other);
    (Proxy::builder(frontend, backend).start().unwrap(), near, far)
}

/// Several clients and workers at once, each with requests of their own.
#[test]
fn requests_and_replies_pass() {
    const CLIENTS: u32 = 4;
    let count = scaled(300);
    let context = context();
    for endpoint in TRANSPORTS {
        let (proxy, near, far) = start(&context, endpoint, [Router, Dealer]);
        let workers: Vec<_> = (0..2).map(|_| connected(&context, Rep, &far)).collect();
        thread::scope(|scope| {
            for worker in &workers {
                scope.spawn(move || {
                    loop {
                        let request = worker.recv().unwrap();
                        worker.send(request.clone()).unwrap();
                        if request[0] == "stop" {
                            return;
                        }
                    }
                });
            }
            let clients: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let near = near.clone();
                    let context = &context;
                    scope.spawn(move || {
                        let req = connected(context, Req, &near);
                        for n in 0..count {
                            let request = frames([&format!("{client}"), "", &format!("{n}")]);
                            req.send(request.clone()).unwrap();
                            assert_eq!(req.recv().unwrap(), request);
                        }
                    })
                })
                .collect();
            clients.into_iter().for_each(|client| client.join().unwrap());
            // One each: the backend deals out in turn.
            let req = connected(&context, Req, &near);
            for _ in &workers {
                req.send("stop").unwrap();
                expect(&req, "stop");
            }
        });
        let statistics = proxy.statistics();
        let requests = u64::from(CLIENTS * count);
        // A routing id, the delimiter, and three frames; of the last, only one.
        let frames = requests * 5 + 2 * 3;
        assert_eq!(statistics.frontend.frames_received, frames);
        assert_eq!(statistics.backend.frames_sent, frames);
        assert_eq!(statistics.backend.frames_received, frames);
        assert_eq!(statistics.frontend.frames_sent, frames);
        assert_eq!(statistics.frontend.bytes_received, statistics.backend.bytes_sent);
        assert_eq!(statistics.dropped, 0);
        proxy.terminate().unwrap();
    }
}

#[test]
fn subscriptions_and_messages_pass() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (proxy, near, far) = start(&context, endpoint, [XSub, XPub]);
        let publisher = connected(&context, XPub, &near);
        let subscribers: Vec<_> = (0..3).map(|_| connected(&context, Sub, &far)).collect();
        for subscriber in &subscribers {
            subscriber.subscribe("both").unwrap();
        }
        subscribers[0].subscribe("one").unwrap();
        let mut told = [publisher.recv().unwrap(), publisher.recv().unwrap()];
        told.sort_by_key(|message| message[0].to_vec());
        assert_eq!(told, [Message::from("\u{1}both"), Message::from("\u{1}one")]);
        // The subscriptions of the others may be on their way to the proxy.
        eventually("for all to get it", || {
            publisher.send(frames(["both", "probe"])).unwrap();
            subscribers.iter().all(|one| one.recv_timeout(Duration::from_millis(50)).is_ok())
        });
        publisher.send(frames(["one", "", "x"])).unwrap();
        publisher.send("neither").unwrap();
        publisher.send("both last").unwrap();
        for (n, subscriber) in subscribers.iter().enumerate() {
            let mut message = subscriber.recv().unwrap();
            while message == frames(["both", "probe"]) {
                message = subscriber.recv().unwrap();
            }
            if n == 0 {
                assert_eq!(message, frames(["one", "", "x"]));
                message = subscriber.recv().unwrap();
            }
            assert_eq!(message, Message::from("both last"));
        }
        subscribers[0].unsubscribe("one").unwrap();
        expect(&publisher, "\u{0}one");
        proxy.terminate().unwrap();
    }
}

#[test]
fn a_pipeline_is_held_up_by_its_end() {
    let context = context();
    for endpoint in TRANSPORTS {
        let sockets = [Pull, Push].map(|socket_type| {
            let socket = socket(&context, socket_type);
            socket.set_send_high_water_mark(5).unwrap();
            socket.set_receive_high_water_mark(5).unwrap();
            socket.set_send_buffer(Some(4096)).unwrap();
            socket.set_receive_buffer(Some(4096)).unwrap();
            socket
        });
        let [pull, push] = sockets;
        let near = pull.bind(&endpoint.replace("endpoint", "near")).unwrap();
        let far = push.bind(&endpoint.replace("endpoint", "far")).unwrap();
        let proxy = Proxy::builder(pull, push).start().unwrap();
        let sender = socket(&context, Push);
        sender.set_send_high_water_mark(5).unwrap();
        sender.set_send_buffer(Some(4096)).unwrap();
        sender.connect(&near).unwrap();
        let mut sent = 0;
        // With nobody at the end, nothing is taken, and soon there is no more room.
        while sender.send_timeout(number(sent), Duration::from_millis(50)).is_ok() {
            sent += 1;
        }
        assert_eq!(proxy.statistics(), ProxyStatistics::default(), "nobody can take any");
        let receiver = connected(&context, Pull, &far);
        expect_numbers(&receiver, 0..sent);
        for n in 0..20 {
            sender.send(number(n)).unwrap();
        }
        expect_numbers(&receiver, 0..20);
        proxy.terminate().unwrap();
    }
}

/// One way is flooded; the other is not forgotten.
#[test]
fn both_ways_take_turns() {
    let context = context();
    let (proxy, near, far) = start(&context, "tcp://127.0.0.1:*", [Dealer, Dealer]);
    let (one, other) = (connected(&context, Dealer, &near), connected(&context, Dealer, &far));
    let flood = scaled(30_000);
    thread::scope(|scope| {
        scope.spawn(|| (0..flood).for_each(|n| one.send(number(n)).unwrap()));
        scope.spawn(|| expect_numbers(&other, 0..flood));
        for n in 0..100 {
            other.send(number(n)).unwrap();
            expect_numbers(&one, [n]);
        }
    });
    proxy.terminate().unwrap();
}

#[test]
fn what_passes_is_captured() {
    let context = context();
    let (frontend, near) = bound(&context, Router, "tcp://127.0.0.1:*");
    let (backend, far) = bound(&context, Dealer, "tcp://127.0.0.1:*");
    let (capture, ear) = couple(&context, "inproc://capture", Push, Pull);
    let proxy = Proxy::builder(frontend, backend).capture(capture).start().unwrap();
    let (req, rep) = (connected(&context, Req, &near), connected(&context, Rep, &far));
    for _ in 0..3 {
        req.send(frames(["a", "question"])).unwrap();
        expect(&rep, frames(["a", "question"]));
        rep.send("answer").unwrap();
        expect(&req, "answer");
        let (question, answer) = (ear.recv().unwrap(), ear.recv().unwrap());
        assert_eq!(question.len(), 4, "routing id, delimiter, two frames");
        assert_eq!((&question[2], &question[3]), (&"a".into(), &"question".into()));
        assert_eq!((answer.len(), &answer[2]), (3, &"answer".into()));
        assert_eq!(answer[0], question[0]);
    }
    proxy.terminate().unwrap();
}

#[test]
fn a_capture_that_takes_nothing_holds_everything_up() {
    let context = context();
    let (frontend, near) = bound(&context, Pull, "inproc://held up");
    let (backend, far) = bound(&context, Push, "inproc://held up too");
    let (capture, heard_at) = bound(&context, Push, "inproc://deaf");
    let proxy = Proxy::builder(frontend, backend).capture(capture).start().unwrap();
    let (push, pull) = (connected(&context, Push, &near), connected(&context, Pull, &far));
    (0..10).for_each(|n| push.send(number(n)).unwrap());
    assert_eq!(errno(pull.recv_timeout(Duration::from_millis(50))), "EAGAIN");
    let ear = connected(&context, Pull, &heard_at);
    expect_numbers(&pull, 0..10);
    expect_numbers(&ear, 0..10);
    proxy.terminate().unwrap();
}

#[test]
fn one_socket_may_be_both() {
    let context = context();
    let (echo, endpoint) = bound(&context, Router, "tcp://127.0.0.1:*");
    let echo = Arc::new(echo);
    let proxy = Proxy::builder(echo.clone(), echo).start().unwrap();
    let req = connected(&context, Req, &endpoint);
    for n in 0..10 {
        req.send(number(n)).unwrap();
        expect_numbers(&req, [n]);
    }
    assert_eq!(proxy.statistics().frontend.frames_received, 30);
    proxy.terminate().unwrap();
}

/// What a ROUTER refuses does not end the proxy.
#[test]
fn malformed_messages_are_dropped() {
    let context = context();
    let (proxy, near, far) = start(&context, "tcp://127.0.0.1:*", [Pull, Router]);
    let push = connected(&context, Push, &near);
    let dealer = socket(&context, Dealer);
    dealer.set_routing_id("peer").unwrap();
    dealer.connect(&far).unwrap();
    push.send("no address").unwrap();
    eventually("for the peer to be known", || {
        push.send(frames(["peer", "x"])).unwrap();
        dealer.recv_timeout(Duration::from_millis(50)).is_ok()
    });
    assert_eq!(proxy.statistics().dropped, 1);
    assert!(!proxy.is_over());
    proxy.terminate().unwrap();
}

#[test]
fn it_can_be_paused() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (proxy, near, far) = start(&context, endpoint, [Pull, Push]);
        let (push, pull) = (connected(&context, Push, &near), connected(&context, Pull, &far));
        push.send(number(0)).unwrap();
        expect_numbers(&pull, [0]);
        for _ in 0..3 {
            proxy.pause();
            let before = proxy.statistics();
            (0..10).for_each(|n| push.send(number(n)).unwrap());
            assert_eq!(errno(pull.recv_timeout(Duration::from_millis(20))), "EAGAIN");
            assert_eq!(proxy.statistics(), before);
            proxy.resume();
            expect_numbers(&pull, 0..10);
        }
        proxy.pause();
        proxy.terminate().unwrap();
    }
}

#[test]
fn it_ends_with_the_context_or_its_handle() {
    let context = context();
    let (proxy, ..) = start(&context, "tcp://127.0.0.1:*", [Router, Dealer]);
    let (dropped, ..) = start(&context, "tcp://127.0.0.1:*", [XSub, XPub]);
    let (paused, ..) = start(&context, "tcp://127.0.0.1:*", [Pull, Push]);
    paused.pause();
    drop(dropped);
    // The proxies' sockets are closed when they end.
    context.terminate();
    for ended in [proxy, paused] {
        ended.pause();
        eventually("for its thread to end", || ended.is_over());
        assert_eq!(errno(ended.join()), "ETERM");
    }
}

/// A steerable proxy of two sockets, its controlling socket, and what is at both ends.
fn steered(
    context: &Context,
    control: [SocketType; 2],
    work: impl FnOnce(&Socket, &Socket, &Socket) + Send,
) {
    let (frontend, near) = bound(context, Pull, "tcp://127.0.0.1:*");
    let (backend, far) = bound(context, Push, "tcp://127.0.0.1:*");
    let (wheel, controlled) = couple(context, "inproc://control", control[0], control[1]);
    if control[1] == Sub {
        controlled.subscribe("").unwrap();
    }
    let (push, pull) = (connected(context, Push, &near), connected(context, Pull, &far));
    await_peers(&push, 1);
    thread::scope(|scope| {
        let proxy = scope.spawn(|| {
            let ended = proxy_steerable(&frontend, &backend, None, Some(&controlled));
            (ended, frontend.peer_count())
        });
        work(&wheel, &push, &pull);
        let (ended, peers) = proxy.join().unwrap();
        ended.unwrap();
        assert_eq!(peers, 1, "its sockets are left alone");
    });
    wheel.unbind("inproc://control").unwrap();
}

fn counts(message: &Message) -> Vec<u64> {
    message.iter().map(|frame| u64::from_ne_bytes(frame[..].try_into().unwrap())).collect()
}

#[test]
fn it_obeys_messages() {
    let context = context();
    for control in [[Pair, Pair], [Req, Rep], [Dealer, Dealer], [Pub, Sub], [Push, Pull]] {
        let answers = control[1] == Rep;
        let hears = !matches!(control[0], Pub | Push);
        steered(&context, control, |wheel, push, pull| {
            let order = |order: &str| {
                wheel.send(order).unwrap();
                if answers {
                    expect(wheel, "");
                }
            };
            order("nonsense");
            push.send(frames(["three", "", "x"])).unwrap();
            expect(pull, frames(["three", "", "x"]));
            if hears {
                wheel.send("STATISTICS").unwrap();
                let statistics = wheel.recv().unwrap();
                assert_eq!(counts(&statistics), [3, 6, 0, 0, 0, 0, 3, 6]);
            }
            order("PAUSE");
            if hears {
                // It has heard of the pause by then.
                wheel.send("STATISTICS").unwrap();
                wheel.recv().unwrap();
                push.send("held").unwrap();
                assert_eq!(errno(pull.recv_timeout(Duration::from_millis(50))), "EAGAIN");
            }
            order("RESUME");
            if !hears {
                push.send("held").unwrap();
            }
            expect(pull, "held");
            if control[0] == Dealer {
                // Several at once.
                wheel.send(frames(["", "PAUSE", "RESUME", "STATISTICS"])).unwrap();
                assert_eq!(counts(&wheel.recv().unwrap()), [4, 10, 0, 0, 0, 0, 4, 10]);
                expect_nothing(wheel);
            }
            order("TERMINATE");
        });
    }
}

#[test]
fn a_handle_and_messages_steer_the_same() {
    let context = context();
    let (frontend, near) = bound(&context, Pull, "inproc://near");
    let (backend, far) = bound(&context, Push, "inproc://far");
    let (wheel, control) = couple(&context, "inproc://wheel", Req, Rep);
    let proxy = Proxy::builder(frontend, backend).control(control).start().unwrap();
    let (push, pull) = (connected(&context, Push, &near), connected(&context, Pull, &far));
    proxy.pause();
    push.send("x").unwrap();
    wheel.send("STATISTICS").unwrap();
    assert_eq!(counts(&wheel.recv().unwrap()), [0; 8]);
    wheel.send("RESUME").unwrap();
    expect(&wheel, "");
    expect(&pull, "x");
    assert_eq!(proxy.statistics().to_message(), {
        wheel.send("STATISTICS").unwrap();
        wheel.recv().unwrap()
    });
    wheel.send("TERMINATE").unwrap();
    expect(&wheel, "");
    proxy.join().unwrap();
}

#[test]
fn a_proxy_in_the_foreground_ends_with_the_context() {
    let context = context();
    let (one, _) = bound(&context, Router, "tcp://127.0.0.1:*");
    let (other, _) = bound(&context, Dealer, "tcp://127.0.0.1:*");
    let ended = thread::spawn(move || errno(proxy(&one, &other, None)));
    context.terminate_timeout(PATIENCE).unwrap();
    assert_eq!(ended.join().unwrap(), "ETERM");
}

/// A chain of proxies loses nothing and keeps the order.
#[test]
fn proxies_may_be_chained() {
    let count = scaled(5000);
    let context = context();
    let mut proxies = Vec::new();
    let (first, mut last) = {
        let (proxy, near, far) = start(&context, "tcp://127.0.0.1:*", [Pull, Push]);
        proxies.push(proxy);
        (near, far)
    };
    for _ in 0..2 {
        let pull = connected(&context, Pull, &last);
        let (push, far) = bound(&context, Push, "tcp://127.0.0.1:*");
        proxies.push(Proxy::builder(pull, push).start().unwrap());
        last = far;
    }
    let (push, pull) = (connected(&context, Push, &first), connected(&context, Pull, &last));
    thread::scope(|scope| {
        scope.spawn(|| (0..count).for_each(|n| push.send(number(n)).unwrap()));
        for n in 0..count {
            assert_eq!(number_in(&pull.recv().unwrap()), n);
        }
    });
}
