//! The handshakes of ZMTP 2.0 and 1.0: a socket type, if any, and a routing id (RFC 15, "Formal
//! Grammar"; RFC 13, "The Connection Layer").

use bytes::{BufMut, Bytes, BytesMut};

use crate::decoder::{Decoder, Span};
use crate::framing::Framing;
use crate::greeting::Older;
use crate::metadata::checked_routing_id;
use crate::{Config, Peer, PeerIncompatible, PeerMisbehaved, SocketType};

/// What we send after the part of the greeting that tells peers with a version from those without.
pub(crate) fn encode(config: &Config, peer: Older) -> BytesMut {
    let id = &config.routing_id;
    let mut out = BytesMut::new();
    match peer {
        // It has taken our signature for the header of this frame.
        Older::Unversioned => {}
        Older::Revision(version) => {
            out.put_u8(socket_type_number(config.socket_type));
            let (header, used) = Framing::of(version).header(false, id.len() as u64);
            out.put_slice(&header[..used]);
        }
    }
    out.put_slice(id);
    out
}

/// The type of the peer's socket, if it sent one and we may talk to it.
pub(crate) fn socket_type(
    theirs: Option<u8>,
    config: &Config,
) -> Result<Option<SocketType>, PeerIncompatible> {
    theirs.map(|theirs| compatible(config.socket_type, theirs)).transpose()
}

/// Reads the peer's routing id, which is the rest of its handshake.
pub(crate) fn read_routing_id(
    decoder: &Decoder,
    span: Span,
    peer: Older,
    socket_type: Option<SocketType>,
) -> Result<Peer, PeerMisbehaved> {
    // The flags of ZMTP 1.0 "SHALL not be validated" here.
    if span.more() && Framing::of(peer.version()) == Framing::Present {
        return Err(PeerMisbehaved::RoutingId("its frame is not the last of a message"));
    }
    let routing_id = match socket_type {
        Some(socket_type) if !socket_type.announces_routing_id() => Bytes::new(),
        _ => checked_routing_id(&decoder.body(span))?,
    };
    Ok(Peer {
        version: peer.version(),
        socket_type,
        routing_id,
        properties: Vec::new(),
        as_server: false,
    })
}

/// "XPUB and XSUB sockets are implemented at the protocol level as PUB and SUB sockets" (RFC 15,
/// "Publish-Subscribe").
fn socket_type_number(socket_type: SocketType) -> u8 {
    let on_the_wire = match socket_type {
        SocketType::XPub => SocketType::Pub,
        SocketType::XSub => SocketType::Sub,
        other => other,
    };
    let number = SocketType::ALL.iter().position(|&other| other == on_the_wire);
    number.unwrap_or_default() as u8
}

/// libzmq sends the numbers of XPUB and XSUB nevertheless.
fn compatible(ours: SocketType, number: u8) -> Result<SocketType, PeerIncompatible> {
    // Later types came when nobody spoke these versions any more.
    let theirs = SocketType::ALL.get(usize::from(number)).copied();
    let theirs = theirs.filter(|&theirs| theirs <= SocketType::XSub);
    theirs.filter(|&theirs| ours.is_compatible_with(theirs)).ok_or_else(|| {
        let theirs = theirs.map_or_else(|| format!("number {number}"), |theirs| theirs.to_string());
        PeerIncompatible::SocketType { ours, theirs }
    })
}
