//! Who may connect to a bound Unix domain socket.

use std::io;

use socket2::Socket;

use crate::options::Options;

/// An error, if the peer of a connection is not wanted: it is if one of the filters names it, or if
/// there are none, as in libzmq.
pub(super) fn admit(socket: &Socket, options: &Options) -> io::Result<()> {
    let anyone = options.ipc_filter_uid.is_empty()
        && options.ipc_filter_gid.is_empty()
        && options.ipc_filter_pid.is_empty();
    if anyone || name_peer(socket, options)? {
        return Ok(());
    }
    Err(io::ErrorKind::PermissionDenied.into())
}

#[cfg(unix)]
fn name_peer(socket: &Socket, options: &Options) -> io::Result<bool> {
    let peer = serverlink_io::PeerCredentials::of(socket)?;
    Ok(options.ipc_filter_uid.contains(&peer.user)
        || peer.groups.iter().any(|group| options.ipc_filter_gid.contains(group))
        || peer.process.is_some_and(|process| options.ipc_filter_pid.contains(&process)))
}

/// There are no filters here: their setters refuse them.
#[cfg(windows)]
fn name_peer(_socket: &Socket, _options: &Options) -> io::Result<bool> {
    Ok(false)
}
