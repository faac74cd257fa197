//! `serverlink proxy`.

use crate::support::{PATIENCE, Running, run};

fn connect(endpoint: &str) -> String {
    format!("--connect={endpoint}")
}

#[test]
fn requests_pass_and_are_counted() {
    let sockets = [
        "router,bind=tcp://127.0.0.1:*",
        "dealer,bind=tcp://127.0.0.1:*",
        "--capture=push,bind=tcp://127.0.0.1:*",
        "--control=rep,bind=tcp://127.0.0.1:*",
        "--stats",
        "--json",
    ];
    let (running, endpoints) = Running::bound_to(&[&["proxy"], &sockets[..]].concat(), 4);
    let [near, far, ear, wheel] = [0, 1, 2, 3].map(|n| connect(&endpoints[n]));
    let worker = Running::start(&["rep", &far, "--count=2", PATIENCE, "done"]).gather();
    let ear = Running::start(&["pull", &ear, "--count=4", "--json", PATIENCE]).gather();
    let asked = run(&["req", &near, PATIENCE, "one", "two"], b"").well();
    assert_eq!(asked.text(), "done\ndone\n");
    assert_eq!(worker.end().well().text(), "one\ntwo\n");
    assert_eq!(ear.end().well().json().len(), 4);
    run(&["req", &wheel, PATIENCE, "TERMINATE"], b"").well();
    let ended = running.end_with_input_open().well();
    let told = ended.told("proxied");
    assert_eq!(told.len(), 1);
    for (side, counts) in [("frontend", [6, 16, 6, 18]), ("backend", [6, 18, 6, 16])] {
        let names = ["frames_received", "bytes_received", "frames_sent", "bytes_sent"];
        for (name, count) in names.iter().zip(counts) {
            assert_eq!(told[0][side][name], count, "{side} {name}");
        }
    }
    assert_eq!(told[0]["dropped"], 0);
}

#[test]
fn it_tells_what_has_passed_time_and_again() {
    let sockets = [
        "pull,bind=tcp://127.0.0.1:*",
        "push,bind=tcp://127.0.0.1:*",
        "--control=pull,bind=tcp://127.0.0.1:*",
        "--every=50ms",
    ];
    let (running, endpoints) = Running::bound_to(&[&["proxy"], &sockets[..]].concat(), 3);
    let [near, far, wheel] = [0, 1, 2].map(|n| connect(&endpoints[n]));
    let receiver = Running::start(&["pull", &far, "--count=10", PATIENCE]).gather();
    // Slowly, so that it is told of some of them before the others.
    let slowly =
        ["push", &near, PATIENCE, "--rate=20", "1", "2", "3", "4", "5", "6", "7", "8", "9", "0"];
    run(&slowly, b"").well();
    receiver.end().well();
    run(&["push", &wheel, PATIENCE, "TERMINATE"], b"").well();
    let ended = running.end_with_input_open().well();
    let told: Vec<_> = ended.stderr.lines().filter(|line| line.starts_with("frontend")).collect();
    assert!(told.len() > 1, "{}", ended.stderr);
    for line in told {
        assert!(line.starts_with("frontend received ") && line.ends_with("0 messages dropped"));
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it() {
    let sockets = ["xsub,bind=tcp://127.0.0.1:*", "xpub,bind=tcp://127.0.0.1:*", "--stats"];
    let (running, _) = Running::bound_to(&[&["proxy"], &sockets[..]].concat(), 2);
    running.interrupt();
    let ended = running.end_with_input_open();
    assert_eq!(ended.code, Some(130));
    assert!(ended.stderr.contains("0 messages dropped"), "{}", ended.stderr);
}

#[test]
fn what_is_no_socket_is_refused() {
    for (socket, reason) in [
        ("router", "endpoint is missing"),
        ("router,bind=tcp://127.0.0.1", "port is missing"),
        ("rooter,bind=tcp://127.0.0.1:*", "write it like"),
    ] {
        let ended = run(&["proxy", socket, "dealer,bind=tcp://127.0.0.1:*"], b"");
        assert_eq!(ended.code, Some(2));
        assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    }
    let ended = run(&["proxy", "router,bind=tcp://127.0.0.1:*"], b"");
    assert_eq!(ended.code, Some(2));
    assert!(ended.stderr.contains("<BACKEND>"), "{}", ended.stderr);
}
