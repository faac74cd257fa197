//! Peers that a ZAP handler judges (RFC 27), with the NULL mechanism.

use std::{net::TcpStream, thread, time::Duration};

use serverlink::{Context, Message, Monitor, MonitorEventKind, PeerProperties, Socket, SocketType};

use crate::harness::{
    PATIENCE, STREAMS, await_peers, bound, context, eventually, expect, frames, shake_hands, socket,
};

pub(crate) const HANDLER: &str = "inproc://zeromq.zap.01";

/// What a handler answers.
pub(crate) fn answer(status: &str) -> Message {
    frames(["1.0", "1", status, "text", "alice", ""])
}

/// Whoever judges in a context, a REP.
pub(crate) fn handler(context: &Context) -> Socket {
    bound(context, SocketType::Rep, HANDLER).0
}

/// A bound socket whose peers are judged, and its endpoint.
fn judging(context: &Context, socket_type: SocketType, endpoint: &str) -> (Socket, String) {
    let judging = socket(context, socket_type);
    judging.set_zap_domain(Some("test")).unwrap();
    let endpoint = judging.bind(endpoint).unwrap();
    (judging, endpoint)
}

/// The next event that `choose` takes.
#[track_caller]
pub(crate) fn next<T>(
    monitor: &Monitor,
    mut choose: impl FnMut(&MonitorEventKind) -> Option<T>,
) -> T {
    loop {
        let event = monitor.recv_timeout(PATIENCE).expect("another event");
        if let Some(chosen) = choose(&event.kind) {
            return chosen;
        }
    }
}

pub(crate) fn denied(kind: &MonitorEventKind) -> Option<u16> {
    match kind {
        MonitorEventKind::HandshakeFailedAuthentication { status } => Some(*status),
        MonitorEventKind::HandshakeSucceeded(_) => panic!("{kind:?}"),
        _ => None,
    }
}

pub(crate) fn failed(kind: &MonitorEventKind) -> Option<Option<i32>> {
    match kind {
        MonitorEventKind::HandshakeFailed(fault) => Some(fault.code),
        MonitorEventKind::HandshakeSucceeded(_) => panic!("{kind:?}"),
        _ => None,
    }
}

fn broken(kind: &MonitorEventKind) -> Option<u32> {
    match kind {
        MonitorEventKind::HandshakeFailedProtocol { code, .. } => Some(*code),
        _ => None,
    }
}

#[test]
fn the_handler_is_asked_and_what_it_tells_is_told_of_every_message() {
    for endpoint in STREAMS {
        let context = context();
        let zap = handler(&context);
        let (pull, endpoint) = {
            let pull = socket(&context, SocketType::Pull);
            pull.set_routing_id("ours").unwrap();
            pull.set_zap_domain(Some("test")).unwrap();
            let endpoint = pull.bind(endpoint).unwrap();
            (pull, endpoint)
        };
        let push = socket(&context, SocketType::Push);
        push.set_metadata(&[("X-app", "its own"), ("X-role", "its own")]).unwrap();
        push.connect(&endpoint).unwrap();
        push.send("hello").unwrap();

        let request = zap.recv().unwrap();
        let address = request[3].as_str().unwrap().to_owned();
        assert_eq!(request, frames(["1.0", "1", "test", &address, "ours", "NULL"]));
        match endpoint.starts_with("ipc") {
            true => assert!(address.starts_with("localhost"), "{address}"),
            false => assert_eq!(address, "127.0.0.1"),
        }
        assert_eq!(pull.peer_count(), 0, "nobody is let in yet");
        let metadata = b"\x06X-role\0\0\0\x05admin";
        let reply = [&b"1.0"[..], b"1", b"200", b"OK", b"alice", metadata];
        zap.send(reply.into_iter().collect::<Message>()).unwrap();

        let received = pull.recv_with_peer().unwrap();
        assert_eq!(received.message[0], "hello");
        for (name, value) in [
            ("User-Id", "alice"),
            ("user-id", "alice"),
            ("X-Role", "admin"),
            ("X-app", "its own"),
            ("Socket-Type", "PUSH"),
        ] {
            assert_eq!(received.property(name), Some(value.as_bytes()), "{name}");
        }
        let peer = received.peer.unwrap();
        assert_eq!(peer.user_id(), Some(&b"alice"[..]));
        let names =
            |of: &[(String, _)]| of.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        assert_eq!(names(peer.vouched()), ["User-Id", "X-role"]);
        assert_eq!(names(PeerProperties::metadata(&peer)), ["X-app", "X-role"]);
    }
}

#[test]
fn a_router_may_judge_in_any_order() {
    let context = context();
    let (zap, _) = bound(&context, SocketType::Router, HANDLER);
    let (pull, endpoint) = judging(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let pushes: Vec<_> = (0..3)
        .map(|_| {
            let push = socket(&context, SocketType::Push);
            push.connect(&endpoint).unwrap();
            push
        })
        .collect();
    let mut requests: Vec<_> = pushes.iter().map(|_| zap.recv().unwrap()).collect();
    for request in requests.iter().rev() {
        let mut reply = Message::from(request[0].to_vec());
        reply.push_back("");
        answer("200").into_iter().for_each(|frame| reply.push_back(frame));
        zap.send(reply).unwrap();
    }
    requests.dedup_by_key(|request| request[0].to_vec());
    assert_eq!(requests.len(), 3, "each has a name of its own");
    await_peers(&pull, 3);
}

#[test]
fn who_is_refused_is_told_the_status_and_does_not_come_again() {
    for status in ["400", "500"] {
        let context = context();
        let zap = handler(&context);
        let (pull, endpoint) = judging(&context, SocketType::Pull, "tcp://127.0.0.1:*");
        let push = socket(&context, SocketType::Push);
        let monitors = [pull.monitor(), push.monitor()];
        push.connect(&endpoint).unwrap();
        zap.recv().unwrap();
        zap.send(answer(status)).unwrap();
        for monitor in &monitors {
            assert_eq!(next(monitor, denied).to_string(), status);
            next(monitor, |kind| (*kind == MonitorEventKind::Disconnected).then_some(()));
        }
        eventually("for it to give up", || push.peers().is_empty());
        let retried = |kind: &_| matches!(kind, MonitorEventKind::ConnectRetried { .. });
        while let Ok(event) = monitors[1].try_recv() {
            assert!(!retried(&event.kind));
        }
        assert_eq!(pull.peer_count(), 0);
    }
}

#[test]
fn who_may_try_again_does() {
    let context = context();
    let zap = handler(&context);
    let (pull, endpoint) = judging(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let push = socket(&context, SocketType::Push);
    let (server, client) = (pull.monitor(), push.monitor());
    push.connect(&endpoint).unwrap();
    push.send("patience").unwrap();
    for status in ["300", "300", "200"] {
        zap.recv().unwrap();
        zap.send(answer(status)).unwrap();
    }
    expect(&pull, "patience");
    for _ in 0..2 {
        assert_eq!(next(&server, denied), 300);
        // To it, the stream just ends.
        next(&client, |kind| matches!(kind, MonitorEventKind::HandshakeFailed(_)).then_some(()));
    }
}

#[test]
fn an_answer_that_breaks_the_protocol_lets_nobody_in() {
    let context = context();
    let zap = handler(&context);
    let (pull, endpoint) = judging(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let monitor = pull.monitor();
    let push = socket(&context, SocketType::Push);
    push.connect(&endpoint).unwrap();
    for (reply, code) in [
        (frames(["1.0", "1", "200", "OK", "alice", "", "more"]), 0x2000_0001),
        (frames(["1.0", "2", "200", "OK", "alice", ""]), 0x2000_0002),
        (frames(["2.0", "1", "200", "OK", "alice", ""]), 0x2000_0003),
        (frames(["1.0", "1", "201", "OK", "alice", ""]), 0x2000_0004),
        (frames(["1.0", "1", "200", "OK", "alice", "\u{1}"]), 0x2000_0005),
    ] {
        zap.recv().unwrap();
        zap.send(reply).unwrap();
        assert_eq!(next(&monitor, broken), code);
    }
    assert_eq!(pull.peer_count(), 0);
}

#[test]
fn a_handler_that_does_not_answer_is_not_waited_for_without_end() {
    let context = context();
    let zap = handler(&context);
    let pull = socket(&context, SocketType::Pull);
    pull.set_zap_domain(Some("test")).unwrap();
    pull.set_handshake_interval(Some(Duration::from_millis(50))).unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let monitor = pull.monitor();
    let push = socket(&context, SocketType::Push);
    push.connect(&endpoint).unwrap();
    zap.recv().unwrap();
    assert_eq!(next(&monitor, failed), None);
    // One that comes too late is for nobody.
    zap.send(answer("200")).unwrap();
    zap.recv().unwrap();
    assert_eq!(next(&monitor, failed), None);
}

#[test]
fn a_handler_that_goes_without_an_answer_lets_nobody_in() {
    let context = context();
    let zap = handler(&context);
    let (pull, endpoint) = judging(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    pull.set_zap_enforce_domain(true).unwrap();
    let monitor = pull.monitor();
    let push = socket(&context, SocketType::Push);
    push.set_reconnect_interval(None).unwrap();
    push.connect(&endpoint).unwrap();
    zap.recv().unwrap();
    drop(zap);
    assert_eq!(next(&monitor, failed), Some(14));
}

#[test]
fn without_a_handler_the_option_decides() {
    for enforced in [false, true] {
        let context = context();
        let pull = socket(&context, SocketType::Pull);
        pull.set_zap_domain(Some("test")).unwrap();
        pull.set_zap_enforce_domain(enforced).unwrap();
        let monitor = pull.monitor();
        let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
        let push = socket(&context, SocketType::Push);
        push.connect(&endpoint).unwrap();
        push.send("hello").unwrap();
        if enforced {
            assert_eq!(next(&monitor, failed), Some(14));
            // It is asked as soon as it is there.
            let zap = handler(&context);
            zap.recv().unwrap();
            zap.send(answer("200")).unwrap();
        }
        expect(&pull, "hello");
    }
}

#[test]
fn what_cannot_answer_is_no_handler() {
    let context = context();
    let (_unfit, _) = bound(&context, SocketType::Pull, HANDLER);
    let (pull, endpoint) = judging(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let monitor = pull.monitor();
    let push = socket(&context, SocketType::Push);
    push.connect(&endpoint).unwrap();
    assert_eq!(next(&monitor, failed), Some(14));
}

#[test]
fn without_a_domain_nobody_is_asked() {
    let context = context();
    let zap = handler(&context);
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    pull.set_zap_domain(Some("later")).unwrap();
    let push = socket(&context, SocketType::Push);
    push.connect(&endpoint).unwrap();
    push.send("hello").unwrap();
    expect(&pull, "hello");
    assert!(zap.try_recv().is_err());
}

#[test]
fn a_socket_that_connects_has_its_peers_judged_as_well() {
    let context = context();
    let zap = handler(&context);
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let push = socket(&context, SocketType::Push);
    push.set_zap_domain(Some("connecting")).unwrap();
    push.connect(&endpoint).unwrap();
    push.send("hello").unwrap();
    assert_eq!(zap.recv().unwrap()[2], "connecting");
    zap.send(answer("200")).unwrap();
    expect(&pull, "hello");
}

#[test]
fn others_go_on_while_somebody_is_judged() {
    let context = context();
    let zap = handler(&context);
    let (pull, endpoint) = judging(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let judged = socket(&context, SocketType::Push);
    judged.connect(&endpoint).unwrap();
    zap.recv().unwrap();
    let (rep, endpoint) = bound(&context, SocketType::Rep, "tcp://127.0.0.1:*");
    thread::scope(|scope| {
        scope.spawn(|| (0..100).for_each(|_| rep.send(rep.recv().unwrap()).unwrap()));
        let req = socket(&context, SocketType::Req);
        req.connect(&endpoint).unwrap();
        for _ in 0..100 {
            req.send("ping").unwrap();
            expect(&req, "ping");
        }
    });
    assert_eq!(pull.peer_count(), 0);
    zap.send(answer("200")).unwrap();
    await_peers(&pull, 1);
}

/// Systems forget the address of who has reset a stream, and a handler that refuses some would not know
/// them. Windows forgets what came as well.
#[cfg(unix)]
#[test]
fn who_resets_the_stream_at_once_is_judged_by_its_address() {
    use std::io::Read as _;

    let context = context();
    let zap = handler(&context);
    let (pull, endpoint) = judging(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    for _ in 0..20 {
        let mut stream = TcpStream::connect(endpoint.replace("tcp://", "")).unwrap();
        // All of the greeting, so that nothing of theirs is left to be written.
        stream.read_exact(&mut [0; 64]).unwrap();
        shake_hands(&mut stream, "PUSH");
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        let request = zap.recv().unwrap();
        assert_eq!(request[3], "127.0.0.1", "{request:?}");
        zap.send(answer("400")).unwrap();
    }
    assert_eq!(pull.peer_count(), 0);
}

#[test]
fn who_leaves_or_closes_while_somebody_is_judged_is_not_held_up() {
    let context = context();
    let zap = handler(&context);
    let (pull, endpoint) = judging(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let mut stream = TcpStream::connect(endpoint.replace("tcp://", "")).unwrap();
    shake_hands(&mut stream, "PUSH");
    zap.recv().unwrap();
    drop(stream);
    zap.send(answer("200")).unwrap();
    // Another is judged when the socket closes, and the handler, and the context.
    let push = socket(&context, SocketType::Push);
    push.connect(&endpoint).unwrap();
    zap.recv().unwrap();
    drop((pull, push, zap));
    context.terminate();
}
