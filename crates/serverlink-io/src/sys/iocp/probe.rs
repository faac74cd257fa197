//! Readiness of any socket, watched or registered.
//!
//! A foreign socket cannot be put on our port (its owner may have it on
//! another, and Windows allows it one), and a zero-byte `WSASend` says nothing
//! of writability. The device that all sockets of the system belong to answers
//! "poll" requests about any socket handle, as overlapped operations of the
//! device's own handle: that is how `WSAPoll` and `select` themselves are made.
//! So one handle of the device is on the port, and a probe is one operation on
//! it, with the same pending flag, cancellation and exactly-once completion as
//! every other. The answer is level-triggered: it comes at once if the socket
//! is ready.
//!
//! The request is not part of the documented interface, but libuv, wepoll and
//! mio have relied on it since Windows Vista, and Wine has it.

use std::{
    io, mem,
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle},
    ptr,
};

use windows_sys::{
    Wdk::{
        Foundation::OBJECT_ATTRIBUTES,
        Storage::FileSystem::{FILE_OPEN, NtCreateFile},
    },
    Win32::{
        Foundation::{HANDLE, NTSTATUS, RtlNtStatusToDosError, UNICODE_STRING},
        Networking::WinSock::SOCKET,
        Storage::FileSystem::{
            FILE_SHARE_READ, FILE_SHARE_WRITE, SYNCHRONIZE, SetFileCompletionNotificationModes,
        },
        System::{
            IO::{DeviceIoControl, IO_STATUS_BLOCK, OVERLAPPED},
            WindowsProgramming::FILE_SKIP_SET_EVENT_ON_HANDLE,
        },
    },
};

use super::{
    errors, extension,
    operation::{Body, Called, Next, Stable, Status},
    port::CompletionPort,
};
use crate::{Event, Interest};

/// `IOCTL_AFD_POLL`.
const POLL: u32 = 0x0001_2024;

/// The request's events.
const RECEIVE: u32 = 1 << 0;
const SEND: u32 = 1 << 2;
const DISCONNECT: u32 = 1 << 3;
const ABORT: u32 = 1 << 4;
const LOCAL_CLOSE: u32 = 1 << 5;
const ACCEPT: u32 = 1 << 7;
const CONNECT_FAIL: u32 = 1 << 8;

/// What makes a read not wait: data, the end, a connection, or an error.
const READABLE: u32 = RECEIVE | DISCONNECT | ABORT | ACCEPT | CONNECT_FAIL;
/// What makes a write not wait.
const WRITABLE: u32 = SEND | ABORT | CONNECT_FAIL;

/// `AFD_POLL_INFO` for one socket. The answer overwrites the question.
#[repr(C)]
struct Poll {
    timeout: i64,
    count: u32,
    exclusive: u32,
    socket: HANDLE,
    events: u32,
    status: NTSTATUS,
}

/// The device's handle on the port.
pub(super) struct Device(OwnedHandle);

impl Device {
    /// Opens the device and puts it on the port.
    pub(super) fn open(port: &CompletionPort) -> io::Result<Self> {
        let mut path: Vec<u16> = r"\Device\Afd\ServerLink".encode_utf16().collect();
        let length = u16::try_from(mem::size_of_val(path.as_slice())).expect("a short path");
        let name =
            UNICODE_STRING { Length: length, MaximumLength: length, Buffer: path.as_mut_ptr() };
        let attributes = OBJECT_ATTRIBUTES {
            Length: u32::try_from(mem::size_of::<OBJECT_ATTRIBUTES>()).expect("a small structure"),
            RootDirectory: ptr::null_mut(),
            ObjectName: &raw const name,
            Attributes: 0,
            SecurityDescriptor: ptr::null(),
            SecurityQualityOfService: ptr::null(),
        };
        let mut handle: HANDLE = ptr::null_mut();
        let mut block = IO_STATUS_BLOCK::default();
        // SAFETY: all that is pointed to lives until the call returns, which ends it: opening a
        // device is synchronous.
        let status = unsafe {
            NtCreateFile(
                &mut handle,
                SYNCHRONIZE,
                &attributes,
                &mut block,
                ptr::null(),
                0,
                FILE_SHARE_READ | FILE_SHARE_WRITE,
                FILE_OPEN,
                0,
                ptr::null(),
                0,
            )
        };
        if status < 0 {
            // SAFETY: it computes a number from a number.
            let code = unsafe { RtlNtStatusToDosError(status) };
            return Err(io::Error::from_raw_os_error(code.cast_signed()));
        }
        // SAFETY: the handle is open and nobody else's.
        let device = unsafe { OwnedHandle::from_raw_handle(handle) };
        // SAFETY: it is open, and the only operations issued on it are probes'.
        unsafe { port.associate(handle)? };
        // Best effort: it only saves the kernel work. Packets are not skipped: a probe that is
        // answered at once is answered through the port as well.
        // SAFETY: the handle is open.
        unsafe { SetFileCompletionNotificationModes(handle, FILE_SKIP_SET_EVENT_ON_HANDLE as u8) };
        Ok(Self(device))
    }

    pub(super) fn handle(&self) -> HANDLE {
        self.0.as_raw_handle()
    }
}

/// Waits for readiness.
pub(super) struct Probe {
    /// The socket underneath any layers: the device's own.
    socket: SOCKET,
    interest: Interest,
    poll: Stable<Poll>,
}

impl Probe {
    pub(super) fn new(socket: SOCKET, interest: Interest) -> io::Result<Self> {
        let poll = Poll {
            timeout: i64::MAX,
            count: 1,
            exclusive: 0,
            socket: ptr::null_mut(),
            events: 0,
            status: 0,
        };
        Ok(Self { socket: extension::base_socket(socket)?, interest, poll: Stable::new(poll) })
    }

    /// Whether it occupies both directions.
    pub(super) fn takes_both(&self) -> bool {
        self.interest.readable && self.interest.writable
    }

    pub(super) fn request(&mut self) -> Request {
        let mut events = LOCAL_CLOSE;
        if self.interest.readable {
            events |= READABLE;
        }
        if self.interest.writable {
            events |= WRITABLE;
        }
        let poll = self.poll.as_ptr();
        // SAFETY: no call is under way, so the memory is ours.
        unsafe {
            (*poll).timeout = i64::MAX;
            (*poll).count = 1;
            (*poll).socket = self.socket as HANDLE;
            (*poll).events = events;
            (*poll).status = 0;
        }
        Request { poll }
    }

    pub(super) fn completed(self, status: Status) -> Next {
        if status.error != 0 {
            return Next::Failed(Body::Probe(self), status.error);
        }
        // SAFETY: the kernel is done with it.
        let (count, events) = unsafe {
            let poll = self.poll.as_ptr();
            ((*poll).count, (*poll).events)
        };
        if count == 0 {
            return Next::Further(Body::Probe(self));
        }
        if events & LOCAL_CLOSE != 0 {
            return Next::Failed(Body::Probe(self), errors::NOT_A_SOCKET);
        }
        let ready = Interest {
            readable: self.interest.readable && events & READABLE != 0,
            writable: self.interest.writable && events & WRITABLE != 0,
        };
        if ready.readable || ready.writable {
            Next::Over(Event::Ready(Ok(ready)))
        } else {
            Next::Further(Body::Probe(self))
        }
    }
}

/// The arguments of one call.
pub(super) struct Request {
    poll: *mut Poll,
}

impl Request {
    /// # Safety
    ///
    /// See [`super::operation::Request::issue`].
    pub(super) unsafe fn issue(self, device: HANDLE, overlapped: *mut OVERLAPPED) -> Called {
        let size = u32::try_from(mem::size_of::<Poll>()).expect("a small structure");
        let poll = self.poll.cast();
        // SAFETY: the device is open, and the structure, of the size given, stays (the caller's
        // promise).
        let done = unsafe {
            DeviceIoControl(device, POLL, poll, size, poll, size, ptr::null_mut(), overlapped)
        };
        if done != 0 {
            return Called::Done(0);
        }
        // SAFETY: reads a thread-local value.
        match unsafe { windows_sys::Win32::Foundation::GetLastError() } {
            errors::IO_PENDING => Called::Pending,
            code => Called::Failed(code),
        }
    }
}
