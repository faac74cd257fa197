//! What must be done once a socket's lock is released.

use std::sync::{Arc, Weak};

use super::{Flush, Pipe};
use crate::{poller::Watchers, transport::Connection};

/// Something to tell another object, which may have locks of its own: never done while the lock
/// of a socket is held.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Bytes wait to be written.
    Flush(Flush),
    /// The pipe's owner has something to read, or the end of it.
    Readable(Arc<Pipe>),
    /// The pipe's owner may write again.
    Writable(Arc<Pipe>),
    /// The other end of the pipe, within the process, has gone.
    Closed(Arc<Pipe>),
    /// The pipe's connection may read on.
    Resume(Arc<Pipe>),
    /// Those who poll the socket should look at it again.
    Tell(Arc<Watchers>),
    /// The pipe's connection is to end once everything is sent.
    Finish(Arc<Pipe>),
    /// What the connection has asked about its peer is answered, or never will be.
    Answered(Weak<Connection>),
}

/// A list of effects. One is kept without an allocation: most calls have no more.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    first: Option<Effect>,
    rest: Vec<Effect>,
}

impl Effects {
    pub(crate) fn push(&mut self, effect: Effect) {
        if self.first.is_none() {
            self.first = Some(effect);
        } else {
            self.rest.push(effect);
        }
    }

    pub(crate) fn flush(&mut self, flush: Flush) {
        if !matches!(flush, Flush::No) {
            self.push(Effect::Flush(flush));
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Does it all, in order.
    pub(crate) fn run(self) {
        if let Some(first) = self.first {
            first.run();
            self.rest.into_iter().for_each(Effect::run);
        }
    }
}

impl Effect {
    fn run(self) {
        match self {
            Self::Flush(Flush::No) => {}
            Self::Flush(Flush::Direct(connection, buffers)) => connection.send(buffers),
            Self::Flush(Flush::Stream(connection, wait)) => connection.look_after_stream(wait),
            Self::Readable(pipe) => {
                if let Some(owner) = pipe.owner() {
                    owner.pipe_readable(&pipe);
                }
            }
            Self::Writable(pipe) => {
                if let Some(owner) = pipe.owner() {
                    owner.pipe_writable(&pipe);
                }
            }
            Self::Closed(pipe) => {
                if let Some(owner) = pipe.owner() {
                    owner.pipe_closed(&pipe);
                }
            }
            Self::Tell(watchers) => watchers.tell(),
            Self::Answered(connection) => {
                if let Some(connection) = connection.upgrade() {
                    connection.answered();
                }
            }
            Self::Resume(pipe) => {
                if let Some(connection) = pipe.outbox().and_then(|outbox| outbox.connection()) {
                    connection.schedule_resume();
                }
            }
            Self::Finish(pipe) => {
                if let Some(connection) = pipe.outbox().and_then(|outbox| outbox.connection()) {
                    connection.finish();
                }
            }
        }
    }
}
