//! What happens to a socket's connections, and the numbers libzmq has for it.

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use serverlink_zmtp::{
    self as zmtp, PeerIncompatible, PeerMisbehaved, Refusal, SocketType, TimedOut, Version,
};

use crate::Error;

/// Something that happened to a socket's connections: see [`Socket::monitor`](crate::Socket::monitor).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MonitorEvent {
    /// What.
    pub kind: MonitorEventKind,
    /// The endpoint that the socket is bound or connected to; empty for
    /// [`MonitorStopped`](MonitorEventKind::MonitorStopped).
    pub endpoint: String,
    /// Whether the socket is bound there; if not, it connects.
    pub is_bound: bool,
    /// Our end of the connection, as an endpoint, if there is a connection and its end has an
    /// address. Of a WebSocket it has the path of `endpoint`.
    pub local: Option<String>,
    /// The peer's end.
    pub remote: Option<String>,
}

/// The kinds of [`MonitorEvent`]s, each with what else is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MonitorEventKind {
    /// A connection was made; the handshake follows.
    Connected,
    /// A connection is being made.
    ConnectDelayed,
    /// There was no connection, or it is lost: another attempt follows.
    ConnectRetried {
        /// after this time.
        wait: Duration,
    },
    /// The socket is bound.
    Listening,
    /// It could not be bound.
    BindFailed(MonitorFault),
    /// A peer has connected; the handshake follows.
    Accepted,
    /// A peer could not be accepted.
    AcceptFailed(MonitorFault),
    /// An attempt to connect has ended, or the socket is bound no longer.
    Closed,
    /// The socket is bound to an `ipc://` endpoint no longer, but its file could not be removed, or
    /// had been removed by somebody else. It takes the place of [`Closed`](Self::Closed).
    CloseFailed(MonitorFault),
    /// A connection was lost, by whichever side's fault, but not by our wish.
    Disconnected,
    /// The last event: the socket was closed, or its context terminated.
    MonitorStopped,
    /// The handshake failed because the connection broke or time was up.
    HandshakeFailed(MonitorFault),
    /// The handshake is done: messages may flow.
    HandshakeSucceeded(MonitoredPeer),
    /// The handshake failed because the peer broke the protocol, or is not to be talked to.
    HandshakeFailedProtocol {
        /// The number libzmq has for the fault, one of `ZMQ_PROTOCOL_ERROR_…`.
        code: u32,
        /// The fault.
        reason: String,
    },
    /// The handshake failed because the peer was not let in, or did not let us in.
    HandshakeFailedAuthentication {
        /// What the authenticator answered: 300, 400 or 500 (RFC 27).
        status: u16,
    },
    /// How many messages wait for a peer and from it: see
    /// [`Socket::tell_pipe_statistics`](crate::Socket::tell_pipe_statistics).
    PipeStatistics {
        /// For the peer.
        outgoing: u64,
        /// From the peer.
        incoming: u64,
    },
}

/// Why something failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitorFault {
    /// The system's error number, if it was the system that failed.
    pub code: Option<i32>,
    /// In words.
    pub reason: String,
}

/// The peer of a connection, as it introduced itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MonitoredPeer {
    /// Its socket type, if it told: ZMTP 1.0 does not.
    pub socket_type: Option<SocketType>,
    /// Its routing id; empty if it has none.
    pub routing_id: Bytes,
    /// The version of ZMTP it speaks: major and minor number.
    pub version: (u8, u8),
}

impl MonitoredPeer {
    pub(crate) fn new(
        socket_type: Option<SocketType>,
        routing_id: Bytes,
        version: Version,
    ) -> Self {
        Self { socket_type, routing_id, version: (version.0, version.1) }
    }
}

impl MonitorEventKind {
    /// The number libzmq has for this kind, `ZMQ_EVENT_…`: a bit of its own.
    #[must_use]
    pub const fn number(&self) -> u64 {
        match self {
            Self::Connected => 0x1,
            Self::ConnectDelayed => 0x2,
            Self::ConnectRetried { .. } => 0x4,
            Self::Listening => 0x8,
            Self::BindFailed(_) => 0x10,
            Self::Accepted => 0x20,
            Self::AcceptFailed(_) => 0x40,
            Self::Closed => 0x80,
            Self::CloseFailed(_) => 0x100,
            Self::Disconnected => 0x200,
            Self::MonitorStopped => 0x400,
            Self::HandshakeFailed(_) => 0x800,
            Self::HandshakeSucceeded(_) => 0x1000,
            Self::HandshakeFailedProtocol { .. } => 0x2000,
            Self::HandshakeFailedAuthentication { .. } => 0x4000,
            Self::PipeStatistics { .. } => 0x1_0000,
        }
    }

    /// The values libzmq sends along. Where it has a descriptor of the system's, this is 0.
    pub(super) fn values(&self) -> Vec<u64> {
        match self {
            Self::ConnectRetried { wait } => {
                vec![wait.as_millis().try_into().unwrap_or(u64::from(u32::MAX))]
            }
            Self::BindFailed(fault)
            | Self::AcceptFailed(fault)
            | Self::CloseFailed(fault)
            | Self::HandshakeFailed(fault) => {
                vec![fault.code.and_then(|code| code.try_into().ok()).unwrap_or(0)]
            }
            Self::HandshakeFailedProtocol { code, .. } => vec![u64::from(*code)],
            Self::HandshakeFailedAuthentication { status } => vec![u64::from(*status)],
            Self::PipeStatistics { outgoing, incoming } => vec![*outgoing, *incoming],
            _ => vec![0],
        }
    }

    /// The event that the failure of a handshake is.
    pub(crate) fn handshake_failed(error: &zmtp::Error) -> Self {
        let code = match error {
            zmtp::Error::TimedOut(TimedOut::Handshake(_)) => {
                return Self::HandshakeFailed(MonitorFault {
                    code: None,
                    reason: error.to_string(),
                });
            }
            zmtp::Error::Denied(refusal) => {
                return Self::HandshakeFailedAuthentication { status: refusal.status() };
            }
            zmtp::Error::Refused { reason } if refusal_of(reason).is_some() => {
                let status = refusal_of(reason).map_or(0, Refusal::status);
                return Self::HandshakeFailedAuthentication { status };
            }
            zmtp::Error::PeerIncompatible(PeerIncompatible::Mechanism { .. }) => 0x1100_0002,
            zmtp::Error::Closed(_)
            | zmtp::Error::PeerMisbehaved(PeerMisbehaved::WebSocket(_))
            | zmtp::Error::PeerIncompatible(
                PeerIncompatible::NotWebSocket(_) | PeerIncompatible::Subprotocol { .. },
            ) => 0x3000_0000,
            zmtp::Error::PeerIncompatible(PeerIncompatible::SocketType { .. })
            | zmtp::Error::PeerMisbehaved(
                PeerMisbehaved::MalformedCommand { command: "READY" | "INITIATE", .. }
                | PeerMisbehaved::DuplicateProperty(_)
                | PeerMisbehaved::TooManyProperties(_)
                | PeerMisbehaved::NoSocketType
                | PeerMisbehaved::RoutingId(_),
            ) => 0x1000_0018,
            zmtp::Error::PeerMisbehaved(PeerMisbehaved::MalformedCommand {
                command: "ERROR",
                ..
            }) => 0x1000_0015,
            zmtp::Error::PeerMisbehaved(PeerMisbehaved::MalformedCommand { command, .. }) => {
                match *command {
                    "HELLO" => 0x1000_0013,
                    "WELCOME" => 0x1000_0017,
                    _ => 0x1000_0000,
                }
            }
            zmtp::Error::PeerMisbehaved(
                PeerMisbehaved::UnexpectedCommand(_) | PeerMisbehaved::MessageBeforeReady,
            ) => 0x1000_0001,
            zmtp::Error::PeerMisbehaved(PeerMisbehaved::Sequence) => 0x1000_0002,
            zmtp::Error::PeerMisbehaved(PeerMisbehaved::KeyExchange) => 0x1000_0003,
            zmtp::Error::PeerMisbehaved(PeerMisbehaved::Cryptographic(_)) => 0x1100_0001,
            zmtp::Error::PeerMisbehaved(PeerMisbehaved::CommandLength { command, .. }) => {
                match *command {
                    "MESSAGE" => 0x1000_0012,
                    "HELLO" => 0x1000_0013,
                    "INITIATE" => 0x1000_0014,
                    "READY" => 0x1000_0016,
                    "WELCOME" => 0x1000_0017,
                    _ => 0x1000_0000,
                }
            }
            _ => 0x1000_0000,
        };
        Self::HandshakeFailedProtocol { code, reason: error.to_string() }
    }
}

/// The refusal that an ERROR command tells by a status code of ZAP.
pub(crate) fn refusal_of(reason: &str) -> Option<Refusal> {
    reason.parse().ok().and_then(Refusal::of).filter(|_| reason.len() == 3)
}

impl From<&io::Error> for MonitorFault {
    fn from(error: &io::Error) -> Self {
        Self { code: error.raw_os_error(), reason: error.to_string() }
    }
}

impl From<&Error> for MonitorFault {
    fn from(error: &Error) -> Self {
        let code = match error {
            Error::Io { source, .. } => source.raw_os_error(),
            Error::AddressInUse { .. } => Some(errno::ADDRESS_IN_USE),
            Error::AddressNotAvailable { .. } => Some(errno::ADDRESS_NOT_AVAILABLE),
            _ => None,
        };
        Self { code, reason: error.to_string() }
    }
}

/// The numbers of errors that are known by their meaning.
mod errno {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) const ADDRESS_IN_USE: i32 = 98;
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) const ADDRESS_NOT_AVAILABLE: i32 = 99;
    #[cfg(windows)]
    pub(super) const ADDRESS_IN_USE: i32 = 10048;
    #[cfg(windows)]
    pub(super) const ADDRESS_NOT_AVAILABLE: i32 = 10049;
    #[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
    pub(super) const ADDRESS_IN_USE: i32 = 48;
    #[cfg(not(any(target_os = "linux", target_os = "android", windows)))]
    pub(super) const ADDRESS_NOT_AVAILABLE: i32 = 49;
}

impl fmt::Display for MonitorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_have_the_numbers_of_libzmq() {
        let number = |error: zmtp::Error| match MonitorEventKind::handshake_failed(&error) {
            MonitorEventKind::HandshakeFailedProtocol { code, .. } => code,
            other => panic!("{other:?}"),
        };
        let theirs = String::new();
        assert_eq!(
            number(PeerIncompatible::Mechanism { ours: "NULL", theirs }.into()),
            0x1100_0002
        );
        assert_eq!(number(PeerMisbehaved::NoSocketType.into()), 0x1000_0018);
        assert_eq!(number(PeerMisbehaved::MessageBeforeReady.into()), 0x1000_0001);
        assert_eq!(number(PeerMisbehaved::Flags(8).into()), 0x1000_0000);
        let late = zmtp::Error::TimedOut(TimedOut::Handshake(Duration::ZERO));
        assert!(matches!(
            MonitorEventKind::handshake_failed(&late),
            MonitorEventKind::HandshakeFailed(_)
        ));
    }
}
