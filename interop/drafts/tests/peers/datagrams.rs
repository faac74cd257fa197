//! RADIO, DISH and DGRAM over UDP.

use std::{net::UdpSocket, time::Duration};

use serverlink::{Context, Message, SocketType};
use serverlink_interop_drafts::{self as theirs, Kind, Libzmq, ours, until};

const MOMENT: Duration = Duration::from_millis(10);

/// A port that nobody uses.
fn vacant() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn endpoints() -> [String; 2] {
    [
        format!("udp://127.0.0.1:{}", vacant()),
        // A group, on the loopback interface.
        format!("udp://127.0.0.1;239.255.77.6:{}", vacant()),
    ]
}

fn bodies() -> [Vec<u8>; 4] {
    [0, 1, 256, 8000].map(|size| (0..size).map(|n| (n % 251) as u8).collect())
}

#[test]
fn a_radio_of_ours_with_their_dish() {
    for endpoint in endpoints() {
        let (context, libzmq) = (Context::new().unwrap(), Libzmq::new());
        let (radio, dish) = (ours(&context, SocketType::Radio), libzmq.socket(Kind::Dish));
        dish.bind(&endpoint);
        dish.join("news");
        radio.connect(&endpoint).unwrap();
        // It binds in its own time.
        until("it is bound", || {
            radio.send(Message::from("?").with_group("news")).unwrap();
            dish.recv_within(MOMENT).is_some()
        });
        radio.send(Message::from("!").with_group("news")).unwrap();
        until("it begins", || dish.recv().body == b"!");
        for body in bodies() {
            radio.send(Message::from("x").with_group("unwanted")).unwrap();
            radio.send(Message::from(body.clone()).with_group("news")).unwrap();
            let message = dish.recv();
            assert_eq!((message.group, message.body), (b"news".to_vec(), body));
        }
    }
}

#[test]
fn a_dish_of_ours_with_their_radio() {
    for endpoint in endpoints() {
        let (context, libzmq) = (Context::new().unwrap(), Libzmq::new());
        let (dish, radio) = (ours(&context, SocketType::Dish), libzmq.socket(Kind::Radio));
        dish.join("news").unwrap();
        dish.bind(&endpoint).unwrap();
        radio.connect(&endpoint);
        for body in bodies() {
            radio.send(&theirs::Message::new("x").in_group("unwanted"));
            radio.send(&theirs::Message::new(&body).in_group("news"));
            let message = dish.recv().unwrap();
            assert_eq!(message.group(), Some(&b"news"[..]));
            assert!(message[0] == body[..], "{} bytes", body.len());
        }
    }
}

#[test]
fn datagrams_and_their_senders() {
    let (context, libzmq) = (Context::new().unwrap(), Libzmq::new());
    let (one, other) = (ours(&context, SocketType::Dgram), libzmq.socket(Kind::Dgram));
    let here = one.bind("udp://127.0.0.1:*").unwrap().replace("udp://", "");
    let there = format!("127.0.0.1:{}", vacant());
    other.bind(&format!("udp://{there}"));
    for body in bodies() {
        other.send_pair(&here, &body);
        let message = one.recv().unwrap();
        assert_eq!(message[0], there[..]);
        assert!(message[1] == body[..], "{} bytes", body.len());
        one.send(message).unwrap();
        let (from, echo) = other.recv_pair();
        assert_eq!(from, format!("{here}\0").as_bytes());
        assert!(echo == body, "{} bytes back", body.len());
        // As it names us.
        other.send_pair(&from, "again");
        assert_eq!(one.recv().unwrap()[1], "again");
    }
}
