//! What only PEER sockets do.

use super::Socket;
use crate::{Error, Result, SocketType};

impl Socket {
    /// Connects a PEER as [`connect`](Self::connect) does, and returns the routing id of the peer
    /// to come (`zmq_connect_peer`): messages [with this id](crate::Message::with_routing_id) go
    /// there, at once if you like, and those that come from there bear it, for as long as the
    /// connection and those that replace it last.
    ///
    /// ```
    /// use serverlink::{Context, Message, SocketType};
    ///
    /// let context = Context::new()?;
    /// let (one, other) = (context.socket(SocketType::Peer)?, context.socket(SocketType::Peer)?);
    /// let endpoint = one.bind("tcp://127.0.0.1:*")?;
    ///
    /// let id = other.connect_peer(&endpoint)?;
    /// other.send(Message::from("hello").with_routing_id(id))?;
    /// let hello = one.recv()?;
    /// let answer = Message::from("hello yourself");
    /// one.send(answer.with_routing_id(hello.routing_id().unwrap()))?;
    /// assert_eq!(other.recv()?.routing_id(), Some(id));
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`connect`](Self::connect), [`Error::NotSupported`] for sockets of other types,
    /// [`Error::InvalidState`] if the socket is [immediate](Self::set_immediate): then there is
    /// nobody to send to until the connection is there.
    pub fn connect_peer(&self, endpoint: &str) -> Result<u32> {
        let socket_type = self.socket_type();
        if socket_type != SocketType::Peer {
            return Err(Error::NotSupported {
                socket_type,
                operation: "connect to a peer by number",
            });
        }
        if self.inner.core().peers.options.immediate {
            return Err(Error::InvalidState(
                "an immediate PEER cannot name a peer that is to come",
            ));
        }
        self.connect_pipe(endpoint).map(|pipe| pipe.routing_id())
    }
}
