//! Subscriptions to patterns, an extension of ServerLink, beside libzmq, which knows nothing of them.

use serverlink::SocketType::{Pub, Sub, XPub};
use serverlink_interop::{
    Contexts,
    Library::{Libzmq, ServerLink},
    Peer, Transport, Way, until,
};

/// Each transport, and who binds.
fn ways() -> impl Iterator<Item = Way> {
    Transport::HERE.iter().flat_map(|&transport| {
        [Libzmq, ServerLink].map(|binder| Way { from: Libzmq, binder, transport })
    })
}

#[test]
fn a_libzmq_publisher_is_asked_for_what_patterns_begin_with() {
    for way in ways() {
        let [publisher, sub] = Contexts::new().link(way, [XPub, Sub], |_, sub| {
            sub.ours().psubscribe("early.*z").unwrap();
        });
        publisher.expect_subscription(true, "early.");
        sub.ours().psubscribe("late[0-9]").unwrap();
        publisher.expect_subscription(true, "late");
        // One subscription to it, however many patterns and topics begin with it.
        sub.ours().psubscribe("late?*").unwrap();
        sub.subscribe("late");
        sub.unsubscribe("late");
        sub.ours().punsubscribe("late?*").unwrap();
        sub.subscribe("mark");
        publisher.expect_subscription(true, "mark");
        for topic in ["early.", "late", "early.xyz", "late10", "late1", "mark"] {
            publisher.send([topic]);
        }
        for topic in ["early.xyz", "late1", "mark"] {
            sub.expect([topic]);
        }
        sub.ours().punsubscribe("late[0-9]").unwrap();
        publisher.expect_subscription(false, "late");
        publisher.send(["late1"]);
        publisher.send(["mark"]);
        sub.expect(["mark"]);
    }
}

#[test]
fn a_libzmq_pub_serves_patterns_after_a_restart() {
    let contexts = Contexts::new();
    let sub = contexts.open(ServerLink, Sub);
    sub.ours().psubscribe("*.end").unwrap();
    let first = contexts.open(Libzmq, Pub);
    let endpoint = first.bind();
    sub.connect(&endpoint);
    let hears = |publisher: &Peer| {
        until("the subscription to take effect", || {
            publisher.send(["not this"]);
            publisher.send(["1.end"]);
            sub.ours().try_recv().is_ok_and(|message| message[0] == "1.end")
        });
    };
    hears(&first);
    drop(first);
    sub.await_disconnected();
    let second = contexts.open(Libzmq, Pub);
    second.bind_to(&endpoint);
    // What the first one sent is all received.
    while sub.ours().try_recv().is_ok() {}
    hears(&second);
}

#[test]
fn a_libzmq_sub_beside_one_with_patterns_gets_what_it_always_did() {
    for transport in Transport::HERE {
        for kind in [Pub, XPub] {
            let contexts = Contexts::new();
            let publisher = contexts.open(ServerLink, kind);
            let endpoint = publisher.bind_over(*transport);
            let [plain, patterned] = [Libzmq, ServerLink].map(|library| {
                let sub = contexts.open(library, Sub);
                sub.connect(&endpoint);
                sub
            });
            plain.subscribe("a");
            patterned.ours().psubscribe("a*z").unwrap();
            patterned.ours().psubscribe("?z").unwrap();
            until("all subscriptions", || publisher.ours().topics_count() == 3);
            for topic in ["b", "ab", "bz", "az", "a"] {
                publisher.send([topic]);
            }
            for topic in ["ab", "az", "a"] {
                plain.expect([topic]);
            }
            for topic in ["bz", "az"] {
                patterned.expect([topic]);
            }
            patterned.ours().punsubscribe("a*z").unwrap();
            until("the end of one", || publisher.ours().topics_count() == 2);
            publisher.send(["abz"]);
            plain.expect(["abz"]);
            publisher.send(["cz"]);
            patterned.expect(["cz"]);
        }
    }
}
