//! The poller of macOS, FreeBSD and NetBSD: kqueue(2).
//!
//! A descriptor is added once, with a filter for either direction that clears itself (`EV_CLEAR`):
//! each report is an edge, and no operation costs a call besides its own.
//!
//! What is asked of the kernel goes through [`System`], and what the calls are given and return is
//! put in terms that do not differ between the systems. So the logic here runs on Linux, too: over
//! a script in the tests beside it, and over a `model` of the kernel in the whole conformance suite.

#[cfg(not(target_os = "linux"))]
mod kernel;
#[cfg(all(target_os = "linux", feature = "kqueue-model"))]
mod model;

use std::{fmt::Debug, io, os::fd::RawFd, time::Duration};

#[cfg(not(target_os = "linux"))]
pub(super) use self::kernel::Kernel;
#[cfg(all(target_os = "linux", feature = "kqueue-model"))]
pub(super) use self::model::Model;
use super::{
    poll,
    readiness::{BATCH, Poller, Ready, Token},
    waker::Waker,
};
use crate::{
    Interest,
    errors::{self, Action, Call},
};

/// The token of the wake-up; registrations' have their highest bit clear.
const WAKE: Token = Token::MAX;

/// The identity of the wake-up among events of users: the only one.
const WAKE_IDENT: usize = 0;

/// Longer waits end early: some systems refuse much more.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// The flags of a [`Kevent`], the same on every system.
mod flags {
    pub(super) const ADD: u16 = 0x0001;
    pub(super) const DELETE: u16 = 0x0002;
    pub(super) const CLEAR: u16 = 0x0020;
    /// Asks for an answer to each change, with [`ERROR`] and an error number that may be 0.
    pub(super) const RECEIPT: u16 = 0x0040;
    pub(super) const ERROR: u16 = 0x4000;
    pub(super) const EOF: u16 = 0x8000;
}

/// Makes an event of users happen.
const TRIGGER: u32 = 0x0100_0000;

/// What is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Filter {
    Read,
    Write,
    User,
}

/// A change or an event, `struct kevent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kevent {
    ident: usize,
    filter: Filter,
    flags: u16,
    fflags: u32,
    data: i64,
    udata: Token,
}

/// The kernel's side.
pub(super) trait System: Debug + Send + Sync {
    /// kevent(2): makes the changes, waits until there are events, at most `timeout`, and gives
    /// `room` of them at most to `each`, among them the answers to the changes.
    fn kevent(
        &self,
        changes: &[Kevent],
        room: usize,
        timeout: Option<Duration>,
        each: &mut dyn FnMut(Kevent),
    ) -> io::Result<()>;

    /// What the backend is called.
    fn name(&self) -> &'static str {
        "kqueue"
    }

    /// See `Backend::timer_grain`.
    fn timer_grain(&self) -> Duration;
}

#[derive(Debug)]
pub(super) struct Kqueue<S> {
    system: S,
    wake: Wake,
}

/// What ends a wait.
#[derive(Debug)]
enum Wake {
    /// An event of users, which clears itself.
    Event,
    /// Where there is none (older NetBSD), a connection of the process with itself.
    Pipe(Waker),
}

impl<S: System> Kqueue<S> {
    pub(super) fn new(system: S) -> io::Result<Self> {
        let mut this = Self { system, wake: Wake::Event };
        let [added] = this.change([wake(flags::ADD | flags::CLEAR, 0)])?;
        if added != 0 {
            let pipe = Waker::new()?;
            let add = flags::ADD | flags::CLEAR;
            match this.change([filter(pipe.descriptor(), Filter::Read, add, WAKE)])? {
                [0] => this.wake = Wake::Pipe(pipe),
                [code] => return Err(io::Error::from_raw_os_error(code)),
            }
        }
        Ok(this)
    }

    /// Makes changes, and returns the error number of each, which is 0 for one that was made.
    fn change<const COUNT: usize>(&self, mut changes: [Kevent; COUNT]) -> io::Result<[i32; COUNT]> {
        for change in &mut changes {
            change.flags |= flags::RECEIPT;
        }
        let mut codes = [0; COUNT];
        self.repeat(|| {
            let mut answered = 0;
            self.system.kevent(&changes, COUNT, Some(Duration::ZERO), &mut |event| {
                // They come in the order of the changes.
                if let Some(code) = codes.get_mut(answered) {
                    *code = i32::try_from(event.data).unwrap_or(libc::EINVAL);
                }
                answered += 1;
            })
        })?;
        Ok(codes)
    }

    /// Calls again after a signal. It may have come when the changes had been made: to make them
    /// twice does no harm.
    fn repeat(&self, mut call: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        loop {
            match call() {
                Err(error) if errors::action(Call::Add, &error) == Some(Action::Retry) => {}
                result => return result,
            }
        }
    }
}

impl<S: System> Poller for Kqueue<S> {
    fn name(&self) -> &'static str {
        self.system.name()
    }

    fn add(&self, descriptor: RawFd, token: Token) -> io::Result<()> {
        let add = flags::ADD | flags::CLEAR;
        let codes = self.change([
            filter(descriptor, Filter::Read, add, token),
            filter(descriptor, Filter::Write, add, token),
        ])?;
        // Some systems refuse one direction where it makes no sense: of a listener, or of a pipe
        // whose other end is closed (which the first look at it tells).
        let fails = |code: i32| code != 0 && errors::is_exhaustion(code);
        let code = match codes {
            [read, _] if fails(read) => read,
            [_, write] if fails(write) => write,
            [0, _] | [_, 0] => return Ok(()),
            [read, _] => read,
        };
        self.remove(descriptor, token);
        Err(io::Error::from_raw_os_error(code))
    }

    fn remove(&self, descriptor: RawFd, token: Token) {
        // What is not there, or was never added for one direction, need not be taken away; nor
        // could anybody do anything about what else might go wrong.
        let _ = self.change([
            filter(descriptor, Filter::Read, flags::DELETE, token),
            filter(descriptor, Filter::Write, flags::DELETE, token),
        ]);
    }

    fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut woken = false;
        let timeout = timeout.map(|timeout| timeout.min(LONGEST));
        let waited = self.system.kevent(&[], BATCH, timeout, &mut |event| {
            if event.udata == WAKE {
                woken = true;
            } else {
                ready.push(report(event));
            }
        });
        if woken && let Wake::Pipe(pipe) = &self.wake {
            pipe.drain();
        }
        match waited {
            Err(error) if errors::action(Call::Wait, &error) == Some(Action::Retry) => Ok(()),
            waited => waited,
        }
    }

    fn timer_grain(&self) -> Duration {
        self.system.timer_grain()
    }

    fn wake(&self) {
        match &self.wake {
            // Fails only for a queue that is gone, and then nobody waits for it.
            Wake::Event => {
                let trigger = [wake(0, TRIGGER)];
                let no_event = &mut |_event| {};
                let zero = Some(Duration::ZERO);
                let _ = self.repeat(|| self.system.kevent(&trigger, 0, zero, no_event));
            }
            Wake::Pipe(pipe) => pipe.wake(),
        }
    }

    fn check(&self, descriptor: RawFd, interest: Interest) -> io::Result<Interest> {
        poll::check(descriptor, interest)
    }
}

/// What an event says.
fn report(event: Kevent) -> Ready {
    let has = |flag: u16| event.flags & flag != 0;
    // Of a filter rather than from it: the call that is served finds out.
    let error = has(flags::ERROR);
    // The end of what can be read is one whatever was to be read before it. The end of what can be
    // written may be our own doing, unless an error comes with it.
    let end = has(flags::EOF) && (event.filter == Filter::Read || event.fflags != 0);
    Ready {
        token: event.udata,
        readable: error || event.filter == Filter::Read,
        writable: error || event.filter == Filter::Write,
        hangup: error || end,
    }
}

fn filter(descriptor: RawFd, filter: Filter, flags: u16, token: Token) -> Kevent {
    // A negative one is nobody's, which the kernel says.
    let ident = usize::try_from(descriptor).unwrap_or(usize::MAX);
    Kevent { ident, filter, flags, fflags: 0, data: 0, udata: token }
}

fn wake(flags: u16, fflags: u32) -> Kevent {
    Kevent { ident: WAKE_IDENT, filter: Filter::User, flags, fflags, data: 0, udata: WAKE }
}

#[cfg(test)]
mod tests;
