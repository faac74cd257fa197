//! A backend on the model, with everything that happens chosen by a tape, and
//! a record of what must and must not follow.
//!
//! There is one thread. Others are its detours: wherever the backend calls the
//! system, the model lets steps of theirs fall before, within and after the
//! call. Steps within steps nest, as threads would overlap.

use std::{
    fmt,
    panic::resume_unwind,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use super::{
    super::{Model, Schedule},
    book::Peer,
};
use crate::{
    Event, Handler, PortOptions,
    lock::lock,
    sys::iocp::{
        Iocp,
        buffers::Armed,
        entry::Entry,
        inner::Inner,
        kernel::{Kernel, Nature, Socket, System as _},
        resources::Descriptor,
    },
};

/// How deep steps nest.
const DEPTH: usize = 4;

/// The handler of a peer.
pub(super) struct Recorder {
    pub(super) world: Weak<World>,
    pub(super) number: usize,
}

impl Handler for Recorder {
    fn complete(&self, event: Event) {
        let world = self.world.upgrade().expect("the world outlives its port");
        let peer = world.peer(self.number);
        world.happened(&peer, event);
        world.interlude();
        if world.panics.swap(false, Ordering::SeqCst) {
            resume_unwind(Box::new(Panic));
        }
    }
}

/// What a handler panics with.
pub(super) struct Panic;
/// The backend, the model, and what happened.
pub(super) struct World {
    pub(super) port: Mutex<Option<Arc<Iocp>>>,
    pub(super) model: Arc<Model>,
    pub(super) tape: Mutex<(Vec<u8>, usize)>,
    pub(super) peers: Mutex<Vec<Arc<Peer>>>,
    pub(super) handlers: Mutex<Vec<Weak<Recorder>>>,
    pub(super) armed: Mutex<Vec<Armed>>,
    /// The sockets that are watched.
    pub(super) foreign: Mutex<Vec<Socket>>,
    pub(super) driving: AtomicBool,
    pub(super) depth: AtomicUsize,
    /// Somebody asked for the end of a turn since the last one ended.
    pub(super) woken: AtomicBool,
    /// An operation began meanwhile: if it ended within its call, that wakes the driver, too.
    pub(super) began: AtomicBool,
    /// Or while the last one ended, which leaves it to the next.
    pub(super) left_over: AtomicBool,
    pub(super) stopped: AtomicBool,
    /// The next handler that is called panics.
    pub(super) panics: AtomicBool,
    /// No more steps: what is asked for ends, what is not does not.
    pub(super) quiet: AtomicBool,
    pub(super) delivered: AtomicUsize,
    pub(super) failures: Mutex<Vec<String>>,
    /// What happened, to be shown with a failure.
    pub(super) story: Mutex<Vec<String>>,
}
impl Schedule for World {
    fn choose(&self, bound: usize) -> usize {
        if self.quiet.load(Ordering::SeqCst) {
            return 0;
        }
        let mut tape = lock(&self.tape);
        let (bytes, place) = &mut *tape;
        let byte = bytes.get(*place).copied().unwrap_or(0);
        *place += 1;
        usize::from(byte) % bound.max(1)
    }

    fn interlude(&self) {
        if self.quiet.load(Ordering::SeqCst) || self.depth.load(Ordering::SeqCst) >= DEPTH {
            return;
        }
        self.depth.fetch_add(1, Ordering::SeqCst);
        if self.choose(4) == 1 {
            for _ in 0..=self.choose(3) {
                self.step();
            }
        }
        self.depth.fetch_sub(1, Ordering::SeqCst);
    }

    fn sleeping(&self, forever: bool) -> bool {
        if self.quiet.load(Ordering::SeqCst) {
            return self.model.proceed(true) || forever && self.end_sleep();
        }
        if self.is_over() {
            return self.model.proceed(false) || forever && self.end_sleep();
        }
        self.depth.fetch_add(1, Ordering::SeqCst);
        self.step();
        self.depth.fetch_sub(1, Ordering::SeqCst);
        true
    }
}

impl World {
    pub(super) fn new(tape: Vec<u8>) -> Arc<Self> {
        let port = Arc::new(Iocp::new(&options()).expect("the model's port"));
        let model = Arc::clone(port.shared.kernel.model());
        let world = Arc::new(Self {
            port: Mutex::new(Some(port)),
            model,
            tape: Mutex::new((tape, 0)),
            peers: Mutex::default(),
            handlers: Mutex::default(),
            armed: Mutex::default(),
            foreign: Mutex::default(),
            driving: AtomicBool::new(false),
            depth: AtomicUsize::new(0),
            woken: AtomicBool::new(false),
            began: AtomicBool::new(false),
            left_over: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            quiet: AtomicBool::new(false),
            delivered: AtomicUsize::new(0),
            failures: Mutex::default(),
            story: Mutex::default(),
        });
        world.model.set_schedule(Some(Arc::clone(&world) as Arc<dyn Schedule>));
        world
    }

    pub(super) fn port(&self) -> Arc<Iocp> {
        lock(&self.port).clone().expect("the port is there")
    }

    pub(super) fn is_over(&self) -> bool {
        let tape = lock(&self.tape);
        tape.1 >= tape.0.len()
    }

    pub(super) fn fail(&self, what: impl Into<String>) {
        let what = what.into();
        self.tell(format_args!("FAILURE: {what}"));
        lock(&self.failures).push(what);
    }

    /// Adds to the story.
    pub(super) fn tell(&self, what: fmt::Arguments<'_>) {
        let depth = 2 * self.depth.load(Ordering::SeqCst);
        lock(&self.story).push(format!("{:depth$}{what}", ""));
    }

    /// What happened.
    pub(super) fn story(&self) -> String {
        lock(&self.story).join("\n")
    }

    pub(super) fn peer(&self, number: usize) -> Arc<Peer> {
        Arc::clone(&lock(&self.peers)[number])
    }

    /// A new entry.
    pub(super) fn register(self: &Arc<Self>, watched: bool) -> Arc<Peer> {
        let port = self.port();
        let number = lock(&self.peers).len();
        let handler = Arc::new(Recorder { world: Arc::downgrade(self), number });
        lock(&self.handlers).push(Arc::downgrade(&handler));
        let entry = if watched {
            let socket = port.shared.kernel.socket(Nature::Socket);
            let descriptor = Descriptor::Watched(Kernel::handle(&socket));
            lock(&self.foreign).push(socket);
            Entry(Inner::new(&port.shared, descriptor, false, handler))
        } else {
            let nature = [Nature::Socket, Nature::Pipe][self.choose(2)];
            let socket = port.shared.kernel.socket(nature);
            port.adopt(socket, handler).expect("it can be put on the port")
        };
        let handle = entry.0.resources.claim().map_or(0, |claim| claim.handle());
        let inner = Arc::downgrade(&entry.0);
        let peer = Arc::new(Peer {
            entry: Mutex::new(Some(Arc::new(entry))),
            book: Mutex::default(),
            handle,
            watched,
            inner,
        });
        lock(&self.peers).push(Arc::clone(&peer));
        peer
    }

    /// What went wrong so far.
    pub(super) fn failures(&self) -> Vec<String> {
        let mut failures = lock(&self.failures).clone();
        failures.extend(self.model.violations());
        failures
    }
}

pub(super) fn options() -> PortOptions {
    PortOptions { receive_buffer: 48, ..PortOptions::default() }
}
