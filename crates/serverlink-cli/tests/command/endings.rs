//! How runs end, and what they tell when they fail.

#[cfg(unix)]
use std::io::BufRead as _;
use std::io::{Read as _, Write as _};

use crate::support::{ANY, PATIENCE, Running, push_to_pull, run};

/// A port of this machine where nobody listens: it was free a moment ago.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("--connect=tcp://{}", listener.local_addr().unwrap())
}

#[test]
fn an_idle_time_out_is_a_failure_only_if_nothing_came() {
    let ended = run(&["pull", ANY, "--timeout=50ms"], b"");
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("serverlink: nothing came within 50ms"), "{}", ended.stderr);
    let ended = push_to_pull(&["x"], b"", &["--timeout=2s"]).well();
    assert_eq!(ended.text(), "x\n");
}

#[test]
fn a_count_that_is_not_reached_is_a_time_out() {
    let ended = push_to_pull(&["x", "y"], b"", &["-n3", "--timeout=1s"]);
    assert_eq!((ended.code, ended.text()), (Some(3), "x\ny\n"));
    assert!(ended.stderr.contains("2 of 3 messages came"), "{}", ended.stderr);
}

#[test]
fn unsent_messages_are_told() {
    let ended = run(&["push", &nobody(), "--timeout=50ms", "x"], b"");
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("within 50ms"), "{}", ended.stderr);
    run(&["push", &nobody(), "--linger=0", "x"], b"").well();
}

#[test]
fn a_missing_reply_is_a_time_out() {
    let ended = run(&["req", &nobody(), "--timeout=50ms", "x"], b"");
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("no reply came within 50ms"), "{}", ended.stderr);
}

#[test]
fn missing_subscribers_are_a_time_out() {
    let ended = run(&["pub", ANY, "--timeout=50ms", "--wait-subscribers=2", "x"], b"");
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("0 of 2 subscriptions"), "{}", ended.stderr);
}

#[test]
fn an_unreadable_file_is_told_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let readable = folder.path().join("readable");
    std::fs::write(&readable, "x").unwrap();
    for path in [folder.path(), &folder.path().join("missing")] {
        let path = path.to_str().unwrap();
        let args = ["push", ANY, "-q", PATIENCE, "-f", readable.to_str().unwrap(), "-f", path];
        let ended = run(&args, b"");
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.starts_with("serverlink: cannot read "), "{}", ended.stderr);
        assert!(ended.stderr.contains(path));
    }
}

#[test]
fn a_port_in_use_is_told_with_a_remedy() {
    let first = Running::bound(&["pull", ANY]);
    let ended = run(&["pull", "--bind", &first.endpoint], b"");
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("in use"), "{}", ended.stderr);
    assert!(ended.stderr.contains("another port"), "{}", ended.stderr);
}

#[test]
fn errors_are_json_if_so_asked() {
    let first = Running::bound(&["pull", ANY]);
    let ended = run(&["pull", "--bind", &first.endpoint, "--json"], b"");
    let error = &ended.told("error")[0];
    assert_eq!((&error["exit_code"], &error["errno"]), (&1.into(), &"EADDRINUSE".into()));
}

#[test]
fn a_closed_output_ends_the_command_quietly() {
    let mut pull = Running::bound(&["pull", ANY, PATIENCE]);
    drop(pull.stdout());
    run(&["push", &pull.connect(), PATIENCE, "x"], b"").well();
    let ended = pull.end();
    assert_eq!((ended.code, ended.stderr.lines().count()), (Some(141), 1), "{ended:?}");
}

#[test]
fn what_came_is_printed_while_waiting_for_more() {
    let mut pull = Running::bound(&["pull", ANY, PATIENCE, "--raw"]);
    let mut stdout = pull.stdout();
    let mut push = Running::start(&["push", &pull.connect(), PATIENCE]);
    let mut stdin = push.stdin();
    for (line, printed) in [("a\n", b'a'), ("b\n", b'b')] {
        stdin.write_all(line.as_bytes()).unwrap();
        let mut byte = [0];
        stdout.read_exact(&mut byte).unwrap();
        assert_eq!(byte, [printed]);
    }
}

#[test]
fn who_only_receives_need_not_reach_every_peer() {
    let nobody = nobody();
    let xsub = Running::bound(&["xsub", ANY, &nobody, "-n1", "--topic=x"]).gather();
    let publisher = ["pub", &xsub.connect(), PATIENCE, "--wait-subscribers=1", "x"];
    run(&publisher, b"").well();
    xsub.end().well();
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_with_130_and_all_output() {
    let mut pull = Running::bound(&["pull", ANY, "--stats"]);
    let mut stdout = pull.stdout();
    run(&["push", &pull.connect(), PATIENCE, "x"], b"").well();
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    pull.interrupt();
    let ended = pull.end();
    assert_eq!((ended.code, line.as_str()), (Some(130), "x\n"));
    assert!(ended.stderr.contains("received 1 messages, 1 bytes"), "{}", ended.stderr);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_a_wait_for_input_or_for_peers() {
    let nobody = nobody();
    for args in [
        &["push", ANY][..],
        &["push", ANY, "x"],
        &["push", ANY, &nobody, "x"],
        &["pair", ANY],
        &["req", ANY, "x"],
        &["pub", ANY, "--wait-subscribers=1", "x"],
    ] {
        let running = Running::bound(args);
        running.interrupt();
        let ended = running.end_with_input_open();
        assert_eq!(ended.code, Some(130), "{args:?}");
    }
}

#[test]
fn a_client_that_leaves_before_its_replies_ends_no_server() {
    for (server, client) in [(&["server"][..], "client"), (&["peer", "--echo"], "peer")] {
        let mut serving = Running::bound(&[server, &[ANY, PATIENCE]].concat());
        let connect = serving.connect();
        // More than is printed before somebody reads it: the last are replied to when the client has left.
        run(&[client, &connect, PATIENCE, "--send-only", "--size=1000", "--count=300"], b"").well();
        let mut stdout = serving.stdout();
        let reader = std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
        let ended = run(&[client, &connect, PATIENCE, "--count=1", "there"], b"");
        assert_eq!((ended.code, ended.text()), (Some(0), "there\n"), "{server:?}: {ended:?}");
        drop(serving);
        reader.join().unwrap().unwrap();
    }
}

#[test]
fn a_failure_loses_nothing_that_came() {
    let reply = "x".repeat(100_000);
    let args = ["server", ANY, "--hwm=1", "--timeout=500ms", "--stats", &reply];
    let server = Running::bound(&args).gather();
    // It reads no reply, and stays.
    let mut client = Running::start(&["client", &server.connect(), "--hwm=1", "--send-only"]);
    let mut stdin = client.stdin();
    let input = std::thread::spawn(move || {
        stdin.write_all(&b"request\n".repeat(1000)).unwrap();
        stdin
    });
    let ended = server.end();
    drop(input.join().unwrap());
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    let received = format!("received {} messages", ended.text().lines().count());
    assert!(ended.stderr.contains(&received), "{received}: {}", ended.stderr);
}

#[cfg(unix)]
#[test]
fn a_named_pipe_is_opened_once() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("there is mkfifo").success());
    let name = pipe.to_str().unwrap().to_owned();
    // Nobody writes to it yet, whom opening it would be to wait for.
    let ended = run(&["push", ANY, "-f", &name, "-f", &format!("{name}.missing")], b"");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let writer = std::thread::spawn(move || std::fs::write(pipe, "a\nb\n"));
    let printed = push_to_pull(&["-f", &name], b"", &["-n2"]).well();
    assert_eq!(printed.text(), "a\nb\n");
    writer.join().unwrap().unwrap();
}
