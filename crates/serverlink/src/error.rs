//! What can go wrong.

use std::{io, time::Duration};

use crate::{Message, SocketType, TerminationReport};

/// The result of most calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, with the meaning of ZeroMQ's error numbers
/// ([`errno_name`](Error::errno_name)).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The call would have to wait, and may not, or not longer (`EAGAIN`).
    #[error("nothing could be done now: no message to take, or no peer ready to take one")]
    WouldBlock,
    /// The context was terminated (`ETERM`).
    #[error("the context was terminated; close the socket")]
    Terminated,
    /// The socket was closed (`ENOTSOCK`).
    #[error("the socket is closed")]
    Closed,
    /// A signal ended the wait (`EINTR`).
    #[error("a signal came during the wait")]
    Interrupted,
    /// The call is not allowed in the socket's present state (`EFSM`).
    #[error("{0}")]
    InvalidState(&'static str),
    /// This type of socket cannot do this (`ENOTSUP`).
    #[error("a {socket_type} socket cannot {operation}")]
    NotSupported {
        /// The socket's type.
        socket_type: SocketType,
        /// What it was asked to do.
        operation: &'static str,
    },
    /// No connected peer has this routing id (`EHOSTUNREACH`).
    #[error("no connected peer has the routing id {routing_id:?}")]
    HostUnreachable {
        /// The id that was asked for, escaped.
        routing_id: String,
    },
    /// The endpoint cannot be understood (`EINVAL`).
    #[error("invalid endpoint {endpoint:?}: {reason}")]
    InvalidEndpoint {
        /// The endpoint as given.
        endpoint: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The endpoint's transport is not one of ours, or this system does not have it
    /// (`EPROTONOSUPPORT`).
    #[error(
        "the transport {transport:?} is not supported here; use tcp://, inproc://, udp://, or ipc:// where the system has Unix domain sockets, or the engine named pipes"
    )]
    UnsupportedTransport {
        /// What stood before `://`.
        transport: String,
    },
    /// Sockets of this type do not use this transport (`ENOCOMPATPROTO`).
    #[error("a {socket_type} socket cannot {operation} {transport}://")]
    IncompatibleTransport {
        /// The socket's type.
        socket_type: SocketType,
        /// What it was asked to do.
        operation: &'static str,
        /// The transport.
        transport: &'static str,
    },
    /// The endpoint is bound already (`EADDRINUSE`).
    #[error("{endpoint} is in use already")]
    AddressInUse {
        /// The endpoint as given.
        endpoint: String,
    },
    /// The address is not one of this machine's (`EADDRNOTAVAIL`).
    #[error("{endpoint} is not an address of this machine")]
    AddressNotAvailable {
        /// The endpoint as given.
        endpoint: String,
    },
    /// The socket is not bound or connected to this endpoint (`ENOENT`).
    #[error(
        "the socket is not bound or connected to {endpoint:?}; name it as bind, connect or last_endpoint gave it"
    )]
    NoSuchEndpoint {
        /// The endpoint as given.
        endpoint: String,
    },
    /// An option's value is out of range (`EINVAL`).
    #[error("invalid value for {option}: {reason}")]
    InvalidOption {
        /// The option.
        option: &'static str,
        /// What values it takes.
        reason: String,
    },
    /// There is such an option, but not here (`EINVAL`).
    #[error("the option {option} is not supported: {reason}")]
    UnsupportedOption {
        /// The option, by the name it has in ZeroMQ's C API.
        option: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// There is no option of this number (`EINVAL`).
    #[error("there is no option of the number {id}")]
    UnknownOption {
        /// The number.
        id: i32,
    },
    /// The message cannot be sent by this socket as it is (`EINVAL`).
    #[error("invalid message: {0}")]
    InvalidMessage(&'static str),
    /// The context has as many sockets as it may have (`EMFILE`).
    #[error("the context has its maximum of {maximum} sockets; close some, or raise max_sockets")]
    TooManySockets {
        /// The limit.
        maximum: usize,
    },
    /// The context could not end in time; what it waits for is named.
    #[error(
        "the context did not end within {waited:?}: {sockets} sockets are open and {connections} connections still have messages to send:\n{report}"
    )]
    StillOpen {
        /// How long it waited.
        waited: Duration,
        /// Sockets not closed.
        sockets: usize,
        /// Connections of closed sockets that linger.
        connections: usize,
        /// Which, a moment later.
        report: Box<TerminationReport>,
    },
    /// The operating system refused.
    #[error("{action}: {source}")]
    Io {
        /// What was being done.
        action: String,
        /// Its answer.
        source: io::Error,
    },
}

impl Error {
    /// The name of ZeroMQ's error number of this meaning.
    ///
    /// ```
    /// assert_eq!(serverlink::Error::WouldBlock.errno_name(), "EAGAIN");
    /// ```
    #[must_use]
    pub fn errno_name(&self) -> &'static str {
        match self {
            Self::WouldBlock => "EAGAIN",
            Self::Terminated => "ETERM",
            Self::Closed => "ENOTSOCK",
            Self::Interrupted => "EINTR",
            Self::InvalidState(_) => "EFSM",
            Self::NotSupported { .. } => "ENOTSUP",
            Self::HostUnreachable { .. } => "EHOSTUNREACH",
            Self::InvalidEndpoint { .. }
            | Self::InvalidOption { .. }
            | Self::UnsupportedOption { .. }
            | Self::UnknownOption { .. }
            | Self::InvalidMessage(_) => "EINVAL",
            Self::UnsupportedTransport { .. } => "EPROTONOSUPPORT",
            Self::IncompatibleTransport { .. } => "ENOCOMPATPROTO",
            Self::AddressInUse { .. } => "EADDRINUSE",
            Self::AddressNotAvailable { .. } => "EADDRNOTAVAIL",
            Self::NoSuchEndpoint { .. } => "ENOENT",
            Self::TooManySockets { .. } => "EMFILE",
            Self::StillOpen { .. } => "EBUSY",
            Self::Io { .. } => "EIO",
        }
    }

    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action: action.into(), source }
    }
}

/// A message that could not be sent, and why. The message is whole.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct SendError {
    /// Why.
    #[source]
    pub error: Error,
    /// The message.
    pub message: Message,
}

impl From<SendError> for Error {
    fn from(refused: SendError) -> Self {
        refused.error
    }
}
