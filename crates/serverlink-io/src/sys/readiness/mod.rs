//! Completions out of readiness: the half that epoll, kqueue and select share.
//!
//! A [`Poller`] tells which descriptors are ready. From that, [`Readiness`]
//! makes a [`Backend`]: each [`Entry`] keeps the pending operation of either
//! direction; when its descriptor is ready the operation is carried out on the
//! driving thread and its event delivered. A `send` is tried first in the
//! calling thread.
//!
//! Whatever has something to do stands in one queue. A turn asks the poller,
//! lets the ready ones queue up, and serves everything that stands in the queue
//! then once; what queues up meanwhile is served in the next turn. So each gets
//! its share, and since nothing but the queue remembers who is to be served, a
//! handler's panic loses nobody's turn.

mod entry;
mod inward;
mod outward;
mod probe;
mod source;
mod table;

use std::{
    collections::VecDeque,
    fmt::Debug,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use socket2::Socket;

use self::{entry::Registration, source::Source, table::Table};
use super::{Backend, Entry, Outcome, RawDescriptor};
use crate::{Direction, Handler, Interest, PortOptions, lock::lock};

/// Names a registration to the poller; never the same for two of them, with the highest bit clear.
pub(super) type Token = u64;

/// How many descriptors one turn usually hears of at most.
pub(super) const BATCH: usize = 256;

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
    /// Forgets the descriptor, which is still open. Like `want`, tells whether a wait that goes on
    /// must be interrupted for this to count.
    fn remove(&self, descriptor: RawDescriptor, token: Token) -> bool;
    /// Says whether an operation waits for this direction. Nothing to do where edges are reported.
    fn want(&self, _token: Token, _what: Want, _wanted: bool) -> bool {
        false
    }
    /// Appends reports to `ready`, which has room for [`BATCH`]. A signal ends the wait like the timeout.
    fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;
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
    queue: Mutex<VecDeque<(Arc<Registration>, Direction)>>,
    /// The driver waits or is about to; only then a wake costs a system call.
    waiting: AtomicBool,
    /// A wake that no turn has ended on yet.
    woken: AtomicBool,
    stopped: AtomicBool,
    reports: Mutex<Vec<Ready>>,
    /// A receive buffer that met no data, for the next receive.
    spare: Mutex<Option<BytesMut>>,
    receive_buffer: usize,
}

impl Readiness {
    pub(super) fn new(poller: impl Poller + 'static, options: &PortOptions) -> Self {
        Self {
            engine: Arc::new(Engine {
                poller: Box::new(poller),
                table: Mutex::default(),
                queue: Mutex::default(),
                waiting: AtomicBool::new(false),
                woken: AtomicBool::new(false),
                stopped: AtomicBool::new(false),
                reports: Mutex::new(Vec::with_capacity(BATCH)),
                spare: Mutex::new(None),
                receive_buffer: options.receive_buffer,
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
        engine.wait(timeout)?;
        if engine.stopped.load(Ordering::Acquire) {
            return Ok(Outcome::Stopped);
        }
        let delivered = engine.serve();
        // A wake that came before this is answered by the return; whoever woke finds the state
        // it saw before waking looked at by the driver after returning.
        engine.woken.store(false, Ordering::SeqCst);
        Ok(Outcome::Delivered(delivered))
    }

    fn wake(&self) {
        self.engine.wake();
    }

    fn stop(&self) {
        self.engine.stopped.store(true, Ordering::Release);
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
        lock(&self.engine.queue).clear();
    }
}

impl Engine {
    /// Asks the poller and queues up whom it names.
    fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        let mut reports = lock(&self.reports);
        reports.clear();
        // Whoever sets `woken` or adds to the queue looks at `waiting` afterwards; here it is the
        // other way round. All being sequentially consistent, one of the two sees the other.
        self.waiting.store(true, Ordering::SeqCst);
        let at_once = self.woken.load(Ordering::SeqCst)
            || self.stopped.load(Ordering::SeqCst)
            || !lock(&self.queue).is_empty();
        let timeout = if at_once { Some(Duration::ZERO) } else { timeout };
        let waited = self.poller.wait(timeout, &mut reports);
        self.waiting.store(false, Ordering::SeqCst);
        waited?;
        for report in &*reports {
            let registration = lock(&self.table).get(report.token);
            if let Some(registration) = registration {
                registration.report(*report);
            }
        }
        Ok(())
    }

    /// Serves everyone who stands in the queue now, and tells how many events that made.
    fn serve(&self) -> usize {
        let standing = lock(&self.queue).len();
        let mut delivered = 0;
        for _ in 0..standing {
            let Some((registration, direction)) = lock(&self.queue).pop_front() else { break };
            delivered += usize::from(registration.serve(direction));
        }
        delivered
    }

    /// Wakes the driver, at most once between two turns.
    fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) && self.waiting.load(Ordering::SeqCst) {
            self.poller.wake();
        }
    }

    /// Lets a registration stand in the queue.
    fn queue(&self, registration: Arc<Registration>, direction: Direction) {
        lock(&self.queue).push_back((registration, direction));
        if self.waiting.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Tells the poller what an operation waits for.
    fn want(&self, token: Token, what: Want, wanted: bool) {
        if self.poller.want(token, what, wanted) && self.waiting.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Takes a descriptor, which is about to be closed, from the poller.
    fn forget(&self, descriptor: RawDescriptor, token: Token) {
        if self.poller.remove(descriptor, token) && self.waiting.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// A buffer for a receive that brought none.
    fn take_buffer(&self) -> BytesMut {
        lock(&self.spare).take().unwrap_or_else(|| BytesMut::with_capacity(self.receive_buffer))
    }

    /// Keeps such a buffer that was not needed.
    fn keep_buffer(&self, buffer: BytesMut) {
        *lock(&self.spare) = Some(buffer);
    }
}
