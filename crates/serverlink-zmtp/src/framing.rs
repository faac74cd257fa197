//! How frames are cut out of a stream: the two ways there have been.

use crate::Version;
use crate::frame::{LONG, MAX_HEADER_LEN, MORE, encode_header};

/// The longest header of any version, in bytes: that of ZMTP 1.0.
pub const MAX_OLD_HEADER_LEN: usize = 10;

/// In ZMTP 1.0, the first byte of a header whose length takes the eight bytes that follow.
const LONG_LENGTH: u8 = 0xff;

/// The form of frames. [`encode_header`], [`encode_frame`](crate::encode_frame) and
/// [`Frames`](crate::Frames) know the present one; what was encoded in it is translated for a peer of
/// the old one frame by frame, with another header before the same body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Framing {
    /// That of ZMTP 1.0: a length that counts the flags, flags, body (RFC 13, "The Framing Layer").
    Old,
    /// That of ZMTP 2.0 and all later versions: flags, the length of the body, body (RFC 37,
    /// "Framing").
    #[default]
    Present,
}

impl Framing {
    /// The form that peers of this version use.
    #[must_use]
    pub const fn of(version: Version) -> Self {
        if version.0 < 2 { Self::Old } else { Self::Present }
    }

    /// The header of one frame of a message, with `len` bytes of body: the bytes and how many of
    /// them count.
    ///
    /// ```
    /// use serverlink_zmtp::Framing;
    ///
    /// let (header, used) = Framing::Old.header(true, 5);
    /// assert_eq!(header[..used], [6, 0x01]);
    /// let (header, used) = Framing::Present.header(true, 5);
    /// assert_eq!(header[..used], [0x01, 5]);
    /// ```
    #[must_use]
    pub fn header(self, more: bool, len: u64) -> ([u8; MAX_OLD_HEADER_LEN], usize) {
        let mut header = [0; MAX_OLD_HEADER_LEN];
        let with_flags = len.saturating_add(1);
        let used = match self {
            Self::Present => {
                let (present, used) = encode_header(more, false, len);
                header[..MAX_HEADER_LEN].copy_from_slice(&present);
                used
            }
            Self::Old if with_flags < u64::from(LONG_LENGTH) => {
                header[..2].copy_from_slice(&[with_flags as u8, u8::from(more)]);
                2
            }
            Self::Old => {
                header[0] = LONG_LENGTH;
                header[1..9].copy_from_slice(&with_flags.to_be_bytes());
                header[9] = u8::from(more);
                MAX_OLD_HEADER_LEN
            }
        };
        (header, used)
    }

    /// Reads the header of a message frame, at the start of `bytes`: whether more frames of the
    /// message follow, the length of the body, and how many bytes the header has. `None` if it is not
    /// all there.
    #[must_use]
    pub fn read_header(self, bytes: &[u8]) -> Option<(bool, u64, usize)> {
        let Header { flags, body_len, len } = Header::read(self, bytes)?;
        Some((flags & MORE != 0, body_len, len))
    }
}

/// What a header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) flags: u8,
    /// One less than nothing, `u64::MAX`, if a length of zero leaves no room for the flags.
    pub(crate) body_len: u64,
    /// Length of the header itself.
    pub(crate) len: usize,
}

impl Header {
    /// The length of the header that begins with this byte.
    #[inline]
    pub(crate) const fn len_for(framing: Framing, first: u8) -> usize {
        match framing {
            Framing::Present if first & LONG == 0 => 2,
            Framing::Present => MAX_HEADER_LEN,
            Framing::Old if first == LONG_LENGTH => MAX_OLD_HEADER_LEN,
            Framing::Old => 2,
        }
    }

    /// Reads the header at the start of `bytes`; `None` if it is not all there.
    #[inline]
    pub(crate) fn read(framing: Framing, bytes: &[u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let len = Self::len_for(framing, first);
        let header = bytes.get(..len)?;
        let length = if len == 2 { None } else { header[1..].first_chunk() };
        let length = length.map(|length| u64::from_be_bytes(*length));
        Some(match framing {
            Framing::Present => {
                Self { flags: first, body_len: length.unwrap_or(u64::from(header[1])), len }
            }
            // libzmq 2 sets the reserved flags, of which RFC 13 says that they should be zero.
            Framing::Old => Self {
                flags: header[len - 1] & MORE,
                body_len: length.unwrap_or(u64::from(first)).wrapping_sub(1),
                len,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for framing in [Framing::Old, Framing::Present] {
            for len in [0, 1, 253, 254, 255, 256, 1 << 40, (1 << 63) - 1] {
                for more in [false, true] {
                    let (header, used) = framing.header(more, len);
                    let read = Header::read(framing, &header[..used]).expect("a header");
                    assert_eq!(
                        (read.flags & MORE != 0, read.body_len, read.len),
                        (more, len, used)
                    );
                    assert_eq!(Header::len_for(framing, header[0]), used);
                    assert_eq!(Header::read(framing, &header[..used - 1]), None);
                }
            }
        }
    }

    #[test]
    fn the_old_long_form_begins_at_254_bytes() {
        assert_eq!(Framing::Old.header(false, 253), ([254, 0, 0, 0, 0, 0, 0, 0, 0, 0], 2));
        assert_eq!(Framing::Old.header(true, 254), ([255, 0, 0, 0, 0, 0, 0, 0, 255, 1], 10));
    }

    #[test]
    fn short_frames_may_have_the_old_long_form_and_reserved_flags() {
        let header = Header::read(Framing::Old, &[255, 0, 0, 0, 0, 0, 0, 0, 3, 0x7f]);
        assert_eq!(header, Some(Header { flags: MORE, body_len: 2, len: 10 }));
    }
}
