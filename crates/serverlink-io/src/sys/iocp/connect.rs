//! `ConnectEx`.

use std::{ffi::c_void, io};

use socket2::{SockAddr, socklen_t};

use super::{
    kernel::{Called, Connecting, Handle, Kernel, Overlapped, Socket, System},
    operation::{Body, Next, Status},
    resources::Resources,
    shared::Shared,
};
use crate::Event;

/// Connects.
pub(super) struct Connect {
    connecting: Connecting,
    address: SockAddr,
}

impl Connect {
    pub(super) fn new(kernel: &Kernel, socket: &Socket, address: &SockAddr) -> io::Result<Self> {
        Ok(Self { connecting: kernel.connecting(socket, address)?, address: address.clone() })
    }

    /// The address is the body's, which stays where it is.
    pub(super) fn request(&self) -> Request {
        Request {
            connecting: self.connecting.clone(),
            address: self.address.as_ptr().cast(),
            length: self.address.len(),
        }
    }

    pub(super) fn completed(self, resources: &Resources, shared: &Shared, status: Status) -> Next {
        if status.error != 0 {
            return Next::Failed(Body::Connect(self), status.error);
        }
        match resources.socket().and_then(|socket| shared.kernel.connected(socket)) {
            Ok(true) => Next::Over(Event::Connected(Ok(()))),
            Ok(false) => Next::Further(Body::Connect(self)),
            Err(error) => Next::Over(Event::Connected(Err(error))),
        }
    }
}

/// The arguments of one call.
pub(super) struct Request {
    connecting: Connecting,
    address: *const c_void,
    length: socklen_t,
}

impl Request {
    /// # Safety
    ///
    /// See [`super::operation::Request::issue`].
    pub(super) unsafe fn issue(
        self,
        kernel: &Kernel,
        socket: Handle,
        overlapped: *mut Overlapped,
    ) -> Called {
        // SAFETY: the caller's promise, passed on; the address is the body's.
        unsafe { kernel.connect(socket, self.connecting, self.address, self.length, overlapped) }
    }
}
