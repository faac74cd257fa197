//! The descriptor of a registration and the calls made on it.

#[cfg(unix)]
use std::os::fd::AsRawFd;
#[cfg(windows)]
use std::os::windows::io::AsRawSocket;
use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use socket2::{SockAddr, Socket};

use crate::{
    errors::{self, Action, Call},
    sys::RawDescriptor,
};

/// How often one call is made in a row after errors that ask for it, so that a system that never
/// lets it succeed cannot make the driver spin.
const ATTEMPTS: u32 = 64;

/// The most buffers handed to the kernel in one call; far below every platform's limit.
pub(in crate::sys) const GATHER: usize = 64;

/// No signal for a write that nobody reads; send(2).
#[cfg(all(unix, not(target_vendor = "apple")))]
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL;
#[cfg(any(windows, target_vendor = "apple"))]
const SEND_FLAGS: i32 = 0;

/// A registered descriptor.
#[derive(Debug)]
pub(in crate::sys) enum Source {
    /// Ours: non-blocking, closed in the end.
    Owned(Socket),
    /// The caller's, who keeps it open as long as it is watched.
    Watched(RawDescriptor),
}

/// How a non-blocking call ended.
pub(in crate::sys) enum Tried<T> {
    Finished(io::Result<T>),
    WouldBlock,
}

impl Source {
    pub(in crate::sys) fn owned(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        #[cfg(target_vendor = "apple")]
        socket.set_nosigpipe(true)?;
        Ok(Self::Owned(socket))
    }

    pub(in crate::sys) fn descriptor(&self) -> RawDescriptor {
        match self {
            #[cfg(unix)]
            Self::Owned(socket) => socket.as_raw_fd(),
            #[cfg(windows)]
            Self::Owned(socket) => socket.as_raw_socket(),
            Self::Watched(descriptor) => *descriptor,
        }
    }

    /// The socket, for everything but probes.
    pub(in crate::sys) fn socket(&self) -> io::Result<&Socket> {
        match self {
            Self::Owned(socket) => Ok(socket),
            Self::Watched(_) => Err(errors::only_probes()),
        }
    }
}

/// Accepts one connection, passing over those that failed while they waited.
pub(super) fn accept(listener: &Socket) -> Tried<(Socket, SockAddr)> {
    let mut attempt = 1;
    loop {
        let error = match accept_nonblocking(listener) {
            Ok(accepted) => return Tried::Finished(Ok(accepted)),
            Err(error) => error,
        };
        match again(Call::Accept, error) {
            Again::WouldBlock => return Tried::WouldBlock,
            Again::Now(_) if attempt < ATTEMPTS => attempt += 1,
            Again::Now(error) | Again::No(error) => return Tried::Finished(Err(error)),
        }
    }
}

/// What an error of a non-blocking call calls for.
enum Again {
    WouldBlock,
    Now(io::Error),
    No(io::Error),
}

/// Sorts an error of `call` by the platform's table.
fn again(call: Call, error: io::Error) -> Again {
    if error.kind() == io::ErrorKind::WouldBlock {
        return Again::WouldBlock;
    }
    match errors::action(call, &error) {
        Some(Action::Ignore | Action::Retry) => Again::Now(error),
        Some(Action::Close | Action::Fatal) | None => Again::No(error),
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
    let mut attempt = 1;
    loop {
        let error = match receive_once(socket, buffer.spare_capacity_mut()) {
            Ok(received) => {
                // SAFETY: the call has initialised so many bytes of the spare room.
                unsafe { buffer.advance_mut(received) };
                return Tried::Finished(Ok(received));
            }
            Err(error) => error,
        };
        match again(Call::Receive, error) {
            Again::WouldBlock => return Tried::WouldBlock,
            Again::Now(_) if attempt < ATTEMPTS => attempt += 1,
            Again::Now(error) | Again::No(error) => return Tried::Finished(Err(error)),
        }
    }
}

/// A send on its way.
#[derive(Debug)]
pub(in crate::sys) struct Transfer {
    pub(in crate::sys) buffers: Vec<Bytes>,
    pub(in crate::sys) sent: usize,
    /// The first buffer that is not sent whole.
    current: usize,
    /// How much of that one is sent.
    offset: usize,
}

impl Transfer {
    pub(in crate::sys) fn new(buffers: Vec<Bytes>) -> Self {
        Self { buffers, sent: 0, current: 0, offset: 0 }
    }

    /// Hands the rest to the kernel, in at most `calls` calls. `Finished(Ok(false))` means that
    /// there is more to do and the kernel may take more.
    pub(in crate::sys) fn advance(&mut self, socket: &Socket, calls: usize) -> Tried<bool> {
        let mut attempt = 1;
        for _ in 0..calls {
            if self.skip_finished() {
                return Tried::Finished(Ok(true));
            }
            match self.send_once(socket) {
                Ok(sent) => {
                    self.note(sent);
                    attempt = 1;
                }
                Err(error) => match again(Call::Send, error) {
                    Again::WouldBlock => return Tried::WouldBlock,
                    Again::Now(_) if attempt < ATTEMPTS => attempt += 1,
                    Again::Now(error) | Again::No(error) => return Tried::Finished(Err(error)),
                },
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

    /// What is left, piece by piece.
    #[cfg(target_os = "linux")]
    pub(in crate::sys) fn rest(&self) -> impl Iterator<Item = &[u8]> {
        self.buffers[self.current..]
            .iter()
            .enumerate()
            .map(|(index, buffer)| if index == 0 { &buffer[self.offset..] } else { &buffer[..] })
    }

    pub(in crate::sys) fn note(&mut self, sent: usize) {
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
    pub(in crate::sys) fn skip_finished(&mut self) -> bool {
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
pub(in crate::sys) fn connect(socket: &Socket, address: &SockAddr) -> io::Result<bool> {
    match socket.connect(address) {
        Ok(()) => Ok(true),
        Err(error) if is_in_progress(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a connect has ended, and how; connect(2) under EINPROGRESS.
pub(in crate::sys) fn connected(socket: &Socket) -> Tried<()> {
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
    errors::action(Call::Connect, error) == Some(Action::Ignore)
}

#[cfg(windows)]
fn is_in_progress(error: &io::Error) -> bool {
    // What the completion port's table knows as a shortage is here the rule.
    error.kind() == io::ErrorKind::WouldBlock
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
    let (socket, peer) = listener.accept_raw()?;
    // What goes wrong with the new socket is no fault of the listener's: macOS answers EINVAL for one
    // that the peer has reset already.
    let prepared = socket.set_nonblocking(true);
    #[cfg(unix)]
    let prepared = prepared.and_then(|()| socket.set_cloexec(true));
    match prepared {
        Ok(()) => Ok((socket, peer)),
        Err(_) => Err(io::Error::from_raw_os_error(ABORTED)),
    }
}

/// A connection was given up before it was accepted.
#[cfg(all(
    unix,
    not(any(
        target_os = "android",
        target_os = "freebsd",
        target_os = "linux",
        target_os = "netbsd",
        target_os = "openbsd"
    ))
))]
const ABORTED: i32 = libc::ECONNABORTED;
#[cfg(windows)]
const ABORTED: i32 = windows_sys::Win32::Networking::WinSock::WSAECONNABORTED;

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

    /// A listener that takes one for another spins, or is lost for one lost connection.
    #[cfg(unix)]
    #[test]
    fn a_connections_trouble_is_not_the_listeners() {
        let sorted = |code| again(Call::Accept, io::Error::from_raw_os_error(code));
        assert!(matches!(sorted(libc::EAGAIN), Again::WouldBlock));
        for code in [libc::ECONNABORTED, libc::EPERM, libc::EHOSTUNREACH, libc::EINTR] {
            assert!(matches!(sorted(code), Again::Now(_)), "{code}");
        }
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EINVAL] {
            assert!(matches!(sorted(code), Again::No(_)), "{code}");
        }
    }

    /// The completion port's table serves select, too.
    #[cfg(windows)]
    #[test]
    fn a_connections_trouble_is_not_the_listeners() {
        use windows_sys::Win32::Networking::WinSock::*;

        let sorted = |code| again(Call::Accept, io::Error::from_raw_os_error(code));
        assert!(matches!(sorted(WSAEWOULDBLOCK), Again::WouldBlock));
        for code in [WSAECONNRESET, WSAECONNABORTED, WSAENETDOWN, WSAETIMEDOUT] {
            assert!(matches!(sorted(code), Again::Now(_)), "{code}");
        }
        for code in [WSAEMFILE, WSAEINVAL, WSAENOTSOCK, WSAEOPNOTSUPP] {
            assert!(matches!(sorted(code), Again::No(_)), "{code}");
        }
    }
}
