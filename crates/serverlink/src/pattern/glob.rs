//! Patterns of topics: what they mean, and how they are found by the topics they match.
//!
//! They are those of Redis' PSUBSCRIBE. `*` matches any bytes, also none; `?` matches one byte;
//! `[abx-z]` matches one byte of the set, which may have ranges, and `[^abx-z]` one that is not of
//! it; a `\` takes away what the next byte means otherwise. Everything else matches itself. A pattern
//! matches a topic as a whole. Every sequence of bytes is a pattern:
//!
//! * a set that does not end with `]` ends with the pattern;
//! * a `]` ends a set wherever it stands, so that `[]` matches nothing, and `[^]` any byte;
//! * the ends of a range may be in either order, and whatever they are, `]` and `\` included;
//! * a `\` at the end matches itself.

use std::collections::BTreeMap;

use super::prefix_map::PrefixMap;

/// Whether a pattern matches all of a topic. It takes at most as many steps as both have bytes,
/// multiplied, and no memory.
pub(super) fn matches(pattern: &[u8], topic: &[u8]) -> bool {
    let (mut rest, mut left) = (pattern, topic);
    // Behind the last `*`, and what it has not been tried at yet. An earlier `*` need not take more
    // than it did: whatever it could take instead, the last one can take, too.
    let mut star = None;
    loop {
        if let Some((b'*', after)) = rest.split_first() {
            if after.is_empty() {
                return true;
            }
            (rest, star) = (after, Some((after, left)));
            continue;
        }
        let Some((&byte, next)) = left.split_first() else { return rest.is_empty() };
        if let Some(after) = match_one(rest, byte) {
            (rest, left) = (after, next);
            continue;
        }
        let Some((after, [_, later @ ..])) = star else { return false };
        (rest, left, star) = (after, later, Some((after, later)));
    }
}

/// What follows the first element of a pattern, which is no `*`, if it matches a byte.
fn match_one(pattern: &[u8], byte: u8) -> Option<&[u8]> {
    let (matched, after) = match pattern {
        [] => return None,
        [b'?', after @ ..] => (true, after),
        [b'[', set @ ..] => match_set(set, byte),
        [b'\\', literal, after @ ..] => (*literal == byte, after),
        [literal, after @ ..] => (*literal == byte, after),
    };
    matched.then_some(after)
}

/// Whether a byte is in the set that a pattern begins with, and what follows it.
fn match_set(pattern: &[u8], byte: u8) -> (bool, &[u8]) {
    let (negated, mut rest) = match pattern {
        [b'^', rest @ ..] => (true, rest),
        _ => (false, pattern),
    };
    let mut found = false;
    loop {
        rest = match rest {
            [] => break,
            [b']', after @ ..] => {
                rest = after;
                break;
            }
            [b'\\', literal, after @ ..] => {
                found |= *literal == byte;
                after
            }
            [one, b'-', other, after @ ..] => {
                found |= (*one.min(other)..=*one.max(other)).contains(&byte);
                after
            }
            [literal, after @ ..] => {
                found |= *literal == byte;
                after
            }
        };
    }
    (found != negated, rest)
}

/// What all topics that a pattern matches begin with, as far as its first bytes tell.
pub(super) fn literal_prefix(pattern: &[u8]) -> Vec<u8> {
    let mut prefix = Vec::new();
    let mut rest = pattern;
    loop {
        rest = match rest {
            [] | [b'*' | b'?' | b'[', ..] => return prefix,
            [b'\\', literal, after @ ..] | [literal, after @ ..] => {
                prefix.push(*literal);
                after
            }
        };
    }
}

/// An ordered map from patterns, found by the topics they match. Patterns whose literal prefix a
/// topic does not have cost that topic nothing.
#[derive(Debug)]
pub(super) struct GlobMap<V> {
    /// By literal prefix, and then by themselves; none of the inner maps is empty.
    by_prefix: PrefixMap<BTreeMap<Box<[u8]>, V>>,
    len: usize,
}

impl<V> Default for GlobMap<V> {
    fn default() -> Self {
        Self { by_prefix: PrefixMap::default(), len: 0 }
    }
}

impl<V: Default> GlobMap<V> {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many patterns there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get_mut(&mut self, pattern: &[u8]) -> Option<&mut V> {
        self.by_prefix.get_mut(&literal_prefix(pattern))?.get_mut(pattern)
    }

    /// The value of a pattern, which is made if there is none.
    pub(super) fn entry(&mut self, pattern: &[u8]) -> &mut V {
        let alike = self.by_prefix.entry(&literal_prefix(pattern));
        alike.entry(pattern.into()).or_insert_with(|| {
            self.len += 1;
            V::default()
        })
    }

    pub(super) fn remove(&mut self, pattern: &[u8]) {
        let prefix = literal_prefix(pattern);
        let Some(alike) = self.by_prefix.get_mut(&prefix) else { return };
        self.len -= usize::from(alike.remove(pattern).is_some());
        if alike.is_empty() {
            self.by_prefix.remove(&prefix);
        }
    }

    /// The values of the patterns with exactly this literal prefix.
    pub(super) fn of_prefix(&self, prefix: &[u8]) -> impl Iterator<Item = &V> {
        self.by_prefix.get(prefix).into_iter().flat_map(BTreeMap::values)
    }

    /// Whether there are patterns with exactly this literal prefix.
    pub(super) fn has_prefix(&self, prefix: &[u8]) -> bool {
        self.by_prefix.get(prefix).is_some()
    }

    /// All literal prefixes.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = Vec<u8>> {
        self.by_prefix.topics()
    }

    /// All patterns.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        self.by_prefix.values().flatten().map(|(pattern, value)| (&**pattern, value))
    }

    /// Whether a topic begins with the literal prefix of some pattern.
    pub(super) fn has_prefix_of(&self, topic: &[u8]) -> bool {
        self.by_prefix.prefixes_of(topic).next().is_some()
    }

    /// The values of the patterns that match a topic.
    pub(super) fn matching<'a>(&'a self, topic: &'a [u8]) -> impl Iterator<Item = &'a V> {
        let candidates = self.by_prefix.prefixes_of(topic).flatten();
        candidates.filter(|(pattern, _)| matches(pattern, topic)).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    /// The same in the most direct notation. It may take very long.
    fn naive(pattern: &[u8], topic: &[u8]) -> bool {
        let Some((&first, rest)) = pattern.split_first() else { return topic.is_empty() };
        if first == b'*' {
            return (0..=topic.len()).any(|taken| naive(rest, &topic[taken..]));
        }
        let Some((&byte, left)) = topic.split_first() else { return false };
        let (members, rest): (Vec<u8>, &[u8]) = match (first, rest) {
            (b'?', _) => ((0..=255).collect(), rest),
            (b'[', _) => naive_set(rest),
            (b'\\', [literal, rest @ ..]) => (vec![*literal], rest),
            _ => (vec![first], rest),
        };
        members.contains(&byte) && naive(rest, left)
    }

    fn naive_set(pattern: &[u8]) -> (Vec<u8>, &[u8]) {
        let negated = pattern.first() == Some(&b'^');
        let mut at = usize::from(negated);
        let mut members = Vec::new();
        while at < pattern.len() && pattern[at] != b']' {
            if pattern[at] == b'\\' && at + 1 < pattern.len() {
                members.push(pattern[at + 1]);
                at += 2;
            } else if at + 2 < pattern.len() && pattern[at + 1] == b'-' {
                let (one, other) = (pattern[at], pattern[at + 2]);
                members.extend(one.min(other)..=one.max(other));
                at += 3;
            } else {
                members.push(pattern[at]);
                at += 1;
            }
        }
        if negated {
            members = (0..=255).filter(|byte| !members.contains(byte)).collect();
        }
        (members, &pattern[(at + 1).min(pattern.len())..])
    }

    #[test]
    fn patterns_mean_what_they_do_in_redis() {
        for (pattern, matching, others) in [
            ("h?llo", &["hello", "hxllo"][..], &["hllo", "heello", "hello!", ""][..]),
            ("h*llo", &["hllo", "heeeello", "h*llo", "hllollo"], &["hll", "ello", "hllo."]),
            ("h[ae]llo", &["hello", "hallo"], &["hillo", "h]llo"]),
            ("h[^e]llo", &["hallo", "h^llo"], &["hello", "hllo"]),
            ("h[a-c]llo", &["hallo", "hbllo", "hcllo"], &["hdllo", "h-llo"]),
            ("h[c-a]llo", &["hallo", "hbllo", "hcllo"], &["hdllo"]),
            ("[\\]\\-x]", &["]", "-", "x"], &["\\", "^"]),
            ("[a-]", &["a", "_", "]"], &["-", "b"]),
            ("[]x", &[], &["", "x", "]x", "]"]),
            ("[^]x", &["ax", "]x", "^x"], &["x", "a"]),
            ("[ab", &["a", "b"], &["[ab", "ab", "["]),
            ("[", &[], &["[", ""]),
            ("\\*\\?\\[\\a\\\\", &["*?[a\\"], &["x?[a\\"]),
            ("end\\", &["end\\"], &["end"]),
            ("*", &["", "a", "\n\0"], &[]),
            ("**a**", &["a", "xay"], &["", "x"]),
            ("", &[""], &["a"]),
            ("news", &["news"], &["news.", "new"]),
        ] {
            for topic in matching {
                assert!(matches(pattern.as_bytes(), topic.as_bytes()), "{pattern} {topic}");
            }
            for topic in others {
                assert!(!matches(pattern.as_bytes(), topic.as_bytes()), "{pattern} {topic}");
            }
        }
    }

    #[test]
    fn the_worst_pattern_takes_no_longer_than_both_lengths_multiplied() {
        let pattern = [&b"*a".repeat(126)[..], b"b"].concat();
        let topic = b"a".repeat(100_000);
        // If every `*` multiplied it by the topic's length, this would never end.
        assert!(!matches(&pattern, &topic));
    }

    /// Bytes that mean something in a pattern, and few others, so that much matches.
    fn telling(most: usize) -> impl Strategy<Value = Vec<u8>> {
        vec(select(&b"aab-**?[]^\\\xff"[..]), 0..most)
    }

    proptest! {
        #[test]
        fn matches_what_the_naive_way_matches(pattern in telling(10), topic in telling(8)) {
            prop_assert_eq!(matches(&pattern, &topic), naive(&pattern, &topic));
        }

        #[test]
        fn whatever_the_bytes_nothing_panics(
            pattern in vec(any::<u8>(), 0..40),
            topic in vec(any::<u8>(), 0..40),
        ) {
            let _ = matches(&pattern, &topic);
            prop_assert!(literal_prefix(&pattern).len() <= pattern.len());
        }

        #[test]
        fn what_matches_begins_with_the_literal_prefix(
            pattern in telling(8),
            topic in telling(8),
        ) {
            if matches(&pattern, &topic) {
                prop_assert!(topic.starts_with(&literal_prefix(&pattern)));
            }
        }

        #[test]
        fn a_map_finds_what_a_look_at_every_pattern_finds(
            patterns in vec(telling(6), 0..12),
            gone in vec(telling(3), 0..3),
            topic in telling(6),
        ) {
            let mut map = GlobMap::default();
            patterns.iter().for_each(|pattern| *map.entry(pattern) = pattern.clone());
            gone.iter().for_each(|pattern| map.remove(pattern));
            let mut left = patterns;
            left.retain(|pattern| !gone.contains(pattern));
            left.sort();
            left.dedup();
            prop_assert_eq!((map.len(), map.is_empty()), (left.len(), left.is_empty()));
            let mut all: Vec<_> = map.iter().map(|(pattern, _)| pattern.to_vec()).collect();
            all.sort();
            prop_assert_eq!(&all, &left);
            let prefix = literal_prefix(&topic);
            let alike = left.iter().filter(|pattern| literal_prefix(pattern) == prefix).count();
            prop_assert_eq!(map.of_prefix(&prefix).count(), alike);
            prop_assert_eq!(map.has_prefix(&prefix), alike > 0);
            let near = left.iter().any(|pattern| topic.starts_with(&literal_prefix(pattern)));
            prop_assert_eq!(map.has_prefix_of(&topic), near);
            let mut found: Vec<_> = map.matching(&topic).cloned().collect();
            found.sort();
            left.retain(|pattern| naive(pattern, &topic));
            prop_assert_eq!(found, left);
        }
    }
}
