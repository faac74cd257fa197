//! What a port's entries and its driver share.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{
        Arc, Mutex, OnceLock, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use super::{
    buffers::Buffers,
    completion::Completion,
    inner::Inner,
    kernel::{Device, Kernel, SHUTDOWN_KEY, System, WAKE_KEY},
    state::Wakeup,
};
use crate::{counters::Counters, lock::lock};

/// How often a packet that cannot be queued is tried.
pub(super) const POSTS: usize = 100;

/// A port's own state.
pub(super) struct Shared {
    pub(super) buffers: Arc<Buffers>,
    pub(super) counters: Arc<Counters>,
    pub(super) wakeup: Wakeup,
    pub(super) stopping: AtomicBool,
    /// Operations that ended within the call that started them: no packet tells of them.
    pub(super) ready: Mutex<VecDeque<Completion>>,
    /// Entries whose resources are not gone yet.
    entries: Mutex<HashMap<u64, Weak<Inner>>>,
    next_entry: AtomicU64,
    device: OnceLock<Device>,
    /// Last: the device is closed before its port.
    pub(super) kernel: Kernel,
}

impl Shared {
    pub(super) fn new(receive_buffer: usize) -> io::Result<Self> {
        Ok(Self {
            buffers: Arc::new(Buffers::new(receive_buffer)),
            counters: Arc::default(),
            wakeup: Wakeup::new(),
            stopping: AtomicBool::new(false),
            ready: Mutex::default(),
            entries: Mutex::default(),
            next_entry: AtomicU64::new(0),
            device: OnceLock::new(),
            kernel: Kernel::new()?,
        })
    }

    /// Lists an entry, for as long as the registration lives.
    pub(super) fn enter(shared: &Arc<Self>, entry: Weak<Inner>) -> Registration {
        // Relaxed: only the numbers' being different matters.
        let number = shared.next_entry.fetch_add(1, Ordering::Relaxed);
        lock(&shared.entries).insert(number, entry);
        Registration { shared: Arc::clone(shared), number }
    }

    /// The entries that are left.
    pub(super) fn entries(&self) -> Vec<Arc<Inner>> {
        lock(&self.entries).values().filter_map(Weak::upgrade).collect()
    }

    /// Whether no entry is left.
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.entries).is_empty()
    }

    /// The device that answers probes, opened at the first.
    pub(super) fn device(&self) -> io::Result<&Device> {
        if let Some(device) = self.device.get() {
            return Ok(device);
        }
        let device = self.kernel.device()?;
        Ok(self.device.get_or_init(|| device))
    }

    /// Leaves a completion to the next turn, and sees to it that there is one.
    pub(super) fn defer(&self, completion: Completion) {
        lock(&self.ready).push_back(completion);
        self.wake();
    }

    /// Makes the current or next wait return. The packet is posted only while a thread waits, and
    /// once until it has returned.
    pub(super) fn wake(&self) {
        let wanted = self.wakeup.notify();
        if wanted && !self.post(WAKE_KEY) {
            self.wakeup.failed();
        }
        self.counters.woken(wanted);
    }

    /// Makes the current or next turn stop.
    pub(super) fn stop(&self) {
        // Release: whoever sees it sees what was done before. The flag covers a packet that cannot
        // be queued, and one that comes late in a batch.
        self.stopping.store(true, Ordering::Release);
        self.post(SHUTDOWN_KEY);
        self.wake();
    }

    /// Queues a packet; the system may be out of memory for it at the moment.
    fn post(&self, key: usize) -> bool {
        for _ in 0..POSTS {
            if self.kernel.post(key).is_ok() {
                return true;
            }
            thread::yield_now();
        }
        false
    }
}

/// An entry's place in its port's list.
pub(super) struct Registration {
    shared: Arc<Shared>,
    number: u64,
}

impl Drop for Registration {
    fn drop(&mut self) {
        lock(&self.shared.entries).remove(&self.number);
    }
}
