//! The table, code by code, against the headers' names.

use std::{collections::HashSet, io::ErrorKind};

use windows_sys::Win32::{Foundation::*, Networking::WinSock::*};

use super::*;

const CALLS: [Call; 5] = [Call::Accept, Call::Connect, Call::Receive, Call::Send, Call::Probe];

/// Not errors.
const IGNORED: &[u32] = &[NO_ERROR, ERROR_IO_PENDING, ERROR_NOT_FOUND];

/// Nothing is wrong with the socket: issue it again. A failed connect needs a new socket.
const RETRIED: &[u32] = &[
    ERROR_NOT_ENOUGH_MEMORY,
    ERROR_OUTOFMEMORY,
    ERROR_OPERATION_ABORTED,
    ERROR_IO_INCOMPLETE,
    ERROR_RETRY,
    ERROR_NO_SYSTEM_RESOURCES,
    ERROR_WORKING_SET_QUOTA,
    ERROR_INVALID_USER_BUFFER,
    ERROR_NOT_ENOUGH_QUOTA,
    WSAEINTR as u32,
    WSAEWOULDBLOCK as u32,
    WSAEINPROGRESS as u32,
    WSAENOBUFS as u32,
];

/// One connection's trouble: a listener has others.
const CLOSED_BUT_ACCEPTING: &[u32] = &[
    ERROR_NETNAME_DELETED,
    ERROR_SEM_TIMEOUT,
    ERROR_VC_DISCONNECTED,
    WAIT_TIMEOUT,
    ERROR_CONNECTION_REFUSED,
    ERROR_CONNECTION_INVALID,
    ERROR_NETWORK_UNREACHABLE,
    ERROR_HOST_UNREACHABLE,
    ERROR_REQUEST_ABORTED,
    ERROR_CONNECTION_ABORTED,
    ERROR_TIMEOUT,
    WSAENETDOWN as u32,
    WSAENETUNREACH as u32,
    WSAENETRESET as u32,
    WSAECONNABORTED as u32,
    WSAECONNRESET as u32,
    WSAENOTCONN as u32,
    WSAETIMEDOUT as u32,
    WSAECONNREFUSED as u32,
    WSAEHOSTDOWN as u32,
    WSAEHOSTUNREACH as u32,
];

/// Over, for any call.
const CLOSED: &[u32] = &[
    ERROR_HANDLE_EOF,
    ERROR_BAD_NETPATH,
    ERROR_UNEXP_NET_ERR,
    ERROR_BROKEN_PIPE,
    ERROR_PIPE_NOT_CONNECTED,
    ERROR_HANDLES_CLOSED,
    ERROR_INVALID_NETNAME,
    ERROR_GRACEFUL_DISCONNECT,
    ERROR_ADDRESS_ALREADY_ASSOCIATED,
    ERROR_ADDRESS_NOT_ASSOCIATED,
    ERROR_PROTOCOL_UNREACHABLE,
    ERROR_PORT_UNREACHABLE,
    WSAEACCES as u32,
    WSAENOPROTOOPT as u32,
    WSAEADDRINUSE as u32,
    WSAEADDRNOTAVAIL as u32,
    WSAESHUTDOWN as u32,
    WSAEDISCON as u32,
    WSAECANCELLED as u32,
    WSASYSCALLFAILURE as u32,
    WSA_E_CANCELLED as u32,
];

/// Misuse, or the system's own failure.
const FATAL: &[u32] = &[
    ERROR_INVALID_HANDLE,
    ERROR_NOT_SUPPORTED,
    ERROR_INVALID_PARAMETER,
    ERROR_MORE_DATA,
    ERROR_NOACCESS,
    ERROR_CONNECTION_ACTIVE,
    WSAEBADF as u32,
    WSAEFAULT as u32,
    WSAEINVAL as u32,
    WSAEMFILE as u32,
    WSAEALREADY as u32,
    WSAENOTSOCK as u32,
    WSAEDESTADDRREQ as u32,
    WSAEMSGSIZE as u32,
    WSAEPROTOTYPE as u32,
    WSAEPROTONOSUPPORT as u32,
    WSAESOCKTNOSUPPORT as u32,
    WSAEOPNOTSUPP as u32,
    WSAEPFNOSUPPORT as u32,
    WSAEAFNOSUPPORT as u32,
    WSAEISCONN as u32,
    WSAEPROCLIM as u32,
    WSASYSNOTREADY as u32,
    WSAVERNOTSUPPORTED as u32,
    WSANOTINITIALISED as u32,
    WSAEINVALIDPROCTABLE as u32,
    WSAEINVALIDPROVIDER as u32,
    WSAEPROVIDERFAILEDINIT as u32,
];

/// What a class does at each call.
type Sorted = fn(Call) -> Action;

#[test]
fn every_code_is_sorted() {
    let classes: [(&[u32], Sorted); 5] = [
        (IGNORED, |_| Ignore),
        (RETRIED, |call| if call == Call::Connect { Close } else { Retry }),
        (CLOSED_BUT_ACCEPTING, |call| if call == Call::Accept { Retry } else { Close }),
        (CLOSED, |_| Close),
        (FATAL, |_| Fatal),
    ];
    let mut tested = HashSet::new();
    for (codes, expected) in classes {
        for &code in codes {
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
    for code in [1, 9_999, 10_999, 12_345, u32::MAX] {
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
        // No error asks a caller to try again as if nothing had happened.
        assert_ne!(to_io(row.code).kind(), ErrorKind::Interrupted, "{}", row.name);
        let itself = row.code == WSAEINTR as u32 || row.code < 10_000 || row.winsock == row.code;
        assert!(itself, "{} as {}", row.name, row.winsock);
    }
}

#[test]
fn completions_have_the_kinds_of_failed_calls() {
    for (code, kind) in [
        (ERROR_NETNAME_DELETED, ErrorKind::ConnectionReset),
        (ERROR_VC_DISCONNECTED, ErrorKind::ConnectionReset),
        (ERROR_PORT_UNREACHABLE, ErrorKind::ConnectionReset),
        (ERROR_CONNECTION_REFUSED, ErrorKind::ConnectionRefused),
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
