//! PUB and XPUB (RFC 29): every message goes to all peers that subscribe to it.

use std::{collections::VecDeque, mem};

use super::{Pattern, prefix_map::PrefixMap};
use crate::{Error, Message, Result, SocketType, socket::Peers};

#[derive(Debug)]
pub(crate) struct Publish {
    /// XPUB: the user sees subscriptions, and receives what peers send upstream.
    extended: bool,
    /// The peers that subscribe to each topic, once each however often they said so: libzmq says it
    /// every time, but takes it back only once.
    subscriptions: PrefixMap<Vec<usize>>,
    peers: Vec<Peer>,
    /// For the user to receive.
    upstream: VecDeque<Message>,
    /// Tells the peers that match the present message from those of earlier ones.
    round: u64,
    matched: Vec<usize>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Peer {
    writable: bool,
    matched_in: u64,
    /// Whether it has been connected before.
    known: bool,
}

impl Publish {
    pub(crate) fn new(extended: bool) -> Self {
        Self {
            extended,
            subscriptions: PrefixMap::default(),
            peers: Vec::new(),
            upstream: VecDeque::new(),
            round: 0,
            matched: Vec::new(),
        }
    }

    fn take_upstream(&mut self, key: usize, message: Message, peers: &Peers) {
        let change = match message.frame(0).filter(|_| message.len() == 1).map(|frame| &frame[..]) {
            Some([1, topic @ ..]) => Some((true, self.subscribed(key, topic))),
            Some([0, topic @ ..]) => self.cancelled(key, topic).map(|last| (false, last)),
            _ => {
                if self.extended {
                    self.upstream.push_back(message);
                }
                return;
            }
        };
        let options = &peers.options;
        let shown = match change {
            Some((true, first)) => first || options.xpub_verbose || options.xpub_verboser,
            Some((false, last)) => last || options.xpub_verboser,
            // Never subscribed to.
            None => false,
        };
        if self.extended && shown {
            self.upstream.push_back(message);
        }
    }

    /// Notes a subscription; true if it is the first of anyone to this topic.
    fn subscribed(&mut self, key: usize, topic: &[u8]) -> bool {
        let Some(subscribers) = self.subscriptions.get_mut(topic) else {
            self.subscriptions.insert(topic, vec![key]);
            return true;
        };
        if !subscribers.contains(&key) {
            subscribers.push(key);
        }
        false
    }

    /// Notes a cancellation; true if nobody is left, nothing if there was no such subscription.
    fn cancelled(&mut self, key: usize, topic: &[u8]) -> Option<bool> {
        let subscribers = self.subscriptions.get_mut(topic)?;
        let at = subscribers.iter().position(|&subscriber| subscriber == key)?;
        subscribers.swap_remove(at);
        let last = subscribers.is_empty();
        if last {
            self.subscriptions.remove(topic);
        }
        Some(last)
    }

    /// Ends all subscriptions of a peer.
    fn forget(&mut self, key: usize) {
        let (extended, upstream) = (self.extended, &mut self.upstream);
        self.subscriptions.retain(|topic, subscribers| {
            subscribers.retain(|&subscriber| subscriber != key);
            if subscribers.is_empty() && extended {
                let mut cancel = vec![0];
                cancel.extend_from_slice(topic);
                upstream.push_back(Message::from(cancel));
            }
            !subscribers.is_empty()
        });
    }

    /// Collects in `matched` the peers that subscribe to a message, each once.
    fn find_matches(&mut self, message: &Message) {
        self.round += 1;
        self.matched.clear();
        let topic = message.frame(0).map_or(&[][..], |frame| frame);
        for &key in self.subscriptions.prefixes_of(topic).flatten() {
            let peer = &mut self.peers[key];
            if mem::replace(&mut peer.matched_in, self.round) != self.round {
                self.matched.push(key);
            }
        }
    }
}

impl Pattern for Publish {
    fn attach(&mut self, key: usize, _peers: &mut Peers) -> bool {
        if self.peers.len() <= key {
            self.peers.resize(key + 1, Peer::default());
        }
        self.peers[key] = Peer { writable: true, ..Peer::default() };
        true
    }

    fn ready(&mut self, key: usize, _peers: &mut Peers) -> bool {
        if mem::replace(&mut self.peers[key].known, true) {
            // Connected anew: it subscribes again to all it wants.
            self.forget(key);
        }
        true
    }

    fn closed(&mut self, key: usize, _peers: &mut Peers) {
        self.peers[key].writable = false;
        self.forget(key);
    }

    fn detach(&mut self, key: usize, peers: &mut Peers) {
        self.closed(key, peers);
    }

    fn readable(&mut self, key: usize, peers: &mut Peers) {
        // At once, and not only when the user receives: subscriptions take effect on arrival.
        let mut message = Message::new();
        while peers.read(key, &mut message) {
            self.take_upstream(key, mem::take(&mut message), peers);
        }
    }

    fn writable(&mut self, key: usize, _peers: &mut Peers) {
        self.peers[key].writable = true;
    }

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        self.find_matches(message);
        let nodrop = peers.options.xpub_nodrop;
        if nodrop && !self.matched.iter().all(|&key| peers.has_room(key)) {
            return Err(Error::WouldBlock);
        }
        if !nodrop {
            // One whose high-water mark is reached does not get it.
            self.matched.retain(|&key| self.peers[key].writable);
        }
        let states = &mut self.peers;
        peers.write_copies(&self.matched, message, |key, taken| states[key].writable = taken);
        Ok(())
    }

    fn receive(&mut self, message: &mut Message, _peers: &mut Peers) -> Result<()> {
        if !self.extended {
            return Err(Error::NotSupported { socket_type: SocketType::Pub, operation: "receive" });
        }
        *message = self.upstream.pop_front().ok_or(Error::WouldBlock)?;
        Ok(())
    }
}
