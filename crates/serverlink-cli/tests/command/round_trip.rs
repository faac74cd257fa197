//! What is sent is what is printed, byte for byte.

use std::fs;

use crate::support::{ANY, PATIENCE, Running, push_to_pull, run};
use sha2::{Digest as _, Sha256};

#[test]
fn awkward_lines_arrive_unchanged() {
    let mut input = Vec::new();
    for byte in 0..=255 {
        if byte != b'\n' {
            input.extend_from_slice(&[byte, byte, b'\n']);
        }
    }
    input.extend_from_slice(b"\n\n\r\n \xff\xfe\0\n\n");
    let count = format!("--count={}", input.iter().filter(|byte| **byte == b'\n').count());
    let printed = push_to_pull(&[], &input, &[&count]).well();
    assert_eq!(printed.stdout, input);
}

#[cfg(unix)]
#[test]
fn a_file_is_an_endpoint_too() {
    let folder = tempfile::tempdir().unwrap();
    let named = format!("ipc://{}", folder.path().join("a socket").display());
    for endpoint in [named.as_str(), "ipc://*"] {
        let pull = Running::bound(&["pull", &format!("--bind={endpoint}"), PATIENCE, "--count=2"]);
        assert!(pull.endpoint == endpoint || endpoint == "ipc://*", "{}", pull.endpoint);
        run(&["push", &pull.connect(), PATIENCE, "one", "two"], b"").well();
        assert_eq!(pull.end().well().text(), "one\ntwo\n");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_long_stream_keeps_its_digest() {
    let lines: Vec<u8> =
        (0..300_000_u32).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
    let printed = push_to_pull(&[], &lines, &["--count=300000"]).well();
    assert_eq!(Sha256::digest(&printed.stdout), Sha256::digest(&lines));
}

#[test]
fn a_line_may_be_larger_than_every_buffer() {
    let mut input = vec![b'x'; 5_000_000];
    input.extend_from_slice(b"\nshort\n");
    let printed = push_to_pull(&[], &input, &["--count=2"]).well();
    assert!(printed.stdout == input);
}

#[test]
fn a_missing_final_newline_is_added_unless_newlines_are_kept() {
    let input = b"one\n\ntwo";
    let printed = push_to_pull(&[], input, &["--count=3"]).well();
    assert_eq!(printed.stdout, b"one\n\ntwo\n");
    let printed = push_to_pull(&["--keep-newline"], input, &["--count=3", "--raw"]).well();
    assert_eq!(printed.stdout, input);
}

#[test]
fn messages_may_end_with_a_null_byte() {
    let input = b"a\nb\0\0c\0";
    let printed = push_to_pull(&["-0"], input, &["--count=3", "-0"]).well();
    assert_eq!(printed.stdout, input);
}

#[test]
fn a_file_may_be_one_message_or_cut_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("binary");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    fs::write(&path, &bytes).unwrap();
    let path = path.to_str().unwrap();
    let printed = push_to_pull(&["--whole", "-f", path], b"", &["-n1", "--raw"]).well();
    assert!(printed.stdout == bytes);
    let printed = push_to_pull(&["--chunk=64KiB", "-f", path], b"", &["-n46", "--raw"]).well();
    assert!(printed.stdout == bytes);
}

#[test]
fn files_and_standard_input_are_sent_in_the_order_given() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name).to_str().unwrap().to_owned();
    fs::write(path("a"), "a1\na2").unwrap();
    fs::write(path("b"), "b1\n").unwrap();
    let push = ["-f", &path("a"), "-f", "-", "-f", &path("b")];
    let printed = push_to_pull(&push, b"in\n", &["--count=4"]).well();
    assert_eq!(printed.text(), "a1\na2\nin\nb1\n");
}

#[test]
fn arguments_are_messages_and_are_repeated_up_to_the_count() {
    assert_eq!(push_to_pull(&["x", "", "y"], b"", &["-n3"]).well().text(), "x\n\ny\n");
    let push = ["-n5", "x", "y"];
    assert_eq!(push_to_pull(&push, b"", &["-n5"]).well().text(), "x\ny\nx\ny\nx\n");
}

#[test]
fn frames_are_split_and_joined_at_the_delimiter() {
    let input = b"a\tb\t\tc\nd\n\t\n";
    let printed = push_to_pull(&["-m"], input, &["-n3"]).well();
    assert_eq!(printed.stdout, input);
    let printed = push_to_pull(&["-m"], input, &["-n3", "-d", r"\x7c\0"]).well();
    assert_eq!(printed.stdout, b"a|\0b|\0|\0c\nd\n|\0\n");
    let printed = push_to_pull(&["-m", "-d", "::"], b"a::b\n", &["-n1", "--raw"]).well();
    assert_eq!(printed.stdout, b"ab");
}

#[test]
fn json_tells_frames_and_statistics() {
    let printed = push_to_pull(&["-m"], b"a\t\xff\n\n", &["-n2", "--json", "--stats"]).well();
    assert_eq!(
        printed.text(),
        "{\"event\":\"message\",\"frames\":[\"a\",{\"hex\":\"ff\"}]}\n\
         {\"event\":\"message\",\"frames\":[\"\"]}\n"
    );
    let statistics = &printed.told("statistics")[0];
    assert_eq!(statistics["received"]["messages"], 2);
    assert_eq!(statistics["received"]["bytes"], 2);
    assert_eq!(statistics["sent"]["messages"], 0);
}

#[test]
fn a_pusher_may_bind_and_share_out_among_its_peers() {
    // It sends without end, so that there is something for whoever connects last.
    let push = Running::bound(&["push", ANY, PATIENCE, "--size=3"]);
    let connect = push.connect();
    let pulls = [0, 1].map(|_| Running::start(&["pull", &connect, PATIENCE, "-n5"]).gather());
    for pull in pulls {
        assert_eq!(pull.end().well().text().lines().count(), 5);
    }
}

#[test]
fn one_pull_may_bind_and_connect_to_several() {
    let push = Running::bound(&["push", ANY, PATIENCE, "from a bound peer"]);
    let pull = Running::bound(&["pull", ANY, &push.connect(), PATIENCE, "-n2"]).gather();
    run(&["push", &pull.connect(), PATIENCE, "from a connected peer"], b"").well();
    let printed = pull.end().well();
    let mut lines: Vec<_> = printed.text().lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["from a bound peer", "from a connected peer"]);
    push.end().well();
}
