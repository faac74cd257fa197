//! Formatting.

use super::{Suite, cargo};
use crate::needs;

pub(super) const SUITE: Suite = Suite {
    name: "fmt",
    about: "the formatting of every crate",
    needs: &[&needs::RUSTFMT],
    run: |recorder| {
        let mut command = cargo();
        command.args(["fmt", "--all", "--check"]);
        recorder.check("rustfmt", command);
        let mut command = cargo();
        command.args(["fmt", "--all", "--check", "--manifest-path", "bench/Cargo.toml"]);
        recorder.check("rustfmt of the benchmark", command);
    },
};
