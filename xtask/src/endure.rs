//! `cargo xtask endure`.

use std::ffi::OsString;
use std::process::Command;

use crate::windows::Windows;
use crate::{exit, layout, suites};

/// The program, and its package.
const PACKAGE: &str = "serverlink-endure";
/// How many messages go through each pattern where it is one test among many.
const FEW: &str = "20000";
/// The same where they take their time: under Wine, or encrypted without optimisation.
const FEWER: &str = "6000";

/// Builds the program and runs it with these arguments; returns its exit status.
pub(crate) fn run(arguments: &[OsString]) -> Result<u8, String> {
    let mut cargo = suites::cargo();
    cargo.args(["run", "--quiet", "--release", "--package", PACKAGE, "--"]).args(arguments);
    let status =
        cargo.status().map_err(|error| format!("cannot run {:?}: {error}", cargo.get_program()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::FAILED))
}

/// Runs it, once it is built without optimisation, for a few seconds on `backend`.
pub(crate) fn briefly(backend: &str) -> Command {
    with(built(), &["--messages", FEW, "--backend", backend])
}

/// The same with everything encrypted, on the backend that is the default: by CURVE, or by TLS below
/// WebSockets.
pub(crate) fn briefly_encrypted(by: &[&str]) -> Command {
    with(built(), &[&["--messages", FEWER], by].concat())
}

/// Not encrypted, under Wine, on the completion port.
pub(crate) fn briefly_under_wine(windows: &Windows) -> Command {
    let mut command = Command::new(windows.runner());
    command.arg(windows.program(PACKAGE));
    with(command, &["--messages", FEWER, "--backend", "iocp"])
}

fn built() -> Command {
    Command::new(layout::debug_program(PACKAGE))
}

fn with(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}
