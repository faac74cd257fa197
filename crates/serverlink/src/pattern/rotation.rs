//! Taking turns among peers.

use crate::{Error, Message, Result, pipe::Refused, socket::Peers};

/// Peers in a ring, of which some are *active*: may be written to (load balancing), or have
/// something to read (fair queueing). Every active peer has its turn, one message at a time.
#[derive(Debug, Default)]
pub(crate) struct Rotation {
    /// The active ones first.
    ring: Vec<usize>,
    /// Where in the ring a key is; `usize::MAX` if it is not.
    places: Vec<usize>,
    active: usize,
    current: usize,
}

impl Rotation {
    pub(crate) fn insert(&mut self, key: usize) {
        if self.places.len() <= key {
            self.places.resize(key + 1, usize::MAX);
        }
        if self.places[key] == usize::MAX {
            self.places[key] = self.ring.len();
            self.ring.push(key);
        }
    }

    pub(crate) fn remove(&mut self, key: usize) {
        self.deactivate(key);
        if let Some(place) = self.place(key) {
            let last = self.ring.len() - 1;
            self.swap(place, last);
            self.ring.pop();
            self.places[key] = usize::MAX;
        }
    }

    pub(crate) fn activate(&mut self, key: usize) {
        if let Some(place) = self.place(key)
            && place >= self.active
        {
            self.swap(place, self.active);
            self.active += 1;
        }
    }

    #[cold]
    pub(crate) fn deactivate(&mut self, key: usize) {
        if let Some(place) = self.place(key)
            && place < self.active
        {
            self.active -= 1;
            self.swap(place, self.active);
            if self.current >= self.active {
                self.current = 0;
            }
        }
    }

    /// Whose turn it is.
    #[inline]
    pub(crate) fn current(&self) -> Option<usize> {
        (self.active > 0).then(|| self.ring[self.current])
    }

    /// Whose turn it was before it [was the next one's](Self::advance).
    pub(crate) fn previous(&self) -> Option<usize> {
        let last = self.active.checked_sub(1)?;
        self.ring.get(self.current.checked_sub(1).unwrap_or(last)).copied()
    }

    /// It is the next one's turn.
    #[inline]
    pub(crate) fn advance(&mut self) {
        self.current += 1;
        if self.current >= self.active {
            self.current = 0;
        }
    }

    /// Sends to the peer whose turn it is; a peer that takes no more loses its turns. Returns who
    /// took the message.
    #[inline(always)]
    pub(crate) fn send(&mut self, message: &mut Message, peers: &mut Peers) -> Result<usize> {
        while let Some(key) = self.current() {
            match peers.write(key, message) {
                Ok(()) => {
                    self.advance();
                    return Ok(key);
                }
                Err(Refused::Full | Refused::Gone) => self.deactivate(key),
            }
        }
        Err(Error::WouldBlock)
    }

    /// Receives from the peer whose turn it is. Returns which it is.
    #[inline(always)]
    pub(crate) fn receive(&mut self, message: &mut Message, peers: &mut Peers) -> Result<usize> {
        while let Some(key) = self.current() {
            if peers.read(key, message) {
                self.advance();
                return Ok(key);
            }
            self.deactivate(key);
        }
        Err(Error::WouldBlock)
    }

    /// Whether one of the peers takes a message; those before it lose their turns.
    pub(crate) fn has_room(&mut self, peers: &mut Peers) -> bool {
        while let Some(key) = self.current() {
            if peers.has_room(key) {
                return true;
            }
            self.deactivate(key);
        }
        false
    }

    /// Whether one of the peers has a message that is `wanted`. Those that are not and would be
    /// received before are dropped.
    pub(crate) fn has_message(
        &mut self,
        peers: &mut Peers,
        mut wanted: impl FnMut(usize, &Message) -> bool,
    ) -> bool {
        while let Some(key) = self.current() {
            match peers.peek(key, |message| wanted(key, message)) {
                Some(true) => return true,
                Some(false) => {
                    peers.read(key, &mut Message::new());
                    self.advance();
                }
                None => self.deactivate(key),
            }
        }
        false
    }

    fn place(&self, key: usize) -> Option<usize> {
        self.places.get(key).copied().filter(|&place| place != usize::MAX)
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.ring.swap(a, b);
        self.places[self.ring[a]] = a;
        self.places[self.ring[b]] = b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(rotation: &mut Rotation, count: usize) -> Vec<usize> {
        (0..count)
            .map_while(|_| {
                let key = rotation.current();
                rotation.advance();
                key
            })
            .collect()
    }

    #[test]
    fn every_active_peer_has_its_turn() {
        let mut rotation = Rotation::default();
        for key in [3, 0, 7] {
            rotation.insert(key);
            assert_eq!(rotation.current(), None);
        }
        for key in [0, 3, 7] {
            rotation.activate(key);
        }
        assert_eq!(turns(&mut rotation, 6), [0, 3, 7, 0, 3, 7]);
        rotation.deactivate(3);
        let mut two = turns(&mut rotation, 4);
        two.sort_unstable();
        assert_eq!(two, [0, 0, 7, 7]);
        rotation.remove(0);
        assert_eq!(turns(&mut rotation, 2), [7, 7]);
        rotation.remove(7);
        assert_eq!(rotation.current(), None);
        rotation.activate(3);
        assert_eq!(rotation.current(), Some(3));
    }

    #[test]
    fn random_changes_keep_the_ring_sound() {
        let mut rotation = Rotation::default();
        let mut model = std::collections::BTreeMap::new();
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..20_000 {
            let key = random.usize(..12);
            match random.u8(..4) {
                0 => {
                    rotation.insert(key);
                    model.entry(key).or_insert(false);
                }
                1 => {
                    rotation.remove(key);
                    model.remove(&key);
                }
                2 => {
                    rotation.activate(key);
                    model.entry(key).and_modify(|active| *active = true);
                }
                _ => {
                    rotation.deactivate(key);
                    model.entry(key).and_modify(|active| *active = false);
                }
            }
            let expected: Vec<_> =
                model.iter().filter(|(_, active)| **active).map(|(key, _)| *key).collect();
            let mut seen = turns(&mut rotation, expected.len());
            seen.sort_unstable();
            assert_eq!(seen, expected);
        }
    }
}
