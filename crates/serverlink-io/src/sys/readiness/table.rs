//! All registrations of one backend, by token.

use std::sync::Arc;

use super::{Token, entry::Registration};

/// Registrations in numbered places, with numbers that are not taken again.
///
/// A token is a place (low half) and how often the place was taken before (high
/// half), so that a report that comes late finds nobody.
#[derive(Debug, Default)]
pub(super) struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Place {
    uses: u32,
    registration: Option<Arc<Registration>>,
}

impl Table {
    pub(super) fn insert(
        &mut self,
        make: impl FnOnce(Token) -> Arc<Registration>,
    ) -> Arc<Registration> {
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            u32::try_from(self.places.len() - 1).expect("descriptors are fewer than 2^32")
        });
        let place = &mut self.places[number as usize];
        let registration = make(Token::from(place.uses) << 32 | Token::from(number));
        place.registration = Some(Arc::clone(&registration));
        registration
    }

    pub(super) fn get(&self, token: Token) -> Option<Arc<Registration>> {
        let place = self.places.get(place_of(token))?;
        (place.uses == uses_of(token)).then(|| place.registration.clone())?
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<Arc<Registration>> {
        let place = self.places.get_mut(place_of(token))?;
        if place.uses != uses_of(token) {
            return None;
        }
        let removed = place.registration.take()?;
        // The highest bit stays clear.
        place.uses = (place.uses + 1) & (u32::MAX >> 1);
        self.free.push(place_of(token) as u32);
        Some(removed)
    }

    pub(super) fn all(&self) -> Vec<Arc<Registration>> {
        self.places.iter().filter_map(|place| place.registration.clone()).collect()
    }
}

fn place_of(token: Token) -> usize {
    (token & Token::from(u32::MAX)) as usize
}

fn uses_of(token: Token) -> u32 {
    (token >> 32) as u32
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::{
        Event, Handler, PortOptions,
        sys::{
            readiness::{Readiness, source::Source},
            select::Select,
        },
    };

    struct Nobody;

    impl Handler for Nobody {
        fn complete(&self, _event: Event) {}
    }

    #[test]
    fn a_token_is_not_taken_again() {
        let backend = Readiness::new(Select::new().expect("it starts"), &PortOptions::default());
        let mut table = Table::default();
        let insert = |table: &mut Table| {
            let socket = UdpSocket::bind("127.0.0.1:0").expect("there are sockets");
            let source = Source::owned(socket.into()).expect("it is a socket");
            let make = |token| Registration::new(&backend.engine, token, source, Arc::new(Nobody));
            table.insert(make).token()
        };
        let (first, second) = (insert(&mut table), insert(&mut table));
        assert_ne!(first, second);
        assert!(table.remove(first).is_some());
        assert!(table.remove(first).is_none());
        let third = insert(&mut table);
        assert_eq!(place_of(third), place_of(first));
        assert!(table.get(first).is_none());
        assert!(table.remove(first).is_none());
        assert_eq!(table.get(third).map(|found| found.token()), Some(third));
        assert_eq!(table.all().len(), 2);
    }
}
