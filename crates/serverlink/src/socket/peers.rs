//! The peers of one socket.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use serverlink_zmtp::Version;

use crate::{
    Message,
    options::Options,
    pipe::{Effect, Effects, Pipe, Refused, Taken},
};

/// What the handshake told of a peer.
#[derive(Debug, Clone)]
pub(crate) struct PeerInfo {
    pub(crate) routing_id: Bytes,
    /// The protocol's version it speaks.
    pub(crate) version: Version,
}

/// All peers of a socket, each under a small number, its key; with them what patterns need
/// besides: the options, and the effects of what is being done.
#[derive(Debug)]
pub(crate) struct Peers {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
    /// Peers that ended while the pattern was at work.
    ended: Vec<usize>,
    pub(crate) effects: Effects,
    pub(crate) options: Options,
}

#[derive(Debug)]
struct Slot {
    pipe: Arc<Pipe>,
    /// The batch being read.
    batch: VecDeque<Message>,
    info: Option<PeerInfo>,
    closed: bool,
}

impl Peers {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            ended: Vec::new(),
            effects: Effects::default(),
            options,
        }
    }

    /// Takes a pipe in and gives it its key.
    pub(crate) fn insert(&mut self, pipe: Arc<Pipe>) -> usize {
        let key = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        pipe.set_key(key);
        self.slots[key] = Some(Slot { pipe, batch: VecDeque::new(), info: None, closed: false });
        key
    }

    pub(crate) fn remove(&mut self, key: usize) -> Option<Arc<Pipe>> {
        let slot = self.slots.get_mut(key)?.take()?;
        self.free.push(key);
        slot.pipe.set_key(usize::MAX);
        Some(slot.pipe)
    }

    /// The key of a pipe, if it is one of ours still.
    pub(crate) fn key_of(&self, pipe: &Arc<Pipe>) -> Option<usize> {
        let key = pipe.key();
        let slot = self.slots.get(key)?.as_ref()?;
        Arc::ptr_eq(&slot.pipe, pipe).then_some(key)
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.slots.len()).filter(|&key| self.slots[key].is_some())
    }

    /// How many peers have completed their handshake and are there.
    pub(crate) fn ready_count(&self) -> usize {
        self.slots.iter().flatten().filter(|slot| slot.info.is_some() && !slot.closed).count()
    }

    fn slot(&mut self, key: usize) -> Option<&mut Slot> {
        self.slots.get_mut(key)?.as_mut()
    }

    pub(crate) fn pipe(&self, key: usize) -> Option<&Arc<Pipe>> {
        Some(&self.slots.get(key)?.as_ref()?.pipe)
    }

    pub(crate) fn info(&self, key: usize) -> Option<&PeerInfo> {
        self.slots.get(key)?.as_ref()?.info.as_ref()
    }

    pub(crate) fn set_info(&mut self, key: usize, info: Option<PeerInfo>) {
        if let Some(slot) = self.slot(key) {
            slot.info = info;
        }
    }

    pub(crate) fn is_closed(&self, key: usize) -> bool {
        self.slots.get(key).and_then(Option::as_ref).is_some_and(|slot| slot.closed)
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

    /// Fetches the next batch if the last one is used up; true if there is something to read.
    pub(crate) fn fill(&mut self, key: usize) -> bool {
        let Some(slot) = self.slots.get_mut(key).and_then(Option::as_mut) else { return false };
        if !slot.batch.is_empty() {
            return true;
        }
        let (taken, resume) = slot.pipe.incoming.take(&mut slot.batch);
        if resume {
            match slot.pipe.inproc_peer() {
                Some(peer) => self.effects.push(Effect::Writable(peer)),
                None => self.effects.push(Effect::Resume(slot.pipe.clone())),
            }
        }
        match taken {
            Taken::Some => true,
            Taken::Asleep => false,
            Taken::Ended => {
                self.mark_ended(key);
                false
            }
        }
    }

    /// Reads one message from a peer; tells whether there are more. Nothing, if it has none.
    pub(crate) fn read(&mut self, key: usize, message: &mut Message) -> Option<bool> {
        *message = self.slot(key)?.batch.pop_front()?;
        Some(self.fill(key))
    }

    /// Sends a message to a peer. It is left whole if it is refused, and as it happens to be if
    /// not.
    pub(crate) fn write(&mut self, key: usize, message: &mut Message) -> Result<(), Refused> {
        match self.slots.get(key).and_then(Option::as_ref) {
            Some(slot) => slot.pipe.write(message, &mut self.effects),
            None => Err(Refused::Gone),
        }
    }

    /// Sends a message to a peer, for others to get it too.
    pub(crate) fn write_copy(&mut self, key: usize, message: &Message) -> Result<(), Refused> {
        match self.slots.get(key).and_then(Option::as_ref) {
            Some(slot) => slot.pipe.write_copy(message, &mut self.effects),
            None => Err(Refused::Gone),
        }
    }

    pub(crate) fn has_room(&self, key: usize) -> bool {
        self.pipe(key).is_some_and(|pipe| pipe.has_room())
    }

    pub(crate) fn write_subscription(&mut self, key: usize, topic: &[u8], subscribe: bool) {
        if let Some(slot) = self.slots.get(key).and_then(Option::as_ref)
            && let Some(info) = &slot.info
        {
            slot.pipe.write_subscription(topic, subscribe, info.version, &mut self.effects);
        }
    }
}
