//! CLIENT (RFC 41), SCATTER and GATHER (RFC 49), and CHANNEL (RFC 52): what DEALER, PUSH, PULL and
//! PAIR are, but for messages of one frame only.

use super::Pattern;
use crate::{
    Error, Message, Result, SocketType,
    socket::{PeerInfo, Peers},
};

/// A pattern that takes, and gives, messages of one frame.
#[derive(Debug)]
pub(crate) struct SinglePart<P> {
    socket_type: SocketType,
    inner: P,
    /// Received when it was asked whether there is one; and of whom.
    next: Option<(Message, Option<PeerInfo>)>,
}

impl<P> SinglePart<P> {
    pub(super) fn new(socket_type: SocketType, inner: P) -> Self {
        Self { socket_type, inner, next: None }
    }

    /// An error of the inner pattern, which calls itself by another name.
    fn named(&self, error: Error) -> Error {
        match error {
            Error::NotSupported { operation, .. } => {
                Error::NotSupported { socket_type: self.socket_type, operation }
            }
            other => other,
        }
    }
}

/// Refuses messages of several frames, as all of these types do.
pub(super) fn check_single(message: &Message) -> Result<()> {
    if message.len() == 1 {
        return Ok(());
    }
    Err(Error::InvalidMessage("a message of a socket of this type has one frame"))
}

impl<P: Pattern> Pattern for SinglePart<P> {
    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        self.inner.attach(key, peers)
    }

    fn ready(&mut self, key: usize, peers: &mut Peers) -> bool {
        self.inner.ready(key, peers)
    }

    fn lost(&mut self, key: usize, peers: &mut Peers) {
        self.inner.lost(key, peers);
    }

    fn closed(&mut self, key: usize, peers: &mut Peers) {
        self.inner.closed(key, peers);
    }

    fn detach(&mut self, key: usize, peers: &mut Peers) {
        self.inner.detach(key, peers);
    }

    fn readable(&mut self, key: usize, peers: &mut Peers) {
        self.inner.readable(key, peers);
    }

    fn writable(&mut self, key: usize, peers: &mut Peers) {
        self.inner.writable(key, peers);
    }

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        let result = check_single(message).and_then(|()| self.inner.send(message, peers));
        result.map_err(|error| self.named(error))
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        if let Some((next, _)) = self.next.take() {
            *message = next;
            return Ok(());
        }
        loop {
            self.inner.receive(message, peers).map_err(|error| self.named(error))?;
            // What has several frames is discarded, as the RFCs want.
            if message.len() == 1 {
                return Ok(());
            }
        }
    }

    fn receive_from(
        &mut self,
        message: &mut Message,
        peers: &mut Peers,
    ) -> Result<Option<PeerInfo>> {
        if let Some((next, source)) = self.next.take() {
            *message = next;
            return Ok(source);
        }
        self.receive(message, peers)?;
        Ok(self.sender().and_then(|key| peers.source(key)).cloned())
    }

    fn sender(&self) -> Option<usize> {
        self.inner.sender()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        if self.next.is_none() {
            let mut message = Message::new();
            let received = self.receive_from(&mut message, peers);
            self.next = received.ok().map(|source| (message, source));
        }
        self.next.is_some()
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        self.inner.can_send(peers)
    }
}
