//! What Linux is told of connections, by what it says of the descriptors of both ends.
#![cfg(target_os = "linux")]

use std::{os::fd::OwnedFd, time::Duration};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use serverlink::{Socket, SocketType};
use socket2::SockRef;

use crate::harness::{context, errno, socket};

const ANYWHERE: &str = "tcp://127.0.0.1:*";

type Setter<'a> = &'a dyn Fn(&Socket) -> serverlink::Result<()>;

/// Another descriptor of the connection that the next message comes by. None where this process may
/// not look at its own descriptors.
fn source(pull: &Socket) -> Option<OwnedFd> {
    let number = pull.recv_with_peer().unwrap().option(0, 2).unwrap();
    let me = pidfd_open(getpid(), PidfdFlags::empty());
    let other = me.and_then(|me| pidfd_getfd(me, number, PidfdGetfdFlags::empty()));
    if let Err(error) = &other {
        println!("skipped: pidfd_getfd: {error}");
    }
    other.ok()
}

/// Sets an option between two connections, and asks for both. What is set holds for the second, be it
/// made or accepted; what is bound before does not have it even if it accepts later.
#[track_caller]
fn holds_later<T: PartialEq + std::fmt::Debug>(
    set: Setter<'_>,
    ask: impl Fn(SockRef<'_>) -> std::io::Result<T>,
    expected: T,
) {
    let context = context();
    let told = |pull: &Socket, push: &Socket| {
        push.send("x").unwrap();
        source(pull).map(|end| ask(SockRef::from(&end)).unwrap())
    };
    let [push, first, second, third] = [(); 4].map(|()| socket(&context, SocketType::Push));
    // The one that accepts.
    let pull = socket(&context, SocketType::Pull);
    let early = pull.bind(ANYWHERE).unwrap();
    first.connect(&early).unwrap();
    let Some(before) = told(&pull, &first) else { return };
    set(&pull).unwrap();
    let late = pull.bind(ANYWHERE).unwrap();
    second.connect(&early).unwrap();
    third.connect(&late).unwrap();
    let (between, after) = (told(&pull, &second).unwrap(), told(&pull, &third).unwrap());
    assert_ne!(before, expected);
    assert_eq!((&between, &after), (&before, &expected), "accepted");
    // The one that connects.
    let pull = socket(&context, SocketType::Pull);
    pull.connect(&push.bind(ANYWHERE).unwrap()).unwrap();
    assert_eq!(told(&pull, &push), Some(before));
    set(&pull).unwrap();
    let push = socket(&context, SocketType::Push);
    pull.connect(&push.bind(ANYWHERE).unwrap()).unwrap();
    assert_eq!(told(&pull, &push), Some(expected), "connected");
}

#[test]
fn buffers_have_the_sizes_asked_for() {
    // The kernel doubles them, for what it needs itself.
    holds_later(&|it| it.set_send_buffer(Some(10_000)), |end| end.send_buffer_size(), 20_000);
    holds_later(&|it| it.set_receive_buffer(Some(20_000)), |end| end.recv_buffer_size(), 40_000);
}

#[test]
fn silent_connections_are_looked_after_as_told() {
    let on = |it: &Socket| it.set_tcp_keepalive(Some(true));
    holds_later(&on, |end| end.keepalive(), true);
    holds_later(
        &|it| on(it).and_then(|()| it.set_tcp_keepalive_count(Some(3))),
        |end| end.tcp_keepalive_retries(),
        3,
    );
    let seconds = Duration::from_secs;
    holds_later(
        &|it| on(it).and_then(|()| it.set_tcp_keepalive_idle(Some(seconds(7)))),
        |end| end.tcp_keepalive_time(),
        seconds(7),
    );
    holds_later(
        &|it| on(it).and_then(|()| it.set_tcp_keepalive_interval(Some(seconds(11)))),
        |end| end.tcp_keepalive_interval(),
        seconds(11),
    );
}

#[test]
fn packets_have_the_type_of_service_and_the_priority_asked_for() {
    holds_later(&|it| it.set_type_of_service(0x28), |end| end.tos_v4(), 0x28);
    holds_later(&|it| it.set_priority(5), |end| end.priority(), 5);
}

#[test]
fn unanswered_data_is_given_up_when_told() {
    let time = Some(Duration::from_millis(1500));
    holds_later(&|it| it.set_tcp_max_retransmit(time), |end| end.tcp_user_timeout(), time);
}

#[test]
fn connections_go_through_the_device_that_is_named() {
    let loopback = Some(b"lo".to_vec());
    holds_later(&|it| it.set_bind_to_device(Some("lo")), |end| end.device(), loopback);
    let socket = socket(&context(), SocketType::Push);
    socket.set_bind_to_device(Some("no-such-device")).unwrap();
    assert_eq!(errno(socket.bind(ANYWHERE)), "EIO");
    assert_eq!(errno(socket.connect("tcp://127.0.0.1:9")), "EIO");
}

/// It takes the right to administer the network.
#[test]
fn devices_are_looked_at_as_long_as_told_or_the_right_is_wanting() {
    let socket = socket(&context(), SocketType::Pull);
    socket.set_busy_poll(30).unwrap();
    match socket.bind(ANYWHERE) {
        Ok(_) => holds_later(&|it| it.set_busy_poll(30), |end| end.busy_poll(), 30),
        Err(error) => assert_eq!(error.errno_name(), "EIO"),
    }
}
