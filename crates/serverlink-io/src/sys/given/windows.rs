//! Sockets that were made elsewhere, as Windows knows them.

use std::{
    io,
    os::windows::io::{AsRawSocket, BorrowedSocket, RawSocket},
    ptr,
};

use socket2::Socket;
use windows_sys::Win32::Networking::WinSock::{
    SIO_LOOPBACK_FAST_PATH, SO_ACCEPTCONN, SOCKET, SOCKET_ERROR, SOL_SOCKET, WSAEOPNOTSUPP,
    WSAGetLastError, WSAIoctl, getsockopt,
};

pub(crate) fn duplicate(descriptor: RawSocket) -> io::Result<Socket> {
    if descriptor == RawSocket::MAX {
        // `INVALID_SOCKET`, which is none.
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: it is not `INVALID_SOCKET`; the system is asked for a duplicate, and for nothing
    // else, and says so if there is no such socket.
    let socket = unsafe { BorrowedSocket::borrow_raw(descriptor) };
    Ok(socket.try_clone_to_owned()?.into())
}

pub(crate) fn listens(descriptor: RawSocket) -> io::Result<Option<bool>> {
    let mut value: i32 = 0;
    let mut length = size_of::<i32>() as i32;
    // SAFETY: there is room for a `BOOL`.
    let result = unsafe {
        getsockopt(
            descriptor as SOCKET,
            SOL_SOCKET,
            SO_ACCEPTCONN,
            (&raw mut value).cast(),
            &raw mut length,
        )
    };
    if result == SOCKET_ERROR { Err(last_error()) } else { Ok(Some(value != 0)) }
}

pub(crate) fn take_loopback_fast_path(socket: &Socket) -> io::Result<bool> {
    let (on, mut returned): (i32, u32) = (1, 0);
    // SAFETY: the control code takes a `BOOL` and gives nothing; it is no overlapped call.
    let result = unsafe {
        WSAIoctl(
            socket.as_raw_socket() as SOCKET,
            SIO_LOOPBACK_FAST_PATH,
            (&raw const on).cast(),
            size_of::<i32>() as u32,
            ptr::null_mut(),
            0,
            &raw mut returned,
            ptr::null_mut(),
            None,
        )
    };
    if result != SOCKET_ERROR {
        return Ok(true);
    }
    let error = last_error();
    if error.raw_os_error() == Some(WSAEOPNOTSUPP) { Ok(false) } else { Err(error) }
}

fn last_error() -> io::Error {
    // SAFETY: takes nothing.
    io::Error::from_raw_os_error(unsafe { WSAGetLastError() })
}
