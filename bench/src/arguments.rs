//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{cores::Cores, implementation::Implementation};

/// Measures ServerLink beside its peers and the floor, round by round, and prints medians and ratios.
///
/// Each measurement is made in a process of its own, where both ends have a thread and a context
/// each. Within a round every implementation has its turn in each row, so that whatever else the
/// machine does meets them all alike: trust the ratios more than the figures.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench")]
#[command(args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) hidden: Option<Hidden>,
    /// Measure the rows that matter most, within four minutes
    #[arg(long)]
    pub(crate) quick: bool,
    /// Measure only rows whose name has this in it; `*` stands for anything, a `^` before it
    /// for the beginning of the name and a `$` after it for the end
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    pub(crate) only: Vec<String>,
    /// Measure these implementations
    #[arg(long, value_name = "PEER,…", value_delimiter = ',', value_enum,
          default_values_t = Implementation::ALL.iter().copied())]
    pub(crate) peers: Vec<Implementation>,
    /// How many rounds [default: 11, or as many as four minutes allow if --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) rounds: Option<u32>,
    /// Where threads may run
    #[arg(long, value_enum, default_value_t = Cores::Any)]
    pub(crate) cores: Cores,
    /// Keep the processors from going to sleep, so that waking them is not most of a round trip
    #[arg(long)]
    pub(crate) awake: bool,
    /// See only that every row works: one round of a few milliseconds each
    #[arg(long, conflicts_with_all = ["rounds"])]
    pub(crate) smoke: bool,
    /// Show the names of the rows, and measure nothing
    #[arg(long)]
    pub(crate) list: bool,
    /// Write the results to this file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Draw charts into this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) plot: Option<PathBuf>,
}

/// What the program runs itself as.
#[derive(Debug, Subcommand)]
pub(crate) enum Hidden {
    /// Make one measurement and print it as JSON; for profilers, too
    Measure(Measure),
    /// Be the end that connects
    #[command(hide = true)]
    Connect(Connect),
}

/// One measurement.
#[derive(Debug, Args)]
pub(crate) struct Measure {
    /// What to measure, as `--list` has it, without the metric
    pub(crate) case: String,
    /// Who
    #[arg(value_enum)]
    pub(crate) peer: Implementation,
    /// For how many milliseconds
    #[arg(long, value_name = "MS")]
    pub(crate) window: Option<u64>,
    /// Where
    #[arg(long, value_enum, default_value_t = Cores::Any)]
    pub(crate) cores: Cores,
    /// Only to see that it works
    #[arg(long)]
    pub(crate) smoke: bool,
}

/// The other end of idle connections.
#[derive(Debug, Args)]
pub(crate) struct Connect {
    /// Where to connect to
    pub(crate) endpoint: String,
    /// With what
    #[arg(value_enum)]
    pub(crate) peer: Implementation,
    /// How often
    pub(crate) count: usize,
}
