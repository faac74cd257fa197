//! `cargo xtask bench`.

use std::ffi::OsString;
use std::process::Command;

use crate::{exit, layout, needs};

/// Builds the benchmark program and runs it with these arguments; returns its exit status.
pub(crate) fn run(arguments: &[OsString]) -> Result<u8, String> {
    let mut cargo = cargo("run");
    cargo.args(["--quiet", "--release", "--"]).args(arguments);
    let status =
        cargo.status().map_err(|error| format!("cannot run {:?}: {error}", cargo.get_program()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::FAILED))
}

/// A cargo that does `action` to the benchmark program, which is a workspace of its own.
pub(crate) fn cargo(action: &str) -> Command {
    let mut cargo = needs::cargo();
    cargo
        .args([action, "--locked", "--manifest-path"])
        .arg(layout::root().join("bench/Cargo.toml"))
        .arg("--target-dir")
        .arg(layout::target().join("bench"));
    cargo
}
