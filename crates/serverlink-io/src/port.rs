//! The completion port.

use std::{io, sync::Arc, time::{Duration, Instant}};

use socket2::Socket;

use crate::{Handle, Handler, PortOptions};

/// A completion port. Clones refer to the same port.
#[derive(Clone, Debug)]
pub struct Port {}

/// Names one timer of one port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimerId(pub(crate) u64);

/// What one [`Port::turn`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Turn {
    /// So many events were delivered, zero if the time ran out or the port was woken.
    Delivered(usize),
    /// Another thread drives the port.
    Busy,
    /// The port was stopped.
    Stopped,
}

impl Port {
    /// Makes a port.
    pub fn new(_options: &PortOptions) -> io::Result<Self> { unimplemented!() }
    /// The backend's name.
    pub fn backend(&self) -> &'static str { unimplemented!() }
    /// Registers a socket.
    pub fn register(&self, _socket: Socket, _handler: Arc<dyn Handler>) -> io::Result<Handle> { unimplemented!() }
    /// Drives the port until it is stopped.
    pub fn run(&self) -> io::Result<()> { unimplemented!() }
    /// Waits once for completions and delivers them.
    pub fn turn(&self, _timeout: Option<Duration>) -> io::Result<Turn> { unimplemented!() }
    /// Makes a waiting `turn` return.
    pub fn wake(&self) { unimplemented!() }
    /// Delivers `Event::Posted` to `handler` on the driving thread.
    pub fn post(&self, _handler: Arc<dyn Handler>, _tag: u64) { unimplemented!() }
    /// Sets a timer.
    pub fn set_timer(&self, _deadline: Instant, _handler: Arc<dyn Handler>, _tag: u64) -> TimerId { unimplemented!() }
    /// Cancels a timer: true if it had not expired; its event then never comes.
    pub fn cancel_timer(&self, _id: TimerId) -> bool { unimplemented!() }
    /// Stops the port.
    pub fn stop(&self) { unimplemented!() }
}
