//! Options: what they take, and what they refuse.

use std::time::Duration;

use serverlink::{Context, Error, Result, SocketType};

use crate::harness::{bound, connected, context, errno, expect, socket};

/// The option that was refused.
#[track_caller]
fn refused(result: Result<()>) -> &'static str {
    match result {
        Err(error @ Error::InvalidOption { option, .. }) => {
            assert_eq!(error.errno_name(), "EINVAL");
            assert!(error.to_string().contains(option));
            option
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    let context = context();
    let socket = socket(&context, SocketType::Dealer);
    let zero = Some(Duration::ZERO);
    assert_eq!(refused(socket.set_routing_id("")), "routing_id");
    assert_eq!(refused(socket.set_routing_id("\0zero")), "routing_id");
    assert_eq!(refused(socket.set_routing_id([1; 256])), "routing_id");
    assert_eq!(refused(socket.set_reconnect_interval(zero)), "reconnect_interval");
    assert_eq!(refused(socket.set_connect_timeout(zero)), "connect_timeout");
    assert_eq!(refused(socket.set_handshake_interval(zero)), "handshake_interval");
    assert_eq!(refused(socket.set_heartbeat_interval(zero)), "heartbeat_interval");
    let ttl = Duration::from_millis(6_553_600);
    assert_eq!(refused(socket.set_heartbeat_ttl(ttl)), "heartbeat_ttl");
    assert_eq!(refused(socket.set_backlog(-1)), "backlog");
    for bytes in [1 << 31, usize::MAX] {
        assert_eq!(refused(socket.set_send_buffer(Some(bytes))), "send_buffer");
        assert_eq!(refused(socket.set_receive_buffer(Some(bytes))), "receive_buffer");
    }
    for io_threads in [0, 257, usize::MAX] {
        let built = Context::builder().io_threads(io_threads).build();
        assert_eq!(refused(built.map(drop)), "io_threads");
    }
    assert_eq!(refused(Context::builder().max_sockets(0).build().map(drop)), "max_sockets");
    assert_eq!(refused(Context::builder().backend("abacus").build().map(drop)), "backend");
}

#[test]
fn the_ends_of_every_range_are_taken() -> Result<()> {
    let context = context();
    let socket = socket(&context, SocketType::Dealer);
    let least = Some(Duration::from_nanos(1));
    socket.set_routing_id("x")?;
    socket.set_routing_id([1; 255])?;
    socket.set_routing_id([1, 0])?;
    for interval in [None, least, Some(Duration::MAX)] {
        socket.set_reconnect_interval(interval)?;
        socket.set_connect_timeout(interval)?;
        socket.set_handshake_interval(interval)?;
        socket.set_heartbeat_interval(interval)?;
        socket.set_heartbeat_timeout(interval)?;
        socket.set_linger(interval)?;
        socket.set_send_timeout(interval)?;
        socket.set_receive_timeout(interval)?;
    }
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_send_timeout(Some(Duration::ZERO))?;
    socket.set_receive_timeout(Some(Duration::ZERO))?;
    socket.set_reconnect_interval_max(Duration::ZERO)?;
    socket.set_reconnect_interval_max(Duration::MAX)?;
    socket.set_heartbeat_ttl(Duration::ZERO)?;
    socket.set_heartbeat_ttl(Duration::from_millis(6_553_599))?;
    socket.set_heartbeat_timeout(Some(Duration::ZERO))?;
    socket.set_backlog(0)?;
    socket.set_backlog(i32::MAX)?;
    for bytes in [None, Some(0), Some((1 << 31) - 1)] {
        socket.set_send_buffer(bytes)?;
        socket.set_receive_buffer(bytes)?;
    }
    for mark in [0, 1, usize::MAX] {
        socket.set_send_high_water_mark(mark)?;
        socket.set_receive_high_water_mark(mark)?;
    }
    for size in [None, Some(0), Some(u64::MAX)] {
        socket.set_max_message_size(size)?;
    }
    Ok(())
}

#[test]
fn extreme_values_work() -> Result<()> {
    let context = context();
    for endpoint in ["tcp://127.0.0.1:*", "inproc://extremes"] {
        let make = |socket_type| -> Result<_> {
            let socket = socket(&context, socket_type);
            socket.set_send_high_water_mark(usize::MAX)?;
            socket.set_receive_high_water_mark(usize::MAX)?;
            for set in [
                serverlink::Socket::set_send_timeout,
                serverlink::Socket::set_receive_timeout,
                serverlink::Socket::set_connect_timeout,
                serverlink::Socket::set_handshake_interval,
                serverlink::Socket::set_heartbeat_interval,
                serverlink::Socket::set_heartbeat_timeout,
                serverlink::Socket::set_linger,
            ] {
                set(&socket, Some(Duration::MAX))?;
            }
            socket.set_heartbeat_ttl(Duration::from_millis(6_553_500))?;
            socket.set_max_message_size(Some(u64::MAX))?;
            Ok(socket)
        };
        let (push, pull) = (make(SocketType::Push)?, make(SocketType::Pull)?);
        push.connect(&pull.bind(endpoint)?)?;
        push.send("x")?;
        expect(&pull, "x");
    }
    Ok(())
}

#[test]
fn reconnecting_with_extreme_intervals_does_not_panic() -> Result<()> {
    let context = context();
    for (interval, most) in [
        (Duration::MAX, Duration::ZERO),
        (Duration::MAX, Duration::MAX),
        (Duration::from_nanos(1), Duration::MAX),
        (Duration::from_secs(u64::MAX / 2), Duration::MAX),
    ] {
        let endpoint = crate::harness::vacant(&context);
        let push = socket(&context, SocketType::Push);
        push.set_reconnect_interval(Some(interval))?;
        push.set_reconnect_interval_max(most)?;
        push.connect(&endpoint)?;
        // The I/O thread is alive: it serves others.
        let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
        connected(&context, SocketType::Push, &endpoint).send("x").map_err(Error::from)?;
        let _ = pull.recv_timeout(Duration::from_millis(50));
        drop(push);
    }
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("alive")?;
    expect(&pull, "alive");
    Ok(())
}

#[test]
fn a_context_has_so_many_sockets_and_no_more() {
    let context = Context::builder().max_sockets(3).build().unwrap();
    let mut sockets: Vec<_> = (0..3).map(|_| socket(&context, SocketType::Pair)).collect();
    match context.socket(SocketType::Pair) {
        Err(error @ Error::TooManySockets { maximum: 3 }) => {
            assert_eq!(error.errno_name(), "EMFILE");
        }
        other => panic!("{other:?}"),
    }
    sockets.pop();
    sockets.push(socket(&context, SocketType::Pair));
    assert_eq!(errno(context.socket(SocketType::Pair)), "EMFILE");
}

#[test]
fn a_frame_over_the_limit_ends_the_connection() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.set_max_message_size(Some(1000)).unwrap();
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send(vec![0; 1000]).unwrap();
    assert_eq!(pull.recv().unwrap()[0].len(), 1000);
    push.send(vec![0; 1001]).unwrap();
    crate::harness::await_peers(&pull, 0);
    // Another is served as before.
    let other = connected(&context, SocketType::Push, &endpoint);
    other.send("fine").unwrap();
    expect(&pull, "fine");
}

#[test]
fn only_what_a_type_can_do_is_supported() {
    let context = context();
    for (socket_type, can_send, can_receive) in [
        (SocketType::Push, true, false),
        (SocketType::Pull, false, true),
        (SocketType::Pub, true, false),
        (SocketType::Sub, false, true),
    ] {
        let socket = socket(&context, socket_type);
        if !can_send {
            let refused = socket.send("x").unwrap_err();
            assert_eq!(refused.message, "x".into());
            assert_eq!(refused.error.errno_name(), "ENOTSUP");
        }
        if !can_receive {
            assert_eq!(errno(socket.recv()), "ENOTSUP");
        }
    }
    let push = socket(&context, SocketType::Push);
    let empty = push.send(serverlink::Message::new()).unwrap_err();
    assert!(matches!(empty.error, Error::InvalidMessage(_)));
}

#[test]
fn errors_carry_zeromqs_numbers() {
    let io = Error::Io { action: String::new(), source: std::io::ErrorKind::Other.into() };
    for (error, name) in [
        (Error::WouldBlock, "EAGAIN"),
        (Error::Terminated, "ETERM"),
        (Error::Closed, "ENOTSOCK"),
        (Error::InvalidState(""), "EFSM"),
        (Error::NotSupported { socket_type: SocketType::Pub, operation: "" }, "ENOTSUP"),
        (Error::HostUnreachable { routing_id: String::new() }, "EHOSTUNREACH"),
        (Error::InvalidMessage(""), "EINVAL"),
        (Error::InvalidOption { option: "", reason: String::new() }, "EINVAL"),
        (Error::UnsupportedOption { option: "", reason: "" }, "EINVAL"),
        (Error::UnknownOption { id: 0 }, "EINVAL"),
        (Error::InvalidEndpoint { endpoint: String::new(), reason: String::new() }, "EINVAL"),
        (Error::UnsupportedTransport { transport: String::new() }, "EPROTONOSUPPORT"),
        (Error::AddressInUse { endpoint: String::new() }, "EADDRINUSE"),
        (Error::AddressNotAvailable { endpoint: String::new() }, "EADDRNOTAVAIL"),
        (Error::NoSuchEndpoint { endpoint: String::new() }, "ENOENT"),
        (Error::TooManySockets { maximum: 1 }, "EMFILE"),
        (io, "EIO"),
    ] {
        assert_eq!(error.errno_name(), name);
    }
}

#[test]
fn a_socket_tells_of_its_type_what_libzmq_does() {
    use SocketType::*;
    let context = context();
    for (number, socket_type) in (0i32..).zip(SocketType::ALL) {
        let socket = socket(&context, socket_type);
        let told = |id| i32::from_ne_bytes(socket.option(id).unwrap().try_into().unwrap());
        assert_eq!(told(16), number, "ZMQ_TYPE of {socket_type}");
        let of_one_frame =
            [Server, Client, Radio, Dish, Gather, Scatter, Peer, Channel].contains(&socket_type);
        assert_eq!(told(81), of_one_frame.into(), "ZMQ_THREAD_SAFE of {socket_type}");
        assert_eq!(told(43), 0, "ZMQ_MECHANISM: by itself, NULL");
    }
}

#[test]
fn no_frames_follow_what_is_received_as_a_whole() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "inproc://frames");
    let push = connected(&context, SocketType::Push, &endpoint);
    let message = crate::harness::frames(["one", "two"]);
    push.send(message.clone()).unwrap();
    let rcvmore = || pull.option(13).unwrap();
    assert_eq!(rcvmore(), 0i32.to_ne_bytes());
    expect(&pull, message);
    assert_eq!(rcvmore(), 0i32.to_ne_bytes(), "ZMQ_RCVMORE");
}
