//! What a connection reports.

use std::fmt;

use bytes::Bytes;

use crate::{Credentials, Peer};

/// Something that arrived. It borrows from the connection: take what you need out of it before
/// asking for the next one.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// What the peer has shown of who it is, where [peers are judged](crate::Config::judges_peers). Comes
    /// once, during the handshake, which stands still until somebody says
    /// [`admit`](crate::Connection::admit) or [`refuse`](crate::Connection::refuse), or its time is up:
    /// better do not read on from the socket until then.
    Credentials(&'a Credentials),
    /// The handshake is complete. Comes once, before everything else but `Credentials`; messages may be
    /// sent from now on.
    Ready(&'a Peer),
    /// One frame of a message.
    Frame {
        /// The content.
        body: FrameBody<'a>,
        /// Whether further frames of the same message follow.
        more: bool,
    },
    /// The peer subscribes to all messages beginning with these bytes, whether it said so in a
    /// command (3.1) or, to a PUB or XPUB socket, in a message (3.0 and before). It is reported each
    /// time it is said; RFC 29 has publishers count, while libzmq says a repeated one again but
    /// cancels it once. A peer that speaks ZMTP 1.0 and names no version may be unable to subscribe:
    /// it is reported to do so once to everything, right after `Ready`.
    Subscribe(FrameBody<'a>),
    /// The peer takes such a subscription back.
    Cancel(FrameBody<'a>),
    /// The peer subscribes to all topics of a pattern of at most
    /// [`MAX_PATTERN_LEN`](crate::MAX_PATTERN_LEN) bytes, which is not looked into here. Only a PUB or
    /// XPUB hears of it: see [`encode_pattern`](crate::encode_pattern).
    SubscribePattern(FrameBody<'a>),
    /// The peer takes such a subscription back.
    CancelPattern(FrameBody<'a>),
    /// The peer, a DISH, joins a group of at most 255 bytes.
    Join(FrameBody<'a>),
    /// The peer leaves such a group.
    Leave(FrameBody<'a>),
    /// The peer sent a PING. The PONG is ready in
    /// [`Connection::take_output`](crate::Connection::take_output).
    Ping,
    /// The peer answered a PING of ours.
    Pong,
}

/// The content of a frame, of a subscription, a pattern, or the name of a group. Copying it out with
/// [`as_slice`](Self::as_slice) touches no reference count; [`to_bytes`](Self::to_bytes) shares it
/// without copying.
#[derive(Clone, Copy)]
pub struct FrameBody<'a> {
    /// The end of `source`, from the content on.
    rest: &'a [u8],
    /// How long the content is.
    len: usize,
    source: &'a Bytes,
}

impl<'a> FrameBody<'a> {
    /// The first `len` bytes of `rest`, the end of `source`.
    #[inline]
    pub(crate) fn new(source: &'a Bytes, rest: &'a [u8], len: usize) -> Self {
        assert!(len <= rest.len(), "frames lie within their source");
        Self { rest, len, source }
    }

    /// What follows the content.
    #[inline]
    pub(crate) fn rest(&self) -> &'a [u8] {
        &self.rest[self.len..]
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &'a [u8] {
        &self.rest[..self.len]
    }

    /// The first `N` bytes of the content and whatever follows it in the input, if there are so
    /// many. A small body is copied fastest with a size known beforehand: those of its bytes that
    /// count are the first [`len`](Self::len).
    #[inline]
    #[must_use]
    pub fn window<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.rest.first_chunk()
    }

    /// The number of bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no bytes.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The bytes as a shared slice of the input that carried them, without a copy. The slice keeps
    /// that whole input chunk alive: [`pinned_len`](Self::pinned_len) tells how long it is.
    #[inline]
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        self.source.slice_ref(self.as_slice())
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
        self.as_slice()
    }
}

impl std::ops::Deref for FrameBody<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_slice()
    }
}

impl fmt::Debug for FrameBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let shown = &self.as_slice()[..self.len.min(SHOWN)];
        write!(f, "b\"{}\"", shown.escape_ascii())?;
        if shown.len() < self.len { write!(f, "... {} bytes", self.len()) } else { Ok(()) }
    }
}
