//! What is told in the end.

use std::{sync::atomic::Ordering, time::Duration};

use crate::{patterns::Pattern, world::World};

/// What became of one pattern.
#[derive(Debug)]
pub(crate) struct Outcome {
    pattern: &'static str,
    streams: bool,
    backend: &'static str,
    sent: u64,
    received: u64,
    cuts: u64,
    stalls: u64,
    reopened: u64,
    lost: u64,
    took: Duration,
    /// The most memory it had, in MiB.
    pub(crate) memory: u64,
}

impl Outcome {
    pub(crate) fn new(
        pattern: &Pattern,
        world: &World,
        backend: &'static str,
        took: Duration,
    ) -> Self {
        Self {
            pattern: pattern.name,
            streams: pattern.streams,
            backend,
            sent: world.sent.load(Ordering::Relaxed),
            received: world.received.load(Ordering::Relaxed),
            cuts: world.cuts.load(Ordering::Relaxed),
            stalls: world.stalls.load(Ordering::Relaxed),
            reopened: world.reopened.load(Ordering::Relaxed),
            lost: world.lost.load(Ordering::Relaxed),
            took,
            memory: 0,
        }
    }
}

/// A row for each pattern.
#[derive(Debug)]
pub(crate) struct Report {
    seed: u64,
    outcomes: Vec<Outcome>,
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, outcomes: Vec::new() }
    }

    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    pub(crate) fn print(&self) {
        println!(
            "| pattern | backend | sent | received | cuts | stalls | reopened | lost | seconds | MiB |"
        );
        println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
        for row in &self.outcomes {
            let cuts = if row.streams { row.cuts.to_string() } else { "–".to_owned() };
            println!(
                "| {} | {} | {} | {} | {cuts} | {} | {} | {} | {:.1} | {} |",
                row.pattern,
                row.backend,
                row.sent,
                row.received,
                row.stalls,
                row.reopened,
                row.lost,
                row.took.as_secs_f64(),
                row.memory
            );
        }
        println!("\nevery promise was kept by these, with --seed {}", self.seed);
    }
}
