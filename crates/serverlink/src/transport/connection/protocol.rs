//! What is spoken on a stream.

use std::{io, time::Instant};

use bytes::{Bytes, BytesMut};
use serverlink_zmtp as zmtp;

use super::{raw::Raw, web::Web};
use crate::{Frame, Message, SocketType, options::Options, pipe::Form};

/// The bytes of one stream, understood.
#[derive(Debug)]
pub(crate) enum Protocol {
    Zmtp(zmtp::Connection),
    /// The same on a WebSocket.
    Web(Box<Web>),
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

    /// Whether it is spoken on a WebSocket.
    pub(super) fn is_web(&self) -> bool {
        matches!(self, Self::Web(_))
    }

    /// ZMTP, where it is spoken.
    fn zmtp(&mut self) -> Option<&mut zmtp::Connection> {
        match self {
            Self::Zmtp(zmtp) => Some(zmtp),
            Self::Web(web) => Some(web.zmtp()),
            Self::Raw(_) => None,
        }
    }

    /// The form of what is sent until the handshake is over, if it has one.
    pub(super) fn first_form(&self) -> Option<Box<Form>> {
        match self {
            Self::Web(web) => web.first_form(),
            Self::Zmtp(_) | Self::Raw(_) => None,
        }
    }

    /// The form of what is sent once the handshake is over, to a peer of such frames.
    pub(super) fn form(&mut self, framing: zmtp::Framing) -> Option<Box<Form>> {
        let form = match self {
            Self::Web(web) => return web.form(),
            Self::Zmtp(zmtp) => zmtp.take_sealer().map(Form::sealed),
            Self::Raw(_) => None,
        };
        let old = || (framing == zmtp::Framing::Old).then(Form::old);
        form.or_else(old).map(Box::new)
    }

    /// Takes what has come.
    pub(super) fn feed(&mut self, data: Bytes, now: Instant) {
        match self {
            Self::Zmtp(zmtp) => zmtp.feed(data, now),
            Self::Web(web) => web.feed(data, now),
            Self::Raw(raw) => raw.feed(data, now),
        }
    }

    /// Why the stream is lost although it is still there, behind everything that came by it.
    pub(super) fn take_lost(&mut self) -> Option<io::Error> {
        match self {
            Self::Web(web) => web.take_lost(),
            Self::Zmtp(_) | Self::Raw(_) => None,
        }
    }

    pub(super) fn close_tls(&mut self) {
        if let Self::Web(web) = self {
            web.close_tls();
        }
    }

    /// What has ended the stream, behind everything that came.
    pub(super) fn fault(&self) -> Option<zmtp::Error> {
        match self {
            Self::Web(web) => web.fault().cloned(),
            Self::Zmtp(_) | Self::Raw(_) => None,
        }
    }

    /// When the peer last sent anything; at first, when the connection was made.
    pub(super) fn last_arrival(&self) -> Instant {
        match self {
            Self::Zmtp(zmtp) => zmtp.last_arrival(),
            Self::Web(web) => web.peek().last_arrival(),
            Self::Raw(raw) => raw.last_arrival(),
        }
    }

    /// The stream is there, and was not before.
    pub(super) fn restart_clock(&mut self, now: Instant) {
        match self {
            Self::Raw(raw) => raw.restart_clock(now),
            Self::Zmtp(zmtp) => zmtp.restart_clock(now),
            Self::Web(web) => web.zmtp().restart_clock(now),
        }
    }

    pub(super) fn awaited_frame(&mut self) -> Option<BytesMut> {
        match self {
            Self::Zmtp(zmtp) => zmtp.awaited_frame(),
            // What comes next has to be unpacked.
            Self::Web(_) | Self::Raw(_) => None,
        }
    }

    /// Takes back what was [awaited](Self::awaited_frame).
    pub(super) fn return_frame(&mut self, buffer: BytesMut, now: Instant) {
        if let Self::Zmtp(zmtp) = self {
            zmtp.return_frame(buffer, now);
        }
    }

    pub(super) fn take_spent_chunk(&mut self) -> Bytes {
        match self {
            Self::Zmtp(zmtp) => zmtp.take_spent_chunk(),
            // It is not the engine's.
            Self::Web(_) => Bytes::new(),
            Self::Raw(raw) => raw.take_spent_chunk(),
        }
    }

    /// Whether something that came is not decoded yet.
    pub(super) fn has_input(&self) -> bool {
        match self {
            Self::Zmtp(zmtp) => zmtp.has_buffered_input(),
            Self::Web(web) => web.peek().has_buffered_input(),
            Self::Raw(raw) => raw.has_input(),
        }
    }

    pub(super) fn pause_input(&mut self, paused: bool) {
        if let Some(zmtp) = self.zmtp() {
            zmtp.pause_input(paused);
        }
    }

    pub(super) fn has_output(&self) -> bool {
        match self {
            Self::Zmtp(zmtp) => zmtp.has_output(),
            Self::Web(web) => web.has_output(),
            Self::Raw(_) => false,
        }
    }

    /// What is to be sent, if anything. It may be of no length: its form adds to it.
    pub(super) fn take_output(&mut self) -> Option<Bytes> {
        match self {
            Self::Zmtp(zmtp) => zmtp.take_output(),
            Self::Web(web) => web.take_output(),
            Self::Raw(_) => None,
        }
    }

    /// Has the peer told that nothing more comes, behind everything else. False if there is no such word,
    /// or it was said before.
    pub(super) fn say_goodbye(&mut self) -> bool {
        match self {
            Self::Web(web) => web.say_goodbye(),
            Self::Zmtp(_) | Self::Raw(_) => false,
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match self {
            Self::Zmtp(zmtp) => zmtp.next_timeout(),
            Self::Web(web) => web.peek().next_timeout(),
            Self::Raw(_) => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) -> Result<(), zmtp::Error> {
        self.zmtp().map_or(Ok(()), |zmtp| zmtp.handle_timeout(now))
    }

    /// The peer is judged well.
    pub(super) fn admit(&mut self) {
        if let Some(zmtp) = self.zmtp() {
            zmtp.admit();
        }
    }

    /// The peer is judged badly.
    pub(super) fn refuse(&mut self, refusal: zmtp::Refusal) {
        if let Some(zmtp) = self.zmtp() {
            zmtp.refuse(refusal);
        }
    }

    /// Whether messages may flow.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Zmtp(zmtp) => zmtp.is_ready(),
            Self::Web(web) => web.peek().is_ready(),
            Self::Raw(raw) => raw.is_open(),
        }
    }

    /// Whether the next connection may begin with the message that this one did not write to the
    /// end.
    pub(super) fn resumes(&self) -> bool {
        !matches!(self, Self::Raw(_))
    }

    /// What the socket is told when the stream is over.
    pub(super) fn last_message(&self) -> Option<Message> {
        match self {
            Self::Zmtp(_) | Self::Web(_) => None,
            Self::Raw(raw) => raw.notifies().then(|| Message::from(Frame::new())),
        }
    }
}
