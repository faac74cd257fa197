//! RFC 48, RADIO and DISH: a test for each thing that they shall do.

use std::{
    collections::HashSet,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    thread,
};

use serverlink::{Context, Message, Socket, SocketType};

use crate::harness::{
    TRANSPORTS, await_peers, bind_again, bound, connected, context, errno, eventually,
    expect_nothing, frames, number, number_in, scaled, shake_hands, socket,
};

fn to(group: impl AsRef<[u8]>, body: impl Into<Message>) -> Message {
    body.into().with_group(group)
}

/// A DISH in some groups.
fn dish(context: &Context, endpoint: &str, groups: &[&str]) -> Socket {
    let dish = connected(context, SocketType::Dish, endpoint);
    groups.iter().for_each(|group| dish.join(group).unwrap());
    dish
}

/// Sends to a group until the DISH has it, for there is no other sign that it has joined.
fn await_joined(radio: &Socket, dish: &Socket, group: &str) {
    eventually("to have joined", || {
        radio.send(to(group, "are you there?")).unwrap();
        dish.recv_timeout(std::time::Duration::from_millis(10)).is_ok()
    });
    radio.send(to(group, "now we begin")).unwrap();
    eventually("to begin", || dish.recv().unwrap()[0] == "now we begin");
}

#[track_caller]
fn expect_from(dish: &Socket, group: impl AsRef<[u8]>, body: impl Into<Message>) {
    let message = dish.recv().unwrap();
    assert_eq!((message.group(), &message), (Some(group.as_ref()), &body.into()));
}

#[test]
fn a_group_is_matched_exactly_and_attached_to_the_message() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (radio, endpoint) = bound(&context, SocketType::Radio, endpoint);
        let longest = "g".repeat(255);
        let dish = dish(&context, &endpoint, &["news", "n", &longest, ""]);
        await_joined(&radio, &dish, "");
        for unwanted in ["new", "news ", "News", "ne", &longest[1..]] {
            radio.send(to(unwanted, "unwanted")).unwrap();
        }
        radio.send(to("news", "one")).unwrap();
        radio.send(to("n", "two")).unwrap();
        radio.send(to(&longest, "three")).unwrap();
        // Without a group, it is the empty one.
        radio.send("four").unwrap();
        expect_from(&dish, "news", "one");
        expect_from(&dish, "n", "two");
        expect_from(&dish, &longest, "three");
        expect_from(&dish, "", "four");
        expect_nothing(&dish);
    }
}

#[test]
fn every_dish_in_a_group_gets_the_message_as_it_was() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (radio, endpoint) = bound(&context, SocketType::Radio, endpoint);
        let dishes: Vec<_> = (0..5).map(|_| dish(&context, &endpoint, &["group"])).collect();
        dishes.iter().for_each(|dish| await_joined(&radio, dish, "group"));
        // What the others got meanwhile.
        radio.send(to("group", "all of us")).unwrap();
        for dish in &dishes {
            eventually("the last of it", || dish.recv().unwrap()[0] == "all of us");
        }
        for size in [0, 1, 62, 63, 64, 70, 71, 255, 256, 5000, 300_000] {
            let body: Vec<u8> = (0..size).map(|n| n as u8).collect();
            radio.send(to("group", body.clone())).unwrap();
            for dish in &dishes {
                let message = dish.recv().unwrap();
                assert_eq!((message.len(), message.group()), (1, Some(&b"group"[..])));
                assert!(message[0] == body[..], "{size} bytes");
            }
        }
    }
}

#[test]
fn leaving_ends_it() {
    for endpoint in TRANSPORTS {
        let context = context();
        let (radio, endpoint) = bound(&context, SocketType::Radio, endpoint);
        let dish = dish(&context, &endpoint, &["a", "b"]);
        await_joined(&radio, &dish, "b");
        radio.send(to("a", "never read")).unwrap();
        dish.leave("a").unwrap();
        radio.send(to("a", "neither")).unwrap();
        radio.send(to("b", "marker")).unwrap();
        expect_from(&dish, "b", "marker");
        // Commands keep their order: the RADIO knows of the leaving when it knows of this.
        dish.join("c").unwrap();
        await_joined(&radio, &dish, "c");
        dish.join("a").unwrap();
        await_joined(&radio, &dish, "a");
    }
}

#[test]
fn a_radio_only_sends_and_a_dish_only_receives_and_joins() {
    let context = context();
    let (radio, dish) = (socket(&context, SocketType::Radio), socket(&context, SocketType::Dish));
    assert_eq!(errno(radio.recv()), "ENOTSUP");
    assert_eq!(errno(dish.send("x")), "ENOTSUP");
    for other in [SocketType::Radio, SocketType::Sub, SocketType::Client] {
        let other = socket(&context, other);
        assert_eq!((errno(other.join("x")), errno(other.leave("x"))), ("EFSM", "EFSM"));
    }
    assert_eq!(errno(dish.subscribe("x")), "EFSM");
}

#[test]
fn a_group_has_at_most_255_bytes_none_of_which_is_zero() {
    let context = context();
    let (radio, dish) = (socket(&context, SocketType::Radio), socket(&context, SocketType::Dish));
    for group in [vec![b'g'; 256], b"a\0b".to_vec()] {
        assert_eq!((errno(dish.join(&group)), errno(dish.leave(&group))), ("EINVAL", "EINVAL"));
        let refused = radio.send(to(&group, "x")).unwrap_err();
        assert_eq!(refused.error.errno_name(), "EINVAL");
        assert_eq!(refused.message.group(), Some(&group[..]), "it comes back whole");
    }
    dish.join(vec![b'g'; 255]).unwrap();
    radio.send(to(vec![b'g'; 255], "to nobody")).unwrap();
    // As in libzmq, once is enough, and leaving needs to have joined.
    assert_eq!(errno(dish.join(vec![b'g'; 255])), "EINVAL");
    assert_eq!(errno(dish.leave("another")), "EINVAL");
}

#[test]
fn messages_of_several_frames_are_refused() {
    let context = context();
    let radio = socket(&context, SocketType::Radio);
    let refused = radio.send(to("g", frames(["a", "b"]))).unwrap_err();
    assert_eq!((refused.error.errno_name(), refused.message), ("EINVAL", frames(["a", "b"])));
}

#[test]
fn a_radio_never_waits_and_drops_what_a_full_dish_has_no_room_for() {
    let count = scaled(5000);
    for endpoint in TRANSPORTS {
        let context = context();
        let radio = socket(&context, SocketType::Radio);
        radio.set_send_high_water_mark(10).unwrap();
        let endpoint = radio.bind(endpoint).unwrap();
        let slow = socket(&context, SocketType::Dish);
        slow.set_receive_high_water_mark(10).unwrap();
        slow.connect(&endpoint).unwrap();
        slow.join("g").unwrap();
        await_joined(&radio, &slow, "g");
        let body = |n: u32| [&n.to_be_bytes()[..], &[7; 10_000]].concat();
        (0..count).for_each(|n| radio.send(to("g", body(n))).unwrap());
        // What it gets is in order, and not all of it; and later on it is served again.
        let mut last = 0;
        let mut received = 0;
        let mut next = count..;
        eventually("to be served again", || {
            while let Ok(message) = slow.try_recv() {
                let n = u32::from_be_bytes(message[0][..4].try_into().unwrap());
                assert!(received == 0 || n > last, "{n} after {last}");
                (last, received) = (n, received + 1);
            }
            radio.send(to("g", body(next.next().unwrap()))).unwrap();
            last >= count
        });
        assert!(received < count, "nothing was dropped");
    }
}

#[test]
fn a_radio_told_not_to_drop_waits() {
    let context = context();
    let radio = socket(&context, SocketType::Radio);
    radio.set_send_high_water_mark(1).unwrap();
    radio.set_xpub_nodrop(true).unwrap();
    radio.bind("inproc://radio").unwrap();
    let slow = socket(&context, SocketType::Dish);
    slow.set_receive_high_water_mark(1).unwrap();
    slow.connect("inproc://radio").unwrap();
    slow.join("g").unwrap();
    (0..2).for_each(|n| radio.try_send(to("g", number(n))).unwrap());
    assert_eq!(errno(radio.try_send(to("g", number(2)))), "EAGAIN");
    thread::scope(|scope| {
        scope.spawn(|| (2..100).for_each(|n| radio.send(to("g", number(n))).unwrap()));
        (0..100).for_each(|n| assert_eq!(number_in(&slow.recv().unwrap()), n));
    });
}

#[test]
fn a_dish_takes_from_every_radio_in_turn() {
    let context = context();
    let (dish, endpoint) = bound(&context, SocketType::Dish, "inproc://dish");
    dish.join("g").unwrap();
    let radios: Vec<_> =
        (0..3).map(|_| connected(&context, SocketType::Radio, &endpoint)).collect();
    for (name, radio) in (0..).zip(&radios) {
        (0..10).for_each(|_| radio.send(to("g", number(name))).unwrap());
    }
    for _ in 0..10 {
        let round: HashSet<_> = radios.iter().map(|_| number_in(&dish.recv().unwrap())).collect();
        assert_eq!(round.len(), 3, "each once");
    }
}

#[test]
fn a_radio_that_comes_back_is_told_again_and_a_dish_that_comes_back_is_served() {
    let context = context();
    let (radio, endpoint) = bound(&context, SocketType::Radio, "tcp://127.0.0.1:*");
    let dish = dish(&context, &endpoint, &["g"]);
    await_joined(&radio, &dish, "g");
    drop(radio);
    await_peers(&dish, 0);
    // Joined and left with nobody there.
    dish.join("h").unwrap();
    dish.leave("g").unwrap();
    let radio = socket(&context, SocketType::Radio);
    bind_again(&radio, &endpoint);
    await_joined(&radio, &dish, "h");
    radio.send(to("g", "left")).unwrap();
    radio.send(to("h", "marker")).unwrap();
    expect_from(&dish, "h", "marker");
    // A radio that connects, and a dish that comes back.
    let (first, endpoint) = bound(&context, SocketType::Dish, "tcp://127.0.0.1:*");
    first.join("old").unwrap();
    let radio = connected(&context, SocketType::Radio, &endpoint);
    await_joined(&radio, &first, "old");
    drop(first);
    await_peers(&radio, 0);
    let second = socket(&context, SocketType::Dish);
    second.join("new").unwrap();
    bind_again(&second, &endpoint);
    await_joined(&radio, &second, "new");
    radio.send(to("old", "for somebody else")).unwrap();
    radio.send(to("new", "marker")).unwrap();
    expect_from(&second, "new", "marker");
}

/// Reads frames until one has this body.
fn await_body(peer: &mut TcpStream, body: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    loop {
        let mut header = [0; 2];
        peer.read_exact(&mut header).unwrap();
        let mut frame = vec![0; usize::from(header[1])];
        peer.read_exact(&mut frame).unwrap();
        let done = frame == body;
        frames.push([&header[..1], &frame].concat());
        if done {
            return frames;
        }
    }
}

/// How long READY is, which is there for sure.
const READY_LEN: usize = 2 + "\x05READY\x0bSocket-Type\0\0\0\x05RADIO".len();

/// Whether at least so many bytes have come.
fn has_more(peer: &TcpStream, count: usize) -> bool {
    peer.set_nonblocking(true).unwrap();
    let there = peer.peek(&mut [0; 64]).is_ok_and(|there| there >= count);
    peer.set_nonblocking(false).unwrap();
    there
}

fn stranger(endpoint: &str, socket_type: &str) -> TcpStream {
    let mut peer = TcpStream::connect(endpoint.replace("tcp://", "")).unwrap();
    peer.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    shake_hands(&mut peer, socket_type);
    // Its greeting, of 64 bytes; READY is read with the frames.
    peer.read_exact(&mut [0; 64]).unwrap();
    peer
}

#[test]
fn on_the_wire_a_message_is_two_frames_and_joining_a_command() {
    let context = context();
    let (radio, endpoint) = bound(&context, SocketType::Radio, "tcp://127.0.0.1:*");
    let mut peer = stranger(&endpoint, "DISH");
    peer.write_all(b"\x04\x06\x04JOINg\x04\x06\x04JOINg\x04\x06\x04WHATg").unwrap();
    eventually("for it to have joined", || {
        radio.send(to("g", "body")).unwrap();
        has_more(&peer, READY_LEN + 1)
    });
    let seen = await_body(&mut peer, b"body");
    assert_eq!(seen[seen.len() - 2..], [b"\x01g".to_vec(), b"\0body".to_vec()]);
    // Joined twice, it is left at once, as in libzmq it would be joined once more.
    peer.write_all(b"\x04\x07\x05LEAVEg\x04\x06\x04JOINh").unwrap();
    eventually("for it to have left", || {
        radio.send(to("h", "there")).unwrap();
        has_more(&peer, 1)
    });
    radio.send(to("g", "x")).unwrap();
    radio.send(to("h", "marker")).unwrap();
    let seen = await_body(&mut peer, b"marker");
    assert!(!seen.iter().any(|frame| frame == b"\0x"), "{seen:?}");
}

#[test]
fn what_a_dish_says_besides_is_discarded_and_what_is_too_much_ends_it() {
    let context = context();
    let (radio, endpoint) = bound(&context, SocketType::Radio, "tcp://127.0.0.1:*");
    let mut peer = stranger(&endpoint, "DISH");
    // Messages of any shape, leaving what it never joined, commands that nobody knows.
    peer.write_all(
        b"\0\x05\x01x\0\0\0\x01\x01h\0\x01x\x04\x07\x05LEAVEg\x04\x0a\x09SUBSCRIBE\x04\x06\x04JOINg",
    )
    .unwrap();
    eventually("for it to have joined", || {
        radio.send(to("g", "body")).unwrap();
        has_more(&peer, READY_LEN + 1)
    });
    radio.send(to("h", "stray")).unwrap();
    radio.send(to("g", "marker")).unwrap();
    let seen = await_body(&mut peer, b"marker");
    assert!(!seen.iter().any(|frame| frame == b"\0stray"), "{seen:?}");
    let body = [b"\x04JOIN", &[b'g'; 256][..]].concat();
    peer.write_all(&[&[6][..], &(body.len() as u64).to_be_bytes(), &body].concat()).unwrap();
    await_peers(&radio, 0);
}

#[test]
fn a_dish_that_comes_back_is_in_no_group_that_it_does_not_join_again() {
    let context = context();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let radio = connected(&context, SocketType::Radio, &endpoint);
    for (group, last) in [("old", "new"), ("new", "old")] {
        let mut peer = listener.accept().unwrap().0;
        peer.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
        shake_hands(&mut peer, "DISH");
        peer.read_exact(&mut [0; 64]).unwrap();
        peer.write_all(format!("\x04\x08\x04JOIN{group}").as_bytes()).unwrap();
        eventually("for it to have joined", || {
            radio.send(to(group, "?")).unwrap();
            has_more(&peer, READY_LEN + 1)
        });
        radio.send(to(last, "left")).unwrap();
        radio.send(to(group, "marker")).unwrap();
        let seen = await_body(&mut peer, b"marker");
        assert!(!seen.iter().any(|frame| frame == b"\0left"), "{seen:?}");
    }
}

#[test]
fn what_is_no_message_of_a_radio_is_discarded() {
    let context = context();
    let (dish, endpoint) = bound(&context, SocketType::Dish, "tcp://127.0.0.1:*");
    dish.join("g").unwrap();
    dish.join("").unwrap();
    let mut peer = stranger(&endpoint, "RADIO");
    let overlong = [&[3][..], &300_u64.to_be_bytes(), &[b'g'; 300], b"\0\x03bad"].concat();
    for message in [
        // One frame, three, a group that was not joined, one that can be none.
        &b"\0\x01g"[..],
        b"\x01\x01g\x01\x01x\0\x01y",
        b"\x01\x01h\0\x03bad",
        &overlong,
        b"\x01\x01g\0\x04good",
        b"\x01\0\0\x04also",
    ] {
        peer.write_all(message).unwrap();
    }
    expect_from(&dish, "g", "good");
    expect_from(&dish, "", "also");
    expect_nothing(&dish);
}

#[test]
fn threads_share_a_radio_and_a_dish() {
    const THREADS: u32 = 3;
    let each = scaled(1000);
    for endpoint in TRANSPORTS {
        let context = context();
        let radio = socket(&context, SocketType::Radio);
        radio.set_xpub_nodrop(true).unwrap();
        let endpoint = radio.bind(endpoint).unwrap();
        let dish = dish(&context, &endpoint, &["0", "1", "2"]);
        await_joined(&radio, &dish, "2");
        let seen: Vec<(u32, u32)> = thread::scope(|scope| {
            let (radio, dish) = (&radio, &dish);
            for thread in 0..THREADS {
                scope.spawn(move || {
                    let group = thread.to_string();
                    (0..each).for_each(|n| radio.send(to(&group, number(n))).unwrap());
                });
            }
            // Groups come and go meanwhile.
            scope.spawn(move || {
                for n in 0..200 {
                    dish.join(format!("other {n}")).unwrap();
                    dish.leave(format!("other {n}")).unwrap();
                }
            });
            let readers: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(move || {
                        let read = (0..each).map(|_| {
                            let message = dish.recv().unwrap();
                            let group = str::from_utf8(message.group().unwrap()).unwrap();
                            (group.parse().unwrap(), number_in(&message))
                        });
                        read.collect::<Vec<_>>()
                    })
                })
                .collect();
            readers.into_iter().flat_map(|reader| reader.join().unwrap()).collect()
        });
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), seen.len(), "each message once");
    }
}
