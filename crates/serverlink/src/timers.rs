//! Timers for applications' loops.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    time::{Duration, Instant},
};

use crate::{Error, Result};

/// Timers that go off again and again, in the thread that [executes](Self::execute) them
/// (`zmq_timers`).
///
/// They are for a loop around a [`Poller`](crate::Poller): wait as long as
/// [`timeout`](Self::timeout) says, and then [`execute`](Self::execute).
///
/// ```
/// use std::time::Duration;
///
/// use serverlink::{Poller, Timers};
///
/// let poller = Poller::new();
/// let mut timers = Timers::new();
/// let (beats, heard) = std::sync::mpsc::channel();
/// timers.add(Duration::from_millis(5), move |timers, timer| {
///     if beats.send("beat").is_err() {
///         timers.cancel(timer).expect("it is this one");
///     }
/// });
/// let mut events = Vec::new();
/// for _ in 0..3 {
///     poller.wait(&mut events, timers.timeout())?;
///     // What the poller found is looked after here.
///     timers.execute();
/// }
/// assert!(heard.try_iter().count() >= 2);
/// # Ok::<(), serverlink::Error>(())
/// ```
pub struct Timers {
    clock: Box<dyn Fn() -> Instant + Send>,
    /// In the order in which they go off; of those of one time the oldest first.
    due: BTreeSet<(Instant, TimerId)>,
    timers: HashMap<TimerId, Timer>,
    next: u64,
}

/// Names one timer of a [`Timers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(u64);

type Callback = Box<dyn FnMut(&mut Timers, TimerId) + Send>;

struct Timer {
    at: Instant,
    interval: Duration,
    /// None while it is called.
    callback: Option<Callback>,
}

impl Default for Timers {
    fn default() -> Self {
        Self::new()
    }
}

impl Timers {
    /// No timers yet, by the system's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Instant::now)
    }

    /// No timers yet, by a clock of your own, for tests.
    #[must_use]
    pub fn with_clock(clock: impl Fn() -> Instant + Send + 'static) -> Self {
        Self { clock: Box::new(clock), due: BTreeSet::new(), timers: HashMap::new(), next: 0 }
    }

    /// Has `callback` called each time `interval` has passed, first after one interval from now. It
    /// is given the timers, to change them, and its own.
    pub fn add(
        &mut self,
        interval: Duration,
        callback: impl FnMut(&mut Self, TimerId) + Send + 'static,
    ) -> TimerId {
        let id = TimerId(self.next);
        self.next += 1;
        let at = self.after(interval);
        self.timers.insert(id, Timer { at, interval, callback: Some(Box::new(callback)) });
        self.due.insert((at, id));
        id
    }

    /// Ends a timer.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if there is no such timer.
    pub fn cancel(&mut self, timer: TimerId) -> Result<()> {
        let ended = self.timers.remove(&timer).ok_or_else(unknown)?;
        self.due.remove(&(ended.at, timer));
        Ok(())
    }

    /// Changes a timer's interval, of which the first begins now.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if there is no such timer.
    pub fn set_interval(&mut self, timer: TimerId, interval: Duration) -> Result<()> {
        self.timers.get_mut(&timer).ok_or_else(unknown)?.interval = interval;
        self.reset(timer)
    }

    /// Has a timer's interval begin anew, now.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if there is no such timer.
    pub fn reset(&mut self, timer: TimerId) -> Result<()> {
        let interval = self.timers.get(&timer).ok_or_else(unknown)?.interval;
        let at = self.after(interval);
        self.move_to(timer, at);
        Ok(())
    }

    /// How long until the next timer goes off: zero if it should have by now, `None` if there is no
    /// timer.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        let (at, _) = self.due.first()?;
        Some(at.saturating_duration_since((self.clock)()))
    }

    /// Calls the callbacks of all timers that have gone off, in the order in which they did, each
    /// once; their next interval begins now. Returns how many there were.
    ///
    /// Timers that callbacks add are left for the next time, be they due at once, and those that they
    /// cancel or reset are not called.
    pub fn execute(&mut self) -> usize {
        let now = (self.clock)();
        let last = (now, TimerId(u64::MAX));
        let gone_off: Vec<_> = self.due.range(..=last).copied().collect();
        let mut count = 0;
        for (at, id) in gone_off {
            let Some(timer) = self.timers.get_mut(&id).filter(|timer| timer.at == at) else {
                // Cancelled or reset by one before it.
                continue;
            };
            let interval = timer.interval;
            let Some(mut callback) = timer.callback.take() else { continue };
            self.move_to(id, now.checked_add(interval).unwrap_or_else(far_future));
            count += 1;
            callback(self, id);
            if let Some(timer) = self.timers.get_mut(&id) {
                timer.callback = Some(callback);
            }
        }
        count
    }

    fn move_to(&mut self, id: TimerId, at: Instant) {
        if let Some(timer) = self.timers.get_mut(&id) {
            self.due.remove(&(timer.at, id));
            timer.at = at;
            self.due.insert((at, id));
        }
    }

    fn after(&self, interval: Duration) -> Instant {
        (self.clock)().checked_add(interval).unwrap_or_else(far_future)
    }
}

/// So late that it never comes.
fn far_future() -> Instant {
    Instant::now() + Duration::from_secs(100 * 365 * 24 * 60 * 60)
}

fn unknown() -> Error {
    Error::InvalidOption { option: "timer", reason: "there is no such timer".to_owned() }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers").field("count", &self.timers.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Timers by a clock that is set by hand, and a record of what is called.
    struct World {
        timers: Timers,
        now: Arc<Mutex<Instant>>,
        called: Arc<Mutex<Vec<u64>>>,
    }

    impl World {
        fn new() -> Self {
            let now = Arc::new(Mutex::new(Instant::now()));
            let clock = now.clone();
            let timers = Timers::with_clock(move || *clock.lock().unwrap());
            Self { timers, now, called: Arc::default() }
        }

        fn add(&mut self, millis: u64) -> TimerId {
            let called = self.called.clone();
            self.timers.add(Duration::from_millis(millis), move |_, TimerId(id)| {
                called.lock().unwrap().push(id);
            })
        }

        /// What is called when so much time has passed.
        fn pass(&mut self, millis: u64) -> Vec<u64> {
            *self.now.lock().unwrap() += Duration::from_millis(millis);
            let count = self.timers.execute();
            let called = std::mem::take(&mut *self.called.lock().unwrap());
            assert_eq!(count, called.len());
            called
        }

        fn timeout(&self) -> Option<u64> {
            self.timers.timeout().map(|wait| wait.as_millis().try_into().unwrap())
        }
    }

    #[test]
    fn timers_go_off_when_their_time_has_come_and_again() {
        let mut world = World::new();
        assert_eq!((world.timeout(), world.pass(1)), (None, vec![]));
        world.add(30);
        world.add(20);
        assert_eq!(world.timeout(), Some(20));
        assert_eq!(world.pass(19), []);
        assert_eq!(world.timeout(), Some(1));
        assert_eq!(world.pass(1), [1]);
        assert_eq!(world.timeout(), Some(10));
        assert_eq!(world.pass(10), [0]);
        assert_eq!(world.pass(10), [1]);
        // Late: each once, in the order of their times, and not more often to make up for it.
        assert_eq!(world.pass(100), [0, 1]);
        assert_eq!(world.timeout(), Some(20));
        *world.now.lock().unwrap() += Duration::from_millis(25);
        assert_eq!(world.timeout(), Some(0), "it should have gone off");
    }

    #[test]
    fn those_of_one_time_go_off_in_order() {
        let mut world = World::new();
        for _ in 0..20 {
            world.add(5);
        }
        assert_eq!(world.pass(5), Vec::from_iter(0..20));
    }

    #[test]
    fn they_can_be_cancelled_changed_and_reset() {
        let mut world = World::new();
        let [a, b, c] = [10, 10, 10].map(|interval| world.add(interval));
        assert_eq!(world.pass(4), []);
        world.timers.cancel(a).unwrap();
        world.timers.reset(b).unwrap();
        world.timers.set_interval(c, Duration::from_millis(8)).unwrap();
        assert_eq!(world.pass(7), []);
        assert_eq!(world.timeout(), Some(1));
        assert_eq!(world.pass(1), [2]);
        assert_eq!(world.pass(2), [1]);
        assert_eq!(world.pass(6), [2], "the interval stays changed");
        for result in [
            world.timers.cancel(a),
            world.timers.reset(a),
            world.timers.set_interval(a, Duration::ZERO),
        ] {
            assert_eq!(result.unwrap_err().errno_name(), "EINVAL");
        }
        world.timers.cancel(b).unwrap();
        world.timers.cancel(c).unwrap();
        assert_eq!((world.timeout(), world.pass(100)), (None, vec![]));
    }

    #[test]
    fn an_interval_of_nothing_goes_off_once_each_time() {
        let mut world = World::new();
        world.add(0);
        assert_eq!(world.timeout(), Some(0));
        for _ in 0..3 {
            assert_eq!(world.pass(0), [0]);
        }
        world.timers.set_interval(TimerId(0), Duration::MAX).unwrap();
        assert_eq!(world.pass(1_000_000), [], "it never goes off");
    }

    #[test]
    fn callbacks_may_change_timers() {
        let mut world = World::new();
        let victim = Arc::new(Mutex::new(None));
        let (called, to_cancel) = (world.called.clone(), victim.clone());
        world.timers.add(Duration::from_millis(10), move |timers, TimerId(id)| {
            called.lock().unwrap().push(id);
            if let Some(victim) = to_cancel.lock().unwrap().take() {
                timers.cancel(victim).unwrap();
                let called = called.clone();
                timers.add(Duration::ZERO, move |timers, this| {
                    called.lock().unwrap().push(100);
                    timers.cancel(this).unwrap();
                });
            }
        });
        *victim.lock().unwrap() = Some(world.add(10));
        assert_eq!(
            world.pass(10),
            [0],
            "the other is cancelled, and the new one has its turn later"
        );
        assert_eq!(world.pass(0), [100]);
        assert_eq!(world.pass(10), [0], "that one has cancelled itself");
    }

    #[test]
    fn one_that_is_reset_by_another_of_its_time_is_not_called() {
        let mut world = World::new();
        let called = world.called.clone();
        world.timers.add(Duration::from_millis(10), move |timers, TimerId(id)| {
            called.lock().unwrap().push(id);
            timers.reset(TimerId(1)).unwrap();
        });
        world.add(10);
        assert_eq!(world.pass(10), [0]);
        assert_eq!(world.pass(9), []);
        world.timers.cancel(TimerId(0)).unwrap();
        assert_eq!(world.pass(1), [1]);
    }

    #[test]
    fn random_timers_go_off_as_in_a_simple_model() {
        let mut random = fastrand::Rng::with_seed(5);
        let mut world = World::new();
        let mut model: Vec<(u64, u64, u64)> = Vec::new();
        let mut time = 0;
        for _ in 0..3000 {
            match random.u8(..5) {
                0 => {
                    let interval = random.u64(..50);
                    let TimerId(id) = world.add(interval);
                    model.push((time + interval, id, interval));
                }
                1 if !model.is_empty() => {
                    let (_, id, _) = model.swap_remove(random.usize(..model.len()));
                    world.timers.cancel(TimerId(id)).unwrap();
                }
                2 if !model.is_empty() => {
                    let at = random.usize(..model.len());
                    let (due, id, interval) = &mut model[at];
                    world.timers.reset(TimerId(*id)).unwrap();
                    *due = time + *interval;
                }
                _ => {
                    let nearest = model.iter().map(|(due, ..)| due.saturating_sub(time)).min();
                    assert_eq!(world.timeout(), nearest);
                    let step = random.u64(..20);
                    time += step;
                    model.sort_unstable();
                    let expected: Vec<_> = model
                        .iter_mut()
                        .filter(|(due, ..)| *due <= time)
                        .map(|(due, id, interval)| {
                            *due = time + *interval;
                            *id
                        })
                        .collect();
                    assert_eq!(world.pass(step), expected);
                }
            }
        }
    }
}
