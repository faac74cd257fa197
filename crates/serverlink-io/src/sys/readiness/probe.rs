//! Probes: readiness itself as an operation, of one direction or of both.

use std::{io, sync::Arc};

use super::{Want, entry::Registration, inward::Reading, outward::Writing};
use crate::{Direction, Event, Interest, errors, lock::lock};

impl Registration {
    pub(super) fn start_probe(&self, interest: Interest) -> io::Result<()> {
        let mut inward = lock(&self.inward);
        let mut outward = lock(&self.outward);
        inward.live()?;
        let direction = match interest {
            Interest { readable: true, .. } => Direction::Inward,
            Interest { writable: true, .. } => Direction::Outward,
            Interest { readable: false, writable: false } => return Err(errors::no_interest()),
        };
        if interest.readable && !matches!(inward.operation, Reading::Idle)
            || interest.writable && !matches!(outward.operation, Writing::Idle)
        {
            return Err(errors::busy());
        }
        if interest.readable {
            inward.operation = Reading::Probe;
        }
        if interest.writable {
            self.room.expect();
            outward.operation = Writing::Probe;
        }
        // A first look in any case: the poller may have reported long ago.
        match direction {
            Direction::Inward => self.stand(&mut inward.queued, direction),
            Direction::Outward => self.stand(&mut outward.queued, direction),
        }
        Ok(())
    }

    pub(super) fn serve_probe(&self) -> bool {
        let mut inward = lock(&self.inward);
        let mut outward = lock(&self.outward);
        let interest = Interest {
            readable: matches!(inward.operation, Reading::Probe),
            writable: matches!(outward.operation, Writing::Probe),
        };
        let Some(live) = &inward.live else { return false };
        if !interest.readable && !interest.writable {
            return false;
        }
        let found = self.engine.poller.check(live.source.descriptor(), interest);
        if matches!(found, Ok(Interest { readable: false, writable: false })) {
            if interest.readable {
                self.wanted(Want::Read);
            }
            if interest.writable {
                self.wanted(Want::Write);
            }
            return false;
        }
        let (handler, descriptor) = (Arc::clone(&live.handler), live.source.descriptor());
        if interest.readable {
            inward.operation = Reading::Idle;
            self.unwanted(Direction::Inward);
        }
        if interest.writable {
            outward.operation = Writing::Idle;
            self.unwanted(Direction::Outward);
        }
        drop((outward, inward));
        self.engine.counters.deliver(&*handler, descriptor, Event::Ready(found));
        true
    }
}
