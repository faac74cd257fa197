//! What Wine needs besides.
//!
//! Wine has the thread that began an operation end it: that thread moves the later parts of a send
//! on a socket, and fetches what was read from a pipe. If it has ended itself by then, the packet
//! comes without a status and without a count of bytes: what has gone is not known, and what has
//! come is lost. So a thread that ends there first calls its sends and receives back. Their packets
//! tell how far they got, and whoever takes them goes on. Windows leaves the operations of a port
//! alone when the thread that began them ends.

use std::{cell::RefCell, collections::HashSet, sync::OnceLock};

use windows_sys::{
    Win32::{
        Foundation::HANDLE,
        System::{
            IO::CancelIo,
            LibraryLoader::{GetModuleHandleA, GetProcAddress},
            Threading::{GetCurrentThread, WaitForSingleObject},
        },
    },
    s,
};

use crate::sys::iocp::kernel::{Called, Handle};

thread_local! {
    static PENDING: RefCell<Handles> = RefCell::default();
}

/// The sockets and pipes on which this thread has left sends and receives pending, now or earlier.
#[derive(Default)]
struct Handles(HashSet<Handle>);

impl Drop for Handles {
    fn drop(&mut self) {
        for &handle in &self.0 {
            // SAFETY: only this thread's operations are concerned. If the handle was closed, and is
            // another's by now, these can be begun again just as well.
            unsafe { CancelIo(handle as HANDLE) };
        }
        // This thread ends them before it would wait.
        // SAFETY: the handle is valid everywhere, and nothing is waited for.
        unsafe { WaitForSingleObject(GetCurrentThread(), 0) };
    }
}

/// Hears of a send or a receive that this thread has begun.
pub(super) fn begun(handle: Handle, called: &Called) {
    if matches!(called, Called::Pending) && is_here() {
        // Not of a thread that is so far gone that it looks after nothing any more.
        let _ = PENDING.try_with(|handles| handles.borrow_mut().0.insert(handle));
    }
}

/// Whether the system is Wine, which says so by a function that Windows does not have.
fn is_here() -> bool {
    static HERE: OnceLock<bool> = OnceLock::new();
    *HERE.get_or_init(|| {
        // SAFETY: both names end with a zero; the module is never unloaded.
        unsafe {
            let module = GetModuleHandleA(s!("ntdll.dll"));
            !module.is_null() && GetProcAddress(module, s!("wine_get_version")).is_some()
        }
    })
}
