//! CURVE with libzmq, as pyzmq brings it: the one that other tests compile has none.

use std::{thread, time::Duration};

use serverlink::{
    Context, CurveKeyPair, Message, MonitorEventKind, Socket,
    SocketType::{self, Dealer, Pub, Rep, Req, Router, Sub},
    curve_keypair,
};
use serverlink_interop::{PATIENCE, Process, python, until};

const FAILED: &str = "event 2048";
const FAILED_PROTOCOL: &str = "event 8192";
const FAILED_AUTHENTICATION: &str = "event 16384";

struct Keys {
    server: CurveKeyPair,
    client: CurveKeyPair,
}

/// Whose part pyzmq takes in the handshake; we take the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Server,
    Client,
}

impl Keys {
    fn new() -> Self {
        Self { server: curve_keypair().unwrap(), client: curve_keypair().unwrap() }
    }

    /// A socket of ours, opposite to that side.
    fn open(&self, context: &Context, socket_type: SocketType, opposite: Side) -> Socket {
        let socket = context.socket(socket_type).unwrap();
        socket.set_receive_timeout(Some(PATIENCE)).unwrap();
        socket.set_send_timeout(Some(PATIENCE)).unwrap();
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        socket.set_reconnect_interval(Some(Duration::from_millis(10))).unwrap();
        match opposite {
            Side::Client => {
                socket.set_curve_server(true).unwrap();
                socket.set_curve_secret_key(self.server.secret.clone()).unwrap();
            }
            Side::Server => {
                socket.set_curve_server_key(self.server.public).unwrap();
                socket.set_curve_public_key(self.client.public).unwrap();
                socket.set_curve_secret_key(self.client.secret.clone()).unwrap();
            }
        }
        socket
    }
}

/// pyzmq's end.
struct Theirs(Process);

impl Theirs {
    fn start(
        (role, side): (&str, Side),
        (end, endpoint): (&str, &str),
        keys: &Keys,
        statuses: &[&str],
    ) -> Self {
        let side = if side == Side::Server { "server" } else { "client" };
        let texts = [&keys.server, &keys.client]
            .map(|pair| [pair.public.to_string(), pair.secret.to_z85()]);
        let mut command = python::script("curve.py");
        command.args([role, side, end, endpoint]).args(texts.as_flattened()).args(statuses);
        Self(Process::start(&mut command))
    }

    /// The rest of the next line that begins so.
    #[track_caller]
    fn said(&mut self, beginning: &str) -> String {
        loop {
            if let Some(rest) = self.0.line().strip_prefix(beginning) {
                return rest.trim().to_owned();
            }
        }
    }
}

/// Both ways to join them: who binds.
fn join(socket: &Socket, theirs_bind: bool, start: impl FnOnce((&str, &str)) -> Theirs) -> Theirs {
    if theirs_bind {
        let mut theirs = start(("bind", "tcp://127.0.0.1:*"));
        socket.connect(&theirs.said("bound")).unwrap();
        theirs
    } else {
        start(("connect", &socket.bind("tcp://127.0.0.1:*").unwrap()))
    }
}

fn each_way(mut scene: impl FnMut(Side, bool)) {
    for side in [Side::Server, Side::Client] {
        for theirs_bind in [true, false] {
            scene(side, theirs_bind);
        }
    }
}

fn messages() -> Vec<Message> {
    let body = |len: usize| vec![len as u8; len];
    let mut messages: Vec<Message> =
        [0, 1, 222, 223, 255, 256, 8_192, 70_000, 1_000_000].map(|len| body(len).into()).into();
    messages.push([body(0), body(300), body(0), body(5), body(100_000)].into_iter().collect());
    messages
}

#[test]
fn messages_of_any_size_pass_both_ways() {
    each_way(|side, theirs_bind| {
        let (context, keys) = (Context::new().unwrap(), Keys::new());
        let dealer = keys.open(&context, Dealer, side);
        let _theirs =
            join(&dealer, theirs_bind, |end| Theirs::start(("echo", side), end, &keys, &[]));
        for message in messages() {
            dealer.send(message.clone()).unwrap();
            assert!(dealer.recv().unwrap() == message, "{side:?}");
        }
        let count = 10_000u32;
        thread::scope(|scope| {
            scope.spawn(|| (0..count).for_each(|n| dealer.send(n.to_be_bytes()).unwrap()));
            for n in 0..count {
                assert_eq!(dealer.recv().unwrap()[0][..], n.to_be_bytes());
            }
        });
    });
}

#[test]
fn requests_are_answered() {
    each_way(|side, theirs_bind| {
        let (context, keys) = (Context::new().unwrap(), Keys::new());
        let req = keys.open(&context, Req, side);
        let _theirs =
            join(&req, theirs_bind, |end| Theirs::start(("reply", side), end, &keys, &[]));
        for n in 0..100 {
            req.send(format!("question {n}")).unwrap();
            assert_eq!(req.recv().unwrap()[0], *format!("question {n}"));
        }
    });
}

#[test]
fn what_they_publish_is_received() {
    each_way(|side, theirs_bind| {
        let (context, keys) = (Context::new().unwrap(), Keys::new());
        let sub = keys.open(&context, Sub, side);
        sub.subscribe("a").unwrap();
        sub.subscribe("end").unwrap();
        let _theirs =
            join(&sub, theirs_bind, |end| Theirs::start(("publish", side), end, &keys, &[]));
        let mut lengths = Vec::new();
        loop {
            let message = sub.recv().unwrap();
            lengths.push(message.iter().map(|frame| frame.len()).collect::<Vec<_>>());
            if message[0] == "end" {
                break;
            }
        }
        assert_eq!(lengths, [vec![6], vec![1, 300_000], vec![1], vec![3]], "{side:?}");
    });
}

#[test]
fn what_is_published_is_received_by_them() {
    each_way(|side, theirs_bind| {
        let (context, keys) = (Context::new().unwrap(), Keys::new());
        let publisher = keys.open(&context, Pub, side);
        let mut theirs = join(&publisher, theirs_bind, |end| {
            Theirs::start(("subscribe", side), end, &keys, &[])
        });
        until("it has subscribed", || publisher.topics_count() == 2);
        publisher.send("b: no").unwrap();
        let large: Message = [b"a".to_vec(), vec![b'x'; 300_000]].into_iter().collect();
        publisher.send(large).unwrap();
        publisher.send("a: yes").unwrap();
        publisher.send("end").unwrap();
        let received = [(); 3].map(|()| theirs.said("received"));
        assert_eq!(received, ["a1 x300000", "a6", "e3"], "{side:?}");
    });
}

#[test]
fn heartbeats_pass_encrypted() {
    each_way(|side, theirs_bind| {
        let (context, keys) = (Context::new().unwrap(), Keys::new());
        let dealer = keys.open(&context, Dealer, side);
        dealer.set_heartbeat_interval(Some(Duration::from_millis(20))).unwrap();
        dealer.set_heartbeat_timeout(Some(PATIENCE)).unwrap();
        let _theirs =
            join(&dealer, theirs_bind, |end| Theirs::start(("echo", side), end, &keys, &[]));
        dealer.send("hello").unwrap();
        dealer.recv().unwrap();
        let told = dealer.monitor();
        let heard = || dealer.peers().first().map_or(0, |peer| peer.statistics.bytes_received);
        let before = heard();
        until("some have passed", || heard() > before + 500);
        dealer.send("still there").unwrap();
        assert_eq!(dealer.recv().unwrap()[0], "still there");
        assert!(told.try_recv().is_err(), "the connection is the same");
    });
}

#[test]
fn who_is_refused_by_them_is_told_so() {
    for status in ["400", "500"] {
        let (context, keys) = (Context::new().unwrap(), Keys::new());
        let dealer = keys.open(&context, Dealer, Side::Server);
        let monitor = dealer.monitor();
        let mut theirs =
            join(&dealer, true, |end| Theirs::start(("echo", Side::Server), end, &keys, &[status]));
        assert_eq!(theirs.said("judged"), format!("test CURVE {}", keys.client.public));
        assert_eq!(theirs.said(FAILED_AUTHENTICATION), status);
        let told = monitor.events().find_map(|event| match event.kind {
            MonitorEventKind::HandshakeFailedAuthentication { status } => Some(status),
            _ => None,
        });
        assert_eq!(told.unwrap().to_string(), status);
        until("it gives up", || dealer.peers().is_empty());
    }
}

#[test]
fn who_may_try_again_with_them_does() {
    let (context, keys) = (Context::new().unwrap(), Keys::new());
    let dealer = keys.open(&context, Dealer, Side::Server);
    let mut theirs = join(&dealer, true, |end| {
        Theirs::start(("echo", Side::Server), end, &keys, &["300", "300", "200"])
    });
    dealer.send("patience").unwrap();
    assert_eq!(dealer.recv().unwrap()[0], "patience");
    for _ in 0..2 {
        assert_eq!(theirs.said(FAILED_AUTHENTICATION), "300");
    }
}

#[test]
fn they_are_told_when_we_refuse_them() {
    for status in ["300", "400", "500"] {
        let (context, keys) = (Context::new().unwrap(), Keys::new());
        let zap = context.socket(Rep).unwrap();
        zap.set_receive_timeout(Some(PATIENCE)).unwrap();
        zap.bind("inproc://zeromq.zap.01").unwrap();
        let router = keys.open(&context, Router, Side::Client);
        let mut theirs =
            join(&router, false, |end| Theirs::start(("echo", Side::Client), end, &keys, &[]));
        let request = zap.recv().unwrap();
        assert_eq!(
            (&request[5][..], &request[6][..]),
            (&b"CURVE"[..], &keys.client.public.as_bytes()[..])
        );
        let frames = ["1.0", "1", status, "text", "alice", ""];
        zap.send(frames.into_iter().collect::<Message>()).unwrap();
        if status == "300" {
            theirs.said(FAILED);
            zap.recv().unwrap();
        } else {
            assert_eq!(theirs.said(FAILED_AUTHENTICATION), status);
        }
    }
}

#[test]
fn another_servers_key_is_noticed_by_the_server() {
    let (context, keys) = (Context::new().unwrap(), Keys::new());
    let mistaken = Keys { server: curve_keypair().unwrap(), client: keys.client.clone() };
    // Theirs is the server.
    let dealer = mistaken.open(&context, Dealer, Side::Server);
    let mut theirs =
        join(&dealer, true, |end| Theirs::start(("echo", Side::Server), end, &keys, &[]));
    assert_eq!(theirs.said(FAILED_PROTOCOL), 0x1100_0001.to_string());
    // Ours is.
    let dealer = mistaken.open(&context, Dealer, Side::Client);
    let monitor = dealer.monitor();
    let mut theirs =
        join(&dealer, false, |end| Theirs::start(("echo", Side::Client), end, &keys, &[]));
    theirs.said(FAILED);
    let told = monitor.events().find_map(|event| match event.kind {
        MonitorEventKind::HandshakeFailedProtocol { code, .. } => Some(code),
        _ => None,
    });
    assert_eq!(told, Some(0x1100_0001));
}
