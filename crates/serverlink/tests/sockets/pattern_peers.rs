//! Subscriptions to patterns of topics, as peers see them that speak ZMTP by hand: those that take
//! them and those that do not.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
};

use serverlink::{Context, Events, Message, Poller, Socket, SocketType};

use crate::harness::{
    PATIENCE, await_peers, bind_again, bound, context, eventually, expect, expect_nothing,
    shake_hands, socket,
};

fn subscribe(topic: &str) -> Message {
    Message::from(format!("\u{1}{topic}"))
}

fn cancel(topic: &str) -> Message {
    Message::from(format!("\0{topic}"))
}

/// A peer that speaks ZMTP by hand, and does not say that it takes patterns.
struct Stranger {
    stream: TcpStream,
}

impl Stranger {
    /// The publisher that a socket connects to.
    fn publisher(listener: &TcpListener) -> Self {
        Self::begin(listener.accept().unwrap().0, "PUB").0
    }

    /// A subscriber to a publisher, and what that says in its READY.
    fn subscriber(endpoint: &str) -> (Self, Vec<u8>) {
        let address = endpoint.strip_prefix("tcp://").unwrap();
        Self::begin(TcpStream::connect(address).unwrap(), "SUB")
    }

    fn begin(mut stream: TcpStream, socket_type: &str) -> (Self, Vec<u8>) {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        shake_hands(&mut stream, socket_type);
        stream.read_exact(&mut [0; 64]).unwrap();
        let mut stranger = Self { stream };
        let (_, ready) = stranger.frame();
        (stranger, ready)
    }

    /// The next frame: its flags, and its body.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut header = [0; 2];
        self.stream.read_exact(&mut header).unwrap();
        let mut body = vec![0; header[1].into()];
        self.stream.read_exact(&mut body).unwrap();
        (header[0], body)
    }

    #[track_caller]
    fn expect_command(&mut self, name: &str, data: &str) {
        let expected = [&[name.len() as u8], name.as_bytes(), data.as_bytes()].concat();
        let (flags, body) = self.frame();
        assert_eq!(
            (flags, &*body.escape_ascii().to_string()),
            (4, &*expected.escape_ascii().to_string())
        );
    }

    fn say(&mut self, flags: u8, body: &[u8]) {
        let frame = [&[flags, body.len() as u8], body].concat();
        self.stream.write_all(&frame).unwrap();
    }

    fn command(&mut self, name: &str, data: &str) {
        let body = [&[name.len() as u8], name.as_bytes(), data.as_bytes()].concat();
        self.say(4, &body);
    }
}

/// A SUB or XSUB, and the stranger that it is connected to.
fn with_stranger(
    context: &Context,
    socket_type: SocketType,
    prepare: impl FnOnce(&Socket),
) -> (Socket, Stranger, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let subscriber = socket(context, socket_type);
    prepare(&subscriber);
    subscriber.connect(&format!("tcp://{}", listener.local_addr().unwrap())).unwrap();
    let stranger = Stranger::publisher(&listener);
    await_peers(&subscriber, 1);
    (subscriber, stranger, listener)
}

#[test]
fn publishers_say_that_they_take_patterns_and_take_them() {
    for kind in [SocketType::Pub, SocketType::XPub] {
        let context = context();
        let (publisher, endpoint) = bound(&context, kind, "tcp://127.0.0.1:*");
        let (mut stranger, ready) = Stranger::subscriber(&endpoint);
        let property = b"\x15X-ServerLink-Patterns\0\0\0\x011";
        assert!(ready.windows(property.len()).any(|part| part == property));
        stranger.command("PSUBSCRIBE", "a*z");
        eventually("for the pattern", || publisher.topics_count() == 1);
        for topic in ["a", "abc", "abz"] {
            publisher.send(topic).unwrap();
        }
        assert_eq!(stranger.frame(), (0, b"abz".to_vec()));
        stranger.command("PCANCEL", "a*z");
        eventually("for its end", || publisher.topics_count() == 0);
    }
}

#[test]
fn a_pattern_that_is_too_long_ends_the_connection() {
    let context = context();
    let (publisher, endpoint) = bound(&context, SocketType::XPub, "tcp://127.0.0.1:*");
    let (mut stranger, _) = Stranger::subscriber(&endpoint);
    await_peers(&publisher, 1);
    let body = [&b"\x0aPSUBSCRIBE"[..], &[b'*'; 256]].concat();
    let header = [&[6][..], &(body.len() as u64).to_be_bytes()].concat();
    stranger.stream.write_all(&[header, body].concat()).unwrap();
    await_peers(&publisher, 0);
    assert_eq!(publisher.topics_count(), 0);
}

#[test]
fn publishers_that_take_no_patterns_are_asked_for_what_they_begin_with() {
    let context = context();
    let prepare = |sub: &Socket| {
        sub.psubscribe("early*z").unwrap();
        sub.psubscribe("early?").unwrap();
        sub.subscribe("early").unwrap();
        sub.subscribe("late").unwrap();
    };
    let (sub, mut stranger, _listener) = with_stranger(&context, SocketType::Sub, prepare);
    stranger.expect_command("SUBSCRIBE", "early");
    stranger.expect_command("SUBSCRIBE", "late");
    // All of one prefix is one subscription, which ends with the last of them.
    sub.punsubscribe("early*z").unwrap();
    sub.unsubscribe("early").unwrap();
    sub.psubscribe("late[^r]").unwrap();
    sub.unsubscribe("late").unwrap();
    sub.subscribe("late").unwrap();
    sub.psubscribe(r"\*\[literal]").unwrap();
    stranger.expect_command("SUBSCRIBE", "late");
    stranger.expect_command("SUBSCRIBE", "*[literal]");
    sub.punsubscribe("early?").unwrap();
    stranger.expect_command("CANCEL", "early");
    sub.unsubscribe("late").unwrap();
    sub.punsubscribe("late[^r]").unwrap();
    stranger.expect_command("CANCEL", "late");
    // Whatever it sends, the socket filters.
    sub.psubscribe("?b*").unwrap();
    stranger.expect_command("SUBSCRIBE", "");
    for topic in ["a", "ab", "early1", "xbc", "*[literal]", "*[literal]."] {
        stranger.say(0, topic.as_bytes());
    }
    for topic in ["ab", "xbc", "*[literal]"] {
        expect(&sub, topic);
    }
    stranger.say(0, b"unwanted");
    stranger.say(0, b"ab");
    expect(&sub, "ab");
    expect_nothing(&sub);
}

#[test]
fn what_no_pattern_matches_is_nothing_to_receive() {
    let context = context();
    let prepare = |sub: &Socket| sub.psubscribe("a?").unwrap();
    let (sub, mut stranger, _listener) = with_stranger(&context, SocketType::Sub, prepare);
    let poller = Poller::new();
    poller.add(&sub, 1, Events::IN).unwrap();
    // Subscribed to while it is polled.
    sub.psubscribe("b?").unwrap();
    stranger.expect_command("SUBSCRIBE", "a");
    stranger.expect_command("SUBSCRIBE", "b");
    stranger.say(0, b"unwanted");
    stranger.say(0, b"a");
    stranger.command("PING", "\0\0");
    assert_eq!(stranger.frame(), (4, b"\x04PONG".to_vec()));
    assert!(sub.events().unwrap().is_empty());
    stranger.say(0, b"b1");
    assert_eq!(poller.wait(&mut Vec::new(), Some(PATIENCE)).unwrap(), 1);
    expect(&sub, "b1");
}

#[test]
fn an_xsub_gets_all_but_what_comes_for_a_pattern_that_does_not_match() {
    let context = context();
    let prepare = |xsub: &Socket| {
        xsub.psubscribe("a*z").unwrap();
        xsub.send(subscribe("ab")).unwrap();
    };
    let (xsub, mut stranger, _listener) = with_stranger(&context, SocketType::XSub, prepare);
    stranger.expect_command("SUBSCRIBE", "ab");
    stranger.expect_command("SUBSCRIBE", "a");
    for topic in ["unasked", "a", "az", "ac", "abc", ""] {
        stranger.say(0, topic.as_bytes());
    }
    for topic in ["unasked", "az", "abc", ""] {
        expect(&xsub, topic);
    }
}

#[test]
fn a_verbose_xsub_ends_nothing_that_a_pattern_still_needs() {
    let context = context();
    let prepare = |xsub: &Socket| {
        xsub.set_xsub_verbose_unsubscribe(true).unwrap();
        xsub.psubscribe("a*").unwrap();
    };
    let (xsub, mut stranger, _listener) = with_stranger(&context, SocketType::XSub, prepare);
    stranger.expect_command("SUBSCRIBE", "a");
    xsub.send(cancel("a")).unwrap();
    xsub.punsubscribe("a?").unwrap();
    xsub.psubscribe("a*").unwrap();
    xsub.punsubscribe("a*").unwrap();
    xsub.psubscribe("marker").unwrap();
    stranger.expect_command("SUBSCRIBE", "marker");
    xsub.punsubscribe("a*").unwrap();
    stranger.expect_command("CANCEL", "a");
}

#[test]
fn whoever_follows_a_publisher_may_take_patterns_or_not() {
    let context = context();
    let prepare = |sub: &Socket| sub.psubscribe("a*z").unwrap();
    let (sub, mut stranger, listener) = with_stranger(&context, SocketType::Sub, prepare);
    stranger.expect_command("SUBSCRIBE", "a");
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    drop((stranger, listener));
    await_peers(&sub, 0);
    let publisher = socket(&context, SocketType::XPub);
    bind_again(&publisher, &endpoint);
    expect(&publisher, subscribe("a"));
    publisher.send("ab").unwrap();
    publisher.send("az").unwrap();
    expect(&sub, "az");
    assert_eq!(publisher.peers()[0].statistics.messages_sent, 1);
}

#[test]
fn where_matching_is_inverted_nothing_stands_in_for_a_pattern() {
    let context = context();
    let prepare = |sub: &Socket| {
        sub.set_invert_matching(true).unwrap();
        sub.psubscribe("a*z").unwrap();
    };
    let (sub, mut stranger, _listener) = with_stranger(&context, SocketType::Sub, prepare);
    // It would keep back what begins with "a", though that may not match.
    sub.psubscribe("a*y").unwrap();
    sub.subscribe("a").unwrap();
    stranger.expect_command("SUBSCRIBE", "a");
    sub.punsubscribe("a*y").unwrap();
    sub.unsubscribe("a").unwrap();
    stranger.expect_command("CANCEL", "a");
    for topic in ["az", "ab", "x"] {
        stranger.say(0, topic.as_bytes());
    }
    expect(&sub, "ab");
    expect(&sub, "x");
}
