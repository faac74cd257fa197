//! What an entry owns.

use std::{
    io,
    os::windows::io::AsRawSocket,
    sync::{Arc, OnceLock},
};

use socket2::Socket;
use windows_sys::Win32::Networking::WinSock::SOCKET;

use super::{accept::Listening, shared::Registration};
use crate::{Handler, errors::only_probes};

/// What an entry holds until it is retired and nothing uses it any more.
///
/// The fields are dropped in this order: the socket is closed first, and an entry that its port no
/// longer lists is gone entirely.
pub(super) struct Resources {
    descriptor: Descriptor,
    listening: OnceLock<Listening>,
    pub(super) handler: Arc<dyn Handler>,
    _registration: Registration,
}

/// Whose socket it is.
pub(super) enum Descriptor {
    /// Ours, and on our port.
    Owned(Socket),
    /// Somebody else's, to be probed only.
    Watched(SOCKET),
}

impl Resources {
    pub(super) fn new(
        descriptor: Descriptor,
        handler: Arc<dyn Handler>,
        registration: Registration,
    ) -> Self {
        Self { descriptor, listening: OnceLock::new(), handler, _registration: registration }
    }

    pub(super) fn raw(&self) -> SOCKET {
        match &self.descriptor {
            Descriptor::Owned(socket) => socket.as_raw_socket() as SOCKET,
            Descriptor::Watched(socket) => *socket,
        }
    }

    /// The socket, if it is ours.
    pub(super) fn socket(&self) -> io::Result<&Socket> {
        match &self.descriptor {
            Descriptor::Owned(socket) => Ok(socket),
            Descriptor::Watched(_) => Err(only_probes()),
        }
    }

    /// What accepting on it takes, found out once.
    pub(super) fn listening(&self) -> io::Result<&Listening> {
        if let Some(listening) = self.listening.get() {
            return Ok(listening);
        }
        let listening = Listening::new(self.socket()?)?;
        Ok(self.listening.get_or_init(|| listening))
    }
}
