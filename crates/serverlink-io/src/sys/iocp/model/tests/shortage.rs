//! What is done when the system is short of memory to lock.

use bytes::{Bytes, BytesMut};

use super::{
    super::{Called, operations::End},
    bench::Bench,
};
use crate::{
    Event, Sending,
    sys::{
        Entry as _,
        iocp::{errors, send::LITTLE},
    },
};

/// Once it ran short of memory to lock, the system is given less a call, until all is sent. Of an
/// abort it is given as much again.
#[test]
fn a_send_that_finds_no_memory_goes_on_with_less() {
    const ALL: usize = 2 * LITTLE + 5;
    for at_once in [false, true] {
        let bench = Bench::new();
        let (entry, events) = bench.entry();
        let fails = if at_once { Called::Failed(errors::NO_BUFFERS) } else { Called::Pending };
        bench.model.script([Called::Pending, fails].into_iter().chain([Called::Pending; 3]));
        assert!(matches!(entry.send(vec![Bytes::from(vec![7; ALL])]), Sending::Pending));
        assert_eq!(bench.model.asked(), Some(ALL));
        assert!(bench.model.finish(End::Failure(995, 0)));
        bench.turn();
        if !at_once {
            assert_eq!(bench.model.asked(), Some(ALL), "after an abort");
            assert!(bench.model.finish(End::Failure(errors::NO_BUFFERS, 0)));
            bench.turn();
        }
        for part in [LITTLE, LITTLE, 5] {
            assert_eq!(bench.model.asked(), Some(part));
            assert!(bench.model.finish(End::Success(part)));
            bench.turn();
        }
        assert!(matches!(events.one(), Event::Sent { sent: ALL, result: Ok(()), .. }));
        drop(entry);
        bench.end();
    }
}

/// Then the kernel is lent none: a receive of no bytes tells when there is something. Of an abort it
/// is lent as much again.
#[test]
fn a_receive_that_finds_no_memory_lends_none() {
    for at_once in [false, true] {
        for supplied in [false, true] {
            let bench = Bench::new();
            let (entry, events) = bench.entry();
            let fails = if at_once { Called::Failed(errors::NO_BUFFERS) } else { Called::Pending };
            bench.model.script([Called::Pending, fails, Called::Pending]);
            let mut buffer = BytesMut::with_capacity(64);
            buffer.extend_from_slice(b"held");
            entry.receive(supplied.then_some(buffer)).unwrap();
            let all = bench.model.asked();
            assert!(all > Some(0));
            assert!(bench.model.finish(End::Failure(995, 0)));
            bench.turn();
            if !at_once {
                assert_eq!(bench.model.asked(), all, "after an abort");
                assert!(bench.model.finish(End::Failure(errors::NO_BUFFERS, 0)));
                bench.turn();
            }
            assert_eq!(bench.model.asked(), Some(0));
            assert_eq!(bench.port.shared.buffers.armed(), 0, "it counts as lent");
            assert!(bench.model.finish(End::Success(0)));
            bench.turn();
            let Event::Received(Ok(bytes)) = events.one() else { panic!("nothing is received") };
            let held: &[u8] = if supplied { b"held" } else { b"" };
            assert!(bytes.starts_with(held) && bytes.len() > held.len());
            drop(entry);
            bench.end();
        }
    }
}
