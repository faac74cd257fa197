//! SERVER (RFC 41) and PEER (RFC 51): every peer has a number, which its messages bear.

use std::collections::HashMap;

use super::{Pattern, rotation::Rotation, single_part::check_single};
use crate::{Error, Message, Result, SocketType, pipe::Refused, socket::Peers};

#[derive(Debug)]
pub(crate) struct Server {
    socket_type: SocketType,
    turns: Rotation,
    /// The peers that take messages.
    by_id: HashMap<u32, usize>,
    /// The ids of the peers, by their keys, as long as there is anything to read from them.
    ids: Vec<Option<u32>>,
    next: u32,
}

impl Server {
    pub(super) fn new(socket_type: SocketType) -> Self {
        Self {
            socket_type,
            turns: Rotation::default(),
            by_id: HashMap::new(),
            ids: Vec::new(),
            next: fastrand::u32(..),
        }
    }

    /// An id that no peer has, nor has had for a long time; never zero.
    fn fresh_id(&mut self) -> u32 {
        loop {
            let id = self.next;
            self.next = self.next.wrapping_add(1);
            if id != 0 && !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }
}

impl Pattern for Server {
    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        let id = self.fresh_id();
        if self.ids.len() <= key {
            self.ids.resize(key + 1, None);
        }
        self.ids[key] = Some(id);
        self.by_id.insert(id, key);
        self.turns.insert(key);
        peers.set_routing_id(key, id);
        true
    }

    fn closed(&mut self, key: usize, _peers: &mut Peers) {
        if let Some(id) = self.ids[key] {
            self.by_id.remove(&id);
        }
    }

    fn detach(&mut self, key: usize, peers: &mut Peers) {
        self.closed(key, peers);
        self.ids[key] = None;
        self.turns.remove(key);
    }

    fn readable(&mut self, key: usize, _peers: &mut Peers) {
        self.turns.activate(key);
    }

    fn writable(&mut self, _key: usize, _peers: &mut Peers) {}

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        check_single(message)?;
        let Some(id) = message.routing_id() else {
            return Err(Error::InvalidMessage(match self.socket_type {
                SocketType::Peer => "a PEER's message has a routing id; see with_routing_id",
                _ => "a SERVER's message has a routing id; see with_routing_id",
            }));
        };
        let unreachable = || Error::HostUnreachable { routing_id: id.to_string() };
        let &key = self.by_id.get(&id).ok_or_else(unreachable)?;
        // The id is ours: it means nothing to the peer.
        message.clear_tag();
        peers.write(key, message).map_err(|refused| {
            message.set_routing_id(id);
            match refused {
                Refused::Full => Error::WouldBlock,
                Refused::Gone => unreachable(),
            }
        })
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        loop {
            let key = self.turns.receive(message, peers)?;
            // What has several frames is discarded, as the RFCs want.
            if let (Some(id), 1) = (self.ids[key], message.len()) {
                message.set_routing_id(id);
                return Ok(());
            }
        }
    }
    fn sender(&self) -> Option<usize> {
        self.turns.previous()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        let Self { turns, ids, .. } = self;
        turns.has_message(peers, |key, message| ids[key].is_some() && message.len() == 1)
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        let keys: Vec<_> = self.by_id.values().copied().collect();
        // All are asked, to be told of each that takes messages again.
        keys.into_iter().filter(|&key| peers.has_room(key)).count() > 0
    }
}
