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

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
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

/// Runs all tests of the engine and of the sockets, with what `cargo` makes, which runs tests of
/// [`ours`].
fn backend_tests(recorder: &mut Recorder, backends: &[&str], cargo: &dyn Fn() -> Command) {
    // They name the backend themselves.
    tests(recorder, "engine", cargo(), &targets("serverlink-io"));
    let mut command = cargo();
    command.arg("--features=serverlink-io/tracing,serverlink/tracing");
    tests(recorder, "tracing", command, &["--test=tracing", "--test=exhaustion"]);
    for backend in uring::usable(backends) {
        let mut command = cargo();
        command.env(BACKEND, backend);
        tests(recorder, &format!("sockets on {backend}"), command, &targets("serverlink"));
    }
}

/// Runs what `targets` choose of the tests of [`ours`].
fn tests(recorder: &mut Recorder, what: &str, mut command: Command, targets: &[impl AsRef<OsStr>]) {
    let (runner, _) = runner();
    command.args(targets);
    uring::spare(&mut command);
    recorder.tests(what, runner, command);
}

/// The packages whose tests are chosen from all of these, always: cargo then gives every crate that
/// they need the same features, whichever it tests, and builds it once.
const OURS: &[&str] =
    &["serverlink-io", "serverlink-zmtp", "serverlink", "serverlink-cli", "serverlink-endure"];

/// Has `cargo` do `action` to them.
fn ours(mut cargo: Command, action: &[&str]) -> Command {
    cargo.args(action).args(OURS.iter().map(|name| format!("--package={name}")));
    cargo
}

/// Has a cargo of this platform do it to them and these tools, with all backends there are.
fn ours_here(action: &[&str]) -> Command {
    let mut command = ours(cargo(), action);
    command.arg("--package=xtask");
    if cfg!(target_os = "linux") {
        command.arg(KQUEUE_MODEL);
    }
    command
}

/// Builds the command and the endurance run: along with a test, since what tests need gives crates more
/// features, and everything would be built twice.
const BUILD_PROGRAMS: &[&str] =
    &["build", "--bin=serverlink", "--bin=serverlink-endure", "--test=look"];

/// The options that choose all files of tests of a crate, but for those that need features.
fn targets(name: &str) -> Vec<String> {
    test_targets(&layout::root().join("crates").join(name).join("tests"), &["tracing"])
}

/// The same of those in `folder`, found where cargo finds them, but for some.
fn test_targets(folder: &Path, except: &[&str]) -> Vec<String> {
    let name = |path: PathBuf| {
        let is_target = path.extension().is_some_and(|extension| extension == "rs")
            || path.join("main.rs").is_file();
        let name = path.file_stem()?.to_str()?;
        (is_target && !except.contains(&name)).then(|| format!("--test={name}"))
    };
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut options: Vec<_> = entries.filter_map(|entry| name(entry.ok()?.path())).collect();
    options.sort_unstable();
    options
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
    let mut command = cargo();
    command.args(runner().1).args(["--package=serverlink-io", "--tests"]);
    tests(recorder, what, command, &filters.into_iter().collect::<Vec<_>>());
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
