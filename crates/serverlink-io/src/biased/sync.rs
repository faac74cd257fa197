//! What the lock is made of, or loom's counterparts of it.

#[cfg(not(loom))]
use std::marker::PhantomData;

#[cfg(loom)]
pub(super) use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    sync::{Mutex, MutexGuard},
};
#[cfg(not(loom))]
pub(super) use std::{
    cell::UnsafeCell,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    sync::{Mutex, MutexGuard},
};

#[cfg(loom)]
pub(super) use crate::sync::thread::{Thread, current, park};
pub(super) use crate::sync::{lock, thread_mark};
#[cfg(not(loom))]
pub(super) use std::thread::{Thread, current, park};

/// The way to the value in a cell while nobody else is inside. Not for another thread.
#[cfg(not(loom))]
pub(super) struct Inside<T>(PhantomData<*mut T>);

#[cfg(not(loom))]
impl<T> Inside<T> {
    #[inline]
    pub(super) fn new(_: &UnsafeCell<T>) -> Self {
        Self(PhantomData)
    }

    /// # Safety
    ///
    /// Nobody else is inside, and it is the same cell.
    #[inline]
    pub(super) unsafe fn get<'a>(&'a self, cell: &'a UnsafeCell<T>) -> &'a T {
        // SAFETY: by contract.
        unsafe { &*cell.get() }
    }

    /// # Safety
    ///
    /// As for `get`.
    #[inline]
    pub(super) unsafe fn get_mut<'a>(&'a mut self, cell: &'a UnsafeCell<T>) -> &'a mut T {
        // SAFETY: by contract.
        unsafe { &mut *cell.get() }
    }

    /// The way is not gone any more.
    #[inline]
    pub(super) fn end(&mut self) {}
}

/// The same; loom notes how long it is held.
#[cfg(loom)]
pub(super) struct Inside<T>(Option<loom::cell::MutPtr<T>>);

#[cfg(loom)]
impl<T> Inside<T> {
    pub(super) fn new(cell: &UnsafeCell<T>) -> Self {
        Self(Some(cell.get_mut()))
    }

    pub(super) unsafe fn get<'a>(&'a self, _: &'a UnsafeCell<T>) -> &'a T {
        let way = self.0.as_ref().expect("a guard that is not dropped");
        // SAFETY: by contract.
        unsafe { way.deref() }
    }

    pub(super) unsafe fn get_mut<'a>(&'a mut self, _: &'a UnsafeCell<T>) -> &'a mut T {
        let way = self.0.as_ref().expect("a guard that is not dropped");
        // SAFETY: by contract.
        unsafe { way.deref() }
    }

    pub(super) fn end(&mut self) {
        self.0 = None;
    }
}
