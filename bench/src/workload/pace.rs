//! How far a sender may be ahead of its receiver.
//!
//! ZeroMQ sockets see to this by themselves, by their high-water marks. Some libraries have none, but
//! queues so deep that what is still in them when the time is up would take minutes to arrive.

use std::sync::{
    Condvar, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::SeqCst},
};

/// `taken` when the sender is to stop.
const ENOUGH: u64 = u64::MAX;

/// `resume` when the sender does not wait.
const NEVER: u64 = u64::MAX;

/// What a sender and its receiver know of each other.
#[derive(Debug)]
pub(super) struct Pace {
    /// How many messages the sender may be ahead.
    ahead: u64,
    /// How many messages the receiver has taken, or that it wants no more.
    taken: AtomicU64,
    /// How many messages are to be taken before the sender goes on.
    resume: AtomicU64,
    lock: Mutex<()>,
    changed: Condvar,
}

impl Pace {
    /// For a sender that may be so many messages ahead.
    pub(super) fn new(ahead: u64) -> Self {
        Self {
            ahead,
            taken: AtomicU64::new(0),
            resume: AtomicU64::new(NEVER),
            lock: Mutex::new(()),
            changed: Condvar::new(),
        }
    }

    /// What is to be done before another message is sent after so many.
    #[inline]
    pub(super) fn look(&self, sent: u64) -> Look {
        match self.taken.load(SeqCst) {
            ENOUGH => Look::Stop,
            taken if sent.saturating_sub(taken) < self.ahead => Look::Send,
            _ => Look::Wait,
        }
    }

    /// Waits until the receiver has taken half of what it was behind.
    #[cold]
    pub(super) fn wait(&self, sent: u64) {
        let resume = sent.saturating_sub(self.ahead / 2);
        let mut lock = self.locked();
        // Either the receiver sees this, or this thread sees what the receiver has taken.
        self.resume.store(resume, SeqCst);
        while self.taken.load(SeqCst) < resume {
            lock = self.changed.wait(lock).unwrap_or_else(PoisonError::into_inner);
        }
        self.resume.store(NEVER, SeqCst);
    }

    /// Tells how many messages have been taken.
    #[inline]
    pub(super) fn took(&self, taken: u64) {
        self.taken.store(taken, SeqCst);
        if taken >= self.resume.load(SeqCst) {
            self.wake();
        }
    }

    /// Has the sender stop.
    pub(super) fn enough(&self) {
        self.took(ENOUGH);
    }

    #[cold]
    fn wake(&self) {
        let _lock = self.locked();
        self.changed.notify_all();
    }

    fn locked(&self) -> MutexGuard<'_, ()> {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See [`Pace::look`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// It may be sent.
    Send,
    /// The receiver is to take some first: pass on what is collected, and [`wait`](Pace::wait).
    Wait,
    /// No more are wanted.
    Stop,
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_sender_is_as_far_ahead_as_it_may() {
        let pace = Pace::new(10);
        assert_eq!(pace.look(9), Look::Send);
        assert_eq!(pace.look(10), Look::Wait);
        pace.took(1);
        assert_eq!(pace.look(10), Look::Send);
        pace.enough();
        assert_eq!(pace.look(10), Look::Stop);
    }

    #[test]
    fn a_sender_that_waits_goes_on_when_half_is_taken_or_it_is_enough() {
        for end in [5, ENOUGH] {
            let pace = Pace::new(10);
            thread::scope(|scope| {
                let sender = scope.spawn(|| pace.wait(10));
                pace.took(4);
                pace.took(end);
                sender.join().unwrap();
            });
        }
    }
}
