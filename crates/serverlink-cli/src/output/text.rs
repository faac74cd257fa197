//! Messages as text.

use serverlink::Message;

use super::{Kind, subscription};

/// What stands between frames and after messages.
#[derive(Debug, Clone)]
pub(super) struct Text {
    delimiter: Box<[u8]>,
    terminator: Option<u8>,
    /// A terminal obeys what peers send, unless it is made visible.
    for_terminal: bool,
}

impl Text {
    pub(super) fn new(delimiter: &[u8], terminator: u8, for_terminal: bool) -> Self {
        Self { delimiter: delimiter.into(), terminator: Some(terminator), for_terminal }
    }

    /// Bytes as they are, with nothing after a message.
    pub(super) fn raw(delimiter: &[u8]) -> Self {
        Self { delimiter: delimiter.into(), terminator: None, for_terminal: false }
    }

    pub(super) fn write(&self, kind: Kind, message: &Message, out: &mut Vec<u8>) {
        let mut frames = message.iter();
        // Raw output is exact; otherwise an id or a subscription is to be read by people.
        if self.terminator.is_some() {
            match kind {
                Kind::Messages => {}
                Kind::Routed => {
                    write_id(frames.next().map_or(&[][..], |id| id), out);
                    out.extend_from_slice(&self.delimiter);
                }
                Kind::Subscriptions => {
                    if let Some((begins, topic)) = subscription(message) {
                        let word = if begins { "subscribe" } else { "unsubscribe" };
                        out.extend_from_slice(word.as_bytes());
                        out.extend_from_slice(&self.delimiter);
                        self.write_frame(topic, out);
                        out.extend(self.terminator);
                        return;
                    }
                }
            }
        }
        for (index, frame) in frames.enumerate() {
            if index > 0 {
                out.extend_from_slice(&self.delimiter);
            }
            self.write_frame(frame, out);
        }
        out.extend(self.terminator);
    }

    fn write_frame(&self, frame: &[u8], out: &mut Vec<u8>) {
        if !self.for_terminal {
            return out.extend_from_slice(frame);
        }
        for chunk in frame.utf8_chunks() {
            for character in chunk.valid().chars() {
                let mut utf8 = [0; 4];
                let bytes = character.encode_utf8(&mut utf8).as_bytes();
                match character {
                    '\t' | '\n' => out.extend_from_slice(bytes),
                    _ if character.is_control() => write_escaped(bytes, out),
                    _ => out.extend_from_slice(bytes),
                }
            }
            write_escaped(chunk.invalid(), out);
        }
    }
}

fn write_escaped(bytes: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        out.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
    }
}

/// An id as it can be given to `--routing-id`: text if it is nothing but visible ASCII.
fn write_id(id: &[u8], out: &mut Vec<u8>) {
    if !id.is_empty() && id.iter().all(u8::is_ascii_graphic) && !id.starts_with(b"0x") {
        out.extend_from_slice(id);
    } else {
        out.extend_from_slice(format!("0x{}", super::json::Hex(id)).as_bytes());
    }
}
