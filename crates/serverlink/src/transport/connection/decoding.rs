//! From bytes received to messages of the socket.

use std::{mem, sync::Arc, time::Instant};

use bytes::Bytes;
use serverlink_zmtp::{self as zmtp, FrameBody, Framing, PeerMisbehaved};

use super::{Connection, End, Input, Interlude, Phase, Protocol, Receiving, judging::Asked};
use crate::{
    Frame, Message, MonitorEventKind, MonitoredPeer, pipe::Producer, socket::PeerProperties,
};

/// From this size on a body stays where it was received: a frame keeps at most 128 times its size of
/// the engine's default receive buffers, of 128 KiB.
const SLICE_FROM: usize = 1024;

/// Why decoding stopped.
pub(super) enum Decoded {
    /// All input is used up.
    Starved,
    /// Somebody is asked to judge the peer, and nothing is read meanwhile: nobody knows it.
    Judged,
    /// There is no room for more messages.
    Full,
    /// The socket does not want this peer.
    Refused,
}

impl Connection {
    /// Decodes what is there, hands it over, and sees to it that more comes.
    pub(super) fn pump(&self, input: &mut Input, now: Instant) {
        while input.phase == Phase::Open {
            let room = input.room();
            if room == 0 && input.mute.is_some() && self.origin.is_hasty() {
                return self.end(input, End::Lost);
            }
            if room == 0 {
                input.receiving = Receiving::Paused;
                input.protocol.pause_input(true);
                break;
            }
            let decoded = self.decode(input, room, now);
            self.deliver(input);
            match decoded {
                Ok(Decoded::Full) => {}
                Ok(Decoded::Judged) => break,
                Ok(Decoded::Starved) => {
                    if let Some(error) = input.protocol.take_lost() {
                        // An alert, perhaps.
                        self.write_control(input);
                        self.lose(input, &error);
                        return;
                    }
                    if let Ok(buffer) = input.protocol.take_spent_chunk().try_into_mut() {
                        self.port.reuse(buffer);
                    }
                    self.receive(input);
                    break;
                }
                Ok(Decoded::Refused) => {
                    self.end(input, End::Lost);
                    return;
                }
                Err(error) => {
                    self.tell_failure(&error);
                    if input.protocol.is_web() {
                        // What comes behind a close is not read: it is for the next connection.
                        self.outbox.hold();
                        input.protocol.close_tls();
                    }
                    // It may have something to say to the peer about it.
                    self.write_control(input);
                    self.fail(input, &error);
                    return;
                }
            }
        }
        self.write_control(input);
        self.set_timer(input);
    }

    fn decode(&self, input: &mut Input, room: usize, now: Instant) -> Result<Decoded, zmtp::Error> {
        let Input { protocol, partial, inlet, interlude, mute, .. } = input;
        let zero_copy = self.origin.options().zero_copy_receive;
        let slice_from = if zero_copy { SLICE_FROM } else { usize::MAX };
        let zmtp = match protocol {
            Protocol::Zmtp(zmtp) => zmtp,
            Protocol::Web(web) => web.zmtp(),
            Protocol::Raw(raw) => return Ok(self.decode_raw(raw, inlet, mute.is_some())),
        };
        let mut left = room;
        loop {
            if let Some(inlet) = inlet
                && partial.as_ref().is_none_or(|partial| partial.is_empty())
            {
                left -= zmtp.take_messages(left, |body| {
                    inlet.write_with(|message| fill(message, body, slice_from));
                });
            }
            if left == 0 {
                return Ok(Decoded::Full);
            }
            let whole = match zmtp.next_event(now)? {
                None => return protocol.fault().map_or(Ok(Decoded::Starved), Err),
                Some(zmtp::Event::Frame { body, more: true }) => {
                    partial.get_or_insert_default().push_back(frame(body, slice_from));
                    continue;
                }
                Some(zmtp::Event::Frame { body, .. }) => {
                    let mut whole = partial.as_deref_mut().map(mem::take).unwrap_or_default();
                    whole.push_back(frame(body, slice_from));
                    whole
                }
                Some(zmtp::Event::Subscribe(topic)) => subscription(1, topic),
                Some(zmtp::Event::Cancel(topic)) => subscription(0, topic),
                Some(zmtp::Event::Join(name) | zmtp::Event::SubscribePattern(name)) => {
                    Message::of_membership(&name, true)
                }
                Some(zmtp::Event::Leave(name) | zmtp::Event::CancelPattern(name)) => {
                    Message::of_membership(&name, false)
                }
                Some(zmtp::Event::Credentials(credentials)) => match self.ask(credentials) {
                    Asked::Inquiry(inquiry) => {
                        *interlude = Some(Box::new(Interlude::Inquiry(inquiry)));
                        return Ok(Decoded::Judged);
                    }
                    Asked::Admitted => {
                        zmtp.admit();
                        continue;
                    }
                    Asked::Nobody => return Ok(Decoded::Refused),
                },
                Some(zmtp::Event::Ready(_)) => {
                    let Some(peer) = zmtp.take_peer() else { return Ok(Decoded::Refused) };
                    let mut metadata = match interlude.take().map(|interlude| *interlude) {
                        Some(Interlude::Admission(admission)) => admission.properties,
                        _ => Vec::new(),
                    };
                    let vouched = metadata.len().try_into().unwrap_or(u16::MAX);
                    let takes_patterns = peer.takes_patterns();
                    metadata.extend(peer.properties);
                    let info = PeerProperties {
                        socket_type: peer.socket_type,
                        routing_id: peer.routing_id,
                        metadata: metadata.into(),
                        vouched,
                        takes_patterns,
                        ..PeerProperties::of_stranger(peer.version)
                    };
                    let monitored =
                        MonitoredPeer::new(info.socket_type, info.routing_id.clone(), info.version);
                    // Our own READY goes before any message.
                    if let Some(bytes) = protocol.take_output() {
                        self.outbox.push_control(bytes);
                    }
                    let framing = Framing::of(info.version);
                    let form = protocol.form(framing);
                    let hello = &self.origin.options().hello_message[..];
                    let hello = (!hello.is_empty()).then_some(hello);
                    let probe = self.origin.probes().then_some(&[][..]);
                    let first = hello.into_iter().chain(probe).map(|body| {
                        let (header, used) = framing.header(false, body.len() as u64);
                        Bytes::from([&header[..used], body].concat())
                    });
                    self.outbox.set_ready(form, first);
                    let succeeded = MonitorEventKind::HandshakeSucceeded(monitored);
                    return Ok(self.established(inlet, info, mute.is_some(), Some(succeeded)));
                }
                Some(_) => continue,
            };
            left -= 1;
            if let Some(inlet) = inlet {
                inlet.write(whole);
            } else if let Some(inlet) = self.inlet(inlet) {
                inlet.write(whole);
                // There is a limit now.
                return Ok(Decoded::Full);
            } else if let Some(pipe) = self.pipe.get()
                && pipe.set_latest(whole)
                && let Some(owner) = pipe.owner()
            {
                owner.pipe_readable(pipe);
            }
        }
    }

    /// Tells whoever monitors the socket why a handshake failed, if it was one.
    pub(super) fn tell_failure(&self, error: &zmtp::Error) {
        // As libzmq does, also of what cannot be decrypted later.
        let is_of_encryption = matches!(
            error,
            zmtp::Error::PeerMisbehaved(
                PeerMisbehaved::Cryptographic(_)
                    | PeerMisbehaved::Sequence
                    | PeerMisbehaved::UnexpectedCommand(_)
                    | PeerMisbehaved::CommandLength { .. }
            )
        );
        if self.pipe.get().is_none() || is_of_encryption {
            self.origin.tell(self, MonitorEventKind::handshake_failed(error));
        }
    }

    /// The peer is known, and the outbox is ready: messages may flow, unless the socket does not want them;
    /// those to a peer that `is_mute` already may not. Whoever monitors it is told what to call that.
    pub(super) fn established(
        &self,
        inlet: &mut Option<Box<Producer<Message>>>,
        mut info: PeerProperties,
        is_mute: bool,
        event: Option<MonitorEventKind>,
    ) -> Decoded {
        (info.address, info.descriptor) = (self.peer_name().map(Into::into), self.descriptor);
        let Some(me) = self.me.upgrade().filter(|me| self.origin.ready(me, Arc::new(info))) else {
            return Decoded::Refused;
        };
        if let Some(event) = event {
            self.origin.tell(self, event);
        }
        if is_mute {
            // The pattern has just heard of the peer.
            self.origin.muted(&me);
        }
        self.write_all();
        *inlet = self.pipe.get().and_then(|pipe| pipe.take_inlet(false));
        if self.origin.options().router_notify.connect
            && let Some(inlet) = self.inlet(inlet)
        {
            inlet.write(Message::from(Frame::new()));
        }
        Decoded::Full
    }

    /// The way of messages to the socket, taken for the first; none, if nobody wants any.
    pub(super) fn inlet<'a>(
        &self,
        inlet: &'a mut Option<Box<Producer<Message>>>,
    ) -> Option<&'a mut Producer<Message>> {
        if inlet.is_none() {
            *inlet = self.pipe.get().and_then(|pipe| pipe.take_inlet(true));
        }
        inlet.as_deref_mut()
    }

    /// Lets the socket have what was decoded.
    fn deliver(&self, input: &mut Input) {
        if let Some(inlet) = &mut input.inlet
            && inlet.publish()
            && let Some(pipe) = self.pipe.get()
            && let Some(owner) = pipe.owner()
        {
            owner.pipe_readable(pipe);
        }
    }
}

/// Makes the one frame of a message.
#[inline]
fn fill(message: &mut Message, body: FrameBody<'_>, slice_from: usize) {
    match body.window() {
        Some(window) if body.len() <= window.len() => message.set_inline(window, body.len()),
        _ => fill_out_of_line(message, body, slice_from),
    }
}

/// Of the same frame as [`frame`] makes, which is not moved there: that would wait for its bytes to be
/// written.
#[inline(never)]
fn fill_out_of_line(message: &mut Message, body: FrameBody<'_>, slice_from: usize) {
    if body.len() < slice_from {
        message.set_copy(body.as_slice());
    } else {
        message.set_frame(Frame::from(body.to_bytes()));
    }
}

/// A small body is copied, so that keeping it does not keep a whole receive buffer.
#[inline(never)]
fn frame(body: FrameBody<'_>, slice_from: usize) -> Frame {
    if body.len() < slice_from {
        Frame::copy_from_slice(body.as_slice())
    } else {
        Frame::from(body.to_bytes())
    }
}

fn subscription(flag: u8, topic: FrameBody<'_>) -> Message {
    let mut body = Vec::with_capacity(topic.len() + 1);
    body.push(flag);
    body.extend_from_slice(topic.as_slice());
    Message::from(body)
}
