//! What CLIENT, SERVER and PEER are told of peers that come and go, if they want to be.

use std::time::Duration;

use serverlink::{Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bind_again, context, errno, eventually, expect_nothing, socket,
    vacancies,
};

/// A message's body, and the number of whom it came from.
#[track_caller]
fn heard(socket: &Socket) -> (Vec<u8>, Option<u32>) {
    let message = socket.recv().unwrap();
    (message[0].to_vec(), message.routing_id())
}

#[test]
fn peers_are_greeted_first() {
    for endpoint in TRANSPORTS {
        for (binds, connects) in [
            (SocketType::Server, SocketType::Client),
            (SocketType::Client, SocketType::Server),
            (SocketType::Peer, SocketType::Peer),
        ] {
            let context = context();
            let one = socket(&context, binds);
            one.set_hello_message("from the one that binds").unwrap();
            let other = socket(&context, connects);
            other.set_hello_message("from the other").unwrap();
            other.connect(&one.bind(endpoint).unwrap()).unwrap();
            if connects == SocketType::Client {
                other.send("second").unwrap();
            }
            assert_eq!(heard(&other).0, b"from the one that binds");
            let (first, id) = heard(&one);
            assert_eq!(first, b"from the other");
            if connects == SocketType::Client {
                assert_eq!(heard(&one), (b"second".to_vec(), id));
            }
        }
    }
}

#[test]
fn a_lost_peer_has_a_last_word() {
    for endpoint in TRANSPORTS {
        for (binds, connects) in
            [(SocketType::Server, SocketType::Client), (SocketType::Peer, SocketType::Peer)]
        {
            for closes in [false, true] {
                let context = context();
                let one = socket(&context, binds);
                one.set_disconnect_message("gone").unwrap();
                let endpoint = one.bind(endpoint).unwrap();
                let other = socket(&context, connects);
                other.set_hello_message("here").unwrap();
                other.connect(&endpoint).unwrap();
                let (first, id) = heard(&one);
                assert_eq!(first, b"here");
                if closes {
                    drop(other);
                } else {
                    other.disconnect(&endpoint).unwrap();
                }
                assert_eq!(heard(&one), (b"gone".to_vec(), id));
                await_peers(&one, 0);
                expect_nothing(&one);
            }
        }
    }
}

#[test]
fn who_connects_hears_of_a_lost_connection() {
    for (connects, binds) in
        [(SocketType::Client, SocketType::Server), (SocketType::Peer, SocketType::Peer)]
    {
        let context = context();
        for endpoint in vacancies(&context) {
            let one = socket(&context, connects);
            one.set_hiccup_message("hiccup").unwrap();
            one.connect(&endpoint).unwrap();
            for body in ["first", "second"] {
                let other = socket(&context, binds);
                other.set_hello_message(body).unwrap();
                other.set_linger(Some(Duration::from_secs(30))).unwrap();
                bind_again(&other, &endpoint);
                let (hello, id) = heard(&one);
                assert_eq!(hello, body.as_bytes());
                drop(other);
                assert_eq!(heard(&one), (b"hiccup".to_vec(), id));
            }
        }
    }
}

#[test]
fn within_the_process_the_one_that_connects_hears_nothing_of_the_end() {
    for (connects, binds) in
        [(SocketType::Client, SocketType::Server), (SocketType::Peer, SocketType::Peer)]
    {
        let context = context();
        let one = socket(&context, connects);
        one.set_hiccup_message("hiccup").unwrap();
        let other = socket(&context, binds);
        other.bind("inproc://other").unwrap();
        one.connect("inproc://other").unwrap();
        drop(other);
        eventually("for the end", || one.peers().is_empty());
        expect_nothing(&one);
    }
}

/// Each is for the types that ever receive it.
#[test]
fn a_message_that_never_comes_is_refused() {
    let context = context();
    let [client, server] =
        [SocketType::Client, SocketType::Server].map(|kind| socket(&context, kind));
    assert_eq!(errno(client.set_disconnect_message("gone")), "EINVAL");
    assert_eq!(errno(server.set_hiccup_message("hiccup")), "EINVAL");
}
