//! What is known of the peer that a message came from.

use std::{
    net::{TcpListener, TcpStream},
    thread,
};

use serverlink::{Error, Events, Frame, Message, Received, Socket, SocketType, message_options};

use crate::harness::{
    STREAMS, TRANSPORTS, await_peers, bind_again, bound, connected, context, couple, errno,
    eventually, expect, frames, shake_hands, socket, vacancies, version,
};

fn text<'a>(received: &'a Received, name: &str) -> Option<&'a str> {
    received.property(name).map(|value| std::str::from_utf8(value).unwrap())
}

/// The name of whoever sent the next message, and the message's last frame.
fn next(socket: &Socket) -> (String, Message) {
    let mut received = socket.recv_with_peer().unwrap();
    let name = text(&received, "Identity").expect("a name").to_owned();
    (name, Message::from(received.message.pop_back().unwrap()))
}

#[test]
fn a_message_comes_with_what_the_peer_told_of_itself() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
        let dealer = socket(&context, SocketType::Dealer);
        dealer.set_routing_id("me").unwrap();
        dealer.set_metadata(&[("X-Hello", "there"), ("X-other", "\u{e4}")]).unwrap();
        dealer.connect(&endpoint).unwrap();
        dealer.send(frames(["one", "two"])).unwrap();
        let received = router.recv_with_peer().unwrap();
        assert_eq!(received.message, frames(["me", "one", "two"]));
        assert_eq!(text(&received, "Socket-Type"), Some("DEALER"));
        for name in ["Identity", "Routing-Id", "routing-ID"] {
            assert_eq!(text(&received, name), Some("me"));
        }
        assert_eq!(text(&received, "x-hello"), Some("there"), "case does not matter");
        assert_eq!(text(&received, "X-other"), Some("\u{e4}"));
        for name in ["X-none", "Resource", "User-Id", ""] {
            assert_eq!(received.property(name), None, "{name}");
        }
        let peer = received.peer.as_deref().unwrap();
        assert_eq!(peer.socket_type(), Some(SocketType::Dealer));
        assert_eq!((&peer.routing_id()[..], peer.version()), (&b"me"[..], version(&endpoint)));
        assert_eq!(peer.metadata().len(), 2);
        assert_eq!(router.peers()[0].properties, received.peer);

        // The other way, where nobody has a name or anything to tell.
        router.send(frames(["me", "back"])).unwrap();
        let received = dealer.recv_with_peer().unwrap();
        assert_eq!(text(&received, "Socket-Type"), Some("ROUTER"));
        assert_eq!(text(&received, "Identity"), Some(""));
        assert_eq!(received.property("X-Hello"), None);
    }
}

#[test]
fn it_comes_with_where_the_peer_is() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (push, pull) = couple(&context, endpoint, SocketType::Push, SocketType::Pull);
        push.send("x").unwrap();
        let received = pull.recv_with_peer().unwrap();
        let address = text(&received, "Peer-Address");
        match endpoint.split_once(':').unwrap().0 {
            "tcp" | "ws" => assert_eq!(address, Some("127.0.0.1")),
            "ipc" => assert!(address.unwrap().starts_with("localhost"), "{address:?}"),
            _ => assert_eq!(address, None),
        }
        // Types that have no name to tell do not tell it.
        assert_eq!(received.property("Identity"), None);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_peer_that_was_accepted_over_ipc_is_told_by_its_user_group_and_process() {
    use std::os::unix::fs::MetadataExt;

    let me = std::fs::metadata("/proc/self").unwrap();
    let context = context();
    let (pull, push) = couple(&context, "ipc://*", SocketType::Pull, SocketType::Push);
    push.send("x").unwrap();
    let expected = format!("localhost:{}:{}:{}", me.uid(), me.gid(), std::process::id());
    assert_eq!(text(&pull.recv_with_peer().unwrap(), "Peer-Address"), Some(&*expected));
}

#[test]
fn options_of_frames_have_the_numbers_of_libzmq() {
    let numbers: Vec<_> = message_options().iter().map(|info| (info.constant, info.id)).collect();
    assert_eq!(numbers, [("ZMQ_MORE", 1), ("ZMQ_SRCFD", 2), ("ZMQ_SHARED", 3)]);
    for endpoint in TRANSPORTS {
        let context = context();
        let (pull, push) = couple(&context, endpoint, SocketType::Pull, SocketType::Push);
        let large = Frame::from(vec![7; 100_000]);
        push.send([Frame::from("small"), large].into_iter().collect::<Message>()).unwrap();
        let received = pull.recv_with_peer().unwrap();
        assert_eq!((received.option(0, 1).unwrap(), received.option(1, 1).unwrap()), (1, 0));
        assert_eq!(received.option(0, 3).unwrap(), 0);
        let clone = received.message.clone();
        assert_eq!((received.option(1, 3).unwrap(), clone[1].is_shared()), (1, true));
        for (frame, id) in [(0, 0), (0, 4), (0, -1), (2, 1)] {
            assert_eq!(errno(received.option(frame, id)), "EINVAL");
        }
        let source = received.option(0, 2);
        if endpoint.starts_with("inproc") {
            assert_eq!(errno(source), "EINVAL");
        } else if cfg!(unix) {
            assert!(source.unwrap() > 2);
        }
    }
    assert!(!Frame::from(vec![7; 1000]).is_shared());
}

/// Its number leads to the system's socket.
#[cfg(target_os = "linux")]
#[test]
fn the_source_descriptor_is_that_of_the_connection() {
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", SocketType::Pull, SocketType::Push);
    push.send("x").unwrap();
    let source = pull.recv_with_peer().unwrap().option(0, 2).unwrap();
    let link = std::fs::read_link(format!("/proc/self/fd/{source}")).unwrap();
    assert!(link.to_string_lossy().starts_with("socket:"), "{link:?}");
}

/// What was read and what not does not matter, nor that the connection is gone.
#[test]
fn a_message_keeps_to_the_connection_it_came_by() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let pull = socket(&context, SocketType::Pull);
    pull.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let monitor = pull.monitor();
    for round in 0..4_u8 {
        let (mut server, _) = listener.accept().unwrap();
        // The metadata tell the rounds apart.
        server_shakes_hands(&mut server, round);
        for number in 0..3 {
            std::io::Write::write_all(&mut server, &[0, 2, round, number]).unwrap();
        }
        let waiting = 3 * (usize::from(round) + 1) - usize::from(round);
        eventually("for the messages", || pull.peers()[0].statistics.queued_incoming == waiting);
        drop(server);
        let mut events = monitor.events();
        let lost = events.find(|event| event.kind.number() == 0x200);
        assert!(lost.is_some());
        eventually("for the end to be noted", || pull.peer_count() == 0);
        check_next(&pull, round);
    }
    for round in 4..12 {
        check_next(&pull, round);
    }
}

/// The `number`th message is of the round it should be, and so are its properties.
fn check_next(pull: &Socket, number: u8) {
    let received = pull.recv_with_peer().unwrap();
    assert_eq!(received.message[0][..], [number / 3, number % 3]);
    assert_eq!(received.property("X-round"), Some(&[number / 3][..]), "{number}");
}

/// What a PUSH with a property does.
fn server_shakes_hands(stream: &mut TcpStream, round: u8) {
    let mut greeting = Vec::new();
    let property = |name: &str, value: &[u8]| {
        let length = (value.len() as u32).to_be_bytes();
        [&[name.len() as u8][..], name.as_bytes(), &length, value].concat()
    };
    let ready =
        [b"\x05READY".to_vec(), property("Socket-Type", b"PUSH"), property("X-round", &[round])]
            .concat();
    greeting.extend([0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 0x7F, 3, 1]);
    greeting.extend(b"NULL");
    greeting.resize(64, 0);
    greeting.extend([4, ready.len() as u8]);
    greeting.extend(ready);
    std::io::Write::write_all(stream, &greeting).unwrap();
}

#[test]
fn every_pattern_knows_its_senders() {
    use SocketType::*;
    for endpoint in TRANSPORTS {
        for (receiver, sender) in [
            (Pull, Push),
            (Dealer, Dealer),
            (Router, Dealer),
            (Pair, Pair),
            (Rep, Req),
            (XPub, XSub),
            (XSub, XPub),
            (Sub, Pub),
            (Server, Client),
            (Gather, Scatter),
            (Channel, Channel),
            (Peer, Peer),
        ] {
            let context = context();
            let (socket_, endpoint) = bound(&context, receiver, endpoint);
            let other = socket(&context, sender);
            if receiver == Sub {
                socket_.subscribe("").unwrap();
            }
            if receiver == Peer {
                let id = other.connect_peer(&endpoint).unwrap();
                other.send(Message::from("user's").with_routing_id(id)).unwrap();
            } else {
                other.connect(&endpoint).unwrap();
                if receiver == XSub {
                    socket_.send("\u{1}").unwrap();
                    expect(&other, "\u{1}");
                }
                if receiver == Sub {
                    // Until the subscription is there.
                    while socket_.try_recv_with_peer().is_err() {
                        other.send("user's").unwrap();
                    }
                }
                other.send("user's").unwrap();
            }
            let received = socket_.recv_with_peer().unwrap();
            assert_eq!(received.message[received.message.len() - 1], "user's");
            assert_eq!(text(&received, "Socket-Type"), Some(sender.as_str()), "{receiver}");
        }
    }
}

/// Whatever order they come in, also where somebody looks before it receives.
#[test]
fn many_senders_are_told_apart() {
    for endpoint in STREAMS {
        for (receiver, sender) in
            [(SocketType::Router, SocketType::Dealer), (SocketType::Dealer, SocketType::Router)]
        {
            let context = context();
            let (socket_, endpoint) = bound(&context, receiver, endpoint);
            let names = ["a", "b", "c"];
            let senders = names.map(|name| {
                let other = socket(&context, sender);
                other.set_routing_id(name).unwrap();
                other.set_connect_routing_id("receiver").or_else(not_for_dealers).unwrap();
                other.connect(&endpoint).unwrap();
                other
            });
            await_peers(&socket_, 3);
            for round in 0..10 {
                for (name, other) in names.iter().zip(&senders) {
                    let mut message = Message::from(*name);
                    if sender == SocketType::Router {
                        message.push_front("receiver");
                    }
                    (0..round % 3).for_each(|_| other.send(message.clone()).unwrap());
                }
                for _ in 0..3 * (round % 3) {
                    eventually("for a message", || socket_.events().unwrap().contains(Events::IN));
                    let (name, body) = next(&socket_);
                    assert_eq!(body, Message::from(name));
                }
            }
        }
    }
}

fn not_for_dealers(error: Error) -> serverlink::Result<()> {
    if matches!(error, Error::InvalidOption { .. }) { Ok(()) } else { Err(error) }
}

/// CLIENT and the like receive in advance when they are asked whether they can.
#[test]
fn a_message_that_was_looked_for_keeps_its_sender() {
    let context = context();
    let (gather, endpoint) = bound(&context, SocketType::Gather, "tcp://127.0.0.1:*");
    let scatter = connected(&context, SocketType::Scatter, &endpoint);
    scatter.send("x").unwrap();
    eventually("for the message", || gather.events().unwrap().contains(Events::IN));
    drop(scatter);
    await_peers(&gather, 0);
    assert_eq!(text(&gather.recv_with_peer().unwrap(), "Socket-Type"), Some("SCATTER"));
    assert_eq!(errno(gather.try_recv_with_peer()), "EAGAIN");
}

#[test]
fn a_watched_socket_knows_its_senders_too() {
    let context = context();
    let (pull, push) = couple(&context, "tcp://127.0.0.1:*", SocketType::Pull, SocketType::Push);
    let _descriptor = pull.receive_descriptor().unwrap();
    push.send("x").unwrap();
    assert_eq!(text(&pull.recv_with_peer().unwrap(), "Socket-Type"), Some("PUSH"));
}

#[test]
fn it_waits_as_any_receive_does() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    assert_eq!(errno(pull.try_recv_with_peer()), "EAGAIN");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| pull.recv_with_peer().unwrap());
        let push = connected(&context, SocketType::Push, &endpoint);
        push.send("at last").unwrap();
        assert_eq!(waiting.join().unwrap().message[0], "at last");
    });
    let push = socket(&context, SocketType::Push);
    assert_eq!(errno(push.recv_with_peer()), "ENOTSUP");
}

/// A stream that speaks no ZMTP tells nothing; where it is is known all the same.
#[test]
fn a_streams_peer_is_known_by_its_address() {
    let context = context();
    let (stream, endpoint) = bound(&context, SocketType::Stream, "tcp://127.0.0.1:*");
    let _client = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    let received = stream.recv_with_peer().unwrap();
    assert_eq!(text(&received, "Peer-Address"), Some("127.0.0.1"));
    assert_eq!(received.property("Socket-Type"), None);
    assert_eq!(received.property("Identity"), None);
}

/// An XPUB receives what its subscribers asked for after they have left; then nobody is told.
#[test]
fn a_subscriber_that_left_is_not_known() {
    let context = context();
    let (xpub, endpoint) = bound(&context, SocketType::XPub, "tcp://127.0.0.1:*");
    let mut client = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    shake_hands(&mut client, "SUB");
    std::io::Write::write_all(&mut client, b"\0\x02\x01a").unwrap();
    eventually("for the subscription", || xpub.topics_count() == 1);
    drop(client);
    eventually("for its end", || xpub.peers().is_empty());
    let received = xpub.recv_with_peer().unwrap();
    assert_eq!((received.message, received.peer), (Message::from("\u{1}a"), None));
    // The next one is known as long as it is there.
    let sub = connected(&context, SocketType::Sub, &endpoint);
    sub.subscribe("b").unwrap();
    expect(&xpub, "\0a");
    let received = xpub.recv_with_peer().unwrap();
    assert_eq!(text(&received, "Socket-Type"), Some("SUB"));
}

/// Of a connection that has ended meanwhile, though there is another one.
#[test]
fn the_last_message_comes_with_what_its_own_sender_told() {
    let context = context();
    for endpoint in vacancies(&context) {
        let pushing = |name: &str| {
            let push = socket(&context, SocketType::Push);
            push.set_metadata(&[("X-name", name)]).unwrap();
            push
        };
        let first = pushing("first");
        bind_again(&first, &endpoint);
        let pull = socket(&context, SocketType::Pull);
        pull.set_conflate(true).unwrap();
        pull.connect(&endpoint).unwrap();
        first.send("from the first").unwrap();
        eventually("for it to come", || pull.events().unwrap().contains(Events::IN));
        drop(first);
        await_peers(&pull, 0);
        let second = pushing("second");
        bind_again(&second, &endpoint);
        await_peers(&pull, 1);
        let received = pull.recv_with_peer().unwrap();
        assert_eq!(received.message[0], "from the first");
        assert_eq!(text(&received, "X-name"), Some("first"), "over {endpoint}");
        second.send("from the second").unwrap();
        let received = pull.recv_with_peer().unwrap();
        assert_eq!(received.message[0], "from the second");
        assert_eq!(text(&received, "X-name"), Some("second"), "over {endpoint}");
    }
}
