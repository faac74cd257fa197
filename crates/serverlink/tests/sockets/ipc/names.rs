//! What may be bound, and what becomes of it.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::Path,
};

use serverlink::SocketType;

use super::folder::{Folder, endpoint};
use crate::harness::{bound, connected, context, errno, expect, socket};

/// The path of an endpoint.
fn path(endpoint: &str) -> &Path {
    Path::new(endpoint.strip_prefix("ipc://").unwrap())
}

#[test]
fn the_file_is_there_as_long_as_the_endpoint_is_bound() {
    let context = context();
    let folder = Folder::new();
    let file = folder.path("a socket");
    let pull = socket(&context, SocketType::Pull);
    for _ in 0..3 {
        assert_eq!(pull.bind(&endpoint(&file)).unwrap(), endpoint(&file));
        assert_eq!(pull.last_endpoint(), Some(endpoint(&file)));
        assert!(fs::metadata(&file).unwrap().file_type().is_socket());
        let push = connected(&context, SocketType::Push, &endpoint(&file));
        push.send("hello").unwrap();
        expect(&pull, "hello");
        pull.unbind(&endpoint(&file)).unwrap();
        assert!(folder.names().is_empty(), "{:?}", folder.names());
    }
    pull.bind(&endpoint(&file)).unwrap();
    drop(pull);
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[test]
fn a_relative_path_begins_in_the_working_directory() {
    let context = context();
    let name = format!("serverlink-test-{}.socket", std::process::id());
    let (pull, endpoint) = bound(&context, SocketType::Pull, &format!("ipc://{name}"));
    assert_eq!(endpoint, format!("ipc://{name}"));
    assert!(std::env::current_dir().unwrap().join(&name).exists());
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("hello").unwrap();
    expect(&pull, "hello");
    drop(pull);
    assert!(!Path::new(&name).exists());
}

#[test]
fn a_star_is_a_new_name_in_a_directory_for_us_alone() {
    let context = context();
    let pulls: Vec<_> = (0..3).map(|_| bound(&context, SocketType::Pull, "ipc://*")).collect();
    for (pull, endpoint) in &pulls {
        assert_eq!(pull.last_endpoint().as_ref(), Some(endpoint));
        assert_eq!(pulls.iter().filter(|(_, other)| other == endpoint).count(), 1);
        assert!(path(endpoint).starts_with(std::env::temp_dir()));
        let directory = path(endpoint).parent().unwrap();
        assert_eq!(fs::metadata(directory).unwrap().permissions().mode() & 0o777, 0o700);
        let push = connected(&context, SocketType::Push, endpoint);
        push.send("hello").unwrap();
        expect(pull, "hello");
    }
    for (pull, endpoint) in pulls {
        pull.unbind(&endpoint).unwrap();
        assert!(!path(&endpoint).parent().unwrap().exists());
    }
    assert_eq!(errno(socket(&context, SocketType::Push).connect("ipc://*")), "EINVAL");
}

#[test]
fn a_path_has_a_length_that_is_told() {
    let context = context();
    let folder = Folder::new();
    let most = if cfg!(target_os = "linux") { 107 } else { 103 };
    let room = most - folder.path("").to_str().unwrap().len();
    let socket = socket(&context, SocketType::Pull);
    let longest = endpoint(&folder.path(&"x".repeat(room)));
    socket.bind(&longest).unwrap();
    connected(&context, SocketType::Push, &longest).set_linger(None).unwrap();
    let push = connected(&context, SocketType::Push, &longest);
    push.send("hello").unwrap();
    expect(&socket, "hello");
    for refused in
        [socket.bind(&format!("{longest}x")).map(drop), push.connect(&format!("{longest}x"))]
    {
        let error = refused.unwrap_err();
        assert_eq!(error.errno_name(), "EINVAL");
        assert!(error.to_string().contains(&format!("at most {most} bytes")), "{error}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let context = context();
    let folder = Folder::new();
    let socket = socket(&context, SocketType::Pull);
    fs::write(folder.path("file"), "").unwrap();
    for missing in ["missing", "file"] {
        let error = socket.bind(&endpoint(&folder.path(missing).join("socket"))).unwrap_err();
        assert_eq!(error.errno_name(), "EINVAL");
        assert!(error.to_string().contains("there is no directory"), "{error}");
        assert!(error.to_string().contains(folder.path(missing).to_str().unwrap()), "{error}");
    }
    assert_eq!(socket.last_endpoint(), None);
}

/// The umask cannot be set here: it is the whole process's.
#[cfg(target_os = "linux")]
#[test]
fn the_umask_decides_who_may_connect() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:")).unwrap();
    let umask = u32::from_str_radix(umask.trim(), 8).unwrap();
    let context = context();
    let folder = Folder::new();
    let file = folder.path("socket");
    let (_pull, _) = bound(&context, SocketType::Pull, &endpoint(&file));
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o777 & !umask);
}
