//! What frames mean once the handshake is complete.

use std::time::Instant;

use crate::curve::Ciphers;
use crate::decoder::{Decoder, Span};
use crate::error::printable;
use crate::framing::Framing;
use crate::heartbeat::Pulse;
use crate::output::Output;
use crate::{Config, Error, Peer, Version, command};

/// An established connection.
#[derive(Debug)]
pub(crate) struct Traffic {
    /// What the peer is, as long as nobody has [taken](crate::Connection::take_peer) that.
    pub(crate) peer: Option<Box<Peer>>,
    pub(crate) version: Version,
    pub(crate) pulse: Pulse,
    /// Where the peer encrypts what it sends.
    pub(crate) ciphers: Option<Box<Ciphers>>,
    /// Whether the peer may subscribe, be it by messages in the form of ZMTP 3.0 and before.
    reads_subscriptions: bool,
    /// Whether the peer may join groups.
    reads_memberships: bool,
    /// Whether message frames lie in the input as [`Decoder::whole_message_frame`] finds them, and
    /// mean nothing but themselves.
    pub(crate) is_plain: bool,
    /// Whether a subscription to everything is still to be reported, on behalf of a peer that cannot
    /// subscribe.
    pub(crate) subscribes_to_all: bool,
    /// Whether the last message frame had MORE. Kept only where it matters: with
    /// `reads_subscriptions`.
    in_message: bool,
    /// Whether the caller does not read for now.
    pub(crate) input_paused: bool,
}

/// An event in terms of the decoder, before it borrows.
pub(crate) enum Step {
    Credentials,
    Ready,
    Frame(Span),
    Subscribe(Span),
    Cancel(Span),
    SubscribePattern(Span),
    CancelPattern(Span),
    Join(Span),
    Leave(Span),
    Ping,
    Pong,
}

impl Traffic {
    pub(crate) fn new(
        peer: Box<Peer>,
        ciphers: Option<Box<Ciphers>>,
        config: &Config,
        now: Instant,
    ) -> Self {
        // Only since 3.0 there are commands, PING among them. A WebSocket has a PING of its own, and where
        // no mechanism is spoken on it, peers count as such of 2.0 that do not tell their type.
        let on_web = peer.version == Version::V2_0 && peer.socket_type.is_none();
        let heartbeat = config.heartbeat.filter(|_| on_web || peer.version >= Version::V3_0);
        let reads_subscriptions = config.socket_type.receives_subscriptions();
        Self {
            pulse: Pulse::start(heartbeat, now),
            reads_subscriptions,
            is_plain: !reads_subscriptions
                && ciphers.is_none()
                && Framing::of(peer.version) == Framing::Present,
            ciphers,
            subscribes_to_all: reads_subscriptions
                && peer.socket_type.is_none()
                && peer.version < Version::V2_0,
            version: peer.version,
            peer: Some(peer),
            reads_memberships: config.socket_type.receives_memberships(),
            in_message: false,
            input_paused: false,
        }
    }

    /// What a message frame means.
    #[inline]
    pub(crate) fn message(&mut self, decoder: &Decoder, span: Span) -> Step {
        if !self.reads_subscriptions {
            return Step::Frame(span);
        }
        let alone = !span.more() && !self.in_message;
        self.in_message = span.more();
        match decoder.body(span).first() {
            Some(1) if alone => Step::Subscribe(span.skip(1)),
            Some(0) if alone => Step::Cancel(span.skip(1)),
            _ => Step::Frame(span),
        }
    }

    /// What a command means; `None` if nothing. Kept out of the way of messages.
    #[inline(never)]
    pub(crate) fn command(
        &mut self,
        decoder: &Decoder,
        span: Span,
        output: &mut Output,
        now: Instant,
    ) -> Result<Option<Step>, Error> {
        let body = decoder.body(span);
        let (name, data) = command::split(&body)?;
        let data_span = span.skip(1 + name.len());
        Ok(match name {
            command::PING => {
                let (ttl, context) = command::parse_ping(data)?;
                // Input behind the PING is already the traffic that it promises.
                if !decoder.has_input() {
                    self.pulse.promised(ttl, now);
                }
                output.heartbeat(command::PONG, context);
                Some(Step::Ping)
            }
            command::PONG => Some(Step::Pong),
            command::SUBSCRIBE => Some(Step::Subscribe(data_span)),
            command::CANCEL => Some(Step::Cancel(data_span)),
            command::PSUBSCRIBE if self.reads_subscriptions => {
                command::check_pattern("PSUBSCRIBE", data)?;
                Some(Step::SubscribePattern(data_span))
            }
            command::PCANCEL if self.reads_subscriptions => {
                command::check_pattern("PCANCEL", data)?;
                Some(Step::CancelPattern(data_span))
            }
            command::JOIN if self.reads_memberships => {
                command::check_group("JOIN", data)?;
                Some(Step::Join(data_span))
            }
            command::LEAVE if self.reads_memberships => {
                command::check_group("LEAVE", data)?;
                Some(Step::Leave(data_span))
            }
            // Both sides send READY at once, so the peer's refusal of ours can follow its own READY.
            command::ERROR => return Err(refused(data)),
            // As libzmq does: later versions may define more.
            _ => None,
        })
    }
}

/// The error that an ERROR command is.
pub(crate) fn refused(data: &[u8]) -> Error {
    match command::parse_error(data) {
        Ok(reason) => Error::Refused { reason: printable(reason, 255) },
        Err(misbehaved) => misbehaved.into(),
    }
}
