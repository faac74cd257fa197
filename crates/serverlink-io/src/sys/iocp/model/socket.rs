//! The model's sockets.

use std::{
    fs::File,
    io::{self, Read},
    mem::MaybeUninit,
    net::{Ipv4Addr, Shutdown, SocketAddr},
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
};

use socket2::SockAddr;

use super::{Model, Open, pattern};
use crate::{
    lock::lock,
    sys::iocp::kernel::{Handle, Nature},
};

/// A socket: a handle that is closed when this is dropped.
pub(in crate::sys::iocp) struct Socket {
    model: Arc<Model>,
    pub(super) handle: Handle,
    pub(super) nature: Nature,
}

impl Socket {
    pub(super) fn new(model: &Arc<Model>, nature: Nature) -> Self {
        let handle = model.enter(Open { nature: Some(nature), ..Open::default() });
        Self { model: Arc::clone(model), handle, nature }
    }

    pub(in crate::sys::iocp) fn set_nonblocking(&self, _: bool) -> io::Result<()> {
        self.called("ioctlsocket").map(drop)
    }

    /// Reads what has arrived: mostly something.
    pub(in crate::sys::iocp) fn recv(&self, into: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
        self.called("recv")?;
        self.model.interlude();
        let count = match self.model.choose(6) {
            3 => return Err(io::Error::from_raw_os_error(10_035)),
            4 => {
                let code = self.model.code();
                self.model.open(self.handle, "recv", |open| open.codes.push(code));
                return Err(io::Error::from_raw_os_error(code.cast_signed()));
            }
            5 => 0,
            _ => self.model.amount(into.len()),
        };
        self.model.open(self.handle, "recv", |open| {
            for byte in &mut into[..count] {
                byte.write(pattern(self.handle, open.received));
                open.received += 1;
            }
        });
        Ok(count)
    }

    pub(in crate::sys::iocp) fn shutdown(&self, _: Shutdown) -> io::Result<()> {
        self.called("shutdown").map(drop)
    }

    pub(in crate::sys::iocp) fn local_addr(&self) -> io::Result<SockAddr> {
        self.called("getsockname")
    }

    pub(in crate::sys::iocp) fn peer_addr(&self) -> io::Result<SockAddr> {
        self.called("getpeername")
    }

    /// A call that needs the handle open.
    fn called(&self, what: &str) -> io::Result<SockAddr> {
        self.model
            .open(self.handle, what, |_| address(1))
            .ok_or_else(|| io::Error::from_raw_os_error(10_038))
    }

    /// A socket of this system in its place. The model keeps the other end, to see it close.
    pub(super) fn hand_over(self) -> socket2::Socket {
        let (near, far) = UnixStream::pair().expect("descriptors are left");
        lock(&self.model.state).handed.push(OwnedFd::from(far).into());
        near.into()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.model.interlude();
        self.model.close(self.handle);
    }
}

pub(super) fn address(port: u16) -> SockAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()
}

/// Whether the other end is closed. A file, for on a pair of sockets Miri knows those calls only that
/// are for files, too.
pub(super) fn is_closed(mut end: &File) -> bool {
    // SAFETY: fcntl(2) takes no pointer for this.
    let set = unsafe { libc::fcntl(end.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) };
    assert_eq!(set, 0, "it is open: {}", io::Error::last_os_error());
    matches!(end.read(&mut [0]), Ok(0))
}
