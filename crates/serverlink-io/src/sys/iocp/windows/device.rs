//! The device that all sockets belong to.

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
        Foundation::{GetLastError, HANDLE, RtlNtStatusToDosError, UNICODE_STRING},
        Storage::FileSystem::{
            FILE_SHARE_READ, FILE_SHARE_WRITE, SYNCHRONIZE, SetFileCompletionNotificationModes,
        },
        System::{
            IO::{DeviceIoControl, IO_STATUS_BLOCK, OVERLAPPED},
            WindowsProgramming::FILE_SKIP_SET_EVENT_ON_HANDLE,
        },
    },
};

use super::Kernel;
use crate::sys::iocp::{errors, kernel::Called, probe::Poll};

/// `IOCTL_AFD_POLL`.
const POLL: u32 = 0x0001_2024;

/// The device's handle on the port.
pub(in crate::sys::iocp) struct Device(OwnedHandle);

impl Device {
    /// Opens the device and puts it on the port.
    pub(super) fn open(port: &Kernel) -> io::Result<Self> {
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
        unsafe { port.associate_handle(handle)? };
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

/// # Safety
///
/// See [`System`](crate::sys::iocp::kernel::System).
pub(super) unsafe fn poll(device: HANDLE, poll: *mut Poll, overlapped: *mut OVERLAPPED) -> Called {
    let size = u32::try_from(mem::size_of::<Poll>()).expect("a small structure");
    let poll = poll.cast();
    // SAFETY: the device is open, and the structure, of the size given, stays (the caller's
    // promise).
    let done = unsafe {
        DeviceIoControl(device, POLL, poll, size, poll, size, ptr::null_mut(), overlapped)
    };
    if done != 0 {
        return Called::Done(0);
    }
    // SAFETY: reads a thread-local value.
    match unsafe { GetLastError() } {
        errors::IO_PENDING => Called::Pending,
        code => Called::Failed(code),
    }
}
