//! One direction's operation, from its start to its end.

use std::{io, mem, sync::Arc};

use bytes::BytesMut;
use io_uring::squeue;

use super::provided::Arming;
use crate::{
    Event,
    errors::{self, Action, Call, cancelled},
    sys::{buffer_pool::BufferPool, readiness::source::Source},
};

/// How often an operation is submitted again in a row after a failure that should not be.
const ATTEMPTS: u8 = 64;

/// What can be asked of the kernel.
pub(super) trait Operation: Sized {
    /// What a direction keeps beside its operation, from one to the next.
    type Beside: Default;

    /// What is pushed. The operation stays alive, and may only be moved, until its completion.
    fn submission(&mut self, source: &Source) -> squeue::Entry;
    /// Deals with its end. What was received may have come in a piece, and is in a buffer now.
    fn completed(
        self,
        source: &Source,
        result: io::Result<u32>,
        piece: Option<BytesMut>,
    ) -> Next<Self>;
    /// If it is a receive into a piece, makes it one into a whole buffer, if one may be lent.
    fn arm(&mut self, _arming: &Arming, _buffers: &BufferPool) {}
    /// Whether the kernel takes a piece for it from those provided.
    fn takes_piece(&self) -> bool {
        false
    }
    /// Disposes of what a success brought that nobody wants any more.
    fn abandoned(self, _result: u32) {}
    /// Ends it so.
    fn failed(self, error: io::Error) -> Event;
}

/// What follows a completion.
pub(super) enum Next<O> {
    Over(Event),
    /// It is to be submitted once more.
    Again(O),
}

/// The place of one operation, which is pending unless this is idle.
#[derive(Default)]
pub(super) enum Slot<O> {
    #[default]
    Idle,
    /// The driver will submit it; or what a lasting receive brings will answer it.
    Asked(Asked<O>),
    /// The kernel has it, and a reference to the registration that its completion brings back.
    Submitted(Submitted<O>),
    /// It is over but for its event.
    Due(Event),
    /// The other direction's operation, a probe, is this one's as well.
    Shared,
}

pub(super) struct Asked<O> {
    operation: O,
    attempts: u8,
}

pub(super) struct Submitted<O> {
    operation: O,
    attempts: u8,
    /// Keeps the descriptor open, so that its number means the same to the kernel when the
    /// submission reaches it. `None` when it has been retired after that.
    source: Option<Arc<Source>>,
    cancellation: Cancellation,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cancellation {
    None,
    Wanted,
    /// The kernel has been told.
    Passed,
}

impl<O: Operation> Slot<O> {
    /// For an operation that begins.
    pub(super) fn asked(operation: O) -> Self {
        Self::Asked(Asked { operation, attempts: 0 })
    }

    pub(super) fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// What is pending and not over.
    pub(super) fn operation(&self) -> Option<&O> {
        match self {
            Self::Asked(Asked { operation, .. }) | Self::Submitted(Submitted { operation, .. }) => {
                Some(operation)
            }
            Self::Idle | Self::Due(_) | Self::Shared => None,
        }
    }

    /// Ends what is pending soon; true if the driver has to see to it.
    pub(super) fn cancel(&mut self) -> bool {
        match mem::take(self) {
            Self::Asked(asked) => {
                *self = Self::Due(asked.operation.failed(cancelled()));
                true
            }
            Self::Submitted(mut submitted) => {
                let new = submitted.cancellation == Cancellation::None;
                if new {
                    submitted.cancellation = Cancellation::Wanted;
                }
                *self = Self::Submitted(submitted);
                new
            }
            other => {
                *self = other;
                false
            }
        }
    }

    /// Ends what is pending with no event. What the kernel has stays until it gives it back; the
    /// rest is the caller's to drop.
    pub(super) fn retire(&mut self) -> Self {
        if matches!(self, Self::Submitted(_)) {
            self.cancel();
            return Self::Idle;
        }
        mem::take(self)
    }

    /// Lets go of the descriptor: the kernel has the submission, and the cancellation.
    pub(super) fn let_go(&mut self) -> Option<Arc<Source>> {
        let Self::Submitted(submitted) = self else { return None };
        submitted.cancellation = Cancellation::Passed;
        submitted.source.take()
    }

    pub(super) fn is_submitted(&self) -> bool {
        matches!(self, Self::Submitted(_))
    }
}

impl<O: Operation> Asked<O> {
    pub(super) fn operation(&self) -> &O {
        &self.operation
    }

    pub(super) fn into_operation(self) -> O {
        self.operation
    }

    pub(super) fn arm(&mut self, arming: &Arming, buffers: &BufferPool) {
        self.operation.arm(arming, buffers);
    }

    pub(super) fn takes_piece(&self) -> bool {
        self.operation.takes_piece()
    }

    pub(super) fn submission(&mut self, source: &Source) -> squeue::Entry {
        self.operation.submission(source)
    }

    pub(super) fn submitted(self, source: Arc<Source>) -> Slot<O> {
        let Self { operation, attempts } = self;
        Slot::Submitted(Submitted {
            operation,
            attempts,
            source: Some(source),
            cancellation: Cancellation::None,
        })
    }
}

impl<O: Operation> Submitted<O> {
    /// Whether the kernel should be told to end it.
    pub(super) fn wants_cancellation(&self) -> bool {
        self.cancellation == Cancellation::Wanted
    }

    /// Notes that the kernel has been told, if it should be.
    pub(super) fn cancelled(&mut self) {
        if self.wants_cancellation() {
            self.cancellation = Cancellation::Passed;
        }
    }

    /// Takes the operation on from its completion.
    pub(super) fn completed(
        self,
        source: &Source,
        result: i32,
        piece: Option<BytesMut>,
    ) -> Slot<O> {
        let result = u32::try_from(result).map_err(|_| io::Error::from_raw_os_error(-result));
        let failure = result.as_ref().err().and_then(io::Error::raw_os_error);
        let again =
            failure.is_some_and(|code| errors::classify(Call::Completion, code) == Action::Retry);
        // Should the memory be at fault after all, it ends.
        let suspect = failure == Some(libc::EFAULT);
        let attempts = if suspect { self.attempts.saturating_add(1) } else { 0 };
        let next = if again && attempts <= ATTEMPTS {
            Next::Again(self.operation)
        } else {
            self.operation.completed(source, result, piece)
        };
        match next {
            Next::Over(event) => Slot::Due(event),
            Next::Again(operation) if self.cancellation == Cancellation::None => {
                Slot::Asked(Asked { operation, attempts })
            }
            Next::Again(operation) => Slot::Due(operation.failed(cancelled())),
        }
    }

    /// Drops the operation, after its completion, and what that brought.
    pub(super) fn abandon(self, result: i32) {
        if let Ok(result) = u32::try_from(result) {
            self.operation.abandoned(result);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ends with whatever comes.
    struct Any;

    impl Operation for Any {
        type Beside = ();

        fn submission(&mut self, _source: &Source) -> squeue::Entry {
            io_uring::opcode::Nop::new().build()
        }

        fn completed(
            self,
            _source: &Source,
            result: io::Result<u32>,
            _piece: Option<BytesMut>,
        ) -> Next<Self> {
            Next::Over(self.failed(result.expect_err("only failures come here")))
        }

        fn failed(self, error: io::Error) -> Event {
            Event::Connected(Err(error))
        }
    }

    /// What an operation that has been asked for ends with so, or that it is asked for once more.
    fn ends(asked: Asked<Any>, code: i32, cancel: bool) -> Result<Asked<Any>, io::Error> {
        let source = Arc::new(Source::Watched(0));
        let mut slot = asked.submitted(Arc::clone(&source));
        if cancel {
            assert!(slot.cancel());
        }
        let Slot::Submitted(submitted) = slot else { unreachable!("it is submitted") };
        match submitted.completed(&source, -code, None) {
            Slot::Asked(asked) => Ok(asked),
            Slot::Due(Event::Connected(Err(error))) => Err(error),
            _ => unreachable!("it is over or asked for"),
        }
    }

    fn asked() -> Asked<Any> {
        Asked { operation: Any, attempts: 0 }
    }

    #[test]
    fn what_the_ring_gave_up_is_submitted_again_unless_it_was_cancelled() {
        for code in [libc::ECANCELED, libc::EINTR, libc::EAGAIN] {
            let mut operation = asked();
            for _ in 0..=usize::from(ATTEMPTS) {
                operation = ends(operation, code, false).expect("it is asked for again");
            }
            let error = ends(operation, code, true).err().expect("it is over");
            assert!(errors::is_cancelled(&error), "{error}");
        }
    }

    #[test]
    fn memory_that_stays_at_fault_ends_an_operation() {
        let mut operation = asked();
        for _ in 0..ATTEMPTS {
            operation = ends(operation, libc::EFAULT, false).expect("it is asked for again");
        }
        let error = ends(operation, libc::EFAULT, false).err().expect("it is over");
        assert_eq!(error.raw_os_error(), Some(libc::EFAULT));
    }

    #[test]
    fn other_failures_end_an_operation() {
        for code in [libc::ECONNRESET, libc::EBADF, libc::ENOBUFS, libc::EBUSY] {
            let error = ends(asked(), code, false).err().expect("it is over");
            assert_eq!(error.raw_os_error(), Some(code));
        }
    }
}
