//! Every interleaving of a thread that waits at a poller with those who tell it of changes.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p serverlink --lib poller::model`. The
//! poller is the real one; its items are ready when a flag is set, which is relaxed, so that nothing
//! but telling orders it. A change that is missed shows as a deadlock.

use loom::{
    model::Builder,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
};

use super::*;

fn check(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 20_000;
    builder.check(test);
}

/// Something that becomes ready.
#[derive(Clone)]
struct Thing {
    ready: Arc<AtomicBool>,
    watch: std::sync::Arc<Watch>,
}

impl Thing {
    fn new(shared: &std::sync::Arc<Shared>, token: u64) -> Self {
        let ready = Arc::new(AtomicBool::new(false));
        Self { ready: ready.clone(), watch: shared.add_model(token, ready) }
    }

    /// Sets it, and tells.
    fn set(&self) {
        self.ready.store(true, Relaxed);
        self.watch.tell();
    }

    /// Takes what made it ready, and looks no more.
    fn take(&self) {
        self.ready.store(false, Relaxed);
    }
}

/// Waits, for ever if need be, and tells the tokens of what is ready.
fn wait(shared: &Shared) -> Vec<u64> {
    let mut events = Vec::new();
    shared.wait(&mut events, None);
    events.iter().map(|event| event.token).collect()
}

#[test]
fn a_change_ends_the_wait() {
    check(|| {
        let shared = std::sync::Arc::new(Shared::default());
        let thing = Thing::new(&shared, 0);
        let teller = thread::spawn({
            let thing = thing.clone();
            move || thing.set()
        });
        assert_eq!(wait(&shared), [0]);
        // It is told of as long as it is ready.
        assert_eq!(wait(&shared), [0]);
        teller.join().unwrap();
        drop(thing);
        shared.clear();
    });
}

/// All but one find it a candidate already, or just looked at.
#[test]
fn however_many_tell_of_an_item_it_is_seen_once() {
    check(|| {
        let shared = std::sync::Arc::new(Shared::default());
        let thing = Thing::new(&shared, 0);
        let tellers = [(); 2].map(|()| {
            let thing = thing.clone();
            thread::spawn(move || thing.watch.tell())
        });
        thing.ready.store(true, Relaxed);
        thing.watch.tell();
        assert_eq!(wait(&shared), [0]);
        for teller in tellers {
            teller.join().unwrap();
        }
        shared.clear();
    });
}

/// Another tells of nothing meanwhile, so that who makes the item ready may find it a candidate whose
/// look has begun.
#[test]
fn a_change_beside_a_vain_one_ends_the_wait() {
    check(|| {
        let shared = std::sync::Arc::new(Shared::default());
        let thing = Thing::new(&shared, 0);
        let vain = thread::spawn({
            let thing = thing.clone();
            move || thing.watch.tell()
        });
        let teller = thread::spawn({
            let thing = thing.clone();
            move || thing.set()
        });
        assert_eq!(wait(&shared), [0]);
        thing.take();
        vain.join().unwrap();
        teller.join().unwrap();
        shared.clear();
    });
}

#[test]
fn changes_to_two_items_are_seen() {
    check(|| {
        let shared = std::sync::Arc::new(Shared::default());
        let things = [0, 1].map(|token| Thing::new(&shared, token));
        let tellers = things.clone().map(|thing| thread::spawn(move || thing.set()));
        let mut seen = [false; 2];
        while seen != [true; 2] {
            for token in wait(&shared) {
                let token = usize::from(token == 1);
                things[token].take();
                seen[token] = true;
            }
        }
        for teller in tellers {
            teller.join().unwrap();
        }
        shared.clear();
    });
}

#[test]
fn a_wake_ends_the_wait_that_goes_on_or_the_next() {
    check(|| {
        let shared = std::sync::Arc::new(Shared::default());
        let waker = thread::spawn({
            let shared = shared.clone();
            move || shared.wake()
        });
        assert_eq!(wait(&shared), []);
        waker.join().unwrap();
    });
}

/// A wait that ends for an item leaves the wake-up to the next one only if that came later.
#[test]
fn a_wake_and_a_change_end_a_wait() {
    check(|| {
        let shared = std::sync::Arc::new(Shared::default());
        let thing = Thing::new(&shared, 0);
        let waker = thread::spawn({
            let shared = shared.clone();
            move || shared.wake()
        });
        let teller = thread::spawn({
            let thing = thing.clone();
            move || thing.set()
        });
        while wait(&shared) != [0] {}
        waker.join().unwrap();
        teller.join().unwrap();
        drop(thing);
        shared.clear();
    });
}
