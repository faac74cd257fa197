//! Retiring, dropping, freeing.

use std::{
    io::{ErrorKind, Read},
    sync::{
        Weak,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use bytes::Bytes;

use super::*;
use crate::{Interest, Sending};

/// Both ends of a connection see the entry go.
fn gone(bench: &Bench, peer: Peer, mut far: TcpStream) {
    let inner = Arc::downgrade(&peer.entry.0);
    peer.entry.retire();
    peer.entry.retire();
    bench.until("the resources are freed", || bench.port.shared.is_empty());
    bench.silence(&peer);
    // The channel's sender was the handler's.
    assert_eq!(peer.events.try_recv().unwrap_err(), mpsc::TryRecvError::Disconnected);
    // Whatever was in flight arrives first; then the end, or a reset.
    let mut rest = Vec::new();
    match far.read_to_end(&mut rest) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("not closed: {error}"),
    }
    assert_eq!(peer.entry.receive(None).unwrap_err().kind(), ErrorKind::NotConnected);
    assert_eq!(peer.entry.local_address().unwrap_err().kind(), ErrorKind::NotConnected);
    let Sending::Done { result: Err(error), .. } = peer.entry.send(vec![Bytes::from_static(b"x")])
    else {
        panic!()
    };
    assert_eq!(error.kind(), ErrorKind::NotConnected);
    drop(peer);
    assert_eq!(Weak::strong_count(&inner), 0, "a reference leaked");
}

#[test]
fn retiring_with_nothing_pending_closes_at_once() {
    let bench = Bench::new();
    let (near, mut far) = bench.pair();
    near.entry.retire();
    assert!(bench.port.shared.is_empty());
    assert_eq!(far.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn retiring_with_operations_pending_frees_them_silently() {
    for (receive, send, probe) in [
        (true, false, false),
        (false, true, false),
        (true, true, false),
        (false, false, true),
        (false, true, true),
    ] {
        for unarmed in [false, true] {
            let bench = Bench::new();
            let _armed = unarmed.then(|| bench.without_buffers());
            let (near, far) = bench.pair();
            if receive {
                near.entry.receive(None).unwrap();
            }
            if send {
                let big = Bytes::from(vec![1; 64 << 20]);
                assert!(matches!(near.entry.send(vec![big]), Sending::Pending));
            }
            if probe {
                near.entry.probe(Interest { readable: true, writable: false }).unwrap();
            }
            assert!(near.entry.0.resources.claims() > 0);
            gone(&bench, near, far);
        }
    }
}

#[test]
fn retiring_before_a_deferred_completion_is_delivered_silences_it() {
    let bench = Bench::new();
    let unconnected = bench.adopt(tcp());
    unconnected.entry.receive(None).unwrap();
    unconnected.entry.retire();
    bench.until("it is freed", || bench.port.shared.is_empty());
    bench.silence(&unconnected);
}

#[test]
fn nothing_is_freed_before_its_completion_is_dequeued() {
    let bench = Bench::new();
    let (near, _far) = bench.pair();
    near.entry.receive(None).unwrap();
    near.entry.retire();
    // The kernel has the packet; the port has not looked.
    assert_eq!(near.entry.0.resources.claims(), 1);
    assert!(!bench.port.shared.is_empty());
    let inner = Arc::downgrade(&near.entry.0);
    drop(near.entry);
    assert_eq!(inner.strong_count(), 1, "the kernel's reference");
    bench.until("it is freed", || bench.port.shared.is_empty());
    assert_eq!(inner.strong_count(), 0);
}

#[test]
fn retired_listener_closes_what_it_accepts_meanwhile() {
    for _ in 0..20 {
        let bench = Bench::new();
        let (socket, address) = listener("127.0.0.1:0");
        let address = address.as_socket().unwrap();
        let listening = bench.adopt(socket);
        listening.entry.accept().unwrap();
        let client = thread::spawn(move || {
            let mut client = TcpStream::connect(address)?;
            client.set_read_timeout(Some(LONG))?;
            client.read(&mut [0; 1])
        });
        listening.entry.retire();
        bench.until("it is freed", || bench.port.shared.is_empty());
        match client.join().unwrap() {
            Ok(0) => {}
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionReset
                        | ErrorKind::ConnectionRefused
                        | ErrorKind::ConnectionAborted
                ) => {}
            other => panic!("neither refused nor closed: {other:?}"),
        }
    }
}

#[test]
fn dropping_an_entry_retires_it() {
    let bench = Bench::new();
    let (near, mut far) = bench.pair();
    near.entry.receive(None).unwrap();
    drop(near.entry);
    bench.until("it is freed", || bench.port.shared.is_empty());
    assert_eq!(far.read(&mut [0; 1]).unwrap(), 0);
}

#[test]
fn dropping_the_port_takes_back_what_is_in_flight() {
    let bench = Bench::new();
    let peers: Vec<_> = (0..50).map(|_| bench.pair()).collect();
    for (near, _) in &peers {
        near.entry.receive(None).unwrap();
        assert!(matches!(near.entry.send(vec![Bytes::from(vec![1; 8 << 20])]), Sending::Pending));
    }
    let (socket, _) = listener("127.0.0.1:0");
    let listening = bench.adopt(socket);
    listening.entry.accept().unwrap();
    let shared = Arc::downgrade(&bench.port.shared);
    let begun = Instant::now();
    drop(bench);
    assert!(begun.elapsed() < DRAIN, "it gave up waiting");
    for (near, _far) in &peers {
        assert_eq!(near.entry.receive(None).unwrap_err().kind(), ErrorKind::NotConnected);
        assert_eq!(near.events.try_recv().unwrap_err(), mpsc::TryRecvError::Disconnected);
    }
    drop(peers);
    drop(listening);
    assert_eq!(shared.strong_count(), 0, "something leaked");
}

/// Panics at its first event.
struct Panics(AtomicUsize);

impl Handler for Panics {
    fn complete(&self, _: Event) {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "as a handler may");
    }
}

#[test]
fn panicking_handler_leaves_the_others_events_to_the_next_turn() {
    let bench = Bench::new();
    let handler = Arc::new(Panics(AtomicUsize::new(0)));
    let count = 5;
    let entries: Vec<_> =
        (0..count).map(|_| bench.port.adopt(tcp(), handler.clone()).unwrap()).collect();
    for entry in &entries {
        // Not connected: each fails at once.
        entry.receive(None).unwrap();
    }
    let turn = || bench.port.turn(Some(LONG));
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(turn)).is_err());
    assert_eq!(turn().unwrap(), Outcome::Delivered(count - 1));
    assert_eq!(handler.0.load(Ordering::Relaxed), count);
    drop(entries);
    assert!(bench.port.shared.is_empty());
}

/// Retires its own entry, and another, from within its completion.
struct RetiresAll(Mutex<Vec<Entry>>);

impl Handler for RetiresAll {
    fn complete(&self, _: Event) {
        for entry in lock(&self.0).iter() {
            entry.retire();
        }
    }
}

#[test]
fn handler_may_retire_itself_and_others() {
    let bench = Bench::new();
    let handler = Arc::new(RetiresAll(Mutex::default()));
    for _ in 0..3 {
        let entry = bench.port.adopt(tcp(), handler.clone()).unwrap();
        entry.receive(None).unwrap();
        lock(&handler.0).push(entry);
    }
    assert_eq!(bench.port.turn(Some(LONG)).unwrap(), Outcome::Delivered(1));
    assert!(bench.port.shared.is_empty());
    assert_eq!(Arc::strong_count(&handler), 1);
}
