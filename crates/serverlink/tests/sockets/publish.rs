//! PUB and XPUB: who gets what, and what an XPUB hears of it.

use serverlink::{Message, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, couple, errno, expect, expect_nothing,
    frames, number, scaled, socket,
};

fn unsubscribe(topic: &str) -> Message {
    Message::from(format!("\0{topic}"))
}

fn subscribe(topic: &str) -> Message {
    Message::from(format!("\u{1}{topic}"))
}

fn cancel(topic: &str) -> Message {
    Message::from(format!("\0{topic}"))
}

#[test]
fn a_topic_is_a_prefix_of_the_first_frame() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, sub) = couple(&context, endpoint, SocketType::XPub, SocketType::Sub);
        for topic in ["ab", "abc", "x", "x\0y"] {
            sub.subscribe(topic).unwrap();
            expect(&xpub, subscribe(topic));
        }
        for topic in ["a", "", "b", "xab"] {
            xpub.send(frames([topic, "ab"])).unwrap();
        }
        for topic in ["ab", "abc", "abcd", "x", "x\0y"] {
            xpub.send(frames([topic, "body"])).unwrap();
        }
        // Once each, however many subscriptions match; and nothing of what came before but "xab".
        expect(&sub, frames(["xab", "ab"]));
        for topic in ["ab", "abc", "abcd", "x", "x\0y"] {
            expect(&sub, frames([topic, "body"]));
        }
        expect_nothing(&sub);
    }
}

#[test]
fn an_empty_topic_is_everything() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, sub) = couple(&context, endpoint, SocketType::XPub, SocketType::Sub);
        sub.subscribe("").unwrap();
        expect(&xpub, subscribe(""));
        for body in ["", "a", "\u{1}", "\0"] {
            xpub.send(body).unwrap();
            expect(&sub, body);
        }
        sub.unsubscribe("").unwrap();
        expect(&xpub, cancel(""));
        sub.subscribe("marker").unwrap();
        expect(&xpub, subscribe("marker"));
        xpub.send("").unwrap();
        xpub.send("marker").unwrap();
        expect(&sub, "marker");
    }
}

#[test]
fn nothing_comes_without_a_subscription() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (publisher, sub) = couple(&context, endpoint, SocketType::Pub, SocketType::Sub);
        // A PUB does not tell; another subscriber shows that messages pass.
        let witness = socket(&context, SocketType::Sub);
        witness.subscribe("").unwrap();
        let (relay, endpoint) = bound(&context, SocketType::XPub, "inproc://witness");
        witness.connect(&endpoint).unwrap();
        expect(&relay, subscribe(""));
        publisher.send("lost").unwrap();
        relay.send("seen").unwrap();
        expect(&witness, "seen");
        expect_nothing(&sub);
        assert_eq!(errno(publisher.recv()), "ENOTSUP");
        assert_eq!(errno(sub.send("x")), "ENOTSUP");
    }
}

#[test]
fn every_subscriber_has_its_own_copy() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, endpoint) = bound(&context, SocketType::XPub, endpoint);
        let subs: Vec<_> = (0..10)
            .map(|n| {
                let sub = connected(&context, SocketType::Sub, &endpoint);
                sub.subscribe(if n % 2 == 0 { "even" } else { "odd" }).unwrap();
                sub
            })
            .collect();
        xpub.set_xpub_verbose(true).unwrap();
        await_peers(&xpub, 10);
        // Who is not there yet would tell of all its subscriptions at once, in any order.
        subs.iter().for_each(|sub| await_peers(sub, 1));
        // Subscriptions made before the handshake may have come before `verbose`; count them with
        // one more each.
        for sub in &subs {
            sub.subscribe("all").unwrap();
        }
        let mut all = 0;
        while all < 10 {
            all += usize::from(xpub.recv().unwrap() == subscribe("all"));
        }
        for n in 0..100 {
            xpub.send(frames([if n % 2 == 0 { "even" } else { "odd" }, &n.to_string()])).unwrap();
        }
        for (n, sub) in subs.iter().enumerate() {
            for turn in 0..50 {
                let topic = if n % 2 == 0 { "even" } else { "odd" };
                expect(sub, frames([topic, &(2 * turn + n % 2).to_string()]));
            }
            expect_nothing(sub);
        }
    }
}

/// It may be somebody else's that lies behind a proxy. Of the ends the last counts.
#[test]
fn a_verbose_xpub_hears_a_subscription_as_often_as_it_is_made() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, endpoint) = bound(&context, SocketType::XPub, endpoint);
        xpub.set_xpub_verbose(true).unwrap();
        let sub = connected(&context, SocketType::Sub, &endpoint);
        let xsub = connected(&context, SocketType::XSub, &endpoint);
        await_peers(&xpub, 2);
        await_peers(&sub, 1);
        await_peers(&xsub, 1);
        for _ in 0..3 {
            sub.subscribe("s").unwrap();
            expect(&xpub, subscribe("s"));
            xsub.send(subscribe("x")).unwrap();
            expect(&xpub, subscribe("x"));
        }
        for _ in 0..2 {
            sub.unsubscribe("s").unwrap();
            xsub.send(unsubscribe("x")).unwrap();
        }
        for message in ["s", "x"] {
            xpub.send(message).unwrap();
        }
        expect(&sub, "s");
        expect(&xsub, "x");
        sub.unsubscribe("s").unwrap();
        expect(&xpub, unsubscribe("s"));
        xsub.send(unsubscribe("x")).unwrap();
        expect(&xpub, unsubscribe("x"));
        expect_nothing(&xpub);
    }
}

/// They are too many for who sends to write to each: what is sent must not wait for more to be.
#[test]
fn one_message_alone_reaches_many_subscribers() {
    const MANY: u32 = 40;
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, endpoint) = bound(&context, SocketType::XPub, endpoint);
        xpub.set_xpub_verbose(true).unwrap();
        let subs: Vec<_> =
            (0..MANY).map(|_| connected(&context, SocketType::Sub, &endpoint)).collect();
        for sub in &subs {
            sub.subscribe("").unwrap();
            expect(&xpub, subscribe(""));
        }
        for round in 0..10 {
            xpub.send(number(round)).unwrap();
            for sub in &subs {
                expect(sub, number(round));
            }
        }
        for round in 0..100 {
            xpub.send(number(round)).unwrap();
        }
        for round in 0..100 {
            for sub in &subs {
                expect(sub, number(round));
            }
        }
    }
}

#[test]
fn an_xpub_hears_of_the_first_and_of_the_last_subscription() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, endpoint) = bound(&context, SocketType::XPub, endpoint);
        let subs: Vec<_> =
            (0..3).map(|_| connected(&context, SocketType::Sub, &endpoint)).collect();
        await_peers(&xpub, 3);
        // What a SUB has subscribed to before its handshake is told in an order of its own.
        subs.iter().for_each(|sub| await_peers(sub, 1));
        for (n, sub) in subs.iter().enumerate() {
            sub.subscribe("topic").unwrap();
            sub.subscribe(format!("marker {n}")).unwrap();
            if n == 0 {
                expect(&xpub, subscribe("topic"));
            }
            expect(&xpub, subscribe(&format!("marker {n}")));
        }
        for (n, sub) in subs.iter().enumerate() {
            sub.unsubscribe("topic").unwrap();
            sub.unsubscribe(format!("marker {n}")).unwrap();
            if n == 2 {
                expect(&xpub, cancel("topic"));
            }
            expect(&xpub, cancel(&format!("marker {n}")));
        }
    }
}

#[test]
fn a_verbose_xpub_hears_every_subscriber() {
    for endpoint in TRANSPORTS {
        for verboser in [false, true] {
            let context = context();
            let (xpub, endpoint) = bound(&context, SocketType::XPub, endpoint);
            if verboser {
                xpub.set_xpub_verboser(true).unwrap();
            } else {
                xpub.set_xpub_verbose(true).unwrap();
            }
            let subs: Vec<_> =
                (0..3).map(|_| connected(&context, SocketType::Sub, &endpoint)).collect();
            for sub in &subs {
                sub.subscribe("topic").unwrap();
                expect(&xpub, subscribe("topic"));
            }
            for (n, sub) in subs.iter().enumerate() {
                sub.unsubscribe("topic").unwrap();
                if verboser || n == 2 {
                    expect(&xpub, cancel("topic"));
                } else {
                    sub.subscribe("marker").unwrap();
                    expect(&xpub, subscribe("marker"));
                }
            }
        }
    }
}

#[test]
fn a_subscriber_that_leaves_cancels_what_only_it_wanted() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, endpoint) = bound(&context, SocketType::XPub, endpoint);
        let leaves = connected(&context, SocketType::Sub, &endpoint);
        let stays = connected(&context, SocketType::Sub, &endpoint);
        for (sub, topic) in [(&leaves, "shared"), (&leaves, "own"), (&stays, "stays")] {
            sub.subscribe(topic).unwrap();
            expect(&xpub, subscribe(topic));
        }
        stays.subscribe("shared").unwrap();
        stays.subscribe("marker").unwrap();
        expect(&xpub, subscribe("marker"));
        drop(leaves);
        expect(&xpub, cancel("own"));
        stays.subscribe("marker 2").unwrap();
        expect(&xpub, subscribe("marker 2"));
        xpub.send("own").unwrap();
        xpub.send("shared").unwrap();
        expect(&stays, "shared");
    }
}

#[test]
fn an_xsub_talks_to_publishers() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, xsub) = couple(&context, endpoint, SocketType::XPub, SocketType::XSub);
        for message in [frames(["user", "message"]), Message::from(""), frames(["", "message"])] {
            xsub.send(message.clone()).unwrap();
            expect(&xpub, message);
        }
        xsub.send(subscribe("topic")).unwrap();
        expect(&xpub, subscribe("topic"));
        xpub.send("other").unwrap();
        xpub.send("topic 1").unwrap();
        expect(&xsub, "topic 1");
        xsub.send(cancel("topic")).unwrap();
        expect(&xpub, cancel("topic"));
        xsub.send(cancel("never subscribed to")).unwrap();
        xsub.send("marker").unwrap();
        expect(&xpub, "marker");
    }
}

#[test]
fn a_publisher_does_not_listen_to_what_subscribers_say() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (publisher, xsub) = couple(&context, endpoint, SocketType::Pub, SocketType::XSub);
        // More than would fit into its queue, if it kept them.
        (0..scaled(3000)).for_each(|n| xsub.send(frames(["x", &n.to_string()])).unwrap());
        xsub.send(subscribe("")).unwrap();
        crate::harness::eventually("for the subscription", || {
            publisher.send("marker").unwrap();
            xsub.recv_timeout(std::time::Duration::from_millis(20)).is_ok()
        });
    }
}

#[test]
fn publishers_reach_subscribers_that_bind() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (sub, endpoint) = bound(&context, SocketType::Sub, endpoint);
        sub.subscribe("topic").unwrap();
        let publishers: Vec<_> = (0..3)
            .map(|_| {
                let publisher = connected(&context, SocketType::XPub, &endpoint);
                expect(&publisher, subscribe("topic"));
                publisher
            })
            .collect();
        for publisher in &publishers {
            publisher.send("topic").unwrap();
        }
        (0..3).for_each(|_| expect(&sub, "topic"));
        sub.unsubscribe("topic").unwrap();
        for publisher in &publishers {
            expect(publisher, cancel("topic"));
        }
    }
}

#[test]
fn thousands_of_topics_are_told_apart() {
    for endpoint in TRANSPORTS {
        let context = context();
        let topics = scaled(5000);
        let sub = socket(&context, SocketType::Sub);
        for n in 0..topics {
            sub.subscribe(format!("topic {n};")).unwrap();
        }
        sub.set_receive_high_water_mark(0).unwrap();
        let xpub = socket(&context, SocketType::XPub);
        xpub.set_send_high_water_mark(0).unwrap();
        let endpoint = xpub.bind(endpoint).unwrap();
        sub.connect(&endpoint).unwrap();
        (0..topics).for_each(|_| assert_eq!(xpub.recv().unwrap()[0][0], 1));
        // Every second one is given up again.
        for n in (0..topics).step_by(2) {
            sub.unsubscribe(format!("topic {n};")).unwrap();
            expect(&xpub, cancel(&format!("topic {n};")));
        }
        for n in 0..topics {
            xpub.send(format!("topic {n};")).unwrap();
            xpub.send(format!("topic {n}")).unwrap();
        }
        for n in (1..topics).step_by(2) {
            expect(&sub, format!("topic {n};"));
        }
        expect_nothing(&sub);
        let _ = number(0);
    }
}
