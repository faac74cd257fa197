//! A connected endpoint: makes a connection, and another one whenever it is lost.

use std::{
    io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use serverlink_io::{Event, Handler, Port, TimerId};
use serverlink_zmtp::SocketType;
use socket2::SockAddr;

use super::{
    Closing, Connection, End, Origin,
    connection::Beginning,
    language::Language,
    socks::{self, Socks},
    tcp,
};
use crate::{
    Message, MonitorEvent, MonitorEventKind, Result,
    context::Runtime,
    endpoint::StreamEndpoint,
    options::Options,
    pipe::{Outbox, Pipe, PipeEnd},
    socket::{PeerInfo, SocketInner},
};

/// What a packet posted to a connecter asks for.
const START: u64 = 0;
const RESOLVED: u64 = 1;
const CLOSE: u64 = 2;

/// The longest wait that is a moment on every clock.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The way to one endpoint, over as many connections as it takes, one at a time.
#[derive(Debug)]
pub(crate) struct Connecter {
    me: Weak<Connecter>,
    runtime: Arc<Runtime>,
    port: Port,
    socket_type: SocketType,
    endpoint: StreamEndpoint,
    language: Language,
    /// Whom to connect to instead, to be connected by it.
    proxy: Option<Box<StreamEndpoint>>,
    options: Arc<Options>,
    pipe: Arc<Pipe>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    look_up: LookUp,
    /// How many waits there were since the last connection.
    waits: u32,
    /// The last attempt failed because nobody listens there.
    refused: bool,
    /// The user wants it no more.
    disconnected: bool,
    leaving: Option<Box<Leaving>>,
}

/// The orderly end that somebody wants.
#[derive(Debug)]
struct Leaving {
    closing: Closing,
    /// When time is up.
    timer: Option<TimerId>,
}

/// Idle ones may be many. Elsewhere locks may be larger.
#[cfg(all(target_pointer_width = "64", target_os = "linux"))]
const _: () = assert!(size_of::<Connecter>() <= 184);

#[derive(Debug)]
enum Phase {
    /// Waiting for addresses, but not after this timer goes off.
    Resolving(Option<TimerId>),
    /// If that fails, these addresses are tried before waiting, the last one first.
    Connecting(Arc<Connection>, Vec<SockAddr>),
    Connected(Arc<Connection>),
    Waiting(TimerId),
    Stopped,
}

/// What is asked about the addresses. Nothing ends it but the answer, which may come too late, to be
/// dropped, or to be that of the next attempt.
#[derive(Debug)]
enum LookUp {
    None,
    Asked,
    Answered(Box<io::Result<Vec<SockAddr>>>),
}

impl State {
    /// Whether this timer tells that time is up.
    fn is_overdue(&self, timer: TimerId) -> bool {
        self.leaving.as_ref().is_some_and(|leaving| leaving.timer == Some(timer))
    }
}

impl Phase {
    /// Whether this is the present connection.
    fn is_of(&self, connection: &Arc<Connection>) -> bool {
        match self {
            Self::Connecting(current, _) | Self::Connected(current) => {
                Arc::ptr_eq(current, connection)
            }
            Self::Resolving(_) | Self::Waiting(_) | Self::Stopped => false,
        }
    }
}

impl Connecter {
    /// Prepares to connect; the pipe is there at once, for the socket to take its end.
    pub(crate) fn new(
        runtime: &Arc<Runtime>,
        socket: &Arc<SocketInner>,
        endpoint: &StreamEndpoint,
        options: &Arc<Options>,
    ) -> Result<(Arc<Self>, PipeEnd)> {
        if let Some(tcp) = endpoint.tcp() {
            tcp::check_source(tcp, &endpoint.to_string())?;
        }
        let language = Language::of_connecter(endpoint, socket.socket_type(), options)?;
        let proxy = socks::proxy(options, endpoint)?.map(Box::new);
        let conflates_out = options.conflates_out(socket.socket_type());
        let outbox = Arc::new(Outbox::new(
            options.send_limit(),
            conflates_out,
            options.out_batch_size,
            socket.pacer().clone(),
        ));
        let owner = Arc::downgrade(socket);
        let conflates_in = options.conflates_in(socket.socket_type());
        let end = PipeEnd::remote(owner, options.receive_limit(), conflates_in, outbox);
        let connecter = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            runtime: runtime.clone(),
            port: runtime.port(options.affinity).clone(),
            socket_type: socket.socket_type(),
            endpoint: endpoint.clone(),
            language,
            proxy,
            options: options.clone(),
            pipe: end.pipe.clone(),
            state: Mutex::new(State {
                phase: Phase::Resolving(None),
                look_up: LookUp::None,
                waits: 0,
                refused: false,
                disconnected: false,
                leaving: None,
            }),
        });
        Ok((connecter, end))
    }

    pub(crate) fn endpoint(&self) -> &StreamEndpoint {
        &self.endpoint
    }

    /// Whose addresses are connected to.
    fn dialled(&self) -> &StreamEndpoint {
        self.proxy.as_deref().unwrap_or(&self.endpoint)
    }

    /// Begins to connect.
    pub(crate) fn start(&self) {
        if let Some(me) = self.me.upgrade() {
            self.port.post(me, START);
        }
    }

    pub(crate) fn pipe(&self) -> &Arc<Pipe> {
        &self.pipe
    }

    /// The user wants no more of it. What is still to be sent is, but without another connection, if
    /// the options say so.
    pub(crate) fn disconnect(&self, linger: Option<Duration>) {
        self.state().disconnected = true;
        self.close(linger);
    }

    /// Ends the way once everything is sent, or time is up.
    pub(crate) fn close(&self, linger: Option<Duration>) {
        let Some(me) = self.me.upgrade() else { return };
        let what = (self.socket_type, &self.endpoint, false);
        if let Some(outbox) = self.pipe.outbox() {
            let closing = Closing::new(linger, &self.runtime, outbox, what);
            self.state().leaving = Some(Box::new(Leaving { closing, timer: None }));
        }
        self.port.post(me, CLOSE);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the addresses out, without blocking this thread.
    fn resolve(&self, state: &mut State) {
        if let Some(address) = self.dialled().literal() {
            self.connect(state, vec![address]);
            return;
        }
        // However often it is tried, one thread at most waits for a name server.
        if matches!(state.look_up, LookUp::None) {
            if self.ask().is_err() {
                self.wait(state);
                return;
            }
            state.look_up = LookUp::Asked;
        }
        let deadline =
            self.options.connect_timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let timer = deadline.and_then(|deadline| {
            let me = self.me.upgrade()?;
            Some(self.port.set_timer(deadline, me, 0))
        });
        state.phase = Phase::Resolving(timer);
    }

    /// Has a thread ask for the addresses. It may be long; nothing that it holds is waited for.
    fn ask(&self) -> io::Result<()> {
        let (me, endpoint) = (self.me.clone(), self.dialled().clone());
        let options = self.options.clone();
        let asks = move || {
            let answer = endpoint.resolve(&options);
            if let Some(me) = me.upgrade() {
                me.state().look_up = LookUp::Answered(answer.into());
                me.port.post(me.clone(), RESOLVED);
            }
        };
        thread::Builder::new().name("serverlink-resolve".to_owned()).spawn(asks).map(drop)
    }

    fn resolved(&self, state: &mut State) {
        let LookUp::Answered(answer) = mem::replace(&mut state.look_up, LookUp::None) else {
            return;
        };
        let Phase::Resolving(timer) = state.phase else { return };
        if let Some(timer) = timer {
            self.port.cancel_timer(timer);
        }
        match *answer {
            Ok(mut addresses) => {
                addresses.reverse();
                self.connect(state, addresses);
            }
            Err(_) => self.wait(state),
        }
    }

    /// Tells whoever monitors the socket.
    fn tell(&self, kind: MonitorEventKind) {
        if let Some(owner) = self.pipe.owner() {
            let event = || MonitorEvent::new(kind, self.endpoint.to_string(), false);
            owner.monitors().tell(event);
        }
    }

    /// Tries the next address, the last of these; when there is none left, waits before it tries all again.
    fn connect(&self, state: &mut State, mut addresses: Vec<SockAddr>) {
        while let Some(address) = addresses.pop() {
            self.tell(MonitorEventKind::ConnectDelayed);
            match self.connect_to(&address) {
                Ok(connection) => {
                    state.phase = Phase::Connecting(connection, addresses);
                    return;
                }
                Err(error) => state.refused = error.kind() == io::ErrorKind::ConnectionRefused,
            }
            self.tell(MonitorEventKind::Closed);
        }
        self.wait(state);
    }

    fn connect_to(&self, address: &SockAddr) -> io::Result<Arc<Connection>> {
        let gone = || io::Error::from(io::ErrorKind::NotConnected);
        let me = self.me.upgrade().ok_or_else(gone)?;
        let outbox = self.pipe.outbox().ok_or_else(gone)?;
        let protocol = self.language.begin(&self.options, self.socket_type)?;
        let port = self.runtime.port(self.options.affinity).clone();
        let stream = self.endpoint.unconnected(address, &self.options, &port)?;
        let target = self.endpoint.tcp().filter(|_| self.proxy.is_some());
        let socks = target.map(|target| Socks::new(target, &self.options));
        Connection::start(
            (port, stream),
            Beginning::Wanted(address, self.options.connect_timeout),
            socks,
            protocol,
            outbox.clone(),
            me,
        )
    }

    fn wait(&self, state: &mut State) {
        let stop = self.options.reconnect_stop;
        let drained = || self.pipe.outbox().is_none_or(|outbox| outbox.is_drained());
        let closing = (state.leaving.is_some() && drained())
            || (state.refused && stop.connection_refused)
            || (state.disconnected && stop.after_disconnect);
        let (Some(base), Some(me), false) =
            (self.options.reconnect_interval, self.me.upgrade(), closing)
        else {
            self.stop(state);
            return;
        };
        let max = self.options.reconnect_interval_max;
        let factor = 1_u32.checked_shl(state.waits).unwrap_or(u32::MAX);
        let interval = if max > base { base.saturating_mul(factor).min(max) } else { base };
        state.waits = state.waits.saturating_add(1);
        // Peers that lost the same server must not all come back at the same moment.
        let wait = interval.saturating_add(base.mul_f64(fastrand::f64())).min(LONGEST_WAIT);
        self.tell(MonitorEventKind::ConnectRetried { wait });
        state.phase = Phase::Waiting(self.port.set_timer(Instant::now() + wait, me, 0));
    }

    fn stop(&self, state: &mut State) {
        let (guard, linger_timer) = match state.leaving.take() {
            Some(leaving) => (leaving.closing.guard, leaving.timer),
            None => (None, None),
        };
        match mem::replace(&mut state.phase, Phase::Stopped) {
            Phase::Connecting(connection, _) | Phase::Connected(connection) => {
                // The context waits until it has ended.
                connection.close(Closing {
                    deadline: Some(Instant::now()),
                    guard,
                    for_good: false,
                });
            }
            Phase::Waiting(timer) | Phase::Resolving(Some(timer)) => {
                self.port.cancel_timer(timer);
            }
            Phase::Resolving(None) | Phase::Stopped => {}
        }
        if let Some(timer) = linger_timer {
            self.port.cancel_timer(timer);
        }
        if let Some(outbox) = self.pipe.outbox() {
            outbox.kill();
        }
    }

    fn begin_closing(&self, state: &mut State) {
        let Some(leaving) = &state.leaving else { return };
        let deadline = leaving.closing.deadline;
        let drained = self.pipe.outbox().is_none_or(|outbox| outbox.close());
        let over = leaving.closing.is_over(Instant::now());
        match &state.phase {
            Phase::Stopped => state.leaving = None,
            _ if over => self.stop(state),
            Phase::Connected(connection) => {
                connection.close(Closing { deadline, guard: None, for_good: false });
            }
            _ if drained => self.stop(state),
            _ if state.disconnected && self.options.reconnect_stop.after_disconnect => {
                self.stop(state);
            }
            _ => {}
        }
        if let (Some(deadline), Some(me)) = (deadline, self.me.upgrade())
            && let Some(leaving) = &mut state.leaving
        {
            leaving.timer = Some(self.port.set_timer(deadline, me, 0));
        }
    }
}

impl Handler for Connecter {
    fn complete(&self, event: Event) {
        let mut state = self.state();
        match event {
            Event::Posted { tag: START } => self.resolve(&mut state),
            Event::Posted { tag: RESOLVED } => self.resolved(&mut state),
            Event::Posted { tag: CLOSE } => self.begin_closing(&mut state),
            Event::Timer { id, .. } if state.is_overdue(id) => self.stop(&mut state),
            Event::Timer { id, .. } => match state.phase {
                Phase::Waiting(timer) if timer == id => self.resolve(&mut state),
                Phase::Resolving(Some(timer)) if timer == id => self.wait(&mut state),
                _ => {}
            },
            _ => {}
        }
        let stopped = matches!(state.phase, Phase::Stopped);
        drop(state);
        if stopped && let Some(owner) = self.pipe.owner() {
            owner.pipe_closed(&self.pipe);
        }
    }
}

impl Origin for Connecter {
    fn ready(&self, connection: &Arc<Connection>, info: PeerInfo) -> bool {
        let mut state = self.state();
        if !matches!(&state.phase, Phase::Connecting(current, _) if Arc::ptr_eq(current, connection))
        {
            return false;
        }
        connection.set_pipe(self.pipe.clone());
        state.phase = Phase::Connected(connection.clone());
        state.waits = 0;
        state.refused = false;
        if let Some(leaving) = &state.leaving {
            // The socket has gone; what it owes is still sent.
            let deadline = leaving.closing.deadline;
            connection.close(Closing { deadline, guard: None, for_good: false });
            return true;
        }
        drop(state);
        self.pipe.owner().is_some_and(|owner| owner.pipe_ready(&self.pipe, info))
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn probes(&self) -> bool {
        self.pipe.owner().is_some_and(|owner| owner.probes())
    }

    fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    fn departure(&self) -> Vec<Message> {
        self.options.departure(&self.options.hiccup_message)
    }

    fn endpoint(&self) -> String {
        self.endpoint.to_string()
    }

    fn tell(&self, connection: &Connection, kind: MonitorEventKind) {
        if let Some(owner) = self.pipe.owner() {
            owner.monitors().tell(|| {
                let (local, remote) = connection.addresses();
                MonitorEvent::new(kind, self.endpoint.to_string(), false).between(local, remote)
            });
        }
    }

    fn muted(&self, connection: &Arc<Connection>) {
        if !self.state().phase.is_of(connection) {
            return;
        }
        if let Some(owner) = self.pipe.owner() {
            owner.pipe_lost(&self.pipe);
        }
        // What is sent waits for the next connection, and that for the end of this one.
        if connection.outbox().mute(true) {
            connection.give_up();
        }
    }

    fn is_hasty(&self) -> bool {
        self.options.immediate
    }

    fn ended(&self, connection: &Arc<Connection>, end: End) {
        if !self.state().phase.is_of(connection) {
            return;
        }
        if matches!(end, End::NotConnected | End::Refused) {
            self.tell(MonitorEventKind::Closed);
        }
        let owner = self.pipe.owner();
        // Told before another connection is begun, which might be ready first.
        if let Some(owner) = &owner {
            owner.pipe_lost(&self.pipe);
        }
        let stop = self.options.reconnect_stop;
        let mut state = self.state();
        match &mut state.phase {
            // Stopped meanwhile.
            phase if !phase.is_of(connection) => return,
            Phase::Connecting(_, others) if matches!(end, End::NotConnected | End::Refused) => {
                let others = mem::take(others);
                state.refused = end == End::Refused;
                self.connect(&mut state, others);
            }
            Phase::Connecting(..) if end == End::Rejected => self.stop(&mut state),
            Phase::Connecting(..) if end == End::Unshaken && stop.handshake_failed => {
                self.stop(&mut state);
            }
            Phase::Connected(_) if end == End::Closed => self.stop(&mut state),
            _ => self.wait(&mut state),
        }
        let stopped = matches!(state.phase, Phase::Stopped);
        drop(state);
        if let Some(owner) = owner
            && stopped
        {
            owner.pipe_closed(&self.pipe);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::mpsc};

    use super::{super::tcp::names, *};
    use crate::{Context, Socket};

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A PUSH that is to connect to a name, and what it has to send.
    fn asking(context: &Context, name: &str, port: &str, timeout: Option<Duration>) -> Socket {
        names::set(name, None);
        let push = context.socket(SocketType::Push).unwrap();
        push.set_connect_timeout(timeout).unwrap();
        push.set_reconnect_interval(Some(Duration::from_millis(1))).unwrap();
        push.set_linger(Some(Duration::ZERO)).unwrap();
        push.connect(&format!("tcp://{name}:{port}")).unwrap();
        push.send("to a name").unwrap();
        push
    }

    fn until(mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < PATIENCE, "waited in vain");
            thread::park_timeout(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_look_up_that_takes_too_long_is_a_failed_attempt_and_is_not_made_twice_at_once() {
        let context = Context::new().unwrap();
        let pull = context.socket(SocketType::Pull).unwrap();
        pull.set_receive_timeout(Some(PATIENCE)).unwrap();
        let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
        let port = endpoint.rsplit(':').next().unwrap();
        let patient = asking(&context, "patient.test", port, None);
        let name = "impatient.test";
        let impatient = asking(&context, name, port, Some(Duration::from_millis(5)));
        let [untired, tired] = [&patient, &impatient].map(|push| push.monitor());
        let mut failed = 0;
        while failed < 5 {
            let event = tired.recv_timeout(PATIENCE).unwrap();
            failed += u32::from(matches!(event.kind, MonitorEventKind::ConnectRetried { .. }));
        }
        assert_eq!(names::asked(name), 1);
        assert!(untired.try_recv().is_err(), "there is no limit");
        for name in [name, "patient.test"] {
            names::set(name, Some(Ipv4Addr::LOCALHOST.into()));
            assert_eq!(pull.recv().unwrap()[0], "to a name");
        }
        assert_eq!(names::asked("patient.test"), 1);
    }

    #[test]
    fn nobody_waits_for_a_look_up_that_hangs() {
        let (done, ended) = mpsc::channel();
        let ending = thread::spawn(move || {
            for timeout in [None, Some(Duration::from_secs(3600))] {
                let context = Context::new().unwrap();
                let push = asking(&context, "hangs.test", "9", timeout);
                until(|| names::asked("hangs.test") > 0);
                let idle = context.socket(SocketType::Pull).unwrap();
                idle.connect("tcp://hangs.test:9").unwrap();
                drop((push, idle));
                context.terminate();
            }
            let _ = done.send(());
        });
        assert!(ended.recv_timeout(PATIENCE).is_ok(), "it waits");
        ending.join().unwrap();
        // The threads that ask end, too.
        names::set("hangs.test", Some(Ipv4Addr::LOCALHOST.into()));
    }
}
