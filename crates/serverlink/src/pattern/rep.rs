//! REP (RFC 28): one request in, its reply out, in lockstep.

use super::{Pattern, rotation::Rotation};
use crate::{Error, Frame, Message, Result, socket::Peers};

#[derive(Debug, Default)]
pub(crate) struct Rep {
    turns: Rotation,
    state: State,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Idle,
    /// A request was received: from whom (none once it has left), and its envelope with the
    /// delimiter.
    Serving { peer: Option<usize>, envelope: Vec<Frame> },
}

impl Pattern for Rep {
    fn attach(&mut self, key: usize, _peers: &mut Peers) -> bool {
        self.turns.insert(key);
        true
    }

    fn closed(&mut self, key: usize, _peers: &mut Peers) {
        if let State::Serving { peer, .. } = &mut self.state
            && *peer == Some(key)
        {
            *peer = None;
        }
    }

    fn detach(&mut self, key: usize, peers: &mut Peers) {
        self.closed(key, peers);
        self.turns.remove(key);
    }

    fn readable(&mut self, key: usize, _peers: &mut Peers) {
        self.turns.activate(key);
    }

    fn writable(&mut self, _key: usize, _peers: &mut Peers) {}

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        let State::Serving { peer, envelope } = std::mem::take(&mut self.state) else {
            return Err(Error::InvalidState(
                "a REP socket must receive a request before it replies",
            ));
        };
        if let Some(key) = peer {
            message.prepend(envelope);
            // A peer that left, or takes no more, gets no reply: REP never blocks.
            if peers.write(key, message).is_err() {
                peers.note_dropped(key);
            }
        }
        Ok(())
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        if let State::Serving { .. } = self.state {
            return Err(Error::InvalidState(
                "a REP socket must reply to the last request before it receives the next",
            ));
        }
        loop {
            let key = self.turns.receive(message, peers)?;
            if let Some(end) = end_of_envelope(message) {
                let envelope = message.split_front(end);
                self.state = State::Serving { peer: Some(key), envelope };
                return Ok(());
            }
            // No envelope, or nothing in it: not a request.
        }
    }

    fn sender(&self) -> Option<usize> {
        self.turns.previous()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        matches!(self.state, State::Idle)
            && self.turns.has_message(peers, |_, message| end_of_envelope(message).is_some())
    }

    fn can_send(&mut self, _peers: &mut Peers) -> bool {
        matches!(self.state, State::Serving { .. })
    }
}

/// Where the request begins in a message that is one: after the first empty frame.
fn end_of_envelope(message: &Message) -> Option<usize> {
    let end = message.iter().position(|frame| frame.is_empty())? + 1;
    (end < message.len()).then_some(end)
}
