//! `cargo xtask soak`.

use std::time::Instant;

use clap::{Args, ValueEnum};

use crate::recorder::{Recorder, Summary};
use crate::windows::Windows;
use crate::{exit, needs, suites};

pub(crate) const HELP: &str = "\
Each round runs the engine's tests, which go through every backend of the platform by themselves, on
Linux through the model of kqueue's, too.
A test that fails ends everything, and its output is shown; all output is in target/xtask/soak.log.
Under Wine, whose server at times fails by itself, a test may be tried again, which is told.

Examples:
  cargo xtask soak
  cargo xtask soak --times 200 --only native -- seed_load
  cargo xtask soak --times 10 --only wine

Exit status: as of `cargo xtask test`.";

/// What `cargo xtask soak` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// How many rounds
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// Only there
    #[arg(long, value_name = "PLACE")]
    only: Option<Place>,
    /// Show all output, on a terminal too
    #[arg(long, short)]
    verbose: bool,
    /// Install nothing
    #[arg(long)]
    no_install: bool,
    /// Only tests whose names contain one of these
    #[arg(last = true)]
    filters: Vec<String>,
}

/// Where the tests run.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Place {
    /// As programs of this platform.
    Native,
    /// As Windows programs under Wine.
    Wine,
}

impl Place {
    fn is_wanted(self, arguments: &Arguments) -> bool {
        // Where Windows itself is native, there is no Wine.
        arguments.only.map_or(self == Self::Native || !cfg!(windows), |only| only == self)
    }
}

/// Runs the engine's tests over and over; returns the exit status.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    let mut windows = None;
    let mut left_out = Vec::new();
    if Place::Wine.is_wanted(arguments) {
        let wanted = [&needs::WINDOWS_RUST, &needs::MINGW, &needs::WINE];
        left_out = needs::provide(&wanted, !arguments.no_install);
        if left_out.is_empty() {
            windows = Some(Windows::start()?);
        }
    }
    let mut places = Vec::new();
    if Place::Native.is_wanted(arguments) {
        places.push(("native", None));
    }
    if let Some(windows) = &windows {
        places.push(("Wine", Some(windows)));
    }

    let start = Instant::now();
    let mut recorder = Recorder::new("soak", arguments.verbose)?;
    let mut rounds = 0;
    while rounds < arguments.times && !recorder.has_failed() && !places.is_empty() {
        for (place, windows) in &places {
            if recorder.has_failed() {
                break;
            }
            let cargo = || {
                let mut cargo = windows.map_or_else(suites::cargo, Windows::cargo);
                if windows.is_none() {
                    cargo.env("NEXTEST_RETRIES", "0");
                } else {
                    // What Wine itself finds wrong, so that its faults are told from ours.
                    cargo.env("WINEDEBUG", "fixme-all");
                }
                if !arguments.verbose {
                    cargo.env("NEXTEST_STATUS_LEVEL", "retry");
                }
                cargo
            };
            let what = format!("round {} of {}, {place}", rounds + 1, arguments.times);
            let model = windows.is_none() && cfg!(target_os = "linux");
            let filters = arguments.filters.iter().map(String::as_str);
            let filters = model.then_some(suites::KQUEUE_MODEL).into_iter().chain(filters);
            suites::engine_tests(&mut recorder, &what, &cargo, filters);
        }
        rounds += u32::from(!recorder.has_failed());
    }
    report(arguments, recorder, rounds, &left_out, start)
}

fn report(
    arguments: &Arguments,
    recorder: Recorder,
    rounds: u32,
    left_out: &[&str],
    start: Instant,
) -> Result<u8, String> {
    let flaky = recorder.flaky();
    let mut outcome = exit::PASSED;
    println!();
    if !left_out.is_empty() {
        println!("LEFT OUT Wine, which needs: {}", left_out.join(", "));
        outcome = exit::INCOMPLETE;
        if arguments.only.is_some() {
            return Ok(outcome);
        }
    }
    if suites::uring::left_out().is_some() {
        suites::uring::report();
        outcome = exit::INCOMPLETE;
    }
    let Summary { counts, failures, remarks } = recorder.finish();
    for remark in &remarks {
        println!("FLAKY {remark}");
    }
    for failure in &failures {
        println!("FAILED {failure}");
        outcome = exit::FAILED;
    }
    println!(
        "{rounds} of {} rounds passed in {:.0} s; {flaky} tests only when tried again",
        arguments.times,
        start.elapsed().as_secs_f64()
    );
    println!("total: {counts}");
    Ok(outcome)
}
