//! A pair of connections that encrypt.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use serverlink_zmtp::{
    Config, Connection, CurveClient, CurveKeyPair, Error, Mechanism, Sealer, SocketType,
    encode_frame,
};

use super::Seen;

pub fn keys() -> CurveKeyPair {
    CurveKeyPair::generate().expect("random bytes")
}

pub fn client(socket_type: SocketType, keys: &CurveKeyPair, server: &CurveKeyPair) -> Config {
    let mut config = Config::new(socket_type);
    let client = CurveClient { keys: keys.clone(), server: server.public };
    config.mechanism = Mechanism::CurveClient(client);
    config.routing_id = Bytes::from_static(b"me");
    config
}

pub fn server(socket_type: SocketType, keys: &CurveKeyPair) -> Config {
    let mut config = Config::new(socket_type);
    config.mechanism = Mechanism::CurveServer(keys.secret.clone());
    config
}

/// A client and a server that hear each other without delay, and the time they share.
pub struct Secure {
    pub now: Instant,
    pub ends: [Connection; 2],
    pub sealers: [Option<Box<Sealer>>; 2],
    pub seen: [Vec<Seen>; 2],
    pub errors: [Option<Error>; 2],
    /// All that either end has sent.
    pub sent: [Vec<u8>; 2],
    /// The byte of what an end sends that is changed on the way, until it is.
    pub change: Option<(usize, usize)>,
}

impl Secure {
    pub fn new(client_type: SocketType, server_type: SocketType) -> Self {
        let own = keys();
        Self::of(client(client_type, &keys(), &own), server(server_type, &own))
    }

    pub fn of(client: Config, server: Config) -> Self {
        let now = Instant::now();
        Self {
            now,
            ends: [client, server].map(|config| Connection::new(config, now)),
            sealers: [None, None],
            seen: [Vec::new(), Vec::new()],
            errors: [None, None],
            sent: [Vec::new(), Vec::new()],
            change: None,
        }
    }

    /// Carries control bytes back and forth until both ends are quiet.
    pub fn settle(&mut self) {
        let mut moved = true;
        while std::mem::take(&mut moved) {
            for from in 0..2 {
                moved |= self.listen(from);
                while let Some(output) = self.ends[from].take_output() {
                    moved = true;
                    match self.sealers[from].is_some() {
                        true => self.send_sealed(from, &output),
                        false => self.carry(from, &output),
                    }
                }
            }
        }
    }

    /// Carries what both ends have to say, once.
    pub fn step(&mut self) {
        for from in 0..2 {
            self.listen(from);
            if let Some(output) = self.ends[from].take_output() {
                match self.sealers[from].is_some() {
                    true => self.send_sealed(from, &output),
                    false => self.carry(from, &output),
                }
            }
        }
    }

    /// Lets an end hear this, and the other nothing.
    pub fn hear(&mut self, at: usize, bytes: &[u8]) {
        self.ends[at].feed(Bytes::copy_from_slice(bytes), self.now);
        self.listen(at);
    }

    /// What an end makes of its input; true if it may go on.
    fn listen(&mut self, at: usize) -> bool {
        let mut moved = false;
        while self.errors[at].is_none() {
            match self.ends[at].next_event(self.now).map(|event| event.map(Seen::of)) {
                Ok(None) => break,
                Ok(Some(seen)) => {
                    moved = true;
                    if matches!(seen, Seen::Ready(..)) {
                        if let Some(output) = self.ends[at].take_output() {
                            self.carry(at, &output);
                        }
                        self.sealers[at] = self.ends[at].take_sealer();
                    }
                    self.seen[at].push(seen);
                }
                Err(error) => self.errors[at] = Some(error),
            }
        }
        moved
    }

    fn carry(&mut self, from: usize, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let begin = self.sent[from].len();
        self.sent[from].extend_from_slice(&bytes);
        if let Some((end, at)) = self.change
            && end == from
            && (begin..begin + bytes.len()).contains(&at)
        {
            bytes[at - begin] ^= 0x10;
            self.change = None;
        }
        self.ends[1 - from].feed(bytes.into(), self.now);
    }

    fn send_sealed(&mut self, from: usize, encoded: &[u8]) {
        let mut out = BytesMut::new();
        if let Some(sealer) = &mut self.sealers[from] {
            sealer.seal_encoded(encoded, &mut out);
        }
        self.carry(from, &out);
    }

    /// Sends frames that are encoded.
    pub fn send_encoded(&mut self, from: usize, encoded: &[u8]) {
        self.send_sealed(from, encoded);
        self.settle();
    }

    /// Sends a message.
    pub fn send(&mut self, from: usize, frames: &[&[u8]]) {
        let mut out = BytesMut::new();
        for (index, frame) in frames.iter().enumerate() {
            encode_frame(&mut out, index + 1 < frames.len(), frame);
        }
        self.send_encoded(from, &out);
    }

    /// Lets an end hear this.
    pub fn feed(&mut self, at: usize, bytes: Bytes) {
        self.ends[at].feed(bytes, self.now);
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
