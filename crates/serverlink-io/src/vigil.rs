//! Waits that stay awake at first, where what they wait for is likely to come at once.

use std::{
    hint,
    num::NonZero,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use crate::Notice;

/// After a wait shorter than this the next one may stay awake at first: as long as two threads that
/// answer each other sleep between, it takes about two wake-ups;
const BRIEF: Duration = Duration::from_micros(250);
/// and for so long at most, which is about what it takes to fall asleep and be woken.
const AWAKE: Duration = Duration::from_micros(50);
/// How often a notice is looked at before other threads are let run.
const LOOKS: usize = 16;
/// How many brief waits are slept through, at most, after some that stayed awake in vain.
const MOST_SLEPT: u8 = 63;

/// How many threads of the process are waiting awake.
static VIGILS: AtomicUsize = AtomicUsize::new(0);

/// What the waits for one kind of thing have been like, by which the next one is done: it stays awake
/// for at most 50 µs, if the last one ended within 250 µs, and if it is not to be expected that it
/// stays awake in vain.
///
/// To sleep and be woken takes a processor some microseconds and, where it has to wake up itself,
/// more time than what is waited for takes to be done. Who stays awake instead uses the processor
/// that would have slept. After it has done so in vain it sleeps through the next brief wait, after
/// the second time through the next three, and so on up to 63; and there are never more threads that
/// wait awake in a process than it has processors, and none if it has one. All the while they let other
/// threads run. Where nothing happens, or seldom, no processor is used.
///
/// See [`Manner::Awake`](crate::Manner::Awake), [`PortOptions::stay_awake`](crate::PortOptions) and
/// [`Vigil::park`].
#[derive(Debug, Default)]
pub struct Vigil {
    was_brief: AtomicBool,
    /// How many brief waits are to be slept through yet.
    slept: AtomicU8,
    /// How many were to be, after the last that was in vain.
    penalty: AtomicU8,
}

impl Vigil {
    /// Of waits none of which has been yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until the epoch of `notice` is past `seen`, or the deadline; may return before: like
    /// [`Notice::park`], but for staying awake at first.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    ///
    /// use serverlink_io::{Notice, Vigil};
    ///
    /// let (notice, vigil) = (Notice::new(), Vigil::new());
    /// vigil.park(&notice, notice.epoch(), Some(Instant::now() + Duration::from_millis(1)));
    /// ```
    pub fn park(&self, notice: &Notice, seen: u64, deadline: Option<Instant>) {
        let is_over = || {
            notice.epoch() != seen || deadline.is_some_and(|deadline| deadline <= Instant::now())
        };
        let mut watch = self.begin();
        while watch.is_awake() {
            for _ in 0..LOOKS {
                if notice.epoch() != seen {
                    return;
                }
                hint::spin_loop();
            }
            if is_over() {
                return;
            }
        }
        notice.park(seen, deadline);
    }

    /// Begins a wait.
    pub(crate) fn begin(&self) -> Watch<'_> {
        let awake = self.was_brief.load(Relaxed) && self.slept.load(Relaxed) == 0;
        let place = if awake { Place::take() } else { None };
        Watch { vigil: self, began: Instant::now(), place, in_vain: false }
    }

    /// Counts a wait that stayed awake in vain, and sleeps now.
    fn was_in_vain(&self) {
        let penalty =
            self.penalty.load(Relaxed).saturating_mul(2).saturating_add(1).min(MOST_SLEPT);
        self.penalty.store(penalty, Relaxed);
        self.slept.store(penalty, Relaxed);
    }
}

/// A wait.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    vigil: &'a Vigil,
    began: Instant,
    /// As long as it stays awake.
    place: Option<Place>,
    /// It has stayed awake as long as may be.
    in_vain: bool,
}

impl Watch<'_> {
    /// Whether not to sleep yet. Lets other threads run.
    pub(crate) fn is_awake(&mut self) -> bool {
        if self.place.is_none() {
            return false;
        }
        if self.began.elapsed() >= AWAKE {
            self.place = None;
            self.in_vain = true;
            self.vigil.was_in_vain();
            return false;
        }
        // One of those may be the one that is to bring what this one waits for: the system often wakes a
        // thread on the processor of the thread that wakes it.
        thread::yield_now();
        true
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if self.place.is_some() {
            self.vigil.penalty.store(0, Relaxed);
            return;
        }
        let was_brief = self.began.elapsed() < BRIEF;
        self.vigil.was_brief.store(was_brief, Relaxed);
        let slept = self.vigil.slept.load(Relaxed);
        if was_brief && slept > 0 && !self.in_vain {
            self.vigil.slept.store(slept - 1, Relaxed);
        }
    }
}

/// That of one of the threads that may wait awake.
#[derive(Debug)]
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let one = Self;
        (VIGILS.fetch_add(1, Relaxed) < most()).then_some(one)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        VIGILS.fetch_sub(1, Relaxed);
    }
}

/// As many as there are processors: they are not all in the way of who is to bring what they wait for,
/// since they let other threads run. With one processor they would be.
fn most() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| match thread::available_parallelism().map_or(1, NonZero::get) {
        1 => 0,
        processors => processors,
    })
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::{iter, sync::Mutex};

    use super::*;

    /// Only one test at a time counts the threads.
    static ONE: Mutex<()> = Mutex::new(());

    fn places() -> Vec<Place> {
        iter::from_fn(Place::take).take(1000).collect()
    }

    /// A wait that takes so long.
    fn wait(vigil: &Vigil, time: Duration) {
        let notice = Notice::new();
        let began = Instant::now();
        while began.elapsed() < time {
            vigil.park(&notice, notice.epoch(), Some(began + time));
        }
    }

    /// Whether the next wait begins awake.
    fn begins_awake(vigil: &Vigil) -> bool {
        vigil.was_brief.load(Relaxed) && vigil.slept.load(Relaxed) == 0
    }

    /// A vigil whose last wait was brief. This thread may be held up on a busy machine, but not for
    /// ever.
    fn brief() -> Vigil {
        let vigil = Vigil::new();
        assert!((0..1000).any(|_| {
            drop(vigil.begin());
            begins_awake(&vigil)
        }));
        vigil
    }

    #[test]
    fn as_many_threads_wait_awake_as_there_are_processors() {
        let _alone = ONE.lock();
        let some = places();
        assert_eq!(some.len(), most());
        drop(some);
        assert_eq!(places().len(), most(), "who was refused is not counted");
    }

    #[test]
    fn nobody_stays_awake_for_long() {
        let _alone = ONE.lock();
        let vigil = brief();
        let mut watch = vigil.begin();
        if most() > 0 {
            assert!(watch.place.is_some());
        }
        let began = watch.began;
        while watch.is_awake() {}
        assert!(most() == 0 || began.elapsed() >= AWAKE);
        assert!(!watch.is_awake(), "who sleeps does not wake up by itself");
        assert!(watch.place.is_none(), "another may");
    }

    #[test]
    fn the_next_wait_is_as_the_last_one_was() {
        let _alone = ONE.lock();
        let vigil = brief();
        // Long enough to be no brief one, and then to stay awake in vain.
        wait(&vigil, BRIEF * 2);
        assert!(!vigil.was_brief.load(Relaxed));
        wait(&vigil, BRIEF * 2);
        assert!(!vigil.was_brief.load(Relaxed));
    }

    #[test]
    fn who_stays_awake_in_vain_sleeps_more_and_more_often() {
        let vigil = Vigil::new();
        for penalty in [1, 3, 7, 15, 31, 63, 63] {
            end(&vigil, true);
            // What came before counts no more, or the next one would not be awake.
            let slept = iter::repeat_with(|| !begins_awake(&vigil));
            let slept = slept.take_while(|sleeps| *sleeps).inspect(|_| end(&vigil, false)).count();
            assert_eq!(slept, penalty);
        }
    }

    #[test]
    fn what_came_in_time_is_waited_for_awake_again() {
        let vigil = Vigil::new();
        end(&vigil, true);
        end(&vigil, false);
        end(&vigil, true);
        drop(watch(&vigil, Some(hold()), false));
        end(&vigil, true);
        assert_eq!(vigil.slept.load(Relaxed), 1, "what was in vain before is forgotten");
    }

    /// Ends a brief wait, however long this thread was held up, that slept from the beginning or after
    /// it had stayed awake in vain.
    fn end(vigil: &Vigil, in_vain: bool) {
        if in_vain {
            vigil.was_in_vain();
        }
        drop(watch(vigil, None, in_vain));
    }

    fn watch(vigil: &Vigil, place: Option<Place>, in_vain: bool) -> Watch<'_> {
        Watch { vigil, began: Instant::now() + BRIEF, place, in_vain }
    }

    /// A place, be it one too many.
    fn hold() -> Place {
        VIGILS.fetch_add(1, Relaxed);
        Place
    }
}
