//! Many connections, waited for at once.

use std::{
    collections::VecDeque,
    io::{ErrorKind, Read, Write},
    mem,
};

use mio::{
    Events, Interest, Poll, Token,
    net::{TcpListener, TcpStream},
};

use super::{BATCH, PREFIX, append, body_length};
use crate::failure::{Failure, Result};

const LISTENER: Token = Token(usize::MAX);

/// How many events to take at a time.
const EVENTS: usize = 256;

/// The end that serves many connections.
pub(in crate::floor) struct Many {
    poll: Poll,
    events: Events,
    listener: TcpListener,
    connections: Vec<Connection>,
    /// Connections that may have something to read.
    ready: VecDeque<usize>,
    /// How many connections were accepted and not yet waited for.
    new: usize,
    /// The connection read last; the bytes of `incoming` from `next` to `end` came from it.
    current: usize,
    incoming: Vec<u8>,
    next: usize,
    end: usize,
    /// The frame received last.
    body: Vec<u8>,
    outgoing: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    /// The beginning of a frame.
    rest: Vec<u8>,
}

impl Many {
    pub(in crate::floor) fn listen() -> Result<(Self, String)> {
        let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
        let address = listener.local_addr()?.to_string();
        let poll = Poll::new()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let many = Self {
            poll,
            events: Events::with_capacity(EVENTS),
            listener,
            connections: Vec::new(),
            ready: VecDeque::new(),
            new: 0,
            current: 0,
            incoming: vec![0; BATCH],
            next: 0,
            end: 0,
            body: Vec::new(),
            outgoing: Vec::new(),
        };
        Ok((many, address))
    }

    /// Waits until so many more have connected.
    pub(in crate::floor) fn await_peers(&mut self, more: usize) -> Result<()> {
        while self.new < more {
            self.wait()?;
        }
        self.new -= more;
        Ok(())
    }

    pub(in crate::floor) fn receive(&mut self) -> Result<&[u8]> {
        loop {
            let bytes = &self.incoming[self.next..self.end];
            if let Some(length) = body_length(bytes)
                && let Some(body) = bytes.get(PREFIX..PREFIX + length)
            {
                self.body.clear();
                self.body.extend_from_slice(body);
                self.next += PREFIX + length;
                return Ok(&self.body);
            }
            self.read()?;
        }
    }

    /// Sends what was received last to where it came from.
    pub(in crate::floor) fn send_back(&mut self) -> Result<()> {
        self.outgoing.clear();
        append(&mut self.outgoing, &self.body);
        // One request at a time: there is room for its reply.
        self.connections[self.current].stream.write_all(&self.outgoing)?;
        Ok(())
    }

    /// Reads from a connection that has something to read.
    fn read(&mut self) -> Result<()> {
        self.put_rest_aside();
        while self.end == 0 {
            let Some(&index) = self.ready.front() else {
                self.wait()?;
                continue;
            };
            let Connection { stream, rest } = &mut self.connections[index];
            let kept = rest.len();
            match stream.read(&mut self.incoming[kept..]) {
                // Those that are done close their connections.
                Ok(0) => _ = self.ready.pop_front(),
                Ok(read) => {
                    self.incoming[..kept].copy_from_slice(rest);
                    rest.clear();
                    self.current = index;
                    self.end = kept + read;
                    self.ready.rotate_left(1);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => _ = self.ready.pop_front(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn put_rest_aside(&mut self) {
        let bytes = self.next..self.end;
        if !bytes.is_empty() {
            self.connections[self.current].rest.extend_from_slice(&self.incoming[bytes]);
        }
        (self.next, self.end) = (0, 0);
    }

    fn wait(&mut self) -> Result<()> {
        let mut events = mem::replace(&mut self.events, Events::with_capacity(0));
        match self.poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            polled => polled?,
        }
        for event in &events {
            match event.token() {
                LISTENER => self.accept()?,
                Token(index) => self.ready.push_back(index),
            }
        }
        self.events = events;
        Ok(())
    }

    fn accept(&mut self) -> Result<()> {
        loop {
            match self.listener.accept() {
                Ok((mut stream, _)) => {
                    stream.set_nodelay(true)?;
                    let token = Token(self.connections.len());
                    self.poll.registry().register(&mut stream, token, Interest::READABLE)?;
                    self.connections.push(Connection { stream, rest: Vec::new() });
                    self.new += 1;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Failure::doing("accepting")(error)),
            }
        }
    }
}
