//! Lints.

use super::{Suite, cargo, interop};
use crate::{bench, layout, needs};

pub(super) const SUITE: Suite = Suite {
    name: "lint",
    about: "clippy and the compiler's lints on every target, warnings denied",
    needs: &[&needs::CLIPPY, &needs::CPP_COMPILER],
    run: |recorder| {
        let mut command = cargo();
        command.args(["clippy", "--workspace", "--all-targets", "--", "--deny=warnings"]);
        recorder.check("clippy", command);
        let mut command = cargo();
        command
            .args(["clippy", "--package=serverlink-io", "--package=serverlink", "--all-targets"])
            .args([
                "--features=serverlink/tracing,serverlink-io/kqueue-model",
                "--",
                "--deny=warnings",
            ]);
        recorder.check("clippy with every feature", command);
        let mut command = bench::cargo("clippy");
        // With the settings of the suite `bench`: libzmq is compiled once for both.
        command.args(["--release", "--all-targets", "--", "--deny=warnings"]);
        recorder.check("clippy on the benchmark", command);
        let mut command = bench::comparisons(needs::cargo(), "clippy");
        command.arg("--target-dir").arg(layout::target().join("bench-windows"));
        command.args(["--all-targets", "--", "--deny=warnings"]);
        recorder.check("clippy on the comparisons", command);
        let mut command = interop::drafts("clippy");
        command.args(["--all-targets", "--", "--deny=warnings"]);
        recorder.check("clippy on the tests of drafts", command);
    },
};
