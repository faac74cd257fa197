//! Servers that do not keep to the protocol: a socket that connects tries again, until a good one
//! is there.

use std::{
    net::TcpListener,
    time::{Duration, Instant},
};

use serverlink::SocketType::Push;
use serverlink_interop::{
    Contexts,
    Library::ServerLink,
    panics, payload,
    raw::{COMMAND, RawPeer, announced, command, frame, greeting, ready},
};

/// What servers say before they hang up, or are hung up on.
fn speeches() -> Vec<Vec<u8>> {
    let greeting = greeting(1);
    let after_greeting = |bytes: &[u8]| [&greeting[..], bytes].concat();
    vec![
        Vec::new(),
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        greeting[..30].to_vec(),
        greeting.to_vec(),
        vec![0xff; 200],
        after_greeting(&command("ERROR", b"\x07go away")),
        after_greeting(&ready("SUB")),
        after_greeting(&ready("PULL")[..10]),
        after_greeting(&announced(COMMAND, u64::MAX)),
        after_greeting(&[ready("PULL"), announced(0, u64::MAX)].concat()),
        after_greeting(&[ready("PULL"), frame(0, b"a PUSH receives nothing")].concat()),
        after_greeting(&ready("PULL")),
    ]
}

#[test]
fn a_push_finds_the_good_one_in_the_end() {
    panics::watch();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = Contexts::new().open(ServerLink, Push);
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap()));
    for speech in speeches() {
        let mut server = RawPeer::accept(&listener);
        server.try_write(&speech);
        server.finish();
        server.rest();
    }
    // Kept until now: none of them was a peer while it could be sent to.
    push.send(["for a good one"]);
    let mut server = RawPeer::accept(&listener).shake_hands(1, "PULL");
    assert_eq!(server.frame().body, b"for a good one");
    assert_eq!(panics::count(), 0);
}

/// What the kernel took of a message does not count; what it took of those before it does.
#[test]
fn a_message_cut_off_is_sent_again_and_those_before_it_are_not() {
    const BEFORE: u64 = 100;
    const BEHIND: u64 = 10;
    let large = payload::bytes(16 << 20, 1);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = Contexts::new().open(ServerLink, Push);
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap()));
    // They wait together for the handshake, and so go out together.
    (0..BEFORE).for_each(|index| push.send([payload::numbered(index)]));
    push.send([&large[..], b"and a frame behind it"]);
    (0..BEHIND).for_each(|index| push.send([payload::numbered(index)]));

    for attempt in 0..3 {
        let mut server = RawPeer::accept(&listener).shake_hands(1, "PULL");
        if attempt == 0 {
            (0..BEFORE).for_each(|index| assert_eq!(payload::number(&server.frame().body), index));
        }
        server.skip((1 << 20) * attempt + 1);
    }

    let mut server = RawPeer::accept(&listener).shake_hands(1, "PULL");
    assert!(server.frame().body == large);
    assert_eq!(server.frame().body, b"and a frame behind it");
    (0..BEHIND).for_each(|index| assert_eq!(payload::number(&server.frame().body), index));
}

/// A server that refuses at once is not asked all the time.
#[test]
fn refusals_slow_a_push_down() {
    const ATTEMPTS: u32 = 5;
    const INTERVAL: Duration = Duration::from_millis(50);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let push = Contexts::new().open(ServerLink, Push);
    push.set_reconnect_interval(INTERVAL);
    push.connect(&format!("tcp://{}", listener.local_addr().unwrap()));
    let mut server = RawPeer::accept(&listener);
    let start = Instant::now();
    for _ in 0..ATTEMPTS {
        server.try_write(&greeting(1));
        server.try_write(&ready("PUB"));
        server.rest();
        server = RawPeer::accept(&listener);
    }
    assert!(start.elapsed() >= INTERVAL * ATTEMPTS, "{:?}", start.elapsed());
}
