//! Sets of signals.

use std::{fmt, io, mem::MaybeUninit, ptr};

/// Which signals are blocked: a `sigset_t`.
///
/// ```
/// use serverlink_io::SignalMask;
///
/// const SIGUSR1: i32 = if cfg!(target_os = "linux") { 10 } else { 30 };
/// let before = SignalMask::current();
/// let mut blocked = before;
/// blocked.block(SIGUSR1)?;
/// blocked.apply();
/// assert!(SignalMask::current().blocks(SIGUSR1));
/// before.apply();
/// assert!(!SignalMask::current().blocks(SIGUSR1));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct SignalMask(libc::sigset_t);

impl SignalMask {
    /// Blocks nothing.
    #[must_use]
    pub fn none() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: sigemptyset(3) fills in the set.
        Self(unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            set.assume_init()
        })
    }

    /// What the calling thread blocks.
    #[must_use]
    pub fn current() -> Self {
        let mut mask = Self::none();
        // SAFETY: the set is valid for the call; without a new one, nothing changes.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, ptr::null(), &raw mut mask.0) };
        mask
    }

    /// Has the calling thread block exactly these.
    pub fn apply(&self) {
        // SAFETY: the set is valid for the call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, ptr::null_mut()) };
    }

    /// Adds a signal.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no such signal.
    pub fn block(&mut self, signal: i32) -> io::Result<()> {
        // SAFETY: the set is valid for the call.
        Self::checked(unsafe { libc::sigaddset(&raw mut self.0, signal) })
    }

    /// Takes a signal away.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if there is no such signal.
    pub fn unblock(&mut self, signal: i32) -> io::Result<()> {
        // SAFETY: the set is valid for the call.
        Self::checked(unsafe { libc::sigdelset(&raw mut self.0, signal) })
    }

    /// Whether it blocks a signal.
    #[must_use]
    pub fn blocks(&self, signal: i32) -> bool {
        // SAFETY: the set is valid for the call.
        unsafe { libc::sigismember(&raw const self.0, signal) == 1 }
    }

    pub(super) fn as_ptr(&self) -> *const libc::sigset_t {
        &raw const self.0
    }

    fn checked(result: i32) -> io::Result<()> {
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl fmt::Debug for SignalMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries((1..=64).filter(|&signal| self.blocks(signal))).finish()
    }
}
