//! Options of sockets and contexts.
//!
//! [`table`] has one row for each, and everything else is made from it.

mod access;
mod choices;
mod context;
mod form;
mod info;
mod listening;
mod message;
mod network;
mod security;
mod special;
mod table;
mod unsupported;
mod value;

use bytes::Bytes;
use serverlink_zmtp::{Config, Heartbeat, SocketType};

use crate::{Frame, Message};

pub use access::socket_options;
pub use choices::{ReconnectStop, RouterNotify};
pub(crate) use context::ContextOptions;
pub use context::context_options;
pub use form::{OptionForm, OptionTruth, OptionUnit};
pub use info::{OptionAccess, OptionInfo, OptionOwners, OptionSystems, OptionTime};
pub use listening::ListeningSocket;
pub use message::message_options;
use network::Network;
pub use security::SecurityMechanism;
pub(crate) use security::Unjudged;
pub(crate) use table::Options;

impl Options {
    /// What the protocol is told about a socket.
    pub(crate) fn protocol(&self, socket_type: SocketType) -> Config {
        let mut config = Config::new(socket_type);
        config.mechanism = self.protocol_mechanism();
        config.judges_peers = self.judges_peers();
        if socket_type.announces_routing_id() {
            config.routing_id = self.routing_id.clone();
        }
        config.metadata = self.metadata.clone();
        config.max_message_size = self.max_message_size;
        config.handshake_timeout = self.handshake_interval;
        config.heartbeat = self.heartbeat_interval.map(|interval| Heartbeat {
            interval,
            timeout: self.heartbeat_timeout.unwrap_or(interval),
            ttl: self.heartbeat_ttl,
        });
        config
    }

    /// Whether an option is one of the high-water marks.
    pub(crate) fn is_mark(id: i32) -> bool {
        /// `ZMQ_SNDHWM`.
        const SEND: i32 = 23;
        /// `ZMQ_RCVHWM`.
        const RECEIVE: i32 = 24;
        matches!(id, SEND | RECEIVE)
    }

    /// Sets what goes with the option that was set last.
    pub(crate) fn settle(&mut self, id: i32) {
        /// `ZMQ_XPUB_VERBOSE`.
        const VERBOSE: i32 = 40;
        /// `ZMQ_XPUB_VERBOSER`.
        const VERBOSER: i32 = 78;
        match id {
            VERBOSE => self.xpub_verboser = false,
            VERBOSER => self.xpub_verbose = self.xpub_verboser,
            _ => self.settle_mechanism(id),
        }
    }

    /// Whether only the last message of each peer waits to be received.
    pub(crate) fn conflates_in(&self, socket_type: SocketType) -> bool {
        // What a publisher receives are subscriptions, each of which counts.
        self.conflate
            && !matches!(socket_type, SocketType::Pub | SocketType::Push | SocketType::Stream)
    }

    /// Whether only the last message to each peer waits to be sent.
    pub(crate) fn conflates_out(&self, socket_type: SocketType) -> bool {
        self.conflate
            && !matches!(socket_type, SocketType::Sub | SocketType::Pull | SocketType::Stream)
    }

    /// What the socket receives when it has lost the connection to a peer, besides `message`.
    pub(crate) fn departure(&self, message: &Bytes) -> Vec<Message> {
        let notice = self.router_notify.disconnect.then(|| Message::from(Frame::new()));
        let message = (!message.is_empty()).then(|| Message::from(message.clone()));
        notice.into_iter().chain(message).collect()
    }

    pub(crate) fn send_limit(&self) -> usize {
        limit(self.send_high_water_mark)
    }

    pub(crate) fn receive_limit(&self) -> usize {
        limit(self.receive_high_water_mark)
    }
}

fn limit(high_water_mark: usize) -> usize {
    if high_water_mark == 0 { usize::MAX } else { high_water_mark }
}
