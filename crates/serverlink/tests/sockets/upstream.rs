//! What an XPUB delivers of its subscribers: messages in turn, notices in the order of the changes.

use serverlink::{Context, Message, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, eventually, expect, expect_nothing, frames,
};

fn subscribe(topic: &str) -> Message {
    Message::from(format!("\u{1}{topic}"))
}

fn cancel(topic: &str) -> Message {
    Message::from(format!("\0{topic}"))
}

/// An XPUB, its endpoint, and XSUBs that are connected to it.
fn published<const N: usize>(context: &Context, endpoint: &str) -> (Socket, String, [Socket; N]) {
    let (xpub, endpoint) = bound(context, SocketType::XPub, endpoint);
    let subscribers = [(); N].map(|()| connected(context, SocketType::XSub, &endpoint));
    await_peers(&xpub, N);
    subscribers.iter().for_each(|subscriber| await_peers(subscriber, 1));
    (xpub, endpoint, subscribers)
}

fn signed(name: &str, n: u32) -> Message {
    frames([name, &n.to_string()])
}

/// Sends messages, and waits until they have come: a subscription does not wait behind them.
fn say(xsub: &Socket, xpub: &Socket, name: &str, count: u32) {
    let come = || xpub.peers().iter().map(|peer| peer.statistics.messages_received).sum::<u64>();
    let before = come();
    (0..count).for_each(|n| xsub.send(signed(name, n)).unwrap());
    eventually("for the messages", || come() == before + u64::from(count));
}

/// Changes a subscription, and waits until it counts.
fn change(xsub: &Socket, xpub: &Socket, message: Message, topics: usize) {
    xsub.send(message).unwrap();
    eventually("for the subscriptions", || xpub.topics_count() == topics);
}

#[test]
fn one_that_floods_and_one_that_does_not_take_turns() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, _, [floods, modest]) = published(&context, endpoint);
        say(&floods, &xpub, "flood", 500);
        change(&floods, &xpub, subscribe("flood's"), 1);
        say(&modest, &xpub, "modest", 3);
        change(&modest, &xpub, subscribe("modest's"), 2);
        for n in 0..3 {
            expect(&xpub, signed("flood", n));
            expect(&xpub, signed("modest", n));
        }
        (3..500).for_each(|n| expect(&xpub, signed("flood", n)));
        expect(&xpub, subscribe("flood's"));
        expect(&xpub, subscribe("modest's"));
        expect_nothing(&xpub);
    }
}

#[test]
fn a_notice_that_came_first_does_not_wait_for_who_floods() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, _, [floods, modest]) = published(&context, endpoint);
        change(&floods, &xpub, subscribe("known"), 1);
        say(&floods, &xpub, "flood", 50);
        say(&modest, &xpub, "modest", 1);
        change(&modest, &xpub, subscribe("modest's"), 2);
        change(&floods, &xpub, subscribe("flood's"), 3);
        expect(&xpub, subscribe("known"));
        // Both have something to say; who had the last turn waits for the other.
        expect(&xpub, signed("modest", 0));
        expect(&xpub, signed("flood", 0));
        expect(&xpub, subscribe("modest's"));
        (1..50).for_each(|n| expect(&xpub, signed("flood", n)));
        expect(&xpub, subscribe("flood's"));
        expect_nothing(&xpub);
    }
}

#[test]
fn notices_keep_their_order_whoever_has_its_turn() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, _, [one, other]) = published(&context, endpoint);
        // The subscription of one is told, behind its messages, and the end of the other's.
        say(&one, &xpub, "one", 10);
        change(&one, &xpub, subscribe("topic"), 1);
        change(&other, &xpub, frames(["\u{1}topic", "\u{1}marker"]), 2);
        change(&one, &xpub, frames(["\0topic", "\u{1}marker 2"]), 3);
        change(&other, &xpub, cancel("topic"), 2);
        (0..10).for_each(|n| expect(&xpub, signed("one", n)));
        for notice in [subscribe("topic"), subscribe("marker"), subscribe("marker 2")] {
            expect(&xpub, notice);
        }
        expect(&xpub, cancel("topic"));
        expect_nothing(&xpub);
    }
}

#[test]
fn nothing_overtakes_a_subscription_of_the_same_subscriber() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, _, [floods, modest]) = published(&context, endpoint);
        say(&floods, &xpub, "flood", 10);
        change(&floods, &xpub, subscribe("flood's"), 1);
        change(&modest, &xpub, subscribe("modest's"), 2);
        say(&modest, &xpub, "modest", 2);
        change(&modest, &xpub, subscribe("marker"), 3);
        say(&floods, &xpub, "flood", 1);
        change(&floods, &xpub, subscribe("marker 2"), 4);
        (0..10).for_each(|n| expect(&xpub, signed("flood", n)));
        expect(&xpub, subscribe("flood's"));
        expect(&xpub, subscribe("modest's"));
        expect(&xpub, signed("flood", 0));
        expect(&xpub, signed("modest", 0));
        expect(&xpub, signed("modest", 1));
        expect(&xpub, subscribe("marker"));
        expect(&xpub, subscribe("marker 2"));
        expect_nothing(&xpub);
    }
}

#[test]
fn what_subscribers_that_left_had_said_is_delivered_in_turn() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, endpoint, [first, second]) = published(&context, endpoint);
        say(&first, &xpub, "first", 2);
        change(&first, &xpub, subscribe("first's"), 1);
        say(&first, &xpub, "first", 1);
        change(&first, &xpub, subscribe("marker"), 2);
        drop(first);
        eventually("for the ends", || xpub.topics_count() == 0);
        await_peers(&xpub, 1);
        say(&second, &xpub, "second", 1);
        change(&second, &xpub, subscribe("second's"), 1);
        drop(second);
        await_peers(&xpub, 0);
        // Whoever comes next is not taken for one of them.
        let third = connected(&context, SocketType::XSub, &endpoint);
        await_peers(&xpub, 1);
        say(&third, &xpub, "third", 4);
        change(&third, &xpub, subscribe("third's"), 1);

        let delivered: Vec<_> = (0..15).map(|_| xpub.recv().unwrap()).collect();
        let expected = [
            signed("first", 0),
            signed("second", 0),
            signed("third", 0),
            signed("first", 1),
            signed("third", 1),
            subscribe("first's"),
            signed("third", 2),
            signed("first", 0),
            signed("third", 3),
            subscribe("marker"),
            cancel("first's"),
            cancel("marker"),
            subscribe("second's"),
            cancel("second's"),
            subscribe("third's"),
        ];
        assert_eq!(delivered, expected);
        expect_nothing(&xpub);
    }
}
