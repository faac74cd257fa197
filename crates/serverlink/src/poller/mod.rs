//! Waiting for several sockets and descriptors at once.

mod events;
mod item;
#[cfg(all(test, loom))]
mod model;
mod poll;
mod shared;
mod signal;
mod sync;
mod watch;
mod watchers;

#[cfg(unix)]
use std::os::fd::AsFd;
#[cfg(windows)]
use std::os::windows::io::AsSocket;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use events::Events;
#[cfg(unix)]
pub use poll::poll_with_signals;
pub use poll::{PollItem, poll};
pub use signal::EventDescriptor;
pub(crate) use signal::Signal;
pub(crate) use watch::Watch;
pub(crate) use watchers::{Direction, Watchers};

use self::shared::Shared;
use crate::{Error, Result, Socket};

/// Waits for sockets and foreign descriptors to be ready, on every platform alike.
///
/// Each is added under a token of your choice, with the [`Events`] to wait for; [`wait`](Self::wait)
/// tells the tokens of those that are ready. It is level-triggered: what is ready is told by each
/// wait, until it is not ready any more. A wait costs as much as there are sockets that are ready or
/// something has happened to, however many others there are.
///
/// All methods take `&self`, from any thread, also during a wait: changes take effect at once.
/// Several threads may wait, and a socket may be in several pollers. A thread that waits serves the
/// connections itself meanwhile, as one in [`recv`](Socket::recv) does.
///
/// A poller does not keep sockets open. One that is closed, or whose context is terminated, is told
/// with [`Events::ERR`] and all the events asked for, until it is [removed](Self::remove).
///
/// ```
/// use serverlink::{Context, Events, Poller, SocketType};
///
/// const JOBS: u64 = 1;
/// const NEWS: u64 = 2;
///
/// let context = Context::new()?;
/// let jobs = context.socket(SocketType::Pull)?;
/// let news = context.socket(SocketType::Sub)?;
/// news.subscribe("")?;
///
/// let poller = Poller::new();
/// poller.add(&jobs, JOBS, Events::IN)?;
/// poller.add(&news, NEWS, Events::IN)?;
///
/// let client = context.socket(SocketType::Push)?;
/// client.connect(&jobs.bind("tcp://127.0.0.1:*")?)?;
/// client.send("a job")?;
///
/// let mut events = Vec::new();
/// poller.wait(&mut events, None)?;
/// assert_eq!((events[0].token, events[0].events), (JOBS, Events::IN));
/// assert_eq!(jobs.try_recv()?[0], "a job");
/// # Ok::<(), serverlink::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Poller {
    shared: Arc<Shared>,
}

/// What a [`Poller`] has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PollEvent {
    /// What was given when it was added.
    pub token: u64,
    /// What it is ready for.
    pub events: Events,
}

impl Poller {
    /// A poller that waits for nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a socket, to be waited for until it is as in `interest`, and told with `token`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if the token is in use, or for another interest than in
    /// [`Events::IN`] and [`Events::OUT`].
    pub fn add(&self, socket: &Socket, token: u64, interest: Events) -> Result<()> {
        check(interest)?;
        self.shared.add_socket(&socket.inner, token, interest)
    }

    /// Adds a descriptor of the system's, like one of a file, a pipe or another library's socket.
    ///
    /// It must stay open until it is [removed](Self::remove) or the poller dropped. Its blocking
    /// mode is not changed. To have it in one poller twice, duplicate it. It is refused if the system
    /// cannot wait for it, like a regular file for which epoll(7) does not.
    ///
    /// A poller that has any waits at a completion port of its own, and its sockets' connections are
    /// served by their contexts' threads.
    ///
    /// # Errors
    ///
    /// Those of [`add`](Self::add), and [`Error::Io`] if the system cannot wait for it.
    ///
    /// ```
    /// use std::{io::Write, net::{TcpListener, TcpStream}};
    ///
    /// use serverlink::{Events, Poller};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let poller = Poller::new();
    /// poller.add_descriptor(&listener, 1, Events::IN)?;
    ///
    /// let client = TcpStream::connect(listener.local_addr()?)?;
    /// let mut events = Vec::new();
    /// poller.wait(&mut events, None)?;
    /// assert_eq!((events[0].token, events[0].events), (1, Events::IN));
    /// assert_eq!(listener.accept()?.1, client.local_addr()?);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(unix)]
    pub fn add_descriptor(
        &self,
        descriptor: &impl AsFd,
        token: u64,
        interest: Events,
    ) -> Result<()> {
        check(interest)?;
        self.shared.add_descriptor(token, interest, |port, probe| port.watch(descriptor, probe))
    }

    /// Adds a socket of the system's, like one of another library.
    ///
    /// It must stay open until it is [removed](Self::remove) or the poller dropped. Its blocking
    /// mode is not changed. To have it in one poller twice, duplicate it.
    ///
    /// A poller that has any waits at a completion port of its own, and its sockets' connections are
    /// served by their contexts' threads.
    ///
    /// # Errors
    ///
    /// Those of [`add`](Self::add), and [`Error::Io`] if the system cannot wait for it.
    #[cfg(windows)]
    pub fn add_descriptor(
        &self,
        descriptor: &impl AsSocket,
        token: u64,
        interest: Events,
    ) -> Result<()> {
        check(interest)?;
        self.shared.add_descriptor(token, interest, |port, probe| port.watch(descriptor, probe))
    }

    /// Changes what something is waited for; with [`Events::NONE`] it is only told of when it ends.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if there is nothing with this token, or for another interest than in
    /// [`Events::IN`] and [`Events::OUT`].
    pub fn modify(&self, token: u64, interest: Events) -> Result<()> {
        check(interest)?;
        self.shared.modify(token, interest)
    }

    /// Takes something out. A wait that is about to return at this moment may still tell of it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] if there is nothing with this token.
    pub fn remove(&self, token: u64) -> Result<()> {
        self.shared.remove(token)
    }

    /// How many sockets and descriptors there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until something is ready, at most `timeout` (for ever if `None`), and fills `events`
    /// anew with all that is: each token once. Returns how many, which is zero if the time ran out
    /// or the wait was [ended](Self::wake).
    ///
    /// The time-out is never cut short, and exceeded no more than the system's timers make
    /// necessary. With zero it only looks.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn wait(&self, events: &mut Vec<PollEvent>, timeout: Option<Duration>) -> Result<usize> {
        events.clear();
        self.shared.wait(events, timeout.and_then(|wait| Instant::now().checked_add(wait)));
        Ok(events.len())
    }

    /// Ends the wait that goes on, or else the next one. Of several that go on, one is ended.
    pub fn wake(&self) {
        self.shared.wake();
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.shared.clear();
    }
}

fn check(interest: Events) -> Result<()> {
    if interest.intersects(Events::ERR | Events::PRI) {
        return Err(Error::InvalidOption {
            option: "interest",
            reason: "a poller waits for IN and OUT, and tells of ERR unasked".to_owned(),
        });
    }
    Ok(())
}
