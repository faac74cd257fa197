//! The ring: what is pushed into it, and what comes out.

use std::{fmt, io, sync::Mutex, thread, time::Duration};

use io_uring::{EnterFlags, IoUring, cqueue, opcode, squeue, types};

use super::support;
use crate::{
    errors::{self, Action, Call},
    lock::lock,
};

/// Marks the end of what was submitted only to end a wait. Addresses are never so high.
const WAKE: u64 = u64::MAX;
/// Marks the end of a cancellation.
const CANCELLATION: u64 = u64::MAX - 1;

/// How often the kernel is asked to take what it has no memory for at the moment.
const ATTEMPTS: usize = 100;

/// The submission and the completion queue.
///
/// Any thread may push; the kernel takes what was pushed, in order, when
/// somebody enters it. Completions are for the driver.
pub(super) struct Ring {
    ring: IoUring,
    /// Held by whoever has the submission queue in hand, and by nobody during a system call.
    pushing: Mutex<()>,
    /// Held by whoever has the completion queue in hand.
    taking: Mutex<()>,
    /// Said to the kernel at each wait.
    wait: EnterFlags,
}

/// The end of an operation, as the kernel tells it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Completion {
    /// What the operation was submitted with.
    pub(super) name: u64,
    /// A count, or an error number below zero.
    pub(super) result: i32,
    /// Which of the provided pieces it has used up.
    pub(super) piece: Option<u16>,
    /// There will be another one under the same name.
    pub(super) more: bool,
    /// The socket has something left to receive.
    pub(super) left: bool,
}

impl Ring {
    /// # Errors
    ///
    /// Why there can be no ring.
    pub(super) fn new() -> io::Result<Self> {
        let ring = support::open()?;
        let mut wait = EnterFlags::GETEVENTS;
        if ring.params().is_feature_no_iowait() {
            // To wait for a peer is not to wait for a disk: it shall not count as load.
            wait |= EnterFlags::NO_IOWAIT;
        }
        Ok(Self { ring, pushing: Mutex::default(), taking: Mutex::default(), wait })
    }

    /// Makes the memory at `address` the group of `entries` provided pieces that receives may take
    /// theirs from.
    ///
    /// # Safety
    ///
    /// The memory stays as long as the ring.
    pub(super) unsafe fn provide(&self, address: u64, entries: u16, group: u16) -> io::Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.ring.submitter().register_buf_ring_with_flags(address, entries, group, 0) }
    }

    /// Leaves an operation to the next entry into the kernel. False if there is no room: the driver
    /// has to take completions first.
    ///
    /// # Safety
    ///
    /// What the operation refers to stays as it is, touched by nobody, until its completion.
    pub(super) unsafe fn push(&self, operation: &squeue::Entry) -> bool {
        for _ in 0..ATTEMPTS {
            let pushing = lock(&self.pushing);
            // SAFETY: whoever has the queue in hand holds the lock.
            let mut queue = unsafe { self.ring.submission_shared() };
            // SAFETY: the caller's promise.
            let pushed = unsafe { queue.push(operation) }.is_ok();
            drop((queue, pushing));
            if pushed {
                return true;
            }
            // The kernel may take less than all, or somebody else may have brought it all of that.
            if self.enter(0, None).is_err() {
                return false;
            }
        }
        false
    }

    /// Asks for the end of the operation of that name, which is in the ring or was.
    pub(super) fn cancel(&self, name: u64) -> bool {
        let cancellation = opcode::AsyncCancel::new(name)
            .build()
            .user_data(CANCELLATION)
            // It is the operation that tells.
            .flags(squeue::Flags::SKIP_SUCCESS);
        // SAFETY: it refers to nothing.
        unsafe { self.push(&cancellation) }
    }

    /// Ends a wait, by an operation that ends at once: its completion needs no other thread's help,
    /// as that of a descriptor would that another thread had begun to watch.
    pub(super) fn wake(&self) {
        let nothing = opcode::Nop::new().build().user_data(WAKE);
        for _ in 0..ATTEMPTS {
            // SAFETY: it refers to nothing.
            if unsafe { self.push(&nothing) } {
                break;
            }
            thread::yield_now();
        }
        // Failing that, too many completions wait to be taken: then nobody waits for them.
        self.submit();
    }

    /// Submits what was pushed, whoever did. False if the kernel does not take all of it.
    pub(super) fn submit(&self) -> bool {
        for _ in 0..ATTEMPTS {
            match self.enter(0, None) {
                // Others may have taken it along, or are about to: the kernel lets one in at a
                // time, so that it has all of it by now unless it stopped half-way.
                Ok(_) if self.pushed() == 0 => return true,
                Ok(_) => {}
                // Completions must be taken first.
                Err(error) if errors::action(Call::Enter, &error) == Some(Action::Ignore) => {
                    return false;
                }
                Err(_) => thread::yield_now(),
            }
        }
        false
    }

    /// Submits what was pushed, and waits for a completion, at most `timeout`; for ever if that is
    /// `None`.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        let want = u32::from(timeout != Some(Duration::ZERO) && self.completed() == 0);
        match self.enter(want, timeout) {
            Ok(_) => Ok(()),
            Err(error) => match errors::action(Call::Enter, &error) {
                // The wait is over, and what was not taken in is with the next one.
                Some(Action::Ignore | Action::Retry) => Ok(()),
                _ => Err(error),
            },
        }
    }

    /// How many completions can be taken.
    pub(super) fn completed(&self) -> usize {
        let _taking = lock(&self.taking);
        // SAFETY: whoever has the queue in hand holds the lock.
        unsafe { self.ring.completion_shared() }.len()
    }

    /// Takes the next completion of an operation that was pushed under a name.
    pub(super) fn take(&self) -> Option<Completion> {
        let _taking = lock(&self.taking);
        // SAFETY: whoever has the queue in hand holds the lock.
        let mut queue = unsafe { self.ring.completion_shared() };
        queue.find(|entry| !matches!(entry.user_data(), WAKE | CANCELLATION)).map(|entry| {
            Completion {
                name: entry.user_data(),
                result: entry.result(),
                piece: cqueue::buffer_select(entry.flags()),
                more: cqueue::more(entry.flags()),
                left: cqueue::sock_nonempty(entry.flags()),
            }
        })
    }

    /// How much was pushed that the kernel has not taken.
    fn pushed(&self) -> usize {
        let _pushing = lock(&self.pushing);
        // SAFETY: whoever has the queue in hand holds the lock.
        unsafe { self.ring.submission_shared() }.len()
    }

    /// Enters the kernel if there is anything to do there: it takes what was pushed, and if
    /// completions are wanted, waits for so many. Tells how many operations it took.
    fn enter(&self, want: u32, timeout: Option<Duration>) -> io::Result<usize> {
        let pushing = lock(&self.pushing);
        // SAFETY: whoever has the queue in hand holds the lock.
        let queue = unsafe { self.ring.submission_shared() };
        let pushed = u32::try_from(queue.len()).expect("a queue's length has 32 bits");
        let overflown = queue.cq_overflow();
        drop((queue, pushing));
        if pushed == 0 && want == 0 && !overflown {
            return Ok(0);
        }
        // Somebody else may submit the same now: then the kernel takes fewer, and waits for none.
        let mut flags = EnterFlags::empty();
        if want > 0 || overflown {
            flags |= self.wait;
        }
        let submitter = self.ring.submitter();
        let Some(timeout) = timeout.filter(|_| want > 0) else {
            // SAFETY: no argument is passed.
            return unsafe { submitter.enter::<libc::sigset_t>(pushed, want, flags.bits(), None) };
        };
        let timeout = types::Timespec::from(timeout);
        let arguments = types::SubmitArgs::new().timespec(&timeout);
        flags |= EnterFlags::EXT_ARG;
        // SAFETY: the argument is what the flag says it is, and valid for the call.
        unsafe { submitter.enter(pushed, want, flags.bits(), Some(&arguments)) }
    }
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("completed", &self.completed()).finish_non_exhaustive()
    }
}
