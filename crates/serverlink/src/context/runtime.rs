//! The part of a context that the engine shares.

use std::{
    collections::HashMap,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serverlink_io::{Port, PortOptions};

use super::Lingering;
use crate::{
    Error, Result, diagnostics, options::ContextOptions, socket::SocketInner,
    transport::inproc::Registry,
};

/// After what time a context that does not end says why; then after twice as long, and so on.
const WORRY: Duration = Duration::from_secs(5);

/// How long the I/O thread leaves its port alone, once it has brought nothing but a little that nobody
/// waits for.
pub(super) const PAUSE: Duration = Duration::from_micros(500);

/// Ports, names, and a count of what is still alive.
#[derive(Debug)]
pub(crate) struct Runtime {
    ports: Vec<Port>,
    next_port: AtomicUsize,
    pub(crate) inproc: Registry,
    options: Mutex<ContextOptions>,
    max_sockets: usize,
    alive: Arc<Alive>,
}

#[derive(Debug, Default)]
struct Alive {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    terminated: bool,
    /// An I/O thread has ended: what lingers will do so for ever.
    io_ended: bool,
    sockets: Vec<Weak<SocketInner>>,
    open: usize,
    /// Each under a number of its own.
    lingering: HashMap<u64, Lingering>,
    lingered: u64,
}

/// Keeps the context from ending, for the sake of messages still to be sent.
#[derive(Debug)]
pub(crate) struct LingerGuard(Arc<Alive>, u64);

impl Drop for LingerGuard {
    fn drop(&mut self) {
        let done = self.0.lock().lingering.remove(&self.1);
        self.0.changed.notify_all();
        drop(done);
    }
}

impl Alive {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime {
    pub(crate) fn new(
        options: ContextOptions,
        backend: Option<String>,
        pause: Duration,
    ) -> Result<Self> {
        let mut port_options = PortOptions::default();
        port_options.backend = backend;
        // With several ports threads do not wait at one of them, which knows of nobody then.
        port_options.pause = (options.io_threads == 1).then_some(pause);
        let ports = (0..options.io_threads)
            .map(|_| Port::new(&port_options))
            .collect::<std::io::Result<_>>()
            .map_err(|error| match error.kind() {
                // Named by the option or by the environment variable.
                std::io::ErrorKind::InvalidInput => {
                    Error::InvalidOption { option: "backend", reason: error.to_string() }
                }
                _ => Error::Io { action: "opening a completion port".to_owned(), source: error },
            })?;
        Ok(Self {
            ports,
            next_port: AtomicUsize::new(0),
            inproc: Registry::default(),
            max_sockets: options.max_sockets,
            options: Mutex::new(options),
            alive: Arc::default(),
        })
    }

    pub(crate) fn options(&self) -> MutexGuard<'_, ContextOptions> {
        self.options.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ports(&self) -> &[Port] {
        &self.ports
    }

    /// The port of everything, if there is only one.
    pub(crate) fn only_port(&self) -> Option<&Port> {
        match &self.ports[..] {
            [port] => Some(port),
            _ => None,
        }
    }

    /// A port for something new: each of those of `affinity` in turn, or of all, if that is zero.
    pub(crate) fn port(&self, affinity: u64) -> &Port {
        let turn = self.next_port.fetch_add(1, Ordering::Relaxed);
        if affinity == 0 {
            return &self.ports[turn % self.ports.len()];
        }
        let wanted = || self.wanted(affinity);
        let one = wanted().nth(turn % wanted().count().max(1));
        one.unwrap_or(&self.ports[0])
    }

    fn wanted(&self, affinity: u64) -> impl Iterator<Item = &Port> {
        self.ports
            .iter()
            .take(64)
            .enumerate()
            .filter(move |(at, _)| affinity >> at & 1 == 1)
            .map(|(_, port)| port)
    }

    /// Says so, if there are no such I/O threads.
    pub(crate) fn check_affinity(&self, affinity: u64) -> Result<()> {
        if affinity == 0 || self.wanted(affinity).next().is_some() {
            return Ok(());
        }
        Err(Error::InvalidOption {
            option: "affinity",
            reason: format!("there are {} I/O threads, and none of these", self.ports.len()),
        })
    }

    /// One that is like all of them.
    pub(crate) fn any_port(&self) -> &Port {
        &self.ports[0]
    }

    /// Counts a socket in.
    pub(crate) fn opened(&self, socket: &Arc<SocketInner>) -> Result<()> {
        let mut state = self.alive.lock();
        if state.terminated {
            return Err(Error::Terminated);
        }
        if state.open >= self.max_sockets {
            return Err(Error::TooManySockets { maximum: self.max_sockets });
        }
        state.open += 1;
        state.sockets.retain(|socket| socket.strong_count() > 0);
        state.sockets.push(Arc::downgrade(socket));
        Ok(())
    }

    /// Counts a socket out.
    pub(crate) fn closed(&self) {
        self.alive.lock().open -= 1;
        self.alive.changed.notify_all();
    }

    pub(crate) fn linger(&self, lingering: Lingering) -> LingerGuard {
        let mut state = self.alive.lock();
        state.lingered += 1;
        let number = state.lingered;
        state.lingering.insert(number, lingering);
        LingerGuard(self.alive.clone(), number)
    }

    /// Whether it is terminated, the sockets that may be open, and what lingers.
    pub(super) fn awaited(&self) -> (bool, Vec<Arc<SocketInner>>, Vec<Lingering>) {
        let state = self.alive.lock();
        let mut lingering: Vec<_> = state.lingering.iter().collect();
        lingering.sort_unstable_by_key(|(number, _)| **number);
        (
            state.terminated,
            state.sockets.iter().filter_map(Weak::upgrade).collect(),
            lingering.into_iter().map(|(_, lingering)| lingering.clone()).collect(),
        )
    }

    /// Lets every call of every socket fail from now on.
    pub(crate) fn terminate(&self) {
        let sockets = {
            let mut state = self.alive.lock();
            state.terminated = true;
            state.sockets.clone()
        };
        sockets.iter().filter_map(Weak::upgrade).for_each(|socket| socket.terminate());
    }

    /// An I/O thread has ended, because the context does, or because it cannot go on: then nobody
    /// shall wait in vain for what it does no more.
    pub(crate) fn io_ended(&self) {
        self.alive.lock().io_ended = true;
        self.alive.changed.notify_all();
        self.terminate();
    }

    /// Waits until nothing is alive; if time runs out, returns how many sockets and connections
    /// are.
    pub(crate) fn wait_until_idle(&self, timeout: Option<Duration>) -> Option<(usize, usize)> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let begun = Instant::now();
        let mut worry = cfg!(feature = "tracing").then_some(WORRY);
        let mut state = self.alive.lock();
        while state.open > 0 || (!state.lingering.is_empty() && !state.io_ended) {
            let now = Instant::now();
            if deadline.is_some_and(|deadline| deadline <= now) {
                return Some((state.open, state.lingering.len()));
            }
            if let Some(after) = worry.filter(|after| now - begun >= *after) {
                drop(state);
                diagnostics::context_waits(now - begun, &self.report());
                worry = after.checked_mul(2);
                state = self.alive.lock();
                continue;
            }
            let worried = worry.and_then(|after| begun.checked_add(after));
            state = match deadline.into_iter().chain(worried).min() {
                None => self.alive.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let waited = self.alive.changed.wait_timeout(state, until - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        None
    }

    pub(crate) fn stop(&self) {
        self.ports.iter().for_each(Port::stop);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_chosen_in_turn_from_those_wanted() {
        let options = ContextOptions { io_threads: 3, ..ContextOptions::default() };
        let runtime = Runtime::new(options, None, PAUSE).expect("an engine");
        let chosen = |affinity| {
            let mut chosen: Vec<_> = (0..6)
                .map(|_| {
                    let port = std::ptr::from_ref(runtime.port(affinity));
                    runtime.ports.iter().position(|own| std::ptr::eq(own, port))
                })
                .map(|place| place.expect("one of its own"))
                .collect();
            chosen.sort_unstable();
            chosen
        };
        assert_eq!(chosen(0), [0, 0, 1, 1, 2, 2]);
        assert_eq!(chosen(0b101), [0, 0, 0, 2, 2, 2]);
        assert_eq!(chosen(0b010), [1; 6]);
        assert_eq!(chosen(u64::MAX), [0, 0, 1, 1, 2, 2]);
        assert!(runtime.check_affinity(0b1100).is_ok() && runtime.check_affinity(0).is_ok());
        assert!(runtime.check_affinity(0b1000).is_err());
    }
}
