//! Documentation.

use super::{Suite, cargo, ours, ours_here};
use crate::counts::Runner;

pub(super) const SUITE: Suite = Suite {
    name: "docs",
    about: "the examples in the documentation, and its build with warnings denied",
    needs: &[],
    run: |recorder| {
        let command = ours_here(&["test", "--doc", "--no-fail-fast"]);
        recorder.tests("examples", Runner::Libtest, command);
        let mut command = ours(cargo(), &["doc", "--no-deps"]);
        command.arg("--package=xtask").env("RUSTDOCFLAGS", "--deny=warnings");
        recorder.check("pages", command);
    },
};
