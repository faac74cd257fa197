//! TCP sockets, as every connection of ours wants them.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{
    interfaces,
    stream::Stream,
    tune::{take_loopback_fast_path, tune},
};
use crate::{
    Error, Result,
    endpoint::{Host, TcpEndpoint, invalid},
    options::Options,
};

/// A listening socket for `endpoint`, which the user knows by this name, and where it is bound.
pub(super) fn listen(
    endpoint: &TcpEndpoint,
    name: &str,
    options: &Options,
) -> Result<(Stream, TcpEndpoint)> {
    check_bound(endpoint, name)?;
    let address = match &endpoint.host {
        Host::Any if options.ipv6 => SocketAddr::from((Ipv6Addr::UNSPECIFIED, endpoint.port)),
        Host::Any => SocketAddr::from((Ipv4Addr::UNSPECIFIED, endpoint.port)),
        Host::Address(address) => SocketAddr::from((*address, endpoint.port)),
        Host::Name(host) => local_address(host, endpoint.port, options.ipv6)
            .map_err(|reason| invalid(name, &reason))?,
    };
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
        .map_err(Error::io("making a TCP socket"))?;
    prepare_listener(&socket, address, options).map_err(Error::io("preparing a TCP socket"))?;
    socket.bind(&SockAddr::from(address)).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::AddressInUse { endpoint: name.to_owned() },
        io::ErrorKind::AddrNotAvailable => Error::AddressNotAvailable { endpoint: name.to_owned() },
        _ => Error::Io { action: format!("binding {name}"), source },
    })?;
    socket.listen(options.backlog).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::AddressInUse { endpoint: name.to_owned() },
        _ => Error::Io { action: format!("listening on {name}"), source },
    })?;
    let address = socket.local_addr().map_err(Error::io("asking for the bound address"))?;
    let bound = bound_endpoint(&address).unwrap_or_else(|| endpoint.clone());
    Ok((Stream::Socket(socket), bound))
}

/// Refuses what only connections have.
pub(super) fn check_bound(endpoint: &TcpEndpoint, name: &str) -> Result<()> {
    if endpoint.source.is_some() {
        let reason = "a source address, before the ';', is for connecting";
        return Err(invalid(name, reason));
    }
    Ok(())
}

fn prepare_listener(socket: &Socket, address: SocketAddr, options: &Options) -> io::Result<()> {
    // On Unix this allows to bind again while old connections linger in the kernel; on Windows it
    // would allow to steal the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    take_loopback_fast_path(socket, options)?;
    tune(socket, Domain::for_address(address), options)
}

/// An unconnected socket for `address`.
pub(super) fn unconnected(
    endpoint: &TcpEndpoint,
    address: &SockAddr,
    options: &Options,
) -> io::Result<Socket> {
    let socket = Socket::new(address.domain(), Type::STREAM, Some(Protocol::TCP))?;
    tune(&socket, address.domain(), options)?;
    take_loopback_fast_path(&socket, options)?;
    socket.set_tcp_nodelay(true)?;
    if let Some(source) = &endpoint.source {
        let mut from = interfaces::address(&source.local, address.is_ipv6())?;
        from.set_port(source.port);
        // So that connections to several peers can come from one port, as in libzmq.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&from.into())?;
    }
    Ok(socket)
}

/// Sets a socket just accepted up, unless its peer is not wanted. Not every system lets it have what its
/// listener was told.
pub(super) fn accepted(socket: &Socket, options: &Options) -> io::Result<()> {
    admit(socket, options)?;
    socket.set_tcp_nodelay(true)?;
    tune(socket, socket.local_addr()?.domain(), options)
}

/// An error, if a peer connects from where none may.
fn admit(socket: &Socket, options: &Options) -> io::Result<()> {
    if options.tcp_accept_filter.is_empty() {
        return Ok(());
    }
    let peer = socket.peer_addr()?.as_socket().map(|address| address.ip());
    let mut networks = options.tcp_accept_filter.iter().filter_map(|(_, network)| *network);
    if networks.any(|network| peer.is_some_and(|peer| network.contains(peer))) {
        return Ok(());
    }
    Err(io::ErrorKind::PermissionDenied.into())
}

/// The endpoint a listening socket is bound to.
pub(super) fn bound_endpoint(address: &SockAddr) -> Option<TcpEndpoint> {
    let address = address.as_socket()?;
    let host = match address {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            Host::Name(format!("{}%{}", v6.ip(), v6.scope_id()).into())
        }
        _ => Host::Address(address.ip()),
    };
    Some(TcpEndpoint { host, port: address.port(), source: None })
}

/// Where a connection to `endpoint` can go without asking a name server.
pub(super) fn literal(endpoint: &TcpEndpoint) -> Option<SocketAddr> {
    match &endpoint.host {
        // As libzmq has it: what is bound to any address is reached at the loopback one.
        Host::Any => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, endpoint.port))),
        Host::Address(address) => Some(SocketAddr::from((*address, endpoint.port))),
        Host::Name(_) => None,
    }
}

/// The address of ours that a host to bind to names: an interface, or else whatever a name server
/// says. This may block.
pub(super) fn local_address(host: &str, port: u16, ipv6: bool) -> Result<SocketAddr, String> {
    if let Some(mut address) = interfaces::named(host, ipv6) {
        address.set_port(port);
        return Ok(address);
    }
    let first = resolve(host, port, ipv6).map(|mut addresses| addresses.remove(0));
    first.map_err(|error| {
        let known = interfaces::known();
        format!(
            "{host:?} names neither an interface of this machine, which has {known}, nor an \
             address: {error}"
        )
    })
}

/// Refuses a source that this machine does not have.
pub(super) fn check_source(endpoint: &TcpEndpoint, name: &str) -> Result<()> {
    match &endpoint.source {
        Some(source) => interfaces::check(&source.local, name),
        None => Ok(()),
    }
}

/// All addresses of an endpoint, at least one. This may block.
pub(super) fn addresses(endpoint: &TcpEndpoint, ipv6: bool) -> io::Result<Vec<SockAddr>> {
    let addresses = match (literal(endpoint), &endpoint.host) {
        (None, Host::Name(host)) => resolve(host, endpoint.port, ipv6)?,
        (literal, _) => literal.into_iter().collect(),
    };
    Ok(addresses.into_iter().map(SockAddr::from).collect())
}

/// All addresses of a host, at least one. Names give IPv4 addresses, unless IPv6 is wanted too.
/// This may block.
fn resolve(host: &str, port: u16, ipv6: bool) -> io::Result<Vec<SocketAddr>> {
    #[cfg(test)]
    if let Some(address) = names::wait_for(host) {
        return Ok(vec![SocketAddr::from((address, port))]);
    }
    let mut addresses: Vec<_> = (host, port).to_socket_addrs()?.collect();
    if !host.contains('%') && !ipv6 {
        addresses.retain(SocketAddr::is_ipv4);
    }
    if addresses.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::AddrNotAvailable,
            "it has IPv6 addresses only; turn the IPv6 option on",
        ));
    }
    Ok(addresses)
}

/// Names that tests know, and answers to them that take as long as tests want.
#[cfg(test)]
pub(super) mod names {
    use std::{
        collections::HashMap,
        net::IpAddr,
        sync::{Condvar, Mutex},
    };

    #[derive(Default)]
    struct Name {
        asked: usize,
        address: Option<IpAddr>,
    }

    static NAMES: Mutex<Option<HashMap<String, Name>>> = Mutex::new(None);
    static ANSWERED: Condvar = Condvar::new();

    fn with<T>(host: &str, look: impl FnOnce(&mut Name) -> T) -> T {
        let mut names = NAMES.lock().unwrap();
        look(names.get_or_insert_default().entry(host.to_owned()).or_default())
    }

    /// Makes a name one of these, or says what its address is.
    pub(in super::super) fn set(host: &str, address: Option<IpAddr>) {
        with(host, |name| name.address = address);
        ANSWERED.notify_all();
    }

    /// How many times a name was looked up.
    pub(in super::super) fn asked(host: &str) -> usize {
        with(host, |name| name.asked)
    }

    /// The address of one of these names, once it is known.
    pub(super) fn wait_for(host: &str) -> Option<IpAddr> {
        let mut names = NAMES.lock().unwrap();
        names.as_mut()?.get_mut(host)?.asked += 1;
        let unknown = |names: &mut Option<HashMap<String, Name>>| {
            names.as_ref().is_some_and(|names| names[host].address.is_none())
        };
        let names = ANSWERED.wait_while(names, unknown).unwrap();
        names.as_ref()?[host].address
    }
}
