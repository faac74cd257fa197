//! Streams of the operating system's: what `tcp://` and `ipc://` endpoints have in common.
//!
//! Everything that differs between them is here or in their own modules; listeners, connecters and
//! connections are the same for all.

use std::io;

use socket2::{SockAddr, Socket};

use super::{ipc, tcp, tune};
use crate::{
    Result,
    endpoint::{StreamEndpoint, invalid},
    options::Options,
};

/// A socket that listens.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) socket: Socket,
    /// Where, with everything filled in.
    pub(crate) endpoint: StreamEndpoint,
    /// What is to be removed before the socket is closed.
    pub(crate) file: Option<ipc::SocketFile>,
}

impl StreamEndpoint {
    /// A listening socket.
    pub(crate) fn listen(&self, options: &Options) -> Result<Listening> {
        match self {
            Self::Tcp(tcp) => tcp::listen(tcp, options),
            Self::Ipc(ipc) => ipc::listen(ipc, options),
        }
    }

    /// Says why nobody can connect to it, or not with these options, if so.
    pub(crate) fn check_peer(&self, options: &Options) -> Result<()> {
        match self {
            Self::Tcp(tcp) if tcp.port == 0 => {
                Err(invalid(&self.to_string(), "connecting needs a port from 1 to 65535"))
            }
            Self::Tcp(_) => tune::check(options),
            Self::Ipc(ipc) => ipc::check_peer(ipc),
        }
    }

    /// Where a connection can go without asking anybody.
    pub(super) fn literal(&self) -> Option<SockAddr> {
        match self {
            Self::Tcp(tcp) => tcp::literal(tcp).map(SockAddr::from),
            Self::Ipc(ipc) => ipc::address(ipc).ok(),
        }
    }

    /// All addresses that a connection may go to, at least one. This may block.
    pub(super) fn resolve(&self, options: &Options) -> io::Result<Vec<SockAddr>> {
        match self {
            Self::Tcp(tcp) => tcp::addresses(tcp, options.ipv6),
            Self::Ipc(ipc) => ipc::address(ipc).map(|address| vec![address]),
        }
    }

    /// An unconnected socket for one of its addresses.
    pub(super) fn unconnected(&self, address: &SockAddr, options: &Options) -> io::Result<Socket> {
        match self {
            Self::Tcp(tcp) => tcp::unconnected(tcp, address, options),
            Self::Ipc(_) => ipc::unconnected(options),
        }
    }

    /// Sets a socket up that was accepted just now, unless its peer is not wanted.
    pub(super) fn accepted(&self, socket: &Socket, options: &Options) -> io::Result<()> {
        match self {
            Self::Tcp(_) => tcp::accepted(socket, options),
            Self::Ipc(_) => ipc::accepted(socket, options),
        }
    }
}

pub(super) fn set_buffers(socket: &Socket, options: &Options) -> io::Result<()> {
    if let Some(size) = options.send_buffer {
        socket.set_send_buffer_size(size)?;
    }
    if let Some(size) = options.receive_buffer {
        socket.set_recv_buffer_size(size)?;
    }
    Ok(())
}
