//! Finds frames in a stream of chunks, without copying where a frame lies in one chunk.

use std::collections::VecDeque;
use std::{fmt, mem};

use bytes::{Bytes, BytesMut};

use crate::curve::{Opener, SEALED};
use crate::frame::{COMMAND, LONG, MORE};
use crate::framing::{Framing, Header, MAX_OLD_HEADER_LEN};
use crate::metadata::MAX_HANDSHAKE_COMMAND;
use crate::room;
use crate::{ApiMisuse, Error, FrameBody, PeerMisbehaved};

/// From how many missing bytes on a frame is worth reading straight into its buffer.
const WORTH_LENDING: usize = 64 * 1024;
/// From which length on, in bytes, [`awaited_frame`](crate::Connection::awaited_frame) lends a frame to
/// its end, so that nothing of the next one is received with it.
pub const VERY_LONG_FRAME: usize = 256 * 1024;
/// The longest body the protocol and the address space allow.
pub(crate) const MAX_BODY: u64 = isize::MAX as u64;

/// The input of a connection, cut into frames.
pub(crate) struct Decoder {
    /// The chunk being read; what lies before `position` is done with. That may be all of it, until there
    /// is another one or it is taken to be used again.
    chunk: Bytes,
    position: usize,
    /// Of a frame that lies across chunks. Boxed, for idle connections are many;
    partial: Option<Box<Partial>>,
    /// and so is this, once it is needed.
    aside: Option<Box<Aside>>,
    message_limit: u64,
    framing: Framing,
    /// The flags that frames may have.
    flags: u8,
}

/// What does not lie in the chunk being read.
#[derive(Default)]
struct Aside {
    /// Chunks that follow it.
    queue: VecDeque<Bytes>,
    /// The frame last assembled from several chunks; kept until the next one is asked for.
    assembled: Bytes,
    /// How long the longest frame was that was assembled: so much room has been paid for.
    longest: usize,
}

/// Not what has come: there may be a password in it, or what was encrypted.
impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("waiting", &self.buffered_len()).finish_non_exhaustive()
    }
}

/// The part of a frame that has already been taken out of the chunks.
#[derive(Debug)]
enum Partial {
    /// A header that lies across chunks.
    Header { bytes: [u8; MAX_OLD_HEADER_LEN], have: usize },
    /// A body that lies across chunks.
    Body { flags: u8, need: usize, buffer: BytesMut },
    /// A body whose buffer the caller is filling.
    Lent { flags: u8, need: usize, had: usize },
}

/// Where a decoded frame's body lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    flags: u8,
    assembled: bool,
    pub(crate) start: usize,
    end: usize,
}

impl Span {
    /// A body without any bytes, of no frame.
    pub(crate) const EMPTY: Self = Self { flags: 0, assembled: true, start: 0, end: 0 };

    #[inline]
    pub(crate) fn more(self) -> bool {
        self.flags & MORE != 0
    }

    pub(crate) fn is_command(self) -> bool {
        self.flags & COMMAND != 0
    }

    /// The span without its first `count` bytes.
    pub(crate) fn skip(self, count: usize) -> Self {
        Self { start: self.start + count, ..self }
    }
}

impl Decoder {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            chunk: Bytes::new(),
            position: 0,
            partial: None,
            aside: None,
            message_limit: limit,
            framing: Framing::Present,
            flags: MORE | LONG | COMMAND,
        }
    }

    /// Expects the frames of a version before 3.0, which has no commands, from the next one on.
    pub(crate) fn expect_older(&mut self, framing: Framing) {
        self.framing = framing;
        self.flags = MORE | LONG;
    }

    /// Puts back what [`read_raw`](Self::read_raw) yielded last.
    pub(crate) fn unread(&mut self, bytes: &[u8]) {
        let rest = mem::replace(&mut self.chunk, Bytes::copy_from_slice(bytes));
        let rest = rest.slice(mem::take(&mut self.position)..);
        if !rest.is_empty() {
            self.aside().queue.push_front(rest);
        }
    }

    fn aside(&mut self) -> &mut Aside {
        self.aside.get_or_insert_default()
    }

    /// Whether chunks follow the present one.
    fn has_queue(&self) -> bool {
        self.aside.as_ref().is_some_and(|aside| !aside.queue.is_empty())
    }

    /// Sets the longest bodies of messages accepted from the next frame on.
    pub(crate) fn limit(&mut self, messages: u64) {
        self.message_limit = messages;
    }

    pub(crate) fn message_limit(&self) -> u64 {
        self.message_limit
    }

    pub(crate) fn feed(&mut self, data: Bytes) {
        if self.position == self.chunk.len() && !self.has_queue() {
            self.chunk = data;
            self.position = 0;
        } else {
            self.aside().queue.push_back(data);
        }
    }

    pub(crate) fn take_spent(&mut self) -> Bytes {
        if self.position < self.chunk.len() || self.has_queue() {
            return Bytes::new();
        }
        self.position = 0;
        mem::take(&mut self.chunk)
    }

    /// Bytes not yet looked at.
    pub(crate) fn buffered_len(&self) -> usize {
        let queue = self.aside.iter().flat_map(|aside| &aside.queue);
        self.chunk.len() - self.position + queue.map(Bytes::len).sum::<usize>()
    }

    /// Whether [`next_frame`](Self::next_frame) could get further without new input.
    pub(crate) fn has_input(&self) -> bool {
        self.position < self.chunk.len() || self.has_queue() || self.body_is_complete()
    }

    fn body_is_complete(&self) -> bool {
        matches!(
            self.partial.as_deref(),
            Some(Partial::Body { need, buffer, .. }) if buffer.len() == *need
        )
    }

    /// Moves bytes that are not frames into `target`; returns how many.
    pub(crate) fn read_raw(&mut self, target: &mut [u8]) -> usize {
        let mut done = 0;
        while done < target.len() && self.next_chunk() {
            let rest = &self.chunk[self.position..];
            let count = rest.len().min(target.len() - done);
            target[done..done + count].copy_from_slice(&rest[..count]);
            done += count;
            self.position += count;
        }
        done
    }

    /// Makes sure that the current chunk has unread bytes; false if there is no input left.
    #[inline]
    fn next_chunk(&mut self) -> bool {
        self.position < self.chunk.len() || self.load_chunk()
    }

    #[inline(never)]
    fn load_chunk(&mut self) -> bool {
        while self.position == self.chunk.len() {
            let next = self.aside.as_mut().and_then(|aside| aside.queue.pop_front());
            let Some(next) = next else { return false };
            self.chunk = next;
            self.position = 0;
        }
        true
    }

    /// The next frame, if it belongs to a message and lies whole in the current chunk, which has
    /// frames of the present form. Everything else is left to [`next_frame`](Self::next_frame).
    #[inline]
    pub(crate) fn whole_message_frame(&mut self) -> Option<Span> {
        if self.partial.is_some() {
            return None;
        }
        let (flags, len, body) = match &self.chunk[self.position..] {
            [flags @ 0..=MORE, len, body @ ..] => (*flags, u64::from(*len), body),
            [flags @ LONG..=3, size @ ..] => {
                let (len, body) = size.split_first_chunk()?;
                (*flags, u64::from_be_bytes(*len), body)
            }
            _ => return None,
        };
        if len > body.len() as u64 || len > self.message_limit {
            return None;
        }
        let start = self.chunk.len() - body.len();
        self.position = start + len as usize;
        Some(Span { flags, assembled: false, start, end: self.position })
    }

    /// Takes messages of one frame that lie whole in the current chunk, one after the other, until
    /// something else comes; at most `most`. Returns how many.
    #[inline]
    pub(crate) fn whole_messages(
        &mut self,
        most: usize,
        mut take: impl FnMut(FrameBody<'_>),
    ) -> usize {
        if self.partial.is_some() {
            return 0;
        }
        let chunk = &self.chunk;
        let mut rest = &chunk[self.position..];
        let mut taken = 0;
        while taken < most {
            let (len, body) = match rest {
                [0, len, body @ ..] => (u64::from(*len), body),
                [LONG, size @ ..] => match size.split_first_chunk() {
                    Some((len, body)) => (u64::from_be_bytes(*len), body),
                    None => break,
                },
                _ => break,
            };
            if len > body.len() as u64 || len > self.message_limit {
                break;
            }
            let body = FrameBody::new(chunk, body, len as usize);
            rest = body.rest();
            take(body);
            taken += 1;
        }
        self.position = chunk.len() - rest.len();
        taken
    }

    /// The next frame; `None` if more input is needed.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Span>, PeerMisbehaved> {
        if let Some(aside) = &mut self.aside
            && !aside.assembled.is_empty()
        {
            room::keep(mem::take(&mut aside.assembled));
        }
        loop {
            if self.body_is_complete() {
                return Ok(Some(self.finish_body()));
            }
            if matches!(self.partial.as_deref(), Some(Partial::Lent { .. })) || !self.next_chunk() {
                return Ok(None);
            }
            let rest = &self.chunk[self.position..];
            match self.partial.as_deref_mut() {
                None => match Header::read(self.framing, rest) {
                    Some(header) => {
                        self.position += header.len;
                        if let Some(span) = self.begin_body(header)? {
                            return Ok(Some(span));
                        }
                    }
                    None => {
                        let mut bytes = [0; MAX_OLD_HEADER_LEN];
                        bytes[..rest.len()].copy_from_slice(rest);
                        self.partial = Some(Partial::Header { bytes, have: rest.len() }.into());
                        self.position = self.chunk.len();
                    }
                },
                Some(Partial::Header { bytes, have }) => {
                    let count = rest.len().min(Header::len_for(self.framing, bytes[0]) - *have);
                    bytes[*have..*have + count].copy_from_slice(&rest[..count]);
                    *have += count;
                    self.position += count;
                    if let Some(header) = Header::read(self.framing, &bytes[..*have]) {
                        self.partial = None;
                        if let Some(span) = self.begin_body(header)? {
                            return Ok(Some(span));
                        }
                    }
                }
                Some(Partial::Body { need, buffer, .. }) => {
                    let count = rest.len().min(*need - buffer.len());
                    let arrived = buffer.len() + count;
                    let longest = self.aside.as_ref().map_or(0, |aside| aside.longest);
                    room::make_room(buffer, *need, arrived, arrived, longest);
                    buffer.extend_from_slice(&rest[..count]);
                    self.position += count;
                }
                Some(Partial::Lent { .. }) => return Ok(None),
            }
        }
    }

    /// Judges a header and begins its body: a span if all of it lies in the current chunk.
    #[inline]
    fn begin_body(&mut self, header: Header) -> Result<Option<Span>, PeerMisbehaved> {
        let Header { flags, body_len, .. } = header;
        if flags & !self.flags != 0 || flags & (MORE | COMMAND) == MORE | COMMAND {
            return Err(PeerMisbehaved::Flags(flags));
        }
        let limit = match flags & COMMAND {
            0 => self.message_limit,
            _ => command_limit(self.message_limit),
        };
        let need = match usize::try_from(body_len) {
            Ok(need) if body_len <= limit.min(MAX_BODY) => need,
            _ if body_len == u64::MAX && self.framing == Framing::Old => {
                return Err(PeerMisbehaved::NoRoomForFlags);
            }
            _ if body_len > MAX_BODY => return Err(PeerMisbehaved::FrameLength(body_len)),
            _ => return Err(PeerMisbehaved::FrameTooLong { length: body_len, limit }),
        };
        let start = self.position;
        if need <= self.chunk.len() - start {
            self.position = start + need;
            return Ok(Some(Span { flags, assembled: false, start, end: self.position }));
        }
        self.partial = Some(Partial::Body { flags, need, buffer: BytesMut::new() }.into());
        Ok(None)
    }

    fn finish_body(&mut self) -> Span {
        let Some(Partial::Body { flags, buffer, .. }) = self.partial.take().map(|partial| *partial)
        else {
            return Span::EMPTY;
        };
        let end = buffer.len();
        let aside = self.aside();
        aside.assembled = buffer.freeze();
        aside.longest = aside.longest.max(end);
        Span { flags, assembled: true, start: 0, end }
    }

    /// Decrypts the body of a frame: in place, where it lies in memory of its own.
    pub(crate) fn open(&mut self, span: Span, opener: &mut Opener) -> Result<Span, PeerMisbehaved> {
        let mut sealed = if span.assembled {
            let body = mem::take(&mut self.aside().assembled);
            body.try_into_mut().unwrap_or_else(|shared| opener.copy(&shared))
        } else {
            opener.copy(&self.chunk[span.start..span.end])
        };
        let flags = opener.open(&mut sealed)?;
        let end = sealed.len();
        self.aside().assembled = sealed.freeze();
        Ok(Span { flags, assembled: true, start: SEALED, end })
    }

    #[inline]
    pub(crate) fn body(&self, span: Span) -> FrameBody<'_> {
        static NOTHING: Bytes = Bytes::new();
        let source = match &self.aside {
            _ if !span.assembled => &self.chunk,
            Some(aside) => &aside.assembled,
            None => &NOTHING,
        };
        FrameBody::new(source, &source[span.start..], span.end - span.start)
    }

    /// Hands out the buffer of a long frame of which much is missing.
    pub(crate) fn lend(&mut self) -> Option<BytesMut> {
        if self.position < self.chunk.len() || self.has_queue() {
            return None;
        }
        let partial = self.partial.as_deref_mut()?;
        let Partial::Body { flags, need, buffer } = partial else { return None };
        let arrived = buffer.len();
        let least = if *need < VERY_LONG_FRAME { WORTH_LENDING } else { 1 };
        if *need - arrived < least {
            return None;
        }
        let wanted = (arrived + WORTH_LENDING).min(*need);
        let longest = self.aside.as_ref().map_or(0, |aside| aside.longest);
        room::make_room(buffer, *need, arrived, wanted, longest);
        let lent = mem::take(buffer);
        *partial = Partial::Lent { flags: *flags, need: *need, had: lent.len() };
        Some(lent)
    }

    /// Takes such a buffer back. True if it came back with more in it.
    pub(crate) fn take_back(&mut self, mut buffer: BytesMut) -> Result<bool, Error> {
        let Some(Partial::Lent { flags, need, had }) = self.partial.as_deref() else {
            // Nothing was lent: these can only be bytes that follow.
            let grown = !buffer.is_empty();
            if grown {
                self.feed(buffer.freeze());
            }
            return Ok(grown);
        };
        let (flags, need, had) = (*flags, *need, *had);
        if buffer.len() < had {
            return Err(ApiMisuse::FrameShortened.into());
        }
        let grown = buffer.len() > had;
        if buffer.len() > need {
            // The spare capacity can exceed what is missing: the surplus begins the next frame and
            // precedes whatever has been fed meanwhile.
            let unread = mem::replace(&mut self.chunk, buffer.split_off(need).freeze());
            let unread = unread.slice(mem::take(&mut self.position)..);
            if !unread.is_empty() {
                self.aside().queue.push_front(unread);
            }
        }
        if let Some(partial) = self.partial.as_deref_mut() {
            *partial = Partial::Body { flags, need, buffer };
        }
        Ok(grown)
    }
}

/// The longest commands where messages may be so long: a limit on these must not forbid PINGs.
pub(crate) fn command_limit(messages: u64) -> u64 {
    messages.max(MAX_HANDSHAKE_COMMAND as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::{FIRST_ROOM, GROWTH};

    fn room(decoder: &Decoder) -> usize {
        match decoder.partial.as_deref() {
            Some(Partial::Body { buffer, .. }) => buffer.capacity(),
            _ => 0,
        }
    }

    fn header(len: u64) -> Bytes {
        let (header, used) = crate::encode_header(false, false, len);
        Bytes::copy_from_slice(&header[..used])
    }

    #[test]
    fn an_announced_length_costs_nothing() {
        let mut decoder = Decoder::new(MAX_BODY);
        decoder.feed(header(1 << 62));
        assert!(decoder.next_frame().expect("a fair length").is_none());
        assert_eq!(room(&decoder), 0);
        decoder.feed(Bytes::from_static(b"x"));
        assert!(decoder.next_frame().expect("a fair length").is_none());
        assert_eq!(room(&decoder), FIRST_ROOM);
    }

    #[test]
    fn room_grows_with_what_has_arrived_and_ends_at_the_frame() {
        let len = 1_000_000;
        let mut decoder = Decoder::new(MAX_BODY);
        decoder.feed(header(len));
        let mut arrived = 0;
        for piece in [1, 10_000, 30_000, 200_000] {
            arrived += piece;
            decoder.feed(vec![0; piece].into());
            assert!(decoder.next_frame().expect("a fair length").is_none());
            assert!(room(&decoder) >= arrived);
            assert!(room(&decoder) <= FIRST_ROOM.max(GROWTH * arrived).min(len as usize));
        }
        decoder.feed(vec![0; len as usize - arrived].into());
        let span = decoder.next_frame().expect("a fair length").expect("the frame");
        assert_eq!(decoder.body(span).len(), len as usize);
    }

    #[test]
    fn a_frame_as_long_as_one_before_gets_all_of_its_room_at_once() {
        let mut decoder = Decoder::new(MAX_BODY);
        for (len, room_at_first) in
            [(1_000_000, FIRST_ROOM), (900_000, 900_000), (2_000_000, 1_000_000)]
        {
            decoder.feed(header(len));
            decoder.feed(Bytes::from_static(b"x"));
            assert!(decoder.next_frame().expect("a fair length").is_none());
            assert_eq!(room(&decoder), room_at_first);
            decoder.feed(vec![0; len as usize - 1].into());
            let span = decoder.next_frame().expect("a fair length").expect("the frame");
            assert_eq!(decoder.body(span).len(), len as usize);
        }
    }

    #[test]
    fn the_next_long_frame_has_the_memory_of_one_that_is_done_with() {
        let len = 1_000_000;
        let mut decoder = Decoder::new(MAX_BODY);
        let mut receive = |byte| {
            decoder.feed(header(len as u64));
            decoder.feed(vec![byte; len].into());
            decoder.next_frame().expect("a fair length").expect("the frame");
            let frame = decoder.aside().assembled.clone();
            assert!(decoder.next_frame().expect("nothing").is_none());
            assert_eq!(frame, vec![byte; len]);
            frame
        };
        let memory = receive(1).as_ptr();
        assert_eq!(room::kept(), len);
        let second = receive(2);
        assert_eq!(second.as_ptr(), memory);
        assert_ne!(receive(3).as_ptr(), memory, "somebody still has it");
        assert_eq!(second, vec![2; len]);
        assert_eq!(room::kept(), 2 * len);
    }

    #[test]
    fn very_long_frames_are_lent_to_their_end() {
        for (len, missing, lent) in [
            (VERY_LONG_FRAME - 1, 1, None),
            (VERY_LONG_FRAME, 1, Some(1)),
            (VERY_LONG_FRAME, 2, Some(2)),
        ] {
            let mut decoder = Decoder::new(MAX_BODY);
            decoder.feed(header(len as u64));
            decoder.feed(vec![0; len - missing].into());
            assert!(decoder.next_frame().expect("a fair length").is_none());
            let buffer = decoder.lend();
            let spare = buffer.as_ref().map(|buffer| buffer.capacity() - buffer.len());
            assert_eq!(spare, lent);
            if let Some(mut buffer) = buffer {
                buffer.resize(len, 0);
                assert_eq!(decoder.take_back(buffer), Ok(true));
                assert!(decoder.lend().is_none(), "nothing is missing");
            }
        }
    }

    #[test]
    fn a_small_frame_across_chunks_gets_exactly_its_room() {
        let mut decoder = Decoder::new(MAX_BODY);
        decoder.feed(Bytes::from_static(b"\x00\x05he"));
        assert!(decoder.next_frame().expect("a fair length").is_none());
        assert_eq!(room(&decoder), 5);
    }

    #[test]
    fn nothing_read_stays_in_memory() {
        let mut decoder = Decoder::new(MAX_BODY);
        decoder.feed(Bytes::from_static(b"\x00\x05he"));
        assert!(decoder.next_frame().expect("a fair length").is_none());
        decoder.feed(Bytes::from_static(b"llo"));
        assert!(decoder.next_frame().expect("a fair length").is_some());
        assert!(decoder.next_frame().expect("a fair length").is_none());
        // But for what may be used again.
        assert_eq!(decoder.take_spent(), "llo");
        assert!(decoder.aside().assembled.is_empty() && decoder.chunk.is_empty());
    }
}
