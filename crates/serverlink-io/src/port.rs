//! The completion port: what all backends share.

mod due;

#[cfg(unix)]
use std::os::fd::{AsFd, AsRawFd};
#[cfg(windows)]
use std::os::windows::io::{AsRawSocket, AsSocket};
use std::{
    fmt, io,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use socket2::Socket;

use self::due::Due;
#[cfg(windows)]
use crate::NamedPipe;
use crate::{
    Handle, Handler, Notice, PortOptions, PortStatistics, TimerId, Vigil,
    counters::Counters,
    diagnostics,
    seat::{Car, Seat},
    sys::{self, Backend, Entry, RawDescriptor},
};

/// A completion port. Clones refer to the same port.
///
/// Registered sockets carry out operations; each ends with one
/// [`Event`](crate::Event) for the [`Handler`] of its registration. Events,
/// timers and posted packets are delivered by whichever thread drives the port,
/// with [`run`](Self::run) or [`turn`](Self::turn), one thread at a time.
/// Operations may be started from any thread.
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
    due: Due,
    seat: Seat,
    /// Of the thread that runs the port.
    vigil: Option<Vigil>,
    /// That thread's.
    pause: Option<Duration>,
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
                pause: options.pause.filter(|pause| *pause >= backend.timer_grain()),
                backend,
                passed_over,
                due: Due::default(),
                seat: Seat::default(),
                vigil: options.stay_awake.then(Vigil::new),
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

    /// Gives a buffer back that [`Event::Received`](crate::Event::Received) brought, for the next
    /// receives to use instead of new memory. It may be any buffer; one that is smaller than the
    /// engine's own is freed.
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
        self.shared.seat.run(&*self.shared, self.shared.vigil.as_ref(), self.shared.pause)
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
        let stays_awake = || watch.as_mut().is_some_and(|watch| watch.is_awake(Duration::ZERO));
        let waited =
            self.shared.seat.wait(&*self.shared, notice, seen, deadline, eager, stays_awake);
        if let Some(watch) = watch {
            watch.end(notice.epoch() != seen);
        }
        waited
    }

    /// From within a handler: nobody needs to hear at once of what comes next.
    ///
    /// If all that a turn of the thread in [`run`](Self::run) delivers is said to be so, that thread
    /// [pauses](PortOptions::pause) and then handles together what has come meanwhile. It does not
    /// where threads [wait](Self::wait) at the port or somebody is in a [hurry](Self::begin_hurry), and
    /// goes on at once when that is so, when it is [hastened](Self::hasten), and for timers and packets.
    pub fn unhurried(&self) {
        self.shared.seat.unhurried();
    }

    /// Ends a pause of the thread in [`run`](Self::run), or has it leave out the next: for whoever
    /// looks for what may come without waiting for it here, and has found nothing.
    pub fn hasten(&self) {
        self.shared.seat.hasten();
    }

    /// Has the thread in [`run`](Self::run) make no pauses, until [`end_hurry`](Self::end_hurry) is
    /// called as often: for what is waited for elsewhere.
    ///
    /// ```
    /// use serverlink_io::{Port, PortOptions};
    ///
    /// let port = Port::new(&PortOptions::default())?;
    /// port.begin_hurry();
    /// // Whatever comes is handled at once.
    /// port.end_hurry();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn begin_hurry(&self) {
        self.shared.seat.begin_hurry();
    }

    /// Ends what [`begin_hurry`](Self::begin_hurry) began.
    pub fn end_hurry(&self) {
        self.shared.seat.end_hurry();
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
    /// descriptor that is ready gets a share, if not of this turn, of one of the next.
    /// May return early with nothing delivered.
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

    /// Delivers [`Event::Posted`](crate::Event::Posted) with `tag` to `handler` on the driving
    /// thread, in the order of posting.
    pub fn post(&self, handler: Arc<dyn Handler>, tag: u64) {
        if self.shared.due.post(handler, tag) {
            self.shared.wake();
        }
    }

    /// Like [`post`](Self::post), but if no thread drives the port, none is woken for this: the
    /// packet is delivered when one comes to [`wait`](Self::wait), or when the thread in
    /// [`run`](Self::run) next looks after the port, some milliseconds later.
    pub fn post_lazily(&self, handler: Arc<dyn Handler>, tag: u64) {
        if self.shared.due.post(handler, tag) {
            self.shared.seat.wake_driver(&*self.shared);
        }
    }

    /// Delivers [`Event::Timer`](crate::Event::Timer) with `tag` to `handler` on the driving thread,
    /// not before `deadline` and as soon after it as the system allows: see
    /// [`timer_grain`](Self::timer_grain).
    pub fn set_timer(&self, deadline: Instant, handler: Arc<dyn Handler>, tag: u64) -> TimerId {
        let (id, nearest) = self.shared.due.set_timer(deadline, handler, tag);
        if nearest {
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
        self.shared.due.cancel_timer(id)
    }

    /// Stops the port for good: the turn that goes on returns, and all later ones tell
    /// [`Turn::Stopped`]. Handles can still be used, but nothing completes any more; packets and
    /// timers are dropped.
    pub fn stop(&self) {
        diagnostics::stopped(self.backend());
        self.shared.due.stop();
        self.shared.backend.stop();
        self.shared.seat.disturb();
        // Nobody will deliver these, and their handlers may own the port.
        self.shared.due.clear();
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
            .field("timers", &self.shared.due.timers())
            .field("stopped", &self.shared.due.is_stopped())
            .finish_non_exhaustive()
    }
}

impl Car for Shared {
    fn turn(&self, timeout: Option<Duration>) -> io::Result<Turn> {
        self.due.turn(timeout, &self.counters, |wait| self.backend.turn(wait))
    }

    fn wake(&self) {
        self.backend.wake();
    }

    fn has_packets(&self) -> bool {
        self.due.has_packets()
    }

    fn is_stopped(&self) -> bool {
        self.due.is_stopped()
    }

    fn at_most(&self, pause: Duration) -> Duration {
        self.due.wait(Some(pause)).unwrap_or(pause)
    }
}

impl Shared {
    /// Ends the driver's wait. Within a turn the driver has no need of it: it looks at timers and
    /// packets again before it waits.
    fn wake(&self) {
        self.seat.wake(self);
    }
}
