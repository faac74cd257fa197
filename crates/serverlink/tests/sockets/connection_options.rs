//! What the options of connections do.

use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use serverlink::{Context, MonitorEventKind, ReconnectStop, Socket, SocketType};

use crate::harness::{
    PATIENCE, TRANSPORTS, await_peers, bind_again, connected, context, couple, errno, eventually,
    expect, expect_nothing, expect_numbers, number, scaled, socket, vacancies,
};

/// What is between two marks in what a peer sends when it connects.
pub(crate) fn ready_of(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut greeting = [0; 64];
    stream.read_exact(&mut greeting).unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 4, "a short command");
    let mut body = vec![0; usize::from(head[1])];
    stream.read_exact(&mut body).unwrap();
    body
}

#[test]
fn peers_see_the_properties_of_a_socket() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = socket(&context, SocketType::Push);
    push.set_metadata(&[("X-One", "1"), ("X-Other", "two")]).unwrap();
    push.set_option(95, b"X-Third:a:b").unwrap();
    // The first of a name stays, as in libzmq.
    push.set_option(95, b"X-One:again").unwrap();
    assert_eq!(push.metadata().len(), 3);
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&[0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3]).unwrap();
    let ready = ready_of(&mut stream);
    for property in
        [&b"\x05X-One\0\0\0\x011"[..], b"\x07X-Other\0\0\0\x03two", b"\x07X-Third\0\0\0\x03a:b"]
    {
        let there = ready.windows(property.len()).any(|window| window == property);
        assert!(there, "{} in {}", property.escape_ascii(), ready.escape_ascii());
    }
}

#[test]
fn properties_that_no_handshake_could_carry_are_refused() {
    let socket = socket(&context(), SocketType::Push);
    let (long, longer) = ("x".repeat(32_000), "x".repeat(33_000));
    let name = format!("X-{}", "n".repeat(254));
    socket.set_metadata(&[("X-a", &long)]).unwrap();
    for metadata in [
        &[("X-a", &longer[..])][..],
        &[(&name, "1")],
        &[("a", "1")],
        &[("X-a", "")],
        &[("X-a:b", "1")],
        &[("X-a", "1"), ("x-A", "2")],
        &[("X-a", "1"), ("X-A", "2")],
    ] {
        assert_eq!(errno(socket.set_metadata(metadata)), "EINVAL");
    }
    assert_eq!(socket.metadata()[0].1.len(), 32_000);
}

#[test]
fn only_the_last_message_waits_to_be_received() {
    const COUNT: u32 = scaled(5000);
    for endpoint in TRANSPORTS {
        for (receives, sends) in [
            (SocketType::Pull, SocketType::Push),
            (SocketType::Sub, SocketType::XPub),
            (SocketType::Dealer, SocketType::Dealer),
        ] {
            let context = context();
            let receiver = socket(&context, receives);
            receiver.set_conflate(true).unwrap();
            receiver.set_receive_high_water_mark(1).unwrap();
            if receives == SocketType::Sub {
                receiver.subscribe("").unwrap();
            }
            let sender = socket(&context, sends);
            sender.set_send_high_water_mark(0).unwrap();
            // Within the process the one that connects decides.
            receiver.connect(&sender.bind(endpoint).unwrap()).unwrap();
            await_peers(&sender, 1);
            if sends == SocketType::XPub {
                sender.recv().unwrap();
            }
            let before = context.statistics().bytes_received;
            for n in 0..COUNT {
                sender.send(number(n)).unwrap();
            }
            if !endpoint.starts_with("inproc") {
                // A frame is two bytes and the four of the number.
                let all = before + u64::from(COUNT) * 6;
                eventually("for all to arrive", || context.statistics().bytes_received >= all);
            }
            // It may be on its way from one thread to the other.
            eventually("for the last", || receiver.recv().unwrap() == number(COUNT - 1));
            expect_nothing(&receiver);
            sender.send("again").unwrap();
            expect(&receiver, "again");
        }
    }
}

#[test]
fn only_the_last_message_waits_to_be_sent() {
    let context = context();
    let mut endpoints = vacancies(&context);
    endpoints.push("inproc://not-yet".to_owned());
    for endpoint in endpoints {
        for (sends, receives) in
            [(SocketType::Push, SocketType::Pull), (SocketType::Dealer, SocketType::Dealer)]
        {
            let sender = socket(&context, sends);
            sender.set_conflate(true).unwrap();
            sender.set_send_high_water_mark(1).unwrap();
            sender.connect(&endpoint).unwrap();
            for n in 0..100 {
                sender.try_send(number(n)).unwrap();
            }
            let receiver = socket(&context, receives);
            bind_again(&receiver, &endpoint);
            expect_numbers(&receiver, [99]);
            sender.send("next").unwrap();
            expect(&receiver, "next");
            expect_nothing(&receiver);
        }
    }
}

#[test]
fn subscriptions_are_not_conflated() {
    for endpoint in TRANSPORTS {
        let context = context();
        let publisher = socket(&context, SocketType::Pub);
        publisher.set_conflate(true).unwrap();
        let endpoint = publisher.bind(endpoint).unwrap();
        let sub = socket(&context, SocketType::Sub);
        sub.set_conflate(true).unwrap();
        for topic in ["a", "b", "c"] {
            sub.subscribe(topic).unwrap();
        }
        sub.connect(&endpoint).unwrap();
        eventually("for the topics", || publisher.topics_count() == 3);
        publisher.send("b").unwrap();
        expect(&sub, "b");
    }
}

#[test]
fn what_waits_last_is_received_though_its_sender_has_left() {
    for endpoint in TRANSPORTS {
        let context = context();
        let pull = socket(&context, SocketType::Pull);
        pull.set_conflate(true).unwrap();
        let (push, endpoint) = crate::harness::bound(&context, SocketType::Push, endpoint);
        push.set_linger(Some(PATIENCE)).unwrap();
        pull.connect(&endpoint).unwrap();
        await_peers(&push, 1);
        push.send("last word").unwrap();
        drop(push);
        await_peers(&pull, 0);
        expect(&pull, "last word");
        expect_nothing(&pull);
    }
}

#[test]
fn a_sender_that_has_left_is_forgotten_with_what_waited_last() {
    for endpoint in TRANSPORTS {
        let context = context();
        let pull = socket(&context, SocketType::Pull);
        pull.set_conflate(true).unwrap();
        let push = connected(&context, SocketType::Push, &pull.bind(endpoint).unwrap());
        push.set_linger(Some(PATIENCE)).unwrap();
        await_peers(&pull, 1);
        await_peers(&push, 1);
        push.send("last word").unwrap();
        drop(push);
        await_peers(&pull, 0);
        expect(&pull, "last word");
        assert_eq!(pull.peers().len(), 0, "{endpoint}");
    }
}

#[test]
fn all_wait_where_nothing_is_conflated() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (pull, push) = couple(&context, endpoint, SocketType::Pull, SocketType::Push);
        (0..100).for_each(|n| push.send(number(n)).unwrap());
        expect_numbers(&pull, 0..100);
        drop(connected(&context, SocketType::Push, &pull.last_endpoint().unwrap()));
    }
}

/// Reads so many bytes.
fn read<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut bytes = [0; N];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// A proxy that wants `method`, and connects one client to `target` whatever that asks for. Returns
/// what it was asked for after the greeting.
fn proxy(listener: &TcpListener, method: u8, target: &str) -> Vec<u8> {
    let (mut client, _) = listener.accept().unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(read(&mut client), [5, 1, method]);
    client.write_all(&[5, method]).unwrap();
    let mut asked = Vec::new();
    if method == 2 {
        for _ in 0..2 {
            // The version, or nothing, and a text.
            let [length] =
                if asked.is_empty() { [read::<2>(&mut client)[1]] } else { read(&mut client) };
            let mut text = vec![0; length.into()];
            client.read_exact(&mut text).unwrap();
            asked.extend([&text[..], b" "].concat());
        }
        client.write_all(&[1, 0]).unwrap();
    }
    let [version, command, _, kind] = read(&mut client);
    assert_eq!((version, command), (5, 1));
    let length = if kind == 3 { read::<1>(&mut client)[0] } else { 4 };
    let mut address = vec![0; usize::from(length) + 2];
    client.read_exact(&mut address).unwrap();
    asked.extend(&address[..usize::from(length)]);
    let mut server = TcpStream::connect(target).unwrap();
    // Byte by byte, as a slow one might.
    for byte in [5, 0, 0, 1, 127, 0, 0, 1, 0, 0] {
        client.write_all(&[byte]).unwrap();
    }
    let (mut from_client, mut to_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    from_client.set_read_timeout(None).unwrap();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_client, &mut to_server);
        let _ = to_server.shutdown(std::net::Shutdown::Both);
    });
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut server, &mut client);
        let _ = client.shutdown(std::net::Shutdown::Both);
    });
    asked
}

#[test]
fn a_proxy_connects_sockets() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    for &scheme in if cfg!(feature = "wss") { &["tcp", "ws", "wss"][..] } else { &["tcp", "ws"] } {
        let rep = crate::web::server(&context, SocketType::Rep);
        let endpoint = rep.bind(&format!("{scheme}://127.0.0.1:*")).unwrap();
        let target = endpoint.split('/').nth(2).unwrap();
        for (name, host, asked) in [
            (None, "127.0.0.1", &[127, 0, 0, 1][..]),
            // No name server knows it: the proxy does.
            (None, "inside.invalid", b"inside.invalid"),
            (Some("me"), "inside.invalid", b"me secret inside.invalid"),
        ] {
            let req = crate::web::client(&context, SocketType::Req);
            req.set_wss_hostname(Some("localhost")).unwrap();
            req.set_socks_proxy(Some(&listener.local_addr().unwrap().to_string())).unwrap();
            req.set_socks_username(name).unwrap();
            req.set_socks_password(name.map(|_| "secret")).unwrap();
            req.connect(&format!("{scheme}://{host}:9")).unwrap();
            req.send("question").unwrap();
            assert_eq!(proxy(&listener, if name.is_some() { 2 } else { 0 }, target), asked);
            expect(&rep, "question");
            rep.send("answer").unwrap();
            expect(&req, "answer");
        }
    }
}

/// A PUSH that is to connect through a proxy, and not again once a handshake has failed.
fn by_proxy(context: &Context, proxy: &TcpListener) -> Socket {
    let push = socket(context, SocketType::Push);
    push.set_socks_proxy(Some(&proxy.local_addr().unwrap().to_string())).unwrap();
    push.set_reconnect_stop(ReconnectStop { handshake_failed: true, ..ReconnectStop::default() })
        .unwrap();
    push
}

#[test]
fn a_proxy_that_refuses_is_asked_again() {
    let context = context();
    let (pull, endpoint) = crate::harness::bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let target = endpoint.strip_prefix("tcp://").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // Nobody shakes hands with a proxy: its refusal is a failed attempt to connect.
    let push = by_proxy(&context, &listener);
    let monitor = push.monitor();
    push.connect("tcp://inside.invalid:9").unwrap();
    push.send("kept").unwrap();
    for _ in 0..3 {
        let (mut client, _) = listener.accept().unwrap();
        assert_eq!(read(&mut client), [5, 1, 0]);
        client.write_all(&[5, 0xFF]).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0, "it leaves");
    }
    proxy(&listener, 0, target);
    expect(&pull, "kept");
    let mut told = Vec::new();
    while !matches!(told.last(), Some(MonitorEventKind::HandshakeSucceeded(_))) {
        told.push(monitor.recv_timeout(PATIENCE).unwrap().kind);
    }
    let count = |kind: fn(&MonitorEventKind) -> bool| told.iter().filter(|it| kind(it)).count();
    assert_eq!(count(|kind| matches!(kind, MonitorEventKind::Closed)), 3, "{told:?}");
    assert_eq!(
        count(|kind| matches!(kind, MonitorEventKind::ConnectRetried { .. })),
        3,
        "{told:?}"
    );
    assert_eq!(count(|kind| matches!(kind, MonitorEventKind::Connected)), 1, "{told:?}");
    let failed = |kind: &_| {
        matches!(kind, MonitorEventKind::HandshakeFailed(_) | MonitorEventKind::Disconnected)
    };
    assert!(!told.iter().any(failed), "{told:?}");
}

/// The time for the handshake is that of the peer, who is not there before.
#[test]
fn a_proxy_may_take_longer_than_a_handshake() {
    const HANDSHAKE: Duration = Duration::from_secs(2);
    let context = context();
    let (pull, endpoint) = crate::harness::bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let target = endpoint.strip_prefix("tcp://").unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = by_proxy(&context, &listener);
    push.set_handshake_interval(Some(HANDSHAKE)).unwrap();
    push.connect("tcp://inside.invalid:9").unwrap();
    push.send("late").unwrap();
    // Who began later has waited in vain by then.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = socket(&context, SocketType::Push);
    other.set_handshake_interval(Some(HANDSHAKE)).unwrap();
    let monitor = other.monitor();
    other.connect(&format!("tcp://{}", silent.local_addr().unwrap())).unwrap();
    while !matches!(
        monitor.recv_timeout(PATIENCE).unwrap().kind,
        MonitorEventKind::HandshakeFailed(_) | MonitorEventKind::HandshakeFailedProtocol { .. }
    ) {}
    proxy(&listener, 0, target);
    expect(&pull, "late");
}

#[test]
fn a_proxy_takes_as_long_as_connecting_may() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = by_proxy(&context, &listener);
    push.set_connect_timeout(Some(Duration::from_millis(50))).unwrap();
    push.connect("tcp://inside.invalid:9").unwrap();
    for _ in 0..2 {
        // It is told nothing, and is left for another attempt.
        let (mut client, _) = listener.accept().unwrap();
        assert_eq!(read(&mut client), [5, 1, 0]);
        assert_eq!(client.read(&mut [0]).unwrap_or(0), 0, "it leaves");
    }
}

#[test]
fn a_proxy_that_is_none_is_refused_at_once() {
    let context = context();
    for proxy in ["127.0.0.1", "127.0.0.1:*", "a b:1", "1.2.3.4:5;1.2.3.4:5"] {
        let socket = socket(&context, SocketType::Push);
        socket.set_socks_proxy(Some(proxy)).unwrap();
        assert_eq!(errno(socket.connect("tcp://127.0.0.1:9")), "EINVAL", "{proxy}");
        // It is for TCP only.
        socket.connect("inproc://unaffected").unwrap();
    }
}

#[test]
fn connections_come_from_where_they_are_told() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = listener.local_addr().unwrap();
    let push = socket(&context, SocketType::Push);
    // Every system has this one; of the others within 127.0.0.0/8 some have none.
    let from = if cfg!(any(target_os = "linux", windows)) { "127.0.0.9" } else { "127.0.0.1" };
    let endpoint = format!("tcp://{from}:*;{to}");
    push.connect(&endpoint).unwrap();
    assert_eq!(push.last_endpoint(), Some(endpoint.clone()));
    let (_stream, peer) = listener.accept().unwrap();
    assert_eq!(peer.ip().to_string(), from);
    push.disconnect(&endpoint).unwrap();
    // A port, too: one that was free just now.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let other = socket(&context, SocketType::Push);
    other.connect(&format!("tcp://{free};{to}")).unwrap();
    let (_stream, peer) = listener.accept().unwrap();
    assert_eq!(peer, free);
    assert_eq!(errno(other.bind("tcp://127.0.0.1:*;127.0.0.1:*")), "EINVAL");
}

#[test]
fn batches_have_the_sizes_they_are_told() {
    let context = context();
    let completions = |in_batch, out_batch| {
        let pull = socket(&context, SocketType::Pull);
        pull.set_in_batch_size(in_batch).unwrap();
        let push = socket(&context, SocketType::Push);
        push.set_out_batch_size(out_batch).unwrap();
        let endpoint = crate::harness::vacant(&context);
        push.connect(&endpoint).unwrap();
        for _ in 0..200 {
            push.send(vec![7; 500]).unwrap();
        }
        let before = context.statistics();
        bind_again(&pull, &endpoint);
        for _ in 0..200 {
            expect(&pull, vec![7; 500]);
        }
        let after = context.statistics();
        (after.completions - before.completions, after.sends_at_once - before.sends_at_once)
    };
    // 100 kB in all: 400 receives, or 100 sends, and some for the connection.
    let (received, _) = completions(Some(250), None);
    assert!(received >= 400, "{received} events");
    let (plain, at_once) = completions(None, None);
    assert!(plain < 100 && at_once < 30, "{plain} events, {at_once} sends");
    let (events, at_once) = completions(None, Some(1000));
    assert!(events + at_once >= 60, "{events} events, {at_once} sends");
}

#[test]
fn io_threads_serve_whom_they_are_told_to() {
    let context = serverlink::Context::builder().io_threads(2).build().unwrap();
    let none = socket(&context, SocketType::Push);
    none.set_affinity(0b100).unwrap();
    assert_eq!(errno(none.connect("tcp://127.0.0.1:9")), "EINVAL");
    assert_eq!(errno(none.bind("tcp://127.0.0.1:*")), "EINVAL");
    for affinity in [0b1, 0b10, 0b11, u64::MAX] {
        let [pull, push] = [SocketType::Pull, SocketType::Push].map(|socket_type| {
            let socket = socket(&context, socket_type);
            socket.set_affinity(affinity).unwrap();
            socket
        });
        push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        push.send("served").unwrap();
        expect(&pull, "served");
    }
}

/// Whether who connects is greeted, and not turned away.
fn greets(endpoint: &str) -> bool {
    let mut stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    loop {
        match stream.read(&mut [0]) {
            Ok(length) => return length > 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted
                ) =>
            {
                return false;
            }
            Err(error) => panic!("neither a greeting nor an end: {error}"),
        }
    }
}

#[test]
fn peers_may_connect_from_where_they_are_told_to() {
    let context = context();
    for (filter, welcome) in [
        (&[][..], true),
        (&["127.0.0.1"], true),
        (&["10.0.0.0/8", "127.0.0.0/8"], true),
        (&["127.0.0.2/31"], false),
        (&["::1", "10.0.0.0/8"], false),
    ] {
        let pull = socket(&context, SocketType::Pull);
        pull.set_tcp_accept_filter(filter).unwrap();
        let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
        assert_eq!(greets(&endpoint), welcome, "{filter:?}");
        // By number they are added, and taken away.
        pull.set_option(38, b"127.0.0.1/32").unwrap();
        assert_eq!(pull.tcp_accept_filter().len(), filter.len() + 1);
        assert!(greets(&pull.bind("tcp://127.0.0.1:*").unwrap()));
        pull.set_option(38, b"").unwrap();
        assert!(pull.tcp_accept_filter().is_empty());
        assert_eq!(greets(&endpoint), welcome, "{filter:?} holds for what was bound before");
    }
    let pull = socket(&context, SocketType::Pull);
    let error = pull.set_tcp_accept_filter(&["127.0.0.1", "localhost"]).unwrap_err();
    assert!(error.to_string().contains("tcp_accept_filter"), "{error}");
}

#[test]
fn who_is_turned_away_does_not_harm_the_others() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.set_ipv6(true).unwrap();
    pull.set_tcp_accept_filter(&["127.0.0.1"]).unwrap();
    // An address of IPv4 is one, whatever the socket takes besides.
    let port = pull.bind("tcp://*:*").unwrap().rsplit(':').next().unwrap().to_owned();
    let push = connected(&context, SocketType::Push, &format!("tcp://127.0.0.1:{port}"));
    push.send("first").unwrap();
    expect(&pull, "first");
    if let Ok(stream) = TcpStream::connect(format!("[::1]:{port}")) {
        drop(stream);
        assert!(!greets(&format!("tcp://[::1]:{port}")));
    }
    push.send("second").unwrap();
    expect(&pull, "second");
}

/// `ZMQ_IPV4ONLY`.
#[test]
fn an_option_of_old_is_the_opposite_of_another() {
    let socket = socket(&context(), SocketType::Pair);
    socket.set_option(31, &0i32.to_ne_bytes()).unwrap();
    assert!(socket.ipv6());
    socket.set_ipv6(false).unwrap();
    assert_eq!(socket.option(31).unwrap(), 1i32.to_ne_bytes());
}

/// That packets go another way cannot be seen from without, and neither Wine nor a later Windows has
/// them do so; nor does any other system. What can be seen is that asking for it does no harm.
#[test]
fn connections_come_about_with_the_short_way_and_without() {
    for ends in [[true, true], [true, false], [false, true]] {
        let context = context();
        let [pull, push] = [SocketType::Pull, SocketType::Push].map(|it| socket(&context, it));
        for (socket, asks) in [&pull, &push].into_iter().zip(ends) {
            socket.set_loopback_fast_path(asks).unwrap();
            assert_eq!(socket.loopback_fast_path(), asks);
        }
        push.connect(&pull.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        push.send("passes").unwrap();
        expect(&pull, "passes");
    }
}
