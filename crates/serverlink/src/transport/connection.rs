//! One connection to a remote peer: the protocol between a stream and a pipe.

mod decoding;
mod ending;
mod judging;
mod protocol;
mod proxied;
mod raw;
mod web;

use std::{
    io, mem,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicI8, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use ending::PARTING;
pub(crate) use protocol::Protocol;
use serverlink_io::{Direction, Event, Handle, Handler, Port, Sending, TimerId};
use serverlink_zmtp::VERY_LONG_FRAME;
use socket2::SockAddr;
pub(crate) use web::Web;

use super::{
    Closing, End, Origin,
    socks::Socks,
    stream::Stream,
    zap::{Admission, Inquiry},
};
use crate::{
    Message, MonitorEventKind,
    pipe::{Collector, Finished, Look, Outbox, Pipe, Producer},
};

/// How many batches the I/O thread writes for one connection before it turns to others.
const WRITES_PER_TURN: usize = 8;

/// How many bytes to receive behind a very long frame: another may follow, and what of it comes with its
/// header is copied. A connection that rests keeps so many.
const AFTER_FRAME: usize = 256;

/// So many bytes at once are little: more of the kind may wait to be handled together.
const LITTLE: usize = 4096;

/// What a timer is for, or a packet posted to a connection.
const DEADLINE: u64 = 6;
const LOOK_AT_STREAM: u64 = 7;
const START: u64 = 0;
const FLUSH: u64 = 1;
const RESUME: u64 = 2;
const CLOSE: u64 = 3;
const ABORT: u64 = 4;
const CONCLUDE: u64 = 5;
const ANSWERED: u64 = 8;
const AWAIT: u64 = 9;
const GIVE_UP: u64 = 10;

/// A stream that speaks ZMTP, or nothing that we know of.
///
/// Most connections are idle, and they may be many: what few of them need, or none for long, is boxed.
///
/// Everything but the writing of messages happens on the thread that drives
/// the port, one event at a time.
#[derive(Debug)]
pub(crate) struct Connection {
    me: Weak<Connection>,
    port: Port,
    handle: OnceLock<Handle>,
    /// The number by which the system knows its end, if that is a socket.
    descriptor: Option<u64>,
    /// Where the peer is, if that is a socket of TCP: as it was when the stream began, for the system
    /// forgets it once the peer has reset the stream.
    peer: OnceLock<SocketAddr>,
    /// Of the process at the other end of a Unix domain socket that was accepted.
    credentials: Option<Box<str>>,
    origin: Arc<dyn Origin>,
    outbox: Arc<Outbox>,
    pipe: OnceLock<Arc<Pipe>>,
    input: Mutex<Input>,
    closing: Mutex<Option<Box<Closing>>>,
    /// How far a write got that failed.
    sent: AtomicUsize,
    /// How many writes wait for room: one at most, or less than none for a moment, when its event comes
    /// before whoever began it knows that there will be one.
    waits_for_room: AtomicI8,
}

impl Drop for Connection {
    fn drop(&mut self) {
        // One that the engine has not given back.
        if *self.waits_for_room.get_mut() > 0 {
            self.port.end_hurry();
        }
    }
}

/// Each stream has one. Elsewhere locks may be larger.
#[cfg(all(target_pointer_width = "64", target_os = "linux"))]
const _: () = assert!(size_of::<Connection>() <= 488);

/// How a stream comes about.
#[derive(Debug)]
pub(crate) enum Beginning<'a> {
    /// It was accepted, from this address if there are any.
    Accepted(Option<SockAddr>),
    /// It is to be connected to this address, within this time if any is set.
    Wanted(&'a SockAddr, Option<Duration>),
}

#[derive(Debug)]
struct Input {
    phase: Phase,
    interlude: Option<Box<Interlude>>,
    protocol: Protocol,
    /// The frames of a message whose last has not come yet, once there was such a message.
    partial: Option<Box<Message>>,
    /// Where messages go, from the first on; none, if nobody wants any.
    inlet: Option<Box<Producer<Message>>>,
    receiving: Receiving,
    timer: Option<TimerId>,
    /// How many bytes have come.
    bytes: u64,
    /// A write has failed, and what the peer sent before is read to its end; until then something has to
    /// come, while it is read.
    mute: Option<Instant>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Waiting for the stream, until then if ever.
    Connecting(Option<Instant>),
    Open,
    /// Everything is sent; waiting until then for the peer to close its side. That is the end.
    Parting(Instant, End),
    /// Over, but for a write that the engine has not given back.
    Ending(End),
    Ended,
}

/// What few connections need, and not for long.
#[derive(Debug)]
enum Interlude {
    /// A proxy that has not connected us yet, what it is told first, and until when it may take.
    Proxy(Socks, Bytes, Option<Instant>),
    /// The question whether to let the peer in.
    Inquiry(Inquiry),
    /// The answer.
    Admission(Admission),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Receiving {
    No,
    /// Not now; what came last was part of a very long frame.
    Framed,
    /// Into a buffer of the engine's.
    Chunk,
    /// Straight into a long frame, of which so many bytes are there.
    Frame(usize),
    /// Not now: the pipe is full.
    Paused,
}

impl Connection {
    /// Serves a stream that is there, or will be once it is connected.
    pub(crate) fn start(
        (port, stream): (Port, Stream),
        beginning: Beginning<'_>,
        socks: Option<(Socks, Bytes)>,
        protocol: Protocol,
        outbox: Arc<Outbox>,
        origin: Arc<dyn Origin>,
    ) -> io::Result<Arc<Self>> {
        let now = Instant::now();
        let (phase, peer, credentials) = match &beginning {
            Beginning::Wanted(_, timeout) => {
                let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
                (Phase::Connecting(deadline), None, None)
            }
            Beginning::Accepted(peer) => {
                let peer = peer.as_ref().and_then(SockAddr::as_socket);
                (Phase::Open, peer, stream.credentials())
            }
        };
        let connection = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            port,
            handle: OnceLock::new(),
            descriptor: stream.descriptor(),
            peer: peer.map(OnceLock::from).unwrap_or_default(),
            credentials,
            origin,
            outbox,
            pipe: OnceLock::new(),
            input: Mutex::new(Input {
                phase,
                interlude: socks.map(|(socks, first)| {
                    let until = match phase {
                        Phase::Connecting(deadline) => deadline,
                        _ => None,
                    };
                    Box::new(Interlude::Proxy(socks, first, until))
                }),
                protocol,
                partial: None,
                inlet: None,
                receiving: Receiving::No,
                timer: None,
                bytes: 0,
                mute: None,
            }),
            closing: Mutex::new(None),
            sent: AtomicUsize::new(0),
            waits_for_room: AtomicI8::new(0),
        });
        let handle = stream.register(&connection.port, connection.clone())?;
        let handle = connection.handle.get_or_init(|| handle);
        connection.outbox.attach(connection.clone());
        let Beginning::Wanted(address, _) = beginning else {
            connection.post(START);
            return Ok(connection);
        };
        if let Err(error) = handle.connect(address) {
            handle.retire();
            connection.outbox.detach(Some(0));
            return Err(error);
        }
        // The engine tells when it is there, perhaps before this.
        connection.post(AWAIT);
        Ok(connection)
    }

    /// Says which pipe to serve, before its socket knows of it.
    pub(crate) fn set_pipe(&self, pipe: Arc<Pipe>) {
        let _ = self.pipe.set(pipe);
    }

    /// The pipe, once the handshake is done.
    pub(crate) fn pipe(&self) -> Option<&Arc<Pipe>> {
        self.pipe.get()
    }

    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// The addresses of both ends, as far as they have any.
    pub(crate) fn addresses(&self) -> (Option<SockAddr>, Option<SockAddr>) {
        let handle = self.handle.get();
        let of_system = || handle.and_then(|handle| handle.peer_address().ok());
        (
            handle.and_then(|handle| handle.local_address().ok()),
            self.peer.get().copied().map(SockAddr::from).or_else(of_system),
        )
    }

    /// What is told of where the peer is, as libzmq tells it; nothing, if it has an address and nobody
    /// knows it.
    fn peer_name(&self) -> Option<String> {
        match (self.peer.get(), &self.credentials) {
            (Some(address), _) => Some(address.ip().to_string()),
            (None, Some(credentials)) => Some(format!("localhost:{credentials}")),
            (None, None) => {
                let own = self.handle.get()?.local_address().ok();
                let is_of_tcp = own.is_some_and(|own| own.as_socket().is_some());
                (!is_of_tcp).then(|| "localhost".to_owned())
            }
        }
    }

    /// The endpoint that it belongs to.
    pub(crate) fn endpoint(&self) -> String {
        self.origin.endpoint()
    }

    /// When the last bytes came, and how many did.
    pub(crate) fn heard(&self) -> (Instant, u64) {
        let input = self.input();
        (input.protocol.last_arrival(), input.bytes)
    }

    /// Has the I/O thread look after the stream of messages that it writes, first after `wait`.
    pub(crate) fn look_after_stream(&self, wait: Duration) {
        if wait.is_zero() || self.port.timer_grain() > wait {
            self.post(LOOK_AT_STREAM);
        } else if let Some(me) = self.me.upgrade() {
            self.port.set_timer(Instant::now() + wait, me, LOOK_AT_STREAM);
        }
    }

    /// Writes what has collected since the last look, if nobody else has. Without a timer that ends
    /// the collecting in time, nothing collects while this thread has time to write.
    fn look_at_stream(&self, patient: bool) {
        let Some(pipe) = self.pipe.get() else { return };
        let glance = if patient { self.outbox.glance(self) } else { None };
        let look = glance.unwrap_or_else(|| match pipe.owner() {
            Some(owner) => owner.look(pipe, self, patient),
            None => Collector::new().look(&self.outbox, self, patient),
        });
        match look {
            Look::Write(wait) => {
                self.write_all();
                self.look_after_stream(wait);
            }
            Look::Again(wait) => self.look_after_stream(wait),
            Look::Rest | Look::Over => {}
        }
    }

    /// Has the I/O thread write what waits.
    pub(crate) fn schedule_flush(&self) {
        self.post(FLUSH);
    }

    /// Has the I/O thread read on.
    pub(crate) fn schedule_resume(&self) {
        // Whoever has just read enough to make room comes back for more, and then drives.
        if let Some(me) = self.me.upgrade() {
            self.port.post_lazily(me, RESUME);
        }
    }

    /// Ends the connection once everything is sent, or time is up.
    pub(crate) fn close(&self, mut closing: Closing) {
        {
            let mut before = self.closing();
            closing.for_good |= before.as_ref().is_some_and(|before| before.for_good);
            *before = Some(Box::new(closing));
        }
        self.post(CLOSE);
    }

    /// Ends the connection once everything is sent, unless that was wanted already, and for good.
    pub(crate) fn finish(&self) {
        let closing = || Box::new(Closing { deadline: None, guard: None, for_good: true });
        self.closing().get_or_insert_with(closing).for_good = true;
        self.post(CLOSE);
    }

    /// Has the I/O thread look at what was answered to a question about the peer.
    pub(crate) fn answered(&self) {
        self.post(ANSWERED);
    }

    /// Ends the connection now.
    pub(crate) fn abort(&self) {
        self.post(ABORT);
    }

    /// Ends the connection, to which nothing can be written, because messages wait for the next one and
    /// no more of them may: what it has not brought yet is given up.
    pub(crate) fn give_up(&self) {
        self.post(GIVE_UP);
    }

    /// Writes a batch that the outbox began, in the calling thread.
    pub(crate) fn send(&self, buffers: Vec<Bytes>) {
        let finished = self.write(buffers);
        if finished.is_some_and(|finished| finished.more) {
            self.schedule_flush();
        }
    }

    /// A write has ended that had to wait for room.
    fn has_room(&self) {
        if self.waits_for_room.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.port.end_hurry();
        }
    }

    /// Writes one batch; nothing if it is not done yet.
    fn write(&self, buffers: Vec<Bytes>) -> Option<Finished> {
        let handle = self.handle.get()?;
        match handle.send(buffers) {
            Sending::Pending => {
                // The I/O thread is to see at once when there is room. The event may have come already.
                if self.waits_for_room.fetch_add(1, Ordering::AcqRel) == 0 {
                    self.port.begin_hurry();
                }
                if self.outbox.is_broken() {
                    // It broke while the write began: nobody else saw it pending.
                    handle.cancel(Direction::Outward);
                }
                None
            }
            Sending::Done { buffers, result: Ok(()), .. } => Some(self.wrote(buffers)),
            Sending::Done { sent, .. } => {
                self.sent.store(sent, Ordering::Release);
                self.post(CONCLUDE);
                None
            }
        }
    }

    /// A batch is written.
    fn wrote(&self, buffers: Vec<Bytes>) -> Finished {
        let finished = self.outbox.finish(buffers);
        if finished.broken {
            self.post(CONCLUDE);
        }
        if let Some(wait) = finished.look {
            self.look_after_stream(wait);
        }
        if finished.drained {
            self.post(CLOSE);
        }
        if finished.resume
            && let Some(pipe) = self.pipe.get()
            && let Some(owner) = pipe.owner()
        {
            owner.pipe_writable(pipe);
        }
        finished
    }

    fn write_all(&self) {
        for _ in 0..WRITES_PER_TURN {
            let Some(buffers) = self.outbox.begin(self) else { return };
            if !self.write(buffers).is_some_and(|finished| finished.more) {
                return;
            }
        }
        self.schedule_flush();
    }

    fn post(&self, tag: u64) {
        if let Some(me) = self.me.upgrade() {
            self.port.post(me, tag);
        }
    }

    fn input(&self) -> MutexGuard<'_, Input> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn closing(&self) -> MutexGuard<'_, Option<Box<Closing>>> {
        self.closing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stream has been connected.
    fn connected(&self, input: &mut Input) {
        let address = self.handle.get().and_then(|handle| handle.peer_address().ok());
        if let Some(address) = address.and_then(|address| address.as_socket()) {
            let _ = self.peer.set(address);
        }
        if let Some(Interlude::Proxy(_, greeting, until)) = input.interlude.as_deref_mut() {
            until.get_or_insert_with(|| Instant::now() + proxied::PATIENCE);
            let greeting = mem::take(greeting);
            input.phase = Phase::Open;
            self.tell_proxy(input, greeting);
        } else {
            self.reached(input);
            self.opened(input);
        }
    }

    /// The peer is there, also behind a proxy.
    fn reached(&self, input: &mut Input) {
        self.origin.tell(self, MonitorEventKind::Connected);
        input.protocol.restart_clock(Instant::now());
    }

    /// The stream is there.
    fn opened(&self, input: &mut Input) {
        input.phase = Phase::Open;
        self.outbox.set_form(input.protocol.first_form());
        self.pump(input, Instant::now());
    }

    fn received(&self, input: &mut Input, result: io::Result<BytesMut>) {
        let (into_frame, before) = match input.receiving {
            Receiving::Frame(before) => (true, before),
            _ => (false, 0),
        };
        let very_long =
            into_frame && result.as_ref().is_ok_and(|frame| frame.len() >= VERY_LONG_FRAME);
        input.receiving = if very_long { Receiving::Framed } else { Receiving::No };
        match (result, input.phase) {
            (_, Phase::Connecting(_) | Phase::Ending(_) | Phase::Ended) => {}
            (Ok(buffer), Phase::Parting(..)) if buffer.len() > before => self.receive(input),
            (Ok(buffer), Phase::Open) if buffer.len() > before => {
                if let Some(inlet) = &input.inlet {
                    inlet.prepare();
                }
                self.outbox.note_heard();
                input.bytes += (buffer.len() - before) as u64;
                let is_little = buffer.len() <= LITTLE && self.pipe.get().is_some();
                let now = Instant::now();
                if input.is_proxied() {
                    self.hear_proxy(input, &buffer, now);
                    return;
                }
                if into_frame {
                    input.protocol.return_frame(buffer, now);
                    self.pump(input, now);
                } else {
                    self.hear(input, buffer.freeze(), now);
                }
                if is_little {
                    self.port.unhurried();
                }
            }
            (_, Phase::Parting(_, end)) => self.end(input, end),
            // The end of the stream, or an error.
            (result, Phase::Open) => {
                let error = result.err().unwrap_or_else(|| io::ErrorKind::UnexpectedEof.into());
                self.lose(input, &error);
            }
        }
    }

    /// The peer has said something.
    fn hear(&self, input: &mut Input, bytes: Bytes, now: Instant) {
        input.protocol.feed(bytes, now);
        self.pump(input, now);
    }

    /// Asks the engine for more bytes.
    fn receive(&self, input: &mut Input) {
        if input.is_receiving() {
            return;
        }
        let Some(handle) = self.handle.get() else { return };
        if let Some(deadline) = &mut input.mute {
            *deadline = Instant::now() + PARTING;
        }
        let frame = match input.phase {
            Phase::Open => input.protocol.awaited_frame(),
            _ => None,
        };
        let mut batch = self.origin.options().in_batch_size;
        if input.receiving == Receiving::Framed {
            batch = Some(batch.map_or(AFTER_FRAME, |batch| batch.min(AFTER_FRAME)));
        }
        input.receiving =
            frame.as_ref().map_or(Receiving::Chunk, |frame| Receiving::Frame(frame.len()));
        if handle.receive(frame.or_else(|| batch.map(BytesMut::with_capacity))).is_err() {
            self.end(input, End::Lost);
        }
    }

    fn write_control(&self, input: &mut Input) {
        // A proxy does not take what the peer is to have. Who asks and does not read gets no more answers.
        if !input.protocol.has_output() || input.is_proxied() || self.outbox.is_clogged() {
            return;
        }
        if let Some(bytes) = input.protocol.take_output() {
            self.outbox.push_control(bytes);
        }
        self.write_all();
    }

    /// Keeps one timer at the nearest of all deadlines.
    fn set_timer(&self, input: &mut Input) {
        let nearest = match input.phase {
            Phase::Connecting(deadline) => deadline,
            Phase::Open => match (input.mute, input.interlude.as_deref()) {
                (Some(deadline), _) => {
                    let silence = input.is_receiving().then_some(deadline);
                    silence.into_iter().chain(input.handshake_timeout()).min()
                }
                (None, Some(Interlude::Proxy(_, _, deadline))) => *deadline,
                (None, _) => input.protocol.next_timeout(),
            },
            Phase::Parting(deadline, _) => Some(deadline),
            Phase::Ending(_) | Phase::Ended => None,
        };
        let linger = self.closing().as_ref().and_then(|closing| closing.deadline);
        let nearest = match input.phase {
            Phase::Ended => None,
            _ => nearest.into_iter().chain(linger).min(),
        };
        match (input.timer, nearest) {
            // One that is too early costs a look at the clock, not a change of timers at each
            // event.
            (Some(set), Some(wanted)) if set.deadline() <= wanted => {}
            (old, new) => {
                if let Some(id) = old {
                    self.port.cancel_timer(id);
                }
                input.timer = new.and_then(|deadline| {
                    let me = self.me.upgrade()?;
                    Some(self.port.set_timer(deadline, me, DEADLINE))
                });
            }
        }
    }

    fn timer_expired(&self, input: &mut Input) {
        input.timer = None;
        let now = Instant::now();
        let over = self.closing().as_ref().is_some_and(|closing| closing.is_over(now));
        match input.phase {
            Phase::Ended => return,
            _ if over => self.end(input, End::Closed),
            Phase::Connecting(deadline) => {
                if deadline.is_some_and(|deadline| deadline <= now) {
                    self.end(input, End::NotConnected);
                }
            }
            Phase::Parting(deadline, end) => {
                if deadline <= now {
                    self.end(input, end);
                }
            }
            Phase::Open if let Some(deadline) = input.mute => {
                let is_late = input.handshake_timeout().is_some_and(|timeout| timeout <= now);
                if is_late || (input.is_receiving() && deadline <= now) {
                    self.lose(input, &io::ErrorKind::TimedOut.into());
                }
            }
            Phase::Open
                if let Some(Interlude::Proxy(_, _, deadline)) = input.interlude.as_deref() =>
            {
                if deadline.is_some_and(|deadline| deadline <= now) {
                    self.end(input, End::NotConnected);
                }
            }
            Phase::Open => {
                if let Err(error) = input.protocol.handle_timeout(now) {
                    self.tell_failure(&error);
                    self.end(input, End::Lost);
                } else {
                    self.write_control(input);
                }
            }
            Phase::Ending(_) => {}
        }
        self.set_timer(input);
    }
}

impl Input {
    /// Whether the engine has been asked for more bytes.
    fn is_receiving(&self) -> bool {
        matches!(self.receiving, Receiving::Chunk | Receiving::Frame(_))
    }

    /// When the handshake has taken too long, if it is not done.
    fn handshake_timeout(&self) -> Option<Instant> {
        if self.protocol.is_ready() { None } else { self.protocol.next_timeout() }
    }

    /// How many messages may be decoded now.
    fn room(&mut self) -> usize {
        if self.inlet.as_ref().is_some_and(|inlet| inlet.is_abandoned()) {
            self.inlet = None;
        }
        self.inlet.as_mut().map_or(usize::MAX, |inlet| inlet.room())
    }
}

impl Handler for Connection {
    fn complete(&self, event: Event) {
        if matches!(event, Event::Sent { .. }) {
            self.has_room();
        }
        match event {
            Event::Received(result) => self.received(&mut self.input(), result),
            Event::Sent { buffers, result: Ok(()), .. } => {
                self.wrote(buffers);
                self.write_all();
            }
            Event::Sent { sent, .. } => self.write_failed(&mut self.input(), sent),
            Event::Connected(Ok(())) => {
                let mut input = self.input();
                if matches!(input.phase, Phase::Connecting(_)) {
                    self.connected(&mut input);
                }
            }
            Event::Connected(Err(error)) => {
                let refused = error.kind() == io::ErrorKind::ConnectionRefused;
                let end = if refused { End::Refused } else { End::NotConnected };
                self.end(&mut self.input(), end);
            }
            Event::Timer { tag: LOOK_AT_STREAM, .. } => self.look_at_stream(true),
            Event::Posted { tag: LOOK_AT_STREAM } => self.look_at_stream(false),
            Event::Timer { .. } => self.timer_expired(&mut self.input()),
            Event::Posted { tag: FLUSH } => self.write_all(),
            Event::Posted { tag } => {
                let mut input = self.input();
                match tag {
                    START if input.phase == Phase::Open => self.opened(&mut input),
                    AWAIT => self.set_timer(&mut input),
                    RESUME
                        if input.phase == Phase::Open && input.receiving == Receiving::Paused =>
                    {
                        input.receiving = Receiving::No;
                        input.protocol.pause_input(false);
                        self.pump(&mut input, Instant::now());
                    }
                    CLOSE => self.close_when_drained(&mut input),
                    ABORT => self.end(&mut input, End::Closed),
                    ANSWERED => self.judge(&mut input),
                    GIVE_UP if input.mute.is_some() => self.end(&mut input, End::Lost),
                    CONCLUDE => {
                        let sent = self.sent.load(Ordering::Acquire);
                        self.write_failed(&mut input, sent);
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }
}
