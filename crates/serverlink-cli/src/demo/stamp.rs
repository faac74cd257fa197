//! What is in each message: its number, its sender and the time it was sent at.

use std::time::Duration;

/// The bytes of a stamp.
const LENGTH: usize = 24;

/// The number of the mark that ends a stream; its `sender` is how many messages there were.
const END: u64 = u64::MAX;

/// The beginning of a message. The rest is a pattern made from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) number: u64,
    pub(super) sender: u64,
    /// Since the start of the demonstration.
    pub(super) sent: Duration,
}

impl Stamp {
    /// The mark after a stream of so many messages.
    pub(super) fn end_of(messages: u64) -> Self {
        Self { number: END, sender: messages, sent: Duration::ZERO }
    }

    /// How long the stream was, if this is its end.
    pub(super) fn end(&self) -> Option<u64> {
        (self.number == END).then_some(self.sender)
    }

    /// A message of `size` bytes.
    pub(super) fn message(&self, size: usize) -> Vec<u8> {
        let mut message = vec![self.filling(); size.max(LENGTH)];
        let nanos = u64::try_from(self.sent.as_nanos()).unwrap_or(u64::MAX);
        for (bytes, number) in message.chunks_exact_mut(8).zip([self.number, self.sender, nanos]) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
        message
    }

    /// The stamp of an undamaged message of `size` bytes.
    pub(super) fn read(message: &[u8], size: usize) -> Option<Self> {
        let (head, filling) = message.split_at_checked(LENGTH)?;
        let number = |index: usize| {
            let bytes = head[index * 8..][..8].try_into();
            bytes.map(u64::from_le_bytes).ok()
        };
        let sent = Duration::from_nanos(number(2)?);
        let stamp = Self { number: number(0)?, sender: number(1)?, sent };
        let whole = message.len() == size.max(LENGTH);
        let byte = stamp.filling();
        (whole && filling.iter().all(|filled| *filled == byte)).then_some(stamp)
    }

    fn filling(&self) -> u8 {
        self.number.wrapping_add(self.sender).to_le_bytes()[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_reads_back_and_damage_is_noticed() {
        let stamp = Stamp { number: 300, sender: 7, sent: Duration::from_nanos(1_234_567_890_123) };
        for size in [24, 25, 64, 1000] {
            let mut message = stamp.message(size);
            assert_eq!(message.len(), size);
            assert_eq!(Stamp::read(&message, size), Some(stamp));
            assert_eq!(Stamp::read(&message[..size - 1], size), None);
            if size > 24 {
                message[size - 1] ^= 1;
                assert_eq!(Stamp::read(&message, size), None);
            }
        }
        assert_eq!(Stamp::read(b"short", 24), None);
    }

    #[test]
    fn the_end_mark_tells_the_length_of_its_stream() {
        assert_eq!(Stamp::end_of(12).end(), Some(12));
        assert_eq!(Stamp { number: 0, sender: 1, sent: Duration::ZERO }.end(), None);
    }
}
