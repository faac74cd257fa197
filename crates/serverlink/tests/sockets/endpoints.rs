//! Endpoints: binding, connecting, and taking both back.

use std::{net::TcpListener, time::Duration};

use serverlink::SocketType;
#[cfg(target_os = "linux")]
use serverlink::{MonitorEvent, MonitorEventKind};

#[cfg(target_os = "linux")]
use crate::harness::PATIENCE;
use crate::harness::{
    await_peers, bind_again, bound, connected, context, errno, expect, expect_nothing,
    expect_numbers, number, number_in, socket, vacancies,
};

fn port(endpoint: &str) -> u16 {
    endpoint.rsplit_once(':').unwrap().1.parse().unwrap()
}

/// Whether this machine has IPv6.
pub(crate) fn ipv6() -> bool {
    let there = TcpListener::bind("[::1]:0").is_ok();
    if !there {
        println!("skipped: no IPv6 on this machine");
    }
    there
}

#[test]
fn a_port_left_open_is_filled_in() {
    let context = context();
    for wild in ["tcp://127.0.0.1:*", "tcp://127.0.0.1:0", "tcp://localhost:*", "tcp://*:*"] {
        let (pull, endpoint) = bound(&context, SocketType::Pull, wild);
        assert_ne!(port(&endpoint), 0);
        assert_eq!(pull.last_endpoint().as_ref(), Some(&endpoint));
        // What is bound to any address is reached at the loopback one.
        let address = if wild.contains("//*") {
            assert!(endpoint.starts_with("tcp://0.0.0.0:"), "{endpoint}");
            format!("tcp://127.0.0.1:{}", port(&endpoint))
        } else {
            assert!(endpoint.starts_with("tcp://127.0.0.1:"), "{endpoint}");
            endpoint
        };
        connected(&context, SocketType::Push, &address).set_linger(None).unwrap();
        let push = connected(&context, SocketType::Push, &address);
        push.send("hello").unwrap();
        expect(&pull, "hello");
    }
}

#[test]
fn names_are_resolved() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    for host in ["localhost", "127.0.0.1", "*"] {
        let push =
            connected(&context, SocketType::Push, &format!("tcp://{host}:{}", port(&endpoint)));
        push.send(host).unwrap();
        expect(&pull, host);
    }
}

#[test]
fn ipv6_addresses_work() {
    if !ipv6() {
        return;
    }
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://[::1]:*");
    assert!(endpoint.starts_with("tcp://[::1]:"), "{endpoint}");
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("six").unwrap();
    expect(&pull, "six");
    pull.unbind(&endpoint).unwrap();
    push.disconnect(&endpoint).unwrap();
    // However it is spelled.
    let (_pull, endpoint) = bound(&context, SocketType::Pull, "tcp://[::1]:*");
    let spelled = endpoint.replace("::1", "0:0::0001");
    let push = connected(&context, SocketType::Push, &spelled);
    assert_eq!(push.last_endpoint().as_ref(), Some(&endpoint));
    await_peers(&push, 1);
    assert!(push.is_connected(&spelled) && push.is_connected(&endpoint));
    push.disconnect(&spelled).unwrap();
    // Any address of both kinds, if asked for.
    let both = socket(&context, SocketType::Pull);
    both.set_ipv6(true).unwrap();
    let port = port(&both.bind("tcp://*:*").unwrap());
    for host in ["[::1]", "127.0.0.1"] {
        let push = connected(&context, SocketType::Push, &format!("tcp://{host}:{port}"));
        push.send(host).unwrap();
        expect(&both, host);
    }
}

#[test]
fn a_name_nobody_knows_blocks_nobody() {
    let context = context();
    let lost = socket(&context, SocketType::Push);
    for _ in 0..5 {
        lost.connect("tcp://does-not-exist.invalid:5555").unwrap();
    }
    lost.send("x").unwrap();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("hello").unwrap();
    expect(&pull, "hello");
    assert_eq!(lost.peer_count(), 0);
    lost.disconnect("tcp://does-not-exist.invalid:5555").unwrap();
    drop(lost);
    assert_eq!(errno(pull.bind("tcp://does-not-exist.invalid:5555")), "EINVAL");
}

#[test]
fn an_attempt_to_connect_can_be_given_a_time() {
    // An address of the documentation network (RFC 5737), where no answer comes from.
    let context = context();
    let push = socket(&context, SocketType::Push);
    push.set_connect_timeout(Some(Duration::from_millis(50))).unwrap();
    push.set_reconnect_interval(None).unwrap();
    push.set_immediate(true).unwrap();
    push.connect("tcp://192.0.2.1:9").unwrap();
    assert_eq!(errno(push.send_timeout("x", Duration::from_millis(200))), "EAGAIN");
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    // This one is tried once, which may take a busy machine longer.
    push.set_connect_timeout(None).unwrap();
    push.connect(&endpoint).unwrap();
    push.send("y").unwrap();
    expect(&pull, "y");
}

/// A listener that takes nobody any more. Elsewhere a full one refuses, or holds as many as it likes.
#[cfg(target_os = "linux")]
#[test]
fn an_attempt_that_nobody_answers_ends_when_told() {
    let context = context();
    let full = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    full.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let _first = std::net::TcpStream::connect(address).unwrap();
    let attempt = |timeout| {
        let push = socket(&context, SocketType::Push);
        let monitor = push.monitor();
        push.set_connect_timeout(timeout).unwrap();
        push.connect(&format!("tcp://{address}")).unwrap();
        (push, monitor)
    };
    let (_patient, patience) = attempt(None);
    let (_hasty, haste) = attempt(Some(Duration::from_millis(20)));
    let retried =
        |event: MonitorEvent| matches!(event.kind, MonitorEventKind::ConnectRetried { .. });
    for _ in 0..3 {
        while !retried(haste.recv_timeout(PATIENCE).expect("an event")) {}
    }
    while let Ok(event) = patience.try_recv() {
        assert!(!retried(event));
    }
}

#[test]
fn what_is_in_use_cannot_be_bound_again() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let other = socket(&context, SocketType::Pull);
    assert_eq!(errno(other.bind(&endpoint)), "EADDRINUSE");
    assert_eq!(errno(pull.bind(&endpoint)), "EADDRINUSE");
    assert_eq!(other.last_endpoint(), None);
    // 192.0.2.0/24 is nobody's (RFC 5737).
    assert_eq!(errno(other.bind("tcp://192.0.2.1:5555")), "EADDRNOTAVAIL");
}

#[test]
fn endpoints_that_make_no_sense_are_refused() {
    let context = context();
    let socket = socket(&context, SocketType::Dealer);
    for endpoint in ["", "tcp:", "tcp://", "tcp://127.0.0.1", "tcp://127.0.0.1:x", "inproc://"] {
        assert_eq!(errno(socket.bind(endpoint)), "EINVAL", "{endpoint}");
        assert_eq!(errno(socket.connect(endpoint)), "EINVAL", "{endpoint}");
        assert_eq!(errno(socket.unbind(endpoint)), "EINVAL", "{endpoint}");
        assert_eq!(errno(socket.disconnect(endpoint)), "EINVAL", "{endpoint}");
    }
    for endpoint in ["tcp://127.0.0.1:*", "tcp://127.0.0.1:0"] {
        assert_eq!(errno(socket.connect(endpoint)), "EINVAL", "{endpoint}");
    }
    assert_eq!(errno(socket.bind("smoke://signal:1")), "EPROTONOSUPPORT");
    assert_eq!(errno(socket.connect("smoke://signal:1")), "EPROTONOSUPPORT");
    assert_eq!(socket.last_endpoint(), None);
}

#[test]
fn only_what_was_bound_or_connected_can_be_taken_back() {
    let context = context();
    let (one, endpoint) = bound(&context, SocketType::Dealer, "tcp://127.0.0.1:*");
    let other = connected(&context, SocketType::Dealer, &endpoint);
    assert_eq!(errno(one.disconnect(&endpoint)), "ENOENT");
    assert_eq!(errno(other.unbind(&endpoint)), "ENOENT");
    assert_eq!(errno(one.unbind("tcp://127.0.0.1:1")), "ENOENT");
    assert_eq!(errno(one.unbind("inproc://nowhere")), "ENOENT");
    one.unbind(&endpoint).unwrap();
    assert_eq!(errno(one.unbind(&endpoint)), "ENOENT");
    other.disconnect(&endpoint).unwrap();
    assert_eq!(errno(other.disconnect(&endpoint)), "ENOENT");
    // The last endpoint stays on record.
    assert_eq!(one.last_endpoint(), Some(endpoint));
}

#[test]
fn a_socket_may_have_many_endpoints() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    let endpoints: Vec<_> =
        ["tcp://127.0.0.1:*", "tcp://127.0.0.1:*", "inproc://one", "inproc://two"]
            .iter()
            .map(|endpoint| {
                let bound = pull.bind(endpoint).unwrap();
                assert_eq!(pull.last_endpoint().as_ref(), Some(&bound));
                bound
            })
            .collect();
    let push = socket(&context, SocketType::Push);
    for endpoint in &endpoints {
        push.connect(endpoint).unwrap();
        assert_eq!(push.last_endpoint().as_ref(), Some(endpoint));
    }
    await_peers(&push, 4);
    await_peers(&pull, 4);
    (0..40).for_each(|n| push.send(number(n)).unwrap());
    let mut seen: Vec<_> = (0..40).map(|_| number_in(&pull.recv().unwrap())).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..40).collect::<Vec<_>>());
    for (n, endpoint) in endpoints.iter().enumerate() {
        push.disconnect(endpoint).unwrap();
        await_peers(&pull, 3 - n);
        if n < 3 {
            push.send(number(n as u32)).unwrap();
            expect_numbers(&pull, [n as u32]);
        }
    }
    assert_eq!(errno(push.try_send("x")), "EAGAIN");
}

#[test]
fn a_port_is_free_again_after_unbind() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = connected(&context, SocketType::Push, &endpoint);
    for n in 0..20 {
        push.send(number(n)).unwrap();
        expect_numbers(&pull, [n]);
        pull.unbind(&endpoint).unwrap();
        await_peers(&push, 0);
        await_peers(&pull, 0);
        assert_eq!(bind_again(&pull, &endpoint), endpoint);
        await_peers(&push, 1);
    }
    // Also at once, and for another socket.
    for _ in 0..20 {
        pull.unbind(&endpoint).unwrap();
        bind_again(&pull, &endpoint);
    }
    drop(pull);
    let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
    connected(&context, SocketType::Push, &endpoint).set_linger(None).unwrap();
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("again").unwrap();
    expect(&pull, "again");
}

#[test]
fn an_unbound_endpoint_takes_nobody_new() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    pull.unbind(&endpoint).unwrap();
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("for whoever binds next").unwrap();
    let (next, _) = bound(&context, SocketType::Pull, &endpoint);
    expect(&next, "for whoever binds next");
    assert_eq!(pull.peer_count(), 0);
    expect_nothing(&pull);
}

#[test]
fn disconnecting_ends_the_link_on_both_sides() {
    for endpoint in crate::harness::TRANSPORTS {
        let context = context();
        let (pull, endpoint) = bound(&context, SocketType::Pull, endpoint);
        let push = connected(&context, SocketType::Push, &endpoint);
        for _ in 0..5 {
            await_peers(&pull, 1);
            await_peers(&push, 1);
            push.send("x").unwrap();
            expect(&pull, "x");
            push.disconnect(&endpoint).unwrap();
            assert_eq!(push.peer_count(), 0);
            assert_eq!(errno(push.try_send("y")), "EAGAIN");
            await_peers(&pull, 0);
            push.connect(&endpoint).unwrap();
        }
    }
}

#[test]
fn disconnecting_before_there_is_a_connection_is_fine() {
    let context = context();
    for endpoint in vacancies(&context) {
        let push = socket(&context, SocketType::Push);
        for _ in 0..100 {
            push.connect(&endpoint).unwrap();
            push.try_send("dropped").unwrap();
            push.disconnect(&endpoint).unwrap();
            assert_eq!(errno(push.try_send("y")), "EAGAIN");
        }
        let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
        push.connect(&endpoint).unwrap();
        push.send("marker").unwrap();
        expect(&pull, "marker");
    }
}

#[test]
fn types_that_cannot_talk_never_meet() {
    let context = context();
    let (rep, endpoint) = bound(&context, SocketType::Rep, "tcp://127.0.0.1:*");
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("never").unwrap();
    let req = connected(&context, SocketType::Req, &endpoint);
    req.send("question").unwrap();
    expect(&rep, "question");
    assert_eq!((rep.peer_count(), push.peer_count()), (1, 0));
}
