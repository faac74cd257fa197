//! The pattern of a socket that is polled, or has an event descriptor.

use std::{mem, sync::Arc};

use bytes::Bytes;

use super::{Pattern, pair::Pair};
use crate::{
    Error, Message, Result, SocketType,
    cache::CachePadded,
    pipe::Effect,
    poller::Watchers,
    socket::{PeerInfo, Peers},
};

/// Passes everything on to the pattern proper, and tells the watchers.
///
/// A socket has it from when it is watched first, so that those that never are pay nothing.
#[derive(Debug)]
pub(crate) struct Watched {
    pattern: Box<CachePadded<dyn Pattern>>,
    watchers: Arc<Watchers>,
    /// Its calls take turns: one call may be what another waits for.
    takes_turns: bool,
}

impl Watched {
    /// Puts it around `pattern`.
    pub(crate) fn wrap(
        pattern: &mut Box<CachePadded<dyn Pattern>>,
        socket_type: SocketType,
        watchers: Arc<Watchers>,
    ) {
        let proper = mem::replace(pattern, Box::new(CachePadded(Pair::default())));
        let takes_turns = matches!(socket_type, SocketType::Req | SocketType::Rep);
        *pattern = Box::new(CachePadded(Self { pattern: proper, watchers, takes_turns }));
    }

    /// Something about the peers changed, or the user did something that changes what may be done.
    fn changed(&mut self, peers: &mut Peers) {
        self.watchers.note_change();
        self.show(peers);
    }

    fn show(&mut self, peers: &mut Peers) {
        self.watchers.show_all(&mut self.pattern.0, peers);
        if self.watchers.has_polls() {
            peers.effects.push(Effect::Tell(self.watchers.clone()));
        }
    }

    fn after_call(&mut self, result: Result<()>, peers: &mut Peers) -> Result<()> {
        if matches!(result, Err(Error::WouldBlock)) {
            self.watchers.note_seen();
        }
        if self.takes_turns && result.is_ok() {
            self.show(peers);
        } else {
            self.watchers.show_all(&mut self.pattern.0, peers);
        }
        result
    }
}

// What it does not pass on would be lost.
#[deny(clippy::missing_trait_methods)]
impl Pattern for Watched {
    fn name(&mut self, key: usize, routing_id: &[u8]) -> bool {
        self.pattern.0.name(key, routing_id)
    }

    fn attach(&mut self, key: usize, peers: &mut Peers) -> bool {
        let accepted = self.pattern.0.attach(key, peers);
        self.changed(peers);
        accepted
    }

    fn ready(&mut self, key: usize, peers: &mut Peers) -> bool {
        let accepted = self.pattern.0.ready(key, peers);
        self.changed(peers);
        accepted
    }

    fn lost(&mut self, key: usize, peers: &mut Peers) {
        self.pattern.0.lost(key, peers);
        self.changed(peers);
    }

    fn closed(&mut self, key: usize, peers: &mut Peers) {
        self.pattern.0.closed(key, peers);
        self.changed(peers);
    }

    fn detach(&mut self, key: usize, peers: &mut Peers) {
        self.pattern.0.detach(key, peers);
        self.changed(peers);
    }

    fn readable(&mut self, key: usize, peers: &mut Peers) {
        self.pattern.0.readable(key, peers);
        self.changed(peers);
    }

    fn writable(&mut self, key: usize, peers: &mut Peers) {
        self.pattern.0.writable(key, peers);
        self.changed(peers);
    }

    fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        let result = self.pattern.0.send(message, peers);
        self.after_call(result, peers)
    }

    fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<()> {
        let result = self.pattern.0.receive(message, peers);
        self.after_call(result, peers)
    }

    fn receive_from(
        &mut self,
        message: &mut Message,
        peers: &mut Peers,
    ) -> Result<Option<PeerInfo>> {
        let mut source = None;
        let result = self.pattern.0.receive_from(message, peers).map(|found| source = found);
        self.after_call(result, peers).map(|()| source)
    }

    fn sender(&self) -> Option<usize> {
        self.pattern.0.sender()
    }

    fn can_receive(&mut self, peers: &mut Peers) -> bool {
        self.pattern.0.can_receive(peers)
    }

    fn can_send(&mut self, peers: &mut Peers) -> bool {
        self.pattern.0.can_send(peers)
    }

    fn subscribe(&mut self, topic: &[u8], subscribe: bool, peers: &mut Peers) -> Result<()> {
        let result = self.pattern.0.subscribe(topic, subscribe, peers);
        self.changed(peers);
        result
    }

    fn psubscribe(&mut self, pattern: &[u8], subscribe: bool, peers: &mut Peers) -> Result<()> {
        let result = self.pattern.0.psubscribe(pattern, subscribe, peers);
        self.changed(peers);
        result
    }

    fn change_membership(&mut self, group: &[u8], join: bool, peers: &mut Peers) -> Result<()> {
        let result = self.pattern.0.change_membership(group, join, peers);
        self.changed(peers);
        result
    }

    fn routing_id(&self, key: usize) -> Option<Bytes> {
        self.pattern.0.routing_id(key)
    }

    fn topics(&self) -> usize {
        self.pattern.0.topics()
    }
}
