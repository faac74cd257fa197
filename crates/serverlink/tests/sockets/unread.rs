//! What a peer had sent before it left is received, also once it can be sent nothing more.

use std::{io::Write, net::TcpStream, time::Duration};

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

/// What is to be sent goes before what was not read, once no more of it may wait.
#[test]
fn who_connects_does_not_wait_for_its_own_reading() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let context = context();
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_receive_high_water_mark(MARK).unwrap();
    dealer.set_send_high_water_mark(MARK).unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    dealer.connect(&endpoint).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    shake_hands(&mut stream, "ROUTER");
    await_peers(&dealer, 1);
    stream.write_all(&numbered()).unwrap();
    // All that was sent to it is unread, so that the stream is reset.
    dealer.recv().unwrap();
    drop((stream, listener));
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

    /// A peer that reads no more, and says nothing, is not waited for.
    #[test]
    fn a_stream_that_can_only_be_read_ends_when_nothing_comes() {
        let context = context();
        let router = socket(&context, SocketType::Router);
        let endpoint = bind_again(&router, "ipc://*");
        let path = endpoint.trim_start_matches("ipc://");
        let mut peer = std::os::unix::net::UnixStream::connect(path).unwrap();
        shake_hands(&mut peer, "DEALER");
        await_peers(&router, 1);
        peer.write_all(&[0, 4, 0, 0, 0, 0]).unwrap();
        let first = router.recv().unwrap();
        peer.shutdown(std::net::Shutdown::Read).unwrap();
        let monitor = router.monitor();
        router.send(first).unwrap();
        let event = monitor.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(event.kind, MonitorEventKind::Disconnected), "{event:?}");
    }
}
