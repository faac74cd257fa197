//! The rounds: every implementation in turn, for each row.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::ExitCode,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    arguments::Arguments,
    awake::Awake,
    case::{self, Case, Metric},
    child,
    failure::{Failure, Result},
    implementation::Implementation,
    measurement::Figures,
    report::{self, Destinations},
    selection,
};

/// How long `--quick` takes, at the most, if no measurement hangs.
const QUICK: Duration = Duration::from_secs(230);

/// How long `--smoke` may take.
const SMOKE: Duration = Duration::from_secs(180);

/// All values of one row, round by round.
pub(crate) type Values = BTreeMap<Implementation, Vec<f64>>;

/// What was measured of one case.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) case: Case,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) values: BTreeMap<Metric, Values>,
    peers: Vec<Implementation>,
    /// Those that failed, which are not tried again.
    pub(crate) failed: BTreeSet<Implementation>,
}

/// What was asked for, and found to be possible.
#[derive(Debug)]
pub(crate) struct Benchmark<'a> {
    arguments: &'a Arguments,
    chosen: Vec<(Case, Vec<Metric>)>,
    measured: Vec<Measured>,
    rounds: usize,
    destinations: Destinations,
}

impl<'a> Benchmark<'a> {
    /// Finds out what to do, and sees to it that the results can be written.
    pub(crate) fn prepare(arguments: &'a Arguments) -> Result<Self> {
        let chosen = selection::select(&case::all(), arguments.quick, &arguments.only)?;
        let measured: Vec<Measured> = chosen
            .iter()
            .map(|(case, metrics)| Measured::new(*case, metrics.clone(), &arguments.peers))
            .filter(|measured| !measured.peers.is_empty())
            .collect();
        if measured.is_empty() {
            return Err(Failure::new("none of these peers can do any of these rows"));
        }
        let rounds = match (arguments.rounds, arguments.smoke, arguments.quick) {
            (Some(rounds), ..) => rounds as usize,
            (None, true, _) => 1,
            (None, false, true) => 9,
            (None, false, false) => 11,
        };
        let destinations = Destinations::open(arguments)?;
        Ok(Self { arguments, chosen, measured, rounds, destinations })
    }

    /// Measures and reports.
    pub(crate) fn run(mut self) -> Result<ExitCode> {
        if self.arguments.list {
            report::list(&self.chosen)?;
            return Ok(ExitCode::SUCCESS);
        }
        let awake = if self.arguments.awake { Some(Awake::keep()?) } else { None };
        let failures = self.measure();
        drop(awake);
        let rows = report::rows(&self.measured);
        report::print(&rows)?;
        self.destinations.write(&rows)?;
        Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// Runs the rounds; returns how many measurements failed.
    fn measure(&mut self) -> usize {
        let each: usize = self.measured.iter().map(|measured| measured.peers.len()).sum();
        let progress = ProgressBar::new((self.rounds * each) as u64).with_style(style());
        let start = Instant::now();
        let mut failures = 0;
        for round in 0..self.rounds {
            // So long as another round of the same length is within the time.
            let after = start.elapsed().mul_f64((round + 1) as f64 / round.max(1) as f64);
            if self.arguments.quick && round > 0 && after > QUICK {
                break;
            }
            for (index, row) in self.measured.iter_mut().enumerate() {
                for peer in row.turns(round, index) {
                    let name = peer.name();
                    if self.arguments.smoke && start.elapsed() > SMOKE {
                        progress.finish_and_clear();
                        eprintln!("error: {}, {name}: not reached within {SMOKE:?}", row.case);
                        return failures + 1;
                    }
                    progress.set_message(format!("round {}: {}, {name}", round + 1, row.case));
                    match child::measure(&row.case, peer, self.arguments) {
                        Ok(figures) => row.add(peer, &figures),
                        Err(failure) => {
                            failures += 1;
                            row.failed.insert(peer);
                            progress
                                .suspend(|| eprintln!("error: {}, {name}: {failure}", row.case));
                        }
                    }
                    progress.inc(1);
                }
            }
        }
        progress.finish_and_clear();
        failures
    }
}

impl Measured {
    fn new(case: Case, metrics: Vec<Metric>, peers: &[Implementation]) -> Self {
        let mut peers = peers.to_vec();
        peers.sort_unstable();
        peers.dedup();
        peers.retain(|peer| peer.lacks(&case).is_none());
        Self { case, metrics, values: BTreeMap::new(), peers, failed: BTreeSet::new() }
    }

    fn add(&mut self, peer: Implementation, figures: &Figures) {
        for metric in &self.metrics {
            if let Some(value) = figures.get(metric) {
                let values = self.values.entry(*metric).or_default();
                values.entry(peer).or_default().push(*value);
            }
        }
    }

    /// Who is measured in a round, in this order.
    fn turns(&self, round: usize, index: usize) -> Vec<Implementation> {
        let count = self.peers.len();
        let turns = (0..count).map(|turn| self.peers[(turn + round + index) % count]);
        turns.filter(|peer| !self.failed.contains(peer)).collect()
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("[{bar:30}] {pos}/{len} {msg}  {eta} left")
        .expect("the template is well-formed")
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_rotate_and_leave_out_who_failed() {
        use Implementation::{Floor, Libzmq, Serverlink};

        let case = Case::named("push-pull/tcp/64B").unwrap();
        let peers = [Floor, Serverlink, Libzmq, Libzmq];
        let mut measured = Measured::new(case, vec![Metric::Throughput], &peers);
        assert_eq!(measured.turns(0, 0), [Serverlink, Libzmq, Floor]);
        assert_eq!(measured.turns(1, 0), [Libzmq, Floor, Serverlink]);
        assert_eq!(measured.turns(0, 2), [Floor, Serverlink, Libzmq]);
        measured.failed.insert(Libzmq);
        assert_eq!(measured.turns(1, 0), [Floor, Serverlink]);
    }

    #[test]
    fn nobody_is_asked_for_what_it_lacks() {
        let case = Case::named("push-pull/inproc/64B").unwrap();
        let measured = Measured::new(case, vec![Metric::Throughput], Implementation::ALL);
        assert!(!measured.peers.contains(&Implementation::Zeromq));
        assert!(measured.peers.contains(&Implementation::Serverlink));
    }
}
