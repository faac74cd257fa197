//! What the two sides of a queue share: the standard library's, or loom's when every interleaving
//! is to be tried.

#[cfg(loom)]
pub(super) use loom::{
    cell::UnsafeCell,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
    },
};
#[cfg(not(loom))]
pub(super) use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
};

/// The standard library's cell, with the methods of loom's.
#[cfg(not(loom))]
#[derive(Debug)]
pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    pub(super) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get())
    }

    #[inline(always)]
    pub(super) fn with_mut<R>(&self, change: impl FnOnce(*mut T) -> R) -> R {
        change(self.0.get())
    }
}

/// Stores a value before whatever is loaded next.
#[inline(always)]
pub(super) fn store_before_loads(place: &AtomicUsize, value: usize) {
    #[cfg(not(any(loom, miri)))]
    place.swap(value, Ordering::SeqCst);
    #[cfg(any(loom, miri))]
    {
        place.store(value, Ordering::Release);
        full_barrier();
    }
}

/// Sets a flag before whatever is loaded next.
#[inline(always)]
pub(super) fn set_before_loads(flag: &AtomicBool) {
    #[cfg(not(any(loom, miri)))]
    flag.swap(true, Ordering::SeqCst);
    #[cfg(any(loom, miri))]
    {
        flag.store(true, Ordering::Release);
        full_barrier();
    }
}

/// Loom knows the sequential consistency of fences only. Miri has loads pass over the last such store for
/// the sake of an older one that is not, which C++20 forbids: the end of a flow would be lost.
#[cfg(any(loom, miri))]
fn full_barrier() {
    #[cfg(loom)]
    use loom::sync::atomic::fence;
    #[cfg(not(loom))]
    use std::sync::atomic::fence;

    fence(Ordering::SeqCst);
}

/// Counted from no particular moment on; begins anew after 2^32.
#[cfg(not(test))]
pub(super) fn milliseconds() -> u32 {
    use std::{sync::OnceLock, time::Instant};

    static EPOCH: OnceLock<Instant> = OnceLock::new();

    #[allow(clippy::cast_possible_truncation, reason = "as is said above")]
    let now = EPOCH.get_or_init(Instant::now).elapsed().as_millis() as u32;
    now
}

/// In tests each thread has a clock of its own, which stands still but for what it lets pass.
#[cfg(test)]
pub(super) use clock::milliseconds;

#[cfg(test)]
pub(super) mod clock {
    use std::cell::Cell;

    // What is counted soon begins anew.
    thread_local!(static NOW: Cell<u32> = const { Cell::new(u32::MAX - 15) });

    pub(in super::super) fn milliseconds() -> u32 {
        NOW.get()
    }

    #[cfg(not(loom))]
    pub(in super::super) fn pass(milliseconds: u32) {
        NOW.set(NOW.get().wrapping_add(milliseconds));
    }
}
