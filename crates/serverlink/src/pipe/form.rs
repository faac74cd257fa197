//! The messages of an outbox in another form than they lie there: as a peer of ZMTP 1.0 takes them, every
//! frame with another header, or encrypted, or as messages of a WebSocket.

use std::{collections::VecDeque, sync::Arc};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serverlink_zmtp::{Frames, Framing, MAX_OLD_HEADER_LEN, SEALED, Sealer, WebFramer, frame_len};

use super::staging::{SHARE_FROM, Segment};
use crate::transport::{Records, Tls};

/// How the peer of a connection takes what it is sent, if not as it lies in the outbox.
#[derive(Debug)]
pub(crate) struct Form {
    kind: Kind,
    /// How many of the control buffers still to be written belong to the handshake, which is neither
    /// encrypted by a mechanism nor cut into frames here.
    clear: usize,
}

#[derive(Debug)]
enum Kind {
    /// As ZMTP 1.0 has it.
    Old,
    /// Encrypted by the CURVE mechanism.
    Sealed(Box<Sealer>),
    /// On a WebSocket, the handshake over.
    Web(Web),
    /// Over TLS, the handshake going on.
    Secure(Arc<Tls>),
}

#[derive(Debug)]
struct Web {
    framer: WebFramer,
    sealer: Option<Box<Sealer>>,
    tls: Option<Arc<Tls>>,
    /// Where the frames of the batch lie in what is encrypted.
    records: Records,
    sealed: BytesMut,
}

impl Form {
    fn new(kind: Kind) -> Self {
        Self { kind, clear: 0 }
    }

    pub(crate) fn old() -> Self {
        Self::new(Kind::Old)
    }

    pub(crate) fn sealed(sealer: Box<Sealer>) -> Self {
        Self::new(Kind::Sealed(sealer))
    }

    pub(crate) fn web(
        framer: WebFramer,
        sealer: Option<Box<Sealer>>,
        tls: Option<Arc<Tls>>,
    ) -> Self {
        let (records, sealed) = (Records::default(), BytesMut::new());
        Self::new(Kind::Web(Web { framer, sealer, tls, records, sealed }))
    }

    pub(crate) fn secure(tls: Arc<Tls>) -> Self {
        Self::new(Kind::Secure(tls))
    }

    /// Notes that so many control buffers that wait are of the handshake.
    pub(super) fn begin_behind(&mut self, control: usize) {
        self.clear = control;
    }

    /// Gives the control buffers that are to be written now, all that there are, their form.
    pub(super) fn translate_control(&mut self, buffers: &mut Vec<Bytes>) {
        let mut out = BytesMut::new();
        let clear = std::mem::take(&mut self.clear).min(buffers.len());
        let commands = buffers[clear..].iter();
        match &mut self.kind {
            Kind::Old => return,
            Kind::Sealed(sealer) => {
                commands.for_each(|bytes| sealer.seal_encoded(bytes, &mut out));
                buffers.truncate(clear);
            }
            Kind::Web(web) => {
                commands.for_each(|bytes| web.command(bytes, &mut out));
                buffers.truncate(clear);
            }
            Kind::Secure(_) => {}
        }
        if !out.is_empty() {
            buffers.push(out.freeze());
        }
        if let Some(tls) = self.tls() {
            let plain = std::mem::take(buffers);
            tls.send(&plain, buffers, &mut Records::default());
        }
    }

    fn tls(&self) -> Option<&Arc<Tls>> {
        match &self.kind {
            Kind::Web(web) => web.tls.as_ref(),
            Kind::Secure(tls) => Some(tls),
            Kind::Old | Kind::Sealed(_) => None,
        }
    }

    /// Appends to `buffers` what is to be written for a batch.
    pub(super) fn translate(&mut self, batch: &VecDeque<Segment>, buffers: &mut Vec<Bytes>) {
        match &mut self.kind {
            Kind::Old => translate_old(batch, buffers),
            Kind::Sealed(sealer) => {
                let len: usize = batch.iter().map(|segment| segment.bytes.len()).sum();
                let mut out = BytesMut::with_capacity(len + len / 8 + SEALED);
                for (more, body) in frames(batch) {
                    sealer.seal(more, false, &body, &mut out);
                }
                if !out.is_empty() {
                    buffers.push(out.freeze());
                }
            }
            Kind::Web(web) => web.translate(batch, buffers),
            // There are no messages before the handshake is over.
            Kind::Secure(_) => {}
        }
    }

    /// How many bytes of a batch, as it lies there, are the frames of which all is in the first `sent`
    /// bytes of what was written.
    pub(super) fn original_len(&self, batch: &VecDeque<Segment>, sent: usize) -> usize {
        let sent = match &self.kind {
            Kind::Web(Web { tls: Some(_), records, .. }) => records.plain(sent),
            _ => sent,
        };
        let (mut written, mut original) = (0, 0);
        for (more, body) in frames(batch) {
            let len = |framing: Framing| framing.header(more, body.len() as u64).1 + body.len();
            written += match &self.kind {
                Kind::Old => len(Framing::Old),
                Kind::Sealed(_) => frame_len(body.len() + SEALED),
                Kind::Web(web) => web.frame_len(body.len()),
                Kind::Secure(_) => len(Framing::Present),
            };
            if written > sent {
                break;
            }
            original += len(Framing::Present);
        }
        original
    }
}

impl Web {
    /// One command or several, one behind the other.
    fn command(&mut self, encoded: &[u8], out: &mut BytesMut) {
        for frame in Frames::new(encoded) {
            let whole = &encoded[frame.start..frame.end];
            if self.sealer.is_none() || WebFramer::is_control(whole) {
                self.framer.encoded(whole, out);
            } else {
                self.frame(frame.more, frame.command, &encoded[frame.body..frame.end], out);
            }
        }
    }

    fn frame(&mut self, more: bool, command: bool, body: &[u8], out: &mut BytesMut) {
        match &mut self.sealer {
            None => self.framer.frame(more, command, body, out),
            Some(sealer) => {
                sealer.seal(more, command, body, &mut self.sealed);
                self.framer.encoded(&self.sealed, out);
                self.sealed.clear();
            }
        }
    }

    fn frame_len(&self, body_len: usize) -> usize {
        let sealed = if self.sealer.is_some() { SEALED } else { 0 };
        self.framer.frame_len(body_len + sealed)
    }

    fn translate(&mut self, batch: &VecDeque<Segment>, buffers: &mut Vec<Bytes>) {
        let control = buffers.len();
        let shares = self.sealer.is_none() && self.tls.is_none() && !self.framer.masks();
        let mut out = BytesMut::new();
        for (more, body) in frames(batch) {
            if shares && body.len() >= SHARE_FROM {
                self.framer.message_header(more, body.len() as u64, &mut out);
                buffers.extend([out.split().freeze(), body]);
            } else {
                self.frame(more, false, &body, &mut out);
            }
        }
        if !out.is_empty() {
            buffers.push(out.freeze());
        }
        if let Some(tls) = &self.tls {
            let plain = buffers.split_off(control);
            self.records.clear();
            tls.send(&plain, buffers, &mut self.records);
        }
    }
}

fn translate_old(batch: &VecDeque<Segment>, buffers: &mut Vec<Bytes>) {
    let mut out = BytesMut::new();
    for (more, body) in frames(batch) {
        let (header, used) = Framing::Old.header(more, body.len() as u64);
        out.reserve(MAX_OLD_HEADER_LEN + body.len().min(SHARE_FROM));
        out.put_slice(&header[..used]);
        if body.len() < SHARE_FROM {
            out.put_slice(&body);
        } else {
            buffers.extend([out.split().freeze(), body]);
        }
    }
    if !out.is_empty() {
        buffers.push(out.freeze());
    }
}

/// The frames of a batch: whether more of the message follow, and the body, which is in the segment
/// of its header or is the next one.
fn frames(batch: &VecDeque<Segment>) -> impl Iterator<Item = (bool, Bytes)> {
    let mut segments = batch.iter().map(|segment| segment.bytes.clone());
    let mut rest = Bytes::new();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            rest = segments.next()?;
        }
        let (more, len, used) = Framing::Present.read_header(&rest)?;
        rest.advance(used);
        let len = usize::try_from(len).ok()?;
        let body = if len > 0 && rest.is_empty() { segments.next()? } else { rest.split_to(len) };
        Some((more, body))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use serverlink_zmtp as zmtp;

    use super::{super::staging::Staging, *};
    use crate::{Message, pipe::Outgoing};

    fn messages() -> Vec<Message> {
        let mut mixed = Message::from("envelope");
        for len in [0, 253, 254, 255, 256, SHARE_FROM, SHARE_FROM + 1, 1, SHARE_FROM] {
            mixed.push_back(vec![len as u8; len]);
        }
        let shared = Message::from(vec![7; SHARE_FROM]);
        vec![Message::from("a"), mixed, Message::from(""), shared, Message::from("")]
    }

    fn batch(messages: &[Message]) -> VecDeque<Segment> {
        let mut staging = Staging::new();
        messages.iter().for_each(|message| staging.push(Outgoing::Message(message)));
        let mut batch = VecDeque::new();
        staging.take(usize::MAX, &mut batch);
        batch
    }

    /// The bytes of whole messages, in the most direct notation.
    fn wire(messages: &[Message], framing: Framing) -> Vec<u8> {
        let mut out = Vec::new();
        for message in messages {
            for (index, frame) in message.iter().enumerate() {
                let (len, more) = (frame.len(), u8::from(index + 1 < message.len()));
                match framing {
                    Framing::Old if len < 254 => out.extend([len as u8 + 1, more]),
                    Framing::Old => {
                        out.push(255);
                        out.extend((len as u64 + 1).to_be_bytes());
                        out.push(more);
                    }
                    Framing::Present if len < 256 => out.extend([more, len as u8]),
                    Framing::Present => {
                        out.push(more | 2);
                        out.extend((len as u64).to_be_bytes());
                    }
                }
                out.extend_from_slice(frame);
            }
        }
        out
    }

    #[test]
    fn every_frame_gets_the_older_header() {
        let mut buffers = Vec::new();
        Form::old().translate(&batch(&messages()), &mut buffers);
        assert!(buffers.concat() == wire(&messages(), Framing::Old));
    }

    #[test]
    fn whatever_was_sent_the_rest_comes_back_from_a_message_boundary() {
        let all = messages();
        let ends: Vec<_> =
            (0..=all.len()).map(|count| wire(&all[..count], Framing::Old).len()).collect();
        let total = ends[all.len()];
        let near_ends = ends.iter().flat_map(|end| end.saturating_sub(2)..(end + 3).min(total));
        for sent in near_ends.chain((0..total).step_by(97)).chain([total]) {
            let first = ends.iter().rposition(|&end| end <= sent);
            let mut staging = Staging::new();
            let batch = batch(&all);
            let original = Form::old().original_len(&batch, sent);
            staging.put_back(batch, original);
            let mut rest = VecDeque::new();
            staging.take(usize::MAX, &mut rest);
            let rest: Vec<u8> = rest.iter().flat_map(|segment| segment.bytes.to_vec()).collect();
            assert!(rest == wire(&all[first.unwrap()..], Framing::Present), "sent {sent}");
        }
    }

    /// A sealer and what opens what it seals.
    fn secure() -> (Form, zmtp::Connection) {
        let [own, known] = [(); 2].map(|()| zmtp::CurveKeyPair::generate().expect("random bytes"));
        let now = Instant::now();
        let mut client = zmtp::Config::new(zmtp::SocketType::Push);
        let curve = zmtp::CurveClient { keys: known, server: own.public };
        client.mechanism = zmtp::Mechanism::CurveClient(curve);
        let mut server = zmtp::Config::new(zmtp::SocketType::Pull);
        server.mechanism = zmtp::Mechanism::CurveServer(own.secret);
        let [mut client, mut server] =
            [client, server].map(|config| zmtp::Connection::new(config, now));
        while !(client.is_ready() && server.is_ready()) {
            client.feed(server.take_output().unwrap_or_default(), now);
            server.feed(client.take_output().unwrap_or_default(), now);
            for end in [&mut client, &mut server] {
                let _ = end.next_event(now).expect("no fault");
            }
        }
        (Form::sealed(client.take_sealer().expect("it encrypts")), server)
    }

    /// What it makes of these bytes: frames, each with what follows.
    fn opened(connection: &mut zmtp::Connection, bytes: Vec<u8>) -> Vec<(Vec<u8>, bool)> {
        let now = Instant::now();
        connection.feed(bytes.into(), now);
        let mut seen = Vec::new();
        while let Some(event) = connection.next_event(now).expect("in order") {
            match event {
                zmtp::Event::Frame { body, more } => seen.push((body.to_vec(), more)),
                zmtp::Event::Ping => seen.push((b"PING".to_vec(), false)),
                other => panic!("{other:?}"),
            }
        }
        seen
    }

    #[test]
    fn frames_and_commands_are_encrypted_in_the_order_in_which_they_are_written() {
        let (mut form, mut peer) = secure();
        let mut control =
            vec![Bytes::from_static(b"READY"), Bytes::from_static(b"\x04\x07\x04PING\0\0")];
        form.begin_behind(1);
        form.translate_control(&mut control);
        assert_eq!(control.remove(0), "READY", "the handshake is not encrypted");
        let all = messages();
        form.translate(&batch(&all), &mut control);
        let expected = all.iter().flat_map(|message| {
            let last = message.len() - 1;
            message.iter().enumerate().map(move |(at, frame)| (frame.to_vec(), at < last))
        });
        let ping = (b"PING".to_vec(), false);
        let expected: Vec<_> = [ping.clone()].into_iter().chain(expected).collect();
        assert!(opened(&mut peer, control.concat()) == expected);
        let mut control = vec![Bytes::from_static(b"\x04\x07\x04PING\0\0")];
        form.translate_control(&mut control);
        assert_eq!(opened(&mut peer, control.concat()), [ping]);
    }

    #[test]
    fn whatever_was_sent_encrypted_the_rest_is_whole_messages() {
        let all = messages();
        for first in 0..all.len() {
            let (mut form, _) = secure();
            let mut buffers = Vec::new();
            form.translate(&batch(&all[..=first]), &mut buffers);
            let end: usize = buffers.iter().map(Bytes::len).sum();
            for (sent, left) in [(end - 1, first), (end, first + 1)] {
                let batch = batch(&all);
                let original = form.original_len(&batch, sent);
                let mut staging = Staging::new();
                staging.put_back(batch, original);
                let mut rest = VecDeque::new();
                staging.take(usize::MAX, &mut rest);
                let rest: Vec<u8> =
                    rest.iter().flat_map(|segment| segment.bytes.to_vec()).collect();
                assert!(rest == wire(&all[left..], Framing::Present), "{first}: {sent}");
            }
        }
    }
}
