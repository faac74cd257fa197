//! Messages encoded for the wire, waiting to be written.

use std::collections::VecDeque;

use bytes::{BufMut, Bytes, BytesMut};
use serverlink_zmtp::{Frames, encode_frame, encode_header};

use crate::{Frame, Message};

/// Frames are packed into chunks of this size.
const CHUNK: usize = 64 * 1024;
/// Bodies from this size on are referred to and not copied.
const SHARE_FROM: usize = 4 * 1024;

/// A run of encoded bytes.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) bytes: Bytes,
    /// Whether a message begins at the first byte.
    clean: bool,
    /// How many messages end within.
    pub(crate) messages: usize,
}

/// A log of encoded messages: appended to at one end, taken off in batches at the other.
#[derive(Debug)]
pub(crate) struct Staging {
    segments: VecDeque<Segment>,
    tail: BytesMut,
    tail_clean: bool,
    tail_messages: usize,
    messages: usize,
}

impl Staging {
    pub(crate) fn new() -> Self {
        Self {
            segments: VecDeque::new(),
            tail: BytesMut::new(),
            tail_clean: true,
            tail_messages: 0,
            messages: 0,
        }
    }

    /// How many messages wait.
    pub(crate) fn messages(&self) -> usize {
        self.messages
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// Appends a message.
    pub(crate) fn push(&mut self, message: &Message) {
        let mut frames = message.iter().peekable();
        while let Some(frame) = frames.next() {
            self.push_frame(frame, frames.peek().is_some());
        }
        self.messages += 1;
        if self.tail.len() >= CHUNK {
            self.cut();
        }
    }

    fn push_frame(&mut self, frame: &Frame, more: bool) {
        if frame.len() < SHARE_FROM {
            self.reserve(frame.len() + 9);
            encode_frame(&mut self.tail, more, frame);
            self.tail_messages += usize::from(!more);
        } else {
            self.reserve(9);
            let (header, used) = encode_header(more, false, frame.len() as u64);
            self.tail.put_slice(&header[..used]);
            self.cut();
            self.segments.push_back(Segment {
                bytes: frame.to_bytes(),
                clean: false,
                messages: usize::from(!more),
            });
            self.tail_clean = !more;
        }
    }

    fn reserve(&mut self, size: usize) {
        if self.tail.capacity() - self.tail.len() < size {
            self.tail.reserve(size.max(CHUNK / 16));
        }
    }

    /// Closes the tail off as a segment.
    fn cut(&mut self) {
        if !self.tail.is_empty() {
            self.segments.push_back(Segment {
                bytes: self.tail.split().freeze(),
                clean: self.tail_clean,
                messages: self.tail_messages,
            });
            self.tail_messages = 0;
            // Cut before a shared body, the next byte of the tail is not the first of a message;
            // `push_frame` says so itself.
            self.tail_clean = true;
        }
    }

    /// Takes whole messages off, of about `size` bytes together.
    pub(crate) fn take(&mut self, size: usize) -> VecDeque<Segment> {
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
        let batch: VecDeque<_> = if count == self.segments.len() {
            std::mem::take(&mut self.segments)
        } else {
            self.segments.drain(..count).collect()
        };
        self.messages -= batch.iter().map(|segment| segment.messages).sum::<usize>();
        batch
    }

    /// Puts back, before all others, what was taken but of which only `sent` bytes were written:
    /// every message that was not written to its end, from its first byte.
    pub(crate) fn put_back(&mut self, batch: VecDeque<Segment>, sent: usize) {
        for segment in unsent(batch, sent).into_iter().rev() {
            self.messages += segment.messages;
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

#[cfg(test)]
mod tests {
    use super::*;

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
        all
    }

    fn bytes(batch: &VecDeque<Segment>) -> Vec<u8> {
        batch.iter().flat_map(|segment| segment.bytes.to_vec()).collect()
    }

    fn staged(messages: &[Message]) -> Staging {
        let mut staging = Staging::new();
        messages.iter().for_each(|message| staging.push(message));
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

    #[test]
    fn batches_hold_whole_messages_in_order() {
        let all = messages();
        for size in [0, 1, 100, 5000, 1 << 20] {
            let mut staging = staged(&all);
            assert_eq!(staging.messages(), all.len());
            let (mut out, mut count) = (Vec::new(), 0);
            while !staging.is_empty() {
                let batch = staging.take(size);
                count += batch.iter().map(|segment| segment.messages).sum::<usize>();
                assert!(batch[0].clean);
                assert_eq!(staging.messages(), all.len() - count);
                out.extend(bytes(&batch));
            }
            assert_eq!(out, wire(&all));
        }
    }

    #[test]
    fn whatever_was_sent_the_rest_comes_back_from_a_message_boundary() {
        let all = messages();
        let total = wire(&all).len();
        for sent in 0..=total {
            let mut staging = staged(&all);
            let batch = staging.take(usize::MAX);
            staging.push(&Message::from("later"));
            staging.put_back(batch, sent);
            // The first message not wholly sent.
            let first = (0..=all.len()).rev().find(|&n| wire(&all[..n]).len() <= sent).unwrap();
            let mut expected = all[first..].to_vec();
            expected.push(Message::from("later"));
            assert_eq!(staging.messages(), expected.len(), "sent {sent}");
            assert_eq!(bytes(&staging.take(usize::MAX)), wire(&expected), "sent {sent}");
            assert!(staging.is_empty());
        }
    }
}
