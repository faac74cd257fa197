//! What the other end of a connection turned out to be.

use bytes::Bytes;

use crate::{PATTERNS_PROPERTY, SocketType, Version};

/// The other end, as it described itself in its greeting and its READY command, or in what older
/// versions have instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The version the peer announced, which may be higher than ours.
    pub version: Version,
    /// The peer's socket type, which is compatible with ours; `None` if it speaks ZMTP 1.0, or no
    /// mechanism on a WebSocket, which does not tell.
    pub socket_type: Option<SocketType>,
    /// The peer's routing id, at most 255 bytes; empty if it has none or is not a REQ, DEALER or
    /// ROUTER, as far as it told.
    pub routing_id: Bytes,
    /// All other properties in the order sent, with the peer's spelling of the names. There are none
    /// before ZMTP 3.0.
    pub properties: Vec<(String, Bytes)>,
    /// Whether the peer announced itself as server of the security handshake.
    pub as_server: bool,
}

impl Peer {
    /// The value of a property other than the socket type and the routing id. Case does not matter
    /// in names (RFC 37, "Connection Metadata").
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Bytes> {
        self.properties.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// Whether the peer has said that it takes [subscriptions to patterns](crate::encode_pattern).
    #[must_use]
    pub fn takes_patterns(&self) -> bool {
        self.property(PATTERNS_PROPERTY).is_some_and(|value| value == "1")
    }
}
