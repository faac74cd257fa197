//! Barriers of which one side pays for both.
//!
//! Between a store and a load behind it, processors may let the load go first: two threads that each
//! store to a place of their own and then look at the other's may both find nothing. A barrier between
//! store and load keeps them from it, and costs each thread the wait for its own store. Where one of
//! them comes by far more often than the other, it may use a [`light`] barrier, which costs it nothing
//! and keeps only the compiler from that; the other uses a [`heavy`] one, which takes some
//! microseconds, and makes of the light ones full barriers on whichever processor a thread of this
//! process is between the two.
//!
//! ```
//! use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
//! use serverlink_io::barrier;
//!
//! static BUSY: AtomicBool = AtomicBool::new(false);
//! static STOP: AtomicBool = AtomicBool::new(false);
//!
//! /// Called all the time, by one thread.
//! fn work() {
//!     BUSY.store(true, Relaxed);
//!     barrier::light();
//!     if !STOP.load(Relaxed) {
//!         // It has not been stopped, and who stops it will see that it is busy.
//!     }
//!     BUSY.store(false, Relaxed);
//! }
//!
//! /// Called once, by another.
//! fn stop() -> bool {
//!     STOP.store(true, Relaxed);
//!     barrier::heavy();
//!     !BUSY.load(Relaxed)
//! }
//!
//! if barrier::is_available() {
//!     work();
//!     assert!(stop());
//! }
//! ```

#[cfg(any(loom, miri))]
use model as implementation;
#[cfg(not(any(loom, miri)))]
use system as implementation;

/// The barrier of who comes often: a full one as far as [`heavy`] makes it one.
#[inline(always)]
pub fn light() {
    implementation::light();
}

/// The barrier of who comes rarely: it is one for all threads of the process ([membarrier(2)] on Linux).
/// To be used only where it [is available](is_available).
///
/// [membarrier(2)]: https://man7.org/linux/man-pages/man2/membarrier.2.html
#[inline]
pub fn heavy() {
    implementation::heavy();
}

/// Whether there is a [`heavy`] barrier: on Linux, unless the program is forbidden the system call.
#[inline]
#[must_use]
pub fn is_available() -> bool {
    implementation::is_available()
}

#[cfg(not(any(loom, miri)))]
mod system {
    use std::sync::atomic::{Ordering, compiler_fence};

    #[inline(always)]
    pub(super) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn is_available() -> bool {
        false
    }

    /// Is not called where there is none.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn heavy() {}

    #[cfg(target_os = "linux")]
    pub(super) use linux::{heavy, is_available};

    /// `membarrier(2)`.
    #[cfg(target_os = "linux")]
    mod linux {
        use std::{sync::LazyLock, thread, time::Duration};

        use rustix::thread::{MembarrierCommand, membarrier};

        /// Longer than a store takes to be seen, by far.
        const LONG: Duration = Duration::from_millis(10);

        pub(in super::super) fn is_available() -> bool {
            static REGISTERED: LazyLock<bool> = LazyLock::new(|| {
                membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
                    && membarrier(MembarrierCommand::PrivateExpedited).is_ok()
            });
            *REGISTERED
        }

        pub(in super::super) fn heavy() {
            // The second needs no registration, and takes milliseconds. Neither fails where the first
            // one worked once, unless the process was forbidden it since.
            let done = membarrier(MembarrierCommand::PrivateExpedited)
                .or_else(|_| membarrier(MembarrierCommand::Global));
            if done.is_err() {
                thread::sleep(LONG);
            }
        }
    }
}

/// Full barriers on both sides, for what knows no system calls and lets every load go first.
#[cfg(any(loom, miri))]
mod model {
    #[cfg(loom)]
    use loom::sync::atomic::{Ordering, fence};
    #[cfg(not(loom))]
    use std::sync::atomic::{Ordering, fence};

    pub(super) fn light() {
        fence(Ordering::SeqCst);
    }

    pub(super) fn heavy() {
        fence(Ordering::SeqCst);
    }

    pub(super) fn is_available() -> bool {
        true
    }
}
