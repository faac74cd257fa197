//! Pipes: the two-way link between a socket and one peer.

mod effects;
mod incoming;
mod outbox;
mod staging;

use std::sync::{
    Arc, OnceLock, Weak,
    atomic::{AtomicUsize, Ordering},
};

use bytes::BytesMut;
pub(crate) use effects::{Effect, Effects};
pub(crate) use incoming::{Incoming, Refused, Taken};
pub(crate) use outbox::{Finished, Flush, Outbox};

use serverlink_zmtp::{Version, encode_subscription};

use crate::{Message, socket::SocketInner};

/// One peer of one socket: what comes in, and the way out.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) incoming: Incoming,
    link: Link,
    owner: OnceLock<Weak<SocketInner>>,
    /// Where the owner keeps it; `usize::MAX` until it does.
    key: AtomicUsize,
}

#[derive(Debug)]
enum Link {
    /// To a peer behind a connection.
    Remote(Arc<Outbox>),
    /// To the pipe of a socket of the same context.
    Inproc(OnceLock<Weak<Pipe>>),
}

impl Pipe {
    /// A pipe of `owner` to a remote peer.
    pub(crate) fn remote(owner: Weak<SocketInner>, limit: usize, outbox: Arc<Outbox>) -> Arc<Self> {
        Arc::new(Self {
            incoming: Incoming::new(limit),
            link: Link::Remote(outbox),
            owner: OnceLock::from(owner),
            key: AtomicUsize::new(usize::MAX),
        })
    }

    /// Two pipes joined to each other, not yet owned.
    pub(crate) fn inproc_pair(limit: usize) -> (Arc<Self>, Arc<Self>) {
        let half = || {
            Arc::new(Self {
                incoming: Incoming::new(limit),
                link: Link::Inproc(OnceLock::new()),
                owner: OnceLock::new(),
                key: AtomicUsize::new(usize::MAX),
            })
        };
        let (a, b) = (half(), half());
        for (one, other) in [(&a, &b), (&b, &a)] {
            if let Link::Inproc(peer) = &one.link {
                let _ = peer.set(Arc::downgrade(other));
            }
        }
        (a, b)
    }

    /// Gives the pipe its owner, once.
    pub(crate) fn set_owner(&self, owner: Weak<SocketInner>) {
        let fresh = self.owner.set(owner).is_ok();
        debug_assert!(fresh, "a pipe has one owner for its life");
    }

    pub(crate) fn owner(&self) -> Option<Arc<SocketInner>> {
        self.owner.get()?.upgrade()
    }

    pub(crate) fn key(&self) -> usize {
        self.key.load(Ordering::Relaxed)
    }

    pub(crate) fn set_key(&self, key: usize) {
        self.key.store(key, Ordering::Relaxed);
    }

    pub(crate) fn outbox(&self) -> Option<&Arc<Outbox>> {
        match &self.link {
            Link::Remote(outbox) => Some(outbox),
            Link::Inproc(_) => None,
        }
    }

    /// The other end, of a pipe within the process.
    pub(crate) fn inproc_peer(&self) -> Option<Arc<Self>> {
        match &self.link {
            Link::Remote(_) => None,
            Link::Inproc(peer) => peer.get()?.upgrade(),
        }
    }

    /// Sends a message down the pipe. It is left whole if it is refused, and as it happens to be
    /// if not.
    pub(crate) fn write(
        &self,
        message: &mut Message,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        match &self.link {
            Link::Remote(_) => self.write_copy(message, effects)?,
            Link::Inproc(_) => {
                let peer = self.inproc_peer().ok_or(Refused::Gone)?;
                if peer.incoming.push(message)? {
                    effects.push(Effect::Readable(peer));
                }
            }
        }
        Ok(())
    }

    /// Sends a message down the pipe, and leaves it whole in any case.
    pub(crate) fn write_copy(
        &self,
        message: &Message,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        match &self.link {
            Link::Remote(outbox) => {
                effects.flush(outbox.push(message)?);
                Ok(())
            }
            Link::Inproc(_) => self.write(&mut message.clone(), effects),
        }
    }

    /// Whether a message would be taken now. If not, the owner is told when it will be.
    pub(crate) fn has_room(&self) -> bool {
        match &self.link {
            Link::Remote(outbox) => outbox.has_room(),
            Link::Inproc(_) => self.inproc_peer().is_some_and(|peer| peer.incoming.room() > 0),
        }
    }

    /// Sends a subscription or its end, which no high-water mark holds back, in the form that a
    /// peer of `version` takes.
    pub(crate) fn write_subscription(
        &self,
        topic: &[u8],
        subscribe: bool,
        version: Version,
        effects: &mut Effects,
    ) {
        match &self.link {
            Link::Remote(outbox) => {
                let mut bytes = BytesMut::new();
                encode_subscription(&mut bytes, version, topic, subscribe);
                effects.flush(outbox.push_command(bytes.freeze()));
            }
            Link::Inproc(_) => {
                if let Some(peer) = self.inproc_peer() {
                    let mut body = Vec::with_capacity(topic.len() + 1);
                    body.push(u8::from(subscribe));
                    body.extend_from_slice(topic);
                    if peer.incoming.push_urgent(Message::from(body)) {
                        effects.push(Effect::Readable(peer));
                    }
                }
            }
        }
    }
}
