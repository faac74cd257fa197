//! A WebSocket's frames on their way in (RFC 6455, section 5), made frames of ZMTP.

use std::fmt;

use bytes::{Buf, BufMut, Bytes, BytesMut};

use super::{
    BINARY, CLOSE, COMMAND_FLAG, CONTINUATION, FINAL, MASKED, MORE_FLAG, PING, PONG, TEXT, mask,
};
use crate::frame::{COMMAND, LONG, MORE};
use crate::{Error, PeerMisbehaved};

/// The longest header: opcode, eight bytes of length, mask.
const MAX_HEADER: usize = 14;
/// The longest payload of a control frame.
const MAX_CONTROL: u64 = 125;
/// From this size on what need not be unmasked is not copied either.
const SHARE_FROM: usize = 4096;

/// Cuts a stream into frames.
pub(super) struct Reader {
    /// Whether the peer has to mask what it sends; otherwise it must not.
    masked: bool,
    state: State,
    /// What has come of a message in several fragments.
    fragments: Option<Fragments>,
}

#[derive(Default)]
struct Fragments {
    /// How long they are together, as far as they were announced.
    announced: u64,
    bytes: BytesMut,
}

/// Not what has come: there may be a password in it.
impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("held", &self.held()).finish_non_exhaustive()
    }
}

enum State {
    Header { bytes: [u8; MAX_HEADER], have: usize },
    Payload(Payload),
}

struct Payload {
    kind: Kind,
    left: u64,
    key: [u8; 4],
    /// How much of the payload was read.
    read: u64,
}

enum Kind {
    /// A message in one piece, whose flags come first.
    Whole,
    /// A piece of a message, and whether it is the last.
    Fragment(bool),
    Control(u8, BytesMut),
}

/// What a frame of the WebSocket's own says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Control {
    Ping(Bytes),
    Pong,
    Close(Bytes),
}

/// Where what was read goes.
pub(super) trait Sink {
    /// The longest body that a frame may have.
    fn limit(&self) -> u64;
    /// Frames of ZMTP, cut in any way.
    fn bytes(&mut self, bytes: Bytes);
    fn control(&mut self, control: Control);
}

impl Reader {
    pub(super) fn new(masked: bool) -> Self {
        Self { masked, state: State::BEGIN, fragments: None }
    }

    /// How many bytes it keeps of a message that is not complete.
    pub(super) fn held(&self) -> usize {
        self.fragments.as_ref().map_or(0, |fragments| fragments.bytes.len())
    }

    /// Reads all of `data`, up to a fault or the close, behind which nothing counts.
    pub(super) fn read(&mut self, mut data: Bytes, sink: &mut impl Sink) -> Result<(), Error> {
        let mut out = BytesMut::with_capacity(data.len());
        let result = self.read_into(&mut data, &mut out, sink);
        if !out.is_empty() {
            sink.bytes(out.freeze());
        }
        result
    }

    fn read_into(
        &mut self,
        data: &mut Bytes,
        out: &mut BytesMut,
        sink: &mut impl Sink,
    ) -> Result<(), Error> {
        loop {
            match &mut self.state {
                State::Header { bytes, have } => {
                    let Some(need) = missing(bytes, *have) else {
                        let header = *bytes;
                        self.state = State::Payload(self.begin(&header, sink.limit())?);
                        continue;
                    };
                    let taken = need.min(data.len());
                    data.copy_to_slice(&mut bytes[*have..*have + taken]);
                    *have += taken;
                    if taken < need {
                        return Ok(());
                    }
                }
                State::Payload(payload) => {
                    if payload.left > 0 && data.is_empty() {
                        return Ok(());
                    }
                    let here = usize::try_from(payload.left).unwrap_or(usize::MAX).min(data.len());
                    let piece = data.split_to(here);
                    payload.left -= here as u64;
                    match &mut payload.kind {
                        Kind::Whole => whole(payload, piece, out, sink)?,
                        Kind::Fragment(_) => {
                            let fragments = self.fragments.get_or_insert_default();
                            uncover(&mut fragments.bytes, &piece, payload.key, payload.read);
                            payload.read += here as u64;
                        }
                        Kind::Control(_, gathered) => {
                            uncover(gathered, &piece, payload.key, payload.read);
                            payload.read += here as u64;
                        }
                    }
                    if payload.left > 0 {
                        continue;
                    }
                    let State::Payload(payload) = std::mem::replace(&mut self.state, State::BEGIN)
                    else {
                        continue;
                    };
                    match payload.kind {
                        Kind::Whole | Kind::Fragment(false) => {}
                        Kind::Fragment(true) => {
                            let mut message = self.fragments.take().unwrap_or_default().bytes;
                            if message.is_empty() {
                                return Err(misbehaved("a message has no flags"));
                            }
                            let flags = message.get_u8();
                            begin_frame(flags, message.len() as u64, out)?;
                            out.put_slice(&message);
                        }
                        Kind::Control(opcode, gathered) => {
                            let gathered = gathered.freeze();
                            match opcode {
                                PING => sink.control(Control::Ping(gathered)),
                                PONG => sink.control(Control::Pong),
                                _ => {
                                    sink.control(Control::Close(gathered));
                                    return Ok(());
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// A header is there.
    fn begin(&mut self, header: &[u8; MAX_HEADER], limit: u64) -> Result<Payload, Error> {
        let (first, second) = (header[0], header[1]);
        let (last, opcode) = (first & FINAL != 0, first & 0x0f);
        if first & 0x70 != 0 {
            return Err(misbehaved("a frame has bits of extensions that were not agreed upon"));
        }
        if (second & MASKED != 0) != self.masked {
            return Err(misbehaved(match self.masked {
                true => "a client has to mask its frames",
                false => "a server must not mask its frames",
            }));
        }
        let (left, used) = match second & !MASKED {
            126 => (u64::from(u16::from_be_bytes([header[2], header[3]])), 4),
            127 => (u64::from_be_bytes(*header[2..].first_chunk().unwrap_or(&[0; 8])), 10),
            len => (u64::from(len), 2),
        };
        if left >> 63 != 0 {
            return Err(misbehaved("a frame's length has its highest bit set"));
        }
        let key = match self.masked {
            true => *header[used..].first_chunk().unwrap_or(&[0; 4]),
            false => [0; 4],
        };
        let kind = match opcode {
            PING | PONG | CLOSE if !last || left > MAX_CONTROL => {
                return Err(misbehaved(
                    "a control frame is in fragments, or longer than 125 bytes",
                ));
            }
            PING | PONG | CLOSE => Kind::Control(opcode, BytesMut::new()),
            BINARY if self.fragments.is_some() => {
                return Err(misbehaved("a message begins within another"));
            }
            BINARY if last && left == 0 => return Err(misbehaved("a message has no flags")),
            BINARY if last => Kind::Whole,
            BINARY => Kind::Fragment(false),
            CONTINUATION if self.fragments.is_none() => {
                return Err(misbehaved("a fragment continues nothing"));
            }
            CONTINUATION => Kind::Fragment(last),
            TEXT => return Err(misbehaved("a message is text, but frames of ZeroMQ are binary")),
            _ => return Err(misbehaved("a frame has an opcode that RFC 6455 does not define")),
        };
        if let Kind::Fragment(_) = kind {
            let fragments = self.fragments.get_or_insert_default();
            fragments.announced = fragments.announced.saturating_add(left);
            // The flags are no part of the body.
            let length = fragments.announced.saturating_sub(1);
            if length > limit {
                return Err(PeerMisbehaved::FrameTooLong { length, limit }.into());
            }
        }
        Ok(Payload { kind, left, key, read: 0 })
    }
}

impl State {
    const BEGIN: Self = Self::Header { bytes: [0; MAX_HEADER], have: 0 };
}

/// How many bytes of a header have to come at least; none if it is all there.
fn missing(bytes: &[u8; MAX_HEADER], have: usize) -> Option<usize> {
    let needed = match have {
        ..2 => 2,
        _ => {
            let length = match bytes[1] & !MASKED {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            2 + length + if bytes[1] & MASKED == 0 { 0 } else { 4 }
        }
    };
    (needed > have).then(|| needed - have)
}

/// A piece of a message that came in one fragment.
fn whole(
    payload: &mut Payload,
    mut piece: Bytes,
    out: &mut BytesMut,
    sink: &mut impl Sink,
) -> Result<(), Error> {
    if payload.read == 0 {
        let flags = piece.get_u8() ^ payload.key[0];
        payload.read = 1;
        begin_frame(flags, payload.left + piece.len() as u64, out)?;
    }
    let before = payload.read;
    payload.read += piece.len() as u64;
    if payload.key == [0; 4] && piece.len() >= SHARE_FROM {
        sink.bytes(out.split().freeze());
        sink.bytes(piece);
    } else {
        uncover(out, &piece, payload.key, before);
    }
    Ok(())
}

/// Appends the header that ZMTP has for a frame.
fn begin_frame(flags: u8, len: u64, out: &mut BytesMut) -> Result<(), Error> {
    let flags = match flags {
        0 => 0,
        MORE_FLAG => MORE,
        COMMAND_FLAG => COMMAND,
        _ => return Err(PeerMisbehaved::Flags(flags).into()),
    };
    match u8::try_from(len) {
        Ok(short) => out.put_slice(&[flags, short]),
        Err(_) => {
            out.put_u8(flags | LONG);
            out.put_u64(len);
        }
    }
    Ok(())
}

/// Appends what lies under the mask, of which so many bytes were used before.
fn uncover(out: &mut BytesMut, piece: &[u8], key: [u8; 4], used: u64) {
    let start = out.len();
    out.put_slice(piece);
    if key != [0; 4] {
        mask(&mut out[start..], key, used);
    }
}

fn misbehaved(what: &'static str) -> Error {
    PeerMisbehaved::WebSocket(what).into()
}
