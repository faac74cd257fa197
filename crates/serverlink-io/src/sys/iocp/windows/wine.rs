//! What Wine needs besides.
//!
//! Wine has the thread that began an operation end it: that thread moves the later parts of a send
//! on a socket, and fetches what was read from a pipe. If it has ended itself by then, the packet
//! comes without a status and without a count of bytes: what has gone is not known, and what has
//! come is lost. So a thread that ends there first calls these back. Their packets tell how far they
//! got, and whoever takes them goes on. What is written to a pipe is left alone: it is read, and
//! nobody need hear how much of it. Windows leaves all operations of a port alone when the thread
//! that began them ends.

use std::{cell::RefCell, collections::HashMap, sync::OnceLock};

use windows_sys::{
    Win32::{
        Foundation::{ERROR_NOT_FOUND, GetLastError, HANDLE},
        System::{
            IO::{CancelIoEx, OVERLAPPED},
            LibraryLoader::{GetModuleHandleA, GetProcAddress},
            Threading::{GetCurrentThread, WaitForSingleObject},
        },
    },
    s,
};

use crate::sys::iocp::kernel::{Called, Handle};

/// How often an operation is called back that is not found. It may be over. But Wine's server also passes
/// over one that it has just told this thread to go on with, and that is pending again in a moment: of
/// sends to a peer that reads meanwhile, some five in a hundred. Of those one in four is not found the next
/// time either, and so on; more on a busy machine, where the peer reads while the server is asked.
const ATTEMPTS: usize = 64;
/// The fewest, where there are so many that [`CALLS`] are not enough.
const FEWEST: usize = 8;
/// About how many calls the end of a thread may take for operations that are not found.
const CALLS: usize = 2048;

thread_local! {
    static PENDING: RefCell<Operations> = RefCell::default();
}

/// Operations that this thread has left pending, now or earlier, and what each is on: as many as there
/// have been at a time, for what has the place of another took it when that was over.
#[derive(Default)]
struct Operations(HashMap<*const OVERLAPPED, Handle>);

impl Drop for Operations {
    fn drop(&mut self) {
        let attempts = (CALLS / self.0.len().max(1)).clamp(FEWEST, ATTEMPTS);
        for _ in 0..attempts {
            self.0.retain(|&overlapped, &mut handle| {
                // SAFETY: the address only names the operation. If it is over, nothing has that name,
                // or another operation of its kind, which is begun again just as well.
                unsafe {
                    CancelIoEx(handle as HANDLE, overlapped) == 0
                        && GetLastError() == ERROR_NOT_FOUND
                }
            });
            // Before it would wait, this thread goes on with those, and ends the others.
            // SAFETY: the handle is valid everywhere, and nothing is waited for.
            unsafe { WaitForSingleObject(GetCurrentThread(), 0) };
            if self.0.is_empty() {
                break;
            }
        }
    }
}

/// Hears of a send to a socket or a receive that this thread has begun.
pub(super) fn begun(handle: Handle, overlapped: *const OVERLAPPED, called: &Called) {
    if matches!(called, Called::Pending) && is_here() {
        // Not of a thread that is so far gone that it looks after nothing any more.
        let _ = PENDING.try_with(|operations| operations.borrow_mut().0.insert(overlapped, handle));
    }
}

/// Whether the system is Wine, which says so by a function that Windows does not have.
pub(super) fn is_here() -> bool {
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| {
        // SAFETY: both names end with a zero; the module is never unloaded.
        unsafe {
            let module = GetModuleHandleA(s!("ntdll.dll"));
            !module.is_null() && GetProcAddress(module, s!("wine_get_version")).is_some()
        }
    })
}
