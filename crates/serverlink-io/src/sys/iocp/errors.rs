//! What each error code calls for.
//!
//! One table names every code that the calls in use (by `windows`, `select`,
//! `look` and `given`, and by `socket2` for them and for whoever makes the sockets)
//! are documented to return, or that a completion can carry (its `NTSTATUS`,
//! translated to a Win32 code, where the same call failing at once gives the
//! Winsock code). The codes are written as numbers so that the table can be
//! read, and tested, on any system; the tests list them call by call.
//!
//! It sorts what ends an operation or a wait for packets: the results of the
//! overlapped calls, and those of others that are part of an operation. These are
//! `setsockopt` and `getpeername` of an accepted socket, `recv` after a receive of
//! no bytes, and, with what puts the new handle on the port, `NtCreateFile` of the
//! device and `CreateFile` of a pipe. Under `select` it sorts those of `accept`,
//! `recv`, `send` and `WSASend`.
//!
//! Some results are asked for and not sorted, because nothing may follow from
//! them: `CancelIoEx` is a hint, `closesocket` and `CloseHandle` happen in a drop,
//! and a packet that `PostQueuedCompletionStatus` could not queue is tried again
//! whatever the reason, as is `CreateNamedPipe` for the client after the one that
//! came. Of `WaitNamedPipe` it only matters whether there is such a pipe; sockets
//! and the device can do without `SetFileCompletionNotificationModes`, and sockets
//! without `SO_REUSE_UNICASTPORT`.
//!
//! The others go to the caller as they are:
//! * when a port is made or something registered, those of
//!   `CreateIoCompletionPort` and `ioctlsocket`;
//! * before an operation's first call, those of `WSAIoctl`, `getsockname`,
//!   `WSASocket` and `bind`; for pipes, of
//!   `ConvertStringSecurityDescriptorToSecurityDescriptor`, `CreateNamedPipe`,
//!   `CreateIoCompletionPort` and `SetFileCompletionNotificationModes`;
//! * when a connect has succeeded, those of `setsockopt`, which makes the socket a
//!   full one; under `select`, those of `connect`, from itself or from `getsockopt`;
//! * those of `shutdown`, `getsockname`, `getpeername`, `getsockopt`,
//!   `WSADuplicateSocket`, `WSAPoll` and `select`.
//!
//! What of these an accept is told, [`is_temporary`](crate::is_temporary) sorts by
//! the table.
//!
//! Sources: the "Return value" sections (and what else names codes) of the calls'
//! pages and "Windows Sockets Error Codes" on learn.microsoft.com.

use std::io;

use crate::errors::Action::{self, Close, Fatal, Ignore, Retry};

/// Which call an error came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// `AcceptEx` and `ConnectNamedPipe`. Errors of a connection that is not ours yet are retried: the listener is well.
    Accept,
    /// `ConnectEx`; for a pipe, `CreateFile` and the wait before it. Never retried here: after a failure it needs a new socket.
    Connect,
    /// `WSARecv` and `ReadFile`.
    Receive,
    /// `WSASend` and `WriteFile`.
    Send,
    /// The device call behind a probe.
    Probe,
    /// `GetQueuedCompletionStatusEx`.
    Dequeue,
}

/// Where one call differs from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Except {
    None,
    Accept(Action),
    Connect(Action),
    /// What only these two cannot begin again.
    ConnectAndSend(Action),
    Receive(Action),
    /// A time that is over, for a connection and for a wait.
    AcceptAndDequeue(Action, Action),
}

/// What is known of one code.
struct Row {
    code: u32,
    /// Its name in the Windows headers.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers, and for tests"))]
    name: &'static str,
    action: Action,
    except: Except,
    /// The Winsock code of the same meaning, for which `io::ErrorKind` has a name.
    winsock: u32,
    /// Why it is sorted so.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers, and for tests"))]
    why: &'static str,
}

const fn row(
    code: u32,
    name: &'static str,
    action: Action,
    except: Except,
    winsock: u32,
    why: &'static str,
) -> Row {
    Row { code, name, action, except, winsock, why }
}

/// The operation ended because it was cancelled, or its issuing thread ended.
const OPERATION_ABORTED: u32 = 995;
/// The same, where the system did not get as far as to say so.
pub(super) const IO_INCOMPLETE: u32 = 996;
/// The call has begun; its completion follows.
pub(super) const IO_PENDING: u32 = 997;
/// Not an open socket.
pub(super) const NOT_A_SOCKET: u32 = 10038;
/// A call on a non-blocking socket found nothing.
pub(super) const WOULD_BLOCK: u32 = 10035;
/// A pipe was closed at the other end before the call.
#[cfg(windows)]
pub(super) const NO_DATA: u32 = 232;
/// Every instance of a pipe has its client.
#[cfg(windows)]
pub(super) const PIPE_BUSY: u32 = 231;
/// A pipe had its client before the call.
#[cfg(windows)]
pub(super) const PIPE_CONNECTED: u32 = 535;
/// Not connected.
#[cfg(windows)]
pub(super) const NOT_CONNECTED: u32 = 10057;
/// Something failed that never should.
const SYSCALL_FAILURE: u32 = 10107;
/// The system is short of memory to lock.
pub(super) const NO_BUFFERS: u32 = 10055;

/// Sorts `code`, returned by `call` or found in its completion.
///
/// Unknown codes close the connection they are about: carrying on blindly could
/// spin, and more could not be known to be wrong.
pub(super) fn classify(call: Call, code: u32) -> Action {
    find(code).map_or(Close, |row| match (row.except, call) {
        (Except::Accept(action), Call::Accept)
        | (Except::Connect(action), Call::Connect)
        | (Except::ConnectAndSend(action), Call::Connect | Call::Send)
        | (Except::Receive(action), Call::Receive)
        | (Except::AcceptAndDequeue(action, _), Call::Accept)
        | (Except::AcceptAndDequeue(_, action), Call::Dequeue) => action,
        _ => row.action,
    })
}

/// The same for the calls that every platform has.
#[cfg(windows)]
pub(crate) fn sort(call: crate::errors::Call, code: u32) -> Action {
    use crate::errors::Call as Any;

    let call = match call {
        Any::Accept => Call::Accept,
        Any::Connect => Call::Connect,
        Any::Receive => Call::Receive,
        Any::Send => Call::Send,
        Any::Probe => Call::Probe,
    };
    classify(call, code)
}

/// Whether `code` says that somebody ended the operation, rather than that it failed.
pub(super) fn is_abort(code: u32) -> bool {
    matches!(code, OPERATION_ABORTED | IO_INCOMPLETE | 676 | 1236 | 10053 | 10103 | 10111)
}

/// The error told to a handler: the Winsock code of the same meaning.
///
/// A code that the table does not know is kept.
pub(super) fn to_io(code: u32) -> io::Error {
    let code = find(code).map_or(code, |row| row.winsock);
    io::Error::from_raw_os_error(i32::try_from(code).unwrap_or(i32::MAX))
}

/// The code of an error that a system call returned.
pub(super) fn code_of(error: &io::Error) -> u32 {
    error.raw_os_error().map_or(SYSCALL_FAILURE, i32::cast_unsigned)
}

/// The codes of the table.
#[cfg(all(test, not(windows)))]
pub(super) fn codes() -> Vec<u32> {
    TABLE.iter().map(|row| row.code).collect()
}

fn find(code: u32) -> Option<&'static Row> {
    TABLE.binary_search_by_key(&code, |row| row.code).ok().map(|index| &TABLE[index])
}

/// Ascending by code.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(0, "NO_ERROR", Ignore, Except::None, 0, "the operation succeeded"),
    row(1, "ERROR_INVALID_FUNCTION", Fatal, Except::None, 10045, "the device, or the file system, does not know the request"),
    row(2, "ERROR_FILE_NOT_FOUND", Close, Except::None, 10061, "no pipe of that name: nobody listens there"),
    row(3, "ERROR_PATH_NOT_FOUND", Close, Except::None, 10061, "no pipe can have that name: nobody listens there"),
    row(5, "ERROR_ACCESS_DENIED", Close, Except::None, 10013, "the pipe is another user's"),
    row(6, "ERROR_INVALID_HANDLE", Fatal, Except::None, 10038, "the handle is not open: WSAENOTSOCK"),
    row(8, "ERROR_NOT_ENOUGH_MEMORY", Retry, Except::Connect(Close), 10055, "the system is short of memory for the moment"),
    row(14, "ERROR_OUTOFMEMORY", Retry, Except::Connect(Close), 10055, "the system is short of memory for the moment"),
    row(32, "ERROR_SHARING_VIOLATION", Close, Except::None, 10013, "somebody has it open and does not share it"),
    row(38, "ERROR_HANDLE_EOF", Close, Except::None, 10101, "the stream has ended, as a handle reports it"),
    row(50, "ERROR_NOT_SUPPORTED", Fatal, Except::None, 10045, "the provider does not know the call"),
    row(53, "ERROR_BAD_NETPATH", Close, Except::None, 10065, "the path to the peer was lost"),
    row(59, "ERROR_UNEXP_NET_ERR", Close, Except::None, 10054, "the transport failed underneath"),
    row(64, "ERROR_NETNAME_DELETED", Close, Except::Accept(Retry), 10054, "the peer reset the connection, as a completion reports it; under AcceptEx, one that was not ours yet"),
    row(80, "ERROR_FILE_EXISTS", Fatal, Except::None, 10048, "misuse of the call: nothing is to be made anew"),
    row(87, "ERROR_INVALID_PARAMETER", Fatal, Except::None, 10022, "misuse of the call"),
    row(109, "ERROR_BROKEN_PIPE", Close, Except::Receive(Ignore), 10054, "the other end of a pipe was closed; to a receive, the end of the stream"),
    row(121, "ERROR_SEM_TIMEOUT", Close, Except::Accept(Retry), 10060, "the transport gave up: no answer from the peer; of a pipe, no instance in time"),
    row(122, "ERROR_INSUFFICIENT_BUFFER", Fatal, Except::None, 10014, "misuse of the call: the buffer is too short"),
    row(123, "ERROR_INVALID_NAME", Close, Except::None, 10049, "no pipe can have that name"),
    row(183, "ERROR_ALREADY_EXISTS", Fatal, Except::None, 10048, "misuse of the call: nothing is to be made anew"),
    row(206, "ERROR_FILENAME_EXCED_RANGE", Close, Except::None, 10049, "the name of a pipe is too long"),
    row(230, "ERROR_BAD_PIPE", Close, Except::None, 10057, "the pipe is in no state for this"),
    row(231, "ERROR_PIPE_BUSY", Close, Except::None, 10061, "every instance of the pipe has its client; a connect waits for another before it says so"),
    row(232, "ERROR_NO_DATA", Close, Except::Accept(Ignore), 10054, "the other end of a pipe was closed; a client that came and left is accepted, for it may have written something"),
    row(233, "ERROR_PIPE_NOT_CONNECTED", Close, Except::None, 10057, "the other end is gone"),
    row(234, "ERROR_MORE_DATA", Fatal, Except::None, 10040, "there is more than the buffer takes: a stream has no messages, and an answer is about one socket"),
    row(240, "ERROR_VC_DISCONNECTED", Close, Except::Accept(Retry), 10054, "the connection was taken down"),
    row(258, "WAIT_TIMEOUT", Close, Except::AcceptAndDequeue(Retry, Ignore), 10060, "the transport gave up: no answer from the peer; of a wait, no packet in time"),
    row(317, "ERROR_MR_MID_NOT_FOUND", Close, Except::None, 10107, "a status of the kernel's for which there is no code; only this operation is known to have failed"),
    row(535, "ERROR_PIPE_CONNECTED", Ignore, Except::None, 10056, "the client came before the call"),
    row(536, "ERROR_PIPE_LISTENING", Close, Except::None, 10057, "the pipe has no client"),
    row(676, "ERROR_HANDLES_CLOSED", Close, Except::None, 10053, "the handle was closed under the operation"),
    row(735, "ERROR_ABANDONED_WAIT_0", Fatal, Except::None, 10038, "the port was closed under the wait"),
    row(995, "ERROR_OPERATION_ABORTED", Retry, Except::Connect(Close), 10053, "aborted though nobody asked (the thread that issued it has ended): issued again, but ConnectEx needs a new socket"),
    row(996, "ERROR_IO_INCOMPLETE", Retry, Except::ConnectAndSend(Close), 10053, "a packet came without a status: the thread that issued the operation was ended at that moment (seen under Wine); how much a socket has sent is not known, so a send fails; a pipe has sent everything, and lost what it received"),
    row(997, "ERROR_IO_PENDING", Ignore, Except::None, 10036, "the operation has begun; its completion follows"),
    row(998, "ERROR_NOACCESS", Fatal, Except::None, 10014, "a buffer is not accessible"),
    row(1168, "ERROR_NOT_FOUND", Ignore, Except::None, 10022, "nothing to cancel; its completion may be queued already"),
    row(1214, "ERROR_INVALID_NETNAME", Close, Except::None, 10049, "no such address, as a completion reports it"),
    row(1225, "ERROR_CONNECTION_REFUSED", Close, Except::Accept(Retry), 10061, "nobody listens there"),
    row(1226, "ERROR_GRACEFUL_DISCONNECT", Close, Except::None, 10101, "the peer has closed"),
    row(1227, "ERROR_ADDRESS_ALREADY_ASSOCIATED", Close, Except::None, 10048, "the local address is taken"),
    row(1228, "ERROR_ADDRESS_NOT_ASSOCIATED", Close, Except::None, 10049, "the local address is gone"),
    row(1229, "ERROR_CONNECTION_INVALID", Close, Except::Accept(Retry), 10057, "no connection any more"),
    row(1230, "ERROR_CONNECTION_ACTIVE", Fatal, Except::None, 10056, "connected already"),
    row(1231, "ERROR_NETWORK_UNREACHABLE", Close, Except::Accept(Retry), 10051, "no route"),
    row(1232, "ERROR_HOST_UNREACHABLE", Close, Except::Accept(Retry), 10065, "no route"),
    row(1233, "ERROR_PROTOCOL_UNREACHABLE", Close, Except::None, 10043, "the peer does not speak the protocol"),
    row(1234, "ERROR_PORT_UNREACHABLE", Close, Except::None, 10054, "nobody listens there, as a datagram's answer reports it"),
    row(1235, "ERROR_REQUEST_ABORTED", Close, Except::Accept(Retry), 10053, "the transport took the request back"),
    row(1236, "ERROR_CONNECTION_ABORTED", Close, Except::Accept(Retry), 10053, "aborted by this side's system: time-out, or the handle was closed"),
    row(1237, "ERROR_RETRY", Retry, Except::Connect(Close), 10035, "says so itself; a failed connect needs a new socket"),
    row(1305, "ERROR_UNKNOWN_REVISION", Fatal, Except::None, 10022, "misuse of the call: a description of rights in no known form"),
    row(1332, "ERROR_NONE_MAPPED", Fatal, Except::None, 10022, "misuse of the call: a description of rights that names nobody known"),
    row(1450, "ERROR_NO_SYSTEM_RESOURCES", Retry, Except::Connect(Close), 10055, "too much memory is locked by operations in flight: ask for less"),
    row(1453, "ERROR_WORKING_SET_QUOTA", Retry, Except::Connect(Close), 10055, "too much memory is locked by operations in flight: ask for less"),
    row(1460, "ERROR_TIMEOUT", Close, Except::Accept(Retry), 10060, "the transport gave up: no answer from the peer"),
    row(1784, "ERROR_INVALID_USER_BUFFER", Retry, Except::Connect(Close), 10055, "too many operations in flight"),
    row(1816, "ERROR_NOT_ENOUGH_QUOTA", Retry, Except::Connect(Close), 10055, "too much memory is locked by operations in flight: ask for less"),
    row(10004, "WSAEINTR", Retry, Except::Connect(Close), 10053, "a blocking call was cancelled; ours do not block"),
    row(10009, "WSAEBADF", Fatal, Except::None, 10009, "not a descriptor"),
    row(10013, "WSAEACCES", Close, Except::None, 10013, "forbidden by the system or its firewall"),
    row(10014, "WSAEFAULT", Fatal, Except::None, 10014, "a buffer is not accessible"),
    row(10022, "WSAEINVAL", Fatal, Except::None, 10022, "the socket is in the wrong state: not bound, not listening"),
    row(10024, "WSAEMFILE", Fatal, Except::None, 10024, "out of handles: trying again at once would spin"),
    row(10035, "WSAEWOULDBLOCK", Retry, Except::Connect(Close), 10035, "too many overlapped operations in flight"),
    row(10036, "WSAEINPROGRESS", Retry, Except::Connect(Close), 10036, "a blocking call or a provider's callback is in progress"),
    row(10037, "WSAEALREADY", Fatal, Except::None, 10037, "a connect is in progress on this socket"),
    row(10038, "WSAENOTSOCK", Fatal, Except::None, 10038, "not a socket"),
    row(10039, "WSAEDESTADDRREQ", Fatal, Except::None, 10039, "no address given"),
    row(10040, "WSAEMSGSIZE", Fatal, Except::None, 10040, "more than the provider takes in one call"),
    row(10041, "WSAEPROTOTYPE", Fatal, Except::None, 10041, "not a stream"),
    row(10042, "WSAENOPROTOOPT", Close, Except::None, 10042, "an option is unknown to the provider"),
    row(10043, "WSAEPROTONOSUPPORT", Fatal, Except::None, 10043, "the protocol is not installed"),
    row(10044, "WSAESOCKTNOSUPPORT", Fatal, Except::None, 10044, "the kind of socket is not installed"),
    row(10045, "WSAEOPNOTSUPP", Fatal, Except::None, 10045, "the socket cannot do this: not a stream, or only one way"),
    row(10046, "WSAEPFNOSUPPORT", Fatal, Except::None, 10046, "the family is not installed"),
    row(10047, "WSAEAFNOSUPPORT", Fatal, Except::None, 10047, "the address is of another family than the socket"),
    row(10048, "WSAEADDRINUSE", Close, Except::None, 10048, "the local address is taken"),
    row(10049, "WSAEADDRNOTAVAIL", Close, Except::None, 10049, "no such address: port 0, or the wildcard"),
    row(10050, "WSAENETDOWN", Close, Except::Accept(Retry), 10050, "the network is down; for a listener, one connection's"),
    row(10051, "WSAENETUNREACH", Close, Except::Accept(Retry), 10051, "no route"),
    row(10052, "WSAENETRESET", Close, Except::Accept(Retry), 10052, "keep-alive found the connection dead"),
    row(10053, "WSAECONNABORTED", Close, Except::Accept(Retry), 10053, "this side's system gave the connection up"),
    row(10054, "WSAECONNRESET", Close, Except::Accept(Retry), 10054, "the peer reset the connection; under AcceptEx, one that was not ours yet"),
    row(10055, "WSAENOBUFS", Retry, Except::Connect(Close), 10055, "too much memory is locked by operations in flight: ask for less"),
    row(10056, "WSAEISCONN", Fatal, Except::None, 10056, "connected already"),
    row(10057, "WSAENOTCONN", Close, Except::Accept(Retry), 10057, "not connected, or no longer"),
    row(10058, "WSAESHUTDOWN", Close, Except::None, 10058, "this direction was shut down"),
    row(10060, "WSAETIMEDOUT", Close, Except::Accept(Retry), 10060, "no answer from the peer"),
    row(10061, "WSAECONNREFUSED", Close, Except::Accept(Retry), 10061, "nobody listens there"),
    row(10064, "WSAEHOSTDOWN", Close, Except::Accept(Retry), 10064, "no answer from the peer's machine"),
    row(10065, "WSAEHOSTUNREACH", Close, Except::Accept(Retry), 10065, "no route"),
    row(10067, "WSAEPROCLIM", Fatal, Except::None, 10067, "the provider's limit of processes is reached"),
    row(10091, "WSASYSNOTREADY", Fatal, Except::None, 10091, "the network subsystem is not there"),
    row(10092, "WSAVERNOTSUPPORTED", Fatal, Except::None, 10092, "the version of Winsock is not there"),
    row(10093, "WSANOTINITIALISED", Fatal, Except::None, 10093, "WSAStartup was not called, or undone"),
    row(10101, "WSAEDISCON", Close, Except::None, 10101, "the peer has closed (message-oriented providers)"),
    row(10103, "WSAECANCELLED", Close, Except::None, 10103, "the provider took the call back"),
    row(10104, "WSAEINVALIDPROCTABLE", Fatal, Except::None, 10104, "the provider is broken"),
    row(10105, "WSAEINVALIDPROVIDER", Fatal, Except::None, 10105, "the provider is broken"),
    row(10106, "WSAEPROVIDERFAILEDINIT", Fatal, Except::None, 10106, "the provider is broken"),
    row(10107, "WSASYSCALLFAILURE", Close, Except::None, 10107, "a system call failed that never should; only this operation is known to have"),
    row(10111, "WSA_E_CANCELLED", Close, Except::None, 10111, "the provider took the call back"),
];

#[cfg(test)]
mod tests;
