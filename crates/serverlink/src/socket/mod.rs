//! Sockets: the public type, and the calls that wait.

mod endpoints;
mod groups;
mod inner;
mod monitor;
mod peering;
mod peers;
mod properties;
mod readiness;
mod status;
mod subscriptions;

use std::{fmt, mem::ManuallyDrop, sync::Arc, time::Duration};

pub(crate) use endpoints::unwanted;
pub(crate) use inner::{Patience, SocketInner};
pub(crate) use monitor::refusal_of;
pub use monitor::{
    Monitor, MonitorEvent, MonitorEventKind, MonitorFault, MonitorVersion, MonitoredPeer,
};
pub(crate) use peers::Peers;
pub(crate) use properties::{MORE, PeerInfo, SHARED, SRCFD};
pub use properties::{PeerProperties, Received};
pub use status::{PeerStatistics, PeerStatus};

use crate::{
    Context, Error, IntoMessage, Message, Result, SendError, SocketType,
    context::{Runtime, Shared},
};

/// A ZeroMQ socket.
///
/// All methods take `&self`, from any thread: share a socket by reference or
/// in an `Arc`. Messages are sent and received as a whole, however many frames
/// they have, so that threads never see parts of each other's messages.
///
/// Dropping a socket closes it. Messages it still has to send are sent in the
/// background, within the [linger](Self::set_linger) time.
///
/// ```
/// use serverlink::{Context, SocketType};
///
/// let context = Context::new()?;
/// let server = context.socket(SocketType::Rep)?;
/// let endpoint = server.bind("tcp://127.0.0.1:*")?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let request = server.recv()?;
///         server.send(format!("{} yourself", request[0].as_str().unwrap()))?;
///         Ok::<_, serverlink::Error>(())
///     });
///     let client = context.socket(SocketType::Req)?;
///     client.connect(&endpoint)?;
///     client.send("hello")?;
///     assert_eq!(client.recv()?[0], "hello yourself");
///     Ok::<_, serverlink::Error>(())
/// })?;
/// # Ok::<(), serverlink::Error>(())
/// ```
pub struct Socket {
    pub(crate) inner: Arc<SocketInner>,
    /// Keeps the context alive.
    pub(super) context: Arc<Shared>,
}

impl Socket {
    pub(crate) fn open(context: &Context, socket_type: SocketType) -> Result<Self> {
        let runtime = context.shared.runtime.clone();
        let inner = SocketInner::new(socket_type, runtime.only_port().cloned());
        {
            let (mut core, context) = (inner.core(), runtime.options());
            let options = Arc::make_mut(&mut core.peers.options);
            options.ipv6 = context.ipv6;
            options.zero_copy_receive = context.zero_copy_receive;
            if !context.blocky {
                options.linger = Some(Duration::ZERO);
            }
        }
        runtime.opened(&inner)?;
        Ok(Self { inner, context: context.shared.clone() })
    }

    /// The socket's type.
    #[must_use]
    pub fn socket_type(&self) -> SocketType {
        self.inner.socket_type()
    }

    /// Sends a message, waiting as long as the
    /// [send time-out](Self::set_send_timeout) allows for a peer that takes it.
    ///
    /// Who gets it, and whether the call waits or drops it when nobody can take it, is up to the
    /// socket's type: PUB, XPUB, ROUTER (unless mandatory), REP and XSUB never wait.
    ///
    /// CLIENT, SERVER, RADIO, SCATTER, PEER and CHANNEL send messages of one frame only. Those of a
    /// RADIO go to all that have joined the group that [they name](Message::with_group); it never
    /// waits, unless it is [told not to drop](Self::set_xpub_nodrop). Those of a SERVER
    /// or PEER go to the peer that [they name](Message::with_routing_id); when it takes none, the
    /// call waits.
    ///
    /// What goes over `udp://` is lost if the system does not take it at once. A DGRAM's messages
    /// are an address, such as `10.0.0.1:5555`, and a body of at most 65,507 bytes.
    ///
    /// A STREAM's peers speak no ZMTP. Its messages are a routing id and bytes, as the system brings
    /// them: one message holds what one read did. Before the first, and after the last, a message
    /// without bytes tells of the connection and of its end
    /// ([`set_stream_notify`](Self::set_stream_notify)); sent, such a message ends the connection,
    /// once everything else is sent. A connection that is lost is made anew, if this socket made
    /// it, and keeps its id; what was not sent over the last one is dropped. It uses `tcp://` and
    /// `ipc://` only.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] when the time is up, [`Error::InvalidState`] if it is not the socket's
    /// turn to send (REQ, REP), [`Error::NotSupported`] if its type never sends,
    /// [`Error::HostUnreachable`] (mandatory ROUTER, SERVER,
    /// PEER, STREAM), [`Error::InvalidMessage`],
    /// [`Error::Terminated`]. The error holds the message, whole.
    #[inline]
    pub fn send(&self, message: impl IntoMessage) -> Result<(), SendError> {
        self.send_patiently(message, Patience::AsSet)
    }

    /// Sends a message if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    #[inline]
    pub fn try_send(&self, message: impl IntoMessage) -> Result<(), SendError> {
        self.send_patiently(message, Patience::None)
    }

    /// Sends a message, waiting at most so long.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn send_timeout(
        &self,
        message: impl IntoMessage,
        timeout: Duration,
    ) -> Result<(), SendError> {
        self.send_patiently(message, Patience::For(timeout))
    }

    /// Inlined, so that the message is sent from where it was made.
    #[inline]
    fn send_patiently(&self, what: impl IntoMessage, patience: Patience) -> Result<(), SendError> {
        // Dropped by hand, which is quickly done for a small one.
        let mut message = ManuallyDrop::new(Message::new());
        what.fill(&mut message);
        match self.inner.send(&mut message, patience) {
            Ok(()) => {
                message.clear();
                Ok(())
            }
            Err(error) => Err(SendError { error, message: ManuallyDrop::into_inner(message) }),
        }
    }

    /// Receives a message, waiting as long as the
    /// [receive time-out](Self::set_receive_timeout) allows.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] when the time is up, [`Error::InvalidState`] if it is not the socket's
    /// turn to receive (REQ, REP), [`Error::NotSupported`] if its type never receives,
    /// [`Error::Terminated`].
    #[inline]
    pub fn recv(&self) -> Result<Message> {
        self.receive(Patience::AsSet)
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Message> {
        self.receive(Patience::None)
    }

    /// Receives a message, waiting at most so long.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<Message> {
        self.receive(Patience::For(timeout))
    }

    /// Receives a message in the place of another, waiting as [`recv`](Self::recv) does. To look at
    /// a small message where it was received is faster than to move it first.
    ///
    /// ```
    /// # use serverlink::{Context, Message, SocketType};
    /// # let context = Context::new()?;
    /// # let (push, pull) = (context.socket(SocketType::Push)?, context.socket(SocketType::Pull)?);
    /// # pull.bind("inproc://sums")?;
    /// # push.connect("inproc://sums")?;
    /// let mut message = Message::new();
    /// for number in [1, 2, 3] {
    ///     push.send([number])?;
    ///     pull.recv_into(&mut message)?;
    ///     assert_eq!(message[0][..], [number]);
    /// }
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv); then `message` has no frames.
    #[inline]
    pub fn recv_into(&self, message: &mut Message) -> Result<()> {
        self.receive_within(message, Patience::AsSet)
    }

    /// Receives a message in the place of another if there is one.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv); then `message` has no frames.
    #[inline]
    pub fn try_recv_into(&self, message: &mut Message) -> Result<()> {
        self.receive_within(message, Patience::None)
    }

    /// Inlined, so that the message is received to where it is returned.
    #[inline]
    fn receive(&self, patience: Patience) -> Result<Message> {
        let mut received = Ok(Message::new());
        if let Ok(message) = &mut received
            && let Err(error) = self.receive_within(message, patience)
        {
            received = Err(error);
        }
        received
    }

    #[inline]
    fn receive_within(&self, message: &mut Message, patience: Patience) -> Result<(), Error> {
        message.clear();
        self.inner.receive(message, patience)
    }

    /// How many peers there are whose handshake is complete.
    #[must_use]
    pub fn peer_count(&self) -> usize {
        self.inner.peer_count()
    }

    /// Closes the socket, as dropping it does.
    pub fn close(self) {}

    pub(super) fn runtime(&self) -> &Arc<Runtime> {
        &self.context.runtime
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.inner.close(&self.context.runtime);
        self.context.runtime.closed();
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("socket_type", &self.socket_type())
            .field("last_endpoint", &self.last_endpoint())
            .field("peers", &self.peer_count())
            .finish()
    }
}
