//! Who asks one question of a handler within the process (RFC 27), on behalf of a connection.

use std::sync::Weak;

use super::Pattern;
use crate::{Error, Message, Result, pipe::Effect, socket::Peers, transport::Connection};

/// Tells the connection when it is answered, and when it never will be.
#[derive(Debug)]
pub(crate) struct Inquiry {
    connection: Weak<Connection>,
    peer: Option<usize>,
}

impl Inquiry {
    pub(crate) fn new(connection: Weak<Connection>) -> Self {
        Self { connection, peer: None }
    }

    fn tell(&self, peers: &mut Peers) {
        peers.effects.push(Effect::Answered(self.connection.clone()));
    }
}

impl Pattern for Inquiry {
    fn attach(&mut self, key: usize, _peers: &mut Peers) -> bool {
        self.peer = Some(key);
        true
    }

    fn closed(&mut self, _key: usize, peers: &mut Peers) {
        self.tell(peers);
    }

    fn detach(&mut self, _key: usize, peers: &mut Peers) {
        self.peer = None;
        self.tell(peers);
    }

    fn readable(&mut self, _key: usize, peers: &mut Peers) {
        self.tell(peers);
    }

    fn writable(&mut self, _key: usize, _peers: &mut Peers) {}

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        let peer = self.peer.ok_or(Error::WouldBlock)?;
        peers.write(peer, message).map_err(|_| Error::WouldBlock)
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        match self.peer {
            Some(peer) if peers.read(peer, message) => Ok(()),
            Some(peer) if !peers.is_closed(peer) => Err(Error::WouldBlock),
            _ => Err(Error::Closed),
        }
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        self.peer.is_some_and(|peer| peers.fill(peer))
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        self.peer.is_some_and(|peer| peers.has_room(peer))
    }
}
