//! The table, code by code, against the headers' names.

use std::collections::HashSet;
#[cfg(windows)]
use std::io::ErrorKind;

use windows_sys::Win32::{Foundation::*, Networking::WinSock::*};

use super::*;

const CALLS: [Call; 6] =
    [Call::Accept, Call::Connect, Call::Receive, Call::Send, Call::Probe, Call::Dequeue];

/// A code and its name in the headers.
type Named = (u32, &'static str);

/// The codes of the headers' names.
macro_rules! named {
    ($($name:ident),* $(,)?) => { &[$(($name as u32, stringify!($name))),*] };
}

/// Not errors.
const IGNORED: &[Named] = named![NO_ERROR, ERROR_IO_PENDING, ERROR_NOT_FOUND, ERROR_PIPE_CONNECTED];

/// Over, but to a receive the end of the stream.
const ENDED: &[Named] = named![ERROR_BROKEN_PIPE];

/// Over, but to an accept a connection that may hold something yet.
const LEFT: &[Named] = named![ERROR_NO_DATA];

/// Nothing is wrong with the socket: issue it again. A failed connect needs a new socket.
const RETRIED: &[Named] = named![
    ERROR_NOT_ENOUGH_MEMORY,
    ERROR_OUTOFMEMORY,
    ERROR_OPERATION_ABORTED,
    ERROR_RETRY,
    ERROR_NO_SYSTEM_RESOURCES,
    ERROR_WORKING_SET_QUOTA,
    ERROR_INVALID_USER_BUFFER,
    ERROR_NOT_ENOUGH_QUOTA,
    WSAEINTR,
    WSAEWOULDBLOCK,
    WSAEINPROGRESS,
    WSAENOBUFS,
];

/// Tried again where nothing can have happened twice.
const UNKNOWN: &[Named] = named![ERROR_IO_INCOMPLETE];

/// One connection's trouble: a listener has others.
const CLOSED_BUT_ACCEPTING: &[Named] = named![
    ERROR_NETNAME_DELETED,
    ERROR_SEM_TIMEOUT,
    ERROR_VC_DISCONNECTED,
    ERROR_CONNECTION_REFUSED,
    ERROR_CONNECTION_INVALID,
    ERROR_NETWORK_UNREACHABLE,
    ERROR_HOST_UNREACHABLE,
    ERROR_REQUEST_ABORTED,
    ERROR_CONNECTION_ABORTED,
    ERROR_TIMEOUT,
    WSAENETDOWN,
    WSAENETUNREACH,
    WSAENETRESET,
    WSAECONNABORTED,
    WSAECONNRESET,
    WSAENOTCONN,
    WSAETIMEDOUT,
    WSAECONNREFUSED,
    WSAEHOSTDOWN,
    WSAEHOSTUNREACH,
];

/// As above, but a wait for packets goes on.
const TIMED: &[Named] = named![WAIT_TIMEOUT];

/// Over, for any call.
const CLOSED: &[Named] = named![
    ERROR_HANDLE_EOF,
    ERROR_SHARING_VIOLATION,
    ERROR_BAD_NETPATH,
    ERROR_UNEXP_NET_ERR,
    ERROR_FILE_NOT_FOUND,
    ERROR_PATH_NOT_FOUND,
    ERROR_ACCESS_DENIED,
    ERROR_INVALID_NAME,
    ERROR_FILENAME_EXCED_RANGE,
    ERROR_BAD_PIPE,
    ERROR_PIPE_BUSY,
    ERROR_PIPE_LISTENING,
    ERROR_PIPE_NOT_CONNECTED,
    ERROR_MR_MID_NOT_FOUND,
    ERROR_HANDLES_CLOSED,
    ERROR_INVALID_NETNAME,
    ERROR_GRACEFUL_DISCONNECT,
    ERROR_ADDRESS_ALREADY_ASSOCIATED,
    ERROR_ADDRESS_NOT_ASSOCIATED,
    ERROR_PROTOCOL_UNREACHABLE,
    ERROR_PORT_UNREACHABLE,
    WSAEACCES,
    WSAENOPROTOOPT,
    WSAEADDRINUSE,
    WSAEADDRNOTAVAIL,
    WSAESHUTDOWN,
    WSAEDISCON,
    WSAECANCELLED,
    WSASYSCALLFAILURE,
    WSA_E_CANCELLED,
];

/// Misuse, or the system's own failure.
const FATAL: &[Named] = named![
    ERROR_INVALID_FUNCTION,
    ERROR_INVALID_HANDLE,
    ERROR_NOT_SUPPORTED,
    ERROR_FILE_EXISTS,
    ERROR_INVALID_PARAMETER,
    ERROR_INSUFFICIENT_BUFFER,
    ERROR_ALREADY_EXISTS,
    ERROR_MORE_DATA,
    ERROR_ABANDONED_WAIT_0,
    ERROR_NOACCESS,
    ERROR_CONNECTION_ACTIVE,
    ERROR_UNKNOWN_REVISION,
    ERROR_NONE_MAPPED,
    WSAEBADF,
    WSAEFAULT,
    WSAEINVAL,
    WSAEMFILE,
    WSAEALREADY,
    WSAENOTSOCK,
    WSAEDESTADDRREQ,
    WSAEMSGSIZE,
    WSAEPROTOTYPE,
    WSAEPROTONOSUPPORT,
    WSAESOCKTNOSUPPORT,
    WSAEOPNOTSUPP,
    WSAEPFNOSUPPORT,
    WSAEAFNOSUPPORT,
    WSAEISCONN,
    WSAEPROCLIM,
    WSASYSNOTREADY,
    WSAVERNOTSUPPORTED,
    WSANOTINITIALISED,
    WSAEINVALIDPROCTABLE,
    WSAEINVALIDPROVIDER,
    WSAEPROVIDERFAILEDINIT,
];

/// What the pages of the calls in use name, under "Return value" or elsewhere; `errors` says what
/// becomes of it. Completions carry the same, or the Win32 code of the same meaning.
#[rustfmt::skip]
const DOCUMENTED: &[(&str, &[Named])] = &[
    // Overlapped, on sockets.
    ("AcceptEx", named![ERROR_IO_PENDING, WSAECONNRESET]),
    ("ConnectEx", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEADDRINUSE, WSAEALREADY, WSAEADDRNOTAVAIL,
        WSAEAFNOSUPPORT, WSAECONNREFUSED, WSAEFAULT, WSAEINVAL, WSAEISCONN, WSAENETUNREACH,
        WSAEHOSTUNREACH, WSAENOBUFS, WSAENOTSOCK, WSAETIMEDOUT, ERROR_IO_PENDING,
    ]),
    ("WSARecv", named![
        WSAECONNABORTED, WSAECONNRESET, WSAEDISCON, WSAEFAULT, WSAEINPROGRESS, WSAEINTR,
        WSAEINVAL, WSAEMSGSIZE, WSAENETDOWN, WSAENETRESET, WSAENOTCONN, WSAENOTSOCK,
        WSAEOPNOTSUPP, WSAESHUTDOWN, WSAETIMEDOUT, WSAEWOULDBLOCK, WSANOTINITIALISED,
        WSA_IO_PENDING, WSA_OPERATION_ABORTED,
    ]),
    ("WSASend", named![
        WSAECONNABORTED, WSAECONNRESET, WSAEFAULT, WSAEINTR, WSAEINPROGRESS, WSAEINVAL,
        WSAEMSGSIZE, WSAENETDOWN, WSAENETRESET, WSAENOBUFS, WSAENOTCONN, WSAENOTSOCK,
        WSAEOPNOTSUPP, WSAESHUTDOWN, WSAEWOULDBLOCK, WSANOTINITIALISED, WSA_IO_PENDING,
        WSA_OPERATION_ABORTED,
    ]),
    ("WSAGetOverlappedResult", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAENOTSOCK, WSA_INVALID_HANDLE,
        WSA_INVALID_PARAMETER, WSA_IO_INCOMPLETE, WSAEFAULT,
    ]),
    // Not overlapped: under `select`, and what a receive of no bytes announced.
    ("accept", named![
        WSANOTINITIALISED, WSAECONNRESET, WSAEFAULT, WSAEINTR, WSAEINVAL, WSAEINPROGRESS,
        WSAEMFILE, WSAENETDOWN, WSAENOBUFS, WSAENOTSOCK, WSAEOPNOTSUPP, WSAEWOULDBLOCK,
    ]),
    ("connect", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEADDRINUSE, WSAEINTR, WSAEINPROGRESS,
        WSAEALREADY, WSAEADDRNOTAVAIL, WSAEAFNOSUPPORT, WSAECONNREFUSED, WSAEFAULT,
        WSAEINVAL, WSAEISCONN, WSAENETUNREACH, WSAEHOSTUNREACH, WSAENOBUFS, WSAENOTSOCK,
        WSAETIMEDOUT, WSAEWOULDBLOCK, WSAEACCES,
    ]),
    ("recv", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEFAULT, WSAENOTCONN, WSAEINTR, WSAEINPROGRESS,
        WSAENETRESET, WSAENOTSOCK, WSAEOPNOTSUPP, WSAESHUTDOWN, WSAEWOULDBLOCK, WSAEMSGSIZE,
        WSAEINVAL, WSAECONNABORTED, WSAETIMEDOUT, WSAECONNRESET,
    ]),
    ("send", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEACCES, WSAEINTR, WSAEINPROGRESS, WSAEFAULT,
        WSAENETRESET, WSAENOBUFS, WSAENOTCONN, WSAENOTSOCK, WSAEOPNOTSUPP, WSAESHUTDOWN,
        WSAEWOULDBLOCK, WSAEMSGSIZE, WSAEHOSTUNREACH, WSAEINVAL, WSAECONNABORTED,
        WSAECONNRESET, WSAETIMEDOUT,
    ]),
    ("select", named![
        WSANOTINITIALISED, WSAEFAULT, WSAENETDOWN, WSAEINVAL, WSAEINTR, WSAEINPROGRESS,
        WSAENOTSOCK,
    ]),
    ("WSAPoll", named![WSAENETDOWN, WSAEFAULT, WSAEINVAL, WSAENOBUFS]),
    // By which sockets are made, asked and told something.
    ("WSAStartup", named![
        WSASYSNOTREADY, WSAVERNOTSUPPORTED, WSAEINPROGRESS, WSAEPROCLIM, WSAEFAULT,
    ]),
    ("WSASocket", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEAFNOSUPPORT, WSAEFAULT, WSAEINPROGRESS,
        WSAEINVAL, WSAEINVALIDPROVIDER, WSAEINVALIDPROCTABLE, WSAEMFILE, WSAENOBUFS,
        WSAEPROTONOSUPPORT, WSAEPROTOTYPE, WSAEPROVIDERFAILEDINIT, WSAESOCKTNOSUPPORT,
    ]),
    ("WSADuplicateSocket", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEINVAL, WSAEINPROGRESS, WSAEMFILE, WSAENOBUFS,
        WSAENOTSOCK, WSAEFAULT,
    ]),
    ("WSAIoctl", named![
        WSA_IO_PENDING, WSAENETDOWN, WSAEFAULT, WSAEINVAL, WSAEINPROGRESS, WSAENOTSOCK,
        WSAEOPNOTSUPP, WSAEWOULDBLOCK, WSAENOPROTOOPT,
    ]),
    ("ioctlsocket", named![WSANOTINITIALISED, WSAENETDOWN, WSAEINPROGRESS, WSAENOTSOCK, WSAEFAULT]),
    ("bind", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEACCES, WSAEADDRINUSE, WSAEADDRNOTAVAIL,
        WSAEFAULT, WSAEINPROGRESS, WSAEINVAL, WSAENOBUFS, WSAENOTSOCK,
    ]),
    ("listen", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEADDRINUSE, WSAEINPROGRESS, WSAEINVAL,
        WSAEISCONN, WSAEMFILE, WSAENOBUFS, WSAENOTSOCK, WSAEOPNOTSUPP,
    ]),
    ("getsockname", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEFAULT, WSAEINPROGRESS, WSAENOTSOCK, WSAEINVAL,
    ]),
    ("getpeername", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEFAULT, WSAEINPROGRESS, WSAENOTCONN, WSAENOTSOCK,
    ]),
    ("getsockopt", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEFAULT, WSAEINPROGRESS, WSAEINVAL,
        WSAENOPROTOOPT, WSAENOTSOCK,
    ]),
    ("setsockopt", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAEFAULT, WSAEINPROGRESS, WSAEINVAL, WSAENETRESET,
        WSAENOPROTOOPT, WSAENOTCONN, WSAENOTSOCK,
    ]),
    ("shutdown", named![
        WSAECONNABORTED, WSAECONNRESET, WSAEINPROGRESS, WSAEINVAL, WSAENETDOWN, WSAENOTCONN,
        WSAENOTSOCK, WSANOTINITIALISED,
    ]),
    ("closesocket", named![
        WSANOTINITIALISED, WSAENETDOWN, WSAENOTSOCK, WSAEINPROGRESS, WSAEINTR,
        WSAEWOULDBLOCK,
    ]),
    // Pages about pipes name codes here and there; what else there is are statuses of the file
    // system's, as Win32 codes.
    ("ConnectNamedPipe", named![
        ERROR_IO_PENDING, ERROR_PIPE_CONNECTED, ERROR_NO_DATA, ERROR_PIPE_LISTENING,
    ]),
    ("CreateFile", named![
        ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, ERROR_ACCESS_DENIED,
        ERROR_SHARING_VIOLATION, ERROR_FILE_EXISTS, ERROR_INVALID_NAME,
        ERROR_ALREADY_EXISTS, ERROR_FILENAME_EXCED_RANGE, ERROR_PIPE_BUSY,
    ]),
    ("CreateNamedPipe", named![ERROR_ACCESS_DENIED, ERROR_PIPE_BUSY, ERROR_INVALID_PARAMETER]),
    ("ConvertStringSecurityDescriptorToSecurityDescriptor", named![
        ERROR_INVALID_PARAMETER, ERROR_UNKNOWN_REVISION, ERROR_NONE_MAPPED,
    ]),
    ("WaitNamedPipe", named![ERROR_FILE_NOT_FOUND, ERROR_SEM_TIMEOUT]),
    // Statuses, from [MS-FSCC] 2.3.50.
    ("NtFsControlFile with FSCTL_PIPE_WAIT", named![
        ERROR_FILE_NOT_FOUND, ERROR_SEM_TIMEOUT, ERROR_NO_SYSTEM_RESOURCES,
        ERROR_INVALID_FUNCTION,
    ]),
    ("ReadFile", named![
        ERROR_IO_PENDING, ERROR_HANDLE_EOF, ERROR_BROKEN_PIPE, ERROR_PIPE_NOT_CONNECTED,
        ERROR_BAD_PIPE, ERROR_INSUFFICIENT_BUFFER, ERROR_MORE_DATA,
        ERROR_NO_SYSTEM_RESOURCES, ERROR_INVALID_USER_BUFFER, ERROR_NOT_ENOUGH_MEMORY,
        ERROR_NOT_ENOUGH_QUOTA, ERROR_OPERATION_ABORTED,
    ]),
    ("WriteFile", named![
        ERROR_IO_PENDING, ERROR_BROKEN_PIPE, ERROR_NO_DATA, ERROR_PIPE_NOT_CONNECTED,
        ERROR_BAD_PIPE, ERROR_INVALID_USER_BUFFER, ERROR_NOT_ENOUGH_MEMORY,
        ERROR_NOT_ENOUGH_QUOTA, ERROR_OPERATION_ABORTED,
    ]),
    // The device, and whatever has a handle.
    ("DeviceIoControl", named![
        ERROR_IO_PENDING, ERROR_INVALID_FUNCTION, ERROR_INSUFFICIENT_BUFFER,
        ERROR_MORE_DATA,
    ]),
    ("GetOverlappedResult", named![ERROR_IO_INCOMPLETE]),
    ("CancelIoEx", named![ERROR_NOT_FOUND, ERROR_OPERATION_ABORTED]),
    ("RtlNtStatusToDosError", named![ERROR_MR_MID_NOT_FOUND]),
    ("GetQueuedCompletionStatusEx", named![
        ERROR_ABANDONED_WAIT_0, ERROR_INVALID_HANDLE, WAIT_TIMEOUT,
    ]),
    // These pages name none; what the kernel's statuses for what is not there or not open to us, bad
    // handles, handles that are on a port already, and a lack of memory are as Win32 codes.
    ("NtCreateFile", named![
        ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, ERROR_ACCESS_DENIED,
        ERROR_NO_SYSTEM_RESOURCES,
    ]),
    ("PostQueuedCompletionStatus", named![ERROR_INVALID_HANDLE, ERROR_NO_SYSTEM_RESOURCES]),
    ("CreateIoCompletionPort", named![
        ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER, ERROR_NO_SYSTEM_RESOURCES,
    ]),
    ("SetFileCompletionNotificationModes", named![ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER]),
];

#[test]
fn every_documented_code_has_a_row() {
    for (call, codes) in DOCUMENTED {
        for (code, name) in *codes {
            assert!(find(*code).is_some(), "{name} of {call} is in no row");
        }
    }
}

/// The table was made for calls that wait; those of `select` do not, and share it.
#[test]
fn the_calls_of_select_are_repeated_where_nothing_has_happened() {
    let documented = |name| DOCUMENTED.iter().find(|(call, _)| *call == name).unwrap().1;
    let anyway = [WSAEINTR, WSAEINPROGRESS, WSAEWOULDBLOCK];
    for (name, call, besides) in [
        ("accept", Call::Accept, &[WSAECONNRESET, WSAENETDOWN, WSAENOBUFS][..]),
        ("recv", Call::Receive, &[]),
        ("send", Call::Send, &[WSAENOBUFS]),
    ] {
        let repeated: HashSet<_> = anyway.iter().chain(besides).map(|code| *code as u32).collect();
        for (code, what) in documented(name) {
            let action = classify(call, *code);
            assert_eq!(action == Retry, repeated.contains(code), "{what} of {name}: {action:?}");
        }
    }
}

/// What a class does at each call.
type Sorted = fn(Call) -> Action;

#[test]
fn every_code_is_sorted() {
    let classes: [(&[Named], Sorted); 9] = [
        (IGNORED, |_| Ignore),
        (ENDED, |call| if call == Call::Receive { Ignore } else { Close }),
        (LEFT, |call| if call == Call::Accept { Ignore } else { Close }),
        (RETRIED, |call| if call == Call::Connect { Close } else { Retry }),
        (UNKNOWN, |call| match call {
            Call::Connect | Call::Send => Close,
            _ => Retry,
        }),
        (CLOSED_BUT_ACCEPTING, |call| if call == Call::Accept { Retry } else { Close }),
        (TIMED, |call| match call {
            Call::Accept => Retry,
            Call::Dequeue => Ignore,
            _ => Close,
        }),
        (CLOSED, |_| Close),
        (FATAL, |_| Fatal),
    ];
    let mut tested = HashSet::new();
    for (codes, expected) in classes {
        for &(code, name) in codes {
            assert_eq!(find(code).map(|row| row.name), Some(name));
            assert!(tested.insert(code), "{code} is listed twice");
            for call in CALLS {
                assert_eq!(classify(call, code), expected(call), "{code} from {call:?}");
            }
        }
    }
    let named: HashSet<_> = TABLE.iter().map(|row| row.code).collect();
    assert_eq!(tested, named);
}

#[test]
fn unknown_codes_close() {
    for code in [7, 9_999, 10_999, 12_345, u32::MAX] {
        assert!(find(code).is_none());
        for call in CALLS {
            assert_eq!(classify(call, code), Close);
        }
    }
    assert_eq!(to_io(12_345).raw_os_error(), Some(12_345));
}

#[test]
fn ascends_and_explains_every_code() {
    assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
    assert!(TABLE.iter().all(|row| !row.name.is_empty() && !row.why.is_empty()));
}

/// What an error is told as is a Winsock code (its own, if it is one).
#[test]
fn errors_are_told_in_winsock_codes() {
    for row in TABLE.iter().filter(|row| row.code != 0) {
        assert!((10_004..=10_111).contains(&row.winsock), "{} as {}", row.name, row.winsock);
        assert_ne!(row.winsock, WSAEINTR as u32, "{} would ask to be tried again", row.name);
        let itself = row.code == WSAEINTR as u32 || row.code < 10_000 || row.winsock == row.code;
        assert!(itself, "{} as {}", row.name, row.winsock);
    }
}

// The kinds of codes are known to the standard library of Windows only.
#[cfg(windows)]
#[test]
fn completions_have_the_kinds_of_failed_calls() {
    for (code, kind) in [
        (ERROR_NETNAME_DELETED, ErrorKind::ConnectionReset),
        (ERROR_VC_DISCONNECTED, ErrorKind::ConnectionReset),
        (ERROR_PORT_UNREACHABLE, ErrorKind::ConnectionReset),
        (ERROR_CONNECTION_REFUSED, ErrorKind::ConnectionRefused),
        (ERROR_FILE_NOT_FOUND, ErrorKind::ConnectionRefused),
        (ERROR_PIPE_BUSY, ErrorKind::ConnectionRefused),
        (ERROR_ACCESS_DENIED, ErrorKind::PermissionDenied),
        (ERROR_SHARING_VIOLATION, ErrorKind::PermissionDenied),
        (ERROR_BROKEN_PIPE, ErrorKind::ConnectionReset),
        (ERROR_NO_DATA, ErrorKind::ConnectionReset),
        (ERROR_CONNECTION_ABORTED, ErrorKind::ConnectionAborted),
        (ERROR_OPERATION_ABORTED, ErrorKind::ConnectionAborted),
        (ERROR_HANDLES_CLOSED, ErrorKind::ConnectionAborted),
        (ERROR_REQUEST_ABORTED, ErrorKind::ConnectionAborted),
        (ERROR_SEM_TIMEOUT, ErrorKind::TimedOut),
        (WAIT_TIMEOUT, ErrorKind::TimedOut),
        (ERROR_TIMEOUT, ErrorKind::TimedOut),
        (ERROR_NETWORK_UNREACHABLE, ErrorKind::NetworkUnreachable),
        (ERROR_HOST_UNREACHABLE, ErrorKind::HostUnreachable),
        (ERROR_CONNECTION_INVALID, ErrorKind::NotConnected),
        (ERROR_ADDRESS_ALREADY_ASSOCIATED, ErrorKind::AddrInUse),
        (ERROR_INVALID_NETNAME, ErrorKind::AddrNotAvailable),
        (ERROR_INVALID_PARAMETER, ErrorKind::InvalidInput),
        (WSAECONNRESET as u32, ErrorKind::ConnectionReset),
        (WSAECONNREFUSED as u32, ErrorKind::ConnectionRefused),
        (WSAEINTR as u32, ErrorKind::ConnectionAborted),
    ] {
        assert_eq!(to_io(code).kind(), kind, "{code}");
    }
}
