//! What can be sent.

use bytes::Bytes;

use super::{Frame, Message};

/// What [`Socket::send`](crate::Socket::send) takes: a [`Message`], or something that makes one frame.
///
/// Bytes that are borrowed are copied once, to where they are sent from.
///
/// ```
/// use serverlink::{Context, IntoMessage, Message, SocketType};
///
/// struct Reading(f64);
///
/// impl IntoMessage for Reading {
///     fn fill(self, message: &mut Message) {
///         message.push_back("reading");
///         message.push_back(self.0.to_be_bytes());
///     }
/// }
///
/// let context = Context::new()?;
/// let meter = context.socket(SocketType::Push)?;
/// let display = context.socket(SocketType::Pull)?;
/// display.bind("inproc://readings")?;
/// meter.connect("inproc://readings")?;
/// meter.send(Reading(1.5))?;
/// assert_eq!(display.recv()?[0], "reading");
/// # Ok::<(), serverlink::Error>(())
/// ```
pub trait IntoMessage {
    /// Fills `message`, which has no frames.
    fn fill(self, message: &mut Message);
}

impl IntoMessage for Message {
    #[inline]
    fn fill(self, message: &mut Message) {
        *message = self;
    }
}

impl IntoMessage for &[u8] {
    #[inline]
    fn fill(self, message: &mut Message) {
        message.set_copy(self);
    }
}

impl<const N: usize> IntoMessage for &[u8; N] {
    #[inline]
    fn fill(self, message: &mut Message) {
        message.set_copy(self);
    }
}

impl<const N: usize> IntoMessage for [u8; N] {
    #[inline]
    fn fill(self, message: &mut Message) {
        message.set_copy(&self);
    }
}

impl IntoMessage for &str {
    #[inline]
    fn fill(self, message: &mut Message) {
        message.set_copy(self.as_bytes());
    }
}

macro_rules! by_a_frame {
    ($($of:ty),*) => {$(
        impl IntoMessage for $of {
            #[inline]
            fn fill(self, message: &mut Message) {
                *message = Message::from(self);
            }
        }
    )*};
}

by_a_frame!(Frame, &Frame, Bytes, Vec<u8>, String);
