//! A bound endpoint: accepts connections and keeps track of them.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use serverlink_io::{Event, Handle, Handler};
use serverlink_zmtp::SocketType;
use socket2::Socket;

use super::{Closing, Connection, End, Origin, ipc::SocketFile, stream::Listening};
use crate::{
    Error, Result,
    context::Runtime,
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
    options: Options,
    pacer: Arc<Pacer>,
    handle: OnceLock<Handle>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    closed: bool,
    /// Of a socket that has one.
    file: Option<SocketFile>,
    connections: HashMap<usize, Arc<Connection>>,
}

impl Listener {
    /// Binds.
    pub(crate) fn bind(
        runtime: &Arc<Runtime>,
        socket: &Arc<SocketInner>,
        endpoint: &StreamEndpoint,
        options: &Options,
    ) -> Result<Arc<Self>> {
        let Listening { socket: listening, endpoint, file } = endpoint.listen(options)?;
        let listener = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            runtime: runtime.clone(),
            socket: Arc::downgrade(socket),
            socket_type: socket.socket_type(),
            endpoint,
            options: options.clone(),
            pacer: socket.pacer().clone(),
            handle: OnceLock::new(),
            state: Mutex::new(State { file, ..State::default() }),
        });
        let handle = runtime
            .port()
            .register(listening, listener.clone())
            .map_err(Error::io("registering a listening socket"))?;
        let handle = listener.handle.get_or_init(|| handle);
        handle.accept().map_err(Error::io("accepting connections"))?;
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
        // While the socket is open, no other can have a file that looks the same.
        drop(file);
        if let Some(handle) = self.handle.get() {
            handle.retire();
        }
        let owner = self.socket.upgrade();
        for connection in connections {
            // What is sent from now on is for other peers.
            if let (Some(owner), Some(pipe)) = (&owner, connection.pipe()) {
                owner.pipe_closed(pipe);
            }
            connection.close(Closing::new(linger, self.runtime.linger()));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accepted(&self, socket: Socket) -> io::Result<()> {
        let Some(me) = self.me.upgrade() else { return Ok(()) };
        self.endpoint.accepted(&socket, &self.options)?;
        let config = self.options.protocol(self.socket_type, true);
        let outbox = Arc::new(Outbox::new(self.options.send_limit(), self.pacer.clone()));
        // Held until the connection is in the list: it cannot end before.
        let mut state = self.state();
        if state.closed {
            return Ok(());
        }
        let connection = Connection::start(&self.runtime, socket, None, config, outbox, me)?;
        state.connections.insert(Arc::as_ptr(&connection).addr(), connection);
        Ok(())
    }

    fn accept_next(&self) {
        if let Some(handle) = self.handle.get()
            && !self.state().closed
            && handle.accept().is_err()
        {
            self.accept_later();
        }
    }

    fn accept_later(&self) {
        if let Some(me) = self.me.upgrade()
            && !self.state().closed
        {
            self.runtime.port().set_timer(Instant::now() + PAUSE, me, 0);
        }
    }
}

impl Handler for Listener {
    fn complete(&self, event: Event) {
        match event {
            Event::Accepted(Ok((socket, _))) => {
                // One that is not wanted or cannot be served is closed; the others must not suffer.
                let _ = self.accepted(socket);
                self.accept_next();
            }
            Event::Accepted(Err(_)) => self.accept_later(),
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
