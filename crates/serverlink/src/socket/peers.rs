//! The peers of one socket.

use std::sync::Arc;

use bytes::BytesMut;

use super::properties::{PeerInfo, Sources};
use crate::{
    Frame, Message, PeerStatistics,
    options::Options,
    pipe::{
        Arrivals, Collector, Consumer, Demand, Effect, Effects, Look, Pipe, PipeEnd, Refused,
        encode_once,
    },
    transport::Connection,
};

/// To more peers than this a message is not written by who sends it, whom that would keep too long, but
/// by the I/O thread: what follows meanwhile is written together.
const MANY: usize = 16;

/// All peers of a socket, each under a small number, its key; with them what patterns need
/// besides: the options, and the effects of what is being done.
#[derive(Debug)]
pub(crate) struct Peers {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// Peers that ended while the pattern was at work.
    ended: Vec<usize>,
    /// A message for many peers, encoded once.
    encoded: BytesMut,
    /// Something was sent to one of them: who only receives does not answer.
    answers: bool,
    pub(crate) effects: Effects,
    /// Shared with what was bound and connected while they were set so.
    pub(crate) options: Arc<Options>,
}

// On cache lines of its own: it changes with every message, and other sockets' slots may lie next
// to it.
#[derive(Debug)]
#[repr(align(128))]
struct Slot {
    end: PipeEnd,
    sources: Sources,
    /// Its handshake is done: what is known of it is its present source.
    ready: bool,
    closed: bool,
    /// Whether it takes messages only while it is there.
    immediate: bool,
    /// Whether it speaks no ZMTP.
    raw: bool,
    /// Whether we connect to it, and do so again when it is lost.
    comes_back: bool,
    /// Whether the user has ended its connection.
    finished: bool,
    dropped: u64,
}

/// One pair of cache lines. Models have larger atomics.
#[cfg(all(target_pointer_width = "64", not(loom)))]
const _: () = assert!(size_of::<Option<Slot>>() <= 128);

impl Slot {
    fn info(&self) -> Option<&PeerInfo> {
        self.sources.present().filter(|_| self.ready)
    }
}

impl Peers {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            ended: Vec::new(),
            encoded: BytesMut::new(),
            answers: false,
            effects: Effects::default(),
            options: Arc::new(options),
        }
    }

    /// Takes a pipe in and gives it its key. It is one of ours that connects, if its peer `is_to_come`.
    pub(crate) fn insert(&mut self, end: PipeEnd, is_to_come: bool) -> usize {
        let key = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        end.pipe.set_key(Some(key));
        let sources = Sources::default();
        let immediate = self.options.immediate;
        let is_remote = end.pipe.outbox().is_some();
        self.slots[key] = Some(Slot {
            end,
            sources,
            ready: false,
            closed: false,
            immediate,
            // Until it has told of itself: as the option says of what is connected to.
            raw: self.options.router_raw && is_remote,
            comes_back: is_to_come && is_remote,
            finished: false,
            dropped: 0,
        });
        key
    }

    /// Has the high-water marks hold for a peer as they are set now. True if it was full, and takes
    /// messages again.
    pub(super) fn apply_marks(&mut self, key: usize) -> bool {
        let (incoming, outgoing) = (self.options.receive_limit(), self.options.send_limit());
        let slot = self.slots.get_mut(key).and_then(Option::as_mut);
        slot.is_some_and(|slot| slot.end.set_limits(incoming, outgoing, &mut self.effects))
    }

    pub(crate) fn remove(&mut self, key: usize) -> Option<PipeEnd> {
        self.end_stream(key);
        let slot = self.slots.get_mut(key)?.take()?;
        self.free.push(key);
        slot.end.pipe.set_key(None);
        Some(slot.end)
    }

    /// The key of a pipe, if it is one of ours still.
    pub(crate) fn key_of(&self, pipe: &Arc<Pipe>) -> Option<usize> {
        let key = pipe.key();
        let slot = self.slots.get(key)?.as_ref()?;
        Arc::ptr_eq(&slot.end.pipe, pipe).then_some(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.slots.len()).filter(|&key| self.slots[key].is_some())
    }

    /// How many peers have completed their handshake and are there.
    pub(crate) fn ready_count(&self) -> usize {
        self.slots.iter().flatten().filter(|slot| slot.ready && !slot.closed).count()
    }

    #[inline]
    fn slot(&mut self, key: usize) -> Option<&mut Slot> {
        self.slots.get_mut(key)?.as_mut()
    }

    pub(crate) fn contains(&self, key: usize) -> bool {
        self.slots.get(key).is_some_and(Option::is_some)
    }

    pub(crate) fn info(&self, key: usize) -> Option<&PeerInfo> {
        self.slots.get(key)?.as_ref()?.info()
    }

    pub(crate) fn set_info(&mut self, key: usize, info: Option<PeerInfo>) {
        if let Some(slot) = self.slot(key) {
            slot.ready = info.is_some();
            if let Some(info) = info {
                let Arrivals { come, past, .. } = slot.end.arrivals();
                slot.raw = info.is_raw;
                slot.sources.begin(info, come, past);
            }
        }
    }

    /// What is known of the connection by which a peer's message came that was read last.
    pub(crate) fn source(&self, key: usize) -> Option<&PeerInfo> {
        let slot = self.slots.get(key)?.as_ref()?;
        slot.sources.of(slot.end.arrivals().last)
    }

    /// Notes that a message for a peer was dropped.
    #[cold]
    pub(crate) fn note_dropped(&mut self, key: usize) {
        if let Some(slot) = self.slot(key) {
            slot.dropped += 1;
        }
    }

    /// What has passed between the socket and a peer, and what waits.
    pub(super) fn statistics(&mut self, key: usize) -> Option<(Arc<Pipe>, PeerStatistics)> {
        let slot = self.slots.get_mut(key)?.as_mut()?;
        let mut statistics = slot.end.statistics();
        statistics.dropped += slot.dropped;
        Some((slot.end.pipe.clone(), statistics))
    }

    pub(crate) fn is_closed(&self, key: usize) -> bool {
        self.slots.get(key).and_then(Option::as_ref).is_some_and(|slot| slot.closed)
    }

    /// Whether the option said so when the peer was connected to.
    pub(crate) fn is_immediate(&self, key: usize) -> bool {
        self.slots.get(key).and_then(Option::as_ref).is_some_and(|slot| slot.immediate)
    }

    pub(crate) fn set_closed(&mut self, key: usize) {
        if let Some(slot) = self.slot(key) {
            slot.closed = true;
        }
    }

    /// Notes that a peer's last message is read.
    pub(crate) fn mark_ended(&mut self, key: usize) {
        self.ended.push(key);
    }

    pub(crate) fn next_ended(&mut self) -> Option<usize> {
        self.ended.pop()
    }

    /// Whether a peer has something to read. If not, its pipe is told of when it has.
    pub(crate) fn fill(&mut self, key: usize) -> bool {
        let Some(slot) = self.slot(key) else { return false };
        let there = slot.end.fetch();
        if !there && slot.closed {
            self.mark_ended(key);
        }
        there
    }

    /// Reads one message from a peer. False if it has none, as [`fill`](Self::fill) says.
    #[inline(always)]
    pub(crate) fn read(&mut self, key: usize, message: &mut Message) -> bool {
        let Some(slot) = self.slot(key) else { return false };
        message.clear();
        if let Some(queue) = slot.end.incoming()
            && queue.pop_into(message)
        {
            if queue.is_batch_over() {
                self.end_batch(key);
            }
            return true;
        }
        self.read_next_batch(key, message)
    }

    #[inline(never)]
    fn read_next_batch(&mut self, key: usize, message: &mut Message) -> bool {
        if !self.fill(key) {
            return false;
        }
        let answers = self.answers;
        let Some(slot) = self.slot(key) else { return false };
        if answers {
            slot.end.prepare();
        }
        let end = &mut slot.end;
        let read = end.incoming().is_some_and(|queue| queue.pop_into(message))
            || end.pipe.take_latest(message);
        if end.incoming().is_none_or(|queue| queue.is_batch_over()) {
            self.end_batch(key);
        }
        read
    }

    /// What `judge` says of the message that a peer would be read next, if it has one, as
    /// [`fill`](Self::fill) says.
    pub(crate) fn peek(
        &mut self,
        key: usize,
        judge: impl FnOnce(&Message) -> bool,
    ) -> Option<bool> {
        if !self.fill(key) {
            return None;
        }
        let end = &mut self.slot(key)?.end;
        match end.incoming().and_then(Consumer::peek) {
            Some(message) => Some(judge(message)),
            None => end.pipe.judge_latest(judge),
        }
    }

    /// A peer's batch is used up.
    #[inline(never)]
    fn end_batch(&mut self, key: usize) {
        let Some(slot) = self.slots.get_mut(key).and_then(Option::as_mut) else { return };
        if slot.end.incoming().is_some_and(Consumer::release) {
            self.effects.push(slot.end.writer_may_go_on());
        }
        if slot.closed {
            // Its end should not wait for another call.
            self.fill(key);
        }
    }

    /// Whether nothing is to be told, and nobody has ended.
    #[inline]
    pub(crate) fn is_quiet(&self) -> bool {
        self.effects.is_empty() && self.ended.is_empty()
    }

    /// Sends a message to a peer. It is left whole if it is refused, and as it happens to be if
    /// not.
    #[inline]
    pub(crate) fn write(&mut self, key: usize, message: &mut Message) -> Result<(), Refused> {
        self.answers = true;
        match self.slots.get_mut(key).and_then(Option::as_mut) {
            Some(slot) => slot.end.write(message, &mut self.effects),
            None => Err(Refused::Gone),
        }
    }

    /// Has a peer within the process receive an empty message before any other, if the socket is set so. To
    /// other peers it goes with each connection.
    pub(crate) fn probe(&mut self, key: usize) {
        let slot = self.slots.get(key).and_then(Option::as_ref);
        if self.options.probe_router && slot.is_some_and(|slot| slot.end.pipe.outbox().is_none()) {
            // There is room: nothing but a greeting has been sent before.
            let _ = self.write(key, &mut Message::from(Frame::new()));
        }
    }

    /// Sends bytes to a peer that speaks no ZMTP.
    pub(crate) fn write_raw(&mut self, key: usize, body: &Frame) -> Result<(), Refused> {
        match self.slots.get_mut(key).and_then(Option::as_mut) {
            Some(slot) => slot.end.write_raw(body, &mut self.effects),
            None => Err(Refused::Gone),
        }
    }

    /// Whether a peer speaks no ZMTP, or will not once it is there.
    pub(crate) fn is_raw(&self, key: usize) -> bool {
        self.slots.get(key).and_then(Option::as_ref).is_some_and(|slot| slot.raw)
    }

    /// Whether a peer is connected to again when it is lost.
    pub(crate) fn comes_back(&self, key: usize) -> bool {
        self.slots.get(key).and_then(Option::as_ref).is_some_and(|slot| slot.comes_back)
    }

    /// Whether a peer is whoever gets datagrams, of whom nothing is known.
    pub(crate) fn is_datagrams(&self, key: usize) -> bool {
        let slot = self.slots.get(key).and_then(Option::as_ref);
        slot.is_some_and(|slot| slot.end.is_datagrams())
    }

    /// Notes the number by which the pattern knows a peer.
    pub(crate) fn set_routing_id(&mut self, key: usize, id: u32) {
        if let Some(slot) = self.slot(key) {
            slot.end.pipe.set_routing_id(id);
        }
    }

    /// The socket leaves a peer within the process, which may be told so.
    pub(crate) fn bid_farewell(&mut self, key: usize) {
        if let Some(slot) = self.slots.get_mut(key).and_then(Option::as_mut) {
            slot.end.bid_farewell(&mut self.effects);
        }
    }

    /// Drops what is not written yet to a peer whose connection is lost.
    pub(crate) fn discard(&mut self, key: usize) {
        if let Some(slot) = self.slot(key) {
            slot.dropped += slot.end.discard() as u64;
        }
    }

    /// Ends a peer's connection once everything is sent, and for good.
    pub(crate) fn finish(&mut self, key: usize) {
        if let Some(slot) = self.slots.get_mut(key).and_then(Option::as_mut) {
            slot.finished = true;
            self.effects.push(Effect::Finish(slot.end.pipe.clone()));
        }
    }

    /// Whether that was said of it.
    pub(crate) fn is_finished(&self, key: usize) -> bool {
        self.slots.get(key).and_then(Option::as_ref).is_some_and(|slot| slot.finished)
    }

    /// Sends a message to many peers; tells `sent` of each whether it took the message.
    #[inline]
    pub(crate) fn write_copies(
        &mut self,
        keys: &[usize],
        message: &Message,
        mut sent: impl FnMut(usize, bool),
    ) {
        let encoded = match keys {
            [] | [_] => None,
            _ => encode_once(message, &mut self.encoded).then_some(&self.encoded[..]),
        };
        let among_many = keys.len() > MANY;
        for &key in keys {
            let slot = self.slots.get_mut(key).and_then(Option::as_mut);
            let result = slot.ok_or(Refused::Gone).and_then(|slot| {
                slot.end.write_copy(message, encoded, among_many, &mut self.effects)
            });
            if result.is_err()
                && let Some(slot) = self.slots.get_mut(key).and_then(Option::as_mut)
            {
                slot.dropped += 1;
            }
            sent(key, result.is_ok());
        }
    }

    pub(crate) fn has_room(&mut self, key: usize) -> bool {
        self.slot(key).is_some_and(|slot| slot.end.has_room())
    }

    /// Looks after the stream of messages to a peer that `connection` serves.
    pub(super) fn look(&mut self, key: usize, connection: &Connection, patient: bool) -> Look {
        match self.slot(key) {
            Some(slot) => slot.end.look(connection, patient),
            None => Collector::new().look(connection.outbox(), connection, patient),
        }
    }

    /// Hands over to a peer's connection what has collected for it, because the stream may be
    /// looked after no longer.
    pub(crate) fn end_stream(&mut self, key: usize) {
        if let Some(slot) = self.slot(key) {
            slot.end.end_stream();
        }
    }

    /// Tells a peer that we join a group, or leave it.
    pub(crate) fn write_membership(&mut self, key: usize, group: &[u8], join: bool) {
        if let Some(slot) = self.slots.get_mut(key).and_then(Option::as_mut)
            && slot.ready
        {
            slot.end.write_demand(Demand::Group(group), join, &mut self.effects);
        }
    }

    pub(crate) fn write_subscription(&mut self, key: usize, topic: &[u8], subscribe: bool) {
        if let Some(slot) = self.slots.get_mut(key).and_then(Option::as_mut)
            && let Some(version) = slot.info().map(|info| info.version)
        {
            let demand = Demand::Topic(topic, version);
            slot.end.write_demand(demand, subscribe, &mut self.effects);
        }
    }

    /// Whether a peer is there that takes subscriptions to patterns.
    pub(crate) fn takes_patterns(&self, key: usize) -> bool {
        self.info(key).is_some_and(|info| info.takes_patterns)
    }

    /// Tells a peer that takes such things that we subscribe to a pattern, or no longer.
    pub(crate) fn write_pattern(&mut self, key: usize, pattern: &[u8], subscribe: bool) {
        if let Some(slot) = self.slots.get_mut(key).and_then(Option::as_mut)
            && slot.info().is_some_and(|info| info.takes_patterns)
        {
            slot.end.write_demand(Demand::Pattern(pattern), subscribe, &mut self.effects);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;

    use bytes::Bytes;

    use super::*;
    use crate::pipe::{Outbox, Pacer, encodings};

    const MANY_PEERS: usize = 8;

    /// Peers behind connections, which are not there yet: what they are sent waits in their outboxes.
    fn remote_peers() -> (Peers, Vec<usize>, Vec<Arc<Outbox>>) {
        let mut peers = Peers::new(Options::default());
        let pacer = Arc::new(Pacer::new());
        let outbox = |_| Arc::new(Outbox::new(1000, false, None, pacer.clone()));
        let outboxes: Vec<_> = (0..MANY_PEERS).map(outbox).collect();
        let keys = outboxes.iter().map(|outbox| {
            peers.insert(PipeEnd::remote(Weak::new(), 1000, false, outbox.clone()), true)
        });
        let keys = keys.collect();
        (peers, keys, outboxes)
    }

    /// Sends `message` to all, and gives what then waits for each, and how often it was encoded.
    fn written(message: &Message) -> (Vec<Vec<Bytes>>, usize) {
        let (mut peers, keys, outboxes) = remote_peers();
        let encoded = encodings::during(|| {
            peers.write_copies(&keys, message, |_, sent| assert!(sent));
        });
        let waiting: Vec<_> = outboxes.iter().map(|outbox| outbox.take_waiting()).collect();
        assert!(waiting.iter().all(|segments| segments.concat() == waiting[0].concat()));
        (waiting, encoded)
    }

    /// How many of the peers' segments lie at that place.
    fn lying_at(waiting: &[Vec<Bytes>], place: *const u8) -> usize {
        waiting.iter().flatten().filter(|segment| segment.as_ptr() == place).count()
    }

    #[test]
    fn a_message_of_1_kib_is_encoded_once_for_all_and_copied_for_each() {
        let message = Message::from(vec![7; 1024]);
        let (waiting, encoded) = written(&message);
        assert_eq!(encoded, 1);
        for segments in &waiting {
            let [segment] = &segments[..] else { panic!("{} segments", segments.len()) };
            assert_eq!(segment.len(), 9 + 1024);
            assert_eq!(lying_at(&waiting, segment.as_ptr()), 1, "each has memory of its own");
        }
    }

    #[test]
    fn a_small_message_is_encoded_for_each() {
        let (_, encoded) = written(&Message::from([7; 64]));
        assert_eq!(encoded, MANY_PEERS);
    }

    /// What is encoded for each is the header.
    #[test]
    fn a_long_body_is_shared_by_all() {
        let message = Message::from(vec![7; 64 * 1024]);
        let (waiting, encoded) = written(&message);
        assert_eq!(encoded, MANY_PEERS);
        assert_eq!(lying_at(&waiting, message[0].as_ptr()), MANY_PEERS);
        let others = waiting.iter().flatten().filter(|segment| segment.len() < 64 * 1024);
        assert!(
            others.clone().count() == MANY_PEERS && others.clone().all(|header| header.len() == 9)
        );
    }
}
