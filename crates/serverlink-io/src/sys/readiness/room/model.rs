//! Every interleaving of a sender, the peer that makes room for it, and the driver that hears of
//! that.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p serverlink-io --lib room::model`. The
//! kernel is at its weakest: who finds room acquires what made it, and so does who hears the report,
//! but no lock puts a look for room that was in vain into any order. A report that is not heeded
//! though something waits for it shows as a deadlock.

use loom::{
    model::Builder,
    sync::{
        Arc, Condvar, Mutex, MutexGuard,
        atomic::{
            AtomicUsize,
            Ordering::{Acquire, Relaxed},
        },
    },
    thread,
};

use super::*;

/// Somebody waits for something to be told once.
#[derive(Default)]
struct Bell {
    rung: Mutex<usize>,
    changed: Condvar,
}

impl Bell {
    fn ring(&self) {
        *self.rung.lock().unwrap() += 1;
        self.changed.notify_one();
    }

    fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while *rung == 0 {
            rung = self.changed.wait(rung).unwrap();
        }
        *rung -= 1;
    }
}

#[derive(Default)]
struct Socket {
    room: Room,
    /// What is pending: a send.
    outward: Mutex<bool>,
    /// How much the kernel would take.
    space: AtomicUsize,
    reports: Bell,
    sent: Bell,
}

impl Socket {
    fn attempt(&self) -> Tried<()> {
        let taken = |space: usize| space.checked_sub(1);
        match self.space.fetch_update(Acquire, Relaxed, taken) {
            Ok(_) => Tried::Finished(Ok(())),
            Err(_) => Tried::WouldBlock,
        }
    }

    /// Sends, and waits until that is done.
    fn send(&self) {
        let mut outward = self.outward.lock().unwrap();
        assert!(!*outward, "one at a time");
        match self.room.look_for(|| self.attempt()) {
            Tried::Finished(_) => return,
            Tried::WouldBlock => *outward = true,
        }
        drop(outward);
        self.sent.wait();
    }

    /// The peer reads.
    fn drain(&self) {
        self.space.fetch_add(1, loom::sync::atomic::Ordering::Release);
        self.reports.ring();
    }

    fn report(&self) {
        self.reports.wait();
        let mut served = false;
        let waits = |outward: &mut MutexGuard<'_, bool>| {
            let waits = **outward;
            served = waits && matches!(self.attempt(), Tried::Finished(_));
            **outward = waits && !served;
            waits
        };
        self.room.reported(|| self.outward.lock().unwrap(), waits);
        if served {
            self.sent.ring();
        }
    }
}

/// The peer makes room for each of so many sends, and the driver hears so many reports.
fn sends(count: usize, expected_before: bool) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.max_branches = 20_000;
    builder.check(move || {
        let socket = Arc::new(Socket::default());
        if expected_before {
            socket.room.expect();
        }
        let sender = thread::spawn({
            let socket = socket.clone();
            move || (0..count).for_each(|_| socket.send())
        });
        let peer = thread::spawn({
            let socket = socket.clone();
            move || (0..count).for_each(|_| socket.drain())
        });
        (0..count).for_each(|_| socket.report());
        sender.join().unwrap();
        peer.join().unwrap();
    });
}

#[test]
fn the_first_report_is_heeded() {
    sends(1, false);
}

#[test]
fn a_report_of_what_waited_before_is_heeded() {
    sends(1, true);
}

/// The first may find room without waiting, so that its report ends the expectation as the second
/// begins.
#[test]
fn reports_are_heeded_again() {
    sends(2, false);
    sends(2, true);
}
