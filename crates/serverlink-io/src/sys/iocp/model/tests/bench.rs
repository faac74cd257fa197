//! A backend on the model, one step at a time.

use std::{
    mem,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    super::{Model, Schedule},
    world::options,
};
use crate::{
    Direction, Event, Handler,
    lock::lock,
    sys::{
        Backend as _, Outcome,
        iocp::{Iocp, entry::Entry, kernel::Nature},
    },
};

/// Keeps its events.
#[derive(Default)]
pub(super) struct Events(Mutex<Vec<Event>>);

impl Handler for Events {
    fn complete(&self, event: Event) {
        lock(&self.0).push(event);
    }
}

impl Events {
    /// What came since the last call.
    pub(super) fn take(&self) -> Vec<Event> {
        mem::take(&mut lock(&self.0))
    }

    /// The only one that came.
    pub(super) fn one(&self) -> Event {
        let mut events = self.take();
        assert_eq!(events.len(), 1, "{events:?}");
        events.remove(0)
    }
}

/// A backend whose kernel does nothing by itself. Sends succeed at once, nothing else does.
pub(super) struct Bench {
    pub(super) port: Iocp,
    pub(super) model: Arc<Model>,
}

impl Bench {
    pub(super) fn new() -> Self {
        let port = Iocp::new(&options()).expect("the model's port");
        let model = Arc::clone(port.shared.kernel.model());
        Self { port, model }
    }

    /// An entry on a socket.
    pub(super) fn entry(&self) -> (Arc<Entry>, Arc<Events>) {
        let events = Arc::new(Events::default());
        (Arc::new(self.adopt(events.clone())), events)
    }

    pub(super) fn adopt(&self, handler: Arc<dyn Handler>) -> Entry {
        self.adopt_as(Nature::Socket, handler)
    }

    /// An entry on a socket, or on a pipe.
    pub(super) fn adopt_as(&self, nature: Nature, handler: Arc<dyn Handler>) -> Entry {
        let socket = self.port.shared.kernel.socket(nature);
        self.port.adopt(socket, handler).expect("it can be put on the port")
    }

    /// Delivers what there is.
    pub(super) fn turn(&self) -> Outcome {
        self.port.turn(Some(Duration::ZERO)).expect("the wait does not fail")
    }

    /// Whether the kernel has an operation of the entry.
    pub(super) fn has(&self, entry: &Entry, direction: Direction) -> bool {
        self.model.has(std::ptr::from_ref(entry.0.operation(direction)).addr())
    }

    /// At the `place`th place where other threads' steps may fall, from now on, does `step`.
    pub(super) fn at(&self, place: usize, step: impl Fn() + Send + Sync + 'static) -> Arc<At> {
        let at = Arc::new(At { place, passed: AtomicUsize::new(0), step: Box::new(step) });
        self.model.set_schedule(Some(at.clone()));
        at
    }

    /// Ends it all and sees nothing left.
    pub(super) fn end(self) {
        let Self { port, model } = self;
        model.set_schedule(None);
        let shared: Weak<_> = Arc::downgrade(&port.shared);
        drop(port);
        assert_eq!(shared.strong_count(), 0, "the port's state is left");
        assert_eq!(model.violations(), Vec::<String>::new());
        assert_eq!(model.left(), Vec::<String>::new());
    }
}

/// A step that another thread takes in the middle of a call.
pub(super) struct At {
    place: usize,
    passed: AtomicUsize,
    step: Box<dyn Fn() + Send + Sync>,
}

impl At {
    /// Whether it was taken.
    pub(super) fn happened(&self) -> bool {
        self.passed.load(Ordering::SeqCst) > self.place
    }
}

impl Schedule for At {
    fn choose(&self, _: usize) -> usize {
        0
    }

    fn interlude(&self) {
        if self.passed.fetch_add(1, Ordering::SeqCst) == self.place {
            (self.step)();
        }
    }

    fn sleeping(&self, _: bool) -> bool {
        false
    }
}
