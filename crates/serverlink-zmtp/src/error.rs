//! Errors, sorted by whose fault they are.

use std::time::Duration;

use crate::{SocketType, Version};

/// Why a connection cannot go on. Every error is final for its connection: send what
/// [`Connection::take_output`](crate::Connection::take_output) still holds, then close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol.
    #[error("the peer broke the ZMTP protocol: {0}")]
    PeerMisbehaved(#[from] PeerMisbehaved),
    /// The peer is sound but cannot be talked to with this configuration. Connecting again will not
    /// help.
    #[error("the peer is incompatible: {0}")]
    PeerIncompatible(#[from] PeerIncompatible),
    /// The peer refused us with an ERROR command. Connecting again with the same configuration will
    /// not help (RFC 37, "Error Handling").
    #[error("the peer refused the connection and gave the reason \"{reason}\"")]
    Refused {
        /// The peer's words, at most 255 bytes, with everything unprintable escaped.
        reason: String,
    },
    /// We refused the peer, by [`Connection::refuse`](crate::Connection::refuse).
    #[error("the peer was not let in: {0}")]
    Denied(Refusal),
    /// The peer has closed the WebSocket: the status and the reason that it gave, if any.
    #[error("the peer closed the WebSocket, with the words \"{0}\"")]
    Closed(String),
    /// The system has no random bytes, which keys are made of.
    #[error("the system has no random bytes")]
    NoRandomness,
    /// The peer took too long. Connecting again may help.
    #[error("the peer took too long: {0}")]
    TimedOut(#[from] TimedOut),
    /// The calling program broke the contract of this crate.
    #[error("wrong use of the connection: {0}")]
    ApiMisuse(#[from] ApiMisuse),
}

/// Why a peer is not let in, by the status codes of ZAP (RFC 27), which ERROR commands carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// 300: not now. The connection ends without a word, so that the peer tries again.
    #[error("it may try again (status 300)")]
    Temporary,
    /// 400: what the peer has shown is not good enough.
    #[error("its credentials are not accepted (status 400)")]
    Credentials,
    /// 500: whoever judges could not.
    #[error("whoever judges failed (status 500)")]
    Internal,
}

impl Refusal {
    /// Its status code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Temporary => 300,
            Self::Credentials => 400,
            Self::Internal => 500,
        }
    }

    /// The refusal of a status code; none if it is no such code.
    #[must_use]
    pub const fn of(status: u16) -> Option<Self> {
        match status {
            300 => Some(Self::Temporary),
            400 => Some(Self::Credentials),
            500 => Some(Self::Internal),
            _ => None,
        }
    }
}

/// How a peer broke the protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerMisbehaved {
    /// A flags octet with reserved bits, or with MORE on a command (RFC 37, "Framing").
    #[error("a frame has the flags {0:#04x}, which its version of ZMTP does not define")]
    Flags(u8),
    /// A frame longer than allowed.
    #[error(
        "a frame of {length} bytes exceeds the limit of {limit} bytes; raise the maximum message size if it is legitimate"
    )]
    FrameTooLong {
        /// The length the peer announced.
        length: u64,
        /// The longest frame allowed at this point.
        limit: u64,
    },
    /// A frame length beyond 2⁶³ − 1, or beyond the address space (RFC 37, "Framing").
    #[error("a frame announces {0} bytes, more than any frame can have")]
    FrameLength(u64),
    /// A frame of ZMTP 1.0 whose length is zero, though it counts the flags (RFC 13, "The Framing
    /// Layer").
    #[error("a frame announces a length of zero, which leaves no room for its flags")]
    NoRoomForFlags,
    /// A message frame before READY.
    #[error("it sent a message before its READY command")]
    MessageBeforeReady,
    /// A command that has no place in the handshake.
    #[error("it sent the command \"{0}\" where another was due")]
    UnexpectedCommand(String),
    /// A command whose body does not follow its grammar.
    #[error("its {command} command is malformed: {defect}")]
    MalformedCommand {
        /// The command.
        command: &'static str,
        /// What is wrong with it.
        defect: &'static str,
    },
    /// A command of the CURVE mechanism that is too short or too long (RFC 26).
    #[error("its {command} command has {length} bytes after the name, which it cannot have")]
    CommandLength {
        /// The command.
        command: &'static str,
        /// How many bytes there are.
        length: usize,
    },
    /// A box in this command cannot be opened: it was made with other keys, or changed on the way.
    #[error("its {0} command cannot be decrypted; check the keys of both ends")]
    Cryptographic(&'static str),
    /// A nonce that is not above the one before: a command comes again, or in another order.
    #[error("it repeats what it sent, or changes the order")]
    Sequence,
    /// What the client has vouched for is not this connection, or not this server.
    #[error("its INITIATE command vouches for another connection or another server")]
    KeyExchange,
    /// A frame of a WebSocket that RFC 6455 does not allow, or RFC 45 has no use for.
    #[error("it broke the WebSocket protocol: {0}")]
    WebSocket(&'static str),
    /// The same property twice in READY.
    #[error("it has the property \"{0}\" twice")]
    DuplicateProperty(String),
    /// More properties in READY than anybody needs.
    #[error("it has more than {0} properties")]
    TooManyProperties(usize),
    /// No `Socket-Type` in READY.
    #[error("it names no Socket-Type")]
    NoSocketType,
    /// A routing id that is too long, begins with a zero byte (RFC 37, "The Identity Property"), or
    /// is not in one frame.
    #[error("its routing id is invalid: {0}")]
    RoutingId(&'static str),
}

/// Why a peer cannot be talked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerIncompatible {
    /// The first bytes are no greeting of any version.
    #[error("it does not speak ZMTP (it began with \"{0}\"); check the address and the port")]
    NotZmtp(String),
    /// No WebSocket could be opened.
    #[error("it does not open a WebSocket: {0}; check the address, the port and the path")]
    NotWebSocket(String),
    /// None of the subprotocols of a WebSocket that one end speaks is spoken by the other.
    #[error(
        "of WebSocket's subprotocols it speaks \"{theirs}\" and we \"{ours}\"; configure the security mechanism of both ends alike"
    )]
    Subprotocol {
        /// Ours, with commas between them.
        ours: String,
        /// The peer's, with everything unprintable escaped.
        theirs: String,
    },
    /// A version that is not admitted: see [`Config::older_peers`](crate::Config::older_peers).
    #[error(
        "it speaks ZMTP {0}, but at least 3.0 is needed here; update the peer to ZeroMQ 4.0 or later"
    )]
    Version(Version),
    /// Another security mechanism.
    #[error(
        "it uses the security mechanism \"{theirs}\" and we use \"{ours}\"; configure both ends alike"
    )]
    Mechanism {
        /// Our mechanism.
        ours: &'static str,
        /// The peer's, with everything unprintable escaped.
        theirs: String,
    },
    /// Socket types that may not be connected.
    #[error(
        "its {theirs} socket cannot talk to our {ours} socket; connect a compatible pair of socket types"
    )]
    SocketType {
        /// Our type.
        ours: SocketType,
        /// The peer's, with everything unprintable escaped.
        theirs: String,
    },
}

/// What the peer was late with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimedOut {
    /// The handshake did not complete in time.
    #[error("the handshake did not complete within {0:?}")]
    Handshake(Duration),
    /// Nothing arrived after our PING.
    #[error("nothing arrived within {0:?} after a PING")]
    Heartbeat(Duration),
    /// Nothing arrived after the peer's PING within the time the peer itself had set.
    #[error("nothing arrived within the {0:?} that its last PING promised")]
    TimeToLive(Duration),
}

/// What the caller did wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ApiMisuse {
    /// [`Config::routing_id`](crate::Config::routing_id) is too long or begins with a zero byte.
    #[error("the routing id must have at most 255 bytes and must not begin with a zero byte")]
    RoutingId,
    /// A name in [`Config::metadata`](crate::Config::metadata) is empty, too long, not ASCII,
    /// repeated, or one of the names this crate sets itself.
    #[error(
        "\"{0}\" cannot be the name of a property; use 1 to 255 ASCII characters, each name once, and neither Socket-Type, Identity nor X-ServerLink-Patterns"
    )]
    PropertyName(String),
    /// [`Config::metadata`](crate::Config::metadata) does not fit a command of the handshake.
    #[error(
        "the metadata makes a command of {0} bytes in the handshake; at most 65536 are allowed"
    )]
    MetadataTooLarge(usize),
    /// A name or password of [`PlainLogin`](crate::PlainLogin) is too long.
    #[error("the username and the password must have at most 255 bytes each")]
    PlainLogin,
    /// The buffer given to [`Connection::return_frame`](crate::Connection::return_frame) holds less
    /// than the one that was handed out.
    #[error("a frame's buffer came back shorter than it was handed out")]
    FrameShortened,
}

/// At most `limit` bytes of what a peer sent, fit to print: everything but printable ASCII escaped.
pub(crate) fn printable(bytes: &[u8], limit: usize) -> String {
    bytes[..bytes.len().min(limit)].escape_ascii().to_string()
}
