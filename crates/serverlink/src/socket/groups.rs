//! Groups, which DISH sockets join.

use super::Socket;
use crate::Result;

impl Socket {
    /// Has a DISH receive the messages of a group (RFC 48; `zmq_join`): of those that RADIOs send
    /// [to it](crate::Message::with_group), to exactly this name. It has at most 255 bytes, none of
    /// which is zero; the empty one is the group of messages that name none.
    ///
    /// ```
    /// use serverlink::{Context, Message, SocketType};
    ///
    /// let context = Context::new()?;
    /// let (radio, dish) = (context.socket(SocketType::Radio)?, context.socket(SocketType::Dish)?);
    /// dish.join("weather")?;
    /// radio.bind("inproc://news")?;
    /// dish.connect("inproc://news")?;
    ///
    /// radio.send(Message::from("jam").with_group("traffic"))?;
    /// radio.send(Message::from("rain").with_group("weather"))?;
    /// let news = dish.recv()?;
    /// assert_eq!((news.group(), &news[0][..]), (Some(&b"weather"[..]), &b"rain"[..]));
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) if it has joined the group already, or
    /// there can be no such group, [`Error::InvalidState`](crate::Error::InvalidState) for sockets
    /// of other types, [`Error::Terminated`](crate::Error::Terminated).
    pub fn join(&self, group: impl AsRef<[u8]>) -> Result<()> {
        self.change_membership(group.as_ref(), true)
    }

    /// Takes [`join`](Self::join) back (`zmq_leave`). Messages of the group that have arrived
    /// already are not delivered either.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`](crate::Error::InvalidOption) if it has not joined the group,
    /// [`Error::InvalidState`](crate::Error::InvalidState) for sockets of other types,
    /// [`Error::Terminated`](crate::Error::Terminated).
    pub fn leave(&self, group: impl AsRef<[u8]>) -> Result<()> {
        self.change_membership(group.as_ref(), false)
    }

    fn change_membership(&self, group: &[u8], join: bool) -> Result<()> {
        let mut guard = self.inner.core();
        guard.check()?;
        let core = &mut *guard;
        core.pattern.change_membership(group, join, &mut core.peers)?;
        self.inner.release(guard);
        Ok(())
    }
}
