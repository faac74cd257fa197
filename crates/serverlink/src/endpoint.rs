//! Endpoints: `transport://address`.

use std::{
    borrow::Cow,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::{Error, Result, SocketType};

/// Longest name of an in-process endpoint, as in libzmq.
const LONGEST_INPROC_NAME: usize = 256;

/// Longest path of a Unix domain socket, as the system's `sockaddr_un` has room for it, in bytes.
const LONGEST_IPC_PATH: usize =
    if cfg!(any(target_os = "linux", target_os = "android", windows)) { 107 } else { 103 };

/// An endpoint, understood.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    Stream(StreamEndpoint),
    Inproc(String),
    Udp(UdpEndpoint),
}

/// An endpoint that a stream of the operating system's leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum StreamEndpoint {
    Tcp(TcpEndpoint),
    Ipc(IpcEndpoint),
    Web(Box<WebEndpoint>),
}

/// Each connecter has one.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<StreamEndpoint>() <= 40);

/// What leads to an endpoint of streams.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way<'a> {
    Tcp(&'a TcpEndpoint),
    Ipc(&'a IpcEndpoint),
}

/// The address part of `ws://host:port/path`, or of `wss://` the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct WebEndpoint {
    /// Over TLS.
    pub(crate) secure: bool,
    pub(crate) address: TcpEndpoint,
    /// Begins with a slash.
    pub(crate) path: String,
}

/// The address part of `ipc://path`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum IpcEndpoint {
    /// `*`: a new name.
    Any,
    /// A name in the file system.
    Path(String),
    /// `@name`: a name in the abstract namespace, unix(7), without the `@`.
    Abstract(String),
}

/// The address part of `tcp://host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TcpEndpoint {
    pub(crate) host: Host,
    /// Zero: any free port.
    pub(crate) port: u16,
    /// Where connections to it come from, if that is not left to the system.
    pub(crate) source: Option<Box<Source>>,
}

/// Where connections come from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Source {
    pub(crate) local: Local,
    /// Zero: any free port.
    pub(crate) port: u16,
}

/// One of this machine's addresses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Local {
    Address(IpAddr),
    /// That of an interface of this name.
    Interface(String),
}

/// The address part of `udp://host:port` or `udp://interface;host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct UdpEndpoint {
    /// What of ours multicast datagrams leave or enter by, or all those that are received: an IPv4
    /// address, or an interface.
    pub(crate) interface: Option<Local>,
    pub(crate) address: TcpEndpoint,
}

/// The host part of a TCP endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Host {
    /// `*`
    Any,
    Address(IpAddr),
    /// A name to resolve, an interface, or an address with a zone.
    Name(Box<str>),
}

impl From<&str> for Host {
    /// What an address says, without brackets, or else a name.
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Name(text.into()), Self::Address)
    }
}

impl FromStr for Endpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((transport, address)) = text.split_once("://") else {
            return Err(invalid(text, "write transport://address, such as tcp://127.0.0.1:5555"));
        };
        match transport {
            "tcp" => {
                TcpEndpoint::parse(text, address).map(|tcp| Self::Stream(StreamEndpoint::Tcp(tcp)))
            }
            "ipc" => {
                IpcEndpoint::parse(text, address).map(|ipc| Self::Stream(StreamEndpoint::Ipc(ipc)))
            }
            "ws" | "wss" => WebEndpoint::parse(text, transport == "wss", address)
                .map(|web| Self::Stream(StreamEndpoint::Web(Box::new(web)))),
            "udp" => UdpEndpoint::parse(text, address).map(Self::Udp),
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

impl Endpoint {
    /// Says why a socket of this type cannot bind or connect to it, if so.
    pub(crate) fn check_type(&self, socket_type: SocketType, bind: bool) -> Result<()> {
        let fine = match (self, socket_type) {
            (Self::Udp(_), SocketType::Dish | SocketType::Dgram) => bind,
            (Self::Udp(_), SocketType::Radio) => !bind,
            (Self::Udp(_), _)
            | (_, SocketType::Dgram)
            | (Self::Inproc(_) | Self::Stream(StreamEndpoint::Web(_)), SocketType::Stream) => false,
            (Self::Stream(_) | Self::Inproc(_), _) => true,
        };
        if fine {
            return Ok(());
        }
        let operation = if bind { "bind to" } else { "connect to" };
        Err(Error::IncompatibleTransport { socket_type, operation, transport: self.transport() })
    }

    fn transport(&self) -> &'static str {
        match self {
            Self::Stream(StreamEndpoint::Tcp(_)) => "tcp",
            Self::Stream(StreamEndpoint::Ipc(_)) => "ipc",
            Self::Stream(StreamEndpoint::Web(web)) => web.scheme(),
            Self::Inproc(_) => "inproc",
            Self::Udp(_) => "udp",
        }
    }
}

impl StreamEndpoint {
    pub(crate) fn way(&self) -> Way<'_> {
        match self {
            Self::Tcp(tcp) => Way::Tcp(tcp),
            Self::Web(web) => Way::Tcp(&web.address),
            Self::Ipc(ipc) => Way::Ipc(ipc),
        }
    }

    /// The address of TCP that it leads to, if it does.
    pub(crate) fn tcp(&self) -> Option<&TcpEndpoint> {
        match self.way() {
            Way::Tcp(tcp) => Some(tcp),
            Way::Ipc(_) => None,
        }
    }

    /// The same endpoint at another address of TCP.
    pub(crate) fn at(&self, address: TcpEndpoint) -> Self {
        match self {
            Self::Web(web) => {
                let (secure, path) = (web.secure, web.path.clone());
                Self::Web(Box::new(WebEndpoint { secure, address, path }))
            }
            Self::Tcp(_) | Self::Ipc(_) => Self::Tcp(address),
        }
    }
}

impl WebEndpoint {
    fn parse(text: &str, secure: bool, address: &str) -> Result<Self> {
        let (address, path) = match address.find('/') {
            Some(slash) => address.split_at(slash),
            None => (address, "/"),
        };
        let unfit = |c: char| c.is_control() || c.is_whitespace();
        if address.contains(unfit) || path.contains(unfit) || path.contains('#') {
            return Err(invalid(text, "neither host nor path has spaces, control characters or #"));
        }
        // As in URLs.
        let host = address.rsplit_once(';').map_or(address, |(_, host)| host);
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let address = match has_port {
            true => TcpEndpoint::parse(text, address)?,
            false => TcpEndpoint::parse(text, &format!("{address}:{}", usual_port(secure)))?,
        };
        Ok(Self { secure, address, path: path.to_owned() })
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "wss" } else { "ws" }
    }

    /// The name of the host, without brackets.
    pub(crate) fn host(&self) -> Cow<'_, str> {
        match &self.address.host {
            Host::Any => "localhost".into(),
            Host::Address(address) => address.to_string().into(),
            // Nobody else knows our interfaces.
            Host::Name(name) => name.split_once('%').map_or(&**name, |(name, _)| name).into(),
        }
    }

    /// The host as HTTP names it.
    pub(crate) fn authority(&self) -> String {
        let host = match self.host() {
            host if host.contains(':') => format!("[{host}]"),
            host => host.into_owned(),
        };
        match self.address.port {
            port if port == usual_port(self.secure) => host,
            port => format!("{host}:{port}"),
        }
    }
}

/// The port of HTTP, over TLS or not.
fn usual_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

impl TcpEndpoint {
    fn parse(text: &str, address: &str) -> Result<Self> {
        let (source, address) = match address.split_once(';') {
            Some((source, address)) => (Some(Self::parse_source(text, source)?.into()), address),
            None => (None, address),
        };
        let Some((host, port)) = address.rsplit_once(':') else {
            return Err(invalid(text, "the port is missing: write HOST:PORT"));
        };
        let port = parse_port(port)
            .ok_or_else(|| invalid(text, "a port is a number from 0 to 65535, or *"))?;
        let host = match host {
            "*" => Host::Any,
            "" => return Err(invalid(text, "the host is missing: write HOST:PORT, or * for any")),
            _ => {
                let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
                if bare.is_none() && host.contains(':') {
                    return Err(invalid(text, "write an IPv6 address in brackets: [::1]:5555"));
                }
                if host.contains(char::is_whitespace) || host.contains(['/', '\0']) {
                    return Err(invalid(text, "a host has no spaces or slashes"));
                }
                Host::from(bare.unwrap_or(host))
            }
        };
        Ok(Self { host, port, source })
    }

    /// The part before a `;`: an address or interface of this machine, and a port, or `*` as if there
    /// were none.
    fn parse_source(text: &str, source: &str) -> Result<Source> {
        let parse = || {
            let (host, port) = match source.rsplit_once(':') {
                Some((host, port)) if !port.ends_with(']') => (host, parse_port(port)?),
                _ => (source, 0),
            };
            let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let local = match (host, bare) {
                ("*", _) => Local::Address(Ipv4Addr::UNSPECIFIED.into()),
                (_, Some(bare)) => Local::Address(Ipv6Addr::from_str(bare).ok()?.into()),
                _ => Local::parse(host)?,
            };
            Some(Source { local, port })
        };
        parse().ok_or_else(|| {
            let hint = "before the ';' goes an IP address or an interface of this machine, and a \
                        port or *: tcp://192.168.1.17:*;192.168.1.1:5555";
            invalid(text, hint)
        })
    }
}

impl Local {
    /// An IPv4 address, or what may be the name of an interface.
    fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        if digits {
            return Some(Self::Address(Ipv4Addr::from_str(text).ok()?.into()));
        }
        let wrong = |c: char| c.is_whitespace() || ['/', '\0', ':', '*', '[', ']'].contains(&c);
        (!text.contains(wrong)).then(|| Self::Interface(text.to_owned()))
    }
}

/// A number, or `*` for any.
fn parse_port(text: &str) -> Option<u16> {
    match text {
        "*" => Some(0),
        _ if text.starts_with('+') => None,
        _ => text.parse().ok(),
    }
}

impl UdpEndpoint {
    fn parse(text: &str, address: &str) -> Result<Self> {
        let (interface, address) = match address.split_once(';') {
            None | Some(("*", _)) => (None, address.trim_start_matches("*;")),
            Some((interface, address)) => match Local::parse(interface) {
                Some(interface) => (Some(interface), address),
                None => {
                    return Err(invalid(
                        text,
                        "an interface, before ';', is its name or an IPv4 address of it",
                    ));
                }
            },
        };
        if address.contains(';') {
            return Err(invalid(text, "there is one ';' at most, after the interface"));
        }
        Ok(Self { interface, address: TcpEndpoint::parse(text, address)? })
    }
}

impl IpcEndpoint {
    pub(crate) fn parse(text: &str, address: &str) -> Result<Self> {
        if address.contains('\0') {
            return Err(invalid(text, "a path has no zero bytes"));
        }
        if address.len() > LONGEST_IPC_PATH {
            let reason = format!("a path after ipc:// has at most {LONGEST_IPC_PATH} bytes here");
            return Err(invalid(text, &reason));
        }
        match (address, address.strip_prefix('@')) {
            ("", _) => Err(invalid(text, "the path after ipc:// is missing")),
            ("*", _) => Ok(Self::Any),
            (_, None) => Ok(Self::Path(address.to_owned())),
            (_, Some("")) => Err(invalid(text, "the name after ipc://@ is missing")),
            (_, Some(name)) if cfg!(any(target_os = "linux", target_os = "android")) => {
                Ok(Self::Abstract(name.to_owned()))
            }
            (_, Some(_)) => Err(invalid(
                text,
                "only Linux has names that begin with @; write ./@ if it is meant as a file",
            )),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(stream) => stream.fmt(f),
            Self::Inproc(name) => write!(f, "inproc://{name}"),
            Self::Udp(udp) => udp.fmt(f),
        }
    }
}

impl fmt::Display for StreamEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(tcp) => tcp.fmt(f),
            Self::Ipc(ipc) => ipc.fmt(f),
            Self::Web(web) => web.fmt(f),
        }
    }
}

impl fmt::Display for WebEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme())?;
        self.address.fmt_whole(f)?;
        f.write_str(&self.path)
    }
}

impl fmt::Display for IpcEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("ipc://*"),
            Self::Path(path) => write!(f, "ipc://{path}"),
            Self::Abstract(name) => write!(f, "ipc://@{name}"),
        }
    }
}

impl fmt::Display for TcpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tcp://")?;
        self.fmt_whole(f)
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Address(address) => address.fmt(f),
            Self::Interface(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for UdpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("udp://")?;
        if let Some(interface) = &self.interface {
            write!(f, "{interface};")?;
        }
        self.address.fmt_address(f)
    }
}

impl TcpEndpoint {
    fn fmt_whole(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.source.as_deref() {
            Some(Source { local, port: 0 }) => write!(f, "{local}:*;")?,
            Some(Source { local, port }) => write!(f, "{local}:{port};")?,
            None => {}
        }
        self.fmt_address(f)
    }

    fn fmt_address(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Any => f.write_str("*:")?,
            Host::Address(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            Host::Name(name) if name.contains(':') => write!(f, "[{name}]:")?,
            Host::Name(name) => write!(f, "{name}:")?,
        }
        match self.port {
            0 => f.write_str("*"),
            port => write!(f, "{port}"),
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
            "ipc:///tmp/a b",
            "ipc://relative/path",
            "ipc://*",
            "ipc://*.socket",
            "tcp://127.0.0.1:80;127.0.0.2:9",
            "tcp://127.0.0.1:*;host:9",
            "tcp://[::1]:*;[::1]:9",
            "tcp://[::1]:80;[::1]:9",
            "udp://239.0.0.1:5555",
            "udp://127.0.0.1;239.0.0.1:5555",
            "udp://*:*",
            "udp://[ff02::1%1]:9",
            "tcp://eth0:5555",
            "tcp://eth0:*;host:9",
            "tcp://wlan-1.5:80;[::1]:9",
            "udp://eth0;239.0.0.1:5555",
            "udp://eth0;[ff02::1]:5555",
            "udp://eth0:*",
            "ws://127.0.0.1:80/",
            "ws://*:*/queue",
            "wss://[::1]:9/a/b?c=d",
            "wss://127.0.0.1:*;example.com:443/",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
        let any = "tcp://*:*;h:1".parse::<Endpoint>().unwrap();
        assert_eq!(any.to_string(), "tcp://0.0.0.0:*;h:1");
        for (short, long) in [
            ("tcp://lo;h:1", "tcp://lo:*;h:1"),
            ("tcp://127.0.0.1;h:1", "tcp://127.0.0.1:*;h:1"),
            ("tcp://[::1];h:1", "tcp://[::1]:*;h:1"),
            ("tcp://lo:0;h:1", "tcp://lo:*;h:1"),
        ] {
            assert_eq!(short.parse::<Endpoint>().unwrap().to_string(), long);
        }
        assert_eq!("udp://*;h:1".parse::<Endpoint>().unwrap().to_string(), "udp://h:1");
        for (short, long) in [
            ("ws://h", "ws://h:80/"),
            ("ws://1.2.3.4:*;h/q", "ws://1.2.3.4:*;h:80/q"),
            ("ws://1.2.3.4:5;[::1]", "ws://1.2.3.4:5;[::1]:80/"),
            ("wss://h/p", "wss://h:443/p"),
            ("ws://[::1]/p", "ws://[::1]:80/p"),
            ("ws://h:9", "ws://h:9/"),
        ] {
            assert_eq!(short.parse::<Endpoint>().unwrap().to_string(), long);
        }
        assert_eq!("tcp://h:0".parse::<Endpoint>().unwrap().to_string(), "tcp://h:*");
    }

    #[test]
    fn web_endpoints_name_their_host_as_http_does() {
        for (text, host, authority) in [
            ("ws://h:80/", "h", "h"),
            ("wss://h:80/", "h", "h:80"),
            ("wss://h:443/", "h", "h"),
            ("ws://[::1]:9/", "::1", "[::1]:9"),
            ("ws://[fe80::1%eth0]:80/", "fe80::1", "[fe80::1]"),
            ("ws://*:5/", "localhost", "localhost:5"),
        ] {
            let Ok(Endpoint::Stream(StreamEndpoint::Web(web))) = text.parse() else {
                panic!("{text}")
            };
            assert_eq!((&*web.host(), &*web.authority()), (host, authority), "{text}");
        }
    }

    #[test]
    fn abstract_names_are_linuxs() {
        let endpoint = "ipc://@name".parse::<Endpoint>();
        if cfg!(target_os = "linux") {
            assert_eq!(endpoint.unwrap().to_string(), "ipc://@name");
        } else {
            assert!(endpoint.unwrap_err().to_string().contains("Linux"));
        }
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
            ("tcp://:1;b:2", "before the ';'"),
            ("tcp://127.0.0:1;b:2", "before the ';'"),
            ("tcp://127.0.0.1:x;b:2", "before the ';'"),
            ("tcp://127.0.0.1:+1;b:2", "before the ';'"),
            ("tcp://::1;b:2", "before the ';'"),
            ("tcp://[eth0]:1;b:2", "before the ';'"),
            ("tcp://eth 0:1;b:2", "before the ';'"),
            ("tcp://;b:2", "before the ';'"),
            ("tcp://127.0.0.1:1;b", "port is missing"),
            ("udp://host", "port is missing"),
            ("udp://[::1];239.0.0.1:5555", "IPv4 address"),
            ("udp://;239.0.0.1:5555", "IPv4 address"),
            ("udp://127.0.0.;239.0.0.1:5555", "IPv4 address"),
            ("udp://127.0.0.1;127.0.0.1:1;b:2", "one ';'"),
            ("ws://", "host is missing"),
            ("ws://:1/", "host is missing"),
            ("ws://h:x/", "number from 0"),
            ("ws://::1:5/", "brackets"),
            ("ws://h:1/a b", "spaces"),
            ("ws://h\u{1}:1/", "control"),
            ("wss://h:1/a\r\nX-Evil: 1", "control"),
            ("ws://h:1/a#b", "#"),
            ("inproc://", "missing"),
            ("ipc://", "missing"),
            ("ipc://@", "missing"),
            ("ipc:///tmp/a\0b", "zero"),
        ] {
            let error = text.parse::<Endpoint>().unwrap_err();
            assert_eq!(error.errno_name(), "EINVAL");
            assert!(error.to_string().contains(hint), "{text}: {error}");
        }
        assert!(format!("inproc://{}", "x".repeat(257)).parse::<Endpoint>().is_err());
        let longest = format!("ipc://{}", "x".repeat(LONGEST_IPC_PATH));
        assert!(longest.parse::<Endpoint>().is_ok());
        let error = format!("{longest}x").parse::<Endpoint>().unwrap_err();
        assert!(error.to_string().contains(&LONGEST_IPC_PATH.to_string()), "{error}");
        let error = "quic://a:1".parse::<Endpoint>().unwrap_err();
        assert_eq!(error.errno_name(), "EPROTONOSUPPORT");
    }
}
