//! The life of an operation in the model's kernel.

use super::{
    Addresses, Call, Called, Handle, Model, Nature, OPERATION_KEY, Open, Overlapped, PENDING,
    Packet, Poll, Vector, errors, memory::Lent, pattern,
};
use crate::lock::lock;

/// What an operation works on.
pub(super) enum Work {
    Receive(Vec<Vector>),
    Send(Vec<Vector>),
    Accept { listener: Handle, socket: Handle, addresses: *mut Addresses },
    Connect,
    Poll(*mut Poll),
}

// SAFETY: as for `Vector`.
unsafe impl Send for Work {}

impl Work {
    pub(super) fn call(&self) -> Call {
        match self {
            Self::Receive(_) => Call::Receive,
            Self::Send(_) => Call::Send,
            Self::Accept { .. } => Call::Accept,
            Self::Connect => Call::Connect,
            Self::Poll(_) => Call::Probe,
        }
    }

    /// How many bytes it may move.
    pub(super) fn capacity(&self) -> usize {
        match self {
            Self::Receive(vectors) | Self::Send(vectors) => {
                vectors.iter().map(|vector| vector.length as usize).sum()
            }
            _ => 0,
        }
    }
}

/// An operation that the kernel has, or of which a packet is queued.
pub(super) struct Operation {
    pub(super) overlapped: *mut Overlapped,
    pub(super) handle: Handle,
    pub(super) work: Work,
    /// Whether its packet is queued.
    pub(super) queued: bool,
    /// Whether somebody asked for its end.
    pub(super) cancelled: bool,
    _lent: Vec<Lent>,
}

impl Operation {
    /// Whose handler is told of its end.
    fn told(&self) -> Handle {
        match self.work {
            Work::Accept { listener, .. } => listener,
            _ => self.handle,
        }
    }
}

// SAFETY: as for `Vector`.
unsafe impl Send for Operation {}

/// How an operation ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    /// With so many bytes, if it can move as many.
    Success(usize),
    /// With an error, after so many bytes (of a send).
    Failure(u32, usize),
}

impl Model {
    /// One call that hands an operation over.
    ///
    /// # Safety
    ///
    /// See [`super::kernel::System`].
    pub(super) unsafe fn issue(
        &self,
        handle: Handle,
        work: Work,
        overlapped: *mut Overlapped,
    ) -> Called {
        let number = {
            let mut state = lock(&self.state);
            state.next += 4;
            let number = state.next;
            let reused =
                state.operations.values().any(|operation| operation.overlapped == overlapped);
            if reused {
                state.violations.push("an OVERLAPPED was used twice".to_owned());
            }
            if !state.handles.get(&handle).is_some_and(|open| open.associated) {
                state.violations.push(format!("{:?} on a handle not on the port", work.call()));
            }
            number
        };
        let lent = self.lend(&work, overlapped);
        // Others' steps before the kernel has the operation.
        self.interlude();
        // SAFETY: the memory is the kernel's (the caller's promise).
        if !unsafe { (*overlapped).is_cleared() } {
            self.violation("an OVERLAPPED was not cleared");
        }
        // SAFETY: as above.
        unsafe { (*overlapped).status = PENDING };
        let operation =
            Operation { overlapped, handle, work, queued: false, cancelled: false, _lent: lent };
        let scripted = lock(&self.state).script.pop_front();
        let called = match scripted.unwrap_or_else(|| self.outcome(&operation.work)) {
            Called::Done(_) | Called::Ended if self.ends_within(handle, &operation.work) => {
                lock(&self.state).operations.insert(number, operation);
                self.end(number, End::Success(0), false);
                Called::Ended
            }
            Called::Done(bytes) => {
                let skips = self.open(handle, "a call", |open| open.skips).unwrap_or(false);
                lock(&self.state).operations.insert(number, operation);
                let bytes = self.end(number, End::Success(bytes), !skips);
                Called::Done(bytes)
            }
            Called::Failed(code) => {
                self.open(operation.told(), "a call", |open| open.codes.push(code));
                drop(operation);
                Called::Failed(code)
            }
            Called::Ended => unreachable!("only pipes end so"),
            Called::Pending => {
                lock(&self.state).operations.insert(number, operation);
                Called::Pending
            }
        };
        // Others' steps before the call returns, of which the completion may be one.
        self.interlude();
        called
    }

    /// Whether success at once brings no packet, whatever was asked for: a pipe that finds its
    /// other end.
    fn ends_within(&self, handle: Handle, work: &Work) -> bool {
        let nature = self.open(handle, "a call", |open| open.nature).flatten();
        nature == Some(Nature::Pipe) && matches!(work.call(), Call::Accept | Call::Connect)
    }

    /// How a call returns: a send mostly succeeds at once, all else mostly pends.
    fn outcome(&self, work: &Work) -> Called {
        match (self.choose(8), work.call()) {
            (0..=3, Call::Send) | (4, _) => Called::Done(self.amount(work.capacity())),
            (5, _) => match self.code() {
                // Only a packet may lack its status.
                errors::IO_INCOMPLETE => Called::Failed(995),
                code => Called::Failed(code),
            },
            _ => Called::Pending,
        }
    }

    fn lend(&self, work: &Work, overlapped: *mut Overlapped) -> Vec<Lent> {
        let mut ranges = vec![(overlapped.addr(), size_of::<Overlapped>())];
        match work {
            Work::Receive(vectors) | Work::Send(vectors) => ranges.extend(
                vectors
                    .iter()
                    .filter(|vector| vector.length > 0)
                    .map(|vector| (vector.start.addr(), vector.length as usize)),
            ),
            Work::Accept { addresses, .. } => {
                ranges.push((addresses.addr(), size_of::<Addresses>()));
            }
            Work::Poll(poll) => ranges.push((poll.addr(), size_of::<Poll>())),
            Work::Connect => {}
        }
        // SAFETY: the counter is the model's, which keeps all that is lent.
        ranges.into_iter().map(|(at, size)| unsafe { Lent::new(at, size, &self.freed) }).collect()
    }

    /// Mostly all, else a part.
    pub(super) fn amount(&self, most: usize) -> usize {
        match self.choose(3) {
            1 => self.choose(most.min(32) + 1),
            2 => most / 2,
            _ => most,
        }
    }

    /// An error code, mostly one of the table.
    pub(super) fn code(&self) -> u32 {
        let codes = errors::codes();
        let code = codes[self.choose(250) % codes.len()];
        match code {
            0 | errors::IO_PENDING => 10_054,
            code => code,
        }
    }

    /// Ends an operation that the kernel has, and queues its packet if `packet`. Gives the bytes
    /// it moved.
    fn end(&self, number: u64, end: End, packet: bool) -> usize {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let Some(operation) = state.operations.get_mut(&number) else { return 0 };
        if operation.queued {
            return 0;
        }
        let mut other = Open::default();
        if let End::Failure(code, _) = end
            && let Some(told) = state.handles.get_mut(&operation.told())
        {
            told.codes.push(code);
        }
        let open = state.handles.get_mut(&operation.handle).unwrap_or(&mut other);
        let mut silent = false;
        let (code, most) = match end {
            End::Success(most) => (0, most),
            // Of a pipe, all is written, and nobody hears of it.
            End::Failure(errors::IO_INCOMPLETE, _)
                if open.nature == Some(Nature::Pipe) && operation.work.call() == Call::Send =>
            {
                silent = true;
                (errors::IO_INCOMPLETE, usize::MAX)
            }
            End::Failure(code, most) => {
                (code, if operation.work.call() == Call::Send { most } else { 0 })
            }
        };
        // SAFETY: the operation's memory is the kernel's until its packet is dequeued, or until
        // the call returns that ended it.
        let bytes = unsafe { Self::carry_out(operation, open, most, code == 0) };
        let overlapped = operation.overlapped;
        let told = if silent { 0 } else { bytes };
        let count = u32::try_from(told).expect("small buffers");
        // SAFETY: as above.
        unsafe { *overlapped = Overlapped { status: code, bytes: count } };
        if packet {
            operation.queued = true;
            state.packets.push_back(Packet::new(OPERATION_KEY, overlapped, count));
        } else {
            state.operations.remove(&number);
        }
        bytes
    }

    /// # Safety
    ///
    /// The operation's memory is the kernel's.
    unsafe fn carry_out(
        operation: &Operation,
        open: &mut Open,
        most: usize,
        success: bool,
    ) -> usize {
        let mut moved = 0;
        match &operation.work {
            Work::Receive(vectors) => {
                for vector in vectors {
                    for offset in 0..vector.length as usize {
                        if moved == most {
                            break;
                        }
                        let byte = pattern(operation.handle, open.received);
                        // SAFETY: within the buffer, which is the kernel's.
                        unsafe { vector.start.add(offset).write(byte) };
                        open.received += 1;
                        moved += 1;
                    }
                }
            }
            Work::Send(vectors) => {
                for vector in vectors {
                    let part = (vector.length as usize).min(most - moved);
                    // SAFETY: within the buffer, which nobody writes.
                    let bytes = unsafe { std::slice::from_raw_parts(vector.start, part) };
                    open.sent.extend_from_slice(bytes);
                    moved += part;
                }
            }
            // SAFETY: the memory is the kernel's.
            Work::Accept { addresses, .. } if success => unsafe { (**addresses).0 = 4_711 },
            Work::Poll(poll) if success => {
                // SAFETY: the memory is the kernel's.
                let poll = unsafe { &mut **poll };
                // `most` tells here what the answer is: nothing, the socket closed by its owner,
                // readable, writable, or whatever was asked for.
                match most % 8 {
                    1 => poll.count = 0,
                    2 => poll.events = 1 << 5,
                    3 => poll.events &= 1,
                    4 => poll.events &= 1 << 2,
                    _ => poll.events &= !(1 << 5),
                }
            }
            Work::Accept { .. } | Work::Connect | Work::Poll(_) => {}
        }
        moved
    }

    /// Ends one of the operations that the kernel has, in a way that the schedule chooses; of those
    /// only whose end was asked for, if so. False if there are none.
    pub(super) fn proceed(&self, cancelled_only: bool) -> bool {
        let numbers: Vec<u64> = lock(&self.state)
            .operations
            .iter()
            .filter(|(_, operation)| !operation.queued && (operation.cancelled || !cancelled_only))
            .map(|(number, _)| *number)
            .collect();
        if numbers.is_empty() {
            return false;
        }
        let number = numbers[self.choose(numbers.len())];
        let (capacity, cancelled, probes) = {
            let state = lock(&self.state);
            let Some(operation) = state.operations.get(&number) else { return true };
            let probes = operation.work.call() == Call::Probe;
            (operation.work.capacity(), operation.cancelled, probes)
        };
        let end = match self.choose(8) {
            0 | 1 if cancelled || cancelled_only => End::Failure(995, 0),
            0..=4 if probes => End::Success(self.choose(8)),
            0..=4 => End::Success(self.amount(capacity)),
            // An end of the stream, or no progress.
            5 => End::Success(0),
            6 => End::Failure(self.code(), self.amount(capacity)),
            // The thread that issued it has ended.
            _ => End::Failure([995, 996][self.choose(2)], self.choose(capacity.min(8) + 1)),
        };
        self.end(number, end, true);
        true
    }

    /// Has the next calls return so.
    pub(super) fn script(&self, called: impl IntoIterator<Item = Called>) {
        lock(&self.state).script.extend(called);
    }

    /// Has the next wait fail so.
    pub(super) fn fail_dequeue(&self, code: u32) {
        lock(&self.state).failing_dequeue = Some(code);
    }

    /// Ends the oldest operation that the kernel has. False if there is none.
    pub(super) fn finish(&self, end: End) -> bool {
        let oldest = lock(&self.state)
            .operations
            .iter()
            .find(|(_, operation)| !operation.queued)
            .map(|(number, _)| *number);
        oldest.inspect(|number| _ = self.end(*number, end, true)).is_some()
    }

    pub(super) fn cancel(&self, handle: Handle, overlapped: *const Overlapped) {
        self.interlude();
        let numbers: Vec<u64> = {
            let mut state = lock(&self.state);
            let known = state.handles.contains_key(&handle) || state.instances.contains(&handle);
            if handle != 0 && !known {
                state.violations.push("CancelIoEx on a handle that is not open".to_owned());
            }
            let named = |operation: &Operation| {
                operation.handle == handle
                    && (overlapped.is_null() || operation.overlapped.cast_const() == overlapped)
            };
            state
                .operations
                .iter_mut()
                // Otherwise: not found, and the packet is queued.
                .filter(|(_, operation)| named(operation) && !operation.queued)
                .map(|(number, operation)| {
                    operation.cancelled = true;
                    *number
                })
                .collect()
        };
        for number in numbers {
            let capacity = lock(&self.state)
                .operations
                .get(&number)
                .map_or(0, |operation| operation.work.capacity());
            match self.choose(6) {
                // It heeds it later, or something else ends it first.
                1..=3 => {}
                4 => _ = self.end(number, End::Success(self.amount(capacity)), true),
                5 => _ = self.end(number, End::Failure(995, self.choose(capacity + 1)), true),
                _ => _ = self.end(number, End::Failure(995, 0), true),
            }
        }
        self.interlude();
    }
}
