//! Receives that last: `IORING_RECV_MULTISHOT`.
//!
//! A connection whose messages come one by one, each when little else
//! happens, has one receive that stays in the kernel and takes a piece for each
//! message, so that none has to be prepared, submitted and armed. Streams fill
//! whole buffers instead, and in a crowd the receives of a turn are submitted
//! together and mostly find their data there: both are slower this way.
//!
//! What arrives while nobody has asked for it is held, and answers the receives
//! that follow, in order, before anything else does. It also ends the lasting
//! receive, so that a reader who pauses holds its peer back as ever: what is held
//! is what had come when the driver saw the first of it. No more than [`MOST`]
//! receives of a port last.
//!
//! Like any, it is carried out in the thread that submitted it. When another
//! thread drives the port, it is ended, and begun anew by that one.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    io, mem,
    sync::{Arc, MutexGuard},
    thread::{self, ThreadId},
};

use bytes::BytesMut;
use io_uring::{opcode, types::Fd};

use super::{Half, Place, Registration};
use crate::{
    Direction, Event, Interest,
    errors::{self, Action, Call},
    lock::lock,
    sys::{
        readiness::source::Source,
        uring::{
            Arrival,
            inward::{Reading, Receive},
            operation::{Cancellation, Operation, Slot},
            provided::{self, Armed},
        },
    },
};

/// How many receives of one port last.
pub(in crate::sys::uring) const MOST: usize = 64;

/// How many receives in a row must have been lone before one lasts.
const LONE: u8 = 16;

/// A registration's receive that lasts, and what it brought that was not asked for.
#[derive(Default)]
pub(in crate::sys::uring) struct Lasting {
    kernels: Option<Kernels>,
    held: VecDeque<Held>,
    /// How many receives in a row were lone.
    lone: u8,
}

/// What the kernel has.
struct Kernels {
    /// Keeps the descriptor open until the kernel has the submission.
    source: Option<Arc<Source>>,
    cancellation: Cancellation,
    /// Which thread submitted it.
    thread: ThreadId,
    _leave: Armed,
}

/// No bytes are the end of the stream.
type Held = io::Result<BytesMut>;

impl Lasting {
    /// Notes how a receive that does not last has ended.
    pub(super) fn note(&mut self, arrival: &Arrival, piece: usize) {
        self.lone = if is_lone(arrival, piece) { self.lone.saturating_add(1) } else { 0 };
    }

    /// Has the receive ended soon; true if the driver has to see to it.
    pub(super) fn end(&mut self) -> bool {
        match &mut self.kernels {
            Some(kernels) if kernels.cancellation == Cancellation::None => {
                kernels.cancellation = Cancellation::Wanted;
                true
            }
            _ => false,
        }
    }

    /// Has it ended, and hands out what nobody will ask for.
    pub(super) fn retire(&mut self) -> VecDeque<Held> {
        self.end();
        mem::take(&mut self.held)
    }

    pub(super) fn is_submitted(&self) -> bool {
        self.kernels.is_some()
    }

    /// Lets go of the descriptor: the kernel has the submission, and the cancellation.
    pub(super) fn let_go(&mut self) -> Option<Arc<Source>> {
        let kernels = self.kernels.as_mut()?;
        kernels.cancellation = Cancellation::Passed;
        kernels.source.take()
    }

    fn wants_cancellation(&self) -> bool {
        self.kernels.as_ref().is_some_and(|kernels| kernels.cancellation == Cancellation::Wanted)
    }

    /// It is there, will stay, and has brought nothing that waits.
    fn serves(&self) -> bool {
        self.held.is_empty()
            && self
                .kernels
                .as_ref()
                .is_some_and(|kernels| kernels.cancellation == Cancellation::None)
    }

    fn passed(&mut self) {
        if let Some(kernels) = &mut self.kernels {
            kernels.cancellation = Cancellation::Passed;
        }
    }

    /// Answers a receive with what is held.
    fn answer(&mut self, receive: Receive) -> io::Result<BytesMut> {
        let mut bytes = self.held.pop_front().unwrap_or_else(|| Ok(BytesMut::new()))?;
        let Receive::Supplied(mut buffer) = receive else { return Ok(bytes) };
        let room = buffer.capacity() - buffer.len();
        buffer.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
        if !bytes.is_empty() {
            self.held.push_front(Ok(bytes));
        }
        Ok(buffer)
    }
}

/// What a lasting receive fails with; `None` if another one can go on where it ended.
fn failure(code: i32) -> Option<io::Error> {
    let error = io::Error::from_raw_os_error(code);
    let again = errors::action(Call::Piece, &error) == Some(Action::Retry)
        || errors::classify(Call::Completion, code) == Action::Retry;
    (!again).then_some(error)
}

/// Whether a receive brought one message when little else happened, and nothing is left.
fn is_lone(Arrival { completion, lone, .. }: &Arrival, piece: usize) -> bool {
    *lone
        && completion.piece.is_some()
        && !completion.left
        && usize::try_from(completion.result).is_ok_and(|received| received < piece)
}

impl Half<Reading> {
    /// What is asked for will be answered by what the lasting receive brings.
    pub(super) fn awaits(&self) -> bool {
        matches!(self.slot.operation(), Some(Reading::Receive(Receive::Piece)))
            && self.beside.serves()
    }
}

impl Registration {
    /// Does what the driver has to do for the readable direction, and tells whether it delivered an
    /// event.
    pub(super) fn serve_inward(&self, mut half: MutexGuard<'_, Half<Reading>>) -> bool {
        half.queued = false;
        let Slot::Asked(asked) = &half.slot else {
            self.pass_end(&mut half);
            return self.serve_half(half, Direction::Inward);
        };
        let piece = matches!(asked.operation(), Reading::Receive(Receive::Piece));
        if !half.beside.held.is_empty() {
            return self.serve_held(half);
        }
        if half.beside.is_submitted() {
            if !piece {
                half.beside.end();
            }
            // What it brings answers, or its end has this stand in the queue again.
            self.pass_end(&mut half);
            return false;
        }
        if piece
            && half.beside.lone >= LONE
            && let Some(leave) = self.engine.lasting.arm()
            && let Some(live) = &half.live
        {
            let source = Arc::clone(&live.source);
            let descriptor = Fd(source.descriptor());
            let submission = opcode::RecvMulti::new(descriptor, provided::GROUP)
                .build()
                .user_data(self.name(Place::Lasting));
            // SAFETY: it refers to no memory but the pieces', and its name is this registration's,
            // whose reference becomes the kernel's.
            if unsafe { self.engine.submit(&submission, self.this.upgrade()) } {
                half.beside.kernels = Some(Kernels {
                    source: Some(source),
                    cancellation: Cancellation::None,
                    thread: thread::current().id(),
                    _leave: leave,
                });
                return false;
            }
        }
        self.serve_half(half, Direction::Inward)
    }

    /// Answers what is asked for with what is held.
    fn serve_held(&self, mut half: MutexGuard<'_, Half<Reading>>) -> bool {
        let live = half.live.clone();
        match (mem::take(&mut half.slot), live) {
            (Slot::Asked(asked), Some(live)) => {
                let event = match asked.into_operation() {
                    Reading::Receive(receive) => Event::Received(half.beside.answer(receive)),
                    Reading::Probe(_) => {
                        Event::Ready(Ok(Interest { readable: true, writable: false }))
                    }
                    // What receives does not accept.
                    operation @ Reading::Accept(_) => {
                        operation.failed(io::Error::from_raw_os_error(libc::EINVAL))
                    }
                };
                self.deliver(half, Direction::Inward, &live, event)
            }
            (slot, _) => {
                half.slot = slot;
                false
            }
        }
    }

    /// Has the kernel end the lasting receive, if it should.
    fn pass_end(&self, half: &mut Half<Reading>) {
        if !half.beside.wants_cancellation() {
            return;
        }
        if self.engine.ring.cancel(self.name(Place::Lasting)) {
            half.beside.passed();
        } else {
            // In the next turn: the driver takes completions first.
            self.stand(half, Direction::Inward);
        }
    }

    /// Deals with what the lasting receive has brought, and tells whether that made an event.
    pub(super) fn arrived(&self, arrival: Arrival) -> bool {
        let mut half = lock(&self.inward);
        // Dropped only when the lock is released: it may be the descriptor's last.
        let mut over = None;
        if !arrival.completion.more {
            over = half.beside.kernels.take();
        }
        let Some(live) = half.live.clone() else {
            drop((half, over));
            return false;
        };
        let result = arrival.completion.result;
        let lone = is_lone(&arrival, self.engine.piece);
        let moved = half.beside.kernels.as_ref().is_some_and(|k| k.thread != arrival.driver);
        let came = match u32::try_from(result) {
            Ok(received) => {
                half.much = received as usize >= self.engine.piece;
                self.engine.counters.received(received as usize);
                Some(Ok(arrival.piece.unwrap_or_default()))
            }
            Err(_) => failure(-result).map(Err),
        };
        if came.is_none() && -result != libc::ECANCELED || came.is_some() && !lone {
            half.beside.lone = 0;
        }
        let Some(came) = came else {
            // It has ended, and what is asked for needs another receive.
            if half.slot.operation().is_some() {
                self.stand(&mut half, Direction::Inward);
            }
            drop((half, over));
            return false;
        };
        let wanted = half.beside.held.is_empty()
            && matches!(half.slot.operation(), Some(Reading::Receive(Receive::Piece)));
        if !wanted {
            half.beside.lone = 0;
        }
        if !(wanted && lone) || moved {
            half.beside.end();
        }
        self.pass_end(&mut half);
        if wanted {
            half.slot = Slot::Idle;
            return self.deliver(half, Direction::Inward, &live, Event::Received(came));
        }
        half.beside.held.push_back(came.map(|bytes| {
            // Of its own size.
            let held = BytesMut::from(&bytes[..]);
            self.engine.buffers.give(bytes);
            held
        }));
        if half.slot.operation().is_some() {
            self.stand(&mut half, Direction::Inward);
        }
        false
    }
}
