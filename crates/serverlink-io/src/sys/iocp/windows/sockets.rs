//! The overlapped calls on sockets.

use std::{
    io, mem,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    os::windows::io::AsRawSocket,
    ptr,
};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use windows_sys::Win32::{
    Networking::WinSock::{
        LPFN_ACCEPTEX, LPFN_CONNECTEX, LPFN_GETACCEPTEXSOCKADDRS, SO_REUSE_UNICASTPORT,
        SO_UPDATE_ACCEPT_CONTEXT, SO_UPDATE_CONNECT_CONTEXT, SOCKADDR, SOCKADDR_STORAGE, SOCKET,
        SOL_SOCKET, WSABUF, WSAEINVAL, WSARecv, WSASend, setsockopt,
    },
    System::IO::OVERLAPPED,
};

use super::extension::{Extension, size_of_i32};
use crate::sys::iocp::kernel::Called;

/// What `AcceptEx` wants for each address: 16 bytes more than the largest.
const ADDRESS: usize = mem::size_of::<SOCKADDR_STORAGE>() + 16;

/// Where `AcceptEx` writes the local and the remote address, in a format of its own.
#[repr(C, align(8))]
pub(in crate::sys::iocp) struct Addresses([u8; 2 * ADDRESS]);

impl Addresses {
    pub(super) fn new() -> Self {
        Self([0; 2 * ADDRESS])
    }
}

/// # Safety
///
/// See [`System`](crate::sys::iocp::kernel::System).
pub(super) unsafe fn receive(
    socket: SOCKET,
    vectors: *const WSABUF,
    count: u32,
    overlapped: *mut OVERLAPPED,
) -> Called {
    let (mut bytes, mut flags) = (0, 0);
    // SAFETY: the socket is open and the buffers stay (the caller's promise); the count is read
    // only if the call succeeds at once.
    let result =
        unsafe { WSARecv(socket, vectors, count, &mut bytes, &mut flags, overlapped, None) };
    Called::from_winsock(result == 0, bytes)
}

/// # Safety
///
/// See [`System`](crate::sys::iocp::kernel::System).
pub(super) unsafe fn send(
    socket: SOCKET,
    vectors: *const WSABUF,
    count: u32,
    overlapped: *mut OVERLAPPED,
) -> Called {
    let mut bytes = 0;
    // SAFETY: the socket is open and the buffers stay (the caller's promise), and are only read;
    // the count is read only if the call succeeds at once.
    let result = unsafe { WSASend(socket, vectors, count, &mut bytes, 0, overlapped, None) };
    Called::from_winsock(result == 0, bytes)
}

/// A socket for a listener of `domain`: overlapped, and not inherited by child processes.
pub(super) fn unconnected(domain: Domain) -> io::Result<Socket> {
    let protocol = matches!(domain, Domain::IPV4 | Domain::IPV6).then_some(Protocol::TCP);
    Socket::new(domain, Type::STREAM, protocol)
}

/// # Safety
///
/// See [`System`](crate::sys::iocp::kernel::System).
pub(super) unsafe fn accept(
    function: Extension<LPFN_ACCEPTEX>,
    listener: SOCKET,
    socket: SOCKET,
    addresses: *mut Addresses,
    overlapped: *mut OVERLAPPED,
) -> Called {
    let mut bytes = 0;
    // No first bytes are waited for: a silent peer would hold the accept up.
    // SAFETY: both sockets are open, and the addresses' memory stays (the caller's promise).
    let accepted = unsafe {
        function(
            listener,
            socket,
            addresses.cast(),
            0,
            ADDRESS as u32,
            ADDRESS as u32,
            &mut bytes,
            overlapped,
        )
    };
    Called::from_winsock(accepted != 0, bytes)
}

/// Without this `shutdown`, `getpeername` and the rest fail on the socket.
pub(super) fn update_accepted(listener: SOCKET, socket: &Socket) -> io::Result<()> {
    // SAFETY: the option's value is the listening socket, of the size given.
    let result = unsafe {
        setsockopt(
            socket.as_raw_socket() as SOCKET,
            SOL_SOCKET,
            SO_UPDATE_ACCEPT_CONTEXT,
            (&raw const listener).cast(),
            size_of_i32::<SOCKET>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// From what `AcceptEx` wrote: the connection may be gone again, and `getpeername` with it.
///
/// # Safety
///
/// `AcceptEx` accepted `socket` and filled `addresses` in.
pub(super) unsafe fn peer(
    function: Extension<LPFN_GETACCEPTEXSOCKADDRS>,
    socket: &Socket,
    addresses: *mut Addresses,
) -> io::Result<SockAddr> {
    let (mut local, mut remote): (*mut SOCKADDR, *mut SOCKADDR) =
        (ptr::null_mut(), ptr::null_mut());
    let (mut local_length, mut remote_length) = (0, 0);
    // SAFETY: `AcceptEx` filled the memory in with these very lengths.
    unsafe {
        function(
            addresses.cast(),
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
        return socket.peer_addr();
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

/// Binds the socket if its owner has not: `ConnectEx` refuses an unbound one.
pub(super) fn bind(socket: &Socket, peer: &SockAddr) -> io::Result<()> {
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

/// # Safety
///
/// See [`System`](crate::sys::iocp::kernel::System).
pub(super) unsafe fn connect(
    function: Extension<LPFN_CONNECTEX>,
    socket: SOCKET,
    address: *const SOCKADDR,
    length: i32,
    overlapped: *mut OVERLAPPED,
) -> Called {
    let mut bytes = 0;
    // SAFETY: the socket is open and the address stays (the caller's promise); nothing is sent
    // along.
    let connected =
        unsafe { function(socket, address, length, ptr::null(), 0, &mut bytes, overlapped) };
    Called::from_winsock(connected != 0, bytes)
}

/// Without this `shutdown`, `getpeername` and the rest fail on the socket.
pub(super) fn update_connected(socket: SOCKET) -> io::Result<()> {
    // SAFETY: the option takes no value.
    let result =
        unsafe { setsockopt(socket, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, ptr::null(), 0) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
