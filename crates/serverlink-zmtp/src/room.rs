//! The memory that long frames are assembled in.
//!
//! A long frame that is done with leaves its memory to the next one of its length on its thread: what the
//! allocator gives back to the system, the system has to clear again page by page, which took a quarter
//! of the time of messages of 1 MiB.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};

/// The room first given to a frame of unknown honesty, in bytes.
pub(crate) const FIRST_ROOM: usize = 8 * 1024;
/// How much more room than bytes received a frame may have.
pub(crate) const GROWTH: usize = 4;
/// From which length on memory is worth using again: such as the allocator gives back.
const WORTH_KEEPING: usize = 128 * 1024;
/// How much memory a thread keeps, in bytes, whoever else still has it included; and how much room a
/// frame gets at most before its bytes have come.
const MOST: usize = 4 * 1024 * 1024;

thread_local! {
    static KEPT: RefCell<Kept> = const { RefCell::new(Kept { frames: Vec::new(), bytes: 0 }) };
}

/// The last long frames; the memory of those that nobody else has any more may be used again.
struct Kept {
    frames: Vec<Bytes>,
    /// How long they are together.
    bytes: usize,
}

impl Kept {
    fn keep(&mut self, frame: Bytes) {
        self.bytes += frame.len();
        self.frames.push(frame);
        while self.bytes > MOST {
            self.remove(0);
        }
    }

    /// The memory of a frame of `len` bytes, and no more than that.
    fn take(&mut self, len: usize) -> Option<BytesMut> {
        // That nobody else has it is asked before it is taken out, and stays so.
        let free = |frame: &Bytes| frame.len() == len && frame.is_unique();
        let found = self.frames.iter().rposition(free)?;
        let mut buffer = self.remove(found).try_into_mut().ok()?;
        buffer.clear();
        // A frame that was decrypted elsewhere may be part of something larger.
        (buffer.capacity() == len).then_some(buffer)
    }

    fn remove(&mut self, index: usize) -> Bytes {
        let frame = self.frames.remove(index);
        self.bytes -= frame.len();
        frame
    }
}

/// Takes a frame that was assembled and handed out.
pub(crate) fn keep(frame: Bytes) {
    if (WORTH_KEEPING..=MOST).contains(&frame.len()) {
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| kept.borrow_mut().keep(frame));
    }
}

/// Memory for a whole frame of `len` bytes.
fn whole(len: usize) -> BytesMut {
    let kept = match len {
        WORTH_KEEPING..=MOST => KEPT.try_with(|kept| kept.borrow_mut().take(len)).ok().flatten(),
        _ => None,
    };
    kept.unwrap_or_else(|| BytesMut::with_capacity(len))
}

/// How many bytes this thread keeps.
#[cfg(test)]
pub(crate) fn kept() -> usize {
    KEPT.with_borrow(|kept| kept.bytes)
}

/// Makes room for `wanted` bytes of a body of `need` bytes, of which `arrived` have arrived. The
/// room is bounded by what has arrived, so that an announced length alone costs nothing; a frame no
/// longer than one before (`longest`) gets all of its room at once, up to [`MOST`], and is not moved.
pub(crate) fn make_room(
    buffer: &mut BytesMut,
    need: usize,
    arrived: usize,
    wanted: usize,
    longest: usize,
) {
    if wanted > buffer.capacity() {
        let room =
            FIRST_ROOM.max(wanted).max(arrived.saturating_mul(GROWTH)).max(longest.min(MOST));
        let mut larger = if room < need { BytesMut::with_capacity(room) } else { whole(need) };
        larger.extend_from_slice(buffer);
        *buffer = larger;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Kept = Kept { frames: Vec::new(), bytes: 0 };

    fn frame(len: usize) -> Bytes {
        BytesMut::zeroed(len).freeze()
    }

    #[test]
    fn memory_is_used_again_when_nobody_has_it_any_more() {
        let mut kept = NONE;
        let message = frame(WORTH_KEEPING);
        let memory = message.as_ptr();
        kept.keep(message.clone());
        let part = message.slice(5..6);
        drop(message);
        assert!(kept.take(WORTH_KEEPING).is_none(), "somebody has some of it");
        drop(part);
        let again = kept.take(WORTH_KEEPING).expect("nobody has it");
        assert_eq!((again.as_ptr(), again.len(), again.capacity()), (memory, 0, WORTH_KEEPING));
        assert_eq!(kept.bytes, 0);
    }

    #[test]
    fn only_frames_of_one_length_have_the_same_memory() {
        let mut kept = NONE;
        kept.keep(frame(WORTH_KEEPING));
        assert!(kept.take(WORTH_KEEPING + 1).is_none());
        assert!(kept.take(WORTH_KEEPING - 1).is_none());
        let mut larger = BytesMut::zeroed(2 * WORTH_KEEPING);
        kept.keep(larger.split_to(WORTH_KEEPING + 1).freeze());
        drop(larger);
        assert!(kept.take(WORTH_KEEPING + 1).is_none(), "it is part of something larger");
        assert_eq!(kept.bytes, WORTH_KEEPING);
    }

    #[test]
    fn no_more_is_kept_than_the_most() {
        let mut kept = NONE;
        for _ in 0..3 * MOST / WORTH_KEEPING {
            kept.keep(frame(WORTH_KEEPING));
            assert_eq!(kept.bytes, WORTH_KEEPING * kept.frames.len());
            assert!(kept.bytes <= MOST);
        }
        assert_eq!(kept.bytes, MOST);
        kept.keep(frame(MOST));
        assert_eq!(kept.frames.len(), 1, "the older ones make room");
    }

    #[test]
    fn a_thread_keeps_long_frames_only() {
        for (len, expected) in
            [(WORTH_KEEPING - 1, 0), (MOST + 1, 0), (WORTH_KEEPING, WORTH_KEEPING), (MOST, MOST)]
        {
            keep(frame(len));
            assert_eq!(kept(), expected);
        }
        assert_eq!(whole(MOST).capacity(), MOST);
        assert_eq!(kept(), 0);
    }

    #[test]
    fn room_in_advance_is_bounded_whatever_came_before() {
        for (longest, room) in [(0, FIRST_ROOM), (MOST, MOST), (10 * MOST, MOST)] {
            let mut buffer = BytesMut::new();
            make_room(&mut buffer, 20 * MOST, 1, 1, longest);
            assert_eq!(buffer.capacity(), room);
        }
    }
}
