//! Messages and their frames.

mod frame;

use std::{fmt, ops::Index, slice, vec};

pub use frame::Frame;

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
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Message {
    // The one frame of most messages lives here, so that they need no allocation.
    first: Option<Frame>,
    rest: Vec<Frame>,
}

impl Message {
    /// A message without frames, to be filled with [`push_back`](Self::push_back). A message that
    /// has none yet cannot be sent.
    #[must_use]
    pub const fn new() -> Self {
        Self { first: None, rest: Vec::new() }
    }

    /// How many frames there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.rest.len()
    }

    /// Whether there is no frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// The sum of the sizes of all bodies, in bytes.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.iter().map(|frame| frame.len()).sum()
    }

    /// The frame at `index`, if there are so many.
    #[must_use]
    pub fn frame(&self, index: usize) -> Option<&Frame> {
        match index {
            0 => self.first.as_ref(),
            _ => self.rest.get(index - 1),
        }
    }

    /// The frames in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { first: self.first.as_ref(), rest: self.rest.iter() }
    }

    /// Appends a frame.
    #[inline]
    pub fn push_back(&mut self, frame: impl Into<Frame>) {
        if self.first.is_none() {
            self.first = Some(frame.into());
        } else {
            self.rest.push(frame.into());
        }
    }

    /// Puts a frame before all others, an envelope for instance.
    pub fn push_front(&mut self, frame: impl Into<Frame>) {
        if let Some(second) = self.first.replace(frame.into()) {
            self.rest.insert(0, second);
        }
    }

    /// Takes the first frame off.
    pub fn pop_front(&mut self) -> Option<Frame> {
        let first = self.first.take()?;
        if !self.rest.is_empty() {
            self.first = Some(self.rest.remove(0));
        }
        Some(first)
    }

    /// Takes the last frame off.
    pub fn pop_back(&mut self) -> Option<Frame> {
        self.rest.pop().or_else(|| self.first.take())
    }

    /// Splits the first `count` frames off, in order.
    pub(crate) fn split_front(&mut self, count: usize) -> Vec<Frame> {
        let mut front = Vec::with_capacity(count);
        if count > 0 {
            front.extend(self.first.take());
            front.extend(self.rest.drain(..(count - 1).min(self.rest.len())));
            if !self.rest.is_empty() {
                self.first = Some(self.rest.remove(0));
            }
        }
        front
    }

    /// Puts `frames` before all others.
    pub(crate) fn prepend(&mut self, frames: Vec<Frame>) {
        let mut frames = frames.into_iter();
        if let Some(new_first) = frames.next() {
            let old_first = self.first.replace(new_first);
            self.rest.splice(0..0, frames.chain(old_first));
        }
    }
}

impl<T: Into<Frame>> From<T> for Message {
    #[inline]
    fn from(frame: T) -> Self {
        Self { first: Some(frame.into()), rest: Vec::new() }
    }
}

impl<T: Into<Frame>> FromIterator<T> for Message {
    fn from_iter<I: IntoIterator<Item = T>>(frames: I) -> Self {
        let mut frames = frames.into_iter().map(Into::into);
        Self { first: frames.next(), rest: frames.collect() }
    }
}

impl<T: Into<Frame>> Extend<T> for Message {
    fn extend<I: IntoIterator<Item = T>>(&mut self, frames: I) {
        for frame in frames {
            self.push_back(frame);
        }
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
pub struct Iter<'a> {
    first: Option<&'a Frame>,
    rest: slice::Iter<'a, Frame>,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Frame;

    fn next(&mut self) -> Option<&'a Frame> {
        self.first.take().or_else(|| self.rest.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = usize::from(self.first.is_some()) + self.rest.len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// The frames of a [`Message`].
#[derive(Debug)]
pub struct IntoIter {
    first: Option<Frame>,
    rest: vec::IntoIter<Frame>,
}

impl Iterator for IntoIter {
    type Item = Frame;

    fn next(&mut self) -> Option<Frame> {
        self.first.take().or_else(|| self.rest.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let len = usize::from(self.first.is_some()) + self.rest.len();
        (len, Some(len))
    }
}

impl ExactSizeIterator for IntoIter {}

impl IntoIterator for Message {
    type Item = Frame;
    type IntoIter = IntoIter;

    fn into_iter(self) -> IntoIter {
        IntoIter { first: self.first, rest: self.rest.into_iter() }
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
}
