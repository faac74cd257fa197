//! The ZeroMQ libraries that are compared, behind one trait.
//!
//! The calls are asynchronous because some of the libraries are. Those that block do so within the
//! call and are always ready; each thread of a workload drives its own future with [`Library::run`].
//! Where a call takes no longer than to poll a future, many are made at once: [`Socket::take`].

pub(crate) mod libzmq;
pub(crate) mod rzmq;
pub(crate) mod serverlink;
pub(crate) mod zeromq;

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use crate::{failure::Result, payload::Payload};

/// A socket's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Push,
    Pull,
    Req,
    Rep,
    Dealer,
    Router,
    Pub,
    Sub,
}

/// A library with ZeroMQ sockets.
pub(crate) trait Library: 'static {
    /// What sockets share: one I/O thread, above all.
    type Context: Clone + Send + Sync + 'static;
    /// A socket.
    type Socket: Socket + 'static;
    /// A socket that threads share, as the library wants them to.
    type Shared: Clone + Send + Sync + 'static;

    fn context() -> Result<Self::Context>;

    fn socket(context: &Self::Context, kind: Kind) -> Result<Self::Socket>;

    /// Runs a future to its end on this thread.
    fn run<T>(context: &Self::Context, work: impl Future<Output = T>) -> T;

    fn share(socket: Self::Socket) -> Self::Shared;

    /// Sends a message of one frame by a shared socket.
    async fn send_shared(socket: &Self::Shared, payload: &Payload) -> Result<()>;

    /// As [`Socket::flush`].
    async fn flush_shared(_socket: &Self::Shared) -> Result<()> {
        Ok(())
    }
}

/// A socket of a library.
pub(crate) trait Socket: Send {
    /// The bytes of a message received.
    type Body<'a>: AsRef<[u8]>
    where
        Self: 'a;

    /// Binds, and returns where to connect to. It is known how many peers will come.
    async fn bind(&mut self, endpoint: &str, peers: usize) -> Result<String>;

    async fn connect(&mut self, endpoint: &str) -> Result<()>;

    /// Subscribes to what begins so.
    async fn subscribe(&mut self, topic: &str) -> Result<()>;

    /// Sends a message of one frame.
    async fn send(&mut self, payload: &Payload) -> Result<()>;

    /// Sends a message of one frame, a copy of these bytes.
    async fn send_copy(&mut self, bytes: &[u8]) -> Result<()>;

    /// Passes on what was collected, if this is not done by itself. No ZeroMQ library needs it.
    async fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Receives a message, and returns its last frame.
    async fn receive(&mut self) -> Result<Self::Body<'_>>;

    /// Receives so many messages, and has the last frame of each checked. Libraries that block do so in
    /// a plain loop.
    async fn take(&mut self, count: u64, mut check: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        for _ in 0..count {
            check(self.receive().await?.as_ref())?;
        }
        Ok(())
    }

    /// Receives a message and sends it back as it is, envelope and all, unless it is not right.
    async fn echo<T>(&mut self, check: impl FnMut(&[u8]) -> Result<T>) -> Result<T>;

    /// Sees to it that [`await_peers`](Self::await_peers) can be called after binding.
    async fn watch_peers(&mut self) -> Result<()>;

    /// Waits until so many peers more have come, and all handshakes are done.
    async fn await_peers(&mut self, more: usize) -> Result<()>;
}

/// Runs a future of a library that blocks: it is ready when it is polled.
pub(crate) fn run_blocking<T>(work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(result) = work.as_mut().poll(&mut context) {
            return result;
        }
    }
}

/// What the tasks of an asynchronous library run on: one thread, as the others have for their I/O.
fn runtime() -> Result<Arc<Runtime>> {
    Ok(Arc::new(Builder::new_multi_thread().worker_threads(1).enable_all().build()?))
}

/// A body for libraries that take one by reference only.
fn shared_or_copied(payload: &Payload) -> Bytes {
    payload.by_reference().map_or_else(|| Bytes::copy_from_slice(payload.bytes()), Clone::clone)
}
