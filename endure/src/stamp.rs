//! What every message bears: who sent it, which one it is, and a checksum of all of its frames.

use std::sync::OnceLock;

use serverlink::{Frame, Message};

/// So long is the stamp with which the first frame begins: topic, nothing, number of frames, flow,
/// sequence number, checksum.
pub(crate) const STAMP: usize = 24;
/// Bodies are cut out of so many random bytes.
const POOL: usize = 1 << 20;
/// The longest body.
const LARGEST: usize = 300 * 1024;

/// What a message says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The first byte, for those who filter by it.
    pub(crate) topic: u8,
    /// Who sent it, to whom.
    pub(crate) flow: u32,
    /// Its place among all of the flow.
    pub(crate) sequence: u64,
}

/// How messages of a run look.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shapes {
    pub(crate) seed: u64,
    /// No message has more than one frame.
    pub(crate) single: bool,
    /// No body is longer.
    pub(crate) longest: usize,
}

impl Shapes {
    pub(crate) fn new(seed: u64, single: bool) -> Self {
        Self { seed, single, longest: LARGEST }
    }

    /// A number that decides how a message looks.
    fn decide(&self, stamp: Stamp) -> u64 {
        mix(self.seed ^ mix(u64::from(stamp.flow) << 40 ^ stamp.sequence))
    }

    /// How long its body is: most are short, some empty, some long, few very long.
    fn body(&self, chance: u64) -> usize {
        let within = (chance >> 32) as usize;
        let length = match chance % 10_000 {
            0 => within % LARGEST,
            1..30 => within % 8192,
            30..500 => within % 512,
            _ => within % 33,
        };
        length.min(self.longest)
    }

    /// How many bytes of stamp and body it has.
    pub(crate) fn size(&self, stamp: Stamp) -> u64 {
        (STAMP + self.body(self.decide(stamp))) as u64
    }

    /// Makes the message.
    pub(crate) fn compose(&self, stamp: Stamp, scratch: &mut Vec<u8>) -> Message {
        let chance = self.decide(stamp);
        let length = self.body(chance);
        let start = (chance >> 20) as usize % (POOL - LARGEST);
        let body = &pool()[start..start + length];
        let frames = if self.single || !(chance >> 16).is_multiple_of(16) {
            1
        } else {
            2 + (chance >> 24) as usize % 4
        };
        // The first frame takes its share, the last the rest; those between may well be empty.
        let first = if frames == 1 { length } else { (chance >> 40) as usize % (length + 1) };
        let mut rest = &body[first..];
        let mut sum = Sum::of(stamp, frames as u16).with(&body[..first]);
        let mut others = Message::new();
        for left in (1..frames).rev() {
            let part = if left == 1 { rest.len() } else { rest.len() / 3 * (left % 2) };
            sum = sum.with(&rest[..part]);
            others.push_back(&rest[..part]);
            rest = &rest[part..];
        }
        scratch.clear();
        scratch.extend_from_slice(&[stamp.topic, 0]);
        scratch.extend_from_slice(&(frames as u16).to_le_bytes());
        scratch.extend_from_slice(&stamp.flow.to_le_bytes());
        scratch.extend_from_slice(&stamp.sequence.to_le_bytes());
        scratch.extend_from_slice(&sum.0.to_le_bytes());
        scratch.extend_from_slice(&body[..first]);
        if frames == 1 {
            return Message::from(&scratch[..]);
        }
        others.push_front(&scratch[..]);
        others
    }
}

/// Reads the stamp of a message, whose frames are these, and checks all of it.
pub(crate) fn read<'a>(mut frames: impl Iterator<Item = &'a Frame>) -> Result<Stamp, String> {
    let Some(first) = frames.next() else { return Err("a message without frames".to_owned()) };
    let (stamp, count, sum) = split(first).ok_or_else(|| foreign(first))?;
    let mut found = Sum::of(stamp, count).with(&first[STAMP..]);
    let mut number = 1;
    for frame in frames {
        number += 1;
        found = found.with(frame);
    }
    if number != u64::from(count) {
        return Err(format!("{stamp} has {number} frames and was sent with {count}"));
    }
    if found.0 != sum {
        return Err(format!("{stamp} is damaged: its checksum is {:x}, not {sum:x}", found.0));
    }
    Ok(stamp)
}

/// The stamp at the beginning of bytes, and how many frames and which checksum it tells of.
pub(crate) fn split(bytes: &[u8]) -> Option<(Stamp, u16, u64)> {
    let (head, _) = bytes.split_first_chunk::<STAMP>()?;
    let number =
        |from: usize| u64::from_le_bytes(head[from..from + 8].try_into().unwrap_or([0; 8]));
    let stamp = Stamp {
        topic: head[0],
        flow: u32::from_le_bytes([head[4], head[5], head[6], head[7]]),
        sequence: number(8),
    };
    (head[1] == 0).then_some((stamp, u16::from_le_bytes([head[2], head[3]]), number(16)))
}

fn foreign(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(32)];
    format!("a frame of {} bytes that is the first of no message: {shown:02x?}", bytes.len())
}

impl std::fmt::Display for Stamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "message {} of flow {:#x}", self.sequence, self.flow)
    }
}

/// A checksum in the making.
#[derive(Debug, Clone, Copy)]
struct Sum(u64);

impl Sum {
    fn of(stamp: Stamp, frames: u16) -> Self {
        let head = u64::from(stamp.topic) << 48 | u64::from(frames) << 32 | u64::from(stamp.flow);
        Self(mix(head)).word(stamp.sequence)
    }

    fn word(self, word: u64) -> Self {
        Self((self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29))
    }

    /// Adds a frame, and where it ends.
    fn with(self, frame: &[u8]) -> Self {
        let (words, rest) = frame.as_chunks::<8>();
        let mut sum = words.iter().fold(self, |sum, word| sum.word(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        sum = sum.word(u64::from_le_bytes(last));
        sum.word(frame.len() as u64 ^ 0xA5A5_0000)
    }
}

/// Spreads a number over all bits (the finalizer of SplitMix64).
pub(crate) fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ (number >> 31)
}

fn pool() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| {
        let mut random = fastrand::Rng::with_seed(1);
        (0..POOL).map(|_| random.u8(..)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> impl Iterator<Item = (Stamp, Message)> {
        let shapes = Shapes::new(7, false);
        (0..20_000).map(move |sequence| {
            let stamp = Stamp { topic: b'm', flow: 3, sequence };
            (stamp, shapes.compose(stamp, &mut Vec::new()))
        })
    }

    #[test]
    fn what_was_composed_is_read() {
        let mut frames = [0; 6];
        for (stamp, message) in all() {
            assert_eq!(read(message.iter()), Ok(stamp));
            frames[message.len()] += 1;
        }
        assert!(frames[0] == 0 && frames[1..].iter().all(|&count| count > 0), "{frames:?}");
    }

    #[test]
    fn one_changed_byte_is_noticed() {
        for (_, message) in all().take(500) {
            for index in 0..message.len() {
                let mut frames: Vec<Vec<u8>> = message.iter().map(|frame| frame.to_vec()).collect();
                let Some(byte) = frames[index].last_mut() else { continue };
                *byte ^= 4;
                let changed: Vec<Frame> = frames.into_iter().map(Frame::from).collect();
                assert!(read(changed.iter()).is_err());
            }
        }
    }

    #[test]
    fn frames_of_two_messages_are_not_one() {
        let several: Vec<Message> =
            all().map(|(_, message)| message).filter(|message| message.len() > 1).collect();
        for pair in several.windows(2).take(500) {
            let (one, other) = (&pair[0], &pair[1]);
            let mixed = one.iter().take(one.len() - 1).chain(other.iter().skip(other.len() - 1));
            let same = one[one.len() - 1] == other[other.len() - 1];
            assert_eq!(read(mixed).is_err(), !same);
            assert!(read(one.iter().chain(other.iter())).is_err());
            assert!(read(one.iter().take(one.len() - 1)).is_err());
        }
    }
}
