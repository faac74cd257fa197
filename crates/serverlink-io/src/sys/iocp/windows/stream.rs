//! What an entry has: a socket or a pipe.

use std::{io, mem::MaybeUninit, net::Shutdown, os::windows::io::AsRawSocket};

use socket2::{SockAddr, Socket};

use super::pipe::Pipe;
use crate::sys::iocp::kernel::{Handle, Nature};

/// A socket or a pipe.
pub(in crate::sys::iocp) enum Stream {
    Socket(Socket),
    Pipe(Pipe),
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Self {
        Self::Socket(socket)
    }
}

impl From<Pipe> for Stream {
    fn from(pipe: Pipe) -> Self {
        Self::Pipe(pipe)
    }
}

impl Stream {
    pub(super) fn nature(&self) -> Nature {
        match self {
            Self::Socket(_) => Nature::Socket,
            Self::Pipe(_) => Nature::Pipe,
        }
    }

    pub(super) fn handle(&self) -> Handle {
        match self {
            Self::Socket(socket) => socket.as_raw_socket() as Handle,
            Self::Pipe(pipe) => pipe.handle(),
        }
    }

    /// The socket; a pipe cannot do what it is wanted for.
    pub(super) fn as_socket(&self) -> io::Result<&Socket> {
        match self {
            Self::Socket(socket) => Ok(socket),
            Self::Pipe(_) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "named pipes cannot do this"))
            }
        }
    }

    /// Overlapped calls are all that there are on a pipe.
    pub(in crate::sys::iocp) fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        match self {
            Self::Socket(socket) => socket.set_nonblocking(nonblocking),
            Self::Pipe(_) => Ok(()),
        }
    }

    pub(in crate::sys::iocp) fn recv(&self, into: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        self.as_socket()?.recv(into)
    }

    /// A pipe has no halves: it is closed as a whole.
    pub(in crate::sys::iocp) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.as_socket()?.shutdown(how)
    }

    pub(in crate::sys::iocp) fn local_addr(&self) -> io::Result<SockAddr> {
        match self {
            Self::Socket(socket) => socket.local_addr(),
            Self::Pipe(pipe) => pipe.local_address(),
        }
    }

    pub(in crate::sys::iocp) fn peer_addr(&self) -> io::Result<SockAddr> {
        match self {
            Self::Socket(socket) => socket.peer_addr(),
            Self::Pipe(pipe) => pipe.peer_address(),
        }
    }
}
