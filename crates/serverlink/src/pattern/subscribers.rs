//! Who subscribes to what.

use super::prefix_map::PrefixMap;

/// The peers that subscribe to each topic, once each however often they said so: libzmq says it
/// every time, but takes it back only once.
#[derive(Debug, Default)]
pub(crate) struct Subscribers(PrefixMap<Vec<usize>>);

impl Subscribers {
    /// Notes a subscription; true if it is the first of anyone to this topic.
    pub(crate) fn add(&mut self, key: usize, topic: &[u8]) -> bool {
        let Some(subscribers) = self.0.get_mut(topic) else {
            self.0.insert(topic, vec![key]);
            return true;
        };
        if !subscribers.contains(&key) {
            subscribers.push(key);
        }
        false
    }

    /// Notes a cancellation; true if nobody is left, nothing if there was no such subscription.
    pub(crate) fn remove(&mut self, key: usize, topic: &[u8]) -> Option<bool> {
        let subscribers = self.0.get_mut(topic)?;
        let at = subscribers.iter().position(|&subscriber| subscriber == key)?;
        subscribers.swap_remove(at);
        let last = subscribers.is_empty();
        if last {
            self.0.remove(topic);
        }
        Some(last)
    }

    /// Ends all subscriptions of a peer; tells `ended` of each, and whether nobody is left.
    pub(crate) fn forget(&mut self, key: usize, mut ended: impl FnMut(&[u8], bool)) {
        self.0.retain(|topic, subscribers| {
            let before = subscribers.len();
            subscribers.retain(|&subscriber| subscriber != key);
            if subscribers.len() < before {
                ended(topic, subscribers.is_empty());
            }
            !subscribers.is_empty()
        });
    }

    /// Those of all topics that `body` begins with.
    pub(crate) fn of<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = &'a usize> {
        self.0.prefixes_of(body).flatten()
    }

    /// How many topics there are.
    pub(crate) fn topics(&self) -> usize {
        self.0.len()
    }
}
