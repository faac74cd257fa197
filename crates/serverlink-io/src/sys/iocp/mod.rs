//! The completion-port backend: Windows.
//!
//! The kernel carries operations out in our buffers and queues a packet for
//! each that ends; [`Iocp::turn`](Backend::turn) dequeues packets, up to 256
//! a call, and tells handlers. The system's calls are behind the trait in
//! `kernel`, made in `windows`; nothing else here knows them. So all else also runs on `model`, in
//! the tests of every other platform.
//!
//! # The original event loop, and where it is now
//!
//! | original | here | stronger, in that |
//! |---|---|---|
//! | `loop()` | [`Iocp::turn`](Backend::turn), `Iocp::collect`, `Iocp::deliver` | any thread may drive it, one at a time; packets that concern no handler do not end a turn; a handler's panic loses no other's completion |
//! | `GetQueuedCompletionStatusEx`, 256 entries | `kernel::System::dequeue`, [`asking::BATCH`] | the array is kept between turns; the wait is not alertable; under Wine a call asks for as many as calls find |
//! | `execute_timers()` sets the timeout | `Port` passes the time to its next timer; `milliseconds` rounds it up | a wait that returns early waits on; nothing spins |
//! | `start_async_recv()` | `inner::Inner::start` and `submit` with `receive::Receive` | it lends a real buffer within a budget, and arms zero bytes beyond it; an error of the call becomes an event as well, in a later turn |
//! | `start_async_send()` with a dummy buffer | `entry` (`Inner::send`) and `submit` with `send::Send` | the kernel reads the caller's own bytes, gathered; no copy, and no probing for writability |
//! | `handle_read_completion()`, `handle_write_completion()` | `completion::Completion::deliver`, `inner::Inner::advance` | one path for all operations; the rest of a partial send, and repetition, happen here and not in the handler |
//! | restart while `want_pollin` / `want_pollout` | the slot is free before the handler is called: one that wants more calls `receive` or `send` again from within its completion | interest cannot outlive its owner, and applies back-pressure when it is not renewed |
//! | `cleanup_retired()` | the drop of the last [`state::Claim`] | no list to walk: the thread that ends the last use frees the entry at that moment, once |
//! | `rm_fd()` with `CancelIoEx(fd, NULL)` | `entry` (`Inner::retire`) | safe from any thread, also while another is issuing an operation: `state::Slot::retire` tells which of the two passes the cancellation on |
//! | duplicate registration | `Iocp::register` takes the socket over | one port for a socket's life, by ownership |
//!
//! | core pattern | here | stronger, in that |
//! |---|---|---|
//! | shutdown by `SHUTDOWN_KEY` | `shared::Shared::stop`, `Iocp::collect` | the batch that has the key among its packets is delivered to its end; a flag covers a packet that could not be queued |
//! | wake-ups | `shared::Shared::wake`, [`state::Wakeup`] | none is posted unless a thread waits, and one at most per wait; its documentation has the ordering argument |
//! | error classification | `errors::classify`, one table | it names every code and says why, knows the call the code came from, and is tested row by row; `Retry` is carried out here, a bounded number of times in a row, with less memory to lock if that was the trouble |
//! | safe entry deletion | [`state::Retirable`] | flag and count are one word, so "retired and unused" is seen by exactly one thread |
//! | pending I/O tracking | [`state::Slot`] (a flag per direction), [`state::Retirable`] (the count) | the flag also says who owns the operation's memory; calls in progress are counted, too, so no socket is closed while another thread is about to name it |
//! | memory orderings | each operation of `state` says its own and why | every hand-over is on one word: no sequential consistency is needed |
//! | error from the `OVERLAPPED` | `operation::Operation::status`, `WSAGetOverlappedResult` | asked under the same condition (no bytes, or a status); a failed operation's bytes count |
//! | batch processing | `Iocp::collect` | all of a batch becomes [`Completion`]s before the first handler runs |
//! | zero copy | `receive`, `send` | as promised: the kernel reads and writes the buffers the caller gave, or gets |
//! | accept and connect (left to blocking calls) | `accept`, `connect` | `AcceptEx` and `ConnectEx` of the socket's own provider, with their update-context options in the one path |
//! | testing recommendations | `tests`, the conformance suite of the crate, and `model` | basic I/O, shutdown, removal during I/O, errors, load: each under its name; random schedules on a model of the kernel, on every platform |
//!
//! # Memory and closing
//!
//! An operation in the kernel holds a reference to its entry, so that the
//! `OVERLAPPED` and the buffers stay, and a claim on its resources, so that
//! the socket stays open. Both are given back when its packet is dequeued or
//! the call that issued it fails: never earlier. A retired entry's operations
//! are cancelled at once and its socket is closed when the last has ended, so
//! a socket is never closed with a send pending. `CancelIoEx` is a hint: "not
//! found" may mean that the packet is queued already, and nothing here reads
//! its result.
//!
//! Dropping the port retires all entries and dequeues until they are gone, or
//! for [`DRAIN`]; what is left then is leaked, with the port's handle.
//!
//! # Success without a packet
//!
//! Sockets of providers with file-system handles skip the packet of an
//! operation that succeeds within its call. A send then ends in the calling
//! thread; other operations are put on a list that the next turn delivers, so
//! that only `turn` calls handlers. Where packets cannot be skipped everything
//! goes through the port.
//!
//! # Named pipes
//!
//! Where there are no Unix domain sockets, pipes go the same way as sockets. What differs is told
//! by [`kernel::Nature`]; an accept and a connect are operations of other handles than the entry's.
//!
//! # Fairness
//!
//! A direction has one operation at most, and a batch is collected before it
//! is delivered; so one turn tells an entry at most one receive or accept and
//! one send, and what they restart waits for the next turn.

mod accept;
mod asking;
mod buffers;
mod completion;
mod connect;
mod entry;
mod errors;
mod inner;
mod kernel;
#[cfg(all(test, not(windows)))]
mod model;
mod operation;
mod probe;
mod receive;
mod resources;
mod send;
mod shared;
mod state;
#[cfg(windows)]
mod windows;

use std::{
    collections::VecDeque,
    fmt, io, mem,
    sync::{Arc, Mutex, atomic::Ordering},
    time::Duration,
};

use bytes::BytesMut;

use self::{
    asking::{Asking, BATCH},
    completion::Completion,
    entry::Entry,
    errors::{Call, classify},
    inner::Inner,
    kernel::{Kernel, OPERATION_KEY, Packet, SHUTDOWN_KEY, Socket, System},
    resources::Descriptor,
    shared::Shared,
};
#[cfg(windows)]
pub(crate) use self::{errors::sort, windows::Pipe};
use super::{Backend, Outcome, RawDescriptor};
use crate::{Handler, PortOptions, counters::Counters, errors::Action, lock::lock, sys};

/// How long dropping a port waits for the kernel to give up cancelled operations. What it still
/// holds then is leaked: its memory may be written at any time.
const DRAIN: Duration = Duration::from_secs(5);

/// The backend.
pub(crate) struct Iocp {
    shared: Arc<Shared>,
    /// What one turn works with, kept for the next.
    batch: Mutex<Batch>,
    /// Whether to ask for no packet upon success at once.
    skip: bool,
}

/// What one turn works with.
#[derive(Default)]
struct Batch {
    packets: Vec<Packet>,
    asking: Asking,
    completions: VecDeque<Completion>,
}

impl Iocp {
    /// Makes a port.
    pub(crate) fn new(options: &PortOptions) -> io::Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared::new(options.receive_buffer)?),
            batch: Mutex::default(),
            skip: true,
        })
    }

    /// Puts a socket on the port.
    fn adopt(&self, socket: impl Into<Socket>, handler: Arc<dyn Handler>) -> io::Result<Entry> {
        let socket = socket.into();
        // Overlapped calls do not care; the read after a zero-byte receive must not wait.
        socket.set_nonblocking(true)?;
        let kernel = &self.shared.kernel;
        kernel.associate(&socket)?;
        let skips = self.skip && kernel.skip_on_success(&socket);
        Ok(Entry(Inner::new(&self.shared, Descriptor::Owned(socket), skips, handler)))
    }

    /// Waits for packets and turns them, and what was ready without, into `batch.completions`.
    /// Tells whether somebody asked for the wait to end.
    fn collect(&self, batch: &mut Batch, timeout: Option<Duration>) -> io::Result<Collected> {
        let shared = &*self.shared;
        batch.packets.resize(BATCH, Packet::default());
        let ready = !lock(&shared.ready).is_empty();
        let wait = if ready { 0 } else { milliseconds(timeout) };
        let wait = if wait != 0 && !shared.wakeup.prepare() { 0 } else { wait };
        let room = &mut batch.packets[..batch.asking.count()];
        let dequeued = shared.kernel.dequeue(room, wait);
        let woken = shared.wakeup.collect();
        let dequeued = match dequeued {
            Ok(count) => count,
            Err(code) if classify(Call::Dequeue, code) == Action::Ignore => 0,
            Err(code) => return Err(errors::to_io(code)),
        };
        if Kernel::looks_for_each_packet() {
            batch.asking.found(dequeued);
        }
        batch.completions.append(&mut lock(&shared.ready));
        let mut stopped = false;
        for packet in &batch.packets[..dequeued] {
            match Kernel::read(packet).0 {
                OPERATION_KEY => {
                    // SAFETY: dequeued just now with the key of operations, and asked once.
                    let completion = unsafe { Completion::of_packet(packet) };
                    batch.completions.push_back(completion);
                }
                SHUTDOWN_KEY => stopped = true,
                // A wake: `woken` tells, for a late packet of an earlier wake asks for nothing.
                _ => {}
            }
        }
        Ok(Collected { woken, stopped })
    }

    /// Calls the handlers. All of the batch, also after a stop: a completion dropped here would be
    /// lost, and its memory with it.
    fn deliver(&self, completions: &mut VecDeque<Completion>) -> usize {
        let rest = Rest { shared: &self.shared, completions };
        let mut delivered = 0;
        while let Some(completion) = rest.completions.pop_front() {
            delivered += usize::from(completion.deliver());
        }
        delivered
    }
}

/// What a wait brought beside completions.
struct Collected {
    woken: bool,
    stopped: bool,
}

/// The completions of a batch that are still to be delivered: if a handler panics, in the next
/// turn.
struct Rest<'a> {
    shared: &'a Shared,
    completions: &'a mut VecDeque<Completion>,
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if self.completions.is_empty() {
            return;
        }
        let mut ready = lock(&self.shared.ready);
        self.completions.append(&mut ready);
        mem::swap(self.completions, &mut ready);
    }
}

impl Backend for Iocp {
    fn name(&self) -> &'static str {
        "iocp"
    }

    fn register(
        &self,
        socket: socket2::Socket,
        handler: Arc<dyn Handler>,
    ) -> io::Result<Arc<dyn sys::Entry>> {
        Ok(Arc::new(self.adopt(Kernel::take_over(socket), handler)?))
    }

    #[cfg(windows)]
    fn takes_pipes(&self) -> bool {
        true
    }

    #[cfg(windows)]
    fn register_pipe(
        &self,
        pipe: Pipe,
        handler: Arc<dyn Handler>,
    ) -> io::Result<Arc<dyn sys::Entry>> {
        Ok(Arc::new(self.adopt(pipe, handler)?))
    }

    fn watch(
        &self,
        descriptor: RawDescriptor,
        handler: Arc<dyn Handler>,
    ) -> io::Result<Arc<dyn sys::Entry>> {
        let descriptor = Descriptor::Watched(Kernel::foreign(descriptor));
        Ok(Arc::new(Entry(Inner::new(&self.shared, descriptor, false, handler))))
    }

    fn turn(&self, timeout: Option<Duration>) -> io::Result<Outcome> {
        let deadline = timeout.and_then(|timeout| self.shared.kernel.now().checked_add(timeout));
        let mut batch = mem::take(&mut *lock(&self.batch));
        let outcome = loop {
            if self.shared.stopping.load(Ordering::Acquire) {
                break Outcome::Stopped;
            }
            let left = deadline
                .map(|deadline| deadline.saturating_duration_since(self.shared.kernel.now()));
            let collected = self.collect(&mut batch, left)?;
            let delivered = self.deliver(&mut batch.completions);
            if collected.stopped {
                break Outcome::Stopped;
            }
            // Packets that told no handler anything (a send's next part, a retired entry's last
            // completion) do not end the turn.
            if delivered > 0 || collected.woken || left.is_some_and(|left| left.is_zero()) {
                break Outcome::Delivered(delivered);
            }
        };
        *lock(&self.batch) = batch;
        Ok(outcome)
    }

    fn reuse(&self, buffer: BytesMut) {
        self.shared.buffers.pool.give(buffer);
    }

    fn counters(&self) -> &Arc<Counters> {
        &self.shared.counters
    }

    fn pending(&self) -> usize {
        self.shared.entries().iter().map(|entry| entry.pending()).sum()
    }

    fn timer_grain(&self) -> Duration {
        // The period of the system's clock; see Sleep in Microsoft's reference.
        Duration::from_micros(15_625)
    }

    fn wake(&self) {
        self.shared.wake();
    }

    fn stop(&self) {
        self.shared.stop();
    }
}

impl Drop for Iocp {
    /// Retires every entry and waits until the kernel has given back what it held.
    fn drop(&mut self) {
        for entry in self.shared.entries() {
            entry.retire();
        }
        let kernel = &self.shared.kernel;
        let deadline = kernel.now() + DRAIN;
        let mut batch = mem::take(&mut *lock(&self.batch));
        while !self.shared.is_empty() && kernel.now() < deadline {
            if self.collect(&mut batch, Some(Duration::from_millis(20))).is_err() {
                break;
            }
            self.deliver(&mut batch.completions);
        }
        // An operation that is left keeps its entry, which keeps the port: leaked, all of it.
    }
}

impl fmt::Debug for Iocp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Iocp")
            .field("armed", &self.shared.buffers.armed())
            .field("entries", &self.shared.entries().len())
            .finish_non_exhaustive()
    }
}

/// `timeout` as `GetQueuedCompletionStatusEx` takes it: rounded up, so as not to return early and
/// spin; the greatest value means for ever.
fn milliseconds(timeout: Option<Duration>) -> u32 {
    timeout.map_or(u32::MAX, |timeout| {
        u32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX).min(u32::MAX - 1)
    })
}

#[cfg(all(test, windows))]
mod tests;
