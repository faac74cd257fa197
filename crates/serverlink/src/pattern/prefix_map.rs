//! Topics, found by the messages they are a prefix of.

use std::{
    fmt::{self, Debug, Formatter},
    iter, mem,
};

/// An ordered map from topics: a tree whose branches are what topics have in common.
///
/// A message is followed down the tree once, as far as some topic goes along with it, however many
/// topics there are. Memory is proportional to the topics' lengths, no operation recurses, and what is done
/// to a topic takes as long as its own length says, and a constant: a peer's choice of topics can exhaust
/// nothing.
pub(crate) struct PrefixMap<V> {
    /// The empty topic, which all others begin with.
    root: Node<V>,
    len: usize,
    /// The topic that a message was found to begin with last, if it is there still.
    recent: Vec<u8>,
}

/// How long a label is at most: as much is moved when a node becomes two, or two become one.
const LONGEST: usize = if cfg!(test) { 4 } else { 256 };

struct Node<V> {
    /// What it adds to the topic of the node above.
    label: Box<[u8]>,
    /// Of its topic, if that is in the map; otherwise at least two branches leave here, or one whose label
    /// is too long for one node, or this is the root.
    value: Option<V>,
    /// Ordered; no two begin alike.
    branches: Vec<Branch<V>>,
}

struct Branch<V> {
    /// What the label of its node begins with.
    first: u8,
    node: Box<Node<V>>,
}

impl<V> Default for PrefixMap<V> {
    fn default() -> Self {
        Self { root: Node::new(&[]), len: 0, recent: Vec::new() }
    }
}

impl<V> PrefixMap<V> {
    pub(crate) fn get(&self, topic: &[u8]) -> Option<&V> {
        let (mut node, mut rest) = (&self.root, topic);
        while !rest.is_empty() {
            (node, rest) = node.next(rest)?;
        }
        node.value.as_ref()
    }

    pub(crate) fn get_mut(&mut self, topic: &[u8]) -> Option<&mut V> {
        let (mut node, mut rest) = (&mut self.root, topic);
        while let Some(&first) = rest.first() {
            let at = node.find(first).ok()?;
            node = &mut node.branches[at].node;
            rest = rest.strip_prefix(&*node.label)?;
        }
        node.value.as_mut()
    }

    pub(crate) fn insert(&mut self, topic: &[u8], value: V) {
        let before = self.root.place(topic).replace(value);
        self.len += usize::from(before.is_none());
    }

    /// The value of a topic, which is made if there is none.
    pub(crate) fn entry(&mut self, topic: &[u8]) -> &mut V
    where
        V: Default,
    {
        let place = self.root.place(topic);
        self.len += usize::from(place.is_none());
        place.get_or_insert_with(V::default)
    }

    pub(crate) fn remove(&mut self, topic: &[u8]) {
        if self.get(topic).is_none() {
            return;
        }
        self.recent.clear();
        self.len -= 1;
        // What is below the last node that something else needs goes as a whole, if nothing else is there.
        let (mut node, mut rest) = (&self.root, topic);
        let (mut steps, mut needed) = (0, 0);
        while let Some(next) = node.next(rest) {
            if node.value.is_some() || node.branches.len() > 1 {
                needed = steps;
            }
            steps += 1;
            (node, rest) = next;
        }
        let is_leaf = node.branches.is_empty() && steps > 0;
        let last = if is_leaf { needed } else { steps };
        let (mut node, mut rest) = (&mut self.root, topic);
        for _ in 0..last {
            let Some(at) = node.way(rest) else { return };
            node = &mut node.branches[at].node;
            rest = &rest[node.label.len()..];
        }
        if !is_leaf {
            node.value = None;
        } else if let Some(at) = node.way(rest) {
            discard(vec![node.branches.remove(at)]);
            if node.branches.capacity() > 4 * node.branches.len() {
                node.branches.shrink_to(2 * node.branches.len());
            }
        }
        // What lies on the way may fit together again, and what is below its end.
        let (mut node, mut rest) = (&mut self.root, topic);
        while let Some(at) = node.way(rest) {
            node = &mut node.branches[at].node;
            node.join();
            let Some(after) = rest.strip_prefix(&*node.label) else { return };
            rest = after;
        }
        if let [only] = &mut node.branches[..] {
            only.node.join();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All topics, in order.
    pub(crate) fn topics(&self) -> impl Iterator<Item = Vec<u8>> {
        self.iter().map(|(topic, _)| topic)
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// The topics whose value is `wanted`, in order.
    pub(crate) fn topics_where(
        &self,
        wanted: impl FnMut(&V) -> bool,
    ) -> impl Iterator<Item = Vec<u8>> {
        self.iter_where(wanted).map(|(topic, _)| topic)
    }

    fn iter(&self) -> impl Iterator<Item = (Vec<u8>, &V)> {
        self.iter_where(|_| true)
    }

    fn iter_where(
        &self,
        mut wanted: impl FnMut(&V) -> bool,
    ) -> impl Iterator<Item = (Vec<u8>, &V)> {
        let mut topic = Vec::new();
        // With the length of the topic above each.
        let mut left = vec![(0, &self.root)];
        iter::from_fn(move || {
            loop {
                let (above, node) = left.pop()?;
                topic.truncate(above);
                topic.extend_from_slice(&node.label);
                let below = node.branches.iter().rev();
                left.extend(below.map(|branch| (topic.len(), &*branch.node)));
                if let Some(value) = &node.value
                    && wanted(value)
                {
                    return Some((topic.clone(), value));
                }
            }
        })
    }

    /// Whether it is seen at once that `body` begins with one of the topics: messages of one topic often
    /// follow each other.
    #[inline]
    pub(crate) fn has_recent_prefix_of(&self, body: &[u8]) -> bool {
        self.root.value.is_some() || (!self.recent.is_empty() && begins_with(body, &self.recent))
    }

    /// Whether `body` begins with one of the topics.
    pub(crate) fn has_prefix_of(&mut self, body: &[u8]) -> bool {
        let (mut node, mut rest) = (&self.root, body);
        while node.value.is_none() {
            let Some(next) = node.next(rest) else { return false };
            (node, rest) = next;
        }
        self.recent.clear();
        self.recent.extend_from_slice(&body[..body.len() - rest.len()]);
        true
    }

    /// The values of all topics that `body` begins with, the shortest first.
    #[inline]
    pub(crate) fn prefixes_of<'a>(&'a self, body: &'a [u8]) -> impl Iterator<Item = &'a V> {
        let mut next = Some((&self.root, body));
        iter::from_fn(move || {
            loop {
                let (node, rest) = next?;
                next = node.next(rest);
                if node.value.is_some() {
                    return node.value.as_ref();
                }
            }
        })
    }
}

impl<V: Debug> Debug for PrefixMap<V> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl<V> Drop for PrefixMap<V> {
    fn drop(&mut self) {
        discard(mem::take(&mut self.root.branches));
    }
}

/// Drops all that is there. By itself, a node would drop those below it within its own drop, and so on.
fn discard<V>(mut left: Vec<Branch<V>>) {
    while let Some(mut branch) = left.pop() {
        left.append(&mut branch.node.branches);
    }
}

impl<V> Node<V> {
    fn new(label: &[u8]) -> Self {
        Self { label: label.into(), value: None, branches: Vec::new() }
    }

    /// Where the branch that begins so is, or would be.
    #[inline]
    fn find(&self, first: u8) -> Result<usize, usize> {
        self.branches.binary_search_by_key(&first, |branch| branch.first)
    }

    /// Which branch goes on like this.
    #[inline]
    fn way(&self, rest: &[u8]) -> Option<usize> {
        self.find(*rest.first()?).ok()
    }

    /// The next node on the way of what follows its topic in a message, and what follows that one's.
    #[inline]
    fn next<'a>(&self, rest: &'a [u8]) -> Option<(&Self, &'a [u8])> {
        let node = &*self.branches[self.way(rest)?].node;
        begins_with(rest, &node.label).then(|| (node, &rest[node.label.len()..]))
    }

    /// Where the value of a topic below this node belongs.
    fn place(&mut self, topic: &[u8]) -> &mut Option<V> {
        let (mut node, mut rest) = (self, topic);
        while let Some(&first) = rest.first() {
            let at = node.find(first).unwrap_or_else(|at| {
                let label = &rest[..rest.len().min(LONGEST)];
                node.branches.insert(at, Branch { first, node: Box::new(Node::new(label)) });
                at
            });
            node = &mut node.branches[at].node;
            let common = node.label.iter().zip(rest).take_while(|(a, b)| a == b).count();
            node.split(common);
            rest = &rest[common..];
        }
        &mut node.value
    }

    /// Becomes two nodes, one above the other, the upper one with this much of the label, if that is
    /// not all of it.
    fn split(&mut self, at: usize) {
        if at == self.label.len() {
            return;
        }
        let (upper, lower) = self.label.split_at(at);
        let (upper, first) = (Self::new(upper), lower[0]);
        let mut lower = Self::new(lower);
        (lower.value, lower.branches) = (self.value.take(), mem::take(&mut self.branches));
        *self = upper;
        self.branches.push(Branch { first, node: Box::new(lower) });
    }

    /// Becomes one with the node below, and the next, as long as that is the only one, it has no value
    /// itself, and the label of both is not too long.
    fn join(&mut self) {
        while self.value.is_none()
            && let [below] = &self.branches[..]
            && self.label.len() + below.node.label.len() <= LONGEST
            && let Some(below) = self.branches.pop()
        {
            let below = *below.node;
            self.label = [&*self.label, &*below.label].concat().into();
            (self.value, self.branches) = (below.value, below.branches);
        }
    }
}

/// Whether `body` begins with `prefix`.
///
/// A message has just been moved or written, and is in the processor's store buffer yet: a load of
/// bytes that several stores have written, as that of a vector, would wait until they have left it.
#[inline]
fn begins_with(body: &[u8], prefix: &[u8]) -> bool {
    let Some(body) = body.get(..prefix.len()) else { return false };
    let ((words, bytes), (body_words, body_bytes)) = (prefix.as_chunks(), body.as_chunks());
    let mut words = words.iter().zip(body_words);
    let mut bytes = bytes.iter().zip(body_bytes);
    words.all(|(a, b)| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b))
        && bytes.all(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, thread};

    use proptest::{collection::vec, prelude::*};

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Insert(Vec<u8>),
        Entry(Vec<u8>),
        Remove(Vec<u8>),
        /// Looks whether a message begins with a topic.
        Look(Vec<u8>),
    }

    fn word() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![vec(0..3u8, 0..12), vec(0..1u8, 0..20)]
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => word().prop_map(Step::Insert),
            2 => word().prop_map(Step::Entry),
            4 => word().prop_map(Step::Remove),
            3 => word().prop_map(Step::Look),
        ]
    }

    /// Panics if there are more nodes than topics need, or if they could not be found.
    fn check_form(map: &PrefixMap<usize>) {
        assert!(map.root.label.is_empty());
        let (mut left, mut nodes) = (vec![&map.root], 0);
        while let Some(node) = left.pop() {
            assert!(node.branches.is_sorted_by(|a, b| a.first < b.first));
            for Branch { first, node } in &node.branches {
                assert_eq!(node.label.first(), Some(first));
                assert!(node.label.len() <= LONGEST);
                assert!(node.value.is_some() || !node.branches.is_empty());
                left.push(node);
                nodes += 1;
            }
        }
        // Two nodes that do not fit together are longer than one, and each topic may have split a node.
        let pieces = |topic: Vec<u8>| 2 * topic.len().div_ceil(LONGEST);
        assert!(nodes <= 2 * map.len() + map.topics().map(pieces).sum::<usize>(), "{map:?}");
    }

    proptest! {
        #[test]
        fn it_is_an_ordered_map_of_all_that_a_message_begins_with(
            steps in vec(step(), 0..60),
            bodies in vec(word(), 1..8),
        ) {
            let (mut map, mut model) = (PrefixMap::default(), BTreeMap::new());
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(topic) => {
                        map.insert(&topic, number);
                        model.insert(topic, number);
                    }
                    Step::Entry(topic) => {
                        *map.entry(&topic) += 1;
                        *model.entry(topic).or_default() += 1;
                    }
                    Step::Remove(topic) => {
                        map.remove(&topic);
                        model.remove(&topic);
                    }
                    Step::Look(body) => {
                        let any = model.keys().any(|topic| body.starts_with(topic));
                        prop_assert!(any || !map.has_recent_prefix_of(&body));
                        prop_assert_eq!(map.has_prefix_of(&body), any);
                    }
                }
                check_form(&map);
                prop_assert_eq!(map.len(), model.len());
            }
            prop_assert!(map.topics().eq(model.keys().cloned()));
            prop_assert!(map.values().eq(model.values()));
            for body in bodies {
                prop_assert_eq!(map.get(&body), model.get(&body));
                prop_assert_eq!(map.get_mut(&body), model.get_mut(&body));
                let prefixes = (0..=body.len()).filter_map(|length| model.get(&body[..length]));
                prop_assert!(map.prefixes_of(&body).eq(prefixes));
            }
            let odd = |value: &usize| value % 2 == 1;
            let model_odd = model.iter().filter(|(_, value)| odd(value));
            prop_assert!(map.topics_where(odd).eq(model_odd.map(|(topic, _)| topic.clone())));
            model.keys().for_each(|topic| map.remove(topic));
            prop_assert!(map.root.branches.is_empty());
        }
    }

    #[test]
    fn however_often_topics_come_and_go_what_is_left_takes_no_more_nodes() {
        let topic = [5; 1_000];
        let mut map = PrefixMap::default();
        let mut of = |length: usize, add: bool| {
            if add {
                map.insert(&topic[..length], 0);
            } else {
                map.remove(&topic[..length]);
            }
            check_form(&map);
        };
        of(1, true);
        of(LONGEST + 1, true);
        of(1, false);
        for length in 2..topic.len() - LONGEST {
            of(length, true);
            of(length - 1 + LONGEST, false);
            of(length + LONGEST, true);
            of(length, false);
        }
    }

    #[test]
    fn the_longest_chain_of_topics_takes_little_stack() {
        let all = || {
            let topic = [7; 2_000];
            let mut map = PrefixMap::default();
            (0..topic.len()).for_each(|length| map.insert(&topic[..length], length));
            assert!(map.prefixes_of(&topic).eq(map.values()));
            let odd: Vec<_> = map.topics_where(|length| length % 2 == 1).collect();
            odd.iter().for_each(|topic| map.remove(topic));
            assert_eq!(map.topics().map(|topic| topic.len()).max(), Some(topic.len() - 2));
            let long = [8; 50_000];
            map.insert(&long, 0);
            map.insert(&long[1..], 1);
            map.remove(&long);
            assert!(map.has_prefix_of(&long[1..]));
            map.insert(&long, 2);
        };
        let little = thread::Builder::new().stack_size(64 << 10);
        little.spawn(all).unwrap().join().unwrap();
    }
}
