//! What one pattern is run in.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, Scope},
    time::{Duration, Instant},
};

use serverlink::{Context, CurveKeyPair, Error, Message, Socket, SocketType};

use crate::{
    ledger::Connection,
    relay::{Relay, Troubles},
    stamp::mix,
};

/// How long something may take that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How often those who wait look whether the run is over.
const LOOK: Duration = Duration::from_millis(50);
/// So large are the kernel's buffers.
const BUFFER: usize = 64 * 1024;

/// What links go over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    /// TCP, over the loopback device.
    Tcp,
    /// Unix domain sockets.
    Ipc,
    /// WebSockets, over the loopback device; STREAM sockets, which know none, have TCP.
    Ws,
    /// The same over TLS.
    Wss,
}

impl Transport {
    const fn scheme(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Ipc => "ipc",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    fn of(self, socket: &Socket) -> Self {
        match self {
            Self::Ws | Self::Wss if socket.socket_type() == SocketType::Stream => Self::Tcp,
            _ => self,
        }
    }
}

/// By which whoever is bound to `wss://` is known, and which whoever connects trusts.
const CERTIFICATE: &str =
    include_str!("../../crates/serverlink/tests/sockets/certificates/localhost.pem");
const KEY: &str =
    include_str!("../../crates/serverlink/tests/sockets/certificates/localhost.key.pem");

/// One run of one pattern.
pub(crate) struct World {
    pub(crate) context: Context,
    pub(crate) seed: u64,
    /// How many messages shall be sent.
    pub(crate) messages: u64,
    transports: Vec<Transport>,
    /// By which the sockets that are bound are known, and those that connect, if they encrypt.
    keys: Option<[CurveKeyPair; 2]>,
    #[cfg(unix)]
    folder: tempfile::TempDir,
    stop: AtomicBool,
    failure: Mutex<Option<String>>,
    /// What was counted.
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
    pub(crate) lost: AtomicU64,
    pub(crate) cuts: AtomicU64,
    pub(crate) stalls: AtomicU64,
    pub(crate) reopened: AtomicU64,
}

impl World {
    pub(crate) fn new(
        backend: Option<&str>,
        curve: bool,
        transports: &[Transport],
        messages: u64,
        seed: u64,
    ) -> Result<Self, String> {
        let mut builder = Context::builder();
        if let Some(backend) = backend {
            builder = builder.backend(backend);
        }
        let pair = || serverlink::curve_keypair().map_err(|error| format!("no keys: {error}"));
        Ok(Self {
            keys: if curve { Some([pair()?, pair()?]) } else { None },
            context: builder.build().map_err(|error| format!("no context: {error}"))?,
            seed,
            messages,
            transports: transports.to_vec(),
            #[cfg(unix)]
            folder: tempfile::tempdir().map_err(|error| format!("no folder: {error}"))?,
            stop: AtomicBool::new(false),
            failure: Mutex::new(None),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            stalls: AtomicU64::new(0),
            reopened: AtomicU64::new(0),
        })
    }

    /// A socket that looks up now and then, lingers, and comes back soon.
    pub(crate) fn socket(&self, socket_type: SocketType) -> Result<Socket, String> {
        let set = || {
            let socket = self.context.socket(socket_type)?;
            socket.set_send_timeout(Some(LOOK))?;
            socket.set_receive_timeout(Some(LOOK))?;
            socket.set_linger(Some(PATIENCE))?;
            socket.set_reconnect_interval(Some(Duration::from_millis(1)))?;
            socket.set_send_buffer(Some(BUFFER))?;
            socket.set_receive_buffer(Some(BUFFER))?;
            socket.set_wss_cert_pem(Some(CERTIFICATE))?;
            socket.set_wss_key_pem(Some(KEY))?;
            socket.set_wss_trust_pem(Some(CERTIFICATE))?;
            Ok(socket)
        };
        set().map_err(|error: Error| format!("no {socket_type} socket: {error}"))
    }

    fn transport(&self, link: usize) -> Transport {
        self.transports[link % self.transports.len()]
    }

    /// Has a socket encrypt, if sockets do: as the server, if it is to be bound, or as a client.
    fn encrypt(&self, socket: &Socket, is_server: bool) -> Result<(), String> {
        let Some([server, client]) = &self.keys else { return Ok(()) };
        if socket.socket_type() == SocketType::Stream {
            return Ok(());
        }
        let set = || {
            socket.set_curve_server(is_server)?;
            if is_server {
                return socket.set_curve_secret_key(server.secret.clone());
            }
            socket.set_curve_server_key(server.public)?;
            socket.set_curve_public_key(client.public)?;
            socket.set_curve_secret_key(client.secret.clone())
        };
        set().map_err(|error| format!("no encryption: {error}"))
    }

    /// Binds a socket to an endpoint for each of so many links.
    pub(crate) fn bind(&self, socket: &Socket, links: usize) -> Result<Vec<String>, String> {
        self.encrypt(socket, true)?;
        let mut bound: Vec<(Transport, String)> = Vec::new();
        (0..links)
            .map(|link| {
                let transport = self.transport(link).of(socket);
                if let Some((_, endpoint)) = bound.iter().find(|(known, _)| *known == transport) {
                    return Ok(endpoint.clone());
                }
                let wanted = match transport {
                    Transport::Ipc => "ipc://*".to_owned(),
                    _ => format!("{}://127.0.0.1:*", transport.scheme()),
                };
                let endpoint =
                    socket.bind(&wanted).map_err(|error| format!("{wanted}: {error}"))?;
                bound.push((transport, endpoint.clone()));
                Ok(endpoint)
            })
            .collect()
    }

    /// A relay to each of these targets. Below `numbers` no other relay of this run has its own.
    pub(crate) fn relays(&self, targets: &[String], numbers: u64) -> Result<Vec<Relay>, String> {
        // A cut now and then, but not so many that nothing gets through.
        let mean = (self.messages * 80 / 1000).clamp(64 * 1024, 1 << 20);
        let start = |(link, target): (usize, &String)| {
            let seed = mix(self.seed ^ mix(numbers + link as u64));
            Relay::start(self.path(numbers + link as u64, link).as_deref(), target, seed, mean)
        };
        targets.iter().enumerate().map(start).collect()
    }

    #[cfg(unix)]
    fn path(&self, number: u64, link: usize) -> Option<String> {
        let path = self.folder.path().join(format!("relay-{number}"));
        (self.transport(link) == Transport::Ipc).then(|| path.display().to_string())
    }

    #[cfg(not(unix))]
    fn path(&self, _number: u64, _link: usize) -> Option<String> {
        None
    }

    /// Connects a socket to a relay.
    pub(crate) fn connect(&self, socket: &Socket, relay: &Relay) -> Result<(), String> {
        self.encrypt(socket, false)?;
        let endpoint = relay.endpoint();
        socket.connect(endpoint).map_err(|error| format!("{endpoint}: {error}"))
    }

    /// The same with a PEER: by what number it knows the other end.
    pub(crate) fn connect_peer(&self, socket: &Socket, relay: &Relay) -> Result<u32, String> {
        self.encrypt(socket, false)?;
        let endpoint = relay.endpoint();
        socket.connect_peer(endpoint).map_err(|error| format!("{endpoint}: {error}"))
    }

    pub(crate) fn name(&self, link: usize) -> String {
        format!("link {link} ({})", self.transport(link).scheme())
    }

    /// The run is over: it failed.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(crate) fn fail(&self, story: String) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(story);
        self.stop.store(true, Ordering::SeqCst);
    }

    pub(crate) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs `work` in a thread; its error ends the run.
    pub(crate) fn spawn<'scope, 'env>(
        &'scope self,
        scope: &'scope Scope<'scope, 'env>,
        work: impl FnOnce() -> Result<(), String> + Send + 'scope,
    ) {
        scope.spawn(move || {
            if let Err(story) = work() {
                self.fail(story);
            }
        });
    }

    /// Sends, as long as it takes; false if the run is over.
    pub(crate) fn send(&self, socket: &Socket, message: Message) -> Result<bool, String> {
        let mut refused = match socket.send(message) {
            Ok(()) => {
                self.sent.fetch_add(1, Ordering::Relaxed);
                return Ok(true);
            }
            Err(refused) => refused,
        };
        while matches!(refused.error, Error::WouldBlock) {
            if self.is_over() {
                return Ok(false);
            }
            match socket.send(refused.message) {
                Ok(()) => {
                    self.sent.fetch_add(1, Ordering::Relaxed);
                    return Ok(true);
                }
                Err(again) => refused = again,
            }
        }
        Err(format!("sending failed: {}", refused.error))
    }

    /// Receives for a moment; whether something came.
    pub(crate) fn receive(&self, socket: &Socket, message: &mut Message) -> Result<bool, String> {
        match socket.recv_into(message) {
            Ok(()) => {
                self.received.fetch_add(1, Ordering::Relaxed);
                Ok(true)
            }
            Err(Error::WouldBlock) => Ok(false),
            Err(error) => Err(format!("receiving failed: {error}")),
        }
    }

    /// The same; by which connection, if something came.
    pub(crate) fn receive_from(
        &self,
        socket: &Socket,
        message: &mut Message,
    ) -> Result<Option<Connection>, String> {
        match socket.recv_with_peer() {
            Ok(received) => {
                self.received.fetch_add(1, Ordering::Relaxed);
                *message = received.message;
                received.peer.map(Some).ok_or_else(|| "a message came from nobody".to_owned())
            }
            Err(Error::WouldBlock) => Ok(None),
            Err(error) => Err(format!("receiving failed: {error}")),
        }
    }

    /// Waits for `met`, but no longer than all may take; whether it was.
    pub(crate) fn wait(&self, limit: Duration, mut met: impl FnMut() -> bool) -> bool {
        let end = Instant::now() + limit;
        while !met() {
            if self.is_over() || Instant::now() > end {
                return false;
            }
            thread::sleep(Duration::from_micros(100));
        }
        true
    }

    pub(crate) fn add_lost(&self, lost: u64) {
        self.lost.fetch_add(lost, Ordering::Relaxed);
    }

    pub(crate) fn add_troubles(&self, troubles: &Troubles) {
        self.cuts.fetch_add(troubles.count(), Ordering::Relaxed);
        self.stalls.fetch_add(troubles.stalls.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}
