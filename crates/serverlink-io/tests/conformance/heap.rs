//! How much memory a thread holds: an allocator that counts.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    // Neither is made lazily nor dropped, so an allocator may use them.
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

/// Bytes that this thread has allocated, less those it has freed.
pub(crate) fn held() -> isize {
    HELD.get()
}

/// The most that this thread held while `work` went on, beyond what it held before.
pub(crate) fn peak(work: impl FnOnce()) -> isize {
    let before = held();
    PEAK.set(before);
    work();
    PEAK.get() - before
}

fn count(grown: usize, shrunk: usize) {
    let held = HELD.get() + grown.cast_signed() - shrunk.cast_signed();
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// SAFETY: all is left to the system's allocator, as it is asked for.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the promises of this same call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 0);
        // SAFETY: the caller keeps the promises of this same call.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size, layout.size());
        // SAFETY: the caller keeps the promises of this same call, and `memory` is the system's.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(0, layout.size());
        // SAFETY: the caller keeps the promises of this same call, and `memory` is the system's.
        unsafe { System.dealloc(memory, layout) }
    }
}
