//! The engine's locks.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, also after a panic.
///
/// Handlers run with no lock held, so a panic of theirs cannot leave guarded
/// state half changed.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
