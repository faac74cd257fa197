//! Peers that do not keep to the protocol: the socket gets rid of them, and serves a good one
//! meanwhile.

use std::time::Duration;

use serverlink::SocketType::{self, *};
use serverlink_interop::{
    Contexts,
    Library::{Libzmq, ServerLink},
    Peer, limits, panics, payload,
    raw::{COMMAND, MORE, RawPeer, announced, command, frame, greeting, ready},
    until,
};

const HALF_OPEN: usize = 1_000;

/// A PULL of ServerLink, and a good peer that sends to it.
struct Scene {
    pull: Peer,
    good: Peer,
    endpoint: String,
    messages: u64,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(prepare: impl FnOnce(&serverlink::Socket)) -> Self {
        panics::watch();
        let contexts = Contexts::new();
        let pull = contexts.open(ServerLink, Pull);
        prepare(pull.ours());
        let endpoint = pull.bind();
        let good = contexts.open(Libzmq, Push);
        good.connect(&endpoint);
        let mut scene = Self { pull, good, endpoint, messages: 0 };
        scene.is_well();
        scene
    }

    /// A stream to the socket, over which nothing was said.
    fn stranger(&self) -> RawPeer {
        RawPeer::connect(&self.endpoint)
    }

    /// A peer that has kept to the protocol so far.
    fn acquaintance(&self) -> RawPeer {
        self.stranger().shake_hands(1, "PUSH")
    }

    /// The good peer is served, also by a new connection.
    fn is_well(&mut self) {
        for _ in 0..10 {
            self.good.send([payload::numbered(self.messages)]);
            assert_eq!(payload::number(&self.pull.recv()[0]), self.messages);
            self.messages += 1;
        }
        assert_eq!(panics::count(), 0);
    }

    /// Nobody is left but the good peer.
    fn is_rid_of_others(&mut self) {
        until("the others are gone", || self.pull.ours().peer_count() == 1);
        self.is_well();
    }
}

/// Writes `bytes` and expects to be disconnected, though the stream stays open on this side.
fn is_thrown_out(scene: &mut Scene, mut peer: RawPeer, bytes: &[u8]) -> Vec<u8> {
    peer.try_write(bytes);
    let answer = peer.rest();
    scene.is_rid_of_others();
    answer
}

#[test]
fn greetings_cut_off() {
    let mut scene = Scene::new();
    for len in 0..64 {
        let mut peer = scene.stranger();
        peer.write(&greeting(1)[..len]);
        peer.finish();
        peer.rest();
    }
    scene.is_rid_of_others();
}

#[test]
fn handshakes_cut_off() {
    let mut scene = Scene::new();
    let ready = ready("PUSH");
    for len in 0..ready.len() {
        let mut peer = scene.stranger();
        peer.write(&greeting(1));
        peer.write(&ready[..len]);
        peer.finish();
        peer.rest();
    }
    scene.is_rid_of_others();
}

/// A message is delivered whole or not at all.
#[test]
fn messages_cut_off() {
    let mut scene = Scene::new();
    let message = [frame(MORE, b"first"), frame(0, &[7; 300])].concat();
    for len in 0..message.len() {
        let mut peer = scene.acquaintance();
        peer.write(&message[..len]);
        peer.finish();
        peer.rest();
    }
    scene.is_rid_of_others();
}

#[test]
fn other_protocols() {
    let mut scene = Scene::new();
    let mut with_other_mechanism = greeting(1);
    with_other_mechanism[12..18].copy_from_slice(b"KERBER");
    let mut without_mechanism = greeting(1);
    without_mechanism[12..16].fill(0);
    let mut of_version_0 = greeting(1);
    of_version_0[10] = 0;
    let mut with_wrong_signature = greeting(1);
    with_wrong_signature[9] = 0x7c;
    for bytes in [
        &b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and so on, as TLS would",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n and what follows, up to a greeting's length",
        &[0; 100],
        &[0xff; 100],
        &with_other_mechanism,
        &without_mechanism,
        &of_version_0,
        &with_wrong_signature,
    ] {
        let peer = scene.stranger();
        is_thrown_out(&mut scene, peer, bytes);
    }
}

#[test]
fn lengths_beyond_reason_are_an_error() {
    let mut scene = Scene::new();
    for len in [1 << 63, (1 << 63) + 1, u64::MAX] {
        for flags in [0, MORE, COMMAND] {
            let peer = scene.acquaintance();
            is_thrown_out(&mut scene, peer, &announced(flags, len));
        }
    }
}

/// Before the handshake is done, nothing of any size is expected.
#[test]
fn long_handshakes_are_an_error() {
    let mut scene = Scene::new();
    for len in [1 << 20, 1 << 40, 1 << 62, 1 << 63, u64::MAX] {
        for flags in [0, COMMAND] {
            let mut peer = scene.stranger();
            peer.write(&greeting(1));
            is_thrown_out(&mut scene, peer, &announced(flags, len));
        }
    }
}

/// What was announced may come; memory is for what has come.
#[test]
#[cfg(target_os = "linux")]
fn announced_lengths_take_no_memory() {
    const PEERS: usize = 100;
    const BODY: usize = 4096;
    const MOST_KIB: usize = PEERS * (5 * BODY / 1024 + 80);
    let mut scene = Scene::new();
    let before = limits::resident_kib();
    let peers: Vec<_> = (0..PEERS)
        .map(|i| {
            let mut peer = scene.acquaintance();
            peer.write(&announced((i % 2) as u8 * COMMAND, 1 << 62));
            peer.try_write(&[7; BODY]);
            peer
        })
        .collect();
    scene.is_well();
    let after = limits::resident_kib();
    assert!(after < before + MOST_KIB, "{before} KiB became {after} KiB");
    drop(peers);
    scene.is_rid_of_others();
}

#[test]
fn messages_over_the_limit_are_an_error() {
    let mut scene = Scene::with(|pull| pull.set_max_message_size(Some(1000)).unwrap());
    for len in [1001, 1 << 16, 1 << 62] {
        let peer = scene.acquaintance();
        is_thrown_out(&mut scene, peer, &announced(0, len));
    }
    let mut peer = scene.acquaintance();
    peer.write(&frame(0, &[7; 1000]));
    scene.pull.expect([[7; 1000]]);
}

#[test]
fn types_that_do_not_match_are_told_so() {
    let mut scene = Scene::new();
    for socket_type in SocketType::ALL {
        if socket_type != Push {
            let mut peer = scene.stranger();
            peer.write(&greeting(1));
            let answer = is_thrown_out(&mut scene, peer, &ready(socket_type.as_str()));
            let error = command("ERROR", b"");
            let name = &error[2..];
            let told = answer.windows(name.len()).any(|bytes| bytes == name);
            assert!(told, "{socket_type}: {}", answer.escape_ascii());
        }
    }
    for other in ["", "NONSENSE", "PUSH ", "\u{0}", &"PUSH".repeat(1000)] {
        let mut peer = scene.stranger();
        peer.write(&greeting(1));
        is_thrown_out(&mut scene, peer, &ready(other));
    }
}

#[test]
fn damaged_handshakes() {
    let mut scene = Scene::new();
    let property =
        |name: &str, len: u32| [&[name.len() as u8], name.as_bytes(), &len.to_be_bytes()].concat();
    for bytes in [
        // No command at all, no name, no such name, a name that is not there.
        frame(0, b"a message"),
        frame(COMMAND, b""),
        command("NONSENSE", b""),
        frame(COMMAND, b"\xffREADY"),
        // A value, a length, a name cut off; a type that is missing.
        command("READY", &property("Socket-Type", 4)),
        command("READY", &property("Socket-Type", u32::MAX)),
        command("READY", &property("Socket-Type", 4)[..13]),
        command("READY", b"\x0bSock"),
        command("READY", b""),
        // Words of later handshakes.
        command("SUBSCRIBE", b"topic"),
        command("PING", b"\x00\x00"),
        command("ERROR", b""),
        command("ERROR", b"\x05no"),
        command("ERROR", b"\x04none"),
    ] {
        let mut peer = scene.stranger();
        peer.write(&greeting(1));
        is_thrown_out(&mut scene, peer, &bytes);
    }
}

#[test]
fn damaged_traffic() {
    let mut scene = Scene::new();
    for bytes in [
        frame(COMMAND, b""),
        frame(COMMAND, b"\xffPING"),
        command("PING", b""),
        command("PING", b"\x00"),
        command("ERROR", b"\x04nope"),
        command("READY", b""),
        ready("PUSH"),
        frame(0xff, b"reserved flags"),
        frame(COMMAND | MORE, b"\x04PING\x00\x00"),
    ] {
        let mut peer = scene.acquaintance();
        peer.try_write(&bytes);
        scene.is_well();
        // Thrown out or not, it does no harm.
        peer.finish();
        peer.rest();
    }
    scene.is_rid_of_others();
}

/// A hundred thousand streams were tried where the decoder is tested; these go through a socket.
#[test]
fn random_damage() {
    const STREAMS: u64 = 300;
    let mut scene = Scene::new();
    let stream = [
        &greeting(1)[..],
        &ready("PUSH"),
        &frame(MORE, b"first"),
        &frame(0, &[7; 300]),
        &command("PING", b"\x00\x10context"),
        &frame(0, b"last"),
    ]
    .concat();
    for seed in 0..STREAMS {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut damaged = stream.clone();
        for _ in 0..random.usize(1..6) {
            let at = random.usize(..damaged.len());
            match random.u8(..3) {
                0 => damaged[at] = random.u8(..),
                1 => drop(damaged.remove(at)),
                _ => damaged.insert(at, random.u8(..)),
            }
        }
        let mut peer = scene.stranger();
        peer.try_write(&damaged);
        peer.finish();
        peer.rest();
    }
    // What was not damaged too much was delivered.
    while scene.pull.recv_within(Duration::from_millis(1)).is_some() {}
    scene.is_rid_of_others();
}

#[test]
fn a_thousand_half_open_connections() {
    limits::raise_open_files(3 * HALF_OPEN as u64);
    let mut scene = Scene::with(|pull| pull.set_backlog(HALF_OPEN as i32).unwrap());
    let mut peers: Vec<_> = (0..HALF_OPEN).map(|_| scene.stranger()).collect();
    scene.is_well();
    for (i, peer) in peers.iter_mut().enumerate() {
        peer.write(&greeting(1)[..i % 64]);
    }
    scene.is_well();
    // Any of them may still go on.
    let mut late = peers.swap_remove(64);
    late.write(&greeting(1));
    drop(peers);
    late.write(&ready("PUSH"));
    late.write(&frame(0, b"late"));
    scene.pull.expect(["late"]);
    drop(late);
    scene.is_rid_of_others();
}

#[test]
fn endless_handshakes_end_in_time() {
    let mut scene =
        Scene::with(|pull| pull.set_handshake_interval(Some(Duration::from_millis(300))).unwrap());
    // They say nothing, a part of a greeting, a greeting, a part of READY.
    let bytes = [&greeting(1)[..], &ready("PUSH")].concat();
    for len in [0, 1, 11, 63, 64, 66, bytes.len() - 1] {
        let mut peer = scene.stranger();
        peer.write(&bytes[..len]);
        peer.rest();
    }
    // One says a little again and again: that buys it no time.
    let mut peer = scene.stranger();
    for byte in bytes.iter().cycle().take(5) {
        peer.try_write(&[*byte]);
    }
    peer.rest();
    scene.is_rid_of_others();
}

/// Not hostile, only slow: every byte comes alone.
#[test]
fn a_slow_peer_is_welcome() {
    let mut scene = Scene::new();
    let bytes = [&greeting(0)[..], &ready("PUSH"), &frame(0, b"hello")].concat();
    let mut peer = scene.stranger();
    for byte in bytes {
        scene.is_well();
        peer.write(&[byte]);
    }
    scene.pull.expect(["hello"]);
}
