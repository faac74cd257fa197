//! What a proxy has done.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::{Frame, Message};

/// What a proxy has passed on so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyStatistics {
    /// At the frontend.
    pub frontend: ProxyCounts,
    /// At the backend.
    pub backend: ProxyCounts,
    /// How many messages were dropped because the other socket refused them.
    pub dropped: u64,
}

/// What has passed one of the sockets of a proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyCounts {
    /// Frames received: a message counts as often as it has frames.
    pub frames_received: u64,
    /// Bytes of their bodies.
    pub bytes_received: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Bytes of their bodies.
    pub bytes_sent: u64,
}

impl ProxyStatistics {
    /// The answer to `STATISTICS`, as libzmq gives it: eight frames, each a `u64` in the byte order
    /// of this machine. They are frames received and their bytes, frames sent and their bytes; first
    /// those of the frontend, then those of the backend.
    #[must_use]
    pub fn to_message(&self) -> Message {
        let counts = [self.frontend, self.backend].into_iter().flat_map(|side| {
            [side.frames_received, side.bytes_received, side.frames_sent, side.bytes_sent]
        });
        counts.map(|count| Frame::from(count.to_ne_bytes())).collect()
    }
}

/// The counters of a proxy at work: the thread that forwards counts, anybody reads.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Of each socket.
    pub(super) sides: [Side; 2],
    pub(super) dropped: Counter,
}

#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) received: Passed,
    pub(super) sent: Passed,
}

#[derive(Debug, Default)]
pub(super) struct Passed {
    frames: Counter,
    bytes: Counter,
}

/// Counted by one thread.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: usize) {
        self.0.store(self.0.load(Relaxed).wrapping_add(count as u64), Relaxed);
    }

    fn take_back(&self, count: usize) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(count as u64), Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Passed {
    pub(super) fn add(&self, frames: usize, bytes: usize) {
        self.frames.add(frames);
        self.bytes.add(bytes);
    }

    /// It was not so.
    pub(super) fn take_back(&self, frames: usize, bytes: usize) {
        self.frames.take_back(frames);
        self.bytes.take_back(bytes);
    }
}

impl Counters {
    pub(super) fn read(&self) -> ProxyStatistics {
        let counts = |side: &Side| ProxyCounts {
            frames_received: side.received.frames.read(),
            bytes_received: side.received.bytes.read(),
            frames_sent: side.sent.frames.read(),
            bytes_sent: side.sent.bytes.read(),
        };
        ProxyStatistics {
            frontend: counts(&self.sides[0]),
            backend: counts(&self.sides[1]),
            dropped: self.dropped.read(),
        }
    }
}
