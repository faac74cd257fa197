//! Transports: how pipes reach their peers.

mod connecter;
mod connection;
mod given;
pub(crate) mod inproc;
mod interfaces;
mod ipc;
mod language;
mod listener;
mod socks;
mod stream;
mod tcp;
#[cfg(feature = "wss")]
mod tls;
#[cfg(not(feature = "wss"))]
#[path = "tls/absent.rs"]
mod tls;
mod tune;
mod udp;
mod zap;

use std::{
    fmt::Debug,
    sync::Arc,
    time::{Duration, Instant},
};

pub(crate) use connecter::Connecter;
pub(crate) use connection::Connection;
pub(crate) use listener::Listener;
pub(crate) use tls::{Records, Tls};
pub(crate) use udp::{Datagrams, LONGEST_BODY, parse_address};

use crate::{
    Message, MonitorEventKind, SocketType,
    context::{LingerGuard, Lingering, Runtime},
    endpoint::StreamEndpoint,
    options::Options,
    pipe::Outbox,
    socket::PeerInfo,
};

/// Who made a connection, and hears of its fate.
pub(crate) trait Origin: Debug + Send + Sync {
    /// The handshake is done: gives the connection its pipe, and tells the socket. False if the
    /// socket refuses the peer.
    fn ready(&self, connection: &Arc<Connection>, info: PeerInfo) -> bool;

    /// What the socket is set to.
    fn options(&self) -> &Options;

    /// Whether the socket has each connection begin with an empty message.
    fn probes(&self) -> bool;

    /// The context that it belongs to.
    fn runtime(&self) -> &Arc<Runtime>;

    /// What the socket receives when the connection to such a peer is lost.
    fn departure(&self) -> Vec<Message>;

    /// The endpoint that the connection belongs to.
    fn endpoint(&self) -> String;

    /// Tells whoever monitors the socket what happened to the connection.
    fn tell(&self, connection: &Connection, kind: MonitorEventKind);

    /// Nothing more can be written to the connection, which reads what the peer had sent.
    fn muted(&self, connection: &Arc<Connection>);

    /// Whether such a connection ends when there is no room for what it brings, because nothing is sent to
    /// the peer before another is made.
    fn is_hasty(&self) -> bool {
        false
    }

    /// The connection is over. Its outbox is detached.
    fn ended(&self, connection: &Arc<Connection>, end: End);
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It never came about.
    NotConnected,
    /// It never came about because nobody listens there.
    Refused,
    /// It broke before the handshake was done.
    Unshaken,
    /// The peer did not let us in, and said so: it will not another time.
    Rejected,
    /// It broke, or the peer left or misbehaved.
    Lost,
    /// We wanted it.
    Closed,
}

/// The orderly end of something that may still have messages to send.
#[derive(Debug)]
pub(crate) struct Closing {
    /// When to give up; `None`: never.
    pub(crate) deadline: Option<Instant>,
    /// None, if someone else waits for the same.
    pub(crate) guard: Option<LingerGuard>,
    /// The user has ended the connection: no other is made instead, should it be lost meanwhile.
    pub(crate) for_good: bool,
}

impl Closing {
    /// The end of one connection, for which its context waits.
    pub(crate) fn new(
        linger: Option<Duration>,
        runtime: &Runtime,
        outbox: &Arc<Outbox>,
        (socket_type, endpoint, is_bound): (SocketType, &StreamEndpoint, bool),
    ) -> Self {
        let deadline = linger.and_then(|linger| Instant::now().checked_add(linger));
        let (endpoint, outbox) = (endpoint.to_string(), outbox.clone());
        let lingering = Lingering { socket_type, endpoint, is_bound, outbox, deadline };
        Self { deadline, guard: Some(runtime.linger(lingering)), for_good: false }
    }

    pub(crate) fn is_over(&self, now: Instant) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= now)
    }
}
