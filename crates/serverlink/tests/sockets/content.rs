//! Messages of every shape arrive as they were sent.

use serverlink::{Frame, Message, SocketType};

use crate::harness::{TRANSPORTS, bound, connected, context, couple, expect, scaled};

/// Sizes on both sides of every limit there is: inline bodies, short and long frames, bodies that
/// are shared, chunks.
const SIZES: [usize; 21] = [
    0, 1, 61, 62, 63, 64, 254, 255, 256, 4095, 4096, 4097, 16_383, 16_384, 65_526, 65_527, 65_535,
    65_536, 65_537, 262_144, 1_048_577,
];

fn body(size: usize, seed: usize) -> Vec<u8> {
    (0..size).map(|i| (i ^ (i >> 8) ^ (i >> 16) ^ seed) as u8).collect()
}

#[test]
fn every_size_arrives_whole() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (one, other) = couple(&context, endpoint, SocketType::Pair, SocketType::Pair);
        for size in SIZES {
            one.send(body(size, 1)).unwrap();
            expect(&other, body(size, 1));
            let message: Message = [body(size, 2), body(size, 3)].into_iter().collect();
            other.send(message.clone()).unwrap();
            expect(&one, message);
        }
    }
}

#[test]
fn sizes_may_follow_each_other_in_any_order() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (pull, push) = couple(&context, endpoint, SocketType::Pull, SocketType::Push);
        let mut random = fastrand::Rng::with_seed(3);
        let messages: Vec<Message> = (0..scaled(300))
            .map(|n| {
                (0..random.usize(1..5))
                    .map(|_| body(SIZES[random.usize(..SIZES.len() - 1)], n as usize))
                    .collect()
            })
            .collect();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                messages.iter().for_each(|message| push.send(message.clone()).unwrap());
            });
            messages.iter().for_each(|message| expect(&pull, message.clone()));
        });
    }
}

#[test]
fn sixteen_mebibytes_arrive_whole() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (one, other) = couple(&context, endpoint, SocketType::Pair, SocketType::Pair);
        let large = Message::from(body(16 << 20, 5));
        one.send(large.clone()).unwrap();
        one.send("after").unwrap();
        assert!(other.recv().unwrap() == large);
        expect(&other, "after");
    }
}

#[test]
fn a_message_may_have_thousands_of_frames() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (one, other) = couple(&context, endpoint, SocketType::Dealer, SocketType::Dealer);
        for count in [2, 100, 10_000] {
            let message: Message = (0..count).map(|n: u32| body(n as usize % 70, 9)).collect();
            assert_eq!(message.len(), count as usize);
            one.send(message.clone()).unwrap();
            expect(&other, message);
        }
        let empty: Message = (0..1000).map(|_| Frame::new()).collect();
        one.send(empty.clone()).unwrap();
        expect(&other, empty);
    }
}

#[test]
fn a_message_sent_to_many_is_the_same_for_all() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (publisher, endpoint) = bound(&context, SocketType::XPub, endpoint);
        publisher.set_xpub_verbose(true).unwrap();
        let subs: Vec<_> = (0..4)
            .map(|_| {
                let sub = connected(&context, SocketType::Sub, &endpoint);
                sub.subscribe("").unwrap();
                expect(&publisher, "\u{1}");
                sub
            })
            .collect();
        for size in SIZES {
            let message: Message = [body(size, 4), vec![], body(size, 5)].into_iter().collect();
            publisher.send(message.clone()).unwrap();
            subs.iter().for_each(|sub| expect(sub, message.clone()));
        }
    }
}

/// What a type puts before a message at one end, another takes off at the other.
#[test]
fn what_comes_back_is_what_was_sent_whatever_the_types() {
    for endpoint in TRANSPORTS {
        for (asks, answers) in [
            (SocketType::Req, SocketType::Rep),
            (SocketType::Dealer, SocketType::Router),
            (SocketType::XSub, SocketType::XPub),
        ] {
            let context = context();
            let (one, other) = couple(&context, endpoint, answers, asks);
            if asks == SocketType::XSub {
                other.send("\u{1}").unwrap();
                expect(&one, "\u{1}");
            }
            for size in SIZES {
                let message: Message = [body(size, 6), vec![], body(size, 7)].into_iter().collect();
                other.send(message.clone()).unwrap();
                let mut received = one.recv().unwrap();
                one.send(received.clone()).unwrap();
                if answers == SocketType::Router {
                    received.pop_front().unwrap();
                }
                assert!(received == message, "{asks}: {size} bytes");
                assert!(other.recv().unwrap() == message, "{answers}: {size} bytes");
            }
        }
    }
}

#[test]
fn a_received_message_can_be_passed_on_and_kept() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (pull, push) = couple(&context, endpoint, SocketType::Pull, SocketType::Push);
        // Small parts of a large stream, kept over all the rest of it.
        let mut kept = Vec::new();
        for n in 0..1000 {
            push.send([body(500, n), body(1, n)].into_iter().collect::<Message>()).unwrap();
            kept.push(pull.recv().unwrap());
        }
        for (n, message) in kept.iter().enumerate() {
            assert_eq!((&message[0][..], &message[1][..]), (&body(500, n)[..], &body(1, n)[..]));
            push.send(message.clone()).unwrap();
            expect(&pull, message.clone());
        }
    }
}
