//! A stream of bytes, cut into records and read in large blocks.

use std::io::{self, Read};

use crate::args::InputArgs;

/// How much is read at once.
const BLOCK: usize = 256 * 1024;

/// Where one record ends and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// After this byte, which may be part of the record.
    After { separator: u8, keep: bool },
    /// After so many bytes.
    Every(usize),
    /// At the end only.
    Never,
}

impl Cut {
    pub(super) fn new(args: &InputArgs, separator: u8) -> Self {
        match args.chunk {
            Some(size) => Self::Every(size),
            None if args.whole => Self::Never,
            None => Self::After { separator, keep: args.keep_newline },
        }
    }
}

/// The records of one stream.
#[derive(Debug)]
pub(super) struct Records<R> {
    reader: R,
    cut: Cut,
    block: Vec<u8>,
    /// The present record.
    record: std::ops::Range<usize>,
    /// What was read and not yet handed out begins here, and ends at `filled`.
    next: usize,
    filled: usize,
    /// Nothing more will be read.
    ended: bool,
    /// Any record came; a stream that is never cut has exactly one, even of no bytes.
    any: bool,
}

impl<R: Read> Records<R> {
    pub(super) fn new(reader: R, cut: Cut) -> Self {
        let block = vec![0; BLOCK];
        Self { reader, cut, block, record: 0..0, next: 0, filled: 0, ended: false, any: false }
    }

    /// The present record, after [`advance`](Self::advance) has found one.
    pub(super) fn record(&self) -> &[u8] {
        &self.block[self.record.clone()]
    }

    /// Goes on to the next record. There is none when this is `false`.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        let mut searched = 0;
        loop {
            let rest = &self.block[self.next..self.filled];
            if let Some((length, skip)) = self.cut.end(rest, searched) {
                self.take(length, skip);
                return Ok(true);
            }
            searched = rest.len();
            if self.ended {
                let some = searched > 0 || (self.cut == Cut::Never && !self.any);
                self.take(searched, 0);
                return Ok(some);
            }
            self.fill()?;
        }
    }

    fn take(&mut self, length: usize, skip: usize) {
        self.record = self.next..self.next + length;
        self.next = self.record.end + skip;
        self.any = true;
    }

    fn fill(&mut self) -> io::Result<()> {
        self.block.copy_within(self.next..self.filled, 0);
        self.filled -= self.next;
        self.next = 0;
        if self.filled == self.block.len() {
            // A record larger than the block.
            self.block.resize(self.block.len() * 2, 0);
        }
        loop {
            match self.reader.read(&mut self.block[self.filled..]) {
                Ok(read) => {
                    self.filled += read;
                    self.ended = read == 0;
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Cut {
    /// The first record's length in `bytes`, and how many bytes after it belong to no record.
    /// The first `searched` bytes were looked at before.
    fn end(self, bytes: &[u8], searched: usize) -> Option<(usize, usize)> {
        match self {
            Self::After { separator, keep } => {
                let position = searched + memchr::memchr(separator, &bytes[searched..])?;
                Some(if keep { (position + 1, 0) } else { (position, 1) })
            }
            Self::Every(size) => (bytes.len() >= size).then_some((size, 0)),
            Self::Never => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hands out its bytes in portions of the given sizes, as pipes do.
    struct Portions<'a> {
        bytes: &'a [u8],
        sizes: std::iter::Cycle<std::slice::Iter<'a, usize>>,
    }

    impl Read for Portions<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let size = *self.sizes.next().unwrap();
            let size = size.min(buffer.len()).min(self.bytes.len());
            buffer[..size].copy_from_slice(&self.bytes[..size]);
            self.bytes = &self.bytes[size..];
            Ok(size)
        }
    }

    fn records(bytes: &[u8], sizes: &[usize], cut: Cut) -> Vec<Vec<u8>> {
        let mut records = Records::new(Portions { bytes, sizes: sizes.iter().cycle() }, cut);
        let mut all = Vec::new();
        while records.advance().unwrap() {
            all.push(records.record().to_vec());
        }
        all
    }

    const LINES: Cut = Cut::After { separator: b'\n', keep: false };
    const KEPT: Cut = Cut::After { separator: b'\n', keep: true };

    #[test]
    fn lines_lose_their_newline_and_may_be_empty() {
        for (text, lines) in [
            ("", vec![]),
            ("\n", vec![""]),
            ("a\n\nb\n", vec!["a", "", "b"]),
            ("a\r\nb", vec!["a\r", "b"]),
        ] {
            let expected: Vec<_> = lines.iter().map(|line| line.as_bytes().to_vec()).collect();
            assert_eq!(records(text.as_bytes(), &[1], LINES), expected, "{text:?}");
        }
    }

    #[test]
    fn a_stream_that_is_never_cut_is_one_record_even_if_empty() {
        assert_eq!(records(b"", &[1], Cut::Never), [b""]);
        assert_eq!(records(b"a\nb", &[2], Cut::Never), [b"a\nb"]);
    }

    #[test]
    fn a_record_may_be_larger_than_a_block() {
        let mut text = vec![b'x'; 3 * BLOCK + 7];
        text.push(b'\n');
        text.extend_from_slice(b"tail");
        let found = records(&text, &[100_000], LINES);
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [3 * BLOCK + 7, 4]);
    }

    proptest! {
        #[test]
        fn any_portions_give_the_same_records(
            bytes in prop::collection::vec(prop::sample::select(b"ab\n\0".to_vec()), 0..200),
            sizes in prop::collection::vec(1_usize..9, 1..5),
            chunk in 1_usize..9,
        ) {
            let expected: Vec<_> = match bytes.strip_suffix(b"\n") {
                Some(body) => body.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect(),
                None if bytes.is_empty() => vec![],
                None => bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect(),
            };
            prop_assert_eq!(records(&bytes, &sizes, LINES), expected);
            prop_assert_eq!(records(&bytes, &sizes, KEPT).concat(), &bytes[..]);
            let chunks: Vec<_> = bytes.chunks(chunk).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(records(&bytes, &sizes, Cut::Every(chunk)), chunks);
        }
    }
}
