//! The system calls.

#![allow(
    clippy::unnecessary_cast,
    clippy::useless_conversion,
    reason = "the types differ from system to system"
)]

use std::{
    io,
    mem::{self, MaybeUninit},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
    time::Duration,
};

use super::{Filter, Kevent, System, TRIGGER, flags};
use crate::sys::readiness::{BATCH, Token};

// The numbers of the logic are those of this system.
const _: () = {
    assert!(libc::EV_ADD as u32 == flags::ADD as u32);
    assert!(libc::EV_DELETE as u32 == flags::DELETE as u32);
    assert!(libc::EV_CLEAR as u32 == flags::CLEAR as u32);
    assert!(libc::EV_RECEIPT as u32 == flags::RECEIPT as u32);
    assert!(libc::EV_ERROR as u32 == flags::ERROR as u32);
    assert!(libc::EV_EOF as u32 == flags::EOF as u32);
    assert!(libc::NOTE_TRIGGER == TRIGGER);
    // Tokens go through the kernel as pointers.
    assert!(mem::size_of::<*mut libc::c_void>() == mem::size_of::<Token>());
};

/// The kernel's queue.
#[derive(Debug)]
pub(in crate::sys) struct Kernel {
    queue: OwnedFd,
}

impl Kernel {
    pub(in crate::sys) fn new() -> io::Result<Self> {
        // SAFETY: kqueue(2) takes nothing.
        let queue = match unsafe { libc::kqueue() } {
            -1 => return Err(io::Error::last_os_error()),
            // SAFETY: the call has just made it; nobody else owns it.
            queue => unsafe { OwnedFd::from_raw_fd(queue) },
        };
        // A child made by fork(2) has none of it, but a process that becomes another one would.
        // SAFETY: fcntl(2) takes no pointer for this.
        if unsafe { libc::fcntl(queue.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) } == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { queue })
    }
}

impl System for Kernel {
    fn kevent(
        &self,
        changes: &[Kevent],
        room: usize,
        timeout: Option<Duration>,
        each: &mut dyn FnMut(Kevent),
    ) -> io::Result<()> {
        /// The most changes of one call.
        const CHANGES: usize = 2;

        let mut raw = [raw_of(None), raw_of(None)];
        for (raw, change) in raw.iter_mut().zip(changes) {
            *raw = raw_of(Some(change));
        }
        let changes = changes.len().min(CHANGES);
        let mut events = [const { MaybeUninit::<libc::kevent>::uninit() }; BATCH];
        let room = room.min(BATCH);
        let limit = timeout.map(|timeout| {
            // SAFETY: a plain structure of numbers, for which zeros are valid.
            let mut limit: libc::timespec = unsafe { mem::zeroed() };
            limit.tv_sec = timeout.as_secs() as libc::time_t;
            limit.tv_nsec = timeout.subsec_nanos() as _;
            limit
        });
        // SAFETY: `raw` holds as many changes and `events` has room for as many events as they are
        // said to; `limit` is valid for the call, or null to wait for ever.
        let count = unsafe {
            libc::kevent(
                self.queue.as_raw_fd(),
                raw.as_ptr(),
                changes as _,
                events.as_mut_ptr().cast(),
                room as _,
                limit.as_ref().map_or(ptr::null(), ptr::from_ref),
            )
        };
        let Ok(count) = usize::try_from(count) else { return Err(io::Error::last_os_error()) };
        for event in &events[..count] {
            // SAFETY: the kernel has filled in that many.
            each(event_of(unsafe { event.assume_init_ref() }));
        }
        Ok(())
    }

    fn timer_grain(&self) -> Duration {
        if cfg!(target_os = "freebsd") {
            // Deadlines are met within a few per cent of the time (eventtimers(4)).
            Duration::from_micros(50)
        } else if cfg!(target_vendor = "apple") {
            // Timers of ordinary threads are coalesced.
            Duration::from_millis(1)
        } else {
            // A tick of the clock, of which there are a hundred in a second.
            Duration::from_millis(10)
        }
    }
}

/// A change as this system takes it.
fn raw_of(change: Option<&Kevent>) -> libc::kevent {
    // SAFETY: a plain structure of numbers and a pointer, for which zeros are valid.
    let mut raw: libc::kevent = unsafe { mem::zeroed() };
    if let Some(change) = change {
        raw.ident = change.ident as _;
        raw.filter = match change.filter {
            Filter::Read => libc::EVFILT_READ,
            Filter::Write => libc::EVFILT_WRITE,
            Filter::User => libc::EVFILT_USER,
        };
        raw.flags = change.flags.into();
        raw.fflags = change.fflags;
        raw.udata = change.udata as _;
    }
    raw
}

/// An event as the logic takes it.
fn event_of(raw: &libc::kevent) -> Kevent {
    Kevent {
        ident: raw.ident as usize,
        filter: match raw.filter {
            libc::EVFILT_READ => Filter::Read,
            libc::EVFILT_WRITE => Filter::Write,
            // No other was asked for.
            _ => Filter::User,
        },
        flags: raw.flags as u16,
        fflags: raw.fflags,
        data: raw.data as i64,
        udata: raw.udata as Token,
    }
}
