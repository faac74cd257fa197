//! What a port tells its handlers.

use std::io;

use bytes::{Bytes, BytesMut};
use socket2::{SockAddr, Socket};

use crate::{TimerId, errors::Call};

/// Receives the completions of the operations started on one registration.
///
/// Events are delivered by the thread that drives the port, one at a time for
/// the whole port, with no lock of the engine held: a handler may start
/// operations, set timers and retire handles, its own included. It must not
/// block.
pub trait Handler: Send + Sync + 'static {
    /// Takes one completion.
    fn complete(&self, event: Event);
}

/// The completion of one operation.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// [`Handle::accept`](crate::Handle::accept) ended. The socket is not yet registered; it is
    /// ready for [`Port::register`](crate::Port::register).
    Accepted(io::Result<(Socket, SockAddr)>),
    /// The same of a listening named pipe, with success: the pipe is ready for
    /// [`Port::register_pipe`](crate::Port::register_pipe), on the port of its listener.
    #[cfg(windows)]
    AcceptedPipe(crate::NamedPipe),
    /// [`Handle::connect`](crate::Handle::connect) ended.
    Connected(io::Result<()>),
    /// [`Handle::receive`](crate::Handle::receive) ended. The buffer holds what had been in it
    /// before and then the bytes received; no byte more than before means end
    /// of stream.
    Received(io::Result<BytesMut>),
    /// [`Handle::send`](crate::Handle::send) ended after it had been pending.
    Sent {
        /// The buffers given to `send`, all of them, as they were.
        buffers: Vec<Bytes>,
        /// How many bytes of them the kernel took: all of them unless
        /// `result` is an error.
        sent: usize,
        /// The outcome.
        result: io::Result<()>,
    },
    /// [`Handle::probe`](crate::Handle::probe) ended: the descriptor is ready so.
    Ready(io::Result<Interest>),
    /// A timer set with [`Port::set_timer`](crate::Port::set_timer) expired.
    Timer {
        /// The timer.
        id: TimerId,
        /// What `set_timer` was given.
        tag: u64,
    },
    /// A packet of [`Port::post`](crate::Port::post) arrived.
    Posted {
        /// What `post` was given.
        tag: u64,
    },
}

impl Event {
    /// Whether this is a successful accept.
    #[cfg(any(windows, test))]
    pub(crate) fn brings_connection(&self) -> bool {
        match self {
            Self::Accepted(accepted) => accepted.is_ok(),
            #[cfg(windows)]
            Self::AcceptedPipe(_) => true,
            _ => false,
        }
    }

    /// What failed and why, if this tells of a failure.
    pub(crate) fn failure(&self) -> Option<(Call, &io::Error)> {
        match self {
            Self::Accepted(Err(error)) => Some((Call::Accept, error)),
            Self::Connected(Err(error)) => Some((Call::Connect, error)),
            Self::Received(Err(error)) => Some((Call::Receive, error)),
            Self::Sent { result: Err(error), .. } => Some((Call::Send, error)),
            Self::Ready(Err(error)) => Some((Call::Probe, error)),
            #[cfg(windows)]
            Self::AcceptedPipe(_) => None,
            Self::Accepted(Ok(_))
            | Self::Connected(Ok(()))
            | Self::Received(Ok(_))
            | Self::Sent { result: Ok(()), .. }
            | Self::Ready(Ok(_))
            | Self::Timer { .. }
            | Self::Posted { .. } => None,
        }
    }
}

/// Directions of readiness, for [`Handle::probe`](crate::Handle::probe).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interest {
    /// Readable, at end of stream, or in error.
    pub readable: bool,
    /// Writable or in error.
    pub writable: bool,
}
