//! One direction's operation: its memory and what is done in it.

use std::{
    cell::UnsafeCell,
    io,
    mem::{self, MaybeUninit},
    ptr::{self, NonNull},
    sync::atomic::{AtomicUsize, Ordering},
};

use super::{
    accept::{self, Accept},
    connect::{self, Connect},
    errors::Call,
    inner::Inner,
    kernel::{Called, Handle, Kernel, Nature, Overlapped, System, Vector},
    probe::{self, Probe},
    receive::Receive,
    resources::Resources,
    send::Send,
    shared::Shared,
    state::Slot,
};
use crate::{Direction, Event};

/// The memory of one direction's operation, at a fixed address in its entry.
///
/// The `OVERLAPPED` comes first, so its address is the operation's.
#[repr(C)]
pub(super) struct Operation {
    overlapped: UnsafeCell<Overlapped>,
    /// The entry that it is part of: what a reference given to the kernel is taken back by.
    pub(super) entry: *const Inner,
    pub(super) direction: Direction,
    pub(super) slot: Slot,
    /// What the operation was last issued on, for `CancelIoEx`.
    issued_on: AtomicUsize,
    work: UnsafeCell<Work>,
}

/// What the holder of the slot works on.
#[derive(Default)]
pub(super) struct Work {
    /// Nothing while no operation is pending.
    pub(super) body: Option<Body>,
    /// How often it was issued again after a code that asks for it.
    pub(super) attempts: u8,
}

// SAFETY: `overlapped` and `work` are touched only by the owner of the memory, which `slot` hands
// from thread to kernel to thread with acquire and release; what `work` holds may change threads,
// and so may `entry`, which is never written after it was made.
unsafe impl std::marker::Send for Operation {}
// SAFETY: as above.
unsafe impl Sync for Operation {}

impl Operation {
    pub(super) fn new(entry: *const Inner, direction: Direction) -> Self {
        Self {
            overlapped: UnsafeCell::new(Overlapped::default()),
            entry,
            direction,
            slot: Slot::new(),
            issued_on: AtomicUsize::default(),
            work: UnsafeCell::default(),
        }
    }

    /// The work.
    ///
    /// # Safety
    ///
    /// The calling thread holds the slot and makes no second reference.
    #[expect(clippy::mut_from_ref, reason = "the slot guards it, as a lock would")]
    pub(super) unsafe fn work(&self) -> &mut Work {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.work.get() }
    }

    /// The cleared `OVERLAPPED`, for a call on `handle`. The pointer leads to all of the operation.
    ///
    /// # Safety
    ///
    /// The calling thread holds the slot.
    pub(super) unsafe fn prepare(&self, handle: Handle) -> *mut Overlapped {
        // Relaxed: `Slot::submit` publishes it.
        self.issued_on.store(handle, Ordering::Relaxed);
        // SAFETY: the caller holds the slot, so the kernel does not use this memory.
        unsafe { *self.overlapped.get() = Overlapped::default() };
        ptr::from_ref(self).cast::<Overlapped>().cast_mut()
    }

    /// How the operation ended.
    ///
    /// The system is asked only when the packet alone does not already say
    /// success.
    ///
    /// # Safety
    ///
    /// The operation's packet was just dequeued and its slot reclaimed.
    pub(super) unsafe fn status(
        &self,
        kernel: &Kernel,
        nature: Nature,
        packet_bytes: u32,
    ) -> Status {
        let overlapped = self.overlapped.get();
        // SAFETY: the kernel is done with this memory; the caller holds it.
        if packet_bytes != 0 && unsafe { Kernel::succeeded(overlapped) } {
            return Status { bytes: packet_bytes as usize, error: 0 };
        }
        let handle = self.issued_on.load(Ordering::Relaxed);
        // SAFETY: the caller holds the slot.
        let probe = matches!(unsafe { &self.work().body }, Some(Body::Probe(_)));
        let device = probe || nature == Nature::Pipe;
        // SAFETY: the handle is open, for the operation's claim keeps it so, and the operation
        // issued on it has ended.
        match unsafe { kernel.result(handle, overlapped, device) } {
            Ok(bytes) => Status { bytes: bytes as usize, error: 0 },
            // A failed operation may have moved bytes all the same: the packet counts them.
            Err(error) => Status { bytes: packet_bytes as usize, error },
        }
    }

    /// Whether the operation was last issued on `handle`.
    pub(super) fn is_issued_on(&self, handle: Handle) -> bool {
        self.issued_on.load(Ordering::Relaxed) == handle
    }

    /// Asks the kernel to end the operation soon. A hint: whether it was there or not (1168), its
    /// packet may be queued already, and ends it in either case.
    pub(super) fn cancel_in_kernel(&self, kernel: &Kernel) {
        let handle = self.issued_on.load(Ordering::Relaxed);
        // SAFETY: callers have a claim on the entry, so the handle is open if anything is pending
        // on it; the `OVERLAPPED`'s address only names the operation.
        unsafe { kernel.cancel(handle, self.overlapped.get()) };
    }
}

/// How a call or an operation ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status {
    /// How many bytes were moved, also in failure.
    pub(super) bytes: usize,
    /// The error code, 0 for success.
    pub(super) error: u32,
}

/// What an operation does.
pub(super) enum Body {
    /// Waits for one connection.
    Accept(Accept),
    /// Connects.
    Connect(Connect),
    /// Receives once.
    Receive(Receive),
    /// Sends all of some buffers.
    Send(Send),
    /// Waits for readiness.
    Probe(Probe),
}

/// What follows the end of a call.
pub(super) enum Next {
    /// The operation is over.
    Over(Event),
    /// It got further, and goes on with another call.
    Further(Body),
    /// It failed so: the table decides.
    Failed(Body, u32),
}

/// The arguments of one call, apart from the body: from the moment of the call the body may be in
/// another thread's hands, if the completion overtakes the call's return.
pub(super) enum Request {
    Accept(accept::Request),
    Connect(connect::Request),
    Receive(Nature),
    Send(Nature),
    Probe(probe::Request),
}

impl Body {
    pub(super) fn kind(&self) -> Call {
        match self {
            Self::Accept(_) => Call::Accept,
            Self::Connect(_) => Call::Connect,
            Self::Receive(_) => Call::Receive,
            Self::Send(_) => Call::Send,
            Self::Probe(_) => Call::Probe,
        }
    }

    /// What the next call is issued on, of an entry that has this handle.
    pub(super) fn target(&self, resources: &Resources, shared: &Shared) -> io::Result<Handle> {
        match self {
            Self::Accept(accept) => Ok(accept.target(resources.handle())),
            Self::Connect(_) => shared.kernel.connect_on(resources.socket()?),
            Self::Receive(_) | Self::Send(_) => Ok(resources.handle()),
            Self::Probe(_) => shared.device().map(Kernel::device_handle),
        }
    }

    /// The arguments of the next call.
    pub(super) fn request(
        &mut self,
        resources: &Resources,
        shared: &Shared,
        vectors: &mut Vectors,
    ) -> Request {
        match self {
            Self::Accept(accept) => Request::Accept(accept.request(resources.handle())),
            Self::Connect(connect) => Request::Connect(connect.request()),
            Self::Receive(receive) => {
                receive.request(vectors);
                Request::Receive(resources.nature())
            }
            Self::Send(send) => {
                send.request(shared, vectors);
                Request::Send(resources.nature())
            }
            Self::Probe(probe) => Request::Probe(probe.request()),
        }
    }

    /// Deals with the end of a call.
    pub(super) fn completed(self, resources: &Resources, shared: &Shared, status: Status) -> Next {
        match self {
            Self::Accept(accept) => accept.completed(resources, shared, status),
            Self::Connect(connect) => connect.completed(resources, shared, status),
            Self::Receive(receive) => receive.completed(resources, shared, status),
            Self::Send(send) => send.completed(shared, status),
            Self::Probe(probe) => probe.completed(status),
        }
    }

    /// What to issue after an error that asks for another attempt.
    pub(super) fn again(self, resources: &Resources, shared: &Shared, code: u32) -> Next {
        Next::Further(match self {
            Self::Accept(accept) => return accept.again(resources, shared),
            Self::Receive(receive) => return receive.again(resources, shared, code),
            Self::Send(send) => return send.again(shared, code),
            other => other,
        })
    }

    /// Ends the operation with `error`.
    pub(super) fn failed(self, shared: &Shared, error: io::Error) -> Event {
        match self {
            Self::Accept(_) => Event::Accepted(Err(error)),
            Self::Connect(_) => Event::Connected(Err(error)),
            Self::Receive(receive) => {
                receive.discard(shared);
                Event::Received(Err(error))
            }
            Self::Send(send) => send.over(shared, Err(error)),
            Self::Probe(_) => Event::Ready(Err(error)),
        }
    }
}

impl Request {
    /// Makes the call.
    ///
    /// # Safety
    ///
    /// `handle` is open and of the right kind; `overlapped` and what the
    /// request points to stay where they are, touched by nobody, until the
    /// completion, if the call leads to one.
    pub(super) unsafe fn issue(
        self,
        kernel: &Kernel,
        handle: Handle,
        overlapped: *mut Overlapped,
        vectors: &Vectors,
    ) -> Called {
        let (array, count) = vectors.as_raw();
        // SAFETY: the caller's promise, passed on.
        unsafe {
            match self {
                Self::Accept(request) => request.issue(kernel, overlapped),
                Self::Connect(request) => request.issue(kernel, handle, overlapped),
                Self::Receive(nature) => kernel.receive(nature, handle, array, count, overlapped),
                Self::Send(nature) => kernel.send(nature, handle, array, count, overlapped),
                Self::Probe(request) => request.issue(kernel, handle, overlapped),
            }
        }
    }
}

/// How many buffers one call gathers at most. Some providers refuse more than 1,024.
pub(super) const GATHER: usize = 64;

/// The buffers of one call. The provider captures the array before the call returns.
pub(super) struct Vectors {
    array: [MaybeUninit<Vector>; GATHER],
    count: usize,
}

impl Vectors {
    pub(super) fn new() -> Self {
        Self { array: [const { MaybeUninit::uninit() }; GATHER], count: 0 }
    }

    /// Adds a buffer, if there is room for another.
    pub(super) fn push(&mut self, start: *mut u8, length: u32) -> bool {
        let Some(vector) = self.array.get_mut(self.count) else { return false };
        vector.write(Kernel::vector(start, length));
        self.count += 1;
        true
    }

    /// For the call.
    pub(super) fn as_raw(&self) -> (*const Vector, u32) {
        (self.array.as_ptr().cast(), u32::try_from(self.count).expect("at most `GATHER`"))
    }
}

/// A heap value that the kernel writes while we hold its address.
///
/// A `Box` would promise the compiler that nobody else does.
pub(super) struct Stable<T>(NonNull<T>);

// SAFETY: it owns its value, as a `Box` does.
unsafe impl<T: std::marker::Send> std::marker::Send for Stable<T> {}

impl<T> Stable<T> {
    pub(super) fn new(value: T) -> Self {
        Self(NonNull::from(Box::leak(Box::new(value))))
    }

    pub(super) fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }
}

impl<T> Drop for Stable<T> {
    fn drop(&mut self) {
        // SAFETY: made from a box in `new`, and freed only here.
        drop(unsafe { Box::from_raw(self.0.as_ptr()) });
    }
}

const _: () = assert!(mem::offset_of!(Operation, overlapped) == 0);
