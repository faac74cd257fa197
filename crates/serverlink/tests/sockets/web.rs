//! WebSockets, with TLS and without (RFC 45, RFC 6455).

#[cfg(feature = "wss")]
mod secure;

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    thread,
    time::Duration,
};

use serverlink::{
    Context, Error, Message, Monitor, MonitorEventKind, Socket, SocketType, curve_keypair,
};

use crate::harness::{
    PATIENCE, await_peers, bind_again, bound, connected, context, eventually, expect,
    expect_nothing, expect_numbers, frames, number, scaled, socket, vacant,
};
use crate::zap::next;

/// A certificate and its key, in PEM. Nobody but these tests trusts them.
struct Identity {
    certificate: &'static str,
    key: &'static str,
}

macro_rules! identity {
    ($name:literal) => {
        $crate::web::Identity {
            certificate: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/sockets/certificates/",
                $name,
                ".pem"
            )),
            key: include_str!(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/sockets/certificates/",
                $name,
                ".key.pem"
            )),
        }
    };
}
#[cfg(feature = "wss")]
use identity;

/// This machine.
const HERE: Identity = identity!("localhost");
/// A socket that can be bound to `wss://`.
pub(crate) fn server(context: &Context, socket_type: SocketType) -> Socket {
    let server = socket(context, socket_type);
    server.set_wss_cert_pem(Some(HERE.certificate)).unwrap();
    server.set_wss_key_pem(Some(HERE.key)).unwrap();
    server
}

/// One that trusts it.
pub(crate) fn client(context: &Context, socket_type: SocketType) -> Socket {
    let client = socket(context, socket_type);
    client.set_wss_trust_pem(Some(HERE.certificate)).unwrap();
    client
}

/// With TLS, where it is there, and without.
const ALL: &[&str] = if cfg!(feature = "wss") {
    &["ws://127.0.0.1:*", "wss://127.0.0.1:*/some/path?with=query"]
} else {
    &["ws://127.0.0.1:*"]
};

/// Why a handshake failed.
fn failure(monitor: &Monitor) -> String {
    loop {
        match monitor.recv_timeout(PATIENCE).expect("an event").kind {
            MonitorEventKind::HandshakeFailed(fault) => return fault.reason,
            MonitorEventKind::HandshakeFailedProtocol { code, reason } => {
                assert_eq!(code, 0x3000_0000, "as of WebSockets: {reason}");
                return reason;
            }
            MonitorEventKind::HandshakeSucceeded(_) => panic!("it succeeded"),
            _ => {}
        }
    }
}

#[test]
fn messages_of_all_sizes_pass_both_ways_whoever_connects() {
    for &endpoint in ALL {
        for client_connects in [true, false] {
            let context = context();
            let (binds, connects) = match client_connects {
                true => (SocketType::Router, SocketType::Dealer),
                false => (SocketType::Dealer, SocketType::Router),
            };
            let (one, other) = (server(&context, binds), client(&context, connects));
            for end in [&one, &other] {
                let _ = end.set_routing_id("me");
            }
            let bound = one.bind(endpoint).unwrap();
            assert!(bound.starts_with(&endpoint[..endpoint.find('*').unwrap()]), "{bound}");
            assert!(bound.ends_with(if endpoint.starts_with("wss") { "query" } else { "/" }));
            other.connect(&bound).unwrap();
            let (router, dealer) = if client_connects { (one, other) } else { (other, one) };
            for len in [0, 1, 124, 125, 126, 255, 256, 4_096, 65_534, 65_535, 70_000, 1_000_000] {
                let body: Vec<_> = (0..len).map(|at| (at % 251) as u8).collect();
                let message: Message = [b"".to_vec(), body.clone()].into_iter().collect();
                dealer.send(message.clone()).unwrap();
                let received = router.recv().unwrap();
                assert_eq!((&received[0][..], received.len()), (&b"me"[..], 3));
                assert!(received[2][..] == body, "{len}");
                router.send(received).unwrap();
                assert!(dealer.recv().unwrap() == message, "{len}");
            }
        }
    }
}

#[test]
fn a_stream_of_messages_keeps_its_order() {
    for &endpoint in ALL {
        let context = context();
        let pull = server(&context, SocketType::Pull);
        let push = client(&context, SocketType::Push);
        push.connect(&pull.bind(endpoint).unwrap()).unwrap();
        let count = scaled(50_000);
        thread::scope(|scope| {
            scope.spawn(|| (0..count).for_each(|n| push.send(number(n)).unwrap()));
            expect_numbers(&pull, 0..count);
        });
    }
}

/// What is encoded once for all is masked, or encrypted, for each.
#[test]
fn many_subscribers_get_what_they_subscribe_to() {
    for &endpoint in ALL {
        let context = context();
        let publisher = server(&context, SocketType::XPub);
        let web = publisher.bind(endpoint).unwrap();
        let tcp = publisher.bind("tcp://127.0.0.1:*").unwrap();
        let subscribers: Vec<_> = (0..10)
            .map(|n| {
                let subscriber = client(&context, SocketType::Sub);
                subscriber.subscribe(if n % 2 == 0 { "a" } else { "" }).unwrap();
                subscriber.connect(if n % 3 == 0 { &tcp } else { &web }).unwrap();
                subscriber
            })
            .collect();
        // Each topic is told of once.
        (0..2).for_each(|_| drop(publisher.recv().unwrap()));
        await_peers(&publisher, 10);
        eventually("for all to subscribe", || {
            publisher.send("a: are all there?").unwrap();
            subscribers.iter().all(|subscriber| subscriber.try_recv().is_ok())
        });
        let large = vec![b'a'; 100_000];
        for message in [Message::from("b: not for all"), large.into(), "a: last".into()] {
            publisher.send(message).unwrap();
        }
        for (n, subscriber) in subscribers.iter().enumerate() {
            let mut seen = Vec::new();
            while seen.last().is_none_or(|last: &Message| last[0] != "a: last") {
                let message = subscriber.recv().unwrap();
                if message[0] != "a: are all there?" {
                    seen.push(message);
                }
            }
            assert_eq!(seen.len(), if n % 2 == 0 { 2 } else { 3 });
        }
    }
}

#[test]
fn sockets_that_do_not_fit_are_not_joined() {
    for &endpoint in ALL {
        let context = context();
        let [pull, rep] = [SocketType::Pull, SocketType::Rep].map(|kind| server(&context, kind));
        let monitor = pull.monitor();
        let sub = client(&context, SocketType::Sub);
        sub.connect(&pull.bind(endpoint).unwrap()).unwrap();
        let code = next(&monitor, |kind| match kind {
            MonitorEventKind::HandshakeFailedProtocol { code, .. } => Some(*code),
            MonitorEventKind::HandshakeSucceeded(_) => panic!("{kind:?}"),
            _ => None,
        });
        assert_eq!(code, 0x1000_0018, "as libzmq tells it");
        assert_eq!((pull.peer_count(), sub.peer_count()), (0, 0));
        let req = client(&context, SocketType::Req);
        req.connect(&rep.bind(endpoint).unwrap()).unwrap();
        req.send("these fit").unwrap();
        expect(&rep, "these fit");
    }
}

#[test]
fn every_mechanism_works_on_them() {
    for &endpoint in ALL {
        let context = context();
        let pull = server(&context, SocketType::Pull);
        let push = client(&context, SocketType::Push);
        let keys = curve_keypair().unwrap();
        pull.set_curve_server(true).unwrap();
        pull.set_curve_secret_key(keys.secret).unwrap();
        push.set_curve_server_key(keys.public).unwrap();
        push.set_curve_secret_key(curve_keypair().unwrap().secret).unwrap();
        for end in [&pull, &push] {
            // They pass by the encryption.
            end.set_heartbeat_interval(Some(Duration::from_millis(5))).unwrap();
            end.set_heartbeat_timeout(Some(PATIENCE)).unwrap();
        }
        let bound = pull.bind(endpoint).unwrap();
        push.connect(&bound).unwrap();
        for n in 0..100 {
            push.send(frames(["secret", "frames"])).unwrap();
            expect(&pull, frames(["secret", "frames"]));
            push.send(vec![n; 10_000]).unwrap();
            expect(&pull, vec![n; 10_000]);
        }
        // A peer of another mechanism speaks none of the subprotocols.
        let other = client(&context, SocketType::Push);
        let monitor = other.monitor();
        other.connect(&bound).unwrap();
        let reason = failure(&monitor);
        assert!(reason.contains("400 Bad Request"), "{reason}");
    }
}

/// Its heartbeats are PING and PONG of the WebSocket.
#[test]
fn a_silent_peer_is_found_out_and_one_that_answers_is_not() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = socket(&context, SocketType::Push);
    push.set_heartbeat_interval(Some(Duration::from_millis(10))).unwrap();
    push.set_heartbeat_timeout(Some(Duration::from_millis(500))).unwrap();
    push.connect(&format!("ws://{}/", listener.local_addr().unwrap())).unwrap();
    let mut peer = Plain::accept(&listener, "PULL");
    for _ in 0..5 {
        // Masked, as everything that a client sends, and empty.
        let ping = peer.frame();
        assert_eq!((ping.opcode, &ping.payload[..]), (0x9, &b""[..]));
        peer.send(0xa, b"");
    }
    assert_eq!(push.peer_count(), 1);
    eventually("for it to be given up", || push.peer_count() == 0);
    // And we answer, with what was sent along.
    let mut peer = Plain::accept(&listener, "PULL");
    peer.send(0x9, b"are you there?");
    let pong = loop {
        let frame = peer.frame();
        if frame.opcode != 0x9 {
            break frame;
        }
    };
    assert_eq!((pong.opcode, &pong.payload[..]), (0xa, &b"are you there?"[..]));
}

/// A frame of a WebSocket.
struct RawFrame {
    opcode: u8,
    payload: Vec<u8>,
}

/// A peer that knows WebSockets, of the NULL mechanism or of none.
struct Plain {
    stream: BufReader<TcpStream>,
    connected: bool,
}

impl Plain {
    /// Lines up to an empty one.
    fn head(stream: &mut BufReader<TcpStream>) -> Vec<String> {
        stream.get_ref().set_read_timeout(Some(PATIENCE)).unwrap();
        let lines = stream.by_ref().lines().map(Result::unwrap);
        lines.take_while(|line| !line.is_empty()).collect()
    }

    /// Is asked, and shakes hands.
    fn accept(listener: &TcpListener, socket_type: &str) -> Self {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let head = Self::head(&mut stream);
        let field = |name: &str| {
            let line = head.iter().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(": ")).map(|(_, value)| value.to_owned())
        };
        let key = field("Sec-WebSocket-Key").unwrap();
        assert_eq!(field("Sec-WebSocket-Protocol").unwrap(), "ZWS2.0/NULL,ZWS2.0");
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: ZWS2.0/NULL\r\n\r\n",
            accept(&key)
        );
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
        let mut peer = Self { stream, connected: false };
        let length = socket_type.len() as u8;
        let ready = [b"\x05READY\x0bSocket-Type\0\0\0", &[length][..], socket_type.as_bytes()];
        peer.send(0x2, &[&b"\x02"[..], &ready.concat()].concat());
        assert!(peer.frame().payload.starts_with(b"\x02\x05READY"));
        peer
    }

    /// Asks, and is let in without a mechanism.
    fn connect(endpoint: &str) -> Self {
        let address = endpoint.strip_prefix("ws://").unwrap().trim_end_matches('/');
        let mut stream = BufReader::new(TcpStream::connect(address).unwrap());
        let request = format!(
            "GET /any HTTP/1.1\r\nhost: {address}\r\nCONNECTION: keep-alive, upgrade\r\n\
             upgrade: WebSocket\r\nsec-websocket-version: 13\r\nOrigin: http://example.com\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             sec-websocket-protocol: chat, ZWS2.0\r\n\r\n"
        );
        stream.get_mut().write_all(request.as_bytes()).unwrap();
        let head = Self::head(&mut stream);
        assert_eq!(head[0], "HTTP/1.1 101 Switching Protocols");
        assert!(head.contains(&"Sec-WebSocket-Protocol: ZWS2.0".to_owned()));
        assert!(head.contains(&"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".to_owned()));
        Self { stream, connected: true }
    }

    fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.send_fragment(0x80 | opcode, payload);
    }

    fn send_fragment(&mut self, first: u8, payload: &[u8]) {
        let mask = if self.connected { 0x80 } else { 0 };
        let mut frame = vec![first];
        match payload.len() {
            len @ ..126 => frame.push(mask | len as u8),
            len => {
                frame.push(mask | 126);
                frame.extend((len as u16).to_be_bytes());
            }
        }
        let key = [7, 11, 13, 17];
        if self.connected {
            frame.extend(key);
            frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            frame.extend(payload);
        }
        self.stream.get_mut().write_all(&frame).unwrap();
    }

    fn frame(&mut self) -> RawFrame {
        let mut header = [0; 2];
        self.stream.read_exact(&mut header).unwrap();
        assert_eq!(header[0] & 0xf0, 0x80, "in one fragment");
        assert_eq!(header[1] & 0x80 != 0, !self.connected, "clients mask, servers do not");
        let len = match header[1] & 0x7f {
            126 => {
                let mut len = [0; 2];
                self.stream.read_exact(&mut len).unwrap();
                u16::from_be_bytes(len).into()
            }
            len => u64::from(len),
        };
        let mut key = [0; 4];
        if !self.connected {
            self.stream.read_exact(&mut key).unwrap();
        }
        let mut payload = vec![0; len as usize];
        self.stream.read_exact(&mut payload).unwrap();
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
        RawFrame { opcode: header[0] & 0x0f, payload }
    }
}

/// What goes with a key.
fn accept(key: &str) -> String {
    use base64ct::{Base64, Encoding};
    use sha1::{Digest, Sha1};
    let whole = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    Base64::encode_string(&Sha1::digest(whole))
}

/// As browsers have it, and ports of ZeroMQ that know no mechanism.
#[test]
fn a_peer_without_a_mechanism_may_cut_messages_into_fragments() {
    let context = context();
    let (router, endpoint) = bound(&context, SocketType::Router, "ws://127.0.0.1:*");
    let mut peer = Plain::connect(&endpoint);
    peer.send(0x2, b"\x00browser");
    assert_eq!(peer.frame().payload, b"\x00", "our own routing id, which is empty");
    peer.send_fragment(0x02, b"\x01fi");
    peer.send(0x9, b"between");
    peer.send_fragment(0x00, b"");
    peer.send_fragment(0x80, b"rst");
    peer.send(0x2, b"\x00second");
    expect(&router, frames(["browser", "first", "second"]));
    let pong = peer.frame();
    assert_eq!((pong.opcode, &pong.payload[..]), (0xa, &b"between"[..]));
    router.send(frames(["browser", "one", ""])).unwrap();
    assert_eq!(peer.frame().payload, b"\x01one");
    assert_eq!(peer.frame().payload, b"\x00");

    let (publisher, endpoint) = bound(&context, SocketType::XPub, "ws://127.0.0.1:*");
    let mut subscriber = Plain::connect(&endpoint);
    subscriber.send(0x2, b"\x00");
    subscriber.frame();
    subscriber.send(0x2, b"\x00\x01news");
    expect(&publisher, "\u{1}news");
    publisher.send("sports: nothing").unwrap();
    publisher.send("news: something").unwrap();
    assert_eq!(subscriber.frame().payload, b"\x00news: something");
}

#[test]
fn both_ends_say_goodbye() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "ws://127.0.0.1:*");
    let mut peer = Plain::connect(&endpoint);
    peer.send(0x2, b"\x00");
    peer.frame();
    // What came before still counts.
    peer.send(0x2, b"\x00last");
    peer.send(0x8, b"\x03\xe9going away");
    let close = peer.frame();
    assert_eq!((close.opcode, &close.payload[..]), (0x8, &1001_u16.to_be_bytes()[..]));
    expect(&pull, "last");
    await_peers(&pull, 0);

    let mut peer = Plain::connect(&endpoint);
    peer.send(0x2, b"\x00");
    peer.frame();
    await_peers(&pull, 1);
    pull.set_linger(Some(PATIENCE)).unwrap();
    drop(pull);
    let close = peer.frame();
    assert_eq!((close.opcode, &close.payload[..]), (0x8, &1000_u16.to_be_bytes()[..]));
    // The end of the stream follows, and not a reset.
    assert_eq!(peer.stream.read(&mut [0]).unwrap(), 0);
}

/// A close, and the end of TLS behind it, may come while there is no room for the messages before it.
#[test]
fn what_came_before_the_end_is_delivered_however_late() {
    for &endpoint in ALL {
        let context = context();
        let pull = server(&context, SocketType::Pull);
        pull.set_receive_high_water_mark(10).unwrap();
        let bound = pull.bind(endpoint).unwrap();
        let elsewhere = crate::harness::context();
        let push = client(&elsewhere, SocketType::Push);
        push.set_send_high_water_mark(0).unwrap();
        push.set_linger(Some(PATIENCE)).unwrap();
        push.connect(&bound).unwrap();
        // More than is received at once.
        let count = 15_000;
        (0..count).for_each(|n| push.send(number(n)).unwrap());
        drop(push);
        // It has said everything then.
        elsewhere.terminate();
        expect_numbers(&pull, 0..count);
        await_peers(&pull, 0);
    }
}

/// Nobody may read it (RFC 6455, section 5.5.1): the next connection begins with it.
#[test]
fn nothing_is_sent_behind_a_close() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = socket(&context, SocketType::Push);
    push.set_send_buffer(Some(65_536)).unwrap();
    push.connect(&format!("ws://{}/", listener.local_addr().unwrap())).unwrap();
    let mut peer = Plain::accept(&listener, "PULL");
    await_peers(&push, 1);
    for n in 0..900 {
        let mut message = number(n);
        message.push_back(vec![7; 30_000]);
        push.send(message).unwrap();
    }
    peer.send(0x8, b"\x03\xe9going away");
    let mut whole = 0;
    loop {
        let frame = peer.frame();
        if frame.opcode == 0x8 {
            break;
        }
        whole += u32::from(frame.payload.len() > 30_000);
    }
    assert!(whole < 900);
    assert_eq!(peer.stream.read(&mut [0]).unwrap(), 0, "something follows the close");
    drop(peer);
    let next = Plain::accept(&listener, "PULL").frame();
    assert_eq!(next.payload, [&[1][..], &whole.to_be_bytes()].concat());
}

#[test]
fn what_breaks_the_rules_is_told_so() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "ws://127.0.0.1:*");
    pull.set_max_message_size(Some(1000)).unwrap();
    let narrow = pull.bind("ws://127.0.0.1:*").unwrap();
    let long = [&b"\x00"[..], &[7; 1001]].concat();
    for (endpoint, first, payload, status) in [
        (&endpoint, 0x81, &b"text"[..], 1002_u16),
        (&endpoint, 0x80, b"continues nothing", 1002),
        (&endpoint, 0x82, b"", 1002),
        (&endpoint, 0xc2, b"\x00an extension", 1002),
        (&endpoint, 0x82, b"\x08flags", 1002),
        (&narrow, 0x02, &long, 1009),
    ] {
        let mut peer = Plain::connect(endpoint);
        peer.send(0x2, b"\x00");
        peer.frame();
        peer.send_fragment(first, payload);
        if status == 1009 {
            // The limit of commands counts until it is known what it is.
            (0..70).for_each(|_| peer.send_fragment(0x00, &long));
        }
        let close = peer.frame();
        assert_eq!((close.opcode, &close.payload[..]), (0x8, &status.to_be_bytes()[..]));
    }
    expect_nothing(&pull);
    // Who asks for something else is answered.
    let address = endpoint.strip_prefix("ws://").unwrap().trim_end_matches('/');
    for (request, answer) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 426 Upgrade Required"),
        ("POST / HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        ("\u{16}\u{3}\u{1}", "HTTP/1.1 400 Bad Request"),
    ] {
        let monitor = pull.monitor();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        assert_eq!(Plain::head(&mut BufReader::new(stream))[0], answer);
        let reason = failure(&monitor);
        assert!(reason.contains("does not open a WebSocket"), "{reason}");
    }
}

#[test]
fn what_was_not_written_goes_by_the_next_connection() {
    for &endpoint in ALL {
        let context = context();
        let push = client(&context, SocketType::Push);
        push.set_send_high_water_mark(0).unwrap();
        // What they take is lost: not all of it.
        push.set_send_buffer(Some(65_536)).unwrap();
        let pull = server(&context, SocketType::Pull);
        pull.set_receive_buffer(Some(65_536)).unwrap();
        pull.set_receive_high_water_mark(10).unwrap();
        let bound = pull.bind(endpoint).unwrap();
        push.connect(&bound).unwrap();
        await_peers(&push, 1);
        let count = 1_000;
        let message = |n| {
            let mut message = Message::from(vec![7; 3_000]);
            message.push_back(number(n)[0].clone());
            message
        };
        (0..count).for_each(|n| push.send(message(n)).unwrap());
        expect_numbers(&pull, 0..10);
        drop(pull);
        await_peers(&push, 0);
        let pull = server(&context, SocketType::Pull);
        bind_again(&pull, &bound);
        // The rest comes whole, in order, and once.
        let mut last = 0;
        while last < count - 1 {
            let message = pull.recv().unwrap();
            let n = u32::from_be_bytes(message[1][..].try_into().unwrap());
            assert!(n > last && message[0].len() == 3_000, "{n} after {last}");
            last = n;
        }
        expect_nothing(&pull);
    }
}

/// Nobody can be let in by a stream that is no WebSocket, or not encrypted.
#[test]
fn other_transports_do_no_harm() {
    let context = context();
    let pull = server(&context, SocketType::Pull);
    for &endpoint in ALL {
        let bound = pull.bind(endpoint).unwrap();
        let (_, address) = bound.split_once("://").unwrap();
        let tcp = format!("tcp://{}", address.split('/').next().unwrap());
        let other = if bound.starts_with("wss") { "ws" } else { "wss" };
        for wrong in [tcp, format!("{other}://{address}")] {
            let push = client(&context, SocketType::Push);
            let monitor = pull.monitor();
            push.connect(&wrong).unwrap();
            failure(&monitor);
        }
        let push = client(&context, SocketType::Push);
        push.connect(&bound).unwrap();
        push.send("whoever comes right").unwrap();
        expect(&pull, "whoever comes right");
    }
}

#[cfg(not(feature = "wss"))]
#[test]
fn without_tls_there_is_no_such_transport() {
    let pull = server(&context(), SocketType::Pull);
    for result in [pull.bind("wss://127.0.0.1:*").map(drop), pull.connect("wss://127.0.0.1:9")] {
        assert!(matches!(result, Err(Error::UnsupportedTransport { .. })), "{result:?}");
    }
}

#[test]
fn streams_and_raw_routers_have_none() {
    let context = context();
    let stream = socket(&context, SocketType::Stream);
    let router = socket(&context, SocketType::Router);
    router.set_router_raw(true).unwrap();
    for endpoint in ["ws://127.0.0.1:*", "wss://127.0.0.1:*"] {
        assert!(matches!(stream.bind(endpoint), Err(Error::IncompatibleTransport { .. })));
        let refused = router.bind(endpoint);
        assert!(matches!(refused, Err(Error::InvalidOption { option: "router_raw", .. })));
        let refused = router.connect(&endpoint.replace('*', "9"));
        assert!(matches!(refused, Err(Error::InvalidOption { option: "router_raw", .. })));
    }
}

#[test]
fn a_client_that_comes_too_early_comes_again() {
    let context = context();
    let endpoint = vacant(&context).replace("tcp://", "ws://");
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("early").unwrap();
    let pull = socket(&context, SocketType::Pull);
    bind_again(&pull, &endpoint);
    expect(&pull, "early");
    pull.unbind(&endpoint).unwrap();
    await_peers(&push, 0);
}
