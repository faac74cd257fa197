//! What the tests have in common.

use std::{
    env, fmt,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    process,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use serverlink::{Context, Error, Message, SendError, Socket, SocketType};

/// How long something may take that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Every transport, as an endpoint to bind.
#[cfg(unix)]
pub(crate) const TRANSPORTS: [&str; 4] =
    ["tcp://127.0.0.1:*", "inproc://endpoint", "ipc://*", "ws://127.0.0.1:*"];
/// Every transport, as an endpoint to bind.
#[cfg(windows)]
pub(crate) const TRANSPORTS: Transports =
    Transports(&["tcp://127.0.0.1:*", "inproc://endpoint", "ipc://*", "ws://127.0.0.1:*"]);

/// Those that are streams of the system's.
#[cfg(unix)]
pub(crate) const STREAMS: [&str; 3] = ["tcp://127.0.0.1:*", "ipc://*", "ws://127.0.0.1:*"];
/// Those that are streams of the system's.
#[cfg(windows)]
pub(crate) const STREAMS: Transports =
    Transports(&["tcp://127.0.0.1:*", "ipc://*", "ws://127.0.0.1:*"]);

/// The version of ZMTP that a peer of ours at this endpoint counts as.
pub(crate) fn version(endpoint: &str) -> (u8, u8) {
    if endpoint.starts_with("ws") { (3, 0) } else { (3, 1) }
}

/// Endpoints, without those of `ipc://` where neither the system nor the engine has it.
#[cfg(windows)]
pub(crate) struct Transports(&'static [&'static str]);

#[cfg(windows)]
impl IntoIterator for Transports {
    type IntoIter = std::vec::IntoIter<&'static str>;
    type Item = &'static str;

    fn into_iter(self) -> Self::IntoIter {
        let pull = context().socket(SocketType::Pull).unwrap();
        let all = self.0.iter().copied();
        match pull.bind("ipc://*") {
            Ok(_) => all.collect::<Vec<_>>(),
            Err(Error::UnsupportedTransport { .. }) => {
                all.filter(|endpoint| !endpoint.starts_with("ipc")).collect()
            }
            Err(error) => panic!("{error}"),
        }
        .into_iter()
    }
}

/// A number of messages: a tenth of it where the system is emulated.
pub(crate) const fn scaled(count: u32) -> u32 {
    if cfg!(windows) { count / 10 } else { count }
}

pub(crate) fn context() -> Context {
    Context::new().unwrap()
}

/// A socket that neither waits for ever nor lingers.
pub(crate) fn socket(context: &Context, socket_type: SocketType) -> Socket {
    let socket = context.socket(socket_type).unwrap();
    socket.set_receive_timeout(Some(PATIENCE)).unwrap();
    socket.set_send_timeout(Some(PATIENCE)).unwrap();
    socket.set_linger(Some(Duration::ZERO)).unwrap();
    socket.set_reconnect_interval(Some(Duration::from_millis(10))).unwrap();
    socket
}

/// The same, bound to `endpoint`; with it, what to connect to.
pub(crate) fn bound(
    context: &Context,
    socket_type: SocketType,
    endpoint: &str,
) -> (Socket, String) {
    let socket = socket(context, socket_type);
    let endpoint = bind_again(&socket, endpoint);
    (socket, endpoint)
}

/// Binds to an endpoint that may have been given up just now: some backends give the port back a
/// moment later.
pub(crate) fn bind_again(socket: &Socket, endpoint: &str) -> String {
    let mut bound = None;
    eventually("for the endpoint to be free", || match socket.bind(endpoint) {
        Err(Error::AddressInUse { .. }) => false,
        result => {
            bound = Some(result.unwrap());
            true
        }
    });
    bound.unwrap()
}

/// The same, connected to `endpoint`.
pub(crate) fn connected(context: &Context, socket_type: SocketType, endpoint: &str) -> Socket {
    let socket = socket(context, socket_type);
    socket.connect(endpoint).unwrap();
    socket
}

/// Two sockets that have shaken hands, the first of which is bound.
pub(crate) fn couple(
    context: &Context,
    endpoint: &str,
    binds: SocketType,
    connects: SocketType,
) -> (Socket, Socket) {
    let (one, endpoint) = bound(context, binds, endpoint);
    let other = connected(context, connects, &endpoint);
    await_peers(&one, 1);
    await_peers(&other, 1);
    (one, other)
}

/// Waits until `condition` holds.
pub(crate) fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "in vain waited: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

pub(crate) fn await_peers(socket: &Socket, count: usize) {
    eventually("for the number of peers", || socket.peer_count() == count);
}

/// A message of several frames.
pub(crate) fn frames<const N: usize>(frames: [&str; N]) -> Message {
    frames.into_iter().collect()
}

pub(crate) fn number(n: u32) -> Message {
    Message::from(n.to_be_bytes())
}

/// The number in the last frame of a message.
#[track_caller]
pub(crate) fn number_in(message: &Message) -> u32 {
    let frame = message.frame(message.len() - 1).unwrap();
    u32::from_be_bytes(frame[..].try_into().expect("a frame of four bytes"))
}

/// Sends numbered messages until there is no more room; how many there was room for.
#[track_caller]
pub(crate) fn fill(socket: &Socket) -> u32 {
    for n in 0..100_000 {
        if let Err(refused) = socket.try_send(number(n)) {
            assert!(matches!(refused.error, Error::WouldBlock), "{refused}");
            assert_eq!(refused.message, number(n), "the message comes back whole");
            return n;
        }
    }
    panic!("there is room without end");
}

/// Receives the numbers in `range`, in order.
#[track_caller]
pub(crate) fn expect_numbers(socket: &Socket, range: impl IntoIterator<Item = u32>) {
    for n in range {
        assert_eq!(number_in(&socket.recv().unwrap()), n);
    }
}

#[track_caller]
pub(crate) fn expect(socket: &Socket, expected: impl Into<Message>) {
    assert_eq!(socket.recv().unwrap(), expected.into());
}

#[track_caller]
pub(crate) fn expect_nothing(socket: &Socket) {
    match socket.try_recv() {
        Err(Error::WouldBlock) => {}
        other => panic!("{other:?} instead of nothing"),
    }
}

/// The error number of whatever failed.
#[track_caller]
pub(crate) fn errno<T: fmt::Debug, E: Into<Error>>(result: Result<T, E>) -> &'static str {
    match result {
        Ok(value) => panic!("{value:?} instead of an error"),
        Err(error) => error.into().errno_name(),
    }
}

/// What a send was refused for.
#[track_caller]
pub(crate) fn refusal(result: Result<(), SendError>) -> Error {
    result.expect_err("a refusal").error
}

/// An endpoint at which nobody listens, and where one can bind later.
pub(crate) fn vacant(context: &Context) -> String {
    // Where the system has them, each from an address of its own, lest the port be given to
    // another test meanwhile.
    static COUNT: AtomicU32 = AtomicU32::new(1);
    let host = if cfg!(any(target_os = "linux", windows)) {
        let process = process::id().to_be_bytes();
        let count = 1 + COUNT.fetch_add(1, Ordering::Relaxed) % 254;
        Ipv4Addr::new(127, process[2] | 1, process[3], count as u8)
    } else {
        Ipv4Addr::LOCALHOST
    };
    let endpoint = bound(context, SocketType::Pull, &format!("tcp://{host}:*")).1;
    // Some backends give the port back a moment later.
    let address = endpoint.trim_start_matches("tcp://");
    eventually("for the endpoint to be vacant", || TcpListener::bind(address).is_ok());
    endpoint
}

/// Endpoints as [`vacant`], one of each transport that is a stream of the system's.
pub(crate) fn vacancies(context: &Context) -> Vec<String> {
    let mut endpoints = vec![vacant(context)];
    if cfg!(unix) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (process, count) = (process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = env::temp_dir().join(format!("serverlink-test-{process}-{count}"));
        endpoints.push(format!("ipc://{}", path.display()));
    }
    endpoints
}

/// Does what a peer with the NULL mechanism does (RFC 37).
pub(crate) fn shake_hands(stream: &mut impl Write, socket_type: &str) {
    let mut greeting = [0; 64];
    greeting[0] = 0xFF;
    greeting[9] = 0x7F;
    greeting[10] = 3;
    greeting[11] = 1;
    greeting[12..16].copy_from_slice(b"NULL");
    let length = socket_type.len() as u8;
    let ready = [b"\x05READY\x0bSocket-Type\0\0\0", &[length][..], socket_type.as_bytes()].concat();
    // In one piece: a peer that does not like the greeting may close the stream before the rest comes.
    let all = [&greeting[..], &[4, ready.len() as u8], &ready].concat();
    stream.write_all(&all).unwrap();
}
