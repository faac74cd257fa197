//! Interfaces of this machine, by name: where to bind, and where connections and datagrams come from.
//!
//! Windows has long names for them, with spaces.
#![cfg(unix)]

use std::{
    net::{IpAddr, TcpListener, UdpSocket},
    time::Duration,
};

use serverlink::{Message, SocketType};

use crate::{
    endpoints::ipv6,
    harness::{bound, connected, context, errno, expect, expect_nothing, socket},
};

/// The loopback interface.
const LOOPBACK: &str =
    if cfg!(any(target_os = "linux", target_os = "android")) { "lo" } else { "lo0" };

fn to(group: &str, body: &str) -> Message {
    Message::from(body).with_group(group)
}

fn vacant_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn what_is_bound_to_an_interface_is_reached_at_its_address() {
    let context = context();
    let (pull, endpoint) = bound(&context, SocketType::Pull, &format!("tcp://{LOOPBACK}:*"));
    assert!(endpoint.starts_with("tcp://127.0.0.1:"), "{endpoint}");
    let push = connected(&context, SocketType::Push, &endpoint);
    push.send("hello").unwrap();
    expect(&pull, "hello");
    let (dish, endpoint) = bound(&context, SocketType::Dish, &format!("udp://{LOOPBACK}:*"));
    assert!(endpoint.starts_with("udp://127.0.0.1:"), "{endpoint}");
    dish.join("g").unwrap();
    connected(&context, SocketType::Radio, &endpoint).send(to("g", "hello")).unwrap();
    expect(&dish, "hello");
    let (_dgram, endpoint) = bound(&context, SocketType::Dgram, &format!("udp://{LOOPBACK};*:*"));
    assert!(endpoint.contains("127.0.0.1:"), "{endpoint}");
}

#[test]
fn an_interface_has_an_ipv6_address_where_that_is_wanted() {
    if !ipv6() {
        return;
    }
    let context = context();
    let pull = socket(&context, SocketType::Pull);
    pull.set_ipv6(true).unwrap();
    let endpoint = pull.bind(&format!("tcp://{LOOPBACK}:*")).unwrap();
    assert!(endpoint.starts_with("tcp://[::1]:"), "{endpoint}");
}

#[test]
fn connections_come_from_the_interface_that_is_named() {
    let context = context();
    for source in [LOOPBACK.to_owned(), format!("{LOOPBACK}:*"), "127.0.0.1".to_owned()] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = format!("tcp://{source};{}", listener.local_addr().unwrap());
        let push = connected(&context, SocketType::Push, &to);
        assert!(listener.accept().unwrap().1.ip().is_loopback());
        push.disconnect(&push.last_endpoint().unwrap()).unwrap();
    }
    // And from a port, if one is named too.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = vacant_port();
    let to = format!("tcp://{LOOPBACK}:{port};{}", listener.local_addr().unwrap());
    let _push = connected(&context, SocketType::Push, &to);
    assert_eq!(listener.accept().unwrap().1.to_string(), format!("127.0.0.1:{port}"));
    if ipv6() {
        let listener = TcpListener::bind("[::1]:0").unwrap();
        let to = format!("tcp://{LOOPBACK};{}", listener.local_addr().unwrap());
        let _push = connected(&context, SocketType::Push, &to);
        assert!(listener.accept().unwrap().1.ip().is_loopback());
    }
}

#[test]
fn a_group_is_joined_and_sent_to_at_an_interface() {
    let context = context();
    let endpoint = format!("udp://{LOOPBACK};239.255.77.6:{}", vacant_port());
    let (dish, name) = bound(&context, SocketType::Dish, &endpoint);
    assert_eq!(name, endpoint);
    dish.join("g").unwrap();
    connected(&context, SocketType::Radio, &endpoint).send(to("g", "hello")).unwrap();
    expect(&dish, "hello");
}

#[test]
fn an_ipv6_group_is_joined_and_sent_to_at_an_interface() {
    // The loopback interface has no such groups.
    let Some((name, _)) = outward(true) else { return };
    let context = context();
    let group = format!("[ff02::7705]:{}", vacant_port());
    let endpoint = format!("udp://{name};{group}");
    let (dish, bound) = bound(&context, SocketType::Dish, &endpoint);
    assert_eq!(bound, endpoint);
    dish.join("g").unwrap();
    let radio = connected(&context, SocketType::Radio, &endpoint);
    radio.send(to("g", "hello")).unwrap();
    expect(&dish, "hello");
    let by_address = format!("udp://127.0.0.1;{group}");
    assert_eq!(errno(dish.bind(&by_address)), "EINVAL");
    assert_eq!(errno(radio.connect(&by_address)), "EINVAL");
}

#[test]
fn a_connection_comes_from_an_interface_to_others() {
    let Some((name, address)) = outward(false) else { return };
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let context = context();
    let to = format!("tcp://{name};127.0.0.1:{port}");
    let _push = connected(&context, SocketType::Push, &to);
    assert_eq!(listener.accept().unwrap().1.ip(), address);
    let (_pull, endpoint) = bound(&context, SocketType::Pull, &format!("tcp://{name}:*"));
    assert!(endpoint.starts_with(&format!("tcp://{address}:")), "{endpoint}");
}

/// An interface to others, and an address of it: what goes by the loopback interface comes back in any
/// case.
fn outward(ipv6: bool) -> Option<(String, IpAddr)> {
    let all = if_addrs::get_if_addrs().unwrap();
    let fit = |it: &if_addrs::Interface| it.is_oper_up() && it.ip().is_ipv6() == ipv6;
    let found = all.into_iter().find(|it| !it.is_loopback() && fit(it));
    if found.is_none() {
        println!("skipped: no interface to others with such an address");
    }
    found.map(|found| (found.name.clone(), found.ip()))
}

#[test]
fn a_radio_may_keep_its_datagrams_from_this_machine() {
    let context = context();
    for (v6, group) in [(false, "239.255.77.7"), (true, "[ff02::7706]")] {
        let Some((name, _)) = outward(v6) else { continue };
        let endpoint = format!("udp://{name};{group}:{}", vacant_port());
        let (dish, _) = bound(&context, SocketType::Dish, &endpoint);
        dish.join("g").unwrap();
        let silent = socket(&context, SocketType::Radio);
        silent.set_multicast_loop(false).unwrap();
        silent.connect(&endpoint).unwrap();
        let loud = connected(&context, SocketType::Radio, &endpoint);
        assert!(loud.multicast_loop());
        silent.send(to("g", "elsewhere")).unwrap();
        loud.send(to("g", "here, too")).unwrap();
        expect(&dish, "here, too");
        expect_nothing(&dish);
    }
}

#[test]
fn what_a_radio_keeps_from_this_machine_holds_for_groups_connected_to_later() {
    let context = context();
    let Some((name, _)) = outward(false) else { return };
    let [early, late] = [(); 2].map(|()| format!("udp://{name};239.255.77.10:{}", vacant_port()));
    let [first, second] = [&early, &late].map(|endpoint| {
        let (dish, _) = bound(&context, SocketType::Dish, endpoint);
        dish.join("g").unwrap();
        dish
    });
    let radio = connected(&context, SocketType::Radio, &early);
    radio.set_multicast_loop(false).unwrap();
    radio.connect(&late).unwrap();
    radio.send(to("g", "to all")).unwrap();
    expect(&first, "to all");
    // Of both groups the second has this alone.
    connected(&context, SocketType::Radio, &late).send(to("g", "marker")).unwrap();
    expect(&second, "marker");
    expect_nothing(&first);
}

#[test]
fn who_names_an_interface_that_is_not_there_is_told_which_are() {
    let context = context();
    let there = format!("{LOOPBACK} (127.0.0.1");
    let pull = socket(&context, SocketType::Pull);
    let dish = socket(&context, SocketType::Dish);
    let radio = socket(&context, SocketType::Radio);
    for result in [
        pull.bind("tcp://no-such-interface.invalid:*").map(drop),
        pull.connect("tcp://no-such-0;127.0.0.1:9"),
        dish.bind("udp://no-such-0;239.255.77.8:5555").map(drop),
        dish.bind("udp://no-such-0;*:5555").map(drop),
        dish.bind("udp://no-such-interface.invalid:*").map(drop),
        radio.connect("udp://no-such-0;239.255.77.8:5555"),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.errno_name(), "EINVAL");
        assert!(error.to_string().contains(&there), "{error}");
        assert!(error.to_string().contains("no-such"), "{error}");
    }
    // Whom one connects to is not one's own interface.
    let push = socket(&context, SocketType::Push);
    push.set_linger(Some(Duration::ZERO)).unwrap();
    push.connect(&format!("tcp://{LOOPBACK}:9")).unwrap();
    assert_eq!(push.peer_count(), 0);
}
