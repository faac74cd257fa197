//! The disturber: a relay between two sockets, of plain sockets of the system's, which cuts
//! connections at random places.

mod cut;
mod datagrams;
mod link;
mod stream;

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

pub(crate) use datagrams::DatagramRelay;
pub(crate) use link::Relay;

/// So many of the last cuts are remembered.
const REMEMBERED: usize = 5;

/// What was done to the connections of one link.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    /// How many connections were cut, or ended with the socket of one side: each is counted before
    /// anybody can notice.
    pub(crate) cuts: AtomicU64,
    /// How many stood still for a while.
    pub(crate) stalls: AtomicU64,
    /// Nothing shall be cut now.
    pub(crate) calm: AtomicBool,
    /// How many cuts are being made.
    cutting: AtomicU64,
    last: Mutex<VecDeque<(Instant, String)>>,
}

impl Troubles {
    /// Counts a cut, which is made right afterwards.
    pub(crate) fn cut(&self, what: impl FnOnce() -> String) {
        let number = self.cuts.fetch_add(1, Ordering::AcqRel) + 1;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back((Instant::now(), format!("cut {number}: {}", what())));
    }

    pub(crate) fn count(&self) -> u64 {
        self.cuts.load(Ordering::Acquire)
    }

    /// Whether there has been a cut since `time`.
    pub(crate) fn cut_since(&self, time: Instant) -> bool {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.back().is_some_and(|(cut, _)| *cut >= time)
    }

    /// The last cuts, for a story.
    pub(crate) fn tell(&self) -> String {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = last.iter().map(|(_, line)| format!("\n    {line}")).collect::<String>();
        format!("\n  {} cuts of this link, the last of which were:{lines}", self.count())
    }
}
