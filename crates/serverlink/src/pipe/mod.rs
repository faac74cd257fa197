//! Pipes: the two-way link between a socket and one peer.

mod alone;
mod chunk;
mod collector;
mod effects;
mod form;
mod inlet;
mod outbox;
mod pacer;
#[allow(unsafe_code, reason = "hints to the processor are instructions of its own")]
mod prefetch;
#[allow(unsafe_code, reason = "its two ends share memory without a lock")]
mod queue;
mod staging;

use std::{
    mem,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicU32, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
pub(crate) use collector::Collector;
pub(crate) use effects::{Effect, Effects};
pub(crate) use form::Form;
use inlet::Inlet;
pub(crate) use outbox::{Finished, Flush, Look, Outbox};
pub(crate) use pacer::Pacer;
pub(crate) use queue::{Consumer, Producer};
use staging::Outgoing;
pub(crate) use staging::encode_once;
#[cfg(test)]
pub(crate) use staging::encodings;

use serverlink_zmtp::{Version, encode_membership, encode_pattern, encode_subscription};

use crate::{
    Frame, Message, PeerStatistics,
    cache::CachePadded,
    socket::SocketInner,
    transport::{Connection, Datagrams},
};

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The high-water mark is reached; the writer will be told when it may go on.
    Full,
    /// Nobody will ever take it.
    Gone,
}

/// What a socket wants to have from a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Demand<'a> {
    /// Messages that begin with it, said in the form that a peer of this version takes.
    Topic(&'a [u8], Version),
    /// Messages whose topic matches it, from a peer that takes patterns.
    Pattern(&'a [u8]),
    /// Messages to this group.
    Group(&'a [u8]),
}

/// One peer of one socket, as everybody may know it.
#[derive(Debug)]
pub(crate) struct Pipe {
    link: Link,
    owner: OnceLock<Weak<SocketInner>>,
    /// Of a pipe whose owner has the last message only, that one, until it is read.
    latest: Option<Box<Mutex<Latest>>>,
    /// Where the owner keeps it; `u32::MAX` until it does.
    key: AtomicU32,
    /// By what number its owner knows the peer, if it knows peers by numbers; zero if not.
    routing_id: AtomicU32,
}

/// Each connection has one.
#[cfg(all(target_pointer_width = "64", target_os = "linux"))]
const _: () = assert!(size_of::<Pipe>() <= 72);

#[derive(Debug, Default)]
struct Latest {
    message: Option<Message>,
    /// How many have come,
    come: usize,
    /// up to the one that was read last.
    read: usize,
    /// How many were not read before another took their place.
    replaced: u64,
}

/// How far the messages of a peer are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrivals {
    /// How many have come.
    pub(crate) come: usize,
    /// How many of them will not be read any more.
    pub(crate) past: usize,
    /// The number of the one that was read last.
    pub(crate) last: usize,
}

#[derive(Debug)]
enum Link {
    /// To a peer behind a connection.
    Remote { outbox: Arc<Outbox>, inlet: Inlet },
    /// To the pipe of a socket of the same context.
    Inproc {
        peer: OnceLock<Weak<Pipe>>,
        /// What it receives last when the owner leaves.
        farewell: OnceLock<Box<Bytes>>,
    },
    /// To whoever gets datagrams.
    Datagrams,
}

/// What the owner of a pipe has of it: the way of messages in, and the way out.
#[derive(Debug)]
pub(crate) struct PipeEnd {
    /// None until something has come from a remote peer.
    incoming: Option<Consumer<Message>>,
    outward: Outward,
    pub(crate) pipe: Arc<Pipe>,
}

#[derive(Debug)]
enum Outward {
    Remote {
        outbox: Arc<Outbox>,
        collector: Collector,
    },
    Inproc(Box<CachePadded<Producer<Message>>>),
    /// To a pipe within the process of which only the last message waits.
    Latest(Box<CachePadded<Producer<Message>>>),
    Datagrams(Arc<Datagrams>),
}

impl Pipe {
    fn new(link: Link, conflate: bool) -> Arc<Self> {
        Arc::new(Self {
            link,
            owner: OnceLock::new(),
            latest: conflate.then(Box::default),
            key: AtomicU32::new(u32::MAX),
            routing_id: AtomicU32::new(0),
        })
    }

    /// Whether its owner has the last message only.
    pub(crate) fn is_conflating(&self) -> bool {
        self.latest.is_some()
    }

    /// Puts a message in the place of the last one. True if that was read, and the owner must be
    /// told.
    pub(crate) fn set_latest(&self, message: Message) -> bool {
        let Some(latest) = &self.latest else { return false };
        let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
        let was_read = latest.message.replace(message).is_none();
        latest.come += 1;
        latest.replaced += u64::from(!was_read);
        was_read
    }

    /// How many messages were not read before another took their place.
    fn replaced(&self) -> u64 {
        let latest = self.latest.as_ref();
        latest.map_or(0, |latest| latest.lock().unwrap_or_else(PoisonError::into_inner).replaced)
    }

    #[inline]
    pub(crate) fn has_latest(&self) -> bool {
        self.latest.as_deref().is_some_and(is_there)
    }

    /// What `judge` says of the last message, if it has not been read.
    pub(crate) fn judge_latest(&self, judge: impl FnOnce(&Message) -> bool) -> Option<bool> {
        let latest = self.latest.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        latest.message.as_ref().map(judge)
    }

    /// How many messages have come, where only the last one waits, how many of them are past, and the
    /// number of the one that was read last.
    #[cold]
    fn latest_arrivals(&self) -> Option<Arrivals> {
        let latest = self.latest.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let Latest { message, come, read, .. } = &*latest;
        let past = come - usize::from(message.is_some());
        Some(Arrivals { come: *come, past, last: read.saturating_sub(1) })
    }

    /// Reads the last message, if it has not been read.
    #[inline]
    pub(crate) fn take_latest(&self, message: &mut Message) -> bool {
        self.latest.as_deref().is_some_and(|latest| take(latest, message))
    }

    /// Gives the pipe its owner, once.
    pub(crate) fn set_owner(&self, owner: Weak<SocketInner>) {
        let fresh = self.owner.set(owner).is_ok();
        debug_assert!(fresh, "a pipe has one owner for its life");
    }

    /// Has the other end, within the process, receive this when the owner leaves, unless it is empty.
    pub(crate) fn set_farewell(&self, message: &Bytes) {
        if let Link::Inproc { farewell, .. } = &self.link
            && !message.is_empty()
        {
            let _ = farewell.set(Box::new(message.clone()));
        }
    }

    pub(crate) fn owner(&self) -> Option<Arc<SocketInner>> {
        self.owner.get()?.upgrade()
    }

    pub(crate) fn key(&self) -> usize {
        self.key.load(Ordering::Relaxed) as usize
    }

    pub(crate) fn set_key(&self, key: Option<usize>) {
        let key = key.and_then(|key| key.try_into().ok()).unwrap_or(u32::MAX);
        self.key.store(key, Ordering::Relaxed);
    }

    pub(crate) fn routing_id(&self) -> u32 {
        self.routing_id.load(Ordering::Relaxed)
    }

    pub(crate) fn set_routing_id(&self, id: u32) {
        self.routing_id.store(id, Ordering::Relaxed);
    }

    pub(crate) fn outbox(&self) -> Option<&Arc<Outbox>> {
        match &self.link {
            Link::Remote { outbox, .. } => Some(outbox),
            Link::Inproc { .. } | Link::Datagrams => None,
        }
    }

    /// The other end, of a pipe within the process.
    pub(crate) fn inproc_peer(&self) -> Option<Arc<Self>> {
        match &self.link {
            Link::Remote { .. } | Link::Datagrams => None,
            Link::Inproc { peer, .. } => peer.get()?.upgrade(),
        }
    }

    /// Has the other end told that there is something to read.
    #[cold]
    fn tell_peer(&self, effects: &mut Effects) {
        if let Some(peer) = self.inproc_peer() {
            effects.push(Effect::Readable(peer));
        }
    }

    /// Takes the way in, for a connection to a remote peer that has a message, or if something has come by
    /// one before: there may be no room. None if nobody reads, or the last message only.
    pub(crate) fn take_inlet(&self, has_message: bool) -> Option<Box<Producer<Message>>> {
        self.inlet().filter(|_| !self.is_conflating())?.take_producer(has_message)
    }

    /// Gives it back, for the next connection.
    pub(crate) fn give_inlet(&self, inlet: Box<Producer<Message>>) {
        if let Some(place) = self.inlet() {
            place.give_producer(inlet);
        }
    }

    fn inlet(&self) -> Option<&Inlet> {
        match &self.link {
            Link::Remote { inlet, .. } => Some(inlet),
            Link::Inproc { .. } | Link::Datagrams => None,
        }
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        if self.incoming.is_none()
            && let Some(inlet) = self.pipe.inlet()
        {
            inlet.abandon();
        }
    }
}

#[cold]
fn is_there(latest: &Mutex<Latest>) -> bool {
    latest.lock().unwrap_or_else(PoisonError::into_inner).message.is_some()
}

#[cold]
fn take(latest: &Mutex<Latest>, message: &mut Message) -> bool {
    let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(taken) = latest.message.take() else { return false };
    *message = taken;
    latest.read = latest.come;
    true
}

impl PipeEnd {
    /// Something will be sent soon: fetches what that needs into the cache.
    #[inline]
    pub(crate) fn prepare(&self) {
        if let Outward::Remote { outbox, .. } = &self.outward {
            prefetch::whole(&**outbox);
        }
    }

    /// The end of a pipe of `owner` to a remote peer.
    pub(crate) fn remote(
        owner: Weak<SocketInner>,
        limit: usize,
        conflate: bool,
        outbox: Arc<Outbox>,
    ) -> Self {
        let link = Link::Remote { outbox: outbox.clone(), inlet: Inlet::new(limit) };
        let pipe = Pipe::new(link, conflate);
        pipe.set_owner(owner);
        let outward = Outward::Remote { outbox, collector: Collector::new() };
        Self { incoming: None, outward, pipe }
    }

    /// The end of a pipe of `owner` to whoever gets datagrams, and the way in of those that come.
    pub(crate) fn datagrams(
        owner: Weak<SocketInner>,
        limit: usize,
        link: Arc<Datagrams>,
    ) -> (Self, Producer<Message>) {
        let (inlet, incoming) = queue::channel(limit);
        let pipe = Pipe::new(Link::Datagrams, false);
        pipe.set_owner(owner);
        (Self { incoming: Some(incoming), outward: Outward::Datagrams(link), pipe }, inlet)
    }

    /// Whether it leads to whoever gets datagrams, of whom nothing is known.
    pub(crate) fn is_datagrams(&self) -> bool {
        matches!(self.outward, Outward::Datagrams(_))
    }

    /// The ends of two pipes joined to each other, not yet owned, which take nothing before either end
    /// is told its [limits](Self::set_limits); whether only the last message waits for each of them.
    pub(crate) fn inproc_pair(conflate: [bool; 2]) -> (Self, Self) {
        let [a, b] = conflate.map(|conflate| {
            let (peer, farewell) = Default::default();
            Pipe::new(Link::Inproc { peer, farewell }, conflate)
        });
        for (one, other) in [(&a, &b), (&b, &a)] {
            if let Link::Inproc { peer, .. } = &one.link {
                let _ = peer.set(Arc::downgrade(other));
            }
        }
        let (to_a, from_b) = queue::channel(0);
        let (to_b, from_a) = queue::channel(0);
        let outward = |conflate, queue| {
            let queue = Box::new(CachePadded(queue));
            if conflate { Outward::Latest(queue) } else { Outward::Inproc(queue) }
        };
        (
            Self { incoming: Some(from_b), outward: outward(conflate[1], to_b), pipe: a },
            Self { incoming: Some(from_a), outward: outward(conflate[0], to_a), pipe: b },
        )
    }

    /// The queue of what comes in, if it is known to be there: a look at it says what has come before, not
    /// what has come first.
    #[inline(always)]
    pub(crate) fn incoming(&mut self) -> Option<&mut Consumer<Message>> {
        self.incoming.as_mut()
    }

    /// Looks whether there is anything to read. If not, the pipe is told of when there is.
    pub(crate) fn fetch(&mut self) -> bool {
        self.take_over(None).is_some_and(Consumer::fetch) || self.pipe.has_latest()
    }

    /// How far the messages of the peer are.
    pub(crate) fn arrivals(&self) -> Arrivals {
        self.pipe.latest_arrivals().unwrap_or_else(|| {
            let (come, unread) = self.counts();
            let past = come.saturating_sub(unread);
            Arrivals { come, past, last: past.saturating_sub(1) }
        })
    }

    /// How many messages have come so far, and how many of them are unread.
    fn counts(&self) -> (usize, usize) {
        self.incoming.as_ref().map_or((0, 0), Consumer::counts)
    }

    /// The queue of what comes in, if there is one by now; if not, so many messages may wait in it, if that
    /// is told.
    #[inline]
    fn take_over(&mut self, limit: Option<usize>) -> Option<&mut Consumer<Message>> {
        if self.incoming.is_none() {
            self.incoming = self.pipe.inlet()?.take_consumer(limit);
        }
        self.incoming.as_mut()
    }

    /// Changes how many messages the owner lets wait each way; within the process the other end allows
    /// some besides. True if the way out was full, and no longer is.
    pub(crate) fn set_limits(
        &mut self,
        incoming: usize,
        outgoing: usize,
        effects: &mut Effects,
    ) -> bool {
        if self.take_over(Some(incoming)).is_some_and(|queue| queue.allow(incoming)) {
            effects.push(self.writer_may_go_on());
        }
        match &mut self.outward {
            Outward::Remote { outbox, collector } => collector.set_limit(outbox, outgoing),
            Outward::Inproc(queue) => queue.allow(outgoing),
            Outward::Latest(_) | Outward::Datagrams(_) => false,
        }
    }

    /// What to do when who writes into the pipe was blocked, and need not be any more.
    pub(crate) fn writer_may_go_on(&self) -> Effect {
        match self.pipe.inproc_peer() {
            Some(peer) => Effect::Writable(peer),
            None => Effect::Resume(self.pipe.clone()),
        }
    }

    /// Sends a message down the pipe. It is left whole if it is refused, and as it happens to be
    /// if not.
    #[inline(always)]
    pub(crate) fn write(
        &mut self,
        message: &mut Message,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        match &mut self.outward {
            Outward::Remote { outbox, collector } => {
                collector.push(outbox, Outgoing::Message(message), false, effects)?;
            }
            Outward::Inproc(queue) => {
                if queue.push(message)? {
                    self.pipe.tell_peer(effects);
                }
            }
            Outward::Latest(queue) => {
                let peer = self.pipe.inproc_peer().filter(|_| !queue.is_abandoned());
                if peer.ok_or(Refused::Gone)?.set_latest(mem::take(message)) {
                    self.pipe.tell_peer(effects);
                }
            }
            Outward::Datagrams(link) => link.send(message),
        }
        Ok(())
    }

    /// Sends a message down the pipe that others get too, maybe many; `encoded`, if it could be.
    pub(crate) fn write_copy(
        &mut self,
        message: &Message,
        encoded: Option<&[u8]>,
        among_many: bool,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        match &mut self.outward {
            Outward::Remote { outbox, collector } => {
                let outgoing = encoded.map_or(Outgoing::Message(message), Outgoing::Encoded);
                collector.push(outbox, outgoing, among_many, effects)
            }
            Outward::Inproc(queue) => match message.only_frame().and_then(Frame::as_inline) {
                Some((window, len)) => {
                    if queue.push_with(|copy| copy.set_inline(window, len))? {
                        self.pipe.tell_peer(effects);
                    }
                    Ok(())
                }
                None => self.write(&mut message.clone(), effects),
            },
            Outward::Latest(_) => self.write(&mut message.clone(), effects),
            Outward::Datagrams(link) => {
                link.send(message);
                Ok(())
            }
        }
    }

    /// What has passed so far, and what waits.
    pub(crate) fn statistics(&mut self) -> PeerStatistics {
        _ = self.take_over(None);
        let (received, queued_incoming) = self.counts();
        let mut statistics = PeerStatistics {
            messages_received: received as u64,
            queued_incoming,
            dropped: self.pipe.replaced(),
            ..PeerStatistics::default()
        };
        match &self.outward {
            Outward::Remote { outbox, collector } => {
                let written = outbox.written();
                statistics.messages_sent = written.messages;
                statistics.bytes_sent = written.bytes;
                statistics.queued_outgoing = written.queued + collector.queued();
                statistics.queued_outgoing_bytes =
                    written.queued_bytes + collector.queued_bytes() as u64;
                statistics.dropped += written.replaced;
            }
            Outward::Inproc(queue) | Outward::Latest(queue) => {
                let (sent, queued_outgoing) = queue.counts();
                statistics.messages_sent = sent as u64;
                statistics.queued_outgoing = queued_outgoing;
                // They wait at the peer, for us as for it.
                let peer = self.pipe.inproc_peer();
                statistics.dropped += peer.map_or(0, |peer| peer.replaced());
            }
            // What was sent is not counted: nobody knows what became of it.
            Outward::Datagrams(link) => statistics.dropped += link.dropped(),
        }
        statistics
    }

    /// Sends bytes to a peer that speaks no ZMTP.
    pub(crate) fn write_raw(&mut self, body: &Frame, effects: &mut Effects) -> Result<(), Refused> {
        match &mut self.outward {
            Outward::Remote { outbox, collector } => {
                collector.push(outbox, Outgoing::Raw(body), false, effects)
            }
            Outward::Inproc(_) | Outward::Latest(_) | Outward::Datagrams(_) => {
                self.write(&mut Message::from(body), effects)
            }
        }
    }

    /// The owner leaves: sends what the other end is to receive then.
    pub(crate) fn bid_farewell(&mut self, effects: &mut Effects) {
        if let Link::Inproc { farewell, .. } = &self.pipe.link
            && let Some(farewell) = farewell.get().map(Box::as_ref)
            && let Outward::Inproc(queue) | Outward::Latest(queue) = &mut self.outward
            && queue.push_urgent(Message::from(farewell.clone()))
        {
            self.pipe.tell_peer(effects);
        }
    }

    /// Drops what is not written yet to a peer whose connection is lost, and says how many messages
    /// that was.
    pub(crate) fn discard(&mut self) -> usize {
        match &mut self.outward {
            Outward::Remote { outbox, collector } => collector.discard(outbox),
            Outward::Inproc(_) | Outward::Latest(_) | Outward::Datagrams(_) => 0,
        }
    }

    /// Whether a message would be taken now. If not, the owner is told when it will be.
    pub(crate) fn has_room(&mut self) -> bool {
        match &mut self.outward {
            Outward::Remote { outbox, collector } => collector.has_room(outbox),
            Outward::Inproc(queue) => !queue.is_abandoned() && queue.room() > 0,
            Outward::Latest(queue) => !queue.is_abandoned(),
            Outward::Datagrams(_) => true,
        }
    }

    /// Looks after the stream of messages to a peer that `connection` serves.
    pub(crate) fn look(&mut self, connection: &Connection, patient: bool) -> Look {
        match &mut self.outward {
            Outward::Remote { outbox, collector } => collector.look(outbox, connection, patient),
            Outward::Inproc(_) | Outward::Latest(_) | Outward::Datagrams(_) => Look::Over,
        }
    }

    /// Hands over to a peer's connection what has collected for it, because the stream may be
    /// looked after no longer.
    pub(crate) fn end_stream(&mut self) {
        if let Outward::Remote { outbox, collector } = &mut self.outward {
            collector.end_stream(outbox);
        }
    }

    /// Tells the peer what the owner wants to have from now on, or no longer; no high-water mark holds
    /// that back.
    #[inline(never)]
    pub(crate) fn write_demand(&mut self, demand: Demand<'_>, begins: bool, effects: &mut Effects) {
        match &mut self.outward {
            Outward::Remote { outbox, .. } => {
                let mut bytes = BytesMut::new();
                match demand {
                    Demand::Topic(topic, version) => {
                        encode_subscription(&mut bytes, version, topic, begins);
                    }
                    Demand::Pattern(pattern) => encode_pattern(&mut bytes, pattern, begins),
                    Demand::Group(group) => encode_membership(&mut bytes, group, begins),
                }
                effects.flush(outbox.push_command(bytes.freeze()));
            }
            Outward::Inproc(queue) | Outward::Latest(queue) => {
                let message = match demand {
                    Demand::Topic(topic, _) => {
                        let mut body = Vec::with_capacity(topic.len() + 1);
                        body.push(u8::from(begins));
                        body.extend_from_slice(topic);
                        Message::from(body)
                    }
                    Demand::Pattern(name) | Demand::Group(name) => {
                        Message::of_membership(name, begins)
                    }
                };
                if queue.push_urgent(message) {
                    self.pipe.tell_peer(effects);
                }
            }
            Outward::Datagrams(_) => {}
        }
    }
}
