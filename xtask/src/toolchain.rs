//! The Rust toolchain that builds for another platform.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{layout, needs};

/// Debian's compiler for web browsers: recent, and with the sources of the
/// standard library, from which that of any target is built.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_RUSTDOC: &str = "/usr/bin/rustdoc";

/// A toolchain able to build for some target other than the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Toolchain {
    /// The one in use, which has the target's standard library.
    Installed,
    /// Debian's, which builds the standard library along with the program.
    Debian,
}

impl Toolchain {
    /// The toolchain to build for `target`, if there is one.
    pub(crate) fn find(target: &str) -> Option<Self> {
        if has_standard_library(target) {
            Some(Self::Installed)
        } else if debian_has_sources() {
            Some(Self::Debian)
        } else {
            None
        }
    }

    /// Debian's, if it is there.
    pub(crate) fn debian() -> Option<Self> {
        debian_has_sources().then_some(Self::Debian)
    }

    /// Its compiler.
    pub(crate) fn rustc(self) -> Command {
        match self {
            Self::Installed => Command::new("rustc"),
            Self::Debian => {
                let mut rustc = Command::new(DEBIAN_RUSTC);
                rustc.env_remove("LD_LIBRARY_PATH");
                rustc
            }
        }
    }

    /// Cargo, set up through its environment alone: any subcommand and any
    /// arguments may follow.
    pub(crate) fn cargo(self, target: &str) -> Command {
        let mut cargo = match self {
            Self::Installed => Command::new("cargo"),
            Self::Debian => {
                let mut cargo = Command::new(DEBIAN_CARGO);
                let path = env::var("PATH").unwrap_or_default();
                cargo
                    .env("CARGO", DEBIAN_CARGO)
                    .env("RUSTC", DEBIAN_RUSTC)
                    .env("RUSTDOC", DEBIAN_RUSTDOC)
                    .env("PATH", format!("/usr/bin:/bin:{path}"))
                    // Permits building the standard library with a stable compiler.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env("CARGO_UNSTABLE_BUILD_STD", "std")
                    // These point into the other toolchain.
                    .env_remove("RUSTUP_TOOLCHAIN")
                    .env_remove("LD_LIBRARY_PATH");
                cargo
            }
        };
        cargo
            .current_dir(layout::root())
            .env("CARGO_BUILD_TARGET", target)
            .env("CARGO_TARGET_DIR", layout::cross_target());
        cargo
    }

    /// Has a command of its cargo take warnings for errors.
    pub(crate) fn deny_warnings(self, command: &mut Command) {
        match self {
            Self::Installed => command.env("RUSTFLAGS", "--deny=warnings"),
            // Spares the standard library, which is built along.
            Self::Debian => {
                command.env("CARGO_UNSTABLE_WARNINGS", "true").env("CARGO_BUILD_WARNINGS", "deny")
            }
        };
    }
}

/// Has rustup fetch the standard libraries of these targets, which spares building them.
pub(crate) fn add(targets: &[&str]) -> bool {
    rustup(&["target", "add"], targets)
}

/// Has rustup fetch Miri, and the sources that it needs, for its nightly toolchain: for the one that is
/// there, which is not made newer, or else with one.
pub(crate) fn add_miri() -> bool {
    if needs::succeeds(nightly().arg("--version")) {
        return rustup(&["component", "add", "--toolchain", "nightly"], &["miri", "rust-src"]);
    }
    let install = ["toolchain", "install", "nightly", "--profile", "minimal", "--component"];
    rustup(&install, &["miri,rust-src"])
}

fn rustup(command: &[&str], what: &[&str]) -> bool {
    let mut rustup = Command::new("rustup");
    rustup.args(command).args(what).stdin(Stdio::null());
    rustup.status().is_ok_and(|status| status.success())
}

fn has_standard_library(target: &str) -> bool {
    libraries(target).and_then(|folder| folder.read_dir().ok()?.next()).is_some()
}

/// Where the compiler in use looks for the libraries of `target`.
pub(crate) fn libraries(target: &str) -> Option<PathBuf> {
    printed(Command::new("rustc").args(["--print", "target-libdir", "--target", target]))
}

/// The runtime library of a sanitizer (`asan`, `tsan`) that came with the compiler in use.
pub(crate) fn runtime_library(target: &str, sanitizer: &str) -> Option<PathBuf> {
    let end = format!("_rt.{sanitizer}.a");
    libraries(target)?.read_dir().ok()?.find_map(|entry| {
        let path = entry.ok()?.path();
        path.to_str()?.ends_with(&end).then_some(path)
    })
}

/// Whether the sources of the standard library came with a compiler.
pub(crate) fn has_sources(mut rustc: Command) -> bool {
    printed(rustc.args(["--print", "sysroot"]))
        .is_some_and(|root| root.join("lib/rustlib/src/rust/library/std/Cargo.toml").exists())
}

/// The path that a compiler prints.
fn printed(rustc: &mut Command) -> Option<PathBuf> {
    let printed = rustc.stderr(Stdio::null()).output().ok()?;
    let path = String::from_utf8_lossy(&printed.stdout);
    Some(PathBuf::from(path.trim())).filter(|_| printed.status.success())
}

/// The cargo of rustup's nightly toolchain.
pub(crate) fn nightly() -> Command {
    let mut cargo = Command::new("cargo");
    cargo
        .arg("+nightly")
        .current_dir(layout::root())
        // Rustup chooses again, and none of these names another compiler.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC")
        .env_remove("RUSTDOC")
        .env_remove("CARGO");
    cargo
}

/// Whether there is one, with the sources of the standard library.
pub(crate) fn nightly_has_sources() -> bool {
    let mut rustc = Command::new("rustc");
    rustc.arg("+nightly").env_remove("RUSTUP_TOOLCHAIN");
    has_sources(rustc)
}

/// Whether Debian's compiler is at least as recent as this workspace demands.
fn debian_is_recent() -> bool {
    let printed = Toolchain::Debian.rustc().arg("--version").output();
    let Ok(printed) = printed else { return false };
    let found = release(&String::from_utf8_lossy(&printed.stdout));
    found >= release(concat!("rustc ", env!("CARGO_PKG_RUST_VERSION")))
}

/// The major and minor number in what `rustc --version` prints.
fn release(printed: &str) -> Option<(u32, u32)> {
    let mut numbers = printed.strip_prefix("rustc ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn debian_has_sources() -> bool {
    Path::new(DEBIAN_CARGO).exists() && debian_is_recent() && has_sources(Toolchain::Debian.rustc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_their_numbers() {
        assert_eq!(release("rustc 1.85.0 (4d91de4e4 2025-02-17)\n"), Some((1, 85)));
        assert_eq!(release("rustc 1.95"), Some((1, 95)));
        assert_eq!(release("something else"), None);
        assert!(release("rustc 1.100.0") > release("rustc 1.99.0"));
        assert!(release("something else") < release("rustc 1.95"));
    }
}
