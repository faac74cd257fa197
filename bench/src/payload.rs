//! What messages hold: bytes that tell whether they arrived as they were sent.

use bytes::Bytes;

use crate::failure::{Failure, Result};

/// What messages begin with, and SUB sockets subscribe to.
pub(crate) const TOPIC: &str = "Z";

/// What the messages that nobody subscribes to begin with.
const OTHER_TOPIC: u8 = b'Y';

/// From this size on, messages are sent by reference by all who can.
const BY_REFERENCE: usize = 64 * 1024;

/// What a message is there for: its last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mark {
    /// To be counted.
    Ordinary = 0x5a,
    /// To end the stream.
    Last = 0xa5,
    /// To find out who is there.
    Probe = 0x3c,
}

/// A message's body, the same for all messages of a measurement.
#[derive(Clone)]
pub(crate) struct Payload {
    bytes: &'static [u8],
    shared: Bytes,
}

impl Payload {
    /// A body of at least one byte.
    pub(crate) fn new(size: usize, mark: Mark) -> Self {
        Self::beginning(size, mark, TOPIC.as_bytes()[0])
    }

    /// A body that nobody subscribes to, of at least two bytes.
    pub(crate) fn unwanted(size: usize) -> Self {
        Self::beginning(size, Mark::Ordinary, OTHER_TOPIC)
    }

    fn beginning(size: usize, mark: Mark, first: u8) -> Self {
        let mut bytes = vec![first; size.max(1)];
        if let Some(end) = bytes.last_mut() {
            *end = mark as u8;
        }
        // A measurement has a few of these, in a process that ends with it.
        let bytes: &'static [u8] = bytes.leak();
        Self { bytes, shared: Bytes::from_static(bytes) }
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &'static [u8] {
        self.bytes
    }

    /// The bytes to be sent by reference, if the message is so large that this pays. Else they are
    /// to be copied.
    pub(crate) fn by_reference(&self) -> Option<&Bytes> {
        (self.bytes.len() >= BY_REFERENCE).then_some(&self.shared)
    }
}

/// Checks a message that arrived, and tells what it is there for.
#[inline]
pub(crate) fn check(body: &[u8], size: usize) -> Result<Mark> {
    if body.len() == size
        && let Some(last) = body.last()
    {
        for mark in [Mark::Ordinary, Mark::Last, Mark::Probe] {
            if *last == mark as u8 {
                return Ok(mark);
            }
        }
    }
    Err(damaged(body, size))
}

/// The same of one that is there for this.
#[inline]
pub(crate) fn expect(body: &[u8], size: usize, mark: Mark) -> Result<()> {
    let found = check(body, size)?;
    if found == mark { Ok(()) } else { Err(unexpected(found, mark)) }
}

#[cold]
fn unexpected(found: Mark, mark: Mark) -> Failure {
    Failure::new(format!("a message marked {found:?} arrived where {mark:?} was expected"))
}

#[cold]
fn damaged(body: &[u8], size: usize) -> Failure {
    Failure::new(format!(
        "a message of {} bytes ending in {:?} arrived where {size} bytes were sent",
        body.len(),
        body.last()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_messages_are_told_apart_and_damage_is_noticed() {
        for size in [1, 2, 16, 100_000] {
            for mark in [Mark::Ordinary, Mark::Last, Mark::Probe] {
                assert_eq!(check(Payload::new(size, mark).bytes(), size).unwrap(), mark);
            }
            assert!(check(&Payload::new(size, Mark::Last).bytes()[1..], size).is_err());
            assert!(check(&vec![0; size], size).is_err());
        }
    }

    #[test]
    fn nobody_gets_what_is_unwanted() {
        assert!(Payload::new(16, Mark::Ordinary).bytes().starts_with(TOPIC.as_bytes()));
        assert!(!Payload::unwanted(16).bytes().starts_with(TOPIC.as_bytes()));
    }

    #[test]
    fn only_large_messages_go_by_reference() {
        let of = |size| Payload::new(size, Mark::Ordinary);
        assert!(of(BY_REFERENCE - 1).by_reference().is_none());
        assert!(of(BY_REFERENCE).by_reference().is_some());
    }
}
