use std::{
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use super::*;

/// Counts its drops.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn counted() -> (Retirable<Counted>, Arc<AtomicUsize>) {
    let drops = Arc::new(AtomicUsize::new(0));
    (Retirable::new(Counted(Arc::clone(&drops))), drops)
}

#[test]
fn unclaimed_value_goes_when_retired() {
    let (value, drops) = counted();
    drop(value.retire());
    assert_eq!(drops.load(Ordering::SeqCst), 1);
    assert!(value.is_retired());
    assert!(value.retire().is_none());
    assert!(value.claim().is_none());
    drop(value);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[test]
fn claimed_value_goes_with_the_last_claim() {
    let (value, drops) = counted();
    let claim = value.claim().unwrap();
    claim.again().suspend();
    drop(value.retire());
    assert_eq!(value.claims(), 2);
    drop(claim);
    assert_eq!(drops.load(Ordering::SeqCst), 0, "the kernel has an operation still");
    // SAFETY: one claim was suspended, and is resumed once.
    drop(unsafe { value.resume() });
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[test]
fn value_that_is_never_retired_goes_with_its_holder() {
    let (value, drops) = counted();
    drop(value.claim());
    assert_eq!(drops.load(Ordering::SeqCst), 0);
    drop(value);
    assert_eq!(drops.load(Ordering::SeqCst), 1);
}

#[test]
fn claims_race_retirement() {
    for _ in 0..if cfg!(miri) { 5 } else { 100 } {
        let (value, drops) = counted();
        let start = Barrier::new(3);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    while let Some(claim) = value.claim() {
                        assert_eq!(claim.0.load(Ordering::SeqCst), 0, "dropped under a claim");
                    }
                });
            }
            start.wait();
            drop(value.retire());
        });
        assert_eq!((drops.load(Ordering::SeqCst), value.claims()), (1, 0));
    }
}

#[test]
fn one_operation_at_a_time() {
    let slot = Slot::new();
    assert_eq!(slot.begin(), Ok(()));
    assert_eq!(slot.begin(), Err(Refusal::Busy));
    let ticket = slot.submit();
    assert_eq!(slot.begin(), Err(Refusal::Busy));
    assert_eq!(slot.returned(ticket), AfterCall::Leave);
    assert_eq!(slot.begin(), Err(Refusal::Busy));
    slot.reclaim();
    assert!(slot.is_busy());
    assert_eq!(slot.finish(), Flags { cancelled: false, retired: false });
    assert!(!slot.is_busy());
    assert_eq!(slot.begin(), Ok(()));
}

#[test]
fn cancellation_is_the_cancellers_once_the_kernel_has_it() {
    let slot = Slot::new();
    assert!(!slot.cancel(), "nothing is pending");
    slot.begin().unwrap();
    let ticket = slot.submit();
    slot.returned(ticket);
    assert!(slot.cancel());
    slot.reclaim();
    assert!(slot.finish().cancelled);
    slot.begin().unwrap();
    assert!(!slot.flags().cancelled, "the next operation was not asked to end");
}

#[test]
fn cancellation_during_the_call_is_the_issuers() {
    for early in [true, false] {
        let slot = Slot::new();
        slot.begin().unwrap();
        if early {
            assert!(!slot.cancel());
        }
        let ticket = slot.submit();
        assert!(!slot.cancel());
        assert_eq!(slot.returned(ticket), AfterCall::Cancel);
    }
}

#[test]
fn completion_overtakes_the_calls_return() {
    let slot = Slot::new();
    slot.begin().unwrap();
    let first = slot.submit();
    slot.reclaim();
    let second = slot.submit();
    assert!(!slot.cancel());
    assert_eq!(slot.returned(first), AfterCall::Leave, "that call is over");
    assert_eq!(slot.returned(second), AfterCall::Cancel);
    slot.reclaim();
    slot.finish();
    slot.begin().unwrap();
    assert_eq!(slot.returned(second), AfterCall::Leave);
}

#[test]
fn retirement_refuses_what_comes_and_cancels_what_is() {
    let idle = Slot::new();
    assert!(!idle.retire());
    assert_eq!(idle.begin(), Err(Refusal::Retired));

    let pending = Slot::new();
    pending.begin().unwrap();
    let ticket = pending.submit();
    pending.returned(ticket);
    assert!(pending.retire());
    assert!(pending.flags().retired);
    pending.reclaim();
    assert!(pending.finish().retired);
    assert_eq!(pending.begin(), Err(Refusal::Retired));

    let calling = Slot::new();
    calling.begin().unwrap();
    let ticket = calling.submit();
    assert!(!calling.retire());
    assert_eq!(calling.returned(ticket), AfterCall::Cancel);
    assert!(calling.announce().retired);
}

/// The issuer and the canceller meet in every order, and one of them makes the call: never none,
/// and never before the kernel has the operation.
#[test]
fn exactly_one_passes_a_cancellation_on() {
    for _ in 0..if cfg!(miri) { 20 } else { 200 } {
        let slot = Slot::new();
        slot.begin().unwrap();
        let (issuer, canceller) = thread::scope(|scope| {
            let canceller = scope.spawn(|| slot.cancel());
            let ticket = slot.submit();
            (slot.returned(ticket) == AfterCall::Cancel, canceller.join().unwrap())
        });
        assert!(issuer ^ canceller);
    }
}

#[test]
fn a_burst_posts_once() {
    let wakeup = Wakeup::new();
    assert!(wakeup.prepare());
    assert!(wakeup.notify());
    for _ in 0..1_000 {
        assert!(!wakeup.notify());
    }
    assert!(wakeup.collect());
    assert!(!wakeup.collect(), "taken once");
}

#[test]
fn a_wake_without_a_waiter_keeps_the_next_wait_short() {
    let wakeup = Wakeup::new();
    assert!(!wakeup.notify(), "nobody waits: nothing to post");
    assert!(!wakeup.prepare());
    assert!(wakeup.collect());
    assert!(wakeup.prepare());
}

#[test]
fn a_failed_post_is_tried_again() {
    let wakeup = Wakeup::new();
    assert!(wakeup.prepare());
    assert!(wakeup.notify());
    wakeup.failed();
    assert!(wakeup.notify());
}

/// Whatever is published before `notify` is found by a look after `collect`.
#[test]
fn no_wake_is_lost() {
    let rounds = if cfg!(miri) { 50 } else { 50_000 };
    let wakeup = Wakeup::new();
    let published = AtomicUsize::new(0);
    let posts = AtomicUsize::new(0);
    thread::scope(|scope| {
        let waker = scope.spawn(|| {
            for _ in 0..rounds {
                published.fetch_add(1, Ordering::Relaxed);
                if wakeup.notify() {
                    posts.fetch_add(1, Ordering::Release);
                }
            }
        });
        let mut seen = 0;
        while seen < rounds {
            if wakeup.prepare() {
                // Asleep: only a packet ends this.
                while posts.load(Ordering::Acquire) == 0 {
                    thread::yield_now();
                }
                posts.fetch_sub(1, Ordering::Relaxed);
            }
            assert!(wakeup.collect());
            seen = published.load(Ordering::Relaxed);
        }
        // Under Wine (8.0) a process may crash that ends while a thread of it does.
        waker.join().expect("no panic");
    });
}
