//! Miri: undefined behaviour of any kind, in what makes no system calls.

use std::process::Command;

use super::{Except, apart};
use crate::counts::Runner;
use crate::needs::{self, Need};
use crate::suites::{self, Suite};
use crate::toolchain;

pub(super) const SUITE: Suite = Suite {
    name: "miri",
    about: "protocol, queue and the engine's states under Miri, by both models of aliasing",
    needs: &[&MIRI],
    run: |recorder| {
        let Some(cargo) = find() else { return recorder.fail("no Miri") };
        for run in RUNS {
            let mut command = apart(cargo(), "miri");
            command
                .args(["miri", "test"])
                .args(run.tests)
                .arg("--")
                .args(run.except.iter().flat_map(|(name, _)| ["--skip", name]))
                // Hundreds of times slower than the machine.
                .env("PROPTEST_CASES", "1")
                // What a panic on purpose prints would take minutes.
                .env("RUST_BACKTRACE", "0")
                .env("MIRIFLAGS", format!("-Zmiri-disable-isolation {}", run.flags));
            recorder.tests(run.what, Runner::Libtest, command);
        }
    },
};

const MIRI: Need = Need {
    name: "Miri",
    remedy: "rustup toolchain install nightly --component miri,rust-src",
    packages: &[],
    met: || find().is_some(),
    make: None,
};

/// What makes a cargo that has it: the one in use, or else that of the nightly toolchain.
fn find() -> Option<fn() -> Command> {
    let has = |cargo: &fn() -> Command| needs::succeeds(cargo().args(["miri", "--version"]));
    [suites::cargo, toolchain::nightly].into_iter().find(has)
}

/// Some tests, and how they run.
struct Run {
    what: &'static str,
    tests: &'static [&'static str],
    flags: &'static str,
    except: Except,
}

const ENGINE: &[&str] = &["--package=serverlink-io", "--lib"];
const QUEUE: &[&str] = &["--package=serverlink", "--lib", "queue"];
/// Where threads meet in unsafe code.
const LOCK: &[&str] = &["--package=serverlink-io", "--lib", "biased"];

/// The other model of what references allow, which is to follow the first.
const TREES: &str = "-Zmiri-tree-borrows";
/// Each seed makes another schedule, and other values of those that a load may see.
const SEEDS: &str = "-Zmiri-many-seeds=0..4";

const EXCEPT_IN_ENGINE: Except = &[
    ("credentials", "Miri knows no SO_PEERCRED"),
    ("uring::tests", "Miri knows no io_uring"),
    ("uring::support", "Miri knows no io_uring"),
    ("a_piece_is_no_larger_than_the_buffers", "Miri knows no io_uring"),
    ("readiness::inward::tests", "Miri knows no select"),
    ("select::tests", "Miri knows no select"),
    ("what_the_kernel_never_gives_back_is_leaked", "it leaks, as it says"),
    // Thousands of calls, and no other than shorter tests make:
    ("what_is_tried_again_in_vain_ends", "64 attempts at each of many"),
    ("what_is_aborted_by_others", "64 aborted operations of each kind"),
    ("more_completions_than_a_batch", "hundreds of operations, each sought among all"),
];

const RUNS: &[Run] = &[
    Run {
        what: "protocol",
        tests: &["--package=serverlink-zmtp", "--lib"],
        flags: "",
        except: &[],
    },
    Run { what: "queue", tests: QUEUE, flags: "", except: &[] },
    Run { what: "queue, by tree borrows", tests: QUEUE, flags: TREES, except: &[] },
    Run { what: "biased lock, by several seeds", tests: LOCK, flags: SEEDS, except: &[] },
    Run { what: "engine", tests: ENGINE, flags: "", except: EXCEPT_IN_ENGINE },
    Run { what: "engine, by tree borrows", tests: ENGINE, flags: TREES, except: EXCEPT_IN_ENGINE },
];
