//! What the cases have in common.

use std::{
    collections::VecDeque,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use serverlink_io::{Event, Handle, Handler, Port, PortOptions, Turn};
use socket2::{Domain, Socket, Type};

/// After this long something is taken to be lost.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Wine is some ten times slower.
pub(crate) const fn scaled(count: usize) -> usize {
    if cfg!(windows) { count.div_ceil(10) } else { count }
}

/// A port that the test itself drives.
pub(crate) struct Rig {
    pub(crate) port: Port,
}

impl Rig {
    pub(crate) fn new(backend: &str) -> Self {
        Self::with(backend, |_| {})
    }

    /// The same, with other options.
    pub(crate) fn with(backend: &str, set: impl FnOnce(&mut PortOptions)) -> Self {
        let mut options = PortOptions::default();
        options.backend = Some(backend.to_owned());
        set(&mut options);
        let port = Port::new(&options).expect("the backend starts");
        assert_eq!(port.backend(), backend);
        Self { port }
    }

    /// Drives until `found` finds what it looks for.
    pub(crate) fn until<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = found() {
                return found;
            }
            let left = LIMIT
                .checked_sub(start.elapsed())
                .unwrap_or_else(|| panic!("still waiting for {what}"));
            let turn = self.port.turn(Some(left)).expect("the port turns");
            assert!(matches!(turn, Turn::Delivered(_)), "{turn:?} while waiting for {what}");
        }
    }

    /// Drives until `inbox` has an event.
    pub(crate) fn next(&self, inbox: &Inbox) -> Event {
        self.until("an event", || inbox.take())
    }

    /// Drives until everything that was due has arrived.
    pub(crate) fn settle(&self) {
        for _ in 0..3 {
            let marker = Inbox::new();
            self.port.post(marker.clone(), 0);
            assert!(matches!(self.next(&marker), Event::Posted { tag: 0 }));
            // Turns may deliver nothing although more is due.
            let mut idle = 0;
            while idle < 3 {
                let turn = self.port.turn(Some(Duration::ZERO)).expect("the port turns");
                idle = if matches!(turn, Turn::Delivered(0)) { idle + 1 } else { 0 };
            }
        }
    }

    /// Registers one end of a new connection; the other end is the test's.
    pub(crate) fn connected(&self) -> (Handle, Arc<Inbox>, TcpStream) {
        let (near, far) = pair();
        let inbox = Inbox::new();
        let handle = self.port.register(near.into(), inbox.clone()).expect("it registers");
        (handle, inbox, far)
    }

    /// Lets a thread of its own drive the port.
    pub(crate) fn spawn(&self) -> Driver {
        let port = self.port.clone();
        Driver { port: port.clone(), thread: Some(thread::spawn(move || port.run())) }
    }
}

/// Drives until nobody but the test holds the handler.
pub(crate) fn released<T>(rig: &Rig, handler: &Arc<T>) {
    let start = Instant::now();
    while Arc::strong_count(handler) > 1 {
        assert!(start.elapsed() < LIMIT, "the handler is not released");
        rig.settle();
    }
}

/// A thread that runs a port until this is dropped.
pub(crate) struct Driver {
    port: Port,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.port.stop();
        let ended = self.thread.take().map(JoinHandle::join);
        if !thread::panicking() {
            ended.expect("joined once").expect("no panic").expect("no error");
        }
    }
}

/// Keeps the events it is given.
#[derive(Default)]
pub(crate) struct Inbox {
    events: Mutex<VecDeque<Event>>,
    arrived: Condvar,
}

impl Inbox {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn take(&self) -> Option<Event> {
        self.events.lock().expect("no panic").pop_front()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.lock().expect("no panic").is_empty()
    }

    /// Waits for an event that another thread delivers.
    pub(crate) fn wait(&self) -> Event {
        let events = self.events.lock().expect("no panic");
        let (mut events, _) = self
            .arrived
            .wait_timeout_while(events, LIMIT, |events| events.is_empty())
            .expect("no panic");
        events.pop_front().expect("an event arrives")
    }
}

impl Handler for Inbox {
    fn complete(&self, event: Event) {
        self.events.lock().expect("no panic").push_back(event);
        self.arrived.notify_all();
    }
}

/// Calls a closure with each event.
pub(crate) struct Call<F>(pub(crate) F);

impl<F: Fn(Event) + Send + Sync + 'static> Handler for Call<F> {
    fn complete(&self, event: Event) {
        (self.0)(event);
    }
}

pub(crate) fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback listens");
    let address = listener.local_addr().expect("it has an address");
    (listener, address)
}

/// The two ends of a connection.
pub(crate) fn pair() -> (TcpStream, TcpStream) {
    let (listener, address) = listener();
    let near = TcpStream::connect(address).expect("loopback connects");
    let (far, peer) = listener.accept().expect("loopback accepts");
    assert_eq!(near.local_addr().expect("it has an address"), peer);
    (near, far)
}

/// The two ends of a connection whose buffers in the kernel are small.
pub(crate) fn narrow_pair() -> (Socket, Socket) {
    const SIZE: usize = 8 * 1024;
    let (listener, address) = listener();
    socket2::SockRef::from(&listener).set_recv_buffer_size(SIZE).expect("before it connects");
    let near = stream();
    near.set_recv_buffer_size(SIZE).expect("before it connects");
    near.connect(&address.into()).expect("loopback connects");
    let far = Socket::from(listener.accept().expect("loopback accepts").0);
    near.set_send_buffer_size(SIZE).expect("any time");
    far.set_send_buffer_size(SIZE).expect("any time");
    (near, far)
}

pub(crate) fn stream() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are sockets")
}

/// Closes a connection so that the peer is told of a reset.
pub(crate) fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("it is a socket");
    drop(stream);
}

pub(crate) fn received(event: Event) -> BytesMut {
    match event {
        Event::Received(Ok(buffer)) => buffer,
        other => panic!("bytes expected, not {other:?}"),
    }
}
