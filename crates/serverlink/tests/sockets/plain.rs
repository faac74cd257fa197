//! The PLAIN mechanism (RFC 24).

use serverlink::{Context, MonitorEventKind, SecurityMechanism, Socket, SocketType};

use crate::{
    harness::{STREAMS, context, eventually, expect, frames, socket},
    zap::{answer, denied, failed, handler, next},
};

fn server(context: &Context, socket_type: SocketType) -> Socket {
    let server = socket(context, socket_type);
    server.set_plain_server(true).unwrap();
    server.set_zap_domain(Some("test")).unwrap();
    server
}

fn client(context: &Context, socket_type: SocketType, password: &str) -> Socket {
    let client = socket(context, socket_type);
    client.set_plain_username(Some("admin")).unwrap();
    client.set_plain_password(Some(password)).unwrap();
    client
}

#[test]
fn whoever_connects_the_server_has_the_login_judged() {
    for endpoint in STREAMS {
        for client_connects in [true, false] {
            let context = context();
            let zap = handler(&context);
            let server = server(&context, SocketType::Router);
            let client = client(&context, SocketType::Dealer, "secret");
            client.set_routing_id("client").unwrap();
            if client_connects {
                client.connect(&server.bind(endpoint).unwrap()).unwrap();
            } else {
                server.connect(&client.bind(endpoint).unwrap()).unwrap();
            }
            let request = zap.recv().unwrap();
            let address = request[3].as_str().unwrap().to_owned();
            let expected = ["1.0", "1", "test", &address, "", "PLAIN", "admin", "secret"];
            assert_eq!(request, frames(expected));
            zap.send(answer("200")).unwrap();
            client.send("hello").unwrap();
            let received = server.recv_with_peer().unwrap();
            assert_eq!(received.message, frames(["client", "hello"]));
            assert_eq!(received.property("User-Id"), Some(&b"alice"[..]));
            server.send(frames(["client", "hello yourself"])).unwrap();
            expect(&client, "hello yourself");
        }
    }
}

#[test]
fn a_wrong_password_is_told_to_both_sides() {
    let context = context();
    let zap = handler(&context);
    let server = server(&context, SocketType::Pull);
    let client = client(&context, SocketType::Push, "wrong");
    let monitors = [server.monitor(), client.monitor()];
    client.connect(&server.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    assert_eq!(zap.recv().unwrap()[7], "wrong");
    zap.send(answer("400")).unwrap();
    for monitor in &monitors {
        assert_eq!(next(monitor, denied), 400);
    }
    eventually("for it to give up", || client.peers().is_empty());
}

#[test]
fn without_a_handler_nobody_is_let_in() {
    for domain in [None, Some("test")] {
        let context = context();
        let server = server(&context, SocketType::Pull);
        server.set_zap_domain(domain).unwrap();
        let monitor = server.monitor();
        let client = client(&context, SocketType::Push, "secret");
        client.connect(&server.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
        assert_eq!(next(&monitor, failed), Some(14));
        assert_eq!(server.peer_count(), 0);
    }
}

#[test]
fn a_peer_of_another_mechanism_is_refused() {
    let context = context();
    let _zap = handler(&context);
    let server = server(&context, SocketType::Pull);
    let null = socket(&context, SocketType::Push);
    let monitors = [server.monitor(), null.monitor()];
    null.connect(&server.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    let mismatch = |kind: &MonitorEventKind| match kind {
        MonitorEventKind::HandshakeFailedProtocol { code, .. } => Some(*code),
        MonitorEventKind::HandshakeSucceeded(_) => panic!("{kind:?}"),
        _ => None,
    };
    assert_eq!(next(&monitors[0], mismatch), 0x1100_0002);
    assert_eq!(server.peer_count(), 0);
}

#[test]
fn within_the_process_there_is_no_mechanism() {
    let context = context();
    let server = server(&context, SocketType::Pull);
    let client = socket(&context, SocketType::Push);
    client.connect(&server.bind("inproc://plain").unwrap()).unwrap();
    client.send("hello").unwrap();
    expect(&server, "hello");
}

/// As in libzmq.
#[test]
fn the_option_set_last_decides_which_mechanism_it_is() {
    let context = context();
    let socket = socket(&context, SocketType::Pair);
    let number = || i32::from_ne_bytes(socket.option(43).unwrap().try_into().unwrap());
    assert_eq!((socket.mechanism(), number()), (SecurityMechanism::Null, 0));
    socket.set_plain_server(true).unwrap();
    assert_eq!((socket.mechanism(), number()), (SecurityMechanism::Plain, 1));
    socket.set_plain_username(Some("admin")).unwrap();
    assert_eq!((socket.mechanism(), socket.plain_server()), (SecurityMechanism::Plain, false));
    socket.set_plain_server(true).unwrap();
    socket.set_plain_password(Some("secret")).unwrap();
    assert_eq!((socket.mechanism(), socket.plain_server()), (SecurityMechanism::Plain, false));
    socket.set_plain_username(None).unwrap();
    assert_eq!(socket.mechanism(), SecurityMechanism::Null);
    socket.set_plain_password(None).unwrap();
    assert_eq!(socket.mechanism(), SecurityMechanism::Plain);
    socket.set_plain_server(false).unwrap();
    assert_eq!((socket.mechanism(), number()), (SecurityMechanism::Null, 0));
}
