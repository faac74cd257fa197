//! Sockets that the program made, and that listen already.

#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, OwnedSocket as Owned};
#[cfg(unix)]
use std::os::{
    fd::{AsRawFd, OwnedFd as Owned},
    unix::net::UnixListener,
};
use std::{fmt, io, net::TcpListener, sync::Arc};

use super::{OptionUnit, value::Number};

/// The number by which the system knows a socket.
#[cfg(unix)]
type Raw = std::os::fd::RawFd;
/// The number by which the system knows a socket.
#[cfg(windows)]
type Raw = std::os::windows::io::RawSocket;

/// A socket that listens already: [`Socket::set_listening_socket`](crate::Socket::set_listening_socket)
/// has the next endpoint bound to it, be it made by this program, or by whoever started it and looks
/// after its ports, as `systemd` does ("socket activation").
///
/// It is made of what owns one: a [`TcpListener`], on Unix a `UnixListener`, or any owned descriptor.
/// Clones are the same one. The endpoint has a duplicate of it, which does not block: nor does any
/// other of the same socket, then.
///
/// Where it is set by its number, and stays the program's, it goes on to listen when the endpoint is
/// closed: who connects then waits until somebody accepts. It may be set again for another endpoint,
/// and endpoints that have it at the same time share those who connect; but on Windows a completion
/// port keeps a socket for ever, so that there it serves once.
///
/// ```
/// use std::net::TcpListener;
///
/// use serverlink::{Context, SocketType};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
///
/// let context = Context::new()?;
/// let server = context.socket(SocketType::Pull)?;
/// server.set_listening_socket(Some(listener.into()))?;
/// // It is bound where the listener is, whatever the endpoint says.
/// assert_eq!(server.bind("tcp://*:*")?, format!("tcp://{address}"));
///
/// let client = context.socket(SocketType::Push)?;
/// client.connect(&format!("tcp://{address}"))?;
/// client.send("hello")?;
/// assert_eq!(server.recv()?[0], "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ListeningSocket {
    number: Raw,
    /// None, if it was told by its number: then it stays whose it was.
    _owned: Option<Arc<Owned>>,
}

impl ListeningSocket {
    /// A handle of our own, which lives as long as the endpoint does.
    pub(crate) fn duplicate(&self) -> io::Result<socket2::Socket> {
        serverlink_io::duplicate_socket(self.number)
    }
}

#[cfg(unix)]
impl From<Owned> for ListeningSocket {
    fn from(owned: Owned) -> Self {
        Self { number: owned.as_raw_fd(), _owned: Some(Arc::new(owned)) }
    }
}

#[cfg(windows)]
impl From<Owned> for ListeningSocket {
    fn from(owned: Owned) -> Self {
        Self { number: owned.as_raw_socket(), _owned: Some(Arc::new(owned)) }
    }
}

impl From<TcpListener> for ListeningSocket {
    fn from(listener: TcpListener) -> Self {
        Owned::from(listener).into()
    }
}

#[cfg(unix)]
impl From<UnixListener> for ListeningSocket {
    fn from(listener: UnixListener) -> Self {
        Owned::from(listener).into()
    }
}

/// Two are equal if they have the same number.
impl PartialEq for ListeningSocket {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for ListeningSocket {}

/// Its number.
impl fmt::Display for ListeningSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

impl fmt::Debug for ListeningSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ListeningSocket").field(&self.number).finish()
    }
}

impl Number for ListeningSocket {
    fn number(&self, _unit: OptionUnit) -> Option<i128> {
        Some(self.number.into())
    }

    fn from_number(number: Option<i64>, _unit: OptionUnit) -> Option<Self> {
        Some(Self { number: number?.try_into().ok()?, _owned: None })
    }
}
