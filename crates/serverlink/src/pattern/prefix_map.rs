//! Topics, found by the messages they are a prefix of.

use std::{collections::BTreeMap, ops::Bound};

/// An ordered map from topics.
///
/// Its memory is proportional to the topics' lengths, and no operation
/// recurses: a peer's choice of topics can exhaust neither.
#[derive(Debug)]
pub(crate) struct PrefixMap<V> {
    topics: BTreeMap<Box<[u8]>, V>,
    /// The empty topic is among them, which every message begins with.
    everything: bool,
    /// The topic that a message was found to begin with last, if it is there still.
    recent: Vec<u8>,
}

impl<V> Default for PrefixMap<V> {
    fn default() -> Self {
        Self { topics: BTreeMap::new(), everything: false, recent: Vec::new() }
    }
}

impl<V> PrefixMap<V> {
    pub(crate) fn get(&self, topic: &[u8]) -> Option<&V> {
        self.topics.get(topic)
    }

    pub(crate) fn get_mut(&mut self, topic: &[u8]) -> Option<&mut V> {
        self.topics.get_mut(topic)
    }

    pub(crate) fn insert(&mut self, topic: &[u8], value: V) {
        self.everything |= topic.is_empty();
        self.topics.insert(topic.into(), value);
    }

    /// The value of a topic, which is made if there is none.
    pub(crate) fn entry(&mut self, topic: &[u8]) -> &mut V
    where
        V: Default,
    {
        self.everything |= topic.is_empty();
        self.topics.entry(topic.into()).or_default()
    }

    pub(crate) fn remove(&mut self, topic: &[u8]) {
        self.everything &= !topic.is_empty();
        self.recent.clear();
        self.topics.remove(topic);
    }

    pub(crate) fn len(&self) -> usize {
        self.topics.len()
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = &[u8]> {
        self.topics.keys().map(|topic| &**topic)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.topics.values()
    }

    /// Keeps what `keep` says.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8], &mut V) -> bool) {
        self.recent.clear();
        self.topics.retain(|topic, value| keep(topic, value));
        self.everything = self.topics.contains_key(&[][..]);
    }

    /// Whether `body` begins with one of the topics. Messages of one topic often follow each other: the
    /// one found last is tried first.
    #[inline]
    pub(crate) fn has_prefix_of(&mut self, body: &[u8]) -> bool {
        let recent = !self.recent.is_empty() && body.starts_with(&self.recent);
        self.everything || recent || self.find_prefix_of(body)
    }

    #[inline(never)]
    fn find_prefix_of(&mut self, body: &[u8]) -> bool {
        let Self { topics, recent, .. } = self;
        let Some((topic, _)) = entries_of(topics, body).next() else { return false };
        recent.clear();
        recent.extend_from_slice(topic);
        true
    }

    /// The values of all topics that `body` begins with, the longest first.
    pub(crate) fn prefixes_of<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = &'a V> {
        entries_of(&self.topics, body).map(|(_, value)| value)
    }
}

/// All topics that `body` begins with, the longest first.
fn entries_of<'a, V>(
    topics: &'a BTreeMap<Box<[u8]>, V>,
    body: &'a [u8],
) -> impl Iterator<Item = (&'a [u8], &'a V)> {
    // The greatest topic not after `rest` is a prefix, or tells how long one can be at most:
    // a longer one would lie between the two.
    // One alone, as a publisher often has, is compared and not searched for.
    let only = if topics.len() == 1 { topics.first_key_value() } else { None };
    let only =
        only.filter(|(topic, _)| body.starts_with(topic)).map(|(topic, value)| (&**topic, value));
    let mut rest = (topics.len() > 1).then_some(body);
    let others = std::iter::from_fn(move || {
        while let Some(bound) = rest {
            let (topic, value) =
                topics.range::<[u8], _>((Bound::Unbounded, Bound::Included(bound))).next_back()?;
            let common = topic.iter().zip(bound).take_while(|(a, b)| a == b).count();
            if common == topic.len() {
                rest = topic.len().checked_sub(1).map(|shorter| &bound[..shorter]);
                return Some((&**topic, value));
            }
            rest = Some(&bound[..common]);
        }
        None
    });
    only.into_iter().chain(others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_search_of_all_topics_finds() {
        let mut random = fastrand::Rng::with_seed(7);
        for round in 0..2000 {
            let count = [0, 1, 2, 12][round % 4];
            let mut word =
                |most| -> Vec<u8> { (0..random.usize(..most)).map(|_| random.u8(..2)).collect() };
            let topics: Vec<_> = (0..count).map(|_| word(6)).collect();
            let (body, another) = (word(8), word(8));
            let mut map = PrefixMap::default();
            topics.iter().for_each(|topic| map.insert(topic, topic.clone()));
            let gone = word(3);
            if random.bool() {
                map.remove(&gone);
            } else {
                map.retain(|topic, _| topic != &gone[..]);
            }
            let mut expected: Vec<_> =
                topics.into_iter().filter(|it| body.starts_with(it) && *it != gone).collect();
            expected.sort_by_key(|topic| std::cmp::Reverse(topic.len()));
            expected.dedup();
            assert_eq!(map.prefixes_of(&body).cloned().collect::<Vec<_>>(), expected);
            // The one found last is remembered, but not when it is gone.
            for body in [&body, &another, &body] {
                let expected = map.topics.keys().any(|topic| body.starts_with(topic));
                assert_eq!(map.has_prefix_of(body), expected);
            }
            map.remove(expected.first().map_or(&[], |topic| topic));
            let rest = expected.len().saturating_sub(1);
            assert_eq!(map.has_prefix_of(&body), rest > 0);
            map.retain(|_, _| false);
            assert!(!map.has_prefix_of(&body));
        }
    }
}
