//! What a message says besides its frames.

use super::{Frame, Frames, List, Message};

/// What a message of one frame says besides.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    /// The number of a peer of a SERVER or PEER.
    RoutingId(u32),
    /// The group of a RADIO's or DISH's message.
    Group,
    /// The group that a DISH joins, for its RADIO.
    Join,
    /// The group that it leaves.
    Leave,
}

impl Message {
    /// Which peer of a SERVER or PEER it came from or is to go to, if it says so (RFC 41, 51;
    /// `zmq_msg_routing_id`).
    #[must_use]
    pub fn routing_id(&self) -> Option<u32> {
        match self.tagged()?.1 {
            Tag::RoutingId(id) => Some(id),
            Tag::Group | Tag::Join | Tag::Leave => None,
        }
    }

    /// The same message to a peer of a SERVER or PEER (RFC 41, 51; `zmq_msg_set_routing_id`). One of
    /// several frames, or none, stays as it is, for these types do not send it; and one that frames
    /// are added to forgets the id.
    ///
    /// ```
    /// use serverlink::{Context, Message, SocketType};
    ///
    /// let context = Context::new()?;
    /// let server = context.socket(SocketType::Server)?;
    /// let client = context.socket(SocketType::Client)?;
    /// client.connect(&server.bind("tcp://127.0.0.1:*")?)?;
    ///
    /// client.send("hello")?;
    /// let asking = server.recv()?.routing_id().unwrap();
    /// server.send(Message::from("hello yourself").with_routing_id(asking))?;
    /// assert_eq!(client.recv()?[0], "hello yourself");
    /// # Ok::<(), serverlink::Error>(())
    /// ```
    #[must_use]
    pub fn with_routing_id(mut self, id: u32) -> Self {
        self.set_routing_id(id);
        self
    }

    pub(crate) fn set_routing_id(&mut self, id: u32) {
        self.set_tag(Tag::RoutingId(id), None);
    }

    /// The group that a DISH's message came to or a RADIO's is to go to, if it says so (RFC 48;
    /// `zmq_msg_group`).
    #[must_use]
    pub fn group(&self) -> Option<&[u8]> {
        match self.tagged()? {
            ([_, group], Tag::Group) => Some(group),
            _ => None,
        }
    }

    /// The same message to a group, when a RADIO sends it (RFC 48; `zmq_msg_set_group`): a name of at
    /// most 255 bytes, none of which is zero. It replaces a [routing id](Self::with_routing_id), and
    /// like it belongs to messages of one frame.
    #[must_use]
    pub fn with_group(mut self, group: impl AsRef<[u8]>) -> Self {
        self.set_group(group.as_ref());
        self
    }

    pub(crate) fn set_group(&mut self, group: &[u8]) {
        self.set_tag(Tag::Group, Some(group));
    }

    /// What a RADIO's message is to its peers: the group, and the body.
    pub(crate) fn with_group_framed(&self) -> Self {
        let group = Frame::from(self.group().unwrap_or_default());
        [&group].into_iter().chain(self).collect()
    }

    /// What a RADIO is told of a DISH that joins a group, or leaves it; and a PUB of a SUB and a
    /// pattern of topics, which it subscribes to, or no longer. No peer can send the like.
    pub(crate) fn of_membership(group: &[u8], join: bool) -> Self {
        let mut message = Self::from(Frame::new());
        message.set_tag(if join { Tag::Join } else { Tag::Leave }, Some(group));
        message
    }

    /// The group or pattern that [`of_membership`](Self::of_membership) names, and whether it is
    /// joined or subscribed to.
    pub(crate) fn membership(&self) -> Option<(&[u8], bool)> {
        match self.tagged()? {
            ([_, group], Tag::Join) => Some((group, true)),
            ([_, group], Tag::Leave) => Some((group, false)),
            _ => None,
        }
    }

    /// The frame, the group if the tag tells of one, and the tag.
    fn tagged(&self) -> Option<(&[Frame], Tag)> {
        match &self.0 {
            Frames::Many(list) => Some((&list.frames, list.tag?)),
            Frames::None | Frames::One(_) => None,
        }
    }

    fn set_tag(&mut self, tag: Tag, group: Option<&[u8]>) {
        if self.len() == 1
            && let Some(frame) = self.pop_front()
        {
            let frames = [frame].into_iter().chain(group.map(Frame::from)).collect();
            self.0 = Frames::Many(List { frames, tag: Some(tag) });
        }
    }

    /// Forgets what it says besides its frames.
    pub(crate) fn clear_tag(&mut self) {
        if self.tagged().is_some()
            && let Some(frame) = self.pop_front()
        {
            self.0 = Frames::One(frame);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_belongs_to_a_message_of_one_frame() {
        for size in [0, 70, 71, 1000] {
            let body = vec![7; size];
            let mut message = Message::from(body.clone()).with_routing_id(1).with_routing_id(2);
            assert_eq!((message.routing_id(), message.len()), (Some(2), 1));
            assert_eq!((message.byte_len(), message.is_empty()), (size, false));
            assert_eq!(message, Message::from(body.clone()), "frames alone are compared");
            assert_eq!(message.clone().routing_id(), Some(2));
            assert_eq!(message.clone().pop_front().unwrap(), body[..]);
            assert_eq!(message.clone().pop_back().unwrap(), body[..]);
            assert!(message.clone().into_iter().eq([Frame::from(body.clone())]));
            let grouped = message.clone().with_group("group");
            assert_eq!((grouped.routing_id(), grouped.group()), (None, Some(&b"group"[..])));
            assert_eq!((grouped.len(), grouped.membership(), &grouped), (1, None, &message));
            assert_eq!(grouped.with_group_framed().into_iter().count(), 2);
            let mut longer = message.clone().with_group("group");
            assert!(longer.clone().into_iter().eq([Frame::from(body.clone())]));
            longer.push_front("envelope");
            assert_eq!((longer.routing_id(), longer.len()), (None, 2));
            // What remains of several frames is one.
            longer.pop_front();
            assert_eq!(longer.with_routing_id(3).routing_id(), Some(3));
            message.clear_tag();
            assert_eq!((message.routing_id(), message), (None, Message::from(body)));
        }
        for mut other in [Message::new(), ["a", "b"].into_iter().collect()] {
            let before = other.clone();
            other.set_routing_id(1);
            assert_eq!((other.routing_id(), &other), (None, &before));
            other.clear_tag();
            assert_eq!(other, before);
        }
    }
}
