//! The socket's end of an outbox.

use super::{
    Effects, Look, Refused,
    outbox::{Outbox, Progress, WORTH_WRITING},
    staging::{Outgoing, Staging},
};
use crate::{cache::CachePadded, transport::Connection};

/// Collects the messages of a stream before they are handed over to the outbox, many at a time.
///
/// It belongs to the sending socket and is used under its lock, so that a message of a stream
/// costs no other. [`Outbox::look`] sees to it that nothing stays here for long: whoever looks
/// after the stream has the socket hand over first.
// Peers are many, of which most never have a stream: these keep no place for one.
#[derive(Debug, Default)]
pub(crate) struct Collector(Option<Box<CachePadded<Stream>>>);

/// What there is of a stream, and of all that follow it: memory is used again.
#[derive(Debug)]
struct Stream {
    staging: Staging,
    /// How many more messages it takes before the high-water mark, for all that is known here. If any, it
    /// is going on, and is looked after; if none, there are none here.
    credit: usize,
}

/// One pair of cache lines.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Stream>() <= 128);

impl Collector {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Takes a message, unless the high-water mark is reached; as [`Outbox::push`] does, if no stream is
    /// going on.
    #[inline]
    pub(crate) fn push(
        &mut self,
        outbox: &Outbox,
        message: Outgoing<'_>,
        among_many: bool,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        if let Some(stream) = self.0.as_deref_mut()
            && stream.credit > 1
            && stream.staging.push_small(message)
        {
            stream.credit -= 1;
            return Ok(());
        }
        self.push_any(outbox, message, among_many, effects)
    }

    #[inline(never)]
    fn push_any(
        &mut self,
        outbox: &Outbox,
        message: Outgoing<'_>,
        among_many: bool,
        effects: &mut Effects,
    ) -> Result<(), Refused> {
        let Some(stream) = self.going_on() else {
            let (flush, progress) = outbox.push(message, among_many)?;
            self.note(progress);
            effects.flush(flush);
            return Ok(());
        };
        stream.staging.push(message);
        stream.credit -= 1;
        if stream.credit == 0 || stream.staging.bytes() >= WORTH_WRITING {
            let (flush, progress) = outbox.append(&mut stream.staging);
            stream.note(progress);
            effects.flush(flush);
        }
        Ok(())
    }

    /// Whether a message would be taken. If not, the socket will be told when it may go on.
    pub(crate) fn has_room(&self, outbox: &Outbox) -> bool {
        self.0.as_ref().is_some_and(|stream| stream.credit > 0) || outbox.has_room()
    }

    /// Changes the high-water mark. True if the socket waits to be told that there is room, and there
    /// is.
    pub(crate) fn set_limit(&mut self, outbox: &Outbox, limit: usize) -> bool {
        // What has collected counts by the new mark. It is written when the stream is looked at next.
        let staging = self.going_on().map(|stream| &mut stream.staging);
        let (resume, progress) = outbox.set_limit(limit, staging);
        if let Some(stream) = self.going_on() {
            stream.note(progress);
        }
        resume
    }

    /// Looks after the stream: see [`Look`].
    pub(crate) fn look(&mut self, outbox: &Outbox, connection: &Connection, patient: bool) -> Look {
        let stream = self.stream();
        let (look, progress) = outbox.look(connection, patient, &mut stream.staging);
        if let Some(progress) = progress {
            stream.note(progress);
        }
        look
    }

    /// Gives everything to the outbox, where the looks at the stream, or the next connection, find
    /// it.
    pub(crate) fn end_stream(&mut self, outbox: &Outbox) {
        // Also what is empty may have memory.
        if let Some(mut stream) = self.0.take()
            && stream.staging.messages() > 0
        {
            outbox.keep(&mut stream.staging);
        }
    }

    /// How many messages are here.
    pub(crate) fn queued(&self) -> usize {
        self.0.as_ref().map_or(0, |stream| stream.staging.messages())
    }

    /// How many bytes they have.
    pub(crate) fn queued_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |stream| stream.staging.bytes())
    }

    /// Drops everything that is not being written, and says how many messages that was.
    pub(crate) fn discard(&mut self, outbox: &Outbox) -> usize {
        let messages = self.queued();
        *self = Self::new();
        messages + outbox.discard()
    }

    fn note(&mut self, progress: Progress) {
        if progress.streaming || self.0.is_some() {
            self.stream().note(progress);
        }
    }

    /// The stream, if one is going on.
    fn going_on(&mut self) -> Option<&mut Stream> {
        self.0.as_deref_mut().map(|stream| &mut stream.0).filter(|stream| stream.credit > 0)
    }

    fn stream(&mut self) -> &mut Stream {
        let new = || Stream { staging: Staging::new(), credit: 0 };
        self.0.get_or_insert_with(|| Box::new(CachePadded(new())))
    }
}

impl Stream {
    fn note(&mut self, progress: Progress) {
        self.credit = if progress.streaming { progress.credit } else { 0 };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Context, Message, SocketType, pipe::Pacer};

    /// A look that was due when its connection was lost finds the stream of the next one.
    #[test]
    fn a_look_for_another_connection_leaves_what_has_collected() {
        let context = Context::new().unwrap();
        let pull = context.socket(SocketType::Pull).unwrap();
        let endpoint = pull.bind("tcp://127.0.0.1:*").unwrap();
        let [(_one, outbox, own), (_other, _, former)] = [(); 2].map(|()| {
            let push = context.socket(SocketType::Push).unwrap();
            push.connect(&endpoint).unwrap();
            // Taken only from a peer that is there.
            push.send("first").unwrap();
            pull.recv().unwrap();
            let outbox = push.inner.only_outbox();
            let connection = outbox.connection().unwrap();
            (push, outbox, connection)
        });
        let mut collector = Collector::new();
        collector.note(Progress { streaming: true, credit: 5 });
        collector.stream().staging.push(Outgoing::Message(&Message::from("second")));
        assert_eq!(collector.look(&outbox, &former, false), Look::Over);
        assert_eq!((collector.queued(), collector.stream().credit), (1, 5));
        assert!(matches!(collector.look(&outbox, &own, false), Look::Write(_)));
        assert_eq!(collector.queued(), 0);
        own.schedule_flush();
        assert_eq!(pull.recv().unwrap()[0], "second");
    }

    /// What a stream was allowed by the mark before is taken back.
    #[test]
    fn a_lowered_mark_holds_for_what_has_collected() {
        let outbox = Outbox::new(10, false, None, Arc::new(Pacer::new()));
        let mut collector = Collector::new();
        collector.note(Progress { streaming: true, credit: 9 });
        let effects = &mut Effects::default();
        let small = Message::from("small");
        for _ in 0..3 {
            collector.push(&outbox, Outgoing::Message(&small), false, effects).unwrap();
        }
        assert_eq!((collector.queued(), collector.stream().credit), (3, 6));
        assert!(!collector.set_limit(&outbox, 4));
        assert_eq!((collector.queued(), outbox.waiting().0, collector.stream().credit), (0, 3, 0));
        collector.push(&outbox, Outgoing::Message(&small), false, effects).unwrap();
        let more = collector.push(&outbox, Outgoing::Message(&small), false, effects);
        assert_eq!(more, Err(Refused::Full));
        assert!(!collector.set_limit(&outbox, 2), "there is no room");
        assert!(collector.set_limit(&outbox, 5));
        assert!(!collector.set_limit(&outbox, 6), "it was told");
        collector.push(&outbox, Outgoing::Message(&small), false, effects).unwrap();
        assert_eq!(outbox.waiting().0 + collector.queued(), 5, "nothing is lost");
    }
}
