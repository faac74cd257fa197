//! Every interleaving of drivers with those who post packets, set timers, and stop the port.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p serverlink-io --lib due::model`. The seat
//! is the real one; the backend is one that queues in the kernel, a condition variable here. Time
//! does not pass: a timer is due from the start, or hours away, and then a wait for it is one for
//! ever. A wake-up lost shows as a deadlock.

use std::sync::{
    Arc as Shared,
    atomic::{AtomicUsize as Count, Ordering::Relaxed},
};

use loom::{
    model::Builder,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use super::*;
use crate::{
    Notice,
    seat::{Car, Seat},
};

#[derive(Default)]
struct Port {
    due: Due,
    seat: Seat,
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Car for Port {
    fn turn(&self, timeout: Option<Duration>) -> io::Result<Turn> {
        self.due.turn(timeout, &Counters::default(), |timeout| {
            let for_ever = timeout.is_none_or(|timeout| !timeout.is_zero());
            let mut woken = self.woken.lock().unwrap();
            while for_ever && !*woken {
                woken = self.changed.wait(woken).unwrap();
            }
            *woken = false;
            Ok(if self.due.is_stopped() { Outcome::Stopped } else { Outcome::Delivered(0) })
        })
    }

    fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.changed.notify_one();
    }

    fn has_packets(&self) -> bool {
        self.due.has_packets()
    }

    fn at_most(&self, pause: Duration) -> Duration {
        self.due.wait(Some(pause)).unwrap_or(pause)
    }

    fn is_stopped(&self) -> bool {
        self.due.is_stopped()
    }
}

impl Port {
    fn post(&self, handler: Shared<dyn Handler>) {
        if self.due.post(handler, 0) {
            self.seat.wake(self);
        }
    }

    fn set_timer(&self, deadline: Instant, handler: Shared<dyn Handler>) {
        if self.due.set_timer(deadline, handler, 0).1 {
            self.seat.wake(self);
        }
    }

    fn stop(&self) {
        self.due.stop();
        self.wake();
        self.seat.disturb();
        self.due.clear();
    }
}

/// Counts what is delivered to it.
#[derive(Default)]
struct Counting(Count);

impl Handler for Counting {
    fn complete(&self, _event: Event) {
        self.0.fetch_add(1, Relaxed);
    }
}

/// Raises a notice by what is delivered to it.
struct Raising(Arc<Notice>);

impl Handler for Raising {
    fn complete(&self, _event: Event) {
        self.0.raise();
    }
}

/// Posts another packet, when the first is delivered to it.
struct Posting {
    port: Arc<Port>,
    next: Shared<Counting>,
}

impl Handler for Posting {
    fn complete(&self, _event: Event) {
        self.port.post(self.next.clone());
    }
}

struct Nobody;

impl Handler for Nobody {
    fn complete(&self, _event: Event) {
        panic!("it is hours away");
    }
}

fn hours_away() -> Instant {
    Instant::now() + Duration::from_secs(36_000)
}

fn check(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 20_000;
    builder.check(test);
}

/// Others add something due each, by `adds`, to a port that has, or has not, a timer hours away. One
/// thread drives until all of it is delivered.
fn deliver<const OTHERS: usize>(adds: [fn(&Port, Instant, Shared<Counting>); OTHERS]) {
    for later in [false, true] {
        check(move || {
            let port = Arc::new(Port::default());
            let start = Instant::now();
            if later {
                port.set_timer(hours_away(), Shared::new(Nobody));
            }
            let counting = Shared::new(Counting::default());
            let others = adds.map(|add| {
                let (port, counting) = (port.clone(), counting.clone());
                thread::spawn(move || add(&port, start, counting))
            });
            while counting.0.load(Relaxed) < OTHERS {
                port.seat.turn(&*port, None).unwrap();
            }
            for other in others {
                other.join().unwrap();
            }
            assert_eq!(counting.0.load(Relaxed), OTHERS);
            assert!(!port.due.has_packets());
            port.stop();
        });
    }
}

fn post(port: &Port, _: Instant, counting: Shared<Counting>) {
    port.post(counting);
}

fn set_first(port: &Port, start: Instant, counting: Shared<Counting>) {
    port.set_timer(start, counting);
}

/// Not the nearest once the other is set.
fn set_second(port: &Port, start: Instant, counting: Shared<Counting>) {
    port.set_timer(start + Duration::from_nanos(1), counting);
}

#[test]
fn a_packet_ends_the_wait() {
    deliver([post]);
}

#[test]
fn two_packets_are_delivered() {
    deliver([post, post]);
}

#[test]
fn a_timer_shortens_the_wait() {
    deliver([set_first]);
}

#[test]
fn a_timer_that_is_not_the_nearest_is_delivered() {
    deliver([set_first, set_second]);
}

#[test]
fn a_packet_and_a_timer_are_delivered() {
    deliver([post, set_second]);
}

/// Who drives is not woken: it looks again.
#[test]
fn what_a_handler_posts_is_delivered() {
    check(|| {
        let port = Arc::new(Port::default());
        let next = Shared::new(Counting::default());
        let other = thread::spawn({
            let (port, next) = (port.clone(), next.clone());
            move || port.post(Shared::new(Posting { port: port.clone(), next }))
        });
        while next.0.load(Relaxed) == 0 {
            port.seat.turn(&*port, None).unwrap();
        }
        other.join().unwrap();
    });
}

#[test]
fn a_timer_that_is_set_as_another_is_cancelled_is_delivered() {
    check(|| {
        let port = Arc::new(Port::default());
        let counting = Shared::new(Counting::default());
        let (id, _) = port.due.set_timer(hours_away(), Shared::new(Nobody), 0);
        let canceller = thread::spawn({
            let port = port.clone();
            move || assert!(port.due.cancel_timer(id))
        });
        let setter = thread::spawn({
            let (port, counting) = (port.clone(), counting.clone());
            move || port.set_timer(Instant::now(), counting)
        });
        while counting.0.load(Relaxed) == 0 {
            port.seat.turn(&*port, None).unwrap();
        }
        canceller.join().unwrap();
        setter.join().unwrap();
    });
}

/// Either may deliver what the other waits for, and then leave.
#[test]
fn two_waiters_hear_of_a_packet_each() {
    check(|| {
        let port = Arc::new(Port::default());
        let notices = [(); 2].map(|()| Arc::new(Notice::new()));
        let waiters = notices.clone().map(|notice| {
            let port = port.clone();
            thread::spawn(move || port.seat.wait(&*port, &notice, 0, None, true, || false).unwrap())
        });
        for notice in &notices {
            port.post(Shared::new(Raising(notice.clone())));
        }
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert!(notices.iter().all(|notice| notice.epoch() > 0), "nobody raised it");
    });
}

/// A timer is cancelled as the driver is about to deliver it: one of them has it.
#[test]
fn a_timer_is_cancelled_or_delivered() {
    check(|| {
        let port = Arc::new(Port::default());
        let counting = Shared::new(Counting::default());
        let (id, _) = port.due.set_timer(Instant::now(), counting.clone(), 0);
        let canceller = thread::spawn({
            let port = port.clone();
            move || usize::from(port.due.cancel_timer(id))
        });
        port.seat.turn(&*port, Some(Duration::ZERO)).unwrap();
        let cancelled = canceller.join().unwrap();
        assert_eq!(counting.0.load(Relaxed) + cancelled, 1);
        assert_eq!(port.due.timers.nearest(), None);
        assert_eq!(port.due.timers(), 0);
    });
}

#[test]
fn nothing_is_left_behind_a_stop() {
    let adds: [fn(&Port, Instant, Shared<Counting>); 2] = [post, set_first];
    for add in adds {
        check(move || {
            let port = Arc::new(Port::default());
            let counting = Shared::new(Counting::default());
            let other = thread::spawn({
                let (port, counting) = (port.clone(), counting.clone());
                move || add(&port, Instant::now(), counting)
            });
            let stopper = thread::spawn({
                let port = port.clone();
                move || port.stop()
            });
            while port.seat.turn(&*port, None).unwrap() != Turn::Stopped {}
            other.join().unwrap();
            stopper.join().unwrap();
            assert_eq!(Shared::strong_count(&counting), 1, "it is left");
            assert!(!port.due.has_packets());
            assert_eq!(port.due.timers.nearest(), None);
        });
    }
}
