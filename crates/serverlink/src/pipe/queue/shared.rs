//! What the two sides of a queue share, and how long it lives.

use std::{ops::Deref, ptr::NonNull, sync::PoisonError};

use super::{
    BLOCKED, FLOWING, ONE,
    block::{Block, Place},
    sync::{AtomicBool, AtomicPtr, AtomicUsize, Mutex, Ordering, UnsafeCell},
};
use crate::cache::CachePadded;

pub(super) struct Shared<T> {
    pub(super) writer: CachePadded<Writer<T>>,
    pub(super) reader: CachePadded<Reader<T>>,
}

/// What the writer changes, and what hardly changes while messages flow, which the writer looks at as
/// often. The first cache line has all of what it needs for a message.
#[repr(C)]
pub(super) struct Writer<T> {
    /// The counter of messages published, with `FLOWING`.
    pub(super) published: AtomicUsize,
    /// How many messages there may be: the sum of what is allowed.
    pub(super) limit: AtomicUsize,
    /// The reader found nothing and must be told of what is published. Set by the reader alone, and
    /// cleared by either.
    pub(super) asleep: AtomicBool,
    /// The reader has gone.
    pub(super) abandoned: AtomicBool,
    /// One side has let go of all this.
    left: AtomicBool,
    /// Where the reader begins. The writer's until it publishes first, then the reader's.
    pub(super) start: UnsafeCell<Place<T>>,
    /// What the writer allows, and what the reader does.
    allowed: Mutex<[usize; 2]>,
}

/// What the reader changes.
pub(super) struct Reader<T> {
    /// The counter of messages released, with `BLOCKED`.
    pub(super) released: AtomicUsize,
    /// A chain of blocks for the writer.
    pub(super) spare: AtomicPtr<Block<T>>,
}

/// Two pairs of cache lines. Models have larger atomics.
#[cfg(not(loom))]
const _: () = assert!(size_of::<Shared<crate::Message>>() <= 256);

/// One side's hold on what both share: whoever lets go last frees it. The counts of an `Arc` would take
/// another pair of cache lines.
pub(super) struct Hold<T>(NonNull<Shared<T>>);

impl<T> Hold<T> {
    /// What is shared by the two sides of a new queue, of which the reader allows `limit` messages.
    pub(super) fn pair(limit: usize) -> (Self, Self) {
        let shared = Box::new(Shared {
            writer: CachePadded(Writer {
                published: AtomicUsize::new(0),
                limit: AtomicUsize::new(limit),
                asleep: AtomicBool::new(true),
                abandoned: AtomicBool::new(false),
                left: AtomicBool::new(false),
                start: UnsafeCell::new(Place::NOWHERE),
                allowed: Mutex::new([0, limit]),
            }),
            reader: CachePadded(Reader {
                released: AtomicUsize::new(0),
                spare: AtomicPtr::new(std::ptr::null_mut()),
            }),
        });
        let shared = NonNull::from(Box::leak(shared));
        (Self(shared), Self(shared))
    }
}

impl<T> Deref for Hold<T> {
    type Target = Shared<T>;

    #[inline(always)]
    fn deref(&self) -> &Shared<T> {
        // SAFETY: it comes from a box, which is not freed before both sides have let go, and is borrowed
        // by nobody for writing until then.
        unsafe { self.0.as_ref() }
    }
}

impl<T> Drop for Hold<T> {
    fn drop(&mut self) {
        // Released to the other side, and acquired from it: what it did comes before the end.
        if self.writer.left.swap(true, Ordering::AcqRel) {
            // SAFETY: it comes from a box, and the other side has let go before.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

impl<T> Shared<T> {
    /// Changes one part of the limit. What is queued stays there, be it too much. True if the writer was
    /// blocked and may go on.
    pub(super) fn allow(&self, side: usize, limit: usize) -> bool {
        let limit = {
            let mut allowed = self.writer.allowed.lock().unwrap_or_else(PoisonError::into_inner);
            allowed[side] = limit;
            let limit = allowed.iter().fold(0, |sum: usize, part| sum.saturating_add(*part));
            self.writer.limit.store(limit, Ordering::Relaxed);
            limit
        };
        // Acquired from a writer that is blocked, so as to see all it has published; released to one
        // that is about to be, which sees the limit then.
        let released = self.reader.released.fetch_add(0, Ordering::AcqRel);
        let published = self.writer.published.load(Ordering::Relaxed) & !FLOWING;
        let queued = published.wrapping_sub(released & !BLOCKED) / ONE;
        released & BLOCKED != 0 && queued < limit && self.unblock()
    }

    /// The writer is blocked no longer. False if somebody else has said so meanwhile.
    pub(super) fn unblock(&self) -> bool {
        self.reader.released.fetch_and(!BLOCKED, Ordering::Relaxed) & BLOCKED != 0
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let end = self.writer.published.load(Ordering::Relaxed) & !FLOWING;
        let mut read = self.reader.released.load(Ordering::Relaxed) & !BLOCKED;
        // SAFETY: both sides have gone, and what they left is ours: from `start` on as many messages
        // as lie between the counters.
        unsafe {
            let mut place = self.writer.start.with(|start| *start);
            while read != end {
                if place.is_at_end() {
                    let next = Block::take_next(place.block);
                    Block::free(place.block);
                    place = Place::first_of(next);
                }
                place.slot().with_mut(|slot| (*slot).assume_init_drop());
                place.advance();
                read = read.wrapping_add(ONE);
            }
            Block::free(place.block);
            Block::free(self.reader.spare.load(Ordering::Relaxed));
        }
    }
}
