//! Lints.

use std::process::Command;

use super::{Suite, cargo, interop, ours, ours_here};
use crate::{bench, needs};

pub(super) const SUITE: Suite = Suite {
    name: "lint",
    about: "clippy and the compiler's lints on every target, warnings denied",
    needs: &[&needs::CLIPPY, &needs::CPP_COMPILER],
    run: |recorder| {
        // What only a feature uses would be unused without it: tests are read once.
        let mut command = ours(cargo(), &["clippy"]);
        command.args(["--lib", "--bins", "--", "--deny=warnings"]);
        recorder.check("clippy", command);

        let mut check = |what, mut command: Command| {
            command.args(["--all-targets", "--", "--deny=warnings"]);
            recorder.check(what, command);
        };
        let mut command = ours_here(&["clippy"]);
        command.arg("--features=serverlink/tracing");
        check("clippy with every feature", command);
        // A command of its own, so that libzmq is built once for this and the suite `interop`.
        let mut command = cargo();
        command.args(["clippy", "--all-features", "--package", interop::PACKAGE]);
        check("clippy on the tests against peers", command);
        // With the comparisons, and the tests of libzmq's drafts.
        let mut command = bench::cargo("clippy");
        command.arg("--workspace");
        check("clippy on the benchmark", command);
    },
};
