//! What is different on a pipe.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::{
    super::{Called, operations::End, socket::address},
    bench::{Bench, Events},
};
use crate::{
    Direction, Event, Interest, Sending,
    errors::is_cancelled,
    sys::{
        Entry as _,
        iocp::{entry::Entry, errors, kernel::Nature},
    },
};

fn pipe(bench: &Bench) -> (Entry, Arc<Events>) {
    let events = Arc::new(Events::default());
    (bench.adopt_as(Nature::Pipe, events.clone()), events)
}

fn handle(entry: &Entry) -> usize {
    entry.0.resources.claim().expect("it is not retired").handle()
}

#[test]
fn a_broken_pipe_is_the_end_of_the_stream() {
    for at_once in [false, true] {
        for without_buffers in [false, true] {
            let bench = Bench::new();
            let armed: Vec<_> = without_buffers
                .then(|| std::iter::from_fn(|| bench.port.shared.buffers.arm()))
                .into_iter()
                .flatten()
                .collect();
            for supplied in [None, Some(BytesMut::from(&b"before"[..]))] {
                let (entry, events) = pipe(&bench);
                let before = supplied.clone().unwrap_or_default();
                let supplied = supplied.map(|mut buffer| {
                    buffer.reserve(8);
                    buffer
                });
                bench.model.script([if at_once { Called::Failed(109) } else { Called::Pending }]);
                entry.receive(supplied).unwrap();
                assert!(at_once || bench.model.finish(End::Failure(109, 0)));
                bench.turn();
                assert!(matches!(events.one(), Event::Received(Ok(bytes)) if bytes == before));
            }
            drop(armed);
            bench.end();
        }
    }
    // Of a socket it is none.
    let bench = Bench::new();
    let (entry, events) = bench.entry();
    entry.receive(None).unwrap();
    assert!(bench.model.finish(End::Failure(109, 0)));
    bench.turn();
    assert!(matches!(events.one(), Event::Received(Err(_))));
    drop(entry);
    bench.end();
}

#[test]
fn nothing_written_is_not_the_end() {
    let bench = Bench::new();
    let (entry, events) = pipe(&bench);
    entry.receive(None).unwrap();
    assert!(bench.model.finish(End::Success(0)));
    bench.turn();
    assert!(events.take().is_empty());
    assert!(bench.has(&entry, Direction::Inward), "it is received again");
    // Without a buffer at first, as after every such code.
    assert!(bench.model.finish(End::Success(0)));
    bench.turn();
    assert!(bench.model.finish(End::Success(5)));
    bench.turn();
    assert!(matches!(events.one(), Event::Received(Ok(bytes)) if bytes.len() == 5));
    drop(entry);
    bench.end();
}

/// A receive of no bytes tells that there are some; another one, of the kernel's, gets them.
#[test]
fn what_is_announced_is_received_by_another_operation() {
    let bench = Bench::new();
    let armed: Vec<_> = std::iter::from_fn(|| bench.port.shared.buffers.arm()).collect();
    let (entry, events) = pipe(&bench);
    entry.receive(None).unwrap();
    assert!(bench.model.finish(End::Success(0)));
    bench.turn();
    assert!(events.take().is_empty() && bench.has(&entry, Direction::Inward));
    assert!(bench.model.finish(End::Success(7)));
    bench.turn();
    assert!(matches!(events.one(), Event::Received(Ok(bytes)) if bytes.len() == 7));
    drop((armed, entry));
    bench.end();
}

#[test]
fn one_call_takes_one_buffer_and_short_ones_go_together() {
    let bench = Bench::new();
    let (entry, events) = pipe(&bench);
    // The bench's buffers have 48 bytes.
    let lengths = [20_usize, 0, 20, 20, 20_000, 1, 1, 40_000, 3];
    let mut next = 0_u8;
    let buffers: Vec<Bytes> = lengths
        .iter()
        .map(|length| {
            (0..*length)
                .map(|_| {
                    next = next.wrapping_add(1);
                    next
                })
                .collect()
        })
        .collect();
    let all = buffers.concat();
    // 48, 12, 20,000, 2, 40,000, and 3, of which the last call takes two at first.
    let calls = [48, 12, 20_000, 2, 40_000, 2, 1];
    bench.model.script(vec![Called::Pending; calls.len()]);
    assert!(matches!(entry.send(buffers), Sending::Pending));
    let mut sent = 0;
    for (number, bytes) in calls.into_iter().enumerate() {
        assert!(events.take().is_empty());
        let most = if number == 5 { 2 } else { 100_000 };
        assert!(bench.model.finish(End::Success(most)));
        bench.turn();
        sent += bytes;
        assert_eq!(bench.model.sent(handle(&entry)), all[..sent], "after call {number}");
    }
    assert!(matches!(events.one(), Event::Sent { result: Ok(()), .. }));
    assert_eq!(sent, all.len());
    assert_eq!(bench.model.violations(), Vec::<String>::new());
    drop(entry);
    bench.end();
}

/// The system does not say how much of an aborted write was read already.
#[test]
fn a_send_that_is_aborted_is_not_repeated() {
    let bench = Bench::new();
    let (entry, events) = pipe(&bench);
    bench.model.script([Called::Pending]);
    assert!(matches!(entry.send(vec![Bytes::from_static(b"perhaps")]), Sending::Pending));
    assert!(bench.model.finish(End::Failure(995, 0)));
    bench.turn();
    let Event::Sent { sent: 0, result: Err(error), .. } = events.one() else { panic!() };
    assert_eq!(error.raw_os_error(), errors::to_io(995).raw_os_error());
    drop(entry);
    bench.end();
}

/// Under Wine the thread may have ended that was to hear of it.
#[test]
fn a_write_without_a_status_was_made_and_a_read_is_lost() {
    let bench = Bench::new();
    let (entry, events) = pipe(&bench);
    bench.model.script([Called::Pending, Called::Pending, Called::Pending]);
    let buffers: Vec<Bytes> = [20_000, 20_000].map(|length| Bytes::from(vec![7; length])).into();
    assert!(matches!(entry.send(buffers), Sending::Pending));
    for _ in 0..2 {
        assert!(events.take().is_empty());
        assert!(bench.model.finish(End::Failure(996, 0)));
        bench.turn();
    }
    assert!(matches!(events.one(), Event::Sent { sent: 40_000, result: Ok(()), .. }));
    assert_eq!(bench.model.sent(handle(&entry)).len(), 40_000);
    entry.receive(None).unwrap();
    assert!(bench.model.finish(End::Failure(996, 0)));
    bench.turn();
    assert!(matches!(events.one(), Event::Received(Err(_))));
    // What is merely aborted has lost nothing.
    entry.receive(None).unwrap();
    assert!(bench.model.finish(End::Failure(995, 0)));
    bench.turn();
    assert!(events.take().is_empty() && bench.has(&entry, Direction::Inward));
    drop(entry);
    bench.turn();
    bench.end();
}

#[test]
fn a_connect_that_finds_its_end_at_once_is_told_in_a_turn() {
    let bench = Bench::new();
    let (entry, events) = pipe(&bench);
    bench.model.script([Called::Ended]);
    entry.connect(&address(7)).unwrap();
    assert!(events.take().is_empty());
    bench.turn();
    assert!(matches!(events.one(), Event::Connected(Ok(()))));
    drop(entry);
    bench.end();
}

#[test]
fn a_connect_that_has_only_waited_is_tried_again() {
    let bench = Bench::new();
    let (entry, events) = pipe(&bench);
    bench.model.connect_in_vain(3);
    bench.model.script([Called::Pending, Called::Pending, Called::Ended, Called::Pending]);
    entry.connect(&address(7)).unwrap();
    // The third ends at once, and in vain, too.
    for _ in 0..2 {
        assert!(bench.has(&entry, Direction::Outward));
        assert!(bench.model.finish(End::Success(0)));
        bench.turn();
        assert!(events.take().is_empty());
    }
    // One that was to end meanwhile does.
    assert!(bench.model.finish(End::Success(0)));
    bench.turn();
    assert!(matches!(events.one(), Event::Connected(Ok(()))));
    bench.model.connect_in_vain(1);
    bench.model.script([Called::Pending]);
    entry.connect(&address(7)).unwrap();
    entry.0.operation(Direction::Outward).slot.cancel();
    assert!(bench.model.finish(End::Success(0)));
    bench.turn();
    assert!(matches!(events.one(), Event::Connected(Err(error)) if is_cancelled(&error)));
    drop(entry);
    bench.end();
}

#[test]
fn an_accept_is_an_operation_of_the_connection() {
    for cancelled in [false, true] {
        for at_once in [false, true] {
            let bench = Bench::new();
            let (entry, events) = pipe(&bench);
            bench.model.script([if at_once { Called::Ended } else { Called::Pending }]);
            entry.accept().unwrap();
            if cancelled {
                entry.0.operation(Direction::Inward).slot.cancel();
            }
            assert!(at_once || bench.model.finish(End::Success(0)));
            bench.turn();
            assert_eq!(matches!(events.one(), Event::Accepted(Ok(_))), !cancelled);
            assert_eq!(bench.model.violations(), Vec::<String>::new());
            drop(entry);
            bench.end();
        }
    }
}

#[test]
fn retiring_a_listener_cancels_its_accept() {
    let bench = Bench::new();
    let (entry, events) = pipe(&bench);
    bench.model.script([Called::Pending]);
    entry.accept().unwrap();
    assert!(bench.has(&entry, Direction::Inward));
    entry.retire();
    bench.turn();
    assert!(!bench.has(&entry, Direction::Inward), "the kernel has it still");
    assert!(events.take().is_empty());
    drop(entry);
    bench.end();
}

#[test]
fn a_pipe_cannot_be_probed() {
    let bench = Bench::new();
    let (entry, _) = pipe(&bench);
    for writable in [false, true] {
        let error = entry.probe(Interest { readable: true, writable }).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::Unsupported);
    }
    // Neither direction is left occupied.
    entry.receive(None).unwrap();
    assert!(matches!(entry.send(vec![Bytes::from_static(b"sent")]), Sending::Done { sent: 4, .. }));
    drop(entry);
    bench.turn();
    bench.end();
}
