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
}

impl<V> Default for PrefixMap<V> {
    fn default() -> Self {
        Self { topics: BTreeMap::new(), everything: false }
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
        self.topics.retain(|topic, value| keep(topic, value));
        self.everything = self.topics.contains_key(&[][..]);
    }

    /// Whether `body` begins with one of the topics.
    #[inline]
    pub(crate) fn has_prefix_of(&self, body: &[u8]) -> bool {
        self.everything || self.prefixes_of(body).next().is_some()
    }

    /// The values of all topics that `body` begins with, the longest first.
    pub(crate) fn prefixes_of<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = &'a V> {
        // The greatest topic not after `rest` is a prefix, or tells how long one can be at most:
        // a longer one would lie between the two.
        // One alone, as a publisher often has, is compared and not searched for.
        let only = if self.topics.len() == 1 { self.topics.first_key_value() } else { None };
        let only = only.filter(|(topic, _)| body.starts_with(topic)).map(|(_, value)| value);
        let mut rest = (self.topics.len() > 1).then_some(body);
        let others = std::iter::from_fn(move || {
            while let Some(bound) = rest {
                let (topic, value) = self
                    .topics
                    .range::<[u8], _>((Bound::Unbounded, Bound::Included(bound)))
                    .next_back()?;
                let common = topic.iter().zip(bound).take_while(|(a, b)| a == b).count();
                if common == topic.len() {
                    rest = topic.len().checked_sub(1).map(|shorter| &bound[..shorter]);
                    return Some(value);
                }
                rest = Some(&bound[..common]);
            }
            None
        });
        only.into_iter().chain(others)
    }
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
            let body = word(8);
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
            assert_eq!(map.has_prefix_of(&body), !expected.is_empty());
            assert_eq!(map.prefixes_of(&body).cloned().collect::<Vec<_>>(), expected);
        }
    }
}
