//! PAIR (RFC 31): one peer, both ways; every further one is refused.

use super::{Pattern, writable_at_attach};
use crate::{Error, Message, Result, socket::Peers};

#[derive(Debug, Default)]
pub(crate) struct Pair {
    peer: Option<usize>,
    writable: bool,
    readable: bool,
    /// A peer that left; what it had sent can still be read.
    leaving: Option<usize>,
}

impl Pattern for Pair {
    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        if self.peer.is_some() {
            return false;
        }
        self.peer = Some(key);
        self.writable = writable_at_attach(peers, key);
        self.readable = false;
        true
    }

    fn ready(&mut self, key: usize, _peers: &mut Peers) -> bool {
        self.writable |= self.peer == Some(key);
        true
    }

    fn lost(&mut self, _key: usize, peers: &mut Peers) {
        self.writable &= !peers.options.immediate;
    }

    fn closed(&mut self, key: usize, _peers: &mut Peers) {
        if self.peer == Some(key) {
            self.peer = None;
            self.writable = false;
            self.leaving = self.readable.then_some(key);
            self.readable = false;
        }
    }

    fn detach(&mut self, key: usize, _peers: &mut Peers) {
        if self.leaving == Some(key) {
            self.leaving = None;
        }
        if self.peer == Some(key) {
            *self = Self { leaving: self.leaving, ..Self::default() };
        }
    }

    fn readable(&mut self, key: usize, _peers: &mut Peers) {
        self.readable |= self.peer == Some(key);
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
        if let Some(key) = self.leaving {
            match peers.read(key, message) {
                Some(_) => return Ok(()),
                None => self.leaving = None,
            }
        }
        let key = self.peer.filter(|_| self.readable).ok_or(Error::WouldBlock)?;
        let more = peers.read(key, message);
        self.readable = more == Some(true);
        more.map(|_| ()).ok_or(Error::WouldBlock)
    }
}
