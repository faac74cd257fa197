//! ZMTP over WebSockets (RFC 45, on RFC 6455).

mod framer;
mod opening;
mod reader;

use std::time::Instant;

use bytes::{BufMut, Bytes, BytesMut};

pub use self::framer::{MAX_WEB_HEADER_LEN, WebFramer};
use self::opening::{Opening, Progress};
use self::reader::{Control, Reader, Sink};
use crate::error::printable;
use crate::metadata::MAX_HANDSHAKE_COMMAND;
use crate::{Config, Connection, Error, PeerMisbehaved, command};

/// Opcodes (RFC 6455, section 5.2).
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
/// In the first byte of a frame: nothing of its message follows.
const FINAL: u8 = 0x80;
/// In the second.
const MASKED: u8 = 0x80;
/// The flags of a ZeroMQ frame (RFC 45, "Framing").
const MORE_FLAG: u8 = 0x01;
const COMMAND_FLAG: u8 = 0x02;

/// The name of a command that there is not, for the WebSocket's close.
const CLOSING: &[u8] = b"CLOSE";

/// Status codes of a close (RFC 6455, section 7.4.1).
const NORMAL: u16 = 1000;
const PROTOCOL_ERROR: u16 = 1002;
const POLICY: u16 = 1008;
const TOO_BIG: u16 = 1009;
const INTERNAL_ERROR: u16 = 1011;

/// One end of a ZMTP connection over a WebSocket: a [`Connection`] whose frames are messages of the
/// WebSocket, and which an HTTP request opens in place of a greeting.
///
/// Drive it as a [`Connection`], with two differences: ask for events at the [inner](Self::inner) one,
/// and when there are none for a [fault](Self::fault); and once the handshake is complete take the
/// [framer](Self::take_framer), through which all that is sent goes from then on.
///
/// The subprotocol says which mechanism is used, as in libzmq also CURVE, which RFC 45 does not know;
/// peers that have none (`ZWS2.0`) are admitted where [older ones](Config::older_peers) are. Peers count
/// as such of ZMTP 3.0, or 2.0 without a mechanism. Heartbeats are the WebSocket's own PING and PONG, which
/// have no time to live.
///
/// ```
/// use std::time::Instant;
///
/// use serverlink_zmtp::{Config, Event, SocketType, WebConnection};
///
/// let now = Instant::now();
/// let config = Config::new(SocketType::Push);
/// let mut push = WebConnection::connecting("example.com:8080", "/queue", config, now);
/// let mut pull = WebConnection::accepting(Config::new(SocketType::Pull), now);
/// while !(push.inner().is_ready() && pull.inner().is_ready()) {
///     pull.feed(push.take_output().unwrap_or_default(), now);
///     push.feed(pull.take_output().unwrap_or_default(), now);
///     for end in [&mut push, &mut pull] {
///         assert!(matches!(end.inner().next_event(now)?, None | Some(Event::Ready(_))));
///     }
/// }
///
/// let mut framer = push.take_framer().expect("it is ready");
/// let mut out = bytes::BytesMut::new();
/// framer.frame(false, false, b"hello", &mut out);
/// pull.feed(out.freeze(), now);
/// let Some(Event::Frame { body, more: false }) = pull.inner().next_event(now)? else { panic!() };
/// assert_eq!(body.as_slice(), b"hello");
/// # Ok::<(), serverlink_zmtp::Error>(())
/// ```
#[derive(Debug)]
pub struct WebConnection {
    zmtp: Connection,
    stage: Stage,
    reader: Reader,
    framer: Option<WebFramer>,
    /// What is to be sent as it is.
    raw: BytesMut,
    /// What was in the PING that came last, if it is still to be answered. Others need not be (RFC 6455,
    /// section 5.5.3), so that nobody who sends many makes us hoard answers.
    ping: Option<Bytes>,
    fault: Option<Error>,
}

/// How far the WebSocket is.
#[derive(Debug)]
enum Stage {
    Opening(Box<Opening>),
    Open,
    /// Its close is to be sent, with this status.
    Closing(u16),
    /// That was done, or it never was open: nothing more is sent.
    Closed,
}

impl WebConnection {
    /// The end that connects, to `path` at `host`, as the `Host` field of HTTP has it: with a port, unless
    /// it is that of the scheme. The request is ready to be sent at once.
    ///
    /// # Panics
    ///
    /// If host or path have spaces or control characters in them.
    #[must_use]
    pub fn connecting(host: &str, path: &str, config: Config, now: Instant) -> Self {
        let fit = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() || byte >= 0x80);
        assert!(fit(host) && fit(path), "neither a host nor a path has spaces");
        let mut web = Self::new(config, true, now);
        if let Some(config) = web.zmtp.config() {
            match Opening::client(host, path, config) {
                Ok((opening, request)) => {
                    web.stage = Stage::Opening(Box::new(opening));
                    web.raw.put_slice(&request);
                }
                Err(error) => web.fault = Some(error),
            }
        }
        web
    }

    /// The end that is connected to. Whatever host and path are asked for, it answers.
    #[must_use]
    pub fn accepting(config: Config, now: Instant) -> Self {
        let mut web = Self::new(config, false, now);
        web.stage = Stage::Opening(Box::new(Opening::server()));
        web
    }

    fn new(config: Config, connects: bool, now: Instant) -> Self {
        Self {
            zmtp: Connection::without_greeting(config, now),
            stage: Stage::Closed,
            reader: Reader::new(!connects),
            framer: Some(WebFramer::new(connects)),
            raw: BytesMut::new(),
            ping: None,
            fault: None,
        }
    }

    /// Takes bytes from the peer, cut in any way: see [`Connection::feed`].
    pub fn feed(&mut self, mut data: Bytes, now: Instant) {
        if data.is_empty() || self.fault.is_some() || self.zmtp.failure().is_some() {
            return;
        }
        self.zmtp.arrived(now);
        if let Stage::Opening(opening) = &mut self.stage {
            // It waits to agree.
            let Some(config) = self.zmtp.config() else { return };
            match opening.feed(&data, config) {
                Progress::Waits => return,
                Progress::Done(agreed, answer, rest) => {
                    self.raw.extend_from_slice(&answer.unwrap_or_default());
                    self.zmtp.agree(agreed);
                    (self.stage, data) = (Stage::Open, rest);
                }
                Progress::Failed(error, answer) => {
                    self.raw.extend_from_slice(&answer.unwrap_or_default());
                    (self.stage, self.fault) = (Stage::Closed, Some(error));
                    return;
                }
            }
        }
        // Whoever is not known yet has no more kept than a command of the handshake may have. That is so
        // before this is read, for what is in it may complete the handshake.
        let (length, limit) = (self.reader.held() as u64, MAX_HANDSHAKE_COMMAND as u64);
        if length > limit && !self.zmtp.is_ready() && !self.zmtp.has_buffered_input() {
            let fault = PeerMisbehaved::FrameTooLong { length, limit }.into();
            return self.end(status(&fault), fault);
        }
        let (zmtp, ping) = (&mut self.zmtp, &mut self.ping);
        let mut sink = Received { zmtp, ping, closed: None, now };
        let read = self.reader.read(data, &mut sink);
        match (read, sink.closed) {
            (Err(fault), _) => self.end(status(&fault), fault),
            (Ok(()), Some(close)) => self.end(answer(&close), Error::Closed(words(&close))),
            (Ok(()), None) => {}
        }
    }

    /// The connection within, to ask for events, messages and the peer, and to judge it. What it is to be
    /// fed, and what it has to send, go through the outer one.
    #[inline]
    pub fn inner(&mut self) -> &mut Connection {
        &mut self.zmtp
    }

    /// The same, to look at.
    #[inline]
    #[must_use]
    pub const fn peek(&self) -> &Connection {
        &self.zmtp
    }

    /// What has ended the WebSocket, behind all events: its close, or what is wrong with what was
    /// received. What [`take_output`](Self::take_output) holds should still be sent, as after an error of
    /// the [inner](Self::inner) connection: where the WebSocket is open, its close is in it.
    #[must_use]
    pub const fn fault(&self) -> Option<&Error> {
        self.fault.as_ref()
    }

    /// Whether [`take_output`](Self::take_output) has something to send.
    #[must_use]
    pub fn has_output(&self) -> bool {
        let has = match self.stage {
            Stage::Open => {
                self.ping.is_some() || self.zmtp.has_output() || self.zmtp.failure().is_some()
            }
            Stage::Closing(_) => true,
            Stage::Opening(_) | Stage::Closed => false,
        };
        has || !self.raw.is_empty()
    }

    /// The control bytes to send now: see [`Connection::take_output`]. As long as the
    /// [framer](Self::take_framer) is here they are as they have to be on the stream; later they are
    /// frames for it. Behind the WebSocket's close there are none.
    pub fn take_output(&mut self) -> Option<Bytes> {
        if let (Some(error), Stage::Open | Stage::Closing(_)) = (self.zmtp.failure(), &self.stage) {
            // What is wrong within came before what is wrong with the WebSocket.
            self.stage = Stage::Closing(status(error));
        }
        let mut frames = BytesMut::from(self.zmtp.take_output().unwrap_or_default());
        if let Some(payload) = self.ping.take() {
            command::encode(&mut frames, command::PONG, &payload);
        }
        match self.stage {
            Stage::Opening(_) | Stage::Open => {}
            Stage::Closing(status) => {
                command::encode(&mut frames, CLOSING, &status.to_be_bytes());
                self.stage = Stage::Closed;
            }
            Stage::Closed => frames.clear(),
        }
        let mut out = std::mem::take(&mut self.raw);
        match &mut self.framer {
            Some(framer) => framer.encoded(&frames, &mut out),
            None => out.extend_from_slice(&frames),
        }
        (!out.is_empty()).then(|| out.freeze())
    }

    /// Once the handshake is complete, what gives all that is sent from then on its form: messages, and
    /// what [`take_output`](Self::take_output) yields after that. It is there once.
    pub fn take_framer(&mut self) -> Option<WebFramer> {
        if self.zmtp.is_ready() { self.framer.take() } else { None }
    }

    /// Has the close of the WebSocket sent behind everything else, if the handshake is complete. False
    /// if it is not, or that was done before.
    pub fn say_goodbye(&mut self) -> bool {
        let says = matches!(self.stage, Stage::Open) && self.zmtp.is_ready();
        if says {
            self.close(NORMAL);
        }
        says
    }

    fn end(&mut self, status: u16, fault: Error) {
        self.close(status);
        self.fault = Some(fault);
    }

    fn close(&mut self, status: u16) {
        if matches!(self.stage, Stage::Open) {
            self.stage = Stage::Closing(status);
        }
    }
}

/// What is told to the peer of why it is over.
fn status(error: &Error) -> u16 {
    match error {
        Error::PeerMisbehaved(PeerMisbehaved::FrameTooLong { .. }) => TOO_BIG,
        Error::PeerMisbehaved(_) => PROTOCOL_ERROR,
        Error::NoRandomness | Error::ApiMisuse(_) => INTERNAL_ERROR,
        // There is "no other more suitable status code" for these.
        _ => POLICY,
    }
}

struct Received<'a> {
    zmtp: &'a mut Connection,
    ping: &'a mut Option<Bytes>,
    closed: Option<Bytes>,
    now: Instant,
}

impl Sink for Received<'_> {
    fn limit(&self) -> u64 {
        self.zmtp.frame_limit()
    }

    fn bytes(&mut self, bytes: Bytes) {
        self.zmtp.feed(bytes, self.now);
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Ping(payload) => *self.ping = Some(payload),
            Control::Pong => {}
            Control::Close(payload) => self.closed = Some(payload),
        }
    }
}

/// The status and the reason in a close.
fn words(payload: &[u8]) -> String {
    match payload.split_first_chunk() {
        Some((code, [])) => u16::from_be_bytes(*code).to_string(),
        Some((code, reason)) => {
            format!("{} {}", u16::from_be_bytes(*code), printable(reason, payload.len()))
        }
        None => String::new(),
    }
}

/// The status to answer a close with: its own, if it has one that may be sent (RFC 6455, sections 5.5.1
/// and 7.4).
fn answer(payload: &[u8]) -> u16 {
    match payload.first_chunk().map(|code| u16::from_be_bytes(*code)) {
        Some(code @ (1000..=1003 | 1007..=1014 | 3000..=4999)) => code,
        None if payload.is_empty() => NORMAL,
        _ => PROTOCOL_ERROR,
    }
}

/// Masks or unmasks, which is the same, bytes before which so many were.
fn mask(bytes: &mut [u8], mut key: [u8; 4], before: u64) {
    key.rotate_left((before % 4) as usize);
    let wide = u64::from_ne_bytes([key, key].as_flattened().try_into().unwrap_or_default());
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        if let Ok(word) = <&mut [u8; 8]>::try_from(word) {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_lies_where_it_should_whatever_came_before() {
        let key = [1, 2, 4, 8];
        for (len, before) in [(0, 0), (3, 1), (8, 0), (21, 2), (40, 7), (15, 4)] {
            let mut bytes = vec![0x10; len];
            mask(&mut bytes, key, before);
            for (at, byte) in bytes.iter().enumerate() {
                assert_eq!(*byte, 0x10 ^ key[(at + before as usize) % 4], "{len} {before} {at}");
            }
        }
    }
}
