//! PULL (RFC 30): messages are taken from all peers in turn.

use super::{Pattern, rotation::Rotation};
use crate::{Error, Message, Result, SocketType, socket::Peers};

#[derive(Debug, Default)]
pub(crate) struct Pull {
    turns: Rotation,
}

impl Pattern for Pull {
    fn attach(&mut self, key: usize, _peers: &mut Peers) -> bool {
        self.turns.insert(key);
        true
    }

    fn closed(&mut self, _key: usize, _peers: &mut Peers) {}

    fn detach(&mut self, key: usize, _peers: &mut Peers) {
        self.turns.remove(key);
    }

    fn readable(&mut self, key: usize, _peers: &mut Peers) {
        self.turns.activate(key);
    }

    fn writable(&mut self, _key: usize, _peers: &mut Peers) {}

    fn send(&mut self, _message: &mut Message, _peers: &mut Peers) -> Result<()> {
        Err(Error::NotSupported { socket_type: SocketType::Pull, operation: "send" })
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        self.turns.receive(message, peers).map(|_| ())
    }

    fn sender(&self) -> Option<usize> {
        self.turns.previous()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        self.turns.has_message(peers, |_, _| true)
    }

    fn can_send(&mut self, _peers: &mut Peers) -> bool {
        false
    }
}
