//! Lock protocols and lock-free queues, in every interleaving of their threads.

use super::{Suite, cargo};
use crate::counts::Runner;
use crate::layout;

pub(super) const SUITE: Suite = Suite {
    name: "loom",
    about: "every interleaving of threads that share a port or a queue, by loom",
    needs: &[],
    run: |recorder| {
        let mut command = cargo();
        command
            .args(["test", "--release", "--package=serverlink-io", "--package=serverlink"])
            .args(["--lib", "model"])
            .arg("--target-dir")
            .arg(layout::target().join("loom"))
            .env("RUSTFLAGS", "--cfg loom");
        recorder.tests("models", Runner::Libtest, command);
    },
};
