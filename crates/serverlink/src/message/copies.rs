//! Copies of bodies, many to one allocation.
//!
//! Who sends a copy and who drops it are two threads, most often: of memory allocated for each they
//! would pass every piece through the allocator, which has to lock it against the other.

use std::cell::Cell;

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

/// Where a thread puts the next copy.
#[derive(Default)]
struct Block {
    /// How long it is as a whole.
    size: usize,
    room: BytesMut,
}

thread_local! {
    static BLOCK: Cell<Block> = Cell::default();
}

/// A copy of a body.
#[inline(never)]
pub(super) fn copy(body: &[u8]) -> Bytes {
    // A thread that ends may have no block any more.
    let copied = BLOCK.try_with(|place| {
        let mut block = place.take();
        let copied = block.take(body);
        place.set(block);
        copied
    });
    copied.ok().flatten().unwrap_or_else(|| Bytes::copy_from_slice(body))
}

impl Block {
    /// A copy of a body, unless it would keep too much alive, or is long.
    fn take(&mut self, body: &[u8]) -> Option<Bytes> {
        let most = body.len() * PINNED;
        if body.len() >= LONG || (self.size > most && self.room.capacity() >= body.len()) {
            return None;
        }
        if self.room.capacity() < body.len() {
            let size = most.min(LARGEST.max(body.len() * SEVERAL));
            *self = Self { size, room: BytesMut::with_capacity(size) };
        }
        self.room.extend_from_slice(body);
        Some(self.room.split().freeze())
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
            let mut block = Block::default();
            let copies: Vec<_> = (0..SEVERAL).map(|_| block.take(&body(size)).unwrap()).collect();
            assert!(copies.iter().all(|copy| copy[..] == body(size)));
            for pair in copies.windows(2) {
                assert_eq!(pair[0].as_ptr().wrapping_add(size), pair[1].as_ptr(), "{size}");
            }
        }
    }

    #[test]
    fn no_copy_keeps_more_than_its_share_alive() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut block = Block::default();
        for _ in 0..20_000 {
            let size =
                if random.bool() { random.usize(71..2000) } else { random.usize(71..20_000) };
            if let Some(copy) = block.take(&body(size)) {
                assert_eq!(copy[..], body(size));
                assert!(size < LONG);
                assert!(block.size <= size * PINNED && block.size <= LONG * SEVERAL, "{size}");
                assert!(block.room.capacity() < block.size);
            }
        }
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
