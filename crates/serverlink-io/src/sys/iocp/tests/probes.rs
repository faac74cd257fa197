//! Readiness of sockets that are not ours, and of those that are.

use std::{
    io::{ErrorKind, Read, Write},
    os::windows::io::AsRawSocket,
};

use super::*;
use crate::Interest;

const READABLE: Interest = Interest { readable: true, writable: false };
const WRITABLE: Interest = Interest { readable: false, writable: true };
const BOTH: Interest = Interest { readable: true, writable: true };

fn watch(bench: &Bench, socket: &impl AsRawSocket) -> Peer {
    let (sender, events) = mpsc::channel();
    let descriptor = Descriptor::Watched(Kernel::foreign(socket.as_raw_socket()));
    let inner = Inner::new(&bench.port.shared, descriptor, false, Arc::new(Forward(sender)));
    Peer { entry: Entry(inner), events }
}

fn ready(bench: &Bench, peer: &Peer) -> Interest {
    match bench.next(peer) {
        Event::Ready(result) => result.unwrap(),
        other => panic!("not a probe: {other:?}"),
    }
}

#[test]
fn foreign_socket_is_watched_and_left_alone() {
    let bench = Bench::new();
    let (mut foreign, mut far) = streams();
    let watched = watch(&bench, &foreign);
    watched.entry.probe(READABLE).unwrap();
    bench.silence(&watched);
    far.write_all(b"x").unwrap();
    assert_eq!(ready(&bench, &watched), READABLE);
    // Level-triggered: it is ready still.
    watched.entry.probe(READABLE).unwrap();
    assert_eq!(ready(&bench, &watched), READABLE);
    watched.entry.probe(WRITABLE).unwrap();
    assert_eq!(ready(&bench, &watched), WRITABLE);
    watched.entry.probe(BOTH).unwrap();
    assert_eq!(ready(&bench, &watched), BOTH);
    foreign.read_exact(&mut [0; 1]).unwrap();
    watched.entry.probe(BOTH).unwrap();
    assert_eq!(ready(&bench, &watched), WRITABLE);
    watched.entry.probe(READABLE).unwrap();
    watched.entry.retire();
    bench.until("it is freed", || bench.port.shared.is_empty());
    bench.silence(&watched);
    far.write_all(b"y").unwrap();
    foreign.read_exact(&mut [0; 1]).unwrap();
    foreign.write_all(b"z").unwrap();
    far.read_exact(&mut [0; 1]).unwrap();
}

#[test]
fn end_of_stream_and_connections_are_readable() {
    let bench = Bench::new();
    let (foreign, far) = streams();
    let watched = watch(&bench, &foreign);
    watched.entry.probe(READABLE).unwrap();
    drop(far);
    assert!(ready(&bench, &watched).readable);
    let (listener, address) = listener("127.0.0.1:0");
    let watched = watch(&bench, &listener);
    watched.entry.probe(READABLE).unwrap();
    bench.silence(&watched);
    let _client = TcpStream::connect(address.as_socket().unwrap()).unwrap();
    assert_eq!(ready(&bench, &watched), READABLE);
}

#[test]
fn full_socket_becomes_writable_when_the_peer_reads() {
    let bench = Bench::new();
    let (mut foreign, mut far) = streams();
    foreign.set_nonblocking(true).unwrap();
    let mut written = 0;
    loop {
        match foreign.write(&[0; 65_536]) {
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    let watched = watch(&bench, &foreign);
    watched.entry.probe(WRITABLE).unwrap();
    bench.silence(&watched);
    far.read_exact(&mut vec![0; written]).unwrap();
    assert_eq!(ready(&bench, &watched), WRITABLE);
}

#[test]
fn a_probe_of_both_directions_occupies_both_and_is_one() {
    let bench = Bench::new();
    let (mut foreign, _far) = streams();
    foreign.set_nonblocking(true).unwrap();
    while foreign.write(&[0; 65_536]).is_ok() {}
    let watched = watch(&bench, &foreign);
    for direction in [Direction::Inward, Direction::Outward, Direction::Inward] {
        watched.entry.probe(BOTH).unwrap();
        for interest in [READABLE, WRITABLE, BOTH] {
            let error = watched.entry.probe(interest).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        }
        watched.entry.cancel(direction);
        let Event::Ready(Err(error)) = bench.next(&watched) else { panic!("not cancelled") };
        assert!(is_cancelled(&error), "{error}");
        bench.silence(&watched);
    }
    watched.entry.probe(WRITABLE).unwrap();
    let error = watched.entry.probe(BOTH).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    watched.entry.probe(READABLE).unwrap();
    watched.entry.cancel(Direction::Outward);
    assert!(matches!(bench.next(&watched), Event::Ready(Err(error)) if is_cancelled(&error)));
    bench.silence(&watched);
    watched.entry.retire();
    bench.until("it is freed", || bench.port.shared.is_empty());
}

#[test]
fn watched_sockets_are_only_probed() {
    let bench = Bench::new();
    let (foreign, _far) = streams();
    let watched = watch(&bench, &foreign);
    assert_eq!(watched.entry.receive(None).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(watched.entry.accept().unwrap_err().kind(), ErrorKind::InvalidInput);
    let nothing = Interest { readable: false, writable: false };
    assert_eq!(watched.entry.probe(nothing).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn registered_socket_can_be_probed_beside_a_send() {
    let bench = Bench::new();
    let (near, mut far) = bench.pair();
    near.entry.probe(READABLE).unwrap();
    assert_eq!(near.entry.receive(None).unwrap_err().kind(), ErrorKind::ResourceBusy);
    far.write_all(b"x").unwrap();
    assert_eq!(ready(&bench, &near), READABLE);
    near.entry.receive(None).unwrap();
    assert_eq!(bench.received(&near).unwrap(), b"x");
}
