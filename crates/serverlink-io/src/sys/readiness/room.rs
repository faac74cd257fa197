//! Whether reports of room are heeded.

#[cfg(all(test, loom))]
mod model;

use super::source::Tried;
use crate::sync::{AtomicBool, Ordering::SeqCst};

/// Set when something may wait for the writable direction. Until then the driver spares itself a look
/// at that: nearly every report of data tells that there is room as well.
///
/// Set and cleared under the lock of that direction.
#[derive(Debug, Default)]
pub(super) struct Room {
    expected: AtomicBool,
}

impl Room {
    /// Has reports heeded, for something is about to wait. True if they were not yet: what has found
    /// no room before has to look once more, for a report that came meanwhile went unheeded.
    pub(super) fn expect(&self) -> bool {
        // The driver hears the report first and looks at this then; here it is the other way round.
        // Both being sequentially consistent, one of the two sees the other.
        !self.expected.swap(true, SeqCst)
    }

    /// Tries something until it finds room, or a report will tell of that. The lock is held.
    pub(super) fn look_for<T>(&self, mut attempt: impl FnMut() -> Tried<T>) -> Tried<T> {
        let tried = attempt();
        if matches!(tried, Tried::WouldBlock) && self.expect() { attempt() } else { tried }
    }

    /// Takes in a report: under the lock, which `lock` takes, it is seen to if something `waits` for
    /// it.
    pub(super) fn reported<L>(&self, lock: impl FnOnce() -> L, waits: impl FnOnce(&mut L) -> bool) {
        if self.expected.load(SeqCst) {
            let mut locked = lock();
            if !waits(&mut locked) {
                self.expected.store(false, SeqCst);
            }
        }
    }
}
