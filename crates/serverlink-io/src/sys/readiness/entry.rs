//! One registration.

use std::{
    fmt, io, mem,
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use bytes::{Bytes, BytesMut};
use socket2::SockAddr;

use super::{
    Engine, Ready, Token, Want,
    inward::{Inward, Readable, Reading},
    outward::{Outward, Writing},
    room::Room,
    source::Source,
};
use crate::{Direction, Handler, Interest, Sending, errors, lock::lock, sys::Entry};

/// A descriptor with the pending operation of either direction.
///
/// Each direction has a lock of its own, held during the non-blocking calls on
/// the descriptor; where both are needed, `inward` comes first. Both refer to
/// the descriptor as long as the registration lives, so that it cannot be
/// closed, and its number taken again, under a call.
pub(super) struct Registration {
    this: Weak<Self>,
    pub(super) engine: Arc<Engine>,
    token: Token,
    pub(super) inward: Mutex<Inward>,
    pub(super) outward: Mutex<Outward>,
    pub(super) room: Room,
}

/// There is one of each connection. Elsewhere locks may be larger.
#[cfg(all(target_pointer_width = "64", target_os = "linux"))]
const _: () = assert!(size_of::<Registration>() <= 136);

/// What a registration loses when it is retired.
pub(in crate::sys) struct Live {
    pub(in crate::sys) source: Source,
    pub(in crate::sys) handler: Arc<dyn Handler>,
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Registration {
    pub(super) fn new(
        engine: &Arc<Engine>,
        token: Token,
        source: Source,
        handler: Arc<dyn Handler>,
    ) -> Arc<Self> {
        let live = Arc::new(Live { source, handler });
        Arc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            engine: Arc::clone(engine),
            token,
            inward: Mutex::new(Inward::new(Arc::clone(&live))),
            outward: Mutex::new(Outward::new(live)),
            room: Room::default(),
        })
    }

    pub(super) fn token(&self) -> Token {
        self.token
    }

    /// Takes in what the poller says, carries out what it can, and tells how many events that made.
    pub(super) fn report(&self, ready: Ready) -> usize {
        if ready.writable || ready.hangup {
            let waits = |outward: &mut MutexGuard<'_, Outward>| {
                self.unwanted(Direction::Outward);
                let waits = outward.operation.waits();
                if waits {
                    self.stand(&mut outward.queued, Direction::Outward);
                }
                waits
            };
            self.room.reported(|| lock(&self.outward), waits);
        }
        if !ready.readable && !ready.hangup {
            return 0;
        }
        let mut inward = lock(&self.inward);
        if ready.hangup {
            inward.readable = Readable::HungUp;
        } else if inward.readable == Readable::No {
            // An end that was told of before stays one.
            inward.readable = Readable::Yes;
        }
        self.unwanted(Direction::Inward);
        if inward.queued || !inward.operation.waits() {
            return 0;
        }
        usize::from(self.serve_inward(inward))
    }

    /// Carries out what it can of the pending operation, and tells whether it delivered an event.
    pub(super) fn serve(&self, direction: Direction) -> bool {
        match direction {
            Direction::Inward => {
                let mut inward = lock(&self.inward);
                inward.queued = false;
                self.serve_inward(inward)
            }
            Direction::Outward => self.serve_outward(),
        }
    }

    /// How many operations are pending.
    pub(super) fn pending(&self) -> usize {
        let (inward, outward) = (lock(&self.inward), lock(&self.outward));
        match (&inward.operation, &outward.operation) {
            // One operation.
            (Reading::Probe, Writing::Probe) => 1,
            (reading, writing) => {
                usize::from(!matches!(reading, Reading::Idle))
                    + usize::from(!matches!(writing, Writing::Idle))
            }
        }
    }

    /// Tells the poller that an operation waits.
    pub(super) fn wanted(&self, what: Want) {
        self.engine.want(self.token, what, true);
    }

    /// Tells the poller that none waits.
    pub(super) fn unwanted(&self, direction: Direction) {
        let what = match direction {
            Direction::Inward => Want::Read,
            Direction::Outward => Want::Write,
        };
        self.engine.want(self.token, what, false);
    }

    /// Queues up, unless that has been done.
    pub(super) fn stand(&self, queued: &mut bool, direction: Direction) {
        if mem::replace(queued, true) {
            return;
        }
        if let Some(this) = self.this.upgrade() {
            self.engine.queue(this, direction);
        }
    }
}

impl Entry for Registration {
    fn accept(&self) -> io::Result<()> {
        self.start_reading(Reading::Accept)
    }

    fn connect(&self, address: &SockAddr) -> io::Result<()> {
        self.start_connect(address)
    }

    fn receive(&self, buffer: Option<BytesMut>) -> io::Result<()> {
        if buffer.as_ref().is_some_and(|buffer| buffer.len() == buffer.capacity()) {
            return Err(errors::no_room());
        }
        self.start_reading(Reading::Receive(buffer))
    }

    fn send(&self, buffers: Vec<Bytes>) -> Sending {
        self.start_send(buffers)
    }

    fn probe(&self, interest: Interest) -> io::Result<()> {
        self.start_probe(interest)
    }

    fn cancel(&self, direction: Direction) {
        let mut inward = lock(&self.inward);
        let mut outward = lock(&self.outward);
        if inward.live.is_none() {
            return;
        }
        if let (Reading::Probe, Writing::Probe) = (&inward.operation, &outward.operation) {
            // One operation: it ends as a whole, with one event.
            match direction {
                Direction::Inward => outward.operation = Writing::Idle,
                Direction::Outward => inward.operation = Reading::Idle,
            }
        }
        self.unwanted(direction);
        match direction {
            Direction::Inward => {
                if inward.operation.cancel() {
                    self.stand(&mut inward.queued, direction);
                }
            }
            Direction::Outward => {
                if outward.operation.cancel() {
                    self.stand(&mut outward.queued, direction);
                }
            }
        }
    }

    fn shutdown_send(&self) -> io::Result<()> {
        let outward = lock(&self.outward);
        let live = outward.live.as_ref().ok_or_else(errors::retired)?;
        match outward.operation {
            Writing::Connect | Writing::Send(_) => Err(errors::busy()),
            Writing::Idle | Writing::Probe | Writing::Due(_) => {
                live.source.socket()?.shutdown(std::net::Shutdown::Write)
            }
        }
    }

    fn retire(&self) {
        let mut inward = lock(&self.inward);
        let mut outward = lock(&self.outward);
        let (Some(live), _) = (inward.live.take(), outward.live.take()) else { return };
        let reading = mem::take(&mut inward.operation);
        let writing = mem::take(&mut outward.operation);
        drop((outward, inward));
        let removed = lock(&self.engine.table).remove(self.token);
        self.engine.counters.retired(live.source.descriptor());
        // With no lock held: a handler's own end may call back.
        self.engine.forget(live, self.token);
        drop((reading, writing, removed));
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
        f.debug_struct("Registration").field("token", &self.token).finish_non_exhaustive()
    }
}
