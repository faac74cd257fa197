//! What the PLAIN mechanism says (RFC 24): HELLO with a name and a password, WELCOME, and properties
//! in INITIATE and READY.

use bytes::{BufMut, Bytes, BytesMut};

use crate::{ApiMisuse, PeerMisbehaved, PlainLogin};

/// How ERROR begins where libzmq up to 4.3.5 is the server: its source has the name behind an escape that
/// takes the E for a digit. Its client, in turn, knows no other, and takes ours for an unknown command,
/// which is as final to it.
pub(crate) const ERROR_OF_LIBZMQ: &[u8] = b"^RROR";

/// The longest name or password in bytes.
const MAX: usize = 255;

/// Whether it can be said.
pub(crate) fn check(login: &PlainLogin) -> Result<(), ApiMisuse> {
    let fits = login.username.len() <= MAX && login.password.len() <= MAX;
    if fits { Ok(()) } else { Err(ApiMisuse::PlainLogin) }
}

/// The data of HELLO.
pub(crate) fn hello(login: &PlainLogin) -> BytesMut {
    let mut data = BytesMut::new();
    for part in [&login.username, &login.password] {
        data.put_u8(part.len() as u8);
        data.put_slice(part);
    }
    data
}

/// Reads the data of HELLO.
pub(crate) fn read_hello(data: &[u8]) -> Result<PlainLogin, PeerMisbehaved> {
    let malformed = |defect| PeerMisbehaved::MalformedCommand { command: "HELLO", defect };
    let part = |data: &[u8]| {
        let (&len, rest) = data.split_first()?;
        let (part, rest) = rest.split_at_checked(usize::from(len))?;
        Some((Bytes::copy_from_slice(part), rest.len()))
    };
    let (username, left) = part(data).ok_or_else(|| malformed("its username is cut short"))?;
    let rest = &data[data.len() - left..];
    match part(rest) {
        Some((password, 0)) => Ok(PlainLogin { username, password }),
        Some(_) => Err(malformed("something follows its password")),
        None => Err(malformed("its password is cut short")),
    }
}

/// Reads the data of WELCOME.
pub(crate) fn read_welcome(data: &[u8]) -> Result<(), PeerMisbehaved> {
    if data.is_empty() {
        return Ok(());
    }
    Err(PeerMisbehaved::MalformedCommand { command: "WELCOME", defect: "it is not empty" })
}
