//! Many connections at once.

use std::{
    io::Write,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use bytes::{Bytes, BytesMut};
use serverlink_io::{Event, Handle, Handler, Port, Sending};

use crate::{
    crowd::raise_descriptor_limit,
    rig::{Rig, listener, released, scaled},
};

const MESSAGE: usize = 64;

/// One end of a connection that counts what it starts and what is answered: exactly once each.
struct End {
    handle: OnceLock<Handle>,
    receiving: AtomicBool,
    sending: AtomicBool,
    /// What has come of the present message.
    partial: Mutex<Vec<u8>>,
    role: Role,
}

enum Role {
    Echo,
    /// Sends so many messages, waits for each one's echo, and counts itself out.
    Client {
        left: AtomicUsize,
        unfinished: Arc<AtomicUsize>,
    },
}

impl End {
    fn start(port: &Port, socket: socket2::Socket, role: Role) -> Arc<Self> {
        let end = Arc::new(Self {
            handle: OnceLock::new(),
            receiving: AtomicBool::new(false),
            sending: AtomicBool::new(false),
            partial: Mutex::default(),
            role,
        });
        let handle = port.register(socket, end.clone()).expect("it registers");
        end.handle.set(handle).expect("set once");
        end
    }

    fn handle(&self) -> &Handle {
        self.handle.get().expect("set before anything is started")
    }

    fn receive(&self) {
        assert!(!self.receiving.swap(true, Ordering::Relaxed), "still receiving");
        self.handle().receive(None).expect("nothing is pending");
    }

    fn send(&self, message: Bytes) {
        assert!(!self.sending.swap(true, Ordering::Relaxed), "still sending");
        match self.handle().send(vec![message]) {
            Sending::Pending => {}
            Sending::Done { sent: MESSAGE, result: Ok(()), .. } => {
                assert!(self.sending.swap(false, Ordering::Relaxed));
            }
            other => panic!("{other:?}"),
        }
    }

    fn take(&self, bytes: &BytesMut) {
        let mut partial = self.partial.lock().expect("no panic");
        partial.extend_from_slice(bytes);
        assert!(partial.len() <= MESSAGE, "more than was sent");
        if partial.len() < MESSAGE {
            return;
        }
        let message = Bytes::from(std::mem::take(&mut *partial));
        drop(partial);
        match &self.role {
            Role::Echo => self.send(message),
            Role::Client { left, unfinished } => {
                let now = left.fetch_sub(1, Ordering::Relaxed);
                assert_eq!(message, pattern(self.number(), now), "not what was sent");
                if now == 1 {
                    unfinished.fetch_sub(1, Ordering::Relaxed);
                } else {
                    self.send(pattern(self.number(), now - 1));
                }
            }
        }
    }

    fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }
}

fn pattern(number: usize, round: usize) -> Bytes {
    let mut bytes = vec![0; MESSAGE];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    bytes[MESSAGE - 8..].copy_from_slice(&(round as u64).to_le_bytes());
    Bytes::from(bytes)
}

impl Handler for End {
    fn complete(&self, event: Event) {
        match event {
            Event::Received(Ok(bytes)) if !bytes.is_empty() => {
                assert!(self.receiving.swap(false, Ordering::Relaxed), "received twice");
                self.take(&bytes);
                self.receive();
            }
            Event::Sent { result: Ok(()), sent: MESSAGE, .. } => {
                assert!(self.sending.swap(false, Ordering::Relaxed), "sent twice");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Accepts for ever; keeps the connections.
struct Server {
    port: Port,
    listener: OnceLock<Handle>,
    connections: Mutex<Vec<Arc<End>>>,
}

impl Handler for Server {
    fn complete(&self, event: Event) {
        match event {
            Event::Accepted(Ok((socket, _))) => {
                let end = End::start(&self.port, socket, Role::Echo);
                end.receive();
                self.connections.lock().expect("no panic").push(end);
            }
            other => panic!("a connection expected, not {other:?}"),
        }
        self.listener.get().expect("set at once").accept().expect("nothing is pending");
    }
}

fn server(rig: &Rig) -> (Arc<Server>, SocketAddr) {
    let (listener, address) = listener();
    let server = Arc::new(Server {
        port: rig.port.clone(),
        listener: OnceLock::new(),
        connections: Mutex::default(),
    });
    let handle = rig.port.register(listener.into(), server.clone()).expect("it registers");
    let handle = server.listener.get_or_init(|| handle);
    handle.accept().expect("nothing is pending");
    (server, address)
}

impl Server {
    /// Ends the cycles of handlers and handles.
    fn close(&self) {
        self.listener.get().expect("set at once").retire();
        for end in self.connections.lock().expect("no panic").drain(..) {
            end.handle().retire();
        }
    }
}

pub(crate) fn two_thousand_connections_echo(backend: &str) {
    const CONNECTIONS: usize = 2_000;
    raise_descriptor_limit(2 * CONNECTIONS + 100);
    let rounds = scaled(5);
    let rig = Rig::new(backend);
    let (server, address) = server(&rig);
    let unfinished = Arc::new(AtomicUsize::new(CONNECTIONS));
    let mut clients = Vec::new();
    while clients.len() < CONNECTIONS {
        // No more than the listener's backlog holds.
        for _ in 0..50 {
            let socket = TcpStream::connect(address).expect("it connects");
            let role =
                Role::Client { left: AtomicUsize::new(rounds), unfinished: unfinished.clone() };
            clients.push(End::start(&rig.port, socket.into(), role));
        }
        rig.until("the server", || {
            (server.connections.lock().expect("no panic").len() == clients.len()).then_some(())
        });
    }
    for client in &clients {
        client.receive();
        client.send(pattern(client.number(), rounds));
    }
    rig.until("all echoes", || (unfinished.load(Ordering::Relaxed) == 0).then_some(()));
    rig.settle();
    server.close();
    for client in &clients {
        client.handle().retire();
    }
    drop(server);
    for client in clients {
        released(&rig, &client);
    }
}

/// Receives whatever comes and counts it.
struct Sink {
    handle: OnceLock<Handle>,
    events: AtomicUsize,
}

impl Handler for Sink {
    fn complete(&self, event: Event) {
        match event {
            Event::Received(Ok(mut bytes)) if !bytes.is_empty() => {
                self.events.fetch_add(1, Ordering::Relaxed);
                bytes.clear();
                let handle = self.handle.get().expect("set before it is started");
                handle.receive(Some(bytes)).expect("nothing is pending");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Receives the end of a stream over and over.
struct Ended {
    handle: OnceLock<Handle>,
    events: AtomicUsize,
}

impl Handler for Ended {
    fn complete(&self, event: Event) {
        assert!(matches!(&event, Event::Received(Ok(bytes)) if bytes.is_empty()), "{event:?}");
        self.events.fetch_add(1, Ordering::Relaxed);
        // Refused in the end.
        let _ = self.handle.get().expect("set before it is started").receive(None);
    }
}

/// Round trips beside a descriptor that is ready again as soon as it was served.
pub(crate) fn one_that_is_always_ready_starves_nobody(backend: &str) {
    let rig = Rig::new(backend);
    let (near, far) = crate::rig::pair();
    drop(far);
    let ended = Arc::new(Ended { handle: OnceLock::new(), events: AtomicUsize::new(0) });
    let handle = rig.port.register(near.into(), ended.clone()).expect("it registers");
    let handle = ended.handle.get_or_init(|| handle);
    handle.receive(None).expect("nothing is pending");
    rig.until("the end", || (ended.events.load(Ordering::Relaxed) > 2).then_some(()));

    let (server, address) = server(&rig);
    let unfinished = Arc::new(AtomicUsize::new(1));
    let socket = TcpStream::connect(address).expect("it connects");
    let rounds = scaled(100);
    let role = Role::Client { left: AtomicUsize::new(rounds), unfinished: unfinished.clone() };
    let client = End::start(&rig.port, socket.into(), role);
    client.receive();
    client.send(pattern(client.number(), rounds));
    rig.until("all echoes", || (unfinished.load(Ordering::Relaxed) == 0).then_some(()));
    handle.retire();
    client.handle().retire();
    server.close();
}

/// Round trips beside a connection on which data never ends.
pub(crate) fn a_firehose_starves_nobody(backend: &str) {
    let rig = Rig::new(backend);
    let (near, mut far) = crate::rig::pair();
    let sink = Arc::new(Sink { handle: OnceLock::new(), events: AtomicUsize::new(0) });
    let handle = rig.port.register(near.into(), sink.clone()).expect("it registers");
    let handle = sink.handle.get_or_init(|| handle);
    // Small reads of large writes: it is readable always.
    handle.receive(Some(BytesMut::with_capacity(512))).expect("nothing is pending");
    let stop = Arc::new(AtomicBool::new(false));
    let (ending, ended) = mpsc::channel();
    let hose = {
        let (stop, port) = (stop.clone(), rig.port.clone());
        thread::spawn(move || {
            let bytes = vec![0; 256 * 1024];
            while !stop.load(Ordering::Relaxed) && far.write_all(&bytes).is_ok() {}
            ending.send(()).expect("somebody waits");
            port.wake();
        })
    };
    rig.until("the firehose", || (sink.events.load(Ordering::Relaxed) > 10).then_some(()));

    let rounds = scaled(200);
    let (server, address) = server(&rig);
    let unfinished = Arc::new(AtomicUsize::new(1));
    let socket = TcpStream::connect(address).expect("it connects");
    let role = Role::Client { left: AtomicUsize::new(rounds), unfinished: unfinished.clone() };
    let client = End::start(&rig.port, socket.into(), role);
    let before = sink.events.load(Ordering::Relaxed);
    client.receive();
    client.send(pattern(client.number(), rounds));
    rig.until("all echoes", || (unfinished.load(Ordering::Relaxed) == 0).then_some(()));
    let beside = sink.events.load(Ordering::Relaxed) - before;
    println!("{beside} receives of the firehose beside {rounds} round trips");
    assert!(beside >= rounds, "the firehose itself starves: {beside}");

    stop.store(true, Ordering::Relaxed);
    handle.retire();
    // A backend may need another turn before the connection closes.
    rig.until("the end of the firehose", || ended.try_recv().ok());
    hose.join().expect("no panic");
    client.handle().retire();
    server.close();
}
