//! A model of the kernel, so that the logic runs on Linux.
//!
//! Two instances of epoll(7), edge-triggered, stand for the filters of the two directions: like a
//! filter that clears itself, each tells once of what happens to a descriptor in its direction, and
//! merges what happens before it is asked.
//!
//! The model does what a kernel may do and rarely does: waits end by a signal, events come a few at
//! a time and in another order, with those of other directions between them, and now and then one
//! comes for which there is no reason (any more).

use std::{
    collections::HashMap,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
    sync::Mutex,
    time::Duration,
};

use super::{Filter, Kevent, System, TRIGGER, flags};
use crate::{lock::lock, sys::readiness::Token};

/// Every so many waits: a signal, an event without a reason, events in short supply. The numbers
/// have no common divisor.
const SIGNAL: u64 = 16;
const SPURIOUS: u64 = 11;
const SHORT: u64 = 3;

#[derive(Debug)]
pub(in crate::sys) struct Model {
    reads: OwnedFd,
    writes: OwnedFd,
    /// An eventfd(2): something that no epoll knows of has happened.
    happened: OwnedFd,
    state: Mutex<State>,
    /// Whether there are events of users.
    has_user_events: bool,
}

#[derive(Debug, Default)]
struct State {
    notes: HashMap<(usize, Filter), Note>,
    waits: u64,
}

#[derive(Debug)]
struct Note {
    udata: Token,
    /// Has happened without epoll's knowing it.
    happened: bool,
}

impl Model {
    pub(in crate::sys) fn new(has_user_events: bool) -> io::Result<Self> {
        // SAFETY: epoll_create1(2) takes no pointer.
        let epoll = || owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) });
        Ok(Self {
            reads: epoll()?,
            writes: epoll()?,
            // SAFETY: eventfd(2) takes no pointer.
            happened: owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?,
            state: Mutex::default(),
            has_user_events,
        })
    }

    /// Makes one change; the error number it is answered by.
    fn change(&self, state: &mut State, change: &Kevent) -> i32 {
        let key = (change.ident, change.filter);
        match change.filter {
            Filter::User if self.has_user_events => {}
            Filter::Read | Filter::Write => {}
            Filter::User => return libc::EINVAL,
        }
        if change.flags & flags::DELETE != 0 {
            if state.notes.remove(&key).is_none() {
                return libc::ENOENT;
            }
            return self.unregister(change);
        }
        if change.flags & flags::ADD != 0 {
            // The logic uses no other kind.
            if change.flags & flags::CLEAR == 0 {
                return libc::EINVAL;
            }
            let happened = match self.register(change) {
                0 => false,
                // Of a file there is always something to be had.
                libc::EPERM => true,
                code => return code,
            };
            state.notes.insert(key, Note { udata: change.udata, happened });
            if happened {
                self.tell();
            }
        }
        let Some(note) = state.notes.get_mut(&key) else { return libc::ENOENT };
        if change.filter == Filter::User && change.fflags & TRIGGER != 0 {
            note.happened = true;
            self.tell();
        }
        0
    }

    /// The epoll that stands for a filter, and what it is asked.
    fn epoll(&self, filter: Filter) -> Option<(RawFd, i32)> {
        match filter {
            Filter::Read => Some((self.reads.as_raw_fd(), libc::EPOLLIN | libc::EPOLLRDHUP)),
            Filter::Write => Some((self.writes.as_raw_fd(), libc::EPOLLOUT)),
            Filter::User => None,
        }
    }

    fn register(&self, change: &Kevent) -> i32 {
        match self.control(libc::EPOLL_CTL_ADD, change) {
            libc::EEXIST => self.control(libc::EPOLL_CTL_MOD, change),
            code => code,
        }
    }

    fn unregister(&self, change: &Kevent) -> i32 {
        match self.control(libc::EPOLL_CTL_DEL, change) {
            // A file was never there.
            libc::EPERM => 0,
            code => code,
        }
    }

    fn control(&self, what: i32, change: &Kevent) -> i32 {
        let Some((epoll, events)) = self.epoll(change.filter) else { return 0 };
        let mut event = libc::epoll_event {
            events: (events | libc::EPOLLET).cast_unsigned(),
            u64: change.ident as u64,
        };
        let descriptor = RawFd::try_from(change.ident).unwrap_or(-1);
        // SAFETY: `event` is valid for the call.
        match unsafe { libc::epoll_ctl(epoll, what, descriptor, &raw mut event) } {
            -1 => io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL),
            _ => 0,
        }
    }

    /// Ends a wait.
    fn tell(&self) {
        let one = 1_u64.to_ne_bytes();
        // SAFETY: `one` is eight bytes long, as an eventfd wants.
        unsafe { libc::write(self.happened.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Waits until there may be events.
    fn wait(&self, timeout: Option<Duration>) -> io::Result<()> {
        let mut polls = [&self.reads, &self.writes, &self.happened].map(|descriptor| {
            libc::pollfd { fd: descriptor.as_raw_fd(), events: libc::POLLIN, revents: 0 }
        });
        let limit = timeout.map(|timeout| libc::timespec {
            tv_sec: timeout.as_secs() as libc::time_t,
            tv_nsec: timeout.subsec_nanos().into(),
        });
        // SAFETY: `polls` holds as many descriptors as it is said to; `limit` is valid for the
        // call, or null to wait for ever; no signal mask is given.
        let count = unsafe {
            libc::ppoll(
                polls.as_mut_ptr(),
                polls.len() as libc::nfds_t,
                limit.as_ref().map_or(ptr::null(), ptr::from_ref),
                ptr::null(),
            )
        };
        if count == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// What has happened in one direction, so much of it at most.
    fn collect(
        &self,
        state: &State,
        filter: Filter,
        room: usize,
        each: &mut dyn FnMut(Kevent),
    ) -> io::Result<usize> {
        let Some((epoll, _)) = self.epoll(filter) else { return Ok(0) };
        if room == 0 {
            return Ok(0);
        }
        let mut events = vec![libc::epoll_event { events: 0, u64: 0 }; room];
        let most = i32::try_from(room).unwrap_or(i32::MAX);
        // SAFETY: `events` has room for as many events as it is said to.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), most, 0) };
        let Ok(count) = usize::try_from(count) else { return Err(io::Error::last_os_error()) };
        let mut given = 0;
        for event in &events[..count] {
            let ident = event.u64 as usize;
            let Some(note) = state.notes.get(&(ident, filter)) else { continue };
            let has = |flag: i32| event.events & flag.cast_unsigned() != 0;
            let failed = has(libc::EPOLLERR);
            let end = failed || has(libc::EPOLLHUP | libc::EPOLLRDHUP);
            each(Kevent {
                ident,
                filter,
                flags: flags::CLEAR | if end { flags::EOF } else { 0 },
                fflags: if failed { libc::ECONNRESET.cast_unsigned() } else { 0 },
                data: 1,
                udata: note.udata,
            });
            given += 1;
        }
        Ok(given)
    }
}

impl System for Model {
    fn kevent(
        &self,
        changes: &[Kevent],
        mut room: usize,
        timeout: Option<Duration>,
        each: &mut dyn FnMut(Kevent),
    ) -> io::Result<()> {
        let mut state = lock(&self.state);
        for change in changes {
            let code = self.change(&mut state, change);
            if code != 0 || change.flags & flags::RECEIPT != 0 {
                if room == 0 {
                    return Err(io::Error::from_raw_os_error(code));
                }
                each(Kevent { flags: flags::ERROR, data: code.into(), ..*change });
                room -= 1;
            }
        }
        if room == 0 {
            return Ok(());
        }
        state.waits += 1;
        let waits = state.waits;
        drop(state);
        if waits.is_multiple_of(SIGNAL) {
            return Err(io::Error::from_raw_os_error(libc::EINTR));
        }
        self.wait(timeout)?;

        let mut state = lock(&self.state);
        let mut count = [0; 8];
        // SAFETY: `count` is eight bytes long, as an eventfd wants.
        unsafe { libc::read(self.happened.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
        for (&(ident, filter), note) in &mut state.notes {
            if note.happened && room > 0 {
                note.happened = false;
                let flags = flags::CLEAR;
                each(Kevent { ident, filter, flags, fflags: 0, data: 0, udata: note.udata });
                room -= 1;
            }
        }
        if state.notes.values().any(|note| note.happened) {
            self.tell();
        }
        if waits.is_multiple_of(SHORT) {
            room = room.min(2);
        }
        let order = match waits % 2 {
            0 => [Filter::Read, Filter::Write],
            _ => [Filter::Write, Filter::Read],
        };
        for filter in order {
            // Neither direction takes all of the room.
            let share = if filter == order[0] { room.div_ceil(2) } else { room };
            room -= self.collect(&state, filter, share, each)?;
        }
        if waits.is_multiple_of(SPURIOUS) && room > 0 {
            let some = state.notes.iter().find(|((_, filter), _)| *filter == Filter::Read);
            if let Some((&(ident, filter), note)) = some {
                let flags = flags::CLEAR;
                each(Kevent { ident, filter, flags, fflags: 0, data: 0, udata: note.udata });
            }
        }
        Ok(())
    }

    fn name(&self) -> &'static str {
        if self.has_user_events { "kqueue" } else { "kqueue_with_pipe" }
    }

    fn timer_grain(&self) -> Duration {
        Duration::from_micros(50)
    }
}

fn owned(descriptor: i32) -> io::Result<OwnedFd> {
    match descriptor {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the call before has just made it; nobody else owns it.
        descriptor => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
    }
}
