//! A world's life, and what must be left of it: nothing.

use std::{
    mem,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{super::Schedule as _, world::World};
use crate::{
    Direction,
    lock::lock,
    sys::{Entry as _, Outcome},
};

/// How entries end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With their port.
    WithPort,
    /// They are retired before.
    Retired,
    /// They are dropped before.
    Dropped,
}
impl World {
    /// Lives until the tape is over, and then ends. What went wrong?
    pub(super) fn live(self: &Arc<Self>) -> Vec<String> {
        for _ in 0..=self.choose(3) {
            self.register(false);
        }
        if self.choose(2) == 1 {
            self.register(true);
        }
        let way = self.choose(3);
        while !self.is_over() {
            match self.choose(24) {
                0..=14 => self.step(),
                15..=22 => self.turn(),
                _ => self.rest(),
            }
            self.check_none_lost();
            let failures = self.failures();
            if !failures.is_empty() {
                // Nothing is to be relied on any more.
                mem::forget(self.port());
                self.model.set_schedule(None);
                return failures;
            }
        }
        self.end([End::WithPort, End::Retired, End::Dropped][way])
    }

    /// Whatever was asked to end has ended, the rest does by retiring, or with the port.
    pub(super) fn end(self: &Arc<Self>, end: End) -> Vec<String> {
        self.panics.store(false, Ordering::SeqCst);
        self.quiet.store(true, Ordering::SeqCst);
        self.driving.store(true, Ordering::SeqCst);
        let peers = lock(&self.peers).clone();
        self.settle_cancelled();
        if end != End::WithPort {
            for peer in &peers {
                self.retire(peer, end == End::Dropped);
            }
            if !self.stopped.load(Ordering::SeqCst) {
                self.settle();
                if !self.port().shared.is_empty() {
                    self.fail("a retired entry is not freed");
                }
            }
        }
        let port = lock(&self.port).take().expect("the port is there");
        let shared = Arc::downgrade(&port.shared);
        let before = self.delivered.load(Ordering::SeqCst);
        // The port retires what is left.
        for peer in &peers {
            lock(&peer.book).retired = true;
        }
        lock(&self.armed).clear();
        drop(port);
        if self.delivered.load(Ordering::SeqCst) != before {
            self.fail("dropping the port told a handler something");
        }
        for peer in &peers {
            if let Some(entry) = lock(&peer.entry).take()
                && entry.receive(None).is_ok()
            {
                self.fail("an entry outlives its port and works");
            }
            if peer.inner.strong_count() > 0 {
                self.fail("an entry is left");
            }
        }
        if shared.strong_count() > 0 {
            self.fail("the port's state is left");
        }
        if lock(&self.handlers).iter().any(|handler| handler.strong_count() > 0) {
            self.fail("a handler is left");
        }
        self.model.set_schedule(None);
        lock(&self.peers).clear();
        lock(&self.foreign).clear();
        let mut failures = self.failures();
        failures.extend(self.model.left());
        failures
    }

    /// Nobody does anything for a while, and the kernel only what it is asked for.
    fn rest(&self) {
        self.quiet.store(true, Ordering::SeqCst);
        self.driving.store(true, Ordering::SeqCst);
        self.settle_cancelled();
        self.driving.store(false, Ordering::SeqCst);
        self.quiet.store(false, Ordering::SeqCst);
    }

    /// What was cancelled ends, also if the kernel would never have ended it.
    fn settle_cancelled(&self) {
        if self.stopped.load(Ordering::SeqCst) {
            return;
        }
        self.settle();
        for peer in lock(&self.peers).iter() {
            let mut book = lock(&peer.book);
            for direction in [Direction::Inward, Direction::Outward] {
                if let Some(begun) = *book.slot(direction)
                    && begun.cancelled
                    && !book.retired
                {
                    self.fail(format!("cancelled {:?} does not end", begun.kind));
                }
            }
        }
    }

    /// Turns until nothing happens any more.
    pub(super) fn settle(&self) {
        let mut idle = 0;
        while idle < 3 {
            let proceeded = self.model.proceed(true);
            let queued = self.model.queued() > 0;
            let outcome = self.turn_for(Some(Duration::ZERO));
            let idles = !proceeded && !queued && outcome == Some(Outcome::Delivered(0));
            idle = if idles { idle + 1 } else { 0 };
        }
    }
}
