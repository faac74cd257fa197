//! Barriers of which one side pays for both.
//!
//! Between a store and a load behind it, processors may let the load go first. A [`light`] barrier
//! keeps only the compiler from it; a [`heavy`] one makes it as good as a full barrier, on whichever
//! processor a thread of this process is between the two.

#[cfg(any(loom, miri))]
pub(super) use model::{heavy, is_available, light};
#[cfg(not(any(loom, miri)))]
pub(super) use system::{heavy, is_available, light};

#[cfg(not(any(loom, miri)))]
mod system {
    use std::sync::atomic::{Ordering, compiler_fence};

    /// A full barrier as far as `heavy` makes it one.
    #[inline(always)]
    pub(in super::super) fn light() {
        compiler_fence(Ordering::SeqCst);
    }

    /// Whether there is a `heavy` barrier.
    #[cfg(not(target_os = "linux"))]
    pub(in super::super) fn is_available() -> bool {
        false
    }

    /// Is not called where there is none.
    #[cfg(not(target_os = "linux"))]
    pub(in super::super) fn heavy() {}

    #[cfg(target_os = "linux")]
    pub(in super::super) use linux::{heavy, is_available};

    /// `membarrier(2)`.
    #[cfg(target_os = "linux")]
    mod linux {
        use std::{sync::LazyLock, thread, time::Duration};

        use rustix::thread::{MembarrierCommand, membarrier};

        /// Longer than a store takes to be seen, by far.
        const LONG: Duration = Duration::from_millis(10);

        pub(in super::super::super) fn is_available() -> bool {
            static REGISTERED: LazyLock<bool> = LazyLock::new(|| {
                membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
                    && membarrier(MembarrierCommand::PrivateExpedited).is_ok()
            });
            *REGISTERED
        }

        pub(in super::super::super) fn heavy() {
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

    pub(in super::super) fn light() {
        fence(Ordering::SeqCst);
    }

    pub(in super::super) fn heavy() {
        fence(Ordering::SeqCst);
    }

    pub(in super::super) fn is_available() -> bool {
        true
    }
}
