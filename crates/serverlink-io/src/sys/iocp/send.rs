//! `WSASend`, of the caller's own bytes.

use std::io;

use super::{
    errors,
    operation::{Body, Next, Status, Vectors},
};
use crate::Event;
use bytes::Bytes;

/// The most bytes one call is given. They stay locked in memory until it completes, and its count
/// of bytes has 32 bits.
const MOST: usize = 8 << 20;

/// The same after the system ran short of memory to lock.
const LITTLE: usize = 64 << 10;

/// Sends all of some buffers, by as many calls as it takes.
pub(super) struct Send {
    buffers: Vec<Bytes>,
    /// Where the rest begins: the buffer,
    index: usize,
    /// and the byte in it.
    offset: usize,
    /// How many bytes the kernel took.
    sent: usize,
    /// The most bytes of the next call.
    most: usize,
}

impl Send {
    pub(super) fn new(buffers: Vec<Bytes>) -> Self {
        let mut send = Self { buffers, index: 0, offset: 0, sent: 0, most: MOST };
        send.advance(0);
        send
    }

    /// Whether the kernel took everything.
    pub(super) fn is_over(&self) -> bool {
        self.index == self.buffers.len()
    }

    /// Counts `bytes` as sent, and passes over empty buffers.
    fn advance(&mut self, mut bytes: usize) {
        self.sent += bytes;
        while let Some(buffer) = self.buffers.get(self.index) {
            let rest = buffer.len() - self.offset;
            if bytes < rest {
                self.offset += bytes;
                return;
            }
            bytes -= rest;
            self.index += 1;
            self.offset = 0;
        }
    }

    pub(super) fn request(&self, vectors: &mut Vectors) {
        let mut room = self.most;
        let mut offset = self.offset;
        for buffer in &self.buffers[self.index..] {
            let rest = &buffer[offset..];
            offset = 0;
            if rest.is_empty() {
                continue;
            }
            let part = &rest[..rest.len().min(room)];
            room -= part.len();
            let length = u32::try_from(part.len()).expect("`MOST` fits");
            if !vectors.push(part.as_ptr().cast_mut(), length) || room == 0 {
                return;
            }
        }
    }

    pub(super) fn completed(mut self, status: Status) -> Next {
        // A call that failed may have sent something first.
        self.advance(status.bytes);
        if self.is_over() {
            Next::Over(self.over(Ok(())))
        } else if status.error != 0 {
            Next::Failed(Body::Send(self), status.error)
        } else if status.bytes == 0 {
            // No progress: as if the system were short of memory, or this could go on for ever.
            Next::Failed(Body::Send(self), errors::NO_BUFFERS)
        } else {
            Next::Further(Body::Send(self))
        }
    }

    /// What to issue after `code`.
    pub(super) fn again(mut self, code: u32) -> Self {
        if !errors::is_abort(code) {
            self.most = LITTLE;
        }
        self
    }

    pub(super) fn over(self, result: io::Result<()>) -> Event {
        Event::Sent { buffers: self.buffers, sent: self.sent, result }
    }
}
