//! A descriptor that is readable or not, as we want.

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};
use std::{
    io, mem,
    sync::{Arc, Mutex, PoisonError},
};

#[cfg(target_os = "linux")]
use event::Line;
#[cfg(windows)]
use loopback::Line;
#[cfg(all(unix, not(target_os = "linux")))]
use pair::Line;

/// A descriptor that is readable as long as it is [set](Self::set).
#[derive(Debug)]
pub(crate) struct Signal {
    line: Line,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    set: bool,
    /// What was written has not arrived yet, and is to be read when it has.
    owed: bool,
}

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { line: Line::new()?, state: Mutex::default() })
    }

    pub(crate) fn set(&self, ready: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if ready == state.set && !state.owed {
            return;
        }
        if ready {
            // What is still on its way will do.
            if !mem::take(&mut state.owed) && !state.set {
                self.line.write();
            }
        } else {
            state.owed = !self.line.read();
        }
        state.set = ready;
    }
}

#[cfg(unix)]
impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.line.as_fd()
    }
}

#[cfg(windows)]
impl AsSocket for Signal {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.line.as_socket()
    }
}

/// eventfd(2).
#[cfg(target_os = "linux")]
mod event {
    use std::{
        io,
        os::fd::{AsFd, BorrowedFd, OwnedFd},
    };

    use rustix::event::{EventfdFlags, eventfd};

    #[derive(Debug)]
    pub(super) struct Line(OwnedFd);

    impl Line {
        pub(super) fn new() -> io::Result<Self> {
            Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
        }

        pub(super) fn write(&self) {
            // It cannot be full.
            let _ = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
        }

        /// Reads what was written. True, for it is there at once.
        pub(super) fn read(&self) -> bool {
            let _ = rustix::io::read(&self.0, &mut [0; 8]);
            true
        }
    }

    impl AsFd for Line {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

/// A connection of the process with itself.
#[cfg(all(unix, not(target_os = "linux")))]
mod pair {
    use std::{
        io::{self, Read, Write},
        os::{
            fd::{AsFd, BorrowedFd},
            unix::net::UnixStream,
        },
    };

    #[derive(Debug)]
    pub(super) struct Line {
        receiver: UnixStream,
        sender: UnixStream,
    }

    impl Line {
        pub(super) fn new() -> io::Result<Self> {
            let (receiver, sender) = UnixStream::pair()?;
            receiver.set_nonblocking(true)?;
            sender.set_nonblocking(true)?;
            Ok(Self { receiver, sender })
        }

        pub(super) fn write(&self) {
            let _ = (&self.sender).write(&[1]);
        }

        /// Reads what was written. True, for it is there at once.
        pub(super) fn read(&self) -> bool {
            let _ = (&self.receiver).read(&mut [0]);
            true
        }
    }

    impl AsFd for Line {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.receiver.as_fd()
        }
    }
}

/// A datagram socket connected with itself.
#[cfg(windows)]
mod loopback {
    use std::{
        io,
        net::{Ipv4Addr, UdpSocket},
        os::windows::io::{AsSocket, BorrowedSocket},
    };

    #[derive(Debug)]
    pub(super) struct Line(UdpSocket);

    impl Line {
        pub(super) fn new() -> io::Result<Self> {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            // From now on it takes datagrams from nobody else.
            socket.connect(socket.local_addr()?)?;
            socket.set_nonblocking(true)?;
            Ok(Self(socket))
        }

        pub(super) fn write(&self) {
            let _ = self.0.send(&[1]);
        }

        /// Reads what was written; false if it has not arrived yet.
        pub(super) fn read(&self) -> bool {
            self.0.recv(&mut [0]).is_ok()
        }
    }

    impl AsSocket for Line {
        fn as_socket(&self) -> BorrowedSocket<'_> {
            self.0.as_socket()
        }
    }
}

/// A descriptor (on Windows, a socket of the system's) that tells event loops of other libraries what
/// a [`Socket`](crate::Socket) is ready for: see
/// [`receive_descriptor`](crate::Socket::receive_descriptor) and
/// [`send_descriptor`](crate::Socket::send_descriptor).
///
/// It is to be polled for readability, and neither to be read from, written to, nor closed. It stays
/// valid as long as this or a clone does, also when the socket is closed. It costs the socket
/// something with each call, until the last clone is gone.
#[derive(Debug, Clone)]
pub struct EventDescriptor(pub(crate) Arc<Signal>);

#[cfg(unix)]
impl AsFd for EventDescriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(unix)]
impl AsRawFd for EventDescriptor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

#[cfg(windows)]
impl AsSocket for EventDescriptor {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.0.as_socket()
    }
}

#[cfg(windows)]
impl AsRawSocket for EventDescriptor {
    fn as_raw_socket(&self) -> RawSocket {
        self.0.as_socket().as_raw_socket()
    }
}
