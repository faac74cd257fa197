//! Winsock's select, with sets of any length.
//!
//! Its `fd_set` is a count and as many sockets; the count decides, not the
//! declared length ("select function (winsock2.h)", "Remarks").

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    os::windows::io::{AsRawSocket, RawSocket},
    ptr,
    sync::Mutex,
    time::Duration,
};

use windows_sys::Win32::Networking::WinSock::{self, SOCKET, SOCKET_ERROR, TIMEVAL};

use crate::{Interest, lock::lock, sys::readiness::Want};

/// See `Backend::timer_grain`: the period of the system's clock.
pub(super) const TIMER_GRAIN: Duration = Duration::from_micros(15_625);

/// An `fd_set`: the count in the first element, where the padding makes room for a whole one on
/// a little-endian machine, then the sockets.
#[derive(Debug)]
struct Set(Vec<SOCKET>);

impl Default for Set {
    fn default() -> Self {
        Self(vec![0])
    }
}

impl Set {
    fn clear(&mut self) {
        self.0.truncate(1);
        self.0[0] = 0;
    }

    fn insert(&mut self, socket: RawSocket) {
        self.0.push(socket as SOCKET);
        self.0[0] += 1;
    }

    /// Makes `contains` work on what a call left.
    fn order(&mut self) {
        let count = self.0[0].min(self.0.len() - 1);
        self.0.truncate(count + 1);
        self.0[1..].sort_unstable();
    }

    fn contains(&self, socket: RawSocket) -> bool {
        self.0[1..].binary_search(&(socket as SOCKET)).is_ok()
    }

    fn as_mut_ptr(&mut self) -> *mut WinSock::FD_SET {
        self.0.as_mut_ptr().cast()
    }
}

/// The sets of one call.
#[derive(Debug, Default)]
pub(super) struct Sets {
    read: Set,
    write: Set,
    /// Connects that failed are told of here.
    except: Set,
}

impl Sets {
    pub(super) fn clear(&mut self) {
        self.read.clear();
        self.write.clear();
        self.except.clear();
    }

    pub(super) fn add(&mut self, socket: RawSocket, read: bool, write: Option<Want>) {
        if read {
            self.read.insert(socket);
        }
        if write.is_some() {
            self.write.insert(socket);
        }
        if write == Some(Want::Connect) {
            self.except.insert(socket);
        }
    }

    /// Waits, and leaves those that are ready in the sets.
    pub(super) fn select(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let limit = timeout.map(time_value);
        // SAFETY: each set holds as many sockets as its count says; `limit` is valid for the
        // call, or null to wait for ever.
        let count = unsafe {
            WinSock::select(
                0,
                self.read.as_mut_ptr(),
                self.write.as_mut_ptr(),
                self.except.as_mut_ptr(),
                limit.as_ref().map_or(ptr::null(), ptr::from_ref),
            )
        };
        if count == SOCKET_ERROR {
            // SAFETY: takes nothing.
            return Err(io::Error::from_raw_os_error(unsafe { WinSock::WSAGetLastError() }));
        }
        self.read.order();
        self.write.order();
        self.except.order();
        Ok(())
    }

    pub(super) fn is_readable(&self, socket: RawSocket) -> bool {
        self.read.contains(socket)
    }

    pub(super) fn is_writable(&self, socket: RawSocket) -> bool {
        self.write.contains(socket) || self.except.contains(socket)
    }
}

/// Rounded up: a timer must not be early. At most a day: a wait may end early.
fn time_value(timeout: Duration) -> TIMEVAL {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let micros = timeout.min(DAY).as_nanos().div_ceil(1_000);
    TIMEVAL { tv_sec: (micros / 1_000_000) as i32, tv_usec: (micros % 1_000_000) as i32 }
}

/// What of `interest` is the case now.
pub(super) fn check(socket: RawSocket, interest: Interest) -> io::Result<Interest> {
    let mut sets = Sets::default();
    // As of a connect, so that a failed one counts as writable.
    sets.add(socket, interest.readable, interest.writable.then_some(Want::Connect));
    sets.select(Some(Duration::ZERO))?;
    Ok(Interest { readable: sets.is_readable(socket), writable: sets.is_writable(socket) })
}

/// A datagram socket connected with itself that ends the wait.
#[derive(Debug)]
pub(super) struct Waker {
    socket: UdpSocket,
    /// Wine (8.0) refuses to send (`WSAEWOULDBLOCK`) while another thread is still in its call, although
    /// that one's datagram may have been received already: then nothing would end the wait.
    sending: Mutex<()>,
}

impl Waker {
    pub(super) fn new() -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        // From now on it takes datagrams from nobody else.
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Self { socket, sending: Mutex::default() })
    }

    pub(super) fn descriptor(&self) -> RawSocket {
        self.socket.as_raw_socket()
    }

    pub(super) fn wake(&self) {
        // If it is full, it wakes already.
        let _ = self.send();
    }

    fn send(&self) -> io::Result<usize> {
        let _alone = lock(&self.sending);
        self.socket.send(&[1])
    }

    pub(super) fn drain(&self) {
        let mut byte = [0];
        while self.socket.recv(&mut byte).is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn threads_that_wake_at_once_do_not_keep_each_other_from_it() {
        let waker = Waker::new().expect("it starts");
        thread::scope(|scope| {
            for _ in 0..4 {
                // Few enough for all to have room.
                scope
                    .spawn(|| (0..25).for_each(|_| assert_eq!(waker.send().expect("it wakes"), 1)));
            }
        });
        let readable = Interest { readable: true, writable: false };
        assert_eq!(check(waker.descriptor(), readable).expect("it is a socket"), readable);
        waker.drain();
    }
}
