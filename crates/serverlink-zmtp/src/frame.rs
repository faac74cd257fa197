//! Frames: flags, size, body (RFC 37, "Framing").

use bytes::{BufMut, BytesMut};

use crate::framing::{Framing, Header};

pub(crate) const MORE: u8 = 0x01;
pub(crate) const LONG: u8 = 0x02;
pub(crate) const COMMAND: u8 = 0x04;

/// The longest header, but for that of ZMTP 1.0: flags and an eight-byte size.
pub const MAX_HEADER_LEN: usize = 9;

/// The largest body of a short frame.
const MAX_SHORT: usize = 255;

/// The header of a frame with `len` bytes of body: the bytes and how many of them count (2 or 9).
/// Bodies of up to 255 bytes get the short form. `more` is left out of commands, where it is not
/// allowed.
///
/// ```
/// let (header, used) = serverlink_zmtp::encode_header(true, false, 5);
/// assert_eq!(header[..used], [0x01, 5]);
/// ```
#[inline]
#[must_use]
pub const fn encode_header(more: bool, command: bool, len: u64) -> ([u8; MAX_HEADER_LEN], usize) {
    let flags = match (command, more) {
        (true, _) => COMMAND,
        (false, true) => MORE,
        (false, false) => 0,
    };
    let mut header = [0; MAX_HEADER_LEN];
    if len <= MAX_SHORT as u64 {
        header[0] = flags;
        header[1] = len as u8;
        (header, 2)
    } else {
        let size = len.to_be_bytes();
        header[0] = flags | LONG;
        let mut i = 0;
        while i < size.len() {
            header[i + 1] = size[i];
            i += 1;
        }
        (header, MAX_HEADER_LEN)
    }
}

/// The length in bytes of a whole frame, header included, whose body has `body_len` bytes.
#[inline]
#[must_use]
pub const fn frame_len(body_len: usize) -> usize {
    body_len.saturating_add(if body_len <= MAX_SHORT { 2 } else { MAX_HEADER_LEN })
}

/// Appends one frame of a message to `out`.
///
/// ```
/// let mut out = bytes::BytesMut::new();
/// serverlink_zmtp::encode_frame(&mut out, false, b"hello");
/// assert_eq!(out, &b"\x00\x05hello"[..]);
/// assert_eq!(out.len(), serverlink_zmtp::frame_len(5));
/// ```
#[inline]
pub fn encode_frame(out: &mut BytesMut, more: bool, body: &[u8]) {
    if body.len() <= MAX_SHORT {
        out.reserve(body.len() + 2);
        out.put_slice(&[u8::from(more), body.len() as u8]);
    } else {
        out.reserve(body.len().saturating_add(MAX_HEADER_LEN));
        let (header, used) = encode_header(more, false, body.len() as u64);
        out.put_slice(&header[..used]);
    }
    out.put_slice(body);
}

/// Where one frame lies in encoded bytes: header from `start` to `body`, content from `body` to
/// `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameSpan {
    /// Whether further frames of the same message follow.
    pub more: bool,
    /// Whether the frame is a command.
    pub command: bool,
    /// Offset of the first byte of the header.
    pub start: usize,
    /// Offset of the first byte of the body.
    pub body: usize,
    /// Offset after the last byte of the body.
    pub end: usize,
}

/// Finds the frames in bytes encoded earlier, for instance to drop or copy whole messages. Ends
/// before a frame that is not complete.
///
/// ```
/// use serverlink_zmtp::{Frames, encode_frame};
///
/// let mut out = bytes::BytesMut::new();
/// encode_frame(&mut out, true, b"a");
/// encode_frame(&mut out, false, b"bc");
/// let ends: Vec<_> = Frames::new(&out).map(|frame| (frame.more, frame.end)).collect();
/// assert_eq!(ends, [(true, 3), (false, 7)]);
/// ```
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Frames<'a> {
    /// The frames of `bytes`, which must begin with a header.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }
}

impl Iterator for Frames<'_> {
    type Item = FrameSpan;

    fn next(&mut self) -> Option<FrameSpan> {
        let start = self.position;
        let header = Header::read(Framing::Present, self.bytes.get(start..)?)?;
        let body = start + header.len;
        let end = body.checked_add(usize::try_from(header.body_len).ok()?)?;
        if end > self.bytes.len() {
            return None;
        }
        self.position = end;
        Some(FrameSpan {
            more: header.flags & MORE != 0,
            command: header.flags & COMMAND != 0,
            start,
            body,
            end,
        })
    }
}

impl std::iter::FusedIterator for Frames<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_form_begins_at_256_bytes() {
        assert_eq!(encode_header(false, false, 255), ([0, 255, 0, 0, 0, 0, 0, 0, 0], 2));
        assert_eq!(encode_header(true, false, 256), ([3, 0, 0, 0, 0, 0, 0, 1, 0], 9));
        assert_eq!(encode_header(true, true, 1).0[..2], [4, 1]);
        assert_eq!(frame_len(255), 257);
        assert_eq!(frame_len(256), 265);
        for len in [0, 1, 255, 256, 70_000] {
            let mut out = BytesMut::new();
            encode_frame(&mut out, true, &vec![7; len]);
            assert_eq!(out.len(), frame_len(len));
            let (header, used) = encode_header(true, false, len as u64);
            assert_eq!(out[..used], header[..used]);
        }
    }

    #[test]
    fn an_incomplete_last_frame_is_not_reported() {
        let mut out = BytesMut::new();
        encode_frame(&mut out, true, b"first");
        encode_frame(&mut out, false, &[1; 300]);
        let whole: Vec<_> = Frames::new(&out).collect();
        assert_eq!(whole.len(), 2);
        assert_eq!(&out[whole[0].body..whole[0].end], b"first");
        assert_eq!((whole[1].start, whole[1].body, whole[1].end), (7, 16, out.len()));
        for cut in 7..out.len() {
            assert_eq!(Frames::new(&out[..cut]).collect::<Vec<_>>(), whole[..1]);
        }
    }

    #[test]
    fn a_length_beyond_the_address_space_ends_the_search() {
        assert_eq!(Frames::new(&[2, 255, 255, 255, 255, 255, 255, 255, 255, 0]).next(), None);
    }
}
