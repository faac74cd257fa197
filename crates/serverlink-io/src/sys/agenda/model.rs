//! Every interleaving of a driver with those who wake it, queue up, and stop it.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p serverlink-io --lib agenda::model`. The
//! kernel is a condition variable. What threads tell each other beside the agenda is relaxed, so
//! that nothing but the agenda orders it. A lost wake-up shows as a deadlock.

use std::sync::Arc as Shared;

use loom::{
    model::Builder,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use super::*;

/// What a backend does with its agenda, and no more.
#[derive(Default)]
struct Engine {
    agenda: Agenda<usize>,
    kernel: Mutex<Kernel>,
    reported: Condvar,
    /// What wakers have to tell.
    told: AtomicUsize,
    /// What the driver has served.
    served: AtomicUsize,
    turns: AtomicUsize,
}

#[derive(Default)]
struct Kernel {
    /// Wakes that no wait has ended on yet.
    wakes: usize,
    /// How many there were.
    calls: usize,
    /// What `select` is to watch for, which is ready at once. It looks when it begins to wait.
    wanted: bool,
    heard: bool,
}

impl Engine {
    /// False if it is stopped.
    fn turn(&self) -> bool {
        self.turns.fetch_add(1, Relaxed);
        let wait = |timeout| {
            assert!(matches!(timeout, None | Some(Duration::ZERO)));
            let mut kernel = self.kernel.lock().unwrap();
            kernel.heard |= kernel.wanted;
            while timeout.is_none() && kernel.wakes == 0 && !kernel.heard {
                kernel = self.reported.wait(kernel).unwrap();
            }
            kernel.wakes = 0;
            Ok(())
        };
        self.agenda.wait(None, false, wait).unwrap();
        if self.agenda.is_stopped() {
            return false;
        }
        self.agenda.serve(|registration, _| {
            self.served.fetch_add(*registration, Relaxed);
            true
        });
        self.agenda.end_turn();
        true
    }

    fn wake(&self) {
        if self.agenda.wake() {
            let mut kernel = self.kernel.lock().unwrap();
            kernel.wakes += 1;
            kernel.calls += 1;
            drop(kernel);
            self.reported.notify_one();
        }
    }

    fn tell(&self) {
        self.told.fetch_add(1, Relaxed);
        self.wake();
    }

    /// `registration` is the number that its serving adds.
    fn queue(&self, registration: usize) {
        if self.agenda.queue(Shared::new(registration), Direction::Inward) {
            self.wake();
        }
    }

    fn want(&self) {
        self.kernel.lock().unwrap().wanted = true;
        if self.agenda.is_waiting() {
            self.wake();
        }
    }

    fn stop(&self) {
        self.agenda.stop();
        self.wake();
    }

    /// No wake cost a call but the first between two turns. Nobody wakes any more.
    fn check_calls(&self) {
        let calls = self.kernel.lock().unwrap().calls;
        assert!(calls <= self.turns.load(Relaxed), "more calls than turns");
    }
}

/// `drive` drives while each of `others` does something in a thread of its own.
fn model<const OTHERS: usize>(others: [fn(&Engine); OTHERS], drive: fn(&Engine)) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(if OTHERS > 2 { 2 } else { 3 });
    builder.check(move || {
        let engine = Arc::new(Engine::default());
        let others = others.map(|act| {
            let engine = engine.clone();
            thread::spawn(move || act(&engine))
        });
        drive(&engine);
        for other in others {
            other.join().unwrap();
        }
        engine.check_calls();
    });
}

fn until(engine: &Engine, over: impl Fn(&Engine) -> bool) {
    while !over(engine) {
        assert!(engine.turn(), "nobody stopped it");
    }
}

#[test]
fn no_wake_is_lost() {
    model([Engine::tell], |engine| until(engine, |engine| engine.told.load(Relaxed) == 1));
}

#[test]
fn no_wake_of_two_is_lost() {
    model([Engine::tell, Engine::tell], |engine| {
        until(engine, |engine| engine.told.load(Relaxed) == 2);
    });
}

#[test]
fn no_wake_of_one_who_wakes_again_is_lost() {
    let twice = |engine: &Engine| {
        engine.tell();
        engine.tell();
    };
    model([twice], |engine| until(engine, |engine| engine.told.load(Relaxed) == 2));
}

#[test]
fn who_queues_up_is_served() {
    let one = |engine: &Engine| engine.queue(1);
    let two = |engine: &Engine| engine.queue(2);
    model([one], |engine| until(engine, |engine| engine.served.load(Relaxed) == 1));
    model([one, two], |engine| until(engine, |engine| engine.served.load(Relaxed) == 3));
}

#[test]
fn who_queues_up_beside_a_wake_is_served() {
    model([Engine::tell, |engine| engine.queue(1)], |engine| {
        until(engine, |engine| engine.served.load(Relaxed) + engine.told.load(Relaxed) == 2);
    });
}

/// What `select` watches for is changed under a lock of its own, and nobody is woken who does not
/// wait.
#[test]
fn what_is_wanted_during_a_wait_counts() {
    let heard = |engine: &Engine| {
        until(engine, |engine| engine.kernel.lock().unwrap().heard);
    };
    model([Engine::want], heard);
    model([Engine::want, Engine::wake], heard);
}

#[test]
fn a_stop_ends_the_wait() {
    model([Engine::stop], |engine| while engine.turn() {});
}

#[test]
fn a_stop_beside_a_wake_ends_the_wait() {
    model([Engine::stop, Engine::tell], |engine| while engine.turn() {});
}

#[test]
fn a_stop_beside_all_the_others_ends_the_wait_and_every_later_one() {
    model([Engine::stop, Engine::tell, |engine| engine.queue(1)], |engine| {
        while engine.turn() {}
        assert!(!engine.turn());
    });
}
