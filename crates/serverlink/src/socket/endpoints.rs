//! Binding and connecting.

use std::{sync::Arc, time::Duration};

use super::{MonitorEvent, MonitorEventKind, MonitorFault, Socket, SocketInner};
use crate::{
    Error, ListeningSocket, Result, SocketType,
    context::Runtime,
    endpoint::{Endpoint, UdpEndpoint},
    pipe::{Effect, Effects, Pipe},
    transport::{Connecter, Datagrams, Listener},
};

/// Something a socket is bound or connected to.
#[derive(Debug, Clone)]
pub(super) enum Attachment {
    Listener(Arc<Listener>),
    Connecter(Arc<Connecter>),
    /// The name a socket has within its context.
    Name(Box<str>),
    /// A link to a name.
    Link(Arc<Pipe>, Box<str>),
    /// A UDP socket, bound or not.
    Datagrams(Arc<Datagrams>, Box<UdpEndpoint>),
}

impl Attachment {
    /// What it is called, with everything filled in.
    pub(super) fn endpoint(&self) -> String {
        match self {
            Self::Listener(listener) => listener.endpoint().to_string(),
            Self::Connecter(connecter) => connecter.endpoint().to_string(),
            Self::Name(name) | Self::Link(_, name) => format!("inproc://{name}"),
            Self::Datagrams(_, endpoint) => endpoint.to_string(),
        }
    }

    /// Whether it is called so.
    fn is_at(&self, endpoint: &Endpoint) -> bool {
        match (self, endpoint) {
            (Self::Listener(listener), Endpoint::Stream(stream)) => listener.endpoint() == stream,
            (Self::Connecter(connecter), Endpoint::Stream(stream)) => {
                connecter.endpoint() == stream
            }
            (Self::Name(own) | Self::Link(_, own), Endpoint::Inproc(name)) => **own == **name,
            (Self::Datagrams(_, own), Endpoint::Udp(udp)) => **own == *udp,
            _ => false,
        }
    }

    pub(super) fn is_bound(&self) -> bool {
        match self {
            Self::Listener(_) | Self::Name(_) => true,
            Self::Connecter(_) | Self::Link(..) => false,
            Self::Datagrams(link, _) => link.is_bound(),
        }
    }

    /// Whether the engine serves it.
    pub(super) fn is_remote(&self) -> bool {
        matches!(self, Self::Listener(_) | Self::Connecter(_) | Self::Datagrams(..))
    }

    pub(super) fn close(&self, socket: &SocketInner, runtime: &Runtime, linger: Option<Duration>) {
        match self {
            Self::Listener(listener) => listener.close(linger),
            Self::Connecter(connecter) => {
                socket.pipe_closed(connecter.pipe());
                connecter.close(linger);
            }
            Self::Name(name) => runtime.inproc.unbind(name, socket),
            Self::Datagrams(link, _) => link.close(),
            Self::Link(pipe, _) => {
                _ = runtime.inproc.forget_pipe(pipe);
                socket.bid_farewell(pipe);
                socket.pipe_closed(pipe);
                let mut effects = Effects::default();
                if let Some(peer) = pipe.inproc_peer() {
                    effects.push(Effect::Closed(peer));
                }
                effects.run();
            }
        }
    }
}

impl Socket {
    /// Makes the socket reachable at an endpoint, and returns the endpoint with everything filled
    /// in.
    ///
    /// * `tcp://HOST:PORT`: an address or name of this machine, or of one of its interfaces, such as
    ///   `eth0`, or `*` for all of its addresses; a port, or `*` (or 0) for any free one. `tcp://*`
    ///   takes IPv4 only, and an interface stands for its first IPv4 address, unless the
    ///   [IPv6 option](Self::set_ipv6) is on; then for its first IPv6 address, if it has one. On
    ///   Windows an interface is called as `ipconfig` shows it if that has no spaces, or by its
    ///   permanent name, in braces.
    /// * `ipc://PATH`: a Unix domain socket in the file system, absolute or relative to the working
    ///   directory, of at most 107 bytes (103 on macOS and the BSDs). Its directory must exist. Who
    ///   may write to the file may connect; the umask decides that, and
    ///   [filters](Self::set_ipc_filter_uid) restrict it further. A socket file that nobody listens
    ///   at any more is replaced; no other file ever is. Unbinding removes it, if it is still ours.
    ///   On a Windows without Unix domain sockets it is a named pipe, made of the whole path, without
    ///   a file: other libraries do not know it, only the same user and administrators may connect,
    ///   and it stays in use until its last connection has ended. On one that has them (since version
    ///   1803 of Windows 10) nothing of this was tried: Wine has none.
    /// * `ipc://*`: the same in a new directory for temporary files that belongs to the user alone.
    /// * `ipc://@NAME`: a name without a file, on Linux only; everyone may connect.
    /// * `inproc://NAME`: a name within the context, of at most 256 bytes.
    /// * `ws://HOST:PORT/PATH`: a WebSocket (RFC 45); host and port as with `tcp://`, but that the port may
    ///   be left out if it is 80. Whatever path a peer asks for, it is let in. Everything a browser can
    ///   load may connect, too: use a mechanism, or a network that browsers cannot reach.
    /// * `wss://HOST:PORT/PATH`: the same over TLS, by [this certificate](Self::set_wss_cert_pem); the usual
    ///   port is 443.
    /// * `udp://HOST:PORT`: for DISH and DGRAM only. If the host is a multicast group, the socket
    ///   joins it, on the interface that is told by `udp://INTERFACE;HOST:PORT` or that the system
    ///   chooses: the interface by its name or, for an IPv4 group, an address of it. `*` also takes
    ///   datagrams that are broadcast.
    ///
    /// A socket may be bound to several endpoints. Options set later do not change those bound
    /// already. Where an endpoint of streams gets its
    /// [socket from the program](Self::set_listening_socket), it is bound where that is.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEndpoint`], [`Error::UnsupportedTransport`],
    /// [`Error::IncompatibleTransport`], [`Error::AddressInUse`], [`Error::AddressNotAvailable`],
    /// [`Error::InvalidOption`] for keys of CURVE, or a certificate for `wss://`, that are missing or do not
    /// fit, [`Error::Terminated`], [`Error::Io`].
    pub fn bind(&self, endpoint: &str) -> Result<String> {
        let parsed: Endpoint = endpoint.parse()?;
        parsed.check_type(self.socket_type(), true)?;
        let options = {
            let mut core = self.inner.core();
            core.check()?;
            let options = core.peers.options.clone();
            self.runtime().check_affinity(options.affinity)?;
            if matches!(parsed, Endpoint::Stream(_)) && options.listening_socket.is_some() {
                // It is for this endpoint only.
                Arc::make_mut(&mut core.peers.options).listening_socket = None;
            }
            options
        };
        let (bound, attachment) = match &parsed {
            Endpoint::Stream(stream) => {
                options
                    .check_mechanism()
                    .inspect_err(|_| self.give_back(options.listening_socket.as_ref()))?;
                let listener = Listener::bind(self.runtime(), &self.inner, stream, &options)
                    .inspect_err(|error| {
                        self.give_back(options.listening_socket.as_ref());
                        self.tell_bind_failed(&parsed, error);
                    })?;
                (listener.endpoint().to_string(), Attachment::Listener(listener))
            }
            Endpoint::Inproc(name) => {
                self.runtime().inproc.bind(name, &self.inner, &options)?;
                (parsed.to_string(), Attachment::Name(name.as_str().into()))
            }
            Endpoint::Udp(udp) => {
                let (link, end, bound) =
                    Datagrams::bind(self.runtime(), &self.inner, udp, &options)?;
                if !self.inner.attach(end, None) {
                    link.close();
                    return Err(Error::InvalidState("a DGRAM socket is bound to one endpoint"));
                }
                link.start();
                (bound.to_string(), Attachment::Datagrams(link, bound.into()))
            }
        };
        self.remember(bound.clone(), attachment);
        Ok(bound)
    }

    /// Connects the socket to an endpoint, now and again whenever the connection is lost, but not to a
    /// peer that has refused to let us in (with the status 400 or 500 of a [ZAP
    /// handler](Self::set_zap_domain)). The peer need not be there yet.
    ///
    /// * `tcp://HOST:PORT`: names are resolved in the background, again for each attempt; through a
    ///   [proxy](Self::set_socks_proxy), by that.
    /// * `tcp://SOURCE:PORT;HOST:PORT`: the same from an address or interface of this machine, and
    ///   from a port of it, or from any with `*` or without `:PORT`.
    /// * `ipc://PATH` and `ipc://@NAME`: see [`bind`](Self::bind).
    /// * `inproc://NAME`: of a socket of the same context.
    /// * `ws://HOST:PORT/PATH`, also with a source: a WebSocket (RFC 45). The port may be left out if it is
    ///   80.
    /// * `wss://HOST:PORT/PATH`: the same over TLS, with the usual port 443. The server has to show that it
    ///   is [whom we want to reach](Self::set_wss_hostname), by a certificate of somebody [we
    ///   trust](Self::set_wss_trust_pem).
    /// * `udp://HOST:PORT`: for RADIO only; unicast, multicast or broadcast. All messages are sent
    ///   there, whether anybody has joined their groups or not; a name is resolved at once. What goes
    ///   to a group goes by the interface that `udp://INTERFACE;HOST:PORT` names, as in
    ///   [`bind`](Self::bind).
    ///
    /// Messages may be sent at once: they wait for the connection, up to the
    /// [high-water mark](Self::set_send_high_water_mark) (unless it is
    /// [immediate](Self::set_immediate)).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEndpoint`] (of an inproc endpoint also if the socket bound there is of a type
    /// that this one cannot talk to), [`Error::UnsupportedTransport`],
    /// [`Error::IncompatibleTransport`], [`Error::InvalidState`] for the second peer of a PAIR or
    /// CHANNEL, or a [routing id](Self::set_connect_routing_id) that another peer has, [`Error::Io`]
    /// for options that the system refuses, [`Error::InvalidOption`] for keys of CURVE, or certificates for
    /// `wss://`, that are missing or do not fit, [`Error::Terminated`].
    pub fn connect(&self, endpoint: &str) -> Result<()> {
        self.connect_pipe(endpoint).map(drop)
    }

    /// Connects; returns the pipe to the peer.
    pub(super) fn connect_pipe(&self, endpoint: &str) -> Result<Arc<Pipe>> {
        let parsed: Endpoint = endpoint.parse()?;
        parsed.check_type(self.socket_type(), false)?;
        let options = {
            let mut core = self.inner.core();
            core.check()?;
            let options = core.peers.options.clone();
            if !options.connect_routing_id.is_empty() {
                // It is for this connection only.
                Arc::make_mut(&mut core.peers.options).connect_routing_id.clear();
            }
            options
        };
        self.runtime().check_affinity(options.affinity)?;
        let (pipe, attachment) = match &parsed {
            Endpoint::Stream(stream) => {
                options.check_mechanism()?;
                stream.check_peer(self.runtime().any_port(), &options)?;
                let (connecter, end) =
                    Connecter::new(self.runtime(), &self.inner, stream, &options)?;
                if !self.inner.attach_as(end, None, &options.connect_routing_id) {
                    connecter.close(Some(Duration::ZERO));
                    return Err(unwanted(self.socket_type()));
                }
                connecter.start();
                (connecter.pipe().clone(), Attachment::Connecter(connecter))
            }
            Endpoint::Inproc(name) => {
                let pipe = self.runtime().inproc.connect(name, &self.inner, &options)?;
                (pipe.clone(), Attachment::Link(pipe, name.as_str().into()))
            }
            Endpoint::Udp(udp) => {
                let (link, end) = Datagrams::connect(self.runtime(), &self.inner, udp, &options)?;
                let pipe = end.pipe.clone();
                self.inner.attach(end, None);
                (pipe, Attachment::Datagrams(link, udp.clone().into()))
            }
        };
        self.remember(parsed.to_string(), attachment);
        Ok(pipe)
    }

    /// What was set for the next endpoint still is, for this one has not come about.
    fn give_back(&self, given: Option<&ListeningSocket>) {
        let mut core = self.inner.core();
        if given.is_some() && core.peers.options.listening_socket.is_none() {
            Arc::make_mut(&mut core.peers.options).listening_socket = given.cloned();
        }
    }

    fn tell_bind_failed(&self, endpoint: &Endpoint, error: &Error) {
        self.inner.monitors().tell(|| {
            let fault = MonitorFault::from(error);
            MonitorEvent::new(MonitorEventKind::BindFailed(fault), endpoint.to_string(), true)
        });
    }

    fn remember(&self, endpoint: String, attachment: Attachment) {
        let mut core = self.inner.core();
        core.last_endpoint = Some(endpoint);
        core.attachments.push(attachment);
    }

    /// Ends what [`bind`](Self::bind) began: no new connections, and those accepted there end once
    /// their messages are sent, within the linger time. Links made to an `inproc://` name stay, as
    /// in libzmq. Some backends free the port a moment later.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchEndpoint`] if the socket is not bound there, [`Error::InvalidEndpoint`].
    pub fn unbind(&self, endpoint: &str) -> Result<()> {
        self.detach(endpoint, true)
    }

    /// Ends what [`connect`](Self::connect) began, once the messages for that peer are sent, within
    /// the linger time.
    ///
    /// # Errors
    ///
    /// [`Error::NoSuchEndpoint`] if the socket is not connected there, [`Error::InvalidEndpoint`].
    pub fn disconnect(&self, endpoint: &str) -> Result<()> {
        self.detach(endpoint, false)
    }

    fn detach(&self, endpoint: &str, bound: bool) -> Result<()> {
        let parsed = endpoint.parse()?;
        let (attachment, linger) = {
            let mut core = self.inner.core();
            core.check()?;
            let found = core
                .attachments
                .iter()
                .position(|other| other.is_bound() == bound && other.is_at(&parsed));
            let Some(at) = found else {
                return Err(Error::NoSuchEndpoint { endpoint: endpoint.to_owned() });
            };
            (core.attachments.remove(at), core.peers.options.linger)
        };
        match &attachment {
            Attachment::Connecter(connecter) => {
                self.inner.pipe_closed(connecter.pipe());
                connecter.disconnect(linger);
            }
            _ => attachment.close(&self.inner, self.runtime(), linger),
        }
        Ok(())
    }

    /// The endpoint bound or connected last, with everything filled in; none if there was none. An IPv6
    /// address has its usual form (RFC 5952) here and wherever else an endpoint is told, however it was
    /// spelled.
    #[must_use]
    pub fn last_endpoint(&self) -> Option<String> {
        self.inner.core().last_endpoint.clone()
    }
}

/// Why a socket does not take another peer.
pub(crate) fn unwanted(socket_type: SocketType) -> Error {
    Error::InvalidState(match socket_type {
        SocketType::Router | SocketType::Stream => {
            "another peer has the routing id that was set for this one"
        }
        _ => "a PAIR or CHANNEL socket has one peer; disconnect it first",
    })
}
