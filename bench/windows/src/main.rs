//! The comparisons that the original event loop's description asks for on Windows: completion port
//! against select, and links within the process against TCP.
//!
//! It runs anywhere, with the backends that there are. Within a round each contender of a row has its
//! turn, so that whatever else the machine does meets them all alike: trust the ratios more than the
//! figures.

#![forbid(unsafe_code)]

mod echo;
mod report;
mod row;
mod sockets;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

/// What can go wrong in a measurement.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Goes before each measurement.
const WARM_UP: Duration = Duration::from_millis(100);

/// Compares the backends of the engine, and its transports, on this platform.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench --wine", bin_name = "cargo xtask bench --wine")]
struct Arguments {
    /// How many rounds
    #[arg(long, value_name = "N", default_value_t = 11,
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// For how many milliseconds each contender is measured in a round
    #[arg(long, value_name = "MS", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=60_000))]
    window: u64,
    /// Measure only rows whose name has this in it
    #[arg(long, value_name = "TEXT", default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut rows = row::all();
    rows.retain(|row| row.name.contains(&arguments.only));
    if rows.is_empty() {
        eprintln!("error: no row has {:?} in its name", arguments.only);
        return ExitCode::from(2);
    }
    match measure(&rows, &arguments) {
        Ok(figures) => {
            report::print(&rows, &figures);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The figures of each contender of each row, by rounds.
fn measure(rows: &[row::Row], arguments: &Arguments) -> Result<Vec<Vec<Vec<f64>>>> {
    let window = Duration::from_millis(arguments.window);
    let mut figures: Vec<Vec<Vec<f64>>> =
        rows.iter().map(|row| vec![Vec::new(); row.contenders.len()]).collect();
    for round in 0..arguments.rounds {
        eprintln!("round {} of {}", round + 1, arguments.rounds);
        for (row, figures) in rows.iter().zip(&mut figures) {
            // Nobody is always first.
            let count = row.contenders.len();
            for turn in 0..count {
                let at = (turn + round as usize) % count;
                let contender = &row.contenders[at];
                let figure = (contender.measure)(WARM_UP, window)
                    .map_err(|error| format!("{}, {}: {error}", row.name, contender.name))?;
                figures[at].push(figure);
            }
        }
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_measured() {
        for row in row::all() {
            for contender in &row.contenders {
                let figure = (contender.measure)(Duration::ZERO, Duration::from_millis(5))
                    .unwrap_or_else(|error| panic!("{}, {}: {error}", row.name, contender.name));
                assert!(figure.is_finite() && figure > 0.0, "{figure}");
            }
        }
    }
}
