//! Endpoints whose sockets the program made, or whoever started it.

use socket2::{Domain, Type};

use super::{
    ipc,
    stream::{Listening, Stream},
    tcp,
};
use crate::{
    Error, ListeningSocket, Result,
    endpoint::{IpcEndpoint, StreamEndpoint, invalid},
};

/// Listens at a socket that does so already. It is left as it is, its file in the file system too;
/// where it is bound, it tells itself.
pub(super) fn listen(endpoint: &StreamEndpoint, given: &ListeningSocket) -> Result<Listening> {
    let refuse = |reason: String| Error::InvalidOption { option: "listening_socket", reason };
    let fails = |what: &str, error| refuse(format!("{given} {what}: {error}"));
    if let Some(tcp) = endpoint.tcp() {
        tcp::check_bound(tcp, &endpoint.to_string())?;
    }
    let socket = given.duplicate().map_err(|error| fails("is no socket", error))?;
    let address = socket.local_addr().map_err(|error| fails("has no address", error))?;
    let stream = socket.r#type().map_err(|error| fails("does not tell its type", error))?;
    let listens =
        serverlink_io::listens(&socket).map_err(|error| fails("does not tell its state", error))?;
    let (domains, kind): (&[Domain], _) = match endpoint {
        StreamEndpoint::Tcp(_) | StreamEndpoint::Web(_) => {
            (&[Domain::IPV4, Domain::IPV6], "a socket of TCP")
        }
        StreamEndpoint::Ipc(_) => (&[Domain::UNIX], "a Unix domain socket of streams"),
    };
    if !domains.contains(&address.domain()) || stream != Type::STREAM {
        return Err(refuse(format!("{given} is not {kind}, which {endpoint} needs")));
    }
    if listens == Some(false) {
        return Err(refuse(format!("{given} does not listen; bind it and call listen(2) before")));
    }
    let endpoint = match endpoint {
        StreamEndpoint::Tcp(_) | StreamEndpoint::Web(_) => match tcp::bound_endpoint(&address) {
            Some(bound) => endpoint.at(bound),
            None => endpoint.clone(),
        },
        StreamEndpoint::Ipc(ipc) => match (ipc::bound_endpoint(&address), ipc) {
            (Some(bound), _) => StreamEndpoint::Ipc(bound),
            (None, IpcEndpoint::Any) => {
                let reason = "the socket that was set for it has a name that no endpoint can have; \
                              name any other than *";
                return Err(invalid(&ipc.to_string(), reason));
            }
            (None, named) => StreamEndpoint::Ipc(named.clone()),
        },
    };
    Ok(Listening { stream: Stream::Socket(socket), endpoint, file: None })
}
