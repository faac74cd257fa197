//! Instructions a message.

use super::{Suite, cargo};
use crate::needs;

pub(super) const SUITE: Suite = Suite {
    name: "instructions",
    about: "how many instructions a message takes, against the tracked figures",
    needs: &[&needs::VALGRIND],
    run: |recorder| {
        // Not by the path of this program: an earlier suite may have linked it anew.
        let mut command = cargo();
        command.args(["run", "--quiet", "--package=xtask", "--", "instructions"]);
        recorder.check("counts", command);
    },
};
