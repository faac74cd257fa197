//! Who drives a port.
//!
//! One thread at a time sits in the driver's seat. Two kinds of threads want
//! it: the one in [`Port::run`](crate::Port::run), the *background*, and those
//! in [`Port::wait`](crate::Port::wait), which would have to sleep until an
//! event anyway. An event that wakes the very thread it is for saves the
//! hand-over from one thread to another, so waiters come first: the background
//! gives way to them, and takes the seat back when it has been free for
//! [`GRACE`]. While waiters come and go it looks after them now and then; while
//! one stays, it sleeps; and when nobody wants anything, it waits in the port
//! itself, so that nothing wakes up in vain.

use std::{
    collections::VecDeque,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, Thread, ThreadId},
    time::Duration,
};

use crate::lock::lock;

/// How long the seat may be free before the background takes it.
const GRACE: Duration = Duration::from_millis(2);

const NOBODY: usize = 0;

/// A value that differs between the threads of the process and is never [`NOBODY`].
fn thread_mark() -> usize {
    thread_local!(static MARK: u8 = const { 0 });
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

/// The driver's seat of a port.
///
/// Every flag here is set before something is checked that the other side
/// changes before it checks the flag; hence `SeqCst` throughout.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    driver: AtomicUsize,
    /// Counts the waiters that have sat here.
    rides: AtomicUsize,
    queue: Mutex<VecDeque<Thread>>,
    /// How many are in the queue.
    queued: AtomicUsize,
    /// How many of those the background should give way to.
    wanted: AtomicUsize,
    background: Background,
}

#[derive(Debug, Default)]
struct Background {
    thread: Mutex<Option<Thread>>,
    mark: AtomicUsize,
    /// It sleeps until the seat is free.
    asleep: AtomicBool,
    /// It should take the seat at once.
    urgent: AtomicBool,
}

/// Held by whoever drives.
#[derive(Debug)]
pub(crate) struct Driving<'a>(&'a Seat);

/// A place in the queue for the seat.
#[derive(Debug)]
pub(crate) struct Queued<'a> {
    seat: &'a Seat,
    thread: ThreadId,
    eager: bool,
}

/// Held by the background thread.
#[derive(Debug)]
pub(crate) struct Role<'a>(&'a Seat);

impl Seat {
    /// Takes the seat if it is free.
    pub(crate) fn take(&self) -> Option<Driving<'_>> {
        self.driver.compare_exchange(NOBODY, thread_mark(), SeqCst, SeqCst).ok()?;
        Some(Driving(self))
    }

    /// Takes the seat for a waiter.
    pub(crate) fn take_for_waiter(&self) -> Option<Driving<'_>> {
        let driving = self.take()?;
        self.rides.fetch_add(1, SeqCst);
        Some(driving)
    }

    pub(crate) fn is_mine(&self) -> bool {
        // Only this thread ever stores its own mark, so the value cannot be stale for it.
        self.driver.load(SeqCst) == thread_mark()
    }

    pub(crate) fn is_free(&self) -> bool {
        self.driver.load(SeqCst) == NOBODY
    }

    /// Whether the background drives, for whom the seat is second choice.
    pub(crate) fn is_background(&self) -> bool {
        let driver = self.driver.load(SeqCst);
        driver != NOBODY && driver == self.background.mark.load(SeqCst)
    }

    /// Whether the background should give way.
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(SeqCst) > 0
    }

    /// Queues for the seat. The calling thread is unparked when it is free: check
    /// [`is_free`](Self::is_free) before parking.
    pub(crate) fn queue(&self, eager: bool) -> Queued<'_> {
        let thread = thread::current();
        let id = thread.id();
        let mut queue = lock(&self.queue);
        queue.push_back(thread);
        self.queued.store(queue.len(), SeqCst);
        drop(queue);
        self.wanted.fetch_add(usize::from(eager), SeqCst);
        Queued { seat: self, thread: id, eager }
    }

    /// Has somebody take the seat soon if it is free: the next in the queue, or the background.
    fn settle(&self) {
        if !self.is_free() {
            return;
        }
        if self.queued.load(SeqCst) > 0 {
            // Not under the lock: whoever wakes up needs it at once.
            let next = lock(&self.queue).front().cloned();
            if let Some(next) = next {
                next.unpark();
            }
        } else if self.background.asleep.swap(false, SeqCst) {
            self.unpark_background();
        }
    }

    /// Has somebody take the seat at once if it is free.
    pub(crate) fn settle_now(&self) {
        if !self.is_free() {
            return;
        }
        if self.queued.load(SeqCst) > 0 {
            self.settle();
        } else if self.background.mark.load(SeqCst) != NOBODY
            && !self.background.urgent.swap(true, SeqCst)
        {
            self.unpark_background();
        }
    }

    fn unpark_background(&self) {
        if let Some(thread) = &*lock(&self.background.thread) {
            thread.unpark();
        }
    }

    /// Unparks everybody.
    pub(crate) fn disturb(&self) {
        lock(&self.queue).iter().for_each(Thread::unpark);
        self.background.asleep.store(false, SeqCst);
        self.background.urgent.store(true, SeqCst);
        self.unpark_background();
    }

    /// Makes this thread the background, unless there is one.
    pub(crate) fn background(&self) -> Option<Role<'_>> {
        let mut thread = lock(&self.background.thread);
        if thread.is_some() {
            return None;
        }
        *thread = Some(thread::current());
        self.background.mark.store(thread_mark(), SeqCst);
        Some(Role(self))
    }
}

impl Role<'_> {
    /// Waits until the background should take the seat, or is disturbed.
    pub(crate) fn watch(&self) {
        let Seat { background, rides, .. } = self.0;
        loop {
            let before = rides.load(SeqCst);
            if background.urgent.swap(false, SeqCst) {
                return;
            }
            thread::park_timeout(GRACE);
            if background.urgent.swap(false, SeqCst) {
                return;
            }
            if self.0.is_wanted() || rides.load(SeqCst) != before {
                continue;
            }
            if self.0.is_free() {
                return;
            }
            // A waiter has sat there all the time. It says when it leaves.
            background.asleep.store(true, SeqCst);
            while background.asleep.load(SeqCst) && !self.0.is_free() {
                thread::park();
            }
            background.asleep.store(false, SeqCst);
        }
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        self.0.background.mark.store(NOBODY, SeqCst);
        *lock(&self.0.background.thread) = None;
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut queue = lock(&self.seat.queue);
        if let Some(place) = queue.iter().position(|thread| thread.id() == self.thread) {
            queue.remove(place);
        }
        self.seat.queued.store(queue.len(), SeqCst);
        drop(queue);
        self.seat.wanted.fetch_sub(usize::from(self.eager), SeqCst);
    }
}

impl Queued<'_> {
    /// Leaves the queue for good. If it was this thread's turn, it is the next one's.
    pub(crate) fn give_up(self) {
        let seat = self.seat;
        drop(self);
        seat.settle();
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.driver.store(NOBODY, SeqCst);
        self.0.settle();
    }
}
