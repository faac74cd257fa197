//! What monitors are told of a socket's connections.

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    thread,
};

use serverlink::{
    Error, Monitor, MonitorEvent, MonitorEventKind, MonitorVersion, Socket, SocketType,
};

use crate::harness::{self, PATIENCE, STREAMS, bound, context, eventually, socket, version};

fn next(monitor: &Monitor) -> MonitorEvent {
    monitor.recv_timeout(PATIENCE).expect("an event")
}

/// The next events, by libzmq's names.
fn names(monitor: &Monitor, count: usize) -> Vec<&'static str> {
    (0..count).map(|_| name(&next(monitor).kind)).collect()
}

fn name(kind: &MonitorEventKind) -> &'static str {
    match kind {
        MonitorEventKind::Connected => "connected",
        MonitorEventKind::ConnectDelayed => "connect delayed",
        MonitorEventKind::ConnectRetried { .. } => "connect retried",
        MonitorEventKind::Listening => "listening",
        MonitorEventKind::BindFailed(_) => "bind failed",
        MonitorEventKind::Accepted => "accepted",
        MonitorEventKind::Closed => "closed",
        MonitorEventKind::Disconnected => "disconnected",
        MonitorEventKind::MonitorStopped => "monitor stopped",
        MonitorEventKind::HandshakeFailed(_) => "handshake failed",
        MonitorEventKind::HandshakeSucceeded(_) => "handshake succeeded",
        MonitorEventKind::HandshakeFailedProtocol { .. } => "handshake failed by protocol",
        other => panic!("an unexpected event: {other:?}"),
    }
}

/// An endpoint at which nobody listens, and a listener that keeps others away from it.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("tcp://{}", listener.local_addr().unwrap())
}

#[test]
fn both_ends_are_told_of_a_connections_life() {
    for endpoint in STREAMS {
        let context = context();
        let server = socket(&context, SocketType::Rep);
        let at_server = server.monitor();
        let endpoint = server.bind(endpoint).unwrap();
        assert_eq!(names(&at_server, 1), ["listening"]);

        let client = socket(&context, SocketType::Req);
        client.set_routing_id("client").unwrap();
        let at_client = client.monitor();
        client.connect(&endpoint).unwrap();
        assert_eq!(names(&at_client, 2), ["connect delayed", "connected"]);
        let succeeded = next(&at_client);
        let MonitorEventKind::HandshakeSucceeded(peer) = &succeeded.kind else {
            panic!("{succeeded:?}")
        };
        assert_eq!((peer.socket_type, peer.version), (Some(SocketType::Rep), version(&endpoint)));
        assert_eq!(succeeded.endpoint, endpoint);
        assert!(!succeeded.is_bound);

        let accepted = next(&at_server);
        assert_eq!((&accepted.kind, accepted.is_bound), (&MonitorEventKind::Accepted, true));
        assert_eq!(accepted.endpoint, endpoint);
        if !endpoint.starts_with("ipc") {
            assert_eq!(accepted.local.as_ref(), Some(&endpoint));
            assert_eq!(accepted.remote, succeeded.local);
            assert_eq!(succeeded.remote, Some(endpoint));
        }
        let MonitorEventKind::HandshakeSucceeded(peer) = next(&at_server).kind else { panic!() };
        assert_eq!(peer.socket_type, Some(SocketType::Req));
        assert_eq!(peer.routing_id, "client");

        drop(client);
        assert_eq!(names(&at_client, 1), ["monitor stopped"]);
        assert!(matches!(at_client.recv(), Err(Error::Closed)));
        assert_eq!(names(&at_server, 1), ["disconnected"]);
        drop(server);
        assert_eq!(names(&at_server, 2), ["closed", "monitor stopped"]);
        assert!(matches!(at_server.try_recv(), Err(Error::Closed)));
    }
}

#[test]
fn a_connection_that_is_refused_is_tried_again() {
    let context = context();
    let push = socket(&context, SocketType::Push);
    let monitor = push.monitor();
    push.connect(&nobody()).unwrap();
    let round = ["connect delayed", "closed", "connect retried"];
    assert_eq!(names(&monitor, 6), [round, round].concat());
}

#[test]
fn a_lost_server_is_told_before_the_next_attempt() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let push = socket(&context, SocketType::Push);
    let monitor = push.monitor();
    push.connect(&endpoint).unwrap();
    assert_eq!(names(&monitor, 3), ["connect delayed", "connected", "handshake succeeded"]);
    drop(pull);
    assert_eq!(names(&monitor, 3), ["disconnected", "connect retried", "connect delayed"]);
}

#[test]
fn what_failed_is_told_with_the_reason() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let monitor = pull.monitor();
    let stranger = || TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();

    // One that leaves without a word.
    drop(stranger());
    assert_eq!(names(&monitor, 3), ["accepted", "handshake failed", "disconnected"]);

    // One that speaks something else.
    stranger().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(names(&monitor, 1), ["accepted"]);
    let MonitorEventKind::HandshakeFailedProtocol { reason, code } = next(&monitor).kind else {
        panic!()
    };
    assert!(reason.contains("GET / HTTP"), "{reason}");
    assert_eq!(code, 0x1000_0000);
    assert_eq!(names(&monitor, 1), ["disconnected"]);

    // One of a type that a PULL does not talk to.
    let mut sub = stranger();
    harness::shake_hands(&mut sub, "SUB");
    assert_eq!(names(&monitor, 1), ["accepted"]);
    let MonitorEventKind::HandshakeFailedProtocol { code, .. } = next(&monitor).kind else {
        panic!()
    };
    assert_eq!(code, 0x1000_0018);
    assert_eq!(names(&monitor, 1), ["disconnected"]);

    // A second socket at the same endpoint.
    let other = socket(&context, SocketType::Pull);
    let at_other = other.monitor();
    other.bind(&endpoint).unwrap_err();
    let event = next(&at_other);
    let MonitorEventKind::BindFailed(fault) = &event.kind else { panic!("{event:?}") };
    assert!(fault.code.is_some() && fault.to_string().contains("in use"), "{fault}");
    assert_eq!(event.endpoint, endpoint);
    assert!(matches!(at_other.try_recv(), Err(Error::WouldBlock)));

    pull.unbind(&endpoint).unwrap();
    assert_eq!(names(&monitor, 1), ["closed"]);
}

/// A handshake that takes too long fails, too.
#[test]
fn a_handshake_that_takes_too_long_is_told() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.set_handshake_interval(Some(std::time::Duration::from_millis(50))).unwrap();
    let monitor = pull.monitor();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let _stranger = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    let expected = ["listening", "accepted", "handshake failed", "disconnected"];
    assert_eq!(names(&monitor, 4), expected);
}

#[test]
fn a_disconnect_by_our_wish_is_no_event() {
    let context = context();
    let (_pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let push = socket(&context, SocketType::Push);
    let monitor = push.monitor();
    push.connect(&endpoint).unwrap();
    assert_eq!(names(&monitor, 3), ["connect delayed", "connected", "handshake succeeded"]);
    push.disconnect(&endpoint).unwrap();
    eventually("for the peer to be gone", || push.peer_count() == 0);
    drop(push);
    assert_eq!(names(&monitor, 1), ["monitor stopped"]);
}

/// Whoever reads nothing costs no more than a thousand events, and learns how many it missed.
#[test]
fn a_monitor_that_is_not_read_is_bounded() {
    const BINDS: usize = 600;
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    let monitor = pull.monitor();
    for _ in 0..BINDS {
        let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
        pull.unbind(&endpoint).unwrap();
    }
    assert_eq!(monitor.missed(), 2 * BINDS as u64 - 1000);
    assert_eq!(monitor.events().take(1000).count(), 1000);
    pull.bind("tcp://127.0.0.1:*").unwrap();
    assert_eq!(names(&monitor, 1), ["listening"]);
    drop(pull);
    assert_eq!(
        monitor.map(|event| name(&event.kind)).collect::<Vec<_>>(),
        ["closed", "monitor stopped"]
    );
}

#[test]
fn monitors_are_many_and_leave_when_they_like() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    let [first, second] = [pull.monitor(), pull.monitor()];
    pull.bind("tcp://127.0.0.1:*").unwrap();
    assert_eq!(names(&first, 1), names(&second, 1));
    drop(first);
    pull.bind("tcp://127.0.0.1:*").unwrap();
    assert_eq!(names(&second, 1), ["listening"]);
    // Inproc connections come and go unnoticed.
    pull.bind("inproc://unnoticed").unwrap();
    assert!(matches!(second.try_recv(), Err(Error::WouldBlock)));
}

/// One that waits for events is let go when the context ends, also if the socket stays open.
#[test]
fn a_monitor_ends_with_the_context() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    let monitor = pull.monitor();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| names(&monitor, 1));
        assert!(context.terminate_timeout(std::time::Duration::ZERO).is_err());
        assert_eq!(waiting.join().unwrap(), ["monitor stopped"]);
    });
    assert!(matches!(pull.monitor().recv(), Err(Error::Closed)));
}

fn reader(context: &serverlink::Context, endpoint: &str) -> Socket {
    let reader = socket(context, SocketType::Pair);
    reader.connect(endpoint).unwrap();
    reader
}

fn v1(reader: &Socket) -> (u16, u32, String) {
    let message = reader.recv().unwrap();
    assert_eq!((message.len(), message[0].len()), (2, 6));
    let number = u16::from_ne_bytes(message[0][..2].try_into().unwrap());
    let value = u32::from_ne_bytes(message[0][2..].try_into().unwrap());
    (number, value, message[1].as_str().unwrap().to_owned())
}

#[test]
fn published_events_have_the_form_of_version_1() {
    let context = context();
    let push = socket(&context, SocketType::Push);
    push.publish_events("inproc://events", 0xffff, MonitorVersion::V1).unwrap();
    let endpoint = nobody();
    push.connect(&endpoint).unwrap();
    // Those before the reader came are there as well.
    let reader = reader(&context, "inproc://events");
    assert_eq!(v1(&reader), (0x2, 0, endpoint.clone()));
    assert_eq!(v1(&reader), (0x80, 0, endpoint.clone()));
    let (number, wait, told) = v1(&reader);
    assert_eq!((number, told), (0x4, endpoint));
    assert!((10..=20).contains(&wait), "{wait}");
    drop(push);
    let last = std::iter::repeat_with(|| v1(&reader)).find(|(number, ..)| *number == 0x400);
    assert_eq!(last, Some((0x400, 0, String::new())));
}

#[test]
fn published_events_have_the_form_of_version_2() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    // Nothing but LISTENING and ACCEPTED.
    pull.publish_events("inproc://events", 0x28, MonitorVersion::V2).unwrap();
    let reader = reader(&context, "inproc://events");
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = socket(&context, SocketType::Push);
    let at_push = push.monitor();
    push.connect(&endpoint).unwrap();
    let local = at_push.events().find_map(|event| event.local).unwrap();
    let word = |number: u64| number.to_ne_bytes().to_vec();
    for (number, local, remote) in [(0x8, &endpoint, ""), (0x20, &endpoint, &local)] {
        let ends = [local.as_bytes().to_vec(), remote.as_bytes().to_vec()];
        let expected = [vec![word(number), word(1), word(0)], ends.to_vec()].concat();
        assert!(reader.recv().unwrap().iter().map(|frame| frame.to_vec()).eq(expected));
    }
}

#[test]
fn publishing_ends_or_begins_anew() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.publish_events("inproc://first", 0xffff, MonitorVersion::V1).unwrap();
    let first = reader(&context, "inproc://first");
    pull.publish_events("inproc://second", 0xffff, MonitorVersion::V1).unwrap();
    assert_eq!(v1(&first).0, 0x400);
    let second = reader(&context, "inproc://second");
    pull.bind("tcp://127.0.0.1:*").unwrap();
    assert_eq!(v1(&second).0, 0x8);
    pull.stop_publishing_events();
    assert_eq!(v1(&second).0, 0x400);
    pull.bind("tcp://127.0.0.1:*").unwrap();
    // The names are free again.
    pull.bind("inproc://second").unwrap();

    let error = pull.publish_events("tcp://127.0.0.1:*", 0xffff, MonitorVersion::V1).unwrap_err();
    assert_eq!(error.errno_name(), "EPROTONOSUPPORT");
    let error = pull.publish_events("inproc://second", 0xffff, MonitorVersion::V1).unwrap_err();
    assert_eq!(error.errno_name(), "EADDRINUSE");
}

/// Nobody needs to read what is published, ever.
#[test]
fn events_that_nobody_reads_hold_nothing_up() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.publish_events("inproc://events", 0xffff, MonitorVersion::V1).unwrap();
    for round in 0..3 {
        for _ in 0..700 {
            let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
            pull.unbind(&endpoint).unwrap();
        }
        if round == 1 {
            let reader = reader(&context, "inproc://events");
            assert_eq!(v1(&reader).0, 0x8);
        }
    }
    drop(pull);
    context.terminate();
}
