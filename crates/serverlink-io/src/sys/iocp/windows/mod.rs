//! The system's own calls.

mod device;
mod extension;
mod pipe;
mod sockets;
mod stream;
mod wine;

use std::{
    ffi::c_void,
    io,
    os::windows::io::{AsRawHandle, OwnedHandle},
    ptr,
    sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use socket2::{Domain, SockAddr, socklen_t};
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

pub(crate) use self::pipe::Pipe;
use self::{
    extension::{AcceptFunctions, Extension},
    stream::Stream,
};
use super::{
    errors,
    kernel::{Called, Handle, Nature, OPERATION_KEY, System},
    probe::Poll,
};
use crate::{Event, NamedPipe, sys::RawDescriptor};

/// Neither a packet upon success at once, nor an event that is set each time.
const SKIP_MODES: u8 = (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS | FILE_SKIP_SET_EVENT_ON_HANDLE) as u8;

/// An I/O completion port.
#[derive(Debug)]
pub(super) struct Kernel {
    port: HANDLE,
    /// Unlike any other's.
    number: u64,
    /// Where clients of pipes wait, opened for the first.
    names: OnceLock<OwnedHandle>,
}

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

/// What accepting takes.
#[derive(Clone, Copy)]
pub(super) enum Accepting {
    /// `AcceptEx`, and what its sockets are like.
    Socket { functions: AcceptFunctions, domain: Domain },
    /// `ConnectNamedPipe`.
    Pipe,
}

/// What connecting takes.
#[derive(Clone)]
pub(super) enum Connecting {
    /// `ConnectEx`.
    Socket(Extension<LPFN_CONNECTEX>),
    /// `CreateFile`, and the wait before it.
    Pipe(pipe::Connecting),
}

impl Kernel {
    /// Sends the completions of `handle` here.
    ///
    /// # Safety
    ///
    /// `handle` is open, and every overlapped operation issued on it from now on uses the
    /// `OVERLAPPED` of an `Operation`.
    unsafe fn associate_handle(&self, handle: HANDLE) -> io::Result<()> {
        // SAFETY: both handles are open.
        let port = unsafe { CreateIoCompletionPort(handle, self.port, OPERATION_KEY, 0) };
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
    type Socket = Stream;
    type Vector = WSABUF;

    fn new() -> io::Result<Self> {
        // One thread drives a port at a time, so one concurrent thread is right.
        // SAFETY: no handle is passed; a new port is asked for.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) };
        if port.is_null() {
            return Err(io::Error::last_os_error());
        }
        static PORTS: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only the numbers' being different matters.
        let number = PORTS.fetch_add(1, Ordering::Relaxed);
        Ok(Self { port, number, names: OnceLock::new() })
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn post(&self, key: usize) -> io::Result<()> {
        // SAFETY: the port is open; no `OVERLAPPED` goes with the packet.
        let posted = unsafe { PostQueuedCompletionStatus(self.port, 0, key, ptr::null()) };
        if posted == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn dequeue(&self, into: &mut [Packet], milliseconds: u32) -> Result<usize, u32> {
        let mut count = 0;
        // SAFETY: `into` is writable for as many entries as it has, of the same layout, and the
        // port is open.
        let dequeued = unsafe {
            GetQueuedCompletionStatusEx(
                self.port,
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

    fn looks_for_each_packet() -> bool {
        wine::is_here()
    }

    fn read(packet: &Packet) -> (usize, *mut OVERLAPPED, u32) {
        (packet.0.lpCompletionKey, packet.0.lpOverlapped, packet.0.dwNumberOfBytesTransferred)
    }

    fn associate(&self, stream: &Stream) -> io::Result<()> {
        match stream {
            // SAFETY: the socket is open and becomes the port's; only `Inner::submit` issues
            // operations.
            Stream::Socket(_) => unsafe { self.associate_handle(stream.handle() as HANDLE) },
            Stream::Pipe(pipe) => pipe.associate(self),
        }
    }

    fn skip_on_success(&self, stream: &Stream) -> bool {
        match stream {
            Stream::Socket(socket) => {
                let handle = stream.handle() as HANDLE;
                extension::has_system_handles(socket)
                    // SAFETY: the handle is open.
                    && unsafe { SetFileCompletionNotificationModes(handle, SKIP_MODES) } != 0
            }
            Stream::Pipe(pipe) => pipe.skip_on_success(),
        }
    }

    fn handle(stream: &Stream) -> Handle {
        stream.handle()
    }

    fn nature(stream: &Stream) -> Nature {
        stream.nature()
    }

    fn foreign(descriptor: RawDescriptor) -> Handle {
        descriptor as Handle
    }

    fn take_over(socket: socket2::Socket) -> Stream {
        Stream::Socket(socket)
    }

    fn hand_over(stream: Stream, peer: SockAddr) -> Event {
        match stream {
            Stream::Socket(socket) => Event::Accepted(Ok((socket, peer))),
            Stream::Pipe(pipe) => Event::AcceptedPipe(NamedPipe(pipe)),
        }
    }

    unsafe fn succeeded(overlapped: *const OVERLAPPED) -> bool {
        // SAFETY: the kernel is done with this memory (the caller's promise).
        unsafe { (*overlapped).Internal == 0 }
    }

    /// The status in the `OVERLAPPED` is an `NTSTATUS`; the provider translates it. However a wait
    /// for a pipe ended, the next look tells more.
    unsafe fn result(
        &self,
        handle: Handle,
        overlapped: *mut OVERLAPPED,
        device: bool,
    ) -> Result<u32, u32> {
        if self.names.get().is_some_and(|names| names.as_raw_handle() as Handle == handle) {
            return Ok(0);
        }
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
        nature: Nature,
        handle: Handle,
        vectors: *const WSABUF,
        count: u32,
        overlapped: *mut OVERLAPPED,
    ) -> Called {
        // SAFETY: the caller's promise, passed on.
        let called = unsafe {
            match nature {
                Nature::Socket => sockets::receive(handle, vectors, count, overlapped),
                Nature::Pipe => pipe::receive(handle, vectors, overlapped),
            }
        };
        wine::begun(handle, overlapped, &called);
        called
    }

    unsafe fn send(
        &self,
        nature: Nature,
        handle: Handle,
        vectors: *const WSABUF,
        count: u32,
        overlapped: *mut OVERLAPPED,
    ) -> Called {
        // SAFETY: the caller's promise, passed on.
        unsafe {
            match nature {
                Nature::Socket => {
                    let called = sockets::send(handle, vectors, count, overlapped);
                    wine::begun(handle, overlapped, &called);
                    called
                }
                Nature::Pipe => pipe::send(handle, vectors, overlapped),
            }
        }
    }

    fn accepting(&self, listener: &Stream) -> io::Result<Accepting> {
        match listener {
            Stream::Socket(listener) => Ok(Accepting::Socket {
                functions: extension::accept_functions(listener)?,
                domain: listener.local_addr()?.domain(),
            }),
            Stream::Pipe(_) => Ok(Accepting::Pipe),
        }
    }

    fn unconnected(&self, listener: &Stream, accepting: Accepting) -> io::Result<Stream> {
        match (listener, accepting) {
            (_, Accepting::Socket { domain, .. }) => {
                sockets::unconnected(domain).map(Stream::Socket)
            }
            (Stream::Pipe(listener), Accepting::Pipe) => listener.next(self).map(Stream::Pipe),
            (Stream::Socket(_), Accepting::Pipe) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn accept_on(listener: Handle, stream: &Stream) -> Handle {
        match stream {
            Stream::Socket(_) => listener,
            Stream::Pipe(instance) => instance.handle(),
        }
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
        // SAFETY: the caller's promise, passed on.
        unsafe {
            match accepting {
                Accepting::Socket { functions, .. } => {
                    sockets::accept(functions.accept, listener, socket, addresses, overlapped)
                }
                Accepting::Pipe => pipe::accept(socket, overlapped),
            }
        }
    }

    unsafe fn accepted(
        &self,
        listener: &Stream,
        accepting: Accepting,
        stream: &Stream,
        addresses: *mut sockets::Addresses,
    ) -> io::Result<SockAddr> {
        match (listener, accepting) {
            (_, Accepting::Socket { functions, .. }) => {
                let socket = stream.as_socket()?;
                sockets::update_accepted(listener.handle(), socket)?;
                // SAFETY: the accept has succeeded (the caller's promise).
                unsafe { sockets::peer(functions.addresses, socket, addresses) }
            }
            (Stream::Pipe(listener), Accepting::Pipe) => listener.accepted(),
            (Stream::Socket(_), Accepting::Pipe) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    fn connecting(&self, stream: &Stream, peer: &SockAddr) -> io::Result<Connecting> {
        match stream {
            Stream::Socket(socket) => {
                let function = extension::connect_function(socket)?;
                sockets::bind(socket, peer)?;
                Ok(Connecting::Socket(function))
            }
            Stream::Pipe(pipe) => pipe.connecting(peer).map(Connecting::Pipe),
        }
    }

    fn connect_on(&self, stream: &Stream) -> io::Result<Handle> {
        match stream {
            Stream::Socket(_) => Ok(stream.handle()),
            Stream::Pipe(_) => {
                if let Some(names) = self.names.get() {
                    return Ok(names.as_raw_handle() as Handle);
                }
                let names = pipe::names(self)?;
                Ok(self.names.get_or_init(|| names).as_raw_handle() as Handle)
            }
        }
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
        unsafe {
            match connecting {
                Connecting::Socket(function) => {
                    sockets::connect(function, socket, address.cast(), length, overlapped)
                }
                Connecting::Pipe(connecting) => {
                    connecting.connect(self, socket as HANDLE, overlapped)
                }
            }
        }
    }

    fn connected(&self, stream: &Stream) -> io::Result<bool> {
        match stream {
            Stream::Socket(_) => sockets::update_connected(stream.handle()).map(|()| true),
            Stream::Pipe(pipe) => Ok(pipe.is_connected()),
        }
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
        unsafe { CloseHandle(self.port) };
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
