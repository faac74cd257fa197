//! Blocks of slots, chained.

use std::{mem, mem::MaybeUninit, ops::Range, ptr};

use super::{super::prefetch, sync::UnsafeCell};

pub(super) type Slot<T> = UnsafeCell<MaybeUninit<T>>;

/// How many slots ahead of the present one are fetched into the cache.
pub(super) const AHEAD: usize = 3;

/// Room for some messages, and what follows: in the queue, or in a chain of spare blocks.
///
/// Raw pointers to it stand for what the two sides of a queue agree on: both may use a block at
/// once, each its own slots of it; only the writer sets what follows, before it publishes anything
/// there; and the reader has it to itself once it is read to its end.
pub(super) struct Block<T> {
    slots: Box<[Slot<T>]>,
    next: UnsafeCell<*mut Block<T>>,
    /// How many spare blocks there are from this one on.
    depth: UnsafeCell<usize>,
}

impl<T> Block<T> {
    pub(super) fn allocate(capacity: usize) -> *mut Self {
        let slots = (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect();
        let next = UnsafeCell::new(ptr::null_mut());
        Box::into_raw(Box::new(Self { slots, next, depth: UnsafeCell::new(0) }))
    }

    /// # Safety
    ///
    /// The block is there.
    pub(super) unsafe fn capacity(block: *mut Self) -> usize {
        // SAFETY: by contract, and the slots never change in number.
        unsafe { &*block }.slots.len()
    }

    /// Frees a block and all that follow, but not what is in them.
    ///
    /// # Safety
    ///
    /// They are nobody else's.
    pub(super) unsafe fn free(mut block: *mut Self) {
        while !block.is_null() {
            // SAFETY: every block comes from a box, and it is ours.
            block = unsafe {
                let owned = Box::from_raw(block);
                owned.next.with(|next| *next)
            };
        }
    }

    /// Says what follows a block.
    ///
    /// # Safety
    ///
    /// The block is there, and nobody else looks at what follows it.
    pub(super) unsafe fn set_next(block: *mut Self, next: *mut Self) {
        // SAFETY: by contract.
        unsafe { (*block).next.with_mut(|place| *place = next) };
    }

    /// Takes what follows off a block.
    ///
    /// # Safety
    ///
    /// The block is there, and nobody else looks at what follows it.
    pub(super) unsafe fn take_next(block: *mut Self) -> *mut Self {
        // SAFETY: by contract.
        unsafe { (*block).next.with_mut(|place| mem::replace(&mut *place, ptr::null_mut())) }
    }

    /// Puts a block before a chain of spare ones, unless it would have more than `most`; gives the
    /// chain back, and the block if it is left over.
    ///
    /// # Safety
    ///
    /// The block is there, nothing follows it, and all are nobody else's.
    pub(super) unsafe fn chain(
        block: *mut Self,
        spare: *mut Self,
        most: usize,
    ) -> (*mut Self, *mut Self) {
        // SAFETY: by contract.
        unsafe {
            let depth = if spare.is_null() { 0 } else { (*spare).depth.with(|depth| *depth) };
            if depth >= most {
                return (spare, block);
            }
            (*block).depth.with_mut(|place| *place = depth + 1);
            Self::set_next(block, spare);
        }
        (block, ptr::null_mut())
    }
}

/// A slot of a block, or the end of it.
pub(super) struct Place<T> {
    slot: *const Slot<T>,
    end: *const Slot<T>,
    pub(super) block: *mut Block<T>,
}

impl<T> Place<T> {
    /// The end of no block.
    pub(super) const NOWHERE: Self =
        Self { slot: ptr::null(), end: ptr::null(), block: ptr::null_mut() };

    /// # Safety
    ///
    /// The block is there.
    pub(super) unsafe fn first_of(block: *mut Block<T>) -> Self {
        // SAFETY: by contract.
        let Range { start, end } = unsafe { &*block }.slots.as_ptr_range();
        Self { slot: start, end, block }
    }

    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.slot == self.end
    }

    #[inline]
    pub(super) fn advance(&mut self) {
        self.slot = self.slot.wrapping_add(1);
    }

    /// # Safety
    ///
    /// The block is there, and this is not its end.
    #[inline]
    pub(super) unsafe fn slot(&self) -> &Slot<T> {
        // SAFETY: by contract.
        unsafe { &*self.slot }
    }

    /// Has the slot fetched into the cache, for writing.
    #[inline]
    pub(super) fn fetch(&self) {
        prefetch::whole(self.slot);
    }

    /// Has the slot that will be needed soon fetched into the cache, for writing or for reading.
    #[inline]
    pub(super) fn look_ahead(&self, to_write: bool) {
        // It may well be past the end: a place in the next block cannot be told from here.
        prefetch::fetch_end(self.slot.wrapping_add(AHEAD), to_write);
    }
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<T> {}
