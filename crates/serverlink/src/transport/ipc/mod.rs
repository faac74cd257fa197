//! Unix domain sockets, as every connection of ours wants them; named pipes, where there are none.

mod file;
mod filters;
#[cfg(windows)]
mod pipe;

use std::io;

use serverlink_io::Port;
use socket2::{Domain, SockAddr, Socket, Type};

pub(crate) use file::SocketFile;

use super::stream::{Listening, Stream, set_buffers};
use crate::{
    Error, Result,
    endpoint::{IpcEndpoint, StreamEndpoint, invalid},
    options::Options,
};

/// Listens at `endpoint`.
#[cfg_attr(unix, expect(unused_variables, reason = "there are no pipes"))]
pub(super) fn listen(endpoint: &IpcEndpoint, options: &Options, port: &Port) -> Result<Listening> {
    #[cfg(windows)]
    if pipe::stands_in(port) {
        return pipe::listen(endpoint);
    }
    let socket = new_socket(Type::STREAM).map_err(not_made)?;
    set_buffers(&socket, options).map_err(Error::io("preparing a Unix domain socket"))?;
    let (endpoint, file) = match endpoint {
        IpcEndpoint::Any => {
            let (endpoint, file) = SocketFile::temporary(&socket)?;
            (endpoint, Some(file))
        }
        IpcEndpoint::Path(path) => {
            (endpoint.clone(), Some(SocketFile::bind(&socket, path, &endpoint.to_string())?))
        }
        IpcEndpoint::Abstract(_) => {
            bind_abstract(&socket, endpoint)?;
            (endpoint.clone(), None)
        }
    };
    let action = || format!("listening on {endpoint}");
    socket.listen(options.backlog).map_err(|source| Error::Io { action: action(), source })?;
    let stream = Stream::Socket(socket);
    Ok(Listening { stream, endpoint: StreamEndpoint::Ipc(endpoint), file })
}

/// The endpoint a listening socket is bound to; none, if no endpoint can have its name.
#[cfg(unix)]
pub(super) fn bound_endpoint(address: &SockAddr) -> Option<IpcEndpoint> {
    let name = match (address.as_pathname(), address.as_abstract_namespace()) {
        (Some(path), _) => path.to_str()?.to_owned(),
        (None, Some(name)) => format!("@{}", str::from_utf8(name).ok()?),
        (None, None) => return None,
    };
    match IpcEndpoint::parse("", &name).ok()? {
        // A file of that very name, which as an endpoint is any.
        IpcEndpoint::Any => None,
        // One whose name begins with what stands for no file.
        IpcEndpoint::Abstract(_) if address.as_pathname().is_some() => None,
        endpoint => Some(endpoint),
    }
}

/// There its name cannot be read without unsafe code: it is called as it was said.
#[cfg(windows)]
pub(super) fn bound_endpoint(_address: &SockAddr) -> Option<IpcEndpoint> {
    None
}

/// The kernel frees such a name with its socket.
fn bind_abstract(socket: &Socket, endpoint: &IpcEndpoint) -> Result<()> {
    address(endpoint).and_then(|address| socket.bind(&address)).map_err(|source| {
        let endpoint = endpoint.to_string();
        match source.kind() {
            io::ErrorKind::AddrInUse => Error::AddressInUse { endpoint },
            _ => Error::Io { action: format!("binding {endpoint}"), source },
        }
    })
}

/// Says why nobody can connect to an endpoint, if so.
#[cfg_attr(unix, expect(unused_variables, reason = "there are no pipes"))]
pub(super) fn check_peer(endpoint: &IpcEndpoint, port: &Port) -> Result<()> {
    if *endpoint == IpcEndpoint::Any {
        return Err(invalid(&endpoint.to_string(), "* is for binding; name the peer's path"));
    }
    #[cfg(windows)]
    if pipe::stands_in(port) {
        return Ok(());
    }
    // Of what fails here, only the lack of such sockets stays as it is.
    match new_socket(Type::STREAM).map_err(not_made) {
        Err(error @ Error::UnsupportedTransport { .. }) => Err(error),
        _ => Ok(()),
    }
}

/// Where to connect to.
pub(super) fn address(endpoint: &IpcEndpoint) -> io::Result<SockAddr> {
    match endpoint {
        IpcEndpoint::Any => Err(io::ErrorKind::InvalidInput.into()),
        IpcEndpoint::Path(path) => SockAddr::unix(path),
        // unix(7): a zero, and the name without one at its end, as libzmq has it.
        IpcEndpoint::Abstract(name) => SockAddr::unix(format!("\0{name}")),
    }
}

/// An unconnected stream.
#[cfg_attr(unix, expect(unused_variables, reason = "there are no pipes"))]
pub(super) fn unconnected(options: &Options, port: &Port) -> io::Result<Stream> {
    #[cfg(windows)]
    if pipe::stands_in(port) {
        return Ok(Stream::Pipe(serverlink_io::NamedPipe::unconnected()));
    }
    let socket = new_socket(Type::STREAM)?;
    set_buffers(&socket, options)?;
    Ok(Stream::Socket(socket))
}

/// Sets a socket up that was accepted just now, unless its peer is not wanted. Buffer sizes are not
/// the listener's.
pub(super) fn accepted(socket: &Socket, options: &Options) -> io::Result<()> {
    filters::admit(socket, options)?;
    set_buffers(socket, options)
}

fn new_socket(socket_type: Type) -> io::Result<Socket> {
    Socket::new(Domain::UNIX, socket_type, None)
}

fn not_made(source: io::Error) -> Error {
    // WSAEAFNOSUPPORT: Windows has Unix domain sockets since version 1803 of Windows 10.
    if cfg!(windows) && source.raw_os_error() == Some(10047) {
        return Error::UnsupportedTransport { transport: "ipc".to_owned() };
    }
    Error::Io { action: "making a Unix domain socket".to_owned(), source }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_at_the_endpoint_of_its_name_if_there_is_one() {
        for (name, endpoint) in [
            ("/tmp/a", Some("ipc:///tmp/a")),
            ("a b", Some("ipc://a b")),
            // As endpoints these mean something else.
            ("*", None),
            ("@a", None),
        ] {
            let bound = bound_endpoint(&SockAddr::unix(name).expect("a path"));
            assert_eq!(bound.map(|it| it.to_string()).as_deref(), endpoint);
        }
        if cfg!(target_os = "linux") {
            let bound = |name| bound_endpoint(&SockAddr::unix(name).expect("a name"));
            assert_eq!(bound("\0a").expect("a name").to_string(), "ipc://@a");
            assert_eq!(bound("\0a\0"), None);
        }
        assert_eq!(bound_endpoint(&std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into()), None);
    }
}
