//! Topics, found by the messages they are a prefix of.

use std::{collections::BTreeMap, ops::Bound};

/// An ordered map from topics.
///
/// Its memory is proportional to the topics' lengths, and no operation
/// recurses: a peer's choice of topics can exhaust neither.
#[derive(Debug)]
pub(crate) struct PrefixMap<V>(BTreeMap<Box<[u8]>, V>);

impl<V> Default for PrefixMap<V> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<V> PrefixMap<V> {
    pub(crate) fn get_mut(&mut self, topic: &[u8]) -> Option<&mut V> {
        self.0.get_mut(topic)
    }

    pub(crate) fn insert(&mut self, topic: &[u8], value: V) {
        self.0.insert(topic.into(), value);
    }

    pub(crate) fn remove(&mut self, topic: &[u8]) {
        self.0.remove(topic);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = &[u8]> {
        self.0.keys().map(|topic| &**topic)
    }

    /// Keeps what `keep` says.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&[u8], &mut V) -> bool) {
        self.0.retain(|topic, value| keep(topic, value));
    }

    /// The values of all topics that `body` begins with, the longest first.
    pub(crate) fn prefixes_of<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = &'a V> {
        // The greatest topic not after `rest` is a prefix, or tells how long one can be at most:
        // a longer one would lie between the two.
        let mut rest = Some(body);
        std::iter::from_fn(move || {
            while let Some(bound) = rest {
                let (topic, value) = self
                    .0
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
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_a_search_of_all_topics_finds() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..2000 {
            let mut word =
                |most| -> Vec<u8> { (0..random.usize(..most)).map(|_| random.u8(..2)).collect() };
            let topics: Vec<_> = (0..12).map(|_| word(6)).collect();
            let body = word(8);
            let mut map = PrefixMap::default();
            topics.iter().for_each(|topic| map.insert(topic, topic.clone()));
            let mut expected: Vec<_> =
                topics.into_iter().filter(|topic| body.starts_with(topic)).collect();
            expected.sort_by_key(|topic| std::cmp::Reverse(topic.len()));
            expected.dedup();
            assert_eq!(map.prefixes_of(&body).cloned().collect::<Vec<_>>(), expected);
        }
    }
}
