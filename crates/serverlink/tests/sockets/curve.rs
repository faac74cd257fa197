//! The CURVE mechanism (RFC 25, RFC 26).

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use serverlink::{
    Context, CurveKeyPair, Error, Message, MonitorEventKind, SecurityMechanism, Socket, SocketType,
    curve_keypair,
};

use crate::{
    harness::{
        PATIENCE, STREAMS, await_peers, context, eventually, expect, expect_nothing,
        expect_numbers, frames, number, scaled, shake_hands, socket, vacant,
    },
    zap::{answer, denied, failed, handler, next},
};

fn keys() -> CurveKeyPair {
    curve_keypair().unwrap()
}

fn server(context: &Context, socket_type: SocketType, keys: &CurveKeyPair) -> Socket {
    let server = socket(context, socket_type);
    server.set_curve_server(true).unwrap();
    server.set_curve_secret_key(keys.secret.clone()).unwrap();
    server
}

fn client(
    context: &Context,
    socket_type: SocketType,
    keys: &CurveKeyPair,
    server: &CurveKeyPair,
) -> Socket {
    let client = socket(context, socket_type);
    client.set_curve_server_key(server.public).unwrap();
    client.set_curve_public_key(keys.public).unwrap();
    client.set_curve_secret_key(keys.secret.clone()).unwrap();
    client
}

fn broken(kind: &MonitorEventKind) -> Option<u32> {
    match kind {
        MonitorEventKind::HandshakeFailedProtocol { code, .. } => Some(*code),
        _ => None,
    }
}

#[test]
fn messages_pass_whoever_connects() {
    for endpoint in STREAMS {
        for client_connects in [true, false] {
            let context = context();
            let own = keys();
            let server = server(&context, SocketType::Router, &own);
            let client = client(&context, SocketType::Dealer, &keys(), &own);
            client.set_routing_id("client").unwrap();
            if client_connects {
                client.connect(&server.bind(endpoint).unwrap()).unwrap();
            } else {
                server.connect(&client.bind(endpoint).unwrap()).unwrap();
            }
            for len in [0, 1, 255, 256, 4_096, 70_000, 1_000_000] {
                let body = vec![7; len];
                let message: Message = [b"".to_vec(), body.clone()].into_iter().collect();
                client.send(message.clone()).unwrap();
                let received = server.recv().unwrap();
                assert_eq!((&received[0][..], received.len()), (&b"client"[..], 3));
                assert_eq!(received[2][..], body);
                server.send(received).unwrap();
                assert_eq!(client.recv().unwrap(), message);
            }
        }
    }
}

#[test]
fn a_stream_of_messages_keeps_its_order() {
    let context = context();
    let own = keys();
    let pull = server(&context, SocketType::Pull, &own);
    let push = client(&context, SocketType::Push, &keys(), &own);
    push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let count = scaled(50_000);
    thread::scope(|scope| {
        scope.spawn(|| (0..count).for_each(|n| push.send(number(n)).unwrap()));
        expect_numbers(&pull, 0..count);
    });
}

/// Each connection encrypts for itself what is encoded once for all.
#[test]
fn many_subscribers_get_what_they_subscribe_to() {
    let context = context();
    let own = keys();
    let publisher = server(&context, SocketType::XPub, &own);
    let endpoint = publisher.bind("tcp://127.0.0.1:*").unwrap();
    let subscribers: Vec<_> = (0..20)
        .map(|n| {
            let subscriber = client(&context, SocketType::Sub, &keys(), &own);
            subscriber.subscribe(if n % 2 == 0 { "a" } else { "" }).unwrap();
            subscriber.connect(&endpoint).unwrap();
            subscriber
        })
        .collect();
    // Each topic is told of once.
    (0..2).for_each(|_| drop(publisher.recv().unwrap()));
    await_peers(&publisher, 20);
    eventually("for all to subscribe", || {
        publisher.send("a: are all there?").unwrap();
        subscribers.iter().all(|subscriber| subscriber.try_recv().is_ok())
    });
    let large = vec![b'a'; 100_000];
    let two = frames(["a: two", "frames of more than is kept within a message of one frame"]);
    for message in [Message::from("b: not for all"), two, large.into(), "a: last".into()] {
        publisher.send(message).unwrap();
    }
    for (n, subscriber) in subscribers.iter().enumerate() {
        let mut received = Vec::new();
        while received.last().is_none_or(|message: &Message| message[0] != "a: last") {
            let message = subscriber.recv().unwrap();
            if message[0] != "a: are all there?" {
                received.push(message);
            }
        }
        assert_eq!(received.len(), if n % 2 == 0 { 3 } else { 4 });
    }
}

#[test]
fn the_handler_judges_by_the_key() {
    let context = context();
    let zap = handler(&context);
    let [own, known] = [keys(), keys()];
    let server = server(&context, SocketType::Pull, &own);
    server.set_zap_domain(Some("test")).unwrap();
    let endpoint = server.bind("tcp://127.0.0.1:*").unwrap();
    let push = client(&context, SocketType::Push, &known, &own);
    push.connect(&endpoint).unwrap();
    push.send("hello").unwrap();
    let request = zap.recv().unwrap();
    let head = ["1.0", "1", "test", "127.0.0.1", "", "CURVE"];
    assert!(request.iter().take(6).map(|frame| &frame[..]).eq(head.map(str::as_bytes)));
    assert_eq!((&request[6][..], request.len()), (&known.public.as_bytes()[..], 7));
    zap.send(answer("200")).unwrap();
    let received = server.recv_with_peer().unwrap();
    assert_eq!(received.message[0], "hello");
    assert_eq!(received.property("User-Id"), Some(&b"alice"[..]));

    let stranger = client(&context, SocketType::Push, &keys(), &own);
    let monitors = [server.monitor(), stranger.monitor()];
    stranger.connect(&endpoint).unwrap();
    zap.recv().unwrap();
    zap.send(answer("400")).unwrap();
    for monitor in &monitors {
        assert_eq!(next(monitor, denied), 400);
    }
    eventually("for it to give up", || stranger.peers().is_empty());
}

/// As in libzmq: the key of the server may be enough.
#[test]
fn without_a_handler_the_options_decide() {
    for (domain, enforced, admitted) in [
        (None, false, true),
        (Some("test"), false, true),
        (None, true, true),
        (Some("test"), true, false),
    ] {
        let context = context();
        let own = keys();
        let pull = server(&context, SocketType::Pull, &own);
        pull.set_zap_domain(domain).unwrap();
        pull.set_zap_enforce_domain(enforced).unwrap();
        let monitor = pull.monitor();
        let push = client(&context, SocketType::Push, &keys(), &own);
        push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        if admitted {
            push.send("hello").unwrap();
            expect(&pull, "hello");
        } else {
            assert_eq!(next(&monitor, failed), Some(14));
        }
    }
}

#[test]
fn a_handler_is_asked_without_a_domain_unless_one_is_enforced() {
    for enforced in [false, true] {
        let context = context();
        let zap = handler(&context);
        let own = keys();
        let pull = server(&context, SocketType::Pull, &own);
        pull.set_zap_enforce_domain(enforced).unwrap();
        let push = client(&context, SocketType::Push, &keys(), &own);
        push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        push.send("hello").unwrap();
        if !enforced {
            assert_eq!(zap.recv().unwrap()[2], "");
            zap.send(answer("200")).unwrap();
        }
        expect(&pull, "hello");
        expect_nothing(&zap);
    }
}

#[test]
fn a_client_with_another_servers_key_is_not_let_in() {
    let context = context();
    let pull = server(&context, SocketType::Pull, &keys());
    let push = client(&context, SocketType::Push, &keys(), &keys());
    let monitors = [pull.monitor(), push.monitor()];
    push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    assert_eq!(next(&monitors[0], broken), 0x1100_0001);
    // To the client, the stream just ends; it tries again.
    next(&monitors[1], |kind| matches!(kind, MonitorEventKind::HandshakeFailed(_)).then_some(()));
    let retried = |kind: &_| matches!(kind, MonitorEventKind::ConnectRetried { .. }).then_some(());
    next(&monitors[1], retried);
    assert_eq!(pull.peer_count(), 0);
}

#[test]
fn nobody_gets_in_by_a_lesser_mechanism() {
    let context = context();
    let own = keys();
    let pull = server(&context, SocketType::Pull, &own);
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let monitor = pull.monitor();
    let push = socket(&context, SocketType::Push);
    push.set_reconnect_interval(None).unwrap();
    push.connect(&endpoint).unwrap();
    // Unless it has given up by now.
    let _ = push.try_send("in clear");
    assert_eq!(next(&monitor, broken), 0x1100_0002);
    let mut stream = TcpStream::connect(endpoint.replace("tcp://", "")).unwrap();
    shake_hands(&mut stream, "PUSH");
    assert_eq!(next(&monitor, broken), 0x1100_0002);
    // Nor does a client send anything to a server of another.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = client(&context, SocketType::Push, &keys(), &own);
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    push.send("a secret").unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    shake_hands(&mut stream, "PULL");
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    assert!(heard.len() <= 64, "nothing but the greeting");
    expect_nothing(&pull);
}

/// Passes on what two sockets say, and changes or repeats a part of what the first one does.
fn meddle(endpoint: &str, from: usize, change: impl Fn(&mut Vec<u8>) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let between = format!("tcp://{}", listener.local_addr().unwrap());
    let server = endpoint.replace("tcp://", "");
    thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(server).unwrap();
        let (mut back, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || {
            let _ = std::io::copy(&mut back, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
        let (mut passed, mut buffer) = (0, [0; 4096]);
        while let Ok(len @ 1..) = client.read(&mut buffer) {
            let mut piece = buffer[..len].to_vec();
            if passed >= from {
                change(&mut piece);
            }
            passed += len;
            if server.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    });
    between
}

/// The length of all that a PUSH says until its messages begin.
const HANDSHAKE: usize = 64 + 202 + 9 + 9 + 96 + 8 + 16 + 128 + 20;

#[test]
fn what_is_changed_or_repeated_on_the_way_ends_the_connection() {
    let tampered = |piece: &mut Vec<u8>| {
        if let Some(last) = piece.last_mut() {
            *last ^= 1;
        }
    };
    let repeated = |piece: &mut Vec<u8>| piece.extend_from_within(..);
    for (change, code, arrives) in [
        (Box::new(tampered) as Box<dyn Fn(&mut Vec<u8>) + Send>, 0x1100_0001, false),
        (Box::new(repeated), 0x1000_0002, true),
        // A frame that is not encrypted.
        (
            Box::new(|piece| piece.splice(0..0, *b"\0\x07nothing").for_each(drop)),
            0x1000_0001,
            false,
        ),
    ] {
        let context = context();
        let own = keys();
        let pull = server(&context, SocketType::Pull, &own);
        let monitor = pull.monitor();
        let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
        let between = meddle(&endpoint, HANDSHAKE, change);
        let push = client(&context, SocketType::Push, &keys(), &own);
        push.set_reconnect_interval(None).unwrap();
        push.connect(&between).unwrap();
        await_peers(&pull, 1);
        push.send("a message").unwrap();
        assert_eq!(next(&monitor, broken), code);
        next(&monitor, |kind| (*kind == MonitorEventKind::Disconnected).then_some(()));
        if arrives {
            expect(&pull, "a message");
        }
        eventually("for the peer to be gone", || pull.peer_count() == 0);
        expect_nothing(&pull);
    }
}

#[test]
fn nothing_is_read_by_who_listens() {
    let context = context();
    let own = keys();
    let pull = server(&context, SocketType::Pull, &own);
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let (tell, heard) = std::sync::mpsc::channel();
    let between = meddle(&endpoint, 0, move |piece| tell.send(piece.clone()).unwrap());
    let push = client(&context, SocketType::Push, &keys(), &own);
    push.connect(&between).unwrap();
    push.send("whisper whisper whisper").unwrap();
    expect(&pull, "whisper whisper whisper");
    drop((push, pull));
    let heard: Vec<u8> = heard.iter().flatten().collect();
    assert!(heard.len() > HANDSHAKE);
    assert!(!heard.windows(7).any(|window| window == b"whisper"));
}

#[test]
fn heartbeats_are_encrypted() {
    let context = context();
    let own = keys();
    let [pull, push] = [
        server(&context, SocketType::Pull, &own),
        client(&context, SocketType::Push, &keys(), &own),
    ];
    for socket in [&pull, &push] {
        socket.set_heartbeat_interval(Some(Duration::from_millis(10))).unwrap();
        socket.set_heartbeat_timeout(Some(PATIENCE)).unwrap();
    }
    let monitor = pull.monitor();
    push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    await_peers(&pull, 1);
    let heard = || pull.peers().first().map_or(0, |peer| peer.statistics.bytes_received);
    let before = heard();
    eventually("for some of them", || heard() > before + 500);
    push.send("still there").unwrap();
    expect(&pull, "still there");
    while let Ok(event) = monitor.try_recv() {
        assert_ne!(event.kind, MonitorEventKind::Disconnected);
    }
}

#[test]
fn a_frame_above_the_limit_ends_the_connection() {
    let context = context();
    let own = keys();
    let pull = server(&context, SocketType::Pull, &own);
    pull.set_max_message_size(Some(1000)).unwrap();
    let monitor = pull.monitor();
    let push = client(&context, SocketType::Push, &keys(), &own);
    push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    push.send(vec![1; 1000]).unwrap();
    assert_eq!(pull.recv().unwrap()[0].len(), 1000);
    push.send(vec![1; 1001]).unwrap();
    next(&monitor, |kind| (*kind == MonitorEventKind::Disconnected).then_some(()));
    expect_nothing(&pull);
}

/// What one connection did not write to its end, the next one encrypts anew.
#[test]
fn what_waits_for_a_server_that_comes_back_arrives() {
    let context = context();
    let own = keys();
    let endpoint = vacant(&context);
    let push = client(&context, SocketType::Push, &keys(), &own);
    push.set_send_high_water_mark(0).unwrap();
    push.connect(&endpoint).unwrap();
    push.send("first").unwrap();
    let pull = server(&context, SocketType::Pull, &own);
    crate::harness::bind_again(&pull, &endpoint);
    expect(&pull, "first");
    drop(pull);
    eventually("for it to be gone", || push.peer_count() == 0);
    (0..100).for_each(|n| push.send(number(n)).unwrap());
    let pull = server(&context, SocketType::Pull, &own);
    crate::harness::bind_again(&pull, &endpoint);
    expect_numbers(&pull, 0..100);
}

#[test]
fn a_greeting_message_is_encrypted_and_comes_first() {
    let context = context();
    let own = keys();
    let router = server(&context, SocketType::Router, &own);
    router.set_hello_message("welcome").unwrap();
    let dealer = client(&context, SocketType::Dealer, &keys(), &own);
    dealer.connect(&router.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    expect(&dealer, "welcome");
}

#[test]
fn bind_and_connect_say_what_is_missing() {
    let context = context();
    let [own, other] = [keys(), keys()];
    let option = |socket: &Socket| {
        let results =
            [socket.bind("tcp://127.0.0.1:*").map(drop), socket.connect("tcp://127.0.0.1:1")];
        let options = results.map(|result| match result {
            Err(Error::InvalidOption { option, .. }) => option,
            other => panic!("{other:?}"),
        });
        assert_eq!(options[0], options[1]);
        options[0]
    };
    let socket = socket(&context, SocketType::Pair);
    socket.set_curve_server(true).unwrap();
    assert_eq!(option(&socket), "curve_secret_key");
    socket.bind("inproc://no-mechanism").unwrap();
    socket.set_curve_public_key(other.public).unwrap();
    socket.set_curve_secret_key(own.secret.clone()).unwrap();
    // A server is known by its secret key alone.
    socket.bind("tcp://127.0.0.1:*").unwrap();
    socket.set_curve_server(false).unwrap();
    assert_eq!(socket.mechanism(), SecurityMechanism::Null);
    socket.set_curve_secret_key(own.secret.clone()).unwrap();
    assert_eq!(option(&socket), "curve_server_key");
    socket.set_curve_server_key([0; 32].into()).unwrap();
    assert_eq!(option(&socket), "curve_server_key", "nobody has it");
    socket.set_curve_server_key(other.public).unwrap();
    assert_eq!(option(&socket), "curve_public_key");
    socket.set_curve_public_key(own.public).unwrap();
    socket.bind("tcp://127.0.0.1:*").unwrap();
}

/// As in libzmq.
#[test]
fn the_option_set_last_decides_which_mechanism_it_is() {
    let context = context();
    let socket = socket(&context, SocketType::Pair);
    let number = || i32::from_ne_bytes(socket.option(43).unwrap().try_into().unwrap());
    let own = keys();
    socket.set_curve_secret_key(own.secret.clone()).unwrap();
    assert_eq!((socket.mechanism(), number()), (SecurityMechanism::Curve, 2));
    socket.set_curve_server(true).unwrap();
    socket.set_plain_username(Some("admin")).unwrap();
    assert_eq!((socket.mechanism(), socket.curve_server()), (SecurityMechanism::Plain, false));
    socket.set_curve_server(true).unwrap();
    socket.set_curve_server_key(own.public).unwrap();
    assert_eq!((socket.mechanism(), socket.curve_server()), (SecurityMechanism::Curve, false));
    socket.set_plain_server(true).unwrap();
    assert_eq!((socket.mechanism(), socket.curve_server()), (SecurityMechanism::Plain, false));
    // By number, in either form.
    socket.set_option(49, own.secret.to_z85().as_bytes()).unwrap();
    assert_eq!(socket.curve_secret_key(), Some(own.secret.clone()));
    assert_eq!(socket.option(49).unwrap(), own.secret.as_bytes());
    assert!(!socket.plain_server());
}
