//! PLAIN and ZAP between both libraries, either of which is the server. For CURVE see `curve.rs`.

use serverlink::{
    MonitorEventKind,
    SocketType::{self, Pull, Push, Rep},
};
use serverlink_interop::{Contexts, Library, PATIENCE, Peer, Way, each_way};

const HANDLER: &str = "inproc://zeromq.zap.01";
const FAILED: u16 = 0x0800;
const FAILED_PROTOCOL: u16 = 0x2000;
const FAILED_AUTHENTICATION: u16 = 0x4000;

fn serve_plain(peer: &Peer) {
    set_domain(peer);
    match peer.library() {
        Library::ServerLink => peer.ours().set_plain_server(true).unwrap(),
        Library::Libzmq => peer.theirs().0.set_plain_server(true).unwrap(),
    }
}

fn log_in(peer: &Peer, password: &str) {
    match peer.library() {
        Library::ServerLink => {
            peer.ours().set_plain_username(Some("admin")).unwrap();
            peer.ours().set_plain_password(Some(password)).unwrap();
        }
        Library::Libzmq => {
            peer.theirs().0.set_plain_username(Some("admin")).unwrap();
            peer.theirs().0.set_plain_password(Some(password)).unwrap();
        }
    }
}

fn set_domain(peer: &Peer) {
    match peer.library() {
        Library::ServerLink => peer.ours().set_zap_domain(Some("test")).unwrap(),
        Library::Libzmq => peer.theirs().0.set_zap_domain("test").unwrap(),
    }
}

/// Whoever judges in the context of a library.
fn handler(contexts: &Contexts, library: Library) -> Peer {
    let handler = contexts.open(library, Rep);
    handler.bind_to(HANDLER);
    handler
}

/// Answers one request, and returns what it showed.
#[track_caller]
fn judge(handler: &Peer, status: &str) -> Vec<Vec<u8>> {
    let mut request = handler.recv();
    handler.send(["1.0", "1", status, "text", "alice", ""]);
    assert_eq!(request[..3], [b"1.0".to_vec(), b"1".to_vec(), b"test".to_vec()]);
    request.split_off(5)
}

/// What is told of a socket's connections from now on.
enum Told<'a> {
    Ours(serverlink::Monitor),
    Theirs(&'a Peer),
}

impl<'a> Told<'a> {
    fn of(peer: &'a Peer) -> Self {
        match peer.library() {
            Library::ServerLink => Self::Ours(peer.ours().monitor()),
            Library::Libzmq => Self::Theirs(peer),
        }
    }

    /// The value of the next event of this number.
    #[track_caller]
    fn next(&self, wanted: u16) -> u32 {
        loop {
            let (number, value) = match self {
                Self::Ours(monitor) => {
                    let kind = monitor.recv_timeout(PATIENCE).unwrap().kind;
                    let value = match &kind {
                        MonitorEventKind::HandshakeFailedProtocol { code, .. } => *code,
                        MonitorEventKind::HandshakeFailedAuthentication { status } => {
                            (*status).into()
                        }
                        _ => 0,
                    };
                    (kind.number() as u16, value)
                }
                Self::Theirs(peer) => {
                    let (number, value, _) = peer.theirs().1.next_event();
                    (number, value)
                }
            };
            if number == wanted {
                return value;
            }
        }
    }
}

/// Messages of all kinds of sizes, of one frame and of several.
fn messages() -> Vec<Vec<Vec<u8>>> {
    let body = |len: usize| vec![len as u8; len];
    let mut messages: Vec<_> =
        [0, 1, 200, 222, 223, 255, 256, 8_192, 70_000, 1_000_000].map(|len| vec![body(len)]).into();
    messages.push(vec![body(0), body(300), body(0), body(5), body(100_000)]);
    messages
}

#[track_caller]
fn pass(from: &Peer, to: &Peer) {
    for message in messages() {
        from.send(&message);
        assert!(to.recv() == message);
    }
}

each_way!(who_logs_in_is_let_in);

fn who_logs_in_is_let_in(way: Way) {
    let contexts = Contexts::new();
    let server = way.binder;
    let zap = handler(&contexts, server);
    let [push, pull] = contexts.link(way, [Push, Pull], |from, to| {
        let binder = if way.binder == way.from { (from, to) } else { (to, from) };
        serve_plain(binder.0);
        log_in(binder.1, "secret");
    });
    let shown = judge(&zap, "200");
    let shown: Vec<_> = shown.iter().map(|part| String::from_utf8_lossy(part)).collect();
    assert_eq!(shown[shown.len() - 3..], ["PLAIN", "admin", "secret"]);
    pass(&push, &pull);
}

/// A server that binds and a client that connects, once both are prepared.
fn scene(
    server: Library,
    types: [SocketType; 2],
    prepare: impl FnOnce(&Peer, &Peer),
) -> (Contexts, Peer, Peer, Peer) {
    let contexts = Contexts::new();
    let zap = handler(&contexts, server);
    let [one, other] = [contexts.open(server, types[0]), contexts.open(server.other(), types[1])];
    prepare(&one, &other);
    (contexts, zap, one, other)
}

#[test]
fn who_is_refused_is_told_so_by_either() {
    for server in Library::BOTH {
        for mechanism in ["NULL", "PLAIN"] {
            for status in ["400", "500"] {
                let (_contexts, zap, pull, push) = scene(server, [Pull, Push], |pull, push| {
                    set_domain(pull);
                    if mechanism == "PLAIN" {
                        serve_plain(pull);
                        log_in(push, "wrong");
                    }
                });
                let told = [Told::of(&pull), Told::of(&push)];
                push.connect(&pull.bind());
                let shown = judge(&zap, status);
                assert_eq!(shown[0], mechanism.as_bytes());
                assert_eq!(told[0].next(FAILED_AUTHENTICATION).to_string(), status);
                if mechanism == "PLAIN" && server == Library::ServerLink {
                    // Its client knows ERROR only as its server writes it, which is not as RFC 24 does.
                    assert_eq!(told[1].next(FAILED_PROTOCOL), 0x1000_0001);
                } else {
                    assert_eq!(told[1].next(FAILED_AUTHENTICATION).to_string(), status);
                }
            }
        }
    }
}

#[test]
fn who_may_try_again_does_with_either() {
    for server in Library::BOTH {
        let (_contexts, zap, pull, push) = scene(server, [Pull, Push], |pull, push| {
            serve_plain(pull);
            log_in(push, "secret");
            if server == Library::Libzmq {
                // Only then does it end the connection.
                pull.theirs().0.set_handshake_ivl(2_000).unwrap();
            }
        });
        let told = [Told::of(&pull), Told::of(&push)];
        push.connect(&pull.bind());
        judge(&zap, "300");
        judge(&zap, "200");
        push.send(["patience"]);
        pull.expect(["patience"]);
        assert_eq!(told[0].next(FAILED_AUTHENTICATION), 300);
        told[1].next(FAILED);
    }
}

#[test]
fn mechanisms_that_differ_are_noticed_by_either() {
    for server in Library::BOTH {
        let contexts = Contexts::new();
        let [pull, push] = [contexts.open(server, Pull), contexts.open(server.other(), Push)];
        serve_plain(&pull);
        // The server says which it uses before it hears which the client does.
        let told = Told::of(&push);
        push.connect(&pull.bind());
        assert_eq!(told.next(FAILED_PROTOCOL), 0x1100_0002, "{server}");
    }
}

#[test]
fn what_the_handler_tells_is_told_of_messages_by_either() {
    for server in Library::BOTH {
        let (_contexts, zap, pull, push) = scene(server, [Pull, Push], |pull, push| {
            serve_plain(pull);
            log_in(push, "secret");
        });
        push.connect(&pull.bind());
        judge(&zap, "200");
        push.send(["hello"]);
        let user = match server {
            Library::ServerLink => {
                let received = pull.ours().recv_with_peer().unwrap();
                received.property("User-Id").map(<[u8]>::to_vec)
            }
            Library::Libzmq => {
                let mut frame = pull.theirs().0.recv_msg(0).unwrap();
                frame.gets("User-Id").map(|user| user.as_bytes().to_vec())
            }
        };
        assert_eq!(user.as_deref(), Some(&b"alice"[..]), "{server}");
    }
}
