//! UDP: datagrams to and from anybody, without connections.
//!
//! A datagram of a RADIO for its DISHes is the length of the group in one byte, the group, and the
//! body, as in libzmq. One of a DGRAM is the body alone. What cannot be sent or kept is lost, as
//! datagrams are.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serverlink_io::{Event, Handle, Handler, Interest, Port};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::{interfaces, stream::set_buffers, tcp};
use crate::{
    Error, Frame, Message, Result, SocketType,
    context::Runtime,
    endpoint::{Host, Local, TcpEndpoint, UdpEndpoint, invalid},
    options::Options,
    pipe::{Pipe, PipeEnd, Producer},
    socket::SocketInner,
};

/// No datagram is longer.
const LONGEST: usize = 64 * 1024;
/// The longest body of a datagram over IPv4.
pub(crate) const LONGEST_BODY: usize = 65_507;
/// How many datagrams are read before others have their turn.
const READS_PER_TURN: usize = 64;
/// How long to wait, when receiving failed, before the next try.
const PAUSE: Duration = Duration::from_millis(100);
const READABLE: Interest = Interest { readable: true, writable: false };

/// A UDP socket, and the pipe that it serves.
#[derive(Debug)]
pub(crate) struct Datagrams {
    me: Weak<Datagrams>,
    socket: UdpSocket,
    port: Port,
    /// None, if it only sends.
    handle: OnceLock<Handle>,
    /// Where everything goes, if it only sends.
    target: Option<SocketAddr>,
    /// Whether messages name the sender or the receiver, rather than a group.
    addressed: bool,
    pipe: OnceLock<Arc<Pipe>>,
    input: Mutex<Input>,
    /// How many datagrams were neither kept nor sent.
    dropped: AtomicUsize,
}

#[derive(Debug)]
struct Input {
    /// Where messages go; none, if nobody wants any.
    inlet: Option<Producer<Message>>,
    buffer: Box<[u8]>,
}

impl Datagrams {
    /// Binds; returns what was bound, with everything filled in.
    pub(crate) fn bind(
        runtime: &Runtime,
        owner: &Arc<SocketInner>,
        endpoint: &UdpEndpoint,
        options: &Options,
    ) -> Result<(Arc<Self>, PipeEnd, UdpEndpoint)> {
        let name = endpoint.to_string();
        let address = scoped(endpoint, local_address(endpoint, options)?)?;
        let group = Some(address.ip()).filter(IpAddr::is_multicast);
        let at = match group {
            // Windows binds to no group; elsewhere that keeps other datagrams out.
            Some(IpAddr::V4(_)) if cfg!(windows) => (Ipv4Addr::UNSPECIFIED, address.port()).into(),
            Some(IpAddr::V6(_)) if cfg!(windows) => (Ipv6Addr::UNSPECIFIED, address.port()).into(),
            _ => address,
        };
        let socket = new_socket(address, options)?;
        if group.is_some() {
            share_port(&socket).map_err(Error::io("sharing a UDP port"))?;
        }
        socket.bind(&SockAddr::from(at)).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => Error::AddressInUse { endpoint: name.clone() },
            io::ErrorKind::AddrNotAvailable => {
                Error::AddressNotAvailable { endpoint: name.clone() }
            }
            _ => Error::Io { action: format!("binding {name}"), source },
        })?;
        match (group, address) {
            (Some(IpAddr::V4(group)), _) => {
                let interface = interface_v4(endpoint)?;
                let joined = socket.join_multicast_v4(&group, &interface);
                joined.and_then(|()| socket.set_multicast_loop_v4(options.multicast_loop))
            }
            (Some(IpAddr::V6(group)), SocketAddr::V6(address)) => {
                let joined = socket.join_multicast_v6(&group, address.scope_id());
                joined.and_then(|()| socket.set_multicast_loop_v6(options.multicast_loop))
            }
            _ => Ok(()),
        }
        .map_err(Error::io(format!("joining the group of {name}")))?;
        let bound = socket.local_addr().map_err(Error::io("asking for the bound address"))?;
        let port = bound.as_socket().map_or(address.port(), |bound| bound.port());
        let bound = UdpEndpoint {
            interface: endpoint.interface.clone(),
            address: TcpEndpoint { host: Host::Address(address.ip()), port, source: None },
        };
        let (link, end) = Self::new(runtime, owner, socket, None, options);
        let watched = link.port.watch(&link.socket, link.clone());
        let handle = watched.map_err(Error::io("registering a UDP socket"))?;
        link.handle.get_or_init(|| handle);
        Ok((link, end, bound))
    }

    /// Gets ready to send to an endpoint.
    pub(crate) fn connect(
        runtime: &Runtime,
        owner: &Arc<SocketInner>,
        endpoint: &UdpEndpoint,
        options: &Options,
    ) -> Result<(Arc<Self>, PipeEnd)> {
        let name = endpoint.to_string();
        if endpoint.address.port == 0 {
            return Err(invalid(&name, "connecting needs a port from 1 to 65535"));
        }
        let addresses = tcp::addresses(&endpoint.address, options.ipv6).ok();
        let target = addresses.into_iter().flatten().find_map(|address| address.as_socket());
        let target = target.ok_or_else(|| invalid(&name, "its host does not name an address"))?;
        let target = scoped(endpoint, target)?;
        let socket = new_socket(target, options)?;
        match target {
            SocketAddr::V4(address) if address.ip().is_multicast() => {
                let interface = interface_v4(endpoint)?;
                socket
                    .set_multicast_ttl_v4(options.multicast_hops)
                    .and_then(|()| socket.set_multicast_if_v4(&interface))
                    .and_then(|()| socket.set_multicast_loop_v4(options.multicast_loop))
            }
            SocketAddr::V6(address) if address.ip().is_multicast() => socket
                .set_multicast_hops_v6(options.multicast_hops)
                .and_then(|()| socket.set_multicast_if_v6(address.scope_id()))
                .and_then(|()| socket.set_multicast_loop_v6(options.multicast_loop)),
            SocketAddr::V4(_) => socket.set_broadcast(true),
            SocketAddr::V6(_) => Ok(()),
        }
        .map_err(Error::io(format!("preparing to send to {name}")))?;
        Ok(Self::new(runtime, owner, socket, Some(target), options))
    }

    fn new(
        runtime: &Runtime,
        owner: &Arc<SocketInner>,
        socket: Socket,
        target: Option<SocketAddr>,
        options: &Options,
    ) -> (Arc<Self>, PipeEnd) {
        let link = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            socket: socket.into(),
            port: runtime.port(options.affinity).clone(),
            handle: OnceLock::new(),
            target,
            addressed: owner.socket_type() == SocketType::Dgram,
            pipe: OnceLock::new(),
            input: Mutex::new(Input { inlet: None, buffer: Box::default() }),
            dropped: AtomicUsize::new(0),
        });
        let (end, inlet) =
            PipeEnd::datagrams(Arc::downgrade(owner), options.receive_limit(), link.clone());
        if target.is_none() {
            *link.input() = Input { inlet: Some(inlet), buffer: vec![0; LONGEST].into() };
        }
        link.pipe.get_or_init(|| end.pipe.clone());
        (link, end)
    }

    /// Whether this is its pipe.
    pub(crate) fn serves(&self, pipe: &Arc<Pipe>) -> bool {
        self.pipe.get().is_some_and(|own| Arc::ptr_eq(own, pipe))
    }

    /// Whether it receives.
    pub(crate) fn is_bound(&self) -> bool {
        self.target.is_none()
    }

    /// Begins to receive.
    pub(crate) fn start(&self) {
        if let Some(handle) = self.handle.get() {
            let _ = handle.probe(READABLE);
        }
    }

    /// Neither receives nor sends any more.
    pub(crate) fn close(&self) {
        if let Some(handle) = self.handle.get() {
            handle.retire();
        }
        self.input().inlet = None;
        if let Some(pipe) = self.pipe.get()
            && let Some(owner) = pipe.owner()
        {
            owner.pipe_closed(pipe);
        }
    }

    /// Sends a message of two frames: the group or the receiver, and the body.
    pub(crate) fn send(&self, message: &Message) {
        let (Some(first), Some(body)) = (message.frame(0), message.frame(1)) else { return };
        // What the system does not take at once is lost, as anything may be that it does take.
        let sent = if self.addressed {
            parse_address(first).map(|to| self.socket.send_to(body, to))
        } else if let (Some(to), Ok(length)) = (self.target, u8::try_from(first.len())) {
            Some(self.socket.send_to(&[&[length], &first[..], body].concat(), to))
        } else {
            None
        };
        if matches!(sent, Some(Err(_))) {
            self.note_dropped();
        }
    }

    fn note_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// How many datagrams were dropped here, both ways.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed) as u64
    }

    fn input(&self) -> MutexGuard<'_, Input> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes datagrams in until there is none. False, if the socket is in trouble.
    fn receive(&self) -> bool {
        let mut guard = self.input();
        let Input { inlet: Some(inlet), buffer } = &mut *guard else { return true };
        let mut well = true;
        for _ in 0..READS_PER_TURN {
            let (length, from) = match self.socket.recv_from(buffer) {
                Ok(received) => received,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => break,
                    // Windows tells of what was sent in vain before.
                    io::ErrorKind::Interrupted | io::ErrorKind::ConnectionReset => continue,
                    _ => {
                        well = false;
                        break;
                    }
                },
            };
            let datagram = &buffer[..length];
            let message =
                if self.addressed { Some(addressed(from, datagram)) } else { grouped(datagram) };
            let Some(message) = message else { continue };
            if inlet.room() > 0 {
                inlet.write(message);
            } else {
                self.note_dropped();
            }
        }
        let tell = inlet.publish();
        drop(guard);
        if tell
            && let Some(pipe) = self.pipe.get()
            && let Some(owner) = pipe.owner()
        {
            owner.pipe_readable(pipe);
        }
        well
    }

    /// Tries again in a while.
    fn pause(&self) {
        if let Some(me) = self.me.upgrade() {
            self.port.set_timer(Instant::now() + PAUSE, me, 0);
        }
    }
}

impl Handler for Datagrams {
    fn complete(&self, event: Event) {
        match event {
            Event::Ready(Ok(_)) if !self.receive() => self.pause(),
            Event::Ready(Err(_)) => self.pause(),
            Event::Ready(Ok(_)) | Event::Timer { .. } => self.start(),
            _ => {}
        }
    }
}

/// Where a DGRAM sends to or has received from: an IP address, a colon and a port. libzmq ends it
/// with a zero.
pub(crate) fn parse_address(frame: &Frame) -> Option<SocketAddr> {
    let text = frame.as_str()?;
    text.strip_suffix('\0').unwrap_or(text).parse().ok().filter(|to: &SocketAddr| to.port() != 0)
}

fn addressed(from: SocketAddr, datagram: &[u8]) -> Message {
    [Frame::from(from.to_string()), Frame::from(datagram)].into_iter().collect()
}

/// The group and the body; nothing if it is cut short.
fn grouped(datagram: &[u8]) -> Option<Message> {
    let (&length, rest) = datagram.split_first()?;
    let (group, body) = rest.split_at_checked(length.into())?;
    Some([group, body].into_iter().collect())
}

/// Where to bind.
fn local_address(endpoint: &UdpEndpoint, options: &Options) -> Result<SocketAddr> {
    let port = endpoint.address.port;
    match (&endpoint.address.host, &endpoint.interface) {
        (Host::Any, Some(interface)) => {
            let mut address =
                interfaces::address(interface, options.ipv6).map_err(unusable(endpoint))?;
            address.set_port(port);
            Ok(address)
        }
        (Host::Any, None) if options.ipv6 => Ok((Ipv6Addr::UNSPECIFIED, port).into()),
        (Host::Any, None) => Ok((Ipv4Addr::UNSPECIFIED, port).into()),
        (Host::Address(address), _) => Ok((*address, port).into()),
        (Host::Name(host), _) => tcp::local_address(host, port, options.ipv6)
            .map_err(|reason| invalid(&endpoint.to_string(), &reason)),
    }
}

/// The address of the interface by which datagrams to and from an IPv4 group go.
fn interface_v4(endpoint: &UdpEndpoint) -> Result<Ipv4Addr> {
    let Some(interface) = &endpoint.interface else { return Ok(Ipv4Addr::UNSPECIFIED) };
    match interfaces::address(interface, false).map_err(unusable(endpoint))?.ip() {
        IpAddr::V4(address) => Ok(address),
        IpAddr::V6(_) => Err(invalid(&endpoint.to_string(), "its interface has no IPv4 address")),
    }
}

/// The same address, of an IPv6 group with the number of the interface that is named with it.
fn scoped(endpoint: &UdpEndpoint, address: SocketAddr) -> Result<SocketAddr> {
    match (address, &endpoint.interface) {
        (SocketAddr::V6(mut group), Some(interface)) if group.ip().is_multicast() => {
            let Local::Interface(name) = interface else {
                let reason = "the interface of an IPv6 group, before ';', is given by its name";
                return Err(invalid(&endpoint.to_string(), reason));
            };
            group.set_scope_id(interfaces::index(name).map_err(unusable(endpoint))?);
            Ok(group.into())
        }
        _ => Ok(address),
    }
}

fn unusable(endpoint: &UdpEndpoint) -> impl FnOnce(io::Error) -> Error {
    let name = endpoint.to_string();
    move |error| invalid(&name, &error.to_string())
}

fn new_socket(address: SocketAddr, options: &Options) -> Result<Socket> {
    let make = || {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
            socket.set_only_v6(false)?;
        }
        set_buffers(&socket, options)?;
        Ok(socket)
    };
    make().map_err(Error::io("making a UDP socket"))
}

/// Lets other sockets of this machine bind to the same group and port.
fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_address(true)?;
    #[cfg(all(
        unix,
        not(any(target_os = "solaris", target_os = "illumos", target_os = "cygwin"))
    ))]
    socket.set_reuse_port(true)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use socket2::SockRef;

    use super::*;
    use crate::{Context, endpoint::Endpoint};

    /// What a RADIO with such options sends by.
    fn connected(endpoint: &str, options: &Options) -> Arc<Datagrams> {
        let context = Context::new().unwrap();
        let radio = context.socket(SocketType::Radio).unwrap();
        let Ok(Endpoint::Udp(endpoint)) = endpoint.parse() else { panic!("an endpoint of UDP") };
        let runtime = &context.shared.runtime;
        Datagrams::connect(runtime, &radio.inner, &endpoint, options).unwrap().0
    }

    /// What a DISH with such options receives by.
    fn bound(endpoint: &str, options: &Options) -> Arc<Datagrams> {
        let context = Context::new().unwrap();
        let dish = context.socket(SocketType::Dish).unwrap();
        let Ok(Endpoint::Udp(endpoint)) = endpoint.parse() else { panic!("an endpoint of UDP") };
        let runtime = &context.shared.runtime;
        Datagrams::bind(runtime, &dish.inner, &endpoint, options).unwrap().0
    }

    #[test]
    fn what_the_options_say_is_told_to_the_system() {
        let mut options = Options {
            multicast_hops: 7,
            multicast_loop: false,
            send_buffer: Some(50_000),
            ..Options::default()
        };
        let link = connected("udp://127.0.0.1;239.255.77.9:9", &options);
        let socket = SockRef::from(&link.socket);
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 7);
        assert_eq!(socket.multicast_if_v4().unwrap(), Ipv4Addr::LOCALHOST);
        assert!(!socket.multicast_loop_v4().unwrap());
        // Linux tells twice of what it was told.
        assert!([50_000, 100_000].contains(&socket.send_buffer_size().unwrap()));
        options.multicast_loop = true;
        let link = connected("udp://239.255.77.9:9", &options);
        assert!(SockRef::from(&link.socket).multicast_loop_v4().unwrap());
        let link = connected("udp://192.0.2.255:9", &options);
        assert!(SockRef::from(&link.socket).broadcast().unwrap());
        // Where this machine has IPv6.
        if std::net::UdpSocket::bind("[::1]:0").is_ok() {
            options.multicast_loop = false;
            let link = connected("udp://[ff02::7709]:9", &options);
            let socket = SockRef::from(&link.socket);
            assert_eq!(socket.multicast_hops_v6().unwrap(), 7);
            assert!(!socket.multicast_loop_v6().unwrap());
            options.multicast_loop = true;
            let link = connected("udp://[ff02::7709]:9", &options);
            assert!(SockRef::from(&link.socket).multicast_loop_v6().unwrap());
        }
    }

    /// Windows asks those who receive, and the others keep what they are told.
    #[test]
    fn receivers_are_told_whether_datagrams_come_back_too() {
        for multicast_loop in [false, true] {
            let options = Options { multicast_loop, ..Options::default() };
            let link = bound("udp://127.0.0.1;239.255.77.9:*", &options);
            let told = SockRef::from(&link.socket).multicast_loop_v4().unwrap();
            assert_eq!(told, multicast_loop);
            // Where this machine has IPv6.
            if std::net::UdpSocket::bind("[::1]:0").is_ok() {
                let link = bound("udp://[ff05::7709]:*", &options);
                let told = SockRef::from(&link.socket).multicast_loop_v6().unwrap();
                assert_eq!(told, multicast_loop);
            }
        }
    }
}
