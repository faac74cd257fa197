//! Waking and stopping.

use std::{sync::atomic::AtomicUsize, thread};

use windows_sys::Win32::System::Threading::{GetCurrentThread, QueueUserAPC, SleepEx};

use super::*;

fn turn(bench: &Bench, timeout: Duration) -> Outcome {
    bench.port.turn(Some(timeout)).unwrap()
}

#[test]
fn wake_before_a_turn_ends_it() {
    let bench = Bench::new();
    bench.port.wake();
    assert_eq!(bench.port.turn(None).unwrap(), Outcome::Delivered(0));
}

#[test]
fn wake_from_another_thread_ends_the_turn() {
    let bench = Bench::new();
    for _ in 0..200 {
        thread::scope(|scope| {
            scope.spawn(|| bench.port.wake());
            assert_eq!(bench.port.turn(None).unwrap(), Outcome::Delivered(0));
        });
    }
}

#[test]
fn burst_of_wakes_ends_one_turn() {
    let bench = Bench::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1_000).for_each(|_| bench.port.wake()));
        }
    });
    assert_eq!(bench.port.turn(None).unwrap(), Outcome::Delivered(0));
    let begun = Instant::now();
    assert_eq!(turn(&bench, SHORT), Outcome::Delivered(0));
    assert!(begun.elapsed() >= SHORT, "woken twice");
}

/// The packet of a wake that was seen without it is no wake.
#[test]
fn late_packet_of_an_earlier_wake_ends_nothing() {
    let bench = Bench::new();
    bench.port.shared.kernel.post(kernel::WAKE_KEY).unwrap();
    let begun = Instant::now();
    assert_eq!(turn(&bench, SHORT), Outcome::Delivered(0));
    assert!(begun.elapsed() >= SHORT);
}

#[test]
fn turn_waits_as_long_as_told() {
    let bench = Bench::new();
    for timeout in [Duration::ZERO, Duration::from_micros(300), SHORT] {
        let begun = Instant::now();
        assert_eq!(turn(&bench, timeout), Outcome::Delivered(0));
        assert!(begun.elapsed() >= timeout);
    }
}

/// Whoever queued it to the thread that drives: it runs when that thread says that it may.
#[test]
fn no_queued_procedure_runs_in_the_wait() {
    static RUNS: AtomicUsize = AtomicUsize::new(0);

    unsafe extern "system" fn run(_: usize) {
        RUNS.fetch_add(1, Ordering::Relaxed);
    }

    let bench = Bench::new();
    // SAFETY: the procedure uses nothing, and is there as long as the program.
    let queued = unsafe { QueueUserAPC(Some(run), GetCurrentThread(), 0) };
    assert_ne!(queued, 0);
    assert_eq!(turn(&bench, SHORT), Outcome::Delivered(0));
    assert_eq!(RUNS.load(Ordering::Relaxed), 0, "the wait is alertable");
    // SAFETY: it takes no pointer.
    unsafe { SleepEx(0, 1) };
    assert_eq!(RUNS.load(Ordering::Relaxed), 1, "none was queued");
}

#[test]
fn stop_ends_the_turn_and_all_that_follow() {
    let bench = Bench::new();
    thread::scope(|scope| {
        let driver = scope.spawn(|| bench.port.turn(None).unwrap());
        bench.port.stop();
        assert_eq!(driver.join().unwrap(), Outcome::Stopped);
    });
    assert_eq!(bench.port.turn(None).unwrap(), Outcome::Stopped);
    bench.port.stop();
    assert_eq!(turn(&bench, Duration::ZERO), Outcome::Stopped);
}

#[test]
fn stop_loses_no_completion_of_its_batch() {
    let bench = Bench::new();
    let (near, _far) = bench.pair();
    near.entry.receive(None).unwrap();
    // The packets of both are queued before the turn, the stop first.
    bench.port.shared.kernel.post(SHUTDOWN_KEY).unwrap();
    near.entry.cancel(Direction::Inward);
    assert_eq!(turn(&bench, LONG), Outcome::Stopped);
    assert!(matches!(near.events.try_recv(), Ok(Event::Received(Err(_)))));
}

/// A completion without a packet reaches a driver that waits already.
#[test]
fn deferred_completion_ends_the_wait() {
    let bench = Bench::new();
    let unconnected = bench.adopt(tcp());
    for _ in 0..20 {
        thread::scope(|scope| {
            let driver = scope.spawn(|| turn(&bench, LONG));
            while !bench.port.shared.wakeup.is_waiting() {
                thread::yield_now();
            }
            unconnected.entry.receive(None).unwrap();
            assert_eq!(driver.join().unwrap(), Outcome::Delivered(1));
        });
    }
}
