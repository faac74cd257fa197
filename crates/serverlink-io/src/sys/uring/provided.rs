//! The engine's own receive buffers.

use std::{
    fmt, io,
    ptr::{self, NonNull},
    slice,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
};

use bytes::BytesMut;
use io_uring::types::BufRingEntry;

use super::ring::Ring;

/// How many pieces a port provides at most; a power of two.
pub(super) const PIECES: u16 = 1024;

/// How many it provides from the beginning.
const FIRST: u16 = 64;

/// The group of the pieces. There is only one.
pub(super) const GROUP: u16 = 0;

/// The size of a piece: what is worth copying.
const PIECE: usize = 4096;

/// How many receives of one port may have a whole buffer lent to the kernel. So many may connections
/// pin that have brought much, and then rest.
pub(super) const ARMED: usize = 64;

/// Pieces of memory that lie in the kernel's hands, for whichever receives have data first: those
/// that wait hold none.
///
/// What arrives in one is copied into the buffer of the event, and the piece is
/// provided again at once. The kernel takes them in turn, so that sooner or later
/// each that is provided takes memory: there are few at first, and one more for
/// each receive that found none. A receive that fills a piece is one of many: its
/// connection has the next one read into a whole buffer ([`Armed`]).
pub(super) struct Provided {
    /// What the kernel reads: the entries; behind them the pieces, by their numbers.
    pages: Pages,
    /// The count of pieces ever provided, as the kernel reads it.
    tail: u16,
    /// How many pieces there is room for; a power of two.
    pieces: u16,
    /// How many of them are in use: those of the lowest numbers.
    used: u16,
    /// The size of a piece.
    size: usize,
}

impl Provided {
    /// Up to so many pieces, for receives of at most `size` bytes. The ring must be closed before
    /// this is dropped.
    pub(super) fn new(ring: &Ring, pieces: u16, size: usize) -> io::Result<Self> {
        let size = size.min(PIECE);
        let pages = Pages::new(head(pieces) + usize::from(pieces) * size)?;
        let mut this = Self { pages, tail: 0, pieces, used: 0, size };
        (0..FIRST).for_each(|_| this.grow());
        let address = this.entries().expose_provenance() as u64;
        // SAFETY: the memory has room for so many entries, begins a page, and stays.
        unsafe { ring.provide(address, pieces, GROUP)? };
        Ok(this)
    }

    /// Appends what the kernel has written into a piece, and provides that again.
    pub(super) fn take(&mut self, number: u16, written: usize, into: &mut BytesMut) {
        if number < self.pieces && written <= self.size {
            // SAFETY: the piece lies within the memory, which is initialised, and the kernel has
            // given it back.
            into.extend_from_slice(unsafe { slice::from_raw_parts(self.piece(number), written) });
            self.provide(number);
        }
    }

    /// Provides one more, if there is room.
    pub(super) fn grow(&mut self) {
        if self.used < self.pieces {
            self.provide(self.used);
            self.used += 1;
        }
    }

    /// How many pieces are in use.
    #[cfg(test)]
    pub(super) fn used(&self) -> u16 {
        self.used
    }

    /// How many pieces there is room for.
    pub(super) fn pieces(&self) -> u16 {
        self.pieces
    }

    /// The size of a piece.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    fn entries(&self) -> *mut BufRingEntry {
        self.pages.start.as_ptr().cast()
    }

    fn piece(&self, number: u16) -> *mut u8 {
        let offset = head(self.pieces) + usize::from(number) * self.size;
        // SAFETY: the pieces lie behind the entries, in the same memory.
        unsafe { self.pages.start.as_ptr().add(offset) }
    }

    fn provide(&mut self, number: u16) {
        let piece = self.piece(number);
        let place = usize::from(self.tail & (self.pieces - 1));
        // SAFETY: the place is one of the entries'. There are as many as pieces, or more, so the
        // kernel has taken what was there; it reads none at or after the tail, and the field of the first that
        // is the tail itself is left alone.
        unsafe {
            let entry = &mut *self.entries().add(place);
            entry.set_addr(piece.expose_provenance() as u64);
            entry.set_len(u32::try_from(self.size).expect("at most `PIECE`"));
            entry.set_bid(number);
        }
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the pointer is the first entry.
        let tail = unsafe { BufRingEntry::tail(self.entries()) };
        // SAFETY: it points into the memory of the entries, which the kernel only reads.
        // Release: it finds the entries filled in that the tail says are there.
        unsafe { AtomicU16::from_ptr(tail.cast_mut()) }.store(self.tail, Ordering::Release);
    }
}

/// What the entries take.
fn head(pieces: u16) -> usize {
    usize::from(pieces) * size_of::<BufRingEntry>()
}

/// Memory of its own, page by page, full of zeroes.
///
/// It does not come from the heap. glibc's would take what is freed of this
/// size for what the program is used to, and from then on keep as much, and
/// more, to itself instead of giving it back: `M_MMAP_THRESHOLD` in mallopt(3).
struct Pages {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: it owns its memory, and nothing of it belongs to a thread.
unsafe impl Send for Pages {}

impl Pages {
    fn new(length: usize) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: new memory, wherever there is room.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, access, kind, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: it was mapped so, and the ring that referred to it is closed.
        let unmapped = unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert_eq!(unmapped, 0, "{}", io::Error::last_os_error());
    }
}

impl fmt::Debug for Provided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provided").field("size", &self.size).finish_non_exhaustive()
    }
}

/// How many receives have a whole buffer lent to the kernel, or last.
pub(super) struct Arming {
    armed: Arc<AtomicUsize>,
    most: usize,
}

impl Arming {
    pub(super) fn new(most: usize) -> Self {
        Self { armed: Arc::default(), most }
    }

    /// Leave for one more; `None` if there are as many as may be.
    pub(super) fn arm(&self) -> Option<Armed> {
        // Relaxed: only counted, nothing is published by it.
        self.armed
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |armed| {
                (armed < self.most).then_some(armed + 1)
            })
            .ok()
            .map(|_| Armed(Arc::clone(&self.armed)))
    }

    /// How many there are.
    pub(super) fn armed(&self) -> usize {
        self.armed.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Arming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.armed().fmt(f)
    }
}

/// Leave for one, given back when dropped.
pub(super) struct Armed(Arc<AtomicUsize>);

impl Drop for Armed {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lends_no_more_than_the_budget() {
        let arming = Arming::new(ARMED);
        let mut armed: Vec<_> = (0..ARMED).map(|_| arming.arm().expect("it may")).collect();
        assert!(arming.arm().is_none());
        armed.pop();
        assert!(arming.arm().is_some(), "one was given back");
    }

    #[test]
    fn a_piece_is_no_larger_than_the_buffers() {
        for (size, piece) in [(1, 1), (PIECE + 1, PIECE)] {
            let ring = Ring::new().expect("it starts");
            let provided = Provided::new(&ring, 4, size).expect("pieces can be provided");
            assert_eq!(provided.size(), piece);
            drop(ring);
        }
    }
}
