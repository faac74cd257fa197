//! Memory that the kernel has, and an allocator that notices when it is freed.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr,
    sync::atomic::{AtomicPtr, AtomicUsize, Ordering},
};

/// How many ranges the kernels of a process have at most. Miri notes each of them with every look at
/// the table.
const RANGES: usize = if cfg!(miri) { 1 << 6 } else { 1 << 14 };

/// One range; free if it has no length.
struct Range {
    start: AtomicUsize,
    length: AtomicUsize,
    /// Counts the attempts to free it.
    freed: AtomicPtr<AtomicUsize>,
}

static TABLE: [Range; RANGES] = [const {
    Range {
        start: AtomicUsize::new(0),
        length: AtomicUsize::new(0),
        freed: AtomicPtr::new(ptr::null_mut()),
    }
}; RANGES];

/// How many ranges are lent, and how far into the table they reach.
static LENT: AtomicUsize = AtomicUsize::new(0);
static REACH: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Watchful = Watchful;

/// The system's allocator, but for what is lent: that is reported, and not freed.
struct Watchful;

// SAFETY: the system's allocator does everything; what is not freed stays valid.
unsafe impl GlobalAlloc for Watchful {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if LENT.load(Ordering::SeqCst) > 0 && is_lent(block.addr(), layout.size()) {
            return;
        }
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(block, layout) };
    }
}

fn is_lent(start: usize, length: usize) -> bool {
    let mut found = false;
    for range in &TABLE[..REACH.load(Ordering::SeqCst)] {
        let (lent, size) =
            (range.start.load(Ordering::SeqCst), range.length.load(Ordering::SeqCst));
        if size > 0 && lent < start + length && start < lent + size {
            found = true;
            // SAFETY: it is set before the length, and its owner takes the range back before it
            // goes.
            unsafe { &*range.freed.load(Ordering::SeqCst) }.fetch_add(1, Ordering::SeqCst);
        }
    }
    found
}

/// A range that the kernel has until this is dropped. Freeing it meanwhile is counted in `freed`.
pub(super) struct Lent(usize);

impl Lent {
    /// # Safety
    ///
    /// `freed` outlives it.
    pub(super) unsafe fn new(start: usize, length: usize, freed: &AtomicUsize) -> Self {
        for (index, range) in TABLE.iter().enumerate() {
            if range.start.compare_exchange(0, start, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                range.freed.store(ptr::from_ref(freed).cast_mut(), Ordering::SeqCst);
                LENT.fetch_add(1, Ordering::SeqCst);
                REACH.fetch_max(index + 1, Ordering::SeqCst);
                range.length.store(length, Ordering::SeqCst);
                return Self(index);
            }
        }
        panic!("too many ranges are lent");
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let range = &TABLE[self.0];
        range.length.store(0, Ordering::SeqCst);
        range.start.store(0, Ordering::SeqCst);
        LENT.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn freeing_what_is_lent_is_noticed() {
    let freed = AtomicUsize::new(0);
    let layout = Layout::new::<[u8; 100]>();
    // SAFETY: it has a size.
    let memory = unsafe { ALLOCATOR.alloc(layout) };
    assert!(!memory.is_null());
    // SAFETY: the counter is dropped last.
    let lent = unsafe { Lent::new(memory.addr() + 99, 1, &freed) };
    // SAFETY: allocated so, and not freed as long as it is lent.
    unsafe { ALLOCATOR.dealloc(memory, layout) };
    assert_eq!(freed.load(Ordering::SeqCst), 1);
    drop(lent);
    // SAFETY: allocated so, and freed now.
    unsafe { ALLOCATOR.dealloc(memory, layout) };
    assert_eq!(freed.load(Ordering::SeqCst), 1);
}
