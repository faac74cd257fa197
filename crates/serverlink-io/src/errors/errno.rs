//! What each errno value calls for.
//!
//! One table names every value that the calls of the backends for Unix are documented to return:
//! accept(2), connect(2), recv(2), send(2), getsockname(2), getpeername(2), getsockopt(2),
//! setsockopt(2), shutdown(2), poll(2), ppoll(2), select(2), pselect(2), epoll_create1(2),
//! epoll_ctl(2), epoll_wait(2), eventfd(2), kqueue(2), kevent(2), io_uring_setup(2),
//! io_uring_register(2) and io_uring_enter(2), with what that one lists as errors of completions.
//!
//! Sources: the pages of these names in the Linux manual and in those of FreeBSD, NetBSD, OpenBSD
//! and macOS, and POSIX.1-2024.

use super::{
    Action::{self, Close, Fatal, Ignore, Retry},
    Call,
};

/// What is known of one value.
struct Row {
    code: i32,
    /// Its name in errno.h.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers, and for tests"))]
    name: &'static str,
    action: Action,
    /// Where single calls differ from the others.
    except: &'static [(Call, Action)],
    /// Something has run out, and may be there again later.
    exhaustion: bool,
    /// Why it is sorted so.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers, and for tests"))]
    why: &'static str,
}

const fn row(
    code: i32,
    name: &'static str,
    action: Action,
    except: &'static [(Call, Action)],
    why: &'static str,
) -> Row {
    Row { code, name, action, except, exhaustion: false, why }
}

const fn exhaustion(
    code: i32,
    name: &'static str,
    action: Action,
    except: &'static [(Call, Action)],
    why: &'static str,
) -> Row {
    Row { code, name, action, except, exhaustion: true, why }
}

/// Sorts `code`, returned by `call`.
///
/// Unknown values close the connection they are about: carrying on blindly could spin, and more
/// could not be known to be wrong.
pub(super) fn classify(call: Call, code: i32) -> Action {
    find(code).map_or(Close, |row| {
        row.except
            .iter()
            .find(|(which, _)| *which == call)
            .map_or(row.action, |(_, action)| *action)
    })
}

/// Whether `code` says that something has run out that may be there again later.
pub(crate) fn is_exhaustion(code: i32) -> bool {
    find(code).is_some_and(|row| row.exhaustion)
}

/// Only errors come here, so it need not be quick.
fn find(code: i32) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.code == code)
}

/// The trouble of a connection that is not ours yet: the listener has others.
const NOT_OURS: &[(Call, Action)] = &[(Call::Accept, Retry)];

/// A descriptor that is taken from the poller is gone from it already.
const GONE: &[(Call, Action)] = &[(Call::Remove, Ignore)];

const NO_MEMORY_FOR_SOCKETS: &[(Call, Action)] = &[
    (Call::Accept, Fatal),
    (Call::Add, Fatal),
    #[cfg(target_os = "linux")]
    (Call::Piece, Retry),
];

/// By name.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(0, "0", Ignore, &[], "no error"),
    row(libc::EACCES, "EACCES", Close, &[], "forbidden: by a firewall, or by the permissions of a path"),
    row(libc::EADDRINUSE, "EADDRINUSE", Close, &[], "the local address is taken"),
    row(libc::EADDRNOTAVAIL, "EADDRNOTAVAIL", Close, &[], "no such address, or no free port"),
    row(libc::EAFNOSUPPORT, "EAFNOSUPPORT", Fatal, &[], "the address is of another family than the socket"),
    row(libc::EAGAIN, "EAGAIN", Retry, &[(Call::Connect, Close), (Call::Wake, Ignore)], "nothing yet: wait for readiness; a connect has not even begun (the listener's queue is full, or there is no port); a wake finds the driver woken already"),
    row(libc::EALREADY, "EALREADY", Ignore, &[], "the connect had begun before; its end follows"),
    row(libc::EBADF, "EBADF", Fatal, GONE, "not an open descriptor; one that its owner has closed is gone from the poller"),
    #[cfg(target_os = "linux")]
    row(libc::EBADFD, "EBADFD", Fatal, &[], "the ring has not been enabled"),
    #[cfg(target_os = "linux")]
    row(libc::EBADR, "EBADR", Fatal, &[], "the kernel has lost completions for want of memory"),
    #[cfg(target_os = "linux")]
    row(libc::EBUSY, "EBUSY", Close, &[(Call::Enter, Ignore)], "in use; to a ring: nothing more is taken in until completions have been taken out"),
    #[cfg(target_os = "linux")]
    row(libc::ECANCELED, "ECANCELED", Close, &[(Call::Completion, Retry)], "given up by the ring: because somebody cancelled it, or because the thread that submitted it has ended, which an operation outlives"),
    row(libc::ECONNABORTED, "ECONNABORTED", Close, NOT_OURS, "given up before it was accepted"),
    row(libc::ECONNREFUSED, "ECONNREFUSED", Close, NOT_OURS, "nobody listens there"),
    row(libc::ECONNRESET, "ECONNRESET", Close, NOT_OURS, "the peer reset the connection"),
    row(libc::EDESTADDRREQ, "EDESTADDRREQ", Fatal, &[], "no address given"),
    row(libc::EDOM, "EDOM", Fatal, &[], "an option's value is out of range"),
    row(libc::EEXIST, "EEXIST", Fatal, &[], "the descriptor was added already"),
    row(
        libc::EFAULT,
        "EFAULT",
        Fatal,
        &[
            #[cfg(target_os = "linux")]
            (Call::Completion, Retry),
        ],
        "memory is not accessible; a ring may say so of good memory when the thread that submitted the operation has ended",
    ),
    row(libc::EHOSTDOWN, "EHOSTDOWN", Close, NOT_OURS, "no answer from the peer's machine"),
    row(libc::EHOSTUNREACH, "EHOSTUNREACH", Close, NOT_OURS, "no route"),
    row(libc::EINPROGRESS, "EINPROGRESS", Ignore, &[], "the connect has begun; its end follows"),
    row(libc::EINTR, "EINTR", Retry, &[(Call::Connect, Ignore)], "a signal came; a connect goes on by itself"),
    row(libc::EINVAL, "EINVAL", Fatal, &[], "misuse: a listener that does not listen, a wrong timeout"),
    row(libc::EIO, "EIO", Close, &[], "the file system or the device failed underneath"),
    row(libc::EISCONN, "EISCONN", Fatal, &[], "connected already"),
    row(libc::ELOOP, "ELOOP", Close, &[], "a path of too many links; pollers that watch each other"),
    exhaustion(libc::EMFILE, "EMFILE", Fatal, &[], "the process is out of descriptors: trying again at once would spin"),
    row(libc::EMSGSIZE, "EMSGSIZE", Fatal, &[], "more than the protocol takes in one piece: a stream has no such limit"),
    row(libc::ENAMETOOLONG, "ENAMETOOLONG", Close, &[], "the path is too long"),
    row(libc::ENETDOWN, "ENETDOWN", Close, NOT_OURS, "the network is down"),
    row(libc::ENETRESET, "ENETRESET", Close, NOT_OURS, "keep-alive found the connection dead"),
    row(libc::ENETUNREACH, "ENETUNREACH", Close, NOT_OURS, "no route"),
    exhaustion(libc::ENFILE, "ENFILE", Fatal, &[], "the system is out of descriptors: trying again at once would spin"),
    exhaustion(libc::ENOBUFS, "ENOBUFS", Close, NO_MEMORY_FOR_SOCKETS, "the system is out of memory for sockets, and no report tells when that is over; of the pieces provided to a ring, all are in completions that are about to be taken out"),
    row(libc::ENODEV, "ENODEV", Fatal, &[], "the kernel could not mount its anonymous descriptors"),
    row(libc::ENOENT, "ENOENT", Close, GONE, "no such path; not in the poller"),
    exhaustion(libc::ENOMEM, "ENOMEM", Close, &[(Call::Accept, Fatal), (Call::Add, Fatal)], "the system is out of memory, and no report tells when that is over"),
    #[cfg(any(target_os = "linux", target_os = "android"))]
    row(libc::ENONET, "ENONET", Close, NOT_OURS, "no network"),
    row(libc::ENOPROTOOPT, "ENOPROTOOPT", Close, NOT_OURS, "an option is unknown; under accept, a network error of the new connection"),
    exhaustion(libc::ENOSPC, "ENOSPC", Fatal, &[], "the user watches as many descriptors as the system allows"),
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "netbsd"))]
    exhaustion(libc::ENOSR, "ENOSR", Close, &[(Call::Accept, Fatal)], "the system is out of memory for streams"),
    row(libc::ENOTCONN, "ENOTCONN", Close, &[], "not connected, or no longer"),
    row(libc::ENOTDIR, "ENOTDIR", Close, &[], "no such path"),
    row(libc::ENOTSOCK, "ENOTSOCK", Fatal, &[], "not a socket"),
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    row(libc::ENOTSUP, "ENOTSUP", Fatal, &[], "the kind of descriptor cannot do this"),
    #[cfg(target_os = "linux")]
    row(libc::ENXIO, "ENXIO", Fatal, &[], "the ring is being torn down"),
    row(libc::EOPNOTSUPP, "EOPNOTSUPP", Fatal, &[], "the socket cannot do this: not a stream, not for listening"),
    #[cfg(target_os = "linux")]
    row(libc::EOWNERDEAD, "EOWNERDEAD", Fatal, &[], "the kernel's thread that submits has died"),
    row(libc::EPERM, "EPERM", Close, NOT_OURS, "forbidden by a firewall; a kind of file that the poller does not take"),
    row(libc::EPIPE, "EPIPE", Close, &[], "nobody reads any more, or this direction was shut down"),
    row(libc::EPROTO, "EPROTO", Close, NOT_OURS, "the protocol failed underneath"),
    row(libc::EPROTONOSUPPORT, "EPROTONOSUPPORT", Close, &[], "the protocol is not there"),
    row(libc::EPROTOTYPE, "EPROTOTYPE", Close, &[], "the path is another kind of socket's; on macOS also a connection that is being taken down"),
    row(libc::ESHUTDOWN, "ESHUTDOWN", Close, &[], "this direction was shut down"),
    row(libc::ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT", Close, &[], "the kind of socket is not there"),
    row(libc::ESRCH, "ESRCH", Fatal, GONE, "not in the poller"),
    #[cfg(target_os = "linux")]
    row(libc::ETIME, "ETIME", Close, &[(Call::Enter, Ignore)], "a timer ran out; to a ring: the time to wait is over"),
    row(libc::ETIMEDOUT, "ETIMEDOUT", Close, NOT_OURS, "no answer from the peer"),
];

#[cfg(test)]
mod tests;
