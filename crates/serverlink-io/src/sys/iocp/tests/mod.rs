//! The backend alone, on real sockets, without `Port`.

mod lifetime;
mod operations;
mod pipes;
mod probes;
mod torture;
mod wake;

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use socket2::{Domain, SockAddr, Socket, Type};

use super::*;
use crate::{Direction, Event, errors::is_cancelled, sys::Entry as _};

/// How long a test waits for what must come. Far beyond what it takes.
const LONG: Duration = Duration::from_secs(20);

/// How long a test waits for what must not come.
const SHORT: Duration = Duration::from_millis(50);

/// Gives its events to a channel.
pub(super) struct Forward(mpsc::Sender<Event>);

impl Handler for Forward {
    fn complete(&self, event: Event) {
        let _ = self.0.send(event);
    }
}

/// A backend in a test.
struct Bench {
    port: Iocp,
}

/// An entry and its events.
struct Peer {
    entry: Entry,
    events: mpsc::Receiver<Event>,
}

impl Bench {
    fn new() -> Self {
        Self { port: Iocp::new(&PortOptions::default()).unwrap() }
    }

    /// Without `FILE_SKIP_COMPLETION_PORT_ON_SUCCESS`, as above a layered provider.
    fn without_skipping() -> Self {
        let mut bench = Self::new();
        bench.port.skip = false;
        bench
    }

    /// With no budget for the engine's buffers, as with many connections.
    fn without_buffers(&self) -> Vec<buffers::Armed> {
        std::iter::from_fn(|| self.port.shared.buffers.arm()).collect()
    }

    fn adopt(&self, socket: impl Into<Socket>) -> Peer {
        self.adopt_stream(socket.into())
    }

    fn adopt_stream(&self, stream: impl Into<kernel::Socket>) -> Peer {
        let (sender, events) = mpsc::channel();
        let entry = self.port.adopt(stream, Arc::new(Forward(sender))).unwrap();
        Peer { entry, events }
    }

    /// Turns until `peer` has an event.
    fn next(&self, peer: &Peer) -> Event {
        let deadline = Instant::now() + LONG;
        loop {
            if let Ok(event) = peer.events.try_recv() {
                return event;
            }
            assert!(Instant::now() < deadline, "no event came");
            self.port.turn(Some(SHORT)).unwrap();
        }
    }

    /// Turns a while, and sees nothing come.
    fn silence(&self, peer: &Peer) {
        let deadline = Instant::now() + SHORT;
        while Instant::now() < deadline {
            self.port.turn(Some(Duration::from_millis(10))).unwrap();
        }
        if let Ok(event) = peer.events.try_recv() {
            panic!("unexpected: {event:?}");
        }
    }

    /// Turns until `done`.
    fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + LONG;
        while !done() {
            assert!(Instant::now() < deadline, "never: {what}");
            self.port.turn(Some(Duration::from_millis(5))).unwrap();
        }
    }

    /// A connection: one end on the port, the other an ordinary blocking socket.
    fn pair(&self) -> (Peer, TcpStream) {
        let (near, far) = streams();
        (self.adopt(near), far)
    }

    fn received(&self, peer: &Peer) -> io::Result<Vec<u8>> {
        match self.next(peer) {
            Event::Received(result) => result.map(|data| data.to_vec()),
            other => panic!("not a receive: {other:?}"),
        }
    }
}

/// A connection of two ordinary sockets.
fn streams() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (near, _) = listener.accept().unwrap();
    far.set_read_timeout(Some(LONG)).unwrap();
    (near, far)
}

/// Closes with a reset.
fn reset(stream: TcpStream) {
    let socket = Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

fn tcp() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
}

fn listener(address: &str) -> (TcpListener, SockAddr) {
    let listener = TcpListener::bind(address).unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    (listener, address.into())
}
