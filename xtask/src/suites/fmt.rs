//! Formatting.

use super::{Suite, cargo};
use crate::{layout, needs};

pub(super) const SUITE: Suite = Suite {
    name: "fmt",
    about: "the formatting of every crate",
    needs: &[&needs::RUSTFMT],
    run: |recorder| {
        let mut command = cargo();
        command.args(["fmt", "--all", "--check"]);
        recorder.check("rustfmt", command);
        for (what, manifest) in [
            ("rustfmt of the benchmark", "bench/Cargo.toml"),
            ("rustfmt of the comparisons", "bench/windows/Cargo.toml"),
            ("rustfmt of the tests of drafts", "interop/drafts/Cargo.toml"),
        ] {
            let mut command = cargo();
            command.args(["fmt", "--check", "--manifest-path"]).arg(layout::root().join(manifest));
            recorder.check(what, command);
        }
    },
};
