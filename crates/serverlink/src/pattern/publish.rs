//! PUB and XPUB (RFC 29): every message goes to all peers that subscribe to it.

use std::mem;

use super::{
    Pattern, not_by_option, pattern_not_by_option,
    subscribers::{Interest, Subscribers},
    upstream::{Said, Upstream},
};
use crate::{Error, Message, Result, SocketType, socket::Peers};

#[derive(Debug)]
pub(crate) struct Publish {
    /// XPUB: the user sees subscriptions, and receives what peers send upstream.
    extended: bool,
    subscriptions: Subscribers,
    /// What peers asked for, where the user subscribes for them.
    asked: Subscribers,
    peers: Vec<Peer>,
    /// For the user to receive.
    upstream: Upstream,
    /// Who asked for what the user received last, if it is still there.
    asker: Option<usize>,
    /// Whose message the user received last, if it is still there.
    sender: Option<usize>,
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
            subscriptions: Subscribers::default(),
            asked: Subscribers::default(),
            peers: Vec::new(),
            upstream: Upstream::default(),
            asker: None,
            sender: None,
            round: 0,
            matched: Vec::new(),
        }
    }

    /// Takes what a peer sent: a subscription to a pattern, or subscriptions to topics, each in a frame
    /// of its own, and the user's frames.
    fn take_upstream(&mut self, key: usize, message: Message, peers: &Peers) {
        if let Some((pattern, subscribe)) = message.membership() {
            return self.take_change(key, subscribe, Interest::Pattern(pattern), peers);
        }
        let mut user = Message::new();
        for (number, frame) in message.into_iter().enumerate() {
            let may_subscribe = number == 0 || !peers.options.only_first_subscribe;
            match frame.first() {
                Some(flag @ (0 | 1)) if may_subscribe => {
                    self.take_change(key, *flag == 1, Interest::Topic(&frame[1..]), peers);
                }
                _ => user.push_back(frame),
            }
        }
        if self.extended && !user.is_empty() {
            self.upstream.push(key, Said::Message, user);
        }
    }

    /// Takes a subscription, or its end. The user is told of what everything asked for begins with: of
    /// a pattern, which is matched here, whoever forwards subscriptions need not know more.
    fn take_change(&mut self, key: usize, subscribe: bool, asked: Interest<'_>, peers: &Peers) {
        let options = &peers.options;
        let shown = if is_manual(peers) {
            if subscribe {
                self.asked.add(key, asked);
                true
            } else {
                self.asked.remove(key, asked);
                // Not while it asks for the same by a pattern: the user would end that, too.
                !self.asked.has_patterns() || !self.asked.is_wanted_by(key, &asked.prefix())
            }
        } else if subscribe {
            self.subscriptions.add(key, asked) || options.xpub_verbose || options.xpub_verboser
        } else {
            let last = self.subscriptions.remove(key, asked);
            last.is_some_and(|last| last || options.xpub_verboser)
        };
        if self.extended && shown {
            self.upstream.push(key, Said::Notice, told(subscribe, &asked.prefix()));
        }
    }

    /// Ends all subscriptions of a peer.
    fn forget(&mut self, key: usize, peers: &Peers) {
        let (extended, upstream) = (self.extended, &mut self.upstream);
        let mut tell = |topic: &[u8], shown: bool| {
            if extended && shown {
                upstream.push(key, Said::End, told(false, topic));
            }
        };
        if is_manual(peers) {
            self.asked.forget(key, |topic, _| tell(topic, true));
            self.subscriptions.forget(key, |_, _| {});
        } else {
            let verbose = peers.options.xpub_verboser;
            self.subscriptions.forget(key, |topic, last| tell(topic, last || verbose));
            self.asked.forget(key, |_, _| {});
        }
    }

    /// A peer has left, and its key may go to another one.
    fn forget_asker(&mut self, key: usize) {
        self.asker = self.asker.filter(|&asker| asker != key);
        self.upstream.leave(key);
    }

    /// Collects in `matched` the peers that subscribe to a message, each once.
    fn find_matches(&mut self, message: &Message) {
        self.round += 1;
        self.matched.clear();
        let topic = message.frame(0).map_or(&[][..], |frame| frame);
        for &key in self.subscriptions.of(topic) {
            let peer = &mut self.peers[key];
            if mem::replace(&mut peer.matched_in, self.round) != self.round {
                self.matched.push(key);
            }
        }
        if self.subscriptions.has_patterns() {
            self.find_pattern_matches(topic);
        }
    }

    /// Adds the peers that subscribe to a pattern of this topic.
    #[cold]
    fn find_pattern_matches(&mut self, topic: &[u8]) {
        for &key in self.subscriptions.matching(topic) {
            let peer = &mut self.peers[key];
            if mem::replace(&mut peer.matched_in, self.round) != self.round {
                self.matched.push(key);
            }
        }
    }

    /// The user subscribes for a peer, or ends that.
    fn change_for_asker(&mut self, subscribe: bool, given: Interest<'_>) {
        match self.asker {
            Some(asker) if subscribe => _ = self.subscriptions.add(asker, given),
            Some(asker) => _ = self.subscriptions.remove(asker, given),
            None => {}
        }
    }

    /// Collects all others instead.
    #[cold]
    fn invert_matches(&mut self, peers: &Peers) {
        self.matched.clear();
        for key in peers.keys().filter(|&key| !peers.is_closed(key)) {
            if self.peers[key].matched_in != self.round {
                self.matched.push(key);
            }
        }
    }
}

/// How the user is told of a subscription, or its end.
fn told(subscribe: bool, topic: &[u8]) -> Message {
    let mut frame = Vec::with_capacity(1 + topic.len());
    frame.push(u8::from(subscribe));
    frame.extend_from_slice(topic);
    Message::from(frame)
}

/// Whether the user subscribes for the peers.
fn is_manual(peers: &Peers) -> bool {
    peers.options.xpub_manual || peers.options.xpub_manual_last_value
}

impl Pattern for Publish {
    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        if self.peers.len() <= key {
            self.peers.resize(key + 1, Peer::default());
        }
        self.peers[key] = Peer { writable: true, ..Peer::default() };
        if !peers.options.xpub_welcome_message.is_empty() {
            let mut welcome = Message::from(peers.options.xpub_welcome_message.clone());
            self.peers[key].writable = peers.write(key, &mut welcome).is_ok();
        }
        true
    }

    fn ready(&mut self, key: usize, peers: &mut Peers) -> bool {
        if mem::replace(&mut self.peers[key].known, true) {
            // Connected anew: it subscribes again to all it wants.
            self.forget(key, peers);
        }
        true
    }

    fn closed(&mut self, key: usize, peers: &mut Peers) {
        self.peers[key].writable = false;
        self.forget(key, peers);
    }

    fn detach(&mut self, key: usize, peers: &mut Peers) {
        self.closed(key, peers);
        self.forget_asker(key);
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
        if peers.options.xpub_manual_last_value
            && let Some(asker) = self.asker
        {
            self.matched.retain(|&key| key == asker);
        }
        if peers.options.invert_matching {
            self.invert_matches(peers);
        }
        let nodrop = peers.options.xpub_nodrop;
        if nodrop && !self.matched.iter().all(|&key| peers.has_room(key)) {
            return Err(Error::WouldBlock);
        }
        if !nodrop {
            // One whose high-water mark is reached does not get it.
            self.matched.retain(|&key| {
                let writable = self.peers[key].writable;
                if !writable {
                    peers.note_dropped(key);
                }
                writable
            });
        }
        let states = &mut self.peers;
        peers.write_copies(&self.matched, message, |key, taken| states[key].writable = taken);
        if peers.options.xpub_manual_last_value {
            self.asker = None;
        }
        Ok(())
    }

    fn receive(&mut self, message: &mut Message, _peers: &mut Peers) -> Result<()> {
        if !self.extended {
            return Err(Error::NotSupported { socket_type: SocketType::Pub, operation: "receive" });
        }
        let (key, said, next) = self.upstream.pop().ok_or(Error::WouldBlock)?;
        self.sender = key.filter(|_| said != Said::End);
        if said != Said::Message {
            self.asker = self.sender;
        }
        *message = next;
        Ok(())
    }

    fn sender(&self) -> Option<usize> {
        self.sender
    }

    fn subscribe(&mut self, topic: &[u8], subscribe: bool, peers: &mut Peers) -> Result<()> {
        if !is_manual(peers) {
            return Err(not_by_option());
        }
        self.change_for_asker(subscribe, Interest::Topic(topic));
        Ok(())
    }

    fn psubscribe(&mut self, pattern: &[u8], subscribe: bool, peers: &mut Peers) -> Result<()> {
        if !is_manual(peers) {
            return Err(pattern_not_by_option());
        }
        self.change_for_asker(subscribe, Interest::Pattern(pattern));
        Ok(())
    }

    fn topics(&self) -> usize {
        self.subscriptions.count()
    }

    fn can_receive(&mut self, _peers: &mut Peers) -> bool {
        self.extended && !self.upstream.is_empty()
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        if !peers.options.xpub_nodrop {
            return true;
        }
        let keys: Vec<_> = peers.keys().filter(|&key| !peers.is_closed(key)).collect();
        keys.into_iter().all(|key| peers.has_room(key))
    }
}
