//! Frames and heads of WebSockets in the most direct notation, and ends that speak over them.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use serverlink_zmtp::{
    Config, Error, Event, Frames, Sealer, SocketType, WebConnection, WebFramer, encode_frame,
};

use super::{Seen, raw_property};

/// What peers mask with.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// The key of the example in RFC 6455, section 1.3, and the answer to it.
pub const EXAMPLE_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub const EXAMPLE_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// One frame: its first byte, then a length, a mask if there is one, and the payload.
pub fn raw_web(first: u8, key: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
    let masked = if key.is_some() { 0x80 } else { 0 };
    let mut frame = vec![first];
    match payload.len() {
        len @ ..126 => frame.push(masked | len as u8),
        len @ ..0x1_0000 => {
            frame.push(masked | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        len => {
            frame.push(masked | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame.extend(key.unwrap_or_default().iter().take(if key.is_some() { 4 } else { 0 }));
    let key = key.unwrap_or_default();
    frame.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The frames of a stream: the first byte of each, whether it is masked, and what is in it.
pub fn parse_web(mut stream: &[u8]) -> Vec<(u8, bool, Vec<u8>)> {
    let mut take = |len: usize| {
        let (taken, rest) = stream.split_at(len);
        stream = rest;
        (taken.to_vec(), rest.is_empty())
    };
    let mut frames = Vec::new();
    let mut empty = take(0).1;
    while !empty {
        let head = take(2).0;
        let len = match head[1] & 0x7f {
            126 => take(2).0.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
            127 => take(8).0.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
            len => usize::from(len),
        };
        let masked = head[1] & 0x80 != 0;
        let key = if masked { take(4).0 } else { vec![0; 4] };
        let (payload, end) = take(len);
        let payload = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        frames.push((head[0], masked, payload.collect()));
        empty = end;
    }
    frames
}

/// Which end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

impl Role {
    pub const BOTH: [Self; 2] = [Self::Client, Self::Server];

    /// What the peer of this end masks with.
    pub fn peers_key(self) -> Option<[u8; 4]> {
        (self == Self::Server).then_some(KEY)
    }

    /// One frame as the peer of this end sends it.
    pub fn peers(self, first: u8, payload: &[u8]) -> Vec<u8> {
        raw_web(first, self.peers_key(), payload)
    }

    /// One frame of ZeroMQ, from the peer.
    pub fn zmq(self, flags: u8, body: &[u8]) -> Vec<u8> {
        self.peers(0x82, &[&[flags], body].concat())
    }

    /// A command from the peer.
    pub fn command(self, name: &str, data: &[u8]) -> Vec<u8> {
        self.zmq(2, &[&[name.len() as u8], name.as_bytes(), data].concat())
    }

    /// READY of a peer of this type.
    pub fn ready(self, peer: SocketType) -> Vec<u8> {
        self.command("READY", &raw_property("Socket-Type", peer.as_str().as_bytes()))
    }
}

/// A request with these protocols, and RFC 6455's key.
pub fn request(protocols: &str) -> String {
    format!(
        "GET /queue HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {EXAMPLE_KEY}\r\nSec-WebSocket-Protocol: {protocols}\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    )
}

/// The value of a field that a head has once.
pub fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let prefix = format!("{name}: ");
    let mut values = head.split("\r\n").filter_map(|line| line.strip_prefix(&prefix[..]));
    let value = values.next().unwrap_or_else(|| panic!("no {name} in {head:?}"));
    assert_eq!(values.next(), None, "{head:?}");
    value
}

/// What goes with the key of a request. That of RFC 6455 is [tested](EXAMPLE_ACCEPT).
pub fn accept_of(key: &str) -> String {
    let now = Instant::now();
    let mut server = WebConnection::accepting(Config::new(SocketType::Pull), now);
    server.feed(request("ZWS2.0").replace(EXAMPLE_KEY, key).into(), now);
    let answer = server.take_output().expect("an answer");
    let answer = String::from_utf8_lossy(&answer);
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    field(head, "Sec-WebSocket-Accept").to_owned()
}

/// A good answer to a request.
pub fn answer(request: &str, protocol: &str) -> String {
    let accept = accept_of(field(request, "Sec-WebSocket-Key"));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    )
}

/// One end, driven as its documentation says, and what it has reported.
pub struct End {
    pub web: WebConnection,
    pub role: Role,
    pub now: Instant,
    pub seen: Vec<Seen>,
    /// What has ended it, of the connection within or the WebSocket.
    pub error: Option<Error>,
    pub framer: Option<WebFramer>,
    pub sealer: Option<Box<Sealer>>,
    /// What was not carried away yet.
    said: BytesMut,
}

impl End {
    pub fn new(role: Role, config: Config) -> Self {
        let now = Instant::now();
        let web = match role {
            Role::Client => WebConnection::connecting("example.com", "/queue", config, now),
            Role::Server => WebConnection::accepting(config, now),
        };
        let (framer, sealer, said) = (None, None, BytesMut::new());
        Self { web, role, now, seen: Vec::new(), error: None, framer, sealer, said }
    }

    /// An end for which a scripted peer has opened the WebSocket, for this protocol.
    pub fn open(role: Role, config: Config, protocol: &str) -> Self {
        let mut end = Self::new(role, config);
        let request = match role {
            Role::Client => String::from_utf8(end.says()).expect("a request"),
            Role::Server => request(protocol),
        };
        let good = answer(&request, protocol);
        match role {
            Role::Client => end.hear(good.as_bytes()),
            Role::Server => {
                end.hear(request.as_bytes());
                // READY may follow at once.
                let said = end.says();
                assert_eq!(String::from_utf8_lossy(&said[..good.len()]), good);
                end.said.extend_from_slice(&said[good.len()..]);
            }
        }
        assert_eq!(end.error, None);
        end
    }

    /// An end whose handshake with a scripted peer of this type is complete, and that has said nothing
    /// since.
    pub fn established(role: Role, config: Config, peer: SocketType) -> Self {
        let mut end = Self::open(role, config, "ZWS2.0/NULL");
        end.hear(&role.ready(peer));
        assert!(matches!(end.seen[..], [Seen::Ready(..)]), "{:?} {:?}", end.seen, end.error);
        end.seen.clear();
        end.says();
        end
    }

    /// Hears this, and makes of it what can be made.
    pub fn hear(&mut self, bytes: &[u8]) {
        self.feed(bytes);
        self.listen();
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.web.feed(Bytes::copy_from_slice(bytes), self.now);
    }

    /// True if there was anything.
    pub fn listen(&mut self) -> bool {
        let before = self.seen.len();
        while self.step() {}
        self.seen.len() > before
    }

    /// Makes one event of what was heard; false if there is none, or it is over.
    pub fn step(&mut self) -> bool {
        if self.error.is_some() {
            return false;
        }
        match self.web.inner().next_event(self.now) {
            Ok(Some(event)) => {
                let ready = matches!(event, Event::Ready(_));
                self.seen.push(Seen::of(event));
                if ready {
                    self.collect();
                    self.framer = self.web.take_framer();
                    self.sealer = self.web.inner().take_sealer();
                }
                return true;
            }
            Ok(None) => self.error = self.web.fault().cloned(),
            Err(error) => self.error = Some(error),
        }
        false
    }

    /// Gives what waits to be sent its form.
    fn collect(&mut self) {
        let promised = self.web.has_output();
        let output = self.web.take_output();
        assert_eq!(promised, output.is_some());
        if let Some(output) = output {
            self.form(&output);
        }
    }

    fn form(&mut self, output: &[u8]) {
        let Some(framer) = &mut self.framer else {
            self.said.extend_from_slice(output);
            return;
        };
        for frame in Frames::new(output) {
            let frame = &output[frame.start..frame.end];
            match &mut self.sealer {
                Some(sealer) if !WebFramer::is_control(frame) => {
                    let mut sealed = BytesMut::new();
                    sealer.seal_encoded(frame, &mut sealed);
                    framer.encoded(&sealed, &mut self.said);
                }
                _ => framer.encoded(frame, &mut self.said),
            }
        }
    }

    /// All that it has to say, as it goes over the stream.
    pub fn says(&mut self) -> Vec<u8> {
        self.collect();
        self.said.split().to_vec()
    }

    /// The same as frames, of which each has to be masked as it should be.
    pub fn says_frames(&mut self) -> Vec<(u8, Vec<u8>)> {
        let frames = parse_web(&self.says()).into_iter();
        let masks = self.role == Role::Client;
        frames
            .map(|(first, masked, payload)| {
                assert_eq!(masked, masks);
                (first, payload)
            })
            .collect()
    }

    /// Says a message.
    pub fn send(&mut self, frames: &[&[u8]]) {
        let mut out = BytesMut::new();
        for (index, frame) in frames.iter().enumerate() {
            encode_frame(&mut out, index + 1 < frames.len(), frame);
        }
        self.send_encoded(&out);
    }

    /// Says what has its form already.
    pub fn push(&mut self, formed: &[u8]) {
        self.collect();
        self.said.extend_from_slice(formed);
    }

    /// Says frames that are encoded.
    pub fn send_encoded(&mut self, encoded: &[u8]) {
        self.collect();
        assert!(self.framer.is_some(), "the handshake is complete");
        self.form(encoded);
    }
}

/// Two ends that hear each other without delay.
pub struct WebPair {
    pub ends: [End; 2],
    /// Whether what this end sends is lost on the way.
    pub cut: [bool; 2],
}

impl WebPair {
    /// A client and a server.
    pub fn new(client: Config, server: Config) -> Self {
        let ends = [End::new(Role::Client, client), End::new(Role::Server, server)];
        Self { ends, cut: [false, false] }
    }

    /// Carries what both have to say until they are quiet.
    pub fn settle(&mut self) {
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for from in 0..2 {
                moved |= self.ends[from].listen();
                let said = self.ends[from].says();
                moved |= !said.is_empty();
                if !self.cut[from] {
                    self.ends[1 - from].feed(&said);
                }
            }
        }
    }

    /// Lets time pass, stopping at every timer on the way.
    pub fn wait(&mut self, duration: Duration) {
        let end = self.ends[0].now + duration;
        loop {
            self.settle();
            let timers = self.ends.iter().filter_map(|end| end.web.peek().next_timeout());
            let Some(timer) = timers.min().filter(|timer| *timer <= end) else { break };
            for at in &mut self.ends {
                at.now = at.now.max(timer);
                if let Err(error) = at.web.inner().handle_timeout(at.now) {
                    at.error = Some(error);
                }
            }
        }
        self.ends.iter_mut().for_each(|at| at.now = end);
    }

    pub fn seen(&self) -> [&[Seen]; 2] {
        [&self.ends[0].seen, &self.ends[1].seen]
    }

    pub fn errors(&self) -> [Option<&Error>; 2] {
        [self.ends[0].error.as_ref(), self.ends[1].error.as_ref()]
    }
}
