//! PAIR (RFC 31): one peer, both ways; every further one is refused.

use super::{Pattern, refuse, writable_at_attach};
use crate::{Error, Message, Result, SendError, pipe::Refused, socket::Peers};

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

    fn send(&mut self, message: Message, peers: &mut Peers) -> Result<(), SendError> {
        let Some(key) = self.peer.filter(|_| self.writable) else {
            return refuse(Error::WouldBlock, message);
        };
        match peers.write(key, message) {
            Ok(()) => Ok(()),
            Err(Refused::Full(message) | Refused::Gone(message)) => {
                self.writable = false;
                refuse(Error::WouldBlock, message)
            }
        }
    }

    fn receive(&mut self, peers: &mut Peers) -> Result<Message> {
        if let Some(key) = self.leaving {
            match peers.read(key) {
                Some((message, _)) => return Ok(message),
                None => self.leaving = None,
            }
        }
        let key = self.peer.filter(|_| self.readable).ok_or(Error::WouldBlock)?;
        match peers.read(key) {
            Some((message, more)) => {
                self.readable = more;
                Ok(message)
            }
            None => {
                self.readable = false;
                Err(Error::WouldBlock)
            }
        }
    }
}
