//! Files that are there already.

use std::{
    fs,
    os::unix::{
        fs::{FileTypeExt, symlink},
        net::{UnixDatagram, UnixListener},
    },
    path::Path,
    sync::Barrier,
    thread,
};

use serverlink::{Error, SocketType};
use socket2::{Domain, SockAddr, Socket, Type};

use super::folder::{Folder, endpoint};
use crate::harness::{await_peers, connected, context, errno, expect, socket};

/// What a process leaves that is killed.
fn leave_behind(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    assert!(path.exists());
}

#[test]
fn a_file_nobody_listens_at_is_taken_over() {
    let context = context();
    let folder = Folder::new();
    let file = folder.path("socket");
    leave_behind(&file);
    // Who connects before waits.
    let push = connected(&context, SocketType::Push, &endpoint(&file));
    push.send("early").unwrap();
    let pull = socket(&context, SocketType::Pull);
    assert_eq!(pull.bind(&endpoint(&file)).unwrap(), endpoint(&file));
    expect(&pull, "early");
    drop(pull);
    assert!(folder.names().is_empty());
    // Also the file of a datagram socket.
    drop(UnixDatagram::bind(&file).unwrap());
    socket(&context, SocketType::Pull).bind(&endpoint(&file)).unwrap();
}

#[test]
fn a_file_somebody_listens_at_is_in_use_and_he_is_not_disturbed() {
    let context = context();
    let folder = Folder::new();
    let file = folder.path("socket");
    let pull = socket(&context, SocketType::Pull);
    {
        let other = UnixListener::bind(&file).unwrap();
        assert_eq!(errno(pull.bind(&endpoint(&file))), "EADDRINUSE");
        other.set_nonblocking(true).unwrap();
        assert!(other.accept().is_err(), "he saw somebody come");
        fs::remove_file(&file).unwrap();
    }
    {
        // One who does not listen yet.
        let other = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        other.bind(&SockAddr::unix(&file).unwrap()).unwrap();
        assert_eq!(errno(pull.bind(&endpoint(&file))), "EADDRINUSE");
        fs::remove_file(&file).unwrap();
    }
    {
        let _other = UnixDatagram::bind(&file).unwrap();
        assert_eq!(errno(pull.bind(&endpoint(&file))), "EADDRINUSE");
        fs::remove_file(&file).unwrap();
    }
    // One of ours.
    let other = socket(&context, SocketType::Pull);
    other.bind(&endpoint(&file)).unwrap();
    assert_eq!(errno(pull.bind(&endpoint(&file))), "EADDRINUSE");
    assert_eq!(errno(other.bind(&endpoint(&file))), "EADDRINUSE");
    assert_eq!(other.peer_count(), 0);
    assert_eq!(pull.last_endpoint(), None);
}

#[test]
fn what_is_not_a_socket_is_never_removed() {
    let context = context();
    let folder = Folder::new();
    let pull = socket(&context, SocketType::Pull);
    fs::write(folder.path("file"), "precious").unwrap();
    fs::create_dir(folder.path("directory")).unwrap();
    symlink(folder.path("nowhere"), folder.path("dangling")).unwrap();
    leave_behind(&folder.path("stale"));
    symlink(folder.path("stale"), folder.path("link")).unwrap();
    for name in ["file", "directory", "dangling", "link"] {
        let error = pull.bind(&endpoint(&folder.path(name))).unwrap_err();
        assert_eq!(error.errno_name(), "EINVAL", "{name}");
        assert!(error.to_string().contains("not a socket"), "{error}");
    }
    assert_eq!(fs::read_to_string(folder.path("file")).unwrap(), "precious");
    let mut names = folder.names();
    names.sort();
    assert_eq!(names, ["dangling", "directory", "file", "link", "stale"]);
}

#[test]
fn a_file_that_is_not_ours_any_more_is_left_alone() {
    let context = context();
    let folder = Folder::new();
    let file = folder.path("socket");
    // As libzmq does it: without asking.
    let pull = socket(&context, SocketType::Pull);
    for unbind in [true, false] {
        let pull = if unbind { &pull } else { &socket(&context, SocketType::Pull) };
        pull.bind(&endpoint(&file)).unwrap();
        fs::remove_file(&file).unwrap();
        let other = UnixListener::bind(&file).unwrap();
        pull.unbind(&endpoint(&file)).unwrap();
        assert!(fs::metadata(&file).unwrap().file_type().is_socket());
        drop(other);
    }
    // What is gone by itself does no harm either.
    pull.bind(&endpoint(&file)).unwrap();
    fs::remove_file(&file).unwrap();
    pull.unbind(&endpoint(&file)).unwrap();
    fs::write(&file, "").unwrap();
    drop(pull);
    assert!(file.exists());
}

#[test]
fn of_several_who_take_a_file_over_one_has_it() {
    const RIVALS: usize = 8;
    let context = context();
    let folder = Folder::new();
    let file = folder.path("socket");
    for _ in 0..50 {
        leave_behind(&file);
        let start = Barrier::new(RIVALS);
        let mut winners: Vec<_> = thread::scope(|scope| {
            let rivals: Vec<_> = (0..RIVALS)
                .map(|_| {
                    scope.spawn(|| {
                        let pull = socket(&context, SocketType::Pull);
                        start.wait();
                        match pull.bind(&endpoint(&file)) {
                            Ok(_) => Some(pull),
                            Err(Error::AddressInUse { .. }) => None,
                            Err(error) => panic!("{error}"),
                        }
                    })
                })
                .collect();
            rivals.into_iter().filter_map(|rival| rival.join().unwrap()).collect()
        });
        assert_eq!(winners.len(), 1);
        let pull = winners.remove(0);
        let push = connected(&context, SocketType::Push, &endpoint(&file));
        push.send("reached").unwrap();
        expect(&pull, "reached");
        drop(push);
        await_peers(&pull, 0);
        drop(pull);
        assert!(folder.names().is_empty());
    }
}
