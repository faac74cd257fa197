//! The developer commands of ServerLink, run as `cargo xtask`.

#![forbid(unsafe_code)]

mod bench;
mod counts;
mod endure;
mod excerpts;
mod exit;
mod instructions;
mod layout;
mod needs;
mod recorder;
mod sanitize;
mod selection;
mod soak;
mod suites;
mod test;
mod toolchain;
mod windows;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Developer commands of ServerLink.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Check everything: formatting, lints, tests on every backend, real
    /// peers, Windows under Wine, other platforms
    #[command(after_help = test::help())]
    Test(test::Arguments),
    /// Measure the library beside its peers; `bench --help` tells more. With
    /// `--wine` first, compare backends and transports of Windows programs
    #[command(disable_help_flag = true)]
    Bench {
        /// What to hand to the benchmark program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Run the tests of unsafe code under sanitizers, Valgrind and Miri
    #[command(after_help = sanitize::help())]
    Sanitize(sanitize::Arguments),
    /// Run the engine's tests over and over, natively and under Wine, until
    /// one fails
    #[command(after_help = soak::HELP)]
    Soak(soak::Arguments),
    /// Run every socket pattern under random disconnects, and check what it
    /// promises; `endure --help` tells more
    #[command(disable_help_flag = true)]
    Endure {
        /// What to hand to the program
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Count how many instructions a message takes, and compare with what is tracked
    Instructions(instructions::Arguments),
    /// Run any cargo command for Windows, its programs running under Wine
    #[command(after_help = windows::EXAMPLES)]
    Windows {
        /// What to hand to cargo
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        cargo_arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Action::Test(arguments) => test::run(&arguments),
        Action::Bench { arguments } => bench::run(&arguments),
        Action::Sanitize(arguments) => sanitize::run(&arguments),
        Action::Soak(arguments) => soak::run(&arguments),
        Action::Endure { arguments } => endure::run(&arguments),
        Action::Instructions(arguments) => instructions::run(&arguments),
        Action::Windows { cargo_arguments } => windows::run(&cargo_arguments),
    };
    let status = outcome.unwrap_or_else(|message| {
        eprintln!("error: {message}");
        exit::FAILED
    });
    ExitCode::from(status)
}
