//! The completion port: what all backends share.

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, AsSocket};
use std::{
    collections::VecDeque,
    fmt, io, mem,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::BytesMut;
use socket2::Socket;

#[cfg(windows)]
use crate::NamedPipe;
use crate::{
    Event, Handle, Handler, Notice, PortOptions, PortStatistics, TimerId, Vigil,
    counters::Counters,
    diagnostics,
    lock::lock,
    seat::{Car, Seat},
    sys::{self, Backend, Entry, Outcome, RawDescriptor},
    timers::{Alarm, Timers},
    vigil::Watch,
};

/// A completion port. Clones refer to the same port.
///
/// Registered sockets carry out operations; each ends with one [`Event`] for
/// the [`Handler`] of its registration. Events, timers and posted packets are
/// delivered by whichever thread drives the port, with [`run`](Self::run) or
/// [`turn`](Self::turn), one thread at a time. Operations may be started from
/// any thread.
///
/// Dropping the last clone retires every handle and frees everything. A handler
/// that owns a `Port` and is itself owned by the port (through a registration,
/// a timer or a posted packet) keeps the port alive: [`stop`](Self::stop) it,
/// and retire such handles.
///
/// A handler's panic passes through `turn` to its caller. The event it was
/// given counts as delivered; the port stays usable, and the other events
/// follow in the next turn.
///
/// ```
/// use std::{
///     net::{TcpListener, TcpStream},
///     sync::{Arc, mpsc},
/// };
///
/// use serverlink_io::{Event, Handler, Port, PortOptions};
///
/// struct Forward(mpsc::Sender<Event>);
///
/// impl Handler for Forward {
///     fn complete(&self, event: Event) {
///         let _ = self.0.send(event);
///     }
/// }
///
/// let port = Port::new(&PortOptions::default())?;
/// let (events, arrived) = mpsc::channel();
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let listening = port.register(listener.into(), Arc::new(Forward(events)))?;
/// listening.accept()?;
/// let _client = TcpStream::connect(address)?;
/// let accepted = loop {
///     port.turn(None)?;
///     if let Ok(Event::Accepted(accepted)) = arrived.try_recv() {
///         break accepted;
///     }
/// };
/// let (_socket, peer) = accepted?;
/// assert!(peer.as_socket().is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Port {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Box<dyn Backend>,
    passed_over: Vec<String>,
    counters: Arc<Counters>,
    timers: Timers,
    posted: Mutex<VecDeque<Packet>>,
    /// How many packets are posted.
    packets: AtomicUsize,
    seat: Seat,
    /// Of the thread that runs the port.
    vigil: Option<Vigil>,
    stopped: AtomicBool,
}

struct Packet {
    handler: Arc<dyn Handler>,
    tag: u64,
}

/// What one [`Port::turn`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Turn {
    /// So many events were delivered; zero if the time ran out or the port was woken.
    Delivered(usize),
    /// Another thread drives the port.
    Busy,
    /// The port was stopped.
    Stopped,
}

/// How a thread [waits](Port::wait) at a port.
#[derive(Debug, Clone, Copy)]
pub enum Manner<'a> {
    /// It leaves the port to the thread in [`Port::run`], if there is one.
    Patient,
    /// It displaces the thread in [`Port::run`].
    Eager,
    /// The same, and it stays awake for a moment first if the vigil has it that what it waits for is
    /// likely to come at once.
    Awake(&'a Vigil),
}

impl Port {
    /// Makes a port.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) for an unknown backend or
    /// a receive buffer of no size; otherwise why the backend could not start.
    pub fn new(options: &PortOptions) -> io::Result<Self> {
        if options.receive_buffer == 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "PortOptions::receive_buffer must be at least one byte",
            ));
        }
        let (backend, passed_over) = sys::open(options)?;
        diagnostics::opened(backend.name());
        Ok(Self {
            shared: Arc::new(Shared {
                counters: Arc::clone(backend.counters()),
                backend,
                passed_over,
                timers: Timers::default(),
                posted: Mutex::default(),
                packets: AtomicUsize::new(0),
                seat: Seat::default(),
                vigil: options.stay_awake.then(Vigil::new),
                stopped: AtomicBool::new(false),
            }),
        })
    }

    /// The backend's name.
    pub fn backend(&self) -> &'static str {
        self.shared.backend.name()
    }

    /// Why the backends do not run that were to be tried before this one: for each its name, a
    /// colon and the reason.
    ///
    /// ```
    /// use serverlink_io::{Port, PortOptions};
    ///
    /// let mut options = PortOptions::default();
    /// options.backend = Some("select".to_owned());
    /// assert!(Port::new(&options)?.passed_over().is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn passed_over(&self) -> &[String] {
        &self.shared.passed_over
    }

    /// Registers a socket, which the port makes non-blocking or overlapped as it needs.
    ///
    /// # Errors
    ///
    /// What the system says when the socket cannot be added. The socket is
    /// closed then.
    pub fn register(&self, socket: Socket, handler: Arc<dyn Handler>) -> io::Result<Handle> {
        #[cfg(unix)]
        let descriptor = socket.as_raw_fd();
        #[cfg(windows)]
        let descriptor = socket.as_raw_socket();
        self.registered(descriptor, self.shared.backend.register(socket, handler), None)
    }

    /// Whether the port takes [named pipes](Self::register_pipe): that of the system's completion
    /// ports does.
    #[cfg(windows)]
    #[must_use]
    pub fn takes_pipes(&self) -> bool {
        self.shared.backend.takes_pipes()
    }

    /// Registers a named pipe, where sockets of the Unix domain cannot be had.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported), if the port [takes none](Self::takes_pipes);
    /// [`InvalidInput`](io::ErrorKind::InvalidInput), if it was accepted on another port. The pipe
    /// is closed then.
    #[cfg(windows)]
    pub fn register_pipe(&self, pipe: NamedPipe, handler: Arc<dyn Handler>) -> io::Result<Handle> {
        let descriptor = pipe.0.handle() as RawDescriptor;
        self.registered(descriptor, self.shared.backend.register_pipe(pipe.0, handler), None)
    }

    /// Registers a descriptor that stays the caller's, for [`Handle::probe`] only.
    ///
    /// The port never closes it nor changes its blocking mode. It must stay
    /// open until the handle is retired: a number that was closed and taken
    /// again makes probes report on the wrong descriptor. To watch one
    /// descriptor twice on one port, duplicate it.
    ///
    /// # Errors
    ///
    /// What the system says when the descriptor cannot be watched. epoll
    /// refuses regular files and directories, which are always ready.
    #[cfg(unix)]
    pub fn watch(&self, descriptor: &impl AsFd, handler: Arc<dyn Handler>) -> io::Result<Handle> {
        let descriptor = descriptor.as_fd().as_raw_fd();
        let entry = self.shared.backend.watch(descriptor, handler);
        self.registered(descriptor, entry, Some(descriptor))
    }

    /// Registers a socket that stays the caller's, for [`Handle::probe`] only.
    ///
    /// The port never closes it nor changes its blocking mode. It must stay
    /// open until the handle is retired: a number that was closed and taken
    /// again makes probes report on the wrong socket. To watch one socket twice
    /// on one port, duplicate it.
    ///
    /// # Errors
    ///
    /// What the system says when the socket cannot be watched.
    #[cfg(windows)]
    pub fn watch(
        &self,
        descriptor: &impl AsSocket,
        handler: Arc<dyn Handler>,
    ) -> io::Result<Handle> {
        let descriptor = descriptor.as_socket().as_raw_socket();
        let entry = self.shared.backend.watch(descriptor, handler);
        self.registered(descriptor, entry, Some(descriptor))
    }

    fn registered(
        &self,
        descriptor: RawDescriptor,
        entry: io::Result<Arc<dyn Entry>>,
        watched: Option<RawDescriptor>,
    ) -> io::Result<Handle> {
        let entry = entry?;
        self.shared.counters.registered(descriptor);
        Ok(Handle::new(entry, watched))
    }

    /// Gives a buffer back that [`Event::Received`] brought, for the next receives to use instead of
    /// new memory. It may be any buffer; one that is smaller than the engine's own is freed.
    pub fn reuse(&self, buffer: BytesMut) {
        self.shared.backend.reuse(buffer);
    }

    /// What the port has done so far, and how much it has to do.
    ///
    /// Keeping count costs next to nothing; reading is for now and then: it looks at every
    /// registration.
    ///
    /// ```
    /// use serverlink_io::{Port, PortOptions};
    ///
    /// let port = Port::new(&PortOptions::default())?;
    /// port.wake();
    /// port.turn(None)?;
    /// let statistics = port.statistics();
    /// assert_eq!((statistics.turns, statistics.batches), (1, 0));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn statistics(&self) -> PortStatistics {
        self.shared.counters.read(self.shared.backend.pending())
    }

    /// Drives the port until it is stopped.
    ///
    /// While another thread drives, this one waits for it to leave the port; it gives way to
    /// threads in [`wait`](Self::wait), and takes over within a few milliseconds when they have
    /// left.
    ///
    /// # Errors
    ///
    /// Those of [`turn`](Self::turn), and
    /// [`Deadlock`](io::ErrorKind::Deadlock) from within a handler of this
    /// port.
    pub fn run(&self) -> io::Result<()> {
        self.shared.seat.run(&*self.shared, self.shared.vigil.as_ref())
    }

    /// Waits until the epoch of `notice` is past `seen`, the deadline has come, or the port is
    /// stopped. May return before.
    ///
    /// The thread does not merely sleep: it drives the port, if no other waiter does, and so
    /// handles by itself the events that it waits for. Use [`raise`](Self::raise) to raise the notice.
    ///
    /// # Errors
    ///
    /// Those of [`turn`](Self::turn), and
    /// [`Deadlock`](io::ErrorKind::Deadlock) from within a handler of this
    /// port.
    pub fn wait(
        &self,
        notice: &Notice,
        seen: u64,
        deadline: Option<Instant>,
        manner: Manner<'_>,
    ) -> io::Result<()> {
        let eager = !matches!(manner, Manner::Patient);
        let mut watch = match manner {
            Manner::Awake(vigil) => Some(vigil.begin()),
            Manner::Patient | Manner::Eager => None,
        };
        let stays_awake = || watch.as_mut().is_some_and(Watch::is_awake);
        self.shared.seat.wait(&*self.shared, notice, seen, deadline, eager, stays_awake)
    }

    /// Raises a notice that threads [wait](Self::wait) for at this port.
    pub fn raise(&self, notice: &Notice) {
        notice.raise();
        if notice.is_at_port() {
            self.shared.wake();
        }
    }

    /// Waits once for events, at most `timeout` (for ever if `None`), and delivers them.
    ///
    /// Due timers come first, by deadline and then by age, then posted packets,
    /// then input and output; what became due during the wait follows. Every
    /// descriptor that is ready gets a share. May return early with nothing
    /// delivered.
    ///
    /// # Errors
    ///
    /// What the system says when it cannot wait; a defect of the environment
    /// (for instance, the port's own descriptor was closed by others).
    pub fn turn(&self, timeout: Option<Duration>) -> io::Result<Turn> {
        self.shared.seat.turn(&*self.shared, timeout)
    }

    /// Makes the `turn` that waits now, or else the next one, return without waiting longer.
    ///
    /// Wakes in a burst are one. From within a handler this does nothing: the
    /// turn is about to return anyway.
    pub fn wake(&self) {
        self.shared.wake();
    }

    /// Delivers [`Event::Posted`] with `tag` to `handler` on the driving thread, in the order of
    /// posting.
    pub fn post(&self, handler: Arc<dyn Handler>, tag: u64) {
        if self.push_packet(handler, tag) {
            self.shared.wake();
        }
    }

    /// Like [`post`](Self::post), but if no thread drives the port, none is woken for this: the
    /// packet is delivered when one comes to [`wait`](Self::wait), or when the thread in
    /// [`run`](Self::run) next looks after the port, some milliseconds later.
    pub fn post_lazily(&self, handler: Arc<dyn Handler>, tag: u64) {
        if self.push_packet(handler, tag) {
            self.shared.seat.wake_driver(&*self.shared);
        }
    }

    /// False if the port is stopped.
    fn push_packet(&self, handler: Arc<dyn Handler>, tag: u64) -> bool {
        let mut posted = lock(&self.shared.posted);
        let runs = !self.shared.is_stopped();
        if runs {
            posted.push_back(Packet { handler, tag });
            self.shared.packets.store(posted.len(), Ordering::SeqCst);
        }
        runs
    }

    /// Delivers [`Event::Timer`] with `tag` to `handler` on the driving thread, not before
    /// `deadline` and as soon after it as the system allows: see [`timer_grain`](Self::timer_grain).
    pub fn set_timer(&self, deadline: Instant, handler: Arc<dyn Handler>, tag: u64) -> TimerId {
        let (id, nearest) = self.shared.timers.set(deadline, Alarm { handler, tag });
        if self.shared.is_stopped() {
            self.shared.timers.cancel(id);
        } else if nearest {
            self.shared.wake();
        }
        id
    }

    /// How late timers may be on a system at rest: microseconds where the system waits so exactly,
    /// milliseconds elsewhere.
    #[must_use]
    pub fn timer_grain(&self) -> Duration {
        self.shared.backend.timer_grain()
    }

    /// Cancels a timer: true if it had not expired; its event then never comes.
    pub fn cancel_timer(&self, id: TimerId) -> bool {
        self.shared.timers.cancel(id).is_some()
    }

    /// Stops the port for good: the turn that goes on returns, and all later ones tell
    /// [`Turn::Stopped`]. Handles can still be used, but nothing completes any more; packets and
    /// timers are dropped.
    pub fn stop(&self) {
        diagnostics::stopped(self.backend());
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.backend.stop();
        self.shared.seat.disturb();
        // Nobody will deliver these, and their handlers may own the port.
        let posted = mem::take(&mut *lock(&self.shared.posted));
        self.shared.packets.store(0, Ordering::SeqCst);
        drop((posted, self.shared.timers.take_all()));
    }
}

/// Two are equal if they refer to the same port.
impl PartialEq for Port {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Port {}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port")
            .field("backend", &self.shared.backend)
            .field("timers", &self.shared.timers.len())
            .field("stopped", &self.shared.stopped)
            .finish_non_exhaustive()
    }
}

impl Car for Shared {
    fn turn(&self, timeout: Option<Duration>) -> io::Result<Turn> {
        let mut delivered = self.deliver_due();
        let wait = if delivered > 0 { Some(Duration::ZERO) } else { self.wait(timeout) };
        match self.backend.turn(wait)? {
            Outcome::Delivered(count) => {
                self.counters.turned(count);
                delivered += count;
            }
            Outcome::Stopped => return Ok(Turn::Stopped),
        }
        delivered += self.deliver_due();
        Ok(Turn::Delivered(delivered))
    }

    fn wake(&self) {
        self.backend.wake();
    }

    fn has_packets(&self) -> bool {
        self.packets.load(Ordering::SeqCst) > 0
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// Ends the driver's wait. Within a turn the driver has no need of it: it looks at timers and
    /// packets again before it waits.
    fn wake(&self) {
        self.seat.wake(self);
    }

    /// Delivers the timers and packets that are due now, and not those that their handlers add.
    fn deliver_due(&self) -> usize {
        self.deliver_timers() + self.deliver_packets()
    }

    fn deliver_timers(&self) -> usize {
        let Some(nearest) = self.timers.nearest() else { return 0 };
        let now = Instant::now();
        if nearest > now {
            return 0;
        }
        // New timers may be due at once; the count keeps them from going on for ever.
        let pending = self.timers.len();
        for delivered in 0..pending {
            let Some((id, alarm)) = self.timers.take_due(now) else { return delivered };
            self.counters.timer();
            alarm.handler.complete(Event::Timer { id, tag: alarm.tag });
        }
        pending
    }

    fn deliver_packets(&self) -> usize {
        let waiting = self.packets.load(Ordering::SeqCst);
        for delivered in 0..waiting {
            let mut posted = lock(&self.posted);
            let Some(packet) = posted.pop_front() else { return delivered };
            self.packets.store(posted.len(), Ordering::SeqCst);
            drop(posted);
            self.counters.packet();
            packet.handler.complete(Event::Posted { tag: packet.tag });
        }
        waiting
    }

    /// How long the backend may wait.
    fn wait(&self, timeout: Option<Duration>) -> Option<Duration> {
        let Some(nearest) = self.timers.nearest() else { return timeout };
        let left = nearest.saturating_duration_since(Instant::now());
        Some(timeout.map_or(left, |timeout| timeout.min(left)))
    }
}
