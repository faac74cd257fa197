//! DEALER (RFC 28): messages are dealt out in turn, and taken from all peers in turn.

use super::{Pattern, refuse, rotation::Rotation, writable_at_attach};
use crate::{Error, Frame, Message, Result, SendError, socket::Peers};

#[derive(Debug, Default)]
pub(crate) struct Dealer {
    pub(super) outward: Rotation,
    pub(super) inward: Rotation,
}

impl Pattern for Dealer {
    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        self.outward.insert(key);
        self.inward.insert(key);
        if writable_at_attach(peers, key) {
            self.outward.activate(key);
        }
        true
    }

    fn ready(&mut self, key: usize, peers: &mut Peers) -> bool {
        self.outward.activate(key);
        if peers.options.probe_router {
            // A full pipe has something better to announce us with.
            let _ = peers.write(key, Message::from(Frame::new()));
        }
        true
    }

    fn lost(&mut self, key: usize, peers: &mut Peers) {
        if peers.options.immediate {
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

    fn send(&mut self, message: Message, peers: &mut Peers) -> Result<(), SendError> {
        match self.outward.send(message, peers) {
            Ok(_) => Ok(()),
            Err(message) => refuse(Error::WouldBlock, message),
        }
    }

    fn receive(&mut self, peers: &mut Peers) -> Result<Message> {
        self.inward.receive(peers).map(|(_, message)| message).ok_or(Error::WouldBlock)
    }
}
