//! Memory that frames are packed into.

use bytes::{Bytes, BytesMut};

use super::prefetch;
use crate::message::INLINE;

/// Flags, length, and the longest body that is held inline.
const SHORT_FRAME: usize = 2 + INLINE;

/// The part of a short body that is copied whatever its length.
const HEAD: usize = 64;
/// How much memory is given a value at once.
const STEP: usize = 4096;

/// Bytes packed one after the other, and room for more.
///
/// Memory for the next ones has some value already, so that a piece of a fixed size can be copied in
/// though not all of it counts.
#[derive(Debug)]
pub(super) struct Chunk {
    /// What is packed, and the memory behind it that has a value.
    memory: BytesMut,
    filled: usize,
}

impl Chunk {
    /// One that uses memory anew.
    pub(super) fn new(memory: BytesMut) -> Self {
        Self { memory, filled: 0 }
    }

    /// How many bytes are packed.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.filled
    }

    /// How many bytes there is memory for, packed ones included.
    pub(super) fn capacity(&self) -> usize {
        self.memory.capacity()
    }

    /// Makes room for `size` more bytes, with new memory for `least` if it takes that.
    pub(super) fn reserve(&mut self, size: usize, least: usize) {
        if self.memory.len() - self.filled < size {
            if self.memory.capacity() - self.filled < size {
                self.memory.truncate(self.filled);
                self.memory.reserve(size.max(least));
            }
            let room = self.memory.capacity() - self.filled;
            self.memory.resize(self.filled + room.min(size.max(STEP)), 0);
        }
    }

    /// Packs bytes, which there must be room for.
    #[inline]
    pub(super) fn put(&mut self, bytes: &[u8]) {
        let end = self.filled + bytes.len();
        self.memory[self.filled..end].copy_from_slice(bytes);
        self.filled = end;
    }

    /// Packs a frame of the first `len` bytes of `window`, the last of its message; false if there is
    /// no room for the whole window.
    #[inline]
    pub(super) fn put_short_frame(&mut self, window: &[u8; INLINE], len: usize) -> bool {
        let room = self.memory.get_mut(self.filled..).and_then(<[u8]>::first_chunk_mut);
        let Some(room) = room else { return false };
        let room: &mut [u8; SHORT_FRAME] = room;
        room[0] = 0;
        room[1] = len as u8;
        // In two pieces, of which the first is enough for most: it is read as it was written just now,
        // which is faster.
        let (head, tail) = window.split_at(HEAD);
        room[2..2 + HEAD].copy_from_slice(head);
        if len > HEAD {
            room[2 + HEAD..].copy_from_slice(tail);
        }
        self.filled += 2 + len;
        // For the message after the next: another core has read what was here before.
        let next = self.memory.as_ptr().wrapping_add(self.filled).cast::<[u8; SHORT_FRAME]>();
        prefetch::fetch_end(next.wrapping_add(1), true);
        true
    }

    /// Takes what is packed; the room that is left stays.
    pub(super) fn split(&mut self) -> Bytes {
        self.memory.split_to(std::mem::take(&mut self.filled)).freeze()
    }

    /// What is packed; its memory, all of it, is [used anew](Self::reuse) when nobody needs it.
    pub(super) fn freeze(mut self) -> Bytes {
        self.memory.truncate(self.filled);
        self.memory.freeze()
    }
}
