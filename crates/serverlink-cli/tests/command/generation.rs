//! Generated messages, their number and their pace.

use std::time::{Duration, Instant};

use crate::support::{ANY, PATIENCE, Running, push_to_pull, run};

#[test]
fn generated_messages_have_the_size_and_their_number() {
    let printed = push_to_pull(&["--size=8", "--count=12"], b"", &["--count=12"]).well();
    let lines: Vec<_> = printed.text().lines().collect();
    assert_eq!((lines[0], lines[11]), ("0.......", "11......"));
    assert_eq!(lines.len(), 12);
}

#[test]
fn empty_and_large_messages_can_be_generated() {
    for (size, bytes) in [("--size=0", 0), ("--size=1MiB", 1 << 20)] {
        let printed = push_to_pull(&[size, "-n3"], b"", &["-n3", "--raw"]).well();
        assert_eq!(printed.stdout.len(), 3 * bytes);
    }
}

#[test]
fn a_rate_is_kept() {
    let started = Instant::now();
    let printed = push_to_pull(&["--rate=100", "-n21", "x"], b"", &["-n21"]).well();
    // 20 pauses of 10 ms lie between 21 messages. Nothing bounds it from above on a busy machine.
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert_eq!(printed.text().lines().count(), 21);
}

#[test]
fn statistics_tell_what_was_sent() {
    let pull = Running::bound(&["pull", ANY, PATIENCE, "-n10"]).gather();
    let args = ["push", &pull.connect(), PATIENCE, "-s100", "-n10", "--stats", "--json"];
    let pushed = run(&args, b"").well();
    let sent = &pushed.told("statistics")[0]["sent"];
    assert_eq!((&sent["messages"], &sent["bytes"]), (&10.into(), &1000.into()));
    assert!(sent["messages_per_second"].as_f64().unwrap() > 0.0);
    pull.end().well();
}
