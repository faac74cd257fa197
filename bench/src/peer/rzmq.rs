//! rzmq, on tokio.

use std::sync::Arc;

use bytes::Bytes;
use rzmq::{
    Msg, SocketType,
    socket::{
        events::{MonitorReceiver, SocketEvent},
        options::{LAST_ENDPOINT, MAX_CONNECTIONS, SUBSCRIBE, XPUB_NODROP},
    },
};
use tokio::runtime::Runtime;

use super::{Kind, Library, Socket, runtime, shared_or_copied};
use crate::{
    failure::{Failure, Result},
    payload::Payload,
};

/// Another library in Rust.
pub(crate) struct Rzmq;

/// A context, and what its tasks run on.
#[derive(Clone)]
pub(crate) struct Context {
    context: rzmq::Context,
    runtime: Arc<Runtime>,
}

/// A socket, and who came to it.
pub(crate) struct ActorSocket {
    socket: rzmq::Socket,
    kind: Kind,
    context: rzmq::Context,
    connected: bool,
    /// For further connections of a PUSH socket, which do nothing.
    others: Vec<rzmq::Socket>,
    events: Option<MonitorReceiver>,
}

/// How many events may wait to be taken: those of all connections that are made at a time.
const EVENTS: usize = 1024;

/// How many connections a socket takes if not set otherwise.
const DEFAULT_CONNECTIONS: usize = 1024;

impl Library for Rzmq {
    type Context = Context;
    type Socket = ActorSocket;
    type Shared = rzmq::Socket;

    fn context() -> Result<Context> {
        let runtime = runtime()?;
        let entered = runtime.enter();
        let context = rzmq::Context::new()?;
        drop(entered);
        Ok(Context { context, runtime })
    }

    fn socket(context: &Context, kind: Kind) -> Result<ActorSocket> {
        let _entered = context.runtime.enter();
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
        let socket = context.context.socket(socket_type)?;
        if kind == Kind::Pub {
            context.runtime.block_on(socket.set_option(XPUB_NODROP, 1_i32))?;
        }
        let context = context.context.clone();
        let others = Vec::new();
        Ok(ActorSocket { socket, kind, context, connected: false, others, events: None })
    }

    fn run<T>(context: &Context, work: impl Future<Output = T>) -> T {
        context.runtime.block_on(work)
    }

    fn share(socket: ActorSocket) -> rzmq::Socket {
        socket.socket
    }

    async fn send_shared(socket: &rzmq::Socket, payload: &Payload) -> Result<()> {
        Ok(socket.send(Msg::from_bytes(shared_or_copied(payload))).await?)
    }
}

impl Socket for ActorSocket {
    type Body<'a> = Body;

    async fn bind(&mut self, endpoint: &str, peers: usize) -> Result<String> {
        if peers > DEFAULT_CONNECTIONS {
            self.socket.set_option(MAX_CONNECTIONS, i32::try_from(peers)?).await?;
        }
        self.socket.bind(&endpoint.replace(":*", ":0")).await?;
        if !endpoint.starts_with("tcp:") {
            return Ok(endpoint.to_owned());
        }
        Ok(String::from_utf8(self.socket.get_option(LAST_ENDPOINT).await?)?)
    }

    async fn connect(&mut self, endpoint: &str) -> Result<()> {
        if !self.connected {
            self.connected = true;
            return Ok(self.socket.connect(endpoint).await?);
        }
        // A socket makes one connection to each endpoint.
        let another = self.context.socket(SocketType::Push)?;
        another.connect(endpoint).await?;
        self.others.push(another);
        Ok(())
    }

    async fn subscribe(&mut self, topic: &str) -> Result<()> {
        Ok(self.socket.set_option_raw(SUBSCRIBE, topic.as_bytes()).await?)
    }

    async fn send(&mut self, payload: &Payload) -> Result<()> {
        Ok(self.socket.send(Msg::from_bytes(shared_or_copied(payload))).await?)
    }

    async fn send_copy(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.socket.send(Msg::from_bytes(Bytes::copy_from_slice(bytes))).await?)
    }

    async fn receive(&mut self) -> Result<Body> {
        loop {
            let frame = self.socket.recv().await?;
            if !frame.is_more() {
                return Ok(Body(frame));
            }
        }
    }

    async fn echo<T>(&mut self, mut check: impl FnMut(&[u8]) -> Result<T>) -> Result<T> {
        if self.kind == Kind::Router {
            let frames = self.socket.recv_multipart().await?;
            let checked = check(frames.last().and_then(Msg::data).unwrap_or_default())?;
            self.socket.send_multipart(frames).await?;
            return Ok(checked);
        }
        let frame = self.socket.recv().await?;
        let checked = check(frame.data().unwrap_or_default())?;
        self.socket.send(frame).await?;
        Ok(checked)
    }

    async fn watch_peers(&mut self) -> Result<()> {
        self.events = Some(self.socket.monitor(EVENTS).await?);
        Ok(())
    }

    async fn await_peers(&mut self, more: usize) -> Result<()> {
        let events = self.events.as_mut().ok_or_else(|| Failure::new("peers are not watched"))?;
        let mut came = 0;
        while came < more {
            if let SocketEvent::HandshakeSucceeded { .. } = events.recv().await? {
                came += 1;
            }
        }
        Ok(())
    }
}

/// The last frame of a message.
pub(crate) struct Body(Msg);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.0.data().unwrap_or_default()
    }
}
