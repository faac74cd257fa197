//! The way of messages out of a socket, to one remote peer.

use std::{
    collections::VecDeque,
    mem, ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    Refused,
    staging::{Segment, Staging},
};
use crate::{Message, transport::Connection};

/// A message that follows the last write sooner than this, with nothing heard from the peer
/// between, belongs to a stream: it is left for the I/O thread, which writes many at once, instead
/// of costing a system call of its own.
const STREAMING: Duration = Duration::from_micros(10);
/// About how many bytes are given to the engine at once.
const BATCH: usize = 256 * 1024;

/// Encoded messages for one remote peer, and whose turn it is to write them.
///
/// It outlives the connections that serve it one after the other: what one of
/// them did not write to the end, the next one begins with.
#[derive(Debug)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// The peer has sent something since the last write: what follows is likely an answer, which
    /// is waited for.
    heard: AtomicBool,
}

#[derive(Debug)]
struct State {
    staging: Staging,
    /// Greeting, commands, subscriptions: bytes of the present connection, sent before messages.
    control: Vec<Bytes>,
    /// The high-water mark; `usize::MAX` for none.
    limit: usize,
    writer: Writer,
    /// Whether the handshake is done, so that messages may be written.
    ready: bool,
    connection: Option<Arc<Connection>>,
    writer_blocked: bool,
    closing: bool,
    /// The connection is over; nothing more is written to it.
    broken: bool,
    dead: bool,
    last_active: Option<Instant>,
}

#[derive(Debug)]
enum Writer {
    /// Nothing to write, or no connection to write to.
    Idle,
    /// The I/O thread was told to write.
    Scheduled,
    /// The engine has this batch, after so many bytes of control.
    InFlight { control: usize, batch: VecDeque<Segment>, messages: usize },
}

/// What to do about a message that was taken.
#[derive(Debug)]
pub(crate) enum Flush {
    /// Nothing: somebody is writing already, or nobody can.
    No,
    /// Write now, in this thread.
    Direct(Arc<Connection>),
    /// Tell the I/O thread.
    Schedule(Arc<Connection>),
}

/// What is left after a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Finished {
    /// There is more to write.
    pub(crate) more: bool,
    /// The socket waits to be told that there is room again.
    pub(crate) resume: bool,
    /// The socket has closed and everything is written.
    pub(crate) drained: bool,
    /// The connection was broken off meanwhile.
    pub(crate) broken: bool,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        let state = State {
            staging: Staging::new(),
            control: Vec::new(),
            limit,
            writer: Writer::Idle,
            ready: false,
            connection: None,
            writer_blocked: false,
            closing: false,
            broken: false,
            dead: false,
            last_active: None,
        };
        Self { state: Mutex::new(state), heard: AtomicBool::new(false) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection serves this outbox from now on.
    pub(crate) fn attach(&self, connection: Arc<Connection>) {
        let mut state = self.state();
        state.connection = Some(connection);
        state.broken = false;
        state.ready = false;
        state.control.clear();
        state.writer = Writer::Idle;
        state.last_active = None;
    }

    /// The handshake is done.
    pub(crate) fn set_ready(&self) {
        self.state().ready = true;
    }

    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        self.state().connection.clone()
    }

    /// Takes a message, unless the high-water mark is reached.
    pub(crate) fn push(&self, message: &Message) -> Result<Flush, Refused> {
        let mut state = self.state();
        if state.dead {
            return Err(Refused::Gone);
        }
        if state.queued() >= state.limit {
            state.writer_blocked = true;
            return Err(Refused::Full);
        }
        state.staging.push(message);
        Ok(state.flush_needed(&self.heard))
    }

    /// Notes that the peer has sent something.
    pub(crate) fn note_heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Whether a message would be taken. If not, the socket will be told when it may go on.
    pub(crate) fn has_room(&self) -> bool {
        let mut state = self.state();
        state.writer_blocked = !state.dead && state.queued() >= state.limit;
        !state.dead && !state.writer_blocked
    }

    /// Takes bytes that go before all messages. They are of the present connection only.
    pub(crate) fn push_control(&self, bytes: Bytes) {
        let mut state = self.state();
        if state.connection.is_some() {
            state.control.push(bytes);
        }
    }

    /// The same, if the handshake is done, from the socket's side.
    pub(crate) fn push_command(&self, bytes: Bytes) -> Flush {
        let mut state = self.state();
        if !state.ready || state.connection.is_none() {
            return Flush::No;
        }
        state.control.push(bytes);
        state.flush_needed(&self.heard)
    }

    /// Begins a write by `connection`, if there is something to write and nobody does. One that no
    /// longer serves this outbox, and was asked late, has nothing to write.
    pub(crate) fn begin(&self, connection: &Connection) -> Option<Vec<Bytes>> {
        let mut state = self.state();
        let serves = state.connection.as_ref().is_some_and(|own| ptr::eq(&**own, connection));
        if matches!(state.writer, Writer::InFlight { .. }) || !serves || state.broken {
            return None;
        }
        let mut buffers = mem::take(&mut state.control);
        let control = buffers.iter().map(Bytes::len).sum();
        let mut batch = VecDeque::new();
        if state.ready && !state.staging.is_empty() {
            batch = state.staging.take(BATCH);
            buffers.extend(batch.iter().map(|segment| segment.bytes.clone()));
        }
        if buffers.is_empty() {
            state.writer = Writer::Idle;
            return None;
        }
        let messages = batch.iter().map(|segment| segment.messages).sum();
        state.writer = Writer::InFlight { control, batch, messages };
        Some(buffers)
    }

    /// The write begun last was done to its end.
    pub(crate) fn finish(&self) -> Finished {
        let mut state = self.state();
        state.writer = Writer::Idle;
        let more = state.has_work();
        if more {
            state.writer = Writer::Scheduled;
        } else {
            state.last_active = Some(Instant::now());
        }
        Finished {
            more,
            resume: state.resume(),
            drained: state.closing && !more && state.staging.is_empty(),
            broken: state.broken,
        }
    }

    /// Lets no further write begin; true if one is going on.
    pub(crate) fn break_off(&self) -> bool {
        let mut state = self.state();
        state.broken = true;
        matches!(state.writer, Writer::InFlight { .. })
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.state().broken
    }

    /// The connection is lost; of the batch in flight the kernel took `sent` bytes. Messages not
    /// wholly written wait for the next connection.
    pub(crate) fn detach(&self, sent: usize) {
        let mut state = self.state();
        state.connection = None;
        state.broken = false;
        state.ready = false;
        state.control.clear();
        if let Writer::InFlight { control, batch, .. } =
            mem::replace(&mut state.writer, Writer::Idle)
        {
            state.staging.put_back(batch, sent.saturating_sub(control));
        }
    }

    /// No message will follow. True if there is nothing left to write.
    pub(crate) fn close(&self) -> bool {
        let mut state = self.state();
        state.closing = true;
        state.is_drained()
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.state().is_drained()
    }

    /// Nobody will ever write again: drops everything.
    pub(crate) fn kill(&self) {
        let mut state = self.state();
        state.dead = true;
        state.connection = None;
        state.ready = false;
        state.control.clear();
        state.staging.clear();
        state.writer = Writer::Idle;
    }
}

impl State {
    fn queued(&self) -> usize {
        let in_flight = match &self.writer {
            Writer::InFlight { messages, .. } => *messages,
            Writer::Idle | Writer::Scheduled => 0,
        };
        self.staging.messages() + in_flight
    }

    fn is_drained(&self) -> bool {
        matches!(self.writer, Writer::Idle | Writer::Scheduled)
            && self.staging.is_empty()
            && self.control.is_empty()
    }

    fn has_work(&self) -> bool {
        !self.control.is_empty() || (self.ready && !self.staging.is_empty())
    }

    fn resume(&mut self) -> bool {
        let resume = self.writer_blocked && self.queued() <= self.limit / 2;
        if resume {
            self.writer_blocked = false;
        }
        resume
    }

    fn flush_needed(&mut self, heard: &AtomicBool) -> Flush {
        let Some(connection) = &self.connection else { return Flush::No };
        if !self.ready || !matches!(self.writer, Writer::Idle) {
            return Flush::No;
        }
        let answers = heard.load(Ordering::Relaxed) && heard.swap(false, Ordering::Relaxed);
        if !answers && self.last_active.is_some_and(|then| then.elapsed() < STREAMING) {
            self.writer = Writer::Scheduled;
            Flush::Schedule(connection.clone())
        } else {
            Flush::Direct(connection.clone())
        }
    }
}
