//! The descriptor of a registration and the calls made on it.

#[cfg(windows)]
use std::os::windows::io::AsRawSocket;
#[cfg(unix)]
use std::{io::ErrorKind, os::fd::AsRawFd};
use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use socket2::{SockAddr, Socket};

use crate::{
    errors::{self, Action},
    sys::RawDescriptor,
};

/// The most buffers handed to the kernel in one call; far below every platform's limit.
const GATHER: usize = 64;

/// No signal for a write that nobody reads; send(2).
#[cfg(all(unix, not(target_vendor = "apple")))]
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(any(windows, target_vendor = "apple"))]
const SEND_FLAGS: i32 = 0;

/// A registered descriptor.
#[derive(Debug)]
pub(super) enum Source {
    /// Ours: non-blocking, closed in the end.
    Owned(Socket),
    /// The caller's, who keeps it open as long as it is watched.
    Watched(RawDescriptor),
}

/// How a non-blocking call ended.
pub(super) enum Tried<T> {
    Finished(io::Result<T>),
    WouldBlock,
}

impl Source {
    pub(super) fn owned(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        #[cfg(target_vendor = "apple")]
        socket.set_nosigpipe(true)?;
        Ok(Self::Owned(socket))
    }

    pub(super) fn descriptor(&self) -> RawDescriptor {
        match self {
            #[cfg(unix)]
            Self::Owned(socket) => socket.as_raw_fd(),
            #[cfg(windows)]
            Self::Owned(socket) => socket.as_raw_socket(),
            Self::Watched(descriptor) => *descriptor,
        }
    }

    /// The socket, for everything but probes.
    pub(super) fn socket(&self) -> io::Result<&Socket> {
        match self {
            Self::Owned(socket) => Ok(socket),
            Self::Watched(_) => Err(errors::only_probes()),
        }
    }
}

/// Accepts one connection, passing over those that failed while they waited.
pub(super) fn accept(listener: &Socket) -> Tried<(Socket, SockAddr)> {
    loop {
        let error = match accept_nonblocking(listener) {
            Ok(accepted) => return Tried::Finished(Ok(accepted)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Tried::WouldBlock,
            Err(error) => error,
        };
        match classify_accept(&error) {
            Action::Ignore | Action::Retry => {}
            Action::Close | Action::Fatal => return Tried::Finished(Err(error)),
        }
    }
}

#[cfg(target_os = "linux")]
fn receive_once(socket: &Socket, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    use rustix::net::{RecvFlags, recv};

    Ok(recv(socket, room, RecvFlags::empty())?.1)
}

#[cfg(not(target_os = "linux"))]
fn receive_once(socket: &Socket, room: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    socket.recv(room)
}

#[cfg(target_os = "linux")]
fn send_once(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    use rustix::net::{SendFlags, send};

    Ok(send(socket, bytes, SendFlags::NOSIGNAL)?)
}

#[cfg(not(target_os = "linux"))]
fn send_once(socket: &Socket, bytes: &[u8]) -> io::Result<usize> {
    socket.send_with_flags(bytes, SEND_FLAGS)
}

/// Receives once into the spare room of `buffer`.
pub(super) fn receive(socket: &Socket, buffer: &mut BytesMut) -> Tried<usize> {
    loop {
        match receive_once(socket, buffer.spare_capacity_mut()) {
            Ok(received) => {
                // SAFETY: the call has initialised so many bytes of the spare room.
                unsafe { buffer.advance_mut(received) };
                return Tried::Finished(Ok(received));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Tried::WouldBlock,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Tried::Finished(Err(error)),
        }
    }
}

/// A send on its way.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) buffers: Vec<Bytes>,
    pub(super) sent: usize,
    /// The first buffer that is not sent whole.
    current: usize,
    /// How much of that one is sent.
    offset: usize,
}

impl Transfer {
    pub(super) fn new(buffers: Vec<Bytes>) -> Self {
        Self { buffers, sent: 0, current: 0, offset: 0 }
    }

    /// Hands the rest to the kernel, in at most `calls` calls. `Finished(Ok(false))` means that
    /// there is more to do and the kernel may take more.
    pub(super) fn advance(&mut self, socket: &Socket, calls: usize) -> Tried<bool> {
        for _ in 0..calls {
            if self.skip_finished() {
                return Tried::Finished(Ok(true));
            }
            match self.send_once(socket) {
                Ok(sent) => self.note(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Tried::WouldBlock;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Tried::Finished(Err(error)),
            }
        }
        Tried::Finished(Ok(self.skip_finished()))
    }

    fn send_once(&self, socket: &Socket) -> io::Result<usize> {
        let first = &self.buffers[self.current][self.offset..];
        let rest = &self.buffers[self.current + 1..];
        if rest.is_empty() {
            return send_once(socket, first);
        }
        let mut slices = [IoSlice::new(&[]); GATHER];
        let mut count = 1;
        slices[0] = IoSlice::new(first);
        for (slice, buffer) in slices[1..].iter_mut().zip(rest) {
            *slice = IoSlice::new(buffer);
            count += 1;
        }
        socket.send_vectored_with_flags(&slices[..count], SEND_FLAGS)
    }

    fn note(&mut self, sent: usize) {
        self.sent += sent;
        let mut left = sent;
        while left > 0 {
            let rest = self.buffers[self.current].remaining() - self.offset;
            if left < rest {
                self.offset += left;
                return;
            }
            left -= rest;
            self.current += 1;
            self.offset = 0;
        }
    }

    /// Passes over empty buffers; true at the end.
    fn skip_finished(&mut self) -> bool {
        while let Some(buffer) = self.buffers.get(self.current) {
            if self.offset < buffer.len() {
                return false;
            }
            self.current += 1;
            self.offset = 0;
        }
        true
    }
}

/// Begins to connect; tells whether that has ended already.
pub(super) fn connect(socket: &Socket, address: &SockAddr) -> io::Result<bool> {
    match socket.connect(address) {
        Ok(()) => Ok(true),
        Err(error) if is_in_progress(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a connect has ended, and how; connect(2) under EINPROGRESS.
pub(super) fn connected(socket: &Socket) -> Tried<()> {
    match socket.take_error() {
        Ok(Some(error)) | Err(error) => return Tried::Finished(Err(error)),
        Ok(None) => {}
    }
    // A report may be older than the connect: a fresh socket counts as hung up.
    match socket.peer_addr() {
        Ok(_) => Tried::Finished(Ok(())),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Tried::WouldBlock,
        Err(error) => Tried::Finished(Err(error)),
    }
}

#[cfg(unix)]
fn is_in_progress(error: &io::Error) -> bool {
    // An interrupted connect goes on like any other.
    error.raw_os_error() == Some(libc::EINPROGRESS) || error.kind() == ErrorKind::Interrupted
}

#[cfg(windows)]
fn is_in_progress(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

#[cfg(unix)]
fn classify_accept(error: &io::Error) -> Action {
    match error.raw_os_error() {
        // The socket cannot listen at all.
        None | Some(libc::EOPNOTSUPP) => Action::Fatal,
        // What ends a connection is the new one's, not the listener's: accept(2), "Error
        // handling".
        Some(code) => match errors::classify(code) {
            Action::Close => Action::Retry,
            action => action,
        },
    }
}

#[cfg(windows)]
fn classify_accept(error: &io::Error) -> Action {
    use windows_sys::Win32::Networking::WinSock::WSAECONNRESET;

    match error.raw_os_error() {
        Some(WSAECONNRESET) => Action::Retry,
        _ => Action::Fatal,
    }
}

#[cfg(any(
    target_os = "android",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "netbsd",
    target_os = "openbsd"
))]
fn accept_nonblocking(listener: &Socket) -> io::Result<(Socket, SockAddr)> {
    use std::os::fd::FromRawFd;

    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let accept = |storage: *mut socket2::SockAddrStorage, length: *mut libc::socklen_t| {
        // SAFETY: `storage` and `length` are the address storage that `try_init` hands out and
        // its size; the descriptor is open.
        let accepted =
            unsafe { libc::accept4(listener.as_raw_fd(), storage.cast(), length, flags) };
        if accepted == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: accept4(2) has just made this descriptor; nobody else owns it.
        Ok(unsafe { Socket::from_raw_fd(accepted) })
    };
    // SAFETY: accept4(2) fills in the storage and its length when it succeeds.
    unsafe { SockAddr::try_init(accept) }
}

#[cfg(not(any(
    target_os = "android",
    target_os = "freebsd",
    target_os = "linux",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
fn accept_nonblocking(listener: &Socket) -> io::Result<(Socket, SockAddr)> {
    let (socket, peer) = listener.accept()?;
    socket.set_nonblocking(true)?;
    Ok((socket, peer))
}

#[cfg(test)]
mod tests {
    use socket2::{Domain, Type};

    use super::*;

    /// The poller's report may be older than the connect.
    #[test]
    fn a_socket_that_is_not_connected_yet_is_awaited() {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets");
        assert!(matches!(connected(&socket), Tried::WouldBlock));
    }
}
