//! When connections are not made anew.

use std::{
    io::Read,
    net::{Shutdown, TcpListener},
    time::Duration,
};

use serverlink::{ReconnectStop, Socket, SocketType};

use crate::harness::{
    await_peers, bind_again, bound, context, eventually, expect, shake_hands, socket, vacancies,
    vacant,
};

/// Waits until the socket has given its peer up: then it takes no more messages for it.
fn await_given_up(push: &Socket) {
    eventually("for it to give up", || push.try_send("x").is_err());
}

fn pusher(context: &serverlink::Context, stop: ReconnectStop) -> Socket {
    let push = socket(context, SocketType::Push);
    push.set_send_high_water_mark(0).unwrap();
    push.set_reconnect_stop(stop).unwrap();
    assert_eq!(push.reconnect_stop(), stop);
    push
}

#[test]
fn a_refused_connection_is_not_tried_again_if_so_told() {
    let context = context();
    let endpoint = vacant(&context);
    let stop = ReconnectStop { connection_refused: true, ..ReconnectStop::NEVER };
    let push = pusher(&context, stop);
    push.connect(&endpoint).unwrap();
    await_given_up(&push);
    // It would be there by now.
    let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
    let other = pusher(&context, stop);
    other.connect(&endpoint).unwrap();
    await_peers(&other, 1);
    await_peers(&pull, 1);
    assert_eq!(push.peer_count(), 0);
}

#[test]
fn a_lost_connection_is_made_anew_until_it_is_refused() {
    let context = context();
    let push = pusher(&context, ReconnectStop { connection_refused: true, ..ReconnectStop::NEVER });
    // One that loses its peer, and finds it again.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    for _ in 0..2 {
        let (mut stream, _) = listener.accept().unwrap();
        shake_hands(&mut stream, "PULL");
        await_peers(&push, 1);
        stream.shutdown(Shutdown::Both).unwrap();
        drop(stream);
    }
    drop(listener);
    await_given_up(&push);
}

#[test]
fn a_failed_handshake_is_not_tried_again_if_so_told() {
    let context = context();
    let stop = ReconnectStop { handshake_failed: true, ..ReconnectStop::NEVER };
    for answer in [&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], b""] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let push = pusher(&context, stop);
        push.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
        let (mut stream, _) = listener.accept().unwrap();
        std::io::Write::write_all(&mut stream, answer).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        await_given_up(&push);
        // And by the peer's silence.
        let _ = stream.read_to_end(&mut Vec::new());
        let push = pusher(&context, stop);
        push.set_handshake_interval(Some(Duration::from_millis(20))).unwrap();
        push.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
        await_given_up(&push);
    }
}

#[test]
fn without_being_told_nothing_stops_it() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = pusher(&context, ReconnectStop::NEVER);
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    for _ in 0..3 {
        drop(listener.accept().unwrap());
    }
    for endpoint in vacancies(&context) {
        let push = pusher(&context, ReconnectStop::NEVER);
        push.connect(&endpoint).unwrap();
        push.send("kept").unwrap();
        let pull = socket(&context, SocketType::Pull);
        bind_again(&pull, &endpoint);
        expect(&pull, "kept");
    }
}

#[test]
fn a_socket_that_is_disconnected_stops_trying_if_so_told() {
    for after_disconnect in [false, true] {
        let context = context();
        let endpoint = vacant(&context);
        let push = pusher(&context, ReconnectStop { after_disconnect, ..ReconnectStop::NEVER });
        push.set_linger(None).unwrap();
        push.connect(&endpoint).unwrap();
        push.send("owed").unwrap();
        push.disconnect(&endpoint).unwrap();
        if after_disconnect {
            // Nothing is left to wait for.
            drop(push);
            context.terminate();
        } else {
            let (pull, _) = bound(&context, SocketType::Pull, &endpoint);
            expect(&pull, "owed");
        }
    }
}
