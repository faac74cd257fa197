//! The work of a proxy.

use super::{control, handle::Steering};
use crate::{Error, Events, Message, PollEvent, Result, SendError, Socket};

/// How many messages go one way before it is the other's turn.
const BURST: usize = 256;

/// The sockets, by their tokens in the poller.
const FRONTEND: usize = 0;
const BACKEND: usize = 1;
const CAPTURE: usize = 2;
const CONTROL: usize = 3;

/// What a proxy is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Active,
    Paused,
    Terminated,
}

/// Passes messages on until it is told to end.
pub(super) struct Forwarder<'a> {
    sockets: [Option<&'a Socket>; 4],
    /// What the poller waits for, of each.
    interests: [Events; 4],
    ways: Vec<Way>,
    steering: &'a Steering,
    state: State,
}

/// One of the two ways.
struct Way {
    from: usize,
    to: usize,
    /// The socket that takes nothing at present.
    blocked_by: Option<usize>,
    /// What was received when another thread took the room that was there, and whether it was
    /// captured.
    held: Option<(Message, bool)>,
}

impl<'a> Forwarder<'a> {
    pub(super) fn new(
        frontend: &'a Socket,
        backend: &'a Socket,
        capture: Option<&'a Socket>,
        control: Option<&'a Socket>,
        steering: &'a Steering,
    ) -> Result<Self> {
        let sockets = [Some(frontend), Some(backend), capture, control];
        let way = |from, to| Way { from, to, blocked_by: None, held: None };
        let mut ways = vec![way(FRONTEND, BACKEND)];
        if !std::ptr::eq(frontend, backend) {
            ways.push(way(BACKEND, FRONTEND));
        }
        let this =
            Self { sockets, interests: [Events::NONE; 4], ways, steering, state: State::Active };
        for (token, socket) in (0..).zip(sockets) {
            if let Some(socket) = socket {
                steering.poller.add(socket, token, Events::NONE)?;
            }
        }
        Ok(this)
    }

    pub(super) fn run(mut self) -> Result<()> {
        let mut events = Vec::new();
        loop {
            self.state = self.steering.apply(self.state);
            if self.state == State::Terminated {
                return Ok(());
            }
            self.set_interests()?;
            self.steering.poller.wait(&mut events, None)?;
            self.serve(&events)?;
        }
    }

    /// Has the poller wait for what can be gone on with.
    fn set_interests(&mut self) -> Result<()> {
        let mut wanted = [Events::NONE; 4];
        if self.sockets[CONTROL].is_some() {
            wanted[CONTROL] = Events::IN;
        }
        if self.state == State::Active {
            for way in &self.ways {
                match way.blocked_by {
                    Some(blocker) => wanted[blocker] |= Events::OUT,
                    None => wanted[way.from] |= Events::IN,
                }
            }
        }
        for ((token, interest), wanted) in (0..).zip(&mut self.interests).zip(wanted) {
            if *interest != wanted {
                self.steering.poller.modify(token, wanted)?;
                *interest = wanted;
            }
        }
        Ok(())
    }

    fn serve(&mut self, events: &[PollEvent]) -> Result<()> {
        let mut ready = [Events::NONE; 4];
        for event in events {
            if event.events.contains(Events::ERR) {
                return Err(Error::Terminated);
            }
            ready[event.token as usize] = event.events;
        }
        if ready[CONTROL].contains(Events::IN)
            && let Some(control) = self.sockets[CONTROL]
        {
            control::obey(control, &mut self.state, || self.steering.statistics())?;
        }
        for index in 0..self.ways.len() {
            if self.state != State::Active {
                break;
            }
            let way = &mut self.ways[index];
            let goes_on = match way.blocked_by {
                Some(blocker) => ready[blocker].contains(Events::OUT),
                None => ready[way.from].contains(Events::IN),
            };
            if goes_on {
                way.blocked_by = None;
                self.forward(index)?;
            }
        }
        Ok(())
    }

    /// Passes a burst of messages on.
    fn forward(&mut self, index: usize) -> Result<()> {
        let Self { sockets, ways, steering, .. } = self;
        let way = &mut ways[index];
        let (Some(from), Some(to)) = (sockets[way.from], sockets[way.to]) else { return Ok(()) };
        let counters = &steering.counters;
        for _ in 0..BURST {
            // Room first: what cannot be passed on is not received.
            let is_full = |token: &usize| sockets[*token].is_some_and(|socket| !has_room(socket));
            way.blocked_by = [way.to, CAPTURE].into_iter().find(is_full);
            if way.blocked_by.is_some() {
                return Ok(());
            }
            let (message, captured) = match way.held.take() {
                Some(held) => held,
                None => match from.try_recv() {
                    Ok(message) => {
                        counters.sides[way.from].received.add(message.len(), message.byte_len());
                        (message, false)
                    }
                    Err(Error::WouldBlock) => return Ok(()),
                    Err(error) => return Err(error),
                },
            };
            if !captured
                && let Some(capture) = sockets[CAPTURE]
                && let Err(Error::WouldBlock) =
                    capture.try_send(message.clone()).map_err(Error::from)
            {
                way.held = Some((message, false));
                continue;
            }
            let (frames, bytes) = (message.len(), message.byte_len());
            // Before anybody has it: who does may ask how much was sent.
            let sent = &counters.sides[way.to].sent;
            sent.add(frames, bytes);
            let Err(SendError { error, message }) = to.try_send(message) else { continue };
            sent.take_back(frames, bytes);
            match error {
                Error::WouldBlock => way.held = Some((message, true)),
                Error::Terminated => return Err(Error::Terminated),
                // A peer may have made it as it is: that must not end the proxy.
                _ => counters.dropped.add(1),
            }
        }
        // It goes on when there is room again, and not when there is more.
        way.blocked_by = way.held.as_ref().map(|_| way.to);
        Ok(())
    }
}

impl Drop for Forwarder<'_> {
    fn drop(&mut self) {
        self.steering.end();
    }
}

fn has_room(socket: &Socket) -> bool {
    // One that has ended says so when it is used.
    socket.inner.look_for(Events::OUT).contains(Events::OUT)
}
