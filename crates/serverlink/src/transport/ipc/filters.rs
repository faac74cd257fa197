//! Who may connect to a bound Unix domain socket.

use std::io;

use socket2::Socket;

/// Peers are accepted if one of these names them, or if there are none, as in libzmq.
#[derive(Debug, Clone, Default)]
pub(crate) struct IpcFilters {
    pub(crate) users: Vec<u32>,
    pub(crate) groups: Vec<u32>,
    pub(crate) processes: Vec<u32>,
}

impl IpcFilters {
    /// An error, if the peer of a connection is not wanted.
    pub(super) fn admit(&self, socket: &Socket) -> io::Result<()> {
        let anyone = self.users.is_empty() && self.groups.is_empty() && self.processes.is_empty();
        if anyone || self.name_peer(socket)? {
            return Ok(());
        }
        Err(io::ErrorKind::PermissionDenied.into())
    }

    #[cfg(unix)]
    fn name_peer(&self, socket: &Socket) -> io::Result<bool> {
        let peer = serverlink_io::PeerCredentials::of(socket)?;
        Ok(self.users.contains(&peer.user)
            || peer.groups.iter().any(|group| self.groups.contains(group))
            || peer.process.is_some_and(|process| self.processes.contains(&process)))
    }

    /// There are no filters here: their setters refuse them.
    #[cfg(windows)]
    fn name_peer(&self, _socket: &Socket) -> io::Result<bool> {
        Ok(false)
    }
}
