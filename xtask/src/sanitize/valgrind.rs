//! Valgrind's memcheck: values used that were never set, as well, in the program as it is.

use std::process::Command;

use super::{apart, host, pipes};
use crate::needs::{self, Need};
use crate::suites::{self, Suite};

pub(super) const SUITE: Suite = Suite {
    name: "valgrind",
    about: "unit tests of the engine and of pipes under Valgrind's memcheck",
    needs: &[&VALGRIND],
    run: |recorder| {
        let (runner, run) = suites::runner();
        let mut command = cargo();
        command.args(run).args(["--package=serverlink-io", "--lib"]);
        suites::uring::spare(&mut command);
        recorder.tests("engine", runner, command);
        pipes(recorder, &cargo);
    },
};

const VALGRIND: Need = Need {
    name: "Valgrind",
    remedy: "on Debian: apt-get install valgrind",
    packages: &["valgrind"],
    met: || needs::succeeds(Command::new("valgrind").arg("--version")),
    make: None,
};

/// What `cargo` runs programs with. Memory that is lost for good is an error; a thread that waits
/// must not wait for one that spins.
const RUNNER: &str = "valgrind --quiet --error-exitcode=99 --leak-check=full \
                      --errors-for-leak-kinds=definite --fair-sched=yes";

fn cargo() -> Command {
    let mut cargo = apart(suites::cargo(), "valgrind");
    let target = host().to_uppercase().replace('-', "_");
    cargo.env(format!("CARGO_TARGET_{target}_RUNNER"), RUNNER);
    cargo
}
