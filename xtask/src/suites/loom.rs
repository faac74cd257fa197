//! Lock protocols, in every interleaving of their threads.

use super::{Suite, cargo};
use crate::counts::Runner;
use crate::layout;

pub(super) const SUITE: Suite = Suite {
    name: "loom",
    about: "every interleaving of the threads that share a port, by loom",
    needs: &[],
    run: |recorder| {
        let mut command = cargo();
        command
            .args(["test", "--release", "--package=serverlink-io", "--lib", "model"])
            .arg("--target-dir")
            .arg(layout::target().join("loom"))
            .env("RUSTFLAGS", "--cfg loom");
        recorder.tests("models", Runner::Libtest, command);
    },
};
