//! Generated messages: their number in decimal, then dots up to their size.

/// Messages of one size, numbered from zero.
#[derive(Debug)]
pub(super) struct Generator {
    body: Vec<u8>,
    number: u64,
}

impl Generator {
    pub(super) fn new(size: usize) -> Self {
        Self { body: vec![b'.'; size], number: 0 }
    }

    pub(super) fn next(&mut self) -> &[u8] {
        let digits = self.number.to_string();
        // A message too small for its number has the number's last digits. Numbers only become
        // longer, so nothing of the number before stays.
        let last = &digits.as_bytes()[digits.len().saturating_sub(self.body.len())..];
        self.body[..last.len()].copy_from_slice(last);
        self.number += 1;
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_size_and_their_number() {
        for (size, first, twelfth) in
            [(0, "", ""), (1, "0", "1"), (2, "0.", "11"), (5, "0....", "11...")]
        {
            let mut generator = Generator::new(size);
            assert_eq!(generator.next(), first.as_bytes());
            for _ in 0..10 {
                generator.next();
            }
            assert_eq!(generator.next(), twelfth.as_bytes());
        }
    }
}
