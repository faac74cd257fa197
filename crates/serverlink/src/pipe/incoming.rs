//! The way of messages into a socket, from one peer.

use std::{
    collections::VecDeque,
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::Message;

/// A bounded queue with one reader, the socket, and one writer, the peer.
///
/// The reader takes messages in batches and *falls asleep* when it finds none;
/// only a sleeping reader needs to be told of a push. Likewise only a writer
/// that found the queue full needs to be told when it drains.
#[derive(Debug)]
pub(crate) struct Incoming(Mutex<State>);

#[derive(Debug)]
struct State {
    queue: VecDeque<Message>,
    /// Size of the reader's last batch, which counts until it asks for the next.
    taken: usize,
    /// The high-water mark; `usize::MAX` for none.
    limit: usize,
    reader_asleep: bool,
    writer_blocked: bool,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Both sides are there.
    Open,
    /// The writer has gone; what is queued can still be read.
    Finished,
    /// The reader has gone.
    Dead,
}

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The high-water mark is reached; the writer will be told when it may go on.
    Full,
    /// Nobody will ever take it.
    Gone,
}

/// What a reader found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The batch is not empty.
    Some,
    /// Nothing now; the reader is asleep.
    Asleep,
    /// Nothing now or ever.
    Ended,
}

impl Incoming {
    pub(crate) fn new(limit: usize) -> Self {
        Self(Mutex::new(State {
            queue: VecDeque::new(),
            taken: 0,
            limit,
            reader_asleep: true,
            writer_blocked: false,
            end: End::Open,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.state().limit = limit;
    }

    /// Takes one message; true if the reader sleeps and must be told.
    pub(crate) fn push(&self, message: &mut Message) -> Result<bool, Refused> {
        let mut state = self.state();
        if state.end == End::Dead {
            return Err(Refused::Gone);
        }
        if state.room() == 0 {
            state.writer_blocked = true;
            return Err(Refused::Full);
        }
        state.queue.push_back(mem::take(message));
        Ok(mem::take(&mut state.reader_asleep))
    }

    /// Adds one message whatever the high-water mark says, for what must never be dropped:
    /// subscriptions.
    pub(crate) fn push_urgent(&self, message: Message) -> bool {
        let mut state = self.state();
        if state.end == End::Dead {
            return false;
        }
        state.queue.push_back(message);
        mem::take(&mut state.reader_asleep)
    }

    /// Adds all of `batch`, which the writer kept within [`room`](Self::room).
    pub(crate) fn push_batch(&self, batch: &mut VecDeque<Message>) -> bool {
        let mut state = self.state();
        if state.end == End::Dead {
            batch.clear();
            return false;
        }
        if state.queue.is_empty() {
            mem::swap(&mut state.queue, batch);
        } else {
            state.queue.append(batch);
        }
        !state.queue.is_empty() && mem::take(&mut state.reader_asleep)
    }

    /// How many messages may be pushed. If none, the writer will be told when it may go on.
    pub(crate) fn room(&self) -> usize {
        let mut state = self.state();
        let room = state.room();
        state.writer_blocked = room == 0;
        room
    }

    /// Moves the next batch into `batch`, which is empty; true besides if a blocked writer may go
    /// on and must be told.
    pub(crate) fn take(&self, batch: &mut VecDeque<Message>) -> (Taken, bool) {
        let mut state = self.state();
        // Half the mark at a time, so that the writer fills one half while the reader uses the
        // other up.
        let most = state.limit.div_ceil(2);
        if state.queue.len() <= most {
            mem::swap(&mut state.queue, batch);
        } else {
            batch.extend(state.queue.drain(..most));
        }
        state.taken = batch.len();
        let taken = match state.end {
            _ if !batch.is_empty() => Taken::Some,
            End::Finished => Taken::Ended,
            End::Open | End::Dead => {
                state.reader_asleep = true;
                Taken::Asleep
            }
        };
        let resume = state.writer_blocked && state.queue.len() + state.taken <= state.limit / 2;
        if resume {
            state.writer_blocked = false;
        }
        (taken, resume)
    }

    /// The writer has gone; true if the reader sleeps and must be told.
    pub(crate) fn finish(&self) -> bool {
        let mut state = self.state();
        if state.end == End::Open {
            state.end = End::Finished;
        }
        mem::take(&mut state.reader_asleep)
    }

    /// The reader has gone: what is queued is dropped, and every push is refused.
    pub(crate) fn abandon(&self) {
        let mut state = self.state();
        state.end = End::Dead;
        let dropped = mem::take(&mut state.queue);
        drop(state);
        drop(dropped);
    }
}

impl State {
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.queue.len() + self.taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message::from("m")
    }

    #[test]
    fn exactly_the_high_water_mark_fits() {
        for limit in 1..6 {
            let incoming = Incoming::new(limit);
            for i in 0..limit {
                assert_eq!(
                    incoming.push(&mut message()).unwrap(),
                    i == 0,
                    "only a sleeper is told"
                );
            }
            assert_eq!(incoming.push(&mut message()), Err(Refused::Full));
        }
    }

    #[test]
    fn a_blocked_writer_is_told_once_when_half_is_used_up() {
        for limit in 1..9 {
            let incoming = Incoming::new(limit);
            while incoming.push(&mut message()).is_ok() {}
            let (mut batch, mut read, mut told) = (VecDeque::new(), 0, 0);
            loop {
                let (taken, resume) = incoming.take(&mut batch);
                if resume {
                    told += 1;
                    assert!(incoming.room() > 0);
                }
                if taken == Taken::Asleep {
                    break;
                }
                read += batch.len();
                batch.clear();
            }
            assert_eq!((read, told), (limit, 1), "limit {limit}");
        }
    }

    #[test]
    fn what_was_queued_is_read_after_the_writer_left() {
        let incoming = Incoming::new(usize::MAX);
        assert!(incoming.push(&mut message()).unwrap());
        assert!(!incoming.finish());
        let mut batch = VecDeque::new();
        assert_eq!(incoming.take(&mut batch).0, Taken::Some);
        batch.clear();
        assert_eq!(incoming.take(&mut batch).0, Taken::Ended);
    }

    #[test]
    fn an_abandoned_queue_refuses_and_gives_the_message_back() {
        let incoming = Incoming::new(2);
        incoming.push(&mut message()).unwrap();
        incoming.abandon();
        let mut refused = message();
        assert_eq!(incoming.push(&mut refused), Err(Refused::Gone));
        assert_eq!(refused, message());
    }
}
