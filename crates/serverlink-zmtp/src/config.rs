//! What this end of a connection is.

use std::{fmt, time::Duration};

use bytes::Bytes;

use crate::{CurveClient, CurvePublicKey, CurveSecretKey, SocketType, curve};

/// The security mechanism of a connection, and our part in it (RFC 37, "Authentication and
/// Confidentiality"). Both ends must use the same one, and of those that have roles one end must be
/// the client and the other the server, whichever of them connects.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mechanism {
    /// No authentication and no encryption.
    #[default]
    Null,
    /// A name and a password, not encrypted, shown by us (RFC 24).
    PlainClient(PlainLogin),
    /// The same, shown to us. The peer is always to be [judged](Config::judges_peers): nobody is let in
    /// unasked.
    PlainServer,
    /// Keys, by which either end knows the other, and encryption, as the client (RFC 26).
    CurveClient(CurveClient),
    /// The same as the server, by its secret key. Whoever knows its public key may connect, unless peers
    /// are [judged](Config::judges_peers).
    CurveServer(CurveSecretKey),
}

impl Mechanism {
    /// The name in the greeting.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::PlainClient(_) | Self::PlainServer => "PLAIN",
            Self::CurveClient(_) | Self::CurveServer(_) => "CURVE",
        }
    }

    /// How many bytes our properties come with, in the command that brings them: READY, or the INITIATE
    /// of a client.
    pub(crate) const fn overhead(&self) -> usize {
        const NAME: usize = 1 + "INITIATE".len();
        match self {
            Self::Null | Self::PlainServer => 1 + "READY".len(),
            Self::PlainClient(_) => NAME,
            Self::CurveClient(_) => NAME + curve::INITIATE_OVERHEAD,
            Self::CurveServer(_) => 1 + "READY".len() + curve::READY_OVERHEAD,
        }
    }

    /// Whether we are the server of the handshake, and say so in the greeting. NULL has no roles, and
    /// there "the as-server field MUST be zero" (RFC 37, "The NULL Security Mechanism").
    pub(crate) const fn is_server(&self) -> bool {
        match self {
            Self::Null | Self::PlainClient(_) | Self::CurveClient(_) => false,
            Self::PlainServer | Self::CurveServer(_) => true,
        }
    }
}

/// What a client shows with the PLAIN mechanism. Printed for debugging, it does not tell the password.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct PlainLogin {
    /// The name, of at most 255 bytes.
    pub username: Bytes,
    /// The password, of at most 255 bytes.
    pub password: Bytes,
}

impl fmt::Debug for PlainLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlainLogin").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What a peer has shown of who it is, for somebody to judge: see
/// [`Event::Credentials`](crate::Event::Credentials).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// Nothing: that is the NULL mechanism.
    None,
    /// A name and a password.
    Plain(PlainLogin),
    /// A key, of which the peer has proven to have the secret one.
    Curve(CurvePublicKey),
}

/// Heartbeating with PING and PONG (RFC 37, "Connection Heartbeating").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Heartbeat {
    /// Time between two PINGs, from the end of the handshake on (`ZMQ_HEARTBEAT_IVL`). Zero sends
    /// none.
    pub interval: Duration,
    /// How long after a PING the peer may stay silent before it counts as dead
    /// (`ZMQ_HEARTBEAT_TIMEOUT`). Any byte from the peer is a sign of life. Zero never gives up.
    pub timeout: Duration,
    /// How long the peer should wait for traffic after our PING before it counts *us* as dead
    /// (`ZMQ_HEARTBEAT_TTL`). Zero says nothing. Sent in tenths of a second, rounded down.
    ///
    /// More than 65.5 s is sent as 65.5 s, or as nothing where PINGs come less often than that:
    /// libzmq up to 4.3.5 counts the value as milliseconds in 16 bits, so it would take 65.6 s for
    /// 64 ms.
    pub ttl: Duration,
}

/// What this end of a connection is and what it allows the other to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The type of our socket.
    pub socket_type: SocketType,
    /// The security mechanism both ends must use.
    pub mechanism: Mechanism,
    /// Whether somebody judges who the peer is before the handshake may end, as with ZAP (RFC 27): see
    /// [`Event::Credentials`](crate::Event::Credentials). It makes no difference to a client of a
    /// mechanism that has roles, which judges nobody, nor to the server of PLAIN, which always does.
    pub judges_peers: bool,
    /// Our routing id, at most 255 bytes and not beginning with a zero byte; empty for none. Only
    /// REQ, DEALER and ROUTER announce it.
    pub routing_id: Bytes,
    /// Further properties to announce. Names are 1 to 255 bytes of ASCII; names for applications
    /// begin with `X-`, and are not [`PATTERNS_PROPERTY`](crate::PATTERNS_PROPERTY).
    pub metadata: Vec<(String, Bytes)>,
    /// The longest frame body accepted, in bytes (`ZMQ_MAXMSGSIZE`); `None` for no limit. It counts
    /// per frame, not per message. Commands may be longer, up to 64 KiB.
    pub max_message_size: Option<u64>,
    /// How long the handshake may take from [`Connection::new`](crate::Connection::new) on
    /// (`ZMQ_HANDSHAKE_IVL`); `None` for ever.
    pub handshake_timeout: Option<Duration>,
    /// Heartbeating; `None` sends no PING (the peer's are answered in any case).
    pub heartbeat: Option<Heartbeat>,
    /// Whether peers that speak ZMTP 2.0 or 1.0 are admitted. They cannot authenticate themselves:
    /// with any mechanism but NULL they never are, nor where [peers are judged](Self::judges_peers).
    ///
    /// To find out whether it may go on in a later version, a connection that admits them sends its
    /// greeting piece by piece, each when enough of the peer's has arrived. One that does not sends
    /// everything at once, which saves up to a round trip.
    pub older_peers: bool,
}

impl Config {
    /// A connecting end of this type with the NULL mechanism, without routing id, metadata or
    /// heartbeat, with no limit on frames and ZeroMQ's 30 s for the handshake, that admits older
    /// peers.
    #[must_use]
    pub fn new(socket_type: SocketType) -> Self {
        Self {
            socket_type,
            mechanism: Mechanism::Null,
            judges_peers: false,
            routing_id: Bytes::new(),
            metadata: Vec::new(),
            max_message_size: None,
            handshake_timeout: Some(Duration::from_secs(30)),
            heartbeat: None,
            older_peers: true,
        }
    }

    /// Whether a peer of a version before 3.0 will be talked to.
    pub(crate) fn admits_older_peers(&self) -> bool {
        self.older_peers && !self.judges_peers && matches!(self.mechanism, Mechanism::Null)
    }
}
