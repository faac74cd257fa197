//! Waits for an answer that stay awake at first, where it is likely to come at once.

use std::{
    hint,
    num::NonZero,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use serverlink_io::Notice;

/// After a wait shorter than this the next one stays awake at first: as long as two threads that answer
/// each other sleep between, it takes about two wake-ups;
const BRIEF: Duration = Duration::from_micros(100);
/// and for so long at most, which is about what it takes to fall asleep and be woken: whoever does so
/// in vain has spent twice what was necessary, and no more.
const AWAKE: Duration = Duration::from_micros(50);
/// From then on who waits lets other threads run, one of which may be the one that is to answer: the
/// system often wakes a thread on the processor of the thread that wakes it.
const ALONE: Duration = Duration::from_micros(5);
/// How often the notice is looked at before the clock is.
const LOOKS: usize = 16;

/// How many threads of the process are waiting awake.
static VIGILS: AtomicUsize = AtomicUsize::new(0);

/// The waits of one socket for answers, each of which is done as the last one suggests. As long as
/// nothing happens to a socket it sleeps.
#[derive(Debug, Default)]
pub(super) struct Vigil {
    was_brief: AtomicBool,
}

impl Vigil {
    /// Waits until the notice is raised past `seen`, or the deadline; may return before.
    pub(super) fn wait(&self, notice: &Notice, seen: u64, deadline: Option<Instant>) {
        let began = Instant::now();
        if self.was_brief.load(Relaxed)
            && let Some(_awake) = Awake::begin()
            && stays_awake(notice, seen, began, deadline)
        {
            return;
        }
        notice.park(seen, deadline);
        self.was_brief.store(began.elapsed() < BRIEF, Relaxed);
    }
}

/// Waits awake. False if the notice was not raised in time.
fn stays_awake(notice: &Notice, seen: u64, began: Instant, deadline: Option<Instant>) -> bool {
    loop {
        for _ in 0..LOOKS {
            if notice.epoch() != seen {
                return true;
            }
            hint::spin_loop();
        }
        let now = Instant::now();
        let awake = now - began;
        if awake >= AWAKE || deadline.is_some_and(|deadline| now >= deadline) {
            return false;
        }
        if awake >= ALONE {
            thread::yield_now();
        }
    }
}

/// One of the threads that may wait awake: so many that as many processors are left to those who are
/// to answer.
struct Awake;

impl Awake {
    fn begin() -> Option<Self> {
        let one = Self;
        (VIGILS.fetch_add(1, Relaxed) < most()).then_some(one)
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        VIGILS.fetch_sub(1, Relaxed);
    }
}

fn most() -> usize {
    static MOST: OnceLock<usize> = OnceLock::new();
    *MOST.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get) / 2)
}

#[cfg(test)]
mod tests {
    use std::{iter, sync::Mutex};

    use super::*;

    /// Only one test at a time counts the threads.
    static ALONE: Mutex<()> = Mutex::new(());

    fn awake() -> Vec<Awake> {
        iter::from_fn(Awake::begin).take(1000).collect()
    }

    #[test]
    fn as_many_processors_are_left_as_there_are_threads_that_wait_awake() {
        let _alone = ALONE.lock();
        let some = awake();
        assert_eq!(some.len(), most());
        drop(some);
        assert_eq!(awake().len(), most(), "who was refused is not counted");
    }

    #[test]
    fn nobody_stays_awake_for_long() {
        let (notice, began) = (Notice::new(), Instant::now());
        assert!(!stays_awake(&notice, notice.epoch(), began, None));
        assert!(began.elapsed() >= AWAKE);
        assert!(!stays_awake(&notice, notice.epoch(), Instant::now(), Some(began)));
        let seen = notice.epoch();
        notice.raise();
        assert!(stays_awake(&notice, seen, Instant::now(), None));
    }

    #[test]
    fn the_next_wait_is_as_the_last_one_was() {
        let _alone = ALONE.lock();
        let (vigil, notice) = (Vigil::default(), Notice::new());
        let wait = |time| vigil.wait(&notice, notice.epoch(), Some(Instant::now() + time));
        // This thread may be held up on a busy machine, but not for ever.
        assert!((0..1000).any(|_| {
            wait(Duration::ZERO);
            vigil.was_brief.load(Relaxed)
        }));
        // Long enough to be no brief one, and then to stay awake in vain.
        wait(BRIEF * 2);
        assert!(!vigil.was_brief.load(Relaxed));
        wait(BRIEF * 2);
        assert!(!vigil.was_brief.load(Relaxed));
    }
}
