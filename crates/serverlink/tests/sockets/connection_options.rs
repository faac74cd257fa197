//! What the options of connections do.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use serverlink::SocketType;

use crate::harness::{PATIENCE, context, errno, socket};

/// What is between two marks in what a peer sends when it connects.
fn ready_of(stream: &mut TcpStream) -> Vec<u8> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut greeting = [0; 64];
    stream.read_exact(&mut greeting).unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(head[0], 4, "a short command");
    let mut body = vec![0; usize::from(head[1])];
    stream.read_exact(&mut body).unwrap();
    body
}

#[test]
fn peers_see_the_properties_of_a_socket() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = socket(&context, SocketType::Push);
    push.set_metadata(&[("X-One", "1"), ("X-Other", "two")]).unwrap();
    push.set_option(95, b"X-Third:a:b").unwrap();
    // The first of a name stays, as in libzmq.
    push.set_option(95, b"X-One:again").unwrap();
    assert_eq!(push.metadata().len(), 3);
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let (mut stream, _) = listener.accept().unwrap();
    stream.write_all(&[0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F, 3]).unwrap();
    let ready = ready_of(&mut stream);
    for property in
        [&b"\x05X-One\0\0\0\x011"[..], b"\x07X-Other\0\0\0\x03two", b"\x07X-Third\0\0\0\x03a:b"]
    {
        let there = ready.windows(property.len()).any(|window| window == property);
        assert!(there, "{} in {}", property.escape_ascii(), ready.escape_ascii());
    }
}

#[test]
fn properties_that_no_handshake_could_carry_are_refused() {
    let socket = socket(&context(), SocketType::Push);
    let (long, longer) = ("x".repeat(32_000), "x".repeat(33_000));
    let name = format!("X-{}", "n".repeat(254));
    socket.set_metadata(&[("X-a", &long)]).unwrap();
    for metadata in [
        &[("X-a", &longer[..])][..],
        &[(&name, "1")],
        &[("a", "1")],
        &[("X-a", "")],
        &[("X-a:b", "1")],
        &[("X-a", "1"), ("x-A", "2")],
        &[("X-a", "1"), ("X-A", "2")],
    ] {
        assert_eq!(errno(socket.set_metadata(metadata)), "EINVAL");
    }
    assert_eq!(socket.metadata()[0].1.len(), 32_000);
}
