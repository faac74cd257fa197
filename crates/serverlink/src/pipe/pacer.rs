//! Tells a tight loop from messages that are sent now and then.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// When a socket last wrote to any of its peers. What a sender writes to one keeps it from sending
/// to the next, so that the time between two messages to the same peer tells nothing.
#[derive(Debug)]
pub(crate) struct Pacer {
    epoch: Instant,
    /// In nanoseconds since `epoch`; zero for never.
    last_write: AtomicU64,
}

impl Pacer {
    pub(crate) fn new() -> Self {
        Self { epoch: Instant::now(), last_write: AtomicU64::new(0) }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn wrote(&self) {
        // A hint, which publishes nothing.
        self.last_write.store(self.now(), Ordering::Relaxed);
    }

    /// Whether the socket has written within the last `span`.
    pub(super) fn wrote_within(&self, span: Duration) -> bool {
        let last = self.last_write.load(Ordering::Relaxed);
        last > 0 && u128::from(self.now().saturating_sub(last)) < span.as_nanos()
    }
}
