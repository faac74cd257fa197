//! RFC 41, CLIENT and SERVER: a test for each thing that they shall do.

use std::{
    collections::{HashMap, HashSet},
    io::Write,
    net::TcpStream,
    thread,
    time::Duration,
};

use serverlink::{Context, Message, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, couple, errno, expect, expect_nothing,
    expect_numbers, frames, number, number_in, scaled, shake_hands, socket, vacant,
};

/// A server with so many clients.
fn crowd(context: &Context, endpoint: &str, count: usize) -> (Socket, Vec<Socket>) {
    let (server, endpoint) = bound(context, SocketType::Server, endpoint);
    let clients: Vec<_> =
        (0..count).map(|_| connected(context, SocketType::Client, &endpoint)).collect();
    await_peers(&server, count);
    (server, clients)
}

#[track_caller]
fn id_of(message: &Message) -> u32 {
    message.routing_id().expect("a SERVER's messages bear one")
}

#[test]
fn a_server_tells_who_asked_and_answers_whom_it_names() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (server, clients) = crowd(&context, endpoint, 10);
        let mut ids = HashSet::new();
        for (n, client) in (0..).zip(&clients) {
            client.send(number(n)).unwrap();
            let request = server.recv().unwrap();
            assert_eq!(request, number(n));
            let id = id_of(&request);
            assert_ne!(id, 0, "a routing id is not zero");
            assert!(ids.insert(id), "a routing id is one peer's");
            // It stays the same for the peer's life.
            client.send("again").unwrap();
            assert_eq!(id_of(&server.recv().unwrap()), id);
            server.send(number(n).with_routing_id(id)).unwrap();
        }
        for (n, client) in (0..).zip(&clients) {
            let answer = client.recv().unwrap();
            assert_eq!((number_in(&answer), answer.routing_id()), (n, None));
            expect_nothing(client);
        }
    }
}

#[test]
fn neither_modifies_what_passes() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (server, clients) = crowd(&context, endpoint, 1);
        for size in [0, 1, 66, 67, 70, 71, 255, 256, 5000, 300_000] {
            let body: Vec<u8> = (0..size).map(|n| n as u8).collect();
            clients[0].send(body.clone()).unwrap();
            let request = server.recv().unwrap();
            assert!(request[0] == body[..], "{size} bytes");
            server.send(request).unwrap();
            let answer = clients[0].recv().unwrap();
            assert!(answer[0] == body[..], "{size} bytes back");
        }
    }
}

#[test]
fn an_id_that_is_nobodys_is_an_error() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (server, mut clients) = crowd(&context, endpoint, 2);
        assert_eq!(errno(server.send(Message::from("x").with_routing_id(0))), "EHOSTUNREACH");
        assert_eq!(errno(server.send("to nobody")), "EINVAL");
        clients[0].send("x").unwrap();
        let id = id_of(&server.recv().unwrap());
        clients.remove(0);
        await_peers(&server, 1);
        let refused = server.send(Message::from("late").with_routing_id(id)).unwrap_err();
        assert_eq!(refused.error.errno_name(), "EHOSTUNREACH");
        assert_eq!(
            (refused.message.routing_id(), &refused.message[0][..]),
            (Some(id), &b"late"[..])
        );
        expect_nothing(&clients[0]);
    }
}

#[test]
fn messages_of_several_frames_are_refused() {
    let context = context();
    let (server, clients) = crowd(&context, "inproc://clisrv", 1);
    clients[0].send("x").unwrap();
    let id = id_of(&server.recv().unwrap());
    for (socket, message) in
        [(&clients[0], frames(["a", "b"])), (&server, frames(["a", "b"]).with_routing_id(id))]
    {
        let refused = socket.send(message.clone()).unwrap_err();
        assert_eq!((refused.error.errno_name(), refused.message), ("EINVAL", message));
    }
    expect_nothing(&server);
}

#[test]
fn messages_of_several_frames_are_discarded() {
    let context = context();
    for (ours, theirs) in [(SocketType::Server, "CLIENT"), (SocketType::Client, "SERVER")] {
        let (socket, endpoint) = bound(&context, ours, "tcp://127.0.0.1:*");
        let mut peer = TcpStream::connect(endpoint.replace("tcp://", "")).unwrap();
        shake_hands(&mut peer, theirs);
        // Two frames, three, a command that nobody knows, and one frame.
        peer.write_all(
            b"\x01\x01a\x00\x01b\x01\x01a\x01\x01b\x00\x01c\x04\x05\x04WHAT\x00\x04good",
        )
        .unwrap();
        expect(&socket, "good");
        expect_nothing(&socket);
    }
}

#[test]
fn a_client_deals_requests_out_in_turn() {
    for endpoint in ["tcp://127.0.0.1:*", "inproc://one"] {
        let context = context();
        let client = socket(&context, SocketType::Client);
        let servers: Vec<_> = (0..3)
            .map(|n| {
                let endpoint = endpoint.replace("one", &n.to_string());
                let (server, endpoint) = bound(&context, SocketType::Server, &endpoint);
                client.connect(&endpoint).unwrap();
                server
            })
            .collect();
        await_peers(&client, 3);
        (0..30).for_each(|n| client.send(number(n)).unwrap());
        let mut first = HashSet::new();
        for server in &servers {
            let start = number_in(&server.recv().unwrap());
            assert!(first.insert(start) && start < 3);
            expect_numbers(server, (start + 3..30).step_by(3));
        }
    }
}

#[test]
fn both_take_from_every_peer_in_turn() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (server, clients) = crowd(&context, endpoint, 3);
        clients.iter().for_each(|client| client.send("here").unwrap());
        let ids: Vec<_> = clients.iter().map(|_| id_of(&server.recv().unwrap())).collect();
        for n in 0..10 {
            clients.iter().for_each(|client| client.send(number(n)).unwrap());
        }
        let mut counts: HashMap<u32, u32> = ids.iter().map(|id| (*id, 0)).collect();
        for turn in 0..30 {
            let message = server.recv().unwrap();
            let count = counts.get_mut(&id_of(&message)).unwrap();
            assert_eq!(number_in(&message), *count, "in order");
            // Within the process all of it is there already.
            assert!(!endpoint.starts_with("inproc") || *count == turn / 3, "each once a round");
            *count += 1;
        }
        assert!(counts.values().all(|count| *count == 10));
    }
    // A client of two servers, both of which have much to say.
    let context = context();
    let client = socket(&context, SocketType::Client);
    for name in ["inproc://one", "inproc://two"] {
        let (server, _) = bound(&context, SocketType::Server, name);
        client.connect(name).unwrap();
        client.send("hello").unwrap();
        let id = id_of(&server.recv().unwrap());
        (0..10).for_each(|_| server.send(Message::from(name).with_routing_id(id)).unwrap());
    }
    let names: Vec<_> = (0..20).map(|_| client.recv().unwrap()).collect();
    assert!(names.windows(2).all(|two| two[0] != two[1]), "{names:?}");
}

#[test]
fn a_client_keeps_messages_for_a_server_that_is_not_there() {
    let context = context();
    let endpoint = vacant(&context);
    let client = connected(&context, SocketType::Client, &endpoint);
    (0..10).for_each(|n| client.send(number(n)).unwrap());
    let (server, _) = bound(&context, SocketType::Server, &endpoint);
    expect_numbers(&server, 0..10);
}

#[test]
fn a_client_without_room_waits_and_discards_nothing() {
    let context = context();
    let client = socket(&context, SocketType::Client);
    assert_eq!(errno(client.try_send("to nobody")), "EAGAIN");
    client.set_send_high_water_mark(3).unwrap();
    client.connect("inproc://later").unwrap();
    (0..3).for_each(|n| client.try_send(number(n)).unwrap());
    assert_eq!(errno(client.try_send(number(3))), "EAGAIN");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| client.send(number(3)).unwrap());
        let (server, _) = bound(&context, SocketType::Server, "inproc://later");
        expect_numbers(&server, 0..4);
        waiting.join().unwrap();
    });
}

#[test]
fn a_server_waits_for_a_peer_without_room_and_discards_nothing() {
    for endpoint in TRANSPORTS {
        let context = context();
        let server = socket(&context, SocketType::Server);
        server.set_send_high_water_mark(2).unwrap();
        let endpoint = server.bind(endpoint).unwrap();
        let client = socket(&context, SocketType::Client);
        client.set_receive_high_water_mark(2).unwrap();
        client.connect(&endpoint).unwrap();
        client.send("hello").unwrap();
        let id = id_of(&server.recv().unwrap());
        let reply = |n: u32| {
            let mut body = vec![0; 100_000];
            body[..4].copy_from_slice(&n.to_be_bytes());
            Message::from(body).with_routing_id(id)
        };
        let mut sent = 0;
        let refused = loop {
            // Once refused it may be taken a moment later.
            match server.try_send(reply(sent)) {
                Ok(()) => sent += 1,
                Err(refused) => break refused,
            }
            assert!(sent < 10_000, "nothing holds the server up");
        };
        assert_eq!(refused.error.errno_name(), "EAGAIN");
        assert_eq!(refused.message.routing_id(), Some(id), "it comes back whole");
        thread::scope(|scope| {
            scope.spawn(|| server.send(reply(sent)).unwrap());
            for n in 0..=sent {
                assert_eq!(client.recv().unwrap()[0][..4], n.to_be_bytes());
            }
        });
    }
}

#[test]
fn a_peer_that_leaves_takes_its_queue_with_it() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (server, mut clients) = crowd(&context, endpoint, 1);
        clients[0].send("hello").unwrap();
        let id = id_of(&server.recv().unwrap());
        server.send(Message::from("never read").with_routing_id(id)).unwrap();
        clients.clear();
        await_peers(&server, 0);
        // Whoever comes next is somebody else.
        let next = connected(&context, SocketType::Client, &server.last_endpoint().unwrap());
        next.send("hello").unwrap();
        let other = id_of(&server.recv().unwrap());
        assert_ne!(id, other);
        let stray = server.send(Message::from("not for you").with_routing_id(id));
        assert_eq!(errno(stray), "EHOSTUNREACH");
        server.send(Message::from("for you").with_routing_id(other)).unwrap();
        expect(&next, "for you");
        expect_nothing(&next);
    }
}

#[test]
fn a_client_cannot_be_told_to_introduce_itself() {
    let client = socket(&context(), SocketType::Client);
    assert_eq!(errno(client.set_probe_router(true)), "EINVAL");
}

#[test]
fn ids_outlive_connections_that_the_server_made() {
    let context = context();
    let (client, endpoint) = bound(&context, SocketType::Client, "tcp://127.0.0.1:*");
    let server = connected(&context, SocketType::Server, &endpoint);
    client.send("one").unwrap();
    let id = id_of(&server.recv().unwrap());
    drop(client);
    await_peers(&server, 0);
    server.send(Message::from("kept").with_routing_id(id)).unwrap();
    let client = socket(&context, SocketType::Client);
    crate::harness::bind_again(&client, &endpoint);
    expect(&client, "kept");
    client.send("two").unwrap();
    assert_eq!(id_of(&server.recv().unwrap()), id);
}

#[test]
fn threads_share_a_client_and_a_server() {
    const THREADS: u32 = 4;
    let each = scaled(2000);
    for endpoint in TRANSPORTS {
        let context = context();
        let (server, client) = couple(&context, endpoint, SocketType::Server, SocketType::Client);
        let total = THREADS * each;
        thread::scope(|scope| {
            for thread in 0..THREADS {
                let (server, client) = (&server, &client);
                scope.spawn(move || {
                    (0..each).for_each(|n| client.send(number(thread * each + n)).unwrap());
                });
                scope.spawn(move || {
                    for _ in 0..each {
                        server.send(server.recv().unwrap()).unwrap();
                    }
                });
            }
            let seen: HashSet<_> = (0..total).map(|_| number_in(&client.recv().unwrap())).collect();
            assert_eq!(seen.len(), total as usize);
        });
    }
}

#[test]
fn waiting_is_bounded_by_the_time_out() {
    let context = context();
    let client = socket(&context, SocketType::Client);
    let timeout = Duration::from_millis(20);
    assert_eq!(errno(client.send_timeout("x", timeout)), "EAGAIN");
    assert_eq!(errno(client.recv_timeout(timeout)), "EAGAIN");
}
