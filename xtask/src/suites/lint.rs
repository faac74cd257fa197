//! Lints.

use std::process::Command;

use super::{Suite, cargo, interop, ours, ours_here};
use crate::{bench, layout, needs};

pub(super) const SUITE: Suite = Suite {
    name: "lint",
    about: "clippy and the compiler's lints on every target, warnings denied",
    needs: &[&needs::CLIPPY, &needs::CPP_COMPILER],
    run: |recorder| {
        let mut check = |what, mut command: Command| {
            command.args(["--all-targets", "--", "--deny=warnings"]);
            recorder.check(what, command);
        };
        let mut command = ours(cargo(), &["clippy"]);
        command.arg("--package=xtask");
        check("clippy", command);
        let mut command = ours_here(&["clippy"]);
        command.arg("--features=serverlink/tracing");
        check("clippy with every feature", command);
        // A command of its own, so that libzmq is built once for this and the suite `interop`.
        let mut command = cargo();
        command.args(["clippy", "--all-features", "--package", interop::PACKAGE]);
        check("clippy on the tests against peers", command);
        check("clippy on the benchmark", bench::cargo("clippy"));
        let mut command = bench::comparisons(needs::cargo(), "clippy");
        command.arg("--target-dir").arg(layout::target().join("bench-windows"));
        check("clippy on the comparisons", command);
        check("clippy on the tests of drafts", interop::drafts("clippy"));
    },
};
