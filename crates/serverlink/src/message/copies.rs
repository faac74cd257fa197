//! Copies of bodies, many to one allocation.
//!
//! Who sends a copy and who drops it are two threads, most often: of memory allocated for each they
//! would pass every piece through the allocator, which has to lock it against the other.

//!
//! Blocks are used again when all copies in one are dropped. One that is full as others read it is best
//! used again last, and one whose copies went as they came, at once: it is in this core's cache.

use std::{cell::RefCell, collections::VecDeque, mem};

use bytes::{Bytes, BytesMut};

/// A copy keeps at most so many times its size alive,
const PINNED: usize = 128;
/// and no more than this, which stays in a core's cache if it is used again,
const LARGEST: usize = 16 * 1024;
/// but so many times its size in any case: over a connection, where who sends a copy drops it, too,
/// larger blocks are slower than memory of its own.
const SEVERAL: usize = 3;
/// Copies from this size on have memory of their own: there is little to be saved.
const LONG: usize = 12 * 1024;
/// How much a thread keeps to use again, beside the block in use. The allocator gives larger amounts
/// that are freed together back to the system, which clears them page by page before they are used again.
const KEPT: usize = 1024 * 1024;

/// Where a thread puts its copies.
#[derive(Default)]
struct Blocks {
    /// Where the next one goes.
    current: Block,
    /// Those used up before, the oldest first.
    former: VecDeque<Block>,
    /// How long they are together.
    kept: usize,
}

#[derive(Default)]
struct Block {
    /// How long it is as a whole.
    size: usize,
    room: BytesMut,
}

thread_local! {
    static BLOCKS: RefCell<Blocks> = RefCell::default();
}

/// A copy of a body.
#[inline(never)]
pub(super) fn copy(body: &[u8]) -> Bytes {
    // A thread that ends may have no blocks any more.
    let copied = BLOCKS.try_with(|blocks| blocks.try_borrow_mut().ok()?.take(body));
    copied.ok().flatten().unwrap_or_else(|| Bytes::copy_from_slice(body))
}

impl Blocks {
    /// A copy of a body, unless it would keep too much alive, or is long.
    fn take(&mut self, body: &[u8]) -> Option<Bytes> {
        let most = body.len() * PINNED;
        let Block { size, room } = &self.current;
        if body.len() >= LONG || (*size > most && room.capacity() >= body.len()) {
            return None;
        }
        if room.capacity() < body.len() {
            self.begin(most.min(LARGEST.max(body.len() * SEVERAL)), most);
        }
        let room = &mut self.current.room;
        room.extend_from_slice(body);
        Some(room.split().freeze())
    }

    /// Begins a block that is as long as this at least and at most: the one in use if that is free again,
    /// the oldest if that is, or a new one.
    #[inline(never)]
    fn begin(&mut self, least: usize, most: usize) {
        if self.current.is_free(least, most) {
            return;
        }
        let free = self.former.front_mut().is_some_and(|oldest| oldest.is_free(least, most));
        let oldest = if free { self.drop_oldest() } else { None };
        let next = oldest.unwrap_or_else(|| Block::new(least));
        let current = mem::replace(&mut self.current, next);
        if current.size > 0 {
            self.kept += current.size;
            self.former.push_back(current);
        }
        while self.kept > KEPT {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) -> Option<Block> {
        let oldest = self.former.pop_front()?;
        self.kept -= oldest.size;
        Some(oldest)
    }
}

impl Block {
    fn new(size: usize) -> Self {
        Self { size, room: BytesMut::with_capacity(size) }
    }

    /// Whether it is as long as this at least and at most, and has room in all of its length, since
    /// nobody has copies in it any more.
    fn is_free(&mut self, least: usize, most: usize) -> bool {
        (least..=most).contains(&self.size) && self.room.try_reclaim(self.size)
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
        for size in [1, 71, 256, 1024, LONG - 1] {
            let mut blocks = Blocks::default();
            let copies: Vec<_> = (0..SEVERAL).map(|_| blocks.take(&body(size)).unwrap()).collect();
            assert!(copies.iter().all(|copy| copy[..] == body(size)));
            for pair in copies.windows(2) {
                assert_eq!(pair[0].as_ptr().wrapping_add(size), pair[1].as_ptr(), "{size}");
            }
        }
    }

    #[test]
    fn no_copy_keeps_more_than_its_share_alive() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut blocks = Blocks::default();
        let mut held = Vec::new();
        for round in 0..20_000_usize {
            let size =
                if random.bool() { random.usize(71..2000) } else { random.usize(71..20_000) };
            if let Some(copy) = blocks.take(&body(size)) {
                let Block { size: block, room } = &blocks.current;
                assert!(size < LONG);
                assert!(*block <= size * PINNED && *block <= LONG * SEVERAL, "{size}");
                assert!(room.capacity() < *block);
                held.push(copy);
            }
            assert!(blocks.kept <= KEPT);
            assert_eq!(blocks.kept, blocks.former.iter().map(|block| block.size).sum::<usize>());
            // Now few are held, and now many; nobody has written to those that are.
            while held.len() > round % 300 {
                let copy = held.swap_remove(random.usize(..held.len()));
                assert_eq!(copy[..], body(copy.len()));
            }
        }
    }

    #[test]
    fn memory_is_used_again_once_all_copies_in_it_are_dropped() {
        let size = LARGEST / 4;
        let mut blocks = Blocks::default();
        let mut take = || blocks.take(&body(size)).unwrap();
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
