//! Unit and property tests.

use super::{Suite, cargo, runner, uring};

pub(super) const SUITE: Suite = Suite {
    name: "unit",
    about: "unit and property tests of every crate",
    needs: &[],
    run: |recorder| {
        let (runner, run) = runner();
        // Their other tests are the suite `conformance`.
        let mut command = cargo();
        command.args(run).args(["--package=serverlink-io", "--package=serverlink", "--lib"]);
        uring::spare(&mut command);
        recorder.tests("engine and sockets", runner, command);
        let mut command = cargo();
        command
            .args(run)
            .args(["--workspace", "--exclude=serverlink-io", "--exclude=serverlink"])
            .args(["--exclude=serverlink-interop", "--tests"]);
        recorder.tests("protocol, command and tools", runner, command);
    },
};
