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
//!
//! Where the background has brought nothing that anybody waits for, it may pause
//! before the next turn: threads that have enough to do are not disturbed for
//! every little thing that comes.

use std::{
    collections::VecDeque,
    io,
    time::{Duration, Instant},
};

use crate::{
    Turn, Vigil,
    notice::{Notice, park_until},
    sync::{
        AtomicBool, AtomicUsize, Mutex,
        Ordering::{Relaxed, SeqCst},
        lock,
        thread::{self, Thread, ThreadId},
        thread_mark,
    },
};

/// How long the seat may be free before the background takes it.
const GRACE: Duration = Duration::from_millis(2);

const NOBODY: usize = 0;

/// What is driven.
pub(crate) trait Car {
    /// Waits once, at most `timeout`, and delivers.
    fn turn(&self, timeout: Option<Duration>) -> io::Result<Turn>;
    /// Makes the `turn` that waits now, or else the next one, return.
    fn wake(&self);
    /// Whether packets wait to be delivered.
    fn has_packets(&self) -> bool;
    fn is_stopped(&self) -> bool;
    /// So long, or until the next timer is due.
    fn at_most(&self, pause: Duration) -> Duration;
}

/// The driver's seat of a port.
///
/// Every flag here is set before something is checked that the other side
/// changes before it checks the flag; hence `SeqCst`.
#[derive(Debug, Default)]
pub(crate) struct Seat {
    driver: AtomicUsize,
    /// Counts the waiters that have sat here.
    rides: AtomicUsize,
    queue: Mutex<VecDeque<Waiter>>,
    /// How many are in the queue.
    queued: AtomicUsize,
    /// How many of those are eager.
    wanted: AtomicUsize,
    background: Background,
    /// How many events of this turn may be followed by a pause: for the driver alone, hence `Relaxed`.
    unhurried: AtomicUsize,
    /// How many want no pauses.
    hurries: AtomicUsize,
    /// Somebody has looked in vain for what may come.
    hasty: AtomicBool,
    /// The background pauses, or is about to.
    pausing: AtomicBool,
}

#[derive(Debug)]
struct Waiter {
    thread: Thread,
    eager: bool,
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
struct Driving<'a>(&'a Seat);

/// A place in the queue for the seat.
#[derive(Debug)]
struct Queued<'a> {
    seat: &'a Seat,
    thread: ThreadId,
    eager: bool,
}

/// Held by the background thread.
#[derive(Debug)]
struct Role<'a>(&'a Seat);

impl Seat {
    /// Drives until the car is stopped, giving way to waiters if this is the first thread to come.
    /// There may be a vigil for what is delivered, and a pause after turns that brought nothing but
    /// [`unhurried`](Self::unhurried) events.
    pub(crate) fn run(
        &self,
        car: &impl Car,
        vigil: Option<&Vigil>,
        pause: Option<Duration>,
    ) -> io::Result<()> {
        self.check_not_mine("a handler cannot run the port that called it")?;
        let background = self.background();
        loop {
            let mut watch = vigil.map(Vigil::begin);
            while !(background.is_some() && self.is_wanted()) {
                let awake = watch.as_mut().is_some_and(|watch| watch.is_awake(Duration::ZERO));
                match self.turn(car, awake.then_some(Duration::ZERO))? {
                    Turn::Delivered(0) => {}
                    Turn::Delivered(count) => {
                        if let Some(watch) = watch.take() {
                            watch.end(true);
                        }
                        if let (Some(background), Some(pause)) = (&background, pause)
                            && self.unhurried.load(Relaxed) == count
                            && background.pause(car, pause)
                        {
                            break;
                        }
                        watch = vigil.map(Vigil::begin);
                    }
                    Turn::Stopped => return Ok(()),
                    Turn::Busy => break,
                }
            }
            // It does not wait for events any more.
            drop(watch);
            match &background {
                Some(background) => background.watch(car),
                None => {
                    let _queued = self.queue(false);
                    if !self.is_free() && !car.is_stopped() {
                        thread::park();
                    }
                }
            }
        }
    }

    /// Drives one turn, if the seat is free.
    pub(crate) fn turn(&self, car: &impl Car, timeout: Option<Duration>) -> io::Result<Turn> {
        if car.is_stopped() {
            return Ok(Turn::Stopped);
        }
        let Some(driving) = self.take() else { return Ok(Turn::Busy) };
        self.unhurried.store(0, Relaxed);
        let turn = car.turn(timeout);
        drop(driving);
        self.check_packets(car);
        turn
    }

    /// Waits for a notice to be raised past `seen`, driving meanwhile if nobody else does; as long as
    /// it `stays_awake`, which is asked before each turn, without sleeping.
    pub(crate) fn wait(
        &self,
        car: &impl Car,
        notice: &Notice,
        seen: u64,
        deadline: Option<Instant>,
        eager: bool,
        mut stays_awake: impl FnMut() -> bool,
    ) -> io::Result<()> {
        self.check_not_mine("a handler cannot wait for the port that called it")?;
        let over = || {
            notice.epoch() != seen
                || car.is_stopped()
                || deadline.is_some_and(|deadline| deadline <= Instant::now())
        };
        while !over() {
            if let Some(driving) = self.take() {
                self.rides.fetch_add(1, SeqCst);
                // Raised from now on, the notice ends the turn.
                let _waiting = notice.at_port();
                while !over() {
                    let left = if stays_awake() {
                        Some(Duration::ZERO)
                    } else {
                        deadline.map(|at| at.saturating_duration_since(Instant::now()))
                    };
                    car.turn(left)?;
                }
                drop(driving);
                break;
            }
            let queued = self.queue(eager);
            let _sleeper = notice.sleeper();
            if eager && self.is_background() {
                car.wake();
            }
            if !self.is_free() && !over() {
                park_until(deadline);
            }
            if over() {
                // If it was this thread's turn, it is the next one's.
                drop(queued);
                self.settle();
                break;
            }
        }
        self.check_packets(car);
        Ok(())
    }

    /// Ends the driver's wait, or has somebody drive. The driver itself is about to look at
    /// everything anyway.
    pub(crate) fn wake(&self, car: &impl Car) {
        if !self.is_mine() {
            car.wake();
            self.settle_now();
        }
    }

    /// Ends the driver's wait, or the background's pause. With nobody in the seat nothing else is done:
    /// whoever takes it looks at everything first, and unless there are others to do so the background
    /// does within [`GRACE`].
    pub(crate) fn wake_driver(&self, car: &impl Car) {
        if !self.is_free() && !self.is_mine() {
            car.wake();
        } else if !self.has_background() {
            self.settle_now();
        } else {
            self.end_pause();
        }
    }

    /// The event that is being delivered may be followed by a pause. Called by the driver.
    pub(crate) fn unhurried(&self) {
        self.unhurried.store(self.unhurried.load(Relaxed) + 1, Relaxed);
    }

    /// Somebody has looked in vain: no pause comes now.
    pub(crate) fn hasten(&self) {
        if !self.hasty.load(SeqCst) {
            self.hasty.store(true, SeqCst);
        }
        self.end_pause();
    }

    /// No pauses from now on, until [`end_hurry`](Self::end_hurry) is called as often.
    pub(crate) fn begin_hurry(&self) {
        self.hurries.fetch_add(1, SeqCst);
        self.end_pause();
    }

    pub(crate) fn end_hurry(&self) {
        self.hurries.fetch_sub(1, SeqCst);
    }

    fn end_pause(&self) {
        if self.pausing.load(SeqCst) {
            self.settle_now();
        }
    }

    /// Sees to packets that came while this thread, which drove, was leaving: whoever posted one
    /// took it for the driver still.
    fn check_packets(&self, car: &impl Car) {
        if self.is_free() && car.has_packets() {
            self.settle_now();
        }
    }

    fn check_not_mine(&self, otherwise: &'static str) -> io::Result<()> {
        if self.is_mine() {
            return Err(io::Error::new(io::ErrorKind::Deadlock, otherwise));
        }
        Ok(())
    }

    /// Takes the seat if it is free.
    fn take(&self) -> Option<Driving<'_>> {
        self.driver.compare_exchange(NOBODY, thread_mark(), SeqCst, SeqCst).ok()?;
        Some(Driving(self))
    }

    fn is_mine(&self) -> bool {
        // Only this thread ever stores its own mark, so the value cannot be stale for it.
        self.driver.load(SeqCst) == thread_mark()
    }

    fn is_free(&self) -> bool {
        self.driver.load(SeqCst) == NOBODY
    }

    /// Whether the background drives, for whom the seat is second choice.
    fn is_background(&self) -> bool {
        let driver = self.driver.load(SeqCst);
        driver != NOBODY && driver == self.background.mark.load(SeqCst)
    }

    /// Whether the background should give way.
    fn is_wanted(&self) -> bool {
        self.wanted.load(SeqCst) > 0
    }

    /// Queues for the seat. The calling thread is unparked when it is free: check
    /// [`is_free`](Self::is_free) before parking.
    fn queue(&self, eager: bool) -> Queued<'_> {
        let thread = thread::current();
        let id = thread.id();
        let mut queue = lock(&self.queue);
        queue.push_back(Waiter { thread, eager });
        self.queued.store(queue.len(), SeqCst);
        drop(queue);
        self.wanted.fetch_add(usize::from(eager), SeqCst);
        Queued { seat: self, thread: id, eager }
    }

    /// Has somebody take the seat soon if it is free: the next in the queue, or the background.
    fn settle(&self) {
        if self.is_free()
            && !self.unpark_next()
            // Of what happened while this thread drove a background that pauses does not know.
            && (self.background.asleep.swap(false, SeqCst) || self.pausing.swap(false, SeqCst))
        {
            self.unpark_background();
        }
    }

    /// Has somebody take the seat at once if it is free.
    fn settle_now(&self) {
        if self.is_free()
            && !self.unpark_next()
            && self.has_background()
            && !self.background.urgent.swap(true, SeqCst)
        {
            self.unpark_background();
        }
    }

    /// Unparks the next who should drive. Waiters that are not eager leave it to the background,
    /// if there is one: it is soon enough for them, and whoever leaves the seat may well be back
    /// before.
    fn unpark_next(&self) -> bool {
        let any = !self.has_background();
        if self.wanted.load(SeqCst) == 0 && !(any && self.queued.load(SeqCst) > 0) {
            return false;
        }
        let queue = lock(&self.queue);
        let next = queue.iter().find(|waiter| waiter.eager).or(queue.front().filter(|_| any));
        let next = next.map(|waiter| waiter.thread.clone());
        // Not under the lock: whoever wakes up needs it at once.
        drop(queue);
        next.inspect(Thread::unpark).is_some()
    }

    fn has_background(&self) -> bool {
        self.background.mark.load(SeqCst) != NOBODY
    }

    fn unpark_background(&self) {
        if let Some(thread) = &*lock(&self.background.thread) {
            thread.unpark();
        }
    }

    /// Unparks everybody.
    pub(crate) fn disturb(&self) {
        lock(&self.queue).iter().for_each(|waiter| waiter.thread.unpark());
        self.background.asleep.store(false, SeqCst);
        self.background.urgent.store(true, SeqCst);
        self.unpark_background();
    }

    /// Makes this thread the background, unless there is one.
    fn background(&self) -> Option<Role<'_>> {
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
    /// Leaves the seat free for a time, unless somebody waits for what may come, or as soon as somebody
    /// does. True if a waiter has sat there meanwhile: it may well be back.
    fn pause(&self, car: &impl Car, pause: Duration) -> bool {
        let Seat { background, rides, queued, hurries, hasty, pausing, .. } = self.0;
        let before = rides.load(SeqCst);
        pausing.store(true, SeqCst);
        let (looked, urgent) = (hasty.swap(false, SeqCst), background.urgent.swap(false, SeqCst));
        let in_a_hurry = looked
            || urgent
            || queued.load(SeqCst) > 0
            || hurries.load(SeqCst) > 0
            || car.has_packets()
            || car.is_stopped();
        if !in_a_hurry {
            thread::park_timeout(car.at_most(pause));
        }
        pausing.store(false, SeqCst);
        rides.load(SeqCst) != before
    }

    /// Waits until the background should take the seat, or is disturbed.
    fn watch(&self, car: &impl Car) {
        let Seat { background, rides, .. } = self.0;
        loop {
            let before = rides.load(SeqCst);
            if background.urgent.swap(false, SeqCst) {
                return;
            }
            thread::park_timeout(GRACE);
            if car.is_stopped() {
                return;
            }
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
        if let Some(place) = queue.iter().position(|waiter| waiter.thread.id() == self.thread) {
            queue.remove(place);
        }
        self.seat.queued.store(queue.len(), SeqCst);
        drop(queue);
        self.seat.wanted.fetch_sub(usize::from(self.eager), SeqCst);
    }
}

impl Drop for Driving<'_> {
    fn drop(&mut self) {
        self.0.driver.store(NOBODY, SeqCst);
        self.0.settle();
    }
}

#[cfg(all(test, loom))]
#[path = "seat_model.rs"]
mod model;

#[cfg(all(test, not(loom)))]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Always has something to deliver, until it was asked without being waited for.
    #[derive(Default)]
    struct Busy {
        turns: Cell<usize>,
        asked: Cell<bool>,
    }

    impl Car for Busy {
        fn turn(&self, timeout: Option<Duration>) -> io::Result<Turn> {
            self.turns.set(self.turns.get() + 1);
            self.asked.set(self.asked.get() || timeout == Some(Duration::ZERO));
            Ok(Turn::Delivered(1))
        }

        fn wake(&self) {}

        fn has_packets(&self) -> bool {
            false
        }

        fn at_most(&self, pause: Duration) -> Duration {
            pause
        }

        fn is_stopped(&self) -> bool {
            // This thread may be held up between two turns, but not always.
            self.asked.get() || self.turns.get() == 1000
        }
    }

    #[test]
    fn a_background_with_a_vigil_stays_awake() {
        let alone = std::thread::available_parallelism().is_ok_and(|count| count.get() == 1);
        for vigil in [None, Some(Vigil::new())] {
            let car = Busy::default();
            Seat::default().run(&car, vigil.as_ref(), None).expect("it runs");
            assert_eq!(car.asked.get(), vigil.is_some() && !alone);
        }
    }
}
