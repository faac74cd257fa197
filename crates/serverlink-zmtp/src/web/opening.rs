//! The opening handshake of a WebSocket (RFC 6455, section 4), and what is to be spoken on it (RFC 45,
//! "Handshake").

use std::fmt;

use base64ct::{Base64, Encoding};
use bytes::{Bytes, BytesMut};
use sha1::{Digest, Sha1};

use crate::connection::Agreed;
use crate::error::printable;
use crate::{Config, Error, PeerIncompatible, curve};

/// The longest head of a request or an answer, in bytes.
const MAX_HEAD: usize = 16 * 1024;
/// How many header fields there may be.
const MAX_FIELDS: usize = 64;
/// How much of what a peer said is quoted.
const QUOTED: usize = 64;
/// What makes an answer one to a key (RFC 6455, section 1.3).
const ACCEPT_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// A routing id, then messages.
const WITHOUT_MECHANISM: &str = "ZWS2.0";

/// One end of an opening handshake.
pub(super) struct Opening {
    role: Role,
    /// What has come of the peer's head.
    head: BytesMut,
}

/// Not what has come: there may be a cookie in it.
impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opening").field("head", &self.head.len()).finish_non_exhaustive()
    }
}

enum Role {
    /// We have asked, with this key.
    Client(String),
    Server,
}

/// How far an opening is.
#[derive(Debug)]
pub(super) enum Progress {
    /// The head has not come to its end.
    Waits,
    /// It is done: what is spoken, what to answer, if we do, and what came behind the head.
    Done(Agreed, Option<Bytes>, Bytes),
    /// It has failed; what to answer, if we do.
    Failed(Error, Option<Bytes>),
}

impl Opening {
    /// The end that asks for `path` at `host`, and what it asks.
    pub(super) fn client(host: &str, path: &str, config: &Config) -> Result<(Self, Bytes), Error> {
        let key = Base64::encode_string(&curve::random::<16>()?);
        let protocols = protocols(config).map(|(name, _)| name).collect::<Vec<_>>().join(",");
        let request = format!(
            "GET {path} HTTP/1.1\r\n\
             Host: {host}\r\n\
             Upgrade: websocket\r\n\
             Connection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Protocol: {protocols}\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        );
        Ok((Self { role: Role::Client(key), head: BytesMut::new() }, request.into()))
    }

    /// The end that is asked.
    pub(super) fn server() -> Self {
        Self { role: Role::Server, head: BytesMut::new() }
    }

    /// Reads on.
    pub(super) fn feed(&mut self, data: &Bytes, config: &Config) -> Progress {
        let before = self.head.len();
        self.head.extend_from_slice(&data[..data.len().min(MAX_HEAD - before)]);
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let read = match &self.role {
            Role::Client(key) => read_answer(&self.head, &mut fields, key, config),
            Role::Server => read_request(&self.head, &mut fields, config),
        };
        match read {
            Ok(None) if self.head.len() < MAX_HEAD => Progress::Waits,
            Ok(None) => self.failed(Failure::bad("a head of more than 16 KiB")),
            Ok(Some((len, agreed, answer))) => {
                let rest = data.slice(len - before..);
                Progress::Done(agreed, answer, rest)
            }
            Err(failure) => self.failed(failure),
        }
    }

    fn failed(&self, failure: Failure) -> Progress {
        let answer = match &self.role {
            Role::Client(_) => None,
            Role::Server => Some(failure.answer()),
        };
        Progress::Failed(failure.error.into(), answer)
    }
}

/// Why it failed, and the status to answer with.
#[derive(Debug)]
struct Failure {
    error: PeerIncompatible,
    status: &'static str,
}

impl Failure {
    fn new(status: &'static str, what: &str) -> Self {
        Self { error: PeerIncompatible::NotWebSocket(what.to_owned()), status }
    }

    fn bad(what: &str) -> Self {
        Self::new("400 Bad Request", what)
    }

    fn answer(&self) -> Bytes {
        let (status, error) = (self.status, &self.error);
        let body = format!("ZeroMQ over WebSockets (ZWS 2.0) is spoken here: {error}\n");
        let len = body.len();
        format!(
            "HTTP/1.1 {status}\r\n\
             Connection: close, Upgrade\r\n\
             Upgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {len}\r\n\r\n{body}"
        )
        .into()
    }
}

/// The length of a head that is all there, what is agreed, and what to answer.
type Read = Result<Option<(usize, Agreed, Option<Bytes>)>, Failure>;

fn read_request<'a>(head: &'a [u8], fields: &mut [httparse::Header<'a>], config: &Config) -> Read {
    let mut request = httparse::Request::new(fields);
    let len = match request.parse(head) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Failure::bad(&no_http(head, error))),
    };
    let fields = Fields(request.headers);
    if request.method != Some("GET") || request.version != Some(1) {
        return Err(Failure::bad("a request that is not GET of HTTP/1.1"));
    }
    if fields.only("Host").is_none() {
        return Err(Failure::bad("a request without a host"));
    }
    if !fields.has("Upgrade", "websocket") || !fields.has("Connection", "Upgrade") {
        return Err(Failure::new("426 Upgrade Required", "a request without an upgrade to it"));
    }
    if fields.only("Sec-WebSocket-Version") != Some(b"13") {
        return Err(Failure::new("426 Upgrade Required", "another version than 13"));
    }
    let key = fields.only("Sec-WebSocket-Key");
    let is_key = |key: &[u8]| Base64::decode(key, &mut [0; 16]).is_ok_and(|key| key.len() == 16);
    let Some(key) = key.filter(|key| is_key(key)) else {
        return Err(Failure::bad("a Sec-WebSocket-Key that is none"));
    };
    // The order is ours.
    let offers = |name: &str| fields.all(PROTOCOL).any(|offered| offered == name.as_bytes());
    let Some((name, agreed)) = protocols(config).find(|(name, _)| offers(name)) else {
        let theirs = fields.all(PROTOCOL).collect::<Vec<_>>().join(&b","[..]);
        return Err(Failure { error: other_protocol(&theirs, config), status: "400 Bad Request" });
    };
    let accept = accept(key);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\n\
         Upgrade: websocket\r\n\
         Connection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\
         Sec-WebSocket-Protocol: {name}\r\n\r\n"
    );
    Ok(Some((len, agreed, Some(answer.into()))))
}

fn read_answer<'a>(
    head: &'a [u8],
    fields: &mut [httparse::Header<'a>],
    key: &str,
    config: &Config,
) -> Read {
    let mut answer = httparse::Response::new(fields);
    let len = match answer.parse(head) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(Failure::bad(&no_http(head, error))),
    };
    let code = answer.code.unwrap_or_default();
    if code != 101 {
        let reason = printable(answer.reason.unwrap_or_default().as_bytes(), QUOTED);
        return Err(Failure::bad(&format!("the answer {code} {reason}")));
    }
    let fields = Fields(answer.headers);
    if !fields.has("Upgrade", "websocket") || !fields.has("Connection", "Upgrade") {
        return Err(Failure::bad("an answer without an upgrade to it"));
    }
    if fields.only("Sec-WebSocket-Accept") != Some(accept(key).as_bytes()) {
        return Err(Failure::bad("a Sec-WebSocket-Accept that does not go with our key"));
    }
    if fields.all("Sec-WebSocket-Extensions").any(|extension| !extension.is_empty()) {
        return Err(Failure::bad("extensions that we have not asked for"));
    }
    let theirs = fields.only(PROTOCOL).unwrap_or_default();
    match protocols(config).find(|(name, _)| name.as_bytes() == theirs) {
        Some((_, agreed)) => Ok(Some((len, agreed, None))),
        None => Err(Failure { error: other_protocol(theirs, config), status: "" }),
    }
}

const PROTOCOL: &str = "Sec-WebSocket-Protocol";

/// The subprotocols that we speak, the dearest first.
fn protocols(config: &Config) -> impl Iterator<Item = (&'static str, Agreed)> {
    let name = match config.mechanism.as_str() {
        "NULL" => "ZWS2.0/NULL",
        "PLAIN" => "ZWS2.0/PLAIN",
        // Not in RFC 45, but in libzmq.
        _ => "ZWS2.0/CURVE",
    };
    let without = config.admits_older_peers().then_some((WITHOUT_MECHANISM, Agreed::RoutingId));
    [(name, Agreed::Mechanism)].into_iter().chain(without)
}

fn other_protocol(theirs: &[u8], config: &Config) -> PeerIncompatible {
    PeerIncompatible::Subprotocol {
        ours: protocols(config).map(|(name, _)| name).collect::<Vec<_>>().join(","),
        theirs: printable(theirs, QUOTED),
    }
}

fn no_http(head: &[u8], error: httparse::Error) -> String {
    let quote = printable(head, QUOTED.min(16));
    format!("no HTTP ({error}): it began with \"{quote}\"")
}

fn accept(key: impl AsRef<[u8]>) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_SUFFIX).finalize();
    Base64::encode_string(&digest)
}

/// The header fields of a head.
struct Fields<'a>(&'a [httparse::Header<'a>]);

impl<'a> Fields<'a> {
    /// The elements of the lists that all fields of this name have.
    fn all(&self, name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        let fields = self.0.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
        let elements = fields.flat_map(|field| field.value.split(|byte| *byte == b','));
        elements.map(<[u8]>::trim_ascii)
    }

    fn has(&self, name: &'static str, element: &str) -> bool {
        self.all(name).any(|other| other.eq_ignore_ascii_case(element.as_bytes()))
    }

    /// The one value of a field that is there once.
    fn only(&self, name: &'static str) -> Option<&'a [u8]> {
        let mut all = self.all(name);
        all.next().filter(|_| all.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_accepted_as_in_the_example_of_rfc_6455() {
        assert_eq!(accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
