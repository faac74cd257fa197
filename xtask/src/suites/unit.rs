//! Unit and property tests.

use super::{BACKEND_CRATES, Suite, cargo, runner};

pub(super) const SUITE: Suite = Suite {
    name: "unit",
    about: "unit and property tests of every crate",
    needs: &[],
    run: |recorder| {
        let (runner, run) = runner();
        // The integration tests of these run once per backend: suite `conformance`.
        let mut command = cargo();
        command.args(run).args(BACKEND_CRATES).arg("--lib");
        recorder.tests("engine and sockets", runner, command);
        let mut command = cargo();
        command
            .args(run)
            .args(["--workspace", "--exclude=serverlink-io", "--exclude=serverlink"])
            .args(["--exclude=serverlink-interop", "--tests"]);
        recorder.tests("protocol, command and tools", runner, command);
    },
};
