//! Receive buffers that are used again.

use std::sync::Mutex;

use bytes::BytesMut;

use crate::lock::lock;

/// How many buffers are kept for the next receives.
const KEPT: usize = 16;

/// A port's receive buffers. One that carries data leaves with its event, and may be given back
/// when it has been read; one that met no data comes back at once.
#[derive(Debug)]
pub(super) struct BufferPool {
    size: usize,
    kept: Mutex<Vec<BytesMut>>,
}

impl BufferPool {
    pub(super) fn new(size: usize) -> Self {
        Self { size: size.max(1), kept: Mutex::new(Vec::new()) }
    }

    /// An empty buffer.
    pub(super) fn take(&self) -> BytesMut {
        lock(&self.kept).pop().unwrap_or_else(|| BytesMut::with_capacity(self.size))
    }

    /// Gives a buffer back, whatever it holds.
    pub(super) fn give(&self, mut buffer: BytesMut) {
        buffer.clear();
        if buffer.capacity() < self.size {
            return;
        }
        let mut kept = lock(&self.kept);
        if kept.len() < KEPT {
            kept.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_only_whole_buffers_and_few() {
        let pool = BufferPool::new(64);
        pool.give(BytesMut::with_capacity(8));
        assert!(pool.take().capacity() >= 64);
        for _ in 0..2 * KEPT {
            pool.give(BytesMut::with_capacity(64));
        }
        assert_eq!(lock(&pool.kept).len(), KEPT);
    }

    #[test]
    fn a_buffer_comes_back_empty_and_is_the_same_memory() {
        let pool = BufferPool::new(64);
        let mut buffer = pool.take();
        let memory = buffer.as_ptr();
        buffer.extend_from_slice(b"what was received");
        pool.give(buffer);
        let again = pool.take();
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), memory);
    }
}
