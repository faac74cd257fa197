//! The greeting: who speaks which version, with which mechanism (RFC 37, "Version Negotiation").

use std::fmt;

use crate::error::printable;
use crate::{Config, Error, PeerIncompatible};

/// The length of a greeting in bytes.
pub(crate) const GREETING_LEN: usize = 64;

const SIGNATURE_START: u8 = 0xff;
const SIGNATURE_END: u8 = 0x7f;
const SIGNATURE_END_AT: usize = 9;
const MAJOR_AT: usize = 10;
const MINOR_AT: usize = 11;
/// In place of the minor number, from peers of ZMTP 2.0.
const SOCKET_TYPE_AT: usize = 11;
const MECHANISM_AT: usize = 12;
const MECHANISM_LEN: usize = 20;
const AS_SERVER_AT: usize = 32;

/// A version of ZMTP: major and minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u8, pub u8);

impl Version {
    /// ZMTP 1.0, the oldest version understood; ZeroMQ 2 speaks it.
    pub const V1_0: Self = Self(1, 0);
    /// ZMTP 2.0, which ZeroMQ 3 speaks.
    pub const V2_0: Self = Self(2, 0);
    /// ZMTP 3.0, which ZeroMQ 4.0 and 4.1 speak.
    pub const V3_0: Self = Self(3, 0);
    /// ZMTP 3.1, the version this crate announces.
    pub const V3_1: Self = Self(3, 1);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What the greeting of a peer says that speaks 3.0 or later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: Version,
    pub(crate) as_server: bool,
}

/// How a peer shows that it speaks a version before 3.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Older {
    /// It begins with its routing id, as ZMTP 1.0 does.
    Unversioned,
    /// It names the version, by a revision that is one behind its major number.
    Revision(Version),
}

impl Older {
    pub(crate) fn version(self) -> Version {
        match self {
            Self::Unversioned => Version::V1_0,
            Self::Revision(version) => version,
        }
    }
}

/// What the beginning of a peer's greeting says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// Nothing yet: it must be looked at again with so many bytes, and not with more.
    Needs(usize),
    /// All there is to know, of a peer that speaks 3.0 or later.
    Complete(Greeting),
    /// That the peer is an older one; its socket type is there if it sends one.
    Older(Older, Option<u8>),
    /// That this is no greeting of any version.
    Foreign,
}

/// Our greeting. As libzmq does, the padding holds the length of the message that a ZMTP 1.0 peer
/// takes the greeting for; others must not look at it.
pub(crate) fn encode(config: &Config) -> [u8; GREETING_LEN] {
    let mut greeting = [0; GREETING_LEN];
    greeting[0] = SIGNATURE_START;
    greeting[1..SIGNATURE_END_AT]
        .copy_from_slice(&(config.routing_id.len() as u64 + 1).to_be_bytes());
    greeting[SIGNATURE_END_AT] = SIGNATURE_END;
    greeting[MAJOR_AT] = Version::V3_1.0;
    greeting[MINOR_AT] = Version::V3_1.1;
    greeting[MECHANISM_AT..AS_SERVER_AT].copy_from_slice(&padded(config.mechanism.as_str()));
    greeting[AS_SERVER_AT] = u8::from(config.mechanism.is_server());
    greeting
}

/// How much of our greeting may be sent to a peer whose own begins with `bytes`, as far as is known:
/// the signature, then the version to a peer that has one, then all the rest to one that takes it
/// (RFC 15, "Backwards Interoperability").
pub(crate) fn sendable(bytes: &[u8]) -> usize {
    match bytes.get(SIGNATURE_END_AT) {
        Some(end) if bytes[0] == SIGNATURE_START && end & 1 == 1 => match bytes.get(MAJOR_AT) {
            Some(2..) => usize::MAX,
            _ => MAJOR_AT + 1,
        },
        _ => SIGNATURE_END_AT + 1,
    }
}

/// Reads as much of the peer's greeting as has arrived: an error as soon as it cannot become
/// acceptable.
pub(crate) fn decode(bytes: &[u8], config: &Config) -> Result<Reading, Error> {
    let older = |older: Older, socket_type| {
        if !config.admits_older_peers() {
            return Err(PeerIncompatible::Version(older.version()).into());
        }
        Ok(Reading::Older(older, socket_type))
    };
    match bytes {
        [] => return Ok(Reading::Needs(1)),
        [SIGNATURE_START, ..] => {}
        [_] => return Ok(Reading::Needs(2)),
        // ZMTP 1.0 begins with the routing id as an ordinary frame: length, then flags. RFC 13 has
        // nobody look at these; they are looked at because other protocols must not be taken for
        // ZMTP. libzmq 2 sets all but the highest bit of them, others set none.
        [1..=0xfe, 0 | 1 | 0x7e | 0x7f, ..] => return older(Older::Unversioned, None),
        _ => return Ok(Reading::Foreign),
    }
    match bytes.get(SIGNATURE_END_AT) {
        None => return Ok(Reading::Needs(SIGNATURE_END_AT + 1)),
        // A long routing id of ZMTP 1.0 has its flags here, of which the lowest bit is then clear.
        Some(0 | 0x7e) => return older(Older::Unversioned, None),
        Some(end) if end & 1 == 0 => return Ok(Reading::Foreign),
        Some(_) => {}
    }
    match bytes.get(MAJOR_AT) {
        None => return Ok(Reading::Needs(MAJOR_AT + 1)),
        Some(revision @ 0..=1) => {
            return match bytes.get(SOCKET_TYPE_AT) {
                Some(&theirs) => older(Older::Revision(Version(revision + 1, 0)), Some(theirs)),
                None => Ok(Reading::Needs(SOCKET_TYPE_AT + 1)),
            };
        }
        Some(2) => return Err(PeerIncompatible::Version(Version(2, 1)).into()),
        Some(_) if bytes.len() < GREETING_LEN => return Ok(Reading::Needs(GREETING_LEN)),
        Some(_) => {}
    }
    let mechanism = &bytes[MECHANISM_AT..AS_SERVER_AT];
    if *mechanism != padded(config.mechanism.as_str()) {
        let end = mechanism.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        return Err(PeerIncompatible::Mechanism {
            ours: config.mechanism.as_str(),
            theirs: printable(&mechanism[..end], MECHANISM_LEN),
        }
        .into());
    }
    Ok(Reading::Complete(Greeting {
        version: Version(bytes[MAJOR_AT], bytes[MINOR_AT]),
        as_server: bytes[AS_SERVER_AT] == 1,
    }))
}

fn padded(name: &str) -> [u8; MECHANISM_LEN] {
    let mut field = [0; MECHANISM_LEN];
    field[..name.len()].copy_from_slice(name.as_bytes());
    field
}
