//! `cargo xtask sanitize`: the tests of unsafe code under tools that see what a test alone does not.

pub(crate) mod address;
mod miri;
mod thread;
mod valgrind;

use std::process::{Command, Stdio};

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::layout;
use crate::recorder::Recorder;
use crate::suites::{self, Suite};
use crate::test::{self, Choice};

/// Every tool, the quick ones first.
pub(crate) const ALL: &[Suite] = &[address::SUITE, valgrind::SUITE, miri::SUITE, thread::SUITE];

/// In `.config/nextest.toml`: everything takes its time.
pub(crate) const NEXTEST_PROFILE: &str = "sanitize";

/// What `cargo xtask sanitize` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Run under these tools and no others
    #[arg(long, value_name = "TOOL,…", value_delimiter = ',', value_parser = names())]
    only: Vec<String>,
    /// Leave these tools out
    #[arg(long, value_name = "TOOL,…", value_delimiter = ',', value_parser = names())]
    skip: Vec<String>,
    /// Show all output, on a terminal too
    #[arg(long, short)]
    verbose: bool,
    /// Install nothing
    #[arg(long)]
    no_install: bool,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(ALL.iter().map(|tool| tool.name))
}

/// The part of the help that the tools themselves supply.
pub(crate) fn help() -> String {
    test::help_on("Tools", ALL)
}

/// Runs the chosen tools; returns the exit status.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    test::run_suites(&Choice {
        all: ALL,
        only: &arguments.only,
        skip: &arguments.skip,
        verbose: arguments.verbose,
        may_install: !arguments.no_install,
    })
}

/// Runs the tests of the engine and of the lock-free queue, which is where unsafe code is, with all that
/// uses the queue.
fn unsafe_code(recorder: &mut Recorder, cargo: &dyn Fn() -> Command) {
    suites::engine_tests(recorder, "engine", cargo, None);
    pipes(recorder, cargo);
}

fn pipes(recorder: &mut Recorder, cargo: &dyn Fn() -> Command) {
    let (runner, run) = suites::runner();
    let mut command = cargo();
    command
        .args(run)
        // To optimise takes longer here than the tests do without it.
        .args(["--config", "profile.dev.package.serverlink.opt-level=0"])
        .args(["--package=serverlink", "--no-default-features", "--lib", "pipe::"]);
    recorder.tests("pipes", runner, command);
}

/// What cannot run, by a part of its name, and why.
type Except = &'static [(&'static str, &'static str)];

const EXCEPT_IN_SOCKETS: Except = &[(
    "small_messages_of_a_stream_are_written_together",
    "messages do not follow each other within the microseconds that make a stream of them",
)];

/// Runs the tests of the sockets, all of whose threads meet in the engine and the queue.
fn sockets(recorder: &mut Recorder, cargo: &dyn Fn() -> Command) {
    let (runner, run) = suites::runner();
    for backend in suites::uring::usable(suites::NATIVE_BACKENDS) {
        let mut command = cargo();
        command
            .args(run)
            .args(["--package=serverlink", "--test=sockets", "--"])
            .args(EXCEPT_IN_SOCKETS.iter().flat_map(|(name, _)| ["--skip", name]))
            .env(suites::BACKEND, backend);
        recorder.tests(&format!("sockets on {backend}"), runner, command);
    }
}

/// Lets a cargo build into a folder of its own, for the host as if for another platform: so that
/// the compiler's flags spare build scripts.
fn apart(mut cargo: Command, folder: &str) -> Command {
    cargo
        .env("CARGO_BUILD_TARGET", host())
        .env("CARGO_TARGET_DIR", layout::target().join("sanitize").join(folder))
        .env("NEXTEST_PROFILE", NEXTEST_PROFILE);
    cargo
}

/// The platform of the compiler in use.
fn host() -> String {
    version_field(Command::new("rustc"), "host").unwrap_or_default()
}

/// What `rustc -vV` says of something.
fn version_field(mut rustc: Command, field: &str) -> Option<String> {
    let printed = rustc.arg("-vV").stderr(Stdio::null()).output().ok()?;
    let printed = String::from_utf8_lossy(&printed.stdout);
    let value = |line: &str| line.strip_prefix(field)?.strip_prefix(": ").map(str::to_owned);
    printed.lines().find_map(value)
}
