//! The way of messages out of a socket, to one remote peer.

use std::{
    collections::VecDeque,
    mem, ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;

use super::{
    Form, Pacer, Refused, prefetch,
    staging::{Outgoing, Segment, Staging},
};
use crate::transport::Connection;

/// After so many messages without a word from the peer, messages may belong to a stream;
const ALONE: u32 = 4;
/// they do if they follow the socket's last write sooner than this. Those of a stream collect, to be
/// written together, instead of each costing a system call.
const STREAMING: Duration = Duration::from_micros(10);
/// So many bytes are worth a system call of their own, and a peer being woken for them: whoever
/// brings them together writes them.
pub(super) const WORTH_WRITING: usize = 256 * 1024;
/// How long the messages of a stream may wait for more;
const COLLECTING: Duration = Duration::from_micros(50);
/// and how often that is doubled, up to 200 us, when the sender writes by itself time and again.
const DOUBLINGS: u8 = 2;
/// So many control buffers wait for a peer that does not read.
const CLOGGED: usize = 64;
/// About how many bytes are given to the engine at once, unless the options say otherwise.
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
    pacer: Arc<Pacer>,
}

/// Each connection has one. Elsewhere locks may be larger.
#[cfg(all(target_pointer_width = "64", target_os = "linux"))]
const _: () = assert!(size_of::<Outbox>() <= 296);

#[derive(Debug)]
struct State {
    staging: Staging,
    /// Greeting, commands, subscriptions: bytes of the present connection, sent before messages. The next
    /// write begins with this very list, also if it is empty.
    control: Vec<Bytes>,
    /// The high-water mark; `usize::MAX` for none.
    limit: usize,
    /// Only the last message waits.
    conflate: bool,
    /// About how many bytes are given to the engine at once.
    batch_size: usize,
    /// Messages never collect: each is looked at here.
    direct: bool,
    writer: Writer,
    /// What is in flight.
    batch: VecDeque<Segment>,
    /// Whether the handshake is done, so that messages may be written.
    ready: bool,
    /// How the present connection's peer takes what it is sent, if not as it is here.
    form: Option<Box<Form>>,
    connection: Option<Arc<Connection>>,
    writer_blocked: bool,
    closing: bool,
    /// The connection is over; nothing more is written to it.
    broken: bool,
    /// Nothing can be written to the connection, which is to end as soon as there is no room.
    mute: bool,
    dead: bool,
    pace: Pace,
    /// What was given to the engine to write, but for what came back.
    written: Counts,
}

/// What was written so far.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    messages: u64,
    bytes: u64,
    replaced: u64,
}

/// Tells a stream from messages that are waited for.
#[derive(Debug, Default)]
struct Pace {
    /// How many messages were written, one by one, since the peer was heard.
    alone: u32,
    /// A stream is going on: what collects is looked at again and again until it ends.
    streaming: bool,
    /// How often the time until the next look was doubled.
    doublings: u8,
    /// The peer takes nothing: nobody looks until the write in flight is done.
    resting: bool,
    /// Counts writes, all around,
    writes: u32,
    /// up to the last look.
    seen: u32,
}

#[derive(Debug)]
enum Writer {
    /// Nothing to write, or no connection to write to.
    Idle,
    /// The I/O thread was told to write.
    Scheduled,
    /// The engine has the batch, after so many bytes of control.
    InFlight { control: usize, messages: u32 },
}

/// What was written so far, and what waits to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) queued: usize,
    pub(super) queued_bytes: u64,
    /// How many messages another took the place of.
    pub(super) replaced: u64,
}

/// What to do about a message that was taken.
#[derive(Debug)]
pub(crate) enum Flush {
    /// Nothing: somebody is writing already, or nobody can.
    No,
    /// Write this now, in this thread.
    Direct(Arc<Connection>, Vec<Bytes>),
    /// A stream begins: have a [look](Look) at it, so long from now.
    Stream(Arc<Connection>, Duration),
}

/// How far an outbox is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    /// A stream goes on, and [`Outbox::look`] is called again and again until it is over.
    pub(super) streaming: bool,
    /// How many more messages it takes.
    pub(super) credit: usize,
}

/// What a look at a stream found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// Messages wait and nobody has written since the last look: write, and look again after this
    /// time.
    Write(Duration),
    /// Look again after this time.
    Again(Duration),
    /// The peer has taken nothing for a while: look again when [`Finished::look`] says so.
    Rest,
    /// Nothing has come for a while.
    Over,
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
    /// The stream is to be [looked at](Look) again, after this time.
    pub(crate) look: Option<Duration>,
}

impl Outbox {
    pub(crate) fn new(
        limit: usize,
        conflate: bool,
        batch_size: Option<usize>,
        pacer: Arc<Pacer>,
    ) -> Self {
        let state = State {
            staging: Staging::new(),
            control: Vec::new(),
            limit: if conflate { usize::MAX } else { limit },
            conflate,
            batch_size: batch_size.unwrap_or(BATCH),
            direct: conflate || batch_size.is_some(),
            writer: Writer::Idle,
            batch: VecDeque::new(),
            ready: false,
            form: None,
            connection: None,
            writer_blocked: false,
            closing: false,
            broken: false,
            mute: false,
            dead: false,
            pace: Pace::default(),
            written: Counts::default(),
        };
        Self { state: Mutex::new(state), heard: AtomicBool::new(false), pacer }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new connection serves this outbox from now on.
    pub(crate) fn attach(&self, connection: Arc<Connection>) {
        let mut state = self.state();
        state.connection = Some(connection);
        (state.broken, state.mute) = (false, false);
        state.ready = false;
        state.form = None;
        state.control.clear();
        state.writer = Writer::Idle;
        state.batch.clear();
    }

    /// The form of what is sent until the handshake is done, if it has one.
    pub(crate) fn set_form(&self, form: Option<Box<Form>>) {
        if form.is_some() {
            let mut state = self.state();
            // Who is told late that the stream is there may find the handshake done.
            if !state.ready {
                state.form = form;
            }
        }
    }

    /// The handshake is done, with a peer that takes what follows in this form, and some messages first.
    pub(crate) fn set_ready(
        &self,
        mut form: Option<Box<Form>>,
        first: impl IntoIterator<Item = Bytes>,
    ) {
        let mut state = self.state();
        if let Some(form) = &mut form {
            form.begin_behind(state.control.len());
        }
        if state.connection.is_some() {
            state.control.extend(first);
        }
        state.ready = true;
        state.form = form;
    }

    pub(crate) fn connection(&self) -> Option<Arc<Connection>> {
        self.state().connection.clone()
    }

    /// Takes a message, unless the high-water mark is reached. One `among_many` that the socket sends to
    /// as many peers is not written at once by who sends.
    pub(super) fn push(
        &self,
        message: Outgoing<'_>,
        among_many: bool,
    ) -> Result<(Flush, Progress), Refused> {
        prefetch::whole(self);
        let mut state = self.state();
        if state.dead {
            return Err(Refused::Gone);
        }
        if state.queued() >= state.limit {
            state.writer_blocked = true;
            state.give_up();
            return Err(Refused::Full);
        }
        if state.conflate {
            state.written.replaced += state.staging.messages() as u64;
            state.staging.clear();
        }
        if !(state.is_idle() && state.staging.push_alone(message)) {
            state.staging.push(message);
        }
        if state.direct {
            let size = state.batch_size;
            state.staging.cut_from(size);
        }
        let flush = state.flush_needed(self, among_many);
        Ok((flush, state.progress()))
    }

    /// Takes messages that were within the credit.
    pub(super) fn append(&self, messages: &mut Staging) -> (Flush, Progress) {
        let mut state = self.state();
        if state.dead {
            messages.clear();
            return (Flush::No, state.progress());
        }
        state.staging.append(messages);
        if state.pace.streaming {
            messages.prepare(&mut state.staging);
        }
        let flush = state.flush_needed(self, false);
        (flush, state.progress())
    }

    /// Takes messages that were within the credit, and begins no write: the stream that they belong
    /// to is looked at until it is over, or its connection is.
    pub(super) fn keep(&self, messages: &mut Staging) {
        let mut state = self.state();
        if state.dead {
            messages.clear();
        } else {
            state.staging.append(messages);
            state.staging.keep_spare(0);
        }
    }

    /// Changes the high-water mark, and takes messages that were within the credit by the one before. True
    /// if the socket waits to be told that there is room, and there is.
    pub(super) fn set_limit(
        &self,
        limit: usize,
        messages: Option<&mut Staging>,
    ) -> (bool, Progress) {
        let mut state = self.state();
        if state.dead {
            messages.into_iter().for_each(Staging::clear);
            return (false, state.progress());
        }
        if let Some(messages) = messages {
            state.staging.append(messages);
        }
        if !state.conflate {
            state.limit = limit;
        }
        let resume = state.writer_blocked && state.queued() < state.limit;
        state.writer_blocked &= !resume;
        (resume, state.progress())
    }

    /// Notes that the peer has sent something.
    pub(crate) fn note_heard(&self) {
        self.heard.store(true, Ordering::Relaxed);
    }

    /// Whether a message would be taken. If not, the socket will be told when it may go on.
    pub(crate) fn has_room(&self) -> bool {
        let mut state = self.state();
        let full = state.queued() >= state.limit;
        // Never taken back here: another thread may be waiting to be told.
        state.writer_blocked |= full;
        if full {
            state.give_up();
        }
        !state.dead && !full
    }

    /// Takes bytes that go before all messages. They are of the present connection only.
    pub(crate) fn push_control(&self, bytes: Bytes) {
        let mut state = self.state();
        // Nothing is what TLS adds its own to: once is enough.
        if state.connection.is_some() && (!bytes.is_empty() || state.control.is_empty()) {
            state.control.push(bytes);
        }
    }

    /// Whether so much control waits that more should not be added to it: the peer does not read.
    pub(crate) fn is_clogged(&self) -> bool {
        self.state().control.len() >= CLOGGED
    }

    /// The same, if the handshake is done, from the socket's side.
    pub(crate) fn push_command(&self, bytes: Bytes) -> Flush {
        let mut state = self.state();
        if !state.ready || state.connection.is_none() {
            return Flush::No;
        }
        state.control.push(bytes);
        match state.writer {
            Writer::Idle => state.write_now(),
            Writer::Scheduled | Writer::InFlight { .. } => Flush::No,
        }
    }

    /// Begins a write by `connection`, if there is something to write and nobody does. One that no
    /// longer serves this outbox, and was asked late, has nothing to write.
    pub(crate) fn begin(&self, connection: &Connection) -> Option<Vec<Bytes>> {
        let mut state = self.state();
        if state.serves(connection) { state.take_batch() } else { None }
    }

    /// The write begun last was done to its end; `buffers` are those it was begun with.
    pub(crate) fn finish(&self, mut buffers: Vec<Bytes>) -> Finished {
        // So that the memory of the batch is referred to no more.
        buffers.clear();
        let mut guard = self.state();
        let state = &mut *guard;
        // What has no messages comes seldom, and last on most connections: those that are idle are many,
        // and keep as little as they can.
        if state.control.is_empty() && !state.batch.is_empty() {
            state.control = buffers;
        }
        state.writer = Writer::Idle;
        if state.pace.streaming {
            state.staging.recycle(&mut state.batch);
        }
        state.batch.clear();
        let collects = state.pace.streaming && state.control.is_empty();
        let more = state.has_work() && (!collects || state.is_worth_writing());
        if more {
            state.writer = Writer::Scheduled;
        } else if state.pace.alone >= ALONE {
            self.pacer.wrote();
        }
        Finished {
            more,
            resume: state.resume(),
            drained: state.closing && !more && state.staging.is_empty(),
            broken: state.broken,
            look: mem::take(&mut state.pace.resting).then_some(COLLECTING),
        }
    }

    /// A patient look at the stream that `connection` writes, if what the socket has collected need
    /// not be looked at: its thread, if it sends by itself, is not disturbed.
    pub(crate) fn glance(&self, connection: &Connection) -> Option<Look> {
        let mut state = self.state();
        if state.serves(connection) { state.glance() } else { None }
    }

    /// Looks at the stream that `connection` writes, and takes the messages that have `collected`
    /// unless they may go on doing so: a `patient` look leaves them as long as others write. What
    /// progress there is if it takes them.
    pub(super) fn look(
        &self,
        connection: &Connection,
        patient: bool,
        collected: &mut Staging,
    ) -> (Look, Option<Progress>) {
        let mut state = self.state();
        if state.dead {
            collected.clear();
            return (Look::Over, Some(state.progress()));
        }
        if !state.serves(connection) {
            // What has collected is for the next connection, whose stream others look after.
            return (Look::Over, None);
        }
        if patient && let Some(look) = state.glance() {
            return (look, None);
        }
        state.pace.seen = state.pace.writes;
        state.staging.append(collected);
        collected.reuse(&mut state.staging);
        let look = if state.has_work() && matches!(state.writer, Writer::Idle) {
            // That write will be no news.
            state.pace.seen = state.pace.seen.wrapping_add(1);
            state.pace.doublings = 0;
            Look::Write(COLLECTING)
        } else {
            // The next message that follows a write closely continues it.
            state.pace = Pace { alone: state.pace.alone, ..Pace::default() };
            // Idle connections are many: they keep as little as they can.
            if state.control.is_empty() {
                state.control = Vec::new();
            }
            state.staging.keep_spare(1);
            collected.keep_spare(0);
            Look::Over
        };
        (look, Some(state.progress()))
    }

    /// Nothing more can be written to the present connection, nor to another unless there is one that
    /// `comes_back`; true if it does, and no more messages may wait for it: there is no room, or the socket
    /// waits to be told of more than there is.
    pub(crate) fn mute(&self, comes_back: bool) -> bool {
        let mut state = self.state();
        state.ready = false;
        state.mute = comes_back;
        if !comes_back {
            state.dead = true;
            state.staging.clear();
        }
        comes_back && (state.queued() >= state.limit || state.is_waited_for())
    }

    /// Lets no further write begin; true if one is going on.
    pub(crate) fn break_off(&self) -> bool {
        let mut state = self.state();
        state.broken = true;
        matches!(state.writer, Writer::InFlight { .. })
    }

    /// What was written so far, and what waits to be.
    pub(super) fn written(&self) -> Written {
        let state = self.state();
        let (queued, queued_bytes) = state.waiting();
        let Counts { messages, bytes, replaced } = state.written;
        Written { messages, bytes, queued, queued_bytes, replaced }
    }

    /// How many messages wait, and about how many bytes they have: all of a message that the system
    /// is taking.
    pub(crate) fn waiting(&self) -> (usize, u64) {
        self.state().waiting()
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.state().broken
    }

    /// The connection is lost; of the batch in flight the kernel took `sent` bytes. Messages not
    /// wholly written wait for the next connection; with `None`, all of the batch is dropped.
    pub(crate) fn detach(&self, sent: Option<usize>) {
        let mut state = self.state();
        state.connection = None;
        state.broken = false;
        state.ready = false;
        state.control.clear();
        state.pace = Pace::default();
        state.staging.keep_spare(0);
        if let Writer::InFlight { control, .. } = mem::replace(&mut state.writer, Writer::Idle) {
            let batch = mem::take(&mut state.batch);
            if let Some(sent) = sent {
                let queued = state.staging.messages();
                let sent = sent.saturating_sub(control);
                let form = state.form.as_ref();
                let sent = form.map_or(sent, |form| form.original_len(&batch, sent));
                state.staging.put_back(batch, sent);
                state.written.messages -= (state.staging.messages() - queued) as u64;
            }
        }
        state.form = None;
    }

    /// Drops what waits for the next connection, and says how many messages that was.
    pub(super) fn discard(&self) -> usize {
        let staging = &mut self.state().staging;
        let messages = staging.messages();
        staging.clear();
        messages
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

    /// Lets no more messages go by the present connection, but what it has to say itself.
    pub(crate) fn hold(&self) {
        self.state().ready = false;
    }

    /// Whether the present connection has said everything, but for messages that are held.
    pub(crate) fn is_silent(&self) -> bool {
        let state = self.state();
        matches!(state.writer, Writer::Idle | Writer::Scheduled) && !state.has_work()
    }

    /// Nobody will ever write again: drops everything.
    pub(crate) fn kill(&self) {
        let mut state = self.state();
        state.dead = true;
        state.connection = None;
        state.ready = false;
        state.form = None;
        state.control.clear();
        state.staging.clear();
        state.batch.clear();
        state.writer = Writer::Idle;
    }
}

impl State {
    /// There is no room: a connection that makes none is given up. To be told so it takes no lock but the
    /// port's own.
    fn give_up(&mut self) {
        if mem::take(&mut self.mute)
            && let Some(connection) = &self.connection
        {
            connection.give_up();
        }
    }

    fn queued(&self) -> usize {
        let in_flight = match &self.writer {
            Writer::InFlight { messages, .. } => *messages as usize,
            Writer::Idle | Writer::Scheduled => 0,
        };
        self.staging.messages() + in_flight
    }

    /// How many messages wait or are in flight, and how many bytes.
    fn waiting(&self) -> (usize, u64) {
        let in_flight: usize = self.batch.iter().map(|segment| segment.bytes.len()).sum();
        (self.queued(), (self.staging.bytes() + in_flight) as u64)
    }

    fn is_drained(&self) -> bool {
        matches!(self.writer, Writer::Idle | Writer::Scheduled)
            && self.staging.is_empty()
            && self.control.is_empty()
    }

    /// Whether a message would be written now, by itself.
    fn is_idle(&self) -> bool {
        self.ready
            && matches!(self.writer, Writer::Idle)
            && !self.pace.streaming
            && self.staging.is_empty()
    }

    fn has_work(&self) -> bool {
        !self.control.is_empty() || (self.ready && !self.staging.is_empty())
    }

    /// Whether the socket waits to be told that there is room, and there is not enough.
    fn is_waited_for(&self) -> bool {
        self.writer_blocked && self.queued() > self.limit / 2
    }

    fn resume(&mut self) -> bool {
        let resume = self.writer_blocked && !self.is_waited_for();
        self.writer_blocked &= !resume;
        resume
    }

    fn serves(&self, connection: &Connection) -> bool {
        self.connection.as_ref().is_some_and(|own| ptr::eq(&**own, connection))
    }

    fn progress(&self) -> Progress {
        Progress {
            streaming: self.pace.streaming && !self.dead,
            credit: self.limit.saturating_sub(self.queued()),
        }
    }

    /// A look at a stream that somebody writes, or cannot write on: it may go on collecting.
    fn glance(&mut self) -> Option<Look> {
        let wrote = self.pace.seen != self.pace.writes;
        if !wrote && matches!(self.writer, Writer::InFlight { .. }) {
            self.pace.resting = true;
            return Some(Look::Rest);
        }
        if !wrote && matches!(self.writer, Writer::Idle) {
            return None;
        }
        self.pace.seen = self.pace.writes;
        self.pace.doublings = (self.pace.doublings + 1).min(DOUBLINGS);
        Some(Look::Again(COLLECTING * (1 << self.pace.doublings)))
    }

    /// Whether so much waits that it is written without waiting for more.
    fn is_worth_writing(&self) -> bool {
        self.staging.bytes() >= WORTH_WRITING || self.queued() >= self.limit
    }

    /// Begins a write, if there is something to write and nobody does.
    fn take_batch(&mut self) -> Option<Vec<Bytes>> {
        if matches!(self.writer, Writer::InFlight { .. }) || self.broken {
            return None;
        }
        let mut buffers = mem::take(&mut self.control);
        if let Some(form) = &mut self.form {
            form.translate_control(&mut buffers);
            buffers.retain(|buffer| !buffer.is_empty());
        }
        let control = buffers.iter().map(Bytes::len).sum();
        let mut messages = 0_u32;
        if self.ready && !self.staging.is_empty() {
            self.staging.take(self.batch_size, &mut self.batch);
            messages = self.batch.iter().map(|segment| segment.messages).sum();
            match &mut self.form {
                None => buffers.extend(self.batch.iter().map(|segment| segment.bytes.clone())),
                Some(form) => form.translate(&self.batch, &mut buffers),
            }
        }
        if buffers.is_empty() {
            self.writer = Writer::Idle;
            return None;
        }
        self.pace.writes = self.pace.writes.wrapping_add(1);
        self.written.messages += u64::from(messages);
        self.written.bytes += buffers.iter().map(|buffer| buffer.len() as u64).sum::<u64>();
        self.writer = Writer::InFlight { control, messages };
        Some(buffers)
    }

    fn write_now(&mut self) -> Flush {
        match (self.take_batch(), &self.connection) {
            (Some(buffers), Some(connection)) => Flush::Direct(connection.clone(), buffers),
            _ => Flush::No,
        }
    }

    fn flush_needed(&mut self, outbox: &Outbox, among_many: bool) -> Flush {
        if !self.ready || matches!(self.writer, Writer::InFlight { .. }) {
            return Flush::No;
        }
        let somebody_will = self.pace.streaming || matches!(self.writer, Writer::Scheduled);
        if somebody_will && !self.is_worth_writing() {
            return Flush::No;
        }
        let Some(connection) = &self.connection else { return Flush::No };
        if somebody_will || self.direct {
            return self.write_now();
        }
        let wait = match self.pace.begins_stream(outbox) {
            true => COLLECTING,
            false if among_many => Duration::ZERO,
            false => return self.write_now(),
        };
        self.pace.streaming = true;
        self.pace.doublings = 0;
        Flush::Stream(connection.clone(), wait)
    }
}

impl Pace {
    /// Counts a message; true if a stream begins with it.
    fn begins_stream(&mut self, outbox: &Outbox) -> bool {
        let heard = &outbox.heard;
        // A swap would wait for its caches, and tell no more: who hears meanwhile has been counted, too.
        if heard.load(Ordering::Relaxed) {
            heard.store(false, Ordering::Relaxed);
            self.alone = 0;
        }
        self.alone = self.alone.saturating_add(1);
        self.alone > ALONE && outbox.pacer.follows_within(STREAMING)
    }
}

#[cfg(test)]
mod tests;
