//! RADIO and DISH, either library binding, over tcp and ipc.

use std::time::Duration;

use serverlink::{Context, Message, Socket, SocketType};
use serverlink_interop_drafts::{self as theirs, Kind, Libzmq, ours, until};

const ENDPOINTS: [&str; 3] = ["tcp://127.0.0.1:*", "ipc://*", "ws://127.0.0.1:*"];
const MOMENT: Duration = Duration::from_millis(10);

/// Longer than any name of a group may be is one byte more.
fn groups() -> [Vec<u8>; 3] {
    [b"news".to_vec(), vec![b'g'; 255], b"\xff\x01".to_vec()]
}

fn bodies() -> [Vec<u8>; 6] {
    [0, 1, 62, 256, 8192, 300_000].map(|size| (0..size).map(|n| (n % 251) as u8).collect())
}

#[track_caller]
fn expect_ours(dish: &Socket, group: &[u8], body: &[u8]) {
    let message = dish.recv().unwrap();
    assert_eq!(message.group(), Some(group));
    assert!(message[0] == *body, "{} bytes", body.len());
}

#[track_caller]
fn expect_theirs(dish: &theirs::Socket, group: &[u8], body: &[u8]) {
    let message = dish.recv();
    assert_eq!(message.group, group);
    assert!(message.body == body, "{} bytes", body.len());
}

#[test]
fn a_radio_of_ours_with_their_dish() {
    for endpoint in ENDPOINTS {
        for we_bind in [true, false] {
            let (context, libzmq) = (Context::new().unwrap(), Libzmq::new());
            let (radio, dish) = (ours(&context, SocketType::Radio), libzmq.socket(Kind::Dish));
            groups().iter().for_each(|group| dish.join(group));
            if we_bind {
                dish.connect(&radio.bind(endpoint).unwrap());
            } else {
                radio.connect(&dish.bind(endpoint)).unwrap();
            }
            let joined = |group: &[u8]| {
                until("it has joined", || {
                    radio.send(Message::from("?").with_group(group)).unwrap();
                    dish.recv_within(MOMENT).is_some()
                });
                radio.send(Message::from("!").with_group(group)).unwrap();
                until("it begins", || dish.recv().body == b"!");
            };
            joined(&groups()[2]);
            for group in groups() {
                for body in bodies() {
                    radio.send(Message::from("x").with_group("unwanted")).unwrap();
                    radio.send(Message::from(body.clone()).with_group(&group)).unwrap();
                    expect_theirs(&dish, &group, &body);
                }
            }
            // What it leaves does not come any more, what it joins does.
            dish.leave("news");
            dish.join("more");
            joined(b"more");
            radio.send(Message::from("unwanted").with_group("news")).unwrap();
            radio.send(Message::from("wanted").with_group("more")).unwrap();
            expect_theirs(&dish, b"more", b"wanted");
        }
    }
}

#[test]
fn a_dish_of_ours_with_their_radio() {
    for endpoint in ENDPOINTS {
        for we_bind in [true, false] {
            let (context, libzmq) = (Context::new().unwrap(), Libzmq::new());
            let (dish, radio) = (ours(&context, SocketType::Dish), libzmq.socket(Kind::Radio));
            groups().iter().for_each(|group| dish.join(group).unwrap());
            if we_bind {
                radio.connect(&dish.bind(endpoint).unwrap());
            } else {
                dish.connect(&radio.bind(endpoint)).unwrap();
            }
            let send = |group: &[u8], body: &[u8]| {
                radio.send(&theirs::Message::new(body).in_group(group));
            };
            let joined = |group: &[u8]| {
                until("it has joined", || {
                    send(group, b"?");
                    dish.recv_timeout(MOMENT).is_ok()
                });
                send(group, b"!");
                until("it begins", || dish.recv().unwrap()[0] == "!");
            };
            // Every one of them: the order in which a DISH tells of them is its own.
            groups().iter().for_each(|group| joined(group));
            for group in groups() {
                for body in bodies() {
                    send(b"unwanted", b"x");
                    send(&group, &body);
                    expect_ours(&dish, &group, &body);
                }
            }
            dish.leave("news").unwrap();
            dish.join("more").unwrap();
            joined(b"more");
            send(b"news", b"unwanted");
            send(b"more", b"wanted");
            expect_ours(&dish, b"more", b"wanted");
        }
    }
}
