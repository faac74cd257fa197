//! Cancelling.

use std::{
    hint,
    io::{Read, Write},
    sync::mpsc,
    thread,
};

use bytes::Bytes;
use serverlink_io::{Direction, Event, Sending, is_cancelled};

use crate::rig::{Inbox, Rig, listener, narrow_pair, received, scaled};

pub(crate) fn cancel_ends_a_pending_accept(backend: &str) {
    let rig = Rig::new(backend);
    let (listener, _) = listener();
    let inbox = Inbox::new();
    let listening = rig.port.register(listener.into(), inbox.clone()).expect("it registers");
    listening.accept().expect("nothing is pending");
    rig.settle();
    listening.cancel(Direction::Inward);
    listening.cancel(Direction::Inward);
    match rig.next(&inbox) {
        Event::Accepted(Err(error)) => assert!(is_cancelled(&error), "{error}"),
        other => panic!("cancellation expected, not {other:?}"),
    }
    rig.settle();
    assert!(inbox.is_empty());
    listening.accept().expect("nothing is pending any more");
}

pub(crate) fn cancel_ends_a_pending_receive(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    handle.receive(None).expect("nothing is pending");
    rig.settle();
    // The other direction is not concerned.
    handle.cancel(Direction::Outward);
    rig.settle();
    assert!(inbox.is_empty());
    handle.cancel(Direction::Inward);
    match rig.next(&inbox) {
        Event::Received(Err(error)) => assert!(is_cancelled(&error), "{error}"),
        other => panic!("cancellation expected, not {other:?}"),
    }
    // What comes afterwards is for the next one.
    far.write_all(b"later").expect("it is connected");
    rig.settle();
    assert!(inbox.is_empty());
    handle.receive(None).expect("nothing is pending any more");
    assert_eq!(received(rig.next(&inbox))[..], *b"later");
}

pub(crate) fn cancel_ends_a_pending_send(backend: &str) {
    let rig = Rig::new(backend);
    let (near, mut far) = narrow_pair();
    let inbox = Inbox::new();
    let handle = rig.port.register(near, inbox.clone()).expect("it registers");
    let pattern: Vec<u8> = (0..4 << 20).map(|index: u32| (index % 251) as u8).collect();
    let given = vec![Bytes::from(pattern.clone())];
    assert!(matches!(handle.send(given.clone()), Sending::Pending));
    rig.settle();
    handle.cancel(Direction::Outward);
    let sent = match rig.next(&inbox) {
        Event::Sent { buffers, sent, result: Err(error) } if is_cancelled(&error) => {
            assert_eq!(buffers, given);
            sent
        }
        other => panic!("cancellation expected, not {other:?}"),
    };
    assert!(sent < pattern.len());
    // The peer gets exactly what was said to be sent.
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        far.read_to_end(&mut bytes).map(|_| bytes)
    });
    handle.shutdown_send().expect("nothing is pending any more");
    let got = reader.join().expect("no panic").expect("the stream ends in order");
    assert_eq!(got.len(), sent);
    assert!(got == pattern[..sent]);
    rig.settle();
    assert!(inbox.is_empty());
}

pub(crate) fn cancel_of_nothing_does_nothing(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    handle.cancel(Direction::Inward);
    handle.cancel(Direction::Outward);
    rig.settle();
    assert!(inbox.is_empty());
    handle.receive(None).expect("nothing is pending");
    far.write_all(b"x").expect("it is connected");
    assert_eq!(received(rig.next(&inbox))[..], *b"x");
    // It has ended already.
    handle.cancel(Direction::Inward);
    rig.settle();
    assert!(inbox.is_empty());
}

/// A byte arrives at the very moment of the cancellation: one event, and the byte is not lost.
pub(crate) fn cancel_races_completion(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    let _driver = rig.spawn();
    let (go, gone) = mpsc::channel::<u8>();
    let writer = thread::spawn(move || {
        for byte in gone {
            far.write_all(&[byte]).expect("it is connected");
        }
    });
    let mut cancellations = 0;
    for round in 0..scaled(5_000) {
        let byte = (round % 256) as u8;
        handle.receive(None).expect("nothing is pending");
        go.send(byte).expect("the writer lives");
        // Sooner or later: the race is won by either.
        for _ in 0..(round % 64) * 64 {
            hint::spin_loop();
        }
        handle.cancel(Direction::Inward);
        let bytes = match inbox.wait() {
            Event::Received(Ok(bytes)) => bytes,
            Event::Received(Err(error)) if is_cancelled(&error) => {
                cancellations += 1;
                handle.receive(None).expect("nothing is pending any more");
                received(inbox.wait())
            }
            other => panic!("round {round}: {other:?}"),
        };
        assert_eq!(bytes[..], [byte], "round {round}");
        assert!(inbox.is_empty(), "round {round}: a second event");
    }
    drop(go);
    writer.join().expect("no panic");
    println!("{cancellations} of {} were cancelled", scaled(5_000));
}
