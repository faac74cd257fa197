//! Something threads wait for.

use std::{collections::VecDeque, time::Instant};

use crate::sync::{
    AtomicU64, AtomicUsize, Mutex,
    Ordering::SeqCst,
    lock,
    thread::{self, Thread},
};

/// A count that threads wait to see changed, in [`Port::wait`](crate::Port::wait) or
/// [`Notice::park`].
///
/// Note the [`epoch`](Self::epoch) before you look whether what you want is
/// there; if it is not, wait for the epoch to pass. Whoever makes it be there
/// [raises](Self::raise) the notice afterwards.
///
/// ```
/// use std::{sync::{Arc, atomic::{AtomicBool, Ordering}}, thread};
/// use serverlink_io::Notice;
///
/// let shared = Arc::new((AtomicBool::new(false), Notice::new()));
/// let there = shared.clone();
/// thread::spawn(move || {
///     there.0.store(true, Ordering::Release);
///     there.1.raise();
/// });
/// loop {
///     let epoch = shared.1.epoch();
///     if shared.0.load(Ordering::Acquire) {
///         break;
///     }
///     shared.1.park(epoch, None);
/// }
/// ```
#[derive(Debug, Default)]
pub struct Notice {
    epoch: AtomicU64,
    /// How many threads sleep, or are about to.
    sleepers: AtomicUsize,
    /// Those threads, whoever has slept longest first.
    threads: Mutex<VecDeque<Thread>>,
    /// How many threads wait by driving a port: one may be leaving the seat as the next takes it.
    at_port: AtomicUsize,
}

impl Notice {
    /// A notice never raised yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How often it has been raised.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(SeqCst)
    }

    /// Ends the waits of all threads.
    ///
    /// If threads wait for it at a port, use [`Port::raise`](crate::Port::raise) instead.
    pub fn raise(&self) {
        self.epoch.fetch_add(1, SeqCst);
        // As many as sleep now: one that has been woken may be asleep again, behind them, before the
        // last is. To wake whoever sleeps might never end.
        for _ in 0..self.sleepers.load(SeqCst) {
            let Some(thread) = self.next_sleeper() else { break };
            // Not under the lock: whoever wakes up needs it at once.
            thread.unpark();
        }
    }

    /// Waits until the epoch is past `seen`, or the deadline; may return before.
    pub fn park(&self, seen: u64, deadline: Option<Instant>) {
        let _sleeper = self.sleeper();
        if self.epoch() == seen {
            park_until(deadline);
        }
    }

    fn next_sleeper(&self) -> Option<Thread> {
        let mut threads = lock(&self.threads);
        let thread = threads.pop_front();
        self.sleepers.store(threads.len(), SeqCst);
        thread
    }

    /// Has raising wake the port as long as the result is kept.
    pub(crate) fn at_port(&self) -> AtPort<'_> {
        self.at_port.fetch_add(1, SeqCst);
        AtPort(self)
    }

    pub(crate) fn is_at_port(&self) -> bool {
        self.at_port.load(SeqCst) > 0
    }

    /// Has the next raising unpark this thread, if the result is still kept then.
    pub(crate) fn sleeper(&self) -> Sleeper<'_> {
        let thread = thread::current();
        let mut threads = lock(&self.threads);
        threads.push_back(thread);
        self.sleepers.store(threads.len(), SeqCst);
        Sleeper(self)
    }
}

/// See [`Notice::at_port`].
#[derive(Debug)]
pub(crate) struct AtPort<'a>(&'a Notice);

impl Drop for AtPort<'_> {
    fn drop(&mut self) {
        self.0.at_port.fetch_sub(1, SeqCst);
    }
}

/// See [`Notice::sleeper`].
#[derive(Debug)]
pub(crate) struct Sleeper<'a>(&'a Notice);

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let me = thread::current().id();
        let mut threads = lock(&self.0.threads);
        if let Some(place) = threads.iter().position(|thread| thread.id() == me) {
            threads.remove(place);
        }
        self.0.sleepers.store(threads.len(), SeqCst);
    }
}

pub(crate) fn park_until(deadline: Option<Instant>) {
    match deadline {
        None => thread::park(),
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                thread::park_timeout(left);
            }
        }
    }
}
