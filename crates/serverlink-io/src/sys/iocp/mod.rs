//! The completion-port backend: Windows.

mod accept;
mod buffers;
mod connect;
mod entry;
mod errors;
mod extension;
mod operation;
mod port;
mod probe;
mod receive;
mod send;
mod shared;
mod state;

use std::{
    collections::VecDeque,
    fmt, io, mem,
    os::windows::io::AsRawSocket,
    sync::{Arc, Mutex, atomic::Ordering},
    time::{Duration, Instant},
};

use socket2::Socket;
use windows_sys::Win32::{
    Foundation::HANDLE,
    Networking::WinSock::SOCKET,
    Storage::FileSystem::SetFileCompletionNotificationModes,
    System::{
        IO::OVERLAPPED_ENTRY,
        WindowsProgramming::{FILE_SKIP_COMPLETION_PORT_ON_SUCCESS, FILE_SKIP_SET_EVENT_ON_HANDLE},
    },
};

use self::{
    entry::{Completion, Descriptor, Entry, Inner},
    port::{BATCH, OPERATION_KEY, SHUTDOWN_KEY},
    shared::Shared,
};
use super::{Backend, Outcome, RawDescriptor};
use crate::{Handler, PortOptions, lock::lock, sys};

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
    packets: Vec<OVERLAPPED_ENTRY>,
    completions: VecDeque<Completion>,
}

// SAFETY: the packets are plain results, meaningless once the turn that dequeued them is over.
unsafe impl Send for Batch {}

impl Iocp {
    /// Makes a port.
    pub(crate) fn new(options: &PortOptions) -> io::Result<Self> {
        Ok(Self {
            shared: Arc::new(Shared::new(options.receive_buffer)?),
            batch: Mutex::default(),
            skip: true,
        })
    }

    /// Asks for no packet upon success at once, where that works. True if so it is.
    fn skip_on_success(&self, socket: &Socket) -> bool {
        let modes = (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE) as u8;
        let handle = socket.as_raw_socket() as HANDLE;
        self.skip
            && extension::has_system_handles(socket)
            // SAFETY: the handle is open.
            && unsafe { SetFileCompletionNotificationModes(handle, modes) } != 0
    }

    /// Puts a socket on the port.
    fn adopt(&self, socket: Socket, handler: Arc<dyn Handler>) -> io::Result<Entry> {
        // Overlapped calls do not care; the read after a zero-byte receive must not wait.
        socket.set_nonblocking(true)?;
        // SAFETY: the socket is open and becomes ours; only `Inner::submit` issues operations.
        unsafe { self.shared.port.associate(socket.as_raw_socket() as HANDLE)? };
        let skips = self.skip_on_success(&socket);
        Ok(Entry(Inner::new(&self.shared, Descriptor::Owned(socket), skips, handler)))
    }

    /// Waits for packets and turns them, and what was ready without, into `batch.completions`.
    /// Tells whether somebody asked for the wait to end.
    fn collect(&self, batch: &mut Batch, timeout: Option<Duration>) -> io::Result<Collected> {
        let shared = &*self.shared;
        batch.packets.resize(BATCH, OVERLAPPED_ENTRY::default());
        let ready = !lock(&shared.ready).is_empty();
        let wait = if ready { 0 } else { milliseconds(timeout) };
        let wait = if wait != 0 && !shared.wakeup.prepare() { 0 } else { wait };
        let dequeued = shared.port.dequeue(&mut batch.packets, wait);
        let woken = shared.wakeup.collect();
        let dequeued = dequeued?;
        batch.completions.append(&mut lock(&shared.ready));
        let mut stopped = false;
        for packet in &batch.packets[..dequeued] {
            match packet.lpCompletionKey {
                // SAFETY: dequeued just now with the key of operations, and asked once.
                OPERATION_KEY => {
                    batch.completions.push_back(unsafe { Completion::of_packet(packet) })
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
        socket: Socket,
        handler: Arc<dyn Handler>,
    ) -> io::Result<Arc<dyn sys::Entry>> {
        Ok(Arc::new(self.adopt(socket, handler)?))
    }

    fn watch(
        &self,
        descriptor: RawDescriptor,
        handler: Arc<dyn Handler>,
    ) -> io::Result<Arc<dyn sys::Entry>> {
        let descriptor = Descriptor::Watched(descriptor as SOCKET);
        Ok(Arc::new(Entry(Inner::new(&self.shared, descriptor, false, handler))))
    }

    fn turn(&self, timeout: Option<Duration>) -> io::Result<Outcome> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut batch = mem::take(&mut *lock(&self.batch));
        let outcome = loop {
            if self.shared.stopping.load(Ordering::Acquire) {
                break Outcome::Stopped;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
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
        let deadline = Instant::now() + DRAIN;
        let mut batch = mem::take(&mut *lock(&self.batch));
        while !self.shared.is_empty() && Instant::now() < deadline {
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

#[cfg(test)]
mod tests;
