//! Batches of messages handed over under a lock.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Condvar, Mutex, PoisonError},
};

use bytes::Bytes;

use super::{BATCH, PREFIX};

/// How many batches may wait for one receiver. What is sent to several is not limited: the sender
/// would wait for one of them with the others in want.
const DEPTH: usize = 4;

/// How many messages sent by reference make a batch.
const REFERENCES: usize = 250;

/// Messages in one direction.
struct Queue {
    /// How many batches may wait.
    depth: usize,
    waiting: Mutex<VecDeque<Arc<Batch>>>,
    not_empty: Condvar,
    not_full: Condvar,
}

/// Frames one after the other, or references to large ones.
#[derive(Default)]
struct Batch {
    frames: Vec<u8>,
    references: Vec<Bytes>,
}

/// One end of links, and what it is at.
pub(super) struct Link {
    outward: Vec<Arc<Queue>>,
    inward: Arc<Queue>,
    collects: bool,
    outgoing: Batch,
    incoming: Arc<Batch>,
    /// Where the next frame of `incoming` begins, or which of its references is next.
    next: usize,
    /// The message received last.
    received: Received,
}

enum Received {
    Copy(Vec<u8>),
    Reference(Bytes),
}

/// The end that binds, which sends to all, and the ends that connect.
pub(super) fn links(peers: usize, collects: bool) -> (Link, Vec<Link>) {
    let inward = Queue::new(DEPTH);
    let depth = if peers > 1 { usize::MAX } else { DEPTH };
    let outward: Vec<_> = (0..peers).map(|_| Queue::new(depth)).collect();
    let theirs = outward.iter().map(|queue| Link::new(vec![inward.clone()], queue.clone(), false));
    let theirs = theirs.collect();
    (Link::new(outward, inward, collects), theirs)
}

impl Link {
    fn new(outward: Vec<Arc<Queue>>, inward: Arc<Queue>, collects: bool) -> Self {
        Self {
            outward,
            inward,
            collects,
            outgoing: Batch::default(),
            incoming: Arc::default(),
            next: 0,
            received: Received::Copy(Vec::new()),
        }
    }

    /// From now on, collects messages before they are passed on.
    pub(super) fn collect(&mut self) {
        self.collects = true;
    }

    pub(super) fn send(&mut self, body: &[u8]) {
        self.outgoing.frames.extend_from_slice(&(body.len() as u32).to_le_bytes());
        self.outgoing.frames.extend_from_slice(body);
        if !self.collects || self.outgoing.frames.len() >= BATCH {
            self.flush();
        }
    }

    pub(super) fn send_reference(&mut self, body: Bytes) {
        self.outgoing.references.push(body);
        if !self.collects || self.outgoing.references.len() >= REFERENCES {
            self.flush();
        }
    }

    /// Sends what was received last.
    pub(super) fn send_back(&mut self) {
        match mem::replace(&mut self.received, Received::Copy(Vec::new())) {
            Received::Copy(body) => {
                self.send(&body);
                self.received = Received::Copy(body);
            }
            Received::Reference(body) => self.send_reference(body),
        }
    }

    pub(super) fn flush(&mut self) {
        let Batch { frames, references } = &self.outgoing;
        if frames.is_empty() && references.is_empty() {
            return;
        }
        let room = Batch {
            frames: Vec::with_capacity(frames.capacity()),
            references: Vec::with_capacity(references.capacity()),
        };
        let batch = Arc::new(mem::replace(&mut self.outgoing, room));
        for queue in &self.outward {
            queue.push(batch.clone());
        }
    }

    pub(super) fn receive(&mut self) -> &[u8] {
        loop {
            let Batch { frames, references } = &*self.incoming;
            if let Some(reference) = references.get(self.next) {
                self.next += 1;
                self.received = Received::Reference(reference.clone());
                break;
            }
            let rest = frames.get(self.next..).unwrap_or_default();
            if let Some((prefix, rest)) = rest.split_first_chunk::<PREFIX>() {
                let length = u32::from_le_bytes(*prefix) as usize;
                self.next += PREFIX + length;
                let mut body = match mem::replace(&mut self.received, Received::Copy(Vec::new())) {
                    Received::Copy(body) => body,
                    Received::Reference(_) => Vec::new(),
                };
                body.clear();
                body.extend_from_slice(&rest[..length]);
                self.received = Received::Copy(body);
                break;
            }
            self.incoming = self.inward.pop();
            self.next = 0;
        }
        match &self.received {
            Received::Copy(body) => body,
            Received::Reference(body) => body,
        }
    }
}

impl Queue {
    fn new(depth: usize) -> Arc<Self> {
        Arc::new(Self {
            depth,
            waiting: Mutex::default(),
            not_empty: Condvar::new(),
            not_full: Condvar::new(),
        })
    }

    fn push(&self, batch: Arc<Batch>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        while waiting.len() >= self.depth {
            waiting = self.not_full.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.push_back(batch);
        let was_empty = waiting.len() == 1;
        drop(waiting);
        if was_empty {
            self.not_empty.notify_one();
        }
    }

    fn pop(&self) -> Arc<Batch> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = loop {
            if let Some(batch) = waiting.pop_front() {
                break batch;
            }
            waiting = self.not_empty.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        };
        let was_full = waiting.len() + 1 == self.depth;
        drop(waiting);
        if was_full {
            self.not_full.notify_all();
        }
        batch
    }
}
