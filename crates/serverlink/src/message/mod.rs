//! Messages and their frames.

mod copies;
mod frame;
mod into;
mod tag;

use std::{fmt, hash, iter::Chain, mem, ops::Index, option, slice, vec};

pub use frame::Frame;
pub(crate) use frame::INLINE;
pub use into::IntoMessage;
use tag::Tag;

/// A message: one or more frames, sent and received as a whole.
///
/// Anything a [`Frame`] can be made from is also a message of one frame.
///
/// ```
/// use serverlink::Message;
///
/// let mut message = Message::from("body");
/// message.push_front("envelope");
/// assert_eq!(message.len(), 2);
/// assert_eq!(message[1], "body");
/// let frames: Vec<_> = message.into_iter().collect();
/// assert_eq!(frames[0], "envelope");
/// ```
#[derive(Clone, Default)]
pub struct Message(Frames);

/// The frames. Most messages have one, which needs no allocation, and the message no more room than
/// the frame.
#[derive(Clone, Default)]
enum Frames {
    #[default]
    None,
    One(Frame),
    Many(List),
}

/// Any number of frames, and what the message says besides, if it says anything.
// Not by a variant of its own, and nothing more to drop: to drop any message would take a call then.
#[derive(Clone, Default)]
struct List {
    /// The frames, and behind them the group that the tag tells of, if it does.
    frames: Vec<Frame>,
    /// Only while there is one frame.
    tag: Option<Tag>,
}

impl List {
    fn frames(&self) -> &[Frame] {
        match self.tag {
            Some(_) => &self.frames[..1],
            None => &self.frames,
        }
    }

    /// The frames alone, to be changed at will.
    fn untagged(&mut self) -> &mut Vec<Frame> {
        if self.tag.take().is_some() {
            self.frames.truncate(1);
        }
        &mut self.frames
    }
}

impl Message {
    /// A message without frames, to be filled with [`push_back`](Self::push_back). A message that
    /// has none yet cannot be sent.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self(Frames::None)
    }

    #[inline]
    fn frames(&self) -> &[Frame] {
        match &self.0 {
            Frames::None => &[],
            Frames::One(frame) => slice::from_ref(frame),
            Frames::Many(list) => list.frames(),
        }
    }

    /// The frames as a list, to be changed at will.
    fn list(&mut self) -> &mut Vec<Frame> {
        if !matches!(self.0, Frames::Many(_)) {
            let mut frames = Vec::with_capacity(2);
            if let Frames::One(frame) = mem::take(&mut self.0) {
                frames.push(frame);
            }
            // Nothing is left there to be dropped, which would take a call to find out.
            mem::forget(mem::replace(&mut self.0, Frames::Many(List { frames, tag: None })));
        }
        match &mut self.0 {
            Frames::Many(list) => list.untagged(),
            Frames::None | Frames::One(_) => unreachable!("it was made a list"),
        }
    }

    /// How many frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames().len()
    }

    /// Whether there is no frame.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Frames::None => true,
            Frames::One(_) => false,
            Frames::Many(list) => list.frames.is_empty(),
        }
    }

    /// Drops all frames. That there is nothing to drop afterwards is seen at compile time, and that
    /// there is nothing to free for a small message, at once.
    #[inline]
    pub(crate) fn clear(&mut self) {
        match &self.0 {
            Frames::None => {}
            Frames::One(frame) if frame.as_inline().is_some() => {
                mem::forget(mem::take(&mut self.0));
            }
            Frames::One(_) | Frames::Many(_) => self.drop_frames(),
        }
    }

    #[inline(never)]
    fn drop_frames(&mut self) {
        self.0 = Frames::None;
    }

    /// The one frame of a message that was made of no more.
    #[inline]
    pub(crate) fn only_frame(&self) -> Option<&Frame> {
        match &self.0 {
            Frames::One(frame) => Some(frame),
            Frames::None | Frames::Many(_) => None,
        }
    }

    /// The sum of the sizes of all bodies, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.iter().map(|frame| frame.len()).sum()
    }

    /// The frame at `index`, if there are so many.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<&Frame> {
        self.frames().get(index)
    }

    /// The frames in order.
    #[inline]
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.frames().iter())
    }

    /// Appends a frame.
    #[inline]
    pub fn push_back(&mut self, frame: impl Into<Frame>) {
        if matches!(self.0, Frames::None) {
            self.0 = Frames::One(frame.into());
        } else {
            self.list().push(frame.into());
        }
    }

    /// Makes a message without frames one of this.
    #[inline(always)]
    pub(crate) fn set_frame(&mut self, frame: Frame) {
        debug_assert!(self.is_empty(), "it has frames");
        // There is nothing to drop, which the compiler does not always see.
        mem::forget(mem::replace(&mut self.0, Frames::One(frame)));
    }

    /// Makes a message without frames one of a copy of `body`.
    // In its place: to be moved there, in other pieces than it was written in, would take longer than
    // to copy it.
    #[inline]
    pub(crate) fn set_copy(&mut self, body: &[u8]) {
        self.0 = Frames::One(Frame::new());
        if let Frames::One(frame) = &mut self.0 {
            frame.set_copy(body);
        }
    }

    /// Makes a message without frames one of the first `len` bytes of `window`.
    #[inline]
    pub(crate) fn set_inline(&mut self, window: &[u8; INLINE], len: usize) {
        self.set_frame(Frame::inline(window, len));
    }

    /// Puts a frame before all others, an envelope for instance.
    pub fn push_front(&mut self, frame: impl Into<Frame>) {
        if matches!(self.0, Frames::None) {
            self.0 = Frames::One(frame.into());
        } else {
            self.list().insert(0, frame.into());
        }
    }

    /// Takes the first frame off.
    pub fn pop_front(&mut self) -> Option<Frame> {
        match &self.0 {
            Frames::Many(_) => {
                let frames = self.list();
                (!frames.is_empty()).then(|| frames.remove(0))
            }
            Frames::None | Frames::One(_) => self.take_one(),
        }
    }

    /// Takes the last frame off.
    pub fn pop_back(&mut self) -> Option<Frame> {
        match &self.0 {
            Frames::Many(_) => self.list().pop(),
            Frames::None | Frames::One(_) => self.take_one(),
        }
    }

    fn take_one(&mut self) -> Option<Frame> {
        match mem::take(&mut self.0) {
            Frames::One(frame) => Some(frame),
            Frames::None | Frames::Many(_) => None,
        }
    }

    /// Splits the first `count` frames off, in order. They keep the room of the others, which
    /// [`prepend`](Self::prepend) needs.
    pub(crate) fn split_front(&mut self, count: usize) -> Vec<Frame> {
        let mut front = mem::take(self.list());
        self.0 = if front.len() == count + 1 {
            front.pop().map_or(Frames::None, Frames::One)
        } else {
            let frames = front.split_off(count.min(front.len()));
            Frames::Many(List { frames, tag: None })
        };
        front
    }

    /// Puts `front` before all other frames.
    pub(crate) fn prepend(&mut self, mut front: Vec<Frame>) {
        match mem::take(&mut self.0) {
            Frames::None => {}
            Frames::One(frame) => front.push(frame),
            Frames::Many(mut list) => front.append(list.untagged()),
        }
        self.0 = Frames::Many(List { frames: front, tag: None });
    }
}

impl<T: Into<Frame>> From<T> for Message {
    #[inline]
    fn from(frame: T) -> Self {
        Self(Frames::One(frame.into()))
    }
}

impl<T: Into<Frame>> FromIterator<T> for Message {
    fn from_iter<I: IntoIterator<Item = T>>(frames: I) -> Self {
        let mut message = Self::new();
        message.extend(frames);
        message
    }
}

impl<T: Into<Frame>> Extend<T> for Message {
    fn extend<I: IntoIterator<Item = T>>(&mut self, frames: I) {
        for frame in frames {
            self.push_back(frame);
        }
    }
}

impl PartialEq for Message {
    fn eq(&self, other: &Self) -> bool {
        self.frames() == other.frames()
    }
}

impl Eq for Message {}

impl hash::Hash for Message {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.frames().hash(state);
    }
}

impl Index<usize> for Message {
    type Output = Frame;

    /// # Panics
    ///
    /// If there are not so many frames; see [`Message::frame`].
    fn index(&self, index: usize) -> &Frame {
        self.frame(index).expect("the message has a frame of that index")
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// The frames of a [`Message`], borrowed.
#[derive(Debug, Clone)]
pub struct Iter<'a>(slice::Iter<'a, Frame>);

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Frame;

    #[inline]
    fn next(&mut self) -> Option<&'a Frame> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl DoubleEndedIterator for Iter<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back()
    }
}

/// The frames of a [`Message`].
#[derive(Debug)]
pub struct IntoIter(Chain<option::IntoIter<Frame>, vec::IntoIter<Frame>>);

impl Iterator for IntoIter {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for IntoIter {}

impl DoubleEndedIterator for IntoIter {
    fn next_back(&mut self) -> Option<Frame> {
        self.0.next_back()
    }
}

impl IntoIterator for Message {
    type Item = Frame;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        let (one, many) = match self.0 {
            Frames::None => (None, Vec::new()),
            Frames::One(frame) => (Some(frame), Vec::new()),
            Frames::Many(mut list) => (None, mem::take(list.untagged())),
        };
        IntoIter(one.into_iter().chain(many))
    }
}

impl<'a> IntoIterator for &'a Message {
    type Item = &'a Frame;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(message: &Message) -> Vec<&str> {
        message.iter().map(|frame| frame.as_str().unwrap()).collect()
    }

    #[test]
    fn a_message_takes_no_more_room_than_a_frame() {
        assert_eq!(size_of::<Message>(), size_of::<Frame>());
    }

    #[test]
    fn messages_of_the_same_frames_are_equal_however_they_were_made() {
        let mut shortened: Message = ["a", "b"].into_iter().collect();
        assert_eq!(shortened.pop_back().unwrap(), "b");
        assert_eq!(shortened, Message::from("a"));
        assert_eq!(shortened.pop_front().unwrap(), "a");
        assert_eq!(shortened, Message::new());
        assert!(shortened.is_empty() && shortened.only_frame().is_none());
    }

    #[test]
    fn frames_keep_their_order_whichever_end_they_are_added_at() {
        let mut message = Message::new();
        assert!(message.is_empty());
        message.push_front("b");
        message.push_front("a");
        message.push_back("c");
        assert_eq!(texts(&message), ["a", "b", "c"]);
        assert_eq!(message.pop_front().unwrap(), "a");
        assert_eq!(message.pop_back().unwrap(), "c");
        assert_eq!(message.pop_back().unwrap(), "b");
        assert_eq!(message.pop_back(), None);
        assert_eq!(message.pop_front(), None);
    }

    #[test]
    fn an_envelope_split_off_can_be_put_back() {
        let whole: Message = ["1", "2", "", "x", "y"].into_iter().collect();
        for count in 0..=5 {
            let mut message = whole.clone();
            let front = message.split_front(count);
            assert_eq!((front.len(), message.len()), (count, 5 - count));
            message.prepend(front);
            assert_eq!(message, whole);
        }
    }

    #[test]
    fn a_message_with_an_envelope_says_nothing_besides() {
        for mut message in ["x".into(), Message::from("x").with_group("g")] {
            message.prepend(vec!["1".into(), Frame::new()]);
            assert_eq!(texts(&message), ["1", "", "x"]);
            assert_eq!(message.group(), None);
        }
    }
}
