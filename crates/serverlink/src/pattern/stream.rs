//! STREAM: bytes to and from peers that speak no ZMTP, each of which has a routing id.
//!
//! A message is a routing id and some bytes. None at all tell of a new connection and of its end,
//! and sent, they end it.

use std::collections::HashMap;

use super::{Pattern, rotation::Rotation, router::FreshIds};
use crate::{Error, Frame, Message, Result, pipe::Refused, socket::Peers};

#[derive(Debug)]
pub(crate) struct Stream {
    turns: Rotation,
    by_id: HashMap<Frame, usize>,
    peers: Vec<Peer>,
    fresh: FreshIds,
}

#[derive(Debug, Default)]
struct Peer {
    /// Its id for as long as there is anything to read from it, be it connected or not.
    id: Option<Frame>,
    connected: bool,
    /// The user has ended it, and wants no more of it.
    ended: bool,
}

impl Stream {
    pub(crate) fn new() -> Self {
        Self {
            turns: Rotation::default(),
            by_id: HashMap::new(),
            peers: Vec::new(),
            fresh: FreshIds::new(),
        }
    }

    /// A connected peer.
    fn find(&self, id: &Frame) -> Option<usize> {
        self.by_id.get(id).copied().filter(|&key| self.peers[key].connected)
    }
}

impl Pattern for Stream {
    fn name(&mut self, key: usize, routing_id: &[u8]) -> bool {
        let id = if routing_id.is_empty() {
            self.fresh.next(|id| self.by_id.contains_key(id))
        } else {
            Frame::from(routing_id)
        };
        if self.by_id.contains_key(&id) {
            return false;
        }
        if self.peers.len() <= key {
            self.peers.resize_with(key + 1, Peer::default);
        }
        self.by_id.insert(id.clone(), key);
        self.peers[key] = Peer { id: Some(id), ..Peer::default() };
        true
    }

    fn attach(&mut self, key: usize, _peers: &mut Peers) -> bool {
        self.turns.insert(key);
        true
    }

    fn ready(&mut self, key: usize, _peers: &mut Peers) -> bool {
        self.peers[key].connected = true;
        true
    }

    fn lost(&mut self, key: usize, peers: &mut Peers) {
        self.peers[key].connected = false;
        // The rest of one stream is not the beginning of another.
        peers.discard(key);
    }

    fn closed(&mut self, key: usize, _peers: &mut Peers) {
        self.peers[key].connected = false;
    }

    fn detach(&mut self, key: usize, _peers: &mut Peers) {
        if let Some(id) = std::mem::take(&mut self.peers[key]).id {
            self.by_id.remove(&id);
        }
        self.turns.remove(key);
    }

    fn readable(&mut self, key: usize, peers: &mut Peers) {
        if self.peers[key].ended {
            while peers.read(key, &mut Message::new()) {}
        } else {
            self.turns.activate(key);
        }
    }

    fn writable(&mut self, _key: usize, _peers: &mut Peers) {}

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        let (Some(id), Some(body), 2) = (message.frame(0), message.frame(1), message.len()) else {
            return Err(Error::InvalidMessage(
                "a STREAM's message is a routing id and one frame of bytes",
            ));
        };
        let unreachable = || Error::HostUnreachable { routing_id: id.escape_ascii().to_string() };
        let key = self.find(id).ok_or_else(unreachable)?;
        if !body.is_empty() {
            return peers.write_raw(key, body).map_err(|refused| match refused {
                Refused::Full => Error::WouldBlock,
                Refused::Gone => unreachable(),
            });
        }
        let peer = &mut self.peers[key];
        (peer.connected, peer.ended) = (false, true);
        self.turns.deactivate(key);
        self.readable(key, peers);
        peers.finish(key);
        Ok(())
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        loop {
            let key = self.turns.receive(message, peers)?;
            if let Some(id) = &self.peers[key].id {
                message.push_front(id.clone());
                return Ok(());
            }
        }
    }
    fn sender(&self) -> Option<usize> {
        self.turns.previous()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        let Self { turns, peers: known, .. } = self;
        turns.has_message(peers, |key, _| known[key].id.is_some())
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        let connected = |key: &usize| self.peers[*key].connected;
        let keys: Vec<_> = self.by_id.values().copied().filter(connected).collect();
        // All are asked, to be told of each that takes messages again.
        keys.into_iter().filter(|&key| peers.has_room(key)).count() > 0
    }
}
