//! Streams of the operating system's: what `tcp://`, `ipc://` and `ws://` endpoints have in common.
//!
//! Everything that differs between them is here or in their own modules; listeners, connecters and
//! connections are the same for all.

#[cfg(unix)]
use std::os::fd::AsRawFd;
#[cfg(windows)]
use std::os::windows::io::AsRawSocket;
use std::{io, sync::Arc};

#[cfg(unix)]
use serverlink_io::PeerCredentials;
use serverlink_io::{Handle, Handler, Port};
use socket2::{SockAddr, Socket};

use super::{given, ipc, tcp, tune};
use crate::{
    Result,
    context::Runtime,
    endpoint::{StreamEndpoint, Way, invalid},
    options::Options,
};

/// A stream, or a listener for them, that no port has yet.
#[derive(Debug)]
pub(crate) enum Stream {
    Socket(Socket),
    /// Where `ipc://` cannot have sockets.
    #[cfg(windows)]
    Pipe(serverlink_io::NamedPipe),
}

impl Stream {
    pub(super) fn register(self, port: &Port, handler: Arc<dyn Handler>) -> io::Result<Handle> {
        match self {
            Self::Socket(socket) => port.register(socket, handler),
            #[cfg(windows)]
            Self::Pipe(pipe) => port.register_pipe(pipe, handler),
        }
    }

    /// Its own address, if it has one.
    pub(super) fn local_addr(&self) -> Option<SockAddr> {
        match self {
            Self::Socket(socket) => socket.local_addr().ok(),
            #[cfg(windows)]
            Self::Pipe(_) => None,
        }
    }

    /// The number by which the system knows it, if it is a socket.
    #[cfg_attr(unix, expect(clippy::cast_sign_loss, reason = "it is not negative"))]
    pub(super) fn descriptor(&self) -> Option<u64> {
        match self {
            #[cfg(unix)]
            Self::Socket(socket) => Some(socket.as_raw_fd() as u64),
            #[cfg(windows)]
            Self::Socket(socket) => Some(socket.as_raw_socket()),
            #[cfg(windows)]
            Self::Pipe(_) => None,
        }
    }

    /// The user, group and process at the other end of a Unix domain socket, as far as the system
    /// tells; none of any other stream.
    #[cfg(unix)]
    pub(super) fn credentials(&self) -> Option<Box<str>> {
        let Self::Socket(socket) = self;
        let is_local = socket.local_addr().is_ok_and(|address| address.is_unix());
        let peer = is_local.then(|| PeerCredentials::of(socket).ok()).flatten()?;
        let (group, process) = (peer.groups.first()?, peer.process.unwrap_or_default());
        Some(format!("{}:{group}:{process}", peer.user).into())
    }

    /// The system does not tell.
    #[cfg(windows)]
    #[expect(clippy::unused_self, reason = "elsewhere it is of use")]
    pub(super) fn credentials(&self) -> Option<Box<str>> {
        None
    }

    /// The port for it, once a listener at `own` has accepted it: any, but a pipe stays.
    #[cfg_attr(unix, expect(unused_variables, reason = "there are no pipes"))]
    pub(super) fn port_for(&self, own: &Port, runtime: &Runtime, affinity: u64) -> Port {
        match self {
            Self::Socket(_) => runtime.port(affinity).clone(),
            #[cfg(windows)]
            Self::Pipe(_) => own.clone(),
        }
    }
}

/// What listens.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) stream: Stream,
    /// Where, with everything filled in.
    pub(crate) endpoint: StreamEndpoint,
    /// What is to be removed before the socket is closed.
    pub(crate) file: Option<ipc::SocketFile>,
}

impl StreamEndpoint {
    /// Listens, for a port like this.
    pub(crate) fn listen(&self, options: &Options, port: &Port) -> Result<Listening> {
        if let Some(given) = &options.listening_socket {
            return given::listen(self, given);
        }
        match self.way() {
            Way::Ipc(ipc) => ipc::listen(ipc, options, port),
            Way::Tcp(tcp) => {
                let (stream, bound) = tcp::listen(tcp, &self.to_string(), options)?;
                Ok(Listening { stream, endpoint: self.at(bound), file: None })
            }
        }
    }

    /// Says why nobody can connect to it, or not with these options or from a port like this, if so.
    pub(crate) fn check_peer(&self, port: &Port, options: &Options) -> Result<()> {
        match self.way() {
            Way::Ipc(ipc) => ipc::check_peer(ipc, port),
            Way::Tcp(tcp) if tcp.port == 0 => {
                Err(invalid(&self.to_string(), "connecting needs a port from 1 to 65535"))
            }
            Way::Tcp(_) => tune::check(options),
        }
    }

    /// Where a connection can go without asking anybody.
    pub(super) fn literal(&self) -> Option<SockAddr> {
        match self.way() {
            Way::Ipc(ipc) => ipc::address(ipc).ok(),
            Way::Tcp(tcp) => tcp::literal(tcp).map(SockAddr::from),
        }
    }

    /// All addresses that a connection may go to, at least one. This may block.
    pub(super) fn resolve(&self, options: &Options) -> io::Result<Vec<SockAddr>> {
        match self.way() {
            Way::Ipc(ipc) => ipc::address(ipc).map(|address| vec![address]),
            Way::Tcp(tcp) => tcp::addresses(tcp, options.ipv6),
        }
    }

    /// An unconnected stream for one of its addresses and a port like this.
    pub(super) fn unconnected(
        &self,
        address: &SockAddr,
        options: &Options,
        port: &Port,
    ) -> io::Result<Stream> {
        match self.way() {
            Way::Ipc(_) => ipc::unconnected(options, port),
            Way::Tcp(tcp) => tcp::unconnected(tcp, address, options).map(Stream::Socket),
        }
    }

    /// Sets a stream up that was accepted just now, unless its peer is not wanted.
    pub(super) fn accepted(&self, stream: &Stream, options: &Options) -> io::Result<()> {
        match (self, stream) {
            (Self::Tcp(_) | Self::Web(_), Stream::Socket(socket)) => tcp::accepted(socket, options),
            (Self::Ipc(_), Stream::Socket(socket)) => ipc::accepted(socket, options),
            // It lets in whom it may, and has the buffers that it has.
            #[cfg(windows)]
            (_, Stream::Pipe(_)) => Ok(()),
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
