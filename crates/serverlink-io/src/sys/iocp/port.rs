//! The system's completion port.

use std::{io, ptr};

use windows_sys::Win32::{
    Foundation::{CloseHandle, GetLastError, HANDLE, INVALID_HANDLE_VALUE, WAIT_TIMEOUT},
    System::IO::{
        CreateIoCompletionPort, GetQueuedCompletionStatusEx, OVERLAPPED_ENTRY,
        PostQueuedCompletionStatus,
    },
};

/// The key of a packet that ends an operation; its `OVERLAPPED` says which.
pub(super) const OPERATION_KEY: usize = 0;
/// The key of the packet that makes a wait return.
pub(super) const WAKE_KEY: usize = 1;
/// The key of the packet that stops the port.
pub(super) const SHUTDOWN_KEY: usize = usize::MAX;

/// How many completions one call dequeues at most.
pub(super) const BATCH: usize = 256;

/// An I/O completion port.
#[derive(Debug)]
pub(super) struct CompletionPort(HANDLE);

// SAFETY: a completion port's handle may be used from any thread; that is its purpose.
unsafe impl Send for CompletionPort {}
// SAFETY: as above.
unsafe impl Sync for CompletionPort {}

impl CompletionPort {
    pub(super) fn new() -> io::Result<Self> {
        // One thread drives a port at a time, so one concurrent thread is right.
        // SAFETY: no handle is passed; a new port is asked for.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, ptr::null_mut(), 0, 1) };
        if port.is_null() { Err(io::Error::last_os_error()) } else { Ok(Self(port)) }
    }

    /// Sends the completions of `handle` here, for ever: Windows allows a handle one port only.
    ///
    /// # Safety
    ///
    /// `handle` is open, and every overlapped operation issued on it from now on uses the
    /// `OVERLAPPED` of an `Operation`.
    pub(super) unsafe fn associate(&self, handle: HANDLE) -> io::Result<()> {
        // SAFETY: both handles are open.
        let port = unsafe { CreateIoCompletionPort(handle, self.0, OPERATION_KEY, 0) };
        if port.is_null() { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Queues a packet.
    pub(super) fn post(&self, key: usize) -> io::Result<()> {
        // SAFETY: the port is open; no `OVERLAPPED` goes with the packet.
        let posted = unsafe { PostQueuedCompletionStatus(self.0, 0, key, ptr::null()) };
        if posted == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Waits for packets, at most `milliseconds`, not alertably, and tells how many there are.
    pub(super) fn dequeue(
        &self,
        into: &mut [OVERLAPPED_ENTRY],
        milliseconds: u32,
    ) -> io::Result<usize> {
        let mut count = 0;
        // SAFETY: `into` is writable for as many entries as it has, and the port is open.
        let dequeued = unsafe {
            GetQueuedCompletionStatusEx(
                self.0,
                into.as_mut_ptr(),
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
        match unsafe { GetLastError() } {
            WAIT_TIMEOUT => Ok(0),
            code => Err(io::Error::from_raw_os_error(code.cast_signed())),
        }
    }
}

impl Drop for CompletionPort {
    fn drop(&mut self) {
        // Nobody waits: a waiter borrows the port.
        // SAFETY: the handle is open and no longer used by us.
        unsafe { CloseHandle(self.0) };
    }
}
