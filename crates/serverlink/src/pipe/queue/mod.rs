//! The way of messages into a socket, from one peer: a queue with one writer and one reader, who
//! share no lock.
//!
//! Messages lie in a chain of blocks. The writer fills slots and then *publishes* them, by one
//! store of a counter; the reader *fetches* what is published, a batch at a time, reads the
//! batch, and then *releases* it, by one addition to another counter. Neither looks at the other's
//! counter before it has to: the writer when the queue looks full, the reader when its batch is
//! used up.
//!
//! The writer that found no room is *blocked*, which is a mark in the lowest bit of the reader's
//! counter, set only if that is still what the writer has seen: either it sees the change or the
//! change sees the mark. The reader that found nothing is *asleep*, which is a flag of its own: it
//! sets the flag and then looks at the counter once more, as the writer changes the counter and then
//! looks at the flag. So no wake-up is lost, and nobody is told who does not wait.
//!
//! Between its store and its look the writer needs a barrier, and would wait there for its caches as
//! often as for the reader's. Once it has found the reader awake many times, soon after each other,
//! there is a *flow*: the writer leaves the barrier out, and says so in the lowest bit of its counter;
//! the reader, before it sleeps, sees to [a barrier for both](barrier). Where the system has none there
//! are no flows.
//!
//! Either side may change how many messages there may be at any time: what the writer allows and what
//! the reader does add up.

mod block;
#[cfg(all(test, loom))]
mod model;
mod shared;
mod sync;
#[cfg(all(test, not(loom)))]
mod tests;

use std::{
    fmt, hint, mem, ptr,
    time::{Duration, Instant},
};

use block::{AHEAD, Block, Place};
use shared::Hold;
use sync::Ordering;

use serverlink_io::barrier;

use super::{Refused, prefetch};

/// How much a counter grows by with each message: the lowest bit is a mark.
const ONE: usize = 2;
/// There is a flow: the writer publishes without a barrier.
const FLOWING: usize = 1;
/// After how many times that something was published for a reader that is awake there is one.
const ROW: u32 = if cfg!(loom) { 2 } else { 32 };
/// How many of those times must come quickly,
const HALF_A_ROW: u32 = ROW / 2;
/// and how quickly: where messages are rare, the reader's barrier, which stops all threads of the process
/// for some 20 us, would cost more than the writer saves.
const BRISK_MS: u32 = 10;
/// How few messages of a flow are worth waiting for more, for a few moments: about as long as it would
/// take to be put to sleep and woken. A writer that has no others to wake seldom stops for so long.
const FEW: usize = 16;
const MOMENTS: usize = if cfg!(loom) { 1 } else { 10 };
const MOMENT: Duration = Duration::from_micros(if cfg!(loom) { 0 } else { 3 });
/// How often in a moment the clock is not looked at.
const SPINS: usize = 32;
/// For how many looks nobody waits who has done so in vain, and how often in a row that makes it twice as
/// many: up to 4,096.
const IN_VAIN: u16 = if cfg!(loom) { 1 } else { 64 };
const TWICE: u8 = if cfg!(loom) { 0 } else { 6 };
/// The writer found no room and must be told when half of it is there.
const BLOCKED: usize = 1;

/// How many messages the smallest and the largest blocks hold. Models need small ones.
const SMALLEST: usize = if cfg!(loom) { 1 } else { 8 };
const LARGEST: usize = if cfg!(loom) { 2 } else { 128 };
/// How many blocks the reader keeps at most for the writer to use again.
const SPARE: usize = if cfg!(loom) { 2 } else { 8 };

/// Whose part of the limit.
const WRITERS: usize = 0;
const READERS: usize = 1;

/// The two ends of a new queue, of which the reader allows `limit` messages, `usize::MAX` for any
/// number, and the writer none besides. Its reader is asleep.
pub(crate) fn channel<T>(limit: usize) -> (Producer<T>, Consumer<T>) {
    let (writers, readers) = Hold::pair(limit);
    let producer = Producer {
        shared: writers,
        place: Place::NOWHERE,
        stash: ptr::null_mut(),
        written: 0,
        published: 0,
        released: 0,
        row: 0,
        halfway: 0,
    };
    let consumer = Consumer {
        shared: readers,
        place: Place::NOWHERE,
        batch: 0,
        haste: 0,
        in_vain: 0,
        read: 0,
        released: 0,
    };
    (producer, consumer)
}

/// The writer's end.
pub(crate) struct Producer<T> {
    shared: Hold<T>,
    /// Where the next message goes.
    place: Place<T>,
    /// A chain of blocks to use next.
    stash: *mut Block<T>,
    /// The counter of messages written, and of those published.
    written: usize,
    published: usize,
    /// The counter of messages released, as last seen.
    released: usize,
    /// How often in a row the reader was awake, until that is a flow.
    row: u32,
    /// When it was half of that, in milliseconds.
    halfway: u32,
}

/// The reader's end. Dropping it drops what is queued, and lets every push be refused.
pub(crate) struct Consumer<T> {
    shared: Hold<T>,
    /// Where the next message is.
    place: Place<T>,
    /// How many messages of the batch are left.
    batch: u32,
    /// For how many looks a flow is not given time to grow.
    haste: u16,
    /// How often in a row it was in vain, up to `TWICE`.
    in_vain: u8,
    /// The counter of messages read, and of those released.
    read: usize,
    released: usize,
}

impl<T> Producer<T> {
    /// Takes one message, which is left whole if it is refused. True if the reader sleeps and must
    /// be told.
    #[inline]
    pub(crate) fn push(&mut self, message: &mut T) -> Result<bool, Refused>
    where
        T: Default,
    {
        // What is written over holds nothing: it need not be dropped.
        self.push_with(|slot| mem::forget(mem::replace(slot, mem::take(message))))
    }

    /// Takes one message, filled in where it is to be. True if the reader sleeps and must be told.
    #[inline(always)]
    pub(crate) fn push_with(&mut self, fill: impl FnOnce(&mut T)) -> Result<bool, Refused>
    where
        T: Default,
    {
        if self.is_abandoned() {
            return Err(Refused::Gone);
        }
        if self.room() == 0 {
            return Err(Refused::Full);
        }
        self.write_with(fill);
        Ok(self.publish())
    }

    /// Takes one message whatever the limit says. True if the reader sleeps and must be told.
    pub(crate) fn push_urgent(&mut self, message: T) -> bool {
        if self.is_abandoned() {
            return false;
        }
        self.write(message);
        self.publish()
    }

    /// Whether the reader has gone.
    #[inline]
    pub(crate) fn is_abandoned(&self) -> bool {
        self.shared.writer.abandoned.load(Ordering::Relaxed)
    }

    /// How many messages may be written at least. If none, the writer will be told when it may go
    /// on.
    #[inline]
    pub(crate) fn room(&mut self) -> usize {
        let room = self.seen_room();
        if room > 0 { room } else { self.look_for_room() }
    }

    fn seen_room(&self) -> usize {
        let limit = self.shared.writer.limit.load(Ordering::Relaxed);
        limit.saturating_sub(self.written.wrapping_sub(self.released) / ONE)
    }

    #[cold]
    fn look_for_room(&mut self) -> usize {
        let mut seen = self.shared.reader.released.load(Ordering::Relaxed);
        loop {
            self.released = seen & !BLOCKED;
            let room = self.seen_room();
            if room > 0 || seen & BLOCKED != 0 {
                return room;
            }
            // Released by the writer, so that the reader sees how much is published. Acquired from
            // whoever has changed the limit and found nobody blocked.
            let marked = self.shared.reader.released.compare_exchange(
                seen,
                seen | BLOCKED,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            match marked {
                // If the limit was raised meanwhile the mark is left: being told in vain does no harm.
                Ok(_) => return self.seen_room(),
                Err(changed) => seen = changed,
            }
        }
    }

    /// Puts a message behind the others, unpublished.
    #[inline]
    pub(crate) fn write(&mut self, message: T) {
        let place = self.next_place();
        // SAFETY: as `next_place` says.
        unsafe { place.slot().with_mut(|slot| _ = (*slot).write(message)) };
    }

    /// Has a message filled in where it is to be, behind the others, unpublished. It need not be
    /// moved there.
    #[inline]
    pub(crate) fn write_with(&mut self, fill: impl FnOnce(&mut T))
    where
        T: Default,
    {
        let place = self.next_place();
        // SAFETY: as `next_place` says.
        unsafe { place.slot().with_mut(|slot| fill((*slot).write(T::default()))) };
    }

    /// The place of the next message, which is to be written before anything else is done: it counts
    /// as written. The block is there, and this is not its end. Nothing is in the slot: the block was
    /// new or came back from the reader, and the place only advances. The reader does not look into a
    /// slot before it is published.
    #[inline]
    fn next_place(&mut self) -> Place<T> {
        if self.place.is_at_end() {
            self.next_block();
        }
        let place = self.place;
        self.place.look_ahead(true);
        self.place.advance();
        self.written = self.written.wrapping_add(ONE);
        place
    }

    /// A message will be written soon: fetches what that needs into the cache.
    #[inline]
    pub(crate) fn prepare(&self) {
        self.place.fetch();
        prefetch::whole(&self.shared.writer.published);
    }

    /// Lets the reader have what is written. True if it sleeps and must be told.
    #[inline]
    pub(crate) fn publish(&mut self) -> bool {
        if self.written == self.published {
            return false;
        }
        self.published = self.written;
        let flowed = self.row == ROW;
        let flows = flowed || self.lengthen_row();
        let counter = if flows { self.written | FLOWING } else { self.written };
        let writer = &*self.shared.writer;
        if flowed {
            writer.published.store(counter, Ordering::Release);
            barrier::light();
        } else {
            sync::store_before_loads(&writer.published, counter);
        }
        let is_asleep = writer.asleep.load(Ordering::SeqCst);
        if is_asleep {
            // It is to be told, and counts as awake; what flowed is at its end.
            writer.asleep.store(false, Ordering::Relaxed);
            self.row = 0;
        }
        is_asleep
    }

    /// Counts what is published without a flow. True if one begins with it.
    #[inline]
    fn lengthen_row(&mut self) -> bool {
        self.row += 1;
        match self.row {
            HALF_A_ROW => self.halfway = sync::milliseconds(),
            ROW => {
                let took = sync::milliseconds().wrapping_sub(self.halfway);
                if took >= BRISK_MS || !barrier::is_available() {
                    self.row = 0;
                }
            }
            _ => {}
        }
        self.row == ROW
    }

    /// Goes on to another block.
    #[cold]
    fn next_block(&mut self) {
        let block = self.take_spare().unwrap_or_else(|| {
            // As large as the queue is long: with little in it, little memory is gone through.
            let released = self.shared.reader.released.load(Ordering::Relaxed) & !BLOCKED;
            let queued = self.written.wrapping_sub(released) / ONE;
            Block::allocate(queued.clamp(SMALLEST, LARGEST).next_power_of_two())
        });
        // SAFETY: it is ours.
        let next = unsafe { Place::first_of(block) };
        if self.place.block.is_null() {
            // SAFETY: nothing is published, so that the reader does not look at it yet.
            self.shared.writer.start.with_mut(|start| unsafe { *start = next });
        } else {
            // SAFETY: the reader neither leaves the block nor looks at what follows it before a
            // message there is published.
            unsafe { Block::set_next(self.place.block, block) };
        }
        self.place = next;
    }

    /// A block that has been used already, followed by none.
    fn take_spare(&mut self) -> Option<*mut Block<T>> {
        if self.stash.is_null() {
            // Acquired from the reader, which has read what was in them.
            self.stash = self.shared.reader.spare.swap(ptr::null_mut(), Ordering::Acquire);
        }
        let block = self.stash;
        if block.is_null() {
            return None;
        }
        // SAFETY: who has taken a chain of spare blocks has it to itself.
        self.stash = unsafe { Block::take_next(block) };
        Some(block)
    }

    /// Changes how many messages the writer allows there to be, besides those that the reader does. True
    /// if it was blocked and may go on.
    pub(crate) fn allow(&self, limit: usize) -> bool {
        self.shared.allow(WRITERS, limit)
    }

    /// How many messages were written so far, and how many of them may be unread.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let released = self.shared.reader.released.load(Ordering::Relaxed) & !BLOCKED;
        (self.written / ONE, self.written.wrapping_sub(released) / ONE)
    }
}

impl<T> Drop for Producer<T> {
    fn drop(&mut self) {
        self.publish();
        // SAFETY: nobody else knows of the stash.
        unsafe { Block::free(self.stash) };
    }
}

impl<T> Consumer<T> {
    /// Looks for more if the batch is used up. False if there is nothing: the reader is asleep.
    #[inline]
    pub(crate) fn fetch(&mut self) -> bool {
        self.batch > 0 || self.look_for_more()
    }

    #[cfg_attr(loom, expect(clippy::unnecessary_min_or_max, reason = "loom has it never doubled"))]
    fn look_for_more(&mut self) -> bool {
        let writer = &*self.shared.writer;
        let is_asleep = writer.asleep.load(Ordering::Relaxed);
        let mut published = writer.published.load(Ordering::Acquire);
        let limit = writer.limit.load(Ordering::Relaxed);
        // Where all that may be there is, the writer brings no more.
        let few = FEW.min(limit);
        if published & FLOWING != 0 && !is_asleep && self.queued(published) < few {
            if self.haste > 0 {
                self.haste -= 1;
            } else {
                published = self.give_time(few);
                // This writer may be waiting for the reader, or be the same thread, or have many readers.
                if self.queued(published) < few {
                    self.haste = IN_VAIN << self.in_vain;
                    self.in_vain = (self.in_vain + 1).min(TWICE);
                } else {
                    self.in_vain = 0;
                }
            }
        }
        let mut queued = self.queued(published);
        if queued == 0 && !is_asleep {
            queued = self.fall_asleep();
        }
        let batch = batch_of(queued, limit);
        self.batch = u32::try_from(batch).unwrap_or(u32::MAX);
        queued > 0
    }

    /// Gives the writer time to get ahead by a few: what is published then.
    ///
    /// A counter that is looked at rarely stays with the writer, and both wait for the other's caches
    /// once for many messages. If the reader slept instead, the writer would spend on waking it the time
    /// of hundreds, and be found behind again.
    fn give_time(&self, few: usize) -> usize {
        let mut moments = 0;
        loop {
            let began = Instant::now();
            while began.elapsed() < MOMENT {
                (0..SPINS).for_each(|_| hint::spin_loop());
            }
            moments += 1;
            let published = self.shared.writer.published.load(Ordering::Acquire);
            if moments == MOMENTS || self.queued(published) >= few {
                return published;
            }
        }
    }

    /// The reader is asleep from now on, unless there is something after all: how much there is.
    #[cold]
    fn fall_asleep(&self) -> usize {
        let writer = &*self.shared.writer;
        sync::set_before_loads(&writer.asleep);
        let mut published = writer.published.load(Ordering::SeqCst);
        if published & FLOWING != 0 && self.queued(published) == 0 {
            // The writer may have published and found nobody asleep, and its store be on its way yet.
            barrier::heavy();
            published = writer.published.load(Ordering::Acquire);
        }
        let queued = self.queued(published);
        if queued > 0 {
            // If the writer has seen it, the reader is told in vain.
            writer.asleep.store(false, Ordering::Relaxed);
        }
        queued
    }

    /// How many of those published are unread.
    fn queued(&self, published: usize) -> usize {
        (published & !FLOWING).wrapping_sub(self.read) / ONE
    }

    /// Reads a message of the batch.
    #[inline]
    pub(crate) fn pop(&mut self) -> Option<T> {
        let place = self.take_place()?;
        // SAFETY: as `take_place` says.
        Some(unsafe { place.slot().with(|slot| (*slot).assume_init_read()) })
    }

    /// Reads a message of the batch to where it is wanted, and where nothing is that would have to be
    /// dropped. False if the batch is used up.
    #[inline(always)]
    pub(crate) fn pop_into(&mut self, message: &mut T) -> bool {
        let Some(place) = self.take_place() else { return false };
        // The way from the slot leads over no stack.
        // SAFETY: as `take_place` says; and nobody else has what is borrowed.
        unsafe { place.slot().with(|slot| ptr::copy_nonoverlapping(slot.cast(), message, 1)) };
        true
    }

    /// The next message of the batch, left where it is.
    pub(crate) fn peek(&mut self) -> Option<&T> {
        if self.batch == 0 {
            return None;
        }
        if self.place.is_at_end() {
            self.next_block();
        }
        // SAFETY: as part of the batch the slot is published, hence filled, and the writer is past
        // it; it stays so until it is read, for which the reader is needed as a whole.
        Some(unsafe { self.place.slot().with(|slot| (*slot).assume_init_ref()) })
    }

    /// The place of the next message of the batch, which is to be read before anything else is done:
    /// it will not be named again. As part of the batch its slot is published, hence filled, and the
    /// writer is past it.
    #[inline]
    fn take_place(&mut self) -> Option<Place<T>> {
        if self.batch == 0 {
            return None;
        }
        if self.place.is_at_end() {
            self.next_block();
        }
        let place = self.place;
        if self.batch as usize > AHEAD {
            self.place.look_ahead(false);
        }
        self.place.advance();
        self.batch -= 1;
        self.read = self.read.wrapping_add(ONE);
        Some(place)
    }

    /// How many messages have come so far, and how many of them are unread.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let published = self.shared.writer.published.load(Ordering::Relaxed);
        (published / ONE, self.queued(published))
    }

    /// Whether the batch is used up, so that it should be released.
    #[inline]
    pub(crate) fn is_batch_over(&self) -> bool {
        self.batch == 0
    }

    /// Counts no longer what was read. True if the writer was blocked, may go on, and must be told.
    pub(crate) fn release(&mut self) -> bool {
        let shared = &*self.shared;
        let size = self.read.wrapping_sub(self.released);
        self.released = self.read;
        // Acquired from the writer that found no room, so as to see all it has published.
        if shared.reader.released.fetch_add(size, Ordering::Acquire) & BLOCKED == 0 {
            return false;
        }
        let queued = self.queued(shared.writer.published.load(Ordering::Relaxed));
        queued <= shared.writer.limit.load(Ordering::Relaxed) / 2 && shared.unblock()
    }

    /// Goes on to the next block, where the next message is.
    #[cold]
    fn next_block(&mut self) {
        let old = self.place.block;
        if old.is_null() {
            // SAFETY: a message is published, so that the writer does not touch it any more.
            self.place = self.shared.writer.start.with(|start| unsafe { *start });
            return;
        }
        // SAFETY: the block is full, and a message behind it is published: the writer has left it,
        // having said what follows, and it is the reader's alone.
        unsafe {
            self.place = Place::first_of(Block::take_next(old));
            self.recycle(old);
        }
    }

    /// Lets the writer have a block again.
    ///
    /// # Safety
    ///
    /// It is nobody else's, and nothing follows it.
    unsafe fn recycle(&self, block: *mut Block<T>) {
        // SAFETY: by contract, and the present block is there.
        if unsafe { Block::capacity(block) < Block::capacity(self.place.block) } {
            // The queue has become too long for blocks of this size.
            // SAFETY: by contract.
            unsafe { Block::free(block) };
            return;
        }
        let spare = &self.shared.reader.spare;
        // Only the reader puts any there; the writer, if it looks meanwhile, finds none.
        let chain = spare.swap(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: by contract; and who has taken a chain of spare blocks has it to itself.
        let (chain, left_over) = unsafe { Block::chain(block, chain, SPARE) };
        spare.store(chain, Ordering::Release);
        // SAFETY: as above.
        unsafe { Block::free(left_over) };
    }

    /// Changes how many messages the reader allows there to be, besides those that the writer does. True
    /// if the writer was blocked, may go on, and must be told.
    pub(crate) fn allow(&self, limit: usize) -> bool {
        self.shared.allow(READERS, limit)
    }
}

/// How many of so many messages to read before they are released.
///
/// At most half the limit, so that the writer fills one half while the other is used up. Of more
/// than half only what makes it half, or a little more: a blocked writer is told then, and not when
/// all is read. Its reader may wait for what the writer sends to others.
fn batch_of(queued: usize, limit: usize) -> usize {
    let (half, most) = (limit / 2, limit.div_ceil(2));
    if queued <= half { queued } else { (queued - half).clamp(most.div_ceil(8), most) }
}

impl<T> Drop for Consumer<T> {
    fn drop(&mut self) {
        self.shared.writer.abandoned.store(true, Ordering::Relaxed);
        // Nobody gives the writer time to bring more.
        self.haste = u16::MAX;
        while self.fetch() {
            while self.pop().is_some() {}
        }
        // Whoever drops what is published yet goes by this, and the last batch may not have been released.
        self.release();
        if !self.place.block.is_null() {
            // For whatever the writer publishes yet.
            // SAFETY: something was published, so that the writer does not touch it any more.
            self.shared.writer.start.with_mut(|start| unsafe { *start = self.place });
        }
    }
}

// SAFETY: an end may go to another thread with the messages it has; what the two ends share is made
// for two threads.
unsafe impl<T: Send> Send for Producer<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Consumer<T> {}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("written", &(self.written / ONE)).finish_non_exhaustive()
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("read", &(self.read / ONE)).finish_non_exhaustive()
    }
}
