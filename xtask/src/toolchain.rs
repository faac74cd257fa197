//! The Rust toolchain that builds for another platform.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::layout;

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
        if has_standard_library(Command::new("rustc"), target) {
            Some(Self::Installed)
        } else if debian_has_sources() {
            Some(Self::Debian)
        } else {
            None
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
}

fn has_standard_library(mut rustc: Command, target: &str) -> bool {
    let printed =
        rustc.args(["--print", "target-libdir", "--target", target]).stderr(Stdio::null()).output();
    let Ok(printed) = printed else { return false };
    let directory = String::from_utf8_lossy(&printed.stdout);
    Path::new(directory.trim()).read_dir().is_ok_and(|mut entries| entries.next().is_some())
}

/// Whether Debian's compiler is at least as recent as this workspace demands.
fn debian_is_recent() -> bool {
    let printed =
        Command::new(DEBIAN_RUSTC).arg("--version").env_remove("LD_LIBRARY_PATH").output();
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
    if !Path::new(DEBIAN_CARGO).exists() || !debian_is_recent() {
        return false;
    }
    let printed = Command::new(DEBIAN_RUSTC)
        .args(["--print", "sysroot"])
        .env_remove("LD_LIBRARY_PATH")
        .stderr(Stdio::null())
        .output();
    printed.is_ok_and(|printed| {
        let sysroot = String::from_utf8_lossy(&printed.stdout);
        Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/std/Cargo.toml").exists()
    })
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
