//! Frames over streams.

mod many;
mod one;
mod socket;

pub(super) use many::Many;
pub(super) use one::One;
use socket::{Listener, Stream};

use super::{BATCH, PREFIX};
use crate::failure::Result;

/// One who publishes to all connections: packs once and writes to each in turn.
pub(super) struct All {
    listener: Listener,
    /// How many connections there will be.
    expected: usize,
    streams: Vec<Stream>,
    outgoing: Vec<u8>,
}

impl All {
    pub(super) fn listen(endpoint: &str, expected: usize) -> Result<(Self, String)> {
        let (listener, address) = Listener::bind(endpoint)?;
        Ok((Self { listener, expected, streams: Vec::new(), outgoing: Vec::new() }, address))
    }

    pub(super) fn send(&mut self, body: &[u8]) -> Result<()> {
        append(&mut self.outgoing, body);
        if self.outgoing.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    pub(super) fn flush(&mut self) -> Result<()> {
        use std::io::Write as _;

        while self.streams.len() < self.expected {
            self.streams.push(self.listener.accept()?);
        }
        for stream in &mut self.streams {
            stream.write_all(&self.outgoing)?;
        }
        self.outgoing.clear();
        Ok(())
    }
}

/// Appends a frame.
fn append(outgoing: &mut Vec<u8>, body: &[u8]) {
    outgoing.extend_from_slice(&prefix(body));
    outgoing.extend_from_slice(body);
}

fn prefix(body: &[u8]) -> [u8; PREFIX] {
    (body.len() as u32).to_le_bytes()
}

/// The length of the body that begins the bytes after its prefix, if there is a whole prefix.
fn body_length(bytes: &[u8]) -> Option<usize> {
    let prefix = bytes.first_chunk::<PREFIX>()?;
    Some(u32::from_le_bytes(*prefix) as usize)
}
