//! Unix domain sockets where Windows has them, and named pipes where it has none.

use std::{env, path::PathBuf, process, time::Duration};

use serverlink::{Context, Message, SocketType};
use socket2::{Domain, Socket, Type};

use crate::harness::{
    await_peers, bind_again, connected, errno, eventually, expect, number, number_in, socket,
};

/// A path that no other test has, and how it is written.
fn path(name: &str) -> (PathBuf, String) {
    let path = env::temp_dir().join(format!("serverlink-{}-{name}", process::id()));
    let endpoint = format!("ipc://{}", path.display());
    (path, endpoint)
}

/// On the backend that always has it.
fn context() -> Context {
    Context::builder().backend("iocp").build().unwrap()
}

#[test]
fn only_select_may_lack_it() {
    let by_select = Context::builder().backend("select").build().unwrap();
    let pull = socket(&by_select, SocketType::Pull);
    if Socket::new(Domain::UNIX, Type::STREAM, None).is_err() {
        assert_eq!(errno(pull.bind("ipc://*")), "EPROTONOSUPPORT");
        assert_eq!(errno(pull.bind("ipc://name")), "EPROTONOSUPPORT");
        assert_eq!(errno(pull.connect("ipc://name")), "EPROTONOSUPPORT");
    }
    socket(&context(), SocketType::Pull).bind("ipc://*").unwrap();
    for refused in [
        pull.set_ipc_filter_uid(&[1]),
        pull.set_ipc_filter_gid(&[1]),
        pull.set_ipc_filter_pid(&[1]),
    ] {
        assert_eq!(errno(refused), "EINVAL");
    }
}

#[test]
fn names_are_paths() {
    let context = context();
    let (file, endpoint) = path("paths");
    // Who connects before waits.
    let early = connected(&context, SocketType::Push, &endpoint);
    early.send("early").unwrap();
    let pull = socket(&context, SocketType::Pull);
    assert_eq!(pull.bind(&endpoint).unwrap(), endpoint);
    assert_eq!(pull.last_endpoint(), Some(endpoint));
    expect(&pull, "early");
    // By another way to the same file.
    let folder = file.parent().unwrap().join(".").join(file.file_name().unwrap());
    let other = connected(&context, SocketType::Push, &format!("ipc://{}", folder.display()));
    other.send("by another way").unwrap();
    expect(&pull, "by another way");
    // Relative to the working directory.
    let relative = format!("ipc://serverlink-{}-relative", process::id());
    pull.bind(&relative).unwrap();
    connected(&context, SocketType::Push, &relative).set_linger(None).unwrap();
    let push = connected(&context, SocketType::Push, &relative);
    push.send("relative").unwrap();
    expect(&pull, "relative");
}

#[test]
fn an_endpoint_is_one_sockets_until_it_is_given_up() {
    let context = context();
    let (_, endpoint) = path("one");
    let (one, other) = (socket(&context, SocketType::Pull), socket(&context, SocketType::Pull));
    one.bind(&endpoint).unwrap();
    assert_eq!(errno(other.bind(&endpoint)), "EADDRINUSE");
    assert_eq!(errno(one.bind(&endpoint)), "EADDRINUSE");
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("to the first").unwrap();
    expect(&one, "to the first");
    one.unbind(&endpoint).unwrap();
    await_peers(&push, 0);
    bind_again(&other, &endpoint);
    push.send("to the second").unwrap();
    expect(&other, "to the second");
    // Two wildcards are two names.
    assert_ne!(one.bind("ipc://*").unwrap(), one.bind("ipc://*").unwrap());
}

#[test]
fn bad_names_say_what_is_wrong() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    for (endpoint, hint) in [
        ("ipc://@name", "Linux"),
        (&format!("ipc://{}", "x".repeat(108)), "107"),
        ("ipc://", "missing"),
    ] {
        let error = pull.bind(endpoint).unwrap_err();
        assert_eq!(error.errno_name(), "EINVAL");
        assert!(error.to_string().contains(hint), "{error}");
    }
    assert_eq!(errno(pull.connect("ipc://*")), "EINVAL");
}

/// One is accepted after the other; the others wait for their turn, and are not turned away.
#[test]
fn many_come_at_once() {
    const MANY: u32 = 40;
    let context = Context::builder().backend("iocp").io_threads(3).build().unwrap();
    let pull = socket(&context, SocketType::Pull);
    let endpoint = pull.bind("ipc://*").unwrap();
    let pushes: Vec<_> = (0..MANY)
        .map(|n| {
            let push = socket(&context, SocketType::Push);
            // There is one attempt.
            push.set_reconnect_interval(None).unwrap();
            push.connect(&endpoint).unwrap();
            push.send(number(n)).unwrap();
            push
        })
        .collect();
    let mut seen: Vec<_> = (0..MANY).map(|_| number_in(&pull.recv().unwrap())).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..MANY).collect::<Vec<_>>());
    await_peers(&pull, pushes.len());
}

/// A pipe has no halves to shut: closing it must not lose what was sent.
#[test]
fn what_lingers_arrives() {
    const MESSAGES: u32 = 200;
    let context = context();
    for bound_sends in [true, false] {
        let (pull, push) = (socket(&context, SocketType::Pull), socket(&context, SocketType::Push));
        let (binds, connects) = if bound_sends { (&push, &pull) } else { (&pull, &push) };
        let endpoint = binds.bind("ipc://*").unwrap();
        connects.connect(&endpoint).unwrap();
        await_peers(&push, 1);
        push.set_linger(Some(Duration::from_secs(20))).unwrap();
        for n in 0..MESSAGES {
            push.send(Message::from_iter([vec![7; 4_000], n.to_be_bytes().to_vec()])).unwrap();
        }
        drop(push);
        for n in 0..MESSAGES {
            let message = pull.recv().unwrap();
            assert_eq!(message[0].len(), 4_000);
            assert_eq!(message[1], n.to_be_bytes()[..]);
        }
    }
}

#[test]
fn a_server_may_come_back() {
    let context = context();
    let (_, endpoint) = path("back");
    let client = connected(&context, SocketType::Req, &endpoint);
    client.set_req_relaxed(true).unwrap();
    for round in 0..3 {
        let server = socket(&context, SocketType::Rep);
        bind_again(&server, &endpoint);
        eventually("for the client to be back", || client.peer_count() == 1);
        client.send(number(round)).unwrap();
        let request = server.recv().unwrap();
        server.send(request).unwrap();
        assert_eq!(number_in(&client.recv().unwrap()), round);
        drop(server);
        await_peers(&client, 0);
    }
}
