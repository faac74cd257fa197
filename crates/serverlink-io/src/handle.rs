//! One registered socket.

use std::io;

use bytes::{Bytes, BytesMut};
use socket2::SockAddr;

/// A socket registered with a [`Port`](crate::Port).
///
/// Clones refer to the same registration. Dropping the last clone retires it.
#[derive(Clone, Debug)]
pub struct Handle {}

/// Which pending operation to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Accept, receive, or the readable half of a probe.
    Inward,
    /// Connect, send, or the writable half of a probe.
    Outward,
}

/// How a [`Handle::send`] began.
#[derive(Debug)]
pub enum Sending {
    /// It ended at once, in the calling thread; no event follows.
    Done {
        /// The buffers given, all of them, as they were.
        buffers: Vec<Bytes>,
        /// How many bytes of them the kernel took.
        sent: usize,
        /// The outcome.
        result: io::Result<()>,
    },
    /// The kernel will take the bytes in its time; [`Event::Sent`](crate::Event::Sent) follows.
    Pending,
}

impl Handle {
    /// Waits for one connection on a listening socket.
    pub fn accept(&self) -> io::Result<()> { unimplemented!() }
    /// Connects to `address`.
    pub fn connect(&self, _address: &SockAddr) -> io::Result<()> { unimplemented!() }
    /// Receives once; never completes within the call.
    pub fn receive(&self, _buffer: Option<BytesMut>) -> io::Result<()> { unimplemented!() }
    /// Sends all of `buffers`, in order.
    pub fn send(&self, _buffers: Vec<Bytes>) -> Sending { unimplemented!() }
    /// Waits until the descriptor is ready.
    pub fn probe(&self, _interest: crate::Interest) -> io::Result<()> { unimplemented!() }
    /// Cancels what is pending in one direction.
    pub fn cancel(&self, _direction: Direction) { unimplemented!() }
    /// Shuts down the sending half.
    pub fn shutdown_send(&self) -> io::Result<()> { unimplemented!() }
    /// Ends the registration.
    pub fn retire(&self) { unimplemented!() }
    /// The local address.
    pub fn local_address(&self) -> io::Result<SockAddr> { unimplemented!() }
    /// The peer's address.
    pub fn peer_address(&self) -> io::Result<SockAddr> { unimplemented!() }
}
