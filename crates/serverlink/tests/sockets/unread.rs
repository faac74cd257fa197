//! What a peer had sent before it left is received, also once it can be sent nothing more.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    time::Duration,
};

use serverlink::{Context, Message, MonitorEventKind, Socket, SocketType};

use crate::harness::{
    PATIENCE, await_peers, bind_again, context, eventually, number, number_in, shake_hands, socket,
};

/// Less than the system keeps for who does not read, and much more than the socket does.
const MESSAGES: u32 = 8_000;
const MARK: usize = 10;

/// Numbered messages of one frame.
fn numbered() -> Vec<u8> {
    (0..MESSAGES).flat_map(|n| [0, 4].into_iter().chain(n.to_be_bytes())).collect()
}

/// A bound socket with small marks, and the first message of a peer that has sent all and left.
fn left_behind(context: &Context, (own, peer): (SocketType, &str)) -> (Socket, String, Message) {
    let socket = socket(context, own);
    socket.set_receive_high_water_mark(MARK).unwrap();
    socket.set_send_high_water_mark(MARK).unwrap();
    let endpoint = bind_again(&socket, "tcp://127.0.0.1:*");
    let mut stream = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    shake_hands(&mut stream, peer);
    await_peers(&socket, 1);
    stream.write_all(&numbered()).unwrap();
    let first = socket.recv().unwrap();
    assert_eq!(number_in(&first), 0);
    (socket, endpoint, first)
}

/// A connecting DEALER with small marks that has received one of a peer's messages, and where it connects
/// to: nobody is there any more.
fn unread(context: &Context, immediate: bool) -> (Socket, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dealer = socket(context, SocketType::Dealer);
    dealer.set_receive_high_water_mark(MARK).unwrap();
    dealer.set_send_high_water_mark(MARK).unwrap();
    dealer.set_immediate(immediate).unwrap();
    let (_, endpoint) = connect_and_receive_one(&dealer, &listener);
    (dealer, endpoint)
}

/// Connects to a peer that sends all; the peer's stream, and where it is.
fn connect_and_receive_one(dealer: &Socket, listener: &TcpListener) -> (TcpStream, String) {
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    dealer.connect(&endpoint).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    shake_hands(&mut stream, "ROUTER");
    await_peers(dealer, 1);
    stream.write_all(&numbered()).unwrap();
    dealer.recv().unwrap();
    (stream, endpoint)
}

/// What is to be sent goes before what was not read, once no more of it may wait.
#[test]
fn who_connects_does_not_wait_for_its_own_reading() {
    let context = context();
    let (dealer, endpoint) = unread(&context, false);
    let router = socket(&context, SocketType::Router);
    bind_again(&router, &endpoint);
    // More than may wait.
    let received = std::thread::scope(|scope| {
        let receiving = scope.spawn(|| number_in(&router.recv().unwrap()));
        (0..100).for_each(|n| dealer.send(number(n)).unwrap());
        receiving.join().unwrap()
    });
    assert!(received < 90, "those that waited come: {received}");
}

/// Where nothing may wait for another connection, all that is sent needs one.
#[test]
fn who_sends_only_to_peers_that_are_there_does_not_wait_for_its_own_reading() {
    let context = context();
    let (dealer, endpoint) = unread(&context, true);
    // The first finds out that the stream was reset; what was taken before that was seen still comes.
    eventually("for the loss", || {
        dealer.peer_count() == 0 || {
            _ = dealer.try_send("early");
            false
        }
    });
    let router = socket(&context, SocketType::Router);
    bind_again(&router, &endpoint);
    dealer.send("hello").unwrap();
    eventually("for the last", || router.recv().unwrap()[1] == "hello");
}

/// Nor does a thread that waits for room already, and would be told of more than there is.
#[test]
fn who_waits_for_room_when_the_stream_breaks_goes_on_by_the_next() {
    const LIMIT: usize = 100;
    let body = || Message::from(vec![0; 1000]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    socket2::SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
    let context = context();
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_receive_high_water_mark(MARK).unwrap();
    dealer.set_send_high_water_mark(LIMIT).unwrap();
    dealer.set_send_buffer(Some(4096)).unwrap();
    dealer.set_out_batch_size(Some(1024)).unwrap();
    let (mut stream, endpoint) = connect_and_receive_one(&dealer, &listener);
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| (0..4 * LIMIT).for_each(|_| dealer.send(body()).unwrap()));
        let queued = || dealer.peers()[0].statistics.queued_outgoing;
        eventually("for the sender to wait", || queued() == LIMIT);
        eventually("for a little room", || {
            stream.read_exact(&mut [0; 512]).unwrap();
            (LIMIT / 2 + 1..LIMIT - 5).contains(&queued())
        });
        drop((stream, listener));
        let router = socket(&context, SocketType::Router);
        bind_again(&router, &endpoint);
        router.recv().unwrap();
        sending.join().unwrap();
    });
}

/// Nobody waits for what nobody will read.
#[test]
fn a_socket_that_is_closed_leaves_it() {
    let context = context();
    let (router, _, first) = left_behind(&context, (SocketType::Router, "DEALER"));
    router.set_linger(None).unwrap();
    (0..5).for_each(|_| router.send(first.clone()).unwrap());
    drop(router);
    context.terminate();
}

/// The end of a stream that was reset is still the peer's.
#[test]
fn a_reset_connection_ends_with_the_address_it_began_with() {
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    let monitor = pull.monitor();
    let endpoint = bind_again(&pull, "tcp://127.0.0.1:*");
    let mut peer = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    let address = format!("tcp://{}", peer.local_addr().unwrap());
    shake_hands(&mut peer, "PUSH");
    await_peers(&pull, 1);
    socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
    drop(peer);
    let mut told = Vec::new();
    eventually("for the end", || {
        let event = monitor.recv_timeout(PATIENCE).unwrap();
        let is_end = matches!(event.kind, MonitorEventKind::Disconnected);
        if is_end || matches!(event.kind, MonitorEventKind::Accepted) {
            told.push(event.remote);
        }
        is_end
    });
    assert_eq!(told, [Some(address.clone()), Some(address)]);
}

/// Windows forgets what came by a stream that was reset: there is nothing to receive then.
#[cfg(unix)]
mod remembered {
    use std::{net::Shutdown, os::unix::net::UnixStream};

    use serverlink::Error;

    use super::*;
    use crate::harness::{connected, expect};

    /// Receives all but the first.
    fn expect_the_rest(socket: &Socket) {
        (1..MESSAGES).for_each(|n| assert_eq!(number_in(&socket.recv().unwrap()), n));
    }

    #[test]
    fn replies_that_fail_cost_no_request() {
        let context = context();
        let (router, _, first) = left_behind(&context, (SocketType::Router, "DEALER"));
        // The first is answered by a reset, and whatever comes behind that fails.
        (0..5).for_each(|_| router.send(first.clone()).unwrap());
        expect_the_rest(&router);
        await_peers(&router, 0);
    }

    /// Nor do they wait for room that only the thread could make that sends them.
    #[test]
    fn who_replies_learns_that_the_peer_has_left_before_all_is_read() {
        for types in [(SocketType::Router, "DEALER"), (SocketType::Server, "CLIENT")] {
            let context = context();
            let (replying, _, first) = left_behind(&context, types);
            if types.0 == SocketType::Router {
                replying.set_router_mandatory(true).unwrap();
            }
            let mut sent = 0;
            let refused = loop {
                match replying.send(first.clone()) {
                    Ok(()) => sent += 1,
                    Err(refused) => break refused.error,
                }
            };
            assert!(
                matches!(refused, Error::HostUnreachable { .. }),
                "{types:?}: {refused} after {sent}"
            );
            expect_the_rest(&replying);
        }
    }

    #[test]
    fn a_pair_takes_another_peer_before_all_is_read() {
        let context = context();
        let (pair, endpoint, first) = left_behind(&context, (SocketType::Pair, "PAIR"));
        eventually("for the end", || {
            pair.try_send(first.clone()).is_err() && pair.peer_count() == 0
        });
        let other = connected(&context, SocketType::Pair, &endpoint);
        await_peers(&pair, 1);
        pair.send("hello").unwrap();
        expect(&other, "hello");
        expect_the_rest(&pair);
    }

    /// A peer that never reads anything.
    fn deaf_peer(endpoint: &str) -> UnixStream {
        let peer =
            socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
        peer.shutdown(Shutdown::Read).unwrap();
        let path = endpoint.trim_start_matches("ipc://");
        peer.connect(&socket2::SockAddr::unix(path).unwrap()).unwrap();
        peer.into()
    }

    #[test]
    fn who_cannot_be_sent_anything_from_the_start_takes_nobodys_place() {
        let context = context();
        let pair = socket(&context, SocketType::Pair);
        pair.set_receive_high_water_mark(MARK).unwrap();
        let endpoint = bind_again(&pair, "ipc://*");
        let mut peer = deaf_peer(&endpoint);
        shake_hands(&mut peer, "PAIR");
        peer.write_all(&numbered()).unwrap();
        assert_eq!(number_in(&pair.recv().unwrap()), 0);
        let other = connected(&context, SocketType::Pair, &endpoint);
        await_peers(&pair, 1);
        pair.send("hello").unwrap();
        expect(&other, "hello");
        expect_the_rest(&pair);
    }

    /// What comes, a byte at a time, does not keep the connection.
    #[test]
    fn who_cannot_be_sent_anything_has_no_more_time_for_the_handshake() {
        let context = context();
        let pull = socket(&context, SocketType::Pull);
        pull.set_handshake_interval(Some(Duration::from_millis(200))).unwrap();
        let monitor = pull.monitor();
        let mut peer = deaf_peer(&bind_again(&pull, "ipc://*"));
        let mut greeting = Vec::new();
        shake_hands(&mut greeting, "PUSH");
        let failed = greeting[..60].iter().any(|byte| {
            peer.write_all(&[*byte]).unwrap();
            let event = monitor.recv_timeout(Duration::from_millis(100));
            event.is_ok_and(|event| matches!(event.kind, MonitorEventKind::HandshakeFailed(_)))
        });
        assert!(failed, "it goes on");
    }

    /// A peer that reads no more, and says nothing, is not waited for.
    #[test]
    fn a_stream_that_can_only_be_read_ends_when_nothing_comes() {
        let context = context();
        let router = socket(&context, SocketType::Router);
        let endpoint = bind_again(&router, "ipc://*");
        let path = endpoint.trim_start_matches("ipc://");
        let mut peer = UnixStream::connect(path).unwrap();
        shake_hands(&mut peer, "DEALER");
        await_peers(&router, 1);
        peer.write_all(&[0, 4, 0, 0, 0, 0]).unwrap();
        let first = router.recv().unwrap();
        peer.shutdown(Shutdown::Read).unwrap();
        let monitor = router.monitor();
        router.send(first).unwrap();
        let event = monitor.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(event.kind, MonitorEventKind::Disconnected), "{event:?}");
    }
}
