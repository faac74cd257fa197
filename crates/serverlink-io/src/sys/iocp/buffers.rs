//! The engine's own receive buffers.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use bytes::BytesMut;

use crate::lock::lock;

/// How many receives of one port may have an engine's buffer lent to the kernel.
///
/// A receive beyond it arms a zero-byte `WSARecv` and takes a buffer only when
/// something has arrived; so idle connections pin at most this many buffers
/// (16 MiB of the default size), however many they are.
pub(super) const ARMED_BUFFERS: usize = 256;

/// How many returned buffers are kept for the next receives.
const SPARE_BUFFERS: usize = 16;

/// A port's receive buffers.
///
/// A buffer that carries data leaves with its event. Those of receives that
/// ended without (cancelled, failed, end of stream, nothing there after all)
/// come back.
pub(super) struct Buffers {
    size: usize,
    armed: AtomicUsize,
    spare: Mutex<Vec<BytesMut>>,
}

impl Buffers {
    pub(super) fn new(size: usize) -> Self {
        Self { size: size.max(1), armed: AtomicUsize::new(0), spare: Mutex::new(Vec::new()) }
    }

    /// An empty buffer.
    pub(super) fn take(&self) -> BytesMut {
        lock(&self.spare).pop().unwrap_or_else(|| BytesMut::with_capacity(self.size))
    }

    /// Gives a buffer back.
    pub(super) fn give_back(&self, mut buffer: BytesMut) {
        buffer.clear();
        let mut spare = lock(&self.spare);
        if spare.len() < SPARE_BUFFERS && buffer.capacity() >= self.size {
            spare.push(buffer);
        }
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

    #[test]
    fn keeps_only_whole_buffers_and_few() {
        let buffers = Buffers::new(64);
        buffers.give_back(BytesMut::with_capacity(8));
        assert!(buffers.take().capacity() >= 64);
        for _ in 0..2 * SPARE_BUFFERS {
            buffers.give_back(BytesMut::with_capacity(64));
        }
        assert_eq!(lock(&buffers.spare).len(), SPARE_BUFFERS);
    }
}
