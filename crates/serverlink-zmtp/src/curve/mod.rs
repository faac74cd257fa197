//! The CURVE mechanism (RFC 25, RFC 26): who a peer is, and whom it talks to, is shown by keys, and
//! everything after the handshake is encrypted.
//!
//! Of a key pair the public part is a point of Curve25519, and a *box* from one key to another is what
//! NaCl calls `crypto_box`: X25519, XSalsa20 and Poly1305. [`cipher`] makes them; the handshake and the
//! traffic say what is in them.

mod cipher;
mod handshake;
mod keys;
mod traffic;

pub(crate) use handshake::{Client, Greeted, Initiated, Introduced};
pub use keys::{CurveKeyError, CurveKeyPair, CurvePublicKey, CurveSecretKey};
pub(crate) use traffic::{Ciphers, Opener};
pub use traffic::{SEALED, Sealer};

use crate::{Error, PeerMisbehaved};

/// What is in the data of INITIATE beside the properties: a cookie, a nonce, a tag, a key and a vouch.
pub(crate) const INITIATE_OVERHEAD: usize = 96 + 8 + 16 + 32 + 96;
/// And in that of READY: a nonce and a tag.
pub(crate) const READY_OVERHEAD: usize = 8 + 16;

/// What a client of CURVE has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurveClient {
    /// By which the server knows it.
    pub keys: CurveKeyPair,
    /// The key of the server that it wants to talk to, and to no other.
    pub server: CurvePublicKey,
}

/// Fills with random bytes of the system's.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(bytes)
}

/// The error that a box in this command cannot be opened.
fn sealed_otherwise(command: &'static str) -> Error {
    PeerMisbehaved::Cryptographic(command).into()
}

/// Takes parts of fixed sizes off the front of the data of a command.
struct Parts<'a> {
    command: &'static str,
    rest: &'a [u8],
    len: usize,
}

impl<'a> Parts<'a> {
    fn of(command: &'static str, data: &'a [u8]) -> Self {
        Self { command, rest: data, len: data.len() }
    }

    fn take<const N: usize>(&mut self) -> Result<&'a [u8; N], PeerMisbehaved> {
        let (part, rest) = self.rest.split_first_chunk().ok_or_else(|| self.wrong())?;
        self.rest = rest;
        Ok(part)
    }

    fn end(&self) -> Result<(), PeerMisbehaved> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.wrong()) }
    }

    fn wrong(&self) -> PeerMisbehaved {
        PeerMisbehaved::CommandLength { command: self.command, length: self.len }
    }
}
