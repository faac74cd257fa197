//! The suites of `cargo xtask test`: one file each, and one list of them all.

mod bench;
mod conformance;
mod docs;
mod fmt;
mod instructions;
pub(crate) mod interop;
mod lint;
mod loom;
pub(crate) mod platforms;
mod sanitize;
mod unit;
pub(crate) mod uring;
mod windows;

use std::process::Command;

use crate::counts::Runner;
use crate::layout;
use crate::needs::{self, Need};
use crate::recorder::Recorder;

/// A set of checks that is chosen by name.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) needs: &'static [&'static Need],
    pub(crate) run: fn(&mut Recorder),
}

/// Every suite, in the order they run: the quick ones first.
pub(crate) const ALL: &[Suite] = &[
    fmt::SUITE,
    lint::SUITE,
    unit::SUITE,
    conformance::SUITE,
    loom::SUITE,
    sanitize::SUITE,
    interop::SUITE,
    instructions::SUITE,
    bench::SUITE,
    docs::SUITE,
    windows::SUITE,
    platforms::SUITE,
];

/// Chooses the I/O backend of the engine.
pub(crate) const BACKEND: &str = "SERVERLINK_BACKEND";

/// The backends of the platform this runs on.
pub(crate) const NATIVE_BACKENDS: &[&str] = if cfg!(windows) {
    WINDOWS_BACKENDS
} else if cfg!(target_os = "linux") {
    if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        &["epoll", "select", "uring"]
    } else {
        &["epoll", "select"]
    }
} else {
    &["kqueue", "select"]
};

const WINDOWS_BACKENDS: &[&str] = &["iocp", "select"];

/// Runs all tests of the engine and of the sockets with the cargo that `cargo` makes.
fn backend_tests(recorder: &mut Recorder, backends: &[&str], cargo: &dyn Fn() -> Command) {
    engine_tests(recorder, "engine", cargo, None);
    let (runner, run) = runner();
    let mut command = cargo();
    command
        .args(run)
        .args(["--package=serverlink-io", "--package=serverlink"])
        .args(["--features=serverlink-io/tracing,serverlink/tracing"])
        .args(["--test=tracing", "--test=exhaustion"]);
    uring::spare(&mut command);
    recorder.tests("tracing", runner, command);
    for backend in uring::usable(backends) {
        let mut command = cargo();
        command.args(run).args(["--package=serverlink", "--tests"]).env(BACKEND, backend);
        recorder.tests(&format!("sockets on {backend}"), runner, command);
    }
}

/// Gives cargo's tests a backend more on Linux: kqueue, over a model of its kernel.
pub(crate) const KQUEUE_MODEL: &str = "--features=serverlink-io/kqueue-model";

/// Runs the engine's tests, all or those whose names contain one of `filters`.
pub(crate) fn engine_tests<'a>(
    recorder: &mut Recorder,
    what: &str,
    cargo: &dyn Fn() -> Command,
    filters: impl IntoIterator<Item = &'a str>,
) {
    let (runner, run) = runner();
    // They name the backend themselves.
    let mut command = cargo();
    command.args(run).args(["--package=serverlink-io", "--tests"]).args(filters);
    uring::spare(&mut command);
    recorder.tests(what, runner, command);
}

/// A native cargo in the root of the checkout.
pub(crate) fn cargo() -> Command {
    let mut cargo = needs::cargo();
    cargo.current_dir(layout::root());
    cargo
}

/// The test runner at hand, as a cargo subcommand and its arguments.
///
/// nextest gives each test a process and a time limit of its own; without it
/// the tests run all the same.
pub(crate) fn runner() -> (Runner, &'static [&'static str]) {
    if needs::succeeds(cargo().args(["nextest", "--version"])) {
        (Runner::Nextest, &["nextest", "run"])
    } else {
        println!(
            "    without time limits, for want of nextest (cargo install cargo-nextest --locked)"
        );
        (Runner::Libtest, &["test", "--no-fail-fast"])
    }
}
