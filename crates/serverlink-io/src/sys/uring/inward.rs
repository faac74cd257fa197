//! The operations of the readable direction.

use std::{
    io,
    mem::{self, MaybeUninit},
    os::fd::FromRawFd,
    ptr::{self, NonNull},
};

use bytes::BytesMut;
use io_uring::{opcode, squeue, types::Fd};
use socket2::{SockAddr, Socket};

use super::{
    operation::{Next, Operation},
    probe,
    provided::{self, Armed, Arming},
    registration::Lasting,
};
use crate::{
    Event, Interest,
    errors::{self, Action, Call},
    sys::{buffer_pool::BufferPool, readiness::source::Source},
};

/// The most one call receives.
const MOST: usize = 1 << 30;

/// What is pending.
pub(super) enum Reading {
    Accept(Accept),
    Receive(Receive),
    /// Of this direction or of both.
    Probe(Interest),
}

/// Receives once.
pub(super) enum Receive {
    /// Into the caller's buffer.
    Supplied(BytesMut),
    /// Into a provided piece, as soon as there is something to receive: no memory is held until
    /// then.
    Piece,
    /// Into a buffer of the engine's.
    Whole { buffer: BytesMut, _armed: Armed },
}

impl Operation for Reading {
    type Beside = Lasting;

    fn submission(&mut self, source: &Source) -> squeue::Entry {
        let descriptor = Fd(source.descriptor());
        match self {
            Self::Accept(accept) => accept.submission(descriptor),
            Self::Receive(Receive::Supplied(buffer) | Receive::Whole { buffer, .. }) => {
                let spare = buffer.spare_capacity_mut();
                let length = u32::try_from(spare.len().min(MOST)).expect("`MOST` fits");
                opcode::Recv::new(descriptor, spare.as_mut_ptr().cast(), length).build()
            }
            Self::Receive(Receive::Piece) => opcode::Recv::new(descriptor, ptr::null_mut(), 0)
                .buf_group(provided::GROUP)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT),
            Self::Probe(interest) => probe::submission(descriptor, *interest),
        }
    }

    fn completed(
        self,
        _source: &Source,
        result: io::Result<u32>,
        piece: Option<BytesMut>,
    ) -> Next<Self> {
        Next::Over(match (self, result) {
            (Self::Accept(accept), result) => return accept.completed(result),
            // All pieces are taken by completions that the driver is about to deal with.
            (Self::Receive(Receive::Piece), Err(error))
                if errors::action(Call::Piece, &error) == Some(Action::Retry) =>
            {
                return Next::Again(Self::Receive(Receive::Piece));
            }
            (Self::Receive(receive), Ok(received)) => {
                Event::Received(Ok(match receive {
                    Receive::Supplied(mut buffer) | Receive::Whole { mut buffer, .. } => {
                        let length = buffer.len() + received as usize;
                        // SAFETY: the kernel wrote so many bytes into the spare capacity.
                        unsafe { buffer.set_len(length) };
                        buffer
                    }
                    // The end of the stream may use no piece up.
                    Receive::Piece => piece.unwrap_or_default(),
                }))
            }
            (Self::Probe(interest), result) => return probe::completed(interest, result),
            (this, Err(error)) => this.failed(error),
        })
    }

    fn abandoned(self, result: u32) {
        if matches!(self, Self::Accept(_)) {
            drop(accepted(result));
        }
    }

    fn arm(&mut self, arming: &Arming, buffers: &BufferPool) {
        if let Self::Receive(receive @ Receive::Piece) = self
            && let Some(armed) = arming.arm()
        {
            *receive = Receive::Whole { buffer: buffers.take(), _armed: armed };
        }
    }

    fn takes_piece(&self) -> bool {
        matches!(self, Self::Receive(Receive::Piece))
    }

    fn failed(self, error: io::Error) -> Event {
        match self {
            Self::Accept(_) => Event::Accepted(Err(error)),
            Self::Receive(_) => Event::Received(Err(error)),
            Self::Probe(_) => Event::Ready(Err(error)),
        }
    }
}

impl probe::Probing for Reading {
    fn probe(interest: Interest) -> Self {
        Self::Probe(interest)
    }
}

/// Waits for one connection.
pub(super) struct Accept {
    peer: NonNull<Peer>,
}

/// What the kernel writes a peer's address to.
struct Peer {
    storage: MaybeUninit<socket2::SockAddrStorage>,
    length: libc::socklen_t,
}

// SAFETY: it owns its memory, as a box does that the kernel may write to.
unsafe impl Send for Accept {}

impl Accept {
    pub(super) fn new() -> Self {
        let peer = Peer { storage: MaybeUninit::zeroed(), length: 0 };
        Self { peer: NonNull::from(Box::leak(Box::new(peer))) }
    }

    fn submission(&mut self, descriptor: Fd) -> squeue::Entry {
        let peer = self.peer.as_ptr();
        // SAFETY: the kernel has not got it yet, or no more.
        let (storage, length) = unsafe {
            (*peer).length = size_of::<socket2::SockAddrStorage>() as libc::socklen_t;
            (&raw mut (*peer).storage, &raw mut (*peer).length)
        };
        opcode::Accept::new(descriptor, storage.cast(), length)
            .flags(libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK)
            .build()
    }

    fn completed(self, result: io::Result<u32>) -> Next<Reading> {
        let socket = match result {
            Ok(descriptor) => accepted(descriptor),
            Err(error) => {
                return match errors::action(Call::Accept, &error) {
                    Some(Action::Ignore | Action::Retry) => Next::Again(Reading::Accept(self)),
                    _ => Next::Over(Event::Accepted(Err(error))),
                };
            }
        };
        // SAFETY: the kernel is done with it, and has written an address of that length.
        let peer = unsafe {
            SockAddr::try_init(|storage, length| {
                let peer = self.peer.as_ptr();
                ptr::copy_nonoverlapping((*peer).storage.as_ptr(), storage, 1);
                *length = (*peer).length;
                Ok(())
            })
        };
        Next::Over(Event::Accepted(peer.map(|((), peer)| (socket, peer))))
    }
}

/// What an accept has brought.
fn accepted(descriptor: u32) -> Socket {
    // SAFETY: the kernel has just made this descriptor; nobody else owns it.
    unsafe { Socket::from_raw_fd(descriptor.cast_signed()) }
}

impl Drop for Accept {
    fn drop(&mut self) {
        // SAFETY: it came from a box in `new`. An operation is dropped only when the kernel does
        // not have it.
        drop(unsafe { Box::from_raw(self.peer.as_ptr()) });
    }
}

const _: () = assert!(mem::align_of::<Peer>() >= mem::align_of::<libc::sockaddr>());
