//! Tells a tight loop from messages that are sent now and then.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// When a socket last wrote to any of its peers, or began a stream to one. What a sender writes to one keeps it from sending
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

    /// Whether the socket has written within the last `span`, or a stream to another peer has begun: all
    /// peers that get the same message begin one, if the first does.
    pub(super) fn follows_within(&self, span: Duration) -> bool {
        let (last, now) = (self.last_write.load(Ordering::Relaxed), self.now());
        let follows = last > 0 && u128::from(now.saturating_sub(last)) < span.as_nanos();
        if follows {
            self.last_write.store(now, Ordering::Relaxed);
        }
        follows
    }

    /// Has what is sent next follow a write, whenever that is.
    #[cfg(test)]
    pub(super) fn wrote_last(&self) {
        self.last_write.store(u64::MAX, Ordering::Relaxed);
    }
}
