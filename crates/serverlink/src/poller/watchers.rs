//! Who watches a socket.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use serverlink_io::Port;

use super::{Watch, signal::Signal};
use crate::{pattern::Pattern, socket::Peers};

/// What may be done with a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Receive,
    Send,
}

/// The polls that a socket is part of, and its event descriptors.
///
/// It is changed under the lock of the socket's core, and told of changes after that is released;
/// descriptors are set and reset under the lock, so that they always show the latest.
#[derive(Debug)]
pub(crate) struct Watchers {
    polls: Mutex<Vec<Arc<Watch>>>,
    polled: AtomicBool,
    descriptors: Mutex<[Weak<Signal>; 2]>,
    /// Whether there are any, by direction.
    shown: [AtomicBool; 2],
    /// A descriptor that tells of changes, if the user wants one.
    changes: OnceLock<Arc<Signal>>,
    /// Calls do not wait any more: everything stays ready.
    ended: AtomicBool,
    /// Where all the socket's connections are, if there is one such port.
    port: Option<Port>,
    /// Its I/O thread makes no pauses.
    hurried: AtomicBool,
}

impl Drop for Watchers {
    fn drop(&mut self) {
        if *self.hurried.get_mut()
            && let Some(port) = &self.port
        {
            port.end_hurry();
        }
    }
}

impl Watchers {
    /// None yet, of a socket whose connections are all on this port.
    pub(crate) fn new(port: Option<Port>) -> Self {
        Self {
            polls: Mutex::default(),
            polled: AtomicBool::default(),
            descriptors: Mutex::default(),
            shown: Default::default(),
            changes: OnceLock::default(),
            ended: AtomicBool::default(),
            port,
            hurried: AtomicBool::default(),
        }
    }

    fn polls(&self) -> MutexGuard<'_, Vec<Arc<Watch>>> {
        self.polls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn descriptors(&self) -> MutexGuard<'_, [Weak<Signal>; 2]> {
        self.descriptors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, poll: Arc<Watch>) {
        let mut polls = self.polls();
        polls.push(poll);
        self.polled.store(true, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, poll: &Arc<Watch>) {
        let mut polls = self.polls();
        polls.retain(|other| !Arc::ptr_eq(other, poll));
        self.polled.store(!polls.is_empty(), Ordering::Relaxed);
    }

    pub(crate) fn has_polls(&self) -> bool {
        self.polled.load(Ordering::Relaxed)
    }

    /// Tells all polls.
    pub(crate) fn tell(&self) {
        self.polls().iter().for_each(Watch::tell);
    }

    /// Whoever waits for a descriptor does so elsewhere than at the port, whose I/O thread is not to
    /// pause therefore.
    fn hurry(&self) {
        if let Some(port) = &self.port
            && !self.hurried.swap(true, Ordering::Relaxed)
        {
            port.begin_hurry();
        }
    }

    fn has_descriptor(&self, direction: Direction) -> bool {
        self.shown[direction as usize].load(Ordering::Relaxed)
    }

    pub(crate) fn descriptor(&self, direction: Direction) -> Option<Arc<Signal>> {
        self.descriptors()[direction as usize].upgrade()
    }

    pub(crate) fn set_descriptor(&self, direction: Direction, signal: &Arc<Signal>) {
        self.descriptors()[direction as usize] = Arc::downgrade(signal);
        self.shown[direction as usize].store(true, Ordering::Relaxed);
        self.hurry();
    }

    /// Has the descriptors show what is the case.
    pub(crate) fn show_all(&self, pattern: &mut dyn Pattern, peers: &mut Peers) {
        if self.has_descriptor(Direction::Receive) {
            self.show(Direction::Receive, pattern.can_receive(peers));
        }
        if self.has_descriptor(Direction::Send) {
            self.show(Direction::Send, pattern.can_send(peers));
        }
    }

    /// The descriptor that tells of changes; it is there for good.
    pub(crate) fn changes(&self) -> io::Result<&Arc<Signal>> {
        if self.changes.get().is_none() {
            let signal = Arc::new(Signal::new()?);
            signal.set(self.ended.load(Ordering::Relaxed));
            // That of another thread would do as well.
            let _ = self.changes.set(signal);
            self.hurry();
        }
        self.changes.get().ok_or_else(|| io::ErrorKind::Other.into())
    }

    /// Whether the user wants to be told of changes.
    pub(crate) fn tells_changes(&self) -> bool {
        self.changes.get().is_some()
    }

    /// Something has changed that the user does not know of.
    pub(crate) fn note_change(&self) {
        if let Some(changes) = self.changes.get() {
            changes.set(true);
        }
    }

    /// The user has seen what there is, or that there is nothing.
    pub(crate) fn note_seen(&self) {
        if let Some(changes) = self.changes.get() {
            changes.set(self.ended.load(Ordering::Relaxed));
        }
    }

    /// Has a descriptor show whether the socket is ready.
    fn show(&self, direction: Direction, ready: bool) {
        match self.descriptor(direction) {
            Some(signal) => signal.set(ready || self.ended.load(Ordering::Relaxed)),
            // The user has no use for it any more.
            None => self.shown[direction as usize].store(false, Ordering::Relaxed),
        }
    }

    /// From now on no call waits.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
        for direction in [Direction::Receive, Direction::Send] {
            self.show(direction, true);
        }
        self.note_change();
    }
}
