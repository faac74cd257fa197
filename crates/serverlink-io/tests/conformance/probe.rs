//! Probing: descriptors that stay their owner's.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::Arc,
};

use bytes::Bytes;
use serverlink_io::{Condition, Direction, Event, Handle, Interest, Sending, is_cancelled};

use crate::rig::{Inbox, Rig, narrow_pair, pair};

const READABLE: Interest = Interest { readable: true, writable: false };
const WRITABLE: Interest = Interest { readable: false, writable: true };
const BOTH: Interest = Interest { readable: true, writable: true };

fn watched(rig: &Rig) -> (Handle, Arc<Inbox>, TcpStream, TcpStream) {
    let (near, far) = narrow_pair();
    let near = TcpStream::from(near);
    let inbox = Inbox::new();
    let handle = rig.port.watch(&near, inbox.clone()).expect("it can be watched");
    (handle, inbox, near, far.into())
}

fn ready(event: Event) -> Interest {
    match event {
        Event::Ready(Ok(interest)) => interest,
        other => panic!("readiness expected, not {other:?}"),
    }
}

/// Writes until no more is taken.
fn fill(mut stream: &TcpStream) -> usize {
    stream.set_nonblocking(true).expect("it is a socket");
    let mut filled = 0;
    loop {
        match stream.write(&[0; 64 * 1024]) {
            Ok(count) => filled += count,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return filled;
            }
        }
    }
}

/// Starts a probe on a descriptor that is full for good; tells how much was written.
///
/// What is under way to the peer when a write is refused makes room a moment later.
fn probe_full(
    rig: &Rig,
    handle: &Handle,
    inbox: &Inbox,
    near: &TcpStream,
    what: Interest,
) -> usize {
    let mut filled = 0;
    loop {
        filled += fill(near);
        handle.probe(what).expect("nothing is pending");
        rig.settle();
        match inbox.take() {
            None => return filled,
            Some(event) => assert_eq!(ready(event), WRITABLE),
        }
    }
}

pub(crate) fn a_probe_waits_until_readable(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut near, mut far) = watched(&rig);
    for _ in 0..5 {
        handle.probe(READABLE).expect("nothing is pending");
        rig.settle();
        assert!(inbox.is_empty());
        assert_eq!(
            handle.probe(READABLE).expect_err("one is pending").kind(),
            ErrorKind::ResourceBusy
        );
        far.write_all(b"x").expect("it is connected");
        assert_eq!(ready(rig.next(&inbox)), READABLE);
        rig.settle();
        assert!(inbox.is_empty());
        near.read_exact(&mut [0]).expect("it is readable");
    }
    handle.probe(READABLE).expect("nothing is pending");
    rig.settle();
    handle.cancel(Direction::Inward);
    match rig.next(&inbox) {
        Event::Ready(Err(error)) => assert!(is_cancelled(&error), "{error}"),
        other => panic!("cancellation expected, not {other:?}"),
    }
    // The end of the stream is readable.
    handle.probe(READABLE).expect("nothing is pending");
    rig.settle();
    drop(far);
    assert_eq!(ready(rig.next(&inbox)), READABLE);
    assert_eq!(
        handle
            .probe(Interest { readable: false, writable: false })
            .expect_err("nothing to look for")
            .kind(),
        ErrorKind::InvalidInput
    );
}

pub(crate) fn a_probe_waits_until_writable(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, near, mut far) = watched(&rig);
    for _ in 0..3 {
        handle.probe(WRITABLE).expect("nothing is pending");
        assert_eq!(ready(rig.next(&inbox)), WRITABLE);
        let mut left = probe_full(&rig, &handle, &inbox, &near, WRITABLE);
        let mut bytes = vec![0; 64 * 1024];
        while left > 0 {
            left -= far.read(&mut bytes).expect("it was written");
        }
        assert_eq!(ready(rig.next(&inbox)), WRITABLE);
    }
}

/// However long it has been so, and how often it has been told.
pub(crate) fn a_probe_sees_what_is_the_case_already(backend: &str) {
    let rig = Rig::new(backend);
    let (near, mut far) = pair();
    far.write_all(b"unread").expect("it is connected");
    let inbox = Inbox::new();
    let handle = rig.port.watch(&near, inbox.clone()).expect("it can be watched");
    rig.settle();
    for _ in 0..3 {
        handle.probe(READABLE).expect("nothing is pending");
        assert!(inbox.is_empty(), "completed within the call");
        assert_eq!(ready(rig.next(&inbox)), READABLE);
        rig.settle();
        handle.probe(BOTH).expect("nothing is pending");
        assert_eq!(ready(rig.next(&inbox)), BOTH);
        rig.settle();
    }
    assert!(inbox.is_empty());

    // Sockets of the port's own can be probed as well.
    let (handle, inbox, mut far) = rig.connected();
    handle.probe(READABLE).expect("nothing is pending");
    rig.settle();
    assert!(inbox.is_empty());
    assert_eq!(
        handle.receive(None).expect_err("the direction is taken").kind(),
        ErrorKind::ResourceBusy
    );
    far.write_all(b"x").expect("it is connected");
    assert_eq!(ready(rig.next(&inbox)), READABLE);
    handle.receive(None).expect("nothing is pending");
    assert_eq!(crate::rig::received(rig.next(&inbox))[..], *b"x");
}

pub(crate) fn a_probe_of_both_directions_is_one_operation(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, near, mut far) = watched(&rig);
    let mut filled = fill(&near);
    let mut written = false;
    loop {
        handle.probe(BOTH).expect("nothing is pending");
        for half in [READABLE, WRITABLE] {
            assert_eq!(
                handle.probe(half).expect_err("one is pending").kind(),
                ErrorKind::ResourceBusy
            );
        }
        if !std::mem::replace(&mut written, true) {
            far.write_all(b"x").expect("it is connected");
        }
        if ready(rig.next(&inbox)).readable {
            break;
        }
        // What was under way to the peer has made room before.
        filled += fill(&near);
    }
    // The writable half has ended with it.
    let mut bytes = vec![0; filled];
    far.read_exact(&mut bytes).expect("it was written");
    rig.settle();
    assert!(inbox.is_empty());

    // Cancelled in either direction, it ends as a whole.
    (&near).read_exact(&mut [0]).expect("it is readable");
    for direction in [Direction::Inward, Direction::Outward] {
        loop {
            fill(&near);
            handle.probe(BOTH).expect("nothing is pending");
            rig.settle();
            handle.cancel(direction);
            match rig.next(&inbox) {
                Event::Ready(Err(error)) => {
                    assert!(is_cancelled(&error), "{error}");
                    break;
                }
                // There was room again.
                event => assert_eq!(ready(event), WRITABLE),
            }
        }
        rig.settle();
        assert!(inbox.is_empty());
    }
    far.write_all(b"x").expect("it is connected");
    rig.settle();
    assert!(inbox.is_empty());
    handle.probe(READABLE).expect("nothing is pending any more");
    assert_eq!(ready(rig.next(&inbox)), READABLE);
}

pub(crate) fn only_probes_work_on_watched_descriptors(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, _near, far) = watched(&rig);
    let address = far.local_addr().expect("it is connected").into();
    let refusals = [
        handle.receive(None),
        handle.accept(),
        handle.connect(&address),
        handle.shutdown_send(),
        handle.local_address().map(drop),
        handle.peer_address().map(drop),
    ];
    for refusal in refusals {
        assert_eq!(refusal.expect_err("it is not ours").kind(), ErrorKind::InvalidInput);
    }
    match handle.send(vec![Bytes::from_static(b"x")]) {
        Sending::Done { sent: 0, result: Err(error), .. } => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
        other => panic!("it is not ours, but {other:?}"),
    }
    rig.settle();
    assert!(inbox.is_empty());
}

pub(crate) fn retiring_leaves_a_watched_descriptor_open(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut near, mut far) = watched(&rig);
    handle.probe(READABLE).expect("nothing is pending");
    rig.settle();
    handle.retire();
    far.write_all(b"still").expect("it is connected");
    rig.settle();
    assert!(inbox.is_empty());
    let mut word = [0; 5];
    near.read_exact(&mut word).expect("open, and still blocking");
    assert_eq!(word, *b"still");
    // It can be watched again.
    let again = rig.port.watch(&near, inbox.clone()).expect("it can be watched");
    again.probe(READABLE).expect("nothing is pending");
    far.write_all(b"!").expect("it is connected");
    assert_eq!(ready(rig.next(&inbox)), READABLE);
    drop(again);
    near.read_exact(&mut [0]).expect("still open");
}

#[cfg(unix)]
pub(crate) fn pipes_and_files(backend: &str) {
    use std::fs::File;

    let rig = Rig::new(backend);
    let inbox = Inbox::new();
    let (mut reader, mut writer) = std::io::pipe().expect("there are pipes");
    let output = rig.port.watch(&writer, inbox.clone()).expect("it can be watched");
    output.probe(WRITABLE).expect("nothing is pending");
    assert_eq!(ready(rig.next(&inbox)), WRITABLE);
    let input = rig.port.watch(&reader, inbox.clone()).expect("it can be watched");
    for _ in 0..5 {
        input.probe(READABLE).expect("nothing is pending");
        rig.settle();
        assert!(inbox.is_empty());
        writer.write_all(b"through").expect("somebody reads");
        assert_eq!(ready(rig.next(&inbox)), READABLE);
        reader.read_exact(&mut [0; 7]).expect("it was written");
    }

    let file = File::open(std::env::current_exe().expect("this runs")).expect("it is there");
    match rig.port.watch(&file, inbox.clone()) {
        // Always ready.
        Ok(handle) => {
            handle.probe(READABLE).expect("nothing is pending");
            assert_eq!(ready(rig.next(&inbox)), READABLE);
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("regular file"), "{error}");
        }
    }
}

pub(crate) fn a_look_tells_what_is_the_case(backend: &str) {
    let rig = Rig::new(backend);
    let (handle, inbox, mut near, mut far) = watched(&rig);
    let mut asked = Condition::default();
    asked.readable = true;
    assert!(!handle.look(asked).expect("it is watched").any());
    handle.probe(READABLE).expect("nothing is pending");
    rig.settle();
    assert!(!handle.look(asked).expect("a probe is not disturbed").any());
    far.write_all(b"x").expect("it is open");
    assert_eq!(ready(rig.next(&inbox)), READABLE);
    for _ in 0..2 {
        assert!(handle.look(asked).expect("it is watched").readable);
    }
    near.read_exact(&mut [0]).expect("a byte is there");
    assert!(!handle.look(asked).expect("it is watched").any());
    handle.retire();
    let error = handle.look(asked).expect_err("it is retired");
    assert_eq!(error.kind(), ErrorKind::NotConnected);

    let (own, _other) = pair();
    let own = rig.port.register(own.into(), inbox).expect("it can be registered");
    assert_eq!(own.look(asked).expect_err("not watched").kind(), ErrorKind::InvalidInput);
}
