//! SUB and XSUB (RFC 29): messages of the topics subscribed to, from all peers in turn.

use std::mem;

use super::{Pattern, not_by_option, prefix_map::PrefixMap, rotation::Rotation};
use crate::{Error, Message, Result, SocketType, socket::Peers};

#[derive(Debug)]
pub(crate) struct Subscribe {
    /// XSUB: the user sends subscriptions, and gets what comes unfiltered.
    extended: bool,
    turns: Rotation,
    /// How often each topic is subscribed to; peers are told of the first and of the last.
    subscriptions: PrefixMap<usize>,
}

impl Subscribe {
    pub(crate) fn new(extended: bool) -> Self {
        Self { extended, turns: Rotation::default(), subscriptions: PrefixMap::default() }
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
        let told = !subscribe && peers.options.xsub_verbose_unsubscribe;
        if self.count(topic, subscribe) || told {
            let keys: Vec<_> = peers.keys().collect();
            for key in keys {
                peers.write_subscription(key, topic, subscribe);
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
            peers.write_subscription(key, topic, true);
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
            if self.extended
                || is_subscribed(&self.subscriptions, message) != peers.options.invert_matching
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

    fn topics(&self) -> usize {
        self.subscriptions.len()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        let Self { extended, turns, subscriptions } = self;
        let invert = peers.options.invert_matching;
        turns.has_message(peers, |_, message| {
            *extended || is_subscribed(subscriptions, message) != invert
        })
    }

    fn can_send(&mut self, _peers: &mut Peers) -> bool {
        self.extended
    }
}

fn is_subscribed(subscriptions: &PrefixMap<usize>, message: &Message) -> bool {
    let topic = message.frame(0).map_or(&[][..], |frame| frame);
    subscriptions.has_prefix_of(topic)
}
