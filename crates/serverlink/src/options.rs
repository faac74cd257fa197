//! Options of sockets.

use std::time::Duration;

use bytes::Bytes;
use serverlink_zmtp::{Config, Heartbeat, SocketType};

use crate::{Error, Result, transport::IpcFilters};

/// What a socket is set to. High-water marks of zero mean no limit, as in libzmq.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) send_high_water_mark: usize,
    pub(crate) receive_high_water_mark: usize,
    /// `None`: for ever.
    pub(crate) linger: Option<Duration>,
    pub(crate) send_timeout: Option<Duration>,
    pub(crate) receive_timeout: Option<Duration>,
    pub(crate) routing_id: Bytes,
    /// `None`: never reconnect.
    pub(crate) reconnect_interval: Option<Duration>,
    /// Zero: the interval does not grow.
    pub(crate) reconnect_interval_max: Duration,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) handshake_interval: Option<Duration>,
    /// `None`: no heartbeats.
    pub(crate) heartbeat_interval: Option<Duration>,
    /// `None`: the interval.
    pub(crate) heartbeat_timeout: Option<Duration>,
    /// Zero: the peer is asked for none.
    pub(crate) heartbeat_ttl: Duration,
    pub(crate) max_message_size: Option<u64>,
    pub(crate) immediate: bool,
    pub(crate) ipv6: bool,
    pub(crate) backlog: i32,
    pub(crate) send_buffer: Option<usize>,
    pub(crate) receive_buffer: Option<usize>,
    pub(crate) ipc_filters: IpcFilters,
    pub(crate) router_mandatory: bool,
    pub(crate) router_handover: bool,
    pub(crate) probe_router: bool,
    pub(crate) req_relaxed: bool,
    pub(crate) req_correlate: bool,
    pub(crate) xpub_verbose: bool,
    pub(crate) xpub_verboser: bool,
    pub(crate) xpub_nodrop: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            send_high_water_mark: 1000,
            receive_high_water_mark: 1000,
            linger: None,
            send_timeout: None,
            receive_timeout: None,
            routing_id: Bytes::new(),
            reconnect_interval: Some(Duration::from_millis(100)),
            reconnect_interval_max: Duration::ZERO,
            connect_timeout: None,
            handshake_interval: Some(Duration::from_secs(30)),
            heartbeat_interval: None,
            heartbeat_timeout: None,
            heartbeat_ttl: Duration::ZERO,
            max_message_size: None,
            immediate: false,
            ipv6: false,
            backlog: 100,
            send_buffer: None,
            receive_buffer: None,
            ipc_filters: IpcFilters::default(),
            router_mandatory: false,
            router_handover: false,
            probe_router: false,
            req_relaxed: false,
            req_correlate: false,
            xpub_verbose: false,
            xpub_verboser: false,
            xpub_nodrop: false,
        }
    }
}

impl Options {
    /// What the protocol is told about a socket.
    pub(crate) fn protocol(&self, socket_type: SocketType, as_server: bool) -> Config {
        let mut config = Config::new(socket_type);
        config.as_server = as_server;
        if socket_type.announces_routing_id() {
            config.routing_id = self.routing_id.clone();
        }
        config.max_message_size = self.max_message_size;
        config.handshake_timeout = self.handshake_interval;
        config.heartbeat = self.heartbeat_interval.map(|interval| Heartbeat {
            interval,
            timeout: self.heartbeat_timeout.unwrap_or(interval),
            ttl: self.heartbeat_ttl,
        });
        config
    }

    pub(crate) fn send_limit(&self) -> usize {
        limit(self.send_high_water_mark)
    }

    pub(crate) fn receive_limit(&self) -> usize {
        limit(self.receive_high_water_mark)
    }

    /// The limit of a queue within the process, which is the send queue of one side and the
    /// receive queue of the other in one.
    pub(crate) fn inproc_limit(sender: &Self, receiver: &Self) -> usize {
        match (sender.send_high_water_mark, receiver.receive_high_water_mark) {
            (0, _) | (_, 0) => usize::MAX,
            (send, receive) => send.saturating_add(receive),
        }
    }
}

fn limit(high_water_mark: usize) -> usize {
    if high_water_mark == 0 { usize::MAX } else { high_water_mark }
}

/// An interval that is turned off by `None`, and so may not be zero.
pub(crate) fn positive(option: &'static str, value: Option<Duration>) -> Result<Option<Duration>> {
    match value {
        Some(Duration::ZERO) => Err(Error::InvalidOption {
            option,
            reason: "it must be longer than zero; None turns it off".to_owned(),
        }),
        _ => Ok(value),
    }
}
