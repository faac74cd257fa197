//! A look at descriptors that are nobody's business but their owner's.

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, AsSocket};
use std::{io, marker::PhantomData, time::Duration};

#[cfg(unix)]
use crate::SignalMask;
use crate::sys::{RawDescriptor, look};

/// What a descriptor is asked about, and what is the case with it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Condition {
    /// Readable without waiting; also at the end of the stream.
    pub readable: bool,
    /// Writable without waiting.
    pub writable: bool,
    /// Urgent data is there, or whatever else the system counts as exceptional.
    pub urgent: bool,
    /// In error, hung up, or not open. Need not be asked about.
    pub failed: bool,
}

impl Condition {
    /// Whether anything at all is the case.
    #[must_use]
    pub fn any(self) -> bool {
        self != Self::default()
    }
}

/// A descriptor to look at, with [`look_at`].
#[derive(Debug, Clone)]
pub struct Descriptor<'a> {
    pub(crate) raw: RawDescriptor,
    pub(crate) asked: Condition,
    pub(crate) found: Condition,
    open: PhantomData<&'a ()>,
}

impl<'a> Descriptor<'a> {
    pub(crate) fn of(raw: RawDescriptor, asked: Condition) -> Self {
        Self { raw, asked, found: Condition::default(), open: PhantomData }
    }

    /// A descriptor, and what is asked about it.
    #[cfg(unix)]
    pub fn new(descriptor: &'a impl AsFd, asked: Condition) -> Self {
        Self::of(descriptor.as_fd().as_raw_fd(), asked)
    }

    /// A socket, and what is asked about it. Windows tells nothing of urgent data.
    #[cfg(windows)]
    pub fn new(socket: &'a impl AsSocket, asked: Condition) -> Self {
        Self::of(socket.as_socket().as_raw_socket(), asked)
    }

    /// What the last look found.
    #[must_use]
    pub fn found(&self) -> Condition {
        self.found
    }
}

/// Waits until at least one of the descriptors is as it is asked about, at most `timeout` (for ever
/// if `None`); returns how many are. With a time-out of zero it only looks.
///
/// It does not go through a port: the calling thread sleeps. A descriptor that the port serves may
/// be among them.
///
/// # Errors
///
/// What the system says when it cannot wait.
///
/// ```
/// use std::{net::UdpSocket, time::Duration};
///
/// use serverlink_io::{Condition, Descriptor, look_at};
///
/// let socket = UdpSocket::bind("127.0.0.1:0")?;
/// let mut asked = Condition::default();
/// asked.readable = true;
/// let mut descriptors = [Descriptor::new(&socket, asked)];
/// assert_eq!(look_at(&mut descriptors, Some(Duration::ZERO))?, 0);
///
/// socket.send_to(b"hello", socket.local_addr()?)?;
/// assert_eq!(look_at(&mut descriptors, None)?, 1);
/// assert!(descriptors[0].found().readable);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn look_at(descriptors: &mut [Descriptor<'_>], timeout: Option<Duration>) -> io::Result<usize> {
    look::look_at(descriptors, timeout)
}

/// The same, with other signals blocked meanwhile. The kernel changes the mask and waits in one
/// step, as in ppoll(2) (pselect(2) where there is none): a signal that is blocked before and not
/// by `mask` ends the wait, whenever it comes.
///
/// # Errors
///
/// [`Interrupted`](io::ErrorKind::Interrupted) if a signal handler ran; what the system says when it
/// cannot wait. Where there is no ppoll(2), as on macOS, descriptors from 1024 on are refused.
#[cfg(unix)]
pub fn look_at_with_signals(
    descriptors: &mut [Descriptor<'_>],
    timeout: Option<Duration>,
    mask: &SignalMask,
) -> io::Result<usize> {
    look::look_at_with_signals(descriptors, timeout, mask)
}
