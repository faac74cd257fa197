//! What went through: counted while running, told at the end.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use serde::Serialize;

/// Messages and bytes in one direction.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    messages: AtomicU64,
    bytes: AtomicU64,
    first: OnceLock<Instant>,
    /// Nanoseconds from the first message to the last look at the clock.
    nanos: AtomicU64,
    /// How many messages there were then.
    looked_at: AtomicU64,
}

impl Traffic {
    /// A message went through.
    pub(crate) fn count(&self, bytes: usize) {
        self.first.get_or_init(Instant::now);
        self.messages.fetch_add(1, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// There is a pause now, or the end: the last message went through just before.
    pub(crate) fn pause(&self) {
        if let Some(first) = self.first.get() {
            let nanos = u64::try_from(first.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.looked_at.store(self.messages(), Relaxed);
            self.nanos.store(nanos, Relaxed);
        }
    }

    /// How many messages went through.
    pub(crate) fn messages(&self) -> u64 {
        self.messages.load(Relaxed)
    }

    /// The figures as of now, which need not be a pause.
    pub(crate) fn summary(&self) -> Summary {
        let messages = self.messages();
        if messages > self.looked_at.load(Relaxed) {
            self.pause();
        }
        let bytes = self.bytes.load(Relaxed);
        let seconds = self.nanos.load(Relaxed) as f64 / 1e9;
        // One message has no rate.
        let per_second = |amount: u64| {
            if messages > 1 && seconds > 0.0 { amount as f64 / seconds } else { 0.0 }
        };
        Summary {
            messages,
            bytes,
            seconds,
            messages_per_second: per_second(messages),
            megabytes_per_second: per_second(bytes) / 1e6,
        }
    }
}

/// The figures of one direction.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Summary {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
    pub(crate) seconds: f64,
    pub(crate) messages_per_second: f64,
    pub(crate) megabytes_per_second: f64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} messages, {} bytes in {:.3} s: {:.0} messages/s, {:.3} MB/s",
            self.messages,
            self.bytes,
            self.seconds,
            self.messages_per_second,
            self.megabytes_per_second
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_ends_with_the_last_message_or_with_a_look_if_more_came() {
        let traffic = Traffic::default();
        traffic.count(1);
        traffic.count(1);
        let first = traffic.summary();
        assert!(first.seconds > 0.0 && first.messages_per_second > 0.0, "{first:?}");
        assert_eq!(traffic.summary().seconds, first.seconds, "nothing came since");
        traffic.count(1);
        let more = traffic.summary();
        assert!(more.seconds > first.seconds, "{more:?}");
        traffic.count(1);
        traffic.pause();
        let paused = traffic.summary();
        assert!(paused.seconds > more.seconds, "{paused:?}");
        assert_eq!(traffic.summary().seconds, paused.seconds);
    }
}
