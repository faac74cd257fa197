//! Every interleaving of a favourite and others.

use loom::{sync::Arc, thread};

use super::BiasedLock;

/// Tries every interleaving with at most so many switches that nobody asked for.
fn every_interleaving(switches: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(switches);
    model.check(run);
}

/// A lock whose favourite is the calling thread.
fn favouring() -> Arc<BiasedLock<usize>> {
    let counter = Arc::new(BiasedLock::new(0));
    *counter.lock() += 1;
    assert_ne!(counter.lock().favourite, super::NOBODY, "the favourite");
    counter
}

#[test]
fn model_of_a_favourite_and_a_visitor() {
    every_interleaving(4, || {
        let counter = favouring();
        let visitor = thread::spawn({
            let counter = counter.clone();
            move || *counter.lock() += 1
        });
        for _ in 0..2 {
            *counter.lock() += 1;
        }
        visitor.join().unwrap();
        assert_eq!(*counter.lock(), 4);
    });
}

#[test]
fn model_of_a_favourite_and_a_visitor_who_comes_twice() {
    every_interleaving(3, || {
        let counter = favouring();
        let visitor = thread::spawn({
            let counter = counter.clone();
            move || {
                *counter.lock() += 1;
                *counter.lock() += 1;
            }
        });
        for _ in 0..2 {
            *counter.lock() += 1;
        }
        visitor.join().unwrap();
        assert_eq!(*counter.lock(), 5);
    });
}

/// The old favourite may have been about to enter all the time.
#[test]
fn model_of_a_visitor_who_becomes_the_favourite() {
    every_interleaving(3, || {
        let counter = favouring();
        let visitor = thread::spawn({
            let counter = counter.clone();
            move || (0..3).for_each(|_| *counter.lock() += 1)
        });
        *counter.lock() += 1;
        visitor.join().unwrap();
        assert_eq!(*counter.lock(), 5);
    });
}

/// It is left while another waits, whom the old favourite, about to enter, wakes too early.
#[test]
fn model_of_a_visitor_who_becomes_the_favourite_and_another() {
    every_interleaving(3, || {
        let counter = favouring();
        let visitors = [3, 1].map(|times| {
            let counter = counter.clone();
            thread::spawn(move || (0..times).for_each(|_| *counter.lock() += 1))
        });
        *counter.lock() += 1;
        for visitor in visitors {
            visitor.join().unwrap();
        }
        assert_eq!(*counter.lock(), 6);
    });
}

#[test]
fn model_of_a_favourite_and_two_visitors() {
    every_interleaving(2, || {
        let counter = favouring();
        let visitors = [(); 2].map(|()| {
            let counter = counter.clone();
            thread::spawn(move || *counter.lock() += 1)
        });
        *counter.lock() += 1;
        for visitor in visitors {
            visitor.join().unwrap();
        }
        assert_eq!(*counter.lock(), 4);
    });
}
