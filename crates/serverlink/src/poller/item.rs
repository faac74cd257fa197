//! What a poller waits for.

use std::sync::{Arc, Weak};

use serverlink_io::{Condition, Direction, Handle, Interest, Port};

use super::{
    Events,
    sync::SeqCst,
    watch::{Probe, Watch},
};
use crate::socket::SocketInner;

/// A socket or a descriptor of a poller.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) watch: Arc<Watch>,
    pub(super) interest: Events,
    pub(super) target: Target,
}

#[derive(Debug)]
pub(super) enum Target {
    Socket {
        socket: Weak<SocketInner>,
        /// Where all its connections are, if there is one such port.
        port: Option<Port>,
        /// It was seen to have any.
        is_driven: bool,
    },
    Descriptor {
        handle: Handle,
        probe: Arc<Probe>,
    },
    /// Ready when it is set.
    #[cfg(all(test, loom))]
    Model(loom::sync::Arc<loom::sync::atomic::AtomicBool>),
}

impl Item {
    /// What it is ready for. If it is for nothing, the watch is told when to look again.
    pub(super) fn look(&self) -> Events {
        match &self.target {
            Target::Socket { socket, .. } => match socket.upgrade() {
                Some(socket) => socket.look_for(self.interest),
                None => self.interest | Events::ERR,
            },
            Target::Descriptor { handle, probe } => look_at(handle, probe, self.interest),
            #[cfg(all(test, loom))]
            Target::Model(ready) => match ready.load(loom::sync::atomic::Ordering::Relaxed) {
                true => self.interest,
                false => Events::NONE,
            },
        }
    }

    /// If it is to be read, and something was sent since this was asked last, whether the answer may
    /// come by a connection.
    pub(super) fn expects_answer(&self) -> Option<bool> {
        match &self.target {
            Target::Socket { socket, .. } if self.interest.contains(Events::IN) => {
                socket.upgrade()?.expects_answer()
            }
            _ => None,
        }
    }

    /// The port that drives it now, and did not when this was asked last.
    pub(super) fn driven_at_last(&mut self) -> Option<&Port> {
        let Target::Socket { socket, port: Some(port), is_driven: is_driven @ false } =
            &mut self.target
        else {
            return None;
        };
        *is_driven = socket.upgrade()?.has_connections();
        is_driven.then_some(port)
    }

    /// Its port, if it is a socket, and whether that drives it.
    pub(super) fn port(&self) -> Option<(&Port, bool)> {
        match &self.target {
            Target::Socket { port, is_driven, .. } => Some((port.as_ref()?, *is_driven)),
            _ => None,
        }
    }

    /// Ends it.
    pub(super) fn end(&self) {
        match &self.target {
            Target::Socket { socket, .. } => {
                if let Some(socket) = socket.upgrade() {
                    socket.unwatch(&self.watch);
                }
            }
            Target::Descriptor { handle, .. } => handle.retire(),
            #[cfg(all(test, loom))]
            Target::Model(_) => {}
        }
    }

    /// The interest has changed: a probe for the old one is of no use.
    pub(super) fn reconsider(&self) {
        if let Target::Descriptor { handle, probe } = &self.target
            && probe.pending.load(SeqCst)
        {
            handle.cancel(Direction::Inward);
            handle.cancel(Direction::Outward);
        }
    }
}

/// What a descriptor is ready for. If it is for nothing, the engine is asked to tell when.
fn look_at(handle: &Handle, probe: &Probe, interest: Events) -> Events {
    let (readable, writable) = (interest.contains(Events::IN), interest.contains(Events::OUT));
    let mut asked = Condition::default();
    (asked.readable, asked.writable) = (readable, writable);
    let found = match handle.look(asked) {
        Ok(found) if !probe.failed.load(SeqCst) => events_of(found),
        _ => interest | Events::ERR,
    };
    if found.is_empty() && (readable || writable) && !probe.pending.swap(true, SeqCst) {
        let started = handle.probe(Interest { readable, writable });
        if started.is_err() {
            probe.pending.store(false, SeqCst);
            probe.failed.store(true, SeqCst);
            return interest | Events::ERR;
        }
    }
    found
}

/// A descriptor's condition as events.
pub(super) fn events_of(condition: Condition) -> Events {
    let Condition { readable, writable, urgent, failed, .. } = condition;
    let mut events = Events::NONE;
    for (so, event) in [
        (readable, Events::IN),
        (writable, Events::OUT),
        (urgent, Events::PRI),
        (failed, Events::ERR),
    ] {
        if so {
            events |= event;
        }
    }
    events
}
