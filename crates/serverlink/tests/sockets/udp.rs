//! `udp://`: RADIO, DISH and DGRAM.
//!
//! Over loopback, datagrams arrive in order unless there are too many of them.

use std::{
    net::{SocketAddr, UdpSocket},
    thread,
    time::Duration,
};

use serverlink::{Context, Message, Socket, SocketType};

use crate::{
    endpoints::ipv6,
    harness::{
        PATIENCE, await_peers, bound, connected, context, errno, eventually, expect_nothing,
        frames, refusal, scaled, socket,
    },
};

fn to(group: impl AsRef<[u8]>, body: impl Into<Message>) -> Message {
    body.into().with_group(group)
}

/// A DISH on a free port of this machine, and where.
fn dish(context: &Context, groups: &[&str]) -> (Socket, String) {
    let (dish, endpoint) = bound(context, SocketType::Dish, "udp://127.0.0.1:*");
    groups.iter().for_each(|group| dish.join(group).unwrap());
    (dish, endpoint)
}

fn address(endpoint: &str) -> SocketAddr {
    endpoint.strip_prefix("udp://").unwrap().parse().unwrap()
}

/// A UDP socket of the system's.
fn stranger() -> UdpSocket {
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.set_read_timeout(Some(PATIENCE)).unwrap();
    stranger
}

#[track_caller]
fn expect_from(dish: &Socket, group: &str, body: &[u8]) {
    let message = dish.recv().unwrap();
    assert_eq!(message.group(), Some(group.as_bytes()));
    assert!(message[0] == *body, "{} bytes instead of {}", message[0].len(), body.len());
}

#[test]
fn a_dish_receives_its_groups() {
    let context = context();
    let (dish, endpoint) = dish(&context, &["news", ""]);
    let radio = connected(&context, SocketType::Radio, &endpoint);
    for size in [0, 1, 100, 1400, 9000, 60_000] {
        let body: Vec<u8> = (0..size).map(|n| n as u8).collect();
        radio.send(to("other", "unwanted")).unwrap();
        radio.send(to("news", body.clone())).unwrap();
        radio.send(body.clone()).unwrap();
        expect_from(&dish, "news", &body);
        expect_from(&dish, "", &body);
    }
    // What cannot be sent at all is dropped, as everything may be.
    radio.send(to("news", vec![0; 70_000])).unwrap();
    radio.send(to("news", "marker")).unwrap();
    expect_from(&dish, "news", b"marker");
    expect_nothing(&dish);
}

#[test]
fn a_datagram_is_the_groups_length_the_group_and_the_body() {
    let context = context();
    let stranger = stranger();
    let endpoint = format!("udp://{}", stranger.local_addr().unwrap());
    let radio = connected(&context, SocketType::Radio, &endpoint);
    for (group, datagram) in
        [("news".to_owned(), b"\x04newsbody".to_vec()), (String::new(), b"\0body".to_vec()), {
            let longest = "g".repeat(255);
            (longest.clone(), [b"\xff", longest.as_bytes(), b"body"].concat())
        }]
    {
        radio.send(to(&group, "body")).unwrap();
        let mut buffer = [0; 1000];
        let length = stranger.recv(&mut buffer).unwrap();
        assert_eq!(buffer[..length], datagram);
    }
}

#[test]
fn datagrams_that_make_no_sense_are_ignored() {
    let context = context();
    let (dish, endpoint) = dish(&context, &["g", ""]);
    let stranger = stranger();
    let longest = [&[255][..], &[b'g'; 254]].concat();
    for datagram in
        [&b""[..], b"\x01", b"\x02g", b"\xff", &longest, b"\x01hbad", b"\x01ggood", b"\0"]
    {
        stranger.send_to(datagram, address(&endpoint)).unwrap();
    }
    expect_from(&dish, "g", b"good");
    expect_from(&dish, "", b"");
    expect_nothing(&dish);
}

#[test]
fn a_radio_speaks_to_datagrams_and_connections_at_once() {
    let context = context();
    let (one, endpoint) = dish(&context, &["g"]);
    let radio = connected(&context, SocketType::Radio, &endpoint);
    let (other, endpoint) = bound(&context, SocketType::Dish, "inproc://dish");
    other.join("g").unwrap();
    radio.connect(&endpoint).unwrap();
    await_peers(&radio, 1);
    radio.send(to("g", "to both")).unwrap();
    expect_from(&one, "g", b"to both");
    expect_from(&other, "g", b"to both");
    // And no more to one that it is disconnected from.
    radio.disconnect(&one.last_endpoint().unwrap()).unwrap();
    radio.send(to("g", "to one")).unwrap();
    expect_from(&other, "g", b"to one");
    connected(&context, SocketType::Radio, &one.last_endpoint().unwrap())
        .send(to("g", "marker"))
        .unwrap();
    expect_from(&one, "g", b"marker");
}

#[test]
fn a_multicast_group_reaches_every_dish_that_is_bound_to_it() {
    let context = context();
    let vacant = stranger().local_addr().unwrap().port();
    let endpoint = format!("udp://127.0.0.1;239.255.77.5:{vacant}");
    let dishes: Vec<_> = (0..2)
        .map(|_| {
            let (dish, name) = bound(&context, SocketType::Dish, &endpoint);
            assert_eq!(name, endpoint);
            dish.join("g").unwrap();
            dish
        })
        .collect();
    let radio = socket(&context, SocketType::Radio);
    radio.set_multicast_hops(2).unwrap();
    radio.connect(&endpoint).unwrap();
    radio.send(to("g", "to all")).unwrap();
    dishes.iter().for_each(|dish| expect_from(dish, "g", b"to all"));
    assert_eq!(errno(radio.set_multicast_hops(0)), "EINVAL");
}

#[test]
#[cfg(target_os = "linux")]
fn what_is_broadcast_arrives() {
    let context = context();
    let (dish, endpoint) = bound(&context, SocketType::Dish, "udp://*:*");
    dish.join("g").unwrap();
    let port = address(&endpoint).port();
    // The broadcast address of the loopback network.
    let radio = connected(&context, SocketType::Radio, &format!("udp://127.255.255.255:{port}"));
    radio.send(to("g", "to all")).unwrap();
    expect_from(&dish, "g", b"to all");
}

#[test]
fn a_dgram_receives_from_anybody_and_answers() {
    let context = context();
    let (one, endpoint) = bound(&context, SocketType::Dgram, "udp://127.0.0.1:*");
    let stranger = stranger();
    let name = stranger.local_addr().unwrap().to_string();
    for body in ["hello", "", "bye"] {
        stranger.send_to(body.as_bytes(), address(&endpoint)).unwrap();
        let message = one.recv().unwrap();
        assert_eq!(message, frames([&name, body]));
        one.send(message).unwrap();
        let mut buffer = [0; 100];
        let (length, from) = stranger.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (body.as_bytes(), address(&endpoint)));
    }
    // As libzmq names senders, with a zero at the end.
    one.send(frames([&format!("{name}\0"), "zero"])).unwrap();
    assert_eq!(stranger.recv(&mut [0; 10]).unwrap(), 4);
    let (other, there) = bound(&context, SocketType::Dgram, "udp://127.0.0.1:*");
    let large = "x".repeat(60_000);
    one.send(frames([&address(&there).to_string(), &large])).unwrap();
    assert_eq!(other.recv().unwrap(), frames([&address(&endpoint).to_string(), &large]));
}

#[test]
fn what_is_no_message_of_a_dgram_comes_back() {
    let context = context();
    let (dgram, endpoint) = bound(&context, SocketType::Dgram, "udp://127.0.0.1:*");
    for message in [
        Message::from("127.0.0.1:1"),
        frames(["127.0.0.1:1", "a", "b"]),
        frames(["127.0.0.1", "x"]),
        frames(["127.0.0.1:0", "x"]),
        frames(["localhost:1", "x"]),
        frames(["\u{1}", "x"]),
        frames(["127.0.0.1:1", &"x".repeat(65_508)]),
    ] {
        let refused = dgram.send(message.clone()).unwrap_err();
        assert_eq!((refused.error.errno_name(), refused.message), ("EINVAL", message));
    }
    assert_eq!(errno(dgram.bind("udp://127.0.0.1:*")), "EFSM");
    dgram.unbind(&endpoint).unwrap();
    assert_eq!(refusal(dgram.try_send(frames(["127.0.0.1:1", "x"]))).errno_name(), "EAGAIN");
    dgram.bind("udp://127.0.0.1:*").unwrap();
    dgram.send(frames(["127.0.0.1:1", "x"])).unwrap();
}

#[test]
fn each_type_binds_and_connects_as_it_may() {
    let context = context();
    for (socket_type, may_bind, may_connect) in [
        (SocketType::Dish, true, false),
        (SocketType::Dgram, true, false),
        (SocketType::Radio, false, true),
        (SocketType::Push, false, false),
        (SocketType::Stream, false, false),
    ] {
        let socket = socket(&context, socket_type);
        if !may_bind {
            assert_eq!(errno(socket.bind("udp://127.0.0.1:*")), "ENOCOMPATPROTO");
        }
        if !may_connect {
            assert_eq!(errno(socket.connect("udp://127.0.0.1:9")), "ENOCOMPATPROTO");
        }
    }
    let dgram = socket(&context, SocketType::Dgram);
    for other in ["tcp://127.0.0.1:*", "inproc://x"] {
        assert_eq!(errno(dgram.bind(other)), "ENOCOMPATPROTO");
    }
    let radio = socket(&context, SocketType::Radio);
    for endpoint in ["udp://127.0.0.1:*", "udp://", "udp://nobody.invalid:9"] {
        assert_eq!(errno(radio.connect(endpoint)), "EINVAL");
    }
    let (_dish, taken) = dish(&context, &[]);
    assert_eq!(errno(socket(&context, SocketType::Dish).bind(&taken)), "EADDRINUSE");
    // Wine takes any address for one of its own.
    if cfg!(unix) {
        let nowhere = socket(&context, SocketType::Dish).bind("udp://192.0.2.1:*");
        assert_eq!(errno(nowhere), "EADDRNOTAVAIL");
    }
}

#[test]
fn a_slow_dish_loses_datagrams_and_keeps_its_mark() {
    const MARK: u32 = 10;
    let context = context();
    let dish = socket(&context, SocketType::Dish);
    dish.set_receive_high_water_mark(MARK as usize).unwrap();
    dish.join("g").unwrap();
    let endpoint = dish.bind("udp://127.0.0.1:*").unwrap();
    let radio = connected(&context, SocketType::Radio, &endpoint);
    let before = context.statistics().completions;
    let mut sent = 0;
    // Until so many have been read that they are more than the mark.
    eventually("for them to be read", || {
        radio.send(to("g", (sent as u32).to_be_bytes())).unwrap();
        sent += 1;
        sent > 1000 && context.statistics().completions > before + 20
    });
    let kept: Vec<_> = std::iter::from_fn(|| dish.recv_timeout(Duration::from_millis(200)).ok())
        .take_while(|message| message[0] != b"marker"[..])
        .collect();
    assert!(kept.len() < sent, "all {sent} were kept");
    let numbers: Vec<_> =
        kept.iter().map(|kept| u32::from_be_bytes(kept[0][..].try_into().unwrap())).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    assert_eq!(numbers[0], 0, "what came first was kept");
    // It is served again.
    eventually("for more", || {
        radio.send(to("g", "marker")).unwrap();
        dish.try_recv().is_ok()
    });
}

#[test]
fn an_endpoint_is_free_again_and_nothing_comes_there() {
    let context = context();
    let (dish, endpoint) = dish(&context, &["g"]);
    let radio = connected(&context, SocketType::Radio, &endpoint);
    dish.unbind(&endpoint).unwrap();
    let next = socket(&context, SocketType::Dish);
    next.join("g").unwrap();
    eventually("for the port", || next.bind(&endpoint).is_ok());
    radio.send(to("g", "to the next")).unwrap();
    expect_from(&next, "g", b"to the next");
    expect_nothing(&dish);
    drop(next);
    // Whatever happens to what nobody receives, the sender goes on.
    (0..10).for_each(|_| radio.send(to("g", "to nobody")).unwrap());
}

#[test]
fn threads_share_a_dgram() {
    const THREADS: usize = 4;
    let rounds = scaled(200);
    let context = context();
    let (server, endpoint) = bound(&context, SocketType::Dgram, "udp://127.0.0.1:*");
    thread::scope(|scope| {
        let clients: Vec<_> = (0..THREADS)
            .map(|_| {
                let endpoint = address(&endpoint);
                scope.spawn(move || {
                    let client = stranger();
                    for round in 0..rounds {
                        client.send_to(&round.to_be_bytes(), endpoint).unwrap();
                        let mut echo = [0; 4];
                        client.recv(&mut echo).unwrap();
                        assert_eq!(u32::from_be_bytes(echo), round);
                    }
                })
            })
            .collect();
        for _ in 0..2 {
            scope.spawn(|| {
                while let Ok(message) = server.recv_timeout(Duration::from_secs(1)) {
                    server.send(message).unwrap();
                }
            });
        }
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
}

#[test]
fn ipv6_datagrams_arrive() {
    if !ipv6() {
        return;
    }
    let context = context();
    let (dish, endpoint) = bound(&context, SocketType::Dish, "udp://[::1]:*");
    dish.join("g").unwrap();
    connected(&context, SocketType::Radio, &endpoint).send(to("g", "six")).unwrap();
    expect_from(&dish, "g", b"six");
    let (one, here) = bound(&context, SocketType::Dgram, "udp://[::1]:*");
    let (other, there) = bound(&context, SocketType::Dgram, "udp://[::1]:*");
    one.send(frames([&address(&there).to_string(), "hello"])).unwrap();
    assert_eq!(other.recv().unwrap(), frames([&address(&here).to_string(), "hello"]));
}

#[test]
fn any_address_takes_both_kinds_of_datagrams_where_ipv6_is_wanted() {
    if !ipv6() {
        return;
    }
    let context = context();
    let dish = socket(&context, SocketType::Dish);
    dish.set_ipv6(true).unwrap();
    dish.join("g").unwrap();
    let endpoint = dish.bind("udp://*:*").unwrap();
    let port = address(&endpoint).port();
    for host in ["[::1]", "127.0.0.1"] {
        let radio = connected(&context, SocketType::Radio, &format!("udp://{host}:{port}"));
        radio.send(to("g", host)).unwrap();
        expect_from(&dish, "g", host.as_bytes());
    }
}
