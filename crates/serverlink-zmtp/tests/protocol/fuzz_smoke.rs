//! The fuzz targets on a fixed set of seeds, so that a plain `cargo test` runs them too. The real
//! runs are described in `fuzz/README.md`.

use serverlink_zmtp::{Mechanism, SocketType};

use crate::support::{
    self,
    fuzz::{self, Choices, Passed},
    web::Role,
};

const CASES: u64 = 12_500;

/// The choices of the target, then the stream.
fn case(seed: u64, stream: &[u8]) -> Vec<u8> {
    [&seed.to_be_bytes()[..], stream].concat()
}

fn garbage(choices: &mut Choices) -> Vec<u8> {
    // Small values are likelier to be flags and lengths that lead somewhere.
    let mask = [0xff, 0x07, 0x03][choices.below(3)];
    (0..choices.below(200)).map(|_| choices.next() as u8 & mask).collect()
}

#[test]
fn garbage_in_traffic_is_survived_and_read_alike_in_any_split() {
    for seed in 0..CASES {
        let stream = garbage(&mut Choices::new(seed));
        fuzz::decode(&case(seed, &stream));
    }
}

#[test]
fn damaged_traffic_is_survived_and_read_alike_in_any_split() {
    for seed in 0..CASES {
        let mut choices = Choices::new(seed);
        let mut stream = fuzz::valid_traffic(&mut choices, fuzz::older_peer(seed));
        if seed % 3 != 0 {
            fuzz::damage(&mut stream, &mut choices);
        }
        fuzz::decode(&case(seed, &stream));
    }
}

#[test]
fn garbage_instead_of_a_greeting_is_survived_and_read_alike_in_any_split() {
    for seed in 0..CASES {
        let mut stream = garbage(&mut Choices::new(seed));
        if seed % 2 == 0 && !stream.is_empty() {
            stream[0] = 0xff;
        }
        fuzz::handshake(&case(seed, &stream));
    }
}

#[test]
fn damaged_handshakes_are_survived_and_read_alike_in_any_split() {
    for seed in 0..CASES {
        let mut choices = Choices::new(seed);
        let peer = [SocketType::Push, SocketType::Sub, SocketType::Dealer, SocketType::Pub];
        let peer = peer[(seed % 4) as usize];
        let mut stream = fuzz::valid_handshake(seed, peer);
        let older = matches!(fuzz::mechanism(seed), Mechanism::Null);
        let older = fuzz::older_peer(seed).filter(|_| older);
        stream.extend(fuzz::valid_traffic(&mut choices, older));
        if seed % 3 != 0 {
            fuzz::damage(&mut stream, &mut choices);
        }
        fuzz::handshake(&case(seed, &stream));
    }
}

#[test]
fn garbage_on_a_websocket_is_survived_and_read_alike_in_any_split() {
    for seed in 0..CASES {
        let mut stream = garbage(&mut Choices::new(seed));
        let (role, passed) = fuzz::web_choice(seed);
        if passed == Passed::Nothing && seed % 2 == 0 {
            let begin =
                if role == Role::Client { "HTTP/1.1 101 S\r\n" } else { "GET / HTTP/1.1\r\n" };
            stream.splice(..0, begin.bytes());
        }
        if passed != Passed::Nothing && stream.len() > 1 && seed % 4 != 0 {
            // A frame that leads somewhere.
            stream[0] = [0x82, 0x02, 0x89, 0x88][(seed / 4 % 4) as usize];
            stream[1] = stream[1] & 0x7f | if role == Role::Server { 0x80 } else { 0 };
        }
        fuzz::web(&case(seed, &stream));
    }
}

#[test]
fn damaged_websockets_are_survived_and_read_alike_in_any_split() {
    for seed in 0..CASES {
        let mut choices = Choices::new(seed);
        let mut stream = fuzz::valid_web(seed, &mut choices);
        if seed % 3 != 0 {
            fuzz::damage(&mut stream, &mut choices);
        }
        fuzz::web(&case(seed, &stream));
    }
}

#[test]
fn garbage_instead_of_what_is_encrypted_is_survived_and_means_nothing() {
    for seed in 0..400 {
        let mut choices = Choices::new(seed);
        let mut stream = garbage(&mut choices);
        if choices.one_in(2) {
            let name = ["HELLO", "WELCOME", "INITIATE", "READY", "MESSAGE", "ERROR"];
            let len = [40, 160, 194, 300][choices.below(4)];
            let data: Vec<_> = (0..len).map(|_| choices.next() as u8).collect();
            stream = support::raw_command(name[choices.below(6)], &data);
        }
        fuzz::curve(&[&[choices.next() as u8][..], &stream].concat());
    }
}
