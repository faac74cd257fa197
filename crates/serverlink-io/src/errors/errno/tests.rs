//! The table, value by value, against lists made from the manual.

use std::collections::HashSet;

use libc::*;

use super::*;

const CALLS: &[Call] = &[
    Call::Accept,
    Call::Connect,
    Call::Receive,
    Call::Send,
    Call::Probe,
    Call::Wait,
    Call::Add,
    Call::Remove,
    Call::Wake,
    #[cfg(target_os = "linux")]
    Call::Enter,
    #[cfg(target_os = "linux")]
    Call::Completion,
    #[cfg(target_os = "linux")]
    Call::Piece,
];

/// Not errors, or the beginning of a connect.
const IGNORED: &[i32] = &[0, EALREADY, EINPROGRESS];

/// One connection's trouble: a listener has others.
const CLOSED_BUT_ACCEPTING: &[i32] = &[
    ECONNABORTED,
    ECONNREFUSED,
    ECONNRESET,
    EHOSTDOWN,
    EHOSTUNREACH,
    ENETDOWN,
    ENETRESET,
    ENETUNREACH,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    ENONET,
    ENOPROTOOPT,
    EPERM,
    EPROTO,
    ETIMEDOUT,
];

/// Over, for any call.
const CLOSED: &[i32] = &[
    EACCES,
    EADDRINUSE,
    EADDRNOTAVAIL,
    EIO,
    ELOOP,
    ENAMETOOLONG,
    ENOTCONN,
    ENOTDIR,
    EPIPE,
    EPROTONOSUPPORT,
    EPROTOTYPE,
    ESHUTDOWN,
    ESOCKTNOSUPPORT,
];

/// Misuse.
const FATAL: &[i32] = &[
    EAFNOSUPPORT,
    EDESTADDRREQ,
    EDOM,
    EEXIST,
    EINVAL,
    EISCONN,
    EMSGSIZE,
    ENODEV,
    ENOTSOCK,
    #[cfg(target_os = "linux")]
    EBADFD,
    #[cfg(target_os = "linux")]
    EBADR,
    #[cfg(target_os = "linux")]
    ENXIO,
    #[cfg(target_os = "linux")]
    EOWNERDEAD,
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    ENOTSUP,
    EOPNOTSUPP,
];

/// Something has run out, whoever asks.
const EXHAUSTED: &[i32] = &[EMFILE, ENFILE, ENOSPC];

/// The system has no memory: a connection is lost, a listener waits.
const EXHAUSTED_MEMORY: &[i32] = &[ENOBUFS, ENOMEM];

/// What a class of values is expected to be sorted into.
type Expected<'a> = &'a dyn Fn(Call) -> Action;

#[test]
fn every_value_has_its_class() {
    let always = |action: Action| move |_: Call| action;
    let or = |call: Call, special: Action, action: Action| {
        move |which: Call| if which == call { special } else { action }
    };
    let memory = |call: Call| if matches!(call, Call::Accept | Call::Add) { Fatal } else { Close };
    let again = |call: Call| match call {
        Call::Connect => Close,
        Call::Wake => Ignore,
        _ => Retry,
    };
    let memory_for_sockets = |call: Call| match call {
        #[cfg(target_os = "linux")]
        Call::Piece => Retry,
        _ => memory(call),
    };
    let fault = |call: Call| match call {
        #[cfg(target_os = "linux")]
        Call::Completion => Retry,
        _ => Fatal,
    };
    let classes: &[(&[i32], Expected<'_>)] = &[
        (IGNORED, &always(Ignore)),
        (CLOSED_BUT_ACCEPTING, &or(Call::Accept, Retry, Close)),
        (CLOSED, &always(Close)),
        (FATAL, &always(Fatal)),
        (EXHAUSTED, &always(Fatal)),
        (&[ENOBUFS], &memory_for_sockets),
        (&[ENOMEM], &memory),
        (&[EFAULT], &fault),
        #[cfg(target_os = "linux")]
        (&[EBUSY, ETIME], &or(Call::Enter, Ignore, Close)),
        #[cfg(target_os = "linux")]
        (&[ECANCELED], &or(Call::Completion, Retry, Close)),
        #[cfg(any(
            target_os = "linux",
            target_os = "android",
            target_vendor = "apple",
            target_os = "netbsd"
        ))]
        (&[ENOSR], &or(Call::Accept, Fatal, Close)),
        (&[EAGAIN], &again),
        (&[EINTR], &or(Call::Connect, Ignore, Retry)),
        (&[EBADF, ESRCH], &or(Call::Remove, Ignore, Fatal)),
        (&[ENOENT], &or(Call::Remove, Ignore, Close)),
    ];
    let mut tested = HashSet::new();
    for (codes, expected) in classes {
        for &code in *codes {
            assert!(tested.insert(code), "{code} is listed twice");
            for &call in CALLS {
                assert_eq!(classify(call, code), expected(call), "{code} from {call:?}");
            }
        }
    }
    let named: HashSet<_> = TABLE.iter().map(|row| row.code).collect();
    assert_eq!(tested, named);
    assert_eq!(named.len(), TABLE.len(), "a value has two rows");
}

#[test]
fn exhaustion_is_told_from_the_rest() {
    for row in TABLE {
        let memory = row.name == "ENOSR" || EXHAUSTED_MEMORY.contains(&row.code);
        let exhausted = memory || EXHAUSTED.contains(&row.code);
        assert_eq!(is_exhaustion(row.code), exhausted, "{}", row.name);
        if exhausted {
            // At once, a listener would spin.
            assert_eq!(classify(Call::Accept, row.code), Fatal, "{}", row.name);
        }
    }
}

#[test]
fn unknown_values_close() {
    for code in [-1, 9_999, i32::MAX] {
        for &call in CALLS {
            assert_eq!(classify(call, code), Close);
        }
        assert!(!is_exhaustion(code));
    }
}

#[test]
fn every_value_is_named_and_explained() {
    assert!(TABLE.iter().all(|row| !row.name.is_empty() && !row.why.is_empty()));
    assert!(TABLE.windows(2).all(|pair| pair[0].name < pair[1].name));
    // `EWOULDBLOCK` needs no row of its own.
    assert_eq!(EWOULDBLOCK, EAGAIN);
}

/// What the manuals list under "ERRORS", by call: all of it has a row.
#[test]
fn every_documented_value_is_in_the_table() {
    let documented: &[(&str, &[i32])] = &[
        (
            "accept",
            &[
                EAGAIN,
                EBADF,
                ECONNABORTED,
                EFAULT,
                EINTR,
                EINVAL,
                EMFILE,
                ENFILE,
                ENOBUFS,
                ENOMEM,
                ENOTSOCK,
                EOPNOTSUPP,
                EPERM,
                EPROTO,
                ESOCKTNOSUPPORT,
                EPROTONOSUPPORT,
                ETIMEDOUT,
                ENETDOWN,
                ENOPROTOOPT,
                EHOSTDOWN,
                EHOSTUNREACH,
                ENETUNREACH,
            ],
        ),
        (
            "connect",
            &[
                EACCES,
                EPERM,
                EADDRINUSE,
                EADDRNOTAVAIL,
                EAFNOSUPPORT,
                EAGAIN,
                EALREADY,
                EBADF,
                ECONNREFUSED,
                ECONNRESET,
                EFAULT,
                EHOSTUNREACH,
                EINPROGRESS,
                EINTR,
                EINVAL,
                EIO,
                EISCONN,
                ELOOP,
                ENAMETOOLONG,
                ENETDOWN,
                ENETUNREACH,
                ENOBUFS,
                ENOENT,
                ENOTDIR,
                ENOTSOCK,
                EOPNOTSUPP,
                EPROTOTYPE,
                ETIMEDOUT,
            ],
        ),
        (
            "recv",
            &[
                EAGAIN,
                EBADF,
                ECONNREFUSED,
                ECONNRESET,
                EFAULT,
                EINTR,
                EINVAL,
                EIO,
                EMSGSIZE,
                ENOBUFS,
                ENOMEM,
                ENOTCONN,
                ENOTSOCK,
                EOPNOTSUPP,
                ETIMEDOUT,
            ],
        ),
        (
            "send",
            &[
                EACCES,
                EADDRNOTAVAIL,
                EAGAIN,
                EALREADY,
                EBADF,
                ECONNREFUSED,
                ECONNRESET,
                EDESTADDRREQ,
                EFAULT,
                EHOSTDOWN,
                EHOSTUNREACH,
                EINTR,
                EINVAL,
                EIO,
                EISCONN,
                EMSGSIZE,
                ENETDOWN,
                ENETUNREACH,
                ENOBUFS,
                ENOMEM,
                ENOTCONN,
                ENOTSOCK,
                EOPNOTSUPP,
                EPERM,
                EPIPE,
            ],
        ),
        ("poll, ppoll", &[EAGAIN, EFAULT, EINTR, EINVAL, ENOMEM]),
        ("select, pselect", &[EBADF, EFAULT, EINTR, EINVAL, ENOMEM]),
        ("epoll_create1", &[EINVAL, EMFILE, ENFILE, ENOMEM]),
        ("epoll_ctl", &[EBADF, EEXIST, EINVAL, ELOOP, ENOENT, ENOMEM, ENOSPC, EPERM]),
        ("epoll_wait", &[EBADF, EFAULT, EINTR, EINVAL]),
        ("eventfd", &[EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM]),
        ("write to an eventfd", &[EAGAIN, EBADF, EINTR, EINVAL]),
        ("read from an eventfd", &[EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EIO]),
        ("kqueue", &[EMFILE, ENFILE, ENOMEM]),
        ("kevent", &[EACCES, EBADF, EFAULT, EINTR, EINVAL, ENOENT, ENOMEM, EOPNOTSUPP, ESRCH]),
        #[cfg(target_os = "linux")]
        ("io_uring_setup", &[EFAULT, EINVAL, EMFILE, ENFILE, ENOMEM, ENXIO, EPERM]),
        #[cfg(target_os = "linux")]
        (
            "io_uring_register",
            &[
                EACCES, EBADF, EBADFD, EBUSY, EEXIST, EFAULT, EINVAL, EMFILE, ENOENT, ENOMEM,
                ENXIO, EOPNOTSUPP,
            ],
        ),
        #[cfg(target_os = "linux")]
        (
            "io_uring_enter",
            &[
                EAGAIN, EBADF, EBADFD, EBADR, EBUSY, EEXIST, EFAULT, EINTR, EINVAL, ENXIO,
                EOPNOTSUPP, EOWNERDEAD, ETIME,
            ],
        ),
        #[cfg(target_os = "linux")]
        (
            "a completion",
            &[EACCES, EAGAIN, EBADF, ECANCELED, EFAULT, EINTR, EINVAL, ENOBUFS, EOPNOTSUPP],
        ),
        ("shutdown", &[EBADF, ECONNRESET, EINVAL, ENOBUFS, ENOTCONN, ENOTSOCK]),
        ("getsockname", &[EBADF, ECONNRESET, EFAULT, EINVAL, ENOBUFS, ENOTSOCK, EOPNOTSUPP]),
        (
            "getpeername",
            &[EBADF, ECONNRESET, EFAULT, EINVAL, ENOBUFS, ENOTCONN, ENOTSOCK, EOPNOTSUPP],
        ),
        ("getsockopt", &[EACCES, EBADF, EFAULT, EINVAL, ENOBUFS, ENOMEM, ENOPROTOOPT, ENOTSOCK]),
        (
            "setsockopt",
            &[
                EACCES,
                EBADF,
                EDOM,
                EFAULT,
                EINVAL,
                EISCONN,
                ENOBUFS,
                ENOMEM,
                ENOPROTOOPT,
                ENOTSOCK,
                EOPNOTSUPP,
                EPERM,
            ],
        ),
    ];
    for (call, codes) in documented {
        for &code in *codes {
            assert!(find(code).is_some(), "{code} of {call}");
        }
    }
}
