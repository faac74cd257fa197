//! `cargo xtask test`.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::counts::Counts;
use crate::recorder::{Recorder, Summary};
use crate::suites::{self, Suite};
use crate::{exit, needs, selection};

/// What `cargo xtask test` takes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Run these suites and no others
    #[arg(long, value_name = "SUITE,…", value_delimiter = ',', value_parser = names())]
    only: Vec<String>,
    /// Leave these suites out
    #[arg(long, value_name = "SUITE,…", value_delimiter = ',', value_parser = names())]
    skip: Vec<String>,
    /// Show all output, on a terminal too
    #[arg(long, short)]
    verbose: bool,
    /// Install nothing
    #[arg(long)]
    no_install: bool,
}

fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(suites::ALL.iter().map(|suite| suite.name))
}

/// The part of the help that the suites themselves supply.
pub(crate) fn help() -> String {
    help_on("Suites", suites::ALL)
}

/// What there is to say of commands that run suites.
pub(crate) fn help_on(title: &str, all: &[Suite]) -> String {
    let mut help = format!("{title}:\n");
    for suite in all {
        let _ = writeln!(help, "  {:12} {}", suite.name, suite.about);
    }
    help.push_str(
        "\nWhat is missing is installed by apt-get where that is possible (as root on Debian).\n\
         Each one's output is kept in target/xtask/NAME.log.\n\n\
         Exit status:\n  \
         0  everything passed\n  \
         1  something failed\n  \
         2  the command line is wrong\n  \
         3  nothing failed, but some were left out for want of a prerequisite",
    );
    help
}

/// Which suites to run, and how.
pub(crate) struct Choice<'a> {
    pub(crate) all: &'static [Suite],
    pub(crate) only: &'a [String],
    pub(crate) skip: &'a [String],
    pub(crate) verbose: bool,
    pub(crate) may_install: bool,
}

/// How one suite ended.
struct Outcome {
    name: &'static str,
    counts: Counts,
    time: Duration,
}

/// Runs the chosen suites; returns the exit status.
pub(crate) fn run(arguments: &Arguments) -> Result<u8, String> {
    run_suites(&Choice {
        all: suites::ALL,
        only: &arguments.only,
        skip: &arguments.skip,
        verbose: arguments.verbose,
        may_install: !arguments.no_install,
    })
}

/// Runs the chosen of any suites; returns the exit status.
pub(crate) fn run_suites(choice: &Choice<'_>) -> Result<u8, String> {
    let all: Vec<&str> = choice.all.iter().map(|suite| suite.name).collect();
    let chosen = selection::select(&all, choice.only, choice.skip);
    if chosen.is_empty() {
        eprintln!("error: --skip leaves nothing to run; there are {}", all.join(", "));
        return Ok(exit::USAGE);
    }
    let chosen: Vec<&Suite> =
        choice.all.iter().filter(|suite| chosen.contains(&suite.name)).collect();

    let wanted: Vec<&needs::Need> = chosen.iter().flat_map(|suite| suite.needs).copied().collect();
    let missing = needs::provide(&wanted, choice.may_install);

    let start = Instant::now();
    let mut outcomes = Vec::new();
    let mut failures = Vec::new();
    let mut remarks = Vec::new();
    let mut left_out = Vec::new();
    for suite in chosen {
        let lacks: Vec<&needs::Need> =
            suite.needs.iter().filter(|need| missing.contains(&need.name)).copied().collect();
        if !lacks.is_empty() {
            left_out.push((suite.name, lacks));
            let counts = Counts::ONE_SKIPPED;
            outcomes.push(Outcome { name: suite.name, counts, time: Duration::ZERO });
            continue;
        }
        println!("==> {}: {}", suite.name, suite.about);
        let begun = Instant::now();
        let mut recorder = Recorder::new(suite.name, choice.verbose)?;
        (suite.run)(&mut recorder);
        let Summary { counts, failures: mut failed, remarks: mut tried_again } = recorder.finish();
        let time = begun.elapsed();
        println!("    {counts} in {:.1} s", time.as_secs_f64());
        failures.append(&mut failed);
        remarks.append(&mut tried_again);
        outcomes.push(Outcome { name: suite.name, counts, time });
    }
    println!();
    for remark in &remarks {
        println!("FLAKY {remark}");
    }
    report(&outcomes, &failures, &left_out, start.elapsed());
    // Where the system forbids io_uring, no installation helps, and this run is as complete as any: that
    // it was left out is told all the same.
    Ok(match (failures.is_empty(), left_out.is_empty()) {
        (false, _) => exit::FAILED,
        (true, false) => exit::INCOMPLETE,
        (true, true) => exit::PASSED,
    })
}

fn report(
    outcomes: &[Outcome],
    failures: &[String],
    left_out: &[(&str, Vec<&needs::Need>)],
    time: Duration,
) {
    for failure in failures {
        println!("FAILED {failure}");
    }
    for (suite, lacks) in left_out {
        println!("LEFT OUT {suite}, which needs:");
        for need in lacks {
            println!("    {} ({})", need.name, need.remedy);
        }
    }
    suites::uring::report();
    let times: Vec<String> = outcomes
        .iter()
        .map(|outcome| format!("{} {:.1} s", outcome.name, outcome.time.as_secs_f64()))
        .collect();
    println!("time: {}; {:.1} s in all", times.join(", "), time.as_secs_f64());
    let mut total = Counts::default();
    for outcome in outcomes {
        println!("{}: {}", outcome.name, outcome.counts);
        total += outcome.counts;
    }
    println!("total: {total}");
}
