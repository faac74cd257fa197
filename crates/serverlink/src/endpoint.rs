//! Endpoints: `transport://address`.

use std::{fmt, str::FromStr};

use crate::{Error, Result};

/// Longest name of an in-process endpoint, as in libzmq.
const LONGEST_INPROC_NAME: usize = 256;

/// An endpoint, understood.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    Tcp(TcpEndpoint),
    Inproc(String),
}

/// The address part of `tcp://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TcpEndpoint {
    pub(crate) host: Host,
    /// Zero: any free port.
    pub(crate) port: u16,
}

/// The host part of a TCP endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// `*`
    Any,
    /// A literal address or a name to resolve, without brackets.
    Name(String),
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((transport, address)) = text.split_once("://") else {
            return Err(invalid(text, "write transport://address, such as tcp://127.0.0.1:5555"));
        };
        match transport {
            "tcp" => TcpEndpoint::parse(text, address).map(Self::Tcp),
            "inproc" if address.is_empty() => {
                Err(invalid(text, "the name after inproc:// is missing"))
            }
            "inproc" if address.len() > LONGEST_INPROC_NAME => {
                Err(invalid(text, "a name after inproc:// has at most 256 bytes"))
            }
            "inproc" => Ok(Self::Inproc(address.to_owned())),
            _ => Err(Error::UnsupportedTransport { transport: transport.to_owned() }),
        }
    }
}

impl TcpEndpoint {
    fn parse(text: &str, address: &str) -> Result<Self> {
        if address.contains(';') {
            return Err(invalid(text, "a source address (before ';') is not supported"));
        }
        let Some((host, port)) = address.rsplit_once(':') else {
            return Err(invalid(text, "the port is missing: tcp://host:port"));
        };
        let port = match port {
            "*" => 0,
            _ if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => port
                .parse()
                .map_err(|_| invalid(text, "a port is a number from 0 to 65535, or *"))?,
            _ => return Err(invalid(text, "a port is a number from 0 to 65535, or *")),
        };
        let host = match host {
            "*" => Host::Any,
            "" => return Err(invalid(text, "the host is missing: tcp://host:port, or * for any")),
            _ => {
                let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                if bare.is_none() && host.contains(':') {
                    return Err(invalid(
                        text,
                        "write an IPv6 address in brackets: tcp://[::1]:5555",
                    ));
                }
                if host.contains(char::is_whitespace) || host.contains(['/', '\0']) {
                    return Err(invalid(text, "a host has no spaces or slashes"));
                }
                Host::Name(bare.unwrap_or(host).to_owned())
            }
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(tcp) => tcp.fmt(f),
            Self::Inproc(name) => write!(f, "inproc://{name}"),
        }
    }
}

impl fmt::Display for TcpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Any => write!(f, "tcp://*:")?,
            Host::Name(name) if name.contains(':') => write!(f, "tcp://[{name}]:")?,
            Host::Name(name) => write!(f, "tcp://{name}:")?,
        }
        match self.port {
            0 => f.write_str("*"),
            port => port.fmt(f),
        }
    }
}

pub(crate) fn invalid(endpoint: &str, reason: &str) -> Error {
    Error::InvalidEndpoint { endpoint: endpoint.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_read_and_print_the_same() {
        for text in [
            "tcp://127.0.0.1:5555",
            "tcp://*:*",
            "tcp://*:80",
            "tcp://[::1]:9",
            "tcp://[fe80::1%eth0]:9",
            "tcp://localhost:65535",
            "inproc://a b/c",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        assert_eq!("tcp://h:0".parse::<Endpoint>().unwrap().to_string(), "tcp://h:*");
    }

    #[test]
    fn bad_endpoints_say_what_is_wrong() {
        for (text, hint) in [
            ("127.0.0.1:5555", "transport://"),
            ("tcp://", "port is missing"),
            ("tcp://host", "port is missing"),
            ("tcp://host:", "number from 0"),
            ("tcp://host:+1", "number from 0"),
            ("tcp://host:65536", "number from 0"),
            ("tcp://:5555", "host is missing"),
            ("tcp://::1:5555", "brackets"),
            ("tcp://a b:5555", "spaces"),
            ("tcp://a:1;b:2", "source address"),
            ("inproc://", "missing"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(error.errno_name(), "EINVAL");
            assert!(error.to_string().contains(hint), "{text}: {error}");
        }
        assert!(format!("inproc://{}", "x".repeat(257)).parse::<Endpoint>().is_err());
        let error = "quic://a:1".parse::<Endpoint>().unwrap_err();
        assert_eq!(error.errno_name(), "EPROTONOSUPPORT");
    }
}
