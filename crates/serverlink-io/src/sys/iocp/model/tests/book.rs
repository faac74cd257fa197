//! What is known of an entry.

use std::sync::{Arc, Mutex, Weak};

use crate::{
    Direction,
    sys::iocp::{entry::Entry, inner::Inner},
};

/// What an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Accept,
    Connect,
    Receive,
    Send,
    Probe,
}
/// One operation that began and has not ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) kind: Kind,
    pub(super) cancelled: bool,
    /// It occupies the other direction, too.
    pub(super) both: bool,
}

/// What is known of an entry.
#[derive(Default)]
pub(super) struct Book {
    pub(super) retired: bool,
    pub(super) inward: Option<Begun>,
    pub(super) outward: Option<Begun>,
    pub(super) received: usize,
    pub(super) sent: Vec<u8>,
    pub(super) events: usize,
}

impl Book {
    pub(super) fn slot(&mut self, direction: Direction) -> &mut Option<Begun> {
        match direction {
            Direction::Inward => &mut self.inward,
            Direction::Outward => &mut self.outward,
        }
    }

    /// The operation that occupies a direction.
    pub(super) fn occupant(&mut self, direction: Direction) -> Option<&mut Begun> {
        let linked = direction == Direction::Outward && self.inward.is_some_and(|begun| begun.both);
        let direction = if linked { Direction::Inward } else { direction };
        self.slot(direction).as_mut()
    }
}

/// An entry in the world.
pub(super) struct Peer {
    pub(super) entry: Mutex<Option<Arc<Entry>>>,
    pub(super) book: Mutex<Book>,
    pub(super) handle: usize,
    pub(super) watched: bool,
    pub(super) inner: Weak<Inner>,
}
