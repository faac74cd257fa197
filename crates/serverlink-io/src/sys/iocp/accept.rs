//! `AcceptEx`.

use std::{io, mem, os::windows::io::AsRawSocket, ptr};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use windows_sys::Win32::{
    Networking::WinSock::{
        SO_UPDATE_ACCEPT_CONTEXT, SOCKADDR, SOCKADDR_STORAGE, SOCKET, SOL_SOCKET, setsockopt,
    },
    System::IO::OVERLAPPED,
};

use super::{
    errors,
    extension::{self, AcceptFunctions, size_of_i32},
    operation::{Body, Called, Next, Stable, Status},
    resources::Resources,
};
use crate::Event;

/// What `AcceptEx` wants for each address: 16 bytes more than the largest.
const ADDRESS: usize = mem::size_of::<SOCKADDR_STORAGE>() + 16;

/// Where `AcceptEx` writes the local and the remote address, in a format of its own.
#[repr(C, align(8))]
struct Addresses([u8; 2 * ADDRESS]);

/// What all accepts of one listener share.
pub(super) struct Listening {
    functions: AcceptFunctions,
    domain: Domain,
}

impl Listening {
    pub(super) fn new(listener: &Socket) -> io::Result<Self> {
        Ok(Self {
            functions: extension::accept_functions(listener)?,
            domain: listener.local_addr()?.domain(),
        })
    }
}

/// Waits for one connection.
pub(super) struct Accept {
    functions: AcceptFunctions,
    /// Becomes the connection; closed with the operation if there is none.
    socket: Socket,
    addresses: Stable<Addresses>,
}

impl Accept {
    pub(super) fn new(resources: &Resources) -> io::Result<Self> {
        let listening = resources.listening()?;
        let protocol =
            matches!(listening.domain, Domain::IPV4 | Domain::IPV6).then_some(Protocol::TCP);
        Ok(Self {
            functions: listening.functions,
            // Overlapped, and not inherited by child processes.
            socket: Socket::new(listening.domain, Type::STREAM, protocol)?,
            addresses: Stable::new(Addresses([0; 2 * ADDRESS])),
        })
    }

    pub(super) fn request(&self) -> Request {
        Request {
            functions: self.functions,
            socket: self.socket.as_raw_socket() as SOCKET,
            addresses: self.addresses.as_ptr(),
        }
    }

    pub(super) fn completed(self, listener: &Resources, status: Status) -> Next {
        if status.error != 0 {
            return Next::Failed(Body::Accept(self), status.error);
        }
        match self.finish(listener) {
            Ok(accepted) => Next::Over(Event::Accepted(Ok(accepted))),
            // It was accepted and is lost again already: wait for the next.
            Err((accept, error)) => Next::Failed(Body::Accept(accept), errors::code_of(&error)),
        }
    }

    /// With a new socket: a failed attempt may have spoilt the old one.
    pub(super) fn again(self, listener: &Resources) -> Next {
        match Self::new(listener) {
            Ok(accept) => Next::Further(Body::Accept(accept)),
            Err(error) => Next::Over(Event::Accepted(Err(error))),
        }
    }

    /// Makes the accepted socket a full one, and reads the peer's address.
    fn finish(self, listener: &Resources) -> Result<(Socket, SockAddr), (Self, io::Error)> {
        let listener = listener.raw();
        // Without this `shutdown`, `getpeername` and the rest fail on the socket.
        // SAFETY: the option's value is the listening socket, of the size given.
        let result = unsafe {
            setsockopt(
                self.socket.as_raw_socket() as SOCKET,
                SOL_SOCKET,
                SO_UPDATE_ACCEPT_CONTEXT,
                (&raw const listener).cast(),
                size_of_i32::<SOCKET>(),
            )
        };
        if result != 0 {
            return Err((self, io::Error::last_os_error()));
        }
        match self.peer() {
            Ok(peer) => Ok((self.socket, peer)),
            Err(error) => Err((self, error)),
        }
    }

    /// From what `AcceptEx` wrote: the connection may be gone again, and `getpeername` with it.
    fn peer(&self) -> io::Result<SockAddr> {
        let (mut local, mut remote): (*mut SOCKADDR, *mut SOCKADDR) =
            (ptr::null_mut(), ptr::null_mut());
        let (mut local_length, mut remote_length) = (0, 0);
        // SAFETY: `AcceptEx` filled the memory in with these very lengths.
        unsafe {
            (self.functions.addresses)(
                self.addresses.as_ptr().cast(),
                0,
                ADDRESS as u32,
                ADDRESS as u32,
                &mut local,
                &mut local_length,
                &mut remote,
                &mut remote_length,
            );
        }
        let length = usize::try_from(remote_length).unwrap_or(0);
        if remote.is_null() || length == 0 || length > mem::size_of::<SOCKADDR_STORAGE>() {
            return self.socket.peer_addr();
        }
        // SAFETY: `remote` points at `length` bytes within the addresses' memory, and the storage
        // has room for as many.
        let ((), peer) = unsafe {
            SockAddr::try_init(|storage, stored| {
                ptr::copy_nonoverlapping(remote.cast::<u8>(), storage.cast::<u8>(), length);
                *stored = remote_length;
                Ok(())
            })?
        };
        Ok(peer)
    }
}

/// The arguments of one call.
pub(super) struct Request {
    functions: AcceptFunctions,
    socket: SOCKET,
    addresses: *mut Addresses,
}

impl Request {
    /// # Safety
    ///
    /// See [`super::operation::Request::issue`].
    pub(super) unsafe fn issue(self, listener: SOCKET, overlapped: *mut OVERLAPPED) -> Called {
        let mut bytes = 0;
        // No first bytes are waited for: a silent peer would hold the accept up.
        // SAFETY: both sockets are open, and the addresses' memory stays (the caller's promise).
        let accepted = unsafe {
            (self.functions.accept)(
                listener,
                self.socket,
                self.addresses.cast(),
                0,
                ADDRESS as u32,
                ADDRESS as u32,
                &mut bytes,
                overlapped,
            )
        };
        Called::from_winsock(accepted != 0, bytes)
    }
}
