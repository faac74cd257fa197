//! `WSASend`, of the caller's own bytes; `WriteFile`, on pipes, of a copy of the small ones.

use std::io;

use super::{
    errors,
    kernel::Nature,
    operation::{Body, Next, Status, Vectors},
    shared::Shared,
};
use crate::Event;
use bytes::{Bytes, BytesMut};

/// The most bytes one call is given. They stay locked in memory until it completes, and its count
/// of bytes has 32 bits.
const MOST: usize = 8 << 20;

/// The same after the system ran short of memory to lock.
pub(super) const LITTLE: usize = 64 << 10;

/// The most bytes of one call on a pipe, of which the system makes a copy: as many as the pipe has
/// room for.
const PIPEFUL: usize = 64 << 10;

/// From this length on, a buffer is worth a call of its own on a pipe.
const LONG: usize = 16 << 10;

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
    /// How many bytes the last call was given, on a pipe.
    given: usize,
    nature: Nature,
    /// Short buffers put together, where a call takes only one.
    together: Option<BytesMut>,
}

impl Send {
    pub(super) fn new(nature: Nature, buffers: Vec<Bytes>) -> Self {
        let most = match nature {
            Nature::Socket => MOST,
            Nature::Pipe => PIPEFUL,
        };
        let together = None;
        let mut send =
            Self { buffers, index: 0, offset: 0, sent: 0, most, given: 0, nature, together };
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

    pub(super) fn request(&mut self, shared: &Shared, vectors: &mut Vectors) {
        match self.nature {
            Nature::Socket => self.gather(vectors),
            Nature::Pipe => {
                let part = self.one(shared);
                let (start, length) = (part.as_ptr().cast_mut(), part.len());
                self.given = length;
                vectors.push(start, u32::try_from(length).expect("`MOST` fits"));
            }
        }
    }

    /// The next bytes in one piece: those of a long buffer itself, or a copy of short ones.
    fn one(&mut self, shared: &Shared) -> &[u8] {
        let Self { buffers, index, offset, most, together, .. } = self;
        let rest = &buffers[*index][*offset..];
        if rest.len() >= LONG.min(*most) || *index + 1 == buffers.len() {
            return &rest[..rest.len().min(*most)];
        }
        let together = together.get_or_insert_with(|| shared.buffers.pool.take());
        together.clear();
        let most = together.capacity().clamp(1, *most);
        together.extend_from_slice(&rest[..rest.len().min(most)]);
        for buffer in &buffers[*index + 1..] {
            let room = most - together.len();
            if room == 0 || buffer.len() >= LONG {
                break;
            }
            together.extend_from_slice(&buffer[..buffer.len().min(room)]);
        }
        together
    }

    fn gather(&self, vectors: &mut Vectors) {
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

    pub(super) fn completed(mut self, shared: &Shared, mut status: Status) -> Next {
        if self.nature == Nature::Pipe && status.error == errors::IO_INCOMPLETE {
            // It ended, but with the thread that was to hear of it: all of it was read.
            status = Status { bytes: self.given, error: 0 };
        }
        // A call that failed may have sent something first.
        self.advance(status.bytes);
        if self.is_over() {
            Next::Over(self.over(shared, Ok(())))
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
    pub(super) fn again(mut self, shared: &Shared, code: u32) -> Next {
        if !errors::is_abort(code) {
            self.most = LITTLE;
        } else if self.nature == Nature::Pipe {
            // How much of it was read already, the system does not say.
            return Next::Over(self.over(shared, Err(errors::to_io(code))));
        }
        Next::Further(Body::Send(self))
    }

    pub(super) fn over(self, shared: &Shared, result: io::Result<()>) -> Event {
        if let Some(together) = self.together {
            shared.buffers.pool.give(together);
        }
        Event::Sent { buffers: self.buffers, sent: self.sent, result }
    }
}
