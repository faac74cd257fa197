//! `cargo xtask bench`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use crate::windows::Windows;
use crate::{exit, layout, needs};

/// Asks for the comparisons on Windows, under Wine.
const WINE: &str = "--wine";

/// What figures under Wine are worth.
const CAVEAT: &str = "\
Under Wine all of this is several times slower than on the machine itself, and noisy. The ratios hold
between what ran here, in turn; none of the figures is one of Windows.";

/// Builds the benchmark program and runs it with these arguments; returns its exit status.
pub(crate) fn run(arguments: &[OsString]) -> Result<u8, String> {
    if let Some((first, rest)) = arguments.split_first()
        && first == WINE
    {
        return run_under_wine(rest);
    }
    let mut cargo = cargo("run");
    cargo.args(["--quiet", "--release", "--"]).args(arguments);
    let status =
        cargo.status().map_err(|error| format!("cannot run {:?}: {error}", cargo.get_program()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::FAILED))
}

fn run_under_wine(arguments: &[OsString]) -> Result<u8, String> {
    needs::provide(&[&needs::WINDOWS_RUST, &needs::MINGW, &needs::WINE], true);
    let windows = Windows::start()?;
    let mut cargo = comparisons(windows.cargo(), "run");
    cargo.args(["--quiet", "--release", "--"]).args(arguments);
    let status =
        cargo.status().map_err(|error| format!("cannot run {:?}: {error}", cargo.get_program()))?;
    if status.success() {
        println!("\n{CAVEAT}");
    }
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::FAILED))
}

/// Makes a cargo do `action` to the comparisons that Windows programs allow.
pub(crate) fn comparisons(cargo: Command, action: &str) -> Command {
    let mut cargo = workspace(cargo, action);
    cargo.arg("--package=serverlink-bench-windows");
    cargo
}

/// A cargo that does `action` to the benchmark program, or to all that is in a workspace with it.
pub(crate) fn cargo(action: &str) -> Command {
    let mut cargo = workspace(needs::cargo(), action);
    cargo.arg("--target-dir").arg(target());
    cargo
}

/// Where what it makes is.
pub(crate) fn target() -> PathBuf {
    layout::target().join("bench")
}

fn workspace(mut cargo: Command, action: &str) -> Command {
    cargo
        .args([action, "--locked", "--manifest-path"])
        .arg(layout::root().join("bench/Cargo.toml"));
    cargo
}
