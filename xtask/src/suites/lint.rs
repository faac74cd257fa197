//! Lints.

use super::{Suite, cargo};
use crate::{bench, needs};

pub(super) const SUITE: Suite = Suite {
    name: "lint",
    about: "clippy and the compiler's lints on every target, warnings denied",
    needs: &[&needs::CLIPPY, &needs::CPP_COMPILER],
    run: |recorder| {
        let mut command = cargo();
        command.args(["clippy", "--workspace", "--all-targets", "--", "--deny=warnings"]);
        recorder.check("clippy", command);
        let mut command = bench::cargo("clippy");
        command.args(["--all-targets", "--", "--deny=warnings"]);
        recorder.check("clippy on the benchmark", command);
    },
};
