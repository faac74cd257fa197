//! Properties: what READY, or INITIATE, says about its sender (RFC 37, "Connection Metadata").

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::printable;
use crate::greeting::Greeting;
use crate::{ApiMisuse, Config, Error, Peer, PeerIncompatible, PeerMisbehaved, SocketType};

const SOCKET_TYPE: &str = "Socket-Type";
const IDENTITY: &str = "Identity";

/// By this property of value `1` a PUB or XPUB of ours says that it takes subscriptions to patterns.
/// RFC 37 leaves names that begin with `X-` to applications; who does not know it ignores it.
pub const PATTERNS_PROPERTY: &str = "X-ServerLink-Patterns";

/// The longest routing id in bytes.
pub(crate) const MAX_ROUTING_ID: usize = 255;
/// More properties than any implementation sends; bounds the search for duplicates.
const MAX_PROPERTIES: usize = 128;
/// The longest command of the handshake in bytes.
pub(crate) const MAX_HANDSHAKE_COMMAND: usize = 65_536;

/// Our properties: the data of our READY command, or of INITIATE.
pub(crate) fn encode(config: &Config) -> Result<BytesMut, ApiMisuse> {
    let mut data = BytesMut::new();
    put(&mut data, SOCKET_TYPE, config.socket_type.as_str().as_bytes());
    if config.routing_id.len() > MAX_ROUTING_ID || config.routing_id.first() == Some(&0) {
        return Err(ApiMisuse::RoutingId);
    }
    if config.socket_type.announces_routing_id() {
        put(&mut data, IDENTITY, &config.routing_id);
    }
    if config.socket_type.receives_subscriptions() {
        put(&mut data, PATTERNS_PROPERTY, b"1");
    }
    for (index, (name, value)) in config.metadata.iter().enumerate() {
        let taken = |other: &str| other.eq_ignore_ascii_case(name);
        if !matches!(name.len(), 1..=255)
            || !name.is_ascii()
            || taken(SOCKET_TYPE)
            || taken(IDENTITY)
            || taken(PATTERNS_PROPERTY)
            || config.metadata[..index].iter().any(|(earlier, _)| taken(earlier))
        {
            return Err(ApiMisuse::PropertyName(printable(name.as_bytes(), 64)));
        }
        let size = data.len().saturating_add(name.len() + 5).saturating_add(value.len());
        let command = size + config.mechanism.overhead();
        if command > MAX_HANDSHAKE_COMMAND {
            return Err(ApiMisuse::MetadataTooLarge(command));
        }
        put(&mut data, name, value);
    }
    Ok(data)
}

fn put(data: &mut BytesMut, name: &str, value: &[u8]) {
    data.put_u8(name.len() as u8);
    data.put_slice(name.as_bytes());
    data.put_u32(value.len() as u32);
    data.put_slice(value);
}

/// Reads the peer's properties, the data of a command of this name.
pub(crate) fn decode(
    command: &'static str,
    data: &[u8],
    greeting: Greeting,
    config: &Config,
) -> Result<Peer, Error> {
    let mut socket_type = None;
    let mut routing_id = None;
    let mut properties: Vec<(String, Bytes)> = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let (Property { name, value }, tail) = split_property(command, rest)?;
        rest = tail;
        let duplicate = if name.eq_ignore_ascii_case(SOCKET_TYPE.as_bytes()) {
            socket_type.replace(value).is_some()
        } else if name.eq_ignore_ascii_case(IDENTITY.as_bytes()) {
            routing_id.replace(value).is_some()
        } else {
            if properties.len() == MAX_PROPERTIES {
                return Err(PeerMisbehaved::TooManyProperties(MAX_PROPERTIES).into());
            }
            // libzmq lets applications choose names outside the grammar: keep them readable.
            let name = String::from_utf8_lossy(name).into_owned();
            let duplicate =
                properties.iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(&name));
            properties.push((name, Bytes::copy_from_slice(value)));
            duplicate
        };
        if duplicate {
            return Err(PeerMisbehaved::DuplicateProperty(printable(name, 64)).into());
        }
    }
    let socket_type =
        compatible(config.socket_type, socket_type.ok_or(PeerMisbehaved::NoSocketType)?)?;
    let routing_id = match routing_id {
        Some(id) if socket_type.announces_routing_id() => checked_routing_id(id)?,
        _ => Bytes::new(),
    };
    Ok(Peer {
        version: greeting.version,
        socket_type: Some(socket_type),
        routing_id,
        properties,
        as_server: greeting.as_server,
    })
}

struct Property<'a> {
    name: &'a [u8],
    value: &'a [u8],
}

/// Takes one property off the front; the rest is what follows.
fn split_property<'a>(
    command: &'static str,
    data: &'a [u8],
) -> Result<(Property<'a>, &'a [u8]), PeerMisbehaved> {
    let malformed = |defect| PeerMisbehaved::MalformedCommand { command, defect };
    let cut = || malformed("a property is cut short");
    let (&name_len, rest) = data.split_first().ok_or_else(cut)?;
    if name_len == 0 {
        return Err(malformed("a property has an empty name"));
    }
    let (name, rest) = rest.split_at_checked(usize::from(name_len)).ok_or_else(cut)?;
    let (value_len, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let value_len = usize::try_from(u32::from_be_bytes(*value_len)).map_err(|_| cut())?;
    let (value, rest) = rest.split_at_checked(value_len).ok_or_else(cut)?;
    Ok((Property { name, value }, rest))
}

fn compatible(ours: SocketType, name: &[u8]) -> Result<SocketType, PeerIncompatible> {
    std::str::from_utf8(name)
        .ok()
        .and_then(|name| name.parse().ok())
        .filter(|&theirs| ours.is_compatible_with(theirs))
        .ok_or_else(|| PeerIncompatible::SocketType { ours, theirs: printable(name, 32) })
}

pub(crate) fn checked_routing_id(id: &[u8]) -> Result<Bytes, PeerMisbehaved> {
    if id.len() > MAX_ROUTING_ID {
        return Err(PeerMisbehaved::RoutingId("it is longer than 255 bytes"));
    }
    if id.first() == Some(&0) {
        return Err(PeerMisbehaved::RoutingId("it begins with a zero byte, which is reserved"));
    }
    Ok(Bytes::copy_from_slice(id))
}
