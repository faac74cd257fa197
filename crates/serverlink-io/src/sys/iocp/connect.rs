//! `ConnectEx`.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::windows::io::AsRawSocket,
    ptr,
};

use socket2::{Domain, SockAddr, Socket};
use windows_sys::Win32::{
    Networking::WinSock::{
        LPFN_CONNECTEX, SO_REUSE_UNICASTPORT, SO_UPDATE_CONNECT_CONTEXT, SOCKADDR, SOCKET,
        SOL_SOCKET, WSAEINVAL, setsockopt,
    },
    System::IO::OVERLAPPED,
};

use super::{
    extension::{self, Extension, size_of_i32},
    operation::{Body, Called, Next, Status},
    resources::Resources,
};
use crate::Event;

/// Connects.
pub(super) struct Connect {
    function: Extension<LPFN_CONNECTEX>,
    address: SockAddr,
}

impl Connect {
    pub(super) fn new(socket: &Socket, address: &SockAddr) -> io::Result<Self> {
        let function = extension::connect_function(socket)?;
        bind(socket, address)?;
        Ok(Self { function, address: address.clone() })
    }

    /// The address is the body's, which stays where it is.
    pub(super) fn request(&self) -> Request {
        Request {
            function: self.function,
            address: self.address.as_ptr().cast(),
            length: self.address.len(),
        }
    }

    pub(super) fn completed(self, resources: &Resources, status: Status) -> Next {
        if status.error != 0 {
            return Next::Failed(Body::Connect(self), status.error);
        }
        // Without this `shutdown`, `getpeername` and the rest fail on the socket.
        // SAFETY: the option takes no value.
        let result = unsafe {
            setsockopt(resources.raw(), SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, ptr::null(), 0)
        };
        let updated = if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
        Next::Over(Event::Connected(updated))
    }
}

/// Binds the socket if its owner has not: `ConnectEx` refuses an unbound one.
fn bind(socket: &Socket, peer: &SockAddr) -> io::Result<()> {
    if peer.domain() == Domain::UNIX {
        return bind_unnamed(socket);
    }
    if socket.local_addr().is_ok() {
        return Ok(());
    }
    let wildcard: SocketAddr = match peer.domain() {
        Domain::IPV4 => (Ipv4Addr::UNSPECIFIED, 0).into(),
        Domain::IPV6 => (Ipv6Addr::UNSPECIFIED, 0).into(),
        // What else there is connects unbound, or says why not.
        _ => return Ok(()),
    };
    let yes = 1_u32;
    // Lets the system choose the port at the time of the connect, from all that are free towards
    // this peer. Best effort: it is an option since Windows 10.
    // SAFETY: the option's value is a 32-bit flag, of the size given.
    unsafe {
        setsockopt(
            socket.as_raw_socket() as SOCKET,
            SOL_SOCKET,
            SO_REUSE_UNICASTPORT,
            (&raw const yes).cast(),
            size_of_i32::<u32>(),
        );
    }
    socket.bind(&wildcard.into())
}

/// A Unix domain socket is bound to a name of no bytes, which nobody else can find. It may have a
/// local address without being bound.
fn bind_unnamed(socket: &Socket) -> io::Result<()> {
    match socket.bind(&SockAddr::unix("")?) {
        // Its owner has bound it.
        Err(error) if error.raw_os_error() == Some(WSAEINVAL) => Ok(()),
        bound => bound,
    }
}

/// The arguments of one call.
pub(super) struct Request {
    function: Extension<LPFN_CONNECTEX>,
    address: *const SOCKADDR,
    length: i32,
}

impl Request {
    /// # Safety
    ///
    /// See [`super::operation::Request::issue`].
    pub(super) unsafe fn issue(self, socket: SOCKET, overlapped: *mut OVERLAPPED) -> Called {
        let mut bytes = 0;
        // SAFETY: the socket is open and the address stays (the caller's promise); nothing is sent
        // along.
        let connected = unsafe {
            (self.function)(
                socket,
                self.address,
                self.length,
                ptr::null(),
                0,
                &mut bytes,
                overlapped,
            )
        };
        Called::from_winsock(connected != 0, bytes)
    }
}
