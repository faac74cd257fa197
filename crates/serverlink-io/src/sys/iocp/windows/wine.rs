//! What Wine needs besides.
//!
//! Wine moves the later parts of a send in the thread that began it. If that thread has ended, the
//! packet comes without a status and without a count of bytes, though some may have gone. So a
//! thread that ends there first calls its pending sends back: their packets tell how much has gone,
//! and whoever takes them sends the rest. Windows leaves the operations of a port alone when the
//! thread that issued them ends.

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

use crate::sys::iocp::kernel::Handle;

thread_local! {
    static PENDING: RefCell<Sockets> = RefCell::default();
}

/// The sockets on which this thread has left a send pending, now or earlier.
#[derive(Default)]
struct Sockets(HashSet<Handle>);

impl Drop for Sockets {
    fn drop(&mut self) {
        for &socket in &self.0 {
            // Receives are called back, too, and begun again by whoever takes their packets.
            // SAFETY: only this thread's operations are concerned. If the socket was closed, and
            // its handle is another's by now, these are just as able to be begun again.
            unsafe { CancelIo(socket as HANDLE) };
        }
        // Wine has this thread end its operations, which it does before it would wait.
        // SAFETY: the handle is valid everywhere, and nothing is waited for.
        unsafe { WaitForSingleObject(GetCurrentThread(), 0) };
    }
}

/// Hears of a send that this thread has begun and not ended.
pub(super) fn pending(socket: Handle) {
    if is_here() {
        // A thread that is ending already leaves it at that: nothing looks after the send then, and
        // the connection ends if it should come to that.
        let _ = PENDING.try_with(|sockets| sockets.borrow_mut().0.insert(socket));
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
