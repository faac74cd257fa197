//! The end of contexts and sockets, in every order.

use std::{
    sync::{Arc, Barrier},
    thread,
    time::Duration,
};

use serverlink::{Context, Error, Result, Socket, SocketType};

use crate::harness::{
    PATIENCE, TRANSPORTS, bound, connected, context, errno, eventually, expect, number, scaled,
    socket,
};

/// A socket whose calls wait without end.
fn endless(context: &Context, socket_type: SocketType) -> Socket {
    let socket = socket(context, socket_type);
    socket.set_receive_timeout(None).unwrap();
    socket.set_send_timeout(None).unwrap();
    socket
}

#[test]
fn termination_wakes_everyone_who_waits() {
    for endpoint in TRANSPORTS {
        let context = Context::builder().io_threads(2).build().unwrap();
        let waiting = Barrier::new(23);
        thread::scope(|scope| {
            let mut calls = Vec::new();
            for socket_type in [
                SocketType::Pull,
                SocketType::Sub,
                SocketType::XSub,
                SocketType::XPub,
                SocketType::Pair,
                SocketType::Dealer,
                SocketType::Router,
                SocketType::Rep,
            ] {
                let socket = Arc::new(endless(&context, socket_type));
                if endpoint.starts_with("tcp") {
                    socket.bind(endpoint).unwrap();
                }
                for _ in 0..2 {
                    let (socket, waiting) = (socket.clone(), &waiting);
                    calls.push(scope.spawn(move || {
                        waiting.wait();
                        socket.recv().map(drop)
                    }));
                }
            }
            for socket_type in [SocketType::Push, SocketType::Dealer, SocketType::Req] {
                let socket = Arc::new(endless(&context, socket_type));
                for _ in 0..2 {
                    let (socket, waiting) = (socket.clone(), &waiting);
                    calls.push(scope.spawn(move || {
                        waiting.wait();
                        Ok(socket.send("x")?)
                    }));
                }
            }
            waiting.wait();
            context.terminate();
            for call in calls {
                assert_eq!(errno(call.join().unwrap()), "ETERM");
            }
        });
    }
}

#[test]
fn every_call_after_termination_says_so() -> Result<()> {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let push = connected(&context, SocketType::Push, &endpoint);
    let sub = socket(&context, SocketType::Sub);
    // A message that is there already is not received any more either.
    push.send("x")?;
    crate::harness::await_peers(&pull, 1);
    thread::scope(|scope| {
        scope.spawn(|| context.terminate());
        eventually("for the termination", || matches!(push.set_ipv6(true), Err(Error::Terminated)));
        for result in [
            push.send("x").map_err(Error::from),
            push.try_send("x").map_err(Error::from),
            push.send_timeout("x", PATIENCE).map_err(Error::from),
            pull.recv().map(drop),
            pull.try_recv().map(drop),
            pull.recv_timeout(PATIENCE).map(drop),
            pull.bind("tcp://127.0.0.1:*").map(drop),
            pull.bind("inproc://x").map(drop),
            pull.unbind(&endpoint),
            push.connect(&endpoint),
            push.connect("inproc://x"),
            push.disconnect(&endpoint),
            sub.subscribe("x"),
            sub.unsubscribe("x"),
            sub.set_linger(None),
            sub.set_routing_id("x"),
            context.socket(SocketType::Pair).map(drop),
            context.socket(SocketType::Pair).map(drop),
        ] {
            assert_eq!(errno(result), "ETERM");
        }
        // These only tell, and can still be asked.
        let _ = (push.peer_count(), push.last_endpoint(), push.socket_type());
        drop((push, pull, sub));
    });
    // Again and again.
    context.terminate();
    context.terminate_timeout(Duration::ZERO)?;
    Ok(())
}

#[test]
fn termination_waits_for_sockets() {
    let context = context();
    let socket = socket(&context, SocketType::Pair);
    assert!(matches!(
        context.terminate_timeout(Duration::from_millis(20)),
        Err(Error::StillOpen { sockets: 1, connections: 0, .. })
    ));
    thread::scope(|scope| {
        let ending = scope.spawn(|| context.terminate_timeout(PATIENCE));
        socket.close();
        ending.join().unwrap().unwrap();
    });
}

#[test]
fn several_threads_may_terminate() {
    let context = context();
    let socket = endless(&context, SocketType::Pull);
    thread::scope(|scope| {
        let ending: Vec<_> = (0..4).map(|_| scope.spawn(|| context.terminate())).collect();
        assert_eq!(errno(socket.recv()), "ETERM");
        drop(socket);
        ending.into_iter().for_each(|ending| ending.join().unwrap());
    });
}

#[test]
fn a_context_lives_as_long_as_its_sockets() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (pull, endpoint) = bound(&context, SocketType::Pull, endpoint);
        let push = connected(&context, SocketType::Push, &endpoint);
        drop(context);
        push.send("still works").unwrap();
        expect(&pull, "still works");
        // The last one may go from any thread.
        thread::spawn(move || drop(push)).join().unwrap();
        thread::spawn(move || drop(pull)).join().unwrap();
    }
}

#[test]
fn any_order_of_dropping_is_fine() {
    for endpoint in TRANSPORTS {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let context = context();
            let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
            let dealer = connected(&context, SocketType::Dealer, &endpoint);
            dealer.send("x").unwrap();
            let message = router.recv().unwrap();
            router.send(message).unwrap();
            let mut things: [Option<Box<dyn Send>>; 3] =
                [Some(Box::new(context)), Some(Box::new(router)), Some(Box::new(dealer))];
            for which in order {
                let thing = things[which].take();
                if which == 1 {
                    thread::spawn(move || drop(thing)).join().unwrap();
                }
            }
        }
    }
}

#[test]
fn sockets_may_go_in_the_middle_of_traffic() {
    for endpoint in TRANSPORTS {
        for round in 0..scaled(50) {
            let context = Context::builder().io_threads(1 + round as usize % 2).build().unwrap();
            let (one, endpoint) = bound(&context, SocketType::Pair, endpoint);
            let other = connected(&context, SocketType::Pair, &endpoint);
            thread::scope(|scope| {
                scope.spawn(move || {
                    // On and on, although the peer goes and the queue is full, until it is told.
                    let refused = (0..).find_map(|n| one.send(number(n)).err());
                    assert!(matches!(refused.unwrap().error, Error::Terminated));
                });
                (0..round).for_each(|_| drop(other.recv().unwrap()));
                if round % 3 == 0 {
                    drop(other);
                    context.terminate();
                } else {
                    scope.spawn(|| context.terminate());
                    let end = std::iter::repeat_with(|| other.recv()).find_map(Result::err);
                    assert!(matches!(end, Some(Error::Terminated)));
                    drop(other);
                }
            });
        }
    }
}

#[test]
fn a_socket_may_close_in_the_middle_of_connecting() {
    let context = context();
    let (_pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    for endpoint in [endpoint.as_str(), "tcp://localhost:9", "tcp://127.0.0.1:9", "inproc://none"] {
        for _ in 0..scaled(100) {
            let push = connected(&context, SocketType::Push, endpoint);
            let _ = push.try_send("x");
        }
    }
    context.socket(SocketType::Pair).unwrap().close();
}

#[test]
fn many_contexts_live_side_by_side() {
    let transports = &TRANSPORTS.into_iter().collect::<Vec<_>>();
    thread::scope(|scope| {
        for n in 0..4 {
            scope.spawn(move || {
                for round in 0..10 {
                    let endpoint = transports[(n + round) % transports.len()];
                    let contexts = [context(), context()];
                    let (pull, endpoint) = bound(&contexts[0], SocketType::Pull, endpoint);
                    let from = usize::from(endpoint.starts_with("tcp"));
                    let push = connected(&contexts[from], SocketType::Push, &endpoint);
                    push.send(number(round as u32)).unwrap();
                    expect(&pull, number(round as u32));
                }
            });
        }
    });
}

#[test]
fn a_context_ends_while_peers_keep_coming() {
    let server = context();
    let (pull, endpoint) = bound(&server, SocketType::Pull, "tcp://127.0.0.1:*");
    let clients = context();
    let pushes: Vec<_> =
        (0..20).map(|_| connected(&clients, SocketType::Push, &endpoint)).collect();
    for push in &pushes {
        push.send("x").unwrap();
    }
    pull.recv().unwrap();
    drop(pull);
    server.terminate_timeout(PATIENCE).unwrap();
    drop(server);
    // The clients are none the worse for it.
    for push in &pushes {
        push.try_send("y").unwrap();
    }
}
