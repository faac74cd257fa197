//! What is rare, made to happen.

use std::{
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{
    super::{Called, calls::Packet, operations::End},
    bench::Bench,
};
use crate::{
    Direction, Event, Handler, Interest, Sending,
    errors::is_cancelled,
    lock::lock,
    sys::{
        Backend as _, Entry as _, Outcome,
        iocp::{
            DRAIN,
            asking::BATCH,
            entry::Entry,
            errors,
            inner::ATTEMPTS,
            kernel::{Kernel, SHUTDOWN_KEY, System as _, WAKE_KEY},
            shared::POSTS,
        },
    },
};

/// `CancelIoEx` says that there is nothing, for the packet is queued already.
#[test]
fn a_cancellation_that_finds_nothing_leaves_the_packet_its_say() {
    let bench = Bench::new();
    let (entry, events) = bench.entry();
    entry.receive(None).unwrap();
    assert!(bench.model.finish(End::Success(3)));
    entry.cancel(Direction::Inward);
    bench.turn();
    assert!(matches!(events.one(), Event::Received(Ok(bytes)) if bytes.len() == 3));
    bench.turn();
    assert!(events.take().is_empty());
    drop(entry);
    bench.end();
}

/// The system reads members of an `OVERLAPPED`, too, and wants them zero.
#[test]
fn an_operation_is_handed_over_cleared() {
    for end in [End::Success(3), End::Failure(10_054, 0)] {
        let bench = Bench::new();
        let (entry, _events) = bench.entry();
        for _ in 0..2 {
            entry.receive(None).unwrap();
            assert!(bench.model.finish(end));
            bench.turn();
            assert_eq!(bench.model.violations(), Vec::<String>::new());
        }
        drop(entry);
        bench.end();
    }
}

/// Before the kernel has the operation, and after: at each place within the call.
#[test]
fn a_cancellation_within_the_call_is_passed_on() {
    for place in 0..2 {
        let bench = Bench::new();
        let (entry, events) = bench.entry();
        let at = bench.at(place, {
            let entry = Arc::downgrade(&entry);
            move || entry.upgrade().unwrap().cancel(Direction::Inward)
        });
        entry.receive(None).unwrap();
        assert!(at.happened());
        bench.turn();
        let Event::Received(Err(error)) = events.one() else { panic!("not cancelled") };
        assert!(is_cancelled(&error));
        drop(entry);
        bench.end();
    }
}

/// It runs in one direction and is cancelled in the other: before it is begun in the kernel, just
/// after, and when its call is over.
#[test]
fn a_probe_of_both_directions_is_cancelled_in_either() {
    for direction in [Direction::Inward, Direction::Outward] {
        for place in 0..3 {
            let bench = Bench::new();
            let (entry, events) = bench.entry();
            let at = bench.at(place, {
                let entry = Arc::downgrade(&entry);
                move || entry.upgrade().unwrap().cancel(direction)
            });
            entry.probe(Interest { readable: true, writable: true }).unwrap();
            if !at.happened() {
                entry.cancel(direction);
            }
            bench.turn();
            let Event::Ready(Err(error)) = events.one() else { panic!("not cancelled") };
            assert!(is_cancelled(&error), "{direction:?}, {place}: {error}");
            entry.receive(None).unwrap();
            entry.probe(Interest { readable: false, writable: true }).unwrap();
            drop((at, entry));
            bench.turn();
            bench.end();
        }
    }
}

#[test]
fn a_retirement_within_the_call_is_passed_on() {
    for place in 0..2 {
        let bench = Bench::new();
        let (entry, events) = bench.entry();
        let at = bench.at(place, {
            let entry = Arc::downgrade(&entry);
            move || entry.upgrade().unwrap().retire()
        });
        entry.receive(None).unwrap();
        assert!(at.happened());
        assert_eq!(entry.receive(None).unwrap_err().kind(), ErrorKind::NotConnected);
        bench.turn();
        assert!(events.take().is_empty());
        assert!(bench.port.shared.is_empty(), "it is not freed");
        drop(entry);
        bench.end();
    }
}

/// Not for the kernel, which heeds the cancellation when it likes, nor for a turn.
#[test]
fn a_retirement_waits_for_nothing() {
    let bench = Bench::new();
    let (entry, events) = bench.entry();
    entry.receive(None).unwrap();
    bench.model.set_schedule(Some(Arc::new(Deaf)));
    let begun = bench.port.shared.kernel.now();
    entry.retire();
    assert!(bench.has(&entry, Direction::Inward), "it is over already");
    assert_eq!(bench.port.shared.kernel.now(), begun);
    // The packet alone is what is left, and ends it.
    assert!(bench.model.finish(End::Failure(995, 0)));
    assert_eq!(bench.turn(), Outcome::Delivered(0));
    assert!(bench.port.shared.is_empty(), "it is not freed");
    assert!(events.take().is_empty());
    drop(entry);
    bench.end();
}

/// The packet is dequeued, its handler called, and the next operation begun, all before the call
/// returns that handed the first over.
#[test]
fn a_completion_overtakes_the_return_of_its_call() {
    let bench = Arc::new(Bench::new());
    let (entry, events) = bench.entry();
    let at = bench.at(1, {
        let (bench, entry) = (Arc::downgrade(&bench), Arc::downgrade(&entry));
        move || {
            let (bench, entry) = (bench.upgrade().unwrap(), entry.upgrade().unwrap());
            assert!(bench.model.finish(End::Success(2)));
            assert_eq!(bench.turn(), Outcome::Delivered(1));
            entry.receive(None).unwrap();
            entry.cancel(Direction::Inward);
        }
    });
    entry.receive(None).unwrap();
    assert!(at.happened());
    assert!(matches!(events.one(), Event::Received(Ok(bytes)) if bytes.len() == 2));
    bench.turn();
    let Event::Received(Err(error)) = events.one() else { panic!("not cancelled") };
    assert!(is_cancelled(&error));
    drop((at, entry));
    bench.model.set_schedule(None);
    Arc::into_inner(bench).unwrap().end();
}

#[test]
fn a_send_goes_on_until_all_is_sent() {
    let bench = Bench::new();
    let (entry, events) = bench.entry();
    bench.model.script([Called::Done(1), Called::Pending, Called::Pending]);
    let buffers = vec![Bytes::from_static(b"ab"), Bytes::new(), Bytes::from_static(b"cdef")];
    assert!(matches!(entry.send(buffers), Sending::Pending));
    assert!(bench.model.finish(End::Success(3)));
    assert_eq!(bench.turn(), Outcome::Delivered(0));
    assert!(bench.model.finish(End::Success(2)));
    assert_eq!(bench.turn(), Outcome::Delivered(1));
    assert!(matches!(events.one(), Event::Sent { sent: 6, result: Ok(()), .. }));
    let handle = entry.0.resources.claim().unwrap().handle();
    assert_eq!(bench.model.sent(handle), b"abcdef");
    drop(entry);
    bench.end();
}

#[test]
fn a_send_that_fails_tells_how_much_went() {
    let bench = Bench::new();
    let (entry, events) = bench.entry();
    bench.model.script([Called::Pending]);
    assert!(matches!(entry.send(vec![Bytes::from_static(b"abcdef")]), Sending::Pending));
    assert!(bench.model.finish(End::Failure(10_054, 4)));
    assert_eq!(bench.turn(), Outcome::Delivered(1));
    let Event::Sent { sent: 4, result: Err(error), .. } = events.one() else { panic!() };
    assert_eq!(error.raw_os_error(), Some(10_054));
    drop(entry);
    bench.end();
}

#[test]
fn a_send_that_gets_nowhere_ends() {
    let bench = Bench::new();
    let (entry, _events) = bench.entry();
    bench.model.script(vec![Called::Done(0); 1 + usize::from(ATTEMPTS)]);
    let Sending::Done { sent: 0, result: Err(error), .. } =
        entry.send(vec![Bytes::from_static(b"x")])
    else {
        panic!("it goes on")
    };
    assert_eq!(error.raw_os_error(), Some(errors::NO_BUFFERS.cast_signed()));
    drop(entry);
    bench.end();
}

/// The kernel did not find it, and sent a part.
#[test]
fn a_cancelled_send_goes_no_further() {
    let bench = Bench::new();
    let (entry, events) = bench.entry();
    bench.model.script([Called::Pending]);
    assert!(matches!(entry.send(vec![Bytes::from_static(b"abcdef")]), Sending::Pending));
    assert!(bench.model.finish(End::Success(2)));
    entry.cancel(Direction::Outward);
    assert_eq!(bench.turn(), Outcome::Delivered(1));
    let Event::Sent { sent: 2, result: Err(error), .. } = events.one() else {
        panic!("it goes on")
    };
    assert!(is_cancelled(&error));
    drop(entry);
    bench.end();
}

/// The kernel did not find it, for a connection had come.
#[test]
fn a_cancelled_accept_closes_its_connection() {
    let bench = Bench::new();
    let (entry, events) = bench.entry();
    entry.accept().unwrap();
    assert!(bench.model.finish(End::Success(0)));
    entry.cancel(Direction::Inward);
    bench.turn();
    let Event::Accepted(Err(error)) = events.one() else { panic!("it was given away") };
    assert!(is_cancelled(&error));
    drop(entry);
    // The model knows of no accepted socket that is open.
    bench.end();
}

#[test]
fn a_stop_among_a_batch_loses_none_of_it() {
    let bench = Bench::new();
    let (entry, events) = bench.entry();
    entry.receive(None).unwrap();
    bench.port.shared.kernel.post(SHUTDOWN_KEY).unwrap();
    assert!(bench.model.finish(End::Success(1)));
    assert_eq!(bench.turn(), Outcome::Stopped);
    assert!(matches!(events.one(), Event::Received(Ok(_))));
    drop(entry);
    bench.end();
}

#[test]
fn a_stop_that_cannot_be_queued_stops_all_the_same() {
    let bench = Bench::new();
    bench.model.fail_posts(10 * POSTS, usize::MAX);
    bench.port.stop();
    assert_eq!(bench.turn(), Outcome::Stopped);
    assert_eq!(bench.port.turn(None).unwrap(), Outcome::Stopped);
    bench.end();
}

#[test]
fn a_packet_that_cannot_be_queued_is_tried_again() {
    let bench = Bench::new();
    assert!(bench.port.shared.wakeup.prepare());
    bench.model.fail_posts(POSTS - 1, usize::MAX);
    bench.port.wake();
    assert_eq!(bench.model.queued(), 1);
    bench.end();
}

/// A wake that was given up does not keep the next from being posted.
#[test]
fn a_wake_that_could_not_be_posted_leaves_it_to_the_next() {
    let bench = Bench::new();
    assert!(bench.port.shared.wakeup.prepare());
    bench.model.fail_posts(POSTS, usize::MAX);
    bench.port.wake();
    assert_eq!(bench.model.queued(), 0);
    bench.port.wake();
    assert_eq!(bench.model.queued(), 1);
    bench.end();
}

/// It ends within the call that another thread makes while the driver sleeps, and is told at once.
#[test]
fn a_completion_without_a_packet_ends_the_wait() {
    let bench = Bench::new();
    let (entry, events) = bench.entry();
    bench.model.script([Called::Done(3)]);
    let asleep = bench.at(0, {
        let entry = Arc::downgrade(&entry);
        move || entry.upgrade().unwrap().receive(None).unwrap()
    });
    assert_eq!(bench.port.turn(None).unwrap(), Outcome::Delivered(1));
    assert!(asleep.happened());
    assert!(matches!(events.one(), Event::Received(Ok(bytes)) if bytes.len() == 3));
    drop(entry);
    bench.end();
}

#[test]
fn a_burst_of_wakes_is_one_packet() {
    let bench = Bench::new();
    let asleep = bench.at(0, {
        let shared = Arc::downgrade(&bench.port.shared);
        move || {
            let shared = shared.upgrade().unwrap();
            (0..1_000).for_each(|_| shared.wake());
        }
    });
    assert_eq!(bench.port.turn(None).unwrap(), Outcome::Delivered(0));
    assert!(asleep.happened());
    assert_eq!(bench.model.queued(), 0);
    bench.end();
}

#[test]
fn a_late_packet_of_an_earlier_wake_ends_no_turn() {
    let bench = Bench::new();
    bench.port.shared.kernel.post(WAKE_KEY).unwrap();
    let begun = bench.port.shared.kernel.now();
    let timeout = Duration::from_millis(30);
    assert_eq!(bench.port.turn(Some(timeout)).unwrap(), Outcome::Delivered(0));
    assert!(bench.port.shared.kernel.now() - begun >= timeout);
    bench.end();
}

/// The system waits for whole milliseconds: one wait that is long enough, and a look at what came at
/// its end.
#[test]
fn a_turn_asks_the_kernel_twice_and_does_not_spin() {
    let bench = Bench::new();
    let begun = bench.port.shared.kernel.now();
    let third = bench.at(2, || panic!("it spins"));
    let timeout = Duration::from_micros(2_500);
    assert_eq!(bench.port.turn(Some(timeout)).unwrap(), Outcome::Delivered(0));
    assert!(!third.happened());
    assert_eq!(bench.port.shared.kernel.now() - begun, Duration::from_millis(3));
    bench.end();
}

/// Counts its events, of which the first panics.
struct Panics(AtomicUsize);

impl Handler for Panics {
    fn complete(&self, _: Event) {
        if self.0.fetch_add(1, Ordering::SeqCst) == 0 {
            // As a panic, but silent.
            resume_unwind(Box::new("a handler may"));
        }
    }
}

#[test]
fn a_handlers_panic_leaves_the_rest_to_the_next_turn() {
    let bench = Bench::new();
    let handler = Arc::new(Panics(AtomicUsize::new(0)));
    let entries: Vec<_> = (0..5).map(|_| bench.adopt(handler.clone())).collect();
    for entry in &entries {
        entry.receive(None).unwrap();
        assert!(bench.model.finish(End::Success(1)));
    }
    assert!(catch_unwind(AssertUnwindSafe(|| bench.turn())).is_err());
    assert_eq!(bench.turn(), Outcome::Delivered(4));
    drop(entries);
    assert_eq!(Arc::strong_count(&handler), 1);
    bench.end();
}

/// Begins again at each event, which the kernel answers at once.
struct Again(Mutex<Option<Arc<Entry>>>, AtomicUsize);

impl Handler for Again {
    fn complete(&self, _: Event) {
        self.1.fetch_add(1, Ordering::SeqCst);
        if let Some(entry) = lock(&self.0).clone() {
            entry.receive(None).unwrap();
        }
    }
}

#[test]
fn an_entry_that_always_has_more_gets_one_event_a_turn() {
    let bench = Bench::new();
    let handler = Arc::new(Again(Mutex::default(), AtomicUsize::new(0)));
    let entry = Arc::new(bench.adopt(handler.clone()));
    *lock(&handler.0) = Some(entry.clone());
    bench.model.script([Called::Done(1); 10]);
    entry.receive(None).unwrap();
    for turns in 1..10 {
        assert_eq!(bench.turn(), Outcome::Delivered(1));
        assert_eq!(handler.1.load(Ordering::SeqCst), turns);
    }
    lock(&handler.0).take();
    drop(entry);
    bench.turn();
    bench.end();
}

#[test]
fn more_completions_than_a_batch_are_dealt_with_in_order() {
    let bench = Bench::new();
    let peers: Vec<_> = (0..BATCH + 44).map(|_| bench.entry()).collect();
    for (entry, _) in &peers {
        entry.receive(None).unwrap();
        assert!(bench.model.finish(End::Success(1)));
    }
    assert_eq!(bench.turn(), Outcome::Delivered(BATCH));
    assert!(peers[..BATCH].iter().all(|(_, events)| events.take().len() == 1));
    assert_eq!(bench.turn(), Outcome::Delivered(44));
    drop(peers);
    bench.end();
}

#[test]
fn a_crowd_after_single_completions_is_dealt_with_in_order() {
    const CROWD: usize = 12;
    let bench = Bench::new();
    let peers: Vec<_> = (0..CROWD).map(|_| bench.entry()).collect();
    peers[0].0.receive(None).unwrap();
    assert!(bench.model.finish(End::Success(1)));
    assert_eq!(bench.turn(), Outcome::Delivered(1));
    assert_eq!(peers[0].1.take().len(), 1);
    for (entry, _) in &peers {
        entry.receive(None).unwrap();
        assert!(bench.model.finish(End::Success(1)));
    }
    let mut told = 0;
    while told < CROWD {
        let asked = lock(&bench.port.batch).asking.count().min(CROWD - told);
        assert_eq!(bench.turn(), Outcome::Delivered(asked));
        let (before, after) = peers.split_at(told + asked);
        assert!(before[told..].iter().all(|(_, events)| events.take().len() == 1));
        assert!(after.iter().all(|(_, events)| events.take().is_empty()));
        told += asked;
    }
    assert!(lock(&bench.port.batch).asking.count() > 1);
    drop(peers);
    bench.end();
}

/// The kernel does not heed the cancellation: what it has is leaked, and never freed.
#[test]
fn what_the_kernel_never_gives_back_is_leaked() {
    let bench = Bench::new();
    let (entry, events) = bench.entry();
    entry.receive(None).unwrap();
    let (inner, shared) = (Arc::downgrade(&entry.0), Arc::downgrade(&bench.port.shared));
    let Bench { port, model } = bench;
    model.set_schedule(Some(Arc::new(Deaf)));
    let begun = model.now();
    drop((entry, port));
    assert!(model.now() - begun >= DRAIN, "it did not wait");
    assert_eq!(inner.strong_count(), 1, "the kernel's reference");
    assert_eq!(shared.strong_count(), 2, "the entry's, and its registration's");
    assert_eq!(model.violations(), Vec::<String>::new());
    assert!(events.take().is_empty());
    // So that the test leaks nothing: the packet comes after all.
    assert!(model.finish(End::Failure(995, 0)));
    let (inner, shared) = (inner.upgrade().unwrap(), shared.upgrade().unwrap());
    let port = crate::sys::iocp::Iocp { shared, batch: Mutex::default(), skip: true };
    port.turn(Some(Duration::ZERO)).unwrap();
    drop(port);
    assert_eq!(Arc::strong_count(&inner), 1);
    drop(inner);
    assert_eq!(model.left(), Vec::<String>::new());
}

/// Heeds no cancellation.
struct Deaf;

impl super::super::Schedule for Deaf {
    fn choose(&self, bound: usize) -> usize {
        // The model's choice of what a cancellation does.
        usize::from(bound == 6)
    }

    fn interlude(&self) {}

    fn sleeping(&self, _: bool) -> bool {
        false
    }
}

/// Not made anew: what was left at its end, where no packet came, is found there turns later.
#[test]
fn the_array_of_packets_is_kept_from_turn_to_turn() {
    const MARK: usize = 4711;
    let bench = Bench::new();
    let (entry, events) = bench.entry();
    bench.turn();
    *lock(&bench.port.batch).packets.last_mut().unwrap() = Packet::new(MARK, ptr::null_mut(), 0);
    let place = lock(&bench.port.batch).packets.as_ptr();
    for _ in 0..3 {
        entry.receive(None).unwrap();
        assert!(bench.model.finish(End::Success(3)));
        bench.turn();
        assert!(matches!(events.one(), Event::Received(Ok(bytes)) if bytes.len() == 3));
        let batch = lock(&bench.port.batch);
        assert_eq!((batch.packets.as_ptr(), batch.packets.len()), (place, BATCH));
        assert_eq!(Kernel::read(&batch.packets[BATCH - 1]).0, MARK);
    }
    drop(entry);
    bench.end();
}
