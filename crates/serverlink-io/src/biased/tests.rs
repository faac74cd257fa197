//! The lock with real threads.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Barrier, atomic::AtomicUsize, mpsc},
    thread,
};

use super::{BiasedLock, FAITHFUL, Ordering, SEATS, WORTH, barrier, mark_of, thread_mark};

impl<T> BiasedLock<T> {
    fn is_favourite(&self) -> bool {
        mark_of(self.favourite.load(Ordering::Relaxed)) == thread_mark()
    }

    fn come(&self, times: usize) {
        (0..times).for_each(|_| drop(self.lock()));
    }
}

/// Whether there can be favourites: on Linux, unless it forbids the call.
fn favours() -> bool {
    barrier::is_available()
}

fn favouring<T>(value: T) -> BiasedLock<T> {
    let lock = BiasedLock::new(value);
    lock.come(FAITHFUL as usize);
    assert_eq!(lock.is_favourite(), favours());
    lock
}

#[test]
fn there_are_favourites_where_the_system_has_the_barrier() {
    #[cfg(all(target_os = "linux", not(miri)))]
    let has = rustix::thread::membarrier_query()
        .contains_command(rustix::thread::MembarrierCommand::PrivateExpedited);
    // Miri's are a model.
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let has = cfg!(miri);
    assert_eq!(favours(), has);
}

#[test]
fn who_comes_again_and_again_becomes_the_favourite() {
    let lock = BiasedLock::new(());
    lock.come(FAITHFUL as usize - 1);
    assert!(!lock.is_favourite());
    lock.come(1);
    assert_eq!(lock.is_favourite(), favours());
    assert_eq!(lock.lock().favourite != super::NOBODY, favours());
}

/// Nothing but the lock orders what they do, for none is joined: ThreadSanitizer says if it does not.
#[test]
#[cfg_attr(miri, ignore = "thousands of visits, to show what ThreadSanitizer sees")]
fn who_has_the_mark_of_a_thread_that_has_ended_has_its_favour() {
    const HEIRS: usize = 8;
    let lock = Arc::new(BiasedLock::new(0));
    let [heirs, done] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let mut threads = 0;
    while threads < HEIRS || favours() && heirs.load(Ordering::Relaxed) < HEIRS {
        assert!(threads < 10_000, "marks are not used again");
        threads += 1;
        let (lock, heirs, its_done) = (lock.clone(), heirs.clone(), done.clone());
        drop(thread::spawn(move || {
            heirs.fetch_add(lock.is_favourite().into(), Ordering::Relaxed);
            (0..FAITHFUL).for_each(|_| *lock.lock() += 1);
            its_done.fetch_add(1, Ordering::Relaxed);
        }));
        while done.load(Ordering::Relaxed) < threads {
            thread::yield_now();
        }
    }
    assert_eq!(*lock.lock(), threads * FAITHFUL as usize);
}

#[test]
fn a_rare_visit_leaves_the_favour() {
    let lock = favouring(());
    for _ in 0..3 {
        lock.come(WORTH);
        thread::scope(|scope| _ = scope.spawn(|| lock.come(1)));
        assert_eq!(lock.is_favourite(), favours());
    }
}

#[test]
fn frequent_visits_end_the_favour() {
    let lock = favouring(());
    thread::scope(|scope| _ = scope.spawn(|| lock.come(2)));
    assert!(!lock.is_favourite());
    // Turn by turn, nobody is favoured.
    let (there, back) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2 * FAITHFUL {
                there.wait();
                lock.come(1);
                back.wait();
            }
        });
        for _ in 0..2 * FAITHFUL {
            lock.come(1);
            there.wait();
            back.wait();
            assert_eq!(lock.favourite.load(Ordering::Relaxed), super::NOBODY);
        }
    });
}

#[test]
fn the_favour_goes_to_another_when_its_thread_has_gone() {
    let lock = BiasedLock::new(());
    let gone = thread::scope(|scope| {
        let favourite = scope.spawn(|| {
            lock.come(FAITHFUL as usize);
            thread_mark()
        });
        favourite.join().unwrap()
    });
    assert_eq!(mark_of(lock.favourite.load(Ordering::Relaxed)) == gone, favours());
    lock.come(FAITHFUL as usize + 1);
    assert_eq!(lock.is_favourite(), favours());
}

/// One that comes again is known not to be about to enter, and has its seat free for others.
#[test]
fn the_favour_goes_round_among_as_many_threads_as_come_again() {
    let lock = BiasedLock::new(());
    let seats = |lock: &BiasedLock<()>| {
        let guard = lock.lock();
        assert_eq!(guard.favourite, super::NOBODY, "it is another's");
        // SAFETY: the favourite's guard alone has none.
        let others = unsafe { guard.others.assume_init_ref() };
        others.seats.iter().filter(|seat| **seat != super::NOBODY).count()
    };
    let turns: Vec<_> = (0..=SEATS).map(|_| (mpsc::channel(), mpsc::channel())).collect();
    thread::scope(|scope| {
        let mut ways = Vec::new();
        for ((go, gone), (done, over)) in turns {
            let lock = &lock;
            scope.spawn(move || {
                while gone.recv().is_ok() {
                    lock.come(2 * FAITHFUL as usize);
                    done.send(lock.is_favourite()).unwrap();
                }
            });
            ways.push((go, over));
        }
        let come = |thread: usize| {
            ways[thread].0.send(()).unwrap();
            ways[thread].1.recv().unwrap()
        };
        // As many as there are seats, of whom none has come since.
        for thread in 0..SEATS {
            assert_eq!(come(thread), favours());
        }
        assert_eq!(seats(&lock), if favours() { SEATS } else { 0 });
        // Then it is an ordinary lock to all others.
        assert!(!come(SEATS));
        // The first one comes once more.
        assert_eq!(come(0), favours());
        assert_eq!(come(1), favours());
        assert_eq!(come(0), favours());
        drop(ways);
    });
}

#[test]
fn a_visitor_waits_until_the_favourite_has_left() {
    let lock = favouring(0);
    thread::scope(|scope| {
        let mut inside = lock.lock();
        let (coming, comes) = mpsc::channel();
        let visitor = scope.spawn({
            let lock = &lock;
            move || {
                coming.send(()).unwrap();
                *lock.lock()
            }
        });
        comes.recv().unwrap();
        // It may or may not be asleep by now: both must do.
        if favours() {
            while lock.favourite.load(Ordering::Relaxed) != super::NOBODY {
                thread::yield_now();
            }
            while super::lock(&lock.waiting).is_none() {
                thread::yield_now();
            }
        }
        *inside = 1;
        drop(inside);
        assert_eq!(visitor.join().unwrap(), 1);
    });
}

#[test]
fn many_threads_exclude_each_other() {
    const ROUNDS: usize = if cfg!(miri) { 100 } else { 200_000 };
    let lock = favouring((0, 0));
    thread::scope(|scope| {
        for visits in [20, 500] {
            let lock = &lock;
            scope.spawn(move || {
                for _ in 0..visits {
                    let mut value = lock.lock();
                    value.0 += 1;
                    value.1 += 1;
                    drop(value);
                    thread::yield_now();
                }
            });
        }
        for _ in 0..ROUNDS {
            let mut value = lock.lock();
            value.0 += 1;
            assert_eq!(value.0, value.1 + 1);
            value.1 += 1;
        }
    });
    assert_eq!(*lock.lock(), (ROUNDS + 520, ROUNDS + 520));
}

#[test]
fn a_panic_inside_releases_the_lock() {
    let lock = favouring(0);
    for _ in 0..2 {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let mut value = lock.lock();
            *value += 1;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        thread::scope(|scope| _ = scope.spawn(|| *lock.lock() += 1));
    }
    assert_eq!(*lock.lock(), 4);
}

#[test]
fn locking_twice_is_noticed() {
    if !favours() {
        // An ordinary mutex, which may wait for ever.
        return;
    }
    let lock = favouring(0);
    let inside = lock.lock();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(lock.lock()))).is_err());
    drop(inside);
    assert_eq!(*lock.lock(), 0);
}
