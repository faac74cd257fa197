//! What the fuzz targets do, as plain functions: `fuzz_smoke.rs` runs them under `cargo test`,
//! `fuzz/` under libFuzzer.

use std::mem::discriminant;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use serverlink_zmtp::{
    Config, Connection, Error, Mechanism, PeerIncompatible, PeerMisbehaved, PlainLogin, SocketType,
};

use super::secure::Secure;
use super::web::{End, Role, accept_of, answer, field, parse_web, raw_web, request};
use super::{Older, Seen, established_by, raw_command, raw_greeting, raw_handshake, raw_property};

/// The room that every awaited frame may have.
const ROOM: usize = 64 * 1024;
/// More than all control output together.
const MAX_OUTPUT: usize = 16 * 1024;

/// A deterministic source of choices (xorshift64).
#[derive(Debug, Clone)]
pub struct Choices(u64);

impl Choices {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub fn below(&mut self, limit: usize) -> usize {
        ((self.next() >> 11) % limit.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What came of a stream.
#[derive(Debug)]
struct Outcome {
    seen: Vec<Seen>,
    error: Option<Error>,
    output: Bytes,
}

/// The traffic phase: the first eight bytes choose socket, version of the peer, limits and splits,
/// the rest arrives.
pub fn decode(data: &[u8]) {
    run(data, true);
}

/// The same from the first byte of the greeting on.
pub fn handshake(data: &[u8]) {
    run(data, false);
}

fn run(data: &[u8], after_handshake: bool) {
    let Some((seed, stream)) = data.split_first_chunk() else { return };
    let seed = u64::from_be_bytes(*seed);
    let (mut config, theirs) = config(seed);
    if !after_handshake {
        config.judges_peers = seed % 7 == 0;
        config.mechanism = mechanism(seed);
    }
    let now = Instant::now();
    let connection = || {
        if after_handshake {
            // Later types came when nobody spoke the older versions any more.
            let handshake = older_peer(seed)
                .filter(|_| theirs <= SocketType::XSub)
                .map_or_else(|| raw_handshake(theirs), |older| older.handshake(theirs, b"id"));
            established_by(config.clone(), handshake, now)
        } else {
            Connection::new(config.clone(), now)
        }
    };
    let whole = play(connection(), stream, None, now);
    let split = play(connection(), stream, Some(Choices::new(seed)), now);
    assert_eq!(whole.seen, split.seen);
    assert_eq!(whole.output, split.output);
    assert_same_error(whole.error.as_ref(), split.error.as_ref());
}

/// What a seed chooses for our end, and the type of the peer's socket.
fn config(seed: u64) -> (Config, SocketType) {
    let (ours, theirs) = [
        (SocketType::Pull, SocketType::Push),
        (SocketType::XPub, SocketType::Sub),
        (SocketType::Router, SocketType::Dealer),
        (SocketType::Sub, SocketType::Pub),
        (SocketType::Radio, SocketType::Dish),
    ][(seed % 5) as usize];
    let mut config = Config::new(ours);
    config.max_message_size = [None, None, Some(300), Some(100_000)][(seed / 4 % 4) as usize];
    (config, theirs)
}

/// A WebSocket: the first eight bytes choose the end, what of opening and handshake has passed, mechanism,
/// limits and splits; the rest arrives. In an answer to a client, [`ACCEPT`] stands for what goes with its
/// key.
pub fn web(data: &[u8]) {
    let Some((seed, stream)) = data.split_first_chunk() else { return };
    let seed = u64::from_be_bytes(*seed);
    let whole = play_web(seed, stream, None);
    let split = play_web(seed, stream, Some(Choices::new(seed)));
    assert_eq!(whole.seen, split.seen);
    assert_eq!(whole.error, split.error);
    assert_eq!(whole.said, split.said);
}

/// In place of the value of Sec-WebSocket-Accept.
pub const ACCEPT: &str = "$ACCEPT";

/// How far a WebSocket is when the stream of [`web`] begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passed {
    Nothing,
    Opening,
    Handshake,
}

/// What a seed chooses for [`web`].
pub fn web_choice(seed: u64) -> (Role, Passed) {
    let passed = [Passed::Nothing, Passed::Opening, Passed::Handshake][(seed / 1024 % 3) as usize];
    (Role::BOTH[(seed / 512 % 2) as usize], passed)
}

fn web_config(seed: u64) -> (Config, SocketType, String) {
    let (mut config, theirs) = config(seed);
    if web_choice(seed).1 != Passed::Handshake {
        config.mechanism = mechanism(seed);
        config.judges_peers = seed.is_multiple_of(7);
    }
    let without = config.mechanism == Mechanism::Null
        && !config.judges_peers
        && (seed / 16).is_multiple_of(3);
    let protocol = match without {
        true => "ZWS2.0".to_owned(),
        false => format!("ZWS2.0/{}", config.mechanism.as_str()),
    };
    (config, theirs, protocol)
}

/// What came of a WebSocket, as far as it is the same however the stream is split.
struct WebOutcome {
    seen: Vec<Seen>,
    error: Option<Error>,
    /// The answer to a request, and frames but for PONGs, of which later ones replace those before.
    said: (String, Vec<(u8, Vec<u8>)>),
}

fn play_web(seed: u64, stream: &[u8], mut choices: Option<Choices>) -> WebOutcome {
    let (role, passed) = web_choice(seed);
    let (config, theirs, protocol) = web_config(seed);
    let mut stream = stream.to_vec();
    let mut end = match passed {
        Passed::Nothing => {
            let mut end = End::new(role, config);
            let request = String::from_utf8(end.says()).expect("a request");
            let at = stream.windows(ACCEPT.len()).position(|here| here == ACCEPT.as_bytes());
            if let Some(at) = at.filter(|_| role == Role::Client) {
                let accept = accept_of(field(&request, "Sec-WebSocket-Key"));
                stream.splice(at..at + ACCEPT.len(), accept.into_bytes());
            }
            end
        }
        Passed::Opening => End::open(role, config, &protocol),
        Passed::Handshake => End::established(role, config, theirs),
    };
    let mut rest = &stream[..];
    let mut arrived = 0;
    while !rest.is_empty() && end.error.is_none() {
        let (piece, later) = rest.split_at(piece(rest, choices.as_mut()));
        rest = later;
        arrived += piece.len();
        end.feed(piece);
        assert!(end.web.peek().buffered_input_len() <= 2 * arrived, "input is bounded");
        advance(&mut end, patience(rest, choices.as_mut()));
    }
    advance(&mut end, usize::MAX);
    // Whether too much is kept shows when more comes.
    end.feed(&role.peers(0x89, b"more"));
    advance(&mut end, usize::MAX);

    let said = end.says();
    assert!(said.len() < MAX_OUTPUT, "output is bounded");
    if end.error.is_some() {
        end.hear(&stream);
        assert!(!end.web.has_output() && end.web.take_output().is_none(), "it is over");
    }
    let mut head = 0;
    if passed == Passed::Nothing && role == Role::Server {
        let end_of_head = said.windows(4).position(|here| here == b"\r\n\r\n");
        head = if said.starts_with(b"HTTP/1.1 101 ") {
            end_of_head.expect("a head") + 4
        } else {
            said.len()
        };
    }
    let mut answer = String::from_utf8_lossy(&said[..head]).into_owned();
    let mut frames = Vec::new();
    for (first, masked, mut payload) in parse_web(&said[head..]) {
        assert_eq!(masked, role == Role::Client);
        assert!(frames.last().is_none_or(|(last, _)| *last != 0x88), "nothing behind the close");
        if first == 0x88 {
            // It may be said before what ends the connection within is found.
            payload.clear();
        }
        if first != 0x8a {
            frames.push((first, payload));
        }
    }
    let mut error = end.error;
    match &mut error {
        // It quotes what has arrived by the time it is found out.
        Some(Error::PeerIncompatible(PeerIncompatible::NotWebSocket(what))) => {
            if let Some(at) = what.find("it began") {
                what.truncate(at);
                answer.truncate(answer.find("\r\n").unwrap_or(0));
            }
        }
        // Of fragments during the handshake it tells what has arrived by then.
        Some(Error::PeerMisbehaved(PeerMisbehaved::FrameTooLong { length, limit: 65536 })) => {
            *length = 0;
        }
        _ => {}
    }
    WebOutcome { seen: end.seen, error, said: (answer, frames) }
}

/// Asks for so many events.
fn advance(end: &mut End, mut patience: usize) {
    while patience > 0 && end.step() {
        patience -= 1;
        if matches!(end.seen.last(), Some(Seen::Credentials(_))) {
            end.web.inner().admit();
        }
    }
}

/// What a good peer says, as far as it is not [passed](Passed).
pub fn valid_web(seed: u64, choices: &mut Choices) -> Vec<u8> {
    let (role, passed) = web_choice(seed);
    let (config, theirs, protocol) = web_config(seed);
    let mut out = Vec::new();
    if passed == Passed::Nothing {
        let head = match role {
            Role::Server => request(&protocol),
            Role::Client => {
                let good = answer(&request(""), &protocol);
                let accept = field(&good, "Sec-WebSocket-Accept").to_owned();
                good.replace(&accept, ACCEPT)
            }
        };
        out.extend(head.into_bytes());
    }
    if passed != Passed::Handshake {
        let properties = raw_property("Socket-Type", theirs.as_str().as_bytes());
        let commands: &[(&str, &[u8])] = match config.mechanism {
            _ if protocol == "ZWS2.0" => {
                out.extend(role.zmq(0, b"id"));
                &[]
            }
            Mechanism::PlainServer => {
                &[("HELLO", b"\x04user\x06secret"), ("INITIATE", &properties)]
            }
            Mechanism::PlainClient(_) => &[("WELCOME", b""), ("READY", &properties)],
            _ => &[("READY", &properties)],
        };
        commands.iter().for_each(|(name, data)| out.extend(role.command(name, data)));
    }
    for _ in 0..choices.below(12) {
        let first = [0x89, 0x8a, 0x88, 0x82, 0x82, 0x82, 0x82, 0x82, 0x82];
        let first = first[if choices.one_in(20) { 2 } else { 3 + choices.below(6) }];
        let first = if choices.one_in(4) { 0x89 + choices.below(2) as u8 } else { first };
        let len = [0, 1, 3, 30, 124, 125, 126, 300, 5000, 70_000];
        let len = len[if choices.one_in(40) { 9 } else { choices.below(9) }];
        let mut payload = vec![choices.next() as u8 % 3; len + 1];
        if first != 0x82 {
            payload.truncate(125);
            out.extend(web_frame(role, choices, first, &payload));
            continue;
        }
        let subscribe = choices.one_in(4) && protocol != "ZWS2.0";
        match subscribe {
            true => payload = [&b"\x02\x09SUBSCRIBE"[..], &payload].concat(),
            false => payload[0] = choices.below(2) as u8,
        }
        if choices.one_in(2) {
            out.extend(web_frame(role, choices, 0x82, &payload));
            continue;
        }
        let cut = choices.below(payload.len());
        let middle = cut + choices.below(payload.len() - cut);
        out.extend(web_frame(role, choices, 0x02, &payload[..cut]));
        if choices.one_in(2) {
            out.extend(web_frame(role, choices, 0x89, b"within"));
        }
        out.extend(web_frame(role, choices, 0x00, &payload[cut..middle]));
        out.extend(web_frame(role, choices, 0x80, &payload[middle..]));
    }
    out
}

fn web_frame(role: Role, choices: &mut Choices, first: u8, payload: &[u8]) -> Vec<u8> {
    let key = [[0; 4], [0, 0, 0, 1], (choices.next() as u32).to_ne_bytes()][choices.below(3)];
    raw_web(first, role.peers_key().map(|_| key), payload)
}

/// The CURVE mechanism: the first byte chooses the end, and what of the handshake goes before; the rest
/// arrives, which nobody without the keys can have sent.
pub fn curve(data: &[u8]) {
    let Some((&choice, stream)) = data.split_first() else { return };
    let at = usize::from(choice & 1);
    let mut pair = Secure::new(SocketType::Dealer, SocketType::Router);
    let steps = choice / 2 % 8;
    if steps == 7 {
        pair.settle();
    } else {
        (0..steps).for_each(|_| pair.step());
    }
    // What is on its way is genuine.
    pair.hear(at, b"");
    let (ready, seen) = (pair.ends[at].is_ready(), pair.seen[at].len());
    for piece in stream.chunks(1 + usize::from(choice)) {
        pair.hear(at, piece);
    }
    assert_eq!(pair.seen[at].len(), seen, "nothing is made of it");
    assert!(ready || !pair.ends[at].is_ready());
}

/// The version of the peer that a seed chooses for [`decode`], if it is an older one.
pub fn older_peer(seed: u64) -> Option<Older> {
    match seed / 16 % 8 {
        0 => Some(Older::Revision1),
        1 => Some(Older::Revision0),
        2 => Some(Older::Unversioned),
        _ => None,
    }
}

/// The mechanism that a seed chooses for [`handshake`].
pub fn mechanism(seed: u64) -> Mechanism {
    match seed / 128 % 4 {
        0 => Mechanism::PlainServer,
        1 => Mechanism::PlainClient(PlainLogin::default()),
        _ => Mechanism::Null,
    }
}

/// What a peer says that uses the mechanism of a seed as it should.
pub fn valid_handshake(seed: u64, peer: SocketType) -> Vec<u8> {
    let properties = raw_property("Socket-Type", peer.as_str().as_bytes());
    let commands: &[(&str, &[u8])] = match mechanism(seed) {
        Mechanism::PlainServer => &[("HELLO", b"\x04user\x06secret"), ("INITIATE", &properties)],
        Mechanism::PlainClient(_) => &[("WELCOME", b""), ("READY", &properties)],
        _ => {
            return older_peer(seed)
                .map_or_else(|| raw_handshake(peer), |older| older.handshake(peer, b"id"));
        }
    };
    let mut bytes = raw_greeting(3, 1, mechanism(seed).as_str());
    commands.iter().for_each(|(name, data)| bytes.extend(raw_command(name, data)));
    bytes
}

/// Feeds a stream, whole or in pieces chosen at random, and collects what comes of it.
fn play(
    mut connection: Connection,
    mut stream: &[u8],
    mut choices: Option<Choices>,
    now: Instant,
) -> Outcome {
    let mut outcome = Outcome { seen: Vec::new(), error: None, output: Bytes::new() };
    let mut arrived = 0;
    loop {
        let (now_in, later) = stream.split_at(piece(stream, choices.as_mut()));
        stream = later;
        arrived += now_in.len();
        feed(&mut connection, now_in, arrived, choices.as_mut(), now);
        let mut patience = patience(stream, choices.as_mut());
        while patience > 0 && outcome.error.is_none() {
            patience -= 1;
            match connection.next_event(now) {
                Ok(Some(event)) => {
                    let seen = Seen::of(event);
                    if matches!(seen, Seen::Credentials(_)) {
                        connection.admit();
                    }
                    outcome.seen.push(seen);
                }
                Ok(None) => break,
                Err(error) => outcome.error = Some(error),
            }
        }
        if stream.is_empty() || outcome.error.is_some() {
            break;
        }
    }
    if let Some(error) = &outcome.error {
        assert_eq!(connection.next_event(now).err().as_ref(), Some(error), "an error is final");
        assert!(!connection.is_ready());
    }
    outcome.output = connection.take_output().unwrap_or_default();
    assert!(outcome.output.len() < MAX_OUTPUT, "output is bounded");
    outcome
}

/// How much of a stream arrives next.
fn piece(stream: &[u8], choices: Option<&mut Choices>) -> usize {
    let Some(choices) = choices else { return stream.len() };
    let usual = [1, 3, 12, 100, 70_000][choices.below(5)];
    stream.len().min(1 + choices.below(usual))
}

/// How many events are asked for then. A caller may stop asking at any time: the rest must still be there.
fn patience(stream: &[u8], choices: Option<&mut Choices>) -> usize {
    match choices {
        Some(choices) if !stream.is_empty() => [0, 1, 2, usize::MAX][choices.below(4)],
        _ => usize::MAX,
    }
}

/// Gives the connection a piece, now and then through the buffer of an awaited frame.
fn feed(
    connection: &mut Connection,
    piece: &[u8],
    arrived: usize,
    choices: Option<&mut Choices>,
    now: Instant,
) {
    if let Some(choices) = choices
        && let Some(mut buffer) = connection.awaited_frame()
    {
        assert!(
            buffer.capacity() <= (4 * arrived).max(arrived + ROOM),
            "room follows what has arrived"
        );
        let direct = piece.len().min(choices.below(piece.len() + 1));
        buffer.extend_from_slice(&piece[..direct]);
        connection.return_frame(buffer, now);
        connection.feed(Bytes::copy_from_slice(&piece[direct..]), now);
    } else {
        connection.feed(Bytes::copy_from_slice(piece), now);
    }
}

fn assert_same_error(whole: Option<&Error>, split: Option<&Error>) {
    match (whole, split) {
        // It quotes what has arrived by the time it is found out.
        (
            Some(Error::PeerIncompatible(PeerIncompatible::NotZmtp(_))),
            Some(Error::PeerIncompatible(PeerIncompatible::NotZmtp(_))),
        ) => {}
        (whole, split) => {
            assert_eq!(whole.map(discriminant), split.map(discriminant));
            assert_eq!(whole, split);
        }
    }
}

/// A valid stream of frames, and of commands if the peer's version has them.
pub fn valid_traffic(choices: &mut Choices, older: Option<Older>) -> Vec<u8> {
    let mut out = BytesMut::new();
    for _ in 0..choices.below(12) {
        let len = [0, 1, 4, 30, 255, 256, 300, 3000, 90_000];
        let len = len[if choices.one_in(40) { 8 } else { choices.below(8) }];
        let body = vec![choices.next() as u8 % 3; len];
        if let Some(older) = older {
            out.extend(older.frame(choices.one_in(2), &body));
            continue;
        }
        match choices.below(6) {
            0 => out.extend(super::raw_command("SUBSCRIBE", &body)),
            1 => out.extend(super::raw_command("CANCEL", &body)),
            2 => out.extend(super::raw_command("PING", b"\x00\x0acontext")),
            3 => out.extend(super::raw_command("PONG", b"context")),
            _ => serverlink_zmtp::encode_frame(&mut out, choices.one_in(2), &body),
        }
    }
    out.to_vec()
}

/// Damages a stream in a few places.
pub fn damage(stream: &mut Vec<u8>, choices: &mut Choices) {
    for _ in 0..=choices.below(4) {
        if stream.is_empty() {
            return;
        }
        let at = choices.below(stream.len());
        match choices.below(5) {
            0 => stream[at] = choices.next() as u8,
            1 => stream[at] ^= 1 << choices.below(8),
            2 => drop(stream.remove(at)),
            3 => stream.insert(at, choices.next() as u8),
            _ => stream.truncate(at),
        }
    }
}
