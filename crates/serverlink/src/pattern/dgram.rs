//! DGRAM: datagrams from and to anybody, over UDP. A message is an address and a body.

use super::Pattern;
use crate::{
    Error, Message, Result,
    socket::Peers,
    transport::{LONGEST_BODY, parse_address},
};

#[derive(Debug, Default)]
pub(crate) struct Dgram {
    /// What it is bound to.
    bound: Option<usize>,
}

impl Pattern for Dgram {
    fn attach(&mut self, key: usize, _peers: &mut Peers) -> bool {
        let free = self.bound.is_none();
        if free {
            self.bound = Some(key);
        }
        free
    }

    fn closed(&mut self, key: usize, peers: &mut Peers) {
        if self.bound == Some(key) {
            self.bound = None;
            while peers.read(key, &mut Message::new()) {}
        }
    }

    fn detach(&mut self, key: usize, peers: &mut Peers) {
        self.closed(key, peers);
    }

    fn readable(&mut self, _key: usize, _peers: &mut Peers) {}

    fn writable(&mut self, _key: usize, _peers: &mut Peers) {}

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        let (Some(to), Some(body), 2) = (message.frame(0), message.frame(1), message.len()) else {
            return Err(Error::InvalidMessage("a DGRAM's message is an address and one frame"));
        };
        if parse_address(to).is_none() {
            return Err(Error::InvalidMessage(
                "the first frame is no address, such as 10.0.0.1:80",
            ));
        }
        if body.len() > LONGEST_BODY {
            return Err(Error::InvalidMessage("a datagram has at most 65507 bytes"));
        }
        let key = self.bound.ok_or(Error::WouldBlock)?;
        peers.write(key, message).map_err(|_| Error::WouldBlock)
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        match self.bound {
            Some(key) if peers.read(key, message) => Ok(()),
            _ => Err(Error::WouldBlock),
        }
    }
    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        self.bound.is_some_and(|key| peers.fill(key))
    }

    fn can_send(&mut self, _peers: &mut Peers) -> bool {
        self.bound.is_some()
    }
}
