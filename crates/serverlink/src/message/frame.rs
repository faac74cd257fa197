//! One part of a message.

use std::{borrow::Borrow, fmt, hash, ops::Deref};

use bytes::Bytes;

use super::copies;

/// Bodies up to this size are kept within the `Frame` itself.
pub(crate) const INLINE: usize = 70;

/// One part of a [`Message`](crate::Message): a body of bytes, immutable and cheap to clone.
///
/// Bodies of up to 70 bytes are held inline; larger ones share their memory
/// with their clones, and with the buffer they were received into, or with other copies that the same
/// thread has made. That keeps at most 128 times a body's size alive. A thread that makes copies, or
/// receives, keeps memory to use again for them: up to 1 MiB each for short, middle and longer ones.
///
/// ```
/// use serverlink::Frame;
///
/// let frame = Frame::from("hello");
/// assert_eq!(&frame[..], b"hello");
/// assert_eq!(frame, "hello");
/// ```
#[derive(Clone)]
pub struct Frame(Body);

#[derive(Clone)]
enum Body {
    Inline { len: u8, bytes: [u8; INLINE] },
    Shared(Bytes),
}

impl Frame {
    /// A frame of no bytes.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self(Body::Inline { len: 0, bytes: [0; INLINE] })
    }

    /// A frame that holds a copy of `body`.
    #[inline]
    #[must_use]
    pub fn copy_from_slice(body: &[u8]) -> Self {
        let mut frame = Self::new();
        frame.set_copy(body);
        frame
    }

    /// Makes a frame of no bytes one that holds a copy of `body`.
    #[inline]
    pub(crate) fn set_copy(&mut self, body: &[u8]) {
        match &mut self.0 {
            Body::Inline { len, bytes } if body.len() <= INLINE => {
                *len = body.len() as u8;
                copy_small(&mut bytes[..body.len()], body);
            }
            other => *other = Body::Shared(copies::copy(body)),
        }
    }

    /// A frame of the first `len` bytes of `window`.
    #[inline]
    pub(crate) fn inline(window: &[u8; INLINE], len: usize) -> Self {
        debug_assert!(len <= INLINE);
        Self(Body::Inline { len: len as u8, bytes: *window })
    }

    /// The body and what follows it in the frame, and how many of these bytes count, if it is held
    /// inline.
    #[inline]
    pub(crate) fn as_inline(&self) -> Option<(&[u8; INLINE], usize)> {
        match &self.0 {
            Body::Inline { len, bytes } => Some((bytes, usize::from(*len))),
            Body::Shared(_) => None,
        }
    }

    /// A frame that refers to `body` for ever, without a copy.
    #[must_use]
    pub const fn from_static(body: &'static [u8]) -> Self {
        Self(Body::Shared(Bytes::from_static(body)))
    }

    /// The body.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        match &self.0 {
            Body::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Body::Shared(bytes) => bytes,
        }
    }

    /// The body as shared bytes: without a copy unless the frame is small.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        match &self.0 {
            Body::Inline { .. } => Bytes::copy_from_slice(self),
            Body::Shared(bytes) => bytes.clone(),
        }
    }

    /// Whether others may refer to the same memory: clones of the frame, or frames that were
    /// received together with it, or copied by the same thread (`ZMQ_SHARED`); or a thread that keeps the
    /// memory for a while, to use it again: the one that copied it, or that received it, if it has 128 KiB
    /// or more. What is held inline never is, nor is what a frame was given to own; what is static always
    /// is.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        match &self.0 {
            Body::Inline { .. } => false,
            Body::Shared(bytes) => !bytes.is_unique(),
        }
    }

    /// The body as text, if it is UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self).ok()
    }
}

/// Copies a body of at most [`INLINE`] bytes to a place of the same length, in two pieces that may
/// overlap: with sizes known beforehand it takes no call.
#[inline]
fn copy_small(to: &mut [u8], from: &[u8]) {
    #[inline]
    fn both_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> bool {
        if from.len() > 2 * N {
            return false;
        }
        let (Some(first), Some(last)) = (from.first_chunk::<N>(), from.last_chunk::<N>()) else {
            return false;
        };
        if let Some(to) = to.first_chunk_mut() {
            *to = *first;
        }
        if let Some(to) = to.last_chunk_mut() {
            *to = *last;
        }
        true
    }
    if !(both_ends::<32>(to, from) || both_ends::<16>(to, from) || both_ends::<8>(to, from)) {
        to.copy_from_slice(from);
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Frame {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Borrow<[u8]> for Frame {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        if self.len() <= SHOWN {
            write!(f, "b\"{}\"", self.escape_ascii())
        } else {
            write!(f, "b\"{}\"… ({} bytes)", self[..SHOWN].escape_ascii(), self.len())
        }
    }
}

impl PartialEq for Frame {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Frame {}

impl hash::Hash for Frame {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl PartialEq<[u8]> for Frame {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl PartialEq<&[u8]> for Frame {
    fn eq(&self, other: &&[u8]) -> bool {
        **self == **other
    }
}

impl<const N: usize> PartialEq<&[u8; N]> for Frame {
    fn eq(&self, other: &&[u8; N]) -> bool {
        **self == other[..]
    }
}

impl PartialEq<str> for Frame {
    fn eq(&self, other: &str) -> bool {
        **self == *other.as_bytes()
    }
}

impl PartialEq<&str> for Frame {
    fn eq(&self, other: &&str) -> bool {
        **self == *other.as_bytes()
    }
}

impl From<Bytes> for Frame {
    #[inline]
    fn from(body: Bytes) -> Self {
        if body.len() <= INLINE { Self::copy_from_slice(&body) } else { Self(Body::Shared(body)) }
    }
}

impl From<Vec<u8>> for Frame {
    fn from(body: Vec<u8>) -> Self {
        if body.len() <= INLINE {
            Self::copy_from_slice(&body)
        } else {
            Self(Body::Shared(Bytes::from(body)))
        }
    }
}

impl From<String> for Frame {
    fn from(body: String) -> Self {
        Self::from(body.into_bytes())
    }
}

impl From<&[u8]> for Frame {
    #[inline]
    fn from(body: &[u8]) -> Self {
        Self::copy_from_slice(body)
    }
}

impl<const N: usize> From<&[u8; N]> for Frame {
    fn from(body: &[u8; N]) -> Self {
        Self::copy_from_slice(body)
    }
}

impl<const N: usize> From<[u8; N]> for Frame {
    fn from(body: [u8; N]) -> Self {
        Self::copy_from_slice(&body)
    }
}

impl From<&str> for Frame {
    #[inline]
    fn from(body: &str) -> Self {
        Self::copy_from_slice(body.as_bytes())
    }
}

impl From<&Frame> for Frame {
    fn from(frame: &Frame) -> Self {
        frame.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_small_as_its_inline_body_allows() {
        assert_eq!(size_of::<Frame>(), INLINE + 2);
    }

    #[test]
    fn bodies_on_both_sides_of_the_inline_limit_read_back() {
        for len in (0..=INLINE + 1).chain([1000]) {
            let body: Vec<u8> = (0..len).map(|i| i as u8).collect();
            assert_eq!(Frame::from(&body[..]), &body[..]);
            assert_eq!(Frame::from(Bytes::from(body.clone())), &body[..]);
            assert_eq!(Frame::from(body.clone()).to_bytes(), body);
        }
    }

    #[test]
    fn large_bodies_are_shared_and_not_copied() {
        let body = Bytes::from(vec![7; 1000]);
        let frame = Frame::from(body.clone());
        assert_eq!(frame.as_ptr(), body.as_ptr());
        assert_eq!(frame.to_bytes().as_ptr(), body.as_ptr());
    }
}
