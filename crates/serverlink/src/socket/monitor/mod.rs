//! Monitoring: telling others what happens to a socket's connections.

mod event;
mod publisher;
mod queue;

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicBool, Ordering},
};

pub(crate) use event::refusal_of;
pub use event::{MonitorEvent, MonitorEventKind, MonitorFault, MonitoredPeer};
pub use publisher::MonitorVersion;
use publisher::Publisher;
pub use queue::Monitor;
use queue::Queue;
use socket2::SockAddr;

use super::Socket;
use crate::{Error, Result, endpoint::Endpoint};

/// Who is told what happens to a socket. As long as it is nobody, telling costs a look at a flag.
///
/// Its lock is taken after those of connections, connecters and listeners, and never while a
/// socket's core is locked.
#[derive(Debug, Default)]
pub(crate) struct Monitors {
    wanted: AtomicBool,
    audience: Mutex<Audience>,
}

#[derive(Debug, Default)]
struct Audience {
    queues: Vec<Weak<Queue>>,
    publisher: Option<Publisher>,
    /// Nothing more will happen.
    stopped: bool,
}

impl Monitors {
    fn audience(&self) -> MutexGuard<'_, Audience> {
        self.audience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everyone, if there is anyone.
    pub(crate) fn tell(&self, event: impl FnOnce() -> MonitorEvent) {
        if !self.wanted.load(Ordering::Acquire) {
            return;
        }
        let event = event();
        let mut audience = self.audience();
        if !audience.stopped {
            audience.tell(&event);
            self.wanted.store(!audience.is_empty(), Ordering::Release);
        }
    }

    /// Tells everyone that nothing more will happen.
    pub(crate) fn stop(&self) {
        let mut audience = self.audience();
        if !std::mem::replace(&mut audience.stopped, true) {
            audience.tell(&MonitorEvent::stopped());
            for queue in audience.queues.drain(..).filter_map(|queue| queue.upgrade()) {
                queue.end();
            }
            let publisher = audience.publisher.take();
            self.wanted.store(false, Ordering::Release);
            drop(audience);
            drop(publisher);
        }
    }

    fn listen(&self) -> Monitor {
        let queue = Arc::new(Queue::default());
        let mut audience = self.audience();
        if audience.stopped {
            queue.end();
        } else {
            audience.queues.push(Arc::downgrade(&queue));
            self.wanted.store(true, Ordering::Release);
        }
        Monitor::new(queue)
    }

    /// Has events published by another from now on, or by nobody. The former one is told that it
    /// has ended.
    fn publish(&self, publisher: Option<Publisher>) {
        let mut audience = self.audience();
        if audience.stopped {
            return;
        }
        let former = std::mem::replace(&mut audience.publisher, publisher);
        self.wanted.store(!audience.is_empty(), Ordering::Release);
        drop(audience);
        if let Some(former) = former {
            former.publish(&MonitorEvent::stopped());
        }
    }
}

impl Audience {
    fn is_empty(&self) -> bool {
        self.queues.is_empty() && self.publisher.is_none()
    }

    fn tell(&mut self, event: &MonitorEvent) {
        self.queues.retain(|queue| match queue.upgrade() {
            Some(queue) => {
                queue.push(event);
                true
            }
            None => false,
        });
        if let Some(publisher) = &self.publisher {
            publisher.publish(event);
        }
    }
}

impl MonitorEvent {
    /// An event of an endpoint that we are bound to, or connect to.
    pub(crate) fn new(kind: MonitorEventKind, endpoint: String, is_bound: bool) -> Self {
        Self { kind, endpoint, is_bound, local: None, remote: None }
    }

    /// The same, of a connection between these two addresses.
    pub(crate) fn between(mut self, local: Option<SockAddr>, remote: Option<SockAddr>) -> Self {
        let name = |address: &SockAddr| name(address, &self.endpoint);
        (self.local, self.remote) = (local.as_ref().and_then(name), remote.as_ref().and_then(name));
        self
    }

    fn stopped() -> Self {
        Self::new(MonitorEventKind::MonitorStopped, String::new(), true)
    }
}

/// An address as an endpoint, if it can be one: of WebSockets, with the same path, if those are what this
/// `endpoint` has.
pub(super) fn name(address: &SockAddr, endpoint: &str) -> Option<String> {
    if let Some(address) = address.as_socket() {
        return Some(match endpoint.split_once("://") {
            Some((scheme @ ("ws" | "wss"), rest)) => {
                let path = rest.find('/').map_or("", |at| &rest[at..]);
                format!("{scheme}://{address}{path}")
            }
            _ => format!("tcp://{address}"),
        });
    }
    #[cfg(unix)]
    if let Some(path) = address.as_pathname() {
        return Some(format!("ipc://{}", path.display()));
    }
    None
}

impl Socket {
    /// Watches what happens to the socket's connections from now on: connecting, binding,
    /// accepting, handshakes, disconnecting, and why these fail. `inproc://` connections have no
    /// such events.
    ///
    /// There may be any number of monitors. Each keeps up to 1,000 events that are not received;
    /// further ones are dropped, and [counted](Monitor::missed). Dropping the monitor ends it.
    /// Nobody pays for monitors that are not there.
    ///
    /// ```
    /// use serverlink::{Context, MonitorEventKind, SocketType};
    ///
    /// let context = Context::new()?;
    /// let server = context.socket(SocketType::Pull)?;
    /// let monitor = server.monitor();
    /// let endpoint = server.bind("tcp://127.0.0.1:*")?;
    /// assert_eq!(monitor.recv()?.kind, MonitorEventKind::Listening);
    ///
    /// let client = context.socket(SocketType::Push)?;
    /// client.connect(&endpoint)?;
    /// assert_eq!(monitor.recv()?.kind, MonitorEventKind::Accepted);
    /// let MonitorEventKind::HandshakeSucceeded(peer) = monitor.recv()?.kind else { panic!() };
    /// assert_eq!(peer.socket_type, Some(SocketType::Push));
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    #[must_use]
    pub fn monitor(&self) -> Monitor {
        self.inner.monitors().listen()
    }

    /// Publishes the same events as messages, in libzmq's form, from a PAIR that is bound to an
    /// `inproc://` endpoint, for one PAIR at a time to connect to. `events` is the sum of the
    /// [numbers](MonitorEventKind::number) wanted. Those of an earlier call are published no more.
    ///
    /// Up to 1,000 messages are kept until somebody connects, and as many as the high-water marks
    /// allow for one who reads slowly; further ones are dropped. Where libzmq tells a descriptor of
    /// the system's, the value is 0. Some events libzmq leaves out: handshakes with peers of ZMTP 2.0
    /// and 1.0, and those that failed because socket types do not match.
    ///
    /// Source: the man pages zmq_socket_monitor and zmq_socket_monitor_versioned.
    ///
    /// # Errors
    ///
    /// [`Error::UnsupportedTransport`] unless the endpoint is an `inproc://` one,
    /// [`Error::AddressInUse`], [`Error::InvalidEndpoint`], [`Error::Terminated`].
    pub fn publish_events(
        &self,
        endpoint: &str,
        events: u64,
        version: MonitorVersion,
    ) -> Result<()> {
        self.inner.core().check()?;
        let Endpoint::Inproc(name) = endpoint.parse()? else {
            let transport = endpoint.split("://").next().unwrap_or_default().to_owned();
            return Err(Error::UnsupportedTransport { transport });
        };
        let publisher = Publisher::bind(self.runtime(), &name, events, version)?;
        self.inner.monitors().publish(Some(publisher));
        Ok(())
    }

    /// Ends what [`publish_events`](Self::publish_events) began, with
    /// [`MonitorStopped`](MonitorEventKind::MonitorStopped) as the last event.
    pub fn stop_publishing_events(&self) {
        self.inner.monitors().publish(None);
    }
}
