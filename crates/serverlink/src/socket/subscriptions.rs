//! Subscribing.

use super::Socket;
use crate::Result;

impl Socket {
    /// Subscribes a SUB socket to all messages whose first frame begins with `topic`; an empty one
    /// means all (`ZMQ_SUBSCRIBE`). Subscriptions are counted. An XPUB that is
    /// [manual](Self::set_xpub_manual) subscribes its peer.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`](crate::Error::InvalidState) for other sockets, [`Error::Terminated`](crate::Error::Terminated).
    pub fn subscribe(&self, topic: impl AsRef<[u8]>) -> Result<()> {
        self.change_subscription(topic.as_ref(), true)
    }

    /// Takes one [`subscribe`](Self::subscribe) back (`ZMQ_UNSUBSCRIBE`). What there is none of is
    /// ignored.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidState`](crate::Error::InvalidState) for other sockets than SUB, [`Error::Terminated`](crate::Error::Terminated).
    pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> Result<()> {
        self.change_subscription(topic.as_ref(), false)
    }

    /// How many topics are subscribed to (`ZMQ_TOPICS_COUNT`): by its peers if it is a PUB or XPUB, by
    /// itself if it is a SUB or XSUB; other sockets have none.
    #[must_use]
    pub fn topics_count(&self) -> usize {
        self.inner.core().pattern.topics()
    }

    fn change_subscription(&self, topic: &[u8], subscribe: bool) -> Result<()> {
        let mut guard = self.inner.core();
        guard.check()?;
        let core = &mut *guard;
        core.pattern.subscribe(topic, subscribe, &mut core.peers)?;
        self.inner.release(guard);
        Ok(())
    }
}
