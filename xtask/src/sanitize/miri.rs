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
            for seed in 0..run.seeds {
                let mut command = apart(cargo(), "miri");
                command
                    .args(["miri", "test", "--package", run.package, "--lib", "--"])
                    .args(run.only)
                    .args(run.except.iter().flat_map(|(name, _)| ["--skip", name]))
                    // Hundreds of times slower than the machine.
                    .env("PROPTEST_CASES", "1")
                    // What a panic on purpose prints would take minutes.
                    .env("RUST_BACKTRACE", "0")
                    .env("MIRIFLAGS", format!("{FLAGS} -Zmiri-seed={seed} {}", run.flags));
                let what = format!("{}, seed {seed}", run.what);
                recorder.tests(&what, Runner::Libtest, command);
            }
        }
    },
};

const MIRI: Need = Need {
    name: "Miri",
    remedy: "rustup toolchain install nightly --component miri,rust-src",
    packages: &[],
    met: || find().is_some(),
    make: Some(toolchain::add_miri),
};

/// What makes a cargo that has it, and the sources of the standard library: the one in use, or else that
/// of the nightly toolchain.
fn find() -> Option<fn() -> Command> {
    let has = |cargo: fn() -> Command| needs::succeeds(cargo().args(["miri", "--version"]));
    if has(suites::cargo) && toolchain::has_sources(Command::new("rustc")) {
        return Some(suites::cargo);
    }
    (has(toolchain::nightly) && toolchain::nightly_has_sources()).then_some(toolchain::nightly)
}

/// Some tests, and how they run.
struct Run {
    what: &'static str,
    package: &'static str,
    /// Parts of their names; all of the package's if there are none.
    only: &'static [&'static str],
    flags: &'static str,
    /// Each makes another schedule, and other values of those that a load may see.
    seeds: u32,
    except: Except,
}

const PROTOCOL: Run = Run {
    what: "protocol",
    package: "serverlink-zmtp",
    only: &[],
    flags: "",
    seeds: 1,
    except: &[("nobody_is_taken_for_another", "five handshakes, where another test makes two")],
};

const QUEUE: Run = Run {
    what: "queue",
    package: "serverlink",
    only: &["pipe::queue", "pipe::inlet"],
    flags: "",
    seeds: 1,
    except: &[],
};

const ENGINE: Run = Run {
    what: "engine",
    package: "serverlink-io",
    only: &[],
    flags: "",
    seeds: 1,
    except: EXCEPT_IN_ENGINE,
};

/// The system's time passes, and what the tests ask the system for is there.
const FLAGS: &str = "-Zmiri-disable-isolation";
/// The other model of what references allow, which is to follow the first.
const TREES: &str = "-Zmiri-tree-borrows";

/// Where threads meet in unsafe code.
const MEETINGS_IN_QUEUE: &[&str] = &[
    "two_threads_lose_nothing_and_wake_each_other",
    "the_end_of_a_flow_wakes_the_reader",
    "a_reader_may_leave_at_any_moment",
];

const NO_PAIR: &str = "Miri knows no ioctl of a pair of sockets, by which the waker is set up";

const EXCEPT_IN_ENGINE: Except = &[
    ("credentials", "Miri knows no SO_PEERCRED"),
    ("uring::tests", "Miri knows no io_uring"),
    ("uring::support", "Miri knows no io_uring"),
    ("lasting::tests", "Miri knows no io_uring"),
    ("a_piece_is_no_larger_than_the_buffers", "Miri knows no io_uring"),
    ("readiness::inward::tests", "Miri knows no select"),
    ("select::tests", "Miri knows no select"),
    ("a_closed_descriptor_is_told_from_other_errors", "Miri knows no select"),
    ("a_descriptor_is_registered_once", "Miri knows no epoll_pwait2"),
    ("a_duplicate_is_the_same_socket", "Miri does not know what kind a socket is of"),
    ("only_some_sockets_listen", "Miri does not know which sockets listen"),
    ("where_users_have_no_events_a_pipe_wakes", NO_PAIR),
    ("without_any_wake_up_there_is_no_poller", NO_PAIR),
    ("a_token_is_not_taken_again", NO_PAIR),
    ("what_does_not_start_is_passed_over_with_its_reason", NO_PAIR),
    ("what_the_kernel_never_gives_back_is_leaked", "it leaks, as it says"),
    // Thousands of calls, and no other than shorter tests make:
    ("what_is_tried_again_in_vain_ends", "64 attempts at each of many"),
    ("what_is_aborted_by_others", "64 aborted operations of each kind"),
    ("more_completions_than_a_batch", "hundreds of operations, each sought among all"),
];

const RUNS: &[Run] = &[
    PROTOCOL,
    QUEUE,
    Run { what: "queue, by tree borrows", flags: TREES, ..QUEUE },
    Run { what: "queue between threads", only: MEETINGS_IN_QUEUE, seeds: 8, ..QUEUE },
    Run { what: "biased lock", only: &["biased"], seeds: 4, ..ENGINE },
    ENGINE,
    Run { what: "engine, by tree borrows", flags: TREES, ..ENGINE },
];
