//! What suites need from the machine, and how to get it.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::instructions;
use crate::suites;
use crate::toolchain::{self, Toolchain};
use crate::windows::{self, wine};

/// Something a suite cannot run without.
pub(crate) struct Need {
    pub(crate) name: &'static str,
    /// What a person may do about its absence.
    pub(crate) remedy: &'static str,
    /// The packages of Debian that supply it.
    pub(crate) packages: &'static [&'static str],
    pub(crate) met: fn() -> bool,
    /// Makes or fetches it by other means: if possible without the packages, or else with them.
    pub(crate) make: Option<fn() -> bool>,
}

pub(crate) const RUSTFMT: Need = Need {
    name: "rustfmt",
    remedy: "rustup component add rustfmt",
    packages: &[],
    met: || succeeds(cargo().args(["fmt", "--version"])),
    make: None,
};

pub(crate) const CLIPPY: Need = Need {
    name: "clippy",
    remedy: "rustup component add clippy",
    packages: &[],
    met: || succeeds(cargo().args(["clippy", "--version"])),
    make: None,
};

pub(crate) const CPP_COMPILER: Need = Need {
    name: "a C++ compiler, for libzmq",
    remedy: "on Debian: apt-get install g++",
    packages: &["g++"],
    met: || succeeds(Command::new("c++").arg("--version")),
    make: None,
};

pub(crate) const VALGRIND: Need = Need {
    name: "valgrind",
    // Of other processors there are no figures.
    remedy: "Linux on x86-64; on Debian: apt-get install valgrind",
    packages: &["valgrind"],
    met: || {
        cfg!(all(target_os = "linux", target_arch = "x86_64"))
            && succeeds(Command::new(instructions::VALGRIND).arg("--version"))
    },
    make: None,
};

pub(crate) const SS: Need = Need {
    name: "ss, which tells what the kernel knows of sockets",
    remedy: "on Debian: apt-get install iproute2",
    packages: &["iproute2"],
    // Asked on Linux only.
    met: || !cfg!(target_os = "linux") || succeeds(Command::new("ss").arg("-V")),
    make: None,
};

pub(crate) const PYZMQ: Need = Need {
    name: "pyzmq",
    remedy: "Python 3 with venv (on Debian: apt-get install python3-venv) and access to PyPI",
    packages: &["python3-venv"],
    met: suites::interop::pyzmq_works,
    make: Some(suites::interop::make_pyzmq),
};

pub(crate) const WINDOWS_RUST: Need = Need {
    name: "Rust for Windows",
    remedy: "rustup target add x86_64-pc-windows-gnu, \
             or on Debian: apt-get install rustc-web cargo-web rust-web-src",
    packages: DEBIAN_RUST,
    met: || Toolchain::find(windows::TARGET).is_some(),
    make: Some(|| toolchain::add(&[windows::TARGET])),
};

pub(crate) const PLATFORMS_RUST: Need = Need {
    name: "Rust for the other platforms",
    remedy: "rustup target add each of them, \
             or on Debian: apt-get install rustc-web cargo-web rust-web-src",
    packages: DEBIAN_RUST,
    met: || suites::platforms::TARGETS.iter().all(|target| Toolchain::find(target).is_some()),
    make: Some(|| toolchain::add(suites::platforms::TARGETS)),
};

pub(crate) const DEBIAN_RUST: &[&str] = &["rustc-web", "cargo-web", "rust-web-src"];

pub(crate) const MINGW: Need = Need {
    name: "a linker for Windows",
    remedy: "on Debian: apt-get install gcc-mingw-w64-x86-64-posix",
    packages: &["gcc-mingw-w64-x86-64-posix"],
    met: || succeeds(Command::new(wine::SHIM_COMPILER).arg("--version")),
    make: None,
};

pub(crate) const WINE: Need = Need {
    name: "Wine",
    remedy: "on Debian: apt-get install wine64",
    packages: &["wine64"],
    met: wine::installed,
    make: None,
};

/// Sees to what is missing of `wanted`; returns the names of what still is.
pub(crate) fn provide(wanted: &[&Need], may_install: bool) -> Vec<&'static str> {
    let mut missing: Vec<&Need> = Vec::new();
    for need in wanted {
        if !missing.iter().any(|known| known.name == need.name) && !(need.met)() {
            missing.push(need);
        }
    }
    if may_install {
        make(&mut missing);
        let mut packages: Vec<&str> =
            missing.iter().flat_map(|need| need.packages).copied().collect();
        packages.sort_unstable();
        packages.dedup();
        if !packages.is_empty() && can_install() {
            install(&packages);
            missing.retain(|need| !(need.met)());
            make(&mut missing);
        }
    }
    missing.iter().map(|need| need.name).collect()
}

/// Makes what can be made of `missing`.
fn make(missing: &mut Vec<&Need>) {
    missing.retain(|need| {
        let Some(make) = need.make else { return true };
        println!("==> making {}", need.name);
        !(make() && (need.met)())
    });
}

/// Whether this is root on a system with `apt-get`.
fn can_install() -> bool {
    let root = Command::new("id").arg("-u").output();
    root.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
        && Path::new("/usr/bin/apt-get").exists()
}

/// Installs what it can of `packages`.
fn install(packages: &[&str]) {
    println!("==> installing {}", packages.join(" "));
    let install =
        || succeeds_aloud(apt_get().args(["install", "--no-install-recommends"]).args(packages));
    // The package lists of a bare image are missing, or name packages that are too old; and mirrors
    // hiccup.
    let update = || succeeds_aloud(apt_get().arg("update"));
    let _ = update() || update();
    let _ = install() || install();
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.args(["-q", "-y"]).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn succeeds_aloud(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    succeeds_aloud(command)
}
