//! One registered socket: its operations from their start to their end.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    completion::Completion,
    errors::{self, classify},
    kernel::{Called, Nature},
    operation::{Body, Next, Operation, Status, Vectors},
    resources::{Descriptor, Resources},
    shared::Shared,
    state::{AfterCall, Claim, Flags, Refusal, Retirable},
};
use crate::{
    Direction, Event, Handler,
    errors::{Action, busy, cancelled, retired},
};

/// How often one operation is issued again in a row after a code that asks for it, so that a system
/// that never lets it begin cannot make the driver spin.
pub(super) const ATTEMPTS: u8 = 64;

/// An entry, as the kernel's packets refer to it.
///
/// Each operation in the kernel keeps a reference to it (its memory stays) and
/// a claim on its resources (its socket stays open).
pub(super) struct Inner {
    pub(super) inward: Operation,
    pub(super) outward: Operation,
    /// A probe of both directions runs in `inward` and occupies `outward`.
    pub(super) linked: AtomicBool,
    /// Whether success at once brings no packet.
    skips: bool,
    pub(super) nature: Nature,
    pub(super) resources: Retirable<Resources>,
    pub(super) shared: Arc<Shared>,
}

impl Inner {
    pub(super) fn new(
        shared: &Arc<Shared>,
        descriptor: Descriptor,
        skips: bool,
        handler: Arc<dyn Handler>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|entry| Self {
            inward: Operation::new(entry.as_ptr(), Direction::Inward),
            outward: Operation::new(entry.as_ptr(), Direction::Outward),
            linked: AtomicBool::new(false),
            skips,
            nature: descriptor.nature(),
            resources: Retirable::new(Resources::new(
                descriptor,
                handler,
                Shared::enter(shared, entry.clone()),
            )),
            shared: Arc::clone(shared),
        })
    }

    pub(super) fn operation(&self, direction: Direction) -> &Operation {
        match direction {
            Direction::Inward => &self.inward,
            Direction::Outward => &self.outward,
        }
    }

    /// How many operations are pending.
    pub(super) fn pending(&self) -> usize {
        let linked = self.linked.load(Ordering::Acquire);
        let busy = |operation: &Operation| usize::from(operation.slot.is_busy());
        busy(&self.inward) + if linked { 0 } else { busy(&self.outward) }
    }

    /// Starts an operation: its pending flag, its body, its first call.
    ///
    /// An error of the first call is an event, too, for the call may as well
    /// have failed a moment later.
    pub(super) fn start(
        self: &Arc<Self>,
        direction: Direction,
        make: impl FnOnce(&Resources) -> io::Result<Body>,
    ) -> io::Result<()> {
        let claim = self.resources.claim().ok_or_else(retired)?;
        let operation = self.operation(direction);
        operation.slot.begin().map_err(refused)?;
        let body = match make(&claim) {
            Ok(body) => body,
            Err(error) => {
                operation.slot.finish();
                return Err(error);
            }
        };
        self.fill(operation, body);
        if let Some(status) = self.submit(&claim, operation) {
            claim.suspend();
            self.shared.defer(Completion::deferred(Arc::clone(self), direction, status));
        }
        Ok(())
    }

    pub(super) fn fill(&self, operation: &Operation, body: Body) {
        // SAFETY: the slot was begun by this thread, which makes no other reference.
        let work = unsafe { operation.work() };
        work.body = Some(body);
        work.attempts = 0;
    }

    /// Makes the body's next call. `None` if a packet will tell how it ended; else the slot is the
    /// caller's still.
    pub(super) fn submit(
        self: &Arc<Self>,
        claim: &Claim<'_, Resources>,
        operation: &Operation,
    ) -> Option<Status> {
        let mut vectors = Vectors::new();
        // SAFETY: the slot is this thread's, and the reference ends before it is handed over.
        let body = unsafe { operation.work() }.body.as_mut()?;
        let handle = match body.target(claim, &self.shared) {
            Ok(handle) => handle,
            Err(error) => return Some(Status { bytes: 0, error: errors::code_of(&error) }),
        };
        let (linked, skips) = match body {
            Body::Probe(probe) => (probe.takes_both(), false),
            _ => (false, self.skips),
        };
        let request = body.request(claim, &self.shared, &mut vectors);
        // SAFETY: the slot is this thread's.
        let overlapped = unsafe { operation.prepare(handle) };
        // The kernel's reference and claim.
        let kept = Arc::into_raw(Arc::clone(self));
        claim.again().suspend();
        let ticket = operation.slot.submit();
        // SAFETY: the handle is open, for the claim in hand covers the call and the suspended one
        // the operation; the memory is the entry's, which the leaked reference keeps, and nobody
        // touches it before the slot is reclaimed.
        let called = unsafe { request.issue(&self.shared.kernel, handle, overlapped, &vectors) };
        let status = match called {
            Called::Done(bytes) if skips => Status { bytes, error: 0 },
            Called::Ended => Status { bytes: 0, error: 0 },
            Called::Failed(error) => Status { bytes: 0, error },
            Called::Pending | Called::Done(_) => {
                // From here on the operation may be over, and another begun.
                let missed = operation.slot.returned(ticket) == AfterCall::Cancel
                    || linked && self.outward.slot.announce().cancelled;
                if missed {
                    operation.cancel_in_kernel(&self.shared.kernel);
                }
                return None;
            }
        };
        operation.slot.reclaim();
        // SAFETY: no packet follows, so the kernel's reference and claim are this thread's again.
        unsafe {
            drop(self.resources.resume());
            drop(Arc::from_raw(kept));
        }
        Some(status)
    }

    /// Takes the operation on from the end of a call. `None` if the kernel has it again, or if the
    /// entry is retired; else the event it ends with, and the slot is free for the next.
    pub(super) fn advance(
        self: &Arc<Self>,
        claim: &Claim<'_, Resources>,
        operation: &Operation,
        mut status: Status,
    ) -> Option<Event> {
        loop {
            // SAFETY: the slot is this thread's; the reference ends within the statement.
            let body = unsafe { operation.work() }.body.take()?;
            if operation.slot.flags().retired {
                self.finish(operation);
                return None;
            }
            let event = match self.next(claim, operation, body, status) {
                Next::Over(event) => event,
                Next::Further(body) => {
                    // SAFETY: the slot is this thread's; the reference ends within the statement.
                    unsafe { operation.work() }.body = Some(body);
                    status = self.submit(claim, operation)?;
                    continue;
                }
                Next::Failed(body, code) => body.failed(&self.shared, errors::to_io(code)),
            };
            let flags = self.finish(operation);
            return Some(match event {
                // The connection closes unseen.
                event if flags.cancelled && event.brings_connection() => {
                    Event::Accepted(Err(cancelled()))
                }
                event => event,
            });
        }
    }

    /// What follows the end of a call, cancellation and repetition considered.
    fn next(
        &self,
        claim: &Claim<'_, Resources>,
        operation: &Operation,
        body: Body,
        status: Status,
    ) -> Next {
        let next = match body.completed(claim, &self.shared, status) {
            Next::Failed(body, code) => {
                let action = classify(body.kind(), code);
                if self.is_cancelled(operation)
                    && (action == Action::Retry || errors::is_abort(code))
                {
                    return Next::Over(body.failed(&self.shared, cancelled()));
                }
                // SAFETY: the slot is this thread's; the reference ends within the block.
                let attempts = unsafe { &mut operation.work().attempts };
                if action != Action::Retry || *attempts == ATTEMPTS {
                    return Next::Failed(body, code);
                }
                *attempts += 1;
                body.again(claim, &self.shared, code)
            }
            Next::Further(body) => {
                // SAFETY: the slot is this thread's; the reference ends within the statement.
                unsafe { operation.work() }.attempts = 0;
                Next::Further(body)
            }
            over => over,
        };
        match next {
            Next::Further(body) if self.is_cancelled(operation) => {
                Next::Over(body.failed(&self.shared, cancelled()))
            }
            next => next,
        }
    }

    /// Whether the operation was asked to end; a probe of both directions, in either.
    fn is_cancelled(&self, operation: &Operation) -> bool {
        let linked =
            operation.direction == Direction::Inward && self.linked.load(Ordering::Acquire);
        operation.slot.flags().cancelled || linked && self.outward.slot.flags().cancelled
    }

    /// Frees the slot, or both that a probe occupies.
    fn finish(&self, operation: &Operation) -> Flags {
        let inward = operation.direction == Direction::Inward;
        // Release: pairs with `cancel`'s acquire.
        if inward && self.linked.swap(false, Ordering::AcqRel) {
            self.outward.slot.finish();
        }
        operation.slot.finish()
    }
}

/// Why an operation does not start.
pub(super) fn refused(refusal: Refusal) -> io::Error {
    match refusal {
        Refusal::Busy => busy(),
        Refusal::Retired => retired(),
    }
}
