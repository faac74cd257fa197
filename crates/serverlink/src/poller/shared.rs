//! What the threads that use a poller share with those that tell it of changes.

use std::{
    collections::HashMap,
    io, mem,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use serverlink_io::{Handle, Handler, Manner, Notice, Port, PortOptions, Vigil};

use super::{
    Events, PollEvent, Signal,
    item::{Item, Target},
    sync::{AtomicBool, Mutex, MutexGuard, SeqCst},
    watch::{Probe, Watch},
};
use crate::{Error, Result, socket::SocketInner};

/// So many sockets are looked at before each wait.
const FEW: usize = 16;

thread_local! {
    /// Of the thread's waits for answers. Lists that are waited for once have none of their own.
    static VIGIL: Vigil = Vigil::new();
}

/// A poller. Its locks are taken in this order: `state`, a socket's core, then `candidates` or
/// `home`.
#[derive(Debug, Default)]
pub(super) struct Shared {
    state: Mutex<State>,
    /// What may be ready: what was when it was looked at last, and what has changed since.
    candidates: Mutex<Vec<Arc<Watch>>>,
    /// Raised when there is a new candidate, or when threads should wait in another way.
    notice: Notice,
    /// The port at which threads wait for the notice.
    home: Mutex<Option<Port>>,
    /// Set when the notice is raised, if there is one.
    alarm: Option<Arc<Signal>>,
    woken: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    items: HashMap<u64, Item>,
    /// Those that are looked at in the present scan.
    scanned: Vec<Arc<Watch>>,
    /// Where descriptors are waited for, if there ever were any.
    port: Option<Port>,
    descriptors: usize,
    /// How many items are waited for to be read.
    readers: usize,
    /// The ports of the sockets.
    ports: Vec<Used>,
}

#[derive(Debug)]
struct Used {
    port: Port,
    /// How many sockets' it is.
    sockets: usize,
    /// How many of them have connections, which it drives.
    driven: usize,
}

/// As long as it is there the I/O threads of some ports make no pauses.
#[must_use]
pub(super) struct Hurry {
    /// More than one is rare.
    first: Option<Port>,
    others: Vec<Port>,
}

impl Hurry {
    fn at<'a>(mut ports: impl Iterator<Item = &'a Port>) -> Self {
        let begun = |port: &Port| {
            port.begin_hurry();
            port.clone()
        };
        Self { first: ports.next().map(begun), others: ports.map(begun).collect() }
    }
}

impl Drop for Hurry {
    fn drop(&mut self) {
        self.first.iter().chain(&self.others).for_each(Port::end_hurry);
    }
}

impl State {
    /// For a wait at `home`, where there are no pauses then: there are none at other ports of sockets,
    /// either.
    fn hurry(&self, home: Option<&Port>) -> Hurry {
        Hurry::at(self.ports.iter().map(|used| &used.port).filter(|port| home != Some(*port)))
    }

    /// Where to wait: at the port of the descriptors, which nobody else drives, or else at one that
    /// drives connections.
    fn home(&self) -> Option<&Port> {
        match self.descriptors {
            0 => self.ports.iter().find(|used| used.driven > 0).map(|used| &used.port),
            _ => self.port.as_ref(),
        }
    }

    /// If an answer is waited for, since something was sent to a socket that is waited for to be read,
    /// whether it may come by a connection. With many sockets it is not asked, for it takes a look at
    /// each.
    fn expects_answer(&self) -> Option<bool> {
        if self.items.len() > FEW {
            return None;
        }
        let expected = self.items.values().filter_map(Item::expects_answer);
        expected.reduce(|one, other| one || other)
    }

    /// Takes an item into the counts.
    fn count(&mut self, item: &Item) {
        self.readers += usize::from(item.interest.contains(Events::IN));
        if let Some((port, is_driven)) = item.port() {
            let at = self.ports.iter().position(|used| used.port == *port).unwrap_or_else(|| {
                self.ports.push(Used { port: port.clone(), sockets: 0, driven: 0 });
                self.ports.len() - 1
            });
            self.ports[at].sockets += 1;
            self.ports[at].driven += usize::from(is_driven);
        }
    }

    /// Takes an item out of the counts.
    fn discount(&mut self, item: &Item) {
        self.readers -= usize::from(item.interest.contains(Events::IN));
        if matches!(item.target, Target::Descriptor { .. }) {
            self.descriptors -= 1;
        }
        if let Some((port, is_driven)) = item.port()
            && let Some(at) = self.ports.iter().position(|used| used.port == *port)
        {
            self.ports[at].sockets -= 1;
            self.ports[at].driven -= usize::from(is_driven);
            if self.ports[at].sockets == 0 {
                // So that the poller does not keep it alive.
                self.ports.remove(at);
            }
        }
    }
}

impl Shared {
    /// The notice sets a signal besides.
    pub(super) fn with_alarm(alarm: Arc<Signal>) -> Arc<Self> {
        Arc::new(Self { alarm: Some(alarm), ..Self::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn candidates(&self) -> MutexGuard<'_, Vec<Arc<Watch>>> {
        self.candidates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn home(&self) -> MutexGuard<'_, Option<Port>> {
        self.home.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add_candidate(&self, watch: Arc<Watch>) {
        self.candidates().push(watch);
    }

    /// Has the threads that wait look again.
    pub(super) fn raise(&self) {
        match self.home().as_ref() {
            Some(port) => port.raise(&self.notice),
            None => self.notice.raise(),
        }
        if let Some(alarm) = &self.alarm {
            alarm.set(true);
        }
    }

    pub(super) fn wake(&self) {
        self.woken.store(true, SeqCst);
        self.raise();
    }

    pub(super) fn len(&self) -> usize {
        self.state().items.len()
    }

    pub(super) fn add_socket(
        self: &Arc<Self>,
        socket: &Arc<SocketInner>,
        token: u64,
        interest: Events,
    ) -> Result<()> {
        let mut state = self.state();
        check_free(&state, token)?;
        let watch = Watch::new(self, token);
        // Watched before it is looked at for the first time.
        socket.watch(watch.clone());
        let target = Target::Socket {
            socket: Arc::downgrade(socket),
            port: socket.port().cloned(),
            is_driven: false,
        };
        self.add(&mut state, Item { watch, interest, target });
        Ok(())
    }

    /// Adds what `register` has the port watch.
    pub(super) fn add_descriptor(
        self: &Arc<Self>,
        token: u64,
        interest: Events,
        register: impl FnOnce(&Port, Arc<dyn Handler>) -> io::Result<Handle>,
    ) -> Result<()> {
        let mut state = self.state();
        check_free(&state, token)?;
        if state.port.is_none() {
            let port = Port::new(&PortOptions::default());
            state.port = Some(port.map_err(Error::io("opening a completion port"))?);
        }
        let Some(port) = &state.port else { return Ok(()) };
        let watch = Watch::new(self, token);
        let probe = Probe::new(watch.clone());
        let handle = register(port, probe.clone()).map_err(Error::io("watching a descriptor"))?;
        state.descriptors += 1;
        let target = Target::Descriptor { handle, probe };
        self.add(&mut state, Item { watch, interest, target });
        Ok(())
    }

    /// Adds what a model makes ready.
    #[cfg(all(test, loom))]
    pub(super) fn add_model(
        self: &Arc<Self>,
        token: u64,
        ready: loom::sync::Arc<loom::sync::atomic::AtomicBool>,
    ) -> Arc<Watch> {
        let watch = Watch::new(self, token);
        let item =
            Item { watch: watch.clone(), interest: Events::IN, target: Target::Model(ready) };
        self.add(&mut self.state(), item);
        watch
    }

    fn add(&self, state: &mut State, item: Item) {
        state.count(&item);
        item.watch.queue();
        state.items.insert(item.watch.token(), item);
        self.changed(state);
    }

    pub(super) fn modify(&self, token: u64, interest: Events) -> Result<()> {
        let mut state = self.state();
        let item = state.items.get_mut(&token).ok_or_else(unknown)?;
        let before = mem::replace(&mut item.interest, interest);
        if before != interest {
            item.reconsider();
            item.watch.queue();
            state.readers -= usize::from(before.contains(Events::IN));
            state.readers += usize::from(interest.contains(Events::IN));
            self.changed(&state);
        }
        Ok(())
    }

    pub(super) fn remove(&self, token: u64) -> Result<()> {
        let mut state = self.state();
        let item = state.items.remove(&token).ok_or_else(unknown)?;
        state.discount(&item);
        self.changed(&state);
        item.end();
        Ok(())
    }

    pub(super) fn clear(&self) {
        let mut state = self.state();
        state.items.drain().for_each(|(_, item)| item.end());
        *state = State::default();
        self.changed(&state);
        drop(state);
        // They own this.
        let candidates = mem::take(&mut *self.candidates());
        drop(candidates);
    }

    /// What threads that wait go by has changed.
    fn changed(&self, state: &State) {
        self.raise();
        let mut home = self.home();
        if home.as_ref() != state.home() {
            // Whoever went to wait at the old one did so before the notice was raised.
            *home = state.home().cloned();
        }
    }

    /// Fills `events` with what is ready, and waits until there is something, the deadline has come,
    /// or it is woken.
    pub(super) fn wait(&self, events: &mut Vec<PollEvent>, deadline: Option<Instant>) {
        self.catch_up();
        let mut for_answer = None;
        loop {
            // Before the look: when time runs out during a wait, there is one more.
            let late = deadline.is_some_and(|deadline| deadline <= Instant::now());
            let seen = self.notice.epoch();
            let woken = self.woken.swap(false, SeqCst);
            let mut state = self.state();
            let has_message = self.scan(&mut state, events);
            if !events.is_empty() || late || woken {
                if !has_message {
                    // Whoever looks again and again is not to wait for pauses of I/O threads.
                    state.ports.iter().for_each(|used| used.port.hasten());
                }
                return;
            }
            let (port, eager) = (state.home().cloned(), state.readers > 0);
            let _hurry = state.hurry(port.as_ref());
            for_answer = for_answer.max(state.expects_answer());
            drop(state);
            VIGIL.with(|vigil| {
                let manner = match (eager, for_answer) {
                    (true, Some(_)) => Manner::Awake(vigil),
                    (true, None) => Manner::Eager,
                    (false, _) => Manner::Patient,
                };
                match port {
                    Some(port) if port.wait(&self.notice, seen, deadline, manner).is_ok() => {}
                    // See the wait of one socket.
                    None if eager && for_answer == Some(false) => {
                        vigil.park(&self.notice, seen, deadline);
                    }
                    _ => self.notice.park(seen, deadline),
                }
            });
        }
    }

    /// Hears of the descriptors that have become ready, as nobody does who need not wait because
    /// something else is.
    fn catch_up(&self) {
        let state = self.state();
        let port = state.port.as_ref().filter(|_| state.descriptors > 0).cloned();
        drop(state);
        if let Some(port) = port {
            // If it fails, so does the wait, and falls back on sleeping.
            let _ = port.turn(Some(Duration::ZERO));
        }
    }

    /// For a wait elsewhere than at any port.
    pub(super) fn hurry(&self) -> Hurry {
        self.state().hurry(None)
    }

    /// Fills `events` with what is ready.
    pub(super) fn look(&self, events: &mut Vec<PollEvent>) {
        self.scan(&mut self.state(), events);
    }

    /// Fills `events` with what is ready. True if a message has come.
    fn scan(&self, state: &mut State, events: &mut Vec<PollEvent>) -> bool {
        let mut has_message = false;
        let mut scanned = mem::take(&mut state.scanned);
        mem::swap(&mut scanned, &mut *self.candidates());
        for watch in scanned.drain(..) {
            let Some(item) = state.items.get_mut(&watch.token()) else { continue };
            if !Arc::ptr_eq(&item.watch, &watch) {
                // Of an earlier item with this token.
                continue;
            }
            let found = watch.look(|| item.look());
            if !found.is_empty() {
                events.push(PollEvent { token: watch.token(), events: found });
                has_message |= found.contains(Events::IN) && item.port().is_some();
            }
            if let Some(port) = item.driven_at_last() {
                if let Some(used) = state.ports.iter_mut().find(|used| used.port == *port) {
                    used.driven += 1;
                }
                self.changed(state);
            }
        }
        state.scanned = scanned;
        has_message
    }
}

fn check_free(state: &State, token: u64) -> Result<()> {
    if state.items.contains_key(&token) {
        return Err(invalid("the poller has something with this token already"));
    }
    Ok(())
}

fn unknown() -> Error {
    invalid("the poller has nothing with this token")
}

fn invalid(reason: &str) -> Error {
    Error::InvalidOption { option: "token", reason: reason.to_owned() }
}
