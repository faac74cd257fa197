//! What is set holds for what is bound or connected later: what is bound or connected already is as it
//! was, also for those who come later.

#[cfg(target_os = "linux")]
use std::process::Command;
use std::{
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use serverlink::{
    Context, Frame, Message, MonitorEventKind, ReconnectStop, RouterNotify, Socket, SocketType,
};

use crate::{
    connection_options::ready_of,
    endpoints::ipv6,
    harness::{
        PATIENCE, await_peers, bind_again, bound, connected, context, eventually, expect,
        expect_nothing, expect_numbers, number, shake_hands, socket, vacant,
    },
};

/// Strangers who come to a socket bound before and after something was set, both of them after.
fn strangers(socket: &Socket, set: impl FnOnce(&Socket)) -> [TcpStream; 2] {
    let early = socket.bind("tcp://127.0.0.1:*").unwrap();
    set(socket);
    let late = socket.bind("tcp://127.0.0.1:*").unwrap();
    [early, late].map(|endpoint| {
        let stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    })
}

/// What comes to an end, which is that of the connection.
fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end, too.
    if let Err(error) = stream.read_to_end(&mut rest) {
        assert!(!matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    }
    rest
}

/// What is there without waiting; the connection is still open.
fn there(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_nonblocking(true).unwrap();
    let mut there = Vec::new();
    let error = stream.read_to_end(&mut there).expect_err("it is open");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    there
}

/// A PING, which is a short command, without the context that ends it.
fn ping(stream: &mut TcpStream) -> [u8; 7] {
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 4, "a short command");
    let mut body = vec![0; head[1].into()];
    stream.read_exact(&mut body).unwrap();
    body[..7].try_into().unwrap()
}

/// Receives a message of a ROUTER.
#[track_caller]
fn expect_from_somebody(router: &Socket, body: &str) -> Frame {
    let mut message = router.recv().unwrap();
    let id = message.pop_front().unwrap();
    assert_eq!(message, Message::from(body));
    id
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_name_and_the_properties_told() {
    let dealer = socket(&context(), SocketType::Dealer);
    let streams = strangers(&dealer, |dealer| {
        dealer.set_routing_id("the name").unwrap();
        dealer.set_metadata(&[("X-One", "property")]).unwrap();
    });
    for (mut stream, told) in streams.into_iter().zip([false, true]) {
        shake_hands(&mut stream, "DEALER");
        let ready = ready_of(&mut stream);
        assert_eq!(contains(&ready, b"the name"), told, "{}", ready.escape_ascii());
        assert_eq!(contains(&ready, b"X-One"), told, "{}", ready.escape_ascii());
    }
}

#[test]
fn the_largest_frame_taken() {
    let pull = socket(&context(), SocketType::Pull);
    let streams = strangers(&pull, |pull| pull.set_max_message_size(Some(3)).unwrap());
    let [_early, mut late] = streams.map(|mut stream| {
        shake_hands(&mut stream, "PUSH");
        stream.write_all(b"\0\x04long").unwrap();
        stream
    });
    expect(&pull, "long");
    rest(&mut late);
    expect_nothing(&pull);
    await_peers(&pull, 1);
}

#[test]
fn the_time_for_a_handshake() {
    let pull = socket(&context(), SocketType::Pull);
    let [mut early, mut late] = strangers(&pull, |pull| {
        pull.set_handshake_interval(Some(Duration::from_millis(30))).unwrap();
    });
    rest(&mut late);
    there(&mut early);
}

#[test]
fn heartbeats_and_how_long_they_are_waited_for() {
    let pull = socket(&context(), SocketType::Pull);
    let [mut early, mut late] = strangers(&pull, |pull| {
        pull.set_heartbeat_interval(Some(Duration::from_millis(30))).unwrap();
        pull.set_heartbeat_timeout(Some(Duration::from_millis(60))).unwrap();
        pull.set_heartbeat_ttl(Duration::from_millis(1299)).unwrap();
    });
    for stream in [&mut early, &mut late] {
        shake_hands(stream, "PUSH");
        ready_of(stream);
    }
    // Twelve tenths of a second; nobody answers.
    assert_eq!(ping(&mut late), *b"\x04PING\0\x0c");
    rest(&mut late);
    assert_eq!(there(&mut early), b"");
}

/// Without a time-out of their own, answers have the interval; zero is no limit.
#[test]
fn heartbeats_are_waited_for_as_long_as_the_interval_or_for_ever() {
    let pull = socket(&context(), SocketType::Pull);
    pull.set_heartbeat_interval(Some(Duration::from_millis(30))).unwrap();
    pull.set_heartbeat_timeout(Some(Duration::ZERO)).unwrap();
    let [mut patient, mut impatient] =
        strangers(&pull, |pull| pull.set_heartbeat_timeout(None).unwrap());
    for stream in [&mut patient, &mut impatient] {
        shake_hands(stream, "PUSH");
        ready_of(stream);
    }
    // The time to live is none.
    assert_eq!(ping(&mut impatient), *b"\x04PING\0\0");
    rest(&mut impatient);
    there(&mut patient);
}

#[test]
fn notices_of_streams() {
    let stream = socket(&context(), SocketType::Stream);
    let [mut early, mut late] =
        strangers(&stream, |stream| stream.set_stream_notify(false).unwrap());
    // In this order.
    early.write_all(b"x").unwrap();
    for body in ["", "x"] {
        assert_eq!(stream.recv().unwrap()[1], body);
    }
    late.write_all(b"y").unwrap();
    assert_eq!(stream.recv().unwrap()[1], "y");
}

#[test]
fn notices_of_routers_and_what_they_say_first_and_last() {
    let context = context();
    let router = socket(&context, SocketType::Router);
    let early = router.bind("tcp://127.0.0.1:*").unwrap();
    router.set_router_notify(RouterNotify { connect: true, disconnect: true }).unwrap();
    router.set_hello_message("hello").unwrap();
    router.set_disconnect_message("gone").unwrap();
    let late = router.bind("tcp://127.0.0.1:*").unwrap();
    let come = |endpoint: &str| {
        let dealer = connected(&context, SocketType::Dealer, endpoint);
        dealer.set_linger(None).unwrap();
        dealer.send("body").unwrap();
        dealer
    };
    drop(come(&early));
    expect_from_somebody(&router, "body");
    await_peers(&router, 0);
    let dealer = come(&late);
    for body in ["", "body"] {
        expect_from_somebody(&router, body);
    }
    expect(&dealer, "hello");
    drop(dealer);
    for body in ["", "gone"] {
        expect_from_somebody(&router, body);
    }
    // The one that came before has been told nothing.
    let dealer = come(&early);
    let mut answer = Message::from(expect_from_somebody(&router, "body"));
    answer.push_back("answer");
    router.send(answer).unwrap();
    expect(&dealer, "answer");
}

#[test]
fn what_a_dealer_hears_of_lost_connections() {
    let context = context();
    let dealer = socket(&context, SocketType::Dealer);
    let [early, late] = [(); 2].map(|()| vacant(&context));
    dealer.connect(&early).unwrap();
    dealer.set_hiccup_message("hiccup").unwrap();
    dealer.connect(&late).unwrap();
    for (endpoint, heard) in [(early, &["body"][..]), (late, &["body", "hiccup"])] {
        let other = socket(&context, SocketType::Dealer);
        other.set_linger(None).unwrap();
        bind_again(&other, &endpoint);
        other.send("body").unwrap();
        drop(other);
        heard.iter().for_each(|body| expect(&dealer, *body));
        await_peers(&dealer, 0);
        expect_nothing(&dealer);
    }
}

#[test]
fn when_connections_are_not_made_anew() {
    type Setter = fn(&Socket) -> serverlink::Result<()>;
    let stop: Setter = |it| {
        it.set_reconnect_stop(ReconnectStop { connection_refused: true, ..ReconnectStop::NEVER })
    };
    let never: Setter = |it| it.set_reconnect_interval(None);
    for set in [stop, never] {
        let context = context();
        let endpoint = vacant(&context);
        let push = socket(&context, SocketType::Push);
        push.set_send_high_water_mark(0).unwrap();
        let monitor = push.monitor();
        push.connect(&endpoint).unwrap();
        set(&push).unwrap();
        for _ in 0..3 {
            eventually("for another attempt", || {
                let event = monitor.recv_timeout(PATIENCE).expect("an event");
                matches!(event.kind, MonitorEventKind::ConnectRetried { .. })
            });
        }
        push.disconnect(&endpoint).unwrap();
        push.connect(&endpoint).unwrap();
        eventually("for it to give up", || push.try_send("x").is_err());
    }
}

#[test]
fn whether_only_the_last_message_waits() {
    let context = context();
    let push = socket(&context, SocketType::Push);
    let [early, late] = [(); 2].map(|()| vacant(&context));
    push.connect(&early).unwrap();
    push.set_conflate(true).unwrap();
    push.connect(&late).unwrap();
    (0..10).for_each(|n| push.try_send(number(n)).unwrap());
    // They take turns.
    let (pull, _) = bound(&context, SocketType::Pull, &early);
    expect_numbers(&pull, (0..10).step_by(2));
    let (pull, _) = bound(&context, SocketType::Pull, &late);
    expect_numbers(&pull, [9]);
}

/// The same for those who bind, and receive.
#[test]
fn whether_only_the_last_message_waits_to_be_received() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    let [mut early, mut late] = strangers(&pull, |pull| pull.set_conflate(true).unwrap());
    let come = |stream: &mut TcpStream, others: usize| {
        shake_hands(stream, "PUSH");
        await_peers(&pull, others + 1);
        let all = context.statistics().bytes_received + 30;
        (0..10).for_each(|n| stream.write_all(&[0, 1, n]).unwrap());
        eventually("for all to arrive", || context.statistics().bytes_received >= all);
    };
    come(&mut early, 0);
    (0..10).for_each(|n| expect(&pull, [n]));
    come(&mut late, 1);
    // It may be on its way from one thread to the other.
    eventually("for the last", || pull.recv().unwrap() == Message::from([9]));
    expect_nothing(&pull);
}

#[test]
fn through_which_proxy_one_connects() {
    let context = context();
    let endpoint = vacant(&context);
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = connected(&context, SocketType::Push, &endpoint);
    push.set_socks_proxy(Some(&proxy.local_addr().unwrap().to_string())).unwrap();
    // It is tried until somebody is there.
    let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
    push.send("directly").unwrap();
    expect(&pull, "directly");
    push.disconnect(&endpoint).unwrap();
    push.connect(&endpoint).unwrap();
    let (mut client, _) = proxy.accept().unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut asked = [0; 3];
    client.read_exact(&mut asked).unwrap();
    assert_eq!(asked, [5, 1, 0]);
}

/// What is bound to any address of IPv4 leaves its port to others in IPv6.
#[test]
fn whether_connections_come_by_ipv6() {
    if !ipv6() {
        return;
    }
    let pull = socket(&context(), SocketType::Pull);
    let early = pull.bind("tcp://*:*").unwrap();
    pull.set_ipv6(true).unwrap();
    let late = pull.bind("tcp://*:*").unwrap();
    let come = |endpoint: &str| {
        let port = endpoint.rsplit(':').next().unwrap();
        TcpStream::connect(format!("[::1]:{port}"))
    };
    assert_eq!(come(&early).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    let mut stranger = come(&late).unwrap();
    shake_hands(&mut stranger, "PUSH");
    await_peers(&pull, 1);
}

/// How many events and writes at once there are while something is done.
fn events(context: &Context, act: impl FnOnce()) -> u64 {
    let count = || context.statistics().completions + context.statistics().sends_at_once;
    let before = count();
    act();
    count() - before
}

#[test]
fn how_much_is_read_at_once() {
    const COUNT: usize = 400;
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    let streams = strangers(&pull, |pull| pull.set_in_batch_size(Some(250)).unwrap());
    let [early, late] = streams.map(|mut stream| {
        shake_hands(&mut stream, "PUSH");
        ready_of(&mut stream);
        let frame = [&[0, 250][..], &[7; 250]].concat();
        events(&context, || {
            stream.write_all(&frame.repeat(COUNT)).unwrap();
            (0..COUNT).for_each(|_| expect(&pull, vec![7; 250]));
        })
    });
    assert!(early < 100 && late >= 400, "{early} and {late} events for 100 kB");
}

#[test]
fn how_much_is_written_at_once() {
    const COUNT: usize = 200;
    let context = context();
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let push = socket(&context, SocketType::Push);
    for (listener, size) in listeners.iter().zip([None, Some(1000)]) {
        push.set_out_batch_size(size).unwrap();
        push.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    }
    // They wait for handshakes, as many for each.
    (0..2 * COUNT).for_each(|_| push.send(vec![7; 500]).unwrap());
    let [early, late] = listeners.map(|listener| {
        let (mut stream, _) = listener.accept().unwrap();
        events(&context, || {
            shake_hands(&mut stream, "PULL");
            ready_of(&mut stream);
            // Each has a long header.
            stream.read_exact(&mut vec![0; COUNT * 509]).unwrap();
        })
    });
    assert!(early < 50 && late >= 60, "{early} and {late} events for 100 kB");
}

/// A listener that takes nobody any more. Elsewhere a full one refuses, or holds as many as it likes.
#[cfg(target_os = "linux")]
#[test]
fn how_long_an_attempt_may_take() {
    let full = || {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        (TcpStream::connect(address).unwrap(), socket, format!("tcp://{address}"))
    };
    let (early, late) = (full(), full());
    let push = socket(&context(), SocketType::Push);
    let monitor = push.monitor();
    push.connect(&early.2).unwrap();
    push.set_connect_timeout(Some(Duration::from_millis(20))).unwrap();
    push.connect(&late.2).unwrap();
    for _ in 0..3 {
        eventually("for another attempt", || {
            let event = monitor.recv_timeout(PATIENCE).expect("an event");
            let retried = matches!(event.kind, MonitorEventKind::ConnectRetried { .. });
            assert!(!retried || event.endpoint == late.2, "{event:?}");
            retried
        });
    }
}

/// By what the kernel says of listening sockets (`ss(8)`): everybody is taken at once, so that nobody
/// is seen to wait.
#[cfg(target_os = "linux")]
#[test]
fn how_many_may_wait_to_be_accepted() {
    let pull = socket(&context(), SocketType::Pull);
    let early = pull.bind("tcp://127.0.0.1:*").unwrap();
    assert_ne!(pull.backlog(), 7);
    pull.set_backlog(7).unwrap();
    let late = pull.bind("tcp://127.0.0.1:*").unwrap();
    for (endpoint, backlog) in [(early, "100"), (late, "7")] {
        let port = endpoint.rsplit(':').next().unwrap();
        let listening = format!("sport = :{port}");
        let ss = Command::new("ss").args(["-H", "-l", "-t", "-n", &listening]).output();
        let output = ss.expect("ss, of the package iproute2, is there");
        let line = String::from_utf8(output.stdout).unwrap();
        // The state, how many wait, and how many may.
        let columns: Vec<_> = line.split_whitespace().collect();
        assert_eq!(columns.get(2), Some(&backlog), "{line}");
    }
}
