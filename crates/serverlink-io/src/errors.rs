//! What an error code calls for, and the errors the engine makes itself.

use std::{error, fmt, io};

/// What to do about an operating system's error code.
///
/// The four classes are those of the original system's completion loop. Each
/// platform has one table that sorts every code it names into them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Not an error: go on.
    Ignore,
    /// Nothing is wrong with the descriptor; the same call succeeds later, or at once.
    Retry,
    /// This connection is over; its handler is told.
    Close,
    /// Misuse, or the system has run out of something; the handler is told, and nothing is tried
    /// again on the engine's own account.
    Fatal,
}

/// Which call an error came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    /// Accepting. Errors of a connection that is not ours yet are retried: the listener is well.
    Accept,
    /// Connecting. Never retried here: after a failure it needs a new socket.
    Connect,
    Receive,
    Send,
    /// What a probe asks.
    Probe,
}

/// How the platform's table sorts an error; the engine's own errors have no code.
#[cfg(feature = "tracing")]
pub(crate) fn action(call: Call, error: &io::Error) -> Option<Action> {
    #[cfg(unix)]
    let sort = |_call, code| classify(code);
    #[cfg(windows)]
    let sort = |call, code: i32| crate::sys::sort(call, code.cast_unsigned());
    error.raw_os_error().map(|code| sort(call, code))
}

/// Sorts an errno value; see errno(3), and accept(2) under "Error handling" for the network errors
/// that a new connection may carry.
#[cfg(unix)]
pub(crate) fn classify(code: i32) -> Action {
    match code {
        0 => Action::Ignore,
        libc::EINTR | libc::EINPROGRESS | libc::EALREADY => Action::Retry,
        code if code == libc::EAGAIN || code == libc::EWOULDBLOCK => Action::Retry,
        libc::ECONNABORTED
        | libc::ECONNREFUSED
        | libc::ECONNRESET
        | libc::EHOSTDOWN
        | libc::EHOSTUNREACH
        | libc::ENETDOWN
        | libc::ENETRESET
        | libc::ENETUNREACH
        | libc::ENOPROTOOPT
        | libc::ENOTCONN
        | libc::EOPNOTSUPP
        | libc::EPERM
        | libc::EPIPE
        | libc::EPROTO
        | libc::ESHUTDOWN
        | libc::ETIMEDOUT => Action::Close,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        libc::ENONET => Action::Close,
        _ => Action::Fatal,
    }
}

/// The payload of the error that ends a cancelled operation.
#[derive(Debug)]
struct Cancelled;

impl fmt::Display for Cancelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the operation was cancelled")
    }
}

impl error::Error for Cancelled {}

/// Whether `error` ended an operation because of [`Handle::cancel`](crate::Handle::cancel).
///
/// The operating systems' own codes for this differ and overlap with others (Windows' maps to
/// [`io::ErrorKind::TimedOut`]), so the engine's cancellations carry a mark of their own.
pub fn is_cancelled(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Cancelled>())
}

/// How a cancelled operation ends.
pub(crate) fn cancelled() -> io::Error {
    io::Error::other(Cancelled)
}

/// How a second operation in one direction is refused.
pub(crate) fn busy() -> io::Error {
    io::Error::new(
        io::ErrorKind::ResourceBusy,
        "an operation is pending in this direction already: wait for its event or cancel it",
    )
}

/// How any operation on a retired handle is refused.
pub(crate) fn retired() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the handle is retired")
}

/// How a receive without room is refused.
pub(crate) fn no_room() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "the receive buffer has no spare capacity: reserve some, or pass none",
    )
}

/// How anything but a probe is refused on a watched descriptor.
pub(crate) fn only_probes() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "a watched descriptor can only be probed: register a socket for input and output",
    )
}

/// How a probe for nothing is refused.
pub(crate) fn no_interest() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a probe needs at least one direction")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_class() {
        let table: [(&[i32], Action); 4] = [
            (&[0], Action::Ignore),
            (
                &[libc::EAGAIN, libc::EWOULDBLOCK, libc::EINTR, libc::EINPROGRESS, libc::EALREADY],
                Action::Retry,
            ),
            (
                &[
                    libc::ECONNABORTED,
                    libc::ECONNREFUSED,
                    libc::ECONNRESET,
                    libc::EHOSTDOWN,
                    libc::EHOSTUNREACH,
                    libc::ENETDOWN,
                    libc::ENETRESET,
                    libc::ENETUNREACH,
                    libc::ENOPROTOOPT,
                    libc::ENOTCONN,
                    libc::EOPNOTSUPP,
                    libc::EPERM,
                    libc::EPIPE,
                    libc::EPROTO,
                    libc::ESHUTDOWN,
                    libc::ETIMEDOUT,
                ],
                Action::Close,
            ),
            (
                &[
                    libc::EBADF,
                    libc::EFAULT,
                    libc::EINVAL,
                    libc::EMFILE,
                    libc::ENFILE,
                    libc::ENOBUFS,
                    libc::ENOMEM,
                    libc::ENOTSOCK,
                    // None that exists.
                    i32::MAX,
                ],
                Action::Fatal,
            ),
        ];
        for (codes, action) in table {
            for code in codes {
                assert_eq!(classify(*code), action, "{}", io::Error::from_raw_os_error(*code));
            }
        }
    }

    #[test]
    fn only_the_engines_own_cancellations_are_cancellations() {
        assert!(is_cancelled(&cancelled()));
        for other in [busy(), retired(), no_room(), io::Error::other("the operation was cancelled")]
        {
            assert!(!is_cancelled(&other), "{other}");
        }
    }
}
