//! The benchmark program.

use std::env::consts::EXE_SUFFIX;
use std::process::Command;

use super::Suite;
use crate::counts::Runner;
use crate::{bench, needs};

pub(super) const SUITE: Suite = Suite {
    name: "bench",
    about: "the benchmark's own tests, and that each of its rows can be measured",
    needs: &[&needs::CPP_COMPILER],
    run: |recorder| {
        // Nothing is optimised here, for what is measured does not matter. Always the whole workspace,
        // so that every crate gets the same features, and is built once.
        let mut command = bench::cargo("test");
        command.args(["--workspace", "--bins"]);
        recorder.tests("tests, and every comparison", Runner::Libtest, command);
        let mut command = bench::cargo("build");
        command.args(["--workspace", "--bins"]);
        if !recorder.build("build", command) {
            return;
        }
        // Ends by itself after three minutes, should anything hang.
        let program = format!("debug/serverlink-bench{}", EXE_SUFFIX);
        let mut command = Command::new(bench::target().join(program));
        command.arg("--smoke");
        recorder.check("every row", command);
    },
};
