//! `AcceptEx`.

use std::io;

use socket2::SockAddr;

use super::{
    errors,
    kernel::{Accepting, Addresses, Called, Handle, Kernel, Overlapped, Socket, System},
    operation::{Body, Next, Stable, Status},
    resources::Resources,
    shared::Shared,
};
use crate::Event;

/// Waits for one connection.
pub(super) struct Accept {
    accepting: Accepting,
    /// Becomes the connection; closed with the operation if there is none.
    socket: Socket,
    addresses: Stable<Addresses>,
}

impl Accept {
    pub(super) fn new(resources: &Resources, shared: &Shared) -> io::Result<Self> {
        let accepting = resources.accepting(&shared.kernel)?;
        Ok(Self {
            accepting,
            socket: shared.kernel.unconnected(resources.socket()?, accepting)?,
            addresses: Stable::new(Kernel::addresses()),
        })
    }

    /// What it is issued on.
    pub(super) fn target(&self, listener: Handle) -> Handle {
        Kernel::accept_on(listener, &self.socket)
    }

    pub(super) fn request(&self, listener: Handle) -> Request {
        Request {
            listener,
            accepting: self.accepting,
            socket: Kernel::handle(&self.socket),
            addresses: self.addresses.as_ptr(),
        }
    }

    pub(super) fn completed(self, listener: &Resources, shared: &Shared, status: Status) -> Next {
        if status.error != 0 {
            return Next::Failed(Body::Accept(self), status.error);
        }
        match self.finish(listener, shared) {
            Ok(peer) => Next::Over(Kernel::hand_over(self.socket, peer)),
            // It was accepted and is lost again already: wait for the next.
            Err(error) => Next::Failed(Body::Accept(self), errors::code_of(&error)),
        }
    }

    /// With a new socket: a failed attempt may have spoilt the old one.
    pub(super) fn again(self, listener: &Resources, shared: &Shared) -> Next {
        match Self::new(listener, shared) {
            Ok(accept) => Next::Further(Body::Accept(accept)),
            Err(error) => Next::Over(Event::Accepted(Err(error))),
        }
    }

    /// Makes the accepted socket a full one, and reads the peer's address.
    fn finish(&self, listener: &Resources, shared: &Shared) -> io::Result<SockAddr> {
        let addresses = self.addresses.as_ptr();
        let listener = listener.socket()?;
        // SAFETY: the accept succeeded with all of these.
        unsafe { shared.kernel.accepted(listener, self.accepting, &self.socket, addresses) }
    }
}

/// The arguments of one call.
pub(super) struct Request {
    listener: Handle,
    accepting: Accepting,
    socket: Handle,
    addresses: *mut Addresses,
}

impl Request {
    /// # Safety
    ///
    /// See [`super::operation::Request::issue`].
    pub(super) unsafe fn issue(self, kernel: &Kernel, overlapped: *mut Overlapped) -> Called {
        let Self { listener, accepting, socket, addresses } = self;
        // SAFETY: the caller's promise, passed on; the socket and the addresses are the body's.
        unsafe { kernel.accept(listener, accepting, socket, addresses, overlapped) }
    }
}
