//! Going through a SOCKS 5 proxy (RFC 1928), with a name and a password if need be (RFC 1929).

use std::net::IpAddr;

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    Error, Result,
    endpoint::{Endpoint, Host, StreamEndpoint, TcpEndpoint},
    options::Options,
};

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NAME_AND_PASSWORD: u8 = 2;

/// A conversation with a proxy, until it has connected us.
#[derive(Debug)]
pub(crate) struct Socks {
    stage: Stage,
    target: TcpEndpoint,
    /// What the proxy is told of us, if anything: the message of RFC 1929.
    credentials: Option<Bytes>,
    /// What it has said and was not understood yet.
    heard: BytesMut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Method,
    Admission,
    Connection,
}

/// How a conversation goes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is the proxy's turn, after this is said to it.
    Theirs(Bytes),
    /// We are connected; these bytes are the peer's.
    Over(Bytes),
    /// The proxy does not connect us.
    Refused,
}

/// The proxy that the options name, for endpoints that are reached through one.
pub(crate) fn proxy(
    options: &Options,
    endpoint: &StreamEndpoint,
) -> Result<Option<StreamEndpoint>> {
    let (Some(proxy), Some(_)) = (&options.socks_proxy, endpoint.tcp()) else {
        return Ok(None);
    };
    match format!("tcp://{proxy}").parse() {
        Ok(Endpoint::Stream(StreamEndpoint::Tcp(tcp))) if tcp.port != 0 && tcp.source.is_none() => {
            Ok(Some(StreamEndpoint::Tcp(tcp)))
        }
        _ => Err(Error::InvalidOption {
            option: "socks_proxy",
            reason: format!("{proxy:?} is not an address and a port, such as 127.0.0.1:1080"),
        }),
    }
}

impl Socks {
    /// A conversation about a way to `target`, and what begins it.
    pub(crate) fn new(target: &TcpEndpoint, options: &Options) -> (Self, Bytes) {
        let credentials = options.socks_username.as_ref().map(|name| {
            let password = options.socks_password.as_deref().unwrap_or_default();
            let mut message = BytesMut::new();
            message.put_u8(1);
            for text in [name, password] {
                // The table of options says so.
                debug_assert!(text.len() <= 255);
                message.put_u8(text.len() as u8);
                message.put_slice(text.as_bytes());
            }
            message.freeze()
        });
        let method = if credentials.is_some() { NAME_AND_PASSWORD } else { NO_AUTHENTICATION };
        let heard = BytesMut::new();
        let conversation =
            Self { stage: Stage::Method, target: target.clone(), credentials, heard };
        (conversation, Bytes::copy_from_slice(&[VERSION, 1, method]))
    }

    /// Takes what the proxy said.
    pub(crate) fn hear(&mut self, bytes: &[u8]) -> Turn {
        self.heard.extend_from_slice(bytes);
        match self.stage {
            Stage::Method => match self.heard[..] {
                [VERSION, method, ..] => {
                    let _ = self.heard.split_to(2);
                    match (method, self.credentials.take()) {
                        (NAME_AND_PASSWORD, Some(credentials)) => {
                            self.stage = Stage::Admission;
                            Turn::Theirs(credentials)
                        }
                        (NO_AUTHENTICATION, None) => self.ask_for_connection(),
                        _ => Turn::Refused,
                    }
                }
                [] | [VERSION] => Turn::Theirs(Bytes::new()),
                _ => Turn::Refused,
            },
            Stage::Admission => match self.heard[..] {
                [_, 0, ..] => {
                    let _ = self.heard.split_to(2);
                    self.ask_for_connection()
                }
                [] | [_] => Turn::Theirs(Bytes::new()),
                _ => Turn::Refused,
            },
            Stage::Connection => self.hear_of_connection(),
        }
    }

    fn ask_for_connection(&mut self) -> Turn {
        self.stage = Stage::Connection;
        let mut request = BytesMut::new();
        // CONNECT.
        request.put_slice(&[VERSION, 1, 0]);
        match &self.target.host {
            Host::Any => return Turn::Refused,
            Host::Address(IpAddr::V4(address)) => {
                request.put_u8(1);
                request.put_slice(&address.octets());
            }
            Host::Address(IpAddr::V6(address)) => {
                request.put_u8(4);
                request.put_slice(&address.octets());
            }
            // The proxy looks the name up.
            Host::Name(host) => {
                let Ok(length) = u8::try_from(host.len()) else { return Turn::Refused };
                request.put_slice(&[3, length]);
                request.put_slice(host.as_bytes());
            }
        }
        request.put_u16(self.target.port);
        Turn::Theirs(request.freeze())
    }

    fn hear_of_connection(&mut self) -> Turn {
        let length = match self.heard[..] {
            [VERSION, 0, _, 1, ..] => 4 + 4 + 2,
            [VERSION, 0, _, 4, ..] => 4 + 16 + 2,
            [VERSION, 0, _, 3, name, ..] => 5 + usize::from(name) + 2,
            [] | [VERSION] | [VERSION, 0] | [VERSION, 0, _] | [VERSION, 0, _, 3] => {
                return Turn::Theirs(Bytes::new());
            }
            _ => return Turn::Refused,
        };
        if self.heard.len() < length {
            return Turn::Theirs(Bytes::new());
        }
        let _ = self.heard.split_to(length);
        Turn::Over(self.heard.split().freeze())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(endpoint: &str) -> TcpEndpoint {
        match endpoint.parse().expect("it is one") {
            Endpoint::Stream(StreamEndpoint::Tcp(tcp)) => tcp,
            other => panic!("{other}"),
        }
    }

    fn said(bytes: &'static [u8]) -> Turn {
        Turn::Theirs(Bytes::from_static(bytes))
    }

    #[test]
    fn a_conversation_may_come_in_pieces_of_any_size() {
        let options = Options {
            socks_username: Some("me".to_owned()),
            socks_password: Some("secret".to_owned()),
            ..Options::default()
        };
        let answers = b"\x05\x02\x01\x00\x05\x00\x00\x03\x04name\x12\x34peer";
        for size in [1, 2, 3, 5, answers.len()] {
            let (mut socks, greeting) = Socks::new(&target("tcp://host.example:258"), &options);
            assert_eq!(greeting, &b"\x05\x01\x02"[..]);
            let mut ours = Vec::new();
            let mut theirs = Vec::new();
            // A proxy does not answer before it is asked.
            let turns = [&answers[..2], &answers[2..4], &answers[4..]];
            for piece in turns.iter().flat_map(|turn| turn.chunks(size)) {
                if theirs.is_empty() {
                    match socks.hear(piece) {
                        Turn::Theirs(bytes) => ours.extend_from_slice(&bytes),
                        Turn::Over(bytes) => {
                            theirs.extend_from_slice(b"over:");
                            theirs.extend_from_slice(&bytes);
                        }
                        Turn::Refused => panic!("refused"),
                    }
                } else {
                    theirs.extend_from_slice(piece);
                }
            }
            assert_eq!(ours, b"\x01\x02me\x06secret\x05\x01\x00\x03\x0chost.example\x01\x02");
            assert_eq!(theirs, b"over:peer");
        }
    }

    #[test]
    fn addresses_are_sent_as_such() {
        for (endpoint, request) in [
            ("tcp://1.2.3.4:5", said(b"\x05\x01\x00\x01\x01\x02\x03\x04\x00\x05")),
            ("tcp://[::1]:5", said(b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x00\x05")),
        ] {
            let (mut socks, greeting) = Socks::new(&target(endpoint), &Options::default());
            assert_eq!(greeting, &b"\x05\x01\x00"[..]);
            assert_eq!(socks.hear(b"\x05\x00"), request);
            let addresses = [&b"\x05\x00\x00\x01abcdef"[..], b"\x05\x00\x00\x04abcdefghijklmnopqr"];
            let over = socks.hear(addresses[usize::from(endpoint.contains('['))]);
            assert_eq!(over, Turn::Over(Bytes::new()));
        }
    }

    #[test]
    fn a_proxy_may_refuse_at_every_turn() {
        let named = Options { socks_username: Some("me".to_owned()), ..Options::default() };
        for (options, answers) in [
            (Options::default(), &[&b"\x04\x00"[..]][..]),
            (Options::default(), &[b"\x05\xff"]),
            (Options::default(), &[b"\x05\x02"]),
            (named.clone(), &[b"\x05\x00"]),
            (named, &[b"\x05\x02", b"\x01\x01"]),
            (Options::default(), &[b"\x05\x00", b"\x05\x05\x00\x01"]),
            (Options::default(), &[b"\x05\x00", b"\x04\x00\x00\x01"]),
            (Options::default(), &[b"\x05\x00", b"\x05\x00\x00\x09"]),
        ] {
            let (mut socks, _) = Socks::new(&target("tcp://1.2.3.4:5"), &options);
            let (last, before) = answers.split_last().expect("an answer");
            for answer in before {
                assert!(matches!(socks.hear(answer), Turn::Theirs(_)));
            }
            assert_eq!(socks.hear(last), Turn::Refused, "{answers:?}");
        }
    }
}
