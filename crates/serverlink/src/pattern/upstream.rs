//! What subscribers have said and an XPUB has not delivered yet.

use std::{collections::VecDeque, mem};

use crate::Message;

/// A queue that is empty keeps memory for this many messages.
const KEPT: usize = 64;

/// What waits of each subscriber, in the order in which it was said. Subscribers take turns, one message
/// at a time (RFC 29), but notices of subscriptions and their ends also keep an order among themselves:
/// that of the changes they tell of, for whoever repeats these in another order ends up wanting something
/// else. So one may be delivered only when it is the first of all notices. Its subscriber has nothing
/// before it but its messages, so that whatever waits has its turn some time.
#[derive(Debug, Default)]
pub(super) struct Upstream {
    queues: Vec<Queue>,
    /// Those in which nothing waits.
    free: Vec<usize>,
    /// Which of them a subscriber has, by its key; `usize::MAX` if nothing of it waits.
    places: Vec<usize>,
    /// Those whose first may be delivered, in the order of their turns.
    turns: VecDeque<usize>,
    /// In which queue each notice waits, in the order of notices.
    notices: VecDeque<usize>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Whose it is, if that is still there.
    key: Option<usize>,
    said: VecDeque<(Said, Message)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// A message of its user.
    Message,
    /// A subscription or its end.
    Notice,
    /// An end that was made up, because the subscriber or its connection has gone.
    End,
}

impl Upstream {
    /// Appends what a subscriber says. Notices come in their order.
    pub(super) fn push(&mut self, key: usize, said: Said, message: Message) {
        let place = self.place_of(key);
        let queue = &mut self.queues[place].said;
        let is_first = queue.is_empty();
        queue.push_back((said, message));
        if said != Said::Message {
            self.notices.push_back(place);
        }
        if is_first && self.may_deliver(place) {
            self.turns.push_back(place);
        }
    }

    /// What is next, and of whom, if that is still there.
    pub(super) fn pop(&mut self) -> Option<(Option<usize>, Said, Message)> {
        let place = self.turns.pop_front()?;
        let Queue { key, said: queue } = &mut self.queues[place];
        let (key, (said, message)) = (*key, queue.pop_front()?);
        if said != Said::Message {
            self.notices.pop_front();
            // Whose notice is the first now may have waited for that alone.
            if let Some(&next) = self.notices.front()
                && next != place
                && self.begins_with_notice(next)
            {
                self.turns.push_back(next);
            }
        }
        if self.queues[place].said.is_empty() {
            self.release(place);
        } else if self.may_deliver(place) {
            self.turns.push_back(place);
        }
        Some((key, said, message))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// A subscriber has left, and its key may go to another one. What it has said stays.
    pub(super) fn leave(&mut self, key: usize) {
        if let Some(place) = self.places.get_mut(key)
            && let Some(queue) = self.queues.get_mut(mem::replace(place, usize::MAX))
        {
            queue.key = None;
            queue.said.shrink_to_fit();
        }
    }

    /// The subscriber's queue; an empty one if nothing of it waits.
    fn place_of(&mut self, key: usize) -> usize {
        if self.places.len() <= key {
            self.places.resize(key + 1, usize::MAX);
        }
        if self.places[key] == usize::MAX {
            let place = self.free.pop().unwrap_or_else(|| {
                self.queues.push(Queue::default());
                self.queues.len() - 1
            });
            self.queues[place].key = Some(key);
            self.places[key] = place;
        }
        self.places[key]
    }

    /// Nothing waits in a queue any more.
    fn release(&mut self, place: usize) {
        let queue = &mut self.queues[place];
        if let Some(key) = queue.key {
            self.places[key] = usize::MAX;
        }
        if queue.said.capacity() > KEPT {
            queue.said = VecDeque::new();
        }
        self.free.push(place);
    }

    /// Whether the first of a queue, in which something waits, may be delivered.
    fn may_deliver(&self, place: usize) -> bool {
        !self.begins_with_notice(place) || self.notices.front() == Some(&place)
    }

    fn begins_with_notice(&self, place: usize) -> bool {
        self.queues[place].said.front().is_some_and(|(said, _)| *said != Said::Message)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::{collection::vec, prelude::*};

    use super::*;

    const KEYS: usize = 4;

    /// All that waits, in the order in which it was said, and by whom; nobody has the same number as
    /// anybody before.
    #[derive(Debug, Default)]
    struct Naive {
        waiting: Vec<(usize, Said, u32)>,
        /// Who has each key.
        holders: BTreeMap<usize, usize>,
        /// Who has to have a turn before somebody has another one.
        owed: BTreeMap<usize, BTreeSet<usize>>,
        count: u32,
    }

    impl Naive {
        fn holder(&mut self, key: usize) -> usize {
            let next = self.count as usize;
            *self.holders.entry(key).or_insert(next)
        }

        fn say(&mut self, key: usize, said: Said) -> Message {
            let holder = self.holder(key);
            self.waiting.push((holder, said, self.count));
            self.count += 1;
            Message::from((self.count - 1).to_be_bytes())
        }

        /// What may be delivered: of each the first, but of all notices only the first.
        fn choice(&self) -> BTreeMap<usize, (Said, u32)> {
            let notice = self.waiting.iter().find(|(_, said, _)| *said != Said::Message);
            let mut firsts = BTreeMap::new();
            for &(holder, said, number) in &self.waiting {
                firsts.entry(holder).or_insert((said, number));
            }
            firsts.retain(|_, &mut (said, number)| {
                said == Said::Message || notice.is_some_and(|notice| notice.2 == number)
            });
            firsts
        }

        fn deliver(&mut self, delivered: Option<(Option<usize>, Said, Message)>) {
            let choice = self.choice();
            let Some((key, said, message)) = delivered else {
                assert!(self.waiting.is_empty(), "it keeps {:?}", self.waiting);
                return;
            };
            let number = u32::from_be_bytes(message[0][..].try_into().unwrap());
            let found = choice.iter().find(|(_, first)| **first == (said, number));
            let (&holder, _) = found.unwrap_or_else(|| panic!("{number} is not among {choice:?}"));
            let expected = self.holders.iter().find(|(_, it)| **it == holder).map(|(key, _)| *key);
            assert_eq!(key, expected);
            self.waiting.retain(|it| it.2 != number);
            self.owed.values_mut().for_each(|owed| _ = owed.remove(&holder));
            let others = self.choice().into_keys().filter(|&other| other != holder).collect();
            let passed_over = self.owed.insert(holder, others).unwrap_or_default();
            assert!(passed_over.is_empty(), "{passed_over:?} have no turn beside {holder}");
        }
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Say(usize, Said),
        Leave(usize),
        Deliver,
    }

    fn step() -> impl Strategy<Value = Step> {
        let said = prop_oneof![Just(Said::Message), Just(Said::Notice), Just(Said::End)];
        prop_oneof![
            8 => (0..KEYS, said).prop_map(|(key, said)| Step::Say(key, said)),
            1 => (0..KEYS).prop_map(Step::Leave),
            6 => Just(Step::Deliver),
        ]
    }

    proptest! {
        #[test]
        fn subscribers_take_turns_and_notices_keep_their_order(steps in vec(step(), 0..200)) {
            let (mut upstream, mut naive) = (Upstream::default(), Naive::default());
            for step in steps {
                match step {
                    Step::Say(key, said) => upstream.push(key, said, naive.say(key, said)),
                    Step::Leave(key) => {
                        upstream.leave(key);
                        naive.holders.remove(&key);
                    }
                    Step::Deliver => naive.deliver(upstream.pop()),
                }
                assert_eq!(upstream.is_empty(), naive.waiting.is_empty());
            }
            while !upstream.is_empty() {
                naive.deliver(upstream.pop());
            }
            naive.deliver(None);
            assert_eq!(upstream.free.len(), upstream.queues.len(), "every queue is free again");
        }
    }

    #[test]
    fn what_is_delivered_takes_no_memory() {
        let mut upstream = Upstream::default();
        for key in 0..100 {
            for _ in 0..10 * KEPT {
                upstream.push(key, Said::Message, Message::from("x"));
            }
            while upstream.pop().is_some() {}
        }
        assert_eq!(upstream.queues.len(), 1);
        assert!(upstream.queues[0].said.capacity() <= KEPT);
    }
}
