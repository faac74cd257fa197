//! Guarantees under load: nothing is lost, everything is in order and whole, nobody starves, and
//! nobody keeps more than the high-water marks allow, however slow a reader is.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
    time::Duration,
};

use serverlink::{Context, Message, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, context, eventually, expect, expect_nothing, number_in, scaled, socket,
};

const SENDERS: u32 = 4;
const MARK: u32 = 50;

/// Sizes of bodies that are inline, copied, left where they were received, shared, and read straight
/// into their own memory. Large ones are rare.
const SIZES: [usize; 16] =
    [0, 64, 500, 64, 1024, 64, 3000, 64, 5000, 64, 500, 64, 1024, 64, 3000, 150_000];

/// A message that tells who sent it and which it is, and whether it is whole.
fn message(sender: u32, n: u32) -> Message {
    let size = SIZES[n as usize % SIZES.len()];
    let mut message = Message::from(sender.to_be_bytes());
    message.push_back(vec![n as u8; size]);
    message.push_back(n.to_be_bytes());
    message
}

/// Checks that messages are whole and that those of each sender come in order, without a gap.
#[derive(Default)]
struct Sequences {
    next: [u32; SENDERS as usize],
}

impl Sequences {
    /// Takes a message, before which a ROUTER may have put a frame of its own.
    #[track_caller]
    fn take(&mut self, mut received: Message) {
        if received.len() > 3 {
            received.pop_front();
        }
        let sender = u32::from_be_bytes(received[0][..].try_into().unwrap());
        let next = &mut self.next[sender as usize];
        assert_eq!(number_in(&received), *next, "of sender {sender}");
        assert!(received == message(sender, *next), "message {next} of {sender} is not whole");
        *next += 1;
    }
}

/// A socket with the same mark both ways, and little memory in the system between it and its peers.
fn limited(context: &Context, socket_type: SocketType) -> Socket {
    let socket = socket(context, socket_type);
    socket.set_send_high_water_mark(MARK as usize).unwrap();
    socket.set_receive_high_water_mark(MARK as usize).unwrap();
    socket.set_send_buffer(Some(32 * 1024)).unwrap();
    socket.set_receive_buffer(Some(32 * 1024)).unwrap();
    socket
}

/// Senders of one type, each joined to one receiver, to which none of them drops anything.
fn fan_in(
    context: &Context,
    endpoint: &str,
    from: SocketType,
    to: SocketType,
) -> (Vec<Socket>, Socket) {
    let receiver = limited(context, to);
    if to == SocketType::Sub {
        receiver.subscribe("").unwrap();
    }
    let endpoint = receiver.bind(endpoint).unwrap();
    let senders: Vec<_> = (0..SENDERS).map(|_| limited(context, from)).collect();
    for sender in &senders {
        if from == SocketType::XPub {
            sender.set_xpub_nodrop(true).unwrap();
        }
        sender.connect(&endpoint).unwrap();
        if from == SocketType::XPub {
            expect(sender, "\u{1}");
        }
    }
    await_peers(&receiver, senders.len());
    (senders, receiver)
}

/// Sends, and tells others while there is no room.
fn send_telling(socket: &Socket, message: Message, waiting: &AtomicU32) {
    if let Err(refused) = socket.try_send(message) {
        waiting.fetch_add(1, Ordering::Relaxed);
        socket.send(refused.message).unwrap();
        waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn what_many_send_arrives_whole_and_in_order_however_slow_the_reader() {
    for endpoint in TRANSPORTS {
        for (from, to) in [
            (SocketType::Push, SocketType::Pull),
            (SocketType::Dealer, SocketType::Router),
            (SocketType::XPub, SocketType::Sub),
        ] {
            let context = context();
            let (senders, receiver) = fan_in(&context, endpoint, from, to);
            let each = scaled(3000);
            let (waiting, finished) = (AtomicU32::new(0), AtomicBool::new(false));
            thread::scope(|scope| {
                for (name, sender) in (0..).zip(&senders) {
                    let (waiting, finished) = (&waiting, &finished);
                    scope.spawn(move || {
                        (0..each).for_each(|n| send_telling(sender, message(name, n), waiting));
                        finished.store(true, Ordering::Relaxed);
                    });
                }
                let mut sequences = Sequences::default();
                for n in 0..SENDERS * each {
                    // Now and then it reads nothing until somebody has to wait.
                    if n % 300 == 0 {
                        eventually("for a sender without room", || {
                            waiting.load(Ordering::Relaxed) > 0 || finished.load(Ordering::Relaxed)
                        });
                    }
                    sequences.take(receiver.recv().unwrap());
                }
                assert_eq!(sequences.next, [each; SENDERS as usize], "{from} over {endpoint}");
            });
            expect_nothing(&receiver);
        }
    }
}

/// Sends until there is no room for a while; the number of the next.
fn flood(socket: &Socket, sender: u32) -> Option<u32> {
    (0..20 * MARK)
        .find(|&n| socket.send_timeout(message(sender, n), Duration::from_millis(100)).is_err())
}

#[test]
fn senders_that_all_have_to_wait_have_the_same_share() {
    for endpoint in TRANSPORTS {
        for (from, to) in [
            (SocketType::Push, SocketType::Pull),
            (SocketType::Dealer, SocketType::Router),
            (SocketType::XPub, SocketType::Sub),
        ] {
            let context = context();
            let (senders, receiver) = fan_in(&context, endpoint, from, to);
            let more = scaled(500);
            let (full, total) = (Barrier::new(senders.len() + 1), AtomicU32::new(SENDERS * more));
            thread::scope(|scope| {
                for (name, sender) in (0..).zip(&senders) {
                    let (full, total) = (&full, &total);
                    scope.spawn(move || {
                        let sent = flood(sender, name);
                        total.fetch_add(sent.unwrap_or(0), Ordering::Relaxed);
                        full.wait();
                        let sent = sent.expect("the marks hold");
                        (sent..sent + more).for_each(|n| sender.send(message(name, n)).unwrap());
                    });
                }
                full.wait();
                eventually("what comes first is there from each", || {
                    let peers = receiver.peers();
                    peers.iter().all(|peer| peer.statistics.queued_incoming >= MARK as usize)
                });
                let mut sequences = Sequences::default();
                let mut take = |count| {
                    (0..count).for_each(|_| sequences.take(receiver.recv().unwrap()));
                    sequences.next
                };
                // What was there already, and is taken in turn.
                let seen = take(SENDERS * MARK);
                assert_eq!(seen, [MARK; SENDERS as usize], "{from} over {endpoint}");
                // And the rest, for which they race.
                take(total.load(Ordering::Relaxed) - SENDERS * MARK);
            });
            expect_nothing(&receiver);
        }
    }
}

#[test]
fn requests_and_replies_flow_both_ways_through_one_router() {
    for endpoint in TRANSPORTS {
        let context = context();
        let router = limited(&context, SocketType::Router);
        router.set_router_mandatory(true).unwrap();
        let endpoint = router.bind(endpoint).unwrap();
        let each = scaled(3000);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Waits for a dealer without room, as a mandatory one does, and so drops nothing.
                (0..SENDERS * each).for_each(|_| router.send(router.recv().unwrap()).unwrap());
            });
            for name in 0..SENDERS {
                let dealer = limited(&context, SocketType::Dealer);
                dealer.connect(&endpoint).unwrap();
                scope.spawn(move || {
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            (0..each).for_each(|n| dealer.send(message(name, n)).unwrap());
                        });
                        for n in 0..each {
                            assert!(dealer.recv().unwrap() == message(name, n), "reply {n}");
                        }
                    });
                    expect_nothing(&dealer);
                });
            }
        });
    }
}

#[test]
fn a_publisher_that_drops_nothing_serves_slow_and_quick_subscribers_alike() {
    for endpoint in TRANSPORTS {
        let context = context();
        let publisher = limited(&context, SocketType::XPub);
        publisher.set_xpub_nodrop(true).unwrap();
        publisher.set_xpub_verbose(true).unwrap();
        let endpoint = publisher.bind(endpoint).unwrap();
        let subscribers: Vec<_> = (0..SENDERS)
            .map(|_| {
                let sub = limited(&context, SocketType::Sub);
                sub.subscribe("").unwrap();
                sub.connect(&endpoint).unwrap();
                expect(&publisher, "\u{1}");
                sub
            })
            .collect();
        let count = scaled(6000);
        let (waiting, done) = (AtomicU32::new(0), AtomicBool::new(false));
        thread::scope(|scope| {
            for (name, sub) in subscribers.iter().enumerate() {
                let (waiting, done) = (&waiting, &done);
                scope.spawn(move || {
                    for n in 0..count {
                        // Of four, the slowest lets the publisher wait twelve times.
                        if name > 0 && n % (count / 4 / name as u32) == 0 {
                            eventually("for the publisher to wait", || {
                                waiting.load(Ordering::Relaxed) > 0 || done.load(Ordering::Relaxed)
                            });
                        }
                        assert!(sub.recv().unwrap() == message(7, n), "message {n} for {name}");
                    }
                });
            }
            (0..count).for_each(|n| send_telling(&publisher, message(7, n), &waiting));
            done.store(true, Ordering::Relaxed);
        });
        subscribers.iter().for_each(expect_nothing);
    }
}
