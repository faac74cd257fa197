//! Keys of the CURVE mechanism.

use std::io;

use serverlink_zmtp::{CurveKeyPair, CurvePublicKey, CurveSecretKey};

use crate::{Error, Result};

/// A new pair of keys for the CURVE mechanism, at random: libzmq's `zmq_curve_keypair`.
///
/// ```
/// use serverlink::{Context, SocketType, curve_keypair};
///
/// let (server_keys, client_keys) = (curve_keypair()?, curve_keypair()?);
/// let context = Context::new()?;
///
/// let server = context.socket(SocketType::Pull)?;
/// server.set_curve_server(true)?;
/// server.set_curve_secret_key(server_keys.secret)?;
///
/// let client = context.socket(SocketType::Push)?;
/// client.set_curve_server_key(server_keys.public)?;
/// client.set_curve_public_key(client_keys.public)?;
/// client.set_curve_secret_key(client_keys.secret)?;
///
/// client.connect(&server.bind("tcp://127.0.0.1:*")?)?;
/// client.send("hello")?;
/// assert_eq!(server.recv()?[0], "hello");
/// # Ok::<(), serverlink::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::Io`] if the system has no random bytes.
pub fn curve_keypair() -> Result<CurveKeyPair> {
    CurveKeyPair::generate().map_err(|error| Error::Io {
        action: "making a pair of keys".to_owned(),
        source: io::Error::other(error),
    })
}

/// The public key that goes with a secret one: libzmq's `zmq_curve_public`.
///
/// ```
/// let keys = serverlink::curve_keypair()?;
/// assert_eq!(serverlink::curve_public(&keys.secret), keys.public);
/// # Ok::<(), serverlink::Error>(())
/// ```
#[must_use]
pub fn curve_public(secret: &CurveSecretKey) -> CurvePublicKey {
    secret.public_key()
}
