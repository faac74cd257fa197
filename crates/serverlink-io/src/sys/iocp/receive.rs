//! `WSARecv`, and `ReadFile` on pipes, into a real buffer or none.

use std::{io, ptr};

use super::{
    buffers::Armed,
    errors::{self, Call, classify},
    kernel::Nature,
    operation::{Body, Next, Status, Vectors},
    resources::Resources,
    shared::Shared,
};
use crate::{
    Event,
    errors::{Action, no_room},
};
use bytes::BytesMut;

/// Receives once.
pub(super) enum Receive {
    /// Into a buffer lent to the kernel: the caller's, or one of the engine's within its budget.
    Into { buffer: BytesMut, armed: Option<Armed> },
    /// Into nothing: a zero-byte receive pins no memory and ends when something has arrived, which
    /// is then read by a call that does not wait; of a pipe, by one that needs not.
    Probing { buffer: Option<BytesMut> },
}

/// The most one call receives.
const MOST: usize = 1 << 30;

impl Receive {
    pub(super) fn new(shared: &Shared, buffer: Option<BytesMut>) -> io::Result<Self> {
        match buffer {
            Some(buffer) if buffer.capacity() == buffer.len() => Err(no_room()),
            Some(buffer) => Ok(Self::Into { buffer, armed: None }),
            None => Ok(match shared.buffers.arm() {
                Some(armed) => {
                    Self::Into { buffer: shared.buffers.pool.take(), armed: Some(armed) }
                }
                None => Self::Probing { buffer: None },
            }),
        }
    }

    pub(super) fn request(&mut self, vectors: &mut Vectors) {
        match self {
            Self::Into { buffer, .. } => {
                let spare = buffer.spare_capacity_mut();
                let length = u32::try_from(spare.len().min(MOST)).expect("`MOST` fits");
                vectors.push(spare.as_mut_ptr().cast(), length);
            }
            Self::Probing { .. } => {
                vectors.push(ptr::dangling_mut(), 0);
            }
        }
    }

    pub(super) fn completed(self, resources: &Resources, shared: &Shared, status: Status) -> Next {
        let pipe = resources.nature() == Nature::Pipe;
        let ignored = classify(Call::Receive, status.error) == Action::Ignore;
        if pipe && status.error != 0 && ignored {
            return Next::Over(self.end_of_stream(shared));
        }
        if status.error != 0 {
            // A failed zero-byte receive is the only place where its error is: never read on.
            return Next::Failed(Body::Receive(self), status.error);
        }
        match self {
            // Somebody wrote nothing.
            Self::Into { .. } if pipe && status.bytes == 0 => {
                Next::Failed(Body::Receive(self), errors::WOULD_BLOCK)
            }
            Self::Into { mut buffer, armed } => {
                drop(armed);
                let length = buffer.len() + status.bytes;
                // SAFETY: the kernel wrote so many bytes into the spare capacity.
                unsafe { buffer.set_len(length) };
                shared.counters.received(status.bytes);
                Next::Over(Event::Received(Ok(buffer)))
            }
            Self::Probing { buffer } if pipe => {
                let buffer = buffer.unwrap_or_else(|| shared.buffers.pool.take());
                Next::Further(Body::Receive(Self::Into { buffer, armed: None }))
            }
            Self::Probing { buffer } => read(resources, shared, buffer),
        }
    }

    /// Of a pipe: it was closed at the other end, and all that had been written is read.
    fn end_of_stream(self, shared: &Shared) -> Event {
        let buffer = match self {
            Self::Into { buffer, .. } => buffer,
            Self::Probing { buffer } => buffer.unwrap_or_default(),
        };
        shared.counters.received(0);
        Event::Received(Ok(buffer))
    }

    /// What to issue after `code`.
    pub(super) fn again(self, resources: &Resources, shared: &Shared, code: u32) -> Next {
        if resources.nature() == Nature::Pipe && code == errors::IO_INCOMPLETE {
            // What was read is lost, so the stream is, too.
            let error = errors::to_io(code);
            return Next::Over(Body::Receive(self).failed(shared, error));
        }
        Next::Further(Body::Receive(match self {
            // Too much memory is locked: lend the kernel none.
            Self::Into { buffer, armed: None } if !errors::is_abort(code) => {
                Self::Probing { buffer: Some(buffer) }
            }
            Self::Into { buffer, armed: Some(_) } if !errors::is_abort(code) => {
                shared.buffers.pool.give(buffer);
                Self::Probing { buffer: None }
            }
            same => same,
        }))
    }

    /// Gives up what belongs to the engine.
    pub(super) fn discard(self, shared: &Shared) {
        if let Self::Into { buffer, armed: Some(_) } = self {
            shared.buffers.pool.give(buffer);
        }
    }
}

/// Reads what a zero-byte receive announced.
fn read(resources: &Resources, shared: &Shared, supplied: Option<BytesMut>) -> Next {
    let own = supplied.is_none();
    let mut buffer = supplied.unwrap_or_else(|| shared.buffers.pool.take());
    let before = buffer.len();
    let spare = buffer.spare_capacity_mut();
    let most = spare.len().min(MOST);
    let result = match resources.socket() {
        Ok(socket) => socket.recv(&mut spare[..most]),
        Err(error) => Err(error),
    };
    match result {
        Ok(bytes) => {
            // SAFETY: the call wrote so many bytes into the spare capacity.
            unsafe { buffer.set_len(before + bytes) };
            shared.counters.received(bytes);
            Next::Over(Event::Received(Ok(buffer)))
        }
        Err(error) => {
            let buffer = if own {
                shared.buffers.pool.give(buffer);
                None
            } else {
                Some(buffer)
            };
            let body = Body::Receive(Receive::Probing { buffer });
            match errors::code_of(&error) {
                // There was nothing after all.
                errors::WOULD_BLOCK => Next::Further(body),
                code => Next::Failed(body, code),
            }
        }
    }
}
