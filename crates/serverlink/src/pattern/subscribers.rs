//! Who subscribes to what, at a publisher.

use super::{
    glob::{GlobMap, literal_prefix},
    prefix_map::PrefixMap,
};

/// What a peer subscribes to.
#[derive(Debug, Clone, Copy)]
pub(super) enum Interest<'a> {
    /// Everything that begins with it.
    Topic(&'a [u8]),
    /// Every topic that matches it.
    Pattern(&'a [u8]),
}

impl Interest<'_> {
    /// What everything that it asks for begins with.
    pub(super) fn prefix(self) -> Vec<u8> {
        match self {
            Self::Topic(topic) => topic.to_vec(),
            Self::Pattern(pattern) => literal_prefix(pattern),
        }
    }
}

/// The peers that subscribe to each topic and to each pattern, once each however often they said so:
/// libzmq says it every time, but takes it back only once.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    topics: PrefixMap<Vec<usize>>,
    patterns: GlobMap<Vec<usize>>,
    /// How many of them each peer subscribes to.
    held: Vec<usize>,
}

impl Subscribers {
    /// Notes a subscription; true if it is the first of anyone with this prefix.
    pub(super) fn add(&mut self, key: usize, interest: Interest<'_>) -> bool {
        let (subscribers, first) = match interest {
            Interest::Topic(topic) => {
                let patterns = self.patterns.has_prefix(topic);
                let subscribers = self.topics.entry(topic);
                let first = subscribers.is_empty() && !patterns;
                (subscribers, first)
            }
            Interest::Pattern(pattern) => {
                let first = !self.is_wanted(&literal_prefix(pattern));
                (self.patterns.entry(pattern), first)
            }
        };
        if !subscribers.contains(&key) {
            subscribers.push(key);
            if self.held.len() <= key {
                self.held.resize(key + 1, 0);
            }
            self.held[key] += 1;
        }
        first
    }

    /// Notes a cancellation; true if nobody is left with this prefix, nothing if there was no such
    /// subscription.
    pub(super) fn remove(&mut self, key: usize, interest: Interest<'_>) -> Option<bool> {
        let subscribers = match interest {
            Interest::Topic(topic) => self.topics.get_mut(topic),
            Interest::Pattern(pattern) => self.patterns.get_mut(pattern),
        }?;
        let at = subscribers.iter().position(|&subscriber| subscriber == key)?;
        subscribers.swap_remove(at);
        self.held[key] -= 1;
        if !subscribers.is_empty() {
            return Some(false);
        }
        match interest {
            Interest::Topic(topic) => self.topics.remove(topic),
            Interest::Pattern(pattern) => self.patterns.remove(pattern),
        }
        Some(!self.is_wanted(&interest.prefix()))
    }

    /// Ends all subscriptions of a peer; tells `ended` of the prefix of each, and whether nobody is
    /// left with it.
    pub(super) fn forget(&mut self, key: usize, mut ended: impl FnMut(&[u8], bool)) {
        let held = self.held.get(key).copied().unwrap_or(0);
        // Nothing more is looked for when all is found: most have none or few, of however many there are.
        let its = |subscribers: &Vec<usize>| subscribers.contains(&key);
        let topics: Vec<_> = self.topics.topics_where(its).take(held).collect();
        let patterns = self.patterns.iter().filter(|(_, subscribers)| its(subscribers));
        let patterns: Vec<_> =
            patterns.take(held - topics.len()).map(|(pattern, _)| pattern.to_vec()).collect();
        let topics = topics.iter().map(|topic| Interest::Topic(topic));
        for interest in topics.chain(patterns.iter().map(|pattern| Interest::Pattern(pattern))) {
            let last = self.remove(key, interest) == Some(true);
            ended(&interest.prefix(), last);
        }
    }

    /// Whether anybody's subscription has this prefix.
    fn is_wanted(&self, prefix: &[u8]) -> bool {
        self.topics.get(prefix).is_some() || self.patterns.has_prefix(prefix)
    }

    /// Whether a subscription of this peer has this prefix.
    pub(super) fn is_wanted_by(&self, key: usize, prefix: &[u8]) -> bool {
        let topic = self.topics.get(prefix).into_iter();
        topic.chain(self.patterns.of_prefix(prefix)).any(|peers| peers.contains(&key))
    }

    /// Those of all topics that `body` begins with.
    #[inline]
    pub(super) fn of<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = &'a usize> {
        self.topics.prefixes_of(body).flatten()
    }

    /// Whether anybody subscribes to a pattern.
    #[inline]
    pub(super) fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Those of all patterns that match a topic.
    pub(super) fn matching<'a>(&'a self, topic: &'a [u8]) -> impl Iterator<Item = &'a usize> {
        self.patterns.matching(topic).flatten()
    }

    /// How many topics and patterns there are.
    pub(super) fn count(&self) -> usize {
        self.topics.len() + self.patterns.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Add(usize, bool, Vec<u8>),
        Remove(usize, bool, Vec<u8>),
        Forget(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        // Of topics and patterns that are the same or begin alike.
        let text = || vec(prop_oneof![Just(b'a'), Just(b'b'), Just(b'*')], 0..4);
        prop_oneof![
            5 => (0..4usize, any::<bool>(), text()).prop_map(|(k, p, t)| Step::Add(k, p, t)),
            3 => (0..4usize, any::<bool>(), text()).prop_map(|(k, p, t)| Step::Remove(k, p, t)),
            1 => (0..5usize).prop_map(Step::Forget),
        ]
    }

    fn interest(is_pattern: bool, text: &[u8]) -> Interest<'_> {
        if is_pattern { Interest::Pattern(text) } else { Interest::Topic(text) }
    }

    proptest! {
        #[test]
        fn each_subscription_is_held_once_and_ends_once(steps in vec(step(), 0..40)) {
            let mut subscribers = Subscribers::default();
            // Whose, whether to a pattern, and to what.
            let mut model = BTreeSet::new();
            let wanted = |model: &BTreeSet<(usize, bool, Vec<u8>)>, prefix: &[u8]| {
                model.iter().any(|(_, pattern, text)| interest(*pattern, text).prefix() == prefix)
            };
            for step in steps {
                match step {
                    Step::Add(key, pattern, text) => {
                        let given = interest(pattern, &text);
                        let first = !wanted(&model, &given.prefix());
                        prop_assert_eq!(subscribers.add(key, given), first);
                        model.insert((key, pattern, text));
                    }
                    Step::Remove(key, pattern, text) => {
                        let given = interest(pattern, &text);
                        let was = model.remove(&(key, pattern, text.clone()));
                        let last = was.then(|| !wanted(&model, &given.prefix()));
                        prop_assert_eq!(subscribers.remove(key, given), last);
                    }
                    Step::Forget(key) => {
                        let mut ended = Vec::new();
                        subscribers.forget(key, |prefix, last| ended.push((prefix.to_vec(), last)));
                        let all: Vec<_> = model.iter().filter(|it| it.0 == key).cloned().collect();
                        prop_assert_eq!(ended.len(), all.len());
                        model.retain(|it| it.0 != key);
                        let lasts: BTreeSet<_> =
                            ended.iter().filter(|it| it.1).map(|it| &it.0).collect();
                        prop_assert_eq!(lasts.len(), ended.iter().filter(|it| it.1).count());
                        for (_, pattern, text) in all {
                            let prefix = interest(pattern, &text).prefix();
                            let told = |last| ended.contains(&(prefix.clone(), last));
                            let last = !wanted(&model, &prefix);
                            prop_assert!(told(last), "{ended:?}");
                        }
                    }
                }
                prop_assert_eq!(subscribers.held.iter().sum::<usize>(), model.len());
                for key in 0..4 {
                    let held = subscribers.held.get(key).copied().unwrap_or(0);
                    prop_assert_eq!(held, model.iter().filter(|it| it.0 == key).count());
                }
            }
        }
    }
}
