//! Streams that speak no ZMTP: bytes go to the socket as they come.

use std::{mem, time::Instant};

use bytes::Bytes;
use serverlink_zmtp::Version;

use super::{Connection, decoding::Decoded};
use crate::{Frame, Message, pipe::Producer, socket::PeerProperties};

/// What is shorter is copied, so that its message keeps no more than four times its size of the
/// engine's default receive buffers, of 128 KiB.
const KEEP_FROM: usize = 32 * 1024;

/// The bytes of one stream. Each read is one message; an empty one tells of the beginning, and
/// another of the end.
#[derive(Debug)]
pub(crate) struct Raw {
    stage: Stage,
    notify: bool,
    chunk: Bytes,
    spent: Bytes,
    last_arrival: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The socket does not know of the stream.
    New,
    /// The user does not.
    Unannounced,
    Open,
}

impl Raw {
    pub(super) fn new(notify: bool, now: Instant) -> Self {
        Self {
            stage: Stage::New,
            notify,
            chunk: Bytes::new(),
            spent: Bytes::new(),
            last_arrival: now,
        }
    }

    /// Takes what was read; what was read before is used up.
    pub(super) fn feed(&mut self, data: Bytes, now: Instant) {
        self.chunk = data;
        self.last_arrival = now;
    }

    pub(super) fn has_input(&self) -> bool {
        !self.chunk.is_empty()
    }

    pub(super) fn restart_clock(&mut self, now: Instant) {
        self.last_arrival = now;
    }

    pub(super) fn last_arrival(&self) -> Instant {
        self.last_arrival
    }

    pub(super) fn take_spent_chunk(&mut self) -> Bytes {
        mem::take(&mut self.spent)
    }

    pub(super) fn is_open(&self) -> bool {
        self.stage != Stage::New
    }

    pub(super) fn notifies(&self) -> bool {
        self.notify && self.stage == Stage::Open
    }

    fn next(&mut self) -> Option<Frame> {
        if self.chunk.is_empty() {
            return None;
        }
        let chunk = mem::take(&mut self.chunk);
        if chunk.len() >= KEEP_FROM {
            return Some(Frame::from(chunk));
        }
        let body = Frame::copy_from_slice(&chunk);
        self.spent = chunk;
        Some(body)
    }
}

impl Connection {
    /// Takes one step; there is room for a message.
    pub(super) fn decode_raw(
        &self,
        raw: &mut Raw,
        inlet: &mut Option<Box<Producer<Message>>>,
        is_mute: bool,
    ) -> Decoded {
        let message = match raw.stage {
            Stage::New => {
                raw.stage = if raw.notify { Stage::Unannounced } else { Stage::Open };
                let stranger = PeerProperties::of_stranger(Version::V3_1);
                let info = PeerProperties { is_raw: true, ..stranger };
                self.outbox.set_ready(None, []);
                return self.established(inlet, info, is_mute, None);
            }
            Stage::Unannounced => {
                raw.stage = Stage::Open;
                Message::from(Frame::new())
            }
            Stage::Open => match raw.next() {
                Some(body) => Message::from(body),
                None => return Decoded::Starved,
            },
        };
        if let Some(inlet) = self.inlet(inlet) {
            inlet.write(message);
        }
        Decoded::Full
    }
}
