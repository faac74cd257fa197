//! The poller of Linux: epoll(7).
//!
//! A descriptor is added once, for both directions and edge-triggered; after
//! that no operation costs a call of epoll_ctl(2).

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
    time::Duration,
};

use super::{
    poll,
    readiness::{BATCH, Poller, Ready, Token},
};
use crate::{
    Interest,
    errors::{self, Action, Call},
};

/// The token of the wake-up descriptor; registrations' have their highest bit clear.
const WAKE: Token = Token::MAX;

/// From here on a millisecond more does not matter.
const LONG: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Epoll {
    epoll: OwnedFd,
    /// An eventfd(2), edge-triggered: each write is heard of once, and it need never be read.
    wake: OwnedFd,
    /// Whether the kernel has epoll_pwait2(2), which waits for nanoseconds: Linux 5.11 has.
    exact: bool,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1(2) takes no pointer.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: eventfd(2) takes no pointer.
        let wake = owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        let mut this = Self { epoll, wake, exact: true };
        this.control(libc::EPOLL_CTL_ADD, this.wake.as_raw_fd(), libc::EPOLLIN, WAKE)?;
        let mut event = [MaybeUninit::uninit()];
        this.exact = this.wait_exactly(&Duration::ZERO, &mut event) >= 0;
        Ok(this)
    }

    fn control(&self, what: i32, descriptor: RawFd, events: i32, token: Token) -> io::Result<()> {
        #[cfg(test)]
        tests::CALLS.set(tests::CALLS.get() + 1);
        let mut event =
            libc::epoll_event { events: (events | libc::EPOLLET).cast_unsigned(), u64: token };
        // SAFETY: `event` is valid for the call.
        match unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), what, descriptor, &raw mut event) } {
            -1 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }

    /// epoll_pwait2(2), for which the C library may be too old.
    fn wait_exactly(
        &self,
        timeout: &Duration,
        events: &mut [MaybeUninit<libc::epoll_event>],
    ) -> libc::c_long {
        // As the kernel wants it on every architecture: seconds and nanoseconds.
        let timeout = [timeout.as_secs(), u64::from(timeout.subsec_nanos())];
        // SAFETY: `events` has room for as many events as it is said to; `timeout` is valid for the
        // call, and no signal mask is given.
        unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as i32,
                timeout.as_ptr(),
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        }
    }

    /// epoll_pwait(2), without what the C library's function does for thread cancellation.
    fn wait_roughly(
        &self,
        millis: i32,
        events: &mut [MaybeUninit<libc::epoll_event>],
    ) -> libc::c_long {
        // SAFETY: `events` has room for as many events as it is said to; no signal mask is given.
        unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait,
                self.epoll.as_raw_fd(),
                events.as_mut_ptr(),
                events.len() as i32,
                millis,
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        }
    }
}

impl Poller for Epoll {
    fn name(&self) -> &'static str {
        "epoll"
    }

    fn add(&self, descriptor: RawFd, token: Token) -> io::Result<()> {
        let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP;
        self.control(libc::EPOLL_CTL_ADD, descriptor, events, token).map_err(|error| {
            match error.raw_os_error() {
                Some(libc::EPERM) => io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "epoll cannot watch this kind of file; regular files are always ready",
                ),
                _ => error,
            }
        })
    }

    fn remove(&self, descriptor: RawFd, token: Token) {
        // A watched descriptor that its owner has closed too early is gone already.
        let _ = self.control(libc::EPOLL_CTL_DEL, descriptor, 0, token);
    }

    fn wait(&self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut events = [const { MaybeUninit::uninit() }; BATCH];
        let count = match timeout {
            Some(timeout) if self.exact && timeout < LONG => {
                self.wait_exactly(&timeout, &mut events)
            }
            _ => self.wait_roughly(milliseconds(timeout), &mut events),
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return match errors::action(Call::Wait, &error) {
                Some(Action::Retry) => Ok(()),
                _ => Err(error),
            };
        };
        // SAFETY: the kernel has filled in that many.
        let events = unsafe { events[..count].assume_init_ref() };
        ready.extend(events.iter().filter(|event| event.u64 != WAKE).map(|event| {
            let has = |flags: i32| event.events & flags.cast_unsigned() != 0;
            Ready {
                token: event.u64,
                readable: has(libc::EPOLLIN),
                writable: has(libc::EPOLLOUT),
                hangup: has(libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR),
            }
        }));
        Ok(())
    }

    fn timer_grain(&self) -> Duration {
        if self.exact { Duration::from_micros(50) } else { Duration::from_millis(1) }
    }

    fn wake(&self) {
        let one = 1_u64.to_ne_bytes();
        loop {
            // SAFETY: `one` is eight bytes long, as an eventfd wants.
            let written =
                unsafe { libc::write(self.wake.as_raw_fd(), one.as_ptr().cast(), one.len()) };
            // A counter at its limit leaves an edge behind as well.
            if written != -1
                || errors::action(Call::Wake, &io::Error::last_os_error()) != Some(Action::Retry)
            {
                return;
            }
        }
    }

    fn check(&self, descriptor: RawFd, interest: Interest) -> io::Result<Interest> {
        poll::check(descriptor, interest)
    }
}

fn owned(descriptor: i32) -> io::Result<OwnedFd> {
    match descriptor {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the call before has just made it; nobody else owns it.
        descriptor => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
    }
}

/// A timeout as epoll_wait(2) takes it, rounded up: a timer must not be early.
fn milliseconds(timeout: Option<Duration>) -> i32 {
    timeout.map_or(-1, |timeout| {
        i32::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
    })
}

#[cfg(test)]
mod tests {
    use std::{
        cell::Cell,
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        sync::{
            Arc,
            mpsc::{Receiver, Sender, channel},
        },
        thread,
    };

    use bytes::Bytes;

    use super::*;
    use crate::{
        Direction, Event, Handler, PortOptions, Sending,
        sys::{Backend, readiness::Readiness},
    };

    thread_local! {
        /// How often this thread has called epoll_ctl(2).
        pub(super) static CALLS: Cell<usize> = const { Cell::new(0) };
    }

    struct Forward(Sender<Event>);

    impl Handler for Forward {
        fn complete(&self, event: Event) {
            self.0.send(event).unwrap();
        }
    }

    /// Turns until there is an event.
    fn next(backend: &Readiness, events: &Receiver<Event>) -> Event {
        loop {
            match events.try_recv() {
                Ok(event) => return event,
                Err(_) => drop(backend.turn(Some(Duration::from_secs(1))).unwrap()),
            }
        }
    }

    #[test]
    fn a_descriptor_is_registered_once_however_much_is_done_on_it() {
        const LARGE: usize = 32 << 20;
        let backend = Readiness::new(Epoll::new().unwrap(), &PortOptions::default());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut far = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (near, _) = listener.accept().unwrap();
        near.set_nonblocking(true).unwrap();
        let (sender, events) = channel();
        let before = CALLS.get();
        let entry = backend.register(near.into(), Arc::new(Forward(sender))).unwrap();
        assert_eq!(CALLS.get() - before, 1);
        for round in 0..100 {
            // There is nothing yet.
            entry.receive(None).unwrap();
            backend.turn(Some(Duration::ZERO)).unwrap();
            far.write_all(&[round; 10]).unwrap();
            let event = next(&backend, &events);
            assert!(matches!(&event, Event::Received(Ok(bytes)) if **bytes == [round; 10]));
            entry.receive(None).unwrap();
            entry.cancel(Direction::Inward);
            assert!(matches!(next(&backend, &events), Event::Received(Err(_))));
        }
        // It has to wait until there is room, many times.
        let reader = thread::spawn(move || far.read_exact(&mut vec![0; LARGE]).unwrap());
        if let Sending::Pending = entry.send(vec![vec![7; LARGE].into(), Bytes::new()]) {
            assert!(matches!(next(&backend, &events), Event::Sent { result: Ok(()), .. }));
        }
        reader.join().unwrap();
        assert_eq!(CALLS.get() - before, 1);
        drop(backend);
    }

    #[test]
    fn timeouts_are_rounded_up_and_bounded() {
        assert_eq!(milliseconds(None), -1);
        assert_eq!(milliseconds(Some(Duration::ZERO)), 0);
        // Rounded down, the driver would spin through the last part of a millisecond.
        assert_eq!(milliseconds(Some(Duration::from_nanos(1))), 1);
        assert_eq!(milliseconds(Some(Duration::from_micros(2_001))), 3);
        assert_eq!(milliseconds(Some(Duration::MAX)), i32::MAX);
    }
}
