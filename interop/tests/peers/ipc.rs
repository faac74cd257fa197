//! Names of Unix domain sockets as both libraries understand them. What is said over them is the
//! other files' matter.
#![cfg(unix)]

use std::{fs, path::Path, process::Command};

use serverlink::SocketType::{self, *};
use serverlink_interop::{
    Contexts,
    Library::{self, Libzmq, ServerLink},
    Peer, Process, payload,
};

fn path(endpoint: &str) -> &Path {
    Path::new(endpoint.strip_prefix("ipc://").unwrap())
}

/// The other library connects, and both can talk.
#[track_caller]
fn assert_reachable(contexts: &Contexts, pull: &Peer, endpoint: &str) {
    let push = contexts.open(pull.library().other(), Push);
    push.connect(endpoint);
    push.send(["hello"]);
    pull.expect(["hello"]);
}

#[test]
fn a_star_is_filled_in_for_either() {
    let contexts = Contexts::new();
    let pull = contexts.open(ServerLink, Pull);
    let endpoint = pull.bind_any("ipc://*");
    assert!(path(&endpoint).is_absolute() && path(&endpoint).exists(), "{endpoint}");
    assert_reachable(&contexts, &pull, &endpoint);
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_is_the_same_to_both() {
    let contexts = Contexts::new();
    for binder in Library::BOTH {
        let endpoint = format!("ipc://@serverlink/{binder}/{}", std::process::id());
        let pull = contexts.open(binder, Pull);
        pull.bind_to(&endpoint);
        assert_reachable(&contexts, &pull, &endpoint);
    }
}

#[test]
fn the_longest_path_is_the_same_to_both() {
    let folder = tempfile::tempdir().unwrap();
    let most = if cfg!(target_os = "linux") { 107 } else { 103 };
    let room = most - folder.path().join("x").to_str().unwrap().len() + 1;
    let path = |length| folder.path().join("x".repeat(length)).display().to_string();
    let contexts = Contexts::new();
    for binder in Library::BOTH {
        let pull = contexts.open(binder, Pull);
        let endpoint = format!("ipc://{}", path(room));
        pull.bind_to(&endpoint);
        assert_reachable(&contexts, &pull, &endpoint);
    }
    let endpoint = format!("ipc://{}", path(room + 1));
    assert!(contexts.open(ServerLink, Pull).ours().bind(&endpoint).is_err());
    assert!(contexts.open(Libzmq, Pull).theirs().0.bind(&endpoint).is_err());
}

/// libzmq takes every name over, ours included: it is libzmq's then, and stays when we go.
#[test]
fn what_libzmq_took_is_left_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}", folder.path().join("socket").display());
    let contexts = Contexts::new();
    let ours = contexts.open(ServerLink, Pull);
    ours.bind_to(&endpoint);
    let theirs = contexts.open(Libzmq, Pull);
    theirs.bind_to(&endpoint);
    drop(ours);
    assert_reachable(&contexts, &theirs, &endpoint);
    // We do not do the same.
    let other = contexts.open(ServerLink, Pull);
    assert_eq!(other.ours().bind(&endpoint).unwrap_err().errno_name(), "EADDRINUSE");
    assert_reachable(&contexts, &theirs, &endpoint);
}

fn child(role: &str, how: &str, endpoint: &str) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_libzmq-peer"));
    let mut process = Process::start(command.args([role, how, endpoint, "name"]));
    assert_eq!(process.line(), endpoint);
    process
}

fn open(socket_type: SocketType) -> Peer {
    Contexts::new().open(ServerLink, socket_type)
}

/// A libzmq that is killed leaves its file behind, which the next one replaces, be it ours or not.
#[test]
fn the_file_of_a_killed_process_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let endpoint = format!("ipc://{}", folder.path().join("socket").display());
    for _ in 0..10 {
        let pull = open(Pull);
        pull.connect(&endpoint);
        let push = child("push", "bind", &endpoint);
        let message = pull.recv();
        assert_eq!((&message[0][..], payload::number(&message[1])), (&b"name"[..], 0));
        push.kill();
        assert!(path(&endpoint).exists(), "it left nothing");
        drop(pull);
        // Ours, which one of theirs sends to until it is killed.
        let pull = open(Pull);
        pull.bind_to(&endpoint);
        let push = child("push", "connect", &endpoint);
        for number in 0..100 {
            assert_eq!(payload::number(&pull.recv()[1]), number);
        }
        push.kill();
        drop(pull);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
