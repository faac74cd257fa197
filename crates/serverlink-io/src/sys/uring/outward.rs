//! The operations of the writable direction.

use std::{
    io, mem,
    ptr::{self, NonNull},
};

use bytes::BytesMut;
use io_uring::{opcode, squeue, types::Fd};

use super::{
    operation::{Next, Operation},
    probe,
};
use crate::{
    Event, Interest,
    sys::readiness::source::{self, GATHER, Source, Transfer, Tried},
};

/// What is pending.
pub(super) enum Writing {
    /// Begun by the caller's thread; its end is awaited.
    Connect,
    Send(Send),
    /// Of this direction alone.
    Probe(Interest),
}

/// Sends what the socket had no room for at once.
pub(super) struct Send {
    pub(super) transfer: Transfer,
    message: NonNull<Message>,
}

/// What sendmsg(2) takes.
struct Message {
    header: libc::msghdr,
    pieces: [libc::iovec; GATHER],
}

// SAFETY: it owns its memory, as a box does that the kernel may read, and that memory is given a
// meaning only by a submission.
unsafe impl std::marker::Send for Send {}

impl Operation for Writing {
    type Beside = ();

    fn submission(&mut self, source: &Source) -> squeue::Entry {
        let descriptor = Fd(source.descriptor());
        match self {
            Self::Connect => {
                opcode::PollAdd::new(descriptor, u32::from(libc::POLLOUT.cast_unsigned())).build()
            }
            Self::Send(send) => send.submission(descriptor),
            Self::Probe(interest) => probe::submission(descriptor, *interest),
        }
    }

    fn completed(
        self,
        source: &Source,
        result: io::Result<u32>,
        _piece: Option<BytesMut>,
    ) -> Next<Self> {
        match self {
            Self::Connect => {
                let tried = match result.and_then(|_| source.socket()) {
                    Ok(socket) => source::connected(socket),
                    Err(error) => Tried::Finished(Err(error)),
                };
                match tried {
                    Tried::Finished(result) => Next::Over(Event::Connected(result)),
                    Tried::WouldBlock => Next::Again(Self::Connect),
                }
            }
            Self::Send(send) => send.completed(result),
            Self::Probe(interest) => probe::completed(interest, result),
        }
    }

    fn failed(self, error: io::Error) -> Event {
        match self {
            Self::Connect => Event::Connected(Err(error)),
            Self::Send(send) => send.over(Err(error)),
            Self::Probe(_) => Event::Ready(Err(error)),
        }
    }
}

impl probe::Probing for Writing {
    fn probe(interest: Interest) -> Self {
        Self::Probe(interest)
    }
}

impl Send {
    pub(super) fn new(transfer: Transfer) -> Self {
        let empty = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };
        // SAFETY: zeroes are a header of nothing.
        let header = unsafe { mem::zeroed() };
        let message = Message { header, pieces: [empty; GATHER] };
        Self { transfer, message: NonNull::from(Box::leak(Box::new(message))) }
    }

    fn submission(&mut self, descriptor: Fd) -> squeue::Entry {
        let message = self.message.as_ptr();
        let mut count = 0;
        // SAFETY: the kernel has not got it yet, or no more.
        unsafe {
            for (place, piece) in (*message).pieces.iter_mut().zip(self.transfer.rest()) {
                place.iov_base = piece.as_ptr().cast_mut().cast();
                place.iov_len = piece.len();
                count += 1;
            }
            (*message).header.msg_iov = (&raw mut (*message).pieces).cast();
            (*message).header.msg_iovlen = count;
        }
        // Without MSG_WAITALL: an error that followed a part would be lost, for the kernel would
        // tell of the part alone.
        // SAFETY: the pointer is that of a message's header.
        let header = unsafe { &raw const (*message).header };
        opcode::SendMsg::new(descriptor, header).flags(libc::MSG_NOSIGNAL.cast_unsigned()).build()
    }

    fn completed(mut self, result: io::Result<u32>) -> Next<Writing> {
        match result {
            Ok(sent) => self.transfer.note(sent as usize),
            Err(error) => return Next::Over(self.over(Err(error))),
        }
        if self.transfer.skip_finished() {
            return Next::Over(self.over(Ok(())));
        }
        Next::Again(Writing::Send(self))
    }

    fn over(mut self, result: io::Result<()>) -> Event {
        let buffers = mem::take(&mut self.transfer.buffers);
        Event::Sent { buffers, sent: self.transfer.sent, result }
    }
}

impl Drop for Send {
    fn drop(&mut self) {
        // SAFETY: it came from a box in `new`. An operation is dropped only when the kernel does
        // not have it.
        drop(unsafe { Box::from_raw(self.message.as_ptr()) });
    }
}
