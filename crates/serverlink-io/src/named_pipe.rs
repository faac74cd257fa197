//! Named pipes, for want of Unix domain sockets.

use std::io;

use socket2::SockAddr;

use crate::sys::Pipe;

/// A named pipe, to be [registered](crate::Port::register_pipe) in place of a Unix domain socket on
/// a Windows that has none of those.
///
/// It is named by the address of such a socket, from whose path, made absolute, the pipe's name is
/// made; no file is. Handles of pipes do what those of sockets do, with these exceptions: there is
/// no [`probe`](crate::Handle::probe) and no [`shutdown_send`](crate::Handle::shutdown_send)
/// ([`Unsupported`](io::ErrorKind::Unsupported)), and what a listener accepted stays on the
/// listener's port. What was sent may be read after its sender has closed; a peer that closes is the
/// end of the stream, never a reset.
///
/// Only the same user, the system and administrators may connect, and only from the same machine.
#[derive(Debug)]
pub struct NamedPipe(pub(crate) Pipe);

impl NamedPipe {
    /// A pipe that listens at `address`, ready for [`Handle::accept`](crate::Handle::accept).
    /// Clients that come before that wait.
    ///
    /// # Errors
    ///
    /// [`AddrInUse`](io::ErrorKind::AddrInUse), if there is a pipe of that name: one that listens,
    /// or a connection that came by one; [`InvalidInput`](io::ErrorKind::InvalidInput), if the
    /// address is no path, or an absolute path of more than some 230 characters; those of
    /// CreateNamedPipe.
    pub fn listen(address: &SockAddr) -> io::Result<Self> {
        Pipe::listen(address).map(Self)
    }

    /// An end that may [connect](crate::Handle::connect).
    #[must_use]
    pub fn unconnected() -> Self {
        Self(Pipe::unconnected())
    }
}
