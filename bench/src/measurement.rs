//! What one measurement gives, and how long it takes.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use nix::sys::{
    resource::{Usage, UsageWho, getrusage},
    time::TimeValLike as _,
};

use crate::{case::Metric, cores::Cores, failure::Result};

/// The figures of one measurement.
pub(crate) type Figures = BTreeMap<Metric, f64>;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Goes before: connections come up, memory is touched, congestion windows open.
    pub(crate) warm_up: Duration,
    /// What counts.
    pub(crate) window: Duration,
    /// Where.
    pub(crate) cores: Cores,
    /// How many idle connections to make, at the most.
    pub(crate) most_connections: usize,
    /// How many timers to set, at the most.
    pub(crate) most_timers: usize,
}

impl Plan {
    /// Long enough for figures.
    pub(crate) const FULL: Self = Self {
        warm_up: Duration::from_millis(80),
        window: Duration::from_millis(250),
        cores: Cores::Any,
        most_connections: usize::MAX,
        most_timers: usize::MAX,
    };
    /// Long enough to see that it works.
    pub(crate) const SMOKE: Self = Self {
        warm_up: Duration::from_millis(2),
        window: Duration::from_millis(10),
        cores: Cores::Any,
        most_connections: 150,
        most_timers: 1000,
    };

    /// How many connections to make where so many are wanted.
    pub(crate) fn connections(&self, wanted: usize) -> usize {
        wanted.min(self.most_connections)
    }

    /// How many timers to set where so many are wanted.
    pub(crate) fn timers(&self, wanted: usize) -> usize {
        wanted.min(self.most_timers)
    }
}

/// A clock that also reads the processor time of the process.
#[derive(Debug)]
pub(crate) struct Stopwatch {
    begun: Instant,
    usage: Usage,
}

impl Stopwatch {
    pub(crate) fn start() -> Result<Self> {
        Ok(Self { usage: getrusage(UsageWho::RUSAGE_SELF)?, begun: Instant::now() })
    }

    /// The rate and the processor time of so many messages since the start.
    pub(crate) fn stop(&self, messages: u64) -> Result<Figures> {
        let elapsed = self.begun.elapsed().as_secs_f64();
        let messages = messages as f64;
        let rate = (Metric::Throughput, messages / elapsed);
        Ok([rate, self.cpu(messages)?].into())
    }

    fn cpu(&self, messages: f64) -> Result<(Metric, f64)> {
        let usage = getrusage(UsageWho::RUSAGE_SELF)?;
        let time = |usage: &Usage| {
            (usage.user_time() + usage.system_time()).num_microseconds() as f64 * 1e3
        };
        Ok((Metric::Cpu, (time(&usage) - time(&self.usage)) / messages))
    }
}

/// Adds the quantiles of times in nanoseconds.
pub(crate) fn quantiles(times: &Histogram<u64>, figures: &mut Figures) {
    for (metric, quantile) in [(Metric::P50, 0.5), (Metric::P99, 0.99), (Metric::P999, 0.999)] {
        figures.insert(metric, times.value_at_quantile(quantile) as f64 / 1e3);
    }
}

/// A histogram for times in nanoseconds, of three digits up to a minute.
pub(crate) fn histogram() -> Result<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

/// Records a time; what is above a minute counts as a minute.
pub(crate) fn record(times: &mut Histogram<u64>, took: Duration) {
    times.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
}
