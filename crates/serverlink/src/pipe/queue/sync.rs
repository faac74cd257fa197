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
    #[cfg(not(loom))]
    place.swap(value, Ordering::SeqCst);
    // Loom knows sequential consistency of fences only.
    #[cfg(loom)]
    {
        place.store(value, Ordering::Release);
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// Sets a flag before whatever is loaded next.
#[inline(always)]
pub(super) fn set_before_loads(flag: &AtomicBool) {
    #[cfg(not(loom))]
    flag.swap(true, Ordering::SeqCst);
    #[cfg(loom)]
    {
        flag.store(true, Ordering::Release);
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}
