//! The boundary to the system: what the backend asks of it, and nothing else.
//!
//! Everything above this line (the pending flags and counts, retiring,
//! cancelling, repetition, classification, freeing, the turn) is the same code
//! on every platform. [`Kernel`] is chosen when it is compiled: the system
//! calls on Windows, a model of them that does whatever they may do in the
//! tests of other platforms.

use std::{ffi::c_void, io, time::Instant};

use socket2::{SockAddr, socklen_t};

use super::probe::Poll;
use crate::{Event, sys::RawDescriptor};

/// The system's calls.
#[cfg(windows)]
pub(super) type Kernel = super::windows::Kernel;
/// A model of the system's calls.
#[cfg(not(windows))]
pub(super) type Kernel = super::model::Kernel;

pub(super) type Accepting = <Kernel as System>::Accepting;
pub(super) type Addresses = <Kernel as System>::Addresses;
pub(super) type Connecting = <Kernel as System>::Connecting;
pub(super) type Device = <Kernel as System>::Device;
pub(super) type Overlapped = <Kernel as System>::Overlapped;
pub(super) type Packet = <Kernel as System>::Packet;
pub(super) type Socket = <Kernel as System>::Socket;
pub(super) type Vector = <Kernel as System>::Vector;

/// The system's name of a socket, a pipe or a device (`HANDLE`, `SOCKET`).
pub(super) type Handle = usize;

/// What a stream is, where that makes a difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// A socket.
    Socket,
    /// A named pipe. A call takes one buffer; what a receive of no bytes announced is read by
    /// another; and that a receive brought none is not the end of the stream, which an error code
    /// tells.
    Pipe,
}

/// The key of a packet that ends an operation; its `OVERLAPPED` says which.
pub(super) const OPERATION_KEY: usize = 0;
/// The key of the packet that makes a wait return.
pub(super) const WAKE_KEY: usize = 1;
/// The key of the packet that stops the port.
pub(super) const SHUTDOWN_KEY: usize = usize::MAX;

/// A completion port, and the calls on what is associated with it.
///
/// The calls that hand an operation over (`receive`, `send`, `accept`,
/// `connect`, `poll`) share one promise of their callers: the handle is open
/// and of the right kind, and the `Overlapped` and all memory that is pointed
/// to stay where they are, touched by nobody, until the operation's packet is
/// dequeued, if the call leads to one. An array of [`Vector`]s is captured
/// within the call.
pub(super) trait System: Sized + Send + Sync {
    /// What accepting on a listener takes.
    type Accepting: Copy + Send + Sync;
    /// Where an accept has the addresses written.
    type Addresses;
    /// What connecting a socket takes.
    type Connecting: Clone + Send;
    /// Answers probes of any socket.
    type Device: Send + Sync;
    /// The kernel's part of an operation.
    type Overlapped: Default;
    /// One entry of the completion port's queue.
    type Packet: Clone + Default;
    /// A socket that is ours, or a pipe; closed when dropped.
    type Socket: Send + Sync;
    /// One buffer of a call.
    type Vector;

    /// Makes a completion port.
    fn new() -> io::Result<Self>;

    /// The time, as waits count it.
    fn now(&self) -> Instant;

    /// Queues a packet without an operation.
    fn post(&self, key: usize) -> io::Result<()>;

    /// Waits for packets, at most `milliseconds` (for ever if `u32::MAX`), not alertably, and
    /// tells how many there are, or the error code.
    fn dequeue(&self, into: &mut [Self::Packet], milliseconds: u32) -> Result<usize, u32>;

    /// Whether that takes longer if there are fewer packets than there is room for.
    fn looks_for_each_packet() -> bool;

    /// The key, the operation if it is one's end, and the count of bytes.
    fn read(packet: &Self::Packet) -> (usize, *mut Self::Overlapped, u32);

    /// Sends the completions of a socket here, for ever: Windows allows a handle one port only.
    fn associate(&self, socket: &Self::Socket) -> io::Result<()>;

    /// Asks for no packet upon success at once, where that works. True if so it is.
    fn skip_on_success(&self, socket: &Self::Socket) -> bool;

    /// Names a socket; 0, if it is a pipe that has no handle yet, or several.
    fn handle(socket: &Self::Socket) -> Handle;

    /// What it is.
    fn nature(socket: &Self::Socket) -> Nature;

    /// Names a socket that is somebody else's.
    fn foreign(descriptor: RawDescriptor) -> Handle;

    /// Of a caller.
    fn take_over(socket: socket2::Socket) -> Self::Socket;

    /// For a handler: an accepted socket.
    fn hand_over(socket: Self::Socket, peer: SockAddr) -> Event;

    /// Whether the operation, which has ended, has the status of success.
    ///
    /// # Safety
    ///
    /// The kernel is done with it.
    unsafe fn succeeded(overlapped: *const Self::Overlapped) -> bool;

    /// How an operation ended: its bytes, or its error code.
    ///
    /// # Safety
    ///
    /// `handle` is what it was issued on, still open, and the kernel is done
    /// with the operation. `device` tells whether `handle` is a device's, or a pipe's.
    unsafe fn result(
        &self,
        handle: Handle,
        overlapped: *mut Self::Overlapped,
        device: bool,
    ) -> Result<u32, u32>;

    /// Asks for the end of an operation, or with null of all of `handle`. A hint, of which nothing
    /// follows: the packet may be queued already.
    ///
    /// # Safety
    ///
    /// The handle is open if anything is pending on it.
    unsafe fn cancel(&self, handle: Handle, overlapped: *const Self::Overlapped);

    /// A buffer.
    fn vector(start: *mut u8, length: u32) -> Self::Vector;

    /// Receives.
    ///
    /// # Safety
    ///
    /// See [`System`]. There are `count` vectors.
    unsafe fn receive(
        &self,
        nature: Nature,
        socket: Handle,
        vectors: *const Self::Vector,
        count: u32,
        overlapped: *mut Self::Overlapped,
    ) -> Called;

    /// Sends.
    ///
    /// # Safety
    ///
    /// See [`System`]. There are `count` vectors.
    unsafe fn send(
        &self,
        nature: Nature,
        socket: Handle,
        vectors: *const Self::Vector,
        count: u32,
        overlapped: *mut Self::Overlapped,
    ) -> Called;

    /// What accepting on `listener` takes.
    fn accepting(&self, listener: &Self::Socket) -> io::Result<Self::Accepting>;

    /// A socket that may become a connection.
    fn unconnected(
        &self,
        listener: &Self::Socket,
        accepting: Self::Accepting,
    ) -> io::Result<Self::Socket>;

    /// The handle that an accept is an operation of: the listener's, or the future connection's.
    fn accept_on(listener: Handle, socket: &Self::Socket) -> Handle;

    /// Room for addresses.
    fn addresses() -> Self::Addresses;

    /// Accepts a connection, which `socket` becomes.
    ///
    /// # Safety
    ///
    /// See [`System`].
    unsafe fn accept(
        &self,
        listener: Handle,
        accepting: Self::Accepting,
        socket: Handle,
        addresses: *mut Self::Addresses,
        overlapped: *mut Self::Overlapped,
    ) -> Called;

    /// Makes the accepted socket a full one, and reads the peer's address.
    ///
    /// # Safety
    ///
    /// `accept` succeeded with these.
    unsafe fn accepted(
        &self,
        listener: &Self::Socket,
        accepting: Self::Accepting,
        socket: &Self::Socket,
        addresses: *mut Self::Addresses,
    ) -> io::Result<SockAddr>;

    /// Makes a socket ready to connect to `peer`.
    fn connecting(&self, socket: &Self::Socket, peer: &SockAddr) -> io::Result<Self::Connecting>;

    /// The handle that a connect is an operation of: the socket's, or the one at which a pipe waits
    /// for its turn.
    fn connect_on(&self, socket: &Self::Socket) -> io::Result<Handle>;

    /// Connects, or waits until it is worth another try.
    ///
    /// # Safety
    ///
    /// See [`System`]. The handle is that of `connect_on`. The address is a whole one, of `length`
    /// bytes.
    unsafe fn connect(
        &self,
        socket: Handle,
        connecting: Self::Connecting,
        address: *const c_void,
        length: socklen_t,
        overlapped: *mut Self::Overlapped,
    ) -> Called;

    /// Makes the connected socket a full one. False if it is not connected: `connect` has only
    /// waited.
    fn connected(&self, socket: &Self::Socket) -> io::Result<bool>;

    /// Opens the device that answers probes, on this port.
    fn device(&self) -> io::Result<Self::Device>;

    /// Names the device.
    fn device_handle(device: &Self::Device) -> Handle;

    /// The socket of the base provider underneath any layers: only that is the device's.
    fn base(&self, socket: Handle) -> io::Result<Handle>;

    /// Asks the device about a socket. The answer overwrites the question.
    ///
    /// # Safety
    ///
    /// See [`System`].
    unsafe fn poll(
        &self,
        device: Handle,
        poll: *mut Poll,
        overlapped: *mut Self::Overlapped,
    ) -> Called;
}

/// How a call that hands an operation to the kernel returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Called {
    /// A packet follows.
    Pending,
    /// Success; a packet follows unless the socket skips it.
    Done(usize),
    /// Success; no packet follows.
    Ended,
    /// No packet follows.
    Failed(u32),
}
