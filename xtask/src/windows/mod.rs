//! Building for Windows and running the programs here.

pub(crate) mod wine;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use wine::Wine;

use crate::toolchain::Toolchain;
use crate::{exit, layout, needs};

/// The Windows target that links and runs here.
pub(crate) const TARGET: &str = "x86_64-pc-windows-gnu";

/// The profile in `.config/nextest.toml` for whatever runs Wine.
pub(crate) const NEXTEST_PROFILE: &str = "wine";

pub(crate) const EXAMPLES: &str = "\
Examples:
  cargo xtask windows -- nextest run -p serverlink-io
  SERVERLINK_BACKEND=select cargo xtask windows -- nextest run -p serverlink
  cargo xtask windows -- run -p serverlink-cli -- demo
  cargo xtask windows -- check --workspace --tests

nextest takes its profile `wine` from .config/nextest.toml. Products are in
target/cross, Wine's files in target/wine.";

/// Runs `cargo ARGUMENTS` for Windows; returns its exit status.
pub(crate) fn run(arguments: &[OsString]) -> Result<u8, String> {
    needs::provide(&[&needs::WINDOWS_RUST, &needs::MINGW, &needs::WINE], true);
    let windows = Windows::start()?;
    let mut cargo = windows.cargo();
    let status = cargo
        .args(arguments)
        .status()
        .map_err(|error| format!("cannot run {:?}: {error}", cargo.get_program()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::FAILED))
}

/// A compiler for Windows and a Wine that runs what it makes.
pub(crate) struct Windows {
    toolchain: Toolchain,
    wine: Wine,
}

impl Windows {
    /// Finds the compiler and starts Wine.
    pub(crate) fn start() -> Result<Self, String> {
        let toolchain = Toolchain::find(TARGET)
            .ok_or_else(|| format!("no Rust for Windows ({})", needs::WINDOWS_RUST.remedy))?;
        Ok(Self { toolchain, wine: Wine::start()? })
    }

    /// A cargo that builds for Windows and runs what it built under Wine.
    pub(crate) fn cargo(&self) -> Command {
        let mut cargo = self.toolchain.cargo(TARGET);
        cargo
            .env("CARGO_TARGET_X86_64_PC_WINDOWS_GNU_RUNNER", self.runner())
            .env("NEXTEST_PROFILE", NEXTEST_PROFILE);
        cargo
    }

    /// The script that runs a Windows program: `run PROGRAM ARGUMENTS`.
    pub(crate) fn runner(&self) -> &Path {
        self.wine.runner()
    }

    /// Where a debug build puts the program called `name`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        layout::cross_target().join(TARGET).join("debug").join(name).with_extension("exe")
    }
}
