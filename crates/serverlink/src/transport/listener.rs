//! A bound endpoint: accepts connections and keeps track of them.

use std::{
    collections::HashMap,
    io, mem,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use serverlink_io::{Event, Handle, Handler, Port, is_temporary};
use serverlink_zmtp::SocketType;
use socket2::SockAddr;

use super::{
    Closing, Connection, End, Origin,
    connection::Beginning,
    ipc::SocketFile,
    language::Language,
    stream::{Listening, Stream},
};
use crate::{
    Error, Message, MonitorEvent, MonitorEventKind, Result,
    context::Runtime,
    diagnostics,
    endpoint::StreamEndpoint,
    options::Options,
    pipe::{Outbox, Pacer, PipeEnd},
    socket::{PeerInfo, SocketInner},
};

/// How long to wait, when accepting failed for want of descriptors or memory, before the next try.
const PAUSE: Duration = Duration::from_millis(100);

/// A listening socket.
#[derive(Debug)]
pub(crate) struct Listener {
    me: Weak<Listener>,
    runtime: Arc<Runtime>,
    socket: Weak<SocketInner>,
    socket_type: SocketType,
    endpoint: StreamEndpoint,
    language: Language,
    options: Arc<Options>,
    pacer: Arc<Pacer>,
    port: Port,
    handle: OnceLock<Handle>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    accepting: Accepting,
    /// Of a socket that has one.
    file: Option<SocketFile>,
    connections: HashMap<usize, Arc<Connection>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Accepting {
    #[default]
    Well,
    /// It failed for want of something that may come back, and is tried now and then.
    Paused,
    /// The listening socket is unfit, and closed.
    Ended,
}

impl Listener {
    /// Binds.
    pub(crate) fn bind(
        runtime: &Arc<Runtime>,
        socket: &Arc<SocketInner>,
        endpoint: &StreamEndpoint,
        options: &Arc<Options>,
    ) -> Result<Arc<Self>> {
        let language = Language::of_listener(endpoint, socket.socket_type(), options)?;
        let port = runtime.port(options.affinity).clone();
        let Listening { stream: listening, endpoint, file } = endpoint.listen(options, &port)?;
        let mut options = options.clone();
        if options.listening_socket.is_some() {
            // It has its own handle by now.
            Arc::make_mut(&mut options).listening_socket = None;
        }
        let listener = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            runtime: runtime.clone(),
            socket: Arc::downgrade(socket),
            socket_type: socket.socket_type(),
            endpoint,
            language,
            options,
            pacer: socket.pacer().clone(),
            port,
            handle: OnceLock::new(),
            state: Mutex::new(State { file, ..State::default() }),
        });
        let handle = listening
            .register(&listener.port, listener.clone())
            .map_err(Error::io("registering a listening socket"))?;
        let handle = listener.handle.get_or_init(|| handle);
        handle.accept().map_err(Error::io("accepting connections"))?;
        listener.tell(MonitorEventKind::Listening);
        Ok(listener)
    }

    /// Where it is bound, with everything filled in.
    pub(crate) fn endpoint(&self) -> &StreamEndpoint {
        &self.endpoint
    }

    /// Accepts no more, and ends the connections accepted so far once they have sent everything or
    /// their time is up.
    pub(crate) fn close(&self, linger: Option<Duration>) {
        let (file, connections) = {
            let mut state = self.state();
            state.closed = true;
            (state.file.take(), state.connections.values().cloned().collect::<Vec<_>>())
        };
        self.stop_listening(file);
        let owner = self.socket.upgrade();
        for connection in connections {
            // What is sent from now on is for other peers.
            if let (Some(owner), Some(pipe)) = (&owner, connection.pipe()) {
                owner.pipe_closed(pipe);
            }
            let what = (self.socket_type, &self.endpoint, true);
            connection.close(Closing::new(linger, &self.runtime, connection.outbox(), what));
        }
    }

    fn stop_listening(&self, file: Option<SocketFile>) {
        // While the socket is open, no other can have a file that looks the same.
        let removed = file.map_or(Ok(()), SocketFile::remove);
        if let Some(handle) = self.handle.get() {
            handle.retire();
        }
        self.tell(match removed {
            Ok(()) => MonitorEventKind::Closed,
            Err(error) => MonitorEventKind::CloseFailed((&error).into()),
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whoever monitors the socket.
    fn tell(&self, kind: MonitorEventKind) {
        if let Some(owner) = self.socket.upgrade() {
            let event = || MonitorEvent::new(kind, self.endpoint.to_string(), true);
            owner.monitors().tell(event);
        }
    }

    fn tell_accepted(&self, stream: &Stream, peer: Option<SockAddr>) {
        if let Some(owner) = self.socket.upgrade() {
            owner.monitors().tell(|| {
                let kind = MonitorEventKind::Accepted;
                MonitorEvent::new(kind, self.endpoint.to_string(), true)
                    .between(stream.local_addr(), peer)
            });
        }
    }

    fn accepted(&self, stream: Stream, peer: Option<SockAddr>) -> io::Result<()> {
        let Some(me) = self.me.upgrade() else { return Ok(()) };
        self.endpoint.accepted(&stream, &self.options)?;
        let port = stream.port_for(&self.port, &self.runtime, self.options.affinity);
        let protocol = self.language.begin(&self.options, self.socket_type)?;
        let outbox = Arc::new(Outbox::new(
            self.options.send_limit(),
            self.options.conflates_out(self.socket_type),
            self.options.out_batch_size,
            self.pacer.clone(),
        ));
        // Held until the connection is in the list: it cannot end before.
        let mut state = self.state();
        if state.closed {
            return Ok(());
        }
        self.tell_accepted(&stream, peer.clone());
        let beginning = Beginning::Accepted(peer);
        let connection = Connection::start((port, stream), beginning, None, protocol, outbox, me)?;
        state.connections.insert(Arc::as_ptr(&connection).addr(), connection);
        Ok(())
    }

    fn serve(&self, stream: Stream, peer: Option<SockAddr>) {
        self.recovered();
        // One that is not wanted or cannot be served is closed; the others must not suffer.
        if let Err(error) = self.accepted(stream, peer) {
            self.tell(MonitorEventKind::AcceptFailed((&error).into()));
        }
        self.accept_next();
    }

    fn accept_next(&self) {
        if let Some(handle) = self.handle.get()
            && !self.state().closed
            && let Err(error) = handle.accept()
            // One is pending already: so much the better.
            && error.kind() != io::ErrorKind::ResourceBusy
        {
            self.failed(&error);
        }
    }

    /// Tries again in a while, or never.
    fn failed(&self, error: &io::Error) {
        self.tell(MonitorEventKind::AcceptFailed(error.into()));
        let mut state = self.state();
        if state.closed {
            return;
        }
        if is_temporary(error) {
            if mem::replace(&mut state.accepting, Accepting::Paused) == Accepting::Well {
                diagnostics::accept_paused(error);
            }
            if let Some(me) = self.me.upgrade() {
                self.port.set_timer(Instant::now() + PAUSE, me, 0);
            }
        } else if mem::replace(&mut state.accepting, Accepting::Ended) != Accepting::Ended {
            diagnostics::accept_ended(error);
            let file = state.file.take();
            drop(state);
            // Peers are refused rather than left waiting for an answer.
            self.stop_listening(file);
        }
    }

    fn recovered(&self) {
        let mut state = self.state();
        if state.accepting == Accepting::Paused {
            state.accepting = Accepting::Well;
            diagnostics::accept_resumed();
        }
    }
}

impl Handler for Listener {
    fn complete(&self, event: Event) {
        match event {
            Event::Accepted(Ok((socket, peer))) => self.serve(Stream::Socket(socket), Some(peer)),
            #[cfg(windows)]
            Event::AcceptedPipe(pipe) => self.serve(Stream::Pipe(pipe), None),
            Event::Accepted(Err(error)) => self.failed(&error),
            Event::Timer { .. } => self.accept_next(),
            _ => {}
        }
    }
}

impl Origin for Listener {
    fn ready(&self, connection: &Arc<Connection>, info: PeerInfo) -> bool {
        let Some(owner) = self.socket.upgrade() else { return false };
        let end = PipeEnd::remote(
            self.socket.clone(),
            self.options.receive_limit(),
            self.options.conflates_in(self.socket_type),
            connection.outbox().clone(),
        );
        let pipe = end.pipe.clone();
        connection.set_pipe(pipe.clone());
        let accepted = owner.attach(end, Some(info));
        if accepted && self.state().closed {
            // Closed just before the connection had a pipe.
            owner.pipe_closed(&pipe);
        }
        accepted
    }

    fn options(&self) -> &Options {
        &self.options
    }

    fn probes(&self) -> bool {
        self.socket.upgrade().is_some_and(|owner| owner.probes())
    }

    fn runtime(&self) -> &Arc<Runtime> {
        &self.runtime
    }

    fn departure(&self) -> Vec<Message> {
        self.options.departure(&self.options.disconnect_message)
    }

    fn endpoint(&self) -> String {
        self.endpoint.to_string()
    }

    fn tell(&self, connection: &Connection, kind: MonitorEventKind) {
        if let Some(owner) = self.socket.upgrade() {
            owner.monitors().tell(|| {
                let (local, remote) = connection.addresses();
                MonitorEvent::new(kind, self.endpoint.to_string(), true).between(local, remote)
            });
        }
    }

    fn muted(&self, connection: &Arc<Connection>) {
        connection.outbox().mute(false);
        if let Some(pipe) = connection.pipe()
            && let Some(owner) = pipe.owner()
        {
            owner.pipe_deaf(pipe);
        }
    }

    fn ended(&self, connection: &Arc<Connection>, _end: End) {
        self.state().connections.remove(&Arc::as_ptr(connection).addr());
        connection.outbox().kill();
        if let Some(pipe) = connection.pipe()
            && let Some(owner) = pipe.owner()
        {
            owner.pipe_closed(pipe);
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{io::Read, net::TcpStream, thread};

    use super::*;
    use crate::{Context, endpoint::Endpoint};

    const PATIENCE: Duration = Duration::from_secs(30);

    struct Rig {
        listener: Arc<Listener>,
        address: String,
        // Kept for the listener.
        _socket: crate::Socket,
        _context: Context,
    }

    impl Rig {
        fn new() -> Self {
            let context = Context::new().expect("an engine");
            let socket = context.socket(SocketType::Pull).expect("a socket");
            let Ok(Endpoint::Stream(endpoint)) = "tcp://127.0.0.1:*".parse() else {
                panic!("it is one")
            };
            let runtime = &context.shared.runtime;
            let listener = Listener::bind(runtime, &socket.inner, &endpoint, &Arc::default())
                .expect("loopback listens");
            let address = listener.endpoint().to_string().replace("tcp://", "");
            Self { listener, address, _socket: socket, _context: context }
        }

        fn fail(&self, code: i32) {
            self.listener.complete(Event::Accepted(Err(io::Error::from_raw_os_error(code))));
        }

        fn accepting(&self) -> Accepting {
            self.listener.state().accepting
        }

        /// Connects and is greeted.
        fn served(&self) {
            let mut client = TcpStream::connect(&self.address).expect("it listens");
            client.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
            client.read_exact(&mut [0; 10]).expect("a greeting");
        }
    }

    impl Drop for Rig {
        fn drop(&mut self) {
            self.listener.close(Some(Duration::ZERO));
        }
    }

    #[test]
    fn a_shortage_pauses_and_passes() {
        // ENFILE, EMFILE, ENOMEM; ENOBUFS.
        for code in [23, 24, 12, if cfg!(target_os = "linux") { 105 } else { 55 }] {
            let rig = Rig::new();
            rig.fail(code);
            assert_eq!(rig.accepting(), Accepting::Paused, "{code}");
            rig.served();
            rig.served();
            assert_eq!(rig.accepting(), Accepting::Well, "{code}");
        }
    }

    #[test]
    fn an_unfit_listener_ends() {
        let rig = Rig::new();
        // EINVAL: it does not listen.
        rig.fail(22);
        assert_eq!(rig.accepting(), Accepting::Ended);
        let start = Instant::now();
        while TcpStream::connect(&rig.address).is_ok() {
            assert!(start.elapsed() < PATIENCE, "it still listens");
            thread::yield_now();
        }
    }
}
