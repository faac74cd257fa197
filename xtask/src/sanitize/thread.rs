//! ThreadSanitizer: accesses that nothing puts in order.
//!
//! It has to see the standard library's own, or it takes every lock for a race: so that is built
//! along, from its sources.

use std::path::PathBuf;
use std::process::Command;

use super::{apart, host, sockets, unsafe_code, version_field};
use crate::needs::{self, Need};
use crate::suites::{self, Suite};
use crate::toolchain::{self, Toolchain};

pub(super) const SUITE: Suite = Suite {
    name: "thread",
    about: "engine, queue and sockets under ThreadSanitizer, the standard library included",
    needs: &[&THREAD_SANITIZER],
    run: |recorder| {
        let Some(compiler) = Compiler::find() else { return recorder.fail("no compiler") };
        let cargo = || compiler.cargo();
        unsafe_code(recorder, &cargo);
        sockets(recorder, &cargo);
    },
};

const THREAD_SANITIZER: Need = Need {
    name: "ThreadSanitizer and the sources of the standard library",
    remedy: "a toolchain of rustup on Linux and its sources (rustup component add rust-src, or \
             rustup toolchain install nightly --component rust-src), \
             or on Debian: apt-get install rustc-web cargo-web rust-web-src",
    packages: needs::DEBIAN_RUST,
    met: || Compiler::find().is_some(),
    make: None,
};

/// A compiler that has both.
enum Compiler {
    /// The one in use.
    Installed,
    /// Rustup's nightly one.
    Nightly,
    /// Debian's, which has the sources, with the runtime library and the linker of the one in use,
    /// which has not.
    Debian { runtime: PathBuf, linkers: PathBuf },
}

impl Compiler {
    fn find() -> Option<Self> {
        let host = host();
        let runtime = toolchain::runtime_library(&host, "tsan")?;
        if toolchain::has_sources(Command::new("rustc")) {
            return Some(Self::Installed);
        }
        if toolchain::nightly_has_sources() {
            return Some(Self::Nightly);
        }
        let debian = Toolchain::debian()?;
        // The linker of the system knows too little of versions of symbols.
        let linkers = toolchain::libraries(&host)?.parent()?.join("bin/gcc-ld");
        let major = |rustc| {
            let version = version_field(rustc, "LLVM version")?;
            version.split('.').next().map(str::to_owned)
        };
        // What the compiler inserts calls the runtime library.
        let same = major(Command::new("rustc"))? == major(debian.rustc())?;
        (same && linkers.exists()).then_some(Self::Debian { runtime, linkers })
    }

    fn cargo(&self) -> Command {
        let mut flags = vec!["-Zsanitizer=thread".to_owned()];
        let cargo = match self {
            Self::Installed => suites::cargo(),
            Self::Nightly => toolchain::nightly(),
            Self::Debian { runtime, linkers } => {
                let runtime = runtime.display();
                flags.push("-Zexternal-clangrt".to_owned());
                flags.extend(
                    [
                        format!("-Wl,--whole-archive,{runtime},--no-whole-archive"),
                        // What it needs itself.
                        "-lc".to_owned(),
                        format!("-B{}", linkers.display()),
                        "-fuse-ld=lld".to_owned(),
                    ]
                    .map(|argument| format!("-Clink-arg={argument}")),
                );
                Toolchain::Debian.cargo(&host())
            }
        };
        let mut cargo = apart(cargo, "thread");
        cargo
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_UNSTABLE_BUILD_STD", "std")
            .env("RUSTFLAGS", flags.join(" "))
            // It goes on after a race; the test is to fail.
            .env("TSAN_OPTIONS", "exitcode=66");
        cargo
    }
}
