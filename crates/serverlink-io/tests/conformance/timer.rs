//! Timers.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use serverlink_io::Event;

use crate::rig::{Call, Inbox, LIMIT, Rig};

pub(crate) fn timers_are_ordered_and_never_early(backend: &str) {
    let rig = Rig::new(backend);
    let start = Instant::now() + Duration::from_millis(5);
    // (deadline in tenths of milliseconds, tag): with equals, set in scrambled order.
    let mut expected: Vec<(u64, u64)> =
        (0..200_u64).map(|tag| (tag * 48_271 % 200 / 2 * 3, tag)).collect();
    let fired = Arc::new(Mutex::new(Vec::new()));
    for (tenths, tag) in &expected {
        let deadline = start + Duration::from_micros(tenths * 100);
        let fired = fired.clone();
        let note = move |event: Event| {
            assert!(Instant::now() >= deadline, "early");
            match event {
                Event::Timer { tag, .. } => fired.lock().expect("no panic").push(tag),
                other => panic!("a timer expected, not {other:?}"),
            }
        };
        rig.port.set_timer(deadline, Arc::new(Call(note)), *tag);
    }
    rig.until("all timers", || {
        (fired.lock().expect("no panic").len() >= expected.len()).then_some(())
    });
    // Stable, as equals are to fire in the order they were set.
    expected.sort_by_key(|(tenths, _)| *tenths);
    let expected: Vec<u64> = expected.into_iter().map(|(_, tag)| tag).collect();
    assert_eq!(*fired.lock().expect("no panic"), expected);
}

pub(crate) fn cancelled_timers_never_fire(backend: &str) {
    let rig = Rig::new(backend);
    let inbox = Inbox::new();
    let now = Instant::now();
    let ids: Vec<_> = (0..100_u64)
        .map(|tag| rig.port.set_timer(now + Duration::from_millis(1 + tag % 7), inbox.clone(), tag))
        .collect();
    for id in ids.iter().step_by(2) {
        assert!(rig.port.cancel_timer(*id));
        assert!(!rig.port.cancel_timer(*id));
    }
    for _ in ids.iter().skip(1).step_by(2) {
        match rig.next(&inbox) {
            Event::Timer { id, tag } => {
                assert_eq!(tag % 2, 1, "it was cancelled");
                assert_eq!(ids[tag as usize], id);
                assert!(!rig.port.cancel_timer(id), "it has expired");
            }
            other => panic!("a timer expected, not {other:?}"),
        }
    }
    rig.settle();
    assert!(inbox.is_empty());

    // Both are due, and the first cancels the second.
    let second = rig.port.set_timer(now, inbox.clone(), 2);
    let (port, done) = (rig.port.clone(), Arc::new(AtomicBool::new(false)));
    let cancelled = done.clone();
    rig.port.set_timer(
        now - Duration::from_nanos(1),
        Arc::new(Call(move |_| cancelled.store(port.cancel_timer(second), Ordering::Relaxed))),
        1,
    );
    rig.settle();
    assert!(done.load(Ordering::Relaxed));
    assert!(inbox.is_empty());
}

pub(crate) fn a_nearer_timer_of_another_thread_shortens_the_wait(backend: &str) {
    let rig = Rig::new(backend);
    let (late, soon) = (Inbox::new(), Inbox::new());
    rig.port.set_timer(Instant::now() + 10 * LIMIT, late.clone(), 0);
    let _driver = rig.spawn();
    for tag in 0..20 {
        rig.port.set_timer(Instant::now() + Duration::from_millis(1), soon.clone(), tag);
        assert!(matches!(soon.wait(), Event::Timer { .. }));
    }
    assert!(late.is_empty());
}

/// A timer that sets itself anew, due at once, beside input and packets.
pub(crate) fn timers_due_at_once_starve_nobody(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    let count = Arc::new(AtomicUsize::new(0));
    // In the past, and so before all others, for ever.
    again(&rig.port, Instant::now(), &count);
    let (go, gone) = mpsc::channel::<()>();
    let writer = thread::spawn(move || {
        for () in gone {
            std::io::Write::write_all(&mut far, b"x").expect("it is connected");
        }
    });
    for tag in 0..20 {
        handle.receive(None).expect("nothing is pending");
        go.send(()).expect("the writer lives");
        assert!(matches!(rig.next(&inbox), Event::Received(Ok(_))));
        rig.port.post(inbox.clone(), tag);
        assert!(matches!(rig.next(&inbox), Event::Posted { .. }));
    }
    assert!(count.load(Ordering::Relaxed) > 20);
    drop(go);
    writer.join().expect("no panic");
    rig.port.stop();
}

fn again(port: &serverlink_io::Port, deadline: Instant, count: &Arc<AtomicUsize>) {
    let (next, counter) = (port.clone(), count.clone());
    let handler = Call(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        again(&next, deadline, &counter);
    });
    port.set_timer(deadline, Arc::new(handler), 0);
}

pub(crate) fn timers_are_as_late_as_the_grain_says(backend: &str) {
    // The rest of the machine may make any one of them late, but not all.
    const OTHERS: Duration = Duration::from_micros(500);
    let rig = Rig::new(backend);
    let least = (0..50)
        .map(|_| {
            let inbox = Inbox::new();
            let deadline = Instant::now() + Duration::from_micros(100);
            rig.port.set_timer(deadline, inbox.clone(), 0);
            rig.next(&inbox);
            deadline.elapsed()
        })
        .min();
    let grain = rig.port.timer_grain();
    assert!(least <= Some(grain + OTHERS), "at least {least:?} late, but the grain is {grain:?}");
}
