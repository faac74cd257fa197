//! The side of a PAIR that publishes what happens to another socket: it never waits, and keeps what
//! nobody takes yet, up to a limit.

use std::{collections::VecDeque, mem};

use super::Pattern;
use crate::{Error, Message, Result, socket::Peers};

/// How many messages are kept until they are taken.
const MOST: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Announce {
    peer: Option<usize>,
    waiting: VecDeque<Message>,
}

impl Announce {
    fn flush(&mut self, peers: &mut Peers) {
        let Some(peer) = self.peer else { return };
        while let Some(message) = self.waiting.front_mut() {
            if peers.write(peer, message).is_err() {
                break;
            }
            self.waiting.pop_front();
        }
    }
}

impl Pattern for Announce {
    fn attach(&mut self, key: usize, _peers: &mut Peers) -> bool {
        let alone = self.peer.is_none();
        if alone {
            self.peer = Some(key);
        }
        alone
    }

    fn ready(&mut self, _key: usize, peers: &mut Peers) -> bool {
        self.flush(peers);
        true
    }

    fn closed(&mut self, key: usize, _peers: &mut Peers) {
        if self.peer == Some(key) {
            self.peer = None;
        }
    }

    fn detach(&mut self, key: usize, peers: &mut Peers) {
        self.closed(key, peers);
    }

    fn readable(&mut self, key: usize, peers: &mut Peers) {
        // Nobody wants to know what it says.
        let mut message = Message::new();
        while peers.read(key, &mut message) {
            message = Message::new();
        }
    }

    fn writable(&mut self, _key: usize, peers: &mut Peers) {
        self.flush(peers);
    }

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        if self.waiting.len() < MOST {
            self.waiting.push_back(mem::take(message));
        }
        self.flush(peers);
        Ok(())
    }

    fn receive(&mut self, _message: &mut Message, _peers: &mut Peers) -> Result<()> {
        Err(Error::WouldBlock)
    }

    fn can_receive(&mut self, _peers: &mut Peers) -> bool {
        false
    }

    fn can_send(&mut self, _peers: &mut Peers) -> bool {
        true
    }
}
