//! Printing of messages.

mod json;
mod text;

use std::io::{self, Write};

use serverlink::Message;

use self::text::Text;
use crate::args::{FramingArgs, RunArgs};

/// Written at once when so much has gathered.
const BLOCK: usize = 64 * 1024;

/// What a socket receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Messages, and nothing else.
    Messages,
    /// Messages behind the routing id of their sender.
    Routed,
    /// Subscriptions and their ends; messages from upstream as well.
    Subscriptions,
}

/// How messages are printed.
#[derive(Debug, Clone)]
pub(crate) struct Style {
    kind: Kind,
    layout: Layout,
}

#[derive(Debug, Clone)]
enum Layout {
    Text(Text),
    Json,
}

impl Style {
    pub(crate) fn new(kind: Kind, run: &RunArgs, framing: &FramingArgs, raw: bool) -> Self {
        let layout = if run.json {
            Layout::Json
        } else if raw {
            Layout::Text(Text::raw(framing.delimiter.as_deref().unwrap_or_default()))
        } else {
            Layout::Text(Text::new(framing.delimiter(), framing.separator()))
        };
        Self { kind, layout }
    }
}

/// Messages on their way to an output, gathered into large blocks.
#[derive(Debug)]
pub(crate) struct Printer<W> {
    output: W,
    style: Style,
    block: Vec<u8>,
}

impl<W: Write> Printer<W> {
    pub(crate) fn new(output: W, style: Style) -> Self {
        Self { output, style, block: Vec::with_capacity(2 * BLOCK) }
    }

    /// Takes a message. What was taken is written when a block is full, or with
    /// [`flush`](Self::flush).
    pub(crate) fn print(&mut self, message: &Message) -> io::Result<()> {
        match &self.style.layout {
            Layout::Text(text) => text.write(self.style.kind, message, &mut self.block),
            Layout::Json => json::write(self.style.kind, message, &mut self.block)?,
        }
        if self.block.len() >= BLOCK { self.write_block() } else { Ok(()) }
    }

    /// Writes everything taken.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if !self.block.is_empty() {
            self.write_block()?;
            self.output.flush()?;
        }
        Ok(())
    }

    fn write_block(&mut self) -> io::Result<()> {
        let written = self.output.write_all(&self.block);
        // After a failure nothing more can be written either.
        self.block.clear();
        self.block.shrink_to(2 * BLOCK);
        written
    }
}

/// A subscription or its end, as an XPUB socket receives it: the topic, and whether it begins.
pub(crate) fn subscription(message: &Message) -> Option<(bool, &[u8])> {
    match message.frame(0)?.as_slice() {
        [1, topic @ ..] => Some((true, topic)),
        [0, topic @ ..] => Some((false, topic)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(kind: Kind, layout: Layout, message: Message) -> String {
        let mut printer = Printer::new(Vec::new(), Style { kind, layout });
        printer.print(&message).unwrap();
        printer.flush().unwrap();
        String::from_utf8(printer.output).unwrap()
    }

    fn text() -> Layout {
        Layout::Text(Text::new(b"\t", b'\n'))
    }

    #[test]
    fn frames_are_separated_and_messages_ended() {
        let message = || ["a", "", "b"].into_iter().collect::<Message>();
        assert_eq!(printed(Kind::Messages, text(), message()), "a\t\tb\n");
        assert_eq!(printed(Kind::Messages, Layout::Text(Text::raw(b"")), message()), "ab");
        assert_eq!(
            printed(Kind::Messages, Layout::Text(Text::new(b", ", 0)), message()),
            "a, , b\0"
        );
    }

    #[test]
    fn routing_ids_are_readable() {
        let routed = |id: &[u8]| [id, b"x"].into_iter().collect::<Message>();
        assert_eq!(printed(Kind::Routed, text(), routed(b"worker-1")), "worker-1\tx\n");
        assert_eq!(printed(Kind::Routed, text(), routed(b"\0\x0a\xff")), "0x000aff\tx\n");
        assert_eq!(printed(Kind::Routed, text(), routed(b"0xab")), "0x30786162\tx\n");
        assert_eq!(
            printed(Kind::Routed, Layout::Json, routed(b"\0\xff")),
            "{\"event\":\"message\",\"routing_id\":{\"hex\":\"00ff\"},\"frames\":[\"x\"]}\n"
        );
    }

    #[test]
    fn subscriptions_are_told_from_messages() {
        let printed =
            |layout, frame: &[u8]| printed(Kind::Subscriptions, layout, Message::from(frame));
        assert_eq!(printed(text(), b"\x01news"), "subscribe\tnews\n");
        assert_eq!(printed(text(), b"\0"), "unsubscribe\t\n");
        assert_eq!(printed(text(), b"hello"), "hello\n");
        assert_eq!(
            printed(Layout::Json, b"\x01news"),
            "{\"event\":\"subscribe\",\"topic\":\"news\"}\n"
        );
        assert_eq!(
            printed(Layout::Json, b"\0\xff"),
            "{\"event\":\"unsubscribe\",\"topic\":{\"hex\":\"ff\"}}\n"
        );
    }

    #[test]
    fn json_has_text_where_it_can_and_hexadecimal_digits_elsewhere() {
        let message = [&b"a\"\n"[..], b"\xff\0", b""].into_iter().collect();
        assert_eq!(
            printed(Kind::Messages, Layout::Json, message),
            "{\"event\":\"message\",\"frames\":[\"a\\\"\\n\",{\"hex\":\"ff00\"},\"\"]}\n"
        );
    }
}
