//! REQ (RFC 28): one request out, its reply back, in lockstep.

use super::{Pattern, dealer::Dealer};
use crate::{Error, Frame, Message, Result, socket::Peers};

#[derive(Debug)]
pub(crate) struct Req {
    peers: Dealer,
    state: State,
    /// Numbers requests, where replies are matched with them.
    request: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// The peer that has our request; none once it has left.
    Awaiting(Option<usize>),
}

impl Req {
    pub(crate) fn new() -> Self {
        Self { peers: Dealer::default(), state: State::Idle, request: fastrand::u32(..) }
    }

    /// Takes the envelope off; true if the message is a reply to our request.
    fn open(&self, message: &mut Message, correlate: bool) -> bool {
        if correlate && message.pop_front().is_none_or(|id| *id != self.request.to_be_bytes()) {
            return false;
        }
        message.pop_front().is_some_and(|delimiter| delimiter.is_empty()) && !message.is_empty()
    }
}

impl Pattern for Req {
    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        self.peers.attach(key, peers)
    }

    fn ready(&mut self, key: usize, peers: &mut Peers) -> bool {
        self.peers.ready(key, peers)
    }

    fn lost(&mut self, key: usize, peers: &mut Peers) {
        self.peers.lost(key, peers);
    }

    fn closed(&mut self, key: usize, peers: &mut Peers) {
        self.peers.closed(key, peers);
    }

    fn detach(&mut self, key: usize, peers: &mut Peers) {
        self.peers.detach(key, peers);
        if self.state == State::Awaiting(Some(key)) {
            // The key may go to another peer: its messages are not the reply.
            self.state = State::Awaiting(None);
        }
    }

    fn readable(&mut self, key: usize, peers: &mut Peers) {
        self.peers.readable(key, peers);
    }

    fn writable(&mut self, key: usize, peers: &mut Peers) {
        self.peers.writable(key, peers);
    }

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        if self.state != State::Idle {
            if !peers.options.req_relaxed {
                return Err(Error::InvalidState(
                    "a REQ socket that awaits a reply must receive it first, or be relaxed",
                ));
            }
            // It may be there already, and is still awaited if nobody takes another request.
            if !self.peers.outward.has_room(peers) {
                return Err(Error::WouldBlock);
            }
        }
        // What is there already answers nothing that is still to be asked, though it may come from
        // the peer that will be. libzmq drops it here, too.
        while self.peers.inward.receive(&mut Message::new(), peers).is_ok() {}
        let request = self.request.wrapping_add(1);
        message.push_front(Frame::new());
        if peers.options.req_correlate {
            message.push_front(request.to_be_bytes());
        }
        match self.peers.outward.send(message, peers) {
            Ok(key) => {
                self.request = request;
                self.state = State::Awaiting(Some(key));
                Ok(())
            }
            Err(error) => {
                message.split_front(1 + usize::from(peers.options.req_correlate));
                Err(error)
            }
        }
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        let State::Awaiting(awaited) = self.state else {
            return Err(Error::InvalidState("a REQ socket must send a request before it receives"));
        };
        loop {
            let key = self.peers.inward.receive(message, peers)?;
            if awaited == Some(key) && self.open(message, peers.options.req_correlate) {
                self.state = State::Idle;
                return Ok(());
            }
            // Strays are dropped, as RFC 28 wants.
        }
    }

    fn sender(&self) -> Option<usize> {
        self.peers.inward.previous()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        let Self { peers: dealer, state: State::Awaiting(awaited), request } = self else {
            return false;
        };
        let id = peers.options.req_correlate.then(|| request.to_be_bytes());
        dealer.inward.has_message(peers, |key, message| {
            *awaited == Some(key) && is_reply(message, id.as_ref().map(|id| &id[..]))
        })
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        (self.state == State::Idle || peers.options.req_relaxed)
            && self.peers.outward.has_room(peers)
    }
}

/// Whether a message has the envelope of a reply, and something in it.
fn is_reply(message: &Message, id: Option<&[u8]>) -> bool {
    let envelope = usize::from(id.is_some());
    id.is_none_or(|id| message.frame(0).is_some_and(|frame| frame == id))
        && message.frame(envelope).is_some_and(|frame| frame.is_empty())
        && message.len() > envelope + 1
}
