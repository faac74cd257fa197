//! One run of a socket: opened, worked by its role, and closed in order.

use std::{
    io::{self, Stdout},
    mem::ManuallyDrop,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use serverlink::{Context, Error, Message, Monitor, MonitorEventKind, Result, Socket, SocketType};

use crate::{
    args::{CommonArgs, RunArgs, SocketArgs},
    console::Console,
    exit,
    failure::Failure,
    interrupt,
    output::{Printer, Style},
    security::Security,
    tls::Tls,
    traffic::Traffic,
    values::Linger,
};

const NOT_SENT: &str = "no message could be sent";

/// What a role works with.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) run: RunArgs,
    pub(crate) sent: Traffic,
    pub(crate) received: Traffic,
    printer: Mutex<Printer<Stdout>>,
    /// The main thread is about to end the process.
    ending: AtomicBool,
}

#[derive(Debug)]
enum Event {
    Done(Result<(), Failure>),
    /// A peer that was connected to is there.
    Met,
    /// One is not to be talked to.
    Refused(Failure),
    Closed(Result<()>),
    Interrupted,
}

/// Opens a socket, lets `role` work it, and returns the exit code.
///
/// `prepare` is called before the socket is bound or connected. The role runs in a thread of its
/// own, so that Ctrl-C ends the command even while it waits for input; the process is to be ended
/// without waiting for that thread.
pub(crate) fn run(
    socket_type: SocketType,
    common: &CommonArgs,
    style: Style,
    prepare: impl FnOnce(&Socket) -> Result<()>,
    role: impl FnOnce(&Arc<Session>, &Arc<Socket>) -> Result<(), Failure> + Send + 'static,
) -> u8 {
    let session = Arc::new(Session {
        run: common.run.clone(),
        sent: Traffic::default(),
        received: Traffic::default(),
        printer: Mutex::new(Printer::new(io::stdout(), style)),
        ending: AtomicBool::new(false),
    });
    let console = Console::new(&common.run);
    let (events, inbox) = mpsc::channel();
    let interrupted = events.clone();
    interrupt::notify(move || interrupted.send(Event::Interrupted).is_ok());

    let outcome = open(socket_type, common, console, &events, prepare).and_then(|opened| {
        let (context, socket) = opened;
        let (worker, shared) = (Arc::clone(&session), Arc::clone(&socket));
        let done = events.clone();
        thread::spawn(move || {
            let worked = panic::catch_unwind(AssertUnwindSafe(|| role(&worker, &shared)));
            // The last to have it closes it, before the process ends.
            drop(shared);
            done.send(Event::Done(worked.unwrap_or_else(|_| Err(Failure::panicked()))))
        });
        session.supervise(context, socket, linger(common), events, &inbox)
    });
    session.end(outcome, console)
}

impl Session {
    /// Prints a message that was received.
    pub(crate) fn print(&self, message: &Message) -> Result<(), Failure> {
        let mut printer = self.printer();
        if self.ending.load(Relaxed) {
            // What is printed now would be cut off anywhere.
            return Err(Failure::output_closed());
        }
        printer.print(message).map_err(|error| Failure::output(&error))
    }

    /// Writes what was printed: to be called whenever there is a pause.
    pub(crate) fn flush(&self) -> Result<(), Failure> {
        self.received.pause();
        self.printer().flush().map_err(|error| Failure::output(&error))
    }

    /// Sends a message, and counts it.
    pub(crate) fn send(&self, socket: &Socket, message: Message) -> Result<(), Failure> {
        self.try_send(socket, message).map_err(Failure::while_doing(NOT_SENT))
    }

    /// Sends a message to who asked for it, unless that peer has left: others go on asking.
    pub(crate) fn reply(&self, socket: &Socket, message: Message) -> Result<(), Failure> {
        match self.try_send(socket, message) {
            Err(Error::HostUnreachable { .. }) => Ok(()),
            sent => sent.map_err(Failure::while_doing(NOT_SENT)),
        }
    }

    fn try_send(&self, socket: &Socket, message: Message) -> Result<()> {
        let bytes = message.byte_len();
        match self.run.timeout {
            Some(timeout) => socket.send_timeout(message, timeout)?,
            None => socket.send(message)?,
        }
        self.sent.count(bytes);
        Ok(())
    }

    fn printer(&self) -> MutexGuard<'_, Printer<Stdout>> {
        self.printer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the role has ended and its messages have left.
    fn supervise(
        &self,
        context: Context,
        socket: Arc<Socket>,
        linger: Linger,
        events: Sender<Event>,
        inbox: &Receiver<Event>,
    ) -> Result<u8, Failure> {
        // To drop it would be to wait for messages that are to be given up.
        let context = ManuallyDrop::new(context);
        let mut has_met = false;
        loop {
            match inbox.recv() {
                Ok(Event::Done(worked)) => break worked?,
                Ok(Event::Met) => has_met = true,
                Ok(Event::Refused(failure)) => return Err(failure),
                _ => return Ok(exit::INTERRUPTED),
            }
        }
        self.sent.pause();
        // Who sent nothing has nothing to wait for, however short the time.
        if self.sent.messages() == 0 || linger == Linger::For(Duration::ZERO) {
            return Ok(exit::OK);
        }
        // A socket that is closed tells nothing more of its handshakes.
        let start = Instant::now();
        let left = move || match linger {
            Linger::Forever => None,
            Linger::For(time) => Some(time.saturating_sub(start.elapsed())),
        };
        while !has_met && waits_for_peer(&socket) {
            let event = match left() {
                None => inbox.recv().map_err(RecvTimeoutError::from),
                Some(time) => inbox.recv_timeout(time),
            };
            match event {
                Ok(Event::Met) => has_met = true,
                Ok(Event::Refused(failure)) => return Err(failure),
                Err(RecvTimeoutError::Timeout) => return Err(left_over(linger)),
                _ => return Ok(exit::INTERRUPTED),
            }
        }
        drop(socket);
        let context = Context::clone(&context);
        thread::spawn(move || {
            let closed = match left() {
                None => {
                    context.terminate();
                    Ok(())
                }
                Some(time) => context.terminate_timeout(time),
            };
            events.send(Event::Closed(closed))
        });
        loop {
            match inbox.recv() {
                Ok(Event::Closed(closed)) => {
                    break closed.map(|()| exit::OK).map_err(|_| left_over(linger));
                }
                Ok(Event::Met) => {}
                Ok(Event::Refused(failure)) => return Err(failure),
                _ => return Ok(exit::INTERRUPTED),
            }
        }
    }

    /// Writes and tells what there is, and returns the exit code.
    fn end(&self, outcome: Result<u8, Failure>, console: Console) -> u8 {
        self.ending.store(true, Relaxed);
        let fail = |failure: Failure| {
            console.failure(&failure);
            failure.code
        };
        // Told at once: the output may have to wait for its reader.
        let (code, has_failed) = match outcome {
            Ok(code) => (code, false),
            Err(failure) => (fail(failure), true),
        };
        // What came was taken from its sender: it is written also if something else failed.
        let code = match self.flush_last() {
            Err(failure) if !has_failed => fail(failure),
            _ => code,
        };
        if self.run.stats {
            console.statistics(&self.sent.summary(), &self.received.summary());
        }
        code
    }

    fn flush_last(&self) -> Result<(), Failure> {
        self.printer().flush().map_err(|error| Failure::output(&error))
    }
}

/// A context on the first of the named I/O backends that starts, or on the best there is.
pub(crate) fn context(backends: Option<&str>, console: Console) -> Result<Context, Failure> {
    let builder = Context::builder();
    let builder = match backends {
        Some(names) => builder.backend(names),
        None => builder,
    };
    let context = builder.build().map_err(Failure::while_doing("the I/O engine cannot start"))?;
    context.passed_over().iter().for_each(|backend| console.passed_over(backend));
    Ok(context)
}

fn left_over(linger: Linger) -> Failure {
    let time = match linger {
        Linger::For(time) => format!(" within {time:?}"),
        Linger::Forever => String::new(),
    };
    Failure::new(
        exit::TIMED_OUT,
        format!("no peer has taken all messages{time}, and the rest is dropped"),
        "see that the peer runs, or allow more --linger",
    )
}

fn open(
    socket_type: SocketType,
    common: &CommonArgs,
    console: Console,
    events: &Sender<Event>,
    prepare: impl FnOnce(&Socket) -> Result<()>,
) -> Result<(Context, Arc<Socket>), Failure> {
    let args = &common.socket;
    let security = Security::new(&common.security)?;
    security.check(socket_type, &args.endpoints)?;
    let tls = Tls::new(&common.tls, &args.endpoints)?;
    let context = context(args.backend.as_deref(), console)?;
    let socket = context
        .socket(socket_type)
        .map_err(Failure::while_doing(&format!("no {socket_type} socket can be opened")))?;
    configure(&socket, args)
        .and_then(|()| security.apply(&context, &socket))
        .and_then(|()| tls.apply(&socket))
        .and_then(|()| prepare(&socket))
        .map_err(Failure::while_doing("the socket cannot be set up"))?;
    let (monitor, told) = (socket.monitor(), events.clone());
    thread::spawn(move || watch(&monitor, &security, console, &told));
    for endpoint in &args.endpoints.bind {
        let resolved = socket
            .bind(endpoint)
            .map_err(Failure::while_doing(&format!("cannot bind to {endpoint}")))?;
        console.bound(&resolved);
    }
    for endpoint in &args.endpoints.connect {
        socket
            .connect(endpoint)
            .map_err(Failure::while_doing(&format!("cannot connect to {endpoint}")))?;
    }
    Ok((context, Arc::new(socket)))
}

/// Tells of handshakes, until the socket is closed.
fn watch(monitor: &Monitor, security: &Security, console: Console, events: &Sender<Event>) {
    let mut has_met = false;
    // Who comes again and again is told of once.
    let mut last = None;
    for event in monitor.events() {
        if matches!(event.kind, MonitorEventKind::HandshakeSucceeded(_)) && !event.is_bound {
            has_met = true;
            let _ = events.send(Event::Met);
        }
        match security.failure(&event) {
            Some(failure) if security.is_fatal(&event, has_met) => {
                let _ = events.send(Event::Refused(failure));
            }
            Some(failure) => {
                let this = Some((event.kind, event.endpoint));
                if this != last {
                    console.refused(&failure);
                }
                last = this;
            }
            None => {}
        }
    }
}

/// Whether messages wait for somebody with whom no handshake is done.
fn waits_for_peer(socket: &Socket) -> bool {
    let peers = socket.peers();
    peers.iter().any(|peer| !peer.is_connected && peer.statistics.queued_outgoing > 0)
}

fn configure(socket: &Socket, args: &SocketArgs) -> Result<()> {
    // How long to linger is decided by `supervise`, which can tell of messages left over.
    socket.set_linger(None)?;
    if let Some(hwm) = args.hwm {
        socket.set_send_high_water_mark(hwm as usize)?;
        socket.set_receive_high_water_mark(hwm as usize)?;
    }
    if let Some(routing_id) = &args.routing_id {
        socket.set_routing_id(&routing_id[..])?;
    }
    let endpoints = &args.endpoints;
    if args.ipv6 || endpoints.bind.iter().chain(&endpoints.connect).any(|text| text.contains('[')) {
        socket.set_ipv6(true)?;
    }
    Ok(())
}

fn linger(common: &CommonArgs) -> Linger {
    let default = common.run.timeout.map_or(Linger::Forever, Linger::For);
    common.socket.linger.unwrap_or(default)
}
