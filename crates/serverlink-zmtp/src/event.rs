//! What a connection reports.

use std::fmt;

use bytes::Bytes;

use crate::Peer;

/// Something that arrived. It borrows from the connection: take what you need out of it before
/// asking for the next one.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The handshake is complete. Comes once, before everything else; messages may be sent from now
    /// on.
    Ready(&'a Peer),
    /// One frame of a message.
    Frame {
        /// The content.
        body: FrameBody<'a>,
        /// Whether further frames of the same message follow.
        more: bool,
    },
    /// The peer subscribes to all messages beginning with these bytes, whether it said so in a
    /// command (3.1) or, to a PUB or XPUB socket, in a message (3.0). It is reported each time it
    /// is said; RFC 29 has publishers count, while libzmq says a repeated one again but cancels it
    /// once.
    Subscribe(FrameBody<'a>),
    /// The peer takes such a subscription back.
    Cancel(FrameBody<'a>),
    /// The peer sent a PING. The PONG is ready in
    /// [`Connection::take_output`](crate::Connection::take_output).
    Ping,
    /// The peer answered a PING of ours.
    Pong,
}

/// The content of a frame, or of a subscription. Copying it out with
/// [`as_slice`](Self::as_slice) touches no reference count; [`to_bytes`](Self::to_bytes) shares it
/// without copying.
#[derive(Clone, Copy)]
pub struct FrameBody<'a> {
    /// A part of `source`.
    content: &'a [u8],
    source: &'a Bytes,
}

impl<'a> FrameBody<'a> {
    #[inline]
    pub(crate) fn new(source: &'a Bytes, start: usize, end: usize) -> Self {
        Self { content: &source[start..end], source }
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &'a [u8] {
        self.content
    }

    /// The number of bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.content.len()
    }

    /// Whether there are no bytes.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.content.is_empty()
    }

    /// The bytes as a shared slice of the input that carried them, without a copy. The slice keeps
    /// that whole input chunk alive: [`pinned_len`](Self::pinned_len) tells how long it is.
    #[inline]
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.source.slice_ref(self.content)
    }

    /// The length in bytes of the buffer that the result of [`to_bytes`](Self::to_bytes) keeps
    /// alive, as far as this crate knows it.
    #[inline]
    #[must_use]
    pub fn pinned_len(&self) -> usize {
        self.source.len()
    }
}

impl AsRef<[u8]> for FrameBody<'_> {
    fn as_ref(&self) -> &[u8] {
        self.content
    }
}

impl std::ops::Deref for FrameBody<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.content
    }
}

impl fmt::Debug for FrameBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let shown = &self.content[..self.content.len().min(SHOWN)];
        write!(f, "b\"{}\"", shown.escape_ascii())?;
        if shown.len() < self.content.len() {
            write!(f, "... {} bytes", self.len())
        } else {
            Ok(())
        }
    }
}
