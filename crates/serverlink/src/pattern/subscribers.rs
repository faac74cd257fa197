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
}

impl Subscribers {
    /// Notes a subscription; true if it is the first of anyone with this prefix.
    pub(super) fn add(&mut self, key: usize, interest: Interest<'_>) -> bool {
        match interest {
            Interest::Topic(topic) => self.add_topic(key, topic),
            Interest::Pattern(pattern) => {
                let first = !self.is_wanted(&literal_prefix(pattern));
                note(self.patterns.entry(pattern), key);
                first
            }
        }
    }

    fn add_topic(&mut self, key: usize, topic: &[u8]) -> bool {
        if let Some(subscribers) = self.topics.get_mut(topic) {
            note(subscribers, key);
            return false;
        }
        self.topics.insert(topic, vec![key]);
        !self.patterns.has_prefix(topic)
    }

    /// Notes a cancellation; true if nobody is left with this prefix, nothing if there was no such
    /// subscription.
    pub(super) fn remove(&mut self, key: usize, interest: Interest<'_>) -> Option<bool> {
        match interest {
            Interest::Topic(topic) => {
                let subscribers = self.topics.get_mut(topic)?;
                strike(subscribers, key)?;
                let last = subscribers.is_empty();
                if last {
                    self.topics.remove(topic);
                }
                Some(last && !self.patterns.has_prefix(topic))
            }
            Interest::Pattern(pattern) => {
                let subscribers = self.patterns.get_mut(pattern)?;
                strike(subscribers, key)?;
                if subscribers.is_empty() {
                    self.patterns.remove(pattern);
                }
                Some(!self.is_wanted(&literal_prefix(pattern)))
            }
        }
    }

    /// Ends all subscriptions of a peer; tells `ended` of the prefix of each, and whether nobody is
    /// left with it.
    pub(super) fn forget(&mut self, key: usize, mut ended: impl FnMut(&[u8], bool)) {
        let Self { topics, patterns } = self;
        topics.retain(|topic, subscribers| {
            if strike(subscribers, key).is_some() {
                ended(topic, subscribers.is_empty() && !patterns.has_prefix(topic));
            }
            !subscribers.is_empty()
        });
        let its: Vec<_> = self
            .patterns
            .iter()
            .filter(|(_, subscribers)| subscribers.contains(&key))
            .map(|(pattern, _)| pattern.to_vec())
            .collect();
        for pattern in its {
            let last = self.remove(key, Interest::Pattern(&pattern)) == Some(true);
            ended(&literal_prefix(&pattern), last);
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

fn note(subscribers: &mut Vec<usize>, key: usize) {
    if !subscribers.contains(&key) {
        subscribers.push(key);
    }
}

fn strike(subscribers: &mut Vec<usize>, key: usize) -> Option<usize> {
    let at = subscribers.iter().position(|&subscriber| subscriber == key)?;
    Some(subscribers.swap_remove(at))
}
