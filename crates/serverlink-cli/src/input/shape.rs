//! From the bytes of a record to a message.

use memchr::memmem;
use serverlink::{Frame, Message};

/// What a publisher puts before each message.
#[derive(Debug, Clone)]
pub(crate) enum Envelope {
    None,
    /// A frame of its own.
    Topic(Frame),
    /// Bytes at the beginning of the first frame.
    Prefix(Vec<u8>),
}

/// How a record becomes a message.
#[derive(Debug)]
pub(super) struct Shape {
    delimiter: Option<memmem::Finder<'static>>,
    envelope: Envelope,
}

impl Shape {
    /// Records are split into frames at the delimiter, if there is one.
    pub(super) fn new(delimiter: Option<Vec<u8>>, envelope: Envelope) -> Self {
        let delimiter = delimiter.map(|bytes| memmem::Finder::new(&bytes).into_owned());
        Self { delimiter, envelope }
    }

    pub(super) fn message(&self, record: &[u8]) -> Message {
        match &self.envelope {
            Envelope::None => self.split(record),
            Envelope::Topic(topic) => {
                let mut message = self.split(record);
                message.push_front(topic);
                message
            }
            Envelope::Prefix(prefix) => {
                let mut whole = prefix.clone();
                whole.extend_from_slice(record);
                self.split(&whole)
            }
        }
    }

    fn split(&self, record: &[u8]) -> Message {
        let Some(finder) = &self.delimiter else { return Message::from(record) };
        let mut message = Message::new();
        let mut start = 0;
        for end in finder.find_iter(record) {
            message.push_back(&record[start..end]);
            start = end + finder.needle().len();
        }
        message.push_back(&record[start..]);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(delimiter: Option<&str>, envelope: Envelope, record: &str) -> Vec<String> {
        let shape = Shape::new(delimiter.map(|text| text.as_bytes().to_vec()), envelope);
        let message = shape.message(record.as_bytes());
        message.iter().map(|frame| frame.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn a_record_is_one_frame_unless_it_is_split() {
        assert_eq!(frames(None, Envelope::None, "a\tb"), ["a\tb"]);
        assert_eq!(frames(Some("\t"), Envelope::None, "a\tb\t"), ["a", "b", ""]);
        assert_eq!(frames(Some("::"), Envelope::None, "a:::b"), ["a", ":b"]);
        assert_eq!(frames(Some("\t"), Envelope::None, ""), [""]);
    }

    #[test]
    fn a_publisher_puts_its_topic_in_front() {
        let topic = || Envelope::Topic(Frame::from("t"));
        assert_eq!(frames(None, topic(), "x"), ["t", "x"]);
        assert_eq!(frames(Some(","), topic(), "x,y"), ["t", "x", "y"]);
        assert_eq!(frames(Some(","), Envelope::Prefix(b"t.".to_vec()), "x,y"), ["t.x", "y"]);
    }
}
