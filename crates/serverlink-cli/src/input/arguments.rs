//! Messages given on the command line.

use std::ffi::OsString;

/// The arguments in order, over and over if so asked.
#[derive(Debug)]
pub(super) struct Arguments {
    messages: Vec<OsString>,
    next: usize,
    repeat: bool,
}

impl Arguments {
    pub(super) fn new(messages: Vec<OsString>, repeat: bool) -> Self {
        Self { messages, next: 0, repeat }
    }

    pub(super) fn next(&mut self) -> Option<&[u8]> {
        if self.repeat && self.next == self.messages.len() {
            self.next = 0;
        }
        let message = self.messages.get(self.next)?;
        self.next += 1;
        // On Unix these are the argument's bytes, on Windows its text in UTF-8.
        Some(message.as_encoded_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_come_once_or_over_and_over() {
        let texts = || vec![OsString::from("a"), OsString::from("b")];
        let mut once = Arguments::new(texts(), false);
        assert_eq!(once.next(), Some(&b"a"[..]));
        assert_eq!(once.next(), Some(&b"b"[..]));
        assert_eq!(once.next(), None);
        let mut repeated = Arguments::new(texts(), true);
        let seen: Vec<u8> = (0..5).map(|_| repeated.next().unwrap()[0]).collect();
        assert_eq!(seen, b"ababa");
    }
}
