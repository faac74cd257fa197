//! What a socket is: its pattern and its peers behind one lock, and who waits for them.

use std::{
    fmt, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use serverlink_io::{BiasedGuard, BiasedLock, Manner, Notice, Port, Vigil};

use super::{PeerInfo, Peers, endpoints::Attachment, monitor::Monitors};
use crate::{
    Error, Message, Result, SocketType,
    cache::CachePadded,
    context::Runtime,
    options::Options,
    pattern::{self, Pattern},
    pipe::{Effect, Effects, Look, Pacer, Pipe, PipeEnd},
    poller::Watchers,
    transport::Connection,
};

/// The socket as the engine sees it. It outlives the user's handle as long as events refer to it.
// On cache lines of its own, for its lock changes with every message.
#[repr(align(128))]
pub(crate) struct SocketInner {
    socket_type: SocketType,
    pacer: Arc<Pacer>,
    core: BiasedLock<Core>,
    /// Drives the socket's connections, if all of them are on one port.
    port: Option<Port>,
    readable: Notice,
    writable: Notice,
    /// Of threads that receive after they have sent.
    vigil: Vigil,
    monitors: Monitors,
}

pub(crate) struct Core {
    pub(super) pattern: Box<CachePadded<dyn Pattern>>,
    pub(crate) peers: Peers,
    /// What was bound and connected.
    pub(super) attachments: Vec<Attachment>,
    pub(super) last_endpoint: Option<String>,
    /// Who watches the socket, if anybody ever did.
    pub(super) watchers: Option<Arc<Watchers>>,
    life: Life,
    /// Something was sent since anybody waited to receive.
    has_sent: bool,
    receivers: usize,
    senders: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Open,
    Terminated,
    Closed,
}

/// How long a call may wait.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// As the socket's time-out option says.
    AsSet,
    None,
    For(Duration),
}

impl Patience {
    /// The moment when it ends; `None`: never.
    fn deadline(self, set: Option<Duration>) -> Option<Instant> {
        let wait = match self {
            Self::AsSet => set?,
            Self::None => Duration::ZERO,
            Self::For(wait) => wait,
        };
        Instant::now().checked_add(wait)
    }
}

/// The way of a message: into the user's hands or out of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Core {
    pub(crate) fn check(&self) -> Result<()> {
        match self.life {
            Life::Open => Ok(()),
            Life::Terminated => Err(Error::Terminated),
            Life::Closed => Err(Error::Closed),
        }
    }

    /// How many threads wait to receive or to send.
    fn waiting(&mut self, way: Way) -> &mut usize {
        match way {
            Way::In => &mut self.receivers,
            Way::Out => &mut self.senders,
        }
    }

    /// Whether there is anything that the engine serves.
    pub(super) fn has_connections(&self) -> bool {
        self.attachments.iter().any(Attachment::is_remote)
    }

    /// Takes the peers out that have ended.
    fn settle(&mut self) {
        while let Some(key) = self.peers.next_ended() {
            if self.peers.contains(key) {
                self.pattern.detach(key, &mut self.peers);
                let closed = self.peers.is_closed(key);
                if let Some(end) = self.peers.remove(key) {
                    dispose(end, closed, &mut self.peers.effects);
                }
            }
        }
    }

    /// Has the high-water marks hold for all peers as they are set now.
    pub(crate) fn apply_marks(&mut self) {
        let keys: Vec<_> = self.peers.keys().collect();
        for key in keys {
            if self.peers.apply_marks(key) {
                self.writable(key);
            }
        }
    }

    /// A peer that took no more messages takes some, unless it has left before that was told.
    fn writable(&mut self, key: usize) {
        if !self.peers.is_closed(key) && pattern::may_have_messages(&self.peers, key) {
            self.pattern.writable(key, &mut self.peers);
        }
    }

    #[inline]
    fn take_effects(&mut self) -> Effects {
        self.settle();
        mem::take(&mut self.peers.effects)
    }
}

/// Lets go of a pipe that the socket no longer has. The connection of one that was closed ends by
/// itself, when everything is sent.
fn dispose(end: PipeEnd, closed: bool, effects: &mut Effects) {
    let pipe = end.pipe.clone();
    drop(end);
    match pipe.outbox() {
        // What came is dropped, and what comes will be: it reads on, if it waited for room. A peer that has
        // closed, too, does not get rid of what it has to send otherwise.
        Some(_) if closed => effects.push(Effect::Resume(pipe)),
        Some(outbox) => {
            if let Some(connection) = outbox.connection() {
                connection.abort();
            }
        }
        None => {
            if let Some(peer) = pipe.inproc_peer() {
                effects.push(Effect::Closed(peer));
            }
        }
    }
}

impl SocketInner {
    pub(super) fn new(socket_type: SocketType, port: Option<Port>) -> Arc<Self> {
        Self::with_pattern(socket_type, pattern::new(socket_type), port)
    }

    pub(crate) fn with_pattern(
        socket_type: SocketType,
        pattern: Box<CachePadded<dyn Pattern>>,
        port: Option<Port>,
    ) -> Arc<Self> {
        Arc::new(Self {
            socket_type,
            pacer: Arc::new(Pacer::new()),
            core: BiasedLock::new(Core {
                pattern,
                peers: Peers::new(Options::default()),
                attachments: Vec::new(),
                last_endpoint: None,
                watchers: None,
                life: Life::Open,
                has_sent: false,
                receivers: 0,
                senders: 0,
            }),
            port,
            readable: Notice::new(),
            writable: Notice::new(),
            vigil: Vigil::default(),
            monitors: Monitors::default(),
        })
    }

    pub(crate) fn socket_type(&self) -> SocketType {
        self.socket_type
    }

    /// Who is told what happens to the socket's connections.
    pub(crate) fn monitors(&self) -> &Monitors {
        &self.monitors
    }

    pub(crate) fn pacer(&self) -> &Arc<Pacer> {
        &self.pacer
    }

    pub(crate) fn core(&self) -> BiasedGuard<'_, Core> {
        self.core.lock()
    }

    pub(super) fn peer_count(&self) -> usize {
        self.core().peers.ready_count()
    }

    /// Ends a change of the core: wakes whoever may go on now, and does what had to wait for the
    /// lock to be released.
    pub(super) fn release(&self, mut core: BiasedGuard<'_, Core>) {
        let effects = core.take_effects();
        let (receivers, senders) = (core.receivers > 0, core.senders > 0);
        drop(core);
        if receivers {
            self.raise(&self.readable);
        }
        if senders {
            self.raise(&self.writable);
        }
        effects.run();
    }

    /// The same, when no call waits any more.
    fn release_ended(&self, core: BiasedGuard<'_, Core>) {
        let watchers = core.watchers.clone();
        if let Some(watchers) = &watchers {
            watchers.end();
        }
        self.release(core);
        if let Some(watchers) = watchers {
            watchers.tell();
        }
    }

    /// What drives the socket's connections, if that is one port.
    pub(crate) fn port(&self) -> Option<&Port> {
        self.port.as_ref()
    }

    pub(crate) fn send(&self, message: &mut Message, patience: Patience) -> Result<()> {
        if message.is_empty() {
            return Err(Error::InvalidMessage("a message has at least one frame"));
        }
        self.try_until(Way::Out, patience, |pattern, peers| pattern.send(message, peers))
    }

    /// Receives a message, into one without frames.
    pub(crate) fn receive(&self, message: &mut Message, patience: Patience) -> Result<()> {
        self.try_until(Way::In, patience, |pattern, peers| pattern.receive(message, peers))
    }

    /// The same; returns what is known of the peer that it came from.
    pub(super) fn receive_from(
        &self,
        message: &mut Message,
        patience: Patience,
    ) -> Result<Option<PeerInfo>> {
        let mut source = None;
        self.try_until(Way::In, patience, |pattern, peers| {
            source = pattern.receive_from(message, peers)?;
            Ok(())
        })?;
        Ok(source)
    }

    /// Tries until it need not be tried again, or time is up. Most calls are done at once, with
    /// nothing to tell anybody: all else is out of their way.
    #[inline]
    fn try_until(
        &self,
        way: Way,
        patience: Patience,
        mut attempt: impl FnMut(&mut dyn Pattern, &mut Peers) -> Result<()>,
    ) -> Result<()> {
        let mut core = self.core();
        if core.life != Life::Open {
            return core.check();
        }
        if way == Way::Out {
            core.has_sent = true;
        }
        let Core { pattern, peers, .. } = &mut *core;
        let result = attempt(&mut pattern.0, peers);
        if result.is_ok() && peers.is_quiet() {
            // There is nothing to drop, which the compiler has forgotten by the end of the scope.
            mem::forget(result);
            return Ok(());
        }
        self.go_on(way, patience, attempt, core, result)
    }

    /// Does what is to be done after an attempt; between attempts, waits for something to change.
    #[inline(never)]
    fn go_on<'a>(
        &'a self,
        way: Way,
        patience: Patience,
        mut attempt: impl FnMut(&mut dyn Pattern, &mut Peers) -> Result<()>,
        mut core: BiasedGuard<'a, Core>,
        mut result: Result<()>,
    ) -> Result<()> {
        let mut deadline = None;
        loop {
            let done = !matches!(result, Err(Error::WouldBlock));
            if !core.peers.is_quiet() {
                let effects = core.take_effects();
                drop(core);
                effects.run();
                if done {
                    return result;
                }
                core = self.core();
            } else if done {
                return result;
            } else if matches!(patience, Patience::None) {
                drop(core);
                self.look_was_in_vain();
                return result;
            } else {
                let set = match way {
                    Way::In => core.peers.options.default_receive_timeout,
                    Way::Out => core.peers.options.default_send_timeout,
                };
                let until = *deadline.get_or_insert_with(|| patience.deadline(set));
                if until.is_some_and(|until| until <= Instant::now()) {
                    drop(core);
                    self.look_was_in_vain();
                    return result;
                }
                // When time runs out meanwhile, one more look before giving up.
                core = self.wait(way, core, until);
            }
            core.check()?;
            let Core { pattern, peers, .. } = &mut *core;
            result = attempt(&mut pattern.0, peers);
        }
    }

    /// Whoever looks again and again is not to wait for the I/O thread's pauses.
    pub(crate) fn look_was_in_vain(&self) {
        if let Some(port) = &self.port {
            port.hasten();
        }
    }

    fn raise(&self, notice: &Notice) {
        match &self.port {
            Some(port) => port.raise(notice),
            None => notice.raise(),
        }
    }

    /// Whether who waits to receive waits for an answer; what is sent from now on is another question.
    fn takes_answer(&self, core: &mut Core) -> bool {
        // What these receive answers nothing.
        let never = matches!(self.socket_type, SocketType::XPub | SocketType::XSub);
        mem::take(&mut core.has_sent) && !never
    }

    /// The same, for those who wait without it: if so, whether the answer may come by a connection.
    pub(crate) fn expects_answer(&self) -> Option<bool> {
        let mut core = self.core();
        self.takes_answer(&mut core).then(|| core.has_connections())
    }

    /// Releases the core and waits until something changes, or the deadline. The thread drives the
    /// connections meanwhile, if there are any; one that receives even if the I/O thread does
    /// already, and one that waits for an answer stays awake at first.
    fn wait<'a>(
        &'a self,
        way: Way,
        mut core: BiasedGuard<'a, Core>,
        deadline: Option<Instant>,
    ) -> BiasedGuard<'a, Core> {
        *core.waiting(way) += 1;
        let notice = match way {
            Way::In => &self.readable,
            Way::Out => &self.writable,
        };
        let for_answer = way == Way::In && self.takes_answer(&mut core);
        let connected = core.has_connections();
        let seen = notice.epoch();
        let port = self.port.as_ref().filter(|_| connected);
        drop(core);
        let manner = match way {
            Way::In if for_answer => Manner::Awake(&self.vigil),
            Way::In => Manner::Eager,
            Way::Out => Manner::Patient,
        };
        let driven = port.is_some_and(|port| port.wait(notice, seen, deadline, manner).is_ok());
        if !driven {
            // With several I/O threads those with the connections sleep on the same notice: who stays
            // awake would keep a processor from the one that is to bring the answer.
            if for_answer && !connected {
                self.vigil.park(notice, seen, deadline);
            } else {
                notice.park(seen, deadline);
            }
        }
        let mut core = self.core();
        *core.waiting(way) -= 1;
        core
    }

    /// A peer is there; its handshake done already if there is `info`. False refuses it.
    pub(crate) fn attach(&self, end: PipeEnd, info: Option<PeerInfo>) -> bool {
        self.attach_as(end, info, &[])
    }

    /// The same; the socket calls the peer `routing_id`, if that is not empty.
    pub(crate) fn attach_as(
        &self,
        end: PipeEnd,
        info: Option<PeerInfo>,
        routing_id: &[u8],
    ) -> bool {
        let mut guard = self.core();
        let core = &mut *guard;
        if core.life == Life::Closed {
            return false;
        }
        let is_ready = info.is_some();
        let key = core.peers.insert(end, !is_ready);
        // They may have been changed since it was made.
        core.peers.apply_marks(key);
        core.peers.set_info(key, info);
        let mut accepted =
            core.pattern.name(key, routing_id) && core.pattern.attach(key, &mut core.peers);
        if accepted && is_ready && !core.pattern.ready(key, &mut core.peers) {
            core.pattern.detach(key, &mut core.peers);
            accepted = false;
        }
        if !accepted {
            core.peers.remove(key);
        }
        self.release(guard);
        accepted
    }

    /// Does something to the pattern on account of one of its peers.
    fn with_peer(&self, pipe: &Arc<Pipe>, change: impl FnOnce(&mut Core, usize)) {
        let mut core = self.core();
        if let Some(key) = core.peers.key_of(pipe) {
            change(&mut core, key);
            self.release(core);
        }
    }

    /// A peer's handshake is done, for the first time or anew. False refuses it.
    pub(crate) fn pipe_ready(&self, pipe: &Arc<Pipe>, info: PeerInfo) -> bool {
        let mut core = self.core();
        let Some(key) = core.peers.key_of(pipe) else {
            // A socket that was closed has let go of its peers, and owes them what it has sent: over
            // another connection it would come between what this one has brought already.
            return core.life == Life::Closed;
        };
        let Core { pattern, peers, .. } = &mut *core;
        if peers.is_finished(key) {
            // It was lost when the user ended it, and there was no connection to end.
            peers.finish(key);
            self.release(core);
            return true;
        }
        peers.set_info(key, Some(info));
        let accepted = pattern.ready(key, peers);
        if !accepted {
            peers.set_info(key, None);
        }
        self.release(core);
        accepted
    }

    /// Whether an empty message goes to each peer first.
    pub(crate) fn probes(&self) -> bool {
        self.core().peers.options.probe_router
    }

    /// Looks after the stream of messages to a peer that `connection` serves.
    pub(crate) fn look(&self, pipe: &Arc<Pipe>, connection: &Connection, patient: bool) -> Look {
        let peers = &mut self.core().peers;
        let key = peers.key_of(pipe).unwrap_or(usize::MAX);
        peers.look(key, connection, patient)
    }

    /// Has everything that was sent to a peer wait in its outbox.
    pub(crate) fn hand_over(&self, pipe: &Arc<Pipe>) {
        let peers = &mut self.core().peers;
        if let Some(key) = peers.key_of(pipe) {
            peers.end_stream(key);
        }
    }

    /// A peer's connection broke; another will follow.
    pub(crate) fn pipe_lost(&self, pipe: &Arc<Pipe>) {
        self.with_peer(pipe, |core, key| {
            core.peers.end_stream(key);
            core.peers.set_info(key, None);
            core.pattern.lost(key, &mut core.peers);
        });
    }

    /// The socket leaves a peer within the process.
    pub(super) fn bid_farewell(&self, pipe: &Arc<Pipe>) {
        self.with_peer(pipe, |core, key| core.peers.bid_farewell(key));
    }

    /// A peer takes no more messages, and [closes](Self::pipe_closed) when those that it has sent have all
    /// come.
    pub(crate) fn pipe_deaf(&self, pipe: &Arc<Pipe>) {
        self.with_peer(pipe, |core, key| {
            core.peers.end_stream(key);
            core.peers.set_info(key, None);
            core.pattern.closed(key, &mut core.peers);
        });
    }

    /// A peer takes no more messages, and sends none but those on their way.
    pub(crate) fn pipe_closed(&self, pipe: &Arc<Pipe>) {
        self.with_peer(pipe, |core, key| {
            core.peers.end_stream(key);
            core.peers.set_closed(key);
            core.pattern.closed(key, &mut core.peers);
            if core.peers.fill(key) {
                core.pattern.readable(key, &mut core.peers);
            }
        });
    }

    /// A peer that had nothing to read has something, or the end of it.
    pub(crate) fn pipe_readable(&self, pipe: &Arc<Pipe>) {
        self.with_peer(pipe, |core, key| {
            if core.peers.fill(key) {
                core.pattern.readable(key, &mut core.peers);
            }
        });
    }

    /// A peer that took no more messages takes some.
    pub(crate) fn pipe_writable(&self, pipe: &Arc<Pipe>) {
        self.with_peer(pipe, |core, key| core.writable(key));
    }

    /// Lets every call fail from now on.
    pub(crate) fn terminate(&self) {
        let mut core = self.core();
        if core.life == Life::Open {
            core.life = Life::Terminated;
        }
        self.release_ended(core);
        self.monitors.stop();
    }

    /// Ends everything; what is to be sent still is, within the linger time.
    pub(crate) fn close(&self, runtime: &Runtime) {
        let mut core = self.core();
        core.life = Life::Closed;
        let linger = core.peers.options.linger;
        let attachments = mem::take(&mut core.attachments);
        let keys: Vec<_> = core.peers.keys().collect();
        keys.iter().for_each(|&key| core.peers.bid_farewell(key));
        let ends: Vec<_> = keys.into_iter().filter_map(|key| core.peers.remove(key)).collect();
        self.release_ended(core);
        for attachment in &attachments {
            attachment.close(self, runtime, linger);
        }
        self.monitors.stop();
        runtime.inproc.forget(self);
        let mut effects = Effects::default();
        ends.into_iter().for_each(|end| dispose(end, true, &mut effects));
        effects.run();
    }
}

#[cfg(test)]
impl SocketInner {
    /// The way to the one peer, a remote one, that it has.
    pub(crate) fn only_outbox(&self) -> Arc<crate::pipe::Outbox> {
        let mut core = self.core();
        let peers = &mut core.peers;
        let key = peers.keys().next().expect("a peer");
        let (pipe, _) = peers.statistics(key).expect("it is there");
        pipe.outbox().expect("a remote one").clone()
    }
}

impl fmt::Debug for SocketInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketInner")
            .field("socket_type", &self.socket_type)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serverlink_zmtp::Version;

    use super::*;
    use crate::{Context, PeerProperties, pipe::Outbox};

    #[test]
    fn room_that_is_told_of_late_is_none_at_a_peer_that_is_not_there() {
        for socket_type in [SocketType::Push, SocketType::Dealer, SocketType::Pair] {
            let context = Context::new().unwrap();
            let socket = context.socket(socket_type).unwrap();
            socket.set_immediate(true).unwrap();
            let inner = &socket.inner;
            let outbox = Outbox::new(1, false, None, inner.pacer.clone());
            let end = PipeEnd::remote(Arc::downgrade(inner), 1, false, Arc::new(outbox));
            let pipe = end.pipe.clone();
            inner.attach(end, None);
            inner.pipe_writable(&pipe);
            assert!(matches!(socket.try_send("x").unwrap_err().error, Error::WouldBlock));
        }
    }

    /// It is lost just before, and made anew before that is seen.
    #[test]
    fn a_peer_that_the_user_ended_is_none_any_more() {
        for socket_type in [SocketType::Stream, SocketType::Router] {
            let context = Context::new().unwrap();
            let socket = context.socket(socket_type).unwrap();
            if socket_type == SocketType::Router {
                socket.set_router_raw(true).unwrap();
                socket.set_router_mandatory(true).unwrap();
            }
            let inner = &socket.inner;
            let outbox = Outbox::new(10, false, None, inner.pacer.clone());
            let end = PipeEnd::remote(Arc::downgrade(inner), 10, false, Arc::new(outbox));
            let pipe = end.pipe.clone();
            let stranger = || PeerProperties::of_stranger(Version::V1_0);
            let info = || Arc::new(PeerProperties { is_raw: true, ..stranger() });
            inner.attach_as(end, None, b"id");
            assert!(inner.pipe_ready(&pipe, info()));
            let send = |body| socket.try_send(["id", body].into_iter().collect::<Message>());
            send("some bytes").unwrap();
            send("").unwrap();
            inner.pipe_lost(&pipe);
            assert_eq!(socket.peer_count(), 0);
            assert!(inner.pipe_ready(&pipe, info()));
            assert_eq!(socket.peer_count(), 0);
            assert!(matches!(send("more").unwrap_err().error, Error::HostUnreachable { .. }));
        }
    }

    #[test]
    fn a_handshake_that_ends_while_the_socket_closes_is_in_time_for_what_was_sent() {
        let context = Context::new().unwrap();
        let socket = context.socket(SocketType::Push).unwrap();
        let inner = socket.inner.clone();
        let pipe = || {
            let outbox = Outbox::new(1, false, None, inner.pacer.clone());
            PipeEnd::remote(Arc::downgrade(&inner), 1, false, Arc::new(outbox))
        };
        let info = || PeerProperties::inproc(&Options::default(), SocketType::Pull);
        let (ours, another) = (pipe(), pipe().pipe.clone());
        let known = ours.pipe.clone();
        assert!(inner.attach(ours, None));
        assert!(inner.pipe_ready(&known, info()));
        assert!(!inner.pipe_ready(&another, info()));
        drop(socket);
        assert!(inner.pipe_ready(&known, info()));
    }
}
