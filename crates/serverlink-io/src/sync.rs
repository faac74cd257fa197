//! What threads share and wait with: the standard library's, or loom's when
//! every interleaving is to be tried.

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard, atomic::Ordering};
#[cfg(not(loom))]
pub(crate) use std::sync::{
    Mutex,
    atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
};

#[cfg(not(loom))]
pub(crate) use std::thread;

#[cfg(not(loom))]
pub(crate) use crate::lock::lock;

#[cfg(loom)]
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A value that differs between the threads that are alive, is never zero, and a multiple of 8.
#[cfg(not(loom))]
pub(crate) fn thread_mark() -> usize {
    #[repr(align(8))]
    struct Mark(#[expect(dead_code, reason = "only where it is matters")] u8);
    thread_local!(static MARK: Mark = const { Mark(0) });
    MARK.with(|mark| std::ptr::from_ref(mark).addr())
}

#[cfg(loom)]
pub(crate) fn thread_mark() -> usize {
    static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(8);
    loom::thread_local!(static MARK: usize = NEXT.fetch_add(8, Ordering::Relaxed));
    MARK.with(|mark| *mark)
}

/// Parking, where time-outs may end at any moment. loom's own forgets an unpark that meets a
/// thread while it waits for a lock.
#[cfg(loom)]
pub(crate) mod thread {
    use std::time::Duration;

    use loom::sync::{Arc, Condvar, Mutex};

    pub(crate) type ThreadId = usize;

    #[derive(Debug, Clone)]
    pub(crate) struct Thread {
        id: ThreadId,
        token: Arc<(Mutex<bool>, Condvar)>,
    }

    impl Thread {
        pub(crate) fn id(&self) -> ThreadId {
            self.id
        }

        pub(crate) fn unpark(&self) {
            *self.token.0.lock().unwrap() = true;
            self.token.1.notify_one();
        }
    }

    pub(crate) fn current() -> Thread {
        loom::thread_local!(static CURRENT: Thread = Thread {
            id: super::thread_mark(),
            token: Arc::new((Mutex::new(false), Condvar::new())),
        });
        CURRENT.with(Thread::clone)
    }

    pub(crate) fn park() {
        let token = current().token;
        let mut there = token.0.lock().unwrap();
        while !*there {
            there = token.1.wait(there).unwrap();
        }
        *there = false;
    }

    /// Time passes as soon as nothing else happens, but for the longest.
    pub(crate) fn park_timeout(timeout: Duration) {
        if timeout == Duration::MAX {
            park();
        } else {
            loom::thread::yield_now();
        }
    }
}

#[cfg(loom)]
pub(crate) use sequential::{AtomicBool, AtomicU64, AtomicUsize};

/// Atomics of sequentially consistent accesses. loom takes `SeqCst` accesses for acquire and release,
/// but knows `SeqCst` fences: with one on both sides an access is what it should be. Weaker accesses
/// are what they are, but the fences of the others beside them order more than the language promises:
/// who relies on a mixture, does so by reading what was written, not by what comes before what.
#[cfg(loom)]
mod sequential {
    use loom::sync::atomic::{self, Ordering, fence};

    macro_rules! sequential {
        ($name:ident, $value:ty) => {
            #[derive(Debug, Default)]
            pub(crate) struct $name(atomic::$name);

            #[allow(dead_code, reason = "not every type is used in every way")]
            impl $name {
                pub(crate) fn new(value: $value) -> Self {
                    Self(atomic::$name::new(value))
                }

                pub(crate) fn load(&self, order: Ordering) -> $value {
                    Self::fenced(order, || self.0.load(order))
                }

                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    Self::fenced(order, || self.0.store(value, order));
                }

                pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                    Self::fenced(order, || self.0.swap(value, order))
                }

                pub(crate) fn compare_exchange(
                    &self,
                    old: $value,
                    new: $value,
                    order: Ordering,
                    _failure: Ordering,
                ) -> Result<$value, $value> {
                    Self::fenced(order, || self.0.compare_exchange(old, new, order, order))
                }

                fn fenced<T>(order: Ordering, access: impl FnOnce() -> T) -> T {
                    if order != Ordering::SeqCst {
                        return access();
                    }
                    fence(Ordering::SeqCst);
                    let result = access();
                    fence(Ordering::SeqCst);
                    result
                }
            }
        };
    }

    sequential!(AtomicBool, bool);
    sequential!(AtomicU64, u64);
    sequential!(AtomicUsize, usize);

    macro_rules! counting {
        ($name:ident, $value:ty) => {
            #[allow(dead_code, reason = "not every type is used in every way")]
            impl $name {
                pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                    Self::fenced(order, || self.0.fetch_add(value, order))
                }

                pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                    Self::fenced(order, || self.0.fetch_sub(value, order))
                }
            }
        };
    }

    counting!(AtomicU64, u64);
    counting!(AtomicUsize, usize);
}

/// Atomics of which every access says its ordering, and memory that they guard.
#[cfg(all(any(windows, test), not(loom)))]
pub(crate) mod ordered {
    pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};

    /// Memory that something else guards.
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        /// To read.
        pub(crate) fn with<R>(&self, access: impl FnOnce(*const T) -> R) -> R {
            access(self.0.get())
        }

        /// To write.
        pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
            access(self.0.get())
        }
    }
}

#[cfg(all(any(windows, test), loom))]
pub(crate) mod ordered {
    use loom::sync::atomic;
    pub(crate) use loom::{cell::UnsafeCell, sync::atomic::Ordering};

    #[derive(Debug)]
    pub(crate) struct AtomicUsize(atomic::AtomicUsize);

    impl AtomicUsize {
        pub(crate) fn new(value: usize) -> Self {
            Self(atomic::AtomicUsize::new(value))
        }

        pub(crate) fn load(&self, order: Ordering) -> usize {
            self.0.load(order)
        }

        pub(crate) fn swap(&self, value: usize, order: Ordering) -> usize {
            self.0.swap(value, order)
        }

        pub(crate) fn fetch_add(&self, value: usize, order: Ordering) -> usize {
            self.0.fetch_add(value, order)
        }

        pub(crate) fn fetch_sub(&self, value: usize, order: Ordering) -> usize {
            self.0.fetch_sub(value, order)
        }

        pub(crate) fn fetch_or(&self, value: usize, order: Ordering) -> usize {
            self.0.fetch_or(value, order)
        }

        pub(crate) fn compare_exchange(
            &self,
            old: usize,
            new: usize,
            success: Ordering,
            failure: Ordering,
        ) -> Result<usize, usize> {
            self.0.compare_exchange(old, new, success, failure)
        }

        pub(crate) fn try_update(
            &self,
            success: Ordering,
            failure: Ordering,
            update: impl FnMut(usize) -> Option<usize>,
        ) -> Result<usize, usize> {
            self.0.fetch_update(success, failure, update)
        }
    }
}
