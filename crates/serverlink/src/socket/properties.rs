//! What is known of the peer of a connection, and of whom a message came from.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use serverlink_zmtp::{SocketType, Version};

use super::{Socket, inner::Patience};
use crate::{Error, Message, Result, options::Options};

/// What the handshake told of a peer.
pub(crate) type PeerInfo = Arc<PeerProperties>;

/// What is known of the peer of one connection: what it told of itself in the handshake, and where
/// it is. See [`Socket::recv_with_peer`] and [`PeerStatus`](crate::PeerStatus).
///
/// It stays as it is when the connection is over; another connection has another one.
#[derive(Clone, PartialEq, Eq)]
pub struct PeerProperties {
    pub(crate) socket_type: Option<SocketType>,
    pub(crate) routing_id: Bytes,
    /// The protocol's version it speaks.
    pub(crate) version: Version,
    /// Whether it takes subscriptions to patterns.
    pub(crate) takes_patterns: bool,
    /// Of these, first what an authenticator told,
    pub(crate) metadata: Box<[(String, Bytes)]>,
    /// which are so many.
    pub(crate) vouched: u16,
    pub(crate) address: Option<Box<str>>,
    pub(crate) descriptor: Option<u64>,
    /// Whether it speaks no ZMTP.
    pub(crate) is_raw: bool,
}

/// There is one of each connection.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<PeerProperties>() <= 88);

impl PeerProperties {
    /// Of one of which nothing is known but that it is there.
    pub(crate) fn of_stranger(version: Version) -> Self {
        Self {
            socket_type: None,
            routing_id: Bytes::new(),
            version,
            takes_patterns: false,
            metadata: Box::default(),
            vouched: 0,
            address: None,
            descriptor: None,
            is_raw: false,
        }
    }

    /// What a socket of the same context would tell in a handshake.
    pub(crate) fn inproc(options: &Options, socket_type: SocketType) -> PeerInfo {
        Arc::new(Self {
            socket_type: Some(socket_type),
            routing_id: options.routing_id.clone(),
            metadata: options.metadata.clone().into(),
            takes_patterns: true,
            ..Self::of_stranger(Version::V3_1)
        })
    }

    /// Its socket type; none if it did not tell: ZMTP 1.0 has no place for it, and what a STREAM
    /// talks to has none.
    #[must_use]
    pub fn socket_type(&self) -> Option<SocketType> {
        self.socket_type
    }

    /// The name that it calls itself by; empty if it has none.
    #[must_use]
    pub fn routing_id(&self) -> &Bytes {
        &self.routing_id
    }

    /// The version of ZMTP it speaks: major and minor number.
    #[must_use]
    pub fn version(&self) -> (u8, u8) {
        (self.version.0, self.version.1)
    }

    /// What else it told, in its order and spelling: above all what its
    /// [metadata option](Socket::set_metadata) is set to.
    #[must_use]
    pub fn metadata(&self) -> &[(String, Bytes)] {
        self.metadata.get(usize::from(self.vouched)..).unwrap_or_default()
    }

    /// What the ZAP handler that has let it in told of it (RFC 27): first its `User-Id`, then metadata.
    /// Nothing if no handler was asked: see [`set_zap_domain`](Socket::set_zap_domain).
    #[must_use]
    pub fn vouched(&self) -> &[(String, Bytes)] {
        self.metadata.get(..usize::from(self.vouched)).unwrap_or_default()
    }

    /// The name of the user, as whoever has let it in told it.
    #[must_use]
    pub fn user_id(&self) -> Option<&[u8]> {
        self.get("User-Id")
    }

    /// Where it is: its IP address over `tcp://`; over `ipc://`, `localhost` and, where the system
    /// told when it was accepted, its user, group and process id (`localhost:1000:1000:4321`). None
    /// within the process.
    #[must_use]
    pub fn address(&self) -> Option<&str> {
        self.address.as_deref()
    }

    /// The number of the descriptor (on Windows, of the socket) by which our end of the connection
    /// is known to the system (`ZMQ_SRCFD`): to look something up with, such as the options of the
    /// connection. It is not to be read from, written to or closed, and when the connection is over
    /// the number may belong to something else. None within the process, and of named pipes.
    #[must_use]
    pub fn descriptor(&self) -> Option<u64> {
        self.descriptor
    }

    /// A property by its name, as `zmq_msg_gets` tells it; none if there is no such.
    ///
    /// The names are `Peer-Address`, those that an [authenticator](Self::vouched) told, `Socket-Type`,
    /// `Routing-Id` or `Identity`, and those of the [metadata](Self::metadata); of several by one name it
    /// is the first in this order. Case does not matter (RFC 37, "Connection Metadata"). `Resource` and
    /// `User-Id` are there if the peer told a resource, or an authenticator a user.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        if is("Peer-Address") {
            return self.address().map(str::as_bytes);
        }
        // That is for an authenticator to tell, not for the peer.
        let told = if is("User-Id") { &[] } else { self.metadata() };
        let find =
            |properties: &'_ [(String, Bytes)]| properties.iter().position(|(other, _)| is(other));
        if let Some(at) = find(self.vouched()) {
            return Some(&self.vouched()[at].1);
        }
        if is("Socket-Type") {
            return self.socket_type.map(|socket_type| socket_type.as_str().as_bytes());
        }
        if is("Identity") || is("Routing-Id") {
            // Of those types that tell it, one without a name told that.
            let tells = self.socket_type.is_some_and(SocketType::announces_routing_id);
            return (tells || !self.routing_id.is_empty()).then_some(&self.routing_id[..]);
        }
        find(told).map(|at| &told[at].1[..])
    }
}

impl fmt::Debug for PeerProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerProperties")
            .field("socket_type", &self.socket_type)
            .field("routing_id", &self.routing_id)
            .field("address", &self.address)
            .field("vouched", &self.vouched())
            .field("metadata", &self.metadata())
            .finish_non_exhaustive()
    }
}

/// A message, and whom it came from: see [`Socket::recv_with_peer`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Received {
    /// The message.
    pub message: Message,
    /// What is known of the peer, as of the connection that the message came by. None if nothing
    /// is: of datagrams, and of what an XPUB receives once the subscriber has left.
    pub peer: Option<Arc<PeerProperties>>,
}

/// `ZMQ_MORE`.
pub(crate) const MORE: i32 = 1;
/// `ZMQ_SRCFD`.
pub(crate) const SRCFD: i32 = 2;
/// `ZMQ_SHARED`.
pub(crate) const SHARED: i32 = 3;

impl Received {
    /// A property of the connection that the message came by, as `zmq_msg_gets` tells it: see
    /// [`PeerProperties::get`].
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&[u8]> {
        self.peer.as_ref()?.get(name)
    }

    /// What libzmq's `zmq_msg_get` tells of a frame of the message, by the option's number in the C
    /// API: [`message_options`](crate::message_options) has them.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownOption`], and [`Error::InvalidOption`] if there is no such frame, or no
    /// descriptor that it came by.
    pub fn option(&self, frame: usize, id: i32) -> Result<i32> {
        let Some(body) = self.message.frame(frame) else {
            let reason = format!("the message has {} frames", self.message.len());
            return Err(Error::InvalidOption { option: "frame", reason });
        };
        match id {
            MORE => Ok((frame + 1 < self.message.len()).into()),
            SHARED => Ok(body.is_shared().into()),
            SRCFD => {
                let descriptor = self.peer.as_ref().and_then(|peer| peer.descriptor());
                descriptor.and_then(|number| number.try_into().ok()).ok_or_else(|| {
                    let reason = "it came by no descriptor, or by one that is no int".to_owned();
                    Error::InvalidOption { option: "source_descriptor", reason }
                })
            }
            _ => Err(Error::UnknownOption { id }),
        }
    }
}

impl Socket {
    /// Receives a message as [`recv`](Self::recv) does, together with what is known of the peer
    /// that it came from: its socket type, its name, its address, its metadata.
    ///
    /// It takes hold of what the handshake told, and so costs a little more than `recv`, which
    /// pays nothing for it. What is told belongs to the very connection that the message came by,
    /// also if that is lost meanwhile and there is another one.
    ///
    /// ```
    /// use serverlink::{Context, SocketType};
    ///
    /// let context = Context::new()?;
    /// let server = context.socket(SocketType::Pull)?;
    /// let client = context.socket(SocketType::Push)?;
    /// client.set_metadata(&[("X-version", "7")])?;
    /// client.connect(&server.bind("tcp://127.0.0.1:*")?)?;
    /// client.send("hello")?;
    ///
    /// let received = server.recv_with_peer()?;
    /// assert_eq!(received.message[0], "hello");
    /// let peer = received.peer.as_ref().unwrap();
    /// assert_eq!(peer.socket_type(), Some(SocketType::Push));
    /// assert_eq!(received.property("Peer-Address"), Some(&b"127.0.0.1"[..]));
    /// assert_eq!(received.property("X-version"), Some(&b"7"[..]));
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn recv_with_peer(&self) -> Result<Received> {
        self.receive_with_peer(Patience::AsSet)
    }

    /// The same, if there is a message.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv).
    pub fn try_recv_with_peer(&self) -> Result<Received> {
        self.receive_with_peer(Patience::None)
    }

    fn receive_with_peer(&self, patience: Patience) -> Result<Received> {
        let mut message = Message::new();
        let peer = self.inner.receive_from(&mut message, patience)?;
        Ok(Received { message, peer })
    }
}

/// Those of a peer's connections whose messages are not all read yet, and when each began.
#[derive(Debug, Default)]
pub(super) struct Sources {
    present: Option<PeerInfo>,
    /// Former ones, which few peers have.
    former: Option<Box<Former>>,
}

/// Connections that are over, and how many messages had come when they ended.
#[derive(Debug, Default)]
struct Former(Vec<(usize, PeerInfo)>);

impl Sources {
    /// Another connection is there, after `come` messages of which `read` are read.
    pub(super) fn begin(&mut self, info: PeerInfo, come: usize, read: usize) {
        if let Some(last) = self.present.replace(info)
            && come > read
        {
            let former = &mut self.former.get_or_insert_default().0;
            if former.last().is_none_or(|(end, _)| *end < come) {
                former.push((come, last));
            }
        }
        if let Some(Former(former)) = self.former.as_deref_mut() {
            former.retain(|(end, _)| *end > read);
            if former.is_empty() {
                self.former = None;
            }
        }
    }

    /// That of the last connection.
    pub(super) fn present(&self) -> Option<&PeerInfo> {
        self.present.as_ref()
    }

    /// That of the message of this number, from 0.
    pub(super) fn of(&self, number: usize) -> Option<&PeerInfo> {
        let mut former = self.former.iter().flat_map(|former| &former.0);
        let former = former.find(|(end, _)| number < *end);
        former.map(|(_, info)| info).or(self.present.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &'static str) -> PeerInfo {
        let mut info = PeerProperties::of_stranger(Version::V3_1);
        info.routing_id = Bytes::from_static(name.as_bytes());
        Arc::new(info)
    }

    fn name(sources: &Sources, number: usize) -> &[u8] {
        &sources.of(number).unwrap().routing_id
    }

    fn former(sources: &Sources) -> usize {
        sources.former.as_ref().map_or(0, |former| former.0.len())
    }

    #[test]
    fn a_message_belongs_to_the_connection_it_came_by() {
        let mut sources = Sources::default();
        assert_eq!(sources.of(0), None);
        // Messages may come before their connection is told of.
        sources.begin(info("a"), 3, 0);
        assert_eq!(name(&sources, 0), b"a");
        sources.begin(info("b"), 5, 1);
        // One that brought nothing.
        sources.begin(info("c"), 5, 2);
        sources.begin(info("d"), 7, 2);
        for (number, expected) in [(2, "a"), (4, "a"), (5, "c"), (6, "c"), (7, "d"), (99, "d")] {
            assert_eq!(name(&sources, number), expected.as_bytes(), "{number}");
        }
    }

    #[test]
    fn connections_whose_messages_are_read_are_forgotten() {
        let mut sources = Sources::default();
        for number in 0..100 {
            sources.begin(info("x"), number, number);
            assert!(sources.former.is_none());
        }
        for _ in 0..100 {
            sources.begin(info("y"), 200, 100);
        }
        assert_eq!(former(&sources), 1);
        sources.begin(info("z"), 300, 200);
        assert_eq!(former(&sources), 1);
        assert_eq!(name(&sources, 299), b"y");
    }
}
