//! SUB and XSUB (RFC 29): messages of the topics subscribed to, from all peers in turn.
//!
//! Publishers that take patterns are told of them, and match them. With others we subscribe to what
//! the topics of a pattern begin with, and match here.

use std::mem;

use super::{
    Pattern,
    glob::{GlobMap, literal_prefix},
    not_by_option,
    prefix_map::PrefixMap,
    rotation::Rotation,
};
use crate::{Error, Message, Result, SocketType, socket::Peers};

#[derive(Debug)]
pub(crate) struct Subscribe {
    /// XSUB: the user sends subscriptions, and gets what comes unfiltered.
    extended: bool,
    turns: Rotation,
    /// How often each topic is subscribed to; peers are told of each time, and of the end of the last.
    subscriptions: PrefixMap<usize>,
    /// The same of patterns.
    patterns: GlobMap<usize>,
}

impl Subscribe {
    pub(crate) fn new(extended: bool) -> Self {
        Self {
            extended,
            turns: Rotation::default(),
            subscriptions: PrefixMap::default(),
            patterns: GlobMap::default(),
        }
    }

    /// Counts, and says whether peers must be told.
    fn count(&mut self, topic: &[u8], subscribe: bool) -> bool {
        match (self.subscriptions.get_mut(topic), subscribe) {
            (None, true) => {
                self.subscriptions.insert(topic, 1);
                true
            }
            (Some(count), true) => {
                *count += 1;
                false
            }
            (Some(count), false) if *count > 1 => {
                *count -= 1;
                false
            }
            (Some(_), false) => {
                self.subscriptions.remove(topic);
                true
            }
            (None, false) => false,
        }
    }

    fn change(&mut self, topic: &[u8], subscribe: bool, peers: &mut Peers) {
        // A publisher that is verbose tells of each, and what lies between may forward them.
        let told = subscribe || peers.options.xsub_verbose_unsubscribe;
        if self.count(topic, subscribe) || told {
            let keys: Vec<_> = peers.keys().collect();
            for key in keys {
                if subscribe || !self.stands_in(key, topic, peers) {
                    peers.write_subscription(key, topic, subscribe);
                }
            }
        }
    }

    /// Whether a peer is subscribed to a topic on behalf of patterns, which it does not take.
    fn stands_in(&self, key: usize, topic: &[u8], peers: &Peers) -> bool {
        self.patterns.has_prefix(topic) && needs_stand_ins(key, peers)
    }

    /// Counts a subscription to a pattern, or its end, and says whether peers must be told.
    fn count_pattern(&mut self, pattern: &[u8], subscribe: bool) -> bool {
        if subscribe {
            let count = self.patterns.entry(pattern);
            *count += 1;
            return *count == 1;
        }
        let Some(count) = self.patterns.get_mut(pattern) else { return false };
        *count -= 1;
        let last = *count == 0;
        if last {
            self.patterns.remove(pattern);
        }
        last
    }

    fn change_pattern(&mut self, pattern: &[u8], subscribe: bool, peers: &mut Peers) {
        let prefix = literal_prefix(pattern);
        let is_wanted =
            |it: &Self| it.subscriptions.get(&prefix).is_some() || it.patterns.has_prefix(&prefix);
        let before = is_wanted(self);
        if !self.count_pattern(pattern, subscribe) {
            return;
        }
        let after = is_wanted(self);
        let keys: Vec<_> = peers.keys().collect();
        for key in keys {
            peers.write_pattern(key, pattern, subscribe);
            if before != after && needs_stand_ins(key, peers) {
                peers.write_subscription(key, &prefix, subscribe);
            }
        }
    }
}

impl Pattern for Subscribe {
    fn attach(&mut self, key: usize, _peers: &mut Peers) -> bool {
        self.turns.insert(key);
        true
    }

    fn ready(&mut self, key: usize, peers: &mut Peers) -> bool {
        for topic in self.subscriptions.topics() {
            peers.write_subscription(key, &topic, true);
        }
        for (pattern, _) in self.patterns.iter() {
            peers.write_pattern(key, pattern, true);
        }
        if needs_stand_ins(key, peers) {
            let others = |prefix: &Vec<u8>| self.subscriptions.get(prefix).is_none();
            for prefix in self.patterns.prefixes().filter(others) {
                peers.write_subscription(key, &prefix, true);
            }
        }
        true
    }

    fn closed(&mut self, _key: usize, _peers: &mut Peers) {}

    fn detach(&mut self, key: usize, _peers: &mut Peers) {
        self.turns.remove(key);
    }

    fn readable(&mut self, key: usize, _peers: &mut Peers) {
        self.turns.activate(key);
    }

    fn writable(&mut self, _key: usize, _peers: &mut Peers) {}

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        if !self.extended {
            return Err(Error::NotSupported { socket_type: SocketType::Sub, operation: "send" });
        }
        let mut user = Message::new();
        for (number, frame) in mem::take(message).into_iter().enumerate() {
            let may_subscribe = number == 0 || !peers.options.only_first_subscribe;
            match frame.first() {
                Some(flag @ (0 | 1)) if may_subscribe => {
                    self.change(&frame[1..], *flag == 1, peers);
                }
                _ => user.push_back(frame),
            }
        }
        if !user.is_empty() {
            // To every publisher that takes it; what one does not take is dropped.
            let keys: Vec<_> = peers.keys().collect();
            peers.write_copies(&keys, &user, |_, _| {});
        }
        Ok(())
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        loop {
            self.turns.receive(message, peers)?;
            // A publisher may send more than was asked for.
            let invert = peers.options.invert_matching;
            let Self { extended, subscriptions, patterns, .. } = self;
            if (!invert && subscriptions.has_recent_prefix_of(topic_of(message)))
                || takes(*extended, subscriptions, patterns, message, invert)
            {
                return Ok(());
            }
        }
    }

    fn subscribe(&mut self, topic: &[u8], subscribe: bool, peers: &mut Peers) -> Result<()> {
        if self.extended {
            return Err(not_by_option());
        }
        self.change(topic, subscribe, peers);
        Ok(())
    }

    fn psubscribe(&mut self, pattern: &[u8], subscribe: bool, peers: &mut Peers) -> Result<()> {
        self.change_pattern(pattern, subscribe, peers);
        Ok(())
    }

    fn topics(&self) -> usize {
        self.subscriptions.len() + self.patterns.len()
    }

    fn sender(&self) -> Option<usize> {
        self.turns.previous()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        let Self { extended, turns, subscriptions, patterns } = self;
        let invert = peers.options.invert_matching;
        turns.has_message(peers, |_, message| {
            takes(*extended, subscriptions, patterns, message, invert)
        })
    }

    fn can_send(&mut self, _peers: &mut Peers) -> bool {
        self.extended
    }
}

/// Whether a peer must be subscribed to what the topics of patterns begin with. Not where what is
/// subscribed to is what does not come: it would keep back what only the pattern says.
fn needs_stand_ins(key: usize, peers: &Peers) -> bool {
    !peers.takes_patterns(key) && !peers.options.invert_matching
}

#[inline]
fn topic_of(message: &Message) -> &[u8] {
    message.frame(0).map_or(&[][..], |frame| frame)
}

/// Whether the user gets a message.
#[inline(never)]
fn takes(
    extended: bool,
    subscriptions: &mut PrefixMap<usize>,
    patterns: &GlobMap<usize>,
    message: &Message,
    invert: bool,
) -> bool {
    if extended && patterns.is_empty() {
        return true;
    }
    let topic = topic_of(message);
    let subscribed = subscriptions.has_prefix_of(topic) || matches_any(patterns, topic);
    // An XSUB gets whatever comes, but not what comes for a pattern's sake only that it does not
    // match.
    subscribed != invert || (extended && !patterns.has_prefix_of(topic))
}

#[inline]
fn matches_any(patterns: &GlobMap<usize>, topic: &[u8]) -> bool {
    !patterns.is_empty() && patterns.matching(topic).next().is_some()
}
