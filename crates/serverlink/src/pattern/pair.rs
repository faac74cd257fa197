//! PAIR (RFC 31): one peer, both ways; every further one is refused.

use std::{collections::VecDeque, mem};

use super::{Pattern, may_have_messages};
use crate::{Error, Message, Result, socket::Peers};

#[derive(Debug, Default)]
pub(crate) struct Pair {
    peer: Option<usize>,
    writable: bool,
    readable: bool,
    /// Peers that left, and have sent what is still to be read; the first to leave first.
    leaving: VecDeque<usize>,
}

impl Pattern for Pair {
    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        if self.peer.is_some() {
            return false;
        }
        self.peer = Some(key);
        self.writable = may_have_messages(peers, key);
        self.readable = false;
        true
    }

    fn ready(&mut self, key: usize, _peers: &mut Peers) -> bool {
        self.writable |= self.peer == Some(key);
        true
    }

    fn lost(&mut self, key: usize, peers: &mut Peers) {
        self.writable &= !peers.is_immediate(key);
    }

    fn closed(&mut self, key: usize, _peers: &mut Peers) {
        if self.peer == Some(key) {
            self.peer = None;
            self.writable = false;
            if mem::take(&mut self.readable) {
                self.leaving.push_back(key);
            }
        }
    }

    fn detach(&mut self, key: usize, _peers: &mut Peers) {
        self.leaving.retain(|&left| left != key);
        if self.peer == Some(key) {
            *self = Self { leaving: mem::take(&mut self.leaving), ..Self::default() };
        }
    }

    fn readable(&mut self, key: usize, _peers: &mut Peers) {
        if self.peer == Some(key) {
            self.readable = true;
        } else if !self.leaving.contains(&key) {
            self.leaving.push_back(key);
        }
    }

    fn writable(&mut self, key: usize, _peers: &mut Peers) {
        self.writable |= self.peer == Some(key);
    }

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        let Some(key) = self.peer.filter(|_| self.writable) else {
            return Err(Error::WouldBlock);
        };
        peers.write(key, message).map_err(|_| {
            self.writable = false;
            Error::WouldBlock
        })
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        while let Some(&key) = self.leaving.front() {
            if peers.read(key, message) {
                return Ok(());
            }
            self.leaving.pop_front();
        }
        let key = self.peer.filter(|_| self.readable).ok_or(Error::WouldBlock)?;
        self.readable = peers.read(key, message);
        if self.readable { Ok(()) } else { Err(Error::WouldBlock) }
    }

    fn sender(&self) -> Option<usize> {
        self.leaving.front().copied().or(self.peer)
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        while let Some(&key) = self.leaving.front() {
            if peers.fill(key) {
                return true;
            }
            self.leaving.pop_front();
        }
        self.readable = self.readable && self.peer.is_some_and(|key| peers.fill(key));
        self.readable
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        self.writable = self.writable && self.peer.is_some_and(|key| peers.has_room(key));
        self.writable
    }
}
