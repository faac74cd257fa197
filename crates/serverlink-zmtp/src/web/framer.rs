//! Frames on their way out: each a message of the WebSocket (RFC 45, "Framing"; RFC 6455, section 5).

use std::fmt;

use bytes::{BufMut, BytesMut};

use super::{BINARY, CLOSE, CLOSING, COMMAND_FLAG, FINAL, MASKED, MORE_FLAG, PING, PONG, mask};
use crate::{Frames, command, curve};

/// The longest header of a WebSocket's frame, with the flags of RFC 45.
pub const MAX_WEB_HEADER_LEN: usize = 15;
/// How many masks are asked of the system at once.
const MASKS: usize = 64;

/// Gives frames the form that they have on a WebSocket.
///
/// The end that connected masks everything it sends, with keys that nobody can guess (RFC 6455,
/// section 5.3).
pub struct WebFramer {
    masks: Option<Box<Masks>>,
}

/// Keys from the system's randomness.
struct Masks {
    keys: [[u8; 4]; MASKS],
    used: usize,
}

/// Not the keys.
impl fmt::Debug for WebFramer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebFramer").field("masks", &self.masks()).finish()
    }
}

impl WebFramer {
    pub(super) fn new(masks: bool) -> Self {
        Self { masks: masks.then(|| Box::new(Masks { keys: [[0; 4]; MASKS], used: MASKS })) }
    }

    /// Whether it masks what is sent, so that bodies change.
    #[must_use]
    pub fn masks(&self) -> bool {
        self.masks.is_some()
    }

    /// The length of a frame with so many bytes of body.
    #[must_use]
    pub fn frame_len(&self, body_len: usize) -> usize {
        let payload = body_len.saturating_add(1);
        let size = match payload {
            ..126 => 0,
            126..0x1_0000 => 2,
            _ => 8,
        };
        payload.saturating_add(2 + size + if self.masks() { 4 } else { 0 })
    }

    /// Appends one frame of a message or, with `command`, a command.
    pub fn frame(&mut self, more: bool, command: bool, body: &[u8], out: &mut BytesMut) {
        out.reserve(self.frame_len(body.len()));
        let flags = if command { COMMAND_FLAG } else { u8::from(more) * MORE_FLAG };
        let start = self.header(BINARY, body.len() as u64 + 1, out);
        out.put_u8(flags);
        out.put_slice(body);
        self.cover(start, out);
    }

    /// Appends the beginning of a frame of a message whose body, of so many bytes, follows as it is:
    /// [no mask](Self::masks) lies on it.
    pub fn message_header(&mut self, more: bool, len: u64, out: &mut BytesMut) {
        debug_assert!(!self.masks());
        self.header(BINARY, len.saturating_add(1), out);
        out.put_u8(u8::from(more) * MORE_FLAG);
    }

    /// Appends frames that are [encoded](crate::encode_frame) already, one behind the other. PING and PONG
    /// become those of the WebSocket, and so does what a [connection](super::WebConnection) says at the
    /// end.
    pub fn encoded(&mut self, encoded: &[u8], out: &mut BytesMut) {
        for frame in Frames::new(encoded) {
            let body = &encoded[frame.body..frame.end];
            match Self::control(body).filter(|_| frame.command) {
                Some((opcode, payload)) => {
                    out.reserve(MAX_WEB_HEADER_LEN + payload.len());
                    let start = self.header(opcode, payload.len() as u64, out);
                    out.put_slice(payload);
                    self.cover(start, out);
                }
                None => self.frame(frame.more, frame.command, body, out),
            }
        }
    }

    /// Whether this frame, [encoded](crate::encode_frame), is of the WebSocket itself: no mechanism
    /// encrypts it.
    #[must_use]
    pub fn is_control(encoded: &[u8]) -> bool {
        let frame = Frames::new(encoded).next();
        frame.is_some_and(|frame| {
            frame.command && Self::control(&encoded[frame.body..frame.end]).is_some()
        })
    }

    /// The WebSocket's own counterpart of a command: what a frame of it is and has in it.
    fn control(body: &[u8]) -> Option<(u8, &[u8])> {
        match command::split(body).ok()? {
            // Of time to live and context a WebSocket does not know.
            (command::PING, _) => Some((PING, &[])),
            (command::PONG, payload) => Some((PONG, payload)),
            (CLOSING, payload) => Some((CLOSE, payload)),
            _ => None,
        }
    }

    /// Appends a header for a payload of this length; where that begins.
    fn header(&mut self, opcode: u8, len: u64, out: &mut BytesMut) -> (usize, [u8; 4]) {
        let masked = if self.masks() { MASKED } else { 0 };
        out.put_u8(FINAL | opcode);
        match len {
            ..126 => out.put_u8(masked | len as u8),
            126..0x1_0000 => {
                out.put_u8(masked | 126);
                out.put_u16(len as u16);
            }
            _ => {
                out.put_u8(masked | 127);
                out.put_u64(len);
            }
        }
        let key = self.masks.as_mut().map_or([0; 4], |masks| masks.next());
        if self.masks() {
            out.put_slice(&key);
        }
        (out.len(), key)
    }

    fn cover(&self, (start, key): (usize, [u8; 4]), out: &mut BytesMut) {
        if self.masks() {
            mask(&mut out[start..], key, 0);
        }
    }
}

impl Masks {
    fn next(&mut self) -> [u8; 4] {
        if self.used == MASKS {
            // Without randomness the connection would not have begun: its key was random.
            if let Ok(keys) = curve::random::<{ 4 * MASKS }>() {
                for (key, random) in self.keys.iter_mut().zip(keys.chunks_exact(4)) {
                    key.copy_from_slice(random);
                }
            }
            self.used = 0;
        }
        self.used += 1;
        self.keys[self.used - 1]
    }
}
