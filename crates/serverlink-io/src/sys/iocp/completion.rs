//! From a packet to a handler.

use std::sync::Arc;

use super::{
    errors,
    inner::Inner,
    kernel::{Kernel, Overlapped, Packet, System},
    operation::{Operation, Status},
};
use crate::{Direction, sys::RawDescriptor};

/// An operation whose end the port knows, and its handler does not yet.
pub(super) struct Completion {
    entry: Arc<Inner>,
    direction: Direction,
    status: Status,
}

impl Completion {
    /// Of a call that ended the operation itself. Its claim is suspended.
    pub(super) fn deferred(entry: Arc<Inner>, direction: Direction, status: Status) -> Self {
        Self { entry, direction, status }
    }

    /// Of a packet.
    ///
    /// # Safety
    ///
    /// The packet was dequeued with the key of operations, and is asked once.
    pub(super) unsafe fn of_packet(packet: &Packet) -> Self {
        let (_key, overlapped, bytes) = Kernel::read(packet);
        // SAFETY: the caller's promise.
        let (entry, direction) = unsafe { Inner::of_overlapped(overlapped) };
        let operation = entry.operation(direction);
        operation.slot.reclaim();
        // SAFETY: the packet is the one that ends the operation.
        let status = unsafe { operation.status(&entry.shared.kernel, entry.nature, bytes) };
        if errors::is_abort(status.error) {
            // An operation that stays pending may live to see many threads end: no repetition in a
            // row, for the kernel had it in between.
            // SAFETY: the slot was reclaimed by this thread; the reference ends at once.
            unsafe { operation.work() }.attempts = 0;
        }
        Self { entry, direction, status }
    }

    /// Deals with it. True if the handler was called.
    pub(super) fn deliver(self) -> bool {
        // SAFETY: the operation's claim was suspended when it was handed to the kernel, or by
        // `start`, and a completion is delivered once. Held until the handler returns.
        let claim = unsafe { self.entry.resources.resume() };
        let operation = self.entry.operation(self.direction);
        let event = self.entry.advance(&claim, operation, self.status);
        // The slot is free by now: a handler that wants more starts the next operation from within
        // its completion, which is the original's restart while interested.
        match event {
            Some(event) if !self.entry.resources.is_retired() => {
                let counters = &self.entry.shared.counters;
                counters.deliver(&*claim.handler, claim.handle() as RawDescriptor, event);
                true
            }
            _ => false,
        }
    }
}

impl Inner {
    /// The entry and the direction of the operation that has ended; the kernel's reference
    /// becomes the caller's, and its claim stays suspended.
    ///
    /// # Safety
    ///
    /// It is that of a packet dequeued with the key of operations, and is asked once.
    unsafe fn of_overlapped(overlapped: *mut Overlapped) -> (Arc<Self>, Direction) {
        let operation = overlapped.cast::<Operation>();
        // SAFETY: the pointer is one that `prepare` made of an operation within an entry that `submit`
        // leaked a reference to; what is read was never written after it was made.
        unsafe { (Arc::from_raw((*operation).entry), (*operation).direction) }
    }
}
