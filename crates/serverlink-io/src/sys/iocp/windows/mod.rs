//! The system's own calls.

mod device;
mod extension;
mod sockets;

use std::{ffi::c_void, io, os::windows::io::AsRawSocket, ptr, time::Instant};

use socket2::{Domain, SockAddr, Socket, socklen_t};
use windows_sys::Win32::{
    Foundation::{CloseHandle, GetLastError, HANDLE, INVALID_HANDLE_VALUE},
    Networking::WinSock::{LPFN_CONNECTEX, WSABUF, WSAGetLastError, WSAGetOverlappedResult},
    Storage::FileSystem::SetFileCompletionNotificationModes,
    System::{
        IO::{
            CancelIoEx, CreateIoCompletionPort, GetOverlappedResult, GetQueuedCompletionStatusEx,
            OVERLAPPED, OVERLAPPED_ENTRY, PostQueuedCompletionStatus,
        },
        WindowsProgramming::{FILE_SKIP_COMPLETION_PORT_ON_SUCCESS, FILE_SKIP_SET_EVENT_ON_HANDLE},
    },
};

use self::extension::{AcceptFunctions, Extension};
use super::{
    errors,
    kernel::{Called, Handle, OPERATION_KEY, System},
    probe::Poll,
};
use crate::sys::RawDescriptor;

/// An I/O completion port.
#[derive(Debug)]
pub(super) struct Kernel(HANDLE);

// SAFETY: a completion port's handle may be used from any thread; that is its purpose.
unsafe impl Send for Kernel {}
// SAFETY: as above.
unsafe impl Sync for Kernel {}

/// One entry of the queue.
#[derive(Clone, Copy, Default)]
#[repr(transparent)]
pub(super) struct Packet(OVERLAPPED_ENTRY);

// SAFETY: a plain result; what it names is touched only by the turn that dequeued it.
unsafe impl Send for Packet {}

/// `AcceptEx`, and what its sockets are like.
#[derive(Clone, Copy)]
pub(super) struct Accepting {
    functions: AcceptFunctions,
    domain: Domain,
}

/// `ConnectEx`.
#[derive(Clone, Copy)]
pub(super) struct Connecting(Extension<LPFN_CONNECTEX>);

impl Kernel {
    /// Sends the completions of `handle` here.
    ///
    /// # Safety
    ///
    /// `handle` is open, and every overlapped operation issued on it from now on uses the
    /// `OVERLAPPED` of an `Operation`.
    unsafe fn associate_handle(&self, handle: HANDLE) -> io::Result<()> {
        // SAFETY: both handles are open.
        let port = unsafe { CreateIoCompletionPort(handle, self.0, OPERATION_KEY, 0) };
        if port.is_null() { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl System for Kernel {
    type Accepting = Accepting;
    type Addresses = sockets::Addresses;
    type Connecting = Connecting;
    type Device = device::Device;
    type Overlapped = OVERLAPPED;
    type Packet = Packet;
    type Socket = Socket;
    type Vector = WSABUF;

    fn new() -> io::Result<Self> {
        // One thread drives a port at a time, so one concurrent thread is right.
        // SAFETY: no handle is passed; a new port is asked for.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) };
        if port.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(port)) }
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn post(&self, key: usize) -> io::Result<()> {
        // SAFETY: the port is open; no `OVERLAPPED` goes with the packet.
        let posted = unsafe { PostQueuedCompletionStatus(self.0, 0, key, ptr::null()) };
        if posted == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn dequeue(&self, into: &mut [Packet], milliseconds: u32) -> Result<usize, u32> {
        let mut count = 0;
        // SAFETY: `into` is writable for as many entries as it has, of the same layout, and the
        // port is open.
        let dequeued = unsafe {
            GetQueuedCompletionStatusEx(
                self.0,
                into.as_mut_ptr().cast(),
                u32::try_from(into.len()).unwrap_or(u32::MAX),
                &mut count,
                milliseconds,
                0,
            )
        };
        if dequeued != 0 {
            return Ok(count as usize);
        }
        // SAFETY: reads a thread-local value.
        Err(unsafe { GetLastError() })
    }

    fn read(packet: &Packet) -> (usize, *mut OVERLAPPED, u32) {
        (packet.0.lpCompletionKey, packet.0.lpOverlapped, packet.0.dwNumberOfBytesTransferred)
    }

    fn associate(&self, socket: &Socket) -> io::Result<()> {
        // SAFETY: the socket is open and becomes the port's; only `Inner::submit` issues operations.
        unsafe { self.associate_handle(Self::handle(socket) as HANDLE) }
    }

    fn skip_on_success(&self, socket: &Socket) -> bool {
        let modes = (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE) as u8;
        extension::has_system_handles(socket)
            // SAFETY: the handle is open.
            && unsafe { SetFileCompletionNotificationModes(Self::handle(socket) as HANDLE, modes) } != 0
    }

    fn handle(socket: &Socket) -> Handle {
        socket.as_raw_socket() as Handle
    }

    fn foreign(descriptor: RawDescriptor) -> Handle {
        descriptor as Handle
    }

    fn take_over(socket: Socket) -> Socket {
        socket
    }

    fn hand_over(socket: Socket) -> Socket {
        socket
    }

    unsafe fn succeeded(overlapped: *const OVERLAPPED) -> bool {
        // SAFETY: the kernel is done with this memory (the caller's promise).
        unsafe { (*overlapped).Internal == 0 }
    }

    /// The status in the `OVERLAPPED` is an `NTSTATUS`; the provider translates it.
    unsafe fn result(
        &self,
        handle: Handle,
        overlapped: *mut OVERLAPPED,
        device: bool,
    ) -> Result<u32, u32> {
        let (mut bytes, mut flags) = (0, 0);
        // SAFETY: the handle is open, and the `OVERLAPPED` is that of an operation issued on it
        // that has ended (the caller's promise): the calls only read it. The error is a
        // thread-local value.
        let error = unsafe {
            if device {
                match GetOverlappedResult(handle as HANDLE, overlapped, &mut bytes, 0) {
                    0 => GetLastError(),
                    _ => 0,
                }
            } else {
                match WSAGetOverlappedResult(handle, overlapped, &mut bytes, 0, &mut flags) {
                    0 => WSAGetLastError().cast_unsigned(),
                    _ => 0,
                }
            }
        };
        if error == 0 { Ok(bytes) } else { Err(error) }
    }

    unsafe fn cancel(&self, handle: Handle, overlapped: *const OVERLAPPED) {
        // SAFETY: the handle is open if anything is pending on it (the caller's promise); the
        // `OVERLAPPED`'s address only names the operation.
        unsafe { CancelIoEx(handle as HANDLE, overlapped) };
    }

    fn vector(start: *mut u8, length: u32) -> WSABUF {
        WSABUF { len: length, buf: start }
    }

    unsafe fn receive(
        &self,
        socket: Handle,
        vectors: *const WSABUF,
        count: u32,
        overlapped: *mut OVERLAPPED,
    ) -> Called {
        // SAFETY: the caller's promise, passed on.
        unsafe { sockets::receive(socket, vectors, count, overlapped) }
    }

    unsafe fn send(
        &self,
        socket: Handle,
        vectors: *const WSABUF,
        count: u32,
        overlapped: *mut OVERLAPPED,
    ) -> Called {
        // SAFETY: the caller's promise, passed on.
        unsafe { sockets::send(socket, vectors, count, overlapped) }
    }

    fn accepting(&self, listener: &Socket) -> io::Result<Accepting> {
        Ok(Accepting {
            functions: extension::accept_functions(listener)?,
            domain: listener.local_addr()?.domain(),
        })
    }

    fn unconnected(&self, accepting: Accepting) -> io::Result<Socket> {
        sockets::unconnected(accepting.domain)
    }

    fn addresses() -> sockets::Addresses {
        sockets::Addresses::new()
    }

    unsafe fn accept(
        &self,
        listener: Handle,
        accepting: Accepting,
        socket: Handle,
        addresses: *mut sockets::Addresses,
        overlapped: *mut OVERLAPPED,
    ) -> Called {
        let function = accepting.functions.accept;
        // SAFETY: the caller's promise, passed on.
        unsafe { sockets::accept(function, listener, socket, addresses, overlapped) }
    }

    unsafe fn accepted(
        &self,
        listener: Handle,
        accepting: Accepting,
        socket: &Socket,
        addresses: *mut sockets::Addresses,
    ) -> io::Result<SockAddr> {
        sockets::update_accepted(listener, socket)?;
        // SAFETY: the accept has succeeded (the caller's promise).
        unsafe { sockets::peer(accepting.functions.addresses, socket, addresses) }
    }

    fn connecting(&self, socket: &Socket, peer: &SockAddr) -> io::Result<Connecting> {
        let function = extension::connect_function(socket)?;
        sockets::bind(socket, peer)?;
        Ok(Connecting(function))
    }

    unsafe fn connect(
        &self,
        socket: Handle,
        connecting: Connecting,
        address: *const c_void,
        length: socklen_t,
        overlapped: *mut OVERLAPPED,
    ) -> Called {
        // SAFETY: the caller's promise, passed on.
        unsafe { sockets::connect(connecting.0, socket, address.cast(), length, overlapped) }
    }

    fn connected(&self, socket: Handle) -> io::Result<()> {
        sockets::update_connected(socket)
    }

    fn device(&self) -> io::Result<device::Device> {
        device::Device::open(self)
    }

    fn device_handle(device: &device::Device) -> Handle {
        device.handle() as Handle
    }

    fn base(&self, socket: Handle) -> io::Result<Handle> {
        extension::base_socket(socket)
    }

    unsafe fn poll(&self, device: Handle, poll: *mut Poll, overlapped: *mut OVERLAPPED) -> Called {
        // SAFETY: the caller's promise, passed on.
        unsafe { device::poll(device as HANDLE, poll, overlapped) }
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // Nobody waits: a waiter borrows the port.
        // SAFETY: the handle is open and no longer used by us.
        unsafe { CloseHandle(self.0) };
    }
}

impl Called {
    /// From a Winsock function's result.
    fn from_winsock(success: bool, bytes: u32) -> Self {
        if success {
            return Self::Done(bytes as usize);
        }
        // SAFETY: reads a thread-local value.
        match unsafe { WSAGetLastError() }.cast_unsigned() {
            errors::IO_PENDING => Self::Pending,
            code => Self::Failed(code),
        }
    }
}
