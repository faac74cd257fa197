//! SUB and XSUB: what they subscribe to, and that it lasts.

use serverlink::{Message, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bind_again, bound, connected, context, couple, errno, expect,
    expect_nothing, frames, socket, vacant,
};

fn subscribe(topic: &str) -> Message {
    Message::from(format!("\u{1}{topic}"))
}

fn cancel(topic: &str) -> Message {
    Message::from(format!("\0{topic}"))
}

#[test]
fn subscriptions_are_counted() {
    for endpoint in TRANSPORTS {
        for extended in [false, true] {
            let context = context();
            let kind = if extended { SocketType::XSub } else { SocketType::Sub };
            let (xpub, sub) = couple(&context, endpoint, SocketType::XPub, kind);
            let change = |topic: &str, on: bool| match (extended, on) {
                (true, true) => sub.send(subscribe(topic)).unwrap(),
                (true, false) => sub.send(cancel(topic)).unwrap(),
                (false, true) => sub.subscribe(topic).unwrap(),
                (false, false) => sub.unsubscribe(topic).unwrap(),
            };
            change("topic", true);
            change("topic", true);
            change("topic", false);
            change("marker", true);
            expect(&xpub, subscribe("topic"));
            expect(&xpub, subscribe("marker"));
            xpub.send("topic").unwrap();
            expect(&sub, "topic");
            change("topic", false);
            expect(&xpub, cancel("topic"));
            // What there is none of cannot be taken back, nor does it count against the next.
            change("topic", false);
            change("topic", true);
            expect(&xpub, subscribe("topic"));
            xpub.send("topic").unwrap();
            expect(&sub, "topic");
        }
    }
}

#[test]
fn what_was_not_asked_for_is_not_delivered() {
    // Messages still on their way when a subscription ends.
    let context = context();
    let (xpub, sub) = couple(&context, "inproc://late", SocketType::XPub, SocketType::Sub);
    sub.subscribe("a").unwrap();
    sub.subscribe("b").unwrap();
    for topic in ["a", "b", "a", "b"] {
        xpub.send(topic).unwrap();
    }
    sub.unsubscribe("a").unwrap();
    expect(&sub, "b");
    expect(&sub, "b");
    expect_nothing(&sub);
}

#[test]
fn subscriptions_made_before_connecting_count() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, endpoint) = bound(&context, SocketType::XPub, endpoint);
        let sub = socket(&context, SocketType::Sub);
        for topic in ["b", "a", "b", "c"] {
            sub.subscribe(topic).unwrap();
        }
        sub.unsubscribe("c").unwrap();
        sub.connect(&endpoint).unwrap();
        expect(&xpub, subscribe("a"));
        expect(&xpub, subscribe("b"));
        xpub.send("c").unwrap();
        xpub.send("b").unwrap();
        expect(&sub, "b");
    }
}

#[test]
fn every_publisher_is_told() {
    for endpoint in TRANSPORTS {
        let context = context();
        let publishers: Vec<_> = (0..3)
            .map(|n| {
                let endpoint = match endpoint.strip_prefix("inproc") {
                    Some(rest) => format!("inproc{rest} {n}"),
                    None => endpoint.to_owned(),
                };
                bound(&context, SocketType::XPub, &endpoint)
            })
            .collect();
        let sub = socket(&context, SocketType::Sub);
        sub.subscribe("before").unwrap();
        for (xpub, endpoint) in &publishers {
            sub.connect(endpoint).unwrap();
            expect(xpub, subscribe("before"));
        }
        sub.subscribe("after").unwrap();
        for (n, (xpub, _)) in publishers.iter().enumerate() {
            expect(xpub, subscribe("after"));
            xpub.send(frames(["after", &n.to_string()])).unwrap();
            expect(&sub, frames(["after", &n.to_string()]));
        }
    }
}

#[test]
fn a_publisher_that_comes_back_is_told_again() {
    let context = context();
    let endpoint = vacant(&context);
    let sub = connected(&context, SocketType::Sub, &endpoint);
    sub.subscribe("kept").unwrap();
    sub.subscribe("dropped").unwrap();
    for round in 0..3 {
        let (xpub, _) = bound(&context, SocketType::XPub, &endpoint);
        let mut told: Vec<_> =
            (0..if round == 0 { 2 } else { 1 + round }).map(|_| xpub.recv().unwrap()).collect();
        told.sort_by_key(|message| message[0].to_bytes());
        if round == 0 {
            assert_eq!(told, [subscribe("dropped"), subscribe("kept")]);
        } else {
            assert_eq!(told.last(), Some(&subscribe("kept")));
        }
        xpub.send("kept").unwrap();
        expect(&sub, "kept");
        drop(xpub);
        await_peers(&sub, 0);
        // Changes made while nobody is there are told when somebody is.
        let _ = sub.unsubscribe("dropped");
        sub.subscribe(format!("added in {round}")).unwrap();
    }
}

#[test]
fn a_subscriber_that_comes_back_is_served_what_it_wants_now() {
    // The publisher connects, so that it keeps the peer over the loss.
    let context = context();
    let endpoint = vacant(&context);
    let xpub = connected(&context, SocketType::XPub, &endpoint);
    for topic in ["one", "two"] {
        let sub = socket(&context, SocketType::Sub);
        sub.subscribe(topic).unwrap();
        bind_again(&sub, &endpoint);
        if topic == "two" {
            // What its predecessor wanted is over.
            expect(&xpub, cancel("one"));
        }
        expect(&xpub, subscribe(topic));
        xpub.send("one").unwrap();
        xpub.send("two").unwrap();
        expect(&sub, topic);
        drop(sub);
        await_peers(&xpub, 0);
    }
}

#[test]
fn only_a_sub_subscribes_by_option() {
    let context = context();
    for socket_type in
        [SocketType::Pair, SocketType::XSub, SocketType::Pub, SocketType::Pull, SocketType::Req]
    {
        let socket = socket(&context, socket_type);
        assert_eq!(errno(socket.subscribe("x")), "EFSM", "{socket_type}");
        assert_eq!(errno(socket.unsubscribe("x")), "EFSM", "{socket_type}");
    }
}

#[test]
fn topics_may_be_long_and_of_any_bytes() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (xpub, sub) = couple(&context, endpoint, SocketType::XPub, SocketType::Sub);
        for size in [1, 61, 62, 63, 247, 255, 256, 10_000, 1 << 20] {
            let topic = vec![0xFE; size];
            sub.subscribe(&topic).unwrap();
            let told = xpub.recv().unwrap();
            assert_eq!((told[0][0], &told[0][1..]), (1, &topic[..]));
            let mut longer = topic.clone();
            longer.push(0xFF);
            xpub.send(&topic[1..]).unwrap();
            xpub.send(longer.clone()).unwrap();
            expect(&sub, longer);
            sub.unsubscribe(&topic).unwrap();
            assert_eq!(xpub.recv().unwrap()[0][0], 0);
        }
    }
}
