//! STREAM: peers that speak no ZMTP.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use serverlink::{Context, Frame, Message, Socket, SocketType};

use crate::harness::{
    PATIENCE, STREAMS, await_peers, bound, connected, context, errno, eventually, expect,
    expect_nothing, frames, scaled, socket,
};

/// A STREAM that is bound, and where.
fn server(context: &Context) -> (Socket, String) {
    let (stream, endpoint) = bound(context, SocketType::Stream, "tcp://127.0.0.1:*");
    (stream, endpoint.replace("tcp://", ""))
}

fn client(address: &str) -> TcpStream {
    patient(TcpStream::connect(address).unwrap())
}

fn patient(client: TcpStream) -> TcpStream {
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.set_write_timeout(Some(PATIENCE)).unwrap();
    client
}

/// Somebody to connect to, and where.
fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

fn to(id: &Frame, bytes: impl Into<Frame>) -> Message {
    [id.clone(), bytes.into()].into_iter().collect()
}

/// The notification of a new connection, or of the end of one; whose it is.
#[track_caller]
fn notified(stream: &Socket) -> Frame {
    let message = stream.recv().unwrap();
    assert_eq!((message.len(), message[1].len()), (2, 0), "{message:?}");
    assert_eq!((message[0].len(), message[0][0]), (5, 0), "zero and four bytes");
    message[0].clone()
}

/// What comes from one peer, up to so many bytes.
#[track_caller]
fn read(stream: &Socket, id: &Frame, count: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < count {
        let message = stream.recv().unwrap();
        assert_eq!((message.len(), &message[0]), (2, id));
        assert!(!message[1].is_empty(), "the end after {} bytes", bytes.len());
        bytes.extend_from_slice(&message[1]);
    }
    bytes
}

fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n % 251) as u8).collect()
}

#[test]
fn there_is_nothing_on_the_wire_but_what_is_sent() {
    let context = context();
    let (stream, address) = server(&context);
    let mut client = client(&address);
    let id = notified(&stream);
    client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(read(&stream, &id, 18), b"GET / HTTP/1.0\r\n\r\n");
    stream.send(to(&id, "HTTP/1.0 200 OK\r\n")).unwrap();
    stream.send(to(&id, "\r\n")).unwrap();
    let mut answer = [0; 19];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.0 200 OK\r\n\r\n");
    drop(client);
    assert_eq!(notified(&stream), id);
    await_peers(&stream, 0);
    assert_eq!(errno(stream.send(to(&id, "too late"))), "EHOSTUNREACH");
}

#[test]
fn whoever_connects_reads_the_id_of_its_peer_first() {
    let context = context();
    let (listener, endpoint) = listener();
    let stream = connected(&context, SocketType::Stream, &endpoint);
    let mut peer = patient(listener.accept().unwrap().0);
    let id = notified(&stream);
    stream.send(to(&id, "hello")).unwrap();
    let mut hello = [0; 5];
    peer.read_exact(&mut hello).unwrap();
    assert_eq!(&hello, b"hello");
    peer.write_all(b"hello yourself").unwrap();
    assert_eq!(read(&stream, &id, 14), b"hello yourself");
}

#[test]
fn streams_talk_to_streams() {
    // They know of no WebSockets.
    for endpoint in STREAMS.into_iter().filter(|endpoint| !endpoint.starts_with("ws")) {
        let context = context();
        let (one, endpoint) = bound(&context, SocketType::Stream, endpoint);
        let other = connected(&context, SocketType::Stream, &endpoint);
        let (at_one, at_other) = (notified(&one), notified(&other));
        let large = pattern(1 << 20);
        for (from, from_id, into, into_id) in
            [(&one, &at_one, &other, &at_other), (&other, &at_other, &one, &at_one)]
        {
            from.send(to(from_id, large.clone())).unwrap();
            assert!(read(into, into_id, large.len()) == large);
        }
    }
}

#[test]
fn an_empty_frame_ends_the_connection_once_everything_is_sent() {
    let context = context();
    let (stream, address) = server(&context);
    let (mut first, first_id) = (client(&address), notified(&stream));
    let (mut second, second_id) = (client(&address), notified(&stream));
    assert_ne!(first_id, second_id);
    // More than the system takes at once.
    let large = pattern(8 << 20);
    stream.send(to(&first_id, large.clone())).unwrap();
    stream.send(to(&first_id, "the end")).unwrap();
    stream.send(to(&first_id, "")).unwrap();
    assert_eq!(errno(stream.send(to(&first_id, "more"))), "EHOSTUNREACH");
    let mut received = Vec::new();
    first.write_all(b"nobody wants this any more").unwrap();
    first.read_to_end(&mut received).unwrap();
    assert!(received == [&large[..], b"the end"].concat(), "{} bytes", received.len());
    drop(first);
    await_peers(&stream, 1);
    second.write_all(b"marker").unwrap();
    assert_eq!(read(&stream, &second_id, 6), b"marker");
    expect_nothing(&stream);
}

#[test]
fn a_connection_that_the_user_ended_is_not_made_anew() {
    let context = context();
    let (listener, endpoint) = listener();
    let stream = connected(&context, SocketType::Stream, &endpoint);
    let mut peer = patient(listener.accept().unwrap().0);
    let id = notified(&stream);
    stream.send(to(&id, "")).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    drop(peer);
    await_peers(&stream, 0);
    // Whoever comes next is the marker.
    let marker = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let next = listener.accept().unwrap().1;
    assert_eq!(next, marker.local_addr().unwrap());
    stream.disconnect(&endpoint).unwrap();
}

#[test]
fn a_connection_that_is_lost_after_the_user_ended_it_is_not_made_anew() {
    let context = context();
    for socket_type in [SocketType::Stream, SocketType::Router] {
        let (listener, endpoint) = listener();
        let stream = socket(&context, socket_type);
        if socket_type == SocketType::Router {
            stream.set_router_raw(true).unwrap();
        }
        stream.set_reconnect_interval(Some(Duration::from_millis(1))).unwrap();
        stream.connect(&endpoint).unwrap();
        let peer = listener.accept().unwrap().0;
        let id = notified(&stream);
        // More than the system takes at once, of which the peer reads nothing.
        stream.send(to(&id, pattern(32 << 20))).unwrap();
        stream.send(to(&id, "")).unwrap();
        drop(peer);
        await_peers(&stream, 0);
        // Another that is lost is made anew, and much later than it would be.
        let (other, endpoint) = self::listener();
        stream.set_reconnect_interval(Some(Duration::from_millis(100))).unwrap();
        stream.connect(&endpoint).unwrap();
        drop(other.accept().unwrap());
        other.accept().unwrap();
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock, "{socket_type}");
    }
}

#[test]
fn notifications_can_be_turned_off() {
    let context = context();
    let stream = socket(&context, SocketType::Stream);
    stream.set_stream_notify(false).unwrap();
    let address = stream.bind("tcp://127.0.0.1:*").unwrap().replace("tcp://", "");
    for _ in 0..3 {
        let mut client = client(&address);
        client.write_all(b"x").unwrap();
        let message = stream.recv().unwrap();
        assert_eq!(message[1], "x");
        drop(client);
        await_peers(&stream, 0);
        expect_nothing(&stream);
    }
}

#[test]
fn what_was_sent_before_the_end_comes_before_it() {
    let context = context();
    let (stream, address) = server(&context);
    let mut client = client(&address);
    let large = pattern(3 << 20);
    thread::scope(|scope| {
        scope.spawn(|| {
            client.write_all(&large).unwrap();
            drop(client);
        });
        let id = notified(&stream);
        assert!(read(&stream, &id, large.len()) == large);
        assert_eq!(notified(&stream), id);
    });
}

#[test]
fn what_is_no_message_of_a_stream_comes_back() {
    let context = context();
    let (stream, address) = server(&context);
    let _client = client(&address);
    let id = notified(&stream);
    let mut three = to(&id, "a");
    three.push_back("b");
    for (message, reason) in [
        (Message::from(id), "EINVAL"),
        (three, "EINVAL"),
        (frames(["nobody", "x"]), "EHOSTUNREACH"),
        (frames(["nobody", ""]), "EHOSTUNREACH"),
    ] {
        let refused = stream.send(message.clone()).unwrap_err();
        assert_eq!((refused.message, refused.error.errno_name()), (message, reason));
    }
    for result in [stream.bind("inproc://stream").map(drop), stream.connect("inproc://stream")] {
        assert_eq!(errno(result), "ENOCOMPATPROTO");
    }
}

/// `ZMQ_ROUTER_RAW`.
#[test]
fn a_router_may_do_the_same() {
    let context = context();
    let router = socket(&context, SocketType::Router);
    router.set_router_raw(true).unwrap();
    router.set_probe_router(true).unwrap();
    let address = router.bind("tcp://127.0.0.1:*").unwrap().replace("tcp://", "");
    let (mut first, first_id) = (client(&address), notified(&router));
    let (mut second, second_id) = (client(&address), notified(&router));
    first.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(read(&router, &first_id, 18), b"GET / HTTP/1.0\r\n\r\n");
    router.send(to(&first_id, "HTTP/1.0 200 OK\r\n\r\n")).unwrap();
    router.send(to(&first_id, "")).unwrap();
    let mut received = Vec::new();
    first.write_all(b"nobody wants this any more").unwrap();
    first.read_to_end(&mut received).unwrap();
    assert_eq!(received, b"HTTP/1.0 200 OK\r\n\r\n");
    drop(first);
    await_peers(&router, 1);
    // To nobody, as ROUTERs have it.
    router.send(to(&first_id, "too late")).unwrap();
    router.set_router_mandatory(true).unwrap();
    assert_eq!(errno(router.send(to(&first_id, "too late"))), "EHOSTUNREACH");
    let mut three = to(&second_id, "a");
    three.push_back("b");
    let refused = router.send(three.clone()).unwrap_err();
    assert_eq!((refused.error.errno_name(), refused.message), ("EINVAL", three));
    second.write_all(b"marker").unwrap();
    assert_eq!(read(&router, &second_id, 6), b"marker");
    drop(second);
    assert_eq!(notified(&router), second_id);
    expect_nothing(&router);
}

#[test]
fn a_raw_router_that_connects_sends_nothing_but_bytes() {
    let context = context();
    let (listener, endpoint) = listener();
    let router = socket(&context, SocketType::Router);
    router.set_router_raw(true).unwrap();
    router.set_connect_routing_id("server").unwrap();
    router.connect(&endpoint).unwrap();
    router.send(frames(["server", "before anything comes"])).unwrap();
    let mut peer = patient(listener.accept().unwrap().0);
    let mut received = [0; 21];
    peer.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"before anything comes");
    expect(&router, frames(["server", ""]));
    peer.write_all(b"answer").unwrap();
    assert_eq!(read(&router, &Frame::from("server"), 6), b"answer");
    router.send(frames(["server", ""])).unwrap();
    assert_eq!(peer.read(&mut [0]).unwrap(), 0);
}

#[test]
fn what_a_router_speaks_holds_for_endpoints_bound_later() {
    let context = context();
    let router = socket(&context, SocketType::Router);
    let early = router.bind("tcp://127.0.0.1:*").unwrap();
    router.set_router_raw(true).unwrap();
    let late = router.bind("tcp://127.0.0.1:*").unwrap().replace("tcp://", "");
    router.set_router_raw(false).unwrap();
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_routing_id("dealer").unwrap();
    dealer.connect(&early).unwrap();
    dealer.send(frames(["a", "b"])).unwrap();
    expect(&router, frames(["dealer", "a", "b"]));
    let mut client = client(&late);
    let id = notified(&router);
    client.write_all(b"x").unwrap();
    assert_eq!(read(&router, &id, 1), b"x");
    router.send(to(&id, "y")).unwrap();
    router.send(frames(["dealer", "c", "d"])).unwrap();
    expect(&dealer, frames(["c", "d"]));
    let mut received = [0; 1];
    client.read_exact(&mut received).unwrap();
    assert_eq!(&received, b"y");
}

#[test]
fn a_slow_reader_bounds_what_its_peer_may_send() {
    const MARK: usize = 4;
    let context = context();
    let stream = socket(&context, SocketType::Stream);
    stream.set_receive_high_water_mark(MARK).unwrap();
    stream.set_receive_buffer(Some(64 * 1024)).unwrap();
    let address = stream.bind("tcp://127.0.0.1:*").unwrap().replace("tcp://", "");
    let mut client = client(&address);
    client.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let chunk = pattern(251 * 64);
    let mut sent = 0;
    let most = 64 << 20;
    while sent < most {
        match client.write(&chunk[sent % 251..]) {
            Ok(count) => sent += count,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
                break;
            }
        }
    }
    // The mark's worth of reads, of at most 128 KiB each, and what the system holds.
    assert!(sent < 20 << 20, "{sent} bytes for a mark of {MARK}");
    client.shutdown(Shutdown::Write).unwrap();
    let id = notified(&stream);
    assert!(read(&stream, &id, sent) == pattern(sent));
    assert_eq!(notified(&stream), id);
}

#[test]
fn a_slow_peer_bounds_what_may_be_sent_to_it() {
    const MARK: usize = 10;
    let context = context();
    let stream = socket(&context, SocketType::Stream);
    stream.set_send_high_water_mark(MARK).unwrap();
    let address = stream.bind("tcp://127.0.0.1:*").unwrap().replace("tcp://", "");
    let mut client = client(&address);
    let id = notified(&stream);
    let body = pattern(10_000);
    let mut sent = 0;
    // Who is refused once may find room a moment later.
    let refused = loop {
        match stream.try_send(to(&id, body.clone())) {
            Ok(()) => sent += 1,
            Err(refused) => break refused,
        }
        assert!(sent < 10_000, "nothing holds the sender up");
    };
    assert_eq!(refused.error.errno_name(), "EAGAIN");
    assert_eq!(refused.message, to(&id, body.clone()), "it comes back whole");
    thread::scope(|scope| {
        // One more, which waits for the peer.
        scope.spawn(|| stream.send(to(&id, body.clone())).unwrap());
        for n in 0..=sent {
            let mut received = vec![0; body.len()];
            client.read_exact(&mut received).unwrap();
            assert!(received == body, "message {n}");
        }
    });
}

#[test]
fn small_messages_of_a_stream_are_written_together() {
    let count = scaled(100_000) as usize;
    let context = context();
    let (stream, address) = server(&context);
    let client = client(&address);
    let id = notified(&stream);
    let operations = || {
        let statistics = context.statistics();
        statistics.sends_at_once + statistics.completions
    };
    // Made before: they have to follow each other within microseconds.
    let messages: Vec<_> = (0..count).map(|n| to(&id, format!("{n:09}\n"))).collect();
    let before = operations();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut received = vec![0; 10 * count];
            (&client).read_exact(&mut received).unwrap();
            let lines = received.chunks(10).zip(0..count);
            lines.for_each(|(line, n)| assert_eq!(line, format!("{n:09}\n").as_bytes()));
        });
        messages.into_iter().for_each(|message| stream.send(message).unwrap());
    });
    let writes = operations() - before;
    if !cfg!(windows) {
        assert!(writes < count as u64 / 4, "{writes} writes for {count} messages");
    }
}

#[test]
fn a_lost_connection_is_made_anew_without_the_rest_of_the_last_one() {
    let context = context();
    let (listener, endpoint) = listener();
    let stream = connected(&context, SocketType::Stream, &endpoint);
    let peer = patient(listener.accept().unwrap().0);
    let id = notified(&stream);
    // More than arrives: the peer reads nothing. As frames of ZMTP it would be a great many.
    let body = vec![0; 3000];
    while stream.try_send(to(&id, body.clone())).is_ok() {}
    drop(peer);
    let mut peer = patient(listener.accept().unwrap().0);
    assert_eq!(notified(&stream), id, "the end of the first");
    assert_eq!(notified(&stream), id, "the beginning of the second");
    stream.send(to(&id, "anew")).unwrap();
    let mut anew = [0; 4];
    peer.read_exact(&mut anew).unwrap();
    assert_eq!(&anew, b"anew");
}

#[test]
fn nobody_is_reached_while_the_connection_is_lost() {
    let context = context();
    let (listener, endpoint) = listener();
    let stream = connected(&context, SocketType::Stream, &endpoint);
    drop(listener.accept().unwrap());
    let id = notified(&stream);
    drop(listener);
    assert_eq!(notified(&stream), id);
    eventually("for the peer to be gone", || {
        stream.send(to(&id, "x")).is_err_and(|refused| refused.error.errno_name() == "EHOSTUNREACH")
    });
}

#[test]
fn threads_share_a_stream() {
    const CLIENTS: usize = 8;
    const ROUNDS: usize = 200;
    let context = context();
    let (stream, address) = server(&context);
    thread::scope(|scope| {
        for client_number in 0..CLIENTS {
            let mut client = client(&address);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let line = format!("{client_number:04} {round:04}\n");
                    client.write_all(line.as_bytes()).unwrap();
                    let mut echo = [0; 10];
                    client.read_exact(&mut echo).unwrap();
                    assert_eq!(&echo, line.as_bytes());
                }
            });
        }
        for _ in 0..4 {
            scope.spawn(|| {
                // Of each client one line at a time is on its way, whole or in pieces.
                while let Ok(message) = stream.recv_timeout(Duration::from_secs(1)) {
                    if !message[1].is_empty() {
                        stream.send(message).unwrap();
                    }
                }
            });
        }
    });
}

#[test]
fn peers_that_left_are_read_to_the_end_under_their_ids() {
    let context = context();
    let (stream, address) = server(&context);
    for name in ["one", "two", "three"] {
        client(&address).write_all(name.as_bytes()).unwrap();
    }
    await_peers(&stream, 0);
    let mut said = std::collections::HashMap::<Frame, Vec<Frame>>::new();
    for _ in 0..9 {
        let message = stream.recv().unwrap();
        said.entry(message[0].clone()).or_default().push(message[1].clone());
    }
    expect_nothing(&stream);
    assert_eq!(said.len(), 3);
    let mut names: Vec<_> = said
        .values()
        .map(|said| {
            assert_eq!((said.len(), said[0].len(), said[2].len()), (3, 0, 0));
            said[1].as_str().unwrap().to_owned()
        })
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["one", "three", "two"]);
}

#[test]
fn a_zmtp_peer_is_bytes_like_any_other() {
    let context = context();
    let (stream, address) = server(&context);
    let push = connected(&context, SocketType::Push, &format!("tcp://{address}"));
    let id = notified(&stream);
    // RFC 37: the signature.
    assert_eq!(read(&stream, &id, 10)[..10], [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f]);
    drop(push);
    eventually("for the end", || stream.recv().unwrap()[1].is_empty());
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let stranger = connected(&context, SocketType::Stream, &endpoint);
    let id = notified(&stranger);
    stranger.send(to(&id, "this is no greeting")).unwrap();
    eventually("to be thrown out", || stranger.recv().unwrap()[1].is_empty());
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("still served").unwrap();
    expect(&pull, "still served");
}
