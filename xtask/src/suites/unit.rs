//! Unit and property tests.

use super::{Suite, ours_here, runner, targets, test_targets, tests};
use crate::layout;

pub(super) const SUITE: Suite = Suite {
    name: "unit",
    about: "unit and property tests of every crate",
    needs: &[],
    run: |recorder| {
        // The other tests of engine and sockets are the suite `conformance`.
        let mut chosen = vec!["--lib".to_owned(), "--bins".to_owned()];
        chosen.extend(targets("serverlink-zmtp"));
        chosen.extend(targets("serverlink-cli"));
        chosen.extend(test_targets(&layout::root().join("xtask/tests"), &[]));
        tests(recorder, "every crate", ours_here(runner().1), &chosen);
    },
};
