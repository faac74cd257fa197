//! What an error code calls for, and the errors the engine makes itself.

#[cfg(unix)]
mod errno;

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
    /// The poller's wait.
    #[cfg(unix)]
    Wait,
    /// Adding to the poller.
    #[cfg(unix)]
    Add,
    /// Taking from the poller.
    #[cfg(unix)]
    Remove,
    /// Ending the poller's wait.
    #[cfg(unix)]
    Wake,
    /// Entering the kernel to submit to an io_uring and to wait for it.
    #[cfg(target_os = "linux")]
    Enter,
    /// What an io_uring tells of any operation, before its own call is asked: whether the operation
    /// has to be submitted once more.
    #[cfg(target_os = "linux")]
    Completion,
    /// A receive into a piece that was provided to an io_uring.
    #[cfg(target_os = "linux")]
    Piece,
}

/// How the platform's table sorts an error code.
pub(crate) fn classify(call: Call, code: i32) -> Action {
    #[cfg(unix)]
    return errno::classify(call, code);
    #[cfg(windows)]
    return crate::sys::sort(call, code.cast_unsigned());
}

/// How the platform's table sorts an error; the engine's own errors have no code.
pub(crate) fn action(call: Call, error: &io::Error) -> Option<Action> {
    error.raw_os_error().map(|code| classify(call, code))
}

/// Whether accepting, which has failed with `error`, may succeed later without anybody's doing
/// anything about the listener.
///
/// So it is when the process or the system has run out of descriptors or memory: let some time pass
/// and accept again. It is not when the listening socket itself is unfit, nor after refusals and
/// cancellation.
///
/// ```
/// use std::io;
///
/// use serverlink_io::is_temporary;
///
/// # #[cfg(unix)] {
/// assert!(is_temporary(&io::Error::from_raw_os_error(24)), "EMFILE");
/// assert!(!is_temporary(&io::Error::from_raw_os_error(22)), "EINVAL: it does not listen");
/// # }
/// ```
pub fn is_temporary(error: &io::Error) -> bool {
    error
        .raw_os_error()
        .is_some_and(|code| is_exhaustion(code) || classify(Call::Accept, code) != Action::Fatal)
}

#[cfg(unix)]
pub(crate) use errno::is_exhaustion;

#[cfg(windows)]
fn is_exhaustion(code: i32) -> bool {
    use windows_sys::Win32::{
        Foundation::{ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY},
        Networking::WinSock::{WSAEMFILE, WSAENOBUFS},
    };

    matches!(code, WSAEMFILE | WSAENOBUFS)
        || [ERROR_NOT_ENOUGH_MEMORY, ERROR_OUTOFMEMORY].contains(&code.cast_unsigned())
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

/// How a probe is refused on a named pipe.
#[cfg(any(windows, test))]
pub(crate) fn no_probes() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "a named pipe cannot be probed: receive or send")
}

/// How a probe for nothing is refused.
pub(crate) fn no_interest() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a probe needs at least one direction")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_engines_own_cancellations_are_cancellations() {
        assert!(is_cancelled(&cancelled()));
        for other in [busy(), retired(), no_room(), io::Error::other("the operation was cancelled")]
        {
            assert!(!is_cancelled(&other), "{other}");
        }
    }

    /// A listener that takes one for the other spins, or is lost.
    #[test]
    fn exhaustion_is_temporary_and_misuse_is_not() {
        #[cfg(unix)]
        let (temporary, lasting) = (
            [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EACCES, i32::MAX],
            [libc::EBADF, libc::EINVAL, libc::ENOTSOCK, libc::EOPNOTSUPP, libc::EFAULT],
        );
        #[cfg(windows)]
        let (temporary, lasting) =
            ([10_024, 10_055, 8, 14, 10_013, i32::MAX], [10_009, 10_022, 10_038, 10_045, 10_014]);
        for code in temporary {
            let error = io::Error::from_raw_os_error(code);
            assert!(is_temporary(&error), "{error}");
        }
        for code in lasting {
            let error = io::Error::from_raw_os_error(code);
            assert!(!is_temporary(&error), "{error}");
        }
        for error in [busy(), retired(), cancelled(), only_probes()] {
            assert!(!is_temporary(&error), "{error}");
        }
    }
}
