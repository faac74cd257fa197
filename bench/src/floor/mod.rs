//! The floor: what is left when the messaging is taken away, behind the same trait as the libraries.
//!
//! * Streams over sockets are frames with a length before them, packed into large writes and copied out
//!   one by one at the other end. One who publishes packs once and writes to all.
//! * Round trips over sockets are one write and the reads that it takes, on blocking sockets. One who
//!   serves many waits for all of them at once.
//! * In the process, streams are batches handed over in a queue with a lock and condition variables,
//!   round trips are a single message in the same queue.

mod queue;
mod stream;

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    failure::{Failure, Result},
    payload::{Payload, TOPIC},
    peer::{self, Kind, Library, Socket},
};

/// Small frames are collected up to this size.
const BATCH: usize = 64 * 1024;

/// A frame begins with its length.
const PREFIX: usize = size_of::<u32>();

/// Nothing but what the system offers.
pub(crate) struct Floor;

/// Where the end that binds leaves links for those that connect.
#[derive(Clone, Default)]
pub(crate) struct Hub(Arc<Mutex<Vec<queue::Link>>>);

/// One end of links.
pub(crate) struct End {
    hub: Hub,
    kind: Kind,
    state: State,
}

enum State {
    New,
    /// One connection.
    One(stream::One),
    /// One who publishes to all connections.
    All(stream::All),
    /// One who serves many connections.
    Many(stream::Many),
    Queue(queue::Link),
}

impl Library for Floor {
    type Context = Hub;
    type Socket = End;
    type Shared = Arc<Mutex<End>>;

    fn context() -> Result<Hub> {
        Ok(Hub::default())
    }

    fn socket(context: &Hub, kind: Kind) -> Result<End> {
        Ok(End { hub: context.clone(), kind, state: State::New })
    }

    fn run<T>(_context: &Hub, work: impl Future<Output = T>) -> T {
        peer::run_blocking(work)
    }

    fn share(mut socket: End) -> Arc<Mutex<End>> {
        match &mut socket.state {
            State::One(link) => link.collect(),
            State::Queue(link) => link.collect(),
            State::New | State::All(_) | State::Many(_) => {}
        }
        Arc::new(Mutex::new(socket))
    }

    async fn send_shared(socket: &Arc<Mutex<End>>, payload: &Payload) -> Result<()> {
        socket.lock().unwrap_or_else(PoisonError::into_inner).send_payload(payload)
    }

    async fn flush_shared(socket: &Arc<Mutex<End>>) -> Result<()> {
        socket.lock().unwrap_or_else(PoisonError::into_inner).pass_on()
    }
}

impl End {
    /// Whether messages are collected before they are passed on.
    fn collects(&self) -> bool {
        matches!(self.kind, Kind::Push | Kind::Pub)
    }

    fn send_payload(&mut self, payload: &Payload) -> Result<()> {
        // The one topic that anybody subscribes to.
        if self.kind == Kind::Pub && !payload.bytes().starts_with(TOPIC.as_bytes()) {
            return Ok(());
        }
        match &mut self.state {
            State::Queue(link) => {
                match payload.by_reference() {
                    Some(bytes) => link.send_reference(bytes.clone()),
                    None => link.send(payload.bytes()),
                }
                Ok(())
            }
            _ => self.send_bytes(payload.bytes()),
        }
    }

    fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.state {
            State::New | State::Many(_) => Err(impossible()),
            State::One(link) => link.send(bytes),
            State::All(links) => links.send(bytes),
            State::Queue(link) => {
                link.send(bytes);
                Ok(())
            }
        }
    }

    #[inline]
    fn receive_next(&mut self) -> Result<&[u8]> {
        match &mut self.state {
            State::New | State::All(_) => Err(impossible()),
            State::One(link) => link.receive(),
            State::Many(links) => links.receive(),
            State::Queue(link) => Ok(link.receive()),
        }
    }

    fn pass_on(&mut self) -> Result<()> {
        match &mut self.state {
            State::New | State::Many(_) => Ok(()),
            State::One(link) => link.flush(),
            State::All(links) => links.flush(),
            State::Queue(link) => {
                link.flush();
                Ok(())
            }
        }
    }
}

impl Socket for End {
    type Body<'a> = &'a [u8];

    async fn bind(&mut self, endpoint: &str, peers: usize) -> Result<String> {
        if endpoint.starts_with("inproc:") {
            let (ours, theirs) = queue::links(peers, self.collects());
            *self.hub.0.lock().unwrap_or_else(PoisonError::into_inner) = theirs;
            self.state = State::Queue(ours);
            return Ok(endpoint.to_owned());
        }
        let (state, address) = if self.kind == Kind::Pub {
            let (links, address) = stream::All::listen(endpoint, peers)?;
            (State::All(links), address)
        } else if peers > 1 {
            let (links, address) = stream::Many::listen()?;
            (State::Many(links), address)
        } else {
            let (link, address) = stream::One::listen(endpoint)?;
            (State::One(link), address)
        };
        self.state = state;
        Ok(address)
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        if endpoint.starts_with("inproc:") {
            let left = self.hub.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut link = left.ok_or_else(|| Failure::new("there is no link left"))?;
            if self.collects() {
                link.collect();
            }
            self.state = State::Queue(link);
        } else if let State::One(link) = &mut self.state {
            link.connect_again(endpoint)?;
        } else {
            self.state = State::One(stream::One::connect(endpoint, self.collects())?);
        }
        Ok(())
    }

    async fn subscribe(&mut self, _topic: &str) -> Result<()> {
        Ok(())
    }

    async fn send(&mut self, payload: &Payload) -> Result<()> {
        self.send_payload(payload)
    }

    async fn send_copy(&mut self, bytes: &[u8]) -> Result<()> {
        self.send_bytes(bytes)
    }

    async fn flush(&mut self) -> Result<()> {
        self.pass_on()
    }

    async fn receive(&mut self) -> Result<&[u8]> {
        self.receive_next()
    }

    async fn take(&mut self, count: u64, mut check: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for _ in 0..count {
            check(self.receive_next()?)?;
        }
        Ok(())
    }

    async fn echo<T>(&mut self, mut check: impl FnMut(&[u8]) -> Result<T>) -> Result<T> {
        match &mut self.state {
            State::New | State::All(_) => Err(impossible()),
            State::One(link) => {
                let checked = check(link.receive()?)?;
                link.send_back()?;
                Ok(checked)
            }
            State::Many(links) => {
                let checked = check(links.receive()?)?;
                links.send_back()?;
                Ok(checked)
            }
            State::Queue(link) => {
                let checked = check(link.receive())?;
                link.send_back();
                Ok(checked)
            }
        }
    }

    async fn watch_peers(&mut self) -> Result<()> {
        Ok(())
    }

    async fn await_peers(&mut self, more: usize) -> Result<()> {
        match &mut self.state {
            State::Many(links) => links.await_peers(more),
            _ => Err(impossible()),
        }
    }
}

fn impossible() -> Failure {
    Failure::new("this end cannot do that")
}
