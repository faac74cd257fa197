//! Receiving.

use std::io::{ErrorKind, Write};

use bytes::BytesMut;
use serverlink_io::Event;

use crate::rig::{Rig, received, reset, scaled};

pub(crate) fn receive_never_completes_within_the_call(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    for _ in 0..3 {
        far.write_all(b"here already").expect("it is connected");
        rig.settle();
        handle.receive(None).expect("nothing is pending");
        assert!(inbox.is_empty());
        assert_eq!(received(rig.next(&inbox))[..], *b"here already");
    }
}

pub(crate) fn a_second_receive_is_refused(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    handle.receive(None).expect("nothing is pending");
    let error = handle.receive(None).expect_err("one is pending");
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    let error = handle.accept().expect_err("the same direction");
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    far.write_all(b"undisturbed").expect("it is connected");
    assert_eq!(received(rig.next(&inbox))[..], *b"undisturbed");
    rig.settle();
    assert!(inbox.is_empty());
}

pub(crate) fn supplied_buffers_are_appended_to(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    let mut buffer = BytesMut::with_capacity(64);
    buffer.extend_from_slice(b"one ");
    let memory = buffer.as_ptr();
    for part in [b"two ", b"six ", b"ten "] {
        handle.receive(Some(buffer)).expect("there is room");
        rig.settle();
        far.write_all(part).expect("it is connected");
        buffer = received(rig.next(&inbox));
    }
    assert_eq!(buffer[..], *b"one two six ten ");
    assert_eq!(buffer.as_ptr(), memory, "not copied");

    let mut full = BytesMut::with_capacity(16);
    full.resize(full.capacity(), 7);
    let error = handle.receive(Some(full)).expect_err("there is no room");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // That was not started.
    handle.receive(None).expect("nothing is pending");
    far.write_all(b"next").expect("it is connected");
    assert_eq!(received(rig.next(&inbox))[..], *b"next");
}

/// Many small receives out of one large arrival: no report comes for the later ones.
pub(crate) fn a_full_buffer_leaves_the_rest_for_the_next(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    let bytes: Vec<u8> = (0..1_000_u32).map(|index| (index % 251) as u8).collect();
    far.write_all(&bytes).expect("it is connected");
    let mut got = Vec::new();
    while got.len() < bytes.len() {
        handle.receive(Some(BytesMut::with_capacity(10))).expect("nothing is pending");
        got.extend_from_slice(&received(rig.next(&inbox)));
    }
    assert_eq!(got, bytes);
    handle.receive(None).expect("nothing is pending");
    rig.settle();
    assert!(inbox.is_empty());
    drop(far);
    assert!(received(rig.next(&inbox)).is_empty());
}

pub(crate) fn end_of_stream_adds_nothing(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    far.write_all(b"last words").expect("it is connected");
    drop(far);
    rig.settle();
    handle.receive(None).expect("nothing is pending");
    assert_eq!(received(rig.next(&inbox))[..], *b"last words");
    // The end stays the end.
    for _ in 0..3 {
        handle.receive(None).expect("nothing is pending");
        assert!(received(rig.next(&inbox)).is_empty());
        let mut held = BytesMut::with_capacity(8);
        held.extend_from_slice(b"held");
        handle.receive(Some(held)).expect("there is room");
        assert_eq!(received(rig.next(&inbox))[..], *b"held");
    }
}

/// A peer that leaves in order: its last words, and then the end.
pub(crate) fn end_of_stream_ends_a_pending_receive(backend: &str) {
    let rig = Rig::new(backend);
    for words in [&b""[..], b"last words"] {
        let (handle, inbox, mut far) = rig.connected();
        handle.receive(None).expect("nothing is pending");
        rig.settle();
        far.write_all(words).expect("it is connected");
        drop(far);
        let mut heard = received(rig.next(&inbox));
        if !words.is_empty() {
            assert_eq!(heard[..], *words);
            handle.receive(None).expect("nothing is pending");
            heard = received(rig.next(&inbox));
        }
        assert!(heard.is_empty());
        rig.settle();
        assert!(inbox.is_empty(), "told twice");
    }
}

pub(crate) fn peer_reset_ends_a_pending_receive(backend: &str) {
    let rig = Rig::new(backend);
    for _ in 0..10 {
        let (handle, inbox, far) = rig.connected();
        handle.receive(None).expect("nothing is pending");
        rig.settle();
        reset(far);
        match rig.next(&inbox) {
            Event::Received(Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
            }
            // Under Wine a reset is told only to a receive that the kernel itself holds.
            Event::Received(Ok(end)) if cfg!(windows) && backend == "select" => {
                assert!(end.is_empty());
            }
            other => panic!("a reset expected, not {other:?}"),
        }
        rig.settle();
        assert!(inbox.is_empty());
    }
}

pub(crate) fn a_buffer_given_back_is_used_again(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut far) = rig.connected();
    let mut memory = None;
    for round in 0..3 {
        handle.receive(None).expect("nothing is pending");
        far.write_all(&[round; 100]).expect("it is connected");
        let buffer = received(rig.next(&inbox));
        assert_eq!(buffer[..], [round; 100]);
        let before = memory.replace(buffer.as_ptr());
        assert!(before.is_none_or(|before| before == buffer.as_ptr()), "new memory");
        rig.port.reuse(buffer);
    }
    // What is too small for the engine is not taken for one of its own.
    rig.port.reuse(BytesMut::with_capacity(1));
    handle.receive(None).expect("nothing is pending");
    far.write_all(&[7; 100]).expect("it is connected");
    assert_eq!(received(rig.next(&inbox))[..], [7; 100]);
}

/// More than any backend has buffers for.
pub(crate) fn many_receive_at_once(backend: &str) {
    let rig = Rig::new(backend);
    let mut connections: Vec<_> = (0..scaled(400)).map(|_| rig.connected()).collect();
    for round in 0..3 {
        for (number, (handle, _, far)) in connections.iter_mut().enumerate() {
            handle.receive(None).expect("nothing is pending");
            far.write_all(&[round, (number % 251) as u8]).expect("it is connected");
        }
        for (number, (_, inbox, _)) in connections.iter().enumerate() {
            let bytes = received(rig.next(inbox));
            assert_eq!(bytes[..], [round, (number % 251) as u8]);
            rig.port.reuse(bytes);
            assert!(inbox.is_empty());
        }
    }
}
