//! DISH (RFC 48): messages of the groups it has joined, from all peers in turn.

use std::collections::HashSet;

use super::{Pattern, rotation::Rotation};
use crate::{Error, Message, Result, SocketType, socket::Peers};

/// Longest name of a group (RFC 48).
const LONGEST_GROUP: usize = 255;

#[derive(Debug, Default)]
pub(crate) struct Dish {
    turns: Rotation,
    joined: HashSet<Box<[u8]>>,
}

/// Says what is wrong with the name of a group, if anything is.
pub(super) fn check_group(group: &[u8]) -> Result<(), &'static str> {
    if group.len() > LONGEST_GROUP || group.contains(&0) {
        return Err("a group has at most 255 bytes, none of which is zero");
    }
    Ok(())
}

impl Pattern for Dish {
    fn attach(&mut self, key: usize, _peers: &mut Peers) -> bool {
        self.turns.insert(key);
        true
    }

    fn ready(&mut self, key: usize, peers: &mut Peers) -> bool {
        for group in &self.joined {
            peers.write_membership(key, group, true);
        }
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
        Err(Error::NotSupported { socket_type: SocketType::Dish, operation: "send" })
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        loop {
            self.turns.receive(message, peers)?;
            // The group, and the body. A radio may send more than was asked for, or late.
            if message.len() == 2
                && let Some(group) = message.pop_front()
                && self.joined.contains(&*group)
            {
                message.set_group(&group);
                return Ok(());
            }
        }
    }

    fn sender(&self) -> Option<usize> {
        self.turns.previous()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        let Self { turns, joined } = self;
        turns.has_message(peers, |_, message| {
            message.len() == 2 && message.frame(0).is_some_and(|group| joined.contains(&**group))
        })
    }

    fn can_send(&mut self, _peers: &mut Peers) -> bool {
        false
    }

    fn change_membership(&mut self, group: &[u8], join: bool, peers: &mut Peers) -> Result<()> {
        let invalid =
            |reason: &str| Error::InvalidOption { option: "group", reason: reason.into() };
        check_group(group).map_err(invalid)?;
        let changed =
            if join { self.joined.insert(group.into()) } else { self.joined.remove(group) };
        if !changed {
            return Err(invalid(if join {
                "the socket has joined it already"
            } else {
                "the socket has not joined it"
            }));
        }
        let keys: Vec<_> = peers.keys().collect();
        for key in keys {
            peers.write_membership(key, group, join);
        }
        Ok(())
    }
}
