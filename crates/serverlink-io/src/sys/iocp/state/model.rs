//! Every interleaving of the threads that share an entry or a port.
//!
//! Run with `RUSTFLAGS="--cfg loom" cargo test --release -p serverlink-io --lib state`. What
//! threads tell each other beside the words under test is relaxed, so that nothing but these orders
//! what they do to memory. A lost wake-up shows as a deadlock.

use loom::{
    cell::UnsafeCell,
    model,
    model::Builder,
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
};

use super::{AfterCall, Refusal, Retirable, Slot, Wakeup};

/// Three threads: as many preemptions as it takes for each to meet the others' worst moment.
fn model_of_three(test: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(test);
}

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[test]
fn a_value_goes_once_and_under_no_claim() {
    model_of_three(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let value = Arc::new(Retirable::new(Counted(drops.clone())));
        let claimer = thread::spawn({
            let value = value.clone();
            move || {
                if let Some(claim) = value.claim() {
                    assert_eq!(claim.0.load(Relaxed), 0, "dropped under a claim");
                    drop(claim.again());
                    assert_eq!(claim.0.load(Relaxed), 0, "dropped under a claim");
                }
            }
        });
        let retirer = thread::spawn({
            let value = value.clone();
            move || usize::from(value.retire().is_some())
        });
        let retired = usize::from(value.retire().is_some());
        claimer.join().unwrap();
        assert_eq!(retired + retirer.join().unwrap(), 1, "one retires it");
        assert_eq!(drops.load(Relaxed), 1);
        assert!(value.claim().is_none());
        assert_eq!(value.claims(), 0);
    });
}

/// An operation's claim, suspended by the thread that hands it over and resumed by the driver.
#[test]
fn an_operations_claim_keeps_the_value() {
    model(|| {
        let drops = Arc::new(AtomicUsize::new(0));
        let value = Arc::new(Retirable::new(Counted(drops.clone())));
        value.claim().unwrap().suspend();
        let driver = thread::spawn({
            let value = value.clone();
            move || {
                // SAFETY: one claim was suspended, and is resumed once.
                let claim = unsafe { value.resume() };
                assert_eq!(claim.0.load(Relaxed), 0, "dropped under a claim");
            }
        });
        drop(value.retire());
        driver.join().unwrap();
        assert_eq!(drops.load(Relaxed), 1);
    });
}

/// Whoever finds the value retired, or is refused it, sees what was done before.
#[test]
fn a_value_that_is_found_retired_brings_what_its_retirer_did() {
    let finds: [fn(&Retirable<()>) -> bool; 3] =
        [Retirable::is_retired, |value| value.claim().is_none(), |value| value.retire().is_none()];
    for finds in finds {
        model(move || {
            let shared = Arc::new((Retirable::new(()), UnsafeCell::new(0)));
            // This one finds: loom reorders an access with the last one before it only, so that of a
            // load in the first thread it would forget over those that retiring begins with.
            let finder = thread::spawn({
                let shared = shared.clone();
                move || {
                    let (value, memory) = &*shared;
                    if finds(value) {
                        // SAFETY: loom sees to it that nobody else has it.
                        assert_eq!(memory.with(|memory| unsafe { *memory }), 1);
                    }
                }
            });
            let (value, memory) = &*shared;
            // SAFETY: as above.
            memory.with_mut(|memory| unsafe { *memory = 1 });
            drop(value.retire());
            finder.join().unwrap();
        });
    }
}

/// Waits for what another thread says.
fn wait(flag: &AtomicBool) {
    while !flag.load(Relaxed) {
        thread::yield_now();
    }
}

/// A slot, the memory it guards, and whether the kernel has it.
struct Operation {
    slot: Slot,
    memory: UnsafeCell<usize>,
    in_kernel: AtomicBool,
}

impl Operation {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            slot: Slot::new(),
            memory: UnsafeCell::new(0),
            in_kernel: AtomicBool::new(false),
        })
    }

    fn write(&self, value: usize) {
        // SAFETY: loom sees to it that nobody else has it.
        self.memory.with_mut(|memory| unsafe { *memory = value });
    }

    fn read(&self) -> usize {
        // SAFETY: as above.
        self.memory.with(|memory| unsafe { *memory })
    }
}

#[test]
fn memory_passes_from_call_to_completion_to_the_next_call() {
    model(|| {
        let operation = Operation::new();
        // Before anything is written, for that orders what came before it.
        let driver = thread::spawn({
            let operation = operation.clone();
            move || {
                wait(&operation.in_kernel);
                operation.slot.reclaim();
                assert_eq!(operation.read(), 1);
                operation.write(2);
                operation.slot.finish();
            }
        });
        operation.slot.begin().unwrap();
        operation.write(1);
        let ticket = operation.slot.submit();
        operation.in_kernel.store(true, Relaxed);
        operation.slot.returned(ticket);
        match operation.slot.begin() {
            Ok(()) => assert_eq!(operation.read(), 2),
            Err(refusal) => assert_eq!(refusal, Refusal::Busy),
        }
        driver.join().unwrap();
    });
}

/// Whoever reads a flag sees what was done before it was set.
#[test]
fn a_flag_that_is_read_brings_what_its_setter_did() {
    for set in [|slot: &Slot| slot.cancel(), Slot::retire] {
        model(move || {
            let operation = Operation::new();
            operation.slot.begin().unwrap();
            let setter = thread::spawn({
                let operation = operation.clone();
                move || {
                    operation.write(1);
                    set(&operation.slot);
                }
            });
            let flags = operation.slot.flags();
            if flags.cancelled || flags.retired {
                assert_eq!(operation.read(), 1);
            }
            setter.join().unwrap();
        });
    }
}

#[test]
fn one_passes_a_cancellation_on_and_finds_it_in_the_kernel() {
    model(|| {
        let operation = Operation::new();
        operation.slot.begin().unwrap();
        let canceller = thread::spawn({
            let operation = operation.clone();
            move || {
                let passes = operation.slot.cancel();
                assert!(!passes || operation.in_kernel.load(Relaxed), "the kernel has it not yet");
                passes
            }
        });
        let ticket = operation.slot.submit();
        operation.in_kernel.store(true, Relaxed);
        let passes = operation.slot.returned(ticket) == AfterCall::Cancel;
        assert!(passes ^ canceller.join().unwrap(), "one of them");
        operation.slot.reclaim();
        assert!(operation.slot.finish().cancelled);
    });
}

#[test]
fn a_retirement_refuses_or_cancels() {
    model(|| {
        let operation = Operation::new();
        let retirer = thread::spawn({
            let operation = operation.clone();
            move || operation.slot.retire()
        });
        let passes = match operation.slot.begin() {
            Ok(()) => {
                let ticket = operation.slot.submit();
                operation.slot.returned(ticket) == AfterCall::Cancel
            }
            Err(refusal) => {
                assert_eq!(refusal, Refusal::Retired);
                assert!(!retirer.join().unwrap());
                return;
            }
        };
        assert!(passes ^ retirer.join().unwrap(), "one of them");
        operation.slot.reclaim();
        assert!(operation.slot.finish().retired);
        assert_eq!(operation.slot.begin(), Err(Refusal::Retired));
    });
}

/// The driver hands the operation over again before the first call has returned.
#[test]
fn a_cancellation_reaches_an_operation_that_overtakes_its_call() {
    model_of_three(|| {
        let operation = Operation::new();
        operation.slot.begin().unwrap();
        let driver = thread::spawn({
            let operation = operation.clone();
            move || {
                wait(&operation.in_kernel);
                operation.slot.reclaim();
                if operation.slot.flags().cancelled {
                    operation.slot.finish();
                    return true;
                }
                let ticket = operation.slot.submit();
                operation.slot.returned(ticket) == AfterCall::Cancel
            }
        });
        let canceller = thread::spawn({
            let operation = operation.clone();
            move || operation.slot.cancel()
        });
        let ticket = operation.slot.submit();
        operation.in_kernel.store(true, Relaxed);
        // If it says so, the first call's operation was meant, which may be over.
        operation.slot.returned(ticket);
        let cancelled = canceller.join().unwrap();
        let driven = driver.join().unwrap();
        // An idle slot has nothing to cancel.
        let flagged = operation.slot.flags().cancelled;
        assert!(!flagged || cancelled || driven, "nobody passes it on");
    });
}

/// A probe of both directions runs in one slot, and is cancelled in the other.
#[test]
fn a_cancellation_of_the_linked_slot_reaches_the_probe() {
    model(|| {
        let operation = Operation::new();
        operation.slot.begin().unwrap();
        let canceller = thread::spawn({
            let operation = operation.clone();
            move || {
                operation.slot.cancel();
                operation.in_kernel.load(Relaxed)
            }
        });
        operation.in_kernel.store(true, Relaxed);
        let seen = operation.slot.announce().cancelled;
        assert!(canceller.join().unwrap() || seen, "nobody passes it on");
    });
}

/// A port of packets without contents.
#[derive(Default)]
struct Port {
    packets: Mutex<usize>,
    queued: Condvar,
    posts: AtomicUsize,
}

impl Port {
    fn post(&self) {
        self.posts.fetch_add(1, Relaxed);
        *self.packets.lock().unwrap() += 1;
        self.queued.notify_one();
    }

    fn dequeue(&self, wait: bool) {
        let mut packets = self.packets.lock().unwrap();
        while wait && *packets == 0 {
            packets = self.queued.wait(packets).unwrap();
        }
        *packets = 0;
    }
}

/// What is published is seen by a turn after, however many publish, and no more than one packet a
/// wait is posted.
fn wakes(wakers: usize) {
    model_of_three(move || {
        let shared = Arc::new((Wakeup::new(), Port::default(), AtomicUsize::new(0)));
        let wakers: Vec<_> = (0..wakers)
            .map(|_| {
                let shared = shared.clone();
                thread::spawn(move || {
                    shared.2.fetch_add(1, Relaxed);
                    if shared.0.notify() {
                        shared.1.post();
                    }
                })
            })
            .collect();
        let (wakeup, port, published) = &*shared;
        let mut waits = 0;
        while published.load(Relaxed) < wakers.len() {
            let sleeps = wakeup.prepare();
            waits += usize::from(sleeps);
            port.dequeue(sleeps);
            wakeup.collect();
        }
        for waker in wakers {
            waker.join().unwrap();
        }
        assert!(port.posts.load(Relaxed) <= waits, "more packets than waits");
    });
}

#[test]
fn no_wake_is_lost() {
    wakes(1);
}

#[test]
fn no_wake_of_two_is_lost() {
    wakes(2);
}

/// The packet cannot be queued the first time; the next wake sees to it.
#[test]
fn a_wake_that_failed_is_made_up_for_by_the_next() {
    model(|| {
        let shared = Arc::new((Wakeup::new(), Port::default(), AtomicUsize::new(0)));
        let waker = thread::spawn({
            let shared = shared.clone();
            move || {
                let (wakeup, port, published) = &*shared;
                published.fetch_add(1, Relaxed);
                if wakeup.notify() {
                    wakeup.failed();
                }
                published.fetch_add(1, Relaxed);
                if wakeup.notify() {
                    port.post();
                }
            }
        });
        let (wakeup, port, published) = &*shared;
        while published.load(Relaxed) < 2 {
            let sleeps = wakeup.prepare();
            port.dequeue(sleeps);
            wakeup.collect();
        }
        waker.join().unwrap();
    });
}
