//! What a peer had sent before it left is received, also once it can be sent nothing more.

use std::{io::Write, net::TcpStream, time::Duration};

use serverlink::{Message, MonitorEventKind, SocketType};

use crate::harness::{PATIENCE, await_peers, bind_again, context, eventually, shake_hands, socket};

/// Less than the system keeps for who does not read, and much more than the socket does.
const MESSAGES: u32 = 8_000;
const MARK: usize = 10;

/// Where systems forget what came by a stream that was reset, there is nothing to receive.
#[cfg(unix)]
#[test]
fn replies_that_fail_cost_no_request() {
    let context = context();
    let router = socket(&context, SocketType::Router);
    router.set_receive_high_water_mark(MARK).unwrap();
    let endpoint = bind_again(&router, "tcp://127.0.0.1:*");
    let mut peer = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    shake_hands(&mut peer, "DEALER");
    await_peers(&router, 1);
    let requests = (0..MESSAGES).flat_map(|n| [0, 4].into_iter().chain(n.to_be_bytes()));
    peer.write_all(&requests.collect::<Vec<_>>()).unwrap();
    let first = router.recv().unwrap();
    drop(peer);
    // The first is answered by a reset, and whatever comes behind that fails.
    for _ in 0..5 {
        let reply: Message = [&first[0], &b"reply"[..]].into_iter().collect();
        router.send(reply).unwrap();
    }
    for n in 1..MESSAGES {
        let request = router.recv_timeout(PATIENCE).unwrap();
        assert_eq!((&request[0][..], &request[1][..]), (&first[0][..], &n.to_be_bytes()[..]));
    }
    await_peers(&router, 0);
}

/// Nobody waits for what nobody will read.
#[test]
fn a_socket_that_is_closed_leaves_it() {
    let context = context();
    let router = socket(&context, SocketType::Router);
    router.set_receive_high_water_mark(MARK).unwrap();
    router.set_linger(None).unwrap();
    let endpoint = bind_again(&router, "tcp://127.0.0.1:*");
    let mut peer = TcpStream::connect(endpoint.trim_start_matches("tcp://")).unwrap();
    shake_hands(&mut peer, "DEALER");
    await_peers(&router, 1);
    let request = [0, 4, 0, 0, 0, 0];
    peer.write_all(&request.repeat(MESSAGES as usize)).unwrap();
    let first = router.recv().unwrap();
    drop(peer);
    for _ in 0..5 {
        let reply: Message = [&first[0], &b"reply"[..]].into_iter().collect();
        router.send(reply).unwrap();
    }
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
