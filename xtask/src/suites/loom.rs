//! Lock protocols and lock-free queues, in every interleaving of their threads.

use super::{Suite, cargo, runner};
use crate::{layout, sanitize};

pub(super) const SUITE: Suite = Suite {
    name: "loom",
    about: "every interleaving of threads that share a port or a queue, by loom",
    needs: &[],
    run: |recorder| {
        let (runner, run) = runner();
        let mut command = cargo();
        command
            .args(run)
            .args(["--release", "--package=serverlink-io", "--package=serverlink"])
            // Nothing of TLS is modelled.
            .args(["--no-default-features", "--lib", "model"])
            .arg("--target-dir")
            .arg(layout::target().join("loom"))
            .env("RUSTFLAGS", "--cfg loom")
            .env("NEXTEST_PROFILE", sanitize::NEXTEST_PROFILE)
            // What more optimisation gains here, it does not gain back.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        recorder.tests("models", runner, command);
    },
};
