//! How many packets a call asks for.
//!
//! Windows hands out all that are queued, up to the number asked for, in one call: it is asked for a
//! batch each time. Wine 8 asks its server for each by itself, and once more for one that is not there:
//! a call that has room for exactly the one packet of a round trip saves the last question.

/// How many packets one call dequeues at most.
pub(super) const BATCH: usize = 256;

/// How many calls find as many as they asked for, and none fewer but those that find nothing, before the
/// next asks for more.
const PATIENCE: u32 = 8;

/// How many times as many: in four steps from one packet to a batch.
const GROWTH: usize = 4;

/// A batch at first; then as many as were found last, and more once there were as many several times.
pub(super) struct Asking {
    count: usize,
    /// How many calls have found all they asked for since that was last changed.
    filled: u32,
}

impl Asking {
    /// How many packets the next call asks for: one at least, [`BATCH`] at most.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// A call found so many. None says nothing of how many will come.
    pub(super) fn found(&mut self, packets: usize) {
        if packets == 0 {
            return;
        }
        if packets < self.count {
            *self = Self { count: packets, filled: 0 };
            return;
        }
        self.filled += 1;
        if self.filled == PATIENCE {
            *self = Self { count: (self.count * GROWTH).min(BATCH), filled: 0 };
        }
    }
}

impl Default for Asking {
    fn default() -> Self {
        Self { count: BATCH, filled: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_asks_for_as_many_as_were_found() {
        let mut asking = Asking::default();
        assert_eq!(asking.count(), BATCH);
        asking.found(3);
        assert_eq!(asking.count(), 3);
        asking.found(0);
        assert_eq!(asking.count(), 3);
        asking.found(1);
        assert_eq!(asking.count(), 1);
    }

    #[test]
    fn what_is_too_few_again_and_again_grows_to_a_batch() {
        let mut asking = Asking::default();
        asking.found(1);
        let mut asked = Vec::new();
        for _ in 0..5 * PATIENCE {
            asked.push(asking.count());
            asking.found(asking.count());
        }
        asked.dedup();
        assert_eq!(asked, [1, 4, 16, 64, BATCH]);
        assert_eq!(asking.count(), BATCH);
    }

    #[test]
    fn one_that_is_not_there_starts_anew_and_nothing_does_not() {
        let mut asking = Asking::default();
        asking.found(1);
        for _ in 0..PATIENCE {
            assert_eq!(asking.count(), 1);
            asking.found(1);
        }
        // All but one of the calls that it takes to ask for more, and then one packet fewer.
        for _ in 1..PATIENCE {
            assert_eq!(asking.count(), GROWTH);
            asking.found(GROWTH);
        }
        asking.found(GROWTH - 1);
        for _ in 0..PATIENCE {
            assert_eq!(asking.count(), GROWTH - 1);
            asking.found(0);
            asking.found(GROWTH - 1);
        }
        assert_eq!(asking.count(), (GROWTH - 1) * GROWTH);
    }
}
