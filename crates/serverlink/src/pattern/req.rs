//! REQ (RFC 28): one request out, its reply back, in lockstep.

use super::{Pattern, dealer::Dealer, refuse};
use crate::{Error, Frame, Message, Result, SendError, socket::Peers};

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

    /// The reply's body, if the message is one to our request.
    fn open(&self, mut message: Message, correlate: bool) -> Option<Message> {
        if correlate && message.pop_front()? != self.request.to_be_bytes()[..] {
            return None;
        }
        let delimiter = message.pop_front()?;
        (delimiter.is_empty() && !message.is_empty()).then_some(message)
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

    fn send(&mut self, mut message: Message, peers: &mut Peers) -> Result<(), SendError> {
        if self.state != State::Idle && !peers.options.req_relaxed {
            return refuse(
                Error::InvalidState(
                    "a REQ socket that awaits a reply must receive it first, or be relaxed",
                ),
                message,
            );
        }
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
            Err(mut message) => {
                message.split_front(1 + usize::from(peers.options.req_correlate));
                refuse(Error::WouldBlock, message)
            }
        }
    }

    fn receive(&mut self, peers: &mut Peers) -> Result<Message> {
        let State::Awaiting(awaited) = self.state else {
            return Err(Error::InvalidState("a REQ socket must send a request before it receives"));
        };
        while let Some((key, message)) = self.peers.inward.receive(peers) {
            if awaited == Some(key)
                && let Some(reply) = self.open(message, peers.options.req_correlate)
            {
                self.state = State::Idle;
                return Ok(reply);
            }
            // Strays are dropped, as RFC 28 wants.
        }
        Err(Error::WouldBlock)
    }
}
