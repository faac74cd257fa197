//! RADIO and DISH: JOIN and LEAVE (RFC 37, "The Radio-Dish Pattern").

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use serverlink_zmtp::{Config, Error, PeerMisbehaved, SocketType, encode_membership};

use crate::support::{Seen, drain, established, raw_command};

fn long_command(name: &[u8], group_len: usize) -> Vec<u8> {
    let body = [&[name.len() as u8], name, &vec![b'g'; group_len]].concat();
    [&[6][..], &(body.len() as u64).to_be_bytes(), &body].concat()
}

#[test]
fn a_radio_hears_who_joins_and_leaves() {
    let now = Instant::now();
    let mut radio = established(Config::new(SocketType::Radio), SocketType::Dish, now);
    let bytes = [
        raw_command("JOIN", b"news"),
        raw_command("JOIN", b""),
        raw_command("LEAVE", b"news"),
        long_command(b"JOIN", 255),
        long_command(b"LEAVE", 255),
    ];
    radio.feed(bytes.concat().into(), now);
    let longest = Bytes::from(vec![b'g'; 255]);
    assert_eq!(
        drain(&mut radio, now),
        Ok(vec![
            Seen::Join("news".into()),
            Seen::Join("".into()),
            Seen::Leave("news".into()),
            Seen::Join(longest.clone()),
            Seen::Leave(longest),
        ])
    );
}

#[test]
fn a_group_of_more_than_255_bytes_breaks_the_protocol() {
    for name in ["JOIN", "LEAVE"] {
        let now = Instant::now();
        let mut radio = established(Config::new(SocketType::Radio), SocketType::Dish, now);
        radio.feed(long_command(name.as_bytes(), 256).into(), now);
        let error = drain(&mut radio, now).unwrap_err();
        assert!(
            matches!(&error, Error::PeerMisbehaved(PeerMisbehaved::MalformedCommand { command, .. })
                if *command == name),
            "{error}"
        );
    }
}

#[test]
fn nobody_else_hears_of_groups() {
    for (ours, theirs) in
        [(SocketType::Dish, SocketType::Radio), (SocketType::XPub, SocketType::Sub)]
    {
        let now = Instant::now();
        let mut connection = established(Config::new(ours), theirs, now);
        let bytes =
            [raw_command("JOIN", b"x"), raw_command("LEAVE", b"x"), raw_command("PING", b"\0\0")];
        connection.feed(bytes.concat().into(), now);
        assert_eq!(drain(&mut connection, now), Ok(vec![Seen::Ping]));
    }
}

#[test]
fn a_dish_says_it_as_libzmq_does() {
    for group in [&b"news"[..], b"", &[b'g'; 255]] {
        for (join, name) in [(true, "JOIN"), (false, "LEAVE")] {
            let mut out = BytesMut::new();
            encode_membership(&mut out, group, join);
            let expected = if group.len() < 200 {
                raw_command(name, group)
            } else {
                long_command(name.as_bytes(), group.len())
            };
            assert_eq!(out, expected[..]);
        }
    }
}
