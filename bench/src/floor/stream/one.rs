//! One blocking connection.

use std::{
    io::{ErrorKind, IoSlice, Read, Write},
    mem,
};

use super::{BATCH, Listener, PREFIX, Stream, append, body_length, prefix};
use crate::failure::{Failure, Result};

/// Frames from this size on are written and read where they are.
const LARGE: usize = BATCH / 2;

/// One end of a connection.
pub(in crate::floor) struct One {
    /// Until the connection is accepted.
    listener: Option<Listener>,
    stream: Option<Stream>,
    /// Connections that do nothing.
    idle: Vec<Stream>,
    collects: bool,
    /// Frames not yet written.
    outgoing: Vec<u8>,
    /// What was read, of which the bytes from `next` to `end` have not been looked at.
    incoming: Vec<u8>,
    next: usize,
    end: usize,
    /// The frame received last.
    body: Vec<u8>,
}

impl One {
    pub(in crate::floor) fn listen(endpoint: &str) -> Result<(Self, String)> {
        let (listener, address) = Listener::bind(endpoint)?;
        Ok((Self { listener: Some(listener), ..Self::new(None, false) }, address))
    }

    pub(in crate::floor) fn connect(address: &str, collects: bool) -> Result<Self> {
        Ok(Self::new(Some(Stream::connect(address)?), collects))
    }

    fn new(stream: Option<Stream>, collects: bool) -> Self {
        Self {
            listener: None,
            stream,
            idle: Vec::new(),
            collects,
            outgoing: Vec::new(),
            incoming: Vec::new(),
            next: 0,
            end: 0,
            body: Vec::new(),
        }
    }

    /// Makes a connection that does nothing.
    pub(in crate::floor) fn connect_again(&mut self, address: &str) -> Result<()> {
        self.idle.push(Stream::connect(address)?);
        Ok(())
    }

    /// From now on, collects frames before they are written.
    pub(in crate::floor) fn collect(&mut self) {
        self.collects = true;
    }

    pub(in crate::floor) fn send(&mut self, body: &[u8]) -> Result<()> {
        if body.len() >= LARGE {
            self.flush()?;
            return write_large(self.stream()?, body);
        }
        append(&mut self.outgoing, body);
        if !self.collects || self.outgoing.len() >= BATCH { self.flush() } else { Ok(()) }
    }

    /// Sends what was received last.
    pub(in crate::floor) fn send_back(&mut self) -> Result<()> {
        let body = mem::take(&mut self.body);
        self.send(&body)?;
        self.body = body;
        Ok(())
    }

    pub(in crate::floor) fn flush(&mut self) -> Result<()> {
        let outgoing = mem::take(&mut self.outgoing);
        self.stream()?.write_all(&outgoing)?;
        self.outgoing = outgoing;
        self.outgoing.clear();
        Ok(())
    }

    pub(in crate::floor) fn receive(&mut self) -> Result<&[u8]> {
        let length = loop {
            match body_length(&self.incoming[self.next..self.end]) {
                Some(length) => break length,
                // After a large frame comes another: nothing of it is to be read to where it would
                // have to be copied from.
                None if self.body.len() >= LARGE => self.read_more(PREFIX)?,
                None => self.read_more(BATCH)?,
            }
        };
        self.next += PREFIX;
        if length >= LARGE {
            return self.receive_large(length);
        }
        while self.end - self.next < length {
            self.read_more(BATCH)?;
        }
        self.body.clear();
        self.body.extend_from_slice(&self.incoming[self.next..][..length]);
        self.next += length;
        Ok(&self.body)
    }

    /// Reads the rest of a large frame to where it is to be.
    fn receive_large(&mut self, length: usize) -> Result<&[u8]> {
        let read = (self.end - self.next).min(length);
        let mut body = mem::take(&mut self.body);
        body.resize(length, 0);
        body[..read].copy_from_slice(&self.incoming[self.next..][..read]);
        self.next += read;
        self.stream()?.read_exact(&mut body[read..])?;
        self.body = body;
        Ok(&self.body)
    }

    /// Reads once, so that there are at most so many bytes.
    fn read_more(&mut self, most: usize) -> Result<()> {
        let mut incoming = mem::take(&mut self.incoming);
        incoming.resize(BATCH, 0);
        incoming.copy_within(self.next..self.end, 0);
        self.end -= self.next;
        self.next = 0;
        let room = self.end..most;
        let read = loop {
            match self.stream()?.read(&mut incoming[room.clone()]) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.incoming = incoming;
        self.end += read;
        if read == 0 { Err(Failure::new("the connection ended")) } else { Ok(()) }
    }

    fn stream(&mut self) -> Result<&mut Stream> {
        if let Some(listener) = self.listener.take() {
            self.stream = Some(listener.accept()?);
        }
        self.stream.as_mut().ok_or_else(|| Failure::new("there is no connection"))
    }
}

fn write_large(stream: &mut Stream, body: &[u8]) -> Result<()> {
    let prefix = prefix(body);
    let written = stream.write_vectored(&[IoSlice::new(&prefix), IoSlice::new(body)])?;
    stream.write_all(prefix.get(written..).unwrap_or_default())?;
    stream.write_all(&body[written.saturating_sub(PREFIX)..])?;
    Ok(())
}
