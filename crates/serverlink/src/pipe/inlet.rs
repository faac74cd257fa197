//! The way of messages in from a remote peer: a queue, made when the first message comes. Of many
//! connections most are idle, and some bring no message ever.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::queue::{self, Consumer, Producer};
use crate::Message;

#[derive(Debug)]
pub(super) struct Inlet(Mutex<State>);

#[derive(Debug)]
enum State {
    /// So many messages may wait.
    Unmade(usize),
    /// The queue was made, or never will be: nobody reads it. Here are those of its ends that nobody has.
    Settled(Option<Box<Ends>>),
}

#[derive(Debug)]
struct Ends {
    producer: Option<Box<Producer<Message>>>,
    consumer: Option<Consumer<Message>>,
}

impl Inlet {
    pub(super) fn new(limit: usize) -> Self {
        Self(Mutex::new(State::Unmade(limit)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The writer's end, for a connection that has a message, or if it was made before; none if another has
    /// it, or nobody reads.
    pub(super) fn take_producer(&self, has_message: bool) -> Option<Box<Producer<Message>>> {
        match &mut *self.state() {
            State::Unmade(_) if !has_message => None,
            state @ &mut State::Unmade(limit) => {
                let (producer, consumer) = queue::channel(limit);
                let ends = Ends { producer: None, consumer: Some(consumer) };
                *state = State::Settled(Some(Box::new(ends)));
                Some(Box::new(producer))
            }
            State::Settled(place) => {
                let producer = place.as_mut()?.producer.take();
                forget_empty(place);
                producer
            }
        }
    }

    /// Gives it back, for the next connection.
    pub(super) fn give_producer(&self, producer: Box<Producer<Message>>) {
        if let State::Settled(place) = &mut *self.state() {
            let ends =
                place.get_or_insert_with(|| Box::new(Ends { producer: None, consumer: None }));
            ends.producer = Some(producer);
        }
    }

    /// The reader's end, once there is one; until then so many messages may wait, if that is told.
    pub(super) fn take_consumer(&self, limit: Option<usize>) -> Option<Consumer<Message>> {
        match &mut *self.state() {
            State::Unmade(present) => {
                *present = limit.unwrap_or(*present);
                None
            }
            State::Settled(place) => {
                let consumer = place.as_mut()?.consumer.take();
                forget_empty(place);
                consumer
            }
        }
    }

    /// Nobody will read who has not the reader's end.
    pub(super) fn abandon(&self) {
        match &mut *self.state() {
            state @ State::Unmade(_) => *state = State::Settled(None),
            State::Settled(place) => {
                if let Some(ends) = place {
                    ends.consumer = None;
                }
                forget_empty(place);
            }
        }
    }
}

fn forget_empty(place: &mut Option<Box<Ends>>) {
    if place.as_ref().is_some_and(|ends| ends.producer.is_none() && ends.consumer.is_none()) {
        *place = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipe::Refused;

    #[test]
    fn the_queue_is_made_for_the_first_message() {
        let inlet = Inlet::new(2);
        assert!(inlet.take_consumer(None).is_none(), "nothing has come");
        let mut producer = inlet.take_producer(true).expect("nobody has it");
        assert!(inlet.take_producer(true).is_none(), "somebody has it");
        assert_eq!(producer.push(&mut Message::from("first")), Ok(true));
        let mut consumer = inlet.take_consumer(None).expect("nobody has it");
        assert!(inlet.take_consumer(None).is_none(), "somebody has it");
        assert!(consumer.fetch());
        assert_eq!(consumer.pop().expect("it has come"), Message::from("first"));
    }

    #[test]
    fn a_limit_holds_that_was_told_before() {
        let inlet = Inlet::new(1000);
        assert!(inlet.take_consumer(Some(1)).is_none());
        assert!(inlet.take_consumer(None).is_none());
        let mut producer = inlet.take_producer(true).expect("nobody has it");
        assert_eq!(producer.push(&mut Message::from("first")), Ok(true));
        assert_eq!(producer.push(&mut Message::from("second")), Err(Refused::Full));
        let told_late = inlet.take_consumer(Some(1000)).expect("nobody has it");
        assert_eq!(producer.push(&mut Message::from("second")), Err(Refused::Full));
        told_late.allow(1000);
        assert_eq!(producer.push(&mut Message::from("second")), Ok(false));
    }

    #[test]
    fn what_came_by_one_connection_waits_with_what_comes_by_the_next() {
        let inlet = Inlet::new(1000);
        assert!(inlet.take_producer(false).is_none(), "nothing has come");
        for (text, has_message) in [("first", true), ("second", false)] {
            let mut producer = inlet.take_producer(has_message).expect("nobody has it");
            _ = producer.push(&mut Message::from(text));
            inlet.give_producer(producer);
        }
        let mut consumer = inlet.take_consumer(None).expect("nobody has it");
        assert!(inlet.take_producer(true).is_some());
        assert!(consumer.fetch());
        let all: Vec<_> = std::iter::from_fn(|| consumer.pop()).collect();
        assert_eq!(all, [Message::from("first"), Message::from("second")]);
    }

    #[test]
    fn nothing_is_kept_for_nobody() {
        let inlet = Inlet::new(1000);
        inlet.abandon();
        assert!(inlet.take_producer(true).is_none());

        let inlet = Inlet::new(1000);
        let mut producer = inlet.take_producer(true).expect("nobody has it");
        inlet.abandon();
        assert_eq!(producer.push(&mut Message::from("late")), Err(Refused::Gone));
    }
}
