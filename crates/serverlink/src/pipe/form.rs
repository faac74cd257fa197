//! The messages of an outbox as a peer of ZMTP 1.0 takes them: every frame with another header.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serverlink_zmtp::{Framing, MAX_OLD_HEADER_LEN};

use super::staging::{SHARE_FROM, Segment};

/// Appends to `buffers` what is to be written for a batch.
pub(super) fn translate(batch: &VecDeque<Segment>, buffers: &mut Vec<Bytes>) {
    let mut out = BytesMut::new();
    for (more, body) in frames(batch) {
        let (header, used) = Framing::Old.header(more, body.len() as u64);
        out.reserve(MAX_OLD_HEADER_LEN + body.len().min(SHARE_FROM));
        out.put_slice(&header[..used]);
        if body.len() < SHARE_FROM {
            out.put_slice(&body);
        } else {
            buffers.extend([out.split().freeze(), body]);
        }
    }
    if !out.is_empty() {
        buffers.push(out.freeze());
    }
}

/// How many bytes of a batch, as it lies there, are the frames of which all is in the first `sent`
/// bytes of what was written.
pub(super) fn original_len(batch: &VecDeque<Segment>, sent: usize) -> usize {
    let (mut written, mut original) = (0, 0);
    for (more, body) in frames(batch) {
        let len = |framing: Framing| framing.header(more, body.len() as u64).1 + body.len();
        written += len(Framing::Old);
        if written > sent {
            break;
        }
        original += len(Framing::Present);
    }
    original
}

/// The frames of a batch: whether more of the message follow, and the body, which is in the segment
/// of its header or is the next one.
fn frames(batch: &VecDeque<Segment>) -> impl Iterator<Item = (bool, Bytes)> {
    let mut segments = batch.iter().map(|segment| segment.bytes.clone());
    let mut rest = Bytes::new();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            rest = segments.next()?;
        }
        let (more, len, used) = Framing::Present.read_header(&rest)?;
        rest.advance(used);
        let len = usize::try_from(len).ok()?;
        let body = if len > 0 && rest.is_empty() { segments.next()? } else { rest.split_to(len) };
        Some((more, body))
    })
}

#[cfg(test)]
mod tests {
    use super::{super::staging::Staging, *};
    use crate::{Message, pipe::Outgoing};

    fn messages() -> Vec<Message> {
        let mut mixed = Message::from("envelope");
        for len in [0, 253, 254, 255, 256, SHARE_FROM, SHARE_FROM + 1, 1, SHARE_FROM] {
            mixed.push_back(vec![len as u8; len]);
        }
        let shared = Message::from(vec![7; SHARE_FROM]);
        vec![Message::from("a"), mixed, Message::from(""), shared, Message::from("")]
    }

    fn batch(messages: &[Message]) -> VecDeque<Segment> {
        let mut staging = Staging::new();
        messages.iter().for_each(|message| staging.push(Outgoing::Message(message)));
        let mut batch = VecDeque::new();
        staging.take(usize::MAX, &mut batch);
        batch
    }

    /// The bytes of whole messages, in the most direct notation.
    fn wire(messages: &[Message], framing: Framing) -> Vec<u8> {
        let mut out = Vec::new();
        for message in messages {
            for (index, frame) in message.iter().enumerate() {
                let (len, more) = (frame.len(), u8::from(index + 1 < message.len()));
                match framing {
                    Framing::Old if len < 254 => out.extend([len as u8 + 1, more]),
                    Framing::Old => {
                        out.push(255);
                        out.extend((len as u64 + 1).to_be_bytes());
                        out.push(more);
                    }
                    Framing::Present if len < 256 => out.extend([more, len as u8]),
                    Framing::Present => {
                        out.push(more | 2);
                        out.extend((len as u64).to_be_bytes());
                    }
                }
                out.extend_from_slice(frame);
            }
        }
        out
    }

    #[test]
    fn every_frame_gets_the_older_header() {
        let mut buffers = Vec::new();
        translate(&batch(&messages()), &mut buffers);
        assert!(buffers.concat() == wire(&messages(), Framing::Old));
    }

    #[test]
    fn whatever_was_sent_the_rest_comes_back_from_a_message_boundary() {
        let all = messages();
        let ends: Vec<_> =
            (0..=all.len()).map(|count| wire(&all[..count], Framing::Old).len()).collect();
        let total = ends[all.len()];
        let near_ends = ends.iter().flat_map(|end| end.saturating_sub(2)..(end + 3).min(total));
        for sent in near_ends.chain((0..total).step_by(97)).chain([total]) {
            let first = ends.iter().rposition(|&end| end <= sent);
            let mut staging = Staging::new();
            let batch = batch(&all);
            let original = original_len(&batch, sent);
            staging.put_back(batch, original);
            let mut rest = VecDeque::new();
            staging.take(usize::MAX, &mut rest);
            let rest: Vec<u8> = rest.iter().flat_map(|segment| segment.bytes.to_vec()).collect();
            assert!(rest == wire(&all[first.unwrap()..], Framing::Present), "sent {sent}");
        }
    }
}
