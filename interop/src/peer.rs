//! One side of a conversation, whichever library speaks it.

use std::{cell::RefCell, fs, path::PathBuf, time::Duration};

use serverlink::{Error, Message, SocketType};
use zmq::SocketEvent;

use crate::{Library, Monitor, PATIENCE, Transport, until};

/// The frames of a message.
pub type Frames = Vec<Vec<u8>>;

/// A socket of either library. Calls that wait fail the test after [`PATIENCE`]; sockets do not
/// linger unless told to.
pub struct Peer {
    socket: Socket,
    /// What libzmq would leave behind.
    files: RefCell<Vec<PathBuf>>,
}

enum Socket {
    ServerLink(serverlink::Socket),
    Libzmq(Monitor, zmq::Socket),
}

/// Does the same with either socket.
macro_rules! set {
    ($peer:expr, $socket:ident => $ours:expr, $theirs:expr) => {
        match &$peer.socket {
            Socket::ServerLink($socket) => $ours.unwrap(),
            Socket::Libzmq(_, $socket) => $theirs.unwrap(),
        }
    };
}

impl Peer {
    pub(crate) fn serverlink(context: &serverlink::Context, socket_type: SocketType) -> Self {
        let socket = context.socket(socket_type).unwrap();
        socket.set_receive_timeout(Some(PATIENCE)).unwrap();
        socket.set_send_timeout(Some(PATIENCE)).unwrap();
        Self::configured(Socket::ServerLink(socket))
    }

    pub(crate) fn libzmq(context: &zmq::Context, socket_type: SocketType) -> Self {
        let socket = context.socket(libzmq_type(socket_type)).unwrap();
        socket.set_rcvtimeo(millis(PATIENCE)).unwrap();
        socket.set_sndtimeo(millis(PATIENCE)).unwrap();
        let monitor = Monitor::new(context, &socket);
        Self::configured(Socket::Libzmq(monitor, socket))
    }

    fn configured(socket: Socket) -> Self {
        let peer = Self { socket, files: RefCell::default() };
        peer.set_linger(Some(Duration::ZERO));
        peer.set_reconnect_interval(Duration::from_millis(10));
        peer
    }

    /// Whose socket it is.
    #[must_use]
    pub fn library(&self) -> Library {
        match self.socket {
            Socket::ServerLink(_) => Library::ServerLink,
            Socket::Libzmq(..) => Library::Libzmq,
        }
    }

    /// Its socket, if it is one of ServerLink's.
    #[track_caller]
    #[must_use]
    pub fn ours(&self) -> &serverlink::Socket {
        match &self.socket {
            Socket::ServerLink(socket) => socket,
            Socket::Libzmq(..) => panic!("this is libzmq's socket"),
        }
    }

    /// Its socket and what happens to it, if it is one of libzmq's.
    #[track_caller]
    #[must_use]
    pub fn theirs(&self) -> (&zmq::Socket, &Monitor) {
        match &self.socket {
            Socket::ServerLink(_) => panic!("this is ServerLink's socket"),
            Socket::Libzmq(monitor, socket) => (socket, monitor),
        }
    }

    /// Binds to a free port of this machine and returns the endpoint.
    #[track_caller]
    #[must_use]
    pub fn bind(&self) -> String {
        self.bind_over(Transport::Tcp)
    }

    /// Binds to a new endpoint and returns it.
    #[track_caller]
    #[must_use]
    pub fn bind_over(&self, transport: Transport) -> String {
        self.bind_any(&transport.anywhere())
    }

    /// Binds to an endpoint with a `*` in it, and returns what was filled in.
    #[track_caller]
    #[must_use]
    pub fn bind_any(&self, endpoint: &str) -> String {
        match &self.socket {
            Socket::ServerLink(socket) => socket.bind(endpoint).unwrap(),
            Socket::Libzmq(_, socket) => {
                socket.bind(endpoint).unwrap();
                self.remember_file(endpoint);
                socket.get_last_endpoint().unwrap().unwrap()
            }
        }
    }

    /// Binds to an endpoint, as soon as a socket that is closing lets go of it.
    #[track_caller]
    pub fn bind_to(&self, endpoint: &str) {
        until("the endpoint is free", || match &self.socket {
            Socket::ServerLink(socket) => match socket.bind(endpoint) {
                Ok(_) => true,
                Err(Error::AddressInUse { .. }) => false,
                Err(error) => panic!("{error}"),
            },
            Socket::Libzmq(_, socket) => match socket.bind(endpoint) {
                Ok(()) => true,
                // The second is what it says now and then when other programs want the processors.
                Err(zmq::Error::EADDRINUSE | zmq::Error::EAGAIN) => false,
                Err(error) => panic!("{error}"),
            },
        });
        self.remember_file(endpoint);
    }

    /// libzmq leaves its socket files to whoever binds next.
    fn remember_file(&self, endpoint: &str) {
        if let (Socket::Libzmq(..), Some(path)) = (&self.socket, endpoint.strip_prefix("ipc:///")) {
            self.files.borrow_mut().push(format!("/{path}").into());
        }
    }

    /// Connects to an endpoint.
    #[track_caller]
    pub fn connect(&self, endpoint: &str) {
        set!(self, socket => socket.connect(endpoint), socket.connect(endpoint));
    }

    /// Waits until the handshake with a peer is done; libzmq's socket: with another peer than in
    /// the last call.
    #[track_caller]
    pub fn await_connected(&self) {
        match &self.socket {
            Socket::ServerLink(socket) => until("a peer connects", || socket.peer_count() > 0),
            Socket::Libzmq(monitor, socket) => {
                monitor.wait_for_handshake();
                // It takes new peers in, and tells them of its subscriptions, during calls only.
                socket.get_events().unwrap();
            }
        }
    }

    /// Waits until its only peer is gone.
    #[track_caller]
    pub fn await_disconnected(&self) {
        match &self.socket {
            Socket::ServerLink(socket) => until("the peer goes", || socket.peer_count() == 0),
            Socket::Libzmq(monitor, _) => {
                monitor.wait_for(&[SocketEvent::DISCONNECTED]);
            }
        }
    }

    /// Sends a message.
    #[track_caller]
    pub fn send<T: AsRef<[u8]>>(&self, frames: impl AsRef<[T]>) {
        let frames = frames.as_ref();
        assert!(self.send_within(PATIENCE, frames), "{}: nobody takes a message", self.library());
    }

    /// Sends a message if a peer takes it in time. A ROUTER that is mandatory waits for its peer.
    #[track_caller]
    pub fn send_within<T: AsRef<[u8]>>(&self, time: Duration, frames: impl AsRef<[T]>) -> bool {
        let frames = frames.as_ref().iter().map(AsRef::as_ref);
        match &self.socket {
            Socket::ServerLink(socket) => {
                let message: Message = frames.collect();
                match socket.send_timeout(message, time).map_err(Error::from) {
                    Ok(()) => true,
                    Err(Error::WouldBlock | Error::HostUnreachable { .. }) => false,
                    Err(error) => panic!("ServerLink: {error}"),
                }
            }
            Socket::Libzmq(_, socket) => {
                socket.set_sndtimeo(millis(time)).unwrap();
                match socket.send_multipart(frames, 0) {
                    Ok(()) => true,
                    Err(zmq::Error::EAGAIN | zmq::Error::EHOSTUNREACH) => false,
                    Err(error) => panic!("libzmq: {error}"),
                }
            }
        }
    }

    /// Receives a message.
    #[track_caller]
    #[must_use]
    pub fn recv(&self) -> Frames {
        let message = self.recv_within(PATIENCE);
        message.unwrap_or_else(|| panic!("{}: no message came", self.library()))
    }

    /// Receives a message if one comes in time.
    #[track_caller]
    #[must_use]
    pub fn recv_within(&self, time: Duration) -> Option<Frames> {
        match &self.socket {
            Socket::ServerLink(socket) => match socket.recv_timeout(time) {
                Ok(message) => Some(message.iter().map(|frame| frame.to_vec()).collect()),
                Err(Error::WouldBlock) => None,
                Err(error) => panic!("ServerLink: {error}"),
            },
            Socket::Libzmq(_, socket) => {
                socket.set_rcvtimeo(millis(time)).unwrap();
                match socket.recv_multipart(0) {
                    Ok(message) => Some(message),
                    Err(zmq::Error::EAGAIN) => None,
                    Err(error) => panic!("libzmq: {error}"),
                }
            }
        }
    }

    /// Receives a message and compares it.
    #[track_caller]
    pub fn expect<T: AsRef<[u8]>>(&self, frames: impl AsRef<[T]>) {
        let expected: Vec<&[u8]> = frames.as_ref().iter().map(AsRef::as_ref).collect();
        let message = self.recv();
        // Not `assert_eq`: that would print megabytes.
        assert!(
            message == expected,
            "{} got {} instead of {}",
            self.library(),
            shown(&message),
            shown(&expected)
        );
    }

    /// Subscribes a SUB.
    pub fn subscribe(&self, topic: impl AsRef<[u8]>) {
        let topic = topic.as_ref();
        set!(self, socket => socket.subscribe(topic), socket.set_subscribe(topic));
    }

    /// Takes one subscription of a SUB back.
    pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) {
        let topic = topic.as_ref();
        set!(self, socket => socket.unsubscribe(topic), socket.set_unsubscribe(topic));
    }

    /// Sends a subscription of an XSUB, or takes one back.
    pub fn send_subscription(&self, subscribe: bool, topic: &str) {
        self.send([subscription(subscribe, topic)]);
    }

    /// Receives a subscription, or the end of one, at an XPUB.
    #[track_caller]
    pub fn expect_subscription(&self, subscribe: bool, topic: &str) {
        self.expect([subscription(subscribe, topic)]);
    }

    /// Sets both high-water marks; 0 for none.
    pub fn set_high_water_marks(&self, messages: u16) {
        match &self.socket {
            Socket::ServerLink(socket) => {
                socket.set_send_high_water_mark(messages.into()).unwrap();
                socket.set_receive_high_water_mark(messages.into()).unwrap();
            }
            Socket::Libzmq(_, socket) => {
                socket.set_sndhwm(messages.into()).unwrap();
                socket.set_rcvhwm(messages.into()).unwrap();
            }
        }
    }

    /// Sets the sizes of the system's buffers for what is bound or connected next.
    pub fn set_buffers(&self, bytes: u16) {
        match &self.socket {
            Socket::ServerLink(socket) => {
                socket.set_send_buffer(Some(bytes.into())).unwrap();
                socket.set_receive_buffer(Some(bytes.into())).unwrap();
            }
            Socket::Libzmq(_, socket) => {
                socket.set_sndbuf(bytes.into()).unwrap();
                socket.set_rcvbuf(bytes.into()).unwrap();
            }
        }
    }

    /// Sets the name by which a ROUTER knows it.
    pub fn set_routing_id(&self, id: &str) {
        set!(self, socket => socket.set_routing_id(id), socket.set_identity(id.as_bytes()));
    }

    /// Has a ROUTER tell of messages it cannot deliver.
    pub fn set_router_mandatory(&self) {
        set!(self, socket => socket.set_router_mandatory(true), socket.set_router_mandatory(true));
    }

    /// Has an XPUB tell of each subscription, and not only of the first to a topic.
    pub fn set_xpub_verbose(&self) {
        set!(self, socket => socket.set_xpub_verbose(true), socket.set_xpub_verbose(true));
    }

    /// Sets how long it goes on sending once closed; `None` for ever.
    pub fn set_linger(&self, linger: Option<Duration>) {
        let theirs = linger.map_or(-1, millis);
        set!(self, socket => socket.set_linger(linger), socket.set_linger(theirs));
    }

    /// Sets how long it waits before it connects anew.
    pub fn set_reconnect_interval(&self, interval: Duration) {
        set!(
            self,
            socket => socket.set_reconnect_interval(Some(interval)),
            socket.set_reconnect_ivl(millis(interval))
        );
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Socket::Libzmq(monitor, socket) = &self.socket {
            monitor.stop(socket);
        }
        for file in self.files.take() {
            // Another may have it by now, and have removed it.
            let _ = fs::remove_file(file);
        }
    }
}

/// How XPUB and XSUB show a subscription to their users.
fn subscription(subscribe: bool, topic: &str) -> Vec<u8> {
    [&[u8::from(subscribe)], topic.as_bytes()].concat()
}

fn millis(time: Duration) -> i32 {
    i32::try_from(time.as_millis()).unwrap()
}

fn shown<T: AsRef<[u8]>>(frames: &[T]) -> String {
    const MOST: usize = 40;
    let frame = |frame: &T| {
        let body = frame.as_ref();
        let start = body[..body.len().min(MOST)].escape_ascii();
        format!("\"{start}\" ({} bytes)", body.len())
    };
    let first: Vec<_> = frames.iter().take(4).map(frame).collect();
    format!("{} frames [{}]", frames.len(), first.join(", "))
}

fn libzmq_type(socket_type: SocketType) -> zmq::SocketType {
    match socket_type {
        SocketType::Pair => zmq::PAIR,
        SocketType::Pub => zmq::PUB,
        SocketType::Sub => zmq::SUB,
        SocketType::Req => zmq::REQ,
        SocketType::Rep => zmq::REP,
        SocketType::Dealer => zmq::DEALER,
        SocketType::Router => zmq::ROUTER,
        SocketType::Pull => zmq::PULL,
        SocketType::Push => zmq::PUSH,
        SocketType::XPub => zmq::XPUB,
        SocketType::XSub => zmq::XSUB,
        SocketType::Stream => zmq::STREAM,
        other => panic!("libzmq has no {other} unless it is built with its drafts"),
    }
}
