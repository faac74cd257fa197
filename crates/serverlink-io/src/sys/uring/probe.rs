//! Probes: readiness itself as an operation.

use std::io;

use io_uring::{opcode, squeue, types::Fd};

use super::operation::Next;
use crate::{Event, Interest};

/// An operation that may be a probe.
pub(super) trait Probing {
    fn probe(interest: Interest) -> Self;
}

pub(super) fn submission(descriptor: Fd, interest: Interest) -> squeue::Entry {
    let mut events = 0;
    if interest.readable {
        events |= libc::POLLIN | libc::POLLRDHUP;
    }
    if interest.writable {
        events |= libc::POLLOUT;
    }
    opcode::PollAdd::new(descriptor, u32::from(events.cast_unsigned())).build()
}

pub(super) fn completed<O: Probing>(interest: Interest, result: io::Result<u32>) -> Next<O> {
    let found = result.map(|events| {
        let has = |flags: i16| events & u32::from(flags.cast_unsigned()) != 0;
        let failed = has(libc::POLLERR | libc::POLLHUP);
        Interest {
            readable: interest.readable && (has(libc::POLLIN | libc::POLLRDHUP) || failed),
            writable: interest.writable && (has(libc::POLLOUT) || failed),
        }
    });
    match found {
        Ok(Interest { readable: false, writable: false }) => Next::Again(O::probe(interest)),
        found => Next::Over(Event::Ready(found)),
    }
}
