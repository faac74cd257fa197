//! One registered socket: its operations from start to completion.

use std::{
    fmt, io, mem,
    net::Shutdown,
    os::windows::io::AsRawSocket,
    ptr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::{Bytes, BytesMut};
use socket2::{SockAddr, Socket};
use windows_sys::Win32::{
    Foundation::HANDLE,
    Networking::WinSock::SOCKET,
    System::IO::{CancelIoEx, OVERLAPPED_ENTRY},
};

use super::{
    accept::{Accept, Listening},
    connect::Connect,
    errors::{self, classify},
    operation::{Body, Called, Next, Operation, Status, Vectors},
    probe::Probe,
    receive::Receive,
    send::Send,
    shared::{Registration, Shared},
    state::{AfterCall, Claim, Flags, Refusal, Retirable},
};
use crate::{
    Direction, Event, Handler, Interest, Sending,
    errors::{Action, busy, cancelled, no_interest, only_probes, retired},
    sys,
};

/// How often one operation is issued again in a row after a code that asks for it.
const ATTEMPTS: u8 = 64;

/// What an entry holds until it is retired and nothing uses it any more.
///
/// The fields are dropped in this order: the socket is closed first.
pub(super) struct Resources {
    descriptor: Descriptor,
    listening: OnceLock<Listening>,
    _registration: Registration,
    handler: Arc<dyn Handler>,
}

/// Whose socket it is.
pub(super) enum Descriptor {
    /// Ours, and on our port.
    Owned(Socket),
    /// Somebody else's, to be probed only.
    Watched(SOCKET),
}

impl Resources {
    pub(super) fn raw(&self) -> SOCKET {
        match &self.descriptor {
            Descriptor::Owned(socket) => socket.as_raw_socket() as SOCKET,
            Descriptor::Watched(socket) => *socket,
        }
    }

    /// The socket, if it is ours.
    pub(super) fn socket(&self) -> io::Result<&Socket> {
        match &self.descriptor {
            Descriptor::Owned(socket) => Ok(socket),
            Descriptor::Watched(_) => Err(only_probes()),
        }
    }

    /// What accepting on it takes, found out once.
    pub(super) fn listening(&self) -> io::Result<&Listening> {
        if let Some(listening) = self.listening.get() {
            return Ok(listening);
        }
        let listening = Listening::new(self.socket()?)?;
        Ok(self.listening.get_or_init(|| listening))
    }
}

/// An entry, as the kernel's packets refer to it.
///
/// Each operation in the kernel keeps a reference to it (its memory stays) and
/// a claim on its resources (its socket stays open).
pub(super) struct Inner {
    pub(super) inward: Operation,
    pub(super) outward: Operation,
    /// A probe of both directions runs in `inward` and occupies `outward`.
    linked: AtomicBool,
    /// Whether success at once brings no packet.
    skips: bool,
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
            inward: Operation::new(Direction::Inward),
            outward: Operation::new(Direction::Outward),
            linked: AtomicBool::new(false),
            skips,
            resources: Retirable::new(Resources {
                descriptor,
                listening: OnceLock::new(),
                _registration: Shared::enter(shared, entry.clone()),
                handler,
            }),
            shared: Arc::clone(shared),
        })
    }

    fn operation(&self, direction: Direction) -> &Operation {
        match direction {
            Direction::Inward => &self.inward,
            Direction::Outward => &self.outward,
        }
    }

    /// The entry and the direction of the operation that a packet ends; the kernel's reference
    /// becomes the caller's, and its claim stays suspended.
    ///
    /// # Safety
    ///
    /// The packet was dequeued with the key of operations, and is asked once.
    unsafe fn of_packet(packet: &OVERLAPPED_ENTRY) -> (Arc<Self>, Direction) {
        let operation = packet.lpOverlapped.cast::<Operation>();
        // SAFETY: the `OVERLAPPED` is the first field of an operation within an entry that `submit`
        // leaked a reference to; the direction is never written after it was made.
        unsafe {
            let direction = (*operation).direction;
            let offset = match direction {
                Direction::Inward => mem::offset_of!(Self, inward),
                Direction::Outward => mem::offset_of!(Self, outward),
            };
            (Arc::from_raw(operation.byte_sub(offset).cast::<Self>()), direction)
        }
    }

    /// Starts an operation: its pending flag, its body, its first call.
    ///
    /// An error of the first call is an event, too, for the call may as well
    /// have failed a moment later.
    fn start(
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
            self.shared.defer(Completion { entry: Arc::clone(self), direction, status });
        }
        Ok(())
    }

    fn fill(&self, operation: &Operation, body: Body) {
        // SAFETY: the slot was begun by this thread, which makes no other reference.
        let work = unsafe { operation.work() };
        work.body = Some(body);
        work.attempts = 0;
    }

    /// Makes the body's next call. `None` if a packet will tell how it ended; else the slot is the
    /// caller's still.
    fn submit(
        self: &Arc<Self>,
        claim: &Claim<'_, Resources>,
        operation: &Operation,
    ) -> Option<Status> {
        let mut vectors = Vectors::new();
        // SAFETY: the slot is this thread's, and the reference ends before it is handed over.
        let body = unsafe { operation.work() }.body.as_mut()?;
        let (handle, linked, skips) = match body {
            Body::Probe(probe) => match self.shared.device() {
                Ok(device) => (device.handle(), probe.takes_both(), false),
                Err(error) => {
                    return Some(Status { bytes: 0, error: errors::code_of(&error) });
                }
            },
            _ => (claim.raw() as HANDLE, false, self.skips),
        };
        let request = body.request(&mut vectors);
        // SAFETY: the slot is this thread's.
        let overlapped = unsafe { operation.prepare(handle) };
        // The kernel's reference and claim.
        let kept = Arc::into_raw(Arc::clone(self));
        claim.again().suspend();
        let ticket = operation.slot.submit();
        // SAFETY: the handle is open, for the claim in hand covers the call and the suspended one
        // the operation; the memory is the entry's, which the leaked reference keeps, and nobody
        // touches it before the slot is reclaimed.
        let called = unsafe { request.issue(handle, overlapped, &vectors) };
        let status = match called {
            Called::Done(bytes) if skips => Status { bytes, error: 0 },
            Called::Failed(error) => Status { bytes: 0, error },
            Called::Pending | Called::Done(_) => {
                // From here on the operation may be over, and another begun.
                let missed = operation.slot.returned(ticket) == AfterCall::Cancel
                    || linked && self.outward.slot.announce().cancelled;
                if missed {
                    operation.cancel_in_kernel();
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
    fn advance(
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
            if flags.retired {
                return None;
            }
            return Some(match event {
                // The connection closes unseen.
                Event::Accepted(Ok(_)) if flags.cancelled => Event::Accepted(Err(cancelled())),
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

    fn probe(self: &Arc<Self>, interest: Interest) -> io::Result<()> {
        let make = |resources: &Resources| {
            let probe = Probe::new(resources.raw(), interest)?;
            if probe.takes_both() {
                self.outward.slot.begin().map_err(refused)?;
                self.linked.store(true, Ordering::Release);
            }
            Ok(Body::Probe(probe))
        };
        match interest {
            Interest { readable: true, .. } => self.start(Direction::Inward, make),
            Interest { writable: true, .. } => self.start(Direction::Outward, make),
            Interest { .. } => Err(no_interest()),
        }
    }

    fn send(self: &Arc<Self>, buffers: Vec<Bytes>) -> Sending {
        let refuse = |buffers, error| Sending::Done { buffers, sent: 0, result: Err(error) };
        let Some(claim) = self.resources.claim() else { return refuse(buffers, retired()) };
        if let Err(error) = claim.socket() {
            return refuse(buffers, error);
        }
        let operation = &self.outward;
        if let Err(refusal) = operation.slot.begin() {
            return refuse(buffers, refused(refusal));
        }
        let send = Send::new(buffers);
        let event = if send.is_over() {
            operation.slot.finish();
            Some(send.over(Ok(())))
        } else {
            self.fill(operation, Body::Send(send));
            self.submit(&claim, operation)
                .and_then(|status| self.advance(&claim, operation, status))
        };
        match event {
            Some(Event::Sent { buffers, sent, result }) => Sending::Done { buffers, sent, result },
            _ => Sending::Pending,
        }
    }

    fn cancel(&self, direction: Direction) {
        // The claim keeps the handle open during the call.
        let Some(_claim) = self.resources.claim() else { return };
        let operation = self.operation(direction);
        if operation.slot.cancel() {
            operation.cancel_in_kernel();
        }
        // The probe that occupies this direction runs in the other. Should it be over and another
        // operation be hit, that one was not asked to end: it is issued again.
        if direction == Direction::Outward && self.linked.load(Ordering::Acquire) {
            self.inward.cancel_in_kernel();
        }
    }

    pub(super) fn retire(&self) {
        let Some(claim) = self.resources.retire() else { return };
        let mut all = false;
        for operation in [&self.inward, &self.outward] {
            if !operation.slot.retire() {
                continue;
            }
            if operation.is_issued_on(claim.raw() as HANDLE) {
                all = true;
            } else {
                operation.cancel_in_kernel();
            }
        }
        if all {
            // Everything, of every thread. A send must be cancelled before its socket is closed:
            // else its data could go out later, under some systems into another socket.
            // SAFETY: the claim keeps the handle open.
            unsafe { CancelIoEx(claim.raw() as HANDLE, ptr::null()) };
        }
    }
}

/// An operation whose end the port knows, and its handler does not yet.
pub(super) struct Completion {
    entry: Arc<Inner>,
    direction: Direction,
    status: Status,
}

impl Completion {
    /// Of a packet.
    ///
    /// # Safety
    ///
    /// As for [`Inner::of_packet`].
    pub(super) unsafe fn of_packet(packet: &OVERLAPPED_ENTRY) -> Self {
        // SAFETY: the caller's promise.
        let (entry, direction) = unsafe { Inner::of_packet(packet) };
        let operation = entry.operation(direction);
        operation.slot.reclaim();
        // SAFETY: the packet is the one that ends the operation.
        let status = unsafe { operation.status(packet.dwNumberOfBytesTransferred) };
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
        // its completion, which is the seed's restart while interested.
        match event {
            Some(event) if !self.entry.resources.is_retired() => {
                claim.handler.complete(event);
                true
            }
            _ => false,
        }
    }
}

/// A registration: what the rest of the engine holds.
pub(super) struct Entry(pub(super) Arc<Inner>);

impl sys::Entry for Entry {
    fn accept(&self) -> io::Result<()> {
        self.0.start(Direction::Inward, |resources| Accept::new(resources).map(Body::Accept))
    }

    fn connect(&self, address: &SockAddr) -> io::Result<()> {
        self.0.start(Direction::Outward, |resources| {
            Connect::new(resources.socket()?, address).map(Body::Connect)
        })
    }

    fn receive(&self, buffer: Option<BytesMut>) -> io::Result<()> {
        self.0.start(Direction::Inward, |resources| {
            resources.socket()?;
            Receive::new(&self.0.shared, buffer).map(Body::Receive)
        })
    }

    fn send(&self, buffers: Vec<Bytes>) -> Sending {
        self.0.send(buffers)
    }

    fn probe(&self, interest: Interest) -> io::Result<()> {
        self.0.probe(interest)
    }

    fn cancel(&self, direction: Direction) {
        self.0.cancel(direction);
    }

    fn shutdown_send(&self) -> io::Result<()> {
        let claim = self.0.resources.claim().ok_or_else(retired)?;
        let socket = claim.socket()?;
        if self.0.outward.slot.is_busy() {
            return Err(busy());
        }
        socket.shutdown(Shutdown::Write)
    }

    fn retire(&self) {
        self.0.retire();
    }

    fn local_address(&self) -> io::Result<SockAddr> {
        self.0.resources.claim().ok_or_else(retired)?.socket()?.local_addr()
    }

    fn peer_address(&self) -> io::Result<SockAddr> {
        self.0.resources.claim().ok_or_else(retired)?.socket()?.peer_addr()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.0.retire();
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("retired", &self.0.resources.is_retired())
            .field("claims", &self.0.resources.claims())
            .finish_non_exhaustive()
    }
}

fn refused(refusal: Refusal) -> io::Error {
    match refusal {
        Refusal::Busy => busy(),
        Refusal::Retired => retired(),
    }
}
