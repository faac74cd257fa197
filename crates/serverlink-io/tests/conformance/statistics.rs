//! What a port counts.

use std::{
    io::{Read, Write},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use serverlink_io::{Direction, Event, Interest, PortStatistics, Sending, is_cancelled};

use crate::rig::{Inbox, LIMIT, Rig, listener, received, stream};

/// How many operations have ended, with an event or without.
fn ended(statistics: PortStatistics) -> u64 {
    statistics.completions + statistics.sends_at_once
}

pub(crate) fn operations_and_bytes_are_counted(backend: &str) {
    let rig = Rig::new(backend);
    assert_eq!(rig.port.statistics(), PortStatistics::default());
    let (handle, inbox, mut far) = rig.connected();

    handle.receive(None).expect("nothing is pending");
    assert_eq!(rig.port.statistics().pending, 1);
    far.write_all(b"first").expect("it is connected");
    assert_eq!(received(rig.next(&inbox))[..], *b"first");
    let statistics = rig.port.statistics();
    assert_eq!((ended(statistics), statistics.pending), (1, 0));
    assert_eq!((statistics.batches, statistics.bytes_received), (1, 5));

    // What was in the buffer before was not received.
    let mut buffer = BytesMut::with_capacity(64);
    buffer.extend_from_slice(b"first and ");
    handle.receive(Some(buffer)).expect("nothing is pending");
    far.write_all(b"second").expect("it is connected");
    assert_eq!(received(rig.next(&inbox))[..], *b"first and second");
    assert_eq!(rig.port.statistics().bytes_received, 11);

    let buffers = vec![Bytes::from_static(b"there "), Bytes::from_static(b"and back")];
    if let Sending::Pending = handle.send(buffers) {
        assert!(matches!(rig.next(&inbox), Event::Sent { result: Ok(()), .. }));
    }
    let mut echo = [0; 14];
    far.read_exact(&mut echo).expect("it was sent");
    let statistics = rig.port.statistics();
    assert_eq!((ended(statistics), statistics.bytes_sent), (3, 14));

    // A refused operation is none.
    handle.probe(Interest { readable: true, writable: true }).expect("nothing is pending");
    assert!(matches!(handle.send(vec![]), Sending::Done { result: Err(_), .. }));
    handle.receive(None).expect_err("one is pending");
    assert_eq!(rig.port.statistics().pending, 1);
    assert!(matches!(rig.next(&inbox), Event::Ready(Ok(_))));
    let statistics = rig.port.statistics();
    assert_eq!((ended(statistics), statistics.pending), (4, 0));
    assert_eq!((statistics.failed, statistics.cancelled), (0, 0));
    assert!(statistics.batches <= statistics.completions);
    assert!(statistics.batches <= statistics.turns);
}

pub(crate) fn failures_cancellations_and_ends_are_counted(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, _far) = rig.connected();
    handle.receive(None).expect("nothing is pending");
    handle.cancel(Direction::Inward);
    match rig.next(&inbox) {
        Event::Received(Err(error)) => assert!(is_cancelled(&error), "{error}"),
        other => panic!("cancellation expected, not {other:?}"),
    }
    let statistics = rig.port.statistics();
    assert_eq!((statistics.completions, statistics.cancelled, statistics.failed), (1, 1, 0));

    // Nobody listens there any more.
    let (_, vacant) = listener();
    let connecting = rig.port.register(stream(), inbox.clone()).expect("it registers");
    connecting.connect(&vacant.into()).expect("it begins");
    assert!(matches!(rig.next(&inbox), Event::Connected(Err(_))));
    drop(connecting);
    let statistics = rig.port.statistics();
    assert_eq!((statistics.completions, statistics.cancelled, statistics.failed), (2, 1, 1));

    let (other, _inbox, _far) = rig.connected();
    other.receive(None).expect("nothing is pending");
    assert_eq!(rig.port.statistics().pending, 1);
    other.retire();
    other.retire();
    drop(other);
    rig.settle();
    let statistics = rig.port.statistics();
    // Silently: no event.
    assert_eq!((statistics.completions, statistics.pending), (2, 0));
    assert_eq!((statistics.registered, statistics.retired), (3, 2));
    drop(handle);
    assert_eq!(rig.port.statistics().retired, 3);
}

pub(crate) fn timers_packets_and_wakes_are_counted(backend: &str) {
    let rig = Rig::new(backend);
    // Nobody drives: nobody is to be woken.
    (0..3).for_each(|_| rig.port.wake());
    let statistics = rig.port.statistics();
    assert_eq!((statistics.wakes, statistics.wakes_coalesced), (0, 3));

    let inbox = Inbox::new();
    rig.port.set_timer(Instant::now(), inbox.clone(), 1);
    rig.port.post(inbox.clone(), 2);
    rig.port.post(inbox.clone(), 3);
    (0..3).for_each(|_| drop(rig.next(&inbox)));
    let statistics = rig.port.statistics();
    assert_eq!((statistics.timers, statistics.packets, statistics.completions), (1, 2, 0));

    let driver = rig.spawn();
    let start = Instant::now();
    // Sooner or later one meets the driver asleep.
    while rig.port.statistics().wakes == 0 {
        assert!(start.elapsed() < LIMIT, "no wake has cost a call");
        rig.port.post(inbox.clone(), 4);
        inbox.wait();
    }
    drop(driver);
}
