//! The timers of an established connection (RFC 37, "Connection Heartbeating").

use std::time::{Duration, Instant};

use crate::{Heartbeat, TimedOut};

/// The unit of the time to live on the wire.
const TENTH: Duration = Duration::from_millis(100);

/// The longest time to live that libzmq's 16-bit milliseconds can hold, in tenths of a second.
const MAX_TTL: u16 = 655;

/// When to send PINGs and when to give the peer up.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    /// Ours, which few connections have.
    beat: Option<Box<Beat>>,
    /// The peer's deadline, and how long it is given, in tenths of a second: set by its PING, void as
    /// soon as more arrives.
    promise: Option<(Instant, u16)>,
}

#[derive(Debug)]
struct Beat {
    config: Heartbeat,
    next_ping: Option<Instant>,
    /// Our deadline: set by the first PING after which nothing has arrived.
    reply_by: Option<Instant>,
}

impl Pulse {
    /// The timers of a connection whose handshake is complete.
    pub(crate) fn start(config: Option<Heartbeat>, now: Instant) -> Self {
        let config = config.filter(|heartbeat| !heartbeat.interval.is_zero());
        let beat = config.map(|config| {
            let next_ping = now.checked_add(config.interval);
            Box::new(Beat { config, next_ping, reply_by: None })
        });
        Self { beat, promise: None }
    }

    /// Something arrived: the peer is alive.
    #[inline]
    pub(crate) fn traffic(&mut self) {
        if let Some(beat) = &mut self.beat {
            beat.reply_by = None;
        }
        self.promise = None;
    }

    /// The peer sent a PING with this time to live, in tenths of a second, and nothing after it.
    pub(crate) fn promised(&mut self, ttl: u16, now: Instant) {
        self.promise = match now.checked_add(TENTH * u32::from(ttl)) {
            Some(deadline) if ttl > 0 => Some((deadline, ttl)),
            _ => None,
        };
    }

    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        let promise = self.promise.map(|(deadline, _)| deadline);
        let Some(beat) = &self.beat else { return promise };
        [beat.next_ping, beat.reply_by, promise].into_iter().flatten().min()
    }

    /// Acts on the timers that are due. `Some` is the time to live of a PING to send now. While
    /// input waits for the caller the peer's silence proves nothing, so its deadlines move on.
    pub(crate) fn expire(
        &mut self,
        now: Instant,
        input_waits: bool,
    ) -> Result<Option<u16>, TimedOut> {
        if let Some((_, ttl)) = self.promise.filter(|(deadline, _)| *deadline <= now) {
            let given = TENTH * u32::from(ttl);
            if !input_waits {
                return Err(TimedOut::TimeToLive(given));
            }
            self.promise = now.checked_add(given).map(|deadline| (deadline, ttl));
        }
        let Some(beat) = &mut self.beat else { return Ok(None) };
        let heartbeat = beat.config;
        let reply_by =
            if heartbeat.timeout.is_zero() { None } else { now.checked_add(heartbeat.timeout) };
        if beat.reply_by.is_some_and(|deadline| deadline <= now) {
            if !input_waits {
                return Err(TimedOut::Heartbeat(heartbeat.timeout));
            }
            beat.reply_by = reply_by;
        }
        if beat.next_ping.is_none_or(|due| due > now) {
            return Ok(None);
        }
        beat.next_ping = now.checked_add(heartbeat.interval);
        beat.reply_by = beat.reply_by.or(reply_by);
        Ok(Some(ttl_to_send(heartbeat)))
    }
}

/// The time to live as sent; see [`Heartbeat::ttl`] for the bound.
fn ttl_to_send(heartbeat: Heartbeat) -> u16 {
    let tenths = heartbeat.ttl.as_millis() / TENTH.as_millis();
    match u16::try_from(tenths) {
        Ok(tenths @ ..=MAX_TTL) => tenths,
        _ if heartbeat.interval < TENTH * u32::from(MAX_TTL) => MAX_TTL,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_live_fits_sixteen_bits_of_milliseconds() {
        let sent = |ttl, interval| {
            ttl_to_send(Heartbeat {
                interval: Duration::from_millis(interval),
                timeout: Duration::ZERO,
                ttl: Duration::from_millis(ttl),
            })
        };
        assert_eq!(sent(0, 1000), 0);
        assert_eq!(sent(99, 1000), 0);
        assert_eq!(sent(1_550, 1000), 15);
        assert_eq!(sent(65_500, 1000), 655);
        assert_eq!(sent(65_600, 1000), 655);
        assert_eq!(sent(u64::MAX, 1000), 655);
        assert_eq!(sent(100_000, 70_000), 0);
    }
}
