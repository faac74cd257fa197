//! A lock that costs its favourite next to nothing.

#[cfg(all(test, loom))]
mod model;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;

use std::{
    fmt, hint,
    mem::{self, MaybeUninit},
    ops::{Deref, DerefMut},
};

use sync::{
    AtomicBool, AtomicUsize, Inside, Mutex, MutexGuard, Ordering, Thread, UnsafeCell, current,
    lock, park, thread_mark,
};

use crate::barrier;

/// The favourite of a lock that has none. No thread's mark.
const NOBODY: usize = 0;
/// How often a thread must have come, with no other between, to become the favourite.
const FAITHFUL: u32 = if cfg!(loom) { 1 } else { 64 };
/// How often the favourite must have come between two visits of others to remain it: a visit takes
/// some microseconds, for a barrier on all processors.
const WORTH: usize = if cfg!(loom) { 1 } else { 256 };
/// How many threads at most can have been favourites and not have come since to hear that they are
/// not. It is a power of two, and divides [marks](thread_mark).
const SEATS: usize = 4;
/// The bits that tell a favourite's seat.
const SEAT: usize = SEATS - 1;
/// How often a visitor looks before it sleeps: what is locked is locked briefly.
const LOOKS: u32 = if cfg!(loom) { 0 } else { 200 };

/// A mutual exclusion lock for what one thread uses most of the time, and others now and then
/// (*biased locking*).
///
/// A thread that comes again and again, with no other between, becomes the lock's favourite: it
/// enters and leaves with ordinary loads and stores, where a mutex takes two locked instructions, each
/// of which waits until all earlier stores have reached the cache. Others take the favour away first,
/// which costs them a barrier on all processors that run the program ([membarrier(2)]), and give it
/// back when they leave; if they come too often, they do not, and the lock is an ordinary one. So it is
/// where the system has no such barrier: everywhere but on Linux.
///
/// Threads are let in in no particular order. A panic while the lock is held releases it.
///
/// ```
/// use serverlink_io::BiasedLock;
///
/// let counter = BiasedLock::new(0);
/// std::thread::scope(|scope| {
///     scope.spawn(|| *counter.lock() += 1);
///     (0..1000).for_each(|_| *counter.lock() += 1);
/// });
/// assert_eq!(*counter.lock(), 1001);
/// ```
///
/// [membarrier(2)]: https://man7.org/linux/man-pages/man2/membarrier.2.html
pub struct BiasedLock<T> {
    /// The [mark](thread_mark) of the thread that need not take the mutex, and its seat. Changed by who
    /// has it.
    favourite: AtomicUsize,
    /// By seats: the favourite is inside, or looks whether it may be. Its own to change, and that of
    /// nobody else: a thread that was the favourite when it came may have been about to enter for ages.
    inside: [AtomicBool; SEATS],
    /// How often the favourite has come. Its own to change.
    entries: AtomicUsize,
    others: Mutex<Others>,
    /// Who waits for the favourite to leave.
    waiting: Mutex<Option<Thread>>,
    value: UnsafeCell<T>,
}

#[derive(Debug)]
struct Others {
    /// Whose the seats are.
    seats: [usize; SEATS],
    /// The favourite that had to make room, and its seat.
    displaced: usize,
    /// How often it had come by the last visit.
    entries: usize,
    /// Who came last, and how often in a row.
    last: usize,
    row: u32,
}

/// What a [`BiasedLock`] guards, until it is dropped.
#[must_use]
pub struct BiasedGuard<'a, T> {
    lock: &'a BiasedLock<T>,
    /// The favourite it was given to, and its seat; nobody, if it was given to another.
    favourite: usize,
    /// There for others. With it, a guard stays on its thread.
    others: MaybeUninit<MutexGuard<'a, Others>>,
    value: Inside<T>,
}

impl<T> BiasedLock<T> {
    /// A lock without a favourite.
    pub fn new(value: T) -> Self {
        Self {
            favourite: AtomicUsize::new(NOBODY),
            inside: std::array::from_fn(|_| AtomicBool::new(false)),
            entries: AtomicUsize::new(0),
            others: Mutex::new(Others {
                seats: [NOBODY; SEATS],
                displaced: NOBODY,
                entries: 0,
                last: NOBODY,
                row: 0,
            }),
            waiting: Mutex::new(None),
            value: UnsafeCell::new(value),
        }
    }

    /// Waits until no other thread has it, and locks it.
    ///
    /// # Panics
    ///
    /// If the thread has it already; or it waits for ever.
    #[inline]
    pub fn lock(&self) -> BiasedGuard<'_, T> {
        let me = thread_mark();
        let favourite = self.favourite.load(Ordering::Relaxed);
        // Acquired from a favourite that has ended and left its mark to this thread.
        let favoured = mark_of(favourite) == me
            && !self.inside_of(favourite).load(Ordering::Acquire)
            && self.enter(favourite);
        // Nobody else is inside: see `lock_like_others`.
        let (favourite, others) = if favoured {
            (favourite, MaybeUninit::uninit())
        } else {
            (NOBODY, MaybeUninit::new(self.lock_like_others(me)))
        };
        BiasedGuard { lock: self, favourite, others, value: Inside::new(&self.value) }
    }

    #[inline]
    fn inside_of(&self, favourite: usize) -> &AtomicBool {
        &self.inside[favourite & SEAT]
    }

    /// The favourite's way in. False if it is the favourite no more.
    #[inline]
    fn enter(&self, favourite: usize) -> bool {
        self.inside_of(favourite).store(true, Ordering::Relaxed);
        barrier::light();
        // Acquired from whoever gave the favour, and was inside before.
        if self.favourite.load(Ordering::Acquire) == favourite {
            let entries = self.entries.load(Ordering::Relaxed);
            self.entries.store(entries.wrapping_add(1), Ordering::Relaxed);
            return true;
        }
        self.leave(favourite);
        false
    }

    /// The favourite's way out.
    #[inline]
    fn leave(&self, favourite: usize) {
        self.inside_of(favourite).store(false, Ordering::Release);
        barrier::light();
        if self.favourite.load(Ordering::Relaxed) != favourite {
            self.wake_waiting();
        }
    }

    #[cold]
    fn wake_waiting(&self) {
        if let Some(waiting) = lock(&self.waiting).take() {
            waiting.unpark();
        }
    }

    /// Takes the mutex, and the favour from whoever has it.
    ///
    /// The favourite notes that it is inside, and then looks whether it still is the favourite; here
    /// the favour is taken away, and then it is looked whether anybody is inside. With a barrier on
    /// both sides at least one sees what the other did: the favourite, which is the one who often
    /// comes, need not pay for its own, because the other's is one for all processors.
    #[cold]
    fn lock_like_others(&self, me: usize) -> MutexGuard<'_, Others> {
        let mut others = lock(&self.others);
        let favourite = self.favourite.load(Ordering::Relaxed);
        others.displaced = favourite;
        let is_mine = mark_of(favourite) == me;
        if is_mine {
            assert!(
                !self.inside_of(favourite).load(Ordering::Relaxed),
                "a thread locks what it has locked already"
            );
        } else {
            // It is not about to enter any more.
            others.free_seat(me);
        }
        if favourite != NOBODY {
            self.favourite.store(NOBODY, Ordering::Relaxed);
            if !is_mine {
                barrier::heavy();
                self.wait_until_left(favourite);
            }
        }
        others
    }

    #[cfg_attr(loom, expect(clippy::reversed_empty_ranges, reason = "loom is spared the looks"))]
    fn wait_until_left(&self, favourite: usize) {
        let inside = self.inside_of(favourite);
        for _ in 0..LOOKS {
            // Acquired from the favourite that leaves.
            if !inside.load(Ordering::Acquire) {
                return;
            }
            hint::spin_loop();
        }
        loop {
            // Each time: a former favourite that found itself to be none has taken it, too.
            *lock(&self.waiting) = Some(current());
            if !inside.load(Ordering::Acquire) {
                break;
            }
            park();
        }
        *lock(&self.waiting) = None;
    }

    #[cold]
    fn leave_like_others(&self, mut others: MutexGuard<'_, Others>) {
        self.choose_favourite(thread_mark(), &mut others);
    }

    /// Decides, before the mutex is released, whose favourite the lock shall be.
    fn choose_favourite(&self, me: usize, others: &mut Others) {
        let entries = self.entries.load(Ordering::Relaxed);
        let since = entries.wrapping_sub(mem::replace(&mut others.entries, entries));
        let displaced = others.displaced;
        let chosen = if mark_of(displaced) == me || (displaced != NOBODY && since >= WORTH) {
            displaced
        } else {
            others.row = if others.last == me { others.row.saturating_add(1) } else { 1 };
            others.last = me;
            if others.row < FAITHFUL || !barrier::is_available() {
                return;
            }
            let Some(seat) = others.take_seat(me) else { return };
            others.row = 0;
            me | seat
        };
        // Released to the favourite, which takes no mutex.
        self.favourite.store(chosen, Ordering::Release);
    }
}

impl Others {
    fn free_seat(&mut self, thread: usize) {
        for seat in self.seats.iter_mut().filter(|seat| **seat == thread) {
            *seat = NOBODY;
        }
    }

    /// A seat for a thread that has none, if one is free.
    fn take_seat(&mut self, thread: usize) -> Option<usize> {
        let seat = self.seats.iter().position(|&seat| seat == NOBODY)?;
        self.seats[seat] = thread;
        Some(seat)
    }
}

#[inline]
fn mark_of(favourite: usize) -> usize {
    favourite & !SEAT
}

impl<T> Drop for BiasedGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.value.end();
        if self.favourite == NOBODY {
            // SAFETY: it is there, and not used again.
            let others = unsafe { self.others.assume_init_read() };
            self.lock.leave_like_others(others);
        } else {
            self.lock.leave(self.favourite);
        }
    }
}

impl<T> Deref for BiasedGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the guard's thread is the only one inside: it has the mutex and found the favourite
        // to be outside, or is the favourite while nobody else has the mutex and is past that.
        unsafe { self.value.get(&self.lock.value) }
    }
}

impl<T> DerefMut for BiasedGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as above; and the guard is borrowed mutably.
        unsafe { self.value.get_mut(&self.lock.value) }
    }
}

// SAFETY: the lock lets one thread at a time at the value.
unsafe impl<T: Send> Sync for BiasedLock<T> {}

impl<T> fmt::Debug for BiasedLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BiasedLock").finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> fmt::Debug for BiasedGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
