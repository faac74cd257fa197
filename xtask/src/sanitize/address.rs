//! AddressSanitizer: memory used after it was freed or beyond its end, and leaks.

use std::process::Command;

use super::{apart, host, sockets, unsafe_code};
use crate::needs::Need;
use crate::recorder::Recorder;
use crate::suites::{self, Suite};
use crate::toolchain;

pub(super) const SUITE: Suite = Suite {
    name: "address",
    about: "engine, queue and sockets under AddressSanitizer and its leak check",
    needs: &[&ADDRESS_SANITIZER],
    run: |recorder| {
        quick(recorder);
        sockets(recorder, &cargo);
    },
};

pub(crate) const ADDRESS_SANITIZER: Need = Need {
    name: "AddressSanitizer",
    remedy: "a Rust toolchain of rustup, on Linux or macOS",
    packages: &[],
    met: || toolchain::runtime_library(&host(), "asan").is_some(),
    make: None,
};

/// What takes little time.
pub(crate) fn quick(recorder: &mut Recorder) {
    unsafe_code(recorder, &cargo);
}

fn cargo() -> Command {
    let mut cargo = apart(suites::cargo(), "address");
    // The flag is unstable. The standard library is as it is: what it is called with is seen.
    cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    cargo
}
