//! Readiness of any socket, watched or registered.
//!
//! A foreign socket cannot be put on our port (its owner may have it on
//! another, and Windows allows it one), and a zero-byte `WSASend` says nothing
//! of writability. The device that all sockets of the system belong to answers
//! "poll" requests about any socket handle, as overlapped operations of the
//! device's own handle: that is how `WSAPoll` and `select` themselves are made.
//! So one handle of the device is on the port, and a probe is one operation on
//! it, with the same pending flag, cancellation and exactly-once completion as
//! every other. The answer is level-triggered: it comes at once if the socket
//! is ready.
//!
//! The request is not part of the documented interface, but libuv, wepoll and
//! mio have relied on it since Windows Vista, and Wine has it.

use std::io;

use super::{
    errors,
    kernel::{Called, Handle, Kernel, Overlapped, System},
    operation::{Body, Next, Stable, Status},
};
use crate::{Event, Interest};

/// The request's events.
const RECEIVE: u32 = 1 << 0;
const SEND: u32 = 1 << 2;
const DISCONNECT: u32 = 1 << 3;
const ABORT: u32 = 1 << 4;
const LOCAL_CLOSE: u32 = 1 << 5;
const ACCEPT: u32 = 1 << 7;
const CONNECT_FAIL: u32 = 1 << 8;

/// What makes a read not wait: data, the end, a connection, or an error.
const READABLE: u32 = RECEIVE | DISCONNECT | ABORT | ACCEPT | CONNECT_FAIL;
/// What makes a write not wait.
const WRITABLE: u32 = SEND | ABORT | CONNECT_FAIL;

/// `AFD_POLL_INFO` for one socket. The answer overwrites the question.
#[repr(C)]
pub(super) struct Poll {
    /// When to give up, in units of 100 ns; the greatest value means never.
    pub(super) timeout: i64,
    /// How many sockets are asked about; then, how many the answer tells of.
    pub(super) count: u32,
    pub(super) exclusive: u32,
    pub(super) socket: Handle,
    pub(super) events: u32,
    /// An `NTSTATUS`.
    pub(super) status: i32,
}

/// Waits for readiness.
pub(super) struct Probe {
    /// The socket underneath any layers: the device's own.
    socket: Handle,
    interest: Interest,
    poll: Stable<Poll>,
}

impl Probe {
    pub(super) fn new(kernel: &Kernel, socket: Handle, interest: Interest) -> io::Result<Self> {
        let socket = kernel.base(socket)?;
        let poll = Poll { timeout: i64::MAX, count: 1, exclusive: 0, socket, events: 0, status: 0 };
        Ok(Self { socket, interest, poll: Stable::new(poll) })
    }

    /// Whether it occupies both directions.
    pub(super) fn takes_both(&self) -> bool {
        self.interest.readable && self.interest.writable
    }

    pub(super) fn request(&mut self) -> Request {
        let mut events = LOCAL_CLOSE;
        if self.interest.readable {
            events |= READABLE;
        }
        if self.interest.writable {
            events |= WRITABLE;
        }
        let poll = self.poll.as_ptr();
        // SAFETY: no call is under way, so the memory is ours.
        unsafe {
            (*poll).timeout = i64::MAX;
            (*poll).count = 1;
            (*poll).socket = self.socket;
            (*poll).events = events;
            (*poll).status = 0;
        }
        Request { poll }
    }

    pub(super) fn completed(self, status: Status) -> Next {
        if status.error != 0 {
            return Next::Failed(Body::Probe(self), status.error);
        }
        // SAFETY: the kernel is done with it.
        let (count, events) = unsafe {
            let poll = self.poll.as_ptr();
            ((*poll).count, (*poll).events)
        };
        if count == 0 {
            return Next::Further(Body::Probe(self));
        }
        if events & LOCAL_CLOSE != 0 {
            return Next::Failed(Body::Probe(self), errors::NOT_A_SOCKET);
        }
        let ready = Interest {
            readable: self.interest.readable && events & READABLE != 0,
            writable: self.interest.writable && events & WRITABLE != 0,
        };
        if ready.readable || ready.writable {
            Next::Over(Event::Ready(Ok(ready)))
        } else {
            Next::Further(Body::Probe(self))
        }
    }
}

/// The arguments of one call.
pub(super) struct Request {
    poll: *mut Poll,
}

impl Request {
    /// # Safety
    ///
    /// See [`super::operation::Request::issue`].
    pub(super) unsafe fn issue(
        self,
        kernel: &Kernel,
        device: Handle,
        overlapped: *mut Overlapped,
    ) -> Called {
        // SAFETY: the caller's promise, passed on; the structure is the body's.
        unsafe { kernel.poll(device, self.poll, overlapped) }
    }
}
