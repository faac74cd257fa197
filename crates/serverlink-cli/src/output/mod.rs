//! Printing of messages.

mod json;
mod text;

use std::io::{self, IsTerminal as _, Write};

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
            let for_terminal = io::stdout().is_terminal();
            Layout::Text(Text::new(framing.delimiter(), framing.separator(), for_terminal))
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
        }
        // Standard output keeps the end of what it was given, up to the next line.
        self.output.flush()
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
        Layout::Text(Text::new(b"\t", b'\n', false))
    }

    #[test]
    fn frames_are_separated_and_messages_ended() {
        let message = || ["a", "", "b"].into_iter().collect::<Message>();
        assert_eq!(printed(Kind::Messages, text(), message()), "a\t\tb\n");
        assert_eq!(printed(Kind::Messages, Layout::Text(Text::raw(b"")), message()), "ab");
        assert_eq!(
            printed(Kind::Messages, Layout::Text(Text::new(b", ", 0, false)), message()),
            "a, , b\0"
        );
    }

    #[test]
    fn a_terminal_is_told_to_do_nothing() {
        let layout = |for_terminal| Layout::Text(Text::new(b"\t", b'\n', for_terminal));
        let message = || Message::from(&b"a\x1b]0;b\x07\xc2\x9b\x9b\x7f\xc3\xa4\tc\nd"[..]);
        let shown = printed(Kind::Messages, layout(true), message());
        assert_eq!(shown, "a\\x1b]0;b\\x07\\xc2\\x9b\\x9b\\x7f\u{e4}\tc\nd\n");
        let topic = || Message::from(&b"\x01\x1bx"[..]);
        assert_eq!(printed(Kind::Subscriptions, layout(true), topic()), "subscribe\t\\x1bx\n");
        assert_eq!(printed(Kind::Subscriptions, layout(false), topic()), "subscribe\t\x1bx\n");
    }

    /// Keeps what comes after the last newline, as standard output does.
    #[derive(Default)]
    struct Lines(Vec<u8>, Vec<u8>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.extend_from_slice(bytes);
            let line = self.1.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            self.0.extend(self.1.drain(..line));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.append(&mut self.1);
            Ok(())
        }
    }

    #[test]
    fn a_pause_leaves_nothing_of_a_large_message_in_the_output() {
        let style = Style { kind: Kind::Messages, layout: Layout::Text(Text::raw(b"")) };
        let mut printer = Printer::new(Lines::default(), style);
        let large = [&vec![b'x'; BLOCK][..], b"\nend"].concat();
        printer.print(&Message::from(&large[..])).unwrap();
        printer.flush().unwrap();
        assert!(printer.output.0 == large);
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
