//! A proxy in the background.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use super::{
    ProxyStatistics,
    forward::{Forwarder, State},
    statistics::Counters,
};
use crate::{Error, Poller, Result, Socket};

/// A proxy with a thread of its own: see [`proxy`](crate::proxy()) for what it does, and
/// [`ProxyHandle`] for what can be done with it.
///
/// ```
/// use serverlink::{Context, Proxy, SocketType};
///
/// let context = Context::new()?;
/// let frontend = context.socket(SocketType::XSub)?;
/// let publishers = frontend.bind("tcp://127.0.0.1:*")?;
/// let backend = context.socket(SocketType::XPub)?;
/// let subscribers = backend.bind("tcp://127.0.0.1:*")?;
/// let proxy = Proxy::builder(frontend, backend).start()?;
///
/// let publisher = context.socket(SocketType::XPub)?;
/// publisher.connect(&publishers)?;
/// let subscriber = context.socket(SocketType::Sub)?;
/// subscriber.subscribe("weather")?;
/// subscriber.connect(&subscribers)?;
/// assert_eq!(publisher.recv()?[0], "\u{1}weather");
/// publisher.send("weather: fair")?;
/// assert_eq!(subscriber.recv()?[0], "weather: fair");
/// assert_eq!(proxy.statistics().backend.bytes_sent, 13);
/// proxy.terminate()?;
/// # Ok::<(), serverlink::Error>(())
/// ```
#[derive(Debug)]
pub struct Proxy;

/// How a [`Proxy`] is made.
#[derive(Debug)]
#[must_use]
pub struct ProxyBuilder {
    frontend: Arc<Socket>,
    backend: Arc<Socket>,
    capture: Option<Arc<Socket>>,
    control: Option<Arc<Socket>>,
}

/// A [`Proxy`] at work. Dropping it ends the proxy.
pub struct ProxyHandle {
    steering: Arc<Steering>,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Proxy {
    /// A proxy between two sockets, which it owns or shares. They may be one and the same.
    pub fn builder(
        frontend: impl Into<Arc<Socket>>,
        backend: impl Into<Arc<Socket>>,
    ) -> ProxyBuilder {
        ProxyBuilder {
            frontend: frontend.into(),
            backend: backend.into(),
            capture: None,
            control: None,
        }
    }
}

impl ProxyBuilder {
    /// Has everything that passes sent to this socket, too.
    pub fn capture(mut self, socket: impl Into<Arc<Socket>>) -> Self {
        self.capture = Some(socket.into());
        self
    }

    /// Has the proxy obey the messages that this socket receives: see
    /// [`proxy_steerable`](crate::proxy_steerable()).
    pub fn control(mut self, socket: impl Into<Arc<Socket>>) -> Self {
        self.control = Some(socket.into());
        self
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the system has no thread to give.
    pub fn start(self) -> Result<ProxyHandle> {
        let steering = Arc::new(Steering::default());
        let shared = steering.clone();
        let Self { frontend, backend, capture, control } = self;
        let work = move || {
            let (capture, control) = (capture.as_deref(), control.as_deref());
            Forwarder::new(&frontend, &backend, capture, control, &shared)?.run()
        };
        let thread = thread::Builder::new()
            .name("serverlink-proxy".to_owned())
            .spawn(work)
            .map_err(Error::io("starting a proxy's thread"))?;
        Ok(ProxyHandle { steering, thread: Some(thread) })
    }
}

impl ProxyHandle {
    /// Has it pass nothing on. When this returns, it does not any more.
    pub fn pause(&self) {
        self.steering.steer(State::Paused);
    }

    /// Has it go on. When this returns, it does.
    pub fn resume(&self) {
        self.steering.steer(State::Active);
    }

    /// What it has done so far.
    #[must_use]
    pub fn statistics(&self) -> ProxyStatistics {
        self.steering.statistics()
    }

    /// Whether it has ended, by a command or because the context was terminated.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends it, and waits until it has.
    ///
    /// # Errors
    ///
    /// What it ended with before, if it did.
    pub fn terminate(mut self) -> Result<()> {
        self.steering.steer(State::Terminated);
        self.wait()
    }

    /// Waits until it ends by itself or by a command.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`] if the context is.
    pub fn join(mut self) -> Result<()> {
        self.wait()
    }

    fn wait(&mut self) -> Result<()> {
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(result)) => result,
            // A panic has been told of.
            Some(Err(_)) | None => Ok(()),
        }
    }
}

impl Drop for ProxyHandle {
    fn drop(&mut self) {
        self.steering.steer(State::Terminated);
        // Who drops it does not want to know.
        let _ = self.wait();
    }
}

impl fmt::Debug for ProxyHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyHandle")
            .field("statistics", &self.statistics())
            .finish_non_exhaustive()
    }
}

/// What a proxy and its handle share.
#[derive(Debug, Default)]
pub(super) struct Steering {
    pub(super) poller: Poller,
    pub(super) counters: Counters,
    orders: Mutex<Orders>,
    obeyed: Condvar,
}

#[derive(Debug, Default)]
struct Orders {
    /// The last one, until it is obeyed.
    order: Option<State>,
    /// The proxy has ended.
    over: bool,
}

impl Steering {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn statistics(&self) -> ProxyStatistics {
        self.counters.read()
    }

    /// Gives an order, and waits until it is obeyed.
    fn steer(&self, order: State) {
        let mut orders = self.orders();
        orders.order = Some(order);
        self.poller.wake();
        while orders.order.is_some() && !orders.over {
            orders = self.obeyed.wait(orders).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What the proxy shall do now.
    pub(super) fn apply(&self, state: State) -> State {
        let mut orders = self.orders();
        match orders.order.take() {
            Some(order) => {
                self.obeyed.notify_all();
                order
            }
            None => state,
        }
    }

    /// The proxy has ended, for whatever reason.
    pub(super) fn end(&self) {
        self.orders().over = true;
        self.obeyed.notify_all();
    }
}
