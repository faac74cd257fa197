//! What a socket knows of its peers.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use socket2::SockAddr;

use super::{
    MonitorEvent, MonitorEventKind, PeerProperties, Socket, SocketInner, endpoints::Attachment,
    inner::Core, monitor::name,
};
use crate::{Error, Result, endpoint::Endpoint, pipe::Pipe};

/// One peer of a socket, at the moment it was asked for: see [`Socket::peers`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PeerStatus {
    /// The endpoint that the socket is bound or connected to; empty for a peer that has connected
    /// to one of the socket's `inproc://` names.
    pub endpoint: String,
    /// Whether the socket is bound there; if not, it connects.
    pub is_bound: bool,
    /// Whether the handshake is done and the connection stands. A peer that is connected to is there
    /// before and after that: messages wait for it.
    pub is_connected: bool,
    /// Our end of the connection, as an endpoint, if it has an address.
    pub local: Option<String>,
    /// The peer's end.
    pub remote: Option<String>,
    /// What the peer calls itself, or what a ROUTER calls it; empty if it has no name.
    pub routing_id: Bytes,
    /// The version of ZMTP that is spoken with it: major and minor number. None while it is not
    /// connected.
    pub version: Option<(u8, u8)>,
    /// What the peer told of itself, and where it is; none while it is not connected.
    pub properties: Option<Arc<PeerProperties>>,
    /// What has passed so far, and what waits.
    pub statistics: PeerStatistics,
}

/// What has passed between a socket and a peer so far, over all connections with it, and what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct PeerStatistics {
    /// Messages given to the system to be sent; within the process, to the peer's queue.
    pub messages_sent: u64,
    /// Messages that arrived, subscriptions among them.
    pub messages_received: u64,
    /// Bytes given to the system to be sent, those of the protocol included; none within the
    /// process.
    pub bytes_sent: u64,
    /// Bytes that arrived over the present connection, those of the protocol included; none within
    /// the process.
    pub bytes_received: u64,
    /// Messages that wait to be sent.
    pub queued_outgoing: usize,
    /// How many bytes these have, those of the protocol included; none within the process.
    pub queued_outgoing_bytes: u64,
    /// Messages that wait to be received from the socket.
    pub queued_incoming: usize,
    /// Messages that were dropped: those for this peer because its high-water mark was reached (PUB,
    /// XPUB, RADIO, ROUTER, XSUB, and the replies of a REP), or because its connection was lost
    /// (STREAM); those for and from it that a newer one has taken the place of, where only the last one
    /// [waits](Socket::set_conflate), which both ends count within the process; datagrams that have
    /// come when the receive mark was reached, and those that the system would not send. What the
    /// system or the network drops by itself nobody knows.
    pub dropped: u64,
    /// When the last bytes came over the present connection; not told within the process.
    pub last_heard: Option<Instant>,
}

impl Socket {
    /// The socket's peers: those that are connected to, be there a connection or not, and those that
    /// have connected.
    ///
    /// Asking takes the socket's lock for a moment, and that of each connection. Messages cost nothing
    /// for it.
    ///
    /// ```
    /// use serverlink::{Context, SocketType};
    ///
    /// let context = Context::new()?;
    /// let server = context.socket(SocketType::Router)?;
    /// let endpoint = server.bind("tcp://127.0.0.1:*")?;
    /// let client = context.socket(SocketType::Dealer)?;
    /// client.set_routing_id("client")?;
    /// client.connect(&endpoint)?;
    /// client.send("hello")?;
    /// server.recv()?;
    ///
    /// let peer = server.peers().remove(0);
    /// assert_eq!(peer.routing_id, "client");
    /// assert!(peer.is_connected);
    /// assert_eq!(peer.statistics.messages_received, 1);
    /// assert!(client.is_connected(&endpoint));
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.inner.peers()
    }

    /// Whether a peer is there at this endpoint, which the socket is connected or bound to: one whose
    /// handshake is done.
    #[must_use]
    pub fn is_connected(&self, endpoint: &str) -> bool {
        // However it is spelled.
        let Ok(endpoint) = endpoint.parse::<Endpoint>() else { return false };
        let endpoint = endpoint.to_string();
        self.peers().iter().any(|peer| peer.is_connected && peer.endpoint == endpoint)
    }

    /// Tells every monitor, of each peer that is connected, how many messages wait for it and from
    /// it: [`MonitorEventKind::PipeStatistics`].
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`](crate::Error::Terminated).
    pub fn tell_pipe_statistics(&self) -> Result<()> {
        self.inner.core().check()?;
        for peer in self.peers().into_iter().filter(|peer| peer.is_connected) {
            self.inner.monitors().tell(|| {
                let kind = MonitorEventKind::PipeStatistics {
                    outgoing: peer.statistics.queued_outgoing as u64,
                    incoming: peer.statistics.queued_incoming as u64,
                };
                let mut event = MonitorEvent::new(kind, peer.endpoint, peer.is_bound);
                (event.local, event.remote) = (peer.local, peer.remote);
                event
            });
        }
        Ok(())
    }
}

impl SocketInner {
    /// See [`Socket::peers`].
    pub(crate) fn peers(&self) -> Vec<PeerStatus> {
        let mut core = self.core();
        let keys: Vec<_> = core.peers.keys().collect();
        let found: Vec<_> = keys.into_iter().filter_map(|key| core.status(key)).collect();
        drop(core);
        // A connection's lock comes before the socket's.
        found
            .into_iter()
            .map(|(mut status, pipe)| {
                add_connection(&mut status, &pipe);
                status
            })
            .collect()
    }

    /// What it is bound to, and what it is connected to; none if it is closed.
    pub(crate) fn endpoints(&self) -> Option<(Vec<String>, Vec<String>)> {
        let core = self.core();
        if matches!(core.check(), Err(Error::Closed)) {
            return None;
        }
        let names = |bound| {
            let all = core.attachments.iter();
            let these = all.filter(|attachment| attachment.is_bound() == bound);
            these.map(Attachment::endpoint).collect()
        };
        Some((names(true), names(false)))
    }
}

impl Core {
    /// What is known under the socket's lock.
    fn status(&mut self, key: usize) -> Option<(PeerStatus, Arc<Pipe>)> {
        let info = self.peers.info(key);
        let version = info.map(|info| (info.version.0, info.version.1));
        let announced = info.map(|info| info.routing_id.clone()).unwrap_or_default();
        let properties = info.cloned();
        let (pipe, statistics) = self.peers.statistics(key)?;
        let attachment = self.attachments.iter().find(|attachment| match attachment {
            Attachment::Connecter(connecter) => Arc::ptr_eq(connecter.pipe(), &pipe),
            Attachment::Link(link, _) => Arc::ptr_eq(link, &pipe),
            Attachment::Datagrams(link, _) => link.serves(&pipe),
            Attachment::Listener(_) | Attachment::Name(_) => false,
        });
        let status = PeerStatus {
            endpoint: attachment.map(Attachment::endpoint).unwrap_or_default(),
            is_bound: attachment.is_none_or(Attachment::is_bound),
            is_connected: version.is_some() && !self.peers.is_closed(key),
            local: None,
            remote: None,
            routing_id: self.pattern.0.routing_id(key).unwrap_or(announced),
            version,
            properties,
            statistics,
        };
        Some((status, pipe))
    }
}

/// Adds what the present connection knows, if there is one.
fn add_connection(status: &mut PeerStatus, pipe: &Pipe) {
    let Some(connection) = pipe.outbox().and_then(|outbox| outbox.connection()) else { return };
    if status.endpoint.is_empty() {
        status.endpoint = connection.endpoint();
    }
    if status.is_connected {
        let (local, remote) = connection.addresses();
        let name = |address: &SockAddr| name(address, &status.endpoint);
        (status.local, status.remote) =
            (local.as_ref().and_then(name), remote.as_ref().and_then(name));
        let (last_heard, bytes) = connection.heard();
        status.statistics.last_heard = Some(last_heard);
        status.statistics.bytes_received = bytes;
    }
}
