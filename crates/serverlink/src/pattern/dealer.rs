//! DEALER (RFC 28): messages are dealt out in turn, and taken from all peers in turn.

use super::{Pattern, may_have_messages, rotation::Rotation};
use crate::{Message, Result, socket::Peers};

#[derive(Debug, Default)]
pub(crate) struct Dealer {
    pub(super) outward: Rotation,
    pub(super) inward: Rotation,
}

impl Pattern for Dealer {
    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        peers.probe(key);
        self.outward.insert(key);
        self.inward.insert(key);
        if may_have_messages(peers, key) {
            self.outward.activate(key);
        }
        true
    }

    fn ready(&mut self, key: usize, _peers: &mut Peers) -> bool {
        self.outward.activate(key);
        true
    }

    fn lost(&mut self, key: usize, peers: &mut Peers) {
        if peers.is_immediate(key) {
            self.outward.deactivate(key);
        }
    }

    fn closed(&mut self, key: usize, _peers: &mut Peers) {
        self.outward.remove(key);
    }

    fn detach(&mut self, key: usize, _peers: &mut Peers) {
        self.outward.remove(key);
        self.inward.remove(key);
    }

    fn readable(&mut self, key: usize, _peers: &mut Peers) {
        self.inward.activate(key);
    }

    fn writable(&mut self, key: usize, _peers: &mut Peers) {
        self.outward.activate(key);
    }

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        self.outward.send(message, peers).map(|_| ())
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        self.inward.receive(message, peers).map(|_| ())
    }

    fn sender(&self) -> Option<usize> {
        self.inward.previous()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        self.inward.has_message(peers, |_, _| true)
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        self.outward.has_room(peers)
    }
}
