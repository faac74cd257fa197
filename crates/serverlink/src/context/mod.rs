//! Contexts: what sockets share.

#[cfg(test)]
mod pausing;
mod report;
mod runtime;
mod threads;

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

pub(crate) use report::Lingering;
pub use report::{LingeringConnection, OpenSocket, TerminationReport};
pub(crate) use runtime::{LingerGuard, Runtime};
use serverlink_io::Port;

use crate::{Error, PortStatistics, Result, Socket, SocketType, options::ContextOptions};

/// What sockets share: the I/O threads, and the names of `inproc://` endpoints.
///
/// Clones refer to the same context. When the last clone and the last socket
/// are gone, the context ends: it first waits until messages that closed
/// sockets still have to send are sent, within their
/// [linger](Socket::set_linger) time.
///
/// ```
/// use serverlink::{Context, SocketType};
///
/// let context = Context::new()?;
/// let pull = context.socket(SocketType::Pull)?;
/// let endpoint = pull.bind("tcp://127.0.0.1:*")?;
///
/// let push = context.socket(SocketType::Push)?;
/// push.connect(&endpoint)?;
/// push.send("hello")?;
/// assert_eq!(pull.recv()?[0], "hello");
/// # Ok::<(), serverlink::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Context {
    pub(crate) shared: Arc<Shared>,
}

/// Owned by the user's handles, never by the engine: when it goes, the engine is stopped.
pub(crate) struct Shared {
    pub(crate) runtime: Arc<Runtime>,
    threads: Mutex<Vec<JoinHandle<io::Result<()>>>>,
}

/// How a [`Context`] is made.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ContextBuilder {
    pub(crate) options: ContextOptions,
    backend: Option<String>,
}

impl ContextBuilder {
    /// Which I/O backend to use, one of [`backends`](crate::backends), or several names, separated
    /// by commas: the first that starts is used, and [`Context::passed_over`] tells why others are
    /// not. If not set, the environment variable `SERVERLINK_BACKEND` says, else the best one is
    /// taken.
    pub fn backend(mut self, name: impl Into<String>) -> Self {
        self.backend = Some(name.into());
        self
    }

    /// Makes the context and starts its threads.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for a value out of range or an unknown backend,
    /// [`Error::UnsupportedOption`] for one that this system does not have, [`Error::Io`] if the
    /// system has no port or thread to give, or does not run threads as they are to be.
    pub fn build(self) -> Result<Context> {
        self.build_pausing(runtime::PAUSE)
    }

    /// Makes the context, with I/O threads that make pauses so long.
    fn build_pausing(self, pause: Duration) -> Result<Context> {
        self.options.check()?;
        let runtime = Arc::new(Runtime::new(self.options, self.backend, pause)?);
        let shared = Arc::new(Shared { runtime: runtime.clone(), threads: Mutex::default() });
        for (number, port) in runtime.ports().iter().enumerate() {
            let thread = threads::start(number, port.clone(), runtime.clone())?;
            shared.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(Context { shared })
    }
}

impl Context {
    /// A context with one I/O thread and everything else as it is by default.
    ///
    /// # Errors
    ///
    /// See [`ContextBuilder::build`].
    pub fn new() -> Result<Self> {
        Self::builder().build()
    }

    /// A context of your choice.
    pub fn builder() -> ContextBuilder {
        ContextBuilder::default()
    }

    /// The name of the I/O backend in use.
    #[must_use]
    pub fn backend(&self) -> &'static str {
        self.shared.runtime.ports()[0].backend()
    }

    /// Why the I/O backends are not in use that were to be tried before this one: for each its name,
    /// a colon and the reason.
    ///
    /// ```
    /// use serverlink::Context;
    ///
    /// # if serverlink::backends().contains(&"uring") {
    /// let context = Context::builder().backend("uring,epoll").build()?;
    /// for reason in context.passed_over() {
    ///     eprintln!("not used: {reason}");
    /// }
    /// # }
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    #[must_use]
    pub fn passed_over(&self) -> &[String] {
        self.shared.runtime.ports()[0].passed_over()
    }

    /// What the I/O engine has done for the context so far, and how much it has to do: the sum over
    /// its I/O threads. `inproc://` connections do not go through it.
    ///
    /// ```
    /// use serverlink::{Context, SocketType};
    ///
    /// let context = Context::new()?;
    /// let pull = context.socket(SocketType::Pull)?;
    /// let push = context.socket(SocketType::Push)?;
    /// push.connect(&pull.bind("tcp://127.0.0.1:*")?)?;
    /// push.send("hello")?;
    /// assert_eq!(pull.recv()?[0], "hello");
    /// let statistics = context.statistics();
    /// // One listens, two are the ends of the connection.
    /// assert_eq!(statistics.registered, 3);
    /// assert_eq!(statistics.bytes_received, statistics.bytes_sent);
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    #[must_use]
    pub fn statistics(&self) -> PortStatistics {
        self.shared.runtime.ports().iter().map(Port::statistics).sum()
    }

    /// Opens a socket.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`] if the context is, [`Error::TooManySockets`] if it has no more.
    pub fn socket(&self, socket_type: SocketType) -> Result<Socket> {
        Socket::open(self, socket_type)
    }

    /// Ends the context, as also the failure of an I/O thread does: every call of a socket that waits, and every later one, fails with
    /// [`Error::Terminated`]. Waits until all sockets are closed, and their messages sent within
    /// their linger time.
    ///
    /// It must not be called by a thread that keeps a socket of the context open: it would wait for
    /// ever. See [`terminate_timeout`](Self::terminate_timeout), and
    /// [`termination_report`](Self::termination_report), which tells another thread what it waits for.
    pub fn terminate(&self) {
        self.shared.runtime.terminate();
        self.shared.runtime.wait_until_idle(None);
    }

    /// The same, but gives up waiting after a while; the context remains terminated.
    ///
    /// # Errors
    ///
    /// [`Error::StillOpen`] says what it still waits for.
    pub fn terminate_timeout(&self, timeout: Duration) -> Result<()> {
        self.shared.runtime.terminate();
        match self.shared.runtime.wait_until_idle(Some(timeout)) {
            None => Ok(()),
            Some((sockets, connections)) => {
                let report = Box::new(self.termination_report());
                Err(Error::StillOpen { waited: timeout, sockets, connections, report })
            }
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.runtime.wait_until_idle(None);
        self.runtime.stop();
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A thread that panicked has said so; there is nothing to add.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("runtime", &self.runtime).finish_non_exhaustive()
    }
}
