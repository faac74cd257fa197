//! Timers of a port.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    Handler,
    sync::{AtomicU64, Mutex, Ordering, lock},
};

/// Names one timer of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId {
    // The order of the fields is the order of delivery.
    deadline: Instant,
    sequence: u64,
}

impl TimerId {
    /// When it expires.
    #[must_use]
    pub fn deadline(self) -> Instant {
        self.deadline
    }
}

/// What expires: whom to tell, and what.
pub(crate) struct Alarm {
    pub(crate) handler: Arc<dyn Handler>,
    pub(crate) tag: u64,
}

/// All timers of a port, by deadline and then by age.
///
/// A timer is pending exactly as long as it is in the map: whoever takes it
/// out, to deliver or to cancel it, decides its fate.
pub(crate) struct Timers {
    pending: Mutex<Pending>,
    /// The nearest deadline, so that turns need not lock: in nanoseconds since `epoch`.
    nearest: AtomicU64,
    epoch: Instant,
}

/// No deadline.
const NEVER: u64 = u64::MAX;

impl Default for Timers {
    fn default() -> Self {
        Self { pending: Mutex::default(), nearest: AtomicU64::new(NEVER), epoch: Instant::now() }
    }
}

#[derive(Default)]
struct Pending {
    alarms: BTreeMap<TimerId, Alarm>,
    next_sequence: u64,
}

impl Timers {
    /// Adds a timer and tells whether it is now the nearest.
    pub(crate) fn set(&self, deadline: Instant, alarm: Alarm) -> (TimerId, bool) {
        let mut pending = lock(&self.pending);
        let id = TimerId { deadline, sequence: pending.next_sequence };
        pending.next_sequence += 1;
        let nearest = pending.alarms.first_key_value().is_none_or(|(first, _)| id < *first);
        pending.alarms.insert(id, alarm);
        if nearest {
            self.note(&pending);
        }
        (id, nearest)
    }

    /// Takes a timer out if it has not expired.
    pub(crate) fn cancel(&self, id: TimerId) -> Option<Alarm> {
        let mut pending = lock(&self.pending);
        let alarm = pending.alarms.remove(&id);
        self.note(&pending);
        alarm
    }

    /// Takes all timers out.
    pub(crate) fn take_all(&self) -> impl Sized + use<> {
        let mut pending = lock(&self.pending);
        let alarms = std::mem::take(&mut pending.alarms);
        self.note(&pending);
        alarms
    }

    /// How many are pending.
    pub(crate) fn len(&self) -> usize {
        lock(&self.pending).alarms.len()
    }

    /// Makes the nearest deadline known.
    fn note(&self, pending: &Pending) {
        let nearest = pending.alarms.first_key_value().map_or(NEVER, |(id, _)| {
            let since = id.deadline.saturating_duration_since(self.epoch);
            u64::try_from(since.as_nanos()).unwrap_or(NEVER - 1)
        });
        // Whoever sets a timer wakes the driver afterwards, which then looks again.
        self.nearest.store(nearest, Ordering::SeqCst);
    }

    /// The nearest deadline. One centuries ahead may be told as nearer.
    pub(crate) fn nearest(&self) -> Option<Instant> {
        match self.nearest.load(Ordering::SeqCst) {
            NEVER => None,
            since => Some(self.epoch + Duration::from_nanos(since)),
        }
    }

    /// Takes out the nearest timer if it is due.
    pub(crate) fn take_due(&self, now: Instant) -> Option<(TimerId, Alarm)> {
        let mut pending = lock(&self.pending);
        let first = pending.alarms.first_entry()?;
        let due = (first.key().deadline <= now).then(|| first.remove_entry());
        self.note(&pending);
        due
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Event;

    struct Nobody;

    impl Handler for Nobody {
        fn complete(&self, _event: Event) {}
    }

    fn alarm(tag: u64) -> Alarm {
        Alarm { handler: Arc::new(Nobody), tag }
    }

    #[test]
    fn due_timers_leave_by_deadline_then_age() {
        let timers = Timers::default();
        let start = Instant::now();
        let at = |offset| start + Duration::from_millis(offset);
        let (_, nearest) = timers.set(at(5), alarm(0));
        assert!(nearest);
        assert!(!timers.set(at(5), alarm(1)).1);
        assert!(!timers.set(at(9), alarm(2)).1);
        assert!(timers.set(at(1), alarm(3)).1);
        assert_eq!(timers.nearest(), Some(at(1)));
        let tags: Vec<u64> =
            std::iter::from_fn(|| timers.take_due(at(8))).map(|(_, alarm)| alarm.tag).collect();
        assert_eq!(tags, [3, 0, 1]);
        assert_eq!(timers.nearest(), Some(at(9)));
    }

    #[test]
    fn cancel_succeeds_once_and_only_before_expiry() {
        let timers = Timers::default();
        let now = Instant::now();
        let (first, _) = timers.set(now, alarm(0));
        let (second, _) = timers.set(now, alarm(1));
        assert!(timers.cancel(second).is_some());
        assert!(timers.cancel(second).is_none());
        assert_eq!(timers.take_due(now).map(|(id, _)| id), Some(first));
        assert!(timers.cancel(first).is_none());
        assert!(timers.take_due(now).is_none());
    }

    #[test]
    fn a_hundred_thousand_timers_stay_ordered() {
        const ALL: u64 = if cfg!(miri) { 1_000 } else { 100_000 };
        let timers = Timers::default();
        let start = Instant::now();
        let mut ids = Vec::new();
        for tag in 0..ALL {
            // A full-period generator: every offset once, in scrambled order.
            let offset = tag.wrapping_mul(48_271) % ALL;
            ids.push(timers.set(start + Duration::from_micros(offset), alarm(offset)).0);
        }
        for id in ids.iter().step_by(2) {
            assert!(timers.cancel(*id).is_some());
        }
        let end = start + Duration::from_secs(1);
        let tags: Vec<u64> =
            std::iter::from_fn(|| timers.take_due(end)).map(|(_, alarm)| alarm.tag).collect();
        assert_eq!(tags.len() as u64, ALL / 2);
        assert!(tags.is_sorted());
        assert_eq!(timers.len(), 0);
    }
}
