//! Options, as the user sets them.

use std::time::Duration;

use bytes::Bytes;

use super::Socket;
use crate::{
    Error, Result,
    options::{Options, positive},
};

/// Longest routing id (RFC 37).
const LONGEST_ROUTING_ID: usize = 255;

impl Socket {
    fn set(&self, change: impl FnOnce(&mut Options)) -> Result<()> {
        let mut core = self.inner.core();
        core.check()?;
        change(&mut core.peers.options);
        Ok(())
    }

    fn set_checked(
        &self,
        option: &'static str,
        valid: bool,
        reason: &str,
        change: impl FnOnce(&mut Options),
    ) -> Result<()> {
        if !valid {
            return Err(Error::InvalidOption { option, reason: reason.to_owned() });
        }
        self.set(change)
    }

    /// How many messages may wait for each peer (`ZMQ_SNDHWM`); 0 for no limit; 1000 if not set.
    /// Holds for peers bound or connected later.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_send_high_water_mark(&self, messages: usize) -> Result<()> {
        self.set(|options| options.send_high_water_mark = messages)
    }

    /// How many messages of each peer may wait to be received (`ZMQ_RCVHWM`); 0 for no limit; 1000
    /// if not set. Holds for peers bound or connected later.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_receive_high_water_mark(&self, messages: usize) -> Result<()> {
        self.set(|options| options.receive_high_water_mark = messages)
    }

    /// How long a closed socket goes on sending what it has to send (`ZMQ_LINGER`); `None`, for
    /// ever, if not set.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_linger(&self, linger: Option<Duration>) -> Result<()> {
        self.set(|options| options.linger = linger)
    }

    /// How long [`send`](Self::send) waits (`ZMQ_SNDTIMEO`); `None`, for ever, if not set.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_send_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.set(|options| options.send_timeout = timeout)
    }

    /// How long [`recv`](Self::recv) waits (`ZMQ_RCVTIMEO`); `None`, for ever, if not set.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_receive_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        self.set(|options| options.receive_timeout = timeout)
    }

    /// The name by which a ROUTER knows this socket (`ZMQ_ROUTING_ID`), of 1 to 255 bytes, the
    /// first of which is not zero. Holds for peers bound or connected later.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for any other, [`Error::Terminated`].
    pub fn set_routing_id(&self, id: impl AsRef<[u8]>) -> Result<()> {
        let id = id.as_ref();
        let valid = (1..=LONGEST_ROUTING_ID).contains(&id.len()) && id[0] != 0;
        let reason = "it has 1 to 255 bytes, and the first is not zero";
        self.set_checked("routing_id", valid, reason, |options| {
            options.routing_id = Bytes::copy_from_slice(id);
        })
    }

    /// Subscribes a SUB socket to all messages whose first frame begins with `topic`; an empty one
    /// means all (`ZMQ_SUBSCRIBE`). Subscriptions are counted.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] for other sockets, [`Error::Terminated`].
    pub fn subscribe(&self, topic: impl AsRef<[u8]>) -> Result<()> {
        self.change_subscription(topic.as_ref(), true)
    }

    /// Takes one [`subscribe`](Self::subscribe) back (`ZMQ_UNSUBSCRIBE`). What there is none of is
    /// ignored.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`] for other sockets than SUB, [`Error::Terminated`].
    pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> Result<()> {
        self.change_subscription(topic.as_ref(), false)
    }

    fn change_subscription(&self, topic: &[u8], subscribe: bool) -> Result<()> {
        let mut guard = self.inner.core();
        guard.check()?;
        let core = &mut *guard;
        core.pattern.subscribe(topic, subscribe, &mut core.peers)?;
        self.inner.release(guard);
        Ok(())
    }

    /// How long to wait before a lost connection is made anew (`ZMQ_RECONNECT_IVL`), to which up to
    /// as much again is added at random; 100 ms if not set. `None`: it is never made anew.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for zero, [`Error::Terminated`].
    pub fn set_reconnect_interval(&self, interval: Option<Duration>) -> Result<()> {
        let interval = positive("reconnect_interval", interval)?;
        self.set(|options| options.reconnect_interval = interval)
    }

    /// Up to what the reconnect interval doubles with each failure (`ZMQ_RECONNECT_IVL_MAX`); zero,
    /// if not set: it stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_reconnect_interval_max(&self, most: Duration) -> Result<()> {
        self.set(|options| options.reconnect_interval_max = most)
    }

    /// How long one attempt to connect may take (`ZMQ_CONNECT_TIMEOUT`); `None`, if not set: as
    /// long as the system tries.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for zero, [`Error::Terminated`].
    pub fn set_connect_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        let timeout = positive("connect_timeout", timeout)?;
        self.set(|options| options.connect_timeout = timeout)
    }

    /// How long the handshake of a connection may take (`ZMQ_HANDSHAKE_IVL`); 30 s if not set;
    /// `None` for ever.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for zero, [`Error::Terminated`].
    pub fn set_handshake_interval(&self, interval: Option<Duration>) -> Result<()> {
        let interval = positive("handshake_interval", interval)?;
        self.set(|options| options.handshake_interval = interval)
    }

    /// How often to ask a silent peer for a sign of life (`ZMQ_HEARTBEAT_IVL`); `None`, never, if
    /// not set.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for zero, [`Error::Terminated`].
    pub fn set_heartbeat_interval(&self, interval: Option<Duration>) -> Result<()> {
        let interval = positive("heartbeat_interval", interval)?;
        self.set(|options| options.heartbeat_interval = interval)
    }

    /// How long the peer may take to answer (`ZMQ_HEARTBEAT_TIMEOUT`); the interval if not set.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for zero, [`Error::Terminated`].
    pub fn set_heartbeat_timeout(&self, timeout: Option<Duration>) -> Result<()> {
        let timeout = positive("heartbeat_timeout", timeout)?;
        self.set(|options| options.heartbeat_timeout = timeout)
    }

    /// After what silence of ours the peer shall give us up (`ZMQ_HEARTBEAT_TTL`), in tenths of a
    /// second, up to 6553.5 s; zero, never, if not set. It is told with each heartbeat.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if it is longer, [`Error::Terminated`].
    pub fn set_heartbeat_ttl(&self, ttl: Duration) -> Result<()> {
        let valid = ttl <= Duration::from_millis(6_553_500);
        self.set_checked("heartbeat_ttl", valid, "it is at most 6553.5 seconds", |options| {
            options.heartbeat_ttl = ttl;
        })
    }

    /// The largest frame taken from a peer, in bytes (`ZMQ_MAXMSGSIZE`); one that sends a larger one
    /// is disconnected. `None`, no limit, if not set.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_max_message_size(&self, bytes: Option<u64>) -> Result<()> {
        self.set(|options| options.max_message_size = bytes)
    }

    /// Whether messages go only to peers that are connected (`ZMQ_IMMEDIATE`), and do not wait for
    /// those that will be; false if not set.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_immediate(&self, immediate: bool) -> Result<()> {
        self.set(|options| options.immediate = immediate)
    }

    /// Whether host names may give IPv6 addresses, and `tcp://*` takes IPv6 connections too
    /// (`ZMQ_IPV6`); false if not set. Literal IPv6 addresses work in any case.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_ipv6(&self, on: bool) -> Result<()> {
        self.set(|options| options.ipv6 = on)
    }

    /// How many connections may wait to be accepted (`ZMQ_BACKLOG`), at least 1; 100 if not set.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for less than 1, [`Error::Terminated`].
    pub fn set_backlog(&self, connections: i32) -> Result<()> {
        self.set_checked("backlog", connections >= 1, "it is at least 1", |options| {
            options.backlog = connections;
        })
    }

    /// The size of the kernel's send buffer of each connection, in bytes (`ZMQ_SNDBUF`); `None`, as
    /// the system has it, if not set.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for zero or more than 2 GiB - 1, [`Error::Terminated`].
    pub fn set_send_buffer(&self, bytes: Option<usize>) -> Result<()> {
        self.set_checked("send_buffer", buffer_size(bytes), BUFFER_SIZE, |options| {
            options.send_buffer = bytes;
        })
    }

    /// The size of the kernel's receive buffer of each connection, in bytes (`ZMQ_RCVBUF`); `None`,
    /// as the system has it, if not set.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for zero or more than 2 GiB - 1, [`Error::Terminated`].
    pub fn set_receive_buffer(&self, bytes: Option<usize>) -> Result<()> {
        self.set_checked("receive_buffer", buffer_size(bytes), BUFFER_SIZE, |options| {
            options.receive_buffer = bytes;
        })
    }

    /// Whose processes may connect to `ipc://` endpoints, by effective user id
    /// (`ZMQ_IPC_FILTER_UID`). A peer is accepted if any of the filters names it (by user,
    /// [group](Self::set_ipc_filter_gid) or [process](Self::set_ipc_filter_pid)), and everyone is if
    /// none does, as when not set; who is not accepted is disconnected without a word. Replaces the
    /// users set before. Holds for endpoints bound later.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] on Windows, which has no such ids, [`Error::Terminated`].
    pub fn set_ipc_filter_uid(&self, users: &[u32]) -> Result<()> {
        self.set_checked("ipc_filter_uid", cfg!(unix) || users.is_empty(), NO_IDS, |options| {
            options.ipc_filters.users = users.to_vec();
        })
    }

    /// The same by group id (`ZMQ_IPC_FILTER_GID`): the effective one, and on Linux, macOS and
    /// FreeBSD the others that the process is a member of.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] on Windows, which has no such ids, [`Error::Terminated`].
    pub fn set_ipc_filter_gid(&self, groups: &[u32]) -> Result<()> {
        self.set_checked("ipc_filter_gid", cfg!(unix) || groups.is_empty(), NO_IDS, |options| {
            options.ipc_filters.groups = groups.to_vec();
        })
    }

    /// The same by process id (`ZMQ_IPC_FILTER_PID`).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] where the system does not tell: everywhere but on Linux and macOS;
    /// [`Error::Terminated`].
    pub fn set_ipc_filter_pid(&self, processes: &[u32]) -> Result<()> {
        let told = cfg!(any(target_os = "linux", target_os = "android", target_vendor = "apple"));
        self.set_checked("ipc_filter_pid", told || processes.is_empty(), NO_IDS, |options| {
            options.ipc_filters.processes = processes.to_vec();
        })
    }

    /// Whether a ROUTER tells of messages it cannot deliver (`ZMQ_ROUTER_MANDATORY`), instead of
    /// dropping them; false if not set.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_router_mandatory(&self, on: bool) -> Result<()> {
        self.set(|options| options.router_mandatory = on)
    }

    /// Whether a ROUTER gives the routing id of a peer to a newcomer that claims it
    /// (`ZMQ_ROUTER_HANDOVER`), instead of turning the newcomer away; false if not set.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_router_handover(&self, on: bool) -> Result<()> {
        self.set(|options| options.router_handover = on)
    }

    /// Whether a DEALER, REQ or ROUTER sends an empty message to each peer first
    /// (`ZMQ_PROBE_ROUTER`); false if not set.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_probe_router(&self, on: bool) -> Result<()> {
        self.set(|options| options.probe_router = on)
    }

    /// Whether a REQ may send anew without having its reply (`ZMQ_REQ_RELAXED`); false if not set.
    /// Turn [`set_req_correlate`](Self::set_req_correlate) on, too.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_req_relaxed(&self, on: bool) -> Result<()> {
        self.set(|options| options.req_relaxed = on)
    }

    /// Whether a REQ numbers its requests and takes only replies with that number
    /// (`ZMQ_REQ_CORRELATE`); false if not set. Change it only between a reply and a request.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_req_correlate(&self, on: bool) -> Result<()> {
        self.set(|options| options.req_correlate = on)
    }

    /// Whether an XPUB receives every subscription (`ZMQ_XPUB_VERBOSE`), and not only the first to
    /// each topic; false if not set.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_xpub_verbose(&self, on: bool) -> Result<()> {
        self.set(|options| options.xpub_verbose = on)
    }

    /// Whether an XPUB receives every subscription and every cancellation (`ZMQ_XPUB_VERBOSER`);
    /// false if not set.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_xpub_verboser(&self, on: bool) -> Result<()> {
        self.set(|options| options.xpub_verboser = on)
    }

    /// Whether a PUB or XPUB waits when a subscriber's high-water mark is reached
    /// (`ZMQ_XPUB_NODROP`), instead of dropping the message for it; false if not set.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    pub fn set_xpub_nodrop(&self, on: bool) -> Result<()> {
        self.set(|options| options.xpub_nodrop = on)
    }
}

const NO_IDS: &str = "this system does not tell such ids of the process at the other end";
const BUFFER_SIZE: &str = "it is from 1 to 2147483647 bytes";

fn buffer_size(bytes: Option<usize>) -> bool {
    bytes.is_none_or(|bytes| (1..=i32::MAX as usize).contains(&bytes))
}
