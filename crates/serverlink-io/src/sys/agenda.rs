//! What the driver of a backend has to do beside what the kernel tells it, and how it is woken.
//!
//! For the backends that are told of completions or readiness and queue the rest themselves; the
//! completion port of Windows queues in the kernel.

#[cfg(all(test, loom))]
mod model;

use std::{collections::VecDeque, io, mem, sync::Arc, time::Duration};

use crate::{
    Direction,
    sync::{AtomicBool, AtomicUsize, Mutex, Ordering, lock},
};

/// Registrations (`R`) that have something to do in one of their directions, and wakes.
#[derive(Debug)]
pub(super) struct Agenda<R> {
    queue: Mutex<VecDeque<(Arc<R>, Direction)>>,
    /// How many stand in the queue.
    queued: AtomicUsize,
    /// The driver waits or is about to; only then a wake costs a system call.
    waiting: AtomicBool,
    /// A wake that no turn has ended on yet.
    woken: AtomicBool,
    stopped: AtomicBool,
}

impl<R> Default for Agenda<R> {
    fn default() -> Self {
        Self {
            queue: Mutex::default(),
            queued: AtomicUsize::default(),
            waiting: AtomicBool::default(),
            woken: AtomicBool::default(),
            stopped: AtomicBool::default(),
        }
    }
}

impl<R> Agenda<R> {
    /// Waits by `wait`, which is not to wait at all if there is something to do: here, or as
    /// `at_once` says.
    pub(super) fn wait(
        &self,
        timeout: Option<Duration>,
        at_once: bool,
        wait: impl FnOnce(Option<Duration>) -> io::Result<()>,
    ) -> io::Result<()> {
        // Whoever sets `woken` or adds to the queue looks at `waiting` afterwards; here it is the
        // other way round. All being sequentially consistent, one of the two sees the other.
        self.waiting.store(true, Ordering::SeqCst);
        let at_once = at_once
            || self.woken.load(Ordering::SeqCst)
            || self.stopped.load(Ordering::SeqCst)
            || self.queued.load(Ordering::SeqCst) > 0;
        let waited = wait(if at_once { Some(Duration::ZERO) } else { timeout });
        self.waiting.store(false, Ordering::Release);
        waited
    }

    /// Whether the driver may be waiting: what it is to see has to be followed by a wake.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.load(Ordering::SeqCst)
    }

    /// Serves everyone who stands in the queue now, by what tells whether it delivered an event,
    /// and tells how many that made.
    pub(super) fn serve(&self, mut serve: impl FnMut(&R, Direction) -> bool) -> usize {
        let standing = self.queued.load(Ordering::SeqCst);
        let mut delivered = 0;
        for _ in 0..standing {
            let mut queue = lock(&self.queue);
            let Some((registration, direction)) = queue.pop_front() else { break };
            self.queued.store(queue.len(), Ordering::SeqCst);
            drop(queue);
            delivered += usize::from(serve(&registration, direction));
        }
        delivered
    }

    /// Lets a registration stand in the queue. True if the driver must be woken for it.
    pub(super) fn queue(&self, registration: Arc<R>, direction: Direction) -> bool {
        let mut queue = lock(&self.queue);
        queue.push_back((registration, direction));
        self.queued.store(queue.len(), Ordering::SeqCst);
        drop(queue);
        self.is_waiting()
    }

    /// Asks the driver to return. True if that takes a system call: once at most between two turns.
    pub(super) fn wake(&self) -> bool {
        !self.woken.swap(true, Ordering::SeqCst) && self.is_waiting()
    }

    /// Ends a turn. A wake that came before is answered by its return: whoever woke finds the state
    /// it saw before waking looked at by the driver afterwards.
    pub(super) fn end_turn(&self) {
        // A swap, not a store: it acquires what whoever woke did before, also by accesses that are
        // not sequentially consistent.
        self.woken.swap(false, Ordering::AcqRel);
    }

    /// Has turns stop from now on; a wake must follow.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Empties the queue.
    pub(super) fn clear(&self) {
        let mut queue = lock(&self.queue);
        let standing = mem::take(&mut *queue);
        self.queued.store(0, Ordering::SeqCst);
        drop(queue);
        // With no lock held: a registration's end may queue others.
        drop(standing);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_wakes_costs_one_call_and_only_while_the_driver_waits() {
        let agenda = Agenda::<()>::default();
        assert!(!agenda.wake(), "nobody waits");
        agenda.end_turn();
        let wait = |timeout| {
            assert_eq!(timeout, None);
            assert!(agenda.wake());
            assert!(!agenda.wake());
            Ok(())
        };
        agenda.wait(None, false, wait).expect("it waits");
        assert!(!agenda.is_waiting());
    }

    #[test]
    fn nobody_waits_while_there_is_something_to_do() {
        let waits = |agenda: &Agenda<()>, at_once| {
            let mut waited = false;
            let wait = |timeout| {
                waited = timeout != Some(Duration::ZERO);
                Ok(())
            };
            agenda.wait(None, at_once, wait).expect("it waits");
            waited
        };
        let agenda = Agenda::default();
        assert!(waits(&agenda, false));
        assert!(!waits(&agenda, true));
        assert!(!agenda.queue(Arc::new(()), Direction::Inward));
        assert!(!waits(&agenda, false));
        agenda.clear();
        agenda.wake();
        assert!(!waits(&agenda, false));
        agenda.end_turn();
        agenda.stop();
        assert!(agenda.is_stopped());
        assert!(!waits(&agenda, false));
    }

    #[test]
    fn who_queues_up_again_is_served_by_the_next_turn() {
        let agenda = Agenda::default();
        let one = Arc::new(());
        agenda.queue(Arc::clone(&one), Direction::Inward);
        for _ in 0..3 {
            let again = |(): &(), direction| {
                agenda.queue(Arc::clone(&one), direction);
                true
            };
            assert_eq!(agenda.serve(again), 1);
        }
    }
}
