//! The command line: what is refused, and what is told.

use std::process::Command;

use crate::support::{ANY, run};

#[track_caller]
fn refused(args: &[&str], reason: &str) {
    let ended = run(args, b"");
    assert_eq!(ended.code, Some(2), "{args:?}: {ended:?}");
    assert!(ended.stderr.starts_with("serverlink: "), "{args:?}: {}", ended.stderr);
    assert!(ended.stderr.contains(reason), "{args:?}: {}", ended.stderr);
    assert!(ended.stdout.is_empty());
}

#[test]
fn impossible_command_lines_are_refused_with_a_reason() {
    const TO: &str = "--connect=tcp://127.0.0.1:9";
    refused(&["pull"], "--bind <ENDPOINT>");
    refused(&["shove"], "unrecognized subcommand");
    refused(&["pull", "--connect=127.0.0.1:9"], "try tcp://127.0.0.1:9");
    refused(&["pull", "--connect=tcp://*:9"], "--bind");
    refused(&["pull", "--bind=tcp://127.0.0.1"], "port is missing");
    refused(&["pull", "--bind=inproc://x"], "tcp://");
    refused(&["pull", TO, "--backend=magic"], "this machine has: ");
    refused(&["pull", TO, "--backend=select,"], "this machine has: ");
    refused(&["pull", TO, "--count=0"], "0 is not in 1..");
    refused(&["pull", TO, "--count=many"], "invalid digit");
    refused(&["pull", TO, "--timeout=5"], "unit is missing");
    refused(&["pull", TO, "--timeout=0s"], "more than nothing");
    refused(&["pull", TO, "--linger=never"], "forever");
    refused(&["pull", TO, "--delimiter="], "not be empty");
    refused(&["pull", TO, "--raw", "--json"], "cannot be used with");
    refused(&["pull", TO, "--file=x"], "unexpected argument");
    refused(&["push", TO, "--rate=0"], "above 0");
    refused(&["push", TO, "--size=2GiB"], "more than 1GiB");
    refused(&["push", TO, "--chunk=0"], "at least 1 byte");
    refused(&["push", TO, "--size=1", "message"], "cannot be used with");
    refused(&["push", TO, "--file=x", "message"], "cannot be used with");
    refused(&["push", TO, "--whole", "--chunk=1"], "cannot be used with");
    refused(&["sub", TO, &format!("--pattern={}", "*".repeat(256))], "255 is the most");
    refused(&["dealer", TO, "--routing-id=0x00"], "zero byte");
    refused(&["rep", TO, "reply", "--echo"], "cannot be used with");
    refused(&["demo", "--seconds=0"], "0 is not in 1..");
    refused(&["demo", "--size=8"], "at least 24 bytes");
    refused(&["pull", "--connect=carrier://pigeon"], "carrier");
}

#[test]
fn a_backend_misnamed_in_the_environment_is_a_usage_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serverlink"));
    let ended = command.args(["pull", ANY]).env("SERVERLINK_BACKEND", "magic").output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    assert!(said.contains("magic") && said.contains("select"), "{said}");
}

#[test]
fn help_tells_the_exit_codes_and_goes_to_standard_output() {
    for args in [["--help"], ["-h"]] {
        let help = run(&args, b"").well();
        assert!(help.text().contains("Exit codes:"), "{args:?}");
        assert!(help.text().contains("130  interrupted"), "{args:?}");
        assert!(help.stderr.is_empty());
    }
    assert!(run(&["push", "--help"], b"").well().text().contains("--keep-newline"));
}

#[test]
fn the_version_tells_protocol_and_backends() {
    let version = run(&["--version"], b"").well();
    assert!(version.text().starts_with(concat!("serverlink ", env!("CARGO_PKG_VERSION"))));
    assert!(version.text().contains("ZMTP 3.1"));
    for backend in run(&["backends"], b"").well().text().lines() {
        assert!(version.text().contains(backend));
    }
}

#[test]
fn backends_are_listed_and_can_be_chosen() {
    let listed = run(&["backends"], b"").well();
    let json = &run(&["backends", "--json"], b"").well().json()[0];
    let names: Vec<_> = listed.text().lines().collect();
    assert_eq!(json, &serde_json::json!(names));
    assert!(!names.is_empty());
    for name in names {
        let ended = run(&["pull", ANY, "--backend", name, "--timeout=1ms"], b"");
        assert_eq!(ended.code, Some(3), "{name}: {ended:?}");
        let both = format!("{name},select");
        let ended = run(&["pull", ANY, "--backend", &both, "--timeout=1ms"], b"");
        assert_eq!(ended.code, Some(3), "{both}: {ended:?}");
        assert!(!ended.stderr.contains("not used: "), "{both}: {ended:?}");
    }
}
