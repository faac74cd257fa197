//! One registered descriptor.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use socket2::SockAddr;

use crate::{
    Condition, Descriptor, Interest, diagnostics, errors, look_at,
    sys::{Entry, RawDescriptor},
};

/// A descriptor registered with a [`Port`](crate::Port).
///
/// Dropping it retires the registration; to share it, put it into an [`Arc`]. A handler may hold the
/// handle of its own registration: retiring releases the handler and so breaks that cycle.
///
/// Every operation that starts is answered by exactly one event, except that a
/// retired handle's are answered by none. One operation may be pending in each
/// [`Direction`]; a second one is refused with
/// [`ResourceBusy`](io::ErrorKind::ResourceBusy), and everything on a retired
/// handle with [`NotConnected`](io::ErrorKind::NotConnected). On a descriptor
/// that is only [watched](crate::Port::watch) everything but probes is refused
/// with [`InvalidInput`](io::ErrorKind::InvalidInput). All methods may
/// be called from any thread, and from within handlers.
#[derive(Debug)]
pub struct Handle {
    entry: Arc<dyn Entry>,
    /// What it watches, if that is not its own.
    watched: Option<Box<Watched>>,
}

#[derive(Debug)]
struct Watched {
    descriptor: RawDescriptor,
    retired: AtomicBool,
}

/// There is one of each connection.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Handle>() <= 24);

impl Drop for Handle {
    fn drop(&mut self) {
        self.entry.retire();
    }
}

/// Which pending operation to cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Accept, receive, or a probe for readability.
    Inward,
    /// Connect, send, or a probe for writability.
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
    pub(crate) fn new(entry: Arc<dyn Entry>, watched: Option<RawDescriptor>) -> Self {
        let watched = watched
            .map(|descriptor| Box::new(Watched { descriptor, retired: AtomicBool::new(false) }));
        Self { entry, watched }
    }

    /// Waits for one connection on a listening socket; answered by
    /// [`Event::Accepted`](crate::Event::Accepted).
    ///
    /// Connections that failed before they were accepted are passed over. When
    /// the process has run out of descriptors the event carries that error: let
    /// some time pass before accepting again, as after any that
    /// [`is_temporary`](crate::is_temporary).
    ///
    /// # Errors
    ///
    /// Refusals only; see [`Handle`].
    pub fn accept(&self) -> io::Result<()> {
        self.entry.accept()
    }

    /// Connects to `address`; answered by [`Event::Connected`](crate::Event::Connected).
    ///
    /// A socket makes one attempt: after a failed or cancelled one, register a
    /// new socket.
    ///
    /// # Errors
    ///
    /// Refusals (see [`Handle`]), and what the kernel rejects at once; no event
    /// follows then.
    pub fn connect(&self, address: &SockAddr) -> io::Result<()> {
        self.entry.connect(address)
    }

    /// Receives once; answered by [`Event::Received`](crate::Event::Received), never within the
    /// call.
    ///
    /// With `None` the engine supplies a buffer of
    /// [`PortOptions::receive_buffer`](crate::PortOptions::receive_buffer)
    /// bytes once there is data, so that an idle connection pins no memory.
    /// With a buffer, the bytes are appended to what it holds, within its spare
    /// capacity. End of stream adds no byte. If the event carries an error the
    /// buffer is gone with what it held.
    ///
    /// # Errors
    ///
    /// Refusals (see [`Handle`]), and [`InvalidInput`](io::ErrorKind::InvalidInput) if `buffer`
    /// has no spare capacity.
    pub fn receive(&self, buffer: Option<BytesMut>) -> io::Result<()> {
        self.entry.receive(buffer)
    }

    /// Sends all of `buffers`, in order.
    ///
    /// The calling thread hands to the kernel what it takes at once; if that is
    /// everything, or it fails, the answer is [`Sending::Done`]. Otherwise the
    /// rest follows as the kernel makes room, and
    /// [`Event::Sent`](crate::Event::Sent) answers.
    pub fn send(&self, buffers: Vec<Bytes>) -> Sending {
        self.entry.send(buffers)
    }

    /// Waits until the descriptor is ready in one of the ways of `interest`; answered by
    /// [`Event::Ready`](crate::Event::Ready), which tells in which of them it is ready. It looks
    /// at what is the case, not at what changes: a descriptor that is ready already is reported by
    /// the next turn.
    ///
    /// # Errors
    ///
    /// Refusals (see [`Handle`]), and [`InvalidInput`](io::ErrorKind::InvalidInput) for an
    /// interest in nothing.
    pub fn probe(&self, interest: Interest) -> io::Result<()> {
        self.entry.probe(interest)
    }

    /// What is the case now with a descriptor that is only [watched](crate::Port::watch). It neither
    /// waits nor disturbs a probe.
    ///
    /// # Errors
    ///
    /// Those of [`look_at`](crate::look_at); [`InvalidInput`](io::ErrorKind::InvalidInput) for any
    /// other handle, and [`NotConnected`](io::ErrorKind::NotConnected) after it was retired.
    pub fn look(&self, asked: Condition) -> io::Result<Condition> {
        let Some(watched) = &self.watched else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        if watched.retired.load(Ordering::SeqCst) {
            return Err(errors::retired());
        }
        let mut descriptor = [Descriptor::of(watched.descriptor, asked)];
        look_at(&mut descriptor, Some(Duration::ZERO))?;
        Ok(descriptor[0].found())
    }

    /// Cancels what is pending in one direction, if anything is.
    ///
    /// The operation is still answered by its one event, which either carries
    /// an error that [`is_cancelled`](crate::is_cancelled) or tells that it had
    /// been completed before. A probe of both directions ends as a whole, by
    /// either.
    pub fn cancel(&self, direction: Direction) {
        diagnostics::cancelling(direction);
        self.entry.cancel(direction);
    }

    /// Shuts down the sending half: the peer finds the end of the stream after what was sent.
    ///
    /// # Errors
    ///
    /// Refusals (see [`Handle`]; a pending send is one reason), and those of
    /// shutdown(2).
    pub fn shutdown_send(&self) -> io::Result<()> {
        self.entry.shutdown_send()
    }

    /// Ends the registration: what is pending is cancelled without an event, the handler is
    /// released, and a registered socket is closed as soon as nothing can touch it any more.
    ///
    /// When this returns on the driving thread, no event of the registration
    /// follows. When it returns on another thread, one that the driving thread
    /// is delivering at that moment may still arrive.
    pub fn retire(&self) {
        if let Some(watched) = &self.watched {
            watched.retired.store(true, Ordering::SeqCst);
        }
        self.entry.retire();
    }

    /// The local address.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2), and refusals (see [`Handle`]).
    pub fn local_address(&self) -> io::Result<SockAddr> {
        self.entry.local_address()
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2), and refusals (see [`Handle`]).
    pub fn peer_address(&self) -> io::Result<SockAddr> {
        self.entry.peer_address()
    }
}
