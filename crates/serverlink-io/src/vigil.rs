//! Waits that stay awake at first, where what they wait for is likely to come at once.

use std::{
    hint,
    num::NonZero,
    ops::RangeInclusive,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering::Relaxed},
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
/// Another thread of the process that has a processor answers sooner than this.
const ALONE: Duration = Duration::from_micros(5);
/// How often a notice is looked at before the clock is.
const LOOKS: usize = 16;
/// How many brief waits are slept through, at most, after some that stayed awake in vain;
const MOST_SLEPT: u16 = 63;
/// and at least, and at most, after some that took longer than brief ones. Others want the processors
/// then, and who lets them run has to wait for a turn, where who sleeps is run as soon as it is woken.
const CROWDED: RangeInclusive<u16> = 1023..=32_767;

/// How many threads of the process are waiting awake.
static VIGILS: AtomicUsize = AtomicUsize::new(0);

/// What the waits for one kind of thing have been like, by which the next one is done: it stays awake
/// for at most 50 µs, if the last one ended within 250 µs, and if it is not to be expected that it
/// stays awake in vain.
///
/// To sleep and be woken takes a processor some microseconds and, where it has to wake up itself,
/// more time than what is waited for takes to be done. Who stays awake instead uses the processor
/// that would have slept. After it has done so in vain it sleeps through the next brief wait, after
/// the second time through the next three, and so on up to 63, and through thousands where others
/// want the processors; and there are never more threads that wait awake in a process than it has
/// processors (as the first of them finds it), and none if it has one. Meanwhile they let other
/// threads run. Where nothing happens, or seldom, no processor is used.
///
/// See [`Manner::Awake`](crate::Manner::Awake), [`PortOptions::stay_awake`](crate::PortOptions) and
/// [`Vigil::park`].
#[derive(Debug, Default)]
pub struct Vigil {
    was_brief: AtomicBool,
    /// How many brief waits are to be slept through yet.
    slept: AtomicU16,
    /// How many were to be, after the last that was in vain.
    penalty: AtomicU16,
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
        let mut watch = self.begin();
        while watch.is_awake(ALONE) {
            for _ in 0..LOOKS {
                if notice.epoch() != seen {
                    return watch.end(true);
                }
                hint::spin_loop();
            }
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return watch.end(false);
            }
        }
        notice.park(seen, deadline);
        watch.end(notice.epoch() != seen);
    }

    /// Begins a wait.
    pub(crate) fn begin(&self) -> Watch<'_> {
        let may_be = self.was_brief.load(Relaxed) && self.slept.load(Relaxed) == 0;
        let state = if may_be { State::Due } else { State::Asleep };
        Watch { vigil: self, began: Instant::now(), state }
    }

    /// Has brief waits slept through, so many at least and at most: after what was in vain, more and
    /// more.
    fn sleep(&self, between: RangeInclusive<u16>) {
        let penalty = self.penalty.load(Relaxed);
        let more = penalty.saturating_mul(2).saturating_add(1).min(*between.end());
        let penalty = penalty.max(more).max(*between.start());
        self.penalty.store(penalty, Relaxed);
        self.slept.store(penalty, Relaxed);
    }
}

/// A wait.
#[derive(Debug)]
pub(crate) struct Watch<'a> {
    vigil: &'a Vigil,
    began: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    /// It sleeps from the beginning.
    Asleep,
    /// It stays awake as soon as it is asked.
    Due,
    /// It has done so since then.
    Awake { since: Instant, _place: Place },
    /// It has done so as long as may be.
    InVain,
}

impl Watch<'_> {
    /// Whether not to sleep yet. From the second time on, and when it has been awake for `alone`, lets
    /// other threads run.
    pub(crate) fn is_awake(&mut self, alone: Duration) -> bool {
        match &self.state {
            State::Asleep | State::InVain => false,
            State::Due => match Place::take() {
                Some(place) => {
                    self.state = State::Awake { since: Instant::now(), _place: place };
                    true
                }
                None => {
                    self.state = State::Asleep;
                    false
                }
            },
            State::Awake { since, .. } => {
                let awake = since.elapsed();
                if awake >= AWAKE {
                    self.state = State::InVain;
                    return false;
                }
                if awake >= alone {
                    // One of those may be the one that is to bring what this one waits for: the
                    // system often wakes a thread on the processor of the thread that wakes it.
                    thread::yield_now();
                }
                true
            }
        }
    }

    /// Ends the wait, and says whether what it was for has come. A watch that is dropped says nothing.
    pub(crate) fn end(self, came: bool) {
        let Vigil { was_brief, slept, penalty } = self.vigil;
        let brief = came && self.began.elapsed() < BRIEF;
        was_brief.store(brief, Relaxed);
        match self.state {
            State::Awake { .. } if brief => {
                penalty.store(penalty.load(Relaxed).saturating_sub(1), Relaxed);
            }
            State::Awake { .. } if came => self.vigil.sleep(CROWDED),
            State::Awake { .. } | State::InVain => self.vigil.sleep(1..=MOST_SLEPT),
            State::Asleep | State::Due if brief => {
                slept.store(slept.load(Relaxed).saturating_sub(1), Relaxed);
            }
            State::Asleep | State::Due => {}
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

    /// Whether the next wait begins awake.
    fn begins_awake(vigil: &Vigil) -> bool {
        vigil.was_brief.load(Relaxed) && vigil.slept.load(Relaxed) == 0
    }

    /// A vigil whose last wait was brief.
    fn brief() -> Vigil {
        let vigil = Vigil::new();
        end(&vigil, false);
        assert!(begins_awake(&vigil));
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
        let began = Instant::now();
        assert_eq!(watch.is_awake(ALONE), most() > 0);
        assert_eq!(places().len(), most().saturating_sub(1), "it has one");
        while watch.is_awake(ALONE) {}
        assert!(most() == 0 || began.elapsed() >= AWAKE);
        assert!(!watch.is_awake(ALONE), "who sleeps does not wake up by itself");
        assert_eq!(places().len(), most(), "another may");
    }

    #[test]
    fn who_has_not_been_asked_yet_has_no_place() {
        let _alone = ONE.lock();
        let vigil = brief();
        let _watch = vigil.begin();
        assert_eq!(places().len(), most());
    }

    #[test]
    fn what_takes_long_or_does_not_come_is_not_waited_for_awake_again() {
        let _alone = ONE.lock();
        for (time, came) in [(BRIEF, true), (Duration::ZERO, false)] {
            let vigil = brief();
            let mut watch = vigil.begin();
            watch.is_awake(ALONE);
            watch.began -= time;
            watch.end(came);
            assert!(!begins_awake(&vigil), "{time:?}, {came}");
        }
        // Nor by those who wait so shortly that they would not sleep at all.
        let vigil = brief();
        let notice = Notice::new();
        vigil.park(&notice, 0, Some(Instant::now() + AWAKE / 2));
        assert!(!begins_awake(&vigil));
    }

    #[test]
    fn where_others_want_the_processors_nobody_stays_awake() {
        let _alone = ONE.lock();
        let vigil = Vigil::new();
        for slept in [1023, 2047, 4095, 8191, 16_383, 32_767, 32_767] {
            let since = Instant::now();
            let began = since.checked_sub(BRIEF).expect("the system has run for a moment");
            Watch { vigil: &vigil, began, state: State::Awake { since, _place: hold() } }.end(true);
            assert_eq!(vigil.slept.load(Relaxed), slept);
        }
        // What is in vain otherwise does not make less of it.
        end(&vigil, true);
        assert_eq!(vigil.slept.load(Relaxed), 32_767);
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
        let _alone = ONE.lock();
        let vigil = Vigil::new();
        end(&vigil, true);
        end(&vigil, true);
        for _ in 0..3 {
            let state = State::Awake { since: Instant::now(), _place: hold() };
            watch(&vigil, state).end(true);
        }
        end(&vigil, true);
        assert_eq!(vigil.slept.load(Relaxed), 1, "what was in vain before is forgotten");
    }

    /// Ends a brief wait, however long this thread was held up, that slept from the beginning or after
    /// it had stayed awake in vain.
    fn end(vigil: &Vigil, in_vain: bool) {
        watch(vigil, if in_vain { State::InVain } else { State::Asleep }).end(true);
    }

    fn watch(vigil: &Vigil, state: State) -> Watch<'_> {
        Watch { vigil, began: Instant::now() + Duration::from_secs(3600), state }
    }

    /// A place, be it one too many.
    fn hold() -> Place {
        VIGILS.fetch_add(1, Relaxed);
        Place
    }
}
