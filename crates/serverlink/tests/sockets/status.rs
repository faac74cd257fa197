//! What a socket tells of its peers.

use std::{net::TcpListener, time::Instant};

use serverlink::{MonitorEventKind, MonitorVersion, PeerStatus, Socket, SocketType};

use crate::harness::{
    PATIENCE, STREAMS, TRANSPORTS, bound, context, eventually, shake_hands, socket, version,
};

/// The only peer; one end may know of it a little later than the other.
fn peer(socket: &Socket) -> PeerStatus {
    let mut peers = Vec::new();
    eventually("for the only peer", || {
        peers = socket.peers();
        peers.len() == 1
    });
    peers.remove(0)
}

#[test]
fn messages_are_counted_at_both_ends() {
    const COUNT: u64 = 2500;
    for endpoint in TRANSPORTS {
        let context = context();
        let (pull, endpoint) = bound(&context, SocketType::Pull, endpoint);
        let push = socket(&context, SocketType::Push);
        push.connect(&endpoint).unwrap();
        for _ in 0..COUNT {
            push.send("hello").unwrap();
            pull.recv().unwrap();
        }
        let (sender, receiver) = (peer(&push), peer(&pull));
        assert_eq!(sender.statistics.messages_sent, COUNT, "{endpoint}");
        assert_eq!(receiver.statistics.messages_received, COUNT);
        assert_eq!(sender.statistics.messages_received, 0);
        assert_eq!(receiver.statistics.messages_sent, 0);
        assert_eq!(receiver.statistics.queued_incoming, 0);
        let waiting = (sender.statistics.queued_outgoing, sender.statistics.dropped);
        // Within the process, what was read may be counted a little later.
        assert!(endpoint.starts_with("inproc") || waiting == (0, 0), "{waiting:?}");
    }
}

#[test]
fn bytes_and_addresses_are_those_of_the_connection() {
    for endpoint in STREAMS {
        let start = Instant::now();
        let context = context();
        let (pull, endpoint) = bound(&context, SocketType::Pull, endpoint);
        let push = socket(&context, SocketType::Push);
        push.connect(&endpoint).unwrap();
        push.send(vec![7; 1 << 20]).unwrap();
        pull.recv().unwrap();
        let (sender, receiver) = (peer(&push), peer(&pull));
        assert!(sender.is_connected && receiver.is_connected);
        assert_eq!((&sender.endpoint, sender.is_bound), (&endpoint, false));
        assert_eq!((&receiver.endpoint, receiver.is_bound), (&endpoint, true));
        let version = Some(version(&endpoint));
        assert_eq!((sender.version, receiver.version), (version, version));
        assert_eq!(sender.statistics.bytes_sent, receiver.statistics.bytes_received);
        assert_eq!(receiver.statistics.bytes_sent, sender.statistics.bytes_received);
        assert!(receiver.statistics.bytes_received > 1 << 20);
        assert!(receiver.statistics.last_heard.is_some_and(|heard| heard > start));
        if endpoint.starts_with("tcp") {
            assert_eq!(sender.remote.as_ref(), Some(&endpoint));
            assert_eq!((sender.local, sender.remote), (receiver.remote, receiver.local));
        }
    }
}

/// Whoever is connected to is a peer before there is a connection, and afterwards.
#[test]
fn messages_wait_for_a_peer_that_is_not_there() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    drop(listener);
    let push = socket(&context, SocketType::Push);
    push.connect(&endpoint).unwrap();
    (0..3).for_each(|_| push.send("wait").unwrap());
    let status = peer(&push);
    assert_eq!((&status.endpoint, status.is_connected), (&endpoint, false));
    assert_eq!((status.version, status.local), (None, None));
    assert_eq!(status.statistics.queued_outgoing, 3);
    assert_eq!(status.statistics.messages_sent, 0);
    assert!(!push.is_connected(&endpoint));

    let pull = socket(&context, SocketType::Pull);
    pull.bind(&endpoint).unwrap();
    eventually("for the connection", || push.is_connected(&endpoint));
    eventually("for the messages", || peer(&pull).statistics.queued_incoming == 3);
    pull.recv().unwrap();
    assert_eq!(peer(&pull).statistics.queued_incoming, 2);
    assert_eq!(peer(&push).statistics.messages_sent, 3);
    drop(pull);
    eventually("for the end of it", || !push.is_connected(&endpoint));
    assert_eq!(peer(&push).statistics.messages_sent, 3);
    push.disconnect(&endpoint).unwrap();
    eventually("for the peer to be forgotten", || push.peers().is_empty());
}

/// What a lost connection did not take is not counted as sent.
#[test]
fn what_comes_back_waits_again() {
    const COUNT: u64 = 100_000;
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = socket(&context, SocketType::Push);
    push.set_send_high_water_mark(0).unwrap();
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let (mut stranger, _) = listener.accept().unwrap();
    shake_hands(&mut stranger, "PULL");
    eventually("for the handshake", || peer(&push).is_connected);
    // More than the kernel takes from one that reads nothing.
    (0..COUNT).for_each(|_| push.send(vec![7; 255]).unwrap());
    eventually("for a write", || peer(&push).statistics.messages_sent > 0);
    drop((stranger, listener));
    eventually("for the end", || !peer(&push).is_connected);
    let statistics = peer(&push).statistics;
    assert_eq!(statistics.messages_sent + statistics.queued_outgoing as u64, COUNT);
    assert!(statistics.queued_outgoing > 0);
}

#[test]
fn a_router_tells_what_it_calls_its_peers() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (router, endpoint) = bound(&context, SocketType::Router, endpoint);
        let dealers = [(), ()].map(|()| socket(&context, SocketType::Dealer));
        dealers[0].set_routing_id("named").unwrap();
        let mut seen: Vec<Vec<u8>> = dealers
            .iter()
            .map(|dealer| {
                dealer.connect(&endpoint).unwrap();
                dealer.send("hello").unwrap();
                router.recv().unwrap()[0].to_vec()
            })
            .collect();
        let mut told: Vec<_> = router.peers().iter().map(|peer| peer.routing_id.to_vec()).collect();
        seen.sort();
        told.sort();
        assert_eq!(told, seen);
        assert!(seen.contains(&b"named".to_vec()));
    }
}

#[test]
fn what_is_dropped_is_counted() {
    let context = context();
    let publisher = socket(&context, SocketType::Pub);
    publisher.set_send_high_water_mark(1).unwrap();
    publisher.bind("inproc://drops").unwrap();
    let subscriber = socket(&context, SocketType::Sub);
    subscriber.set_receive_high_water_mark(1).unwrap();
    subscriber.subscribe("").unwrap();
    subscriber.connect("inproc://drops").unwrap();
    (0..10).for_each(|_| publisher.send("x").unwrap());
    let statistics = peer(&publisher).statistics;
    assert_eq!((statistics.messages_sent, statistics.dropped), (2, 8));
    assert_eq!(peer(&subscriber).statistics.queued_incoming, 2);
    assert_eq!(statistics.queued_outgoing, 2);

    let router = socket(&context, SocketType::Router);
    router.set_send_high_water_mark(1).unwrap();
    router.bind("inproc://router").unwrap();
    let dealer = socket(&context, SocketType::Dealer);
    dealer.set_receive_high_water_mark(1).unwrap();
    dealer.set_routing_id("dealer").unwrap();
    dealer.connect("inproc://router").unwrap();
    for _ in 0..10 {
        router.send(["dealer", "x"].into_iter().collect::<serverlink::Message>()).unwrap();
    }
    let statistics = peer(&router).statistics;
    assert_eq!((statistics.messages_sent, statistics.dropped), (2, 8));
}

#[test]
fn monitors_are_told_what_waits() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let monitor = pull.monitor();
    pull.publish_events("inproc://events", 0x1_0000, MonitorVersion::V2).unwrap();
    let reader = socket(&context, SocketType::Pair);
    reader.connect("inproc://events").unwrap();
    let push = socket(&context, SocketType::Push);
    push.connect(&endpoint).unwrap();
    (0..5).for_each(|_| push.send("x").unwrap());
    eventually("for the messages", || {
        pull.peers().first().is_some_and(|peer| peer.statistics.queued_incoming == 5)
    });
    pull.tell_pipe_statistics().unwrap();
    let expected = MonitorEventKind::PipeStatistics { outgoing: 0, incoming: 5 };
    let event = monitor.events().find(|event| event.kind == expected).unwrap();
    let message = reader.recv_timeout(PATIENCE).unwrap();
    let words: Vec<_> = [0x1_0000_u64, 2, 0, 5].map(u64::to_ne_bytes).to_vec();
    assert!(message.iter().take(4).map(|frame| frame.to_vec()).eq(words));
    assert_eq!(message[4].as_str(), Some(&*endpoint));
    assert_eq!(message[5].as_str(), event.remote.as_deref());
    assert_eq!(message.len(), 6);
}
