//! Every interleaving of threads that drive a model of a port.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p serverlink-io --lib seat`. A lost
//! wake-up shows as a deadlock.

use std::{collections::VecDeque, io, mem, time::Duration};

use loom::{
    model::Builder,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use super::{Car, Seat};
use crate::{Turn, notice::Notice, sync};

/// A port that knows packets, and arrivals, of which it hears only as somebody waits in it. Each
/// raises a notice.
#[derive(Default)]
struct Port {
    seat: Seat,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    packets: VecDeque<Arc<Notice>>,
    arrivals: VecDeque<Arc<Notice>>,
    woken: bool,
    stopped: bool,
}

impl Car for Port {
    fn turn(&self, timeout: Option<Duration>) -> io::Result<Turn> {
        let mut state = self.state.lock().unwrap();
        while timeout.is_none()
            && state.packets.is_empty()
            && state.arrivals.is_empty()
            && !state.woken
            && !state.stopped
        {
            state = self.changed.wait(state).unwrap();
        }
        state.woken = false;
        let mut packets = mem::take(&mut state.packets);
        packets.append(&mut state.arrivals);
        let stopped = state.stopped;
        drop(state);
        for notice in &packets {
            self.seat.unhurried();
            self.raise(notice);
        }
        Ok(if stopped { Turn::Stopped } else { Turn::Delivered(packets.len()) })
    }

    fn wake(&self) {
        self.state.lock().unwrap().woken = true;
        self.changed.notify_one();
    }

    fn has_packets(&self) -> bool {
        !self.state.lock().unwrap().packets.is_empty()
    }

    fn at_most(&self, pause: Duration) -> Duration {
        pause
    }

    fn is_stopped(&self) -> bool {
        self.state.lock().unwrap().stopped
    }
}

impl Port {
    fn post(&self, notice: &Arc<Notice>) {
        self.state.lock().unwrap().packets.push_back(notice.clone());
        self.seat.wake(self);
    }

    fn arrive(&self, notice: &Arc<Notice>) {
        self.state.lock().unwrap().arrivals.push_back(notice.clone());
        self.changed.notify_one();
    }

    fn raise(&self, notice: &Notice) {
        notice.raise();
        if notice.is_at_port() {
            self.seat.wake(self);
        }
    }

    fn stop(&self) {
        self.state.lock().unwrap().stopped = true;
        self.changed.notify_one();
        self.seat.disturb();
    }

    fn wait(&self, notice: &Notice, eager: bool) {
        self.seat.wait(self, notice, 0, None, eager, || false).unwrap();
        assert!(notice.epoch() > 0, "nobody raised it");
    }

    /// The same, by a thread that looks so often before it sleeps.
    fn wait_awake(&self, notice: &Notice, mut looks: usize) {
        let stays_awake = || {
            looks = looks.saturating_sub(1);
            looks > 0
        };
        self.seat.wait(self, notice, 0, None, true, stays_awake).unwrap();
        assert!(notice.epoch() > 0, "nobody raised it");
    }
}

fn model(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 20_000;
    builder.check(test);
}

#[test]
fn a_waiter_hears_of_what_is_posted() {
    model(|| {
        let port = Arc::new(Port::default());
        let notice = Arc::new(Notice::new());
        let waiter = thread::spawn({
            let (port, notice) = (port.clone(), notice.clone());
            move || port.wait(&notice, true)
        });
        port.post(&notice);
        waiter.join().unwrap();
    });
}

#[test]
fn a_waiter_hears_what_another_thread_raises() {
    model(|| {
        let port = Arc::new(Port::default());
        let notice = Arc::new(Notice::new());
        let waiter = thread::spawn({
            let (port, notice) = (port.clone(), notice.clone());
            move || port.wait(&notice, true)
        });
        port.raise(&notice);
        waiter.join().unwrap();
    });
}

#[test]
fn a_waiter_that_stays_awake_misses_nothing() {
    for tell in [Port::post, Port::arrive, |port: &Port, notice: &Arc<Notice>| port.raise(notice)] {
        model(move || {
            let port = Arc::new(Port::default());
            let notice = Arc::new(Notice::new());
            let waiter = thread::spawn({
                let (port, notice) = (port.clone(), notice.clone());
                move || port.wait_awake(&notice, 2)
            });
            tell(&port, &notice);
            waiter.join().unwrap();
        });
    }
}

/// Two waiters, each for a notice of its own, that `tell` tells the port of.
fn two_waiters(tell: fn(&Port, &Arc<Notice>)) {
    model(move || {
        let port = Arc::new(Port::default());
        let notices = [(); 2].map(|()| Arc::new(Notice::new()));
        let waiters = notices.clone().map(|notice| {
            let port = port.clone();
            thread::spawn(move || port.wait(&notice, true))
        });
        for notice in &notices {
            tell(&port, notice);
        }
        for waiter in waiters {
            waiter.join().unwrap();
        }
    });
}

#[test]
fn two_waiters_hear_each_their_own() {
    two_waiters(Port::post);
}

#[test]
fn whoever_leaves_the_seat_has_the_next_waiter_take_it() {
    two_waiters(Port::arrive);
}

#[test]
fn a_waiter_that_follows_another_for_the_same_is_told() {
    model(|| {
        let port = Arc::new(Port::default());
        let notice = Arc::new(Notice::new());
        let first = thread::spawn({
            let (port, notice) = (port.clone(), notice.clone());
            move || port.wait(&notice, true)
        });
        let raiser = thread::spawn({
            let (port, notice) = (port.clone(), notice.clone());
            move || {
                while notice.epoch() == 0 {
                    notice.park(0, None);
                }
                port.raise(&notice);
            }
        });
        port.raise(&notice);
        while notice.epoch() == 1 {
            port.seat.wait(&*port, &notice, 1, None, true, || false).unwrap();
        }
        first.join().unwrap();
        raiser.join().unwrap();
    });
}

/// It may be before whoever has raised the notice goes on.
#[test]
fn who_sleeps_again_is_not_woken_for_the_same() {
    model(|| {
        let notice = Arc::new(Notice::new());
        let raiser = thread::spawn({
            let notice = notice.clone();
            move || (0..2).for_each(|_| notice.raise())
        });
        let sleeper = notice.sleeper();
        let sleeps = notice.epoch() == 0;
        if sleeps {
            sync::thread::park();
        }
        drop(sleeper);
        // Who has not slept may be woken for it yet.
        if sleeps && notice.epoch() == 1 {
            notice.park(1, None);
            assert_eq!(notice.epoch(), 2, "woken for the same");
        }
        raiser.join().unwrap();
    });
}

#[test]
fn one_who_sleeps_again_keeps_no_other_asleep() {
    model(|| {
        let notice = Arc::new(Notice::new());
        let waiters = [2, 1].map(|last| {
            let notice = notice.clone();
            thread::spawn(move || {
                for seen in 0..last {
                    while notice.epoch() == seen {
                        notice.park(seen, None);
                    }
                }
            })
        });
        let [again, once] = waiters;
        notice.raise();
        once.join().unwrap();
        notice.raise();
        again.join().unwrap();
    });
}

#[test]
fn the_background_gives_way_and_takes_over_again() {
    model(|| {
        let port = Arc::new(Port::default());
        let background = thread::spawn({
            let port = port.clone();
            move || port.seat.run(&*port, None, None).unwrap()
        });
        let notice = Arc::new(Notice::new());
        let waiter = thread::spawn({
            let (port, notice) = (port.clone(), notice.clone());
            move || port.wait(&notice, true)
        });
        port.post(&notice);
        waiter.join().unwrap();
        // Nobody waits at the port now: the background must see to this one.
        let later = Arc::new(Notice::new());
        port.arrive(&later);
        while later.epoch() == 0 {
            later.park(0, None);
        }
        port.stop();
        background.join().unwrap();
    });
}

/// A thread that runs it and pauses, for ever if it is let, after every turn that brought something.
fn run_with_pauses(port: &Arc<Port>) -> thread::JoinHandle<()> {
    let port = port.clone();
    thread::spawn(move || port.seat.run(&*port, None, Some(Duration::MAX)).unwrap())
}

/// After the first arrival the background pauses, or is about to. `then` is to have it go on: a second
/// one, of which it does not hear in a pause, comes before.
fn pausing(then: fn(&Arc<Port>, &Arc<Notice>)) {
    model(move || {
        let port = Arc::new(Port::default());
        let background = run_with_pauses(&port);
        let notices = [(); 2].map(|()| Arc::new(Notice::new()));
        for notice in &notices {
            port.arrive(notice);
        }
        then(&port, &notices[1]);
        while notices[1].epoch() == 0 {
            notices[1].park(0, None);
        }
        port.stop();
        background.join().unwrap();
    });
}

#[test]
fn what_is_posted_ends_a_pause() {
    pausing(|port, _| port.post(&Arc::default()));
}

#[test]
fn what_is_posted_lazily_ends_a_pause() {
    pausing(|port, _| {
        port.state.lock().unwrap().packets.push_back(Arc::default());
        port.seat.wake_driver(&**port);
    });
}

#[test]
fn who_looks_in_vain_ends_a_pause() {
    pausing(|port, _| port.seat.hasten());
}

#[test]
fn who_is_in_a_hurry_ends_a_pause() {
    pausing(|port, _| port.seat.begin_hurry());
}

#[test]
fn waiters_end_a_pause() {
    for eager in [true, false] {
        let then: fn(&Arc<Port>, &Arc<Notice>) = if eager {
            |port, notice| port.wait(notice, true)
        } else {
            |port, notice| port.wait(notice, false)
        };
        pausing(then);
    }
}

#[test]
fn a_background_that_pauses_can_be_stopped() {
    model(|| {
        let port = Arc::new(Port::default());
        let background = run_with_pauses(&port);
        port.arrive(&Arc::default());
        port.stop();
        background.join().unwrap();
    });
}
