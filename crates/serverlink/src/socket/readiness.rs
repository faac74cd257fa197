//! What a socket is ready for.

use std::sync::Arc;

use serverlink_io::BiasedGuard;

use super::{Socket, SocketInner, inner::Core};
use crate::{
    Error, Result,
    options::Options,
    pattern::Watched,
    poller::{Direction, EventDescriptor, Events, Signal, Watch, Watchers},
};

impl Socket {
    /// What could be done now without waiting (`ZMQ_EVENTS`): [`Events::IN`] if a message could be
    /// received, [`Events::OUT`] if one could be sent, whichever it is.
    ///
    /// Of those that never wait when they send, PUB, XPUB, XSUB and ROUTER are always ready to, and
    /// REP is when it owes a reply. A ROUTER that is [mandatory](Self::set_router_mandatory) is
    /// ready if any peer takes a message, an XPUB that [drops nothing](Self::set_xpub_nodrop) if all
    /// do. Messages that [`recv`](Self::recv) would pass over, like those that a SUB has not
    /// subscribed to, do not count.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`].
    ///
    /// ```
    /// use serverlink::{Context, Events, SocketType};
    ///
    /// let context = Context::new()?;
    /// let server = context.socket(SocketType::Rep)?;
    /// server.bind("inproc://server")?;
    /// assert!(server.events()?.is_empty());
    ///
    /// let client = context.socket(SocketType::Req)?;
    /// client.connect("inproc://server")?;
    /// assert_eq!(client.events()?, Events::OUT);
    /// client.send("hello")?;
    /// assert!(client.events()?.is_empty(), "it is the server's turn");
    /// assert_eq!(server.events()?, Events::IN);
    /// server.recv()?;
    /// assert_eq!(server.events()?, Events::OUT);
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    pub fn events(&self) -> Result<Events> {
        if let Some(watchers) = &self.inner.core().watchers {
            watchers.note_seen();
        }
        let all = Events::IN | Events::OUT;
        let found = self.inner.look_for(all);
        if !found.contains(all) {
            self.inner.look_was_in_vain();
        }
        if found.contains(Events::ERR) { Err(Error::Terminated) } else { Ok(found) }
    }

    /// A descriptor that is readable as long as a message could be received, for the event loop of
    /// another library (in place of `ZMQ_FD`).
    ///
    /// Unlike libzmq's it is level-triggered: it stays readable until nothing is left to receive,
    /// and so can be waited for at any time, without a look at [`events`](Self::events). Once the
    /// socket is closed or its context terminated, it is readable for good, for calls do not wait any
    /// more.
    ///
    /// Within this library, a [`Poller`](crate::Poller) does the same at less cost. The first call
    /// makes the descriptor (an eventfd on Linux, a socket pair on other Unix systems, a loopback
    /// socket on Windows); sockets that have none pay nothing. On Windows it may be readable for a
    /// moment longer, but never for less, than it should.
    ///
    /// # Errors
    ///
    /// [`Error::Terminated`], and [`Error::Io`] if the system has no descriptor to give.
    ///
    #[cfg_attr(unix, doc = "```")]
    #[cfg_attr(not(unix), doc = "```ignore")]
    /// use std::os::fd::AsFd;
    ///
    /// use serverlink::{Context, SocketType};
    ///
    /// let context = Context::new()?;
    /// let pull = context.socket(SocketType::Pull)?;
    /// let readable = pull.receive_descriptor()?;
    /// let descriptor = readable.as_fd(); // for whatever loop there is
    /// # let _ = descriptor;
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    pub fn receive_descriptor(&self) -> Result<EventDescriptor> {
        self.inner.descriptor(Direction::Receive)
    }

    /// A descriptor that is readable, too, as long as a message could be sent. It is another than
    /// [`receive_descriptor`](Self::receive_descriptor), for most sockets can send most of the time.
    ///
    /// # Errors
    ///
    /// See [`receive_descriptor`](Self::receive_descriptor).
    pub fn send_descriptor(&self) -> Result<EventDescriptor> {
        self.inner.descriptor(Direction::Send)
    }

    /// A descriptor that is readable once something has changed: a message has come, a peer takes
    /// messages again, has come, or has left (`ZMQ_FD`). It is readable until [`events`](Self::events)
    /// is asked for, or a call finds that it would have to wait.
    ///
    /// So it tells of both directions at once, as libzmq's does, and like that is edge-triggered:
    /// wait for it only once a look at [`events`](Self::events), or a call that would have to wait,
    /// has shown that there is nothing to do. Where that is no need of yours,
    /// [`receive_descriptor`](Self::receive_descriptor) is easier to use.
    ///
    /// # Errors
    ///
    /// See [`receive_descriptor`](Self::receive_descriptor).
    ///
    /// ```
    /// use serverlink::{Context, Events, SocketType};
    ///
    /// let context = Context::new()?;
    /// let pull = context.socket(SocketType::Pull)?;
    /// let changed = pull.change_descriptor()?; // for whatever loop there is
    /// // Each time it is readable, and once before:
    /// while pull.events()?.contains(Events::IN) {
    ///     pull.try_recv()?;
    /// }
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    pub fn change_descriptor(&self) -> Result<EventDescriptor> {
        let mut guard = self.inner.core();
        guard.check()?;
        let is_new = guard.watchers.as_ref().is_none_or(|watchers| !watchers.tells_changes());
        let watchers = self.inner.watchers(&mut guard);
        let changes = watchers.changes().map_err(Error::io("opening an event descriptor"))?.clone();
        let core = &mut *guard;
        // What is there already has not been told of.
        if is_new && core.pattern.0.can_receive(&mut core.peers) {
            changes.set(true);
        }
        self.inner.release(guard);
        Ok(EventDescriptor(changes))
    }
}

impl SocketInner {
    /// What of `interest` is the case now; if no call waits because the socket has ended, all of it
    /// and [`Events::ERR`].
    pub(crate) fn look_for(&self, interest: Events) -> Events {
        let mut guard = self.core();
        if guard.check().is_err() {
            return interest & (Events::IN | Events::OUT) | Events::ERR;
        }
        let core = &mut *guard;
        let mut found = Events::NONE;
        if interest.contains(Events::IN) && core.pattern.0.can_receive(&mut core.peers) {
            found |= Events::IN;
        }
        if interest.contains(Events::OUT) && core.pattern.0.can_send(&mut core.peers) {
            found |= Events::OUT;
        }
        if !core.peers.is_quiet() {
            // Messages were passed over.
            self.release(guard);
        } else {
            drop(guard);
        }
        found
    }

    /// Has `poll` told of every change from now on.
    pub(crate) fn watch(&self, poll: Arc<Watch>) {
        self.watchers(&mut self.core()).add(poll);
    }

    pub(crate) fn unwatch(&self, poll: &Arc<Watch>) {
        let core = self.core();
        if let Some(watchers) = &core.watchers {
            watchers.remove(poll);
        }
    }

    /// Whether its port drives what its messages come and go by.
    pub(crate) fn has_connections(&self) -> bool {
        self.core().has_connections()
    }

    /// An option was set.
    pub(crate) fn option_set(&self, mut core: BiasedGuard<'_, Core>, id: i32) {
        Arc::make_mut(&mut core.peers.options).settle(id);
        if Options::is_mark(id) {
            core.apply_marks();
        }
        self.refresh(core);
    }

    /// The options have changed, and with them perhaps what may be done.
    pub(crate) fn refresh(&self, mut guard: BiasedGuard<'_, Core>) {
        let watchers = guard.watchers.clone();
        if let Some(watchers) = &watchers {
            let core = &mut *guard;
            watchers.show_all(&mut core.pattern.0, &mut core.peers);
        }
        self.release(guard);
        if let Some(watchers) = watchers {
            watchers.tell();
        }
    }

    fn descriptor(&self, direction: Direction) -> Result<EventDescriptor> {
        let mut guard = self.core();
        guard.check()?;
        let watchers = self.watchers(&mut guard);
        if let Some(signal) = watchers.descriptor(direction) {
            return Ok(EventDescriptor(signal));
        }
        let signal = Signal::new().map_err(Error::io("opening an event descriptor"))?;
        let signal = Arc::new(signal);
        watchers.set_descriptor(direction, &signal);
        self.refresh(guard);
        Ok(EventDescriptor(signal))
    }

    fn watchers(&self, core: &mut Core) -> Arc<Watchers> {
        if let Some(watchers) = &core.watchers {
            return watchers.clone();
        }
        let watchers = Arc::new(Watchers::new(self.port().cloned()));
        Watched::wrap(&mut core.pattern, self.socket_type(), watchers.clone());
        core.watchers = Some(watchers.clone());
        watchers
    }
}
