//! ROUTER (RFC 28): every peer has a routing id, which the first frame of each message names.

use std::collections::HashMap;

use bytes::Bytes;

use super::{Pattern, rotation::Rotation};
use crate::{Error, Frame, Message, Result, pipe::Refused, socket::Peers};

#[derive(Debug)]
pub(crate) struct Router {
    turns: Rotation,
    by_id: HashMap<Frame, usize>,
    /// The ids of the peers, by their keys.
    ids: Vec<Option<Frame>>,
    /// Those of them that the user has given.
    given: Vec<usize>,
    fresh: FreshIds,
}

/// Ids for peers that have none of their own: five bytes that begin with zero.
#[derive(Debug)]
pub(super) struct FreshIds {
    next: u32,
}

impl FreshIds {
    pub(super) fn new() -> Self {
        Self { next: fastrand::u32(..) }
    }

    /// An id that is not in use.
    pub(super) fn next(&mut self, in_use: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            let mut id = [0; 5];
            id[1..].copy_from_slice(&self.next.to_be_bytes());
            self.next = self.next.wrapping_add(1);
            let id = Frame::from(id);
            if !in_use(&id) {
                return id;
            }
        }
    }
}

impl Router {
    pub(crate) fn new() -> Self {
        Self {
            turns: Rotation::default(),
            by_id: HashMap::new(),
            ids: Vec::new(),
            given: Vec::new(),
            fresh: FreshIds::new(),
        }
    }

    /// Sends bytes to a peer that speaks no ZMTP, or none at all, which end its connection.
    #[cold]
    fn send_raw(&mut self, key: usize, body: &Frame, peers: &mut Peers) -> Result<(), Refused> {
        if !body.is_empty() {
            return peers.write_raw(key, body);
        }
        // What it has sent, and sends yet, is not wanted any more.
        self.forget(key);
        self.ids[key] = None;
        self.given.retain(|&named| named != key);
        peers.finish(key);
        Ok(())
    }

    fn forget(&mut self, key: usize) {
        if let Some(id) = self.ids.get(key).and_then(Option::as_ref)
            && self.by_id.get(id) == Some(&key)
        {
            self.by_id.remove(id);
        }
    }
}

impl Pattern for Router {
    fn name(&mut self, key: usize, routing_id: &[u8]) -> bool {
        if routing_id.is_empty() {
            return true;
        }
        let id = Frame::copy_from_slice(routing_id);
        if self.by_id.contains_key(&id) {
            return false;
        }
        if self.ids.len() <= key {
            self.ids.resize(key + 1, None);
        }
        self.by_id.insert(id.clone(), key);
        self.ids[key] = Some(id);
        self.given.push(key);
        true
    }

    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        peers.probe(key);
        self.turns.insert(key);
        if self.ids.len() <= key {
            self.ids.resize(key + 1, None);
        }
        true
    }

    fn ready(&mut self, key: usize, peers: &mut Peers) -> bool {
        let announced =
            peers.info(key).map_or_else(Frame::new, |info| Frame::from(info.routing_id.clone()));
        let known =
            self.ids[key].as_ref() == Some(&announced) && self.by_id.get(&announced) == Some(&key);
        if known || self.given.contains(&key) {
            // The same peer, connected anew, or one whose own name does not matter.
        } else {
            let id = if announced.is_empty() {
                match &self.ids[key] {
                    Some(old) if self.by_id.get(old) == Some(&key) => old.clone(),
                    _ => self.fresh.next(|id| self.by_id.contains_key(id)),
                }
            } else {
                announced
            };
            if let Some(&other) = self.by_id.get(&id)
                && other != key
            {
                if !peers.options.router_handover {
                    // The id is taken: the newcomer is turned away, and may try again once the
                    // other has left.
                    return false;
                }
                self.ids[other] = None;
                self.given.retain(|&named| named != other);
                if peers.comes_back(other) {
                    // It stays, without an id: once it is connected anew, it may have that again.
                    peers.discard(other);
                } else {
                    peers.mark_ended(other);
                }
            }
            if self.ids[key].is_none() && peers.comes_back(key) {
                // It had lost its id: what it sent meanwhile is nobody's.
                while peers.read(key, &mut Message::new()) {}
            }
            self.forget(key);
            self.by_id.insert(id.clone(), key);
            self.ids[key] = Some(id);
        }
        true
    }

    fn lost(&mut self, key: usize, peers: &mut Peers) {
        if peers.is_raw(key) {
            // The rest of one stream is not the beginning of another.
            peers.discard(key);
        }
    }

    fn closed(&mut self, key: usize, _peers: &mut Peers) {
        // Its id is free again; what it sent is still delivered under it.
        self.forget(key);
    }

    fn detach(&mut self, key: usize, _peers: &mut Peers) {
        self.forget(key);
        if let Some(id) = self.ids.get_mut(key) {
            *id = None;
        }
        self.given.retain(|&named| named != key);
        self.turns.remove(key);
    }

    fn readable(&mut self, key: usize, _peers: &mut Peers) {
        self.turns.activate(key);
    }

    fn writable(&mut self, _key: usize, _peers: &mut Peers) {}

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        let mandatory = peers.options.router_mandatory;
        let Some(id) = message.pop_front() else {
            return Err(Error::InvalidMessage("a message has at least one frame"));
        };
        if message.is_empty() {
            message.push_front(id);
            return Err(Error::InvalidMessage(
                "a ROUTER's message is a routing id and at least one frame",
            ));
        }
        let Some(&key) = self.by_id.get(&id) else {
            if !mandatory {
                return Ok(());
            }
            let routing_id = id.escape_ascii().to_string();
            message.push_front(id);
            return Err(Error::HostUnreachable { routing_id });
        };
        let result = if !peers.is_raw(key) {
            peers.write(key, message)
        } else if let (Some(body), 1) = (message.frame(0), message.len()) {
            self.send_raw(key, body, peers)
        } else {
            message.push_front(id);
            return Err(Error::InvalidMessage(
                "for a peer that speaks no ZMTP a message is a routing id and one frame of bytes",
            ));
        };
        match result {
            Err(Refused::Full | Refused::Gone) if mandatory => {
                message.push_front(id);
                Err(Error::WouldBlock)
            }
            // Otherwise what cannot be sent is dropped: ROUTER never blocks.
            Err(_) => {
                peers.note_dropped(key);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    fn routing_id(&self, key: usize) -> Option<Bytes> {
        self.ids.get(key)?.as_ref().map(Frame::to_bytes)
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        loop {
            let key = self.turns.receive(message, peers)?;
            if let Some(id) = &self.ids[key] {
                message.push_front(id.clone());
                return Ok(());
            }
        }
    }

    fn sender(&self) -> Option<usize> {
        self.turns.previous()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        let Self { turns, ids, .. } = self;
        turns.has_message(peers, |key, _| ids[key].is_some())
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        // It drops what cannot be sent, unless it is mandatory: then somebody must take it.
        !peers.options.router_mandatory || {
            let keys: Vec<_> = self.by_id.values().copied().collect();
            // All are asked, to be told of each that takes messages again.
            keys.into_iter().filter(|&key| peers.has_room(key)).count() > 0
        }
    }
}
