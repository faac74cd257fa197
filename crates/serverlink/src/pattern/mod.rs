//! The socket patterns: who gets a message, whose message is next, and what the user may do when.
//!
//! A pattern is told of each peer in this order: `attach`, then any number of `ready` (the
//! handshake is done) and `lost` (the connection broke, another will follow), then `closed` (it
//! takes no more messages, some may still be read), then `detach`. `lost` and `closed` may come twice: when
//! nothing more can be sent, and when what the peer had sent is there.

mod announce;
mod dealer;
mod dgram;
mod dish;
mod glob;
mod inquiry;
mod pair;
mod prefix_map;
mod publish;
mod pull;
mod push;
mod radio;
mod rep;
mod req;
mod rotation;
mod router;
mod server;
mod single_part;
mod stream;
mod subscribe;
mod subscribers;
mod upstream;
mod watched;

use std::{fmt::Debug, sync::Weak};

use bytes::Bytes;
use serverlink_zmtp::SocketType;
pub(crate) use watched::Watched;

use single_part::SinglePart;

use crate::{
    Error, Message, Result,
    cache::CachePadded,
    socket::{PeerInfo, Peers},
    transport::Connection,
};

/// What makes a socket of one type. [`Watched`] passes every method on, also those that have a default.
pub(crate) trait Pattern: Debug + Send {
    /// Called before [`attach`](Self::attach): the user has given the peer a name, if it is not empty.
    /// False refuses it.
    fn name(&mut self, key: usize, routing_id: &[u8]) -> bool {
        let _ = (key, routing_id);
        true
    }

    /// A peer is there: messages may be written to it, to wait for the connection perhaps. False
    /// refuses it.
    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool;

    /// The peer's handshake is done: `peers.info(key)` tells of it. False refuses it.
    fn ready(&mut self, key: usize, peers: &mut Peers) -> bool {
        let _ = (key, peers);
        true
    }

    /// The peer's connection broke, another will follow.
    fn lost(&mut self, key: usize, peers: &mut Peers) {
        let _ = (key, peers);
    }

    /// The peer takes no more messages; some of its own may still be there to read.
    fn closed(&mut self, key: usize, peers: &mut Peers);

    /// The peer is gone.
    fn detach(&mut self, key: usize, peers: &mut Peers);

    /// The peer, which had nothing to read, has something.
    fn readable(&mut self, key: usize, peers: &mut Peers);

    /// The peer, which took no more messages, takes some.
    fn writable(&mut self, key: usize, peers: &mut Peers);

    /// Sends a message of at least one frame, or says why not now ([`Error::WouldBlock`]) or not
    /// at all; then the message is left whole.
    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()>;

    /// Receives a message, or says why not now ([`Error::WouldBlock`]) or not at all.
    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()>;

    /// The same; returns what is known of the peer that it came from.
    fn receive_from(
        &mut self,
        message: &mut Message,
        peers: &mut Peers,
    ) -> Result<Option<PeerInfo>> {
        self.receive(message, peers)?;
        Ok(self.sender().and_then(|key| peers.source(key)).cloned())
    }

    /// From whom the message came that [`receive`](Self::receive) has received just now, if that is
    /// known.
    fn sender(&self) -> Option<usize> {
        None
    }

    /// Whether [`receive`](Self::receive) would receive a message now. If not, `readable` tells when
    /// to ask again.
    fn can_receive(&mut self, peers: &mut Peers) -> bool;

    /// Whether [`send`](Self::send) would take a message now, whatever it is. If not, `writable`
    /// tells when to ask again.
    fn can_send(&mut self, peers: &mut Peers) -> bool;

    /// What the pattern calls a peer.
    fn routing_id(&self, key: usize) -> Option<Bytes> {
        let _ = key;
        None
    }

    /// Subscribes to a prefix, or ends one subscription to it.
    fn subscribe(&mut self, topic: &[u8], subscribe: bool, peers: &mut Peers) -> Result<()> {
        let _ = (topic, subscribe, peers);
        Err(not_by_option())
    }

    /// Subscribes to a pattern of topics, or ends one subscription to it.
    fn psubscribe(&mut self, pattern: &[u8], subscribe: bool, peers: &mut Peers) -> Result<()> {
        let _ = (pattern, subscribe, peers);
        Err(pattern_not_by_option())
    }

    /// How many topics and patterns are subscribed to.
    fn topics(&self) -> usize {
        0
    }

    /// Joins a group or leaves one, if it is a DISH.
    fn change_membership(&mut self, group: &[u8], join: bool, peers: &mut Peers) -> Result<()> {
        let _ = (group, join, peers);
        Err(Error::InvalidState("only DISH sockets join groups"))
    }
}

fn not_by_option() -> Error {
    Error::InvalidState(
        "only SUB sockets subscribe by option, and XPUB sockets for their peers where that is manual; \
         XSUB sockets send 0x01 and the topic",
    )
}

fn pattern_not_by_option() -> Error {
    Error::InvalidState(
        "only SUB and XSUB sockets subscribe to patterns, and XPUB sockets for their peers where that \
         is manual",
    )
}

/// Makes the pattern of a socket type.
pub(crate) fn new(socket_type: SocketType) -> Box<CachePadded<dyn Pattern>> {
    match socket_type {
        SocketType::Pair => Box::new(CachePadded(pair::Pair::default())),
        SocketType::Dealer => Box::new(CachePadded(dealer::Dealer::default())),
        SocketType::Router => Box::new(CachePadded(router::Router::new())),
        SocketType::Req => Box::new(CachePadded(req::Req::new())),
        SocketType::Rep => Box::new(CachePadded(rep::Rep::default())),
        SocketType::Push => Box::new(CachePadded(push::Push::default())),
        SocketType::Pull => Box::new(CachePadded(pull::Pull::default())),
        SocketType::Pub => Box::new(CachePadded(publish::Publish::new(false))),
        SocketType::XPub => Box::new(CachePadded(publish::Publish::new(true))),
        SocketType::Sub => Box::new(CachePadded(subscribe::Subscribe::new(false))),
        SocketType::XSub => Box::new(CachePadded(subscribe::Subscribe::new(true))),
        SocketType::Stream => Box::new(CachePadded(stream::Stream::new())),
        SocketType::Server | SocketType::Peer => {
            Box::new(CachePadded(server::Server::new(socket_type)))
        }
        SocketType::Client => {
            Box::new(CachePadded(SinglePart::new(socket_type, dealer::Dealer::default())))
        }
        SocketType::Radio => Box::new(CachePadded(radio::Radio::default())),
        SocketType::Dish => Box::new(CachePadded(dish::Dish::default())),
        SocketType::Dgram => Box::new(CachePadded(dgram::Dgram::default())),
        SocketType::Gather => {
            Box::new(CachePadded(SinglePart::new(socket_type, pull::Pull::default())))
        }
        SocketType::Scatter => {
            Box::new(CachePadded(SinglePart::new(socket_type, push::Push::default())))
        }
        SocketType::Channel => {
            Box::new(CachePadded(SinglePart::new(socket_type, pair::Pair::default())))
        }
    }
}

/// Makes the pattern of a PAIR that publishes events.
pub(crate) fn announcing() -> Box<CachePadded<dyn Pattern>> {
    Box::new(CachePadded(announce::Announce::default()))
}

/// Makes the pattern of who asks a question on behalf of a connection.
pub(crate) fn inquiring(connection: Weak<Connection>) -> Box<CachePadded<dyn Pattern>> {
    Box::new(CachePadded(inquiry::Inquiry::new(connection)))
}

/// The peer may be written to, unless messages may only go to connections that are there.
pub(crate) fn may_have_messages(peers: &Peers, key: usize) -> bool {
    !peers.is_immediate(key) || peers.info(key).is_some()
}
