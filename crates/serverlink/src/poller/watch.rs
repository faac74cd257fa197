//! What ties a socket or descriptor to a poller.

use std::sync::Arc;

use serverlink_io::{Event, Handler};

use super::{
    Events,
    shared::Shared,
    sync::{AtomicBool, SeqCst},
};

/// One item of a poller, as those see it who tell of changes.
#[derive(Debug)]
pub(crate) struct Watch {
    shared: Arc<Shared>,
    token: u64,
    /// It is among the poller's candidates.
    queued: AtomicBool,
}

impl Watch {
    pub(super) fn new(shared: &Arc<Shared>, token: u64) -> Arc<Self> {
        Arc::new(Self { shared: shared.clone(), token, queued: AtomicBool::new(false) })
    }

    pub(super) fn token(&self) -> u64 {
        self.token
    }

    /// Something changed: the item should be looked at. Called with no lock of a socket held, by any
    /// thread.
    pub(super) fn tell(self: &Arc<Self>) {
        // If it is a candidate already, whoever made it one has raised the notice, or is about to.
        if self.queue() {
            self.shared.raise();
        }
    }

    /// Makes it a candidate; false if it is one.
    pub(super) fn queue(self: &Arc<Self>) -> bool {
        let fresh = !self.queued.swap(true, SeqCst);
        if fresh {
            self.shared.add_candidate(self.clone());
        }
        fresh
    }

    /// It is no candidate any more, and is looked at: what changes from now on makes it one again, and
    /// so does what is found, for the next wait to look at.
    pub(super) fn look(self: &Arc<Self>, look: impl FnOnce() -> Events) -> Events {
        // A swap, not a store: it acquires what was changed by whoever found it a candidate.
        self.queued.swap(false, SeqCst);
        let found = look();
        if !found.is_empty() {
            self.queue();
        }
        found
    }
}

/// Is told by the engine that a descriptor may be ready.
#[derive(Debug)]
pub(super) struct Probe {
    watch: Arc<Watch>,
    /// The engine has been asked.
    pub(super) pending: AtomicBool,
    /// The engine cannot wait for it.
    pub(super) failed: AtomicBool,
}

impl Probe {
    pub(super) fn new(watch: Arc<Watch>) -> Arc<Self> {
        Arc::new(Self { watch, pending: AtomicBool::new(false), failed: AtomicBool::new(false) })
    }
}

impl Handler for Probe {
    fn complete(&self, event: Event) {
        if let Event::Ready(result) = event {
            if result.is_err_and(|error| !serverlink_io::is_cancelled(&error)) {
                self.failed.store(true, SeqCst);
            }
            self.pending.store(false, SeqCst);
            self.watch.tell();
        }
    }
}
