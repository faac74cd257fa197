//! Who may come, and how many.

use std::{
    fs,
    io::{ErrorKind, Read},
    os::unix::{fs::MetadataExt, net::UnixStream},
    path::Path,
    process,
    time::Duration,
};

use serverlink::{Socket, SocketType};

use super::folder::{Folder, endpoint};
use crate::harness::{
    PATIENCE, await_peers, bound, connected, context, couple, expect, number, number_in, socket,
};

/// An id that is nobody's here.
const NOBODY: u32 = 4_000_000_000;

/// This process's effective user and group ids, as its files have them.
fn own_ids(folder: &Folder) -> (u32, u32) {
    let file = folder.path("mine");
    fs::write(&file, "").unwrap();
    let metadata = fs::metadata(&file).unwrap();
    (metadata.uid(), metadata.gid())
}

/// Whether the socket bound to a path takes somebody who comes, or closes the door without a word.
fn greets(path: &Path) -> bool {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut first = [0];
    loop {
        match stream.read(&mut first) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
            // By the kernel, for an operation that this thread has begun while it drove the port.
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("neither a greeting nor an end: {error}"),
        }
    }
}

#[test]
fn a_filter_says_who_may_come() {
    type Filter<'a> = &'a dyn Fn(&Socket) -> serverlink::Result<()>;
    let context = context();
    let folder = Folder::new();
    let (user, group) = own_ids(&folder);
    let pid = process::id();
    let mut cases: Vec<(&str, bool, Filter<'_>)> = Vec::new();
    let none = |_: &Socket| Ok(());
    let user_in = |socket: &Socket| socket.set_ipc_filter_uid(&[NOBODY, user]);
    let user_out = |socket: &Socket| socket.set_ipc_filter_uid(&[NOBODY]);
    let group_in = |socket: &Socket| socket.set_ipc_filter_gid(&[NOBODY, group]);
    let group_out = |socket: &Socket| socket.set_ipc_filter_gid(&[NOBODY]);
    let any = |socket: &Socket| {
        socket.set_ipc_filter_uid(&[NOBODY])?;
        socket.set_ipc_filter_gid(&[group])
    };
    let lifted = |socket: &Socket| {
        socket.set_ipc_filter_uid(&[NOBODY])?;
        socket.set_ipc_filter_uid(&[])
    };
    let process_in = |socket: &Socket| socket.set_ipc_filter_pid(&[pid]);
    let process_out = |socket: &Socket| socket.set_ipc_filter_pid(&[pid + 1]);
    cases.push(("nothing", true, &none));
    cases.push(("the user", true, &user_in));
    cases.push(("another user", false, &user_out));
    cases.push(("the group", true, &group_in));
    cases.push(("another group", false, &group_out));
    cases.push(("another user, but the group", true, &any));
    cases.push(("nothing any more", true, &lifted));
    if cfg!(any(target_os = "linux", target_vendor = "apple")) {
        cases.push(("the process", true, &process_in));
        cases.push(("another process", false, &process_out));
    }
    for (number, (what, welcome, filter)) in cases.into_iter().enumerate() {
        let file = folder.path(&number.to_string());
        let pull = socket(&context, SocketType::Pull);
        filter(&pull).unwrap();
        pull.bind(&endpoint(&file)).unwrap();
        for _ in 0..3 {
            assert_eq!(greets(&file), welcome, "{what}");
        }
        if welcome {
            let push = connected(&context, SocketType::Push, &endpoint(&file));
            push.send(what).unwrap();
            expect(&pull, what);
        }
    }
}

#[test]
fn a_filter_holds_for_endpoints_bound_later() {
    type Filter = fn(&Socket) -> serverlink::Result<()>;
    let context = context();
    let folder = Folder::new();
    let before = folder.path("before");
    let pull = socket(&context, SocketType::Pull);
    pull.bind(&endpoint(&before)).unwrap();
    let mut filters: Vec<Filter> =
        vec![|it| it.set_ipc_filter_uid(&[NOBODY]), |it| it.set_ipc_filter_gid(&[NOBODY])];
    if cfg!(any(target_os = "linux", target_vendor = "apple")) {
        filters.push(|it| it.set_ipc_filter_pid(&[process::id() + 1]));
    }
    for (number, filter) in filters.into_iter().enumerate() {
        let after = folder.path(&number.to_string());
        filter(&pull).unwrap();
        pull.bind(&endpoint(&after)).unwrap();
        assert_eq!((greets(&before), greets(&after)), (true, false));
        pull.set_ipc_filter_uid(&[]).unwrap();
        pull.set_ipc_filter_gid(&[]).unwrap();
    }
    // It is nothing to TCP.
    let tcp = pull.bind("tcp://127.0.0.1:*").unwrap();
    let push = connected(&context, SocketType::Push, &tcp);
    push.send("hello").unwrap();
    expect(&pull, "hello");
}

/// A socket that is full of them refuses a Unix domain connection at once: unlike in TCP, the kernel
/// does not try again.
#[test]
fn more_may_come_at_once_than_can_wait() {
    const MANY: u32 = 40;
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.set_backlog(1).unwrap();
    let endpoint = pull.bind("ipc://*").unwrap();
    let pushes: Vec<_> = (0..MANY)
        .map(|n| {
            let push = connected(&context, SocketType::Push, &endpoint);
            push.send(number(n)).unwrap();
            push
        })
        .collect();
    let mut seen: Vec<_> = (0..MANY).map(|_| number_in(&pull.recv().unwrap())).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..MANY).collect::<Vec<_>>());
    await_peers(&pull, pushes.len());
}

/// An accepted connection does not have its listener's buffers by itself.
#[test]
fn buffer_sizes_are_those_of_every_connection() {
    let context = context();
    let room = |buffer: Option<usize>| {
        let push = socket(&context, SocketType::Push);
        push.set_send_buffer(buffer).unwrap();
        push.set_send_high_water_mark(10).unwrap();
        let endpoint = push.bind("ipc://*").unwrap();
        let pull = socket(&context, SocketType::Pull);
        pull.set_receive_high_water_mark(1).unwrap();
        pull.connect(&endpoint).unwrap();
        await_peers(&push, 1);
        let body = [0; 1024];
        let taken = |_: &u32| push.send_timeout(body, Duration::from_millis(100)).is_ok();
        (0..).take_while(taken).count()
    };
    let (small, large) = (room(Some(4096)), room(Some(1 << 20)));
    assert!(small + 100 < large, "{small} and {large} messages");
}

#[test]
fn a_handshake_that_does_not_end_is_broken_off() {
    let context = context();
    let folder = Folder::new();
    let file = folder.path("socket");
    let pull = socket(&context, SocketType::Pull);
    pull.set_handshake_interval(Some(Duration::from_millis(50))).unwrap();
    pull.bind(&endpoint(&file)).unwrap();
    let mut silent = UnixStream::connect(&file).unwrap();
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).unwrap();
    assert_eq!(rest[0], 0xFF, "it began");
}

#[test]
fn several_threads_serve_it() {
    let context = serverlink::Context::builder().io_threads(3).build().unwrap();
    let (router, endpoint) = bound(&context, SocketType::Router, "ipc://*");
    let dealers: Vec<_> =
        (0..6).map(|_| connected(&context, SocketType::Dealer, &endpoint)).collect();
    for (n, dealer) in (0..).zip(&dealers) {
        dealer.send(number(n)).unwrap();
    }
    for _ in &dealers {
        let message = router.recv().unwrap();
        router.send(message).unwrap();
    }
    for (n, dealer) in (0..).zip(&dealers) {
        assert_eq!(number_in(&dealer.recv().unwrap()), n);
    }
    // Any other way of meeting, too.
    couple(&context, "ipc://*", SocketType::Pair, SocketType::Pair);
}
