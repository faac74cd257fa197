//! The io_uring backend: Linux, by name.
//!
//! The kernel carries operations out and tells of their ends, as the
//! completion ports of Windows do. Whoever asks for an operation leaves it to
//! the driver, which pushes it into the [`Ring`] in its next turn and submits
//! all that was pushed by the very system call that waits: a turn costs one.
//!
//! | operation | here |
//! |---|---|
//! | accept | `IORING_OP_ACCEPT`, once for each asked for |
//! | connect | connect(2) in the calling thread, then `IORING_OP_POLL_ADD` for its end |
//! | receive | `IORING_OP_RECV`, into the caller's buffer, or a [`provided`] piece that the kernel takes |
//! | the same, of a lone connection | one `IORING_OP_RECV` that stays: [`lasting`] |
//! | send | sendmsg(2) in the calling thread, then `IORING_OP_SENDMSG` for what is left |
//! | probe | `IORING_OP_POLL_ADD` |
//! | cancel, retire | `IORING_OP_ASYNC_CANCEL` by name |
//! | wake | `IORING_OP_NOP`, submitted by the waker, only while the driver waits |
//!
//! # Memory and closing
//!
//! The name of an operation in the kernel is the address of its registration,
//! to which the kernel then has a reference; the operation, with its buffers,
//! stays in the registration's slot, together with the descriptor, until the
//! driver takes the completion. A retired registration's operations are
//! cancelled, and the last completion closes its descriptor.
//!
//! Dropping the port retires all registrations and takes completions until the
//! kernel has nothing left, or for [`DRAIN`]; what is left then is leaked, for
//! each registration it refers to keeps the ring.
//!
//! # Threads
//!
//! The kernel carries a waiting operation out in the thread that submitted it,
//! which it interrupts for that. Only the driver submits, so that is the thread
//! that waits, as long as the same one does. If it has ended instead, the
//! kernel gives the operation up, uncalled for; it is submitted again then. For
//! the same reason the ring has none of the flags that tie it to one thread
//! (`IORING_SETUP_SINGLE_ISSUER`, `DEFER_TASKRUN`), nor `COOP_TASKRUN`, with
//! which a thread that computes would keep the completions of others back.

mod inward;
mod operation;
mod outward;
mod probe;
mod provided;
mod registration;
mod ring;
mod support;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io, mem,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use io_uring::squeue;
use socket2::Socket;

use self::{
    provided::{Arming, Provided},
    registration::{Registration, lasting},
    ring::{Completion, Ring},
};
use super::{
    Backend, Entry, Outcome, RawDescriptor, agenda::Agenda, buffer_pool::BufferPool,
    readiness::source::Source,
};
use crate::{Direction, Handler, PortOptions, counters::Counters, diagnostics, lock::lock};

/// How long dropping a port waits for the kernel to give up cancelled operations. What it still
/// holds then is leaked: its memory may be written at any time.
const DRAIN: Duration = Duration::from_secs(5);

/// How many completions at a time make none of them lone.
const FEW: usize = 4;

/// The backend.
#[derive(Debug)]
pub(super) struct Uring {
    engine: Arc<Engine>,
}

/// A completion, as the driver found it.
struct Arrival {
    completion: Completion,
    /// What the kernel wrote into a piece.
    piece: Option<BytesMut>,
    /// Hardly anything else was completed at the time.
    lone: bool,
    driver: ThreadId,
}

/// What the backend and its entries share.
#[derive(Debug)]
struct Engine {
    ring: Ring,
    counters: Arc<Counters>,
    /// After the ring: it must be closed when this is dropped.
    provided: Mutex<Provided>,
    /// How many pieces there may be, and their size.
    pieces: usize,
    piece: usize,
    buffers: BufferPool,
    agenda: Agenda<Registration>,
    arming: Arming,
    /// For receives that last.
    lasting: Arming,
    /// How many more receives may look for a piece in this turn.
    pieces_left: AtomicUsize,
    /// Registrations that are not retired.
    registrations: Mutex<HashMap<u64, Weak<Registration>>>,
    next_number: AtomicU64,
    /// How many operations the kernel has.
    submitted: AtomicUsize,
}

impl Uring {
    /// # Errors
    ///
    /// Why there can be no ring, in words.
    pub(super) fn new(options: &PortOptions) -> io::Result<Self> {
        Self::with_pieces(options, provided::PIECES)
    }

    fn with_pieces(options: &PortOptions, pieces: u16) -> io::Result<Self> {
        let ring = Ring::new()?;
        let tried = support::receives_last(&ring);
        if let Err(error) = &tried {
            diagnostics::passed_over("uring: IORING_RECV_MULTISHOT", error);
        }
        let provided =
            Provided::new(&ring, pieces, options.receive_buffer).map_err(support::impossible)?;
        Ok(Self {
            engine: Arc::new(Engine {
                ring,
                counters: Arc::default(),
                pieces: usize::from(provided.pieces()),
                piece: provided.size(),
                provided: Mutex::new(provided),
                buffers: BufferPool::new(options.receive_buffer),
                agenda: Agenda::default(),
                arming: Arming::new(provided::ARMED),
                lasting: Arming::new(if tried.is_ok() { lasting::MOST } else { 0 }),
                pieces_left: AtomicUsize::new(0),
                registrations: Mutex::default(),
                next_number: AtomicU64::new(0),
                submitted: AtomicUsize::new(0),
            }),
        })
    }

    fn enter(&self, source: Source, handler: Arc<dyn Handler>) -> Arc<dyn Entry> {
        // Relaxed: only the numbers' being different matters.
        let number = self.engine.next_number.fetch_add(1, Ordering::Relaxed);
        let registration = Registration::new(&self.engine, number, source, handler);
        lock(&self.engine.registrations).insert(number, Arc::downgrade(&registration));
        registration
    }
}

impl Backend for Uring {
    fn name(&self) -> &'static str {
        "uring"
    }

    fn register(&self, socket: Socket, handler: Arc<dyn Handler>) -> io::Result<Arc<dyn Entry>> {
        Ok(self.enter(Source::owned(socket)?, handler))
    }

    fn watch(
        &self,
        descriptor: RawDescriptor,
        handler: Arc<dyn Handler>,
    ) -> io::Result<Arc<dyn Entry>> {
        Ok(self.enter(Source::Watched(descriptor), handler))
    }

    fn turn(&self, timeout: Option<Duration>) -> io::Result<Outcome> {
        let engine = &*self.engine;
        let mut delivered = engine.serve_queue();
        engine.wait(if delivered > 0 { Some(Duration::ZERO) } else { timeout })?;
        if engine.agenda.is_stopped() {
            return Ok(Outcome::Stopped);
        }
        delivered += engine.serve_completions();
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
        // Looked at with the list unlocked.
        let all: Vec<_> = lock(&self.engine.registrations).values().cloned().collect();
        all.iter().filter_map(Weak::upgrade).map(|registration| registration.pending()).sum()
    }

    fn timer_grain(&self) -> Duration {
        // What a thread's timers are late by; PR_SET_TIMERSLACK(2const).
        Duration::from_micros(50)
    }

    fn wake(&self) {
        self.engine.wake();
    }

    fn stop(&self) {
        self.engine.agenda.stop();
        self.engine.wake();
    }
}

impl Drop for Uring {
    /// Retires every registration and waits until the kernel has given back what it had.
    fn drop(&mut self) {
        let engine = &*self.engine;
        let registrations = mem::take(&mut *lock(&engine.registrations));
        for registration in registrations.into_values().filter_map(|weak| weak.upgrade()) {
            registration.retire();
        }
        let deadline = Instant::now() + DRAIN;
        loop {
            engine.serve_queue();
            if engine.submitted.load(Ordering::Relaxed) == 0 || Instant::now() >= deadline {
                break;
            }
            // Not the engine's wait, which ends at once when the port was stopped.
            if engine.ring.wait(Some(Duration::from_millis(20))).is_err() {
                break;
            }
            engine.serve_completions();
        }
        engine.agenda.clear();
    }
}

impl Engine {
    /// Submits what was pushed, and waits for a completion.
    fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.agenda.wait(timeout, false, |timeout| self.ring.wait(timeout))
    }

    /// Serves everyone who stands in the queue now, and tells how many events that made.
    fn serve_queue(&self) -> usize {
        self.pieces_left.store(self.pieces, Ordering::Relaxed);
        self.agenda.serve(Registration::serve)
    }

    /// Deals with the completions that are there now, and tells how many events that made. Those
    /// that a panicking handler leaves are still there for the next turn.
    fn serve_completions(&self) -> usize {
        let mut delivered = 0;
        let count = self.ring.completed();
        let driver = thread::current().id();
        for _ in 0..count {
            let Some(completion) = self.ring.take() else { break };
            if !completion.more {
                self.submitted.fetch_sub(1, Ordering::Relaxed);
            }
            if completion.result == -libc::ENOBUFS {
                lock(&self.provided).grow();
            }
            let piece = completion.piece.map(|number| {
                let written = usize::try_from(completion.result).unwrap_or(0);
                let mut buffer = self.buffers.take();
                lock(&self.provided).take(number, written, &mut buffer);
                buffer
            });
            // SAFETY: all completions with a name are of operations that `submit` has pushed.
            let (registration, place) = unsafe { Registration::of_name(&completion) };
            let arrival = Arrival { completion, piece, lone: count <= FEW, driver };
            delivered += usize::from(registration.complete(place, arrival));
        }
        delivered
    }

    /// Pushes an operation, and leaves the reference to its registration to the kernel until the
    /// completion. False if it could not be pushed.
    ///
    /// # Safety
    ///
    /// What the operation refers to stays until the completion, as does the registration's slot. It
    /// bears the registration's name.
    unsafe fn submit(&self, operation: &squeue::Entry, of: Option<Arc<Registration>>) -> bool {
        let Some(of) = of else { return false };
        // SAFETY: the caller's promise.
        if !unsafe { self.ring.push(operation) } {
            return false;
        }
        // The kernel's, from here to the last `Registration::of_name`, which only this thread calls.
        mem::forget(of);
        self.submitted.fetch_add(1, Ordering::Relaxed);
        true
    }

    /// Wakes the driver, at most once between two turns.
    fn wake(&self) {
        let wanted = self.agenda.wake();
        if wanted {
            self.ring.wake();
        }
        self.counters.woken(wanted);
    }

    /// Lets a registration stand in the queue.
    fn queue(&self, registration: Arc<Registration>, direction: Direction) {
        if self.agenda.queue(registration, direction) {
            self.wake();
        }
    }

    /// Whether one more receive may look for a piece in this turn. If data waits on more connections
    /// than that, the others would look in vain, and have to be submitted again.
    fn may_take_piece(&self) -> bool {
        let left = self.pieces_left.load(Ordering::Relaxed);
        self.pieces_left.store(left.saturating_sub(1), Ordering::Relaxed);
        left > 0
    }

    /// Takes a registration, which is retired, from the list.
    fn forget(&self, number: u64) {
        lock(&self.registrations).remove(&number);
    }
}
