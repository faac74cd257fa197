//! The developer commands of ServerLink, run as `cargo xtask`.

#![forbid(unsafe_code)]

mod exit;
mod layout;
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
        Action::Windows { cargo_arguments } => windows::run(&cargo_arguments),
    };
    outcome.unwrap_or_else(|message| {
        eprintln!("error: {message}");
        ExitCode::from(exit::FAILED)
    })
}
