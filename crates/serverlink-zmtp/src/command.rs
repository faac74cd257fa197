//! Commands: a name, then data (RFC 37, "Commands"). The name is length-prefixed, as the grammar
//! says, and not ended by a null octet, as the prose has it.

use bytes::{BufMut, BytesMut};

use crate::frame::{encode_header, frame_len};
use crate::framing::Framing;
use crate::{PeerMisbehaved, Version};

pub(crate) const HELLO: &[u8] = b"HELLO";
pub(crate) const WELCOME: &[u8] = b"WELCOME";
pub(crate) const INITIATE: &[u8] = b"INITIATE";
pub(crate) const READY: &[u8] = b"READY";
pub(crate) const ERROR: &[u8] = b"ERROR";
pub(crate) const PING: &[u8] = b"PING";
pub(crate) const PONG: &[u8] = b"PONG";
pub(crate) const SUBSCRIBE: &[u8] = b"SUBSCRIBE";
pub(crate) const CANCEL: &[u8] = b"CANCEL";
pub(crate) const JOIN: &[u8] = b"JOIN";
pub(crate) const LEAVE: &[u8] = b"LEAVE";
pub(crate) const PSUBSCRIBE: &[u8] = b"PSUBSCRIBE";
pub(crate) const PCANCEL: &[u8] = b"PCANCEL";

/// The longest name of a group (RFC 48).
const MAX_GROUP: usize = 255;

/// The longest pattern of topics that is subscribed to, in bytes.
///
/// To match a topic takes at most as many steps as pattern and topic have bytes, multiplied: the
/// limit keeps subscribers from making that slow.
pub const MAX_PATTERN_LEN: usize = 255;

/// The longest context of a PING.
pub(crate) const MAX_PING_CONTEXT: usize = 16;

/// Splits the body of a command frame into name and data.
pub(crate) fn split(body: &[u8]) -> Result<(&[u8], &[u8]), PeerMisbehaved> {
    let malformed = |defect| PeerMisbehaved::MalformedCommand { command: "unnamed", defect };
    match body.split_first() {
        Some((0, _)) => Err(malformed("its name is empty")),
        Some((&len, rest)) => rest
            .split_at_checked(usize::from(len))
            .ok_or_else(|| malformed("its name is longer than the command")),
        None => Err(malformed("it is empty")),
    }
}

/// Appends the frame of a command.
pub(crate) fn encode(out: &mut BytesMut, name: &[u8], data: &[u8]) {
    let body_len = 1 + name.len() + data.len();
    out.reserve(frame_len(body_len));
    let (header, used) = encode_header(false, true, body_len as u64);
    out.put_slice(&header[..used]);
    out.put_u8(name.len() as u8);
    out.put_slice(name);
    out.put_slice(data);
}

/// Appends a subscription to all messages beginning with `topic`, or with `subscribe` false the
/// cancelling of one, as a peer of version `peer` expects it: a command from 3.1 on (RFC 37, "The
/// Publish-Subscribe Pattern"), a message beginning with 1 or 0 before (RFC 23, RFC 15). ZMTP 1.0
/// knows of no subscriptions (RFC 13); its peers are sent that message, too, as libzmq does.
///
/// ```
/// use serverlink_zmtp::{Version, encode_subscription};
///
/// let mut out = bytes::BytesMut::new();
/// encode_subscription(&mut out, Version::V3_1, b"news", true);
/// assert_eq!(out, &b"\x04\x0e\x09SUBSCRIBEnews"[..]);
/// out.clear();
/// encode_subscription(&mut out, Version::V3_0, b"news", false);
/// assert_eq!(out, &b"\x00\x05\x00news"[..]);
/// ```
pub fn encode_subscription(out: &mut BytesMut, peer: Version, topic: &[u8], subscribe: bool) {
    if peer >= Version::V3_1 {
        encode(out, if subscribe { SUBSCRIBE } else { CANCEL }, topic);
    } else {
        let (header, used) = Framing::of(peer).header(false, 1 + topic.len() as u64);
        out.reserve(used + 1 + topic.len());
        out.put_slice(&header[..used]);
        out.put_u8(u8::from(subscribe));
        out.put_slice(topic);
    }
}

/// Appends a subscription to all topics of a pattern, or with `subscribe` false the cancelling of one.
/// It is an extension of ZMTP, only for peers that [say they take it](crate::Peer::takes_patterns). A
/// pattern has at most [`MAX_PATTERN_LEN`] bytes: peers refuse a longer one.
///
/// ```
/// let mut out = bytes::BytesMut::new();
/// serverlink_zmtp::encode_pattern(&mut out, b"news.*", true);
/// assert_eq!(out, &b"\x04\x11\x0aPSUBSCRIBEnews.*"[..]);
/// ```
pub fn encode_pattern(out: &mut BytesMut, pattern: &[u8], subscribe: bool) {
    encode(out, if subscribe { PSUBSCRIBE } else { PCANCEL }, pattern);
}

/// Appends what a DISH says when it joins a group, or with `join` false when it leaves one (RFC 37,
/// "The Radio-Dish Pattern").
///
/// ```
/// let mut out = bytes::BytesMut::new();
/// serverlink_zmtp::encode_membership(&mut out, b"news", true);
/// assert_eq!(out, &b"\x04\x09\x04JOINnews"[..]);
/// ```
pub fn encode_membership(out: &mut BytesMut, group: &[u8], join: bool) {
    encode(out, if join { JOIN } else { LEAVE }, group);
}

/// The group of a JOIN or LEAVE.
pub(crate) fn check_group(command: &'static str, group: &[u8]) -> Result<(), PeerMisbehaved> {
    if group.len() <= MAX_GROUP {
        return Ok(());
    }
    Err(PeerMisbehaved::MalformedCommand { command, defect: "its group is longer than 255 bytes" })
}

/// The pattern of a PSUBSCRIBE or PCANCEL.
pub(crate) fn check_pattern(command: &'static str, pattern: &[u8]) -> Result<(), PeerMisbehaved> {
    if pattern.len() <= MAX_PATTERN_LEN {
        return Ok(());
    }
    let defect = "its pattern is longer than 255 bytes";
    Err(PeerMisbehaved::MalformedCommand { command, defect })
}

/// The time to live, in tenths of a second, and the context of a PING. A context that is too long
/// is cut, as libzmq does it.
pub(crate) fn parse_ping(data: &[u8]) -> Result<(u16, &[u8]), PeerMisbehaved> {
    let (ttl, context) = data.split_first_chunk().ok_or(PeerMisbehaved::MalformedCommand {
        command: "PING",
        defect: "it has no time to live",
    })?;
    Ok((u16::from_be_bytes(*ttl), &context[..context.len().min(MAX_PING_CONTEXT)]))
}

/// The reason of an ERROR (RFC 37, "The NULL Security Mechanism").
pub(crate) fn parse_error(data: &[u8]) -> Result<&[u8], PeerMisbehaved> {
    let (&len, rest) = data
        .split_first()
        .ok_or(PeerMisbehaved::MalformedCommand { command: "ERROR", defect: "it has no reason" })?;
    rest.get(..usize::from(len)).ok_or(PeerMisbehaved::MalformedCommand {
        command: "ERROR",
        defect: "its reason is longer than the command",
    })
}
