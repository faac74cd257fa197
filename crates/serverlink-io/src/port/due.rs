//! What a port delivers by itself, whatever its backend: timers and posted packets.

#[cfg(all(test, loom))]
mod model;

use std::{
    collections::VecDeque,
    io, mem,
    sync::Arc,
    time::{Duration, Instant},
};

use super::Turn;
use crate::{
    Event, Handler, TimerId,
    counters::Counters,
    sync::{AtomicBool, AtomicUsize, Mutex, Ordering::SeqCst, lock},
    sys::Outcome,
    timers::{Alarm, Timers},
};

/// Timers and packets, until the port is stopped.
///
/// Whoever adds one wakes the driver afterwards; a turn looks at them before it waits. So a wake that
/// came before the wait began keeps it from waiting, and the next turn looks again.
#[derive(Default)]
pub(super) struct Due {
    timers: Timers,
    posted: Mutex<VecDeque<Packet>>,
    /// How many packets are posted.
    packets: AtomicUsize,
    stopped: AtomicBool,
}

struct Packet {
    handler: Arc<dyn Handler>,
    tag: u64,
}

impl Due {
    /// Adds a packet; the driver must be woken. False if the port is stopped.
    pub(super) fn post(&self, handler: Arc<dyn Handler>, tag: u64) -> bool {
        let mut posted = lock(&self.posted);
        let runs = !self.is_stopped();
        if runs {
            posted.push_back(Packet { handler, tag });
            self.packets.store(posted.len(), SeqCst);
        }
        runs
    }

    pub(super) fn has_packets(&self) -> bool {
        self.packets.load(SeqCst) > 0
    }

    /// Adds a timer, and tells whether the driver must be woken: it may be about to wait for longer.
    pub(super) fn set_timer(
        &self,
        deadline: Instant,
        handler: Arc<dyn Handler>,
        tag: u64,
    ) -> (TimerId, bool) {
        let (id, nearest) = self.timers.set(deadline, Alarm { handler, tag });
        let stopped = self.is_stopped();
        if stopped {
            self.timers.cancel(id);
        }
        (id, nearest && !stopped)
    }

    /// True if it had not expired.
    pub(super) fn cancel_timer(&self, id: TimerId) -> bool {
        self.timers.cancel(id).is_some()
    }

    /// How many timers there are.
    pub(super) fn timers(&self) -> usize {
        self.timers.len()
    }

    /// Takes nothing in from now on; [`clear`](Self::clear) must follow.
    pub(super) fn stop(&self) {
        self.stopped.store(true, SeqCst);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(SeqCst)
    }

    /// Drops what there is. Whoever adds something later finds the port stopped.
    pub(super) fn clear(&self) {
        let posted = mem::take(&mut *lock(&self.posted));
        self.packets.store(0, SeqCst);
        // With no lock held: the end of a handler may call back.
        drop((posted, self.timers.take_all()));
    }

    /// A turn of the port around one of the `backend`, which may wait so long.
    pub(super) fn turn(
        &self,
        timeout: Option<Duration>,
        counters: &Counters,
        backend: impl FnOnce(Option<Duration>) -> io::Result<Outcome>,
    ) -> io::Result<Turn> {
        let mut delivered = self.deliver(counters);
        let wait = if delivered > 0 { Some(Duration::ZERO) } else { self.wait(timeout) };
        match backend(wait)? {
            Outcome::Delivered(count) => {
                counters.turned(count);
                delivered += count;
            }
            Outcome::Stopped => return Ok(Turn::Stopped),
        }
        delivered += self.deliver(counters);
        Ok(Turn::Delivered(delivered))
    }

    /// Delivers the timers and packets that are due now, and not those that their handlers add.
    fn deliver(&self, counters: &Counters) -> usize {
        self.deliver_timers(counters) + self.deliver_packets(counters)
    }

    fn deliver_timers(&self, counters: &Counters) -> usize {
        let Some(nearest) = self.timers.nearest() else { return 0 };
        let now = Instant::now();
        if nearest > now {
            return 0;
        }
        // New timers may be due at once; the count keeps them from going on for ever.
        let pending = self.timers.len();
        for delivered in 0..pending {
            let Some((id, alarm)) = self.timers.take_due(now) else { return delivered };
            counters.timer();
            alarm.handler.complete(Event::Timer { id, tag: alarm.tag });
        }
        pending
    }

    fn deliver_packets(&self, counters: &Counters) -> usize {
        let waiting = self.packets.load(SeqCst);
        for delivered in 0..waiting {
            let mut posted = lock(&self.posted);
            let Some(packet) = posted.pop_front() else { return delivered };
            self.packets.store(posted.len(), SeqCst);
            drop(posted);
            counters.packet();
            packet.handler.complete(Event::Posted { tag: packet.tag });
        }
        waiting
    }

    /// How long to wait, if not for longer than that.
    pub(super) fn wait(&self, timeout: Option<Duration>) -> Option<Duration> {
        let Some(nearest) = self.timers.nearest() else { return timeout };
        let left = nearest.saturating_duration_since(Instant::now());
        Some(timeout.map_or(left, |timeout| timeout.min(left)))
    }
}
