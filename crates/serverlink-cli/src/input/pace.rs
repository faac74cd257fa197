//! Steady sending.

use std::{
    thread,
    time::{Duration, Instant},
};

/// A schedule: message `n` is due `n / rate` seconds after the first. Being late once does not
/// shift what follows, so the rate holds on the whole.
#[derive(Debug)]
pub(super) struct Pace {
    rate: f64,
    sent: u64,
    start: Option<Instant>,
}

impl Pace {
    pub(super) fn new(rate: f64) -> Self {
        Self { rate, sent: 0, start: None }
    }

    /// Returns when the next message is due.
    pub(super) fn wait(&mut self) {
        let start = *self.start.get_or_insert_with(Instant::now);
        let early = self.due().saturating_sub(start.elapsed());
        if !early.is_zero() {
            thread::sleep(early);
        }
        self.sent += 1;
    }

    /// When the next message is due, from the first.
    fn due(&self) -> Duration {
        // Below 2^53 messages the number is exact; a time beyond all bounds is never reached.
        Duration::try_from_secs_f64(self.sent as f64 / self.rate).unwrap_or(Duration::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_due_at_even_distances_from_the_first() {
        let mut pace = Pace::new(4.0);
        for millis in [0, 250, 500, 750] {
            assert_eq!(pace.due(), Duration::from_millis(millis));
            pace.sent += 1;
        }
    }
}
