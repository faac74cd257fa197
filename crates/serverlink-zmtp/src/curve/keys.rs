//! Keys, as 32 bytes or as 40 characters of Z85.

use std::{fmt, str::FromStr};

use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::random;
use crate::{Error, Z85Error, z85_decode, z85_encode};

/// Why text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CurveKeyError {
    /// A key has 40 characters.
    #[error("a key has 40 characters of Z85, and not {0}")]
    Length(usize),
    /// It is no Z85.
    #[error(transparent)]
    Z85(#[from] Z85Error),
}

/// The part of a key pair that others may know, and that somebody is known by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CurvePublicKey([u8; 32]);

/// The part of a key pair that nobody else may know. It is printed nowhere, compared in constant time,
/// and wiped from memory when it is dropped.
#[derive(Clone)]
pub struct CurveSecretKey([u8; 32]);

/// A public key and the secret one that goes with it.
///
/// ```
/// use serverlink_zmtp::CurveKeyPair;
///
/// let keys = CurveKeyPair::generate()?;
/// assert_eq!(keys.secret.public_key(), keys.public);
/// assert_eq!(keys.public.to_string().parse(), Ok(keys.public));
/// # Ok::<(), serverlink_zmtp::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurveKeyPair {
    /// The public key.
    pub public: CurvePublicKey,
    /// The secret key.
    pub secret: CurveSecretKey,
}

impl CurveKeyPair {
    /// A new pair, at random.
    ///
    /// # Errors
    ///
    /// [`Error::NoRandomness`] if the system has none.
    pub fn generate() -> Result<Self, Error> {
        let secret = CurveSecretKey(random()?);
        Ok(Self { public: secret.public_key(), secret })
    }
}

impl CurvePublicKey {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether anything can be encrypted for it. Of zeros, for example, nothing can: what two keys agree
    /// on would be the same for any other (RFC 7748, section 6.1).
    #[must_use]
    pub fn is_usable(&self) -> bool {
        CurveSecretKey([1; 32]).agree(self).is_some()
    }
}

impl CurveSecretKey {
    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The public key that goes with it.
    #[must_use]
    pub fn public_key(&self) -> CurvePublicKey {
        CurvePublicKey(x25519_dalek::x25519(self.0, x25519_dalek::X25519_BASEPOINT_BYTES))
    }

    /// The key as Z85: to be kept somewhere safe.
    #[must_use]
    pub fn to_z85(&self) -> String {
        z85(&self.0)
    }

    /// What this key and a public one have in common; none if the public one is no point to rely on.
    pub(super) fn agree(&self, public: &CurvePublicKey) -> Option<[u8; 32]> {
        let shared = x25519_dalek::x25519(self.0, public.0);
        // That is so for any secret, and known to everybody (RFC 7748, section 6.1).
        (!bool::from(shared.ct_eq(&[0; 32]))).then_some(shared)
    }
}

impl From<[u8; 32]> for CurvePublicKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<[u8; 32]> for CurveSecretKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl FromStr for CurvePublicKey {
    type Err = CurveKeyError;

    fn from_str(text: &str) -> Result<Self, CurveKeyError> {
        parse(text).map(Self)
    }
}

impl FromStr for CurveSecretKey {
    type Err = CurveKeyError;

    fn from_str(text: &str) -> Result<Self, CurveKeyError> {
        parse(text).map(Self)
    }
}

fn parse(text: &str) -> Result<[u8; 32], CurveKeyError> {
    let mut bytes = z85_decode(text)?;
    let key = bytes.as_slice().try_into().map_err(|_| CurveKeyError::Length(text.len()));
    bytes.zeroize();
    key
}

fn z85(bytes: &[u8; 32]) -> String {
    z85_encode(bytes).unwrap_or_default()
}

impl fmt::Display for CurvePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&z85(&self.0))
    }
}

impl fmt::Debug for CurvePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CurvePublicKey({self})")
    }
}

impl fmt::Debug for CurveSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurveSecretKey(..)")
    }
}

impl PartialEq for CurveSecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for CurveSecretKey {}

impl Drop for CurveSecretKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7748, section 6.1.
    #[test]
    fn a_secret_key_has_the_public_key_of_the_rfc() {
        let secret = CurveSecretKey::from([
            0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2,
            0x66, 0x45, 0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5,
            0x1d, 0xb9, 0x2c, 0x2a,
        ]);
        let public = [
            0x85, 0x20, 0xf0, 0x09, 0x89, 0x30, 0xa7, 0x54, 0x74, 0x8b, 0x7d, 0xdc, 0xb4, 0x3e,
            0xf7, 0x5a, 0x0d, 0xbf, 0x3a, 0x0d, 0x26, 0x38, 0x1a, 0xf4, 0xeb, 0xa4, 0xa9, 0x8e,
            0xaa, 0x9b, 0x4e, 0x6a,
        ];
        assert_eq!(secret.public_key().as_bytes(), &public);
    }

    #[test]
    fn keys_are_written_and_read_as_z85() {
        let keys = CurveKeyPair::generate().expect("random bytes");
        assert_eq!(keys.secret.to_z85().parse(), Ok(keys.secret.clone()));
        assert_eq!(keys.public.to_string().parse(), Ok(keys.public));
        assert_ne!(CurveKeyPair::generate(), Ok(keys));
        assert_eq!("HelloWorld".parse::<CurvePublicKey>(), Err(CurveKeyError::Length(10)));
        let broken = "~".repeat(40).parse::<CurveSecretKey>();
        assert_eq!(broken, Err(CurveKeyError::Z85(Z85Error::Digit(0))));
    }

    #[test]
    fn a_secret_key_is_not_printed() {
        let keys = CurveKeyPair::generate().expect("random bytes");
        let printed = format!("{keys:?}");
        assert!(printed.contains(&keys.public.to_string()) && printed.contains("(..)"));
    }
}
