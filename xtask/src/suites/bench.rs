//! The benchmark program.

use super::Suite;
use crate::counts::Runner;
use crate::{bench, layout, needs};

pub(super) const SUITE: Suite = Suite {
    name: "bench",
    about: "the benchmark's own tests, and that each of its rows can be measured",
    needs: &[&needs::CPP_COMPILER],
    run: |recorder| {
        let mut command = bench::cargo("test");
        // With the settings of the next command, so that nothing is built twice.
        command.arg("--release");
        recorder.tests("tests", Runner::Libtest, command);
        let mut command = bench::comparisons(needs::cargo(), "test");
        command.arg("--target-dir").arg(layout::target().join("bench-windows"));
        recorder.tests("comparisons", Runner::Libtest, command);
        // Ends by itself after three minutes, should anything hang.
        let mut command = bench::cargo("run");
        command.args(["--release", "--", "--smoke"]);
        recorder.check("every row", command);
    },
};
