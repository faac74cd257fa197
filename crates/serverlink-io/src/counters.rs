//! What a port counts.
//!
//! Whoever drives a port is alone in doing so, and counts by a load and a store. What any thread
//! may do is counted in one of several places, chosen by thread, on cache lines of their own: no
//! two threads that are busy contend for one, short of coincidence.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, AddAssign},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use crate::{Event, Handler, Sending, diagnostics, errors, sys::RawDescriptor};

/// What a port has done since it was made; see [`Port::statistics`](crate::Port::statistics).
///
/// Every number but [`pending`](Self::pending) only grows. Each is right for itself; together they
/// are of one moment only if nothing happens while they are read.
///
/// The statistics of several ports can be added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PortStatistics {
    /// Operations that ended with an event for their handler, successful or not.
    pub completions: u64,
    /// Those of [`completions`](Self::completions) that ended with an error other than
    /// cancellation.
    pub failed: u64,
    /// Those of [`completions`](Self::completions) that were cancelled.
    pub cancelled: u64,
    /// Operations that are pending now: started, and not yet answered by an event.
    pub pending: u64,
    /// Sends that ended in the calling thread, successful or not, and so brought no event.
    pub sends_at_once: u64,
    /// Bytes that receives brought.
    pub bytes_received: u64,
    /// Bytes that the kernel took, counted when the send ends.
    pub bytes_sent: u64,
    /// Timers that expired.
    pub timers: u64,
    /// Posted packets that were delivered.
    pub packets: u64,
    /// How many times a driving thread turned to the system.
    pub turns: u64,
    /// Those of [`turns`](Self::turns) that delivered completions; `completions / batches` is how
    /// many a turn delivers on average.
    pub batches: u64,
    /// Wake-ups of the driver that cost a system call.
    pub wakes: u64,
    /// Wake-ups that cost none, for the driver was awake or had been woken already.
    pub wakes_coalesced: u64,
    /// Descriptors that were registered or watched.
    pub registered: u64,
    /// Those of [`registered`](Self::registered) that were retired.
    pub retired: u64,
}

impl AddAssign for PortStatistics {
    fn add_assign(&mut self, other: Self) {
        // Taken apart, so that no field is forgotten.
        let Self {
            completions,
            failed,
            cancelled,
            pending,
            sends_at_once,
            bytes_received,
            bytes_sent,
            timers,
            packets,
            turns,
            batches,
            wakes,
            wakes_coalesced,
            registered,
            retired,
        } = other;
        self.completions += completions;
        self.failed += failed;
        self.cancelled += cancelled;
        self.pending += pending;
        self.sends_at_once += sends_at_once;
        self.bytes_received += bytes_received;
        self.bytes_sent += bytes_sent;
        self.timers += timers;
        self.packets += packets;
        self.turns += turns;
        self.batches += batches;
        self.wakes += wakes;
        self.wakes_coalesced += wakes_coalesced;
        self.registered += registered;
        self.retired += retired;
    }
}

impl Add for PortStatistics {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl Sum for PortStatistics {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

/// How many places there are for what any thread counts.
const PLACES: usize = 8;

/// The counters of one port.
#[derive(Default)]
pub(crate) struct Counters {
    driver: Driver,
    anyone: [Anyone; PLACES],
}

/// What only the driving thread counts. Two cache lines, as processors fetch them.
#[derive(Default)]
#[repr(align(128))]
struct Driver {
    completions: Tally,
    failed: Tally,
    cancelled: Tally,
    bytes_received: Tally,
    bytes_sent: Tally,
    timers: Tally,
    packets: Tally,
    turns: Tally,
    batches: Tally,
}

/// A number that one thread at a time adds to.
#[derive(Default)]
struct Tally(AtomicU64);

/// What any thread counts.
#[derive(Default)]
#[repr(align(128))]
struct Anyone {
    sends_at_once: AtomicU64,
    bytes_sent: AtomicU64,
    wakes: AtomicU64,
    wakes_coalesced: AtomicU64,
    registered: AtomicU64,
    retired: AtomicU64,
}

impl Tally {
    fn add(&self, more: u64) {
        // Relaxed: the driver's seat is handed over with its contents.
        self.0.store(self.0.load(Relaxed).wrapping_add(more), Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What the driving thread says.
impl Counters {
    /// Gives `handler` the event that ends an operation on `descriptor`: the one way to do so.
    pub(crate) fn deliver(&self, handler: &dyn Handler, descriptor: RawDescriptor, event: Event) {
        self.driver.completions.add(1);
        if let Event::Sent { sent, .. } = &event {
            self.driver.bytes_sent.add(*sent as u64);
        }
        if let Some((call, error)) = event.failure() {
            if errors::is_cancelled(error) {
                self.driver.cancelled.add(1);
            } else {
                self.driver.failed.add(1);
                diagnostics::failed(descriptor, call, error);
            }
        }
        handler.complete(event);
    }

    /// A receive brought so many bytes.
    pub(crate) fn received(&self, bytes: usize) {
        self.driver.bytes_received.add(bytes as u64);
    }

    /// The system was asked, which made so many completions.
    pub(crate) fn turned(&self, completions: usize) {
        self.driver.turns.add(1);
        self.driver.batches.add(u64::from(completions > 0));
    }

    pub(crate) fn timer(&self) {
        self.driver.timers.add(1);
    }

    pub(crate) fn packet(&self) {
        self.driver.packets.add(1);
    }
}

/// What any thread says.
impl Counters {
    /// A send that was not refused ended in the calling thread, or did not; passed on as it is.
    pub(crate) fn sent(&self, descriptor: RawDescriptor, sending: Sending) -> Sending {
        if let Sending::Done { sent, result, .. } = &sending {
            let mine = self.mine();
            mine.sends_at_once.fetch_add(1, Relaxed);
            mine.bytes_sent.fetch_add(*sent as u64, Relaxed);
            if let Err(error) = result {
                diagnostics::failed(descriptor, errors::Call::Send, error);
            }
        }
        sending
    }

    /// The driver was to be woken, and that took a system call or did not.
    pub(crate) fn woken(&self, by_call: bool) {
        let mine = self.mine();
        let counter = if by_call { &mine.wakes } else { &mine.wakes_coalesced };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn registered(&self, descriptor: RawDescriptor) {
        self.mine().registered.fetch_add(1, Relaxed);
        diagnostics::registered(descriptor);
    }

    /// A registration was retired, for the first time.
    pub(crate) fn retired(&self, descriptor: RawDescriptor) {
        self.mine().retired.fetch_add(1, Relaxed);
        diagnostics::retired(descriptor);
    }

    /// The calling thread's place.
    fn mine(&self) -> &Anyone {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        thread_local!(static PLACE: usize = NEXT.fetch_add(1, Relaxed) % PLACES);
        &self.anyone[PLACE.with(|place| *place)]
    }
}

impl Counters {
    /// Reads everything; how many operations are pending, the backend knows.
    pub(crate) fn read(&self, pending: usize) -> PortStatistics {
        let sum = |counter: fn(&Anyone) -> &AtomicU64| {
            self.anyone.iter().map(|place| counter(place).load(Relaxed)).sum::<u64>()
        };
        PortStatistics {
            completions: self.driver.completions.read(),
            failed: self.driver.failed.read(),
            cancelled: self.driver.cancelled.read(),
            pending: pending as u64,
            sends_at_once: sum(|place| &place.sends_at_once),
            bytes_received: self.driver.bytes_received.read(),
            bytes_sent: self.driver.bytes_sent.read() + sum(|place| &place.bytes_sent),
            timers: self.driver.timers.read(),
            packets: self.driver.packets.read(),
            turns: self.driver.turns.read(),
            batches: self.driver.batches.read(),
            wakes: sum(|place| &place.wakes),
            wakes_coalesced: sum(|place| &place.wakes_coalesced),
            registered: sum(|place| &place.registered),
            retired: sum(|place| &place.retired),
        }
    }
}

impl fmt::Debug for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counters").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Barrier, thread};

    use super::*;

    #[test]
    fn nothing_that_threads_count_at_once_is_lost() {
        const THREADS: usize = if cfg!(miri) { 2 } else { 8 } * PLACES;
        const EACH: u64 = if cfg!(miri) { 40 } else { 100_000 };
        let counters = Counters::default();
        let start = Barrier::new(THREADS);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    start.wait();
                    for count in 0..EACH {
                        counters.woken(count % 4 == 0);
                    }
                });
            }
        });
        let read = counters.read(7);
        let all = THREADS as u64 * EACH;
        assert_eq!((read.wakes, read.wakes_coalesced), (all / 4, all / 4 * 3));
        assert_eq!(read.pending, 7);
    }

    #[test]
    fn statistics_add_up() {
        let one = PortStatistics { completions: 1, retired: 2, ..PortStatistics::default() };
        let other = PortStatistics { completions: 10, pending: 3, ..PortStatistics::default() };
        let sum: PortStatistics = [one, other].into_iter().sum();
        let right =
            PortStatistics { completions: 11, retired: 2, pending: 3, ..Default::default() };
        assert_eq!(sum, right);
    }
}
