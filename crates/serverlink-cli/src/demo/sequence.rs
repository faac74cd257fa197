//! Whether a stream arrives whole and in order.

use super::stamp::Stamp;

/// The state of one stream.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    expected: u64,
    missing: u64,
    /// Numbers below the one expected: late or repeated.
    below: u64,
}

impl Sequence {
    /// Takes the next stamp. `true` at the end of the stream.
    pub(super) fn accept(&mut self, stamp: &Stamp) -> bool {
        let number = stamp.end().unwrap_or(stamp.number);
        if number < self.expected {
            self.below += 1;
        } else {
            self.missing += number - self.expected;
            self.expected = number + 1;
        }
        stamp.end().is_some()
    }

    /// The stream ended without its end mark.
    pub(super) fn break_off(&mut self) {
        self.missing += 1;
    }

    /// How many messages never came.
    pub(super) fn lost(&self) -> u64 {
        self.missing
    }

    /// How many came late, or again.
    pub(super) fn wrong(&self) -> u64 {
        self.below
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn verdict(numbers: &[u64], end: Option<u64>) -> (u64, u64) {
        let mut sequence = Sequence::default();
        for number in numbers {
            let stamp = Stamp { number: *number, sender: 0, sent: Duration::ZERO };
            assert!(!sequence.accept(&stamp));
        }
        match end {
            Some(length) => assert!(sequence.accept(&Stamp::end_of(length))),
            None => sequence.break_off(),
        }
        (sequence.lost(), sequence.wrong())
    }

    #[test]
    fn gaps_repeats_and_missing_ends_are_noticed() {
        assert_eq!(verdict(&[0, 1, 2], Some(3)), (0, 0));
        assert_eq!(verdict(&[], Some(0)), (0, 0));
        assert_eq!(verdict(&[0, 3, 4], Some(5)), (2, 0), "a gap");
        assert_eq!(verdict(&[0, 1], Some(5)), (3, 0), "nothing before the end");
        assert_eq!(verdict(&[0, 1, 1, 0, 2], Some(3)), (0, 2), "repeats");
        assert_eq!(verdict(&[0, 1], None), (1, 0), "broken off");
    }
}
