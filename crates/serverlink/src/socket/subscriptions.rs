//! Subscribing.

use serverlink_zmtp::MAX_PATTERN_LEN;

use super::Socket;
use crate::{Error, Result};

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

    /// Subscribes a SUB or XSUB to all messages whose first frame matches `pattern` as a whole; what
    /// may follow the topic in that frame belongs to it, so end the pattern with `*` if something
    /// does. Patterns are those of Redis' PSUBSCRIBE:
    ///
    /// | in a pattern | matches |
    /// |---|---|
    /// | `*` | any bytes, also none |
    /// | `?` | one byte |
    /// | `[abx-z]` | one byte of the set, which may have ranges |
    /// | `[^abx-z]` | one byte that is not of the set |
    /// | `\` and a byte | that byte, also within a set |
    /// | any other byte | itself |
    ///
    /// Every sequence of bytes is a pattern: a set that does not end with `]` ends with the pattern,
    /// and a `\` at the end matches itself. Subscriptions to patterns are counted, like others, and
    /// a message comes once however many of both it fits.
    ///
    /// A publisher of this library filters; with others the socket subscribes to what the topics of
    /// the pattern [begin with](Self::subscribe) and filters by itself, so that more is on its way than it
    /// receives: it counts for high-water marks, and may replace what is wanted on a socket that
    /// [conflates](Self::set_conflate). Of what no subscription has
    /// asked for, an XSUB receives all but what comes for the sake of a pattern that does not match
    /// it.
    ///
    /// An XPUB is told of what the topics of a pattern begin with, as of any other subscription:
    /// whoever forwards it gets all that is needed here, and it is filtered here. It is the same in
    /// manual mode, in which this method, on the XPUB, subscribes
    /// its peer to a pattern, as [`subscribe`](Self::subscribe) does to a topic. Where
    /// [matching is inverted](Self::set_invert_matching), what matches neither a topic nor a pattern
    /// goes, and is received; set that before subscribing to patterns.
    ///
    /// ```
    /// use serverlink::{Context, SocketType};
    ///
    /// let context = Context::new()?;
    /// let (publisher, sub) = (context.socket(SocketType::Pub)?, context.socket(SocketType::Sub)?);
    /// publisher.bind("inproc://weather")?;
    /// sub.connect("inproc://weather")?;
    /// sub.psubscribe("weather.*.rain")?;
    ///
    /// for topic in ["weather.oslo.sun", "weather.oslo.rain", "weather.rome.rain.not"] {
    ///     publisher.send(topic)?;
    /// }
    /// assert_eq!(sub.recv()?[0], "weather.oslo.rain");
    /// assert!(sub.try_recv().is_err());
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for a pattern of more than 255 bytes, [`Error::InvalidState`] for
    /// other sockets, [`Error::Terminated`].
    pub fn psubscribe(&self, pattern: impl AsRef<[u8]>) -> Result<()> {
        self.change_pattern(pattern.as_ref(), true)
    }

    /// Takes one [`psubscribe`](Self::psubscribe) back. What there is none of is ignored.
    ///
    /// # Errors
    ///
    /// Those of [`psubscribe`](Self::psubscribe).
    pub fn punsubscribe(&self, pattern: impl AsRef<[u8]>) -> Result<()> {
        self.change_pattern(pattern.as_ref(), false)
    }

    /// How many topics (`ZMQ_TOPICS_COUNT`) and [patterns](Self::psubscribe) are subscribed to, each
    /// counted once: by its peers if it is a PUB or XPUB, by itself if it is a SUB or XSUB; other
    /// sockets have none.
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

    fn change_pattern(&self, pattern: &[u8], subscribe: bool) -> Result<()> {
        let mut guard = self.inner.core();
        guard.check()?;
        if pattern.len() > MAX_PATTERN_LEN {
            let reason =
                format!("it has {} bytes; at most {MAX_PATTERN_LEN} are allowed", pattern.len());
            return Err(Error::InvalidOption { option: "pattern", reason });
        }
        let core = &mut *guard;
        core.pattern.psubscribe(pattern, subscribe, &mut core.peers)?;
        self.inner.release(guard);
        Ok(())
    }
}
