//! Blocking sockets of either kind.

use std::{
    io::{IoSlice, Read, Result as IoResult, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixListener, UnixStream},
};

use crate::failure::Result;

/// What the address of a Unix domain socket begins with.
const UNIX: &str = "ipc://";

/// A socket that listens.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A connection.
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Listener {
    /// Returns also where to connect to.
    pub(super) fn bind(endpoint: &str) -> Result<(Self, String)> {
        if let Some(path) = endpoint.strip_prefix(UNIX) {
            return Ok((Self::Unix(UnixListener::bind(path)?), endpoint.to_owned()));
        }
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?.to_string();
        Ok((Self::Tcp(listener), address))
    }

    pub(super) fn accept(&self) -> Result<Stream> {
        Ok(match self {
            Self::Tcp(listener) => Stream::tcp(listener.accept()?.0)?,
            Self::Unix(listener) => Stream::Unix(listener.accept()?.0),
        })
    }
}

impl Stream {
    pub(super) fn connect(address: &str) -> Result<Self> {
        match address.strip_prefix(UNIX) {
            Some(path) => Ok(Self::Unix(UnixStream::connect(path)?)),
            None => Self::tcp(TcpStream::connect(address)?),
        }
    }

    fn tcp(stream: TcpStream) -> Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self::Tcp(stream))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> IoResult<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            Self::Unix(stream) => stream.write(buffer),
        }
    }

    fn write_vectored(&mut self, buffers: &[IoSlice<'_>]) -> IoResult<usize> {
        match self {
            Self::Tcp(stream) => stream.write_vectored(buffers),
            Self::Unix(stream) => stream.write_vectored(buffers),
        }
    }

    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }
}
