//! MESSAGE: a frame in a box (RFC 26, "Message Exchange").

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::cipher::{Stream, TAG};
use crate::PeerMisbehaved;
use crate::error::printable;
use crate::frame::{COMMAND, Frames, MAX_HEADER_LEN, MORE, encode_header};

/// How nonces begin.
pub(super) const FROM_CLIENT: &[u8; 16] = b"CurveZMQMESSAGEC";
pub(super) const FROM_SERVER: &[u8; 16] = b"CurveZMQMESSAGES";

const NAME: &[u8; 8] = b"\x07MESSAGE";
/// Within the box.
const INNER_MORE: u8 = 1;
const INNER_COMMAND: u8 = 2;

/// How much longer the body of a frame is once it is [sealed](Sealer): by the name of the command, a
/// nonce, a tag and flags.
pub const SEALED: usize = NAME.len() + 8 + TAG + 1;

/// Both directions of a connection.
pub(crate) struct Ciphers {
    pub(crate) opener: Opener,
    /// Until it is taken.
    pub(crate) sealer: Option<Box<Sealer>>,
}

impl Ciphers {
    /// Of these keys for what is sent, from this nonce on, and for what is received, after this one.
    pub(super) fn new(sent: (Stream, u64), received: (Stream, u64)) -> Self {
        Self {
            opener: Opener {
                stream: received.0,
                last: received.1,
                limits: (u64::MAX, u64::MAX),
                room: BytesMut::new(),
            },
            sealer: Some(Box::new(Sealer { stream: sent.0, next: sent.1 })),
        }
    }
}

impl fmt::Debug for Ciphers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ciphers").finish_non_exhaustive()
    }
}

/// Encrypts everything that is sent on one connection after the handshake: see
/// [`Connection::take_sealer`](crate::Connection::take_sealer).
///
/// Frames have to be sent in the order in which they were sealed, each once: the peer takes nothing that
/// was sealed before what it has.
pub struct Sealer {
    stream: Stream,
    next: u64,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer").finish_non_exhaustive()
    }
}

impl Sealer {
    /// Appends a frame: one of a message, with `more` if others follow, or one of a command.
    pub fn seal(&mut self, more: bool, command: bool, body: &[u8], out: &mut BytesMut) {
        let len = body.len() + SEALED;
        out.reserve(MAX_HEADER_LEN + len);
        // As in libzmq, what kind of frame it is shows within only.
        let (header, used) = encode_header(false, false, len as u64);
        out.put_slice(&header[..used]);
        out.put_slice(NAME);
        let nonce = self.next.to_be_bytes();
        self.next += 1;
        out.put_slice(&nonce);
        let tag_at = out.len();
        out.put_slice(&[0; TAG]);
        let flags = if more { INNER_MORE } else { 0 } | if command { INNER_COMMAND } else { 0 };
        out.put_u8(flags);
        out.put_slice(body);
        let tag = self.stream.seal(&nonce, &mut out[tag_at + TAG..]);
        out[tag_at..tag_at + TAG].copy_from_slice(&tag);
    }

    /// Appends frames that are [encoded](crate::encode_frame) already, one behind the other, each
    /// [sealed](Self::seal).
    pub fn seal_encoded(&mut self, encoded: &[u8], out: &mut BytesMut) {
        for frame in Frames::new(encoded) {
            self.seal(frame.more, frame.command, &encoded[frame.body..frame.end], out);
        }
    }
}

/// Decrypts what is received on one connection.
pub(crate) struct Opener {
    stream: Stream,
    /// The nonce that came last.
    last: u64,
    /// The longest bodies: of messages and of commands.
    limits: (u64, u64),
    /// For frames that lie in memory of others'.
    room: BytesMut,
}

impl Opener {
    pub(crate) fn limit(&mut self, messages: u64, commands: u64) {
        self.limits = (messages, commands);
    }

    /// Room for a copy of `sealed`.
    pub(crate) fn copy(&mut self, sealed: &[u8]) -> BytesMut {
        self.room.clear();
        self.room.reserve(sealed.len());
        self.room.put_slice(sealed);
        self.room.split()
    }

    /// There is nothing more to open for now: idle connections keep as little as they can.
    pub(crate) fn rest(&mut self) {
        self.room = BytesMut::new();
    }

    /// Opens the body of a frame in place: the flags it has by the framing of ZMTP, and what it is, from
    /// [`SEALED`] on.
    pub(crate) fn open(&mut self, sealed: &mut [u8]) -> Result<u8, PeerMisbehaved> {
        let length = sealed.len().saturating_sub(NAME.len());
        if !sealed.starts_with(NAME) {
            return Err(PeerMisbehaved::UnexpectedCommand(printable(sealed, 8)));
        }
        let rest = &mut sealed[NAME.len()..];
        let too_short = PeerMisbehaved::CommandLength { command: "MESSAGE", length };
        let Some((nonce, rest)) = rest.split_first_chunk_mut::<8>() else { return Err(too_short) };
        let Some((tag, text)) = rest.split_first_chunk_mut::<TAG>() else { return Err(too_short) };
        if text.is_empty() {
            return Err(too_short);
        }
        let number = u64::from_be_bytes(*nonce);
        if number <= self.last {
            return Err(PeerMisbehaved::Sequence);
        }
        if !self.stream.open(nonce, tag, text) {
            return Err(PeerMisbehaved::Cryptographic("MESSAGE"));
        }
        self.last = number;
        let (flags, limit) = match text[0] {
            0 => (0, self.limits.0),
            INNER_MORE => (MORE, self.limits.0),
            INNER_COMMAND => (COMMAND, self.limits.1),
            other => return Err(PeerMisbehaved::Flags(other)),
        };
        let length = (text.len() - 1) as u64;
        if length > limit {
            return Err(PeerMisbehaved::FrameTooLong { length, limit });
        }
        Ok(flags)
    }
}
