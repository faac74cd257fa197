//! What those share who wait at a poller and those who tell it of changes: the standard library's, or
//! loom's when every interleaving is to be tried.

#[cfg(loom)]
pub(super) use loom::sync::{Mutex, MutexGuard, atomic::Ordering::SeqCst};
#[cfg(not(loom))]
pub(super) use std::sync::{
    Mutex, MutexGuard,
    atomic::{AtomicBool, Ordering::SeqCst},
};

/// A flag of sequentially consistent accesses. loom takes those for acquire and release, but knows
/// `SeqCst` fences: with one on both sides an access is what it should be.
#[cfg(loom)]
#[derive(Debug, Default)]
pub(super) struct AtomicBool(loom::sync::atomic::AtomicBool);

#[cfg(loom)]
impl AtomicBool {
    pub(super) fn new(value: bool) -> Self {
        Self(loom::sync::atomic::AtomicBool::new(value))
    }

    pub(super) fn load(&self, order: loom::sync::atomic::Ordering) -> bool {
        fenced(order, || self.0.load(order))
    }

    pub(super) fn store(&self, value: bool, order: loom::sync::atomic::Ordering) {
        // To loom a store may come between what another thread's swap reads and what it writes.
        self.swap(value, order);
    }

    pub(super) fn swap(&self, value: bool, order: loom::sync::atomic::Ordering) -> bool {
        fenced(order, || self.0.swap(value, order))
    }
}

#[cfg(loom)]
fn fenced<T>(order: loom::sync::atomic::Ordering, access: impl FnOnce() -> T) -> T {
    if order != SeqCst {
        return access();
    }
    loom::sync::atomic::fence(SeqCst);
    let result = access();
    loom::sync::atomic::fence(SeqCst);
    result
}
