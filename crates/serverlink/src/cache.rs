//! Where things lie in memory.

use std::ops::{Deref, DerefMut};

/// Something that changes often, and so keeps to cache lines of its own: a line that two threads
/// write, each its own part of it, travels between their cores all the time. Two lines, for many
/// processors fetch them in pairs.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct CachePadded<T: ?Sized>(pub(crate) T);

impl<T: ?Sized> Deref for CachePadded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized> DerefMut for CachePadded<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
