//! One registration.

pub(super) mod lasting;

use std::{
    fmt, io, mem,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use bytes::{Bytes, BytesMut};
use socket2::SockAddr;

pub(super) use self::lasting::Lasting;
use super::{
    Arrival, Engine,
    inward::{Accept, Reading, Receive},
    operation::{Operation, Slot},
    outward::{self, Writing},
    ring::Completion,
};
use crate::{
    Direction, Event, Handler, Interest, Sending, errors,
    lock::lock,
    sys::{
        Entry,
        readiness::source::{self, Source, Transfer, Tried},
    },
};

/// A descriptor with the pending operation of either direction.
///
/// Each direction has a lock of its own; where both are needed, `inward` comes
/// first. An operation that the kernel has keeps the registration (its memory)
/// and the source (its descriptor) alive, until its completion is taken; not the
/// handler, which may own the port that would have to take it.
pub(super) struct Registration {
    this: Weak<Self>,
    engine: Arc<Engine>,
    number: u64,
    inward: Mutex<Half<Reading>>,
    outward: Mutex<Half<Writing>>,
}

/// One direction.
struct Half<O: Operation> {
    /// `None` once retired.
    live: Option<Live>,
    slot: Slot<O>,
    /// Stands in the engine's queue.
    queued: bool,
    /// The last operation has moved as much as a piece holds, or more.
    much: bool,
    beside: O::Beside,
}

/// What a registration loses when it is retired.
#[derive(Clone)]
struct Live {
    source: Arc<Source>,
    handler: Arc<dyn Handler>,
}

/// Which of a registration's operations is meant, as its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Inward = 0,
    Outward = 1,
    /// The receive that lasts.
    Lasting = 2,
}

/// The bits of a name that are no address.
const PLACE: u64 = 3;

const _: () = assert!(align_of::<Registration>() > PLACE as usize);

impl From<Direction> for Place {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Inward => Self::Inward,
            Direction::Outward => Self::Outward,
        }
    }
}

impl<O: Operation> Half<O> {
    fn new(live: Live) -> Self {
        Self {
            live: Some(live),
            slot: Slot::Idle,
            queued: false,
            much: false,
            beside: O::Beside::default(),
        }
    }

    fn live(&self) -> io::Result<&Live> {
        self.live.as_ref().ok_or_else(errors::retired)
    }
}

impl Registration {
    pub(super) fn new(
        engine: &Arc<Engine>,
        number: u64,
        source: Source,
        handler: Arc<dyn Handler>,
    ) -> Arc<Self> {
        let live = Live { source: Arc::new(source), handler };
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            engine: Arc::clone(engine),
            number,
            inward: Mutex::new(Half::new(live.clone())),
            outward: Mutex::new(Half::new(live)),
        })
    }

    /// What the kernel calls this registration's operation.
    fn name(&self, place: Place) -> u64 {
        // Of the reference count as well, which a pointer made of `self` would not lead to.
        self.this.as_ptr().expose_provenance() as u64 | place as u64
    }

    /// Takes the kernel's reference back, or shares it if there is more to come.
    ///
    /// # Safety
    ///
    /// The completion is of an operation with such a name, and has not been asked before.
    pub(super) unsafe fn of_name(completion: &Completion) -> (Arc<Self>, Place) {
        let place = match completion.name & PLACE {
            0 => Place::Inward,
            1 => Place::Outward,
            _ => Place::Lasting,
        };
        let address = (completion.name & !PLACE) as usize;
        let this: *const Self = std::ptr::with_exposed_provenance(address);
        if completion.more {
            // SAFETY: as below; the kernel keeps its own.
            unsafe { Arc::increment_strong_count(this) };
        }
        // SAFETY: the name is that of an operation whose submission left a reference to the kernel,
        // which is given back by its last completion.
        (unsafe { Arc::from_raw(this) }, place)
    }

    /// Does what the driver has to do for one direction, and tells whether it delivered an event.
    pub(super) fn serve(&self, direction: Direction) -> bool {
        match direction {
            Direction::Inward => self.serve_inward(lock(&self.inward)),
            Direction::Outward => self.serve_half(lock(&self.outward), direction),
        }
    }

    fn serve_half<O: Operation>(
        &self,
        mut half: MutexGuard<'_, Half<O>>,
        direction: Direction,
    ) -> bool {
        half.queued = false;
        let done = match (mem::take(&mut half.slot), &half.live) {
            (Slot::Due(event), Some(live)) => {
                let live = live.clone();
                return self.deliver(half, direction, &live, event);
            }
            (Slot::Asked(mut asked), Some(live)) => {
                if half.much {
                    asked.arm(&self.engine.arming, &self.engine.buffers);
                }
                if asked.takes_piece() && !self.engine.may_take_piece() {
                    half.slot = Slot::Asked(asked);
                    false
                } else {
                    let source = Arc::clone(&live.source);
                    let submission =
                        asked.submission(&source).user_data(self.name(direction.into()));
                    // SAFETY: the slot keeps the operation until the completion, and the reference
                    // to this registration, which becomes the kernel's, keeps the slot.
                    let done = unsafe { self.engine.submit(&submission, self.this.upgrade()) };
                    half.slot = if done { asked.submitted(source) } else { Slot::Asked(asked) };
                    done
                }
            }
            (Slot::Submitted(mut submitted), _) => {
                let done = !submitted.wants_cancellation()
                    || self.engine.ring.cancel(self.name(direction.into()));
                if done {
                    submitted.cancelled();
                }
                half.slot = Slot::Submitted(submitted);
                done
            }
            (slot, _) => {
                half.slot = slot;
                true
            }
        };
        if !done {
            // In the next turn: the driver takes completions first.
            self.stand(&mut half, direction);
        }
        false
    }

    /// Deals with the completion of an operation, and tells whether that made an event.
    pub(super) fn complete(&self, place: Place, arrival: Arrival) -> bool {
        match place {
            Place::Inward => {
                let mut inward = lock(&self.inward);
                inward.beside.note(&arrival, self.engine.piece);
                self.complete_half(inward, Direction::Inward, arrival)
            }
            Place::Outward => self.complete_half(lock(&self.outward), Direction::Outward, arrival),
            Place::Lasting => self.arrived(arrival),
        }
    }

    fn complete_half<O: Operation>(
        &self,
        mut half: MutexGuard<'_, Half<O>>,
        direction: Direction,
        Arrival { completion: Completion { result, .. }, piece, .. }: Arrival,
    ) -> bool {
        let slot = mem::take(&mut half.slot);
        let Slot::Submitted(submitted) = slot else {
            half.slot = slot;
            return false;
        };
        half.much = usize::try_from(result).is_ok_and(|moved| moved >= self.engine.piece);
        let Some(live) = &half.live else {
            drop(half);
            submitted.abandon(result);
            return false;
        };
        match submitted.completed(&live.source, result, piece) {
            Slot::Due(event) => {
                if matches!(event, Event::Received(Ok(_))) {
                    self.engine.counters.received(usize::try_from(result).unwrap_or(0));
                }
                let live = live.clone();
                return self.deliver(half, direction, &live, event);
            }
            slot => half.slot = slot,
        }
        self.stand(&mut half, direction);
        false
    }

    /// Frees the direction, or both that a probe was of, and tells the handler.
    fn deliver<O: Operation>(
        &self,
        half: MutexGuard<'_, Half<O>>,
        direction: Direction,
        live: &Live,
        event: Event,
    ) -> bool {
        if direction == Direction::Inward && matches!(event, Event::Ready(_)) {
            let mut outward = lock(&self.outward);
            if matches!(outward.slot, Slot::Shared) {
                outward.slot = Slot::Idle;
            }
        }
        drop(half);
        self.engine.counters.deliver(&*live.handler, live.source.descriptor(), event);
        true
    }

    /// How many operations have not been answered by an event.
    pub(super) fn pending(&self) -> usize {
        let outward = match &lock(&self.outward).slot {
            Slot::Idle | Slot::Shared => 0,
            _ => 1,
        };
        usize::from(!lock(&self.inward).slot.is_idle()) + outward
    }

    fn start_reading(&self, operation: impl FnOnce() -> Reading) -> io::Result<()> {
        let mut inward = lock(&self.inward);
        inward.live()?.source.socket()?;
        if !inward.slot.is_idle() {
            return Err(errors::busy());
        }
        inward.slot = Slot::asked(operation());
        if !inward.awaits() {
            self.stand(&mut inward, Direction::Inward);
        }
        Ok(())
    }

    /// Has the kernel give up what it has of a retired registration: in this thread, for whoever
    /// retires it may have stopped the port, so that nobody drives it any more. The descriptor is
    /// closed then, and the rest left to the completions.
    fn cancel_at_once(&self, left: &[(Place, bool)]) {
        let ring = &self.engine.ring;
        let mut left = left.iter().filter(|(_, left)| *left).map(|(place, _)| *place);
        let pushed = left.clone().all(|place| ring.cancel(self.name(place)));
        // What was pushed before has reached the kernel, too: it needs the descriptor's number
        // no more.
        if pushed && ring.submit() {
            let mut half = lock(&self.inward);
            let inward = (half.slot.let_go(), half.beside.let_go());
            drop(half);
            let outward = lock(&self.outward).slot.let_go();
            drop((inward, outward));
            return;
        }
        if left.clone().any(|place| place != Place::Outward) {
            self.stand(&mut lock(&self.inward), Direction::Inward);
        }
        if left.any(|place| place == Place::Outward) {
            self.stand(&mut lock(&self.outward), Direction::Outward);
        }
    }

    /// Queues up, unless that has been done.
    fn stand<O: Operation>(&self, half: &mut Half<O>, direction: Direction) {
        if mem::replace(&mut half.queued, true) {
            return;
        }
        if let Some(this) = self.this.upgrade() {
            self.engine.queue(this, direction);
        }
    }
}

impl Entry for Registration {
    fn accept(&self) -> io::Result<()> {
        self.start_reading(|| Reading::Accept(Accept::new()))
    }

    fn connect(&self, address: &SockAddr) -> io::Result<()> {
        let mut outward = lock(&self.outward);
        let socket = outward.live()?.source.socket()?;
        if !outward.slot.is_idle() {
            return Err(errors::busy());
        }
        outward.slot = if source::connect(socket, address)? {
            Slot::Due(Event::Connected(Ok(())))
        } else {
            Slot::asked(Writing::Connect)
        };
        self.stand(&mut outward, Direction::Outward);
        Ok(())
    }

    fn receive(&self, buffer: Option<BytesMut>) -> io::Result<()> {
        if buffer.as_ref().is_some_and(|buffer| buffer.len() == buffer.capacity()) {
            return Err(errors::no_room());
        }
        self.start_reading(|| Reading::Receive(buffer.map_or(Receive::Piece, Receive::Supplied)))
    }

    fn send(&self, buffers: Vec<Bytes>) -> Sending {
        let mut transfer = Transfer::new(buffers);
        let done = |transfer: Transfer, result| Sending::Done {
            buffers: transfer.buffers,
            sent: transfer.sent,
            result,
        };
        let mut outward = lock(&self.outward);
        let source = match outward.live() {
            Ok(live) => Arc::clone(&live.source),
            Err(error) => return done(transfer, Err(error)),
        };
        let socket = match source.socket() {
            Ok(socket) => socket,
            Err(error) => return done(transfer, Err(error)),
        };
        if !outward.slot.is_idle() {
            return done(transfer, Err(errors::busy()));
        }
        let descriptor = source.descriptor();
        let sending = match transfer.advance(socket, usize::MAX) {
            Tried::Finished(result) => done(transfer, result.map(|_| ())),
            Tried::WouldBlock => {
                outward.slot = Slot::asked(Writing::Send(outward::Send::new(transfer)));
                self.stand(&mut outward, Direction::Outward);
                Sending::Pending
            }
        };
        drop(outward);
        self.engine.counters.sent(descriptor, sending)
    }

    fn probe(&self, interest: Interest) -> io::Result<()> {
        let mut inward = lock(&self.inward);
        let mut outward = lock(&self.outward);
        inward.live()?;
        if !interest.readable && !interest.writable {
            return Err(errors::no_interest());
        }
        if interest.readable && !inward.slot.is_idle()
            || interest.writable && !outward.slot.is_idle()
        {
            return Err(errors::busy());
        }
        if !interest.readable {
            outward.slot = Slot::asked(Writing::Probe(interest));
            self.stand(&mut outward, Direction::Outward);
            return Ok(());
        }
        inward.slot = Slot::asked(Reading::Probe(interest));
        if interest.writable {
            outward.slot = Slot::Shared;
        }
        self.stand(&mut inward, Direction::Inward);
        Ok(())
    }

    fn cancel(&self, direction: Direction) {
        let mut inward = lock(&self.inward);
        let mut outward = lock(&self.outward);
        let shared = matches!(outward.slot, Slot::Shared);
        if direction == Direction::Inward || shared {
            if inward.slot.cancel() | inward.beside.end() {
                self.stand(&mut inward, Direction::Inward);
            }
        } else if outward.slot.cancel() {
            self.stand(&mut outward, Direction::Outward);
        }
    }

    fn shutdown_send(&self) -> io::Result<()> {
        let outward = lock(&self.outward);
        let socket = outward.live()?.source.socket()?;
        match outward.slot.operation() {
            Some(Writing::Connect | Writing::Send(_)) => Err(errors::busy()),
            Some(Writing::Probe(_)) | None => socket.shutdown(std::net::Shutdown::Write),
        }
    }

    fn retire(&self) {
        let mut inward = lock(&self.inward);
        let mut outward = lock(&self.outward);
        let lives = (inward.live.take(), outward.live.take());
        let Some(live) = &lives.0 else { return };
        let descriptor = live.source.descriptor();
        let held = inward.beside.retire();
        let left = (inward.slot.retire(), outward.slot.retire(), held);
        let submitted = [
            (Place::Inward, inward.slot.is_submitted()),
            (Place::Outward, outward.slot.is_submitted()),
            (Place::Lasting, inward.beside.is_submitted()),
        ];
        drop((outward, inward));
        self.engine.forget(self.number);
        self.engine.counters.retired(descriptor);
        // Only now, with no lock held: a handler's own end may call back.
        drop((left, lives));
        if submitted.iter().any(|(_, submitted)| *submitted) {
            self.cancel_at_once(&submitted);
        }
    }

    fn local_address(&self) -> io::Result<SockAddr> {
        lock(&self.inward).live()?.source.socket()?.local_addr()
    }

    fn peer_address(&self) -> io::Result<SockAddr> {
        lock(&self.inward).live()?.source.socket()?.peer_addr()
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("number", &self.number).finish_non_exhaustive()
    }
}
