//! What a socket's provider offers beside the common calls.

use std::{ffi::c_void, io, mem, os::windows::io::AsRawSocket, ptr};

use socket2::Socket;
use windows_sys::{
    Win32::Networking::WinSock::{
        LPFN_ACCEPTEX, LPFN_CONNECTEX, LPFN_GETACCEPTEXSOCKADDRS, SIO_BASE_HANDLE,
        SIO_GET_EXTENSION_FUNCTION_POINTER, SO_PROTOCOL_INFOW, SOCKET, SOCKET_ERROR, SOL_SOCKET,
        WSAID_ACCEPTEX, WSAID_CONNECTEX, WSAID_GETACCEPTEXSOCKADDRS, WSAIoctl, WSAPROTOCOL_INFOW,
        XP1_IFS_HANDLES, getsockopt,
    },
    core::GUID,
};

/// `AcceptEx` and its companion.
#[derive(Clone, Copy)]
pub(in crate::sys::iocp) struct AcceptFunctions {
    pub(super) accept: Extension<LPFN_ACCEPTEX>,
    pub(super) addresses: Extension<LPFN_GETACCEPTEXSOCKADDRS>,
}

/// A function pointer that is there.
pub(in crate::sys::iocp) type Extension<F> = <F as Present>::Function;

/// What an `Option` of a function pointer holds.
pub(in crate::sys::iocp) trait Present {
    /// The function pointer.
    type Function;
}

impl<F> Present for Option<F> {
    type Function = F;
}

/// Asks the provider of this very socket, as layered providers require: the exported `AcceptEx`
/// asks anew at each call.
pub(super) fn accept_functions(socket: &Socket) -> io::Result<AcceptFunctions> {
    // SAFETY: the identifiers are those of the types asked for.
    unsafe {
        Ok(AcceptFunctions {
            accept: function::<LPFN_ACCEPTEX>(socket, WSAID_ACCEPTEX)?.ok_or_else(missing)?,
            addresses: function::<LPFN_GETACCEPTEXSOCKADDRS>(socket, WSAID_GETACCEPTEXSOCKADDRS)?
                .ok_or_else(missing)?,
        })
    }
}

/// `ConnectEx`, which no library exports.
pub(super) fn connect_function(socket: &Socket) -> io::Result<Extension<LPFN_CONNECTEX>> {
    // SAFETY: the identifier is that of the type asked for.
    unsafe { function::<LPFN_CONNECTEX>(socket, WSAID_CONNECTEX)?.ok_or_else(missing) }
}

fn missing() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "the socket's provider lacks an extension function")
}

/// # Safety
///
/// `F` is the `Option` of a function pointer that `identifier` names.
unsafe fn function<F: Default>(socket: &Socket, identifier: GUID) -> io::Result<F> {
    let mut function = F::default();
    // SAFETY: the control code takes a GUID and gives a function pointer, which `F` has room for;
    // a null one is the `None` of an `Option` of a function pointer.
    unsafe {
        control(
            socket.as_raw_socket() as SOCKET,
            SIO_GET_EXTENSION_FUNCTION_POINTER,
            (&raw const identifier).cast(),
            mem::size_of::<GUID>(),
            (&raw mut function).cast(),
            mem::size_of::<F>(),
        )?;
    }
    Ok(function)
}

/// Whether the provider's handles are the file system's own, so that
/// `FILE_SKIP_COMPLETION_PORT_ON_SUCCESS` works on them (Microsoft's KB 2568167: with a layered
/// provider that lacks this, completions are lost).
pub(super) fn has_system_handles(socket: &Socket) -> bool {
    // SAFETY: an all-zero value is one of this plain structure.
    let mut information: WSAPROTOCOL_INFOW = unsafe { mem::zeroed() };
    let mut length = size_of_i32::<WSAPROTOCOL_INFOW>();
    // SAFETY: the option fills in this structure, whose size is given.
    let result = unsafe {
        getsockopt(
            socket.as_raw_socket() as SOCKET,
            SOL_SOCKET,
            SO_PROTOCOL_INFOW,
            (&raw mut information).cast(),
            &mut length,
        )
    };
    result == 0 && information.dwServiceFlags1 & XP1_IFS_HANDLES != 0
}

/// The socket of the base provider underneath any layers: only that is the device's.
pub(super) fn base_socket(socket: SOCKET) -> io::Result<SOCKET> {
    let mut base: SOCKET = 0;
    // SAFETY: the control code takes nothing and gives a socket, which `base` has room for.
    unsafe {
        control(
            socket,
            SIO_BASE_HANDLE,
            ptr::null(),
            0,
            (&raw mut base).cast(),
            mem::size_of::<SOCKET>(),
        )?;
    }
    Ok(base)
}

/// # Safety
///
/// `code` reads at most `input_length` bytes of `input` and writes at most `output_length` of
/// `output`.
unsafe fn control(
    socket: SOCKET,
    code: u32,
    input: *const c_void,
    input_length: usize,
    output: *mut c_void,
    output_length: usize,
) -> io::Result<()> {
    let mut written = 0;
    // SAFETY: the caller's promise; without an `OVERLAPPED` the call ends before it returns.
    let result = unsafe {
        WSAIoctl(
            socket,
            code,
            input,
            u32::try_from(input_length).unwrap_or(0),
            output,
            u32::try_from(output_length).unwrap_or(0),
            &mut written,
            ptr::null_mut(),
            None,
        )
    };
    if result == SOCKET_ERROR { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The size of a `T` as Winsock wants it.
pub(super) fn size_of_i32<T>() -> i32 {
    i32::try_from(mem::size_of::<T>()).expect("small structures only")
}
