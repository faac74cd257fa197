//! Named pipes: their names, their instances, and the overlapped calls on them.
//!
//! A pipe has as many instances as it has connections, and one more, which waits for the next
//! client. A listener keeps that one until a client has it, and makes the following one before it
//! hands the connection over: so the name stays its own, and who comes meanwhile is not turned
//! away. Clients that come in between, when every instance has its client, wait for their turn as
//! an operation of the handle that all pipes' names are at, on the port like every other.

use std::{
    ffi::c_void,
    io, mem,
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle},
    path, ptr, slice,
    sync::{
        Arc, LazyLock, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use socket2::SockAddr;
use windows_sys::{
    Wdk::Storage::FileSystem::NtFsControlFile,
    Win32::{
        Foundation::{
            ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, GENERIC_READ, GENERIC_WRITE, GetLastError,
            HANDLE, INVALID_HANDLE_VALUE, RtlNtStatusToDosError, STATUS_PENDING,
        },
        Networking::WinSock::{SOCKADDR_UN, WSABUF},
        Security::{
            Authorization::{
                ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
            },
            PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES,
        },
        Storage::FileSystem::{
            CreateFileW, FILE_FLAG_FIRST_PIPE_INSTANCE, FILE_FLAG_OVERLAPPED, FILE_READ_ATTRIBUTES,
            FILE_SHARE_READ, FILE_SHARE_WRITE, OPEN_EXISTING, PIPE_ACCESS_DUPLEX, ReadFile,
            SECURITY_IDENTIFICATION, SECURITY_SQOS_PRESENT, SetFileCompletionNotificationModes,
            WriteFile,
        },
        System::{
            IO::{IO_STATUS_BLOCK, OVERLAPPED},
            Pipes::{
                ConnectNamedPipe, CreateNamedPipeW, PIPE_READMODE_BYTE, PIPE_REJECT_REMOTE_CLIENTS,
                PIPE_TYPE_BYTE, PIPE_UNLIMITED_INSTANCES, PIPE_WAIT, WaitNamedPipeW,
            },
        },
    },
    core::{BOOL, w},
};

use super::{Kernel, SKIP_MODES};
use crate::{
    lock::lock,
    sys::iocp::{
        errors,
        kernel::{Called, Handle},
    },
};

/// What all pipes' names begin with.
const NAMES: &str = r"\\.\pipe\";
/// What the names of ours begin with after that.
const OURS: &str = "serverlink|";
/// The longest name, as CreateNamedPipe's page has it, in UTF-16 units.
const LONGEST_NAME: usize = 256;
/// How many bytes a pipe takes each way before its writer waits.
const ROOM: u32 = 64 << 10;
/// How long a client waits at a time before it looks again, in units of 100 ns: a listener that is
/// gone might not end the wait, and under Wine neither does a cancellation.
const PATIENCE: i64 = 500_000;
/// `FSCTL_PIPE_WAIT`.
const WAIT: u32 = 0x0011_0018;

/// A named pipe: one that listens, or an end of one.
#[derive(Debug)]
pub(crate) enum Pipe {
    Listener(Listener),
    /// Of an accepted connection.
    Accepted(Arc<Instance>),
    Client(Arc<Client>),
}

/// A name that clients may come to.
#[derive(Debug)]
pub(crate) struct Listener {
    name: Name,
    address: SockAddr,
    /// For the next client, who may be there already; none, if it could not be made.
    next: Mutex<Option<Arc<Instance>>>,
    skips: AtomicBool,
}

/// An end that connects.
#[derive(Debug, Default)]
pub(crate) struct Client {
    instance: OnceLock<Instance>,
    address: OnceLock<SockAddr>,
    skips: AtomicBool,
}

/// One end of one connection, or what will be one.
#[derive(Debug)]
pub(crate) struct Instance {
    handle: OwnedHandle,
    /// The number of the port that it is on, for ever; zero if none.
    port: AtomicU64,
}

impl Pipe {
    /// A pipe that listens, at the name that stands for a path.
    pub(crate) fn listen(address: &SockAddr) -> io::Result<Self> {
        let name = Name::of(address)?;
        // Of two instances called the first, Wine 8 makes both.
        if name.is_taken() {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let first = match create(&name, FILE_FLAG_FIRST_PIPE_INSTANCE) {
            Err(error) if error.raw_os_error() == Some(ERROR_ACCESS_DENIED.cast_signed()) => {
                return Err(io::ErrorKind::AddrInUse.into());
            }
            first => first?,
        };
        Ok(Self::Listener(Listener {
            name,
            address: address.clone(),
            next: Mutex::new(Some(Arc::new(first))),
            skips: AtomicBool::new(false),
        }))
    }

    /// An end that may connect.
    pub(crate) fn unconnected() -> Self {
        Self::Client(Arc::default())
    }

    /// The handle, if it is the end of a connection.
    pub(crate) fn handle(&self) -> Handle {
        match self {
            Self::Listener(_) => 0,
            Self::Accepted(instance) => instance.handle(),
            Self::Client(client) => client.instance.get().map_or(0, Instance::handle),
        }
    }

    pub(super) fn associate(&self, kernel: &Kernel) -> io::Result<()> {
        match self {
            Self::Accepted(instance) => instance.associate(kernel),
            // Each handle is when there is one.
            Self::Listener(_) | Self::Client(_) => Ok(()),
        }
    }

    /// Asks for no packets upon success at once. They can be had from all pipes; those of an end
    /// that cannot are refused when it is made.
    pub(super) fn skip_on_success(&self) -> bool {
        match self {
            Self::Listener(listener) => listener.skips.store(true, Ordering::Release),
            Self::Client(client) => client.skips.store(true, Ordering::Release),
            Self::Accepted(instance) => return instance.skip_on_success().is_ok(),
        }
        true
    }

    pub(super) fn local_address(&self) -> io::Result<SockAddr> {
        match self {
            Self::Listener(listener) => Ok(listener.address.clone()),
            Self::Accepted(_) | Self::Client(_) => unnamed(),
        }
    }

    pub(super) fn peer_address(&self) -> io::Result<SockAddr> {
        match self {
            Self::Client(client) if client.instance.get().is_some() => {
                client.address.get().cloned().map_or_else(unnamed, Ok)
            }
            Self::Accepted(_) => unnamed(),
            Self::Listener(_) | Self::Client(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The instance that waits for the next client.
    pub(super) fn next(&self, kernel: &Kernel) -> io::Result<Self> {
        let Self::Listener(listener) = self else { return Err(io::ErrorKind::InvalidInput.into()) };
        let mut next = lock(&listener.next);
        let instance = match &*next {
            Some(instance) => Arc::clone(instance),
            None => Arc::clone(next.insert(Arc::new(create(&listener.name, 0)?))),
        };
        drop(next);
        instance.associate(kernel)?;
        if listener.skips.load(Ordering::Acquire) {
            instance.skip_on_success()?;
        }
        Ok(Self::Accepted(instance))
    }

    /// A client has the instance: makes another.
    pub(super) fn accepted(&self) -> io::Result<SockAddr> {
        if let Self::Listener(listener) = self {
            // If it cannot be made now, the next accept tries again, and tells why not.
            *lock(&listener.next) = create(&listener.name, 0).ok().map(Arc::new);
        }
        unnamed()
    }

    /// Prepares to connect.
    pub(super) fn connecting(&self, peer: &SockAddr) -> io::Result<Connecting> {
        match self {
            Self::Client(client) => {
                // A second attempt, which no end makes, would keep the first one's.
                let _ = client.address.set(peer.clone());
                Ok(Connecting { client: Arc::clone(client), name: Arc::new(Name::of(peer)?) })
            }
            Self::Listener(_) | Self::Accepted(_) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        self.handle() != 0
    }
}

impl Instance {
    fn new(handle: HANDLE) -> io::Result<Self> {
        if handle == INVALID_HANDLE_VALUE {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle is open and nobody else's.
        let handle = unsafe { OwnedHandle::from_raw_handle(handle) };
        Ok(Self { handle, port: AtomicU64::new(0) })
    }

    fn handle(&self) -> Handle {
        self.handle.as_raw_handle() as Handle
    }

    /// Puts it on a port, once and for ever.
    fn associate(&self, kernel: &Kernel) -> io::Result<()> {
        match self.port.compare_exchange(0, kernel.number, Ordering::AcqRel, Ordering::Acquire) {
            // SAFETY: it is open, and only `Inner::submit` issues operations on it.
            Ok(_) => unsafe { kernel.associate_handle(self.handle.as_raw_handle()) },
            Err(number) if number == kernel.number => Ok(()),
            Err(_) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an accepted named pipe stays with the port of its listener",
            )),
        }
    }

    fn skip_on_success(&self) -> io::Result<()> {
        // SAFETY: the handle is open.
        let set =
            unsafe { SetFileCompletionNotificationModes(self.handle.as_raw_handle(), SKIP_MODES) };
        if set == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

/// The address of who has none.
fn unnamed() -> io::Result<SockAddr> {
    SockAddr::unix("")
}

/// One more instance of a pipe, which clients may connect to from now on.
fn create(name: &Name, flags: u32) -> io::Result<Instance> {
    let attributes = SECURITY_ATTRIBUTES {
        nLength: u32::try_from(mem::size_of::<SECURITY_ATTRIBUTES>()).expect("a small structure"),
        lpSecurityDescriptor: ACCESS
            .as_ref()
            .map_err(|code| io::Error::from_raw_os_error(*code))?
            .0,
        bInheritHandle: 0,
    };
    // SAFETY: the name ends with a zero, and the attributes live until the call returns.
    Instance::new(unsafe {
        CreateNamedPipeW(
            name.0.as_ptr(),
            PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | flags,
            PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS,
            PIPE_UNLIMITED_INSTANCES,
            ROOM,
            ROOM,
            0,
            &raw const attributes,
        )
    })
}

/// Who may connect, and listen at the same name.
struct Access(PSECURITY_DESCRIPTOR);

// SAFETY: it is made once and only read from then on.
unsafe impl Send for Access {}
// SAFETY: as above.
unsafe impl Sync for Access {}

/// The owner, the system and administrators, as of a socket file that others may not write. What
/// the system takes by itself would let everyone connect, to read. Kept for ever; or the error code.
static ACCESS: LazyLock<Result<Access, i32>> = LazyLock::new(|| {
    let mut descriptor = ptr::null_mut();
    // SAFETY: the text ends with a zero, and the result goes where it may.
    let converted = unsafe {
        ConvertStringSecurityDescriptorToSecurityDescriptorW(
            w!("D:P(A;;GA;;;OW)(A;;GA;;;SY)(A;;GA;;;BA)"),
            SDDL_REVISION_1,
            &mut descriptor,
            ptr::null_mut(),
        )
    };
    if converted != 0 {
        return Ok(Access(descriptor));
    }
    // SAFETY: reads a thread-local value.
    Err(unsafe { GetLastError() }.cast_signed())
});

/// A pipe's name, with a zero at its end.
#[derive(Debug)]
struct Name(Vec<u16>);

impl Name {
    /// The name that stands for the path of a Unix domain socket: the whole path, with bars for
    /// backslashes, which a name must not have; no path has bars. Case matters in neither.
    fn of(address: &SockAddr) -> io::Result<Self> {
        let absolute = path::absolute(path_of(address)?)?;
        let Some(absolute) = absolute.to_str() else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let path = absolute.replace(['\\', '/'], "|");
        let mut name: Vec<u16> = [NAMES, OURS, &path].concat().encode_utf16().collect();
        if name.len() > LONGEST_NAME {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the whole path is too long for the name of a pipe, which has at most 256 characters",
            ));
        }
        name.push(0);
        Ok(Self(name))
    }

    /// Without what all names begin with.
    fn bare(&self) -> &[u16] {
        &self.0[NAMES.len()..self.0.len() - 1]
    }

    fn is_taken(&self) -> bool {
        // SAFETY: the name ends with a zero.
        let waited = unsafe { WaitNamedPipeW(self.0.as_ptr(), 1) };
        // SAFETY: reads a thread-local value.
        waited != 0 || unsafe { GetLastError() } != ERROR_FILE_NOT_FOUND
    }
}

/// The path in the address of a Unix domain socket.
fn path_of(address: &SockAddr) -> io::Result<&str> {
    if !address.is_unix() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let start = mem::offset_of!(SOCKADDR_UN, sun_path);
    let length = usize::try_from(address.len()).unwrap_or(0).saturating_sub(start);
    // SAFETY: an address is as long as it says.
    let bytes = unsafe { slice::from_raw_parts(address.as_ptr().byte_add(start).cast(), length) };
    let path: &[u8] = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    match str::from_utf8(path) {
        Ok(path) if !path.is_empty() => Ok(path),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// What connecting takes.
#[derive(Clone)]
pub(in crate::sys::iocp) struct Connecting {
    client: Arc<Client>,
    name: Arc<Name>,
}

impl Connecting {
    /// Connects, or begins to wait until an instance is free.
    ///
    /// # Safety
    ///
    /// See [`System`](crate::sys::iocp::kernel::System); `names` is the handle of all names.
    pub(super) unsafe fn connect(
        &self,
        kernel: &Kernel,
        names: HANDLE,
        overlapped: *mut OVERLAPPED,
    ) -> Called {
        match self.open(kernel) {
            Ok(()) => Called::Ended,
            Err(error) => match errors::code_of(&error) {
                // SAFETY: the caller's promise.
                errors::PIPE_BUSY => unsafe { self.wait(names, overlapped) },
                code => Called::Failed(code),
            },
        }
    }

    /// The call does not wait: an instance is free, or not.
    fn open(&self, kernel: &Kernel) -> io::Result<()> {
        // The server, who might be anybody's, may know who we are, and not act as if it were us.
        let flags = FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION;
        // SAFETY: the name ends with a zero.
        let instance = Instance::new(unsafe {
            CreateFileW(
                self.name.0.as_ptr(),
                GENERIC_READ | GENERIC_WRITE,
                0,
                ptr::null(),
                OPEN_EXISTING,
                flags,
                ptr::null_mut(),
            )
        })?;
        instance.associate(kernel)?;
        if self.client.skips.load(Ordering::Acquire) {
            instance.skip_on_success()?;
        }
        // One connected already stays as it is.
        self.client.instance.set(instance).map_err(|_| io::ErrorKind::InvalidInput.into())
    }

    /// What `WaitNamedPipe` does, but does not wait for.
    ///
    /// # Safety
    ///
    /// See [`connect`](Self::connect).
    unsafe fn wait(&self, names: HANDLE, overlapped: *mut OVERLAPPED) -> Called {
        /// `FILE_PIPE_WAIT_FOR_BUFFER`.
        #[repr(C)]
        struct Request {
            timeout: i64,
            length: u32,
            timed: u8,
            name: [u16; LONGEST_NAME],
        }

        let bare = self.name.bare();
        let bytes = mem::size_of_val(bare);
        let mut request = Request {
            // Relative, as it is below zero.
            timeout: -PATIENCE,
            length: u32::try_from(bytes).expect("a short name"),
            timed: 1,
            name: [0; LONGEST_NAME],
        };
        request.name[..bare.len()].copy_from_slice(bare);
        let length = mem::offset_of!(Request, name) + bytes;
        // SAFETY: the first two words of an `OVERLAPPED` are the status block of its operation,
        // whose memory is the kernel's now (the caller's promise); the request is captured within
        // the call.
        let status = unsafe {
            (*overlapped).Internal = STATUS_PENDING as usize;
            NtFsControlFile(
                names,
                ptr::null_mut(),
                None,
                overlapped.cast_const().cast::<c_void>(),
                overlapped.cast::<IO_STATUS_BLOCK>(),
                WAIT,
                (&raw const request).cast(),
                u32::try_from(length).expect("a small structure"),
                ptr::null_mut(),
                0,
            )
        };
        if status >= 0 {
            // Of this handle, success at once brings a packet.
            return Called::Pending;
        }
        // SAFETY: it computes a number from a number.
        Called::Failed(unsafe { RtlNtStatusToDosError(status) })
    }
}

/// The handle that all names are at, on the port: what a client waits at for its turn.
pub(super) fn names(kernel: &Kernel) -> io::Result<OwnedHandle> {
    // SAFETY: the name ends with a zero.
    let names = Instance::new(unsafe {
        CreateFileW(
            w!(r"\\.\pipe\"),
            FILE_READ_ATTRIBUTES,
            FILE_SHARE_READ | FILE_SHARE_WRITE,
            ptr::null(),
            OPEN_EXISTING,
            FILE_FLAG_OVERLAPPED,
            ptr::null_mut(),
        )
    })?;
    names.associate(kernel)?;
    Ok(names.handle)
}

/// # Safety
///
/// See [`System`](crate::sys::iocp::kernel::System).
pub(super) unsafe fn accept(instance: Handle, overlapped: *mut OVERLAPPED) -> Called {
    // SAFETY: the caller's promise.
    let connected = unsafe { ConnectNamedPipe(instance as HANDLE, overlapped) };
    match Called::from_file(connected != 0, 0) {
        // It may have written something before it left.
        Called::Failed(errors::PIPE_CONNECTED | errors::NO_DATA) => Called::Ended,
        called => called,
    }
}

/// # Safety
///
/// See [`System`](crate::sys::iocp::kernel::System).
pub(super) unsafe fn receive(
    pipe: Handle,
    vectors: *const WSABUF,
    overlapped: *mut OVERLAPPED,
) -> Called {
    let read = |pipe, WSABUF { len, buf }, bytes: &mut u32| {
        // SAFETY: the memory stays, and is nobody else's (the caller's promise).
        unsafe { ReadFile(pipe, buf, len, bytes, overlapped) }
    };
    // SAFETY: the caller's promise.
    unsafe { transfer(pipe, vectors, read) }
}

/// # Safety
///
/// See [`System`](crate::sys::iocp::kernel::System).
pub(super) unsafe fn send(
    pipe: Handle,
    vectors: *const WSABUF,
    overlapped: *mut OVERLAPPED,
) -> Called {
    let write = |pipe, WSABUF { len, buf }, bytes: &mut u32| {
        // SAFETY: the memory stays (the caller's promise), and is only read.
        unsafe { WriteFile(pipe, buf, len, bytes, overlapped) }
    };
    // SAFETY: the caller's promise.
    unsafe { transfer(pipe, vectors, write) }
}

/// Has `call` read into the one buffer or write it, and tell how many bytes went if that is over at once.
///
/// # Safety
///
/// There is a vector.
unsafe fn transfer(
    pipe: Handle,
    vectors: *const WSABUF,
    call: impl FnOnce(HANDLE, WSABUF, &mut u32) -> BOOL,
) -> Called {
    if pipe == 0 {
        return Called::Failed(errors::NOT_CONNECTED);
    }
    let mut bytes = 0;
    // SAFETY: the caller's promise.
    let moved = call(pipe as HANDLE, unsafe { *vectors }, &mut bytes);
    Called::from_file(moved != 0, bytes)
}

impl Called {
    /// From the result of a function on files.
    fn from_file(success: bool, bytes: u32) -> Self {
        if success {
            return Self::Done(bytes as usize);
        }
        // SAFETY: reads a thread-local value.
        match unsafe { GetLastError() } {
            errors::IO_PENDING => Self::Pending,
            code => Self::Failed(code),
        }
    }
}
