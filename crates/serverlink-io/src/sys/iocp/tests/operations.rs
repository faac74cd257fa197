//! Accept, connect, receive, send.

use std::{
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    thread,
};

use bytes::{Bytes, BytesMut};

use super::*;
use crate::Sending;

/// Waits for the end of a send, at once or later.
fn sent(bench: &Bench, peer: &Peer, sending: Sending) -> (usize, io::Result<()>, Vec<Bytes>) {
    match sending {
        Sending::Done { buffers, sent, result } => (sent, result, buffers),
        Sending::Pending => match bench.next(peer) {
            Event::Sent { buffers, sent, result } => (sent, result, buffers),
            other => panic!("not a send: {other:?}"),
        },
    }
}

fn accepts_connects_and_echoes(bench: &Bench, address: &str) {
    let (socket, address) = listener(address);
    let listening = bench.adopt(socket);
    listening.entry.accept().unwrap();
    let socket = Socket::new(address.domain(), Type::STREAM, None).unwrap();
    let client = bench.adopt(socket);
    client.entry.connect(&address).unwrap();
    assert!(matches!(bench.next(&client), Event::Connected(Ok(()))));
    let Event::Accepted(Ok((socket, peer))) = bench.next(&listening) else { panic!() };
    assert_eq!(peer.as_socket(), client.entry.local_address().unwrap().as_socket());
    assert_eq!(
        client.entry.peer_address().unwrap().as_socket(),
        socket.local_addr().unwrap().as_socket()
    );
    let server = bench.adopt(socket);
    for buffer in [None, Some(BytesMut::with_capacity(16)), None] {
        server.entry.receive(buffer).unwrap();
        let buffers = vec![Bytes::from_static(b"hel"), Bytes::new(), Bytes::from_static(b"lo")];
        let sending = client.entry.send(buffers.clone());
        let (count, result, given_back) = sent(bench, &client, sending);
        result.unwrap();
        assert_eq!((count, given_back), (5, buffers));
        let mut got = bench.received(&server).unwrap();
        while got.len() < 5 {
            server.entry.receive(None).unwrap();
            got.extend(bench.received(&server).unwrap());
        }
        assert_eq!(got, b"hello");
    }
    client.entry.shutdown_send().unwrap();
    server.entry.receive(None).unwrap();
    assert!(bench.received(&server).unwrap().is_empty());
}

#[test]
fn connections_carry_data() {
    accepts_connects_and_echoes(&Bench::new(), "127.0.0.1:0");
    accepts_connects_and_echoes(&Bench::new(), "[::1]:0");
}

#[test]
fn connections_carry_data_where_every_success_brings_a_packet() {
    accepts_connects_and_echoes(&Bench::without_skipping(), "127.0.0.1:0");
}

#[test]
fn connections_carry_data_without_buffers_to_lend() {
    let bench = Bench::new();
    let _armed = bench.without_buffers();
    accepts_connects_and_echoes(&bench, "127.0.0.1:0");
}

#[test]
fn successes_at_once_bring_no_packet() {
    let bench = Bench::new();
    let (near, mut far) = bench.pair();
    let Sending::Done { sent: 2, result: Ok(()), .. } =
        near.entry.send(vec![Bytes::from_static(b"ok")])
    else {
        panic!("an idle connection takes two bytes at once");
    };
    far.read_exact(&mut [0; 2]).unwrap();
    far.write_all(b"data").unwrap();
    // Let it arrive: the receive then succeeds within the call, and yet calls no handler.
    near.entry.probe(crate::Interest { readable: true, writable: false }).unwrap();
    assert!(matches!(bench.next(&near), Event::Ready(Ok(_))));
    near.entry.receive(None).unwrap();
    assert!(near.events.try_recv().is_err());
    assert_eq!(bench.port.turn(Some(LONG)).unwrap(), Outcome::Delivered(1));
    assert!(
        matches!(near.events.try_recv(), Ok(Event::Received(Ok(data))) if &data[..] == b"data")
    );
    bench.silence(&near);
}

#[test]
fn buffer_keeps_what_it_had() {
    let bench = Bench::new();
    for unarmed in [false, true] {
        let _armed = unarmed.then(|| bench.without_buffers());
        let (near, mut far) = bench.pair();
        let mut buffer = BytesMut::with_capacity(64);
        buffer.extend_from_slice(b"before,");
        near.entry.receive(Some(buffer)).unwrap();
        far.write_all(b"after").unwrap();
        assert_eq!(bench.received(&near).unwrap(), b"before,after");
    }
    let (near, _far) = bench.pair();
    let error = near.entry.receive(Some(BytesMut::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    near.entry.receive(None).unwrap();
}

#[test]
fn empty_send_is_over_at_once() {
    let bench = Bench::new();
    let (near, _far) = bench.pair();
    for buffers in [vec![], vec![Bytes::new(); 3]] {
        let sending = near.entry.send(buffers.clone());
        let Sending::Done { buffers: back, sent: 0, result: Ok(()) } = sending else { panic!() };
        assert_eq!(back, buffers);
    }
}

#[test]
fn large_vectored_sends_arrive_whole() {
    for bench in [Bench::new(), Bench::without_skipping()] {
        let (near, mut far) = bench.pair();
        let pattern = (0..=u8::MAX).collect::<Vec<_>>().repeat(1_200);
        let whole = Bytes::from(pattern);
        // More buffers than one call gathers, some empty, some small; and more bytes than one call
        // is given.
        let mut buffers: Vec<_> =
            (0..300).map(|index| whole.slice(index * 7..index * 7 + index * 11 % 4_096)).collect();
        buffers.extend(std::iter::repeat_n(whole, 40));
        let expected: Vec<u8> = buffers.concat();
        let total = expected.len();
        let reader = thread::spawn(move || {
            let mut got = vec![0; total];
            far.read_exact(&mut got).unwrap();
            got
        });
        let sending = near.entry.send(buffers);
        let (count, result, _) = sent(&bench, &near, sending);
        result.unwrap();
        assert_eq!(count, total);
        assert!(reader.join().unwrap() == expected, "damaged on the way");
    }
}

#[test]
fn second_operation_is_refused_and_disturbs_nothing() {
    let bench = Bench::new();
    let (near, mut far) = bench.pair();
    near.entry.receive(None).unwrap();
    let error = near.entry.receive(None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    far.write_all(b"x").unwrap();
    assert_eq!(bench.received(&near).unwrap(), b"x");
    let big = Bytes::from(vec![0; 64 << 20]);
    let Sending::Pending = near.entry.send(vec![big]) else { panic!("taken at once") };
    let Sending::Done { sent: 0, result: Err(error), .. } =
        near.entry.send(vec![Bytes::from_static(b"y")])
    else {
        panic!()
    };
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    assert_eq!(near.entry.shutdown_send().unwrap_err().kind(), ErrorKind::ResourceBusy);
}

#[test]
fn cancelled_operations_end_so_and_the_next_works() {
    let bench = Bench::new();
    for unarmed in [false, true] {
        let _armed = unarmed.then(|| bench.without_buffers());
        let (near, mut far) = bench.pair();
        near.entry.receive(None).unwrap();
        near.entry.cancel(Direction::Inward);
        assert!(is_cancelled(&bench.received(&near).unwrap_err()));
        near.entry.cancel(Direction::Inward);
        near.entry.receive(None).unwrap();
        far.write_all(b"still here").unwrap();
        assert_eq!(bench.received(&near).unwrap(), b"still here");
    }
}

#[test]
fn cancelled_send_tells_how_much_went() {
    let bench = Bench::new();
    let (near, mut far) = bench.pair();
    let big = (0..=u8::MAX).collect::<Vec<_>>().repeat(1 << 18);
    let Sending::Pending = near.entry.send(vec![Bytes::from(big.clone())]) else { panic!() };
    near.entry.cancel(Direction::Outward);
    let Event::Sent { sent: count, result: Err(error), .. } = bench.next(&near) else { panic!() };
    assert!(is_cancelled(&error), "{error}");
    assert!(count < big.len());
    let sending = near.entry.send(vec![Bytes::from_static(b"end")]);
    let reader = thread::spawn(move || {
        let mut got = Vec::new();
        far.read_to_end(&mut got).unwrap();
        got
    });
    sent(&bench, &near, sending).1.unwrap();
    near.entry.shutdown_send().unwrap();
    let got = reader.join().unwrap();
    assert_eq!(got.len(), count + 3);
    assert!(got[..count] == big[..count] && got.ends_with(b"end"));
}

#[test]
fn abort_that_nobody_asked_for_is_made_good() {
    let bench = Bench::new();
    for unarmed in [false, true] {
        let _armed = unarmed.then(|| bench.without_buffers());
        let (near, mut far) = bench.pair();
        near.entry.receive(None).unwrap();
        // As when the system ends what a thread issued that has ended itself. However often.
        for _ in 0..100 {
            near.entry.0.inward.cancel_in_kernel(&bench.port.shared.kernel);
            bench.port.turn(Some(Duration::from_millis(1))).unwrap();
        }
        bench.silence(&near);
        far.write_all(b"data").unwrap();
        assert_eq!(bench.received(&near).unwrap(), b"data");
    }
    let (socket, address) = listener("127.0.0.1:0");
    let listening = bench.adopt(socket);
    listening.entry.accept().unwrap();
    listening.entry.0.inward.cancel_in_kernel(&bench.port.shared.kernel);
    bench.silence(&listening);
    let _client = TcpStream::connect(address.as_socket().unwrap()).unwrap();
    assert!(matches!(bench.next(&listening), Event::Accepted(Ok(_))));
}

#[test]
fn operations_outlive_the_thread_that_issued_them() {
    let bench = Bench::new();
    let (near, mut far) = bench.pair();
    thread::scope(|scope| {
        scope.spawn(|| near.entry.receive(None).unwrap());
    });
    bench.silence(&near);
    far.write_all(b"data").unwrap();
    assert_eq!(bench.received(&near).unwrap(), b"data");
}

#[test]
fn cancelled_accept_that_completes_anyway_closes_its_connection() {
    let bench = Bench::new();
    let (socket, address) = listener("127.0.0.1:0");
    let listening = bench.adopt(socket);
    listening.entry.accept().unwrap();
    // As if the completion had won against the hint to the kernel.
    listening.entry.0.inward.slot.cancel();
    let mut client = TcpStream::connect(address.as_socket().unwrap()).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    let Event::Accepted(Err(error)) = bench.next(&listening) else { panic!("not cancelled") };
    assert!(is_cancelled(&error));
    match client.read(&mut [0; 1]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("the connection lives: {other:?}"),
    }
    listening.entry.accept().unwrap();
    let _client = TcpStream::connect(address.as_socket().unwrap()).unwrap();
    assert!(matches!(bench.next(&listening), Event::Accepted(Ok(_))));
}

#[test]
fn refused_connect_says_so() {
    let bench = Bench::new();
    let (socket, address) = listener("127.0.0.1:0");
    drop(socket);
    let client = bench.adopt(tcp());
    client.entry.connect(&address).unwrap();
    let Event::Connected(Err(error)) = bench.next(&client) else { panic!("connected") };
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
}

#[test]
fn bound_socket_keeps_its_address() {
    let bench = Bench::new();
    let (_listener, address) = listener("127.0.0.1:0");
    let socket = tcp();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    let before = socket.local_addr().unwrap().as_socket();
    let client = bench.adopt(socket);
    client.entry.connect(&address).unwrap();
    assert!(matches!(bench.next(&client), Event::Connected(Ok(()))));
    assert_eq!(client.entry.local_address().unwrap().as_socket(), before);
}

#[test]
fn reset_under_a_receive_is_told() {
    let bench = Bench::new();
    for unarmed in [false, true] {
        let _armed = unarmed.then(|| bench.without_buffers());
        let (near, far) = bench.pair();
        near.entry.receive(None).unwrap();
        reset(far);
        let error = bench.received(&near).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
}

#[test]
fn reset_under_a_send_is_told() {
    let bench = Bench::new();
    let (near, far) = bench.pair();
    let Sending::Pending = near.entry.send(vec![Bytes::from(vec![0; 64 << 20])]) else { panic!() };
    reset(far);
    let Event::Sent { sent: count, result: Err(error), buffers } = bench.next(&near) else {
        panic!()
    };
    assert!(!is_cancelled(&error), "{error}");
    assert!(count < 64 << 20);
    assert_eq!(buffers[0].len(), 64 << 20);
}

#[test]
fn half_close_lets_the_other_half_on() {
    let bench = Bench::new();
    let (near, mut far) = bench.pair();
    near.entry.receive(None).unwrap();
    far.shutdown(Shutdown::Write).unwrap();
    assert!(bench.received(&near).unwrap().is_empty());
    let sending = near.entry.send(vec![Bytes::from_static(b"answer")]);
    sent(&bench, &near, sending).1.unwrap();
    near.entry.shutdown_send().unwrap();
    let mut got = Vec::new();
    far.read_to_end(&mut got).unwrap();
    assert_eq!(got, b"answer");
}

#[test]
fn first_call_that_fails_is_an_event() {
    let bench = Bench::new();
    let unconnected = bench.adopt(tcp());
    unconnected.entry.receive(None).unwrap();
    let error = bench.received(&unconnected).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotConnected, "{error}");
    // Its code differs between systems.
    assert!(matches!(
        unconnected.entry.send(vec![Bytes::from_static(b"x")]),
        Sending::Done { sent: 0, result: Err(_), .. }
    ));
}

/// A canceller cannot reach an operation that the kernel does not have yet: the issuer does it.
#[test]
fn cancellation_that_comes_before_the_call_is_passed_on_after_it() {
    let bench = Bench::new();
    let (near, _far) = bench.pair();
    let inner = &near.entry.0;
    let issue = |body: fn(&Bench) -> operation::Body, between: &dyn Fn()| {
        let claim = inner.resources.claim().unwrap();
        inner.inward.slot.begin().unwrap();
        inner.fill(&inner.inward, body(&bench));
        between();
        assert!(inner.submit(&claim, &inner.inward).is_none(), "nothing to receive yet");
    };
    let receive = |bench: &Bench| {
        let receive = receive::Receive::new(&bench.port.shared, None).unwrap();
        operation::Body::Receive(receive)
    };
    issue(receive, &|| near.entry.cancel(Direction::Inward));
    assert!(is_cancelled(&bench.received(&near).unwrap_err()));
    issue(receive, &|| near.entry.retire());
    bench.until("it is freed", || bench.port.shared.is_empty());
    bench.silence(&near);
}

/// Data arrives while the thread that issued the receive ends.
#[test]
fn completion_races_the_end_of_its_thread() {
    let bench = Bench::new();
    let (near, mut far) = bench.pair();
    for round in 0..300_u32 {
        thread::scope(|scope| {
            scope.spawn(|| near.entry.receive(None).unwrap());
            for _ in 0..round {
                std::hint::spin_loop();
            }
            far.write_all(&round.to_le_bytes()).unwrap();
        });
        let mut got = bench.received(&near).unwrap();
        while got.len() < 4 {
            near.entry.receive(None).unwrap();
            got.extend(bench.received(&near).unwrap());
        }
        assert_eq!(got, round.to_le_bytes());
    }
}
