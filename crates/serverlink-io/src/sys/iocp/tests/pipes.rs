//! Named pipes; the conformance suite has more of them.

use std::{
    path,
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::{Bytes, BytesMut};

use super::*;
use crate::Sending;

/// An address that no other test has.
fn address() -> SockAddr {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("backend-{}-{number}", std::process::id());
    SockAddr::unix(path::absolute(name).unwrap()).unwrap()
}

/// Client and server.
fn ends(bench: &Bench) -> [Peer; 2] {
    let address = address();
    let listening = bench.adopt_stream(Pipe::listen(&address).unwrap());
    assert_eq!(listening.entry.local_address().unwrap().as_ptr_bytes(), address.as_ptr_bytes());
    listening.entry.accept().unwrap();
    let client = bench.adopt_stream(Pipe::unconnected());
    client.entry.connect(&address).unwrap();
    assert!(matches!(bench.next(&client), Event::Connected(Ok(()))));
    assert_eq!(client.entry.peer_address().unwrap().as_ptr_bytes(), address.as_ptr_bytes());
    let Event::AcceptedPipe(pipe) = bench.next(&listening) else { panic!() };
    [client, bench.adopt_stream(pipe.0)]
}

/// What an address says.
trait Told {
    fn as_ptr_bytes(&self) -> Vec<u8>;
}

impl Told for SockAddr {
    fn as_ptr_bytes(&self) -> Vec<u8> {
        // SAFETY: an address is as long as it says.
        unsafe { std::slice::from_raw_parts(self.as_ptr().cast(), self.len() as usize) }.to_vec()
    }
}

fn sent(bench: &Bench, peer: &Peer, sending: Sending) -> (usize, io::Result<()>) {
    match sending {
        Sending::Done { sent, result, .. } => (sent, result),
        Sending::Pending => match bench.next(peer) {
            Event::Sent { sent, result, .. } => (sent, result),
            other => panic!("not a send: {other:?}"),
        },
    }
}

fn carries_data(bench: &Bench) {
    let [one, other] = ends(bench);
    for (near, far) in [(&one, &other), (&other, &one)] {
        for buffer in [None, Some(BytesMut::with_capacity(16)), None] {
            far.entry.receive(buffer).unwrap();
            bench.silence(far);
            let buffers = vec![Bytes::from_static(b"hel"), Bytes::new(), Bytes::from_static(b"lo")];
            let (count, result) = sent(bench, near, near.entry.send(buffers));
            result.unwrap();
            assert_eq!(count, 5);
            assert_eq!(bench.received(far).unwrap(), b"hello");
        }
        // There before it is asked for, and more than the buffer holds.
        let (_, result) = sent(bench, near, near.entry.send(vec![Bytes::from_static(b"in parts")]));
        result.unwrap();
        far.entry.receive(Some(BytesMut::with_capacity(3))).unwrap();
        let mut all = bench.received(far).unwrap();
        while all.len() < 8 {
            far.entry.receive(None).unwrap();
            all.extend(bench.received(far).unwrap());
        }
        assert_eq!(all, b"in parts");
    }
    one.entry.receive(None).unwrap();
    other.entry.retire();
    assert!(bench.received(&one).unwrap().is_empty());
}

#[test]
fn pipes_carry_data() {
    carries_data(&Bench::new());
}

#[test]
fn pipes_carry_data_where_every_success_brings_a_packet() {
    carries_data(&Bench::without_skipping());
}

#[test]
fn pipes_carry_data_without_buffers_to_lend() {
    let bench = Bench::new();
    let _armed = bench.without_buffers();
    carries_data(&bench);
}

#[test]
fn paths_that_are_the_same_are_one_pipe() {
    let name = format!("same-{}", std::process::id());
    let listening = Pipe::listen(&SockAddr::unix(&name).unwrap()).unwrap();
    let absolute = path::absolute(&name).unwrap();
    let folder = absolute.parent().unwrap().join(".").join("x").join("..").join(&name);
    for path in [absolute.clone(), folder, absolute.to_str().unwrap().to_uppercase().into()] {
        let error = Pipe::listen(&SockAddr::unix(&path).unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse, "{}", path.display());
    }
    drop(listening);
    Pipe::listen(&SockAddr::unix(&absolute).unwrap()).unwrap();
    // Nobody's name, and no path.
    for address in [SockAddr::unix("").unwrap(), SocketAddr::from(([127, 0, 0, 1], 9)).into()] {
        let error = Pipe::listen(&address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
}
