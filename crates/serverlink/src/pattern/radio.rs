//! RADIO (RFC 48): every message goes to all peers that have joined its group.
//!
//! To its peers a message is two frames: the group, and the body.

use std::{collections::HashMap, mem};

use super::{Pattern, dish::check_group, single_part::check_single};
use crate::{Error, Message, Result, SocketType, socket::Peers};

#[derive(Debug, Default)]
pub(crate) struct Radio {
    /// The peers in each group, once each however often they joined.
    groups: HashMap<Box<[u8]>, Vec<usize>>,
    /// Those that cannot tell: they get everything.
    unknown: Vec<usize>,
    peers: Vec<Peer>,
    matched: Vec<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Peer {
    writable: bool,
    /// Whether it has been connected before.
    known: bool,
}

impl Radio {
    fn joined(&mut self, key: usize, group: &[u8]) {
        if let Some(members) = self.groups.get_mut(group) {
            if !members.contains(&key) {
                members.push(key);
            }
        } else {
            self.groups.insert(group.into(), vec![key]);
        }
    }

    fn left(&mut self, key: usize, group: &[u8]) {
        if let Some(members) = self.groups.get_mut(group) {
            members.retain(|&member| member != key);
            if members.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    fn forget(&mut self, key: usize) {
        self.groups.retain(|_, members| {
            members.retain(|&member| member != key);
            !members.is_empty()
        });
    }
}

impl Pattern for Radio {
    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        if peers.is_datagrams(key) {
            self.unknown.push(key);
        }
        if self.peers.len() <= key {
            self.peers.resize(key + 1, Peer::default());
        }
        self.peers[key] = Peer { writable: true, known: false };
        true
    }

    fn ready(&mut self, key: usize, _peers: &mut Peers) -> bool {
        if mem::replace(&mut self.peers[key].known, true) {
            // Connected anew: it joins again what it wants.
            self.forget(key);
        }
        true
    }

    fn closed(&mut self, key: usize, _peers: &mut Peers) {
        self.peers[key].writable = false;
        self.unknown.retain(|&other| other != key);
        self.forget(key);
    }

    fn detach(&mut self, key: usize, peers: &mut Peers) {
        self.closed(key, peers);
    }

    fn readable(&mut self, key: usize, peers: &mut Peers) {
        let mut message = Message::new();
        while peers.read(key, &mut message) {
            match mem::take(&mut message).membership() {
                Some((group, true)) => self.joined(key, group),
                Some((group, false)) => self.left(key, group),
                // Whatever else a DISH says is not for us.
                None => {}
            }
        }
    }

    fn writable(&mut self, key: usize, _peers: &mut Peers) {
        self.peers[key].writable = true;
    }

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        check_single(message)?;
        let group = message.group().unwrap_or_default();
        check_group(group).map_err(Error::InvalidMessage)?;
        self.matched.clear();
        self.matched.extend(self.groups.get(group).into_iter().flatten().chain(&self.unknown));
        let nodrop = peers.options.xpub_nodrop;
        if nodrop && !self.matched.iter().all(|&key| peers.has_room(key)) {
            return Err(Error::WouldBlock);
        }
        if !nodrop {
            // One whose high-water mark is reached does not get it.
            self.matched.retain(|&key| {
                let writable = self.peers[key].writable;
                if !writable {
                    peers.note_dropped(key);
                }
                writable
            });
        }
        if !self.matched.is_empty() {
            let states = &mut self.peers;
            let framed = message.with_group_framed();
            peers.write_copies(&self.matched, &framed, |key, taken| states[key].writable = taken);
        }
        Ok(())
    }

    fn receive(&mut self, _message: &mut Message, _peers: &mut Peers) -> Result<()> {
        Err(Error::NotSupported { socket_type: SocketType::Radio, operation: "receive" })
    }
    fn can_receive(&mut self, _peers: &mut Peers) -> bool {
        false
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        if !peers.options.xpub_nodrop {
            return true;
        }
        let keys: Vec<_> = peers.keys().filter(|&key| !peers.is_closed(key)).collect();
        keys.into_iter().all(|key| peers.has_room(key))
    }
}
