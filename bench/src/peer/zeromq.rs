//! zmq.rs, on tokio.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::{runtime::Runtime, sync::Mutex};
use zeromq::{
    DealerSocket, PubSocket, PullSocket, PushSocket, RepSocket, ReqSocket, RouterSocket,
    Socket as _, SocketEvent, SocketRecv as _, SocketSend as _, SubSocket, ZmqMessage, ZmqResult,
};

use super::{Kind, Library, Socket, runtime, shared_or_copied};
use crate::{
    failure::{Failure, Result},
    payload::Payload,
};

/// A library in Rust.
pub(crate) struct Zeromq;

/// A socket of one of its types.
enum AnySocket {
    Push(PushSocket),
    Pull(PullSocket),
    Req(ReqSocket),
    Rep(RepSocket),
    Dealer(DealerSocket),
    Router(RouterSocket),
    Pub(PubSocket),
    Sub(SubSocket),
}

/// Does the same with a socket of any type.
macro_rules! each {
    ($socket:expr, $inner:ident => $action:expr) => {
        match $socket {
            AnySocket::Push($inner) => $action,
            AnySocket::Pull($inner) => $action,
            AnySocket::Req($inner) => $action,
            AnySocket::Rep($inner) => $action,
            AnySocket::Dealer($inner) => $action,
            AnySocket::Router($inner) => $action,
            AnySocket::Pub($inner) => $action,
            AnySocket::Sub($inner) => $action,
        }
    };
}

/// A socket, and who came to it.
pub(crate) struct RustSocket {
    socket: AnySocket,
    events: Option<Box<dyn Events>>,
}

/// What a socket's monitor tells; the type of it has no name that can be reached.
trait Events: futures_util::Stream<Item = SocketEvent> + Send + Unpin {}

impl<T: futures_util::Stream<Item = SocketEvent> + Send + Unpin> Events for T {}

impl Library for Zeromq {
    type Context = Arc<Runtime>;
    type Socket = RustSocket;
    /// Sending takes a socket for itself.
    type Shared = Arc<Mutex<RustSocket>>;

    fn context() -> Result<Arc<Runtime>> {
        runtime()
    }

    fn socket(context: &Arc<Runtime>, kind: Kind) -> Result<RustSocket> {
        // Some sockets start tasks.
        let _entered = context.enter();
        let socket = match kind {
            Kind::Push => AnySocket::Push(PushSocket::new()),
            Kind::Pull => AnySocket::Pull(PullSocket::new()),
            Kind::Req => AnySocket::Req(ReqSocket::new()),
            Kind::Rep => AnySocket::Rep(RepSocket::new()),
            Kind::Dealer => AnySocket::Dealer(DealerSocket::new()),
            Kind::Router => AnySocket::Router(RouterSocket::new()),
            Kind::Pub => AnySocket::Pub(PubSocket::new()),
            Kind::Sub => AnySocket::Sub(SubSocket::new()),
        };
        Ok(RustSocket { socket, events: None })
    }

    fn run<T>(context: &Arc<Runtime>, work: impl Future<Output = T>) -> T {
        context.block_on(work)
    }

    fn share(socket: RustSocket) -> Arc<Mutex<RustSocket>> {
        Arc::new(Mutex::new(socket))
    }

    async fn send_shared(socket: &Arc<Mutex<RustSocket>>, payload: &Payload) -> Result<()> {
        socket.lock().await.send(payload).await
    }
}

impl RustSocket {
    async fn send_bytes(&mut self, bytes: Bytes) -> Result<()> {
        Ok(self.socket.send(bytes.into()).await?)
    }
}

impl AnySocket {
    async fn send(&mut self, message: ZmqMessage) -> ZmqResult<()> {
        match self {
            Self::Push(socket) => socket.send(message).await,
            Self::Req(socket) => socket.send(message).await,
            Self::Rep(socket) => socket.send(message).await,
            Self::Dealer(socket) => socket.send(message).await,
            Self::Router(socket) => socket.send(message).await,
            Self::Pub(socket) => socket.send(message).await,
            Self::Pull(_) | Self::Sub(_) => Err(zeromq::ZmqError::Socket("it cannot send")),
        }
    }

    async fn receive(&mut self) -> ZmqResult<ZmqMessage> {
        match self {
            Self::Pull(socket) => socket.recv().await,
            Self::Req(socket) => socket.recv().await,
            Self::Rep(socket) => socket.recv().await,
            Self::Dealer(socket) => socket.recv().await,
            Self::Router(socket) => socket.recv().await,
            Self::Sub(socket) => socket.recv().await,
            Self::Push(_) | Self::Pub(_) => Err(zeromq::ZmqError::Socket("it cannot receive")),
        }
    }
}

impl Socket for RustSocket {
    type Body<'a> = Body;

    async fn bind(&mut self, endpoint: &str, _peers: usize) -> Result<String> {
        let endpoint = endpoint.replace(":*", ":0");
        let bound = each!(&mut self.socket, socket => socket.bind(&endpoint).await)?;
        Ok(bound.to_string())
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        Ok(each!(&mut self.socket, socket => socket.connect(endpoint).await)?)
    }

    async fn subscribe(&mut self, topic: &str) -> Result<()> {
        match &mut self.socket {
            AnySocket::Sub(socket) => Ok(socket.subscribe(topic).await?),
            _ => Err(Failure::new("only SUB sockets subscribe")),
        }
    }

    async fn send(&mut self, payload: &Payload) -> Result<()> {
        self.send_bytes(shared_or_copied(payload)).await
    }

    async fn send_copy(&mut self, bytes: &[u8]) -> Result<()> {
        self.send_bytes(Bytes::copy_from_slice(bytes)).await
    }

    async fn receive(&mut self) -> Result<Body> {
        Ok(Body(self.socket.receive().await?))
    }

    async fn echo<T>(&mut self, mut check: impl FnMut(&[u8]) -> Result<T>) -> Result<T> {
        let message = self.socket.receive().await?;
        let checked = check(last_frame(&message))?;
        self.socket.send(message).await?;
        Ok(checked)
    }

    async fn watch_peers(&mut self) -> Result<()> {
        self.events = Some(each!(&mut self.socket, socket => Box::new(socket.monitor())));
        Ok(())
    }

    async fn await_peers(&mut self, more: usize) -> Result<()> {
        let events = self.events.as_mut().ok_or_else(|| Failure::new("peers are not watched"))?;
        let mut accepted = 0;
        while accepted < more {
            match events.next().await {
                // After the handshake.
                Some(SocketEvent::Accepted(..)) => accepted += 1,
                Some(_) => {}
                None => return Err(Failure::new("the monitor ended")),
            }
        }
        Ok(())
    }
}

/// The last frame of a message.
pub(crate) struct Body(ZmqMessage);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        last_frame(&self.0)
    }
}

fn last_frame(message: &ZmqMessage) -> &[u8] {
    message.iter().next_back().map_or(&[], |frame| frame)
}
