//! What a context waits for before it can end.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use super::Runtime;
use crate::{Context, PeerStatus, SocketType, pipe::Outbox, socket::SocketInner};

/// Why a context has not ended: the sockets that are open, and the closed ones that still have
/// messages to send. See [`Context::termination_report`].
///
/// It can be shown: each socket and connection is a line.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct TerminationReport {
    /// Whether the context is terminated, and so waits for these.
    pub is_terminated: bool,
    /// The sockets that are not closed.
    pub open: Vec<OpenSocket>,
    /// The connections of closed sockets, or of endpoints that were unbound or disconnected, that
    /// are not done.
    pub lingering: Vec<LingeringConnection>,
}

/// A socket that is not closed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct OpenSocket {
    /// Its type.
    pub socket_type: SocketType,
    /// What it is bound to.
    pub bound: Vec<String>,
    /// What it is connected to, be there a connection or not.
    pub connected: Vec<String>,
    /// Its peers, and what waits for them.
    pub peers: Vec<PeerStatus>,
}

/// A connection that the user has given up, and that may still have messages to send.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LingeringConnection {
    /// The type of its socket.
    pub socket_type: SocketType,
    /// The endpoint that it belongs to.
    pub endpoint: String,
    /// Whether the socket was bound there; if not, it connects.
    pub is_bound: bool,
    /// Messages that wait to be sent, or are not known to be taken by the system. If none do, the
    /// peer has not closed its side yet.
    pub messages: usize,
    /// How many bytes these have, those of the protocol included.
    pub bytes: u64,
    /// For how long it goes on at most, its [linger](crate::Socket::set_linger) time; `None`: for
    /// ever.
    pub time_left: Option<Duration>,
}

impl TerminationReport {
    /// Whether nothing is left that the context would wait for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.lingering.is_empty()
    }
}

impl fmt::Display for TerminationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("no socket is open, and no message waits");
        }
        let lines = self.open.iter().map(ToString::to_string);
        let lines = lines.chain(self.lingering.iter().map(ToString::to_string));
        f.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

impl fmt::Display for OpenSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a {} socket is open", self.socket_type)?;
        for (endpoints, how) in [(&self.bound, "bound"), (&self.connected, "connected")] {
            if !endpoints.is_empty() {
                write!(f, ", {how} to {}", endpoints.join(" and "))?;
            }
        }
        for peer in self.peers.iter().filter(|peer| peer.statistics.queued_outgoing > 0) {
            let name = peer.remote.as_ref().unwrap_or(&peer.endpoint);
            let queued = counted(peer.statistics.queued_outgoing);
            let bytes = peer.statistics.queued_outgoing_bytes;
            let name = if name.is_empty() { "a peer" } else { name };
            write!(f, "; {queued} ({bytes} bytes) queued for {name}")?;
        }
        Ok(())
    }
}

impl fmt::Display for LingeringConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { socket_type, endpoint, messages, bytes, .. } = self;
        let from = if self.is_bound { "a peer that connected to " } else { "" };
        let messages = counted(*messages);
        write!(
            f,
            "a closed {socket_type} socket has {messages} ({bytes} bytes) for {from}{endpoint}"
        )?;
        match self.time_left {
            Some(left) => write!(f, ", for {left:.1?} more"),
            None => f.write_str(", without end"),
        }
    }
}

fn counted(messages: usize) -> String {
    format!("{messages} message{}", if messages == 1 { "" } else { "s" })
}

/// A connection that lingers, as it is known while it does.
#[derive(Debug, Clone)]
pub(crate) struct Lingering {
    pub(crate) socket_type: SocketType,
    pub(crate) endpoint: String,
    pub(crate) is_bound: bool,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) deadline: Option<Instant>,
}

impl Lingering {
    fn report(&self) -> LingeringConnection {
        let (messages, bytes) = self.outbox.waiting();
        LingeringConnection {
            socket_type: self.socket_type,
            endpoint: self.endpoint.clone(),
            is_bound: self.is_bound,
            messages,
            bytes,
            time_left: self
                .deadline
                .map(|deadline| deadline.saturating_duration_since(Instant::now())),
        }
    }
}

impl Runtime {
    /// What it waits for, or would if it were to end.
    pub(crate) fn report(&self) -> TerminationReport {
        // Sockets and outboxes have locks of their own, which are taken first elsewhere.
        let (is_terminated, sockets, lingering) = self.awaited();
        TerminationReport {
            is_terminated,
            open: sockets.iter().filter_map(|socket| socket.report()).collect(),
            lingering: lingering.iter().map(Lingering::report).collect(),
        }
    }
}

impl SocketInner {
    /// What it is bound and connected to, and what waits; none if it is closed.
    fn report(&self) -> Option<OpenSocket> {
        let (bound, connected) = self.endpoints()?;
        let socket_type = self.socket_type();
        Some(OpenSocket { socket_type, bound, connected, peers: self.peers() })
    }
}

impl Context {
    /// What keeps the context from ending: the sockets that are open, by type and endpoints, and the
    /// connections of closed ones, with what they still have to send. It may be asked for at any time,
    /// above all while another thread is in [`terminate`](Self::terminate).
    ///
    /// Asking takes the lock of each socket and connection for a moment. What was sent within the
    /// process is the peer's, and keeps nobody waiting. With the cargo feature `tracing`, a context
    /// that has waited for five seconds warns of it with this report, and again each time that it has
    /// waited for twice as long.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use serverlink::{Context, SocketType};
    ///
    /// let context = Context::new()?;
    /// let push = context.socket(SocketType::Push)?;
    /// push.connect("tcp://127.0.0.1:9")?;
    /// push.set_linger(Some(Duration::from_millis(100)))?;
    /// push.send("hello")?;
    /// let report = context.termination_report();
    /// assert_eq!(report.open[0].connected, ["tcp://127.0.0.1:9"]);
    ///
    /// drop(push);
    /// let report = context.termination_report();
    /// assert!(report.open.is_empty());
    /// println!("{report}");
    /// // a closed PUSH socket has 1 message (7 bytes) for tcp://127.0.0.1:9, for 99.9ms more
    /// context.terminate();
    /// assert!(context.termination_report().is_empty());
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    #[must_use]
    pub fn termination_report(&self) -> TerminationReport {
        self.shared.runtime.report()
    }
}
