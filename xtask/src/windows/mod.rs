//! Building for Windows and running the programs here.

pub(crate) mod toolchain;
pub(crate) mod wine;

use std::ffi::OsString;
use std::process::Command;

use toolchain::Toolchain;
use wine::Wine;

use crate::{exit, needs};

/// The Windows target that links and runs here.
pub(crate) const TARGET: &str = "x86_64-pc-windows-gnu";

/// The profile in `.config/nextest.toml` for whatever runs Wine.
pub(crate) const NEXTEST_PROFILE: &str = "wine";

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask windows -- nextest run -p serverlink-io
  SERVERLINK_BACKEND=select cargo xtask windows -- nextest run -p serverlink
  cargo xtask windows -- run -p serverlink-cli -- demo
  cargo xtask windows -- clippy -p serverlink-io --all-targets

nextest takes its profile `wine` from .config/nextest.toml. Products are in
target/cross, Wine's files in target/wine.";

/// Runs `cargo ARGUMENTS` for Windows with Wine as the runner.
pub(crate) fn run(arguments: &[OsString]) -> Result<u8, String> {
    let wine = Wine::start()?;
    let mut cargo = cargo(&wine)?;
    cargo.args(arguments);
    let status =
        cargo.status().map_err(|error| format!("cannot run {:?}: {error}", cargo.get_program()))?;
    drop(wine);
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(exit::FAILED))
}

/// A cargo that builds for Windows and runs what it built under `wine`.
pub(crate) fn cargo(wine: &Wine) -> Result<Command, String> {
    let mut cargo = Toolchain::find(TARGET)
        .ok_or_else(|| format!("no Rust for Windows ({})", needs::WINDOWS_RUST.remedy))?
        .cargo(TARGET);
    cargo
        .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", wine.runner())
        .env("NEXTEST_PROFILE", NEXTEST_PROFILE);
    Ok(cargo)
}
