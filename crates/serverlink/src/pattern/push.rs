//! PUSH (RFC 30): messages are dealt out in turn; with nobody to take one, it waits.

use super::{Pattern, may_have_messages, rotation::Rotation};
use crate::{Error, Message, Result, SocketType, socket::Peers};

#[derive(Debug, Default)]
pub(crate) struct Push {
    turns: Rotation,
}

impl Pattern for Push {
    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        self.turns.insert(key);
        if may_have_messages(peers, key) {
            self.turns.activate(key);
        }
        true
    }

    fn ready(&mut self, key: usize, _peers: &mut Peers) -> bool {
        self.turns.activate(key);
        true
    }

    fn lost(&mut self, key: usize, peers: &mut Peers) {
        if peers.is_immediate(key) {
            self.turns.deactivate(key);
        }
    }

    fn closed(&mut self, key: usize, _peers: &mut Peers) {
        self.turns.remove(key);
    }

    fn detach(&mut self, key: usize, _peers: &mut Peers) {
        self.turns.remove(key);
    }

    fn readable(&mut self, key: usize, peers: &mut Peers) {
        // Whatever a PULL says is not for us.
        while peers.read(key, &mut Message::new()) {}
    }

    fn writable(&mut self, key: usize, _peers: &mut Peers) {
        self.turns.activate(key);
    }

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        self.turns.send(message, peers).map(|_| ())
    }

    fn receive(&mut self, _message: &mut Message, _peers: &mut Peers) -> Result<()> {
        Err(Error::NotSupported { socket_type: SocketType::Push, operation: "receive" })
    }

    fn can_receive(&mut self, _peers: &mut Peers) -> bool {
        false
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        self.turns.has_room(peers)
    }
}
