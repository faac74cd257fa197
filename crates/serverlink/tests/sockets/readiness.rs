//! What sockets say they are ready for.

use serverlink::{
    Context, Error, Events, Message, Socket,
    SocketType::{self, *},
};

use crate::harness::{
    TRANSPORTS, bound, connected, context, couple, errno, eventually, expect, expect_nothing, fill,
    frames, socket,
};

const BOTH: [SocketType; 11] = [Pair, Pub, Sub, Req, Rep, Dealer, Router, Pull, Push, XPub, XSub];

fn events(socket: &Socket) -> Events {
    socket.events().unwrap()
}

fn await_events(socket: &Socket, expected: Events) {
    eventually("for the socket to be ready", || events(socket) == expected);
}

/// A message that a socket of this type can send to `peer`.
fn sayable(socket_type: SocketType, random: &mut fastrand::Rng) -> Message {
    match socket_type {
        Router => frames(["peer", "", "x"]),
        Dealer if random.bool() => frames(["", "x"]),
        XSub => Message::from(if random.bool() { "\u{1}" } else { "\u{0}" }),
        _ => Message::from("x"),
    }
}

#[test]
fn alone_a_socket_can_send_only_what_waits_for_nobody() {
    let context = context();
    for socket_type in BOTH {
        let socket = socket(&context, socket_type);
        let never_waits = matches!(socket_type, Pub | XPub | XSub | Router);
        let expected = if never_waits { Events::OUT } else { Events::NONE };
        assert_eq!(events(&socket), expected, "{socket_type}");
    }
}

/// Two sockets do what they please; what they say of themselves before each call must be true.
#[test]
fn what_sockets_say_is_what_calls_find() {
    let pairs = [
        (Pair, Pair),
        (Push, Pull),
        (Req, Rep),
        (Req, Router),
        (Dealer, Rep),
        (Dealer, Dealer),
        (Dealer, Router),
        (Router, Router),
        (Pub, Sub),
        (XPub, Sub),
        (XPub, XSub),
    ];
    let context = context();
    for endpoint in TRANSPORTS {
        for (number, (one, other)) in (0..).zip(pairs) {
            let mut random = fastrand::Rng::with_seed(number);
            let sockets = [one, other].map(|socket_type| {
                let socket = socket(&context, socket_type);
                socket.set_send_high_water_mark(3).unwrap();
                socket.set_receive_high_water_mark(3).unwrap();
                socket.set_routing_id("peer").unwrap();
                if socket_type == Sub {
                    socket.subscribe("x").unwrap();
                }
                socket
            });
            sockets[1].connect(&sockets[0].bind(endpoint).unwrap()).unwrap();
            for _ in 0..300 {
                let socket = random.choice(&sockets).unwrap();
                let said = events(socket);
                // Between the two calls it can become ready, and not cease to be.
                if random.bool() {
                    let received = socket.try_recv();
                    assert!(
                        received.is_ok() || !said.contains(Events::IN),
                        "{received:?} at a {} that said {said:?}",
                        socket.socket_type()
                    );
                    if received.is_ok() && endpoint.starts_with("inproc") {
                        assert!(
                            said.contains(Events::IN),
                            "{} said {said:?}",
                            socket.socket_type()
                        );
                    }
                } else {
                    let message = sayable(socket.socket_type(), &mut random);
                    let sent = socket.try_send(message);
                    assert!(
                        sent.is_ok() || !said.contains(Events::OUT),
                        "{sent:?} at a {} that said {said:?}",
                        socket.socket_type()
                    );
                    if sent.is_ok() && endpoint.starts_with("inproc") {
                        assert!(
                            said.contains(Events::OUT),
                            "{} said {said:?}",
                            socket.socket_type()
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn it_is_told_as_long_as_it_is_so() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (pull, push) = couple(&context, endpoint, Pull, Push);
        assert_eq!((events(&pull), events(&push)), (Events::NONE, Events::OUT));
        push.send("one").unwrap();
        push.send("two").unwrap();
        await_events(&pull, Events::IN);
        assert_eq!(events(&pull), Events::IN, "to ask changes nothing");
        expect(&pull, "one");
        await_events(&pull, Events::IN);
        expect(&pull, "two");
        assert_eq!(events(&pull), Events::NONE);
    }
}

#[test]
fn a_full_socket_is_ready_again_when_there_is_room() {
    let context = context();
    let (pull, endpoint) = bound(&context, Pull, "inproc://full");
    let push = socket(&context, Push);
    push.set_send_high_water_mark(4).unwrap();
    pull.set_receive_high_water_mark(4).unwrap();
    push.connect(&endpoint).unwrap();
    let sent = fill(&push);
    assert_eq!(events(&push), Events::NONE);
    for _ in 0..sent {
        pull.recv().unwrap();
    }
    assert_eq!(events(&push), Events::OUT);
}

#[test]
fn messages_that_are_passed_over_do_not_count() {
    let context = context();
    // Not subscribed to (any more): told by an XPUB that knows nothing of it yet.
    let (publisher, subscriber) = couple(&context, "tcp://127.0.0.1:*", XPub, Sub);
    subscriber.subscribe("a").unwrap();
    subscriber.subscribe("b").unwrap();
    for _ in 0..2 {
        publisher.recv().unwrap();
    }
    publisher.send("a 1").unwrap();
    publisher.send("b 1").unwrap();
    await_events(&subscriber, Events::IN);
    subscriber.unsubscribe("a").unwrap();
    await_events(&subscriber, Events::IN);
    expect(&subscriber, "b 1");
    expect_nothing(&subscriber);
    publisher.send("b 2").unwrap();
    await_events(&subscriber, Events::IN);
    subscriber.unsubscribe("b").unwrap();
    assert_eq!(events(&subscriber), Events::NONE);

    // Not a request.
    let (rep, dealer) = couple(&context, "inproc://not a request", Rep, Dealer);
    dealer.send("no envelope").unwrap();
    dealer.send("").unwrap();
    assert_eq!(events(&rep), Events::NONE);
    dealer.send(frames(["", "a request"])).unwrap();
    assert_eq!(events(&rep), Events::IN);
    expect(&rep, "a request");

    // Not the reply.
    let (router, req) = couple(&context, "inproc://not the reply", Router, Req);
    req.set_req_correlate(true).unwrap();
    req.send("question").unwrap();
    let question = router.recv().unwrap();
    let reply = |id: &[u8], delimiter: &str, body: &str| -> Message {
        [&question[0][..], id, delimiter.as_bytes(), body.as_bytes()].into_iter().collect()
    };
    router.send(reply(b"else", "", "stray")).unwrap();
    router.send(reply(&question[1], "no delimiter", "stray")).unwrap();
    assert_eq!(events(&req), Events::NONE);
    router.send(reply(&question[1], "", "the reply")).unwrap();
    assert_eq!(events(&req), Events::IN);
    expect(&req, "the reply");
    assert_eq!(events(&req), Events::OUT);
}

#[test]
fn a_mandatory_router_and_a_publisher_that_drops_nothing_wait() {
    let context = context();
    let (router, endpoint) = bound(&context, Router, "inproc://mandatory");
    router.set_router_mandatory(true).unwrap();
    assert_eq!(events(&router), Events::NONE, "there is nobody");
    router.set_send_high_water_mark(1).unwrap();
    let dealer = socket(&context, Dealer);
    dealer.set_routing_id("peer").unwrap();
    dealer.set_receive_high_water_mark(1).unwrap();
    dealer.connect(&endpoint).unwrap();
    assert_eq!(events(&router), Events::OUT);
    while router.try_send(frames(["peer", "x"])).is_ok() {}
    assert_eq!(events(&router), Events::NONE);
    router.set_router_mandatory(false).unwrap();
    assert_eq!(events(&router), Events::OUT, "it drops what cannot be sent");

    let (publisher, endpoint) = bound(&context, XPub, "inproc://drops nothing");
    publisher.set_xpub_nodrop(true).unwrap();
    publisher.set_send_high_water_mark(1).unwrap();
    let subscriber = socket(&context, XSub);
    subscriber.set_receive_high_water_mark(1).unwrap();
    subscriber.connect(&endpoint).unwrap();
    subscriber.send("\u{1}").unwrap();
    assert_eq!(events(&publisher), Events::IN | Events::OUT);
    expect(&publisher, "\u{1}");
    while publisher.try_send("x").is_ok() {}
    assert_eq!(events(&publisher), Events::NONE);
    while subscriber.try_recv().is_ok() {}
    assert_eq!(events(&publisher), Events::OUT);
}

#[test]
fn what_a_peer_left_behind_can_be_received() {
    let context = context();
    for endpoint in TRANSPORTS {
        for (binds, connects) in [(Pull, Push), (Pair, Pair)] {
            let (one, endpoint) = bound(&context, binds, endpoint);
            let other = connected(&context, connects, &endpoint);
            other.set_linger(None).unwrap();
            other.send("last words").unwrap();
            other.close();
            eventually("for the message", || events(&one).contains(Events::IN));
            expect(&one, "last words");
            eventually("for the end", || events(&one).is_empty());
        }
    }
}

#[test]
fn a_terminated_socket_says_so() {
    let context = Context::new().unwrap();
    let socket = socket(&context, Pull);
    assert!(matches!(
        context.terminate_timeout(std::time::Duration::ZERO),
        Err(Error::StillOpen { .. })
    ));
    assert_eq!(errno(socket.events()), "ETERM");
}
