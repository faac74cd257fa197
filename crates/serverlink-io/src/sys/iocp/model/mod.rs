//! A model of the system's calls, for platforms that do not have them.
//!
//! It may do whatever Windows may: end an operation within its call or later,
//! in any order, in part, with any error, with a packet or without; heed a
//! cancellation at once, late or not at all; fail to queue a packet. What it
//! does is decided by a [`Schedule`], which is also called in the middle of
//! calls, to let other threads' steps fall there. And it watches: that memory
//! it was lent is not freed and no handle closed under an operation, that no
//! `OVERLAPPED` is used twice or without being cleared, that every call names what is open.

mod calls;
mod memory;
mod operations;
mod socket;
#[cfg(not(loom))]
mod tests;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fmt::Display,
    fs::File,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

pub(super) use self::{calls::Kernel, socket::Socket};
use self::{
    calls::Packet,
    operations::{Operation, Work},
};
use super::{
    errors::{self, Call},
    kernel::{Called, Handle, Nature, OPERATION_KEY},
    probe::Poll,
};
use crate::lock::lock;

/// Decides what the kernel does.
pub(super) trait Schedule: Send + Sync {
    /// A number below `bound`; 0 is the usual case.
    fn choose(&self, bound: usize) -> usize;
    /// Other threads take steps, or the kernel does.
    fn interlude(&self);
    /// The driver sleeps, for ever if so, and there is no packet. False if nothing will happen.
    fn sleeping(&self, forever: bool) -> bool;
}

/// The status of an operation that has not ended.
const PENDING: u32 = u32::MAX;

/// The kernel's part of an operation.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Overlapped {
    /// 0, [`PENDING`], or the error code.
    status: u32,
    bytes: u32,
}

impl Default for Overlapped {
    fn default() -> Self {
        Self { status: PENDING, bytes: 0 }
    }
}

impl Overlapped {
    /// Whether it is as it was made: nothing is left of an earlier operation.
    fn is_cleared(&self) -> bool {
        self.status == PENDING && self.bytes == 0
    }
}

/// One buffer of a call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Vector {
    start: *mut u8,
    length: u32,
}

// SAFETY: it names memory of an operation that is the kernel's, and the model is the kernel.
unsafe impl Send for Vector {}

/// Where an accept has the peer's port written.
pub(super) struct Addresses(u16);

/// What is known of an open handle.
#[derive(Default)]
pub(super) struct Open {
    associated: bool,
    skips: bool,
    /// Nothing, if it is a device.
    nature: Option<Nature>,
    /// How many bytes were received from it.
    received: usize,
    /// What was sent on it.
    sent: Vec<u8>,
    /// The error codes its operations ended with.
    codes: Vec<u32>,
}

#[derive(Default)]
struct State {
    handles: HashMap<Handle, Open>,
    /// The pipes that were to be accepted. One may be gone when its accept is cancelled: only the
    /// operation keeps it.
    instances: HashSet<Handle>,
    /// By the order in which they were issued.
    operations: BTreeMap<u64, Operation>,
    packets: VecDeque<Packet>,
    /// The other ends of sockets that handlers were given.
    handed: Vec<File>,
    next: u64,
    /// How many posts are going to fail, and did.
    failing_posts: usize,
    failed_posts: usize,
    /// How the next wait fails.
    failing_dequeue: Option<u32>,
    /// How many of the next connects of pipes only wait.
    vain_connects: usize,
    /// How the next calls that hand operations over return.
    script: VecDeque<Called>,
    violations: Vec<String>,
    waited: Duration,
    closed: bool,
}

/// The kernel itself.
pub(super) struct Model {
    state: Mutex<State>,
    schedule: Mutex<Option<Arc<dyn Schedule>>>,
    /// How often memory was freed that the kernel had.
    freed: Box<AtomicUsize>,
    born: Instant,
}

/// The `index`th byte that a socket receives.
pub(super) fn pattern(handle: Handle, index: usize) -> u8 {
    (index.wrapping_mul(7).wrapping_add(handle) % 251) as u8
}

impl Model {
    fn new() -> Self {
        Self {
            state: Mutex::default(),
            schedule: Mutex::default(),
            freed: Box::default(),
            born: Instant::now(),
        }
    }

    pub(super) fn set_schedule(&self, schedule: Option<Arc<dyn Schedule>>) {
        *lock(&self.schedule) = schedule;
    }

    fn schedule(&self) -> Option<Arc<dyn Schedule>> {
        lock(&self.schedule).clone()
    }

    fn choose(&self, bound: usize) -> usize {
        self.schedule().map_or(0, |schedule| schedule.choose(bound))
    }

    fn interlude(&self) {
        if let Some(schedule) = self.schedule() {
            schedule.interlude();
        }
    }

    fn violation(&self, what: impl Display) {
        lock(&self.state).violations.push(what.to_string());
    }

    /// What went wrong so far.
    pub(super) fn violations(&self) -> Vec<String> {
        let mut violations = lock(&self.state).violations.clone();
        if self.freed.load(Ordering::SeqCst) > 0 {
            violations.push("memory was freed that the kernel had".to_owned());
        }
        violations
    }

    fn now(&self) -> Instant {
        self.born + lock(&self.state).waited
    }

    /// The handle, or a violation.
    fn open<T>(&self, handle: Handle, what: &str, then: impl FnOnce(&mut Open) -> T) -> Option<T> {
        let mut state = lock(&self.state);
        if let Some(open) = state.handles.get_mut(&handle) {
            return Some(then(open));
        }
        state.violations.push(format!("{what} on a handle that is not open"));
        None
    }

    /// A new handle.
    fn enter(&self, open: Open) -> Handle {
        let mut state = lock(&self.state);
        state.next += 4;
        let handle = Handle::try_from(state.next).expect("few handles");
        state.handles.insert(handle, open);
        handle
    }

    fn close(&self, handle: Handle) {
        let mut state = lock(&self.state);
        let used = state.operations.values().any(|operation| {
            operation.handle == handle
                || matches!(operation.work, Work::Accept { socket, .. } if socket == handle)
        });
        if used {
            state.violations.push("a handle was closed under an operation".to_owned());
        }
        if state.handles.remove(&handle).is_none() {
            state.violations.push("a handle was closed twice".to_owned());
        }
    }

    /// Whether the kernel has an operation, or its packet is queued.
    pub(super) fn has(&self, overlapped: usize) -> bool {
        let state = lock(&self.state);
        state.operations.values().any(|operation| operation.overlapped.addr() == overlapped)
    }

    /// How many bytes the oldest operation that the kernel has may move.
    pub(super) fn asked(&self) -> Option<usize> {
        let state = lock(&self.state);
        let oldest = state.operations.values().find(|operation| !operation.queued);
        oldest.map(|operation| operation.work.capacity())
    }

    /// What was sent on a socket.
    pub(super) fn sent(&self, handle: Handle) -> Vec<u8> {
        lock(&self.state).handles.get(&handle).map_or(Vec::new(), |open| open.sent.clone())
    }

    /// The error codes that a socket's operations met.
    pub(super) fn codes(&self, handle: Handle) -> Vec<u32> {
        lock(&self.state).handles.get(&handle).map_or(Vec::new(), |open| open.codes.clone())
    }

    /// Lets the next posts fail, but no more than `most` in all.
    pub(super) fn fail_posts(&self, count: usize, most: usize) {
        let mut state = lock(&self.state);
        state.failing_posts = count.min(most.saturating_sub(state.failed_posts));
    }

    /// Lets the next connects of pipes only wait.
    pub(super) fn connect_in_vain(&self, count: usize) {
        lock(&self.state).vain_connects = count;
    }

    /// Whether a connect of a pipe has only waited.
    fn waited_in_vain(&self) -> bool {
        let mut state = lock(&self.state);
        let vain = state.vain_connects > 0;
        state.vain_connects = state.vain_connects.saturating_sub(1);
        drop(state);
        vain || self.choose(4) == 3
    }

    /// How many packets are queued.
    pub(super) fn queued(&self) -> usize {
        lock(&self.state).packets.len()
    }

    /// What was not given back, in the end.
    pub(super) fn left(&self) -> Vec<String> {
        let state = lock(&self.state);
        let mut left = Vec::new();
        if !state.operations.is_empty() {
            left.push(format!("{} operations are left", state.operations.len()));
        }
        if !state.handles.is_empty() {
            left.push(format!("{} handles are open", state.handles.len()));
        }
        if !state.closed {
            left.push("the port is open".to_owned());
        }
        let open = state.handed.iter().filter(|end| !socket::is_closed(end)).count();
        if open > 0 {
            left.push(format!("{open} accepted sockets are open"));
        }
        left
    }
}
