//! Streams of the system's by the names that our library has for endpoints.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use socket2::{Domain, SockAddr, Socket, Type};

/// So large are the kernel's buffers on either side of the relay.
const BUFFER: usize = 64 * 1024;
/// How often those who wait look whether they are still wanted.
const LOOK: Duration = Duration::from_millis(20);

/// Where `endpoint` is.
pub(super) fn address(endpoint: &str) -> io::Result<SockAddr> {
    let unknown = || io::Error::other(format!("no endpoint of a relay: {endpoint}"));
    if let Some(path) = endpoint.strip_prefix("ipc://") {
        return SockAddr::unix(path);
    }
    let (_, address) = endpoint.split_once("://").ok_or_else(unknown)?;
    // A path is of no interest.
    let address = address.split('/').next().unwrap_or_default();
    let address: SocketAddr = address.parse().map_err(|_| unknown())?;
    Ok(address.into())
}

/// Listens; with it, its endpoint. `path`, if given, is one for a Unix domain socket; otherwise it is one of
/// TCP, of what lies above it in `target`.
pub(super) fn listen(path: Option<&str>, target: &str) -> io::Result<(Socket, String)> {
    let address = match path {
        Some(path) => SockAddr::unix(path)?,
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into(),
    };
    let socket = open(address.domain())?;
    socket.bind(&address)?;
    socket.listen(128)?;
    let endpoint = match path {
        Some(path) => format!("ipc://{path}"),
        None => {
            let bound = socket.local_addr()?.as_socket();
            let scheme =
                target.split("://").next().filter(|scheme| *scheme != "ipc").unwrap_or("tcp");
            format!("{scheme}://{}", bound.ok_or_else(|| io::Error::other("no address"))?)
        }
    };
    Ok((socket, endpoint))
}

pub(super) fn connect(endpoint: &str) -> io::Result<Socket> {
    let address = address(endpoint)?;
    let socket = open(address.domain())?;
    socket.connect(&address)?;
    prepare(&socket)?;
    Ok(socket)
}

/// Sees to it that waiting on this stream ends soon if nothing happens. Where a write that timed out
/// leaves the stream in no certain state, writes are ended by closing it.
pub(super) fn prepare(socket: &Socket) -> io::Result<()> {
    socket.set_read_timeout(Some(LOOK))?;
    if cfg!(unix) {
        socket.set_write_timeout(Some(LOOK))?;
    }
    if socket.local_addr()?.domain() != Domain::UNIX {
        socket.set_tcp_nodelay(true)?;
    }
    Ok(())
}

fn open(domain: Domain) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.set_recv_buffer_size(BUFFER)?;
    socket.set_send_buffer_size(BUFFER)?;
    Ok(socket)
}

/// Whether a read or a write only took its time.
pub(super) fn is_patience(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}
