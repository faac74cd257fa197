//! Messages encoded for the wire, waiting to be written.

use std::{collections::VecDeque, mem, ops::RangeInclusive};

use bytes::{Bytes, BytesMut};
use serverlink_zmtp::{Frames, encode_frame, encode_header};

use super::{alone, chunk::Chunk};
use crate::{Frame, Message};

/// Frames are packed into chunks of this size.
const CHUNK: usize = 64 * 1024;
/// Room for a chunk and the message that fills it.
const ROOMY: usize = CHUNK + SHARE_FROM + 9;
/// How many chunks are kept to be used again,
const SPARE: usize = 4;
/// and of what size: neither little ones, nor bodies that were shared.
const WORTH_KEEPING: RangeInclusive<usize> = 4 * 1024..=2 * ROOMY;
/// What a connection may keep that sends little: room for a few messages.
const SMALL: usize = 512;
/// Bodies from this size on are referred to and not copied.
pub(super) const SHARE_FROM: usize = 4 * 1024;

/// A message to be written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Outgoing<'a> {
    Message(&'a Message),
    /// All of its frames, encoded.
    Encoded(&'a [u8]),
    /// A frame's body, without any framing: for streams that speak no ZMTP.
    Raw(&'a Frame),
}

/// Encodes a message that many peers get; false if that would gain nothing, because it is small or so
/// large that its bodies are better shared.
pub(crate) fn encode_once(message: &Message, out: &mut BytesMut) -> bool {
    let small = message.only_frame().is_some_and(|frame| frame.as_inline().is_some());
    if small || message.byte_len() >= SHARE_FROM {
        return false;
    }
    #[cfg(test)]
    encodings::count();
    out.clear();
    encode(message, out);
    true
}

/// Appends all frames of a message.
pub(super) fn encode(message: &Message, out: &mut BytesMut) {
    let mut frames = message.iter().peekable();
    while let Some(frame) = frames.next() {
        encode_frame(out, frames.peek().is_some(), frame);
    }
}

/// A run of encoded bytes.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) bytes: Bytes,
    /// Whether a message begins at the first byte. If not, here is no more than the rest of one.
    clean: bool,
    /// How many messages end within.
    pub(crate) messages: u32,
}

impl Segment {
    /// The memory of a chunk that nobody refers to any more.
    fn into_chunk(self) -> Option<BytesMut> {
        let chunk = self.bytes.try_into_mut().ok()?;
        WORTH_KEEPING.contains(&chunk.capacity()).then_some(chunk)
    }
}

/// A log of encoded messages: appended to at one end, taken off in batches at the other.
#[derive(Debug)]
pub(crate) struct Staging {
    segments: VecDeque<Segment>,
    tail: Chunk,
    tail_clean: bool,
    tail_messages: u32,
    messages: usize,
    /// How many bytes the segments have.
    cut: usize,
    /// Chunks to be used again.
    spare: Vec<BytesMut>,
}

impl Staging {
    pub(crate) fn new() -> Self {
        Self {
            segments: VecDeque::new(),
            tail: Chunk::new(BytesMut::new()),
            tail_clean: true,
            tail_messages: 0,
            messages: 0,
            cut: 0,
            spare: Vec::new(),
        }
    }

    /// How many messages wait.
    pub(crate) fn messages(&self) -> usize {
        self.messages
    }

    /// How many bytes wait.
    pub(crate) fn bytes(&self) -> usize {
        self.cut + self.tail.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Appends a message if it is a small one and there is room for it in the present chunk: what
    /// most messages of a stream need.
    #[inline]
    pub(crate) fn push_small(&mut self, message: Outgoing<'_>) -> bool {
        let Outgoing::Message(message) = message else { return false };
        let Some((window, len)) = message.only_frame().and_then(Frame::as_inline) else {
            return false;
        };
        let pushed = self.tail.len() < CHUNK && self.tail.put_short_frame(window, len);
        #[cfg(test)]
        (0..usize::from(pushed)).for_each(|_| encodings::count());
        self.tail_messages += u32::from(pushed);
        self.messages += usize::from(pushed);
        pushed
    }

    /// Appends a message, to nothing, that is written before others come, most likely; false if it is too
    /// long for that.
    pub(super) fn push_alone(&mut self, message: Outgoing<'_>) -> bool {
        debug_assert!(self.is_empty() && self.tail.len() == 0, "it would come before others");
        let Outgoing::Message(message) = message else { return false };
        let Some(bytes) = alone::encode(message) else { return false };
        #[cfg(test)]
        encodings::count();
        self.push_segment(Segment { bytes, clean: true, messages: 1 });
        self.messages += 1;
        true
    }

    /// Appends a message.
    pub(crate) fn push(&mut self, message: Outgoing<'_>) {
        match message {
            Outgoing::Message(message) => {
                #[cfg(test)]
                encodings::count();
                let mut frames = message.iter().peekable();
                while let Some(frame) = frames.next() {
                    self.push_frame(frame, frames.peek().is_some());
                }
                if !self.tail_clean {
                    self.cut();
                }
            }
            Outgoing::Encoded(bytes) => {
                self.reserve(bytes.len());
                self.tail.put(bytes);
                self.tail_messages += 1;
            }
            Outgoing::Raw(body) => self.push_raw(body),
        }
        self.messages += 1;
        if self.tail.len() >= CHUNK {
            self.begin_chunk();
        }
    }

    fn push_frame(&mut self, frame: &Frame, more: bool) {
        let (header, used) = encode_header(more, false, frame.len() as u64);
        let header = &header[..used];
        if frame.len() < SHARE_FROM {
            self.reserve(used + frame.len());
            self.tail.put(header);
            self.tail.put(frame);
            self.tail_messages += u32::from(!more);
        } else {
            self.reserve(used);
            self.tail.put(header);
            self.cut();
            self.push_segment(Segment {
                bytes: frame.to_bytes(),
                clean: false,
                messages: u32::from(!more),
            });
            self.tail_clean = !more;
        }
    }

    #[inline(never)]
    fn push_raw(&mut self, body: &Frame) {
        if body.len() < SHARE_FROM {
            self.reserve(body.len());
            self.tail.put(body);
            self.tail_messages += 1;
        } else {
            self.cut();
            self.push_segment(Segment { bytes: body.to_bytes(), clean: true, messages: 1 });
        }
    }

    /// Gets ready for a stream: from now on messages are packed into whole chunks, those that the other has
    /// to spare first.
    pub(super) fn prepare(&mut self, other: &mut Self) {
        self.spare.append(&mut other.spare);
        if self.tail.capacity() < CHUNK {
            self.begin_chunk();
        }
    }

    /// Goes on in memory that was used before, here or there, if there is little here.
    pub(super) fn reuse(&mut self, other: &mut Self) {
        if self.tail.capacity() < *WORTH_KEEPING.start()
            && let Some(memory) = self.spare.pop().or_else(|| other.spare.pop())
        {
            self.cut();
            self.tail = Chunk::new(memory);
        }
    }

    fn begin_chunk(&mut self) {
        self.cut();
        let memory = self.spare.pop().unwrap_or_else(|| BytesMut::with_capacity(ROOMY));
        self.tail = Chunk::new(memory);
    }

    /// Moves all messages of `other` here, after those that are here. Chunks to be used again stay.
    pub(super) fn append(&mut self, other: &mut Self) {
        if self.is_empty() {
            mem::swap(self, other);
            mem::swap(&mut self.spare, &mut other.spare);
            return;
        }
        self.cut();
        other.cut();
        self.segments.append(&mut other.segments);
        self.cut += mem::take(&mut other.cut);
        self.messages += mem::take(&mut other.messages);
    }

    fn reserve(&mut self, size: usize) {
        self.tail.reserve(size, SMALL);
    }

    /// Ends the segment that is being filled, if it has so many bytes.
    pub(super) fn cut_from(&mut self, size: usize) {
        if self.tail.len() >= size {
            self.cut();
        }
    }

    /// Closes the tail off as a segment.
    fn cut(&mut self) {
        if self.tail.len() > 0 {
            let segment = Segment {
                bytes: self.split_tail(),
                clean: self.tail_clean,
                messages: mem::take(&mut self.tail_messages),
            };
            self.push_segment(segment);
            // Cut before a shared body, the next byte of the tail is not the first of a message;
            // `push_frame` says so itself.
            self.tail_clean = true;
        }
    }

    /// A chunk leaves as such, to be used again; of small ones the rest can be used.
    fn split_tail(&mut self) -> Bytes {
        if self.tail.capacity() >= *WORTH_KEEPING.start() {
            mem::replace(&mut self.tail, Chunk::new(BytesMut::new())).freeze()
        } else {
            self.tail.split()
        }
    }

    fn push_segment(&mut self, segment: Segment) {
        self.cut += segment.bytes.len();
        self.segments.push_back(segment);
    }

    /// Keeps the memory of what was written, for the next messages of a stream.
    pub(super) fn recycle(&mut self, batch: &mut VecDeque<Segment>) {
        let chunks = batch.drain(..).filter_map(Segment::into_chunk);
        self.spare.extend(chunks.take(SPARE - self.spare.len().min(SPARE)));
    }

    /// Keeps so much of that.
    pub(super) fn keep_spare(&mut self, chunks: usize) {
        self.spare.truncate(chunks);
        self.spare.shrink_to_fit();
    }

    /// Takes whole messages off, of about `size` bytes together, into `batch`, which is empty.
    pub(crate) fn take(&mut self, size: usize, batch: &mut VecDeque<Segment>) {
        self.cut();
        let mut total = 0;
        let mut count = 0;
        for segment in &self.segments {
            if count > 0 && total >= size && segment.clean {
                break;
            }
            total += segment.bytes.len();
            count += 1;
        }
        if count == self.segments.len() {
            mem::swap(&mut self.segments, batch);
        } else {
            batch.extend(self.segments.drain(..count));
        }
        self.cut -= total;
        self.messages -= batch.iter().map(|segment| segment.messages as usize).sum::<usize>();
    }

    /// Puts back, before all others, what was taken but of which only `sent` bytes were written:
    /// every message that was not written to its end, from its first byte.
    pub(crate) fn put_back(&mut self, batch: VecDeque<Segment>, sent: usize) {
        for segment in unsent(batch, sent).into_iter().rev() {
            self.messages += segment.messages as usize;
            self.cut += segment.bytes.len();
            self.segments.push_front(segment);
        }
    }

    /// Drops everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::new();
    }
}

fn unsent(mut batch: VecDeque<Segment>, sent: usize) -> VecDeque<Segment> {
    // The segment that holds the first unsent byte, and that byte's place in it.
    let mut within = sent;
    let mut index = 0;
    while batch.get(index).is_some_and(|segment| within >= segment.bytes.len()) {
        within -= batch[index].bytes.len();
        index += 1;
    }
    if index == batch.len() {
        return VecDeque::new();
    }
    // The message it belongs to began there or in the nearest clean segment before.
    while !batch[index].clean {
        index -= 1;
        within = batch[index].bytes.len();
    }
    batch.drain(..index);
    let first = &mut batch[0];
    let (mut start, mut ended) = (0, 0);
    for frame in Frames::new(&first.bytes) {
        if frame.end > within {
            break;
        }
        if !frame.more {
            start = frame.end;
            ended += 1;
        }
    }
    first.bytes = first.bytes.slice(start..);
    first.messages -= ended;
    if first.bytes.is_empty() {
        batch.pop_front();
    }
    batch
}

/// How many messages a thread has encoded.
#[cfg(test)]
pub(crate) mod encodings {
    use std::cell::Cell;

    thread_local! {
        static COUNT: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count() {
        COUNT.set(COUNT.get() + 1);
    }

    /// How many `work` encodes.
    pub(crate) fn during(work: impl FnOnce()) -> usize {
        let before = COUNT.get();
        work();
        COUNT.get() - before
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;
    use crate::message::INLINE;

    fn messages() -> Vec<Message> {
        let big = || vec![7; SHARE_FROM];
        let mut all = vec![Message::from("a"), Message::from("")];
        all.push(["x", "", "y"].into_iter().collect());
        all.push(Message::from(big()));
        let mut mixed = Message::from("envelope");
        mixed.push_back(big());
        mixed.push_back("tail");
        mixed.push_back(big());
        all.push(mixed);
        all.push(Message::from(vec![1; 300]));
        // What follows in the same chunk is no part of it.
        let mut short_end = Message::from(big());
        short_end.push_back("end");
        all.extend([short_end, Message::from("b"), Message::from("c")]);
        all
    }

    fn bytes(batch: &VecDeque<Segment>) -> Vec<u8> {
        batch.iter().flat_map(|segment| segment.bytes.to_vec()).collect()
    }

    fn staged(messages: &[Message]) -> Staging {
        let mut staging = Staging::new();
        messages.iter().for_each(|message| staging.push(Outgoing::Message(message)));
        staging
    }

    fn wire(messages: &[Message]) -> Vec<u8> {
        let mut out = BytesMut::new();
        for message in messages {
            for (i, frame) in message.iter().enumerate() {
                encode_frame(&mut out, i + 1 < message.len(), frame);
            }
        }
        out.to_vec()
    }

    fn take(staging: &mut Staging, size: usize) -> VecDeque<Segment> {
        let mut batch = VecDeque::new();
        staging.take(size, &mut batch);
        batch
    }

    #[test]
    fn batches_hold_whole_messages_in_order() {
        let all = messages();
        for size in [0, 1, 100, 5000, 1 << 20] {
            let mut staging = staged(&all);
            assert_eq!(staging.messages(), all.len());
            let (mut out, mut count) = (Vec::new(), 0);
            while !staging.is_empty() {
                let batch = take(&mut staging, size);
                count += batch.iter().map(|segment| segment.messages as usize).sum::<usize>();
                assert!(batch[0].clean);
                assert_eq!(staging.messages(), all.len() - count);
                out.extend(bytes(&batch));
            }
            assert_eq!(out, wire(&all));
        }
    }

    #[test]
    fn small_messages_fill_whole_chunks() {
        let all: Vec<_> = (0..2 * ROOMY / INLINE)
            .map(|i| Message::from(vec![i as u8; i % (INLINE + 2)]))
            .collect();
        let mut staging = Staging::new();
        staging.prepare(&mut Staging::new());
        for message in &all {
            let outgoing = Outgoing::Message(message);
            let small = message[0].len() <= INLINE;
            if staging.push_small(outgoing) {
                assert!(small);
            } else {
                staging.push(outgoing);
            }
        }
        assert_eq!(staging.messages(), all.len());
        let batch = take(&mut staging, usize::MAX);
        assert_eq!(bytes(&batch), wire(&all));
        let whole = batch.iter().filter(|segment| segment.bytes.len() >= CHUNK).count();
        assert!(whole >= 1 && batch.len() == whole + 1, "{whole} of {}", batch.len());
    }

    #[test]
    fn the_memory_of_what_was_written_is_used_again() {
        let other = &mut Staging::new();
        let mut written = |messages: Vec<Message>, staging: &mut Staging| {
            messages.iter().for_each(|message| staging.push(Outgoing::Message(message)));
            drop(messages);
            let mut batch = take(staging, usize::MAX);
            let start = batch[0].bytes.as_ptr();
            other.recycle(&mut batch);
            staging.reuse(other);
            start
        };
        let small = Message::from([7; INLINE]);
        let many = vec![small.clone(); 100];
        let mut staging = Staging::new();
        let first = written(many.clone(), &mut staging);
        assert_eq!(written(many, &mut staging), first);
        assert_eq!(written(vec![small.clone()], &mut staging), first);
        // Neither a few bytes nor a whole body are kept.
        for message in [small, Message::from(vec![7; 1 << 20])] {
            let mut staging = Staging::new();
            let first = written(vec![message], &mut staging);
            assert!(staging.tail.capacity() <= 2 * ROOMY);
            assert_ne!(staging.tail.split().as_ptr(), first);
        }
        assert_eq!(other.spare.len(), 0);
    }

    #[test]
    fn long_bodies_are_waiting_where_they_were_made() {
        for (size, shared) in [(SHARE_FROM - 1, false), (SHARE_FROM, true), (1 << 20, true)] {
            let message = Message::from(vec![7; size]);
            let batch = take(&mut staged(slice::from_ref(&message)), usize::MAX);
            let own = batch.iter().any(|segment| segment.bytes.as_ptr() == message[0].as_ptr());
            assert_eq!(own, shared, "{size}");
            assert_eq!(bytes(&batch), wire(&[message]));
        }
    }

    #[test]
    fn encoded_once_is_the_same_on_the_wire() {
        let mut once = BytesMut::new();
        for message in messages() {
            let gains =
                message.byte_len() < SHARE_FROM && (message.len() > 1 || message[0].len() > INLINE);
            assert_eq!(encode_once(&message, &mut once), gains);
            if !gains {
                continue;
            }
            let mut staging = staged(&[Message::from("before")]);
            staging.push(Outgoing::Encoded(&once));
            assert_eq!(staging.messages(), 2);
            let batch = take(&mut staging, usize::MAX);
            assert_eq!(bytes(&batch), wire(&[Message::from("before"), message]));
        }
    }

    #[test]
    fn whatever_was_sent_the_rest_comes_back_from_a_message_boundary() {
        let all = messages();
        let total = wire(&all).len();
        // Around each message's end, and here and there within.
        let ends = (0..=all.len()).map(|n| wire(&all[..n]).len());
        let around = ends.flat_map(|end| end.saturating_sub(12)..=(end + 12).min(total));
        for sent in around.chain((0..=total).step_by(61)) {
            let mut staging = staged(&all);
            let batch = take(&mut staging, usize::MAX);
            staging.push(Outgoing::Message(&Message::from("later")));
            staging.put_back(batch, sent);
            // The first message not wholly sent.
            let first = (0..=all.len()).rev().find(|&n| wire(&all[..n]).len() <= sent).unwrap();
            let mut expected = all[first..].to_vec();
            expected.push(Message::from("later"));
            assert_eq!(staging.messages(), expected.len(), "sent {sent}");
            assert_eq!(bytes(&take(&mut staging, usize::MAX)), wire(&expected), "sent {sent}");
            assert!(staging.is_empty());
        }
    }
}
