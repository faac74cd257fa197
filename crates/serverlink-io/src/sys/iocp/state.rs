//! When an entry's memory may be touched, and by whom: atomics only, no system
//! call.
//!
//! Two machines decide everything. [`Retirable`] holds what an entry owns (its
//! socket and its handler) and is the original loop's *retired flag and pending count*:
//! one word, because the flag and the count must change together. [`Slot`] is
//! the original's *pending flag per direction*, refined to say which side owns the
//! operation's memory at any moment.
//!
//! Every hand-over happens on a single atomic word by a read-modify-write, so
//! each is decided by that word's modification order alone; nothing here needs
//! sequential consistency, a fence, or a barrier hidden in a system call. The
//! orderings are the original's: acquire-release for compare-and-exchange, acquire
//! to read shared state, release to publish, relaxed where nothing is
//! synchronised.

use std::{mem, ops::Deref};

use crate::sync::ordered::{AtomicUsize, Ordering, UnsafeCell};

/// The flag in [`Retirable`]'s word; the rest counts claims.
const RETIRED: usize = 1 << (usize::BITS - 1);

/// A value that is used under claims, and dropped as soon as it is retired and
/// unclaimed.
///
/// A claim is held by every operation from its start until its completion was
/// dealt with, and by every call in progress. So the socket cannot be closed
/// while the kernel has an operation of it, nor while another thread is about
/// to name it in a system call.
pub(super) struct Retirable<T> {
    word: AtomicUsize,
    value: UnsafeCell<Option<T>>,
}

// SAFETY: the value is shared by reference among claims (`T: Sync`) and may be dropped by whichever
// thread gives up the last one (`T: Send`).
unsafe impl<T: Send + Sync> Sync for Retirable<T> {}

impl<T> Retirable<T> {
    pub(super) fn new(value: T) -> Self {
        Self { word: AtomicUsize::new(0), value: UnsafeCell::new(Some(value)) }
    }

    /// Claims the value; `None` once it is retired.
    pub(super) fn claim(&self) -> Option<Claim<'_, T>> {
        // Acquire: what the maker or an earlier retirement attempt published is seen. Never counts
        // up once RETIRED is set, so the count then only falls and reaches zero exactly once.
        self.word
            .try_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (word & RETIRED == 0).then_some(word + 1)
            })
            .ok()
            .map(|_| Claim { of: self })
    }

    /// Forbids further claims; `None` if that was done before. The value goes with the last claim,
    /// which may be the one returned.
    pub(super) fn retire(&self) -> Option<Claim<'_, T>> {
        // Release: whoever sees the flag also sees what its setter did before.
        self.word
            .try_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (word & RETIRED == 0).then_some((word + 1) | RETIRED)
            })
            .ok()
            .map(|_| Claim { of: self })
    }

    /// Whether the value is retired.
    pub(super) fn is_retired(&self) -> bool {
        // Acquire: pairs with the release in `retire`.
        self.word.load(Ordering::Acquire) & RETIRED != 0
    }

    /// The pending count: operations and calls in progress.
    pub(super) fn claims(&self) -> usize {
        // Relaxed: for display and tests; nothing is decided by it.
        self.word.load(Ordering::Relaxed) & !RETIRED
    }

    /// Takes up a claim given to [`Claim::suspend`].
    ///
    /// # Safety
    ///
    /// Each suspended claim may be resumed once.
    pub(super) unsafe fn resume(&self) -> Claim<'_, T> {
        Claim { of: self }
    }
}

/// Keeps a [`Retirable`]'s value alive.
pub(super) struct Claim<'a, T> {
    of: &'a Retirable<T>,
}

impl<T> Claim<'_, T> {
    /// A second claim, also on a retired value.
    pub(super) fn again(&self) -> Self {
        // Relaxed: the claim in hand keeps the value alive, as a reference count's increment.
        self.of.word.fetch_add(1, Ordering::Relaxed);
        Self { of: self.of }
    }

    /// Leaves the claim in force with nobody holding it: the kernel has the operation.
    pub(super) fn suspend(self) {
        mem::forget(self);
    }
}

impl<T> Deref for Claim<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the value is taken out only when the count is zero, and this claim is counted.
        let value = self.of.value.with(|value| unsafe { &*value });
        value.as_ref().expect("a claimed value is present")
    }
}

impl<T> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        // Release: this thread's use of the value precedes its drop. Acquire: the last one's drop
        // follows every other's use.
        if self.of.word.fetch_sub(1, Ordering::AcqRel) == RETIRED | 1 {
            // SAFETY: the count fell to zero with RETIRED set, which happens once and after which
            // no claim can be made; so this thread is alone with the value.
            drop(self.of.value.with_mut(|value| unsafe { (*value).take() }));
        }
    }
}

/// Who owns an operation's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody: no operation is pending.
    Idle = 0,
    /// One of our threads: it fills it in, or deals with a completion.
    Held = 1,
    /// The kernel; the call that handed it over has not returned yet.
    Calling = 2,
    /// The kernel; the call has returned.
    Pending = 3,
}

const PHASE: usize = 0b0011;
const CANCELLED: usize = 0b0100;
const ENDED: usize = 0b1000;
/// One submission; the bits above count them, to tell one from the next.
const SUBMISSION: usize = 0b1_0000;

/// What was asked of an operation meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flags {
    /// `cancel` was called since the operation began.
    pub(super) cancelled: bool,
    /// The entry was retired.
    pub(super) retired: bool,
}

impl Flags {
    fn of(word: usize) -> Self {
        Self { cancelled: word & CANCELLED != 0, retired: word & ENDED != 0 }
    }
}

/// Why no operation may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// One is pending.
    Busy,
    /// The entry is retired.
    Retired,
}

/// Names one submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(usize);

/// What the thread whose call handed an operation to the kernel does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterCall {
    /// Nothing.
    Leave,
    /// Pass on a cancellation that came while it was in the call.
    Cancel,
}

/// The pending flag of one direction.
///
/// `cancel` and the submitting thread may miss each other: a `CancelIoEx`
/// before the kernel has the operation does nothing. So the canceller leaves
/// its flag in the word, and exactly one of the two, whoever comes second in
/// the word's modification order, makes the call.
pub(super) struct Slot(AtomicUsize);

impl Slot {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(Phase::Idle as usize))
    }

    /// Idle to held: the compare-exchange of the pending flag.
    pub(super) fn begin(&self) -> Result<(), Refusal> {
        // Acquire: pairs with the release in `finish`, so the last operation's memory is ours.
        self.0
            .try_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (word & (PHASE | ENDED) == Phase::Idle as usize)
                    .then_some(word | Phase::Held as usize)
            })
            .map(|_| ())
            .map_err(|word| if word & ENDED != 0 { Refusal::Retired } else { Refusal::Busy })
    }

    /// Held to calling: from here on the memory is the kernel's.
    pub(super) fn submit(&self) -> Ticket {
        // Release: what was written to the memory is seen by the thread that dequeues it. Adding
        // cannot disturb the flags; a wrap of the submission count is harmless.
        let step = SUBMISSION + Phase::Calling as usize - Phase::Held as usize;
        let word = self.0.fetch_add(step, Ordering::AcqRel).wrapping_add(step);
        debug_assert_eq!(word & PHASE, Phase::Calling as usize);
        Ticket(word & !(CANCELLED | ENDED))
    }

    /// Calling to pending, unless the completion overtook the call's return.
    pub(super) fn returned(&self, ticket: Ticket) -> AfterCall {
        // Release: the canceller that sees `Pending` finds the operation in the kernel.
        // Acquire: the flags' setter is seen.
        let before = self.0.try_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            (word & !(CANCELLED | ENDED) == ticket.0).then_some(word | Phase::Pending as usize)
        });
        match before {
            Ok(word) if word & (CANCELLED | ENDED) != 0 => AfterCall::Cancel,
            _ => AfterCall::Leave,
        }
    }

    /// The kernel gave the memory back (a completion, or a call that failed): held.
    pub(super) fn reclaim(&self) {
        // Acquire: pairs with `submit`. Only the owner of the completion gets here, and the only
        // concurrent changes are `returned` and the flags.
        let before = self.0.try_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            Some(word & !PHASE | Phase::Held as usize)
        });
        debug_assert!(before.is_ok_and(|word| word & PHASE >= Phase::Calling as usize));
    }

    /// Held to idle. Tells what was asked of the operation that ends.
    pub(super) fn finish(&self) -> Flags {
        // Release: the memory, emptied, is the next operation's.
        let before = self.0.try_update(Ordering::AcqRel, Ordering::Acquire, |word| {
            Some(word & !(PHASE | CANCELLED))
        });
        let word = before.expect("the update always applies");
        debug_assert_eq!(word & PHASE, Phase::Held as usize);
        Flags::of(word)
    }

    /// What was asked so far.
    pub(super) fn flags(&self) -> Flags {
        // Acquire: the setter is seen.
        Flags::of(self.0.load(Ordering::Acquire))
    }

    /// What was asked so far, by a read that any later `cancel` is ordered after.
    pub(super) fn announce(&self) -> Flags {
        // A read-modify-write: a canceller later in the modification order acquires what this
        // thread did before, in particular the call that handed the operation over.
        Flags::of(self.0.fetch_add(0, Ordering::AcqRel))
    }

    /// Asks for cancellation of what is pending. True if the caller is to pass it to the kernel.
    pub(super) fn cancel(&self) -> bool {
        // Release: the thread that ends the operation sees why. Acquire: pairs with `returned`.
        self.0
            .try_update(Ordering::AcqRel, Ordering::Acquire, |word| {
                (word & PHASE != Phase::Idle as usize).then_some(word | CANCELLED)
            })
            .is_ok_and(|word| word & PHASE == Phase::Pending as usize)
    }

    /// Refuses operations from now on. True if the caller is to cancel one in the kernel.
    pub(super) fn retire(&self) -> bool {
        // As `cancel`; set on an idle slot, too, so that an operation about to begin is refused.
        self.0.fetch_or(ENDED, Ordering::AcqRel) & PHASE == Phase::Pending as usize
    }

    /// Whether an operation is pending.
    pub(super) fn is_busy(&self) -> bool {
        // Acquire: pairs with `finish`.
        self.0.load(Ordering::Acquire) & PHASE != Phase::Idle as usize
    }
}

/// A port's wait and its wake-ups, coalesced.
///
/// A waker publishes first (under a lock of its own), then calls `notify`; the
/// driver calls `collect` first, then looks. Both are read-modify-writes of one
/// word: if the waker comes first, the driver acquires what it published; if
/// the driver comes first, the waker finds `RUNNING` and leaves `NOTIFIED`,
/// which keeps the next `prepare` from waiting, or finds `WAITING` and is the
/// only one who posts until the driver collects. So no wake is lost, and of a
/// burst at most one posts.
pub(super) struct Wakeup(AtomicUsize);

const RUNNING: usize = 0;
const WAITING: usize = 1;
const NOTIFIED: usize = 2;

impl Wakeup {
    pub(super) fn new() -> Self {
        Self(AtomicUsize::new(RUNNING))
    }

    /// Asks the driver to look. True if a packet must be posted for it.
    pub(super) fn notify(&self) -> bool {
        self.0.swap(NOTIFIED, Ordering::AcqRel) == WAITING
    }

    /// The packet could not be posted: the next `notify` tries again.
    pub(super) fn failed(&self) {
        // A failure leaves the word as it is: the driver collected meanwhile.
        let _ = self.0.compare_exchange(NOTIFIED, WAITING, Ordering::AcqRel, Ordering::Acquire);
    }

    /// Before a wait: whether the driver may sleep.
    pub(super) fn prepare(&self) -> bool {
        self.0.compare_exchange(RUNNING, WAITING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Whether the driver sleeps, or is about to.
    #[cfg(all(test, windows))]
    pub(super) fn is_waiting(&self) -> bool {
        self.0.load(Ordering::Acquire) == WAITING
    }

    /// After a wait: whether anybody asked. Taken once.
    pub(super) fn collect(&self) -> bool {
        self.0.swap(RUNNING, Ordering::AcqRel) == NOTIFIED
    }
}

#[cfg(all(test, loom))]
mod model;
#[cfg(all(test, not(loom)))]
mod tests;
