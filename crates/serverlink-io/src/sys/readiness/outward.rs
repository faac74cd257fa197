//! The writable direction of a registration.

use std::{io, mem, sync::Arc};

use bytes::Bytes;
use socket2::SockAddr;

use super::{
    Want,
    entry::{Live, Registration},
    source::{self, Transfer, Tried},
};
use crate::{Direction, Event, Sending, errors, lock::lock};

/// How many calls one turn spends on one send, so that a fast peer does not keep the driver.
const CALLS_PER_TURN: usize = 8;

pub(super) struct Outward {
    /// `None` once retired.
    pub(super) live: Option<Arc<Live>>,
    pub(super) operation: Writing,
    /// Stands in the engine's queue.
    pub(super) queued: bool,
}

/// What is pending.
///
/// Whether the descriptor is writable is not remembered: a send tries first, so
/// what waits has met a full socket, and a report follows when there is room.
#[derive(Default)]
pub(super) enum Writing {
    #[default]
    Idle,
    Connect,
    /// Boxed, for most of what is sent is taken at once.
    Send(Box<Transfer>),
    /// This half of a probe.
    Probe,
    /// Nothing any more but the event, which waits to be delivered. Boxed, for it is rare and large:
    /// with thousands of registrations, each cache line of one counts.
    Due(Box<Event>),
}

/// What became of an operation that was served.
enum Step {
    Complete(Event),
    /// The kernel would take more, but it is somebody else's turn.
    Yield,
    Wait(Option<Want>),
}

impl Writing {
    /// Whether readiness helps.
    pub(super) fn waits(&self) -> bool {
        matches!(self, Self::Connect | Self::Send(_) | Self::Probe)
    }

    /// Ends the operation, if there is one; true if its event is due now.
    pub(super) fn cancel(&mut self) -> bool {
        let event = match mem::take(self) {
            Self::Idle => return false,
            due @ Self::Due(_) => {
                *self = due;
                return true;
            }
            Self::Connect => Event::Connected(Err(errors::cancelled())),
            Self::Send(transfer) => sent(*transfer, Err(errors::cancelled())),
            Self::Probe => Event::Ready(Err(errors::cancelled())),
        };
        *self = Self::Due(Box::new(event));
        true
    }
}

fn sent(transfer: Transfer, result: io::Result<()>) -> Event {
    Event::Sent { buffers: transfer.buffers, sent: transfer.sent, result }
}

fn done(transfer: Transfer, result: io::Result<()>) -> Sending {
    Sending::Done { buffers: transfer.buffers, sent: transfer.sent, result }
}

impl Outward {
    pub(super) fn new(live: Arc<Live>) -> Self {
        Self { live: Some(live), operation: Writing::Idle, queued: false }
    }

    fn advance(&mut self) -> Step {
        let Some(live) = &self.live else { return Step::Wait(None) };
        match mem::take(&mut self.operation) {
            Writing::Idle | Writing::Probe => Step::Wait(None),
            Writing::Due(event) => Step::Complete(*event),
            Writing::Connect => {
                let tried = match live.source.socket() {
                    Ok(socket) => source::connected(socket),
                    Err(error) => Tried::Finished(Err(error)),
                };
                match tried {
                    Tried::Finished(result) => Step::Complete(Event::Connected(result)),
                    Tried::WouldBlock => {
                        self.operation = Writing::Connect;
                        Step::Wait(Some(Want::Connect))
                    }
                }
            }
            Writing::Send(mut transfer) => {
                let tried = match live.source.socket() {
                    Ok(socket) => transfer.advance(socket, CALLS_PER_TURN),
                    Err(error) => Tried::Finished(Err(error)),
                };
                match tried {
                    Tried::Finished(Ok(true)) => Step::Complete(sent(*transfer, Ok(()))),
                    Tried::Finished(Err(error)) => Step::Complete(sent(*transfer, Err(error))),
                    Tried::Finished(Ok(false)) => {
                        self.operation = Writing::Send(transfer);
                        Step::Yield
                    }
                    Tried::WouldBlock => {
                        self.operation = Writing::Send(transfer);
                        Step::Wait(Some(Want::Write))
                    }
                }
            }
        }
    }
}

impl Registration {
    pub(super) fn start_connect(&self, address: &SockAddr) -> io::Result<()> {
        let mut outward = lock(&self.outward);
        let live = outward.live.as_ref().ok_or_else(errors::retired)?;
        let socket = live.source.socket()?;
        if !matches!(outward.operation, Writing::Idle) {
            return Err(errors::busy());
        }
        self.room.expect();
        if source::connect(socket, address)? {
            outward.operation = Writing::Due(Box::new(Event::Connected(Ok(()))));
            self.stand(&mut outward.queued, Direction::Outward);
        } else {
            outward.operation = Writing::Connect;
            self.wanted(Want::Connect);
        }
        Ok(())
    }

    pub(super) fn start_send(&self, buffers: Vec<Bytes>) -> Sending {
        let mut outward = lock(&self.outward);
        let mut transfer = Transfer::new(buffers);
        let Some(live) = &outward.live else { return done(transfer, Err(errors::retired())) };
        let socket = match live.source.socket() {
            Ok(socket) => socket,
            Err(error) => return done(transfer, Err(error)),
        };
        if !matches!(outward.operation, Writing::Idle) {
            return done(transfer, Err(errors::busy()));
        }
        let descriptor = live.source.descriptor();
        let tried = self.room.look_for(|| transfer.advance(socket, usize::MAX));
        let sending = match tried {
            Tried::Finished(result) => done(transfer, result.map(|_| ())),
            Tried::WouldBlock => {
                outward.operation = Writing::Send(Box::new(transfer));
                self.wanted(Want::Write);
                Sending::Pending
            }
        };
        drop(outward);
        self.engine.counters.sent(descriptor, sending)
    }

    pub(super) fn serve_outward(&self) -> bool {
        let mut outward = lock(&self.outward);
        outward.queued = false;
        if matches!(outward.operation, Writing::Probe) {
            drop(outward);
            return self.serve_probe();
        }
        let event = match outward.advance() {
            Step::Complete(event) => event,
            Step::Yield => {
                self.stand(&mut outward.queued, Direction::Outward);
                return false;
            }
            Step::Wait(want) => {
                want.into_iter().for_each(|want| self.wanted(want));
                return false;
            }
        };
        let Some(live) = outward.live.as_deref() else { return false };
        let (handler, descriptor) = (Arc::clone(&live.handler), live.source.descriptor());
        drop(outward);
        self.engine.counters.deliver(&*handler, descriptor, event);
        true
    }
}
