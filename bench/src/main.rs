//! Benchmarks of ServerLink beside its peers and the floor.
//!
//! Top-down: [`arguments`] is the command line, [`case`] is what can be measured, [`rounds`] runs the
//! implementations in turn, each measurement in a process of its own ([`child`]), and [`report`] shows
//! what came out. [`workload`] has what ZeroMQ libraries do, over the one trait that they implement
//! in [`peer`]; [`floor`] does the same with nothing but what the system offers.

mod arguments;
mod awake;
mod case;
mod child;
mod cores;
mod engine;
mod failure;
mod floor;
mod implementation;
mod measurement;
mod payload;
mod peer;
mod report;
mod rounds;
mod selection;
mod statistics;
mod target;
mod workload;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::Arguments;
use failure::Failure;
use rounds::Benchmark;

/// The exit code for arguments that make no sense; clap uses the same.
const WRONG_ARGUMENTS: u8 = 2;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match &arguments.hidden {
        Some(hidden) => child::run(hidden),
        None => match Benchmark::prepare(&arguments) {
            Ok(benchmark) => benchmark.run(),
            Err(failure) => return failed(&failure, WRONG_ARGUMENTS),
        },
    };
    outcome.unwrap_or_else(|failure| failed(&failure, ExitCode::FAILURE))
}

fn failed(failure: &Failure, code: impl Into<ExitCode>) -> ExitCode {
    eprintln!("error: {failure}");
    code.into()
}
