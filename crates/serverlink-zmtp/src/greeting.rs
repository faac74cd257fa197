//! The greeting: who speaks which version, with which mechanism (RFC 37, "Version Negotiation").

use std::fmt;

use crate::error::printable;
use crate::{Config, Error, Mechanism, PeerIncompatible};

/// The length of a greeting in bytes.
pub(crate) const GREETING_LEN: usize = 64;

const SIGNATURE_START: u8 = 0xff;
const SIGNATURE_END: u8 = 0x7f;
const SIGNATURE_END_AT: usize = 9;
const MAJOR_AT: usize = 10;
const MINOR_AT: usize = 11;
const MECHANISM_AT: usize = 12;
const MECHANISM_LEN: usize = 20;
const AS_SERVER_AT: usize = 32;

/// A version of ZMTP: major and minor number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub u8, pub u8);

impl Version {
    /// ZMTP 3.0, the oldest version understood.
    pub const V3_0: Self = Self(3, 0);
    /// ZMTP 3.1, the version this crate speaks.
    pub const V3_1: Self = Self(3, 1);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What a greeting says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: Version,
    pub(crate) as_server: bool,
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
    greeting[AS_SERVER_AT] = match config.mechanism {
        // "The as-server field MUST be zero" (RFC 37, "The NULL Security Mechanism").
        Mechanism::Null => 0,
    };
    greeting
}

/// Reads as much of the peer's greeting as has arrived: an error as soon as it cannot become
/// acceptable, `None` while it may.
pub(crate) fn decode(bytes: &[u8], config: &Config) -> Result<Option<Greeting>, Error> {
    match bytes {
        [] | [_] => return Ok(None),
        // ZMTP 1.0 begins with the routing id as an ordinary frame: length, then flags of zero.
        [SIGNATURE_START, ..] => {}
        [_, 0, ..] => return Err(PeerIncompatible::Version(Version(1, 0)).into()),
        _ => return Err(PeerIncompatible::NotZmtp(printable(bytes, 16)).into()),
    }
    // A long routing id of ZMTP 1.0 has its flags here, of which the lowest bit is then clear.
    if bytes.get(SIGNATURE_END_AT).is_some_and(|end| end & 1 == 0) {
        return Err(PeerIncompatible::Version(Version(1, 0)).into());
    }
    match bytes.get(MAJOR_AT) {
        // The octet used to be a revision, one behind the version's major number.
        Some(revision @ 0..=1) => {
            return Err(PeerIncompatible::Version(Version(revision + 1, 0)).into());
        }
        Some(2) => return Err(PeerIncompatible::Version(Version(2, 1)).into()),
        _ => {}
    }
    if bytes.len() < GREETING_LEN {
        return Ok(None);
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
    Ok(Some(Greeting {
        version: Version(bytes[MAJOR_AT], bytes[MINOR_AT]),
        as_server: bytes[AS_SERVER_AT] == 1,
    }))
}

fn padded(name: &str) -> [u8; MECHANISM_LEN] {
    let mut field = [0; MECHANISM_LEN];
    field[..name.len()].copy_from_slice(name.as_bytes());
    field
}
