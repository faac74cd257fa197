//! The contract every backend fulfils.
//!
//! A backend is one folder (or file) of `sys` that supplies a [`Backend`] and
//! its [`Entry`]. Nothing outside `sys` asks which one runs, except to print
//! its name. `Port` adds, once for all backends: timers, posted packets, the
//! rule that one thread drives at a time, and probing at start.
//!
//! 1. An operation that started (`Ok` / `Pending`) completes exactly once: with success, an error,
//!    or `errors::cancelled()` (`io::ErrorKind::Interrupted` is never passed on), unless its entry
//!    is retired first: then it completes silently, reaching no handler. One that was refused
//!    (`Err`) has no event.
//! 2. At most one operation is pending per entry and direction; a second one is refused with
//!    `errors::busy()` and disturbs nothing, and so is `shutdown_send` while a send is pending. A
//!    probe of both directions occupies both, and is one operation with one event: cancelled in
//!    either, it ends as a whole. After `retire` everything is refused with `errors::retired()`; on
//!    a watched descriptor everything but probes with `errors::only_probes()`.
//! 3. Handlers are called only from `turn`, without any lock held. Only `send` may complete within
//!    its call (`Sending::Done`).
//! 4. Buffers belong to the engine from the start of the operation to its completion; memory the
//!    kernel may still write is never freed nor handed out.
//! 5. After `retire` returned, no further handler call of that entry begins (one that runs at that
//!    moment on the driving thread, or that it is about to make, may still finish), and the
//!    descriptor is closed as soon as nothing can touch it any more. The handler `Arc` is released
//!    then, too. A watched descriptor is not closed, ever.
//! 6. `wake` makes the current or the next `turn` return; wakes between two turns coalesce into
//!    one.
//! 7. Every entry gets its share: one turn reads or accepts at most once (or a small fixed number
//!    of times) per entry before it goes on to the next.
//! 8. All entry points may be called from any thread at any time, from within a handler too.
//! 9. Everything is counted once, through [`Backend::counters`]: an event reaches its handler by
//!    `Counters::deliver`; a receive tells `received` what it brought; a `send` that was not refused
//!    passes through `sent`; `woken` is told of each wake-up, `retired` of each entry's end. `Port`
//!    counts the rest.
//! 10. Dropping the backend retires every entry, and waits for, or deliberately leaks, what the
//!     kernel still holds. Handles that outlive it refuse everything like retired ones.

use std::{env, fmt::Debug, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use socket2::{SockAddr, Socket};

use crate::{Direction, Handler, Interest, PortOptions, Sending, counters::Counters, diagnostics};

mod agenda;
mod buffer_pool;
#[cfg(unix)]
pub(crate) mod credentials;
#[cfg(target_os = "linux")]
mod epoll;
pub(crate) mod given;
// Elsewhere its tests run it on a model of the kernel; loom tries what threads share in it.
#[cfg(any(windows, test))]
#[cfg_attr(loom, allow(dead_code, reason = "loom makes no calls"))]
mod iocp;
#[cfg(any(
    all(target_os = "linux", any(test, feature = "kqueue-model")),
    all(
        // Tokens go through the kernel as pointers.
        target_pointer_width = "64",
        any(target_vendor = "apple", target_os = "freebsd", target_os = "netbsd")
    )
))]
mod kqueue;
pub(crate) mod look;
#[cfg(unix)]
mod poll;
mod readiness;
pub(crate) mod schedule;
mod select;
#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod uring;
#[cfg(unix)]
mod waker;

#[cfg(windows)]
pub(crate) use iocp::{Pipe, sort};
use readiness::Readiness;

/// What `watch` watches.
#[cfg(unix)]
pub(crate) type RawDescriptor = std::os::fd::RawFd;
/// What `watch` watches.
#[cfg(windows)]
pub(crate) type RawDescriptor = std::os::windows::io::RawSocket;

/// The environment variable that names a backend.
const ENVIRONMENT: &str = "SERVERLINK_BACKEND";

/// Makes one backend.
type Make = fn(&PortOptions) -> io::Result<Box<dyn Backend>>;

/// The backends of this platform, best first; then those that must be named.
pub(crate) const BACKENDS: &[(&str, Make)] = &[
    #[cfg(target_os = "linux")]
    ("epoll", |options| Ok(Box::new(Readiness::new(epoll::Epoll::new()?, options)))),
    #[cfg(windows)]
    ("iocp", |options| Ok(Box::new(iocp::Iocp::new(options)?))),
    #[cfg(all(
        target_pointer_width = "64",
        any(target_vendor = "apple", target_os = "freebsd", target_os = "netbsd")
    ))]
    ("kqueue", |options| {
        let poller = kqueue::Kqueue::new(kqueue::Kernel::new()?)?;
        Ok(Box::new(Readiness::new(poller, options)))
    }),
    ("select", |options| Ok(Box::new(Readiness::new(select::Select::new()?, options)))),
    #[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
    ("uring", |options| Ok(Box::new(uring::Uring::new(options)?))),
    #[cfg(all(target_os = "linux", feature = "kqueue-model"))]
    ("kqueue", |options| {
        let poller = kqueue::Kqueue::new(kqueue::Model::new(true)?)?;
        Ok(Box::new(Readiness::new(poller, options)))
    }),
    #[cfg(all(target_os = "linux", feature = "kqueue-model"))]
    ("kqueue_with_pipe", |options| {
        let poller = kqueue::Kqueue::new(kqueue::Model::new(false)?)?;
        Ok(Box::new(Readiness::new(poller, options)))
    }),
];

/// The backends that must be named: `docs/engine-uring.md` says why, and models are for tests.
const NAMED_ONLY: &[&str] = &[
    "uring",
    #[cfg(all(target_os = "linux", feature = "kqueue-model"))]
    "kqueue",
    #[cfg(all(target_os = "linux", feature = "kqueue-model"))]
    "kqueue_with_pipe",
];

/// Makes the first backend that starts of those that the options or the environment name, or else
/// of all; and tells why those before it did not.
pub(crate) fn open(options: &PortOptions) -> io::Result<(Box<dyn Backend>, Vec<String>)> {
    let named = match &options.backend {
        Some(names) => Some(names.clone()),
        None => env::var_os(ENVIRONMENT)
            .filter(|names| !names.is_empty())
            .map(|names| names.to_string_lossy().into_owned()),
    };
    match named {
        Some(names) => first_that_starts(named_in(&names)?, options),
        None => first_that_starts(unnamed(), options),
    }
}

/// The backends of a list of names.
fn named_in(names: &str) -> io::Result<Vec<&'static (&'static str, Make)>> {
    let find = |named: &str| {
        BACKENDS.iter().find(|(name, _)| *name == named).ok_or_else(|| unknown(named))
    };
    names.split(',').map(str::trim).map(find).collect()
}

fn first_that_starts<'a>(
    candidates: impl IntoIterator<Item = &'a (&'static str, Make)>,
    options: &PortOptions,
) -> io::Result<(Box<dyn Backend>, Vec<String>)> {
    let (mut passed_over, mut first) = (Vec::new(), None);
    for (name, make) in candidates {
        match make(options) {
            Ok(backend) => return Ok((backend, passed_over)),
            Err(error) => {
                diagnostics::passed_over(name, &error);
                passed_over.push(format!("{name}: {error}"));
                first.get_or_insert(error);
            }
        }
    }
    Err(match first {
        Some(error) if passed_over.len() > 1 => {
            io::Error::new(error.kind(), passed_over.join("; "))
        }
        Some(error) => error,
        None => io::ErrorKind::Unsupported.into(),
    })
}

/// The backends that may run although nobody has named one.
fn unnamed() -> impl Iterator<Item = &'static (&'static str, Make)> {
    BACKENDS.iter().filter(|(name, _)| !NAMED_ONLY.contains(name))
}

fn unknown(name: &str) -> io::Error {
    let valid: Vec<&str> = BACKENDS.iter().map(|(name, _)| *name).collect();
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("no I/O backend called \"{name}\" here; there are: {}", valid.join(", ")),
    )
}

/// One completion port's operating-system half.
pub(crate) trait Backend: Debug + Send + Sync {
    /// The name users select it by.
    fn name(&self) -> &'static str;
    /// Takes the socket over (and makes it non-blocking where the backend wants that).
    fn register(&self, socket: Socket, handler: Arc<dyn Handler>) -> io::Result<Arc<dyn Entry>>;
    /// Whether `register_pipe` works.
    #[cfg(windows)]
    fn takes_pipes(&self) -> bool {
        false
    }
    /// Like `register`, for a named pipe.
    #[cfg(windows)]
    fn register_pipe(&self, _: Pipe, _: Arc<dyn Handler>) -> io::Result<Arc<dyn Entry>> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            format!("the I/O backend \"{}\" has no named pipes", self.name()),
        ))
    }
    /// Like `register` for a descriptor that stays its owner's: it may only be probed, keeps its
    /// blocking mode, and is never closed. It outlives the entry.
    fn watch(
        &self,
        descriptor: RawDescriptor,
        handler: Arc<dyn Handler>,
    ) -> io::Result<Arc<dyn Entry>>;
    /// Waits at most `timeout` (for ever if `None`) and delivers what completed; returns at once
    /// if anything is deliverable already. `Port` lets only one thread in at a time.
    fn turn(&self, timeout: Option<Duration>) -> io::Result<Outcome>;
    /// Takes an engine's buffer that has been read, for the next receive.
    fn reuse(&self, buffer: BytesMut);
    /// See rule 9.
    fn counters(&self) -> &Arc<Counters>;
    /// How many operations are pending now, found out by looking at every entry. A probe of both
    /// directions is one.
    fn pending(&self) -> usize;
    /// How late a `turn` may end that waits for a timeout, on a system at rest.
    fn timer_grain(&self) -> Duration;
    /// See rule 6.
    fn wake(&self);
    /// Makes the current or next `turn` return `Stopped` (by a reserved completion key, or a flag
    /// and a wake).
    fn stop(&self);
}

/// What one `turn` of a backend did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// So many events delivered.
    Delivered(usize),
    /// `stop` was seen.
    Stopped,
}

/// One registered descriptor. The methods are those of `Handle`, documented there.
pub(crate) trait Entry: Debug + Send + Sync {
    fn accept(&self) -> io::Result<()>;
    fn connect(&self, address: &SockAddr) -> io::Result<()>;
    fn receive(&self, buffer: Option<BytesMut>) -> io::Result<()>;
    fn send(&self, buffers: Vec<Bytes>) -> Sending;
    fn probe(&self, interest: Interest) -> io::Result<()>;
    fn cancel(&self, direction: Direction);
    fn shutdown_send(&self) -> io::Result<()>;
    fn retire(&self);
    fn local_address(&self) -> io::Result<SockAddr>;
    fn peer_address(&self) -> io::Result<SockAddr>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_must_be_named_never_runs_by_itself() {
        let names: Vec<&str> = unnamed().map(|(name, _)| *name).collect();
        assert!(!names.is_empty());
        assert!(names.iter().all(|name| !NAMED_ONLY.contains(name)), "{names:?}");
        // It comes last, so that the first of them all is the one that runs.
        assert!(BACKENDS.iter().map(|(name, _)| *name).take(names.len()).eq(names));
    }

    #[test]
    fn what_does_not_start_is_passed_over_with_its_reason() {
        let lame: (&str, Make) = ("lame", |_| Err(io::Error::other("it is lame")));
        let mute: (&str, Make) = ("mute", |_| Err(io::ErrorKind::Unsupported.into()));
        let options = PortOptions::default();
        let select = named_in("select").expect("it is everywhere")[0];
        let (backend, passed_over) =
            first_that_starts([&lame, select, &mute], &options).expect("select starts");
        assert_eq!(backend.name(), "select");
        assert_eq!(passed_over, ["lame: it is lame"]);

        let error = first_that_starts([&lame], &options).expect_err("it is lame");
        assert_eq!(error.to_string(), "it is lame");
        let error = first_that_starts([&lame, &mute], &options).expect_err("neither starts");
        assert_eq!(error.kind(), io::ErrorKind::Other);
        assert!(error.to_string().starts_with("lame: it is lame; mute: "), "{error}");
    }

    #[test]
    fn a_list_of_names_is_taken_in_its_order() {
        let first = BACKENDS[0].0;
        let list = named_in(&format!("select, {first}")).expect("both are there");
        assert!(list.iter().map(|(name, _)| *name).eq(["select", first]));
        for (names, wrong) in [("select,pigeon", "\"pigeon\""), ("select,", "\"\""), ("", "\"\"")] {
            let error = named_in(names).expect_err("there is no such");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert!(error.to_string().contains(wrong), "{error}");
        }
    }
}
