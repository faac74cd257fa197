//! Lints.

use super::{Suite, cargo};
use crate::needs;

pub(super) const SUITE: Suite = Suite {
    name: "lint",
    about: "clippy and the compiler's lints on every target, warnings denied",
    needs: &[&needs::CLIPPY, &needs::CPP_COMPILER],
    run: |recorder| {
        let mut command = cargo();
        command.args(["clippy", "--workspace", "--all-targets", "--", "--deny=warnings"]);
        recorder.check("clippy", command);
    },
};
