//! Miri: undefined behaviour of any kind, in what makes no system calls.

use std::process::Command;

use super::apart;
use crate::counts::Runner;
use crate::layout;
use crate::needs::{self, Need};
use crate::suites::Suite;

pub(super) const SUITE: Suite = Suite {
    name: "miri",
    about: "protocol, queue and the engine's states under Miri, which knows no system calls",
    needs: &[&MIRI],
    run: |recorder| {
        for (what, arguments) in TESTS {
            let mut command = cargo();
            command.args(["miri", "test"]).args(*arguments);
            recorder.tests(what, Runner::Libtest, command);
        }
    },
};

const MIRI: Need = Need {
    name: "Miri",
    remedy: "rustup toolchain install nightly --component miri,rust-src",
    packages: &[],
    met: || needs::succeeds(cargo().args(["miri", "--version"])),
    make: None,
};

/// What it can run, of the tests that there are.
const TESTS: &[(&str, &[&str])] = &[
    ("protocol", &["--package=serverlink-zmtp"]),
    ("queue", &["--package=serverlink", "--lib", "queue"]),
    ("biased lock", &["--package=serverlink-io", "--lib", "biased"]),
    (
        "states of the engine",
        &[
            "--package=serverlink-io",
            "--lib",
            "--",
            "buffer_pool",
            "errors",
            "iocp",
            "table",
            "timers",
        ],
    ),
];

fn cargo() -> Command {
    // Part of nightly toolchains only.
    let mut cargo = apart(Command::new("cargo"), "miri");
    cargo
        .arg("+nightly")
        .current_dir(layout::root())
        // Rustup chooses again.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("RUSTC")
        .env_remove("CARGO")
        // Hundreds of times slower than the machine.
        .env("PROPTEST_CASES", "4")
        .env("MIRIFLAGS", "-Zmiri-disable-isolation");
    cargo
}
