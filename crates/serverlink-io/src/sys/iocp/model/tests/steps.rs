//! What threads do, and the kernel.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use bytes::{Bytes, BytesMut};

use super::{
    super::{Schedule as _, socket::address},
    book::{Begun, Kind, Peer},
    judge::BEFORE,
    world::World,
};
use crate::{
    Direction, Event, Interest, Sending,
    errors::is_cancelled,
    lock::lock,
    sys::{Backend as _, Entry as _, iocp::shared::POSTS},
};

impl World {
    /// Something that a thread does, or the kernel.
    pub(super) fn step(&self) {
        let peers = lock(&self.peers).clone();
        let peer = &peers[self.choose(peers.len())];
        match self.choose(16) {
            0..=4 => {
                self.tell(format_args!("the kernel goes on"));
                self.model.proceed(false);
            }
            5 => self.begin(peer, Kind::Receive),
            6 => self.begin(peer, Kind::Send),
            7 => {
                let kind = [Kind::Accept, Kind::Connect, Kind::Probe][self.choose(3)];
                self.begin(peer, kind);
            }
            8 | 9 => self.cancel(peer, self.direction()),
            10 => self.turn(),
            11 => match self.choose(4) {
                0 => self.retire(peer, false),
                1 => self.retire(peer, true),
                2 => self.budget(),
                _ => self.shutdown(peer),
            },
            12 => self.wake(),
            // Never as often as would make the backend give up.
            13 => self.model.fail_posts(self.choose(30), POSTS - 1),
            14 if self.choose(8) == 7 => self.stop(),
            15 if self.choose(4) == 3 => self.panics.store(true, Ordering::SeqCst),
            _ => {}
        }
    }

    pub(super) fn direction(&self) -> Direction {
        [Direction::Inward, Direction::Outward][self.choose(2)]
    }

    /// Takes the engine's buffers away from the next receives, or gives them back.
    pub(super) fn budget(&self) {
        let port = self.port();
        let mut armed = lock(&self.armed);
        if armed.is_empty() {
            armed.extend(std::iter::from_fn(|| port.shared.buffers.arm()));
        } else {
            armed.clear();
        }
    }

    /// Starts an operation, and knows whether it must be refused.
    pub(super) fn begin(&self, peer: &Arc<Peer>, kind: Kind) {
        let Some(entry) = lock(&peer.entry).clone() else { return };
        let (readable, writable) = match kind {
            Kind::Probe => [(true, false), (false, true), (true, true)][self.choose(3)],
            Kind::Accept | Kind::Receive => (true, false),
            Kind::Connect | Kind::Send => (false, true),
        };
        let direction = if readable { Direction::Inward } else { Direction::Outward };
        let refused = {
            let mut book = lock(&peer.book);
            let other = if readable { book.outward } else { book.inward };
            if kind == Kind::Probe && other.is_some_and(|begun| begun.kind == Kind::Probe) {
                // Of two probes, one each way, an event would not tell which it ends.
                return;
            }
            let busy = readable && book.occupant(Direction::Inward).is_some()
                || writable && book.occupant(Direction::Outward).is_some();
            if book.retired {
                Some("retired")
            } else if peer.watched && kind != Kind::Probe {
                Some("only probes")
            } else if busy {
                Some("busy")
            } else {
                let both = readable && writable;
                *book.slot(direction) = Some(Begun { kind, cancelled: false, both });
                None
            }
        };
        self.began.store(true, Ordering::SeqCst);
        self.tell(format_args!("{}: begin {kind:?} {direction:?}, {refused:?}", peer.handle));
        let result = match kind {
            Kind::Accept => entry.accept(),
            Kind::Connect => entry.connect(&address(9)),
            Kind::Receive => entry.receive(self.buffer()),
            Kind::Probe => entry.probe(Interest { readable, writable }),
            Kind::Send => match entry.send(self.bytes()) {
                Sending::Pending => Ok(()),
                Sending::Done { sent: 0, result: Err(error), .. } if refused.is_some() => {
                    Err(error)
                }
                Sending::Done { buffers, sent, result } => {
                    let event = Event::Sent { buffers, sent, result };
                    return self.ended(peer, event, false);
                }
            },
        };
        // Again: a turn within the call may have taken the first for its excuse.
        self.began.store(true, Ordering::SeqCst);
        self.tell(format_args!("{}: begun {kind:?}: {result:?}", peer.handle));
        match (result, refused) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some(why)) => self.fail(format!("{kind:?} began, though {why}")),
            (Err(error), None) => {
                // What the system says to the preparations, or a retirement meanwhile.
                let mut book = lock(&peer.book);
                *book.slot(direction) = None;
                let retired = book.retired;
                drop(book);
                if kind == Kind::Receive && !retired {
                    self.fail(format!("a receive was refused: {error}"));
                }
                if is_cancelled(&error) {
                    self.fail("a refusal says cancelled");
                }
            }
        }
    }

    pub(super) fn buffer(&self) -> Option<BytesMut> {
        match self.choose(3) {
            0 => None,
            1 => Some(BytesMut::with_capacity(16)),
            _ => {
                let mut buffer = BytesMut::with_capacity(64);
                buffer.extend_from_slice(BEFORE);
                Some(buffer)
            }
        }
    }

    /// Some buffers, a few more than one call gathers at times.
    pub(super) fn bytes(&self) -> Vec<Bytes> {
        let count = if self.choose(8) == 7 { 70 } else { self.choose(4) };
        let mut next = 0_u8;
        (0..count)
            .map(|_| {
                let length = self.choose(24);
                (0..length)
                    .map(|_| {
                        next = next.wrapping_add(1);
                        next
                    })
                    .collect()
            })
            .collect()
    }

    pub(super) fn cancel(&self, peer: &Arc<Peer>, direction: Direction) {
        let Some(entry) = lock(&peer.entry).clone() else { return };
        if let Some(begun) = lock(&peer.book).occupant(direction) {
            begun.cancelled = true;
        }
        self.tell(format_args!("{}: cancel {direction:?}", peer.handle));
        entry.cancel(direction);
    }

    pub(super) fn retire(&self, peer: &Arc<Peer>, by_dropping: bool) {
        let Some(entry) = lock(&peer.entry).take() else { return };
        self.tell(format_args!("{}: retire, by dropping: {by_dropping}", peer.handle));
        // A thread in the middle of a call keeps the entry from being dropped.
        let dropping = by_dropping && Arc::strong_count(&entry) == 1;
        if !dropping {
            *lock(&peer.entry) = Some(Arc::clone(&entry));
            lock(&peer.book).retired = true;
            return entry.retire();
        }
        lock(&peer.book).retired = true;
    }

    pub(super) fn shutdown(&self, peer: &Arc<Peer>) {
        let Some(entry) = lock(&peer.entry).clone() else { return };
        let (retired, busy) = {
            let mut book = lock(&peer.book);
            (book.retired, book.occupant(Direction::Outward).is_some())
        };
        let result = entry.shutdown_send();
        if result.is_ok() && (retired || busy || peer.watched) {
            self.fail("the sending half was shut down under a send");
        }
    }

    pub(super) fn wake(&self) {
        self.tell(format_args!("wake"));
        self.woken.store(true, Ordering::SeqCst);
        self.port().wake();
    }

    pub(super) fn stop(&self) {
        self.tell(format_args!("stop"));
        self.stopped.store(true, Ordering::SeqCst);
        self.port().stop();
    }

    /// One turn, if nobody drives.
    pub(super) fn turn(&self) {
        if self.driving.swap(true, Ordering::SeqCst) {
            return;
        }
        let depth = self.depth.fetch_add(1, Ordering::SeqCst);
        let timeout = match self.choose(3) {
            0 => Some(Duration::ZERO),
            1 => Some(Duration::from_micros(2_500)),
            _ => None,
        };
        self.turn_for(timeout);
        self.depth.store(depth, Ordering::SeqCst);
        self.driving.store(false, Ordering::SeqCst);
    }
}
