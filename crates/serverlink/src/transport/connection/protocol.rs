//! What is spoken on a stream.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use serverlink_zmtp as zmtp;

use super::raw::Raw;
use crate::{Frame, Message, SocketType, options::Options};

/// The bytes of one stream, understood.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all streams speak ZMTP, and it is at hand")]
pub(crate) enum Protocol {
    Zmtp(zmtp::Connection),
    /// Nothing that we know of.
    Raw(Raw),
}

impl Protocol {
    /// What sockets of this type speak, from now on.
    pub(crate) fn new(options: &Options, socket_type: SocketType) -> Self {
        match socket_type {
            SocketType::Stream => Self::Raw(Raw::new(options.stream_notify, Instant::now())),
            SocketType::Router if options.router_raw => Self::Raw(Raw::new(true, Instant::now())),
            _ => {
                let config = options.protocol(socket_type);
                Self::Zmtp(zmtp::Connection::new(config, Instant::now()))
            }
        }
    }

    pub(super) fn feed(&mut self, data: Bytes, now: Instant) {
        match self {
            Self::Zmtp(zmtp) => zmtp.feed(data, now),
            Self::Raw(raw) => raw.feed(data, now),
        }
    }

    /// When the peer last sent anything; at first, when the connection was made.
    pub(super) fn last_arrival(&self) -> Instant {
        match self {
            Self::Zmtp(zmtp) => zmtp.last_arrival(),
            Self::Raw(raw) => raw.last_arrival(),
        }
    }

    pub(super) fn awaited_frame(&mut self) -> Option<BytesMut> {
        match self {
            Self::Zmtp(zmtp) => zmtp.awaited_frame(),
            Self::Raw(_) => None,
        }
    }

    pub(super) fn return_frame(&mut self, buffer: BytesMut, now: Instant) {
        match self {
            Self::Zmtp(zmtp) => zmtp.return_frame(buffer, now),
            Self::Raw(raw) => raw.feed(buffer.freeze(), now),
        }
    }

    pub(super) fn take_spent_chunk(&mut self) -> Bytes {
        match self {
            Self::Zmtp(zmtp) => zmtp.take_spent_chunk(),
            Self::Raw(raw) => raw.take_spent_chunk(),
        }
    }

    pub(super) fn pause_input(&mut self, paused: bool) {
        if let Self::Zmtp(zmtp) = self {
            zmtp.pause_input(paused);
        }
    }

    pub(super) fn has_output(&self) -> bool {
        matches!(self, Self::Zmtp(zmtp) if zmtp.has_output())
    }

    pub(super) fn take_output(&mut self) -> Option<Bytes> {
        match self {
            Self::Zmtp(zmtp) => zmtp.take_output(),
            Self::Raw(_) => None,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match self {
            Self::Zmtp(zmtp) => zmtp.next_timeout(),
            Self::Raw(_) => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), zmtp::Error> {
        match self {
            Self::Zmtp(zmtp) => zmtp.handle_timeout(now),
            Self::Raw(_) => Ok(()),
        }
    }

    /// The peer is judged well.
    pub(super) fn admit(&mut self) {
        if let Self::Zmtp(zmtp) = self {
            zmtp.admit();
        }
    }

    /// The peer is judged badly.
    pub(super) fn refuse(&mut self, refusal: zmtp::Refusal) {
        if let Self::Zmtp(zmtp) = self {
            zmtp.refuse(refusal);
        }
    }

    /// Whether messages may flow.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Zmtp(zmtp) => zmtp.is_ready(),
            Self::Raw(raw) => raw.is_open(),
        }
    }

    /// Whether the next connection may begin with the message that this one did not write to the
    /// end.
    pub(super) fn resumes(&self) -> bool {
        matches!(self, Self::Zmtp(_))
    }

    /// What the socket is told when the stream is over.
    pub(super) fn last_message(&self) -> Option<Message> {
        match self {
            Self::Zmtp(_) => None,
            Self::Raw(raw) => raw.notifies().then(|| Message::from(Frame::new())),
        }
    }
}
