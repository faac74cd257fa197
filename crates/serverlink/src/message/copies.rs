//! Copies of bodies, many to one allocation.
//!
//! Who sends a copy and who drops it are two threads, most often: of memory allocated for each they
//! would pass every piece through the allocator, which has to lock it against the other.
//!
//! A block is used again when all copies in it are dropped: at once, if that is so when it is full, for
//! it is in this core's cache then; otherwise the oldest comes first.

use std::{cell::RefCell, collections::VecDeque};

use bytes::{Bytes, BytesMut};

/// A copy keeps at most so many times its size alive.
const PINNED: usize = 128;
/// How long the blocks are: those for what is too short for the next ones, those that stay in a core's
/// cache if they are used again, and those for copies that the others have too little room for.
const SIZES: [usize; 3] = [8 * 1024, 16 * 1024, 48 * 1024];
/// How many copies a block has room for, if not more.
const SEVERAL: usize = 3;
/// Copies from this size on have memory of their own: there is little to be saved.
const LONG: usize = 12 * 1024;
/// How much in blocks of each size a thread keeps to use again, beside the one in use. The allocator gives
/// larger amounts that are freed together back to the system, which clears them page by page before they
/// are used again.
const KEPT: usize = 1024 * 1024;

/// Where a thread puts its copies of some lengths: blocks of one size.
#[derive(Default)]
struct Blocks {
    /// What is left of the one in use.
    room: Option<BytesMut>,
    /// The ends of those that are used up, the oldest first.
    former: VecDeque<BytesMut>,
}

thread_local! {
    static BLOCKS: RefCell<[Blocks; SIZES.len()]> = RefCell::default();
}

/// A copy of a body.
#[inline(never)]
pub(super) fn copy(body: &[u8]) -> Bytes {
    // A thread that ends may have no blocks any more.
    let copied = BLOCKS.try_with(|all| copy_to(&mut *all.try_borrow_mut().ok()?, body));
    copied.ok().flatten().unwrap_or_else(|| Bytes::copy_from_slice(body))
}

/// A copy in one of the blocks, unless it would keep too much alive, or is long.
fn copy_to(all: &mut [Blocks; SIZES.len()], body: &[u8]) -> Option<Bytes> {
    let kind = kind_of(body.len())?;
    Some(all[kind].take(body, SIZES[kind]))
}

/// Which blocks are for copies of this length.
fn kind_of(length: usize) -> Option<usize> {
    if length < SIZES[0] / PINNED || length >= LONG {
        None
    } else if length < SIZES[1] / PINNED {
        Some(0)
    } else {
        Some(if length * SEVERAL <= SIZES[1] { 1 } else { 2 })
    }
}

impl Blocks {
    fn take(&mut self, body: &[u8], size: usize) -> Bytes {
        let room = match &mut self.room {
            Some(room) if room.capacity() >= body.len() => room,
            _ => self.begin(size),
        };
        room.extend_from_slice(body);
        room.split().freeze()
    }

    /// Begins another block.
    #[inline(never)]
    fn begin(&mut self, size: usize) -> &mut BytesMut {
        // Reclaimed is what nobody else has any of.
        let is_free = |room: &mut BytesMut| room.try_reclaim(size);
        if !self.room.as_mut().is_some_and(is_free) {
            let oldest = self.former.pop_front_if(is_free);
            self.former.extend(self.room.take());
            if self.former.len() > KEPT / size {
                self.former.pop_front();
            }
            self.room = oldest;
        }
        self.room.get_or_insert_with(|| BytesMut::with_capacity(size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(size: usize) -> Vec<u8> {
        (0..size).map(|n| n as u8).collect()
    }

    #[test]
    fn copies_of_a_size_lie_next_to_each_other() {
        for size in [64, 71, 127, 128, 256, 1024, 5461, 5462, LONG - 1] {
            let mut all = Default::default();
            let mut take = || copy_to(&mut all, &body(size)).unwrap();
            let copies: Vec<_> = (0..SEVERAL).map(|_| take()).collect();
            assert!(copies.iter().all(|copy| copy[..] == body(size)));
            for pair in copies.windows(2) {
                assert_eq!(pair[0].as_ptr().wrapping_add(size), pair[1].as_ptr(), "{size}");
            }
        }
    }

    #[test]
    fn no_copy_keeps_more_than_its_share_alive() {
        for length in 0..2 * LONG {
            match kind_of(length).map(|kind| SIZES[kind]) {
                Some(size) => {
                    assert!((length * SEVERAL..=length * PINNED).contains(&size), "{length}");
                }
                None => assert!(!(64..LONG).contains(&length), "{length}"),
            }
        }
    }

    #[test]
    fn what_somebody_has_is_not_written_to_and_no_more_is_kept_than_is_said() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut all = Default::default();
        let mut held: Vec<(Bytes, Vec<u8>)> = Vec::new();
        for round in 0..20_000_usize {
            let most = if random.bool() { 2000 } else { LONG };
            let length = random.usize(64..most);
            let body: Vec<_> = (0..length).map(|n| (n + round) as u8).collect();
            held.push((copy_to(&mut all, &body).unwrap(), body));
            for (blocks, size) in all.iter().zip(SIZES) {
                assert!(blocks.former.len() * size <= KEPT);
            }
            // Now few are held, and now many.
            while held.len() > round % 300 {
                let (copy, body) = held.swap_remove(random.usize(..held.len()));
                assert_eq!(copy, body);
            }
        }
    }

    #[test]
    fn memory_is_used_again_once_all_copies_in_it_are_dropped() {
        let size = SIZES[1] / 4;
        let mut all = Default::default();
        let mut take = || copy_to(&mut all, &body(size)).unwrap();
        let mut of_a_block = || -> Vec<_> { (0..4).map(|_| take()).collect() };
        let first = of_a_block();
        let place = first[0].as_ptr();
        drop(first);
        let mut again = of_a_block();
        assert_eq!(again[0].as_ptr(), place, "nobody has any of it");
        let last = again.pop();
        drop(again);
        let second = of_a_block();
        let third = of_a_block();
        assert!(third.iter().chain(&second).all(|copy| copy.as_ptr() != place), "somebody has");
        drop((last, second));
        let fourth = of_a_block();
        assert_eq!(fourth[0].as_ptr(), place, "the oldest comes first, and the one in use is full");
    }

    #[test]
    fn a_thread_that_ends_makes_copies_to_the_last() {
        struct Last;
        impl Drop for Last {
            fn drop(&mut self) {
                for _ in 0..1000 {
                    assert_eq!(copy(&body(1000)), body(1000));
                }
            }
        }
        thread_local! {
            static BEFORE: Last = const { Last };
            static AFTER: Last = const { Last };
        }
        let thread = std::thread::spawn(|| {
            BEFORE.with(|_| {});
            copy(&body(1000));
            AFTER.with(|_| {});
        });
        thread.join().unwrap();
    }
}
