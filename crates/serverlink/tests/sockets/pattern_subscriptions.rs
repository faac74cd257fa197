//! Subscriptions to patterns of topics: what they receive, and what an XPUB hears.

use std::time::Duration;

use serverlink::{Context, Message, Proxy, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bind_again, bound, connected, context, couple, errno, eventually,
    expect, expect_nothing, frames, socket,
};

fn subscribe(topic: &str) -> Message {
    Message::from(format!("\u{1}{topic}"))
}

fn cancel(topic: &str) -> Message {
    Message::from(format!("\0{topic}"))
}

fn couple_of(context: &Context, endpoint: &str) -> (Socket, Socket) {
    couple(context, endpoint, SocketType::XPub, SocketType::Sub)
}

#[test]
fn a_pattern_matches_the_whole_first_frame() {
    for endpoint in TRANSPORTS {
        for kind in [SocketType::Sub, SocketType::XSub] {
            let context = context();
            let (xpub, sub) = couple(&context, endpoint, SocketType::XPub, kind);
            sub.psubscribe("news.[a-c]?.*x").unwrap();
            expect(&xpub, subscribe("news."));
            for topic in ["news.a1.x", "news.d1.x", "news.a1.xy", "1news.a1.x", "news.c..x", ""] {
                xpub.send(frames([topic, "body"])).unwrap();
            }
            expect(&sub, frames(["news.a1.x", "body"]));
            expect(&sub, frames(["news.c..x", "body"]));
            expect_nothing(&sub);
        }
    }
}

#[test]
fn a_message_comes_once_however_many_subscriptions_it_fits() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, sub) = couple_of(&context, endpoint);
        for pattern in ["a*", "*b", "?b", "a[b]"] {
            sub.psubscribe(pattern).unwrap();
        }
        sub.subscribe("a").unwrap();
        eventually("for all", || xpub.topics_count() == 5);
        xpub.send("ab").unwrap();
        xpub.send("marker b").unwrap();
        expect(&sub, "ab");
        expect(&sub, "marker b");
        expect_nothing(&sub);
    }
}

#[test]
fn the_publisher_filters() {
    let context = context();
    for endpoint in TRANSPORTS {
        let (publisher, endpoint) = bound(&context, SocketType::Pub, endpoint);
        let sub = socket(&context, SocketType::Sub);
        sub.psubscribe("wanted.*").unwrap();
        sub.psubscribe("*.wanted").unwrap();
        sub.connect(&endpoint).unwrap();
        eventually("for the patterns", || publisher.topics_count() == 2);
        for topic in ["unwanted", "wanted", "1.wanted", "1.wanted.2", "wanted.1"] {
            publisher.send(topic).unwrap();
        }
        expect(&sub, "1.wanted");
        expect(&sub, "wanted.1");
        assert_eq!(publisher.peers()[0].statistics.messages_sent, 2, "{endpoint}");
        drop(publisher);
    }
}

#[test]
fn equal_patterns_are_counted() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, sub) = couple_of(&context, endpoint);
        for _ in 0..2 {
            sub.psubscribe("a*").unwrap();
        }
        sub.punsubscribe("a*").unwrap();
        // There is none of these.
        sub.punsubscribe("a?").unwrap();
        sub.unsubscribe("a*").unwrap();
        sub.psubscribe("marker").unwrap();
        expect(&xpub, subscribe("a"));
        expect(&xpub, subscribe("marker"));
        xpub.send("ab").unwrap();
        expect(&sub, "ab");
        sub.punsubscribe("a*").unwrap();
        expect(&xpub, cancel("a"));
        xpub.send("ab").unwrap();
        xpub.send("marker").unwrap();
        expect(&sub, "marker");
        assert_eq!((xpub.topics_count(), sub.topics_count()), (1, 1));
    }
}

#[test]
fn topics_and_patterns_are_counted_once_each() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (publisher, endpoint) = bound(&context, SocketType::Pub, endpoint);
        let subs = [(); 2].map(|()| connected(&context, SocketType::Sub, &endpoint));
        for sub in &subs {
            for pattern in ["a*", "a?", "a*"] {
                sub.psubscribe(pattern).unwrap();
            }
            sub.subscribe("a").unwrap();
            // The same in letters is another thing.
            sub.subscribe("a*").unwrap();
            assert_eq!(sub.topics_count(), 4);
        }
        eventually("for all of both", || {
            publisher.send("a*").unwrap();
            subs.iter().all(|sub| sub.try_recv().is_ok())
        });
        eventually("for the count", || publisher.topics_count() == 4);
        let [one, other] = subs;
        drop(one);
        await_peers(&publisher, 1);
        assert_eq!(publisher.topics_count(), 4);
        drop(other);
        eventually("for the end of all", || publisher.topics_count() == 0);
    }
}

#[test]
fn patterns_are_subscribed_to_again_with_every_connection() {
    let context = context();
    let (first, endpoint) = bound(&context, SocketType::XPub, "tcp://127.0.0.1:*");
    let sub = connected(&context, SocketType::Sub, &endpoint);
    sub.psubscribe("a*z").unwrap();
    sub.psubscribe("gone*").unwrap();
    expect(&first, subscribe("a"));
    expect(&first, subscribe("gone"));
    sub.punsubscribe("gone*").unwrap();
    expect(&first, cancel("gone"));
    drop(first);
    await_peers(&sub, 0);
    // What changes meanwhile counts, too.
    sub.psubscribe("meanwhile?").unwrap();
    let second = socket(&context, SocketType::XPub);
    bind_again(&second, &endpoint);
    expect(&second, subscribe("a"));
    expect(&second, subscribe("meanwhile"));
    for topic in ["abc", "gone", "meanwhile", "abz", "meanwhile1"] {
        second.send(topic).unwrap();
    }
    expect(&sub, "abz");
    expect(&sub, "meanwhile1");
}

#[test]
fn patterns_of_a_peer_end_with_it() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, endpoint) = bound(&context, SocketType::XPub, endpoint);
        let sub = socket(&context, SocketType::Sub);
        sub.psubscribe("a*").unwrap();
        sub.psubscribe("a?").unwrap();
        sub.subscribe("a").unwrap();
        sub.subscribe("b").unwrap();
        sub.psubscribe("b*").unwrap();
        sub.connect(&endpoint).unwrap();
        expect(&xpub, subscribe("a"));
        expect(&xpub, subscribe("b"));
        let other = connected(&context, SocketType::Sub, &endpoint);
        other.psubscribe("b*").unwrap();
        eventually("for all", || xpub.topics_count() == 5);
        eventually("for the other", || {
            xpub.send("b1").unwrap();
            other.try_recv().is_ok()
        });
        drop(sub);
        // Once, when the last of it has ended; and not what another one still wants.
        expect(&xpub, cancel("a"));
        await_peers(&xpub, 1);
        expect_nothing(&xpub);
        assert_eq!(xpub.topics_count(), 1);
        drop(other);
        expect(&xpub, cancel("b"));
    }
}

#[test]
fn an_xpub_is_told_of_what_patterns_begin_with_as_of_any_subscription() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, sub) = couple_of(&context, endpoint);
        // The first with a prefix, be it a topic or a pattern, and the last.
        sub.psubscribe("a*").unwrap();
        sub.psubscribe("a?").unwrap();
        sub.subscribe("a").unwrap();
        sub.psubscribe(r"\*.*").unwrap();
        expect(&xpub, subscribe("a"));
        expect(&xpub, subscribe("*."));
        sub.punsubscribe("a*").unwrap();
        sub.unsubscribe("a").unwrap();
        sub.punsubscribe("a?").unwrap();
        expect(&xpub, cancel("a"));
        // All of them, if it wants to know.
        xpub.set_xpub_verboser(true).unwrap();
        for pattern in ["b*", "b*", "b?"] {
            sub.psubscribe(pattern).unwrap();
        }
        for pattern in ["b*", "b*", "b?"] {
            sub.punsubscribe(pattern).unwrap();
        }
        // But a subscriber tells only of the first and the last of equal ones.
        for change in [subscribe("b"), subscribe("b"), cancel("b"), cancel("b")] {
            expect(&xpub, change);
        }
        expect_nothing(&xpub);
    }
}

#[test]
fn a_forwarder_that_knows_nothing_of_patterns_passes_them_on() {
    let context = context();
    let (publisher, upstream) = bound(&context, SocketType::XPub, "tcp://127.0.0.1:*");
    let front = connected(&context, SocketType::XSub, &upstream);
    let (back, downstream) = bound(&context, SocketType::XPub, "tcp://127.0.0.1:*");
    let proxy = Proxy::builder(front, back).start().unwrap();
    let sub = connected(&context, SocketType::Sub, &downstream);
    sub.psubscribe("a*z").unwrap();
    expect(&publisher, subscribe("a"));
    for topic in ["ab", "xz", "az"] {
        publisher.send(topic).unwrap();
    }
    expect(&sub, "az");
    sub.punsubscribe("a*z").unwrap();
    expect(&publisher, cancel("a"));
    drop(proxy);
}

#[test]
fn a_manual_xpub_subscribes_its_peers_to_topics_and_patterns() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, sub) = couple_of(&context, endpoint);
        assert_eq!(errno(xpub.psubscribe("x")), "EFSM");
        xpub.set_xpub_manual(true).unwrap();
        sub.psubscribe("a*z").unwrap();
        expect(&xpub, subscribe("a"));
        assert_eq!(xpub.topics_count(), 0, "nothing is subscribed to by itself");
        // By what it is told, the user may give all that is needed; the subscriber filters.
        xpub.subscribe("a").unwrap();
        sub.psubscribe("a?y").unwrap();
        expect(&xpub, subscribe("a"));
        for topic in ["ab", "az", "aby"] {
            xpub.send(topic).unwrap();
        }
        expect(&sub, "az");
        expect(&sub, "aby");
        // As long as it asks for more that begins so, the user is not told of an end.
        sub.punsubscribe("a*z").unwrap();
        sub.subscribe("a").unwrap();
        expect(&xpub, subscribe("a"));
        sub.unsubscribe("a").unwrap();
        sub.punsubscribe("a?y").unwrap();
        expect(&xpub, cancel("a"));
        expect_nothing(&xpub);
        xpub.unsubscribe("a").unwrap();
        assert_eq!(xpub.topics_count(), 0);
        // Or by patterns of its own.
        sub.psubscribe("b*").unwrap();
        expect(&xpub, subscribe("b"));
        xpub.psubscribe("b?").unwrap();
        xpub.psubscribe("c?").unwrap();
        xpub.punsubscribe("c?").unwrap();
        assert_eq!(xpub.topics_count(), 1);
        for topic in ["b", "bcd", "c1", "bc"] {
            xpub.send(topic).unwrap();
        }
        expect(&sub, "bc");
        expect_nothing(&sub);
    }
}

#[test]
fn inverted_matching_leaves_out_what_patterns_match() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (publisher, endpoint) = bound(&context, SocketType::Pub, endpoint);
        publisher.set_invert_matching(true).unwrap();
        let sub = socket(&context, SocketType::Sub);
        sub.set_invert_matching(true).unwrap();
        sub.psubscribe("a*z").unwrap();
        sub.subscribe("b").unwrap();
        sub.connect(&endpoint).unwrap();
        eventually("for both", || publisher.topics_count() == 2);
        for topic in ["az", "b1", "ab", "c"] {
            publisher.send(topic).unwrap();
        }
        expect(&sub, "ab");
        expect(&sub, "c");
        expect_nothing(&sub);
        assert_eq!(publisher.peers()[0].statistics.messages_sent, 2);
    }
}

#[test]
fn patterns_are_no_business_of_the_frames_that_subscribe() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, xsub) = couple(&context, endpoint, SocketType::XPub, SocketType::XSub);
        xsub.set_only_first_subscribe(true).unwrap();
        xpub.set_only_first_subscribe(true).unwrap();
        xsub.psubscribe("a?").unwrap();
        expect(&xpub, subscribe("a"));
        xsub.punsubscribe("a?").unwrap();
        expect(&xpub, cancel("a"));
        // Nor is a topic a pattern because of what it looks like.
        xsub.send(subscribe("b*")).unwrap();
        expect(&xpub, subscribe("b*"));
        xpub.send("bc").unwrap();
        xpub.send("b*").unwrap();
        expect(&xsub, "b*");
    }
}

#[test]
fn who_cannot_subscribe_to_a_pattern_is_told_why() {
    let context = context();
    let sub = socket(&context, SocketType::Sub);
    sub.psubscribe([b'*'; 255]).unwrap();
    for result in [sub.psubscribe([b'*'; 256]), sub.punsubscribe([b'*'; 256])] {
        let error = result.unwrap_err();
        assert_eq!(error.errno_name(), "EINVAL");
        assert!(error.to_string().contains("256 bytes; at most 255"), "{error}");
    }
    assert_eq!(sub.topics_count(), 1);
    for kind in [SocketType::Pub, SocketType::XPub, SocketType::Pull, SocketType::Dish] {
        let other = socket(&context, kind);
        assert_eq!(errno(other.psubscribe("a*")), "EFSM", "{kind}");
        assert_eq!(errno(other.punsubscribe("a*")), "EFSM", "{kind}");
    }
    assert_eq!(errno(context.terminate_timeout(Duration::ZERO)), "EBUSY");
    assert_eq!(errno(sub.psubscribe("a*")), "ETERM");
}

#[test]
fn the_name_of_the_property_is_not_for_applications() {
    let context = context();
    let sub = socket(&context, SocketType::Sub);
    assert_eq!(errno(sub.set_metadata(&[("X-serverlink-PATTERNS", "1")])), "EINVAL");
}
