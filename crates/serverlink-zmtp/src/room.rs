//! The memory that long frames are assembled in.
//!
//! A long frame that is done with leaves its memory to the next one of its thread: what the allocator
//! gives back to the system, the system has to clear again page by page, which takes about as long as to
//! receive it.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};

/// The room first given to a frame of unknown honesty, in bytes.
pub(crate) const FIRST_ROOM: usize = 8 * 1024;
/// How much more room than bytes received a frame may have.
pub(crate) const GROWTH: usize = 4;
/// From which length on memory is worth using again: such as the allocator gives back.
const WORTH_KEEPING: usize = 128 * 1024;
/// How much memory a thread keeps, in bytes, whoever else still has it included.
const MOST_KEPT: usize = 4 * 1024 * 1024;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { frames: Vec::new(), bytes: 0 }) };
}

/// The last long frames; those that nobody else has any more are free to be used again.
struct Kept {
    frames: Vec<Bytes>,
    /// How long they are together.
    bytes: usize,
}

impl Kept {
    fn keep(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push(frame);
        while self.bytes > MOST_KEPT {
            self.remove(0);
        }
    }

    /// Memory for `len` bytes, and for at most twice as many: what a message keeps from others is bounded.
    fn take(&mut self, len: usize) -> Option<BytesMut> {
        let fits = |frame: &Bytes| (len..=2 * len).contains(&frame.len()) && frame.is_unique();
        let found = self.frames.iter().rposition(fits)?;
        let mut buffer = self.remove(found).try_into_mut().ok()?;
        buffer.clear();
        Some(buffer)
    }

    fn remove(&mut self, index: usize) -> Bytes {
        let frame = self.frames.remove(index);
        self.bytes -= frame.len();
        frame
    }
}

/// Takes a frame that was assembled and handed out.
pub(crate) fn keep(frame: Bytes) {
    if (WORTH_KEEPING..=MOST_KEPT).contains(&frame.len()) {
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| kept.borrow_mut().keep(frame));
    }
}

/// How many bytes this thread keeps.
#[cfg(test)]
pub(crate) fn kept() -> usize {
    KEPT.with_borrow(|kept| kept.bytes)
}

fn allocate(len: usize) -> BytesMut {
    let kept = if len < WORTH_KEEPING {
        None
    } else {
        KEPT.try_with(|kept| kept.borrow_mut().take(len)).ok().flatten()
    };
    kept.unwrap_or_else(|| BytesMut::with_capacity(len))
}

/// Makes room for `wanted` bytes of a body of `need` bytes, of which `arrived` have arrived. The
/// room is bounded by what has arrived, so that an announced length alone costs nothing; a frame as
/// long as one before (`longest`) gets all of its room at once, and is not moved.
pub(crate) fn make_room(
    buffer: &mut BytesMut,
    need: usize,
    arrived: usize,
    wanted: usize,
    longest: usize,
) {
    if wanted > buffer.capacity() {
        let room = FIRST_ROOM.max(wanted).max(arrived.saturating_mul(GROWTH)).max(longest);
        let mut larger = allocate(need.min(room));
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(len: usize) -> Bytes {
        BytesMut::zeroed(len).freeze()
    }

    #[test]
    fn memory_is_used_again_when_nobody_has_it_any_more() {
        let mut kept = Kept { frames: Vec::new(), bytes: 0 };
        let message = frame(WORTH_KEEPING);
        let memory = message.as_ptr();
        kept.keep(message.clone());
        assert!(kept.take(WORTH_KEEPING).is_none(), "somebody has it");
        drop(message);
        let again = kept.take(WORTH_KEEPING).expect("nobody has it");
        assert_eq!((again.as_ptr(), again.len(), kept.bytes), (memory, 0, 0));
        assert!(again.capacity() >= WORTH_KEEPING);
    }

    #[test]
    fn what_is_too_short_or_much_too_long_is_not_used() {
        let mut kept = Kept { frames: Vec::new(), bytes: 0 };
        kept.keep(frame(WORTH_KEEPING));
        assert!(kept.take(WORTH_KEEPING + 1).is_none());
        assert!(kept.take(WORTH_KEEPING / 2 - 1).is_none());
        assert!(kept.take(WORTH_KEEPING / 2).is_some());
    }

    #[test]
    fn no_more_is_kept_than_the_most() {
        let mut kept = Kept { frames: Vec::new(), bytes: 0 };
        for _ in 0..3 * MOST_KEPT / WORTH_KEEPING {
            kept.keep(frame(WORTH_KEEPING));
            assert_eq!(kept.bytes, WORTH_KEEPING * kept.frames.len());
            assert!(kept.bytes <= MOST_KEPT);
        }
        assert_eq!(kept.bytes, MOST_KEPT);
        kept.keep(frame(MOST_KEPT));
        assert_eq!(kept.frames.len(), 1, "the older ones make room");
    }

    #[test]
    fn a_thread_keeps_long_frames_only() {
        let memory = |len| {
            let frame = frame(len);
            let memory = frame.as_ptr();
            keep(frame);
            memory
        };
        memory(WORTH_KEEPING - 1);
        memory(MOST_KEPT + 1);
        assert_eq!(kept(), 0);
        let long = memory(WORTH_KEEPING);
        assert_eq!(allocate(WORTH_KEEPING).as_ptr(), long);
        assert_eq!(kept(), 0);
    }
}
