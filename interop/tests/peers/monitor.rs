//! What monitors are told, in which order: the same by both libraries.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicUsize, Ordering},
};

use serverlink::{
    MonitorVersion,
    SocketType::{self, Pair, Pull, Push},
};
use serverlink_interop::{
    Contexts, Library, Peer, python,
    raw::{RawPeer, command, frame, greeting, ready},
};
use zmq::SocketEvent;

/// An event: its number, its value where it means the same everywhere, and the endpoint.
type Told = (u16, Option<u32>, String);

const CONNECTED: u16 = 0x1;
const CONNECT_DELAYED: u16 = 0x2;
const CONNECT_RETRIED: u16 = 0x4;
const LISTENING: u16 = 0x8;
const BIND_FAILED: u16 = 0x10;
const ACCEPTED: u16 = 0x20;
const CLOSED: u16 = 0x80;
const CLOSE_FAILED: u16 = 0x100;
const DISCONNECTED: u16 = 0x200;
const FAILED_NO_DETAIL: u16 = 0x800;
const SUCCEEDED: u16 = 0x1000;
const FAILED_PROTOCOL: u16 = 0x2000;

/// A socket of either library, and what is told of it.
struct Watched {
    socket: Peer,
    /// Of ServerLink's.
    events: Option<Peer>,
}

impl Watched {
    fn open(library: Library, socket_type: SocketType) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let contexts = Contexts::new();
        let socket = contexts.open(library, socket_type);
        let events = (library == Library::ServerLink).then(|| {
            let name = format!("inproc://events-{}", NEXT.fetch_add(1, Ordering::Relaxed));
            socket.ours().publish_events(&name, 0xffff, MonitorVersion::V1).unwrap();
            let events = contexts.open(library, Pair);
            events.connect(&name);
            events
        });
        Self { socket, events }
    }

    fn next(&self) -> (u16, u32, String) {
        let Some(events) = &self.events else { return self.socket.theirs().1.next_event() };
        let message = events.recv();
        let (number, value) = message[0].split_at(2);
        (
            u16::from_ne_bytes(number.try_into().unwrap()),
            u32::from_ne_bytes(value.try_into().unwrap()),
            String::from_utf8(message[1].clone()).unwrap(),
        )
    }

    /// The next events, with the endpoint of the scene told from others.
    #[track_caller]
    fn expect(&self, endpoint: &str, numbers: &[u16]) -> Vec<Told> {
        let told: Vec<Told> = numbers
            .iter()
            .map(|_| {
                let (number, value, told) = self.next();
                let value =
                    [BIND_FAILED, CLOSE_FAILED, FAILED_PROTOCOL].contains(&number).then_some(value);
                (number, value, told.replace(endpoint, "here"))
            })
            .collect();
        assert!(
            told.iter().map(|(number, ..)| number).eq(numbers),
            "{}: {told:x?}",
            self.socket.library()
        );
        told
    }
}

/// Both libraries are told the same.
#[track_caller]
fn alike(scene: impl Fn(Library) -> Vec<Told>) {
    let [ours, theirs] = [Library::ServerLink, Library::Libzmq].map(scene);
    assert_eq!(ours, theirs);
}

fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("tcp://{}", listener.local_addr().unwrap())
}

#[test]
fn of_a_server_whose_client_comes_and_goes() {
    alike(|library| {
        let server = Watched::open(library, Pull);
        let endpoint = server.socket.bind();
        let client = RawPeer::connect(&endpoint).shake_hands(1, "PUSH");
        let mut told = server.expect(&endpoint, &[LISTENING, ACCEPTED, SUCCEEDED]);
        drop(client);
        told.extend(server.expect(&endpoint, &[DISCONNECTED]));
        match library {
            Library::ServerLink => server.socket.ours().unbind(&endpoint).unwrap(),
            Library::Libzmq => server.socket.theirs().0.unbind(&endpoint).unwrap(),
        }
        told.extend(server.expect(&endpoint, &[CLOSED]));
        told
    });
}

#[test]
fn of_a_client_whose_server_comes_and_goes() {
    alike(|library| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let client = Watched::open(library, Push);
        client.socket.connect(&endpoint);
        let server = RawPeer::accept(&listener).shake_hands(1, "PULL");
        let mut told = client.expect(&endpoint, &[CONNECT_DELAYED, CONNECTED, SUCCEEDED]);
        drop((listener, server));
        told.extend(client.expect(
            &endpoint,
            &[DISCONNECTED, CONNECT_RETRIED, CONNECT_DELAYED, CLOSED, CONNECT_RETRIED],
        ));
        told
    });
}

#[test]
fn of_a_client_that_is_refused() {
    alike(|library| {
        let endpoint = nobody();
        let client = Watched::open(library, Push);
        client.socket.connect(&endpoint);
        let round = [CONNECT_DELAYED, CLOSED, CONNECT_RETRIED];
        client.expect(&endpoint, &[round, round].concat())
    });
}

#[test]
fn of_an_endpoint_that_is_taken() {
    alike(|library| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let server = Watched::open(library, Pull);
        match library {
            Library::ServerLink => drop(server.socket.ours().bind(&endpoint).unwrap_err()),
            Library::Libzmq => drop(server.socket.theirs().0.bind(&endpoint).unwrap_err()),
        }
        if library == Library::Libzmq {
            // It also tells of the descriptor that it tried with.
            server.expect(&endpoint, &[CLOSED]);
        }
        let told = server.expect(&endpoint, &[BIND_FAILED]);
        // libzmq leaves the scheme out of the endpoint.
        told.into_iter().map(|(number, value, _)| (number, value, String::new())).collect()
    });
}

/// libzmq removes only those files that it has made a directory for, and only where it was built to:
/// as pyzmq's is.
#[cfg(unix)]
#[test]
fn of_an_endpoint_whose_file_was_removed() {
    let output = python::script("removed_file.py").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let server = Watched::open(Library::ServerLink, Pull);
    let endpoint = server.socket.bind_any("ipc://*");
    std::fs::remove_file(endpoint.trim_start_matches("ipc://")).unwrap();
    server.socket.ours().unbind(&endpoint).unwrap();
    let told = server.expect(&endpoint, &[LISTENING, CLOSE_FAILED]);
    let ours = format!("{} {}\n", told[1].0, told[1].1.unwrap());
    assert_eq!(ours, String::from_utf8_lossy(&output.stdout));
}

/// A server is told that a handshake failed, and how.
#[track_caller]
fn fails(bytes: &[u8], failure: u16) {
    alike(|library| {
        let server = Watched::open(library, Pull);
        let endpoint = server.socket.bind();
        let mut client = RawPeer::connect(&endpoint);
        let mut told = server.expect(&endpoint, &[LISTENING, ACCEPTED]);
        client.try_write(bytes);
        client.finish();
        told.extend(server.expect(&endpoint, &[failure, DISCONNECTED]));
        told
    });
}

#[test]
fn of_clients_that_leave_in_the_midst_of_a_handshake() {
    let whole = [&greeting(1)[..], &ready("PUSH")].concat();
    for len in [0, 1, 10, 11, 63, 64, 70, whole.len() - 1] {
        fails(&whole[..len], FAILED_NO_DETAIL);
    }
}

#[test]
fn of_clients_that_break_the_protocol() {
    let mut mechanism = greeting(1);
    mechanism[12..16].copy_from_slice(b"NONE");
    fails(&mechanism, FAILED_PROTOCOL);
    let after_greeting = |bytes: Vec<u8>| [&greeting(1)[..], &bytes].concat();
    fails(&after_greeting(command("NONSENSE", b"")), FAILED_PROTOCOL);
    fails(&after_greeting(frame(0, b"too early")), FAILED_PROTOCOL);
    fails(&after_greeting(command("ERROR", b"")), FAILED_PROTOCOL);
}

/// libzmq leaves out why, where socket types do not match.
#[test]
fn of_clients_of_another_type() {
    for library in Library::BOTH {
        let server = Watched::open(library, Pull);
        let endpoint = server.socket.bind();
        let mut client = RawPeer::connect(&endpoint);
        client.write(&[&greeting(1)[..], &ready("PUB")].concat());
        match library {
            Library::ServerLink => {
                server.expect(&endpoint, &[LISTENING, ACCEPTED, FAILED_PROTOCOL, DISCONNECTED])
            }
            Library::Libzmq => server.expect(&endpoint, &[LISTENING, ACCEPTED, DISCONNECTED]),
        };
    }
}

/// The typed events have the numbers that libzmq's bindings know.
#[test]
fn the_numbers_are_those_of_libzmq() {
    for (number, event) in [
        (CONNECTED, SocketEvent::CONNECTED),
        (CONNECT_DELAYED, SocketEvent::CONNECT_DELAYED),
        (CONNECT_RETRIED, SocketEvent::CONNECT_RETRIED),
        (LISTENING, SocketEvent::LISTENING),
        (BIND_FAILED, SocketEvent::BIND_FAILED),
        (ACCEPTED, SocketEvent::ACCEPTED),
        (CLOSED, SocketEvent::CLOSED),
        (CLOSE_FAILED, SocketEvent::CLOSE_FAILED),
        (DISCONNECTED, SocketEvent::DISCONNECTED),
        (FAILED_NO_DETAIL, SocketEvent::HANDSHAKE_FAILED_NO_DETAIL),
        (SUCCEEDED, SocketEvent::HANDSHAKE_SUCCEEDED),
        (FAILED_PROTOCOL, SocketEvent::HANDSHAKE_FAILED_PROTOCOL),
    ] {
        assert_eq!(SocketEvent::from_raw(number), event);
    }
}
