//! What must follow, and what must not.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    super::pattern,
    book::{Begun, Kind, Peer},
    world::{Panic, World},
};
use crate::{
    Direction, Event,
    errors::is_cancelled,
    lock::lock,
    sys::{
        Backend as _, Outcome,
        iocp::{
            errors,
            kernel::{System as _, WAKE_KEY},
        },
    },
};

/// What buffers hold before they are received into.
pub(super) const BEFORE: &[u8] = b"before";

impl World {
    pub(super) fn turn_for(&self, timeout: Option<Duration>) -> Option<Outcome> {
        let port = self.port();
        self.tell(format_args!("turn {timeout:?}"));
        let begun = port.shared.kernel.now();
        let stopped = self.stopped.load(Ordering::SeqCst);
        let before = self.delivered.load(Ordering::SeqCst);
        let ended = catch_unwind(AssertUnwindSafe(|| port.turn(timeout)));
        let disturbed = self.woken.swap(false, Ordering::SeqCst)
            | self.began.swap(false, Ordering::SeqCst)
            | self.stopped.load(Ordering::SeqCst);
        let excused = self.left_over.swap(disturbed, Ordering::SeqCst) || disturbed;
        let outcome = match ended {
            Ok(outcome) => outcome.expect("the model's waits do not fail"),
            Err(panic) if panic.is::<Panic>() => return None,
            Err(panic) => resume_unwind(panic),
        };
        self.tell(format_args!("turned: {outcome:?}"));
        let delivered = self.delivered.load(Ordering::SeqCst) - before;
        match outcome {
            Outcome::Stopped => {
                if !self.stopped.load(Ordering::SeqCst) {
                    self.fail("a turn stopped that nobody had stopped");
                }
            }
            Outcome::Delivered(count) => {
                if count != delivered {
                    self.fail(format!("a turn told of {count} events and delivered {delivered}"));
                }
                if stopped {
                    self.fail("a stopped port turned");
                }
                let waited = port.shared.kernel.now() - begun;
                if count == 0 && !excused && timeout.is_none_or(|timeout| waited < timeout) {
                    self.fail("a turn ended early, and for nothing");
                }
            }
        }
        Some(outcome)
    }

    /// The driver sleeps for ever and nothing will happen any more: was anything asked of it?
    pub(super) fn end_sleep(&self) -> bool {
        let port = self.port();
        if self.woken.load(Ordering::SeqCst) {
            self.fail("a wake-up was lost");
        }
        if !lock(&port.shared.ready).is_empty() {
            self.fail("the driver sleeps over a completion");
        }
        if self.stopped.load(Ordering::SeqCst) {
            self.fail("a stop was lost");
        }
        self.model.fail_posts(0, 0);
        self.woken.store(true, Ordering::SeqCst);
        port.wake();
        if self.model.queued() == 0 {
            self.fail("nothing wakes a sleeping driver");
            // To get out.
            port.shared.kernel.post(WAKE_KEY).expect("posts work again");
            port.shared.wakeup.notify();
        }
        true
    }

    pub(super) fn happened(&self, peer: &Arc<Peer>, event: Event) {
        self.delivered.fetch_add(1, Ordering::SeqCst);
        self.ended(peer, event, true);
    }

    /// An operation ended, with an event or within its call.
    pub(super) fn ended(&self, peer: &Arc<Peer>, event: Event, told: bool) {
        self.tell(format_args!("{}: {event:?}, told: {told}", peer.handle));
        let (kind, error) = match &event {
            Event::Accepted(result) => (Kind::Accept, result.as_ref().err()),
            Event::Connected(result) => (Kind::Connect, result.as_ref().err()),
            Event::Received(result) => (Kind::Receive, result.as_ref().err()),
            Event::Sent { result, .. } => (Kind::Send, result.as_ref().err()),
            Event::Ready(result) => (Kind::Probe, result.as_ref().err()),
            other => return self.fail(format!("unexpected: {other:?}")),
        };
        let mut book = lock(&peer.book);
        let direction = match kind {
            Kind::Accept | Kind::Receive => Direction::Inward,
            Kind::Connect | Kind::Send => Direction::Outward,
            Kind::Probe if book.inward.is_some_and(|begun| begun.kind == Kind::Probe) => {
                Direction::Inward
            }
            Kind::Probe => Direction::Outward,
        };
        book.events += 1;
        if told && book.retired {
            self.fail(format!("{kind:?} of a retired entry was told"));
        }
        let Some(begun) = book.slot(direction).take() else {
            return self.fail(format!("{kind:?} ended that had not begun, or twice: {event:?}"));
        };
        if begun.kind != kind {
            self.fail(format!("{:?} ended as {kind:?}", begun.kind));
        }
        if let Some(error) = error {
            self.explain(peer, begun, error);
        }
        match event {
            Event::Received(Ok(buffer)) => {
                let bytes = buffer.strip_prefix(BEFORE).unwrap_or(&buffer);
                let start = book.received;
                book.received += bytes.len();
                let expected = (start..book.received).map(|index| pattern(peer.handle, index));
                if !bytes.iter().copied().eq(expected) {
                    self.fail("bytes were lost, repeated or damaged on the way in");
                }
            }
            Event::Sent { buffers, sent, result } => {
                let all = buffers.concat();
                if result.is_ok() != (sent == all.len()) && !(sent == all.len() && sent == 0) {
                    self.fail(format!("{sent} of {} bytes: {result:?}", all.len()));
                }
                book.sent.extend_from_slice(&all[..sent.min(all.len())]);
                if !book.retired && self.model.sent(peer.handle) != book.sent {
                    self.fail("bytes were lost, repeated or damaged on the way out");
                }
            }
            Event::Accepted(Ok(_)) if begun.cancelled => {
                self.fail("a cancelled accept gave its connection away");
            }
            Event::Ready(Ok(ready)) if !ready.readable && !ready.writable => {
                self.fail("ready in no way");
            }
            _ => {}
        }
    }

    /// Every error is one that the kernel made, or an end that was asked for.
    pub(super) fn explain(&self, peer: &Peer, begun: Begun, error: &io::Error) {
        if is_cancelled(error) {
            if !begun.cancelled {
                self.fail(format!("{:?} was cancelled, and nobody asked", begun.kind));
            }
            return;
        }
        let Some(code) = error.raw_os_error().map(i32::cast_unsigned) else {
            return self.fail(format!("an error without a code: {error}"));
        };
        let explained = self.model.codes(peer.handle).into_iter().any(|met| {
            met == code || errors::to_io(met).raw_os_error() == Some(code.cast_signed())
        });
        let own = matches!(code, errors::NO_BUFFERS | 10_024);
        // Probes are the device's.
        if !explained && !own && begun.kind != Kind::Probe {
            self.fail(format!("{:?} failed with {code}, which nothing did", begun.kind));
        }
    }

    /// At the top, where no thread is in the middle of anything: whatever began is in the kernel,
    /// or waits to be delivered.
    pub(super) fn check_none_lost(&self) {
        let port = self.port();
        let mut waiting = lock(&port.shared.ready).len();
        for peer in lock(&self.peers).iter() {
            let mut book = lock(&peer.book);
            let Some(inner) = peer.inner.upgrade() else { continue };
            if book.retired {
                continue;
            }
            for direction in [Direction::Inward, Direction::Outward] {
                let Some(begun) = *book.slot(direction) else { continue };
                let operation = inner.operation(direction);
                if self.model.has(ptr::from_ref(operation).addr()) {
                    continue;
                }
                if waiting == 0 {
                    self.fail(format!("{:?} is lost", begun.kind));
                    *book.slot(direction) = None;
                } else {
                    waiting -= 1;
                }
            }
        }
    }
}
