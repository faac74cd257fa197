//! The engine's own receive buffers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::sys::buffer_pool::BufferPool;

/// How many receives of one port may have an engine's buffer lent to the kernel.
///
/// A receive beyond it arms a zero-byte `WSARecv` and takes a buffer only when
/// something has arrived; so idle connections pin at most this many buffers
/// (32 MiB of the default size), however many they are.
pub(super) const ARMED_BUFFERS: usize = 256;

/// A port's receive buffers, and how many of them the kernel has.
pub(super) struct Buffers {
    pub(super) pool: BufferPool,
    armed: AtomicUsize,
}

impl Buffers {
    pub(super) fn new(size: usize) -> Self {
        Self { pool: BufferPool::new(size), armed: AtomicUsize::new(0) }
    }

    /// Leave to lend a buffer to the kernel; `None` if that many are lent already.
    pub(super) fn arm(self: &Arc<Self>) -> Option<Armed> {
        // Relaxed: only counted, nothing is published by it.
        self.armed
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |armed| {
                (armed < ARMED_BUFFERS).then_some(armed + 1)
            })
            .ok()
            .map(|_| Armed(Arc::clone(self)))
    }

    /// How many buffers are lent.
    pub(super) fn armed(&self) -> usize {
        self.armed.load(Ordering::Relaxed)
    }
}

/// Leave to lend one buffer, given back when dropped.
pub(super) struct Armed(Arc<Buffers>);

impl Drop for Armed {
    fn drop(&mut self) {
        self.0.armed.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use super::*;

    #[test]
    fn lends_no_more_than_the_budget() {
        let buffers = Arc::new(Buffers::new(16));
        let mut armed: Vec<_> = (0..ARMED_BUFFERS).map(|_| buffers.arm().unwrap()).collect();
        assert!(buffers.arm().is_none());
        armed.pop();
        assert!(buffers.arm().is_some(), "one was given back");
        assert_eq!(buffers.armed(), ARMED_BUFFERS - 1);
    }

    /// Nothing but the count passes between them, and none of it is lost.
    #[test]
    fn threads_are_lent_no_more_than_the_budget_together() {
        const THREADS: usize = 4;
        let rounds = if cfg!(miri) { 2 } else { 200 };
        let buffers = Arc::new(Buffers::new(16));
        let barrier = Barrier::new(THREADS);
        for _ in 0..rounds {
            let lent: usize = thread::scope(|scope| {
                let take = || {
                    barrier.wait();
                    // In vain, from some time on: each alone would take all of them.
                    let armed: Vec<_> = (0..ARMED_BUFFERS).filter_map(|_| buffers.arm()).collect();
                    barrier.wait();
                    armed.len()
                };
                let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(take)).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).sum()
            });
            assert_eq!(lent, ARMED_BUFFERS);
            assert_eq!(buffers.armed(), 0);
        }
    }
}
