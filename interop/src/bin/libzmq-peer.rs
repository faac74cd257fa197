//! A libzmq socket in a process of its own, made to be killed.
//!
//! `libzmq-peer ROLE bind|connect ENDPOINT NAME` tells the endpoint on its first line of output.
//! The roles:
//!
//! * `push` sends messages without end: NAME, and a number.
//! * `pull` receives such messages, of which the numbers must ascend, and tells of every hundredth.
//! * `sub` does the same, subscribed to everything.
//! * `pub` publishes like `push`.
//! * `dealer` sends such messages as requests, a window of them at a time, takes the replies, which
//!   must be equal, and tells of every hundredth.
#![forbid(unsafe_code)]

use std::{env, io, process, thread};

use serverlink_interop::payload;
use zmq::Socket;

const EVERY: u64 = 100;
const WINDOW: u64 = 50;

fn main() {
    end_with_the_test();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [role, how, endpoint, name] = &arguments[..] else {
        eprintln!("usage: libzmq-peer push|pull|pub|sub|dealer bind|connect ENDPOINT NAME");
        process::exit(2);
    };
    let context = zmq::Context::new();
    let socket_type = match role.as_str() {
        "push" => zmq::PUSH,
        "pull" => zmq::PULL,
        "pub" => zmq::PUB,
        "sub" => zmq::SUB,
        _ => zmq::DEALER,
    };
    let socket = context.socket(socket_type).unwrap();
    match role.as_str() {
        "sub" => socket.set_subscribe(b"").unwrap(),
        "dealer" => socket.set_identity(name.as_bytes()).unwrap(),
        _ => {}
    }
    match how.as_str() {
        "bind" => bind(&socket, endpoint),
        _ => socket.connect(endpoint).unwrap(),
    }
    println!("{}", socket.get_last_endpoint().unwrap().unwrap());
    match role.as_str() {
        "push" | "pub" => {
            for index in 0.. {
                send(&socket, name, index);
            }
        }
        "pull" | "sub" => receive(&socket),
        _ => ask(&socket, name),
    }
}

/// The peer of a test that was killed must not stay.
fn end_with_the_test() {
    thread::spawn(|| {
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        process::exit(1);
    });
}

/// The port may still be with the process that was killed.
fn bind(socket: &Socket, endpoint: &str) {
    serverlink_interop::until("the endpoint is free", || match socket.bind(endpoint) {
        Ok(()) => true,
        Err(zmq::Error::EADDRINUSE) => false,
        Err(error) => panic!("{error}"),
    });
}

fn send(socket: &Socket, name: &str, index: u64) {
    socket.send_multipart([name.as_bytes(), &payload::numbered(index)], 0).unwrap();
}

fn receive(socket: &Socket) {
    let mut next = 0;
    for count in 1.. {
        let message = socket.recv_multipart(0).unwrap();
        let number = payload::number(&message[1]);
        assert!(number >= next, "{number} came after {}", next - 1);
        next = number + 1;
        if count % EVERY == 0 {
            println!("{number}");
        }
    }
}

fn ask(socket: &Socket, name: &str) {
    for index in 0.. {
        send(socket, name, index);
        if let Some(answered) = index.checked_sub(WINDOW) {
            let reply = socket.recv_multipart(0).unwrap();
            assert_eq!(reply[0], name.as_bytes());
            assert_eq!(payload::number(&reply[1]), answered);
            if answered % EVERY == 0 {
                println!("{answered}");
            }
        }
    }
}
