//! ServerLink.

use std::{sync::Arc, thread, time::Duration};

use serverlink::{Context, Message, SocketType};

use super::{Kind, Library, Socket};
use crate::{
    failure::{Failure, Result},
    payload::Payload,
    peer,
};

/// How often to look whether peers have come: sockets do not tell yet.
const LOOK: Duration = Duration::from_micros(200);

/// The library this is all about.
pub(crate) struct ServerLink;

/// One of its sockets.
pub(crate) struct OurSocket {
    socket: serverlink::Socket,
    /// The message received last.
    message: Message,
    /// How many peers were waited for.
    peers: usize,
}

impl Library for ServerLink {
    type Context = Context;
    type Socket = OurSocket;
    type Shared = Arc<serverlink::Socket>;

    fn context() -> Result<Context> {
        Ok(Context::new()?)
    }

    fn socket(context: &Context, kind: Kind) -> Result<OurSocket> {
        let socket_type = match kind {
            Kind::Push => SocketType::Push,
            Kind::Pull => SocketType::Pull,
            Kind::Req => SocketType::Req,
            Kind::Rep => SocketType::Rep,
            Kind::Dealer => SocketType::Dealer,
            Kind::Router => SocketType::Router,
            Kind::Pub => SocketType::Pub,
            Kind::Sub => SocketType::Sub,
        };
        let socket = context.socket(socket_type)?;
        if kind == Kind::Pub {
            socket.set_xpub_nodrop(true)?;
        }
        Ok(OurSocket { socket, message: Message::new(), peers: 0 })
    }

    fn run<T>(_context: &Context, work: impl Future<Output = T>) -> T {
        peer::run_blocking(work)
    }

    fn share(socket: OurSocket) -> Arc<serverlink::Socket> {
        Arc::new(socket.socket)
    }

    async fn send_shared(socket: &Arc<serverlink::Socket>, payload: &Payload) -> Result<()> {
        send(socket, payload)
    }
}

impl OurSocket {
    #[inline]
    fn receive_next(&mut self) -> Result<&[u8]> {
        self.socket.recv_into(&mut self.message)?;
        Ok(last_frame(&self.message))
    }
}

impl Socket for OurSocket {
    type Body<'a> = &'a [u8];

    async fn bind(&mut self, endpoint: &str, _peers: usize) -> Result<String> {
        Ok(self.socket.bind(endpoint)?)
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        Ok(self.socket.connect(endpoint)?)
    }

    async fn subscribe(&mut self, topic: &str) -> Result<()> {
        Ok(self.socket.subscribe(topic)?)
    }

    async fn send(&mut self, payload: &Payload) -> Result<()> {
        send(&self.socket, payload)
    }

    async fn send_copy(&mut self, bytes: &[u8]) -> Result<()> {
        self.socket.send(bytes).map_err(|refused| refused.error.into())
    }

    async fn receive(&mut self) -> Result<&[u8]> {
        self.receive_next()
    }

    async fn take(&mut self, count: u64, mut check: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for _ in 0..count {
            check(self.receive_next()?)?;
        }
        Ok(())
    }

    async fn echo<T>(&mut self, mut check: impl FnMut(&[u8]) -> Result<T>) -> Result<T> {
        let message = self.socket.recv()?;
        let checked = check(last_frame(&message))?;
        self.socket.send(message).map_err(|refused| Failure::from(refused.error))?;
        Ok(checked)
    }

    async fn watch_peers(&mut self) -> Result<()> {
        Ok(())
    }

    async fn await_peers(&mut self, more: usize) -> Result<()> {
        self.peers += more;
        while self.socket.peer_count() < self.peers {
            thread::sleep(LOOK);
        }
        Ok(())
    }
}

fn send(socket: &serverlink::Socket, payload: &Payload) -> Result<()> {
    let sent = match payload.by_reference() {
        Some(bytes) => socket.send(bytes.clone()),
        None => socket.send(payload.bytes()),
    };
    sent.map_err(|refused| refused.error.into())
}

/// The last frame of a message.
fn last_frame(message: &Message) -> &[u8] {
    message.iter().next_back().map_or(&[], |frame| frame)
}
