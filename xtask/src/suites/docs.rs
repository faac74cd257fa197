//! Documentation.

use super::{Suite, cargo};
use crate::counts::Runner;

pub(super) const SUITE: Suite = Suite {
    name: "docs",
    about: "the examples in the documentation, and its build with warnings denied",
    needs: &[],
    run: |recorder| {
        let mut command = cargo();
        command.args(["test", "--doc", "--workspace", "--no-fail-fast"]);
        recorder.tests("examples", Runner::Libtest, command);
        let mut command = cargo();
        command.args(["doc", "--no-deps", "--workspace"]).env("RUSTDOCFLAGS", "--deny=warnings");
        recorder.check("pages", command);
    },
};
