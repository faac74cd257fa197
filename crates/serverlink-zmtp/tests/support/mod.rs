//! What the tests share: owned events, valid streams, a pair of connections with a virtual clock.
#![allow(dead_code, unreachable_pub, reason = "every test uses another part of it")]

pub mod fuzz;
pub mod secure;
pub mod web;

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use serverlink_zmtp::{Config, Connection, Credentials, Error, Event, SocketType, encode_frame};

/// An event that owns its content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Credentials(Credentials),
    Ready(SocketType, Bytes),
    /// Of a peer that does not tell its type.
    ReadyUntold(Bytes),
    Frame(Bytes, bool),
    Subscribe(Bytes),
    Cancel(Bytes),
    SubscribePattern(Bytes),
    CancelPattern(Bytes),
    Join(Bytes),
    Leave(Bytes),
    Ping,
    Pong,
}

impl Seen {
    pub fn of(event: Event<'_>) -> Self {
        match event {
            Event::Credentials(credentials) => Self::Credentials(credentials.clone()),
            Event::Ready(peer) => match peer.socket_type {
                Some(socket_type) => Self::Ready(socket_type, peer.routing_id.clone()),
                None => Self::ReadyUntold(peer.routing_id.clone()),
            },
            Event::Frame { body, more } => Self::Frame(body.to_bytes(), more),
            Event::Subscribe(topic) => Self::Subscribe(topic.to_bytes()),
            Event::Cancel(topic) => Self::Cancel(topic.to_bytes()),
            Event::SubscribePattern(pattern) => Self::SubscribePattern(pattern.to_bytes()),
            Event::CancelPattern(pattern) => Self::CancelPattern(pattern.to_bytes()),
            Event::Join(group) => Self::Join(group.to_bytes()),
            Event::Leave(group) => Self::Leave(group.to_bytes()),
            Event::Ping => Self::Ping,
            Event::Pong => Self::Pong,
            other => panic!("a new kind of event: {other:?}"),
        }
    }

    pub fn frame(body: impl Into<Bytes>, more: bool) -> Self {
        Self::Frame(body.into(), more)
    }
}

/// Everything a connection has to report.
pub fn drain(connection: &mut Connection, now: Instant) -> Result<Vec<Seen>, Error> {
    let mut seen = Vec::new();
    while let Some(event) = connection.next_event(now)? {
        seen.push(Seen::of(event));
    }
    Ok(seen)
}

/// One frame in the most direct notation, independent of the encoder under test.
pub fn raw_frame(flags: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![flags];
    if flags & 2 == 0 {
        frame.push(u8::try_from(body.len()).expect("a short body"));
    } else {
        frame.extend((body.len() as u64).to_be_bytes());
    }
    frame.extend(body);
    frame
}

pub fn raw_command(name: &str, data: &[u8]) -> Vec<u8> {
    let mut body = vec![name.len() as u8];
    body.extend(name.bytes());
    body.extend(data);
    raw_frame(if body.len() < 256 { 4 } else { 6 }, &body)
}

pub fn raw_greeting(major: u8, minor: u8, mechanism: &str) -> Vec<u8> {
    let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, major, minor];
    greeting.extend(mechanism.bytes());
    greeting.resize(64, 0);
    greeting
}

pub fn raw_property(name: &str, value: &[u8]) -> Vec<u8> {
    let mut property = vec![name.len() as u8];
    property.extend(name.bytes());
    property.extend((value.len() as u32).to_be_bytes());
    property.extend(value);
    property
}

/// Greeting and READY of a 3.1 peer.
pub fn raw_handshake(socket_type: SocketType) -> Vec<u8> {
    let mut bytes = raw_greeting(3, 1, "NULL");
    bytes.extend(raw_command(
        "READY",
        &raw_property("Socket-Type", socket_type.as_str().as_bytes()),
    ));
    bytes
}

/// How an older peer begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Older {
    /// ZMTP 2.0.
    Revision1,
    /// ZMTP 1.0 of a peer that knows of versions.
    Revision0,
    /// ZMTP 1.0 of one that does not.
    Unversioned,
}

impl Older {
    pub const ALL: [Self; 3] = [Self::Revision1, Self::Revision0, Self::Unversioned];

    pub fn is_old_framing(self) -> bool {
        self != Self::Revision1
    }

    /// One frame in the most direct notation.
    pub fn frame(self, more: bool, body: &[u8]) -> Vec<u8> {
        if !self.is_old_framing() {
            return raw_frame(u8::from(more) | if body.len() < 256 { 0 } else { 2 }, body);
        }
        let mut frame = match u8::try_from(body.len() + 1) {
            Ok(len @ ..=254) => vec![len],
            _ => [&[255][..], &(body.len() as u64 + 1).to_be_bytes()].concat(),
        };
        frame.push(u8::from(more));
        frame.extend(body);
        frame
    }

    /// Everything up to the routing id.
    pub fn greeting(self, socket_type: u8) -> Vec<u8> {
        let revision = match self {
            Self::Unversioned => return Vec::new(),
            Self::Revision0 => 0,
            Self::Revision1 => 1,
        };
        [&b"\xff\0\0\0\0\0\0\0\x01\x7f"[..], &[revision, socket_type]].concat()
    }

    pub fn handshake(self, socket_type: SocketType, routing_id: &[u8]) -> Vec<u8> {
        let number = SocketType::ALL.iter().position(|&other| other == socket_type);
        let number = number.expect("a type") as u8;
        [self.greeting(number), self.frame(false, routing_id)].concat()
    }
}

/// A connection of the first type whose handshake with a peer of the second is complete, with
/// nothing left to send.
pub fn established(config: Config, peer: SocketType, now: Instant) -> Connection {
    established_by(config, raw_handshake(peer), now)
}

/// The same after this handshake.
pub fn established_by(config: Config, handshake: Vec<u8>, now: Instant) -> Connection {
    let mut connection = Connection::new(config, now);
    connection.feed(handshake.into(), now);
    let event = connection.next_event(now);
    assert!(matches!(event, Ok(Some(Event::Ready(_)))), "{event:?}");
    connection.take_output();
    connection
}

/// Two connections that hear each other without delay, and the time they share.
pub struct Pair {
    pub now: Instant,
    pub ends: [Connection; 2],
    pub seen: [Vec<Seen>; 2],
    pub errors: [Option<Error>; 2],
    /// Whether what this end sends is lost on the way.
    pub cut: [bool; 2],
}

impl Pair {
    pub fn new(configs: [Config; 2]) -> Self {
        let now = Instant::now();
        Self {
            now,
            ends: configs.map(|config| Connection::new(config, now)),
            seen: [Vec::new(), Vec::new()],
            errors: [None, None],
            cut: [false, false],
        }
    }

    /// Carries control bytes back and forth until both ends are quiet.
    pub fn settle(&mut self) {
        loop {
            let mut moved = false;
            for from in 0..2 {
                while let Some(event) = {
                    let end = &mut self.ends[from];
                    match end.next_event(self.now) {
                        Ok(event) => event.map(Seen::of),
                        Err(error) => {
                            self.errors[from] = Some(error);
                            None
                        }
                    }
                } {
                    self.seen[from].push(event);
                }
                if let Some(bytes) = self.ends[from].take_output() {
                    moved = true;
                    if !self.cut[from] {
                        self.ends[1 - from].feed(bytes, self.now);
                    }
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Sends a message from one end.
    pub fn send(&mut self, from: usize, frames: &[&[u8]]) {
        let mut out = BytesMut::new();
        for (index, frame) in frames.iter().enumerate() {
            encode_frame(&mut out, index + 1 < frames.len(), frame);
        }
        if !self.cut[from] {
            self.ends[1 - from].feed(out.freeze(), self.now);
        }
        self.settle();
    }

    /// Lets time pass, stopping at every timer on the way.
    pub fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.settle();
            let timer = self.ends.iter().filter_map(Connection::next_timeout).min();
            let Some(timer) = timer.filter(|timer| *timer <= end) else { break };
            self.now = self.now.max(timer);
            for index in 0..2 {
                if let Err(error) = self.ends[index].handle_timeout(self.now) {
                    self.errors[index] = Some(error);
                }
            }
        }
        self.now = end;
    }
}
