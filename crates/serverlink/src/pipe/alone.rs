//! Memory for messages that are written at once, most likely.
//!
//! One after the other, to as many peers, they lie next to each other in memory of the thread that
//! sends, which its core has in its cache; room that each peer has for itself is cold where there are
//! many.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use serverlink_zmtp::MAX_HEADER_LEN;

use super::staging;
use crate::Message;

/// What a thread has for them. A peer that does not take its message keeps so much alive.
const BLOCK: usize = 2 * 1024;
/// The longest of them, with what its frames' headers may take.
const LONGEST: usize = 256;

thread_local! {
    static BLOCKS: RefCell<BytesMut> = RefCell::default();
}

/// Encodes a message; nothing if it is too long.
pub(super) fn encode(message: &Message) -> Option<Bytes> {
    let size = message.byte_len() + message.len() * MAX_HEADER_LEN;
    if size > LONGEST {
        return None;
    }
    // A thread that ends may have no memory any more.
    let encoded = BLOCKS.try_with(|room| {
        let mut room = room.try_borrow_mut().ok()?;
        if room.capacity() < size && !room.try_reclaim(BLOCK) {
            // Somebody needs what is there yet.
            *room = BytesMut::with_capacity(BLOCK);
        }
        staging::encode(message, &mut room);
        Some(room.split().freeze())
    });
    encoded.ok().flatten()
}

#[cfg(test)]
mod tests {
    use serverlink_zmtp::Frames;

    use super::*;

    fn bodies(encoded: &Bytes) -> Vec<Vec<u8>> {
        Frames::new(encoded).map(|frame| encoded[frame.body..frame.end].to_vec()).collect()
    }

    #[test]
    fn messages_lie_next_to_each_other_and_their_memory_is_used_again() {
        let message: Message = ["envelope", "", "body"].into_iter().collect();
        let first = encode(&message).unwrap();
        let place = first.as_ptr();
        let mut end = place;
        let (mut before, mut again) = (first, false);
        for _ in 0..2 * BLOCK / before.len() {
            assert_eq!(bodies(&before), [&b"envelope"[..], b"", b"body"]);
            end = end.wrapping_add(before.len());
            // Nobody needs the one before any more, so that nobody needs any of the block.
            drop(before);
            before = encode(&message).unwrap();
            if before.as_ptr() != end {
                assert_eq!(before.as_ptr(), place, "the block is full");
                (end, again) = (place, true);
            }
        }
        assert!(again);
    }

    #[test]
    fn what_somebody_needs_is_left_alone() {
        let kept: Vec<_> =
            (0..100_u8).map(|n| encode(&Message::from(vec![n; 90])).unwrap()).collect();
        for (n, encoded) in (0..100_u8).zip(&kept) {
            assert_eq!(bodies(encoded), [vec![n; 90]]);
        }
    }

    #[test]
    fn long_messages_have_no_place_here() {
        let longest = LONGEST - MAX_HEADER_LEN;
        assert!(encode(&Message::from(vec![7; longest])).is_some());
        assert!(encode(&Message::from(vec![7; longest + 1])).is_none());
        let many: Message = (0..LONGEST / MAX_HEADER_LEN + 1).map(|_| "").collect();
        assert!(encode(&many).is_none());
        assert!(encode(&Message::new()).is_some_and(|nothing| nothing.is_empty()));
    }
}
