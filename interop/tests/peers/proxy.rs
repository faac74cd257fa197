//! Proxies of ours between clients and workers of libzmq and pyzmq, steered by libzmq.

use std::{sync::mpsc, thread};

use serverlink::{SocketType::*, proxy_steerable};
use serverlink_interop::{
    Contexts,
    Library::{Libzmq, ServerLink},
    Peer, Process, Transport, python,
};

/// Runs a proxy of ours between `types`, with a capturing PUSH and a controlling REP; `work` is
/// given the endpoints of both sides, and libzmq's sockets that capture and control.
fn with_proxy(
    contexts: &Contexts,
    types: [serverlink::SocketType; 2],
    transport: Transport,
    work: impl FnOnce(&str, &str, &Peer, &Peer),
) {
    let [frontend, backend] = types.map(|socket_type| contexts.open(ServerLink, socket_type));
    let (capture, control) = (contexts.open(ServerLink, Push), contexts.open(ServerLink, Rep));
    let (ear, wheel) = (contexts.open(Libzmq, Pull), contexts.open(Libzmq, Req));
    ear.connect(&capture.bind_over(transport));
    wheel.connect(&control.bind_over(transport));
    let (near, far) = (frontend.bind_over(transport), backend.bind_over(transport));
    let sockets = [&frontend, &backend, &capture, &control].map(Peer::ours);
    thread::scope(|scope| {
        let proxy = scope.spawn(move || {
            let [frontend, backend, capture, control] = sockets;
            proxy_steerable(frontend, backend, Some(capture), Some(control))
        });
        work(&near, &far, &ear, &wheel);
        order(&wheel, "TERMINATE");
        proxy.join().unwrap().unwrap();
    });
}

fn order(wheel: &Peer, order: &str) {
    wheel.send([order]);
    wheel.expect([""]);
}

fn statistics(wheel: &Peer) -> Vec<u64> {
    wheel.send(["STATISTICS"]);
    wheel.recv().iter().map(|count| u64::from_ne_bytes(count[..].try_into().unwrap())).collect()
}

#[test]
fn requests_and_replies_of_libzmq_pass() {
    for &transport in Transport::HERE {
        let contexts = Contexts::new();
        with_proxy(&contexts, [Router, Dealer], transport, |near, far, ear, wheel| {
            let [client, worker] = [(Req, near), (Rep, far)].map(|(socket_type, endpoint)| {
                let peer = contexts.open(Libzmq, socket_type);
                peer.connect(endpoint);
                peer
            });
            for n in 0..50_u32 {
                let question = [&b"question"[..], b"", &n.to_be_bytes()];
                client.send(question);
                worker.expect(question);
                worker.send(["answer"]);
                client.expect(["answer"]);
                for (frames, last) in [(5, &n.to_be_bytes()[..]), (3, b"answer")] {
                    let captured = ear.recv();
                    assert_eq!(
                        (captured.len(), captured.last().unwrap().as_slice()),
                        (frames, last)
                    );
                }
            }
            // Five bytes of routing id with each.
            let (asked, answered) = (50 * (5 + 8 + 4), 50 * (5 + 6));
            let expected = [250, asked, 150, answered, 150, answered, 250, asked];
            assert_eq!(statistics(wheel), expected);
            order(wheel, "PAUSE");
            client.send(["held"]);
            order(wheel, "nonsense");
            assert_eq!(statistics(wheel), expected, "nothing passes");
            order(wheel, "RESUME");
            worker.expect(["held"]);
            worker.send(["done"]);
            client.expect(["done"]);
        });
    }
}

#[test]
fn subscriptions_and_messages_of_libzmq_pass() {
    for &transport in Transport::HERE {
        let contexts = Contexts::new();
        with_proxy(&contexts, [XSub, XPub], transport, |near, far, _, _| {
            let (publisher, subscriber) = (contexts.open(Libzmq, XPub), contexts.open(Libzmq, Sub));
            publisher.connect(near);
            subscriber.subscribe("weather");
            subscriber.connect(far);
            publisher.expect_subscription(true, "weather");
            publisher.send(["traffic", "jam"]);
            publisher.send(["weather", "fair"]);
            subscriber.expect(["weather", "fair"]);
            subscriber.subscribe("traffic");
            publisher.expect_subscription(true, "traffic");
            publisher.send(["traffic", "jam"]);
            subscriber.expect(["traffic", "jam"]);
            subscriber.unsubscribe("weather");
            publisher.expect_subscription(false, "weather");
        });
    }
}

/// Clients and workers are programs in Python.
#[test]
fn requests_and_replies_of_pyzmq_pass() {
    const CLIENTS: usize = 2;
    const REQUESTS: usize = 200;
    let contexts = Contexts::new();
    with_proxy(&contexts, [Router, Dealer], Transport::Tcp, |near, far, ear, wheel| {
        let run = |role: &str, endpoint: &str| {
            let count = REQUESTS.to_string();
            Process::start(python::script("requests.py").args([role, endpoint, &count]))
        };
        let _workers = [run("rep", far), run("rep", far)];
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| run("req", near)).collect();
        for _ in 0..2 * CLIENTS * REQUESTS {
            drop(ear.recv());
        }
        for client in &mut clients {
            assert!(client.wait().success());
        }
        let passed = statistics(wheel);
        assert_eq!(passed[0], (CLIENTS * REQUESTS * 3) as u64);
        let [asked, answered] = [&passed[..2], &passed[2..4]];
        assert_eq!(&passed[4..], [answered, asked].concat());
    });
}

/// What a proxy says of a conversation through it does not tell whose proxy it is.
#[test]
fn libzmqs_own_proxy_counts_the_same() {
    let contexts = Contexts::new();
    let (frontend, backend, control) = (
        contexts.open(ServerLink, Pull),
        contexts.open(ServerLink, Push),
        contexts.open(ServerLink, Pair),
    );
    let endpoints = [&frontend, &backend, &control].map(Peer::bind);
    let ours = thread::scope(|scope| {
        let sockets = [&frontend, &backend, &control].map(Peer::ours);
        let proxy = scope.spawn(move || {
            let [frontend, backend, control] = sockets;
            proxy_steerable(frontend, backend, None, Some(control))
        });
        let said = converse(&contexts, &endpoints);
        proxy.join().unwrap().unwrap();
        said
    });

    let (tell, told) = mpsc::channel();
    let proxy = thread::spawn(move || {
        let context = zmq::Context::new();
        let [mut frontend, mut backend, mut control] =
            [zmq::PULL, zmq::PUSH, zmq::PAIR].map(|socket_type| {
                let socket = context.socket(socket_type).unwrap();
                socket.bind("tcp://127.0.0.1:*").unwrap();
                tell.send(socket.get_last_endpoint().unwrap().unwrap()).unwrap();
                socket
            });
        zmq::proxy_steerable(&mut frontend, &mut backend, &mut control)
    });
    let endpoints = [(); 3].map(|()| told.recv().unwrap());
    let theirs = converse(&contexts, &endpoints);
    proxy.join().unwrap().unwrap();
    assert_eq!(ours, theirs);
    assert_eq!(ours, [3, 8, 0, 0, 0, 0, 3, 8]);
}

/// What a proxy at these endpoints says after a conversation through it; then it is ended.
fn converse(contexts: &Contexts, endpoints: &[String; 3]) -> Vec<u64> {
    let sockets = [Push, Pull, Pair].map(|socket_type| contexts.open(Libzmq, socket_type));
    for (socket, endpoint) in sockets.iter().zip(endpoints) {
        socket.connect(endpoint);
    }
    let [sender, receiver, wheel] = sockets;
    // Of one frame: libzmq counts messages up to 4.3.4 and frames since, as we do.
    for message in ["one", "", "three"] {
        sender.send([message]);
        receiver.expect([message]);
    }
    let said = statistics(&wheel);
    wheel.set_linger(None);
    wheel.send(["TERMINATE"]);
    said
}
