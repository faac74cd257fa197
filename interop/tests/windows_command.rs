//! The Windows build of the command, under Wine, and a native libzmq.
//!
//! `SERVERLINK_WINDOWS_COMMAND` is the path of `serverlink.exe`, and `SERVERLINK_WINE_RUNNER` that
//! of a script that runs it; `cargo xtask test --only windows` sees to both.

use serverlink_interop::{command::Serverlink, each_role, roles};

/// A tenth of what the native command is tried with.
const BYTES: usize = 10_000_000;

fn completion_port() -> Serverlink {
    Serverlink::windows("iocp")
}

each_role!(completion_port());

#[test]
fn pulls_a_file() {
    roles::pull_a_file(&completion_port(), BYTES);
}

#[test]
fn pushes_a_file() {
    roles::push_a_file(&completion_port(), BYTES);
}

#[test]
fn pulls_a_file_by_select() {
    roles::pull_a_file(&Serverlink::windows("select"), BYTES / 10);
}

#[test]
fn pushes_a_file_by_select() {
    roles::push_a_file(&Serverlink::windows("select"), BYTES / 10);
}
