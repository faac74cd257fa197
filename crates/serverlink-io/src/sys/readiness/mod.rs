//! Completions out of readiness: the half that epoll, kqueue and select share.
//!
//! A [`Poller`] tells which descriptors are ready. From that, [`Readiness`]
//! makes a [`Backend`]: each [`Entry`] keeps the pending operation of either
//! direction; when its descriptor is ready the operation is carried out on the
//! driving thread and its event delivered. A `send` is tried first in the
//! calling thread.
//!
//! A turn asks the poller and serves whom it names. Whatever else has something
//! to do (there was more to read than one receive took, an operation was
//! cancelled) stands in a queue; who stood there when the turn began is served
//! first, once. So each gets its share. A handler's panic loses nobody's turn:
//! those who were named after it are served by the next turn.

mod entry;
mod inward;
mod outward;
mod probe;
mod room;
pub(super) mod source;
mod table;

use std::{
    fmt::Debug,
    io, mem,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::BytesMut;
use socket2::Socket;

pub(super) use self::entry::Live;
use self::{entry::Registration, source::Source, table::Table};
use super::{Backend, Entry, Outcome, RawDescriptor, agenda::Agenda, buffer_pool::BufferPool};
use crate::{Direction, Handler, Interest, PortOptions, counters::Counters, lock::lock};

/// Names a registration to the poller; never the same for two of them, with the highest bit clear.
pub(super) type Token = u64;

/// How many descriptors one turn hears of at most, where the system is told how many.
pub(super) const BATCH: usize = 256;

/// How many registrations are looked up at once, under one lock of their table.
const TOGETHER: usize = 16;

/// What a poller says of one descriptor.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ready {
    pub(super) token: Token,
    /// A read, an accept, would not block.
    pub(super) readable: bool,
    /// A write would not block, a connect has ended.
    pub(super) writable: bool,
    /// No more edges may follow: the end of the stream, or an error, is there to be read.
    pub(super) hangup: bool,
}

/// What waits for readiness.
///
/// It reports edges (each time a descriptor becomes ready, wanted or not) or
/// levels (as long as a direction is both wanted and ready). Spurious reports
/// are harmless.
pub(super) trait Poller: Debug + Send + Sync {
    fn name(&self) -> &'static str;
    fn add(&self, descriptor: RawDescriptor, token: Token) -> io::Result<()>;
    /// Forgets the descriptor, which is still open.
    fn remove(&self, descriptor: RawDescriptor, token: Token);
    /// Lets go of what keeps open a descriptor that was removed: now, or at the end of a wait that
    /// goes on and must not see it closed. Tells whether that must be interrupted.
    fn release(&self, _live: Arc<Live>) -> bool {
        false
    }
    /// Says whether an operation waits for this direction, and tells whether a wait that goes on must
    /// be interrupted for this to count. Nothing to do where edges are reported.
    fn want(&self, _token: Token, _what: Want, _wanted: bool) -> bool {
        false
    }
    /// Appends reports to `ready`: up to [`BATCH`], for which it has room, or all that there are if the
    /// system tells of all at once. A signal ends the wait like the timeout.
    fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;
    /// See [`Backend::timer_grain`].
    fn timer_grain(&self) -> Duration;
    /// Ends the current or the next wait.
    fn wake(&self);
    /// What of `interest` is the case now.
    fn check(&self, descriptor: RawDescriptor, interest: Interest) -> io::Result<Interest>;
}

/// What an operation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Read,
    Write,
    /// The end of a connect; Windows' select reports a failed one apart.
    Connect,
}

/// A backend out of a poller.
#[derive(Debug)]
pub(super) struct Readiness {
    engine: Arc<Engine>,
}

/// What the backend and its entries share.
#[derive(Debug)]
struct Engine {
    poller: Box<dyn Poller>,
    table: Mutex<Table>,
    agenda: Agenda<Registration>,
    /// What the poller said, from the last on; empty between two turns, unless one panicked.
    reports: Mutex<Vec<Ready>>,
    buffers: BufferPool,
    counters: Arc<Counters>,
}

impl Readiness {
    pub(super) fn new(poller: impl Poller + 'static, options: &PortOptions) -> Self {
        Self {
            engine: Arc::new(Engine {
                poller: Box::new(poller),
                table: Mutex::default(),
                agenda: Agenda::default(),
                reports: Mutex::new(Vec::with_capacity(BATCH)),
                buffers: BufferPool::new(options.receive_buffer),
                counters: Arc::default(),
            }),
        }
    }

    fn enter(&self, source: Source, handler: Arc<dyn Handler>) -> io::Result<Arc<dyn Entry>> {
        let descriptor = source.descriptor();
        let registration = lock(&self.engine.table)
            .insert(|token| Registration::new(&self.engine, token, source, handler));
        let token = registration.token();
        if let Err(error) = self.engine.poller.add(descriptor, token) {
            lock(&self.engine.table).remove(token);
            return Err(error);
        }
        Ok(registration)
    }
}

impl Backend for Readiness {
    fn name(&self) -> &'static str {
        self.engine.poller.name()
    }

    fn register(&self, socket: Socket, handler: Arc<dyn Handler>) -> io::Result<Arc<dyn Entry>> {
        self.enter(Source::owned(socket)?, handler)
    }

    fn watch(
        &self,
        descriptor: RawDescriptor,
        handler: Arc<dyn Handler>,
    ) -> io::Result<Arc<dyn Entry>> {
        self.enter(Source::Watched(descriptor), handler)
    }

    fn turn(&self, timeout: Option<Duration>) -> io::Result<Outcome> {
        let engine = &*self.engine;
        let mut reports = Reports::take(engine);
        engine.wait(timeout, &mut reports.list)?;
        if engine.agenda.is_stopped() {
            return Ok(Outcome::Stopped);
        }
        let delivered =
            engine.agenda.serve(Registration::serve) + engine.serve_reports(&mut reports.list);
        engine.agenda.end_turn();
        Ok(Outcome::Delivered(delivered))
    }

    fn reuse(&self, buffer: BytesMut) {
        self.engine.buffers.give(buffer);
    }

    fn counters(&self) -> &Arc<Counters> {
        &self.engine.counters
    }

    fn pending(&self) -> usize {
        // Looked at with the table unlocked.
        let registrations = lock(&self.engine.table).all();
        registrations.iter().map(|registration| registration.pending()).sum()
    }

    fn timer_grain(&self) -> Duration {
        self.engine.poller.timer_grain()
    }

    fn wake(&self) {
        self.engine.wake();
    }

    fn stop(&self) {
        self.engine.agenda.stop();
        self.engine.wake();
    }
}

impl Drop for Readiness {
    fn drop(&mut self) {
        // Retiring needs the table's lock, so it is not held meanwhile.
        let registrations = lock(&self.engine.table).all();
        for registration in registrations {
            registration.retire();
        }
        self.engine.agenda.clear();
    }
}

impl Engine {
    /// Asks the poller.
    fn wait(&self, timeout: Option<Duration>, reports: &mut Vec<Ready>) -> io::Result<()> {
        let left = !reports.is_empty();
        self.agenda.wait(timeout, left, |timeout| self.poller.wait(timeout, reports))
    }

    /// Serves everyone whom the poller named, and tells how many events that made.
    fn serve_reports(&self, reports: &mut Vec<Ready>) -> usize {
        // From the end, so that those not yet served are what is left.
        reports.reverse();
        let mut delivered = 0;
        let mut named = [const { None }; TOGETHER];
        while !reports.is_empty() {
            let table = lock(&self.table);
            for (name, report) in named.iter_mut().zip(reports.iter().rev()) {
                *name = table.get(report.token);
            }
            drop(table);
            for name in &mut named {
                let Some(report) = reports.pop() else { break };
                if let Some(registration) = name.take() {
                    delivered += registration.report(report);
                }
            }
        }
        delivered
    }

    /// Wakes the driver, at most once between two turns.
    fn wake(&self) {
        let wanted = self.agenda.wake();
        if wanted {
            self.poller.wake();
        }
        self.counters.woken(wanted);
    }

    /// Lets a registration stand in the queue.
    fn queue(&self, registration: Arc<Registration>, direction: Direction) {
        if self.agenda.queue(registration, direction) {
            self.wake();
        }
    }

    /// Tells the poller what an operation waits for.
    fn want(&self, token: Token, what: Want, wanted: bool) {
        if self.poller.want(token, what, wanted) && self.agenda.is_waiting() {
            self.wake();
        }
    }

    /// Takes a descriptor from the poller and lets go of it.
    fn forget(&self, live: Arc<Live>, token: Token) {
        self.poller.remove(live.source.descriptor(), token);
        if self.poller.release(live) && self.agenda.is_waiting() {
            self.wake();
        }
    }
}

/// The list of reports, for one turn.
struct Reports<'a> {
    engine: &'a Engine,
    list: Vec<Ready>,
}

impl<'a> Reports<'a> {
    fn take(engine: &'a Engine) -> Self {
        Self { engine, list: mem::take(&mut lock(&engine.reports)) }
    }
}

impl Drop for Reports<'_> {
    fn drop(&mut self) {
        *lock(&self.engine.reports) = mem::take(&mut self.list);
    }
}
