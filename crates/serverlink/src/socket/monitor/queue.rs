//! Events on their way to a [`Monitor`].

use std::{
    collections::VecDeque,
    iter,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::MonitorEvent;
use crate::{Error, Result};

/// How many events wait to be received, at most.
const MOST: usize = 1000;

/// The events of one monitor.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<MonitorEvent>,
    missed: u64,
    ended: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, event: &MonitorEvent) {
        let mut state = self.state();
        if state.events.len() < MOST {
            state.events.push_back(event.clone());
            self.changed.notify_one();
        } else {
            state.missed += 1;
        }
    }

    pub(super) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
    }
}

/// Receives what happens to a socket's connections: see [`Socket::monitor`](crate::Socket::monitor).
/// It does not keep the socket open. It may be shared among threads; each event goes to one of them.
#[derive(Debug)]
pub struct Monitor {
    queue: Arc<Queue>,
}

impl Monitor {
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { queue }
    }

    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the last one, which is
    /// [`MonitorStopped`](super::MonitorEventKind::MonitorStopped) unless it was missed.
    pub fn recv(&self) -> Result<MonitorEvent> {
        self.recv_until(None)
    }

    /// The next event, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] if it is not, and those of [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<MonitorEvent> {
        self.recv_timeout(Duration::ZERO)
    }

    /// Waits at most so long for the next event.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`] when the time is up, and those of [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<MonitorEvent> {
        self.recv_until(Instant::now().checked_add(timeout))
    }

    fn recv_until(&self, deadline: Option<Instant>) -> Result<MonitorEvent> {
        let changed = &self.queue.changed;
        let mut state = self.queue.state();
        loop {
            if let Some(event) = state.events.pop_front() {
                return Ok(event);
            }
            if state.ended {
                return Err(Error::Closed);
            }
            state = match deadline {
                None => changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(Error::WouldBlock);
                    }
                    changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// The events as they come, to the last one.
    pub fn events(&self) -> impl Iterator<Item = MonitorEvent> + '_ {
        iter::from_fn(|| self.recv().ok())
    }

    /// How many events were dropped because too many waited to be received.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.queue.state().missed
    }
}

impl Iterator for Monitor {
    type Item = MonitorEvent;

    fn next(&mut self) -> Option<MonitorEvent> {
        self.recv().ok()
    }
}
