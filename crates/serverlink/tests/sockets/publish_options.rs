//! What the options of PUB, SUB, XPUB and XSUB do.

use serverlink::{Message, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bound, connected, context, couple, errno, eventually, expect,
    expect_nothing, frames, socket,
};

fn subscribe(topic: &str) -> Message {
    Message::from(format!("\u{1}{topic}"))
}

fn cancel(topic: &str) -> Message {
    Message::from(format!("\0{topic}"))
}

/// An XPUB with such options, and XSUBs that are connected to it.
fn published<const N: usize>(
    endpoint: &str,
    prepare: impl FnOnce(&Socket),
) -> (Socket, [Socket; N]) {
    let context = context();
    let xpub = socket(&context, SocketType::XPub);
    prepare(&xpub);
    let endpoint = xpub.bind(endpoint).unwrap();
    let subscribers = [(); N].map(|()| connected(&context, SocketType::XSub, &endpoint));
    await_peers(&xpub, N);
    subscribers.iter().for_each(|subscriber| await_peers(subscriber, 1));
    (xpub, subscribers)
}

#[test]
fn a_manual_xpub_subscribes_for_its_peers() {
    for endpoint in TRANSPORTS {
        let (xpub, [one, other]) = published(endpoint, |xpub| xpub.set_xpub_manual(true).unwrap());
        one.send(subscribe("asked")).unwrap();
        expect(&xpub, subscribe("asked"));
        assert_eq!(xpub.topics_count(), 0, "nothing is subscribed to by itself");
        xpub.subscribe("given").unwrap();
        other.send(subscribe("asked")).unwrap();
        expect(&xpub, subscribe("asked"));
        xpub.subscribe("other").unwrap();
        xpub.subscribe("taken back").unwrap();
        xpub.unsubscribe("taken back").unwrap();
        assert_eq!(xpub.topics_count(), 2);
        for topic in ["asked", "taken back", "given", "other"] {
            xpub.send(topic).unwrap();
        }
        expect(&one, "given");
        expect(&other, "other");
        // Ends are received, too, and end nothing by themselves.
        one.send(cancel("asked")).unwrap();
        expect(&xpub, cancel("asked"));
        xpub.send("given").unwrap();
        expect(&one, "given");
        xpub.unsubscribe("given").unwrap();
        assert_eq!(xpub.topics_count(), 1);
        expect_nothing(&one);
        expect_nothing(&other);
    }
}

#[test]
fn a_manual_xpub_subscribes_for_who_asked_last_whoever_has_spoken_since() {
    for endpoint in TRANSPORTS {
        let (xpub, [one, other]) = published(endpoint, |xpub| xpub.set_xpub_manual(true).unwrap());
        one.send(subscribe("asked")).unwrap();
        expect(&xpub, subscribe("asked"));
        other.send("a message").unwrap();
        expect(&xpub, "a message");
        xpub.subscribe("given").unwrap();
        other.send(subscribe("asked")).unwrap();
        expect(&xpub, subscribe("asked"));
        xpub.subscribe("marker").unwrap();
        for topic in ["given", "marker"] {
            xpub.send(topic).unwrap();
        }
        expect(&one, "given");
        expect(&other, "marker");
    }
}

#[test]
fn a_manual_xpub_hears_of_all_that_a_leaving_peer_asked_for() {
    for endpoint in TRANSPORTS {
        let (xpub, [one, other]) = published(endpoint, |xpub| xpub.set_xpub_manual(true).unwrap());
        for subscriber in [&one, &other] {
            subscriber.send(subscribe("both")).unwrap();
            expect(&xpub, subscribe("both"));
            xpub.subscribe("given").unwrap();
        }
        one.send(subscribe("late")).unwrap();
        eventually("for the last subscription", || one.topics_count() == 2);
        drop(one);
        // What it asked for last may still be waiting to be received; its asker is gone by then.
        let mut heard = Vec::new();
        while heard.len() < 3 {
            heard.push(xpub.recv().unwrap());
        }
        assert_eq!(heard, [subscribe("late"), cancel("both"), cancel("late")]);
        xpub.subscribe("nobody's").unwrap();
        assert_eq!(xpub.topics_count(), 1, "only the other one's");
        xpub.send("given").unwrap();
        expect(&other, "given");
    }
}

#[test]
fn only_a_manual_xpub_subscribes_for_others() {
    let (xpub, [_]) = published("inproc://not-manual", |_| {});
    assert_eq!(errno(xpub.subscribe("x")), "EFSM");
    xpub.set_xpub_manual(true).unwrap();
    xpub.subscribe("nobody has asked").unwrap();
    assert_eq!(xpub.topics_count(), 0);
}

#[test]
fn the_last_value_goes_to_whoever_has_just_come() {
    for endpoint in TRANSPORTS {
        let manual = |xpub: &Socket| xpub.set_xpub_manual_last_value(true).unwrap();
        let (xpub, [one, other]) = published(endpoint, manual);
        for subscriber in [&one, &other] {
            subscriber.send(subscribe("price")).unwrap();
            expect(&xpub, subscribe("price"));
            xpub.subscribe("price").unwrap();
            xpub.send("price: the last").unwrap();
            expect(subscriber, "price: the last");
        }
        xpub.send("price: new").unwrap();
        for subscriber in [&one, &other] {
            expect(subscriber, "price: new");
            expect_nothing(subscriber);
        }
    }
}

#[test]
fn subscribers_are_welcomed() {
    for endpoint in TRANSPORTS {
        let context = context();
        let xpub = socket(&context, SocketType::XPub);
        xpub.set_xpub_welcome_message("welcome!").unwrap();
        let endpoint = xpub.bind(endpoint).unwrap();
        let sub = socket(&context, SocketType::Sub);
        sub.subscribe("welcome").unwrap();
        sub.connect(&endpoint).unwrap();
        expect(&sub, "welcome!");
        expect(&xpub, subscribe("welcome"));
        xpub.set_xpub_welcome_message("").unwrap();
        let later = connected(&context, SocketType::XSub, &endpoint);
        await_peers(&xpub, 2);
        later.send(subscribe("")).unwrap();
        expect(&xpub, subscribe(""));
        xpub.send("first").unwrap();
        expect(&later, "first");
    }
}

#[test]
fn matching_can_be_inverted() {
    for endpoint in TRANSPORTS {
        for publisher in [SocketType::Pub, SocketType::XPub] {
            let context = context();
            let (publisher, endpoint) = bound(&context, publisher, endpoint);
            publisher.set_invert_matching(true).unwrap();
            let subs = ["a", "b"].map(|topic| {
                let sub = socket(&context, SocketType::Sub);
                sub.set_invert_matching(true).unwrap();
                sub.subscribe(topic).unwrap();
                sub.connect(&endpoint).unwrap();
                sub
            });
            eventually("for both", || publisher.topics_count() == 2);
            for message in ["a1", "b1", "c1"] {
                publisher.send(message).unwrap();
            }
            expect(&subs[0], "b1");
            expect(&subs[0], "c1");
            expect(&subs[1], "a1");
            expect(&subs[1], "c1");
        }
    }
}

#[test]
fn a_sub_that_inverts_takes_what_it_does_not_subscribe_to() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, sub) = couple(&context, endpoint, SocketType::XPub, SocketType::Sub);
        sub.set_invert_matching(true).unwrap();
        sub.subscribe("not this").unwrap();
        expect(&xpub, subscribe("not this"));
        xpub.send("not this").unwrap();
        xpub.set_invert_matching(true).unwrap();
        xpub.send("but this").unwrap();
        expect(&sub, "but this");
    }
}

#[test]
fn every_frame_may_subscribe_unless_only_the_first_shall() {
    for endpoint in TRANSPORTS {
        let (xpub, [xsub]) = published(endpoint, |_| {});
        xsub.send(frames(["\u{1}a", "\u{1}b", "mine", "\0a"])).unwrap();
        expect(&xpub, subscribe("a"));
        expect(&xpub, subscribe("b"));
        expect(&xpub, cancel("a"));
        expect(&xpub, "mine");
        assert_eq!((xpub.topics_count(), xsub.topics_count()), (1, 1));

        xsub.set_only_first_subscribe(true).unwrap();
        xpub.set_only_first_subscribe(true).unwrap();
        xsub.send(frames(["\u{1}c", "\u{1}d"])).unwrap();
        expect(&xpub, subscribe("c"));
        // What is left is a message of its own. Of one frame, it is not to be told from a
        // subscription at the other end.
        expect(&xpub, subscribe("d"));
        xsub.send(frames(["\u{1}c", "\u{1}e", "\0b"])).unwrap();
        expect(&xpub, subscribe("e"));
        expect(&xpub, "\0b");
        xsub.send(frames(["mine", "\u{1}f", "\0b"])).unwrap();
        expect(&xpub, frames(["mine", "\u{1}f", "\0b"]));
    }
}

#[test]
fn a_verbose_xsub_tells_of_every_end() {
    for endpoint in TRANSPORTS {
        let (xpub, [xsub]) = published(endpoint, |xpub| xpub.set_xpub_manual(true).unwrap());
        for message in [subscribe("a"), subscribe("a"), cancel("a"), subscribe("marker")] {
            xsub.send(message).unwrap();
        }
        // Of the ends, of which the first was not the last, it does not hear.
        for message in [subscribe("a"), subscribe("a"), subscribe("marker")] {
            expect(&xpub, message);
        }
        xsub.set_xsub_verbose_unsubscribe(true).unwrap();
        for message in [subscribe("a"), cancel("a"), cancel("a")] {
            xsub.send(message).unwrap();
        }
        expect(&xpub, subscribe("a"));
        expect(&xpub, cancel("a"));
        expect(&xpub, cancel("a"));
    }
}

#[test]
fn topics_are_counted() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (publisher, sub) = couple(&context, endpoint, SocketType::Pub, SocketType::Sub);
        for topic in ["a", "b", "a"] {
            sub.subscribe(topic).unwrap();
        }
        assert_eq!(sub.topics_count(), 2);
        assert_eq!(sub.option(116).unwrap(), 2i32.to_ne_bytes());
        eventually("for the topics", || publisher.topics_count() == 2);
        sub.unsubscribe("a").unwrap();
        sub.unsubscribe("b").unwrap();
        assert_eq!(sub.topics_count(), 1);
        eventually("for the end of one", || publisher.topics_count() == 1);
        drop(sub);
        eventually("for the end of all", || publisher.topics_count() == 0);
    }
}
