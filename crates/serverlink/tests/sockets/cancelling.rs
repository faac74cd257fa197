//! Waits that are given up: the message that was under way, in or out, is neither lost nor torn.

use std::{
    io::Write,
    net::TcpStream,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serverlink::{Context, Error, Message, Socket, SocketType};

use crate::harness::{
    PATIENCE, await_peers, bound, context, errno, eventually, expect, expect_nothing, number_in,
    scaled, shake_hands, socket,
};

const MIB: usize = 1 << 20;

/// A numbered message of several frames, some of which are large.
fn large(n: u32) -> Message {
    let sizes = [[10, 3 * MIB, 0], [70_000, 300, 2 * MIB], [1000, 0, 5], [200_000, 90, MIB + 1]];
    let mut message: Message =
        sizes[n as usize % sizes.len()].into_iter().map(|size| vec![n as u8; size]).collect();
    message.push_back(n.to_be_bytes());
    message
}

/// The frames of a message as they are on the wire (RFC 37).
fn wire(message: &Message) -> Vec<u8> {
    let mut wire = Vec::new();
    for (i, frame) in message.iter().enumerate() {
        let more = u8::from(i + 1 < message.len());
        match u8::try_from(frame.len()) {
            Ok(short) => wire.extend([more, short]),
            Err(_) => {
                wire.push(2 | more);
                wire.extend((frame.len() as u64).to_be_bytes());
            }
        }
        wire.extend_from_slice(frame);
    }
    wire
}

#[test]
fn a_wait_that_ends_between_two_bytes_of_a_message_loses_none() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, "tcp://127.0.0.1:*");
    let mut stream = TcpStream::connect(endpoint.strip_prefix("tcp://").unwrap()).unwrap();
    stream.set_nodelay(true).unwrap();
    shake_hands(&mut stream, "PUSH");
    await_peers(&pull, 1);
    let mut random = fastrand::Rng::with_seed(4);
    let mut gave_up = 0;
    for n in 0..scaled(40) {
        let message = large(n);
        let wire = wire(&message);
        let mut rest = &wire[..];
        while !rest.is_empty() {
            // From single bytes of headers to many buffers' worth.
            let most = [2, 20, 5_000, 1_000_000][random.usize(..4)];
            let (piece, after) = rest.split_at(random.usize(1..=most).min(rest.len()));
            stream.write_all(piece).unwrap();
            rest = after;
            if !rest.is_empty() {
                let wait = Duration::from_micros(random.u64(0..400));
                assert_eq!(errno(pull.recv_timeout(wait)), "EAGAIN");
                gave_up += 1;
            }
        }
        expect(&pull, message);
    }
    assert!(gave_up > scaled(40), "{gave_up} waits");
    expect_nothing(&pull);
}

/// Two sockets with contexts of their own and little memory in the system between them.
fn narrow(from: SocketType, to: SocketType) -> [(Context, Socket); 2] {
    let [receiver, sender] = [to, from].map(|socket_type| {
        let context = context();
        let socket = socket(&context, socket_type);
        socket.set_send_high_water_mark(2).unwrap();
        socket.set_receive_high_water_mark(2).unwrap();
        socket.set_send_buffer(Some(64 * 1024)).unwrap();
        socket.set_receive_buffer(Some(64 * 1024)).unwrap();
        (context, socket)
    });
    sender.1.connect(&receiver.1.bind("tcp://127.0.0.1:*").unwrap()).unwrap();
    await_peers(&sender.1, 1);
    [sender, receiver]
}

#[test]
fn threads_that_give_up_time_and_again_receive_every_message() {
    let [(_, push), (_, pull)] = narrow(SocketType::Push, SocketType::Pull);
    let count = scaled(200);
    let (taken, gave_up) = (AtomicU32::new(0), AtomicU32::new(0));
    let seen = Mutex::new(Vec::new());
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..count {
                // Each while somebody gives up.
                let before = gave_up.load(Ordering::Relaxed);
                push.send(large(n)).unwrap();
                eventually("for a wait to end", || gave_up.load(Ordering::Relaxed) > before);
            }
        });
        for thread in 0..3 {
            let (pull, taken, gave_up, seen) = (&pull, &taken, &gave_up, &seen);
            scope.spawn(move || {
                let mut random = fastrand::Rng::with_seed(thread);
                let mut last = None;
                let start = Instant::now();
                while taken.load(Ordering::Relaxed) < count {
                    assert!(start.elapsed() < PATIENCE, "{taken:?} of {count} messages came");
                    let Ok(message) = pull.recv_timeout(Duration::from_micros(random.u64(0..500)))
                    else {
                        gave_up.fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    taken.fetch_add(1, Ordering::Relaxed);
                    let n = number_in(&message);
                    assert!(message == large(n), "message {n} is not whole");
                    assert!(last < Some(n), "{n} after {last:?}");
                    last = Some(n);
                    seen.lock().unwrap().push(n);
                }
            });
        }
    });
    let mut seen = seen.into_inner().unwrap();
    seen.sort_unstable();
    assert_eq!(seen, (0..count).collect::<Vec<_>>());
    expect_nothing(&pull);
}

#[test]
fn a_message_that_could_not_be_sent_in_time_is_sent_once_later() {
    for (from, to) in
        [(SocketType::Push, SocketType::Pull), (SocketType::Dealer, SocketType::Dealer)]
    {
        let [(_, sender), (_, receiver)] = narrow(from, to);
        let count = scaled(60);
        let gave_up = AtomicU32::new(0);
        thread::scope(|scope| {
            let sending = scope.spawn(|| {
                let start = Instant::now();
                for n in 0..count {
                    let mut message = large(n);
                    while let Err(refused) =
                        sender.send_timeout(message, Duration::from_micros(200))
                    {
                        assert!(matches!(refused.error, Error::WouldBlock), "{refused}");
                        assert!(refused.message == large(n), "message {n} comes back torn");
                        assert!(start.elapsed() < PATIENCE, "message {n} is never taken");
                        message = refused.message;
                        gave_up.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
            for n in 0..count {
                // Slowly: each when the sender has given up once more.
                let before = gave_up.load(Ordering::Relaxed);
                eventually("for the sender to give up", || {
                    gave_up.load(Ordering::Relaxed) > before || sending.is_finished()
                });
                assert!(receiver.recv().unwrap() == large(n), "message {n}");
            }
        });
        expect_nothing(&receiver);
    }
}
