//! The benchmark program.

use super::Suite;
use crate::counts::Runner;
use crate::{bench, layout, needs};

pub(super) const SUITE: Suite = Suite {
    name: "bench",
    about: "the benchmark's own tests, and that each of its rows can be measured",
    needs: &[&needs::CPP_COMPILER],
    run: |recorder| {
        // Nothing is optimised here, for what is measured does not matter.
        recorder.tests("tests", Runner::Libtest, bench::cargo("test"));
        let mut command = bench::comparisons(needs::cargo(), "test");
        command.arg("--target-dir").arg(layout::target().join("bench-windows"));
        recorder.tests("comparisons", Runner::Libtest, command);
        // Ends by itself after three minutes, should anything hang.
        let mut command = bench::cargo("run");
        command.args(["--", "--smoke"]);
        recorder.check("every row", command);
    },
};
