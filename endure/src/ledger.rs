//! What has come of a flow, and whether that is what was promised.

use std::sync::{Arc, atomic::Ordering};

use serverlink::PeerProperties;

use crate::{
    relay::Troubles,
    stamp::{Shapes, Stamp},
};

/// What one cut may take: what is in the kernel's buffers on both ways of the relay, in the relay and
/// in the engine, at most 768 KiB; and of a socket that leaves, what it had not received.
const CUT_BYTES: u64 = 1 << 20;
/// So many messages wait at most in the queues of both ends, with the usual high-water marks.
const QUEUES: u64 = 2_000;

/// In what order the messages of a flow come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// In that of sending, and no connection leaves out any.
    Strict,
    /// The same for each connection. What an older one left behind may come later than what the
    /// next brought, because the receiver takes from both in turn.
    PerConnection,
    /// In that of sending; but others get some of them, so that every message may be missing.
    Dealt,
}

/// When the messages go that wait in the queues of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queues {
    /// Never.
    Stay,
    /// With the peer, at every cut: the sender is bound.
    GoWithThePeer,
    /// With the sender, at the end: there may be no place for it any more.
    GoWithTheSender,
}

/// An unbroken row of sequence numbers.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: u64,
    last: u64,
    /// How many cuts there had been when it began.
    cuts: u64,
}

/// A connection as the receiver knows it. Two are the same if they are the same object.
pub(crate) type Connection = Arc<PeerProperties>;

/// The book of one flow.
#[derive(Debug)]
pub(crate) struct Ledger {
    name: String,
    flow: u32,
    topic: u8,
    order: Order,
    shapes: Shapes,
    troubles: Arc<Troubles>,
    /// Those that are finished and those that may still grow, by their numbers.
    runs: Vec<Run>,
    /// How many were begun.
    begun: u64,
    /// How many of them one cut may begin.
    a_cut: u64,
    /// Where the flow begins, if that is known.
    next: u64,
    /// One cut takes only so much.
    bounded: bool,
    /// When messages go that wait in queues.
    queues: Queues,
    received: u64,
    /// Those that have brought some, each with the number that comes next.
    connections: Vec<(Connection, u64)>,
}

impl Ledger {
    pub(crate) fn new(
        name: String,
        stamp: Stamp,
        order: Order,
        shapes: Shapes,
        troubles: Arc<Troubles>,
    ) -> Self {
        let Stamp { flow, topic, sequence } = stamp;
        let (runs, received) = (Vec::new(), 0);
        // Whose flow is strict, is bound.
        let queues = if order == Order::Strict { Queues::GoWithThePeer } else { Queues::Stay };
        let a_cut = 1;
        Self {
            name,
            flow,
            topic,
            order,
            shapes,
            troubles,
            runs,
            begun: 0,
            a_cut,
            next: sequence,
            bounded: true,
            queues,
            received,
            connections: Vec::new(),
        }
    }

    /// A cut may leave two gaps, because the flow answers another one.
    pub(crate) fn answering(mut self) -> Self {
        self.a_cut = 2;
        self
    }

    /// A cut may take any number: whatever is sent until the next connection is there.
    pub(crate) fn unbounded(mut self) -> Self {
        self.bounded = false;
        self
    }

    /// What waits in queues goes at other times than with the peer, where the flow is strict, and
    /// never elsewhere.
    pub(crate) fn with_queues(mut self, queues: Queues) -> Self {
        self.queues = queues;
        self
    }

    /// A message has come by a connection, which brings all, one after the other.
    pub(crate) fn note_from(&mut self, sequence: u64, by: Connection) -> Result<(), String> {
        let mut known = self.connections.iter_mut().rev();
        match known.find(|(connection, _)| Arc::ptr_eq(connection, &by)) {
            Some((_, next)) if *next == sequence => *next += 1,
            Some((_, next)) => {
                let what = format!("came by a connection that was to bring {next}");
                return Err(self.story(sequence, &what));
            }
            None => self.connections.push((by, sequence + 1)),
        }
        self.note(sequence)
    }

    /// A message has come.
    pub(crate) fn note(&mut self, sequence: u64) -> Result<(), String> {
        self.received += 1;
        let Some(last) = self.runs.last_mut() else { return self.begin(0, sequence) };
        if sequence == last.last + 1 {
            last.last = sequence;
            return Ok(());
        }
        if sequence > last.last {
            if self.order == Order::Dealt {
                last.last = sequence;
                return Ok(());
            }
            return self.begin(self.runs.len(), sequence);
        }
        if self.order != Order::PerConnection {
            return Err(self.story(sequence, "came too late, or once more"));
        }
        let index = self.runs.partition_point(|run| run.first <= sequence);
        let Some(run) = index.checked_sub(1).map(|before| self.runs[before]) else {
            return self.begin(0, sequence);
        };
        if sequence <= run.last {
            return Err(self.story(sequence, "came once more"));
        }
        if sequence > run.last + 1 {
            return self.begin(index, sequence);
        }
        self.runs[index - 1].last = sequence;
        if self.runs.get(index).is_some_and(|next| next.first == sequence + 1) {
            let next = self.runs.remove(index);
            self.runs[index - 1].last = next.last;
        }
        Ok(())
    }

    /// A row begins: the first, or one after a cut.
    fn begin(&mut self, index: usize, sequence: u64) -> Result<(), String> {
        let cuts = self.troubles.cuts.load(Ordering::Acquire);
        let first = index == 0 && self.order != Order::Dealt && sequence == self.next;
        self.begun += u64::from(!first);
        if self.begun > cuts * self.a_cut && self.order != Order::Dealt {
            return Err(self.story(sequence, "came out of order, or others are lost without a cut"));
        }
        self.runs.insert(index, Run { first: sequence, last: sequence, cuts });
        Ok(())
    }

    /// The flow is over, `end` messages long: how many are missing, which may be so.
    pub(crate) fn finish(&self, end: u64) -> Result<u64, String> {
        let cuts = self.troubles.cuts.load(Ordering::Acquire);
        let mut lost = 0;
        if self.order == Order::Dealt {
            return Ok(lost);
        }
        let (mut next, mut before) = (self.next, 0);
        let over = Run { first: end, last: end, cuts };
        for run in self.runs.iter().copied().chain([over]) {
            // Two rows may have begun after the same cut, the later one first.
            let between = run.cuts.saturating_sub(before) + 1;
            let queued = match self.queues {
                Queues::GoWithTheSender if run.first == end => QUEUES,
                Queues::GoWithThePeer => QUEUES * between,
                _ => 0,
            };
            // They were the last.
            let sent = next..run.first.saturating_sub(queued);
            let bytes: u64 = sent.map(|sequence| self.size(sequence)).sum();
            let allowed = CUT_BYTES * between;
            if run.first > next && cuts == 0 {
                return Err(self.story(next, "and others are lost without a cut"));
            }
            if bytes > allowed && self.bounded {
                let last = run.first - 1;
                return Err(format!(
                    "{}: messages {next} to {last} are lost, {bytes} bytes of which waited in no \
                     queue, though only {between} cuts can have taken them{}",
                    self.name,
                    self.troubles.tell()
                ));
            }
            lost += run.first.saturating_sub(next);
            (next, before) = (run.last + 1, run.cuts);
        }
        Ok(lost)
    }

    /// The highest number that has come.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.runs.last().map(|run| run.last)
    }

    /// How many have come.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    fn size(&self, sequence: u64) -> u64 {
        self.shapes.size(Stamp { topic: self.topic, flow: self.flow, sequence })
    }

    fn story(&self, sequence: u64, what: &str) -> String {
        let from = self.runs.len().saturating_sub(4);
        let rows: Vec<String> =
            self.runs[from..].iter().map(|run| format!("{}–{}", run.first, run.last)).collect();
        format!(
            "{}: message {sequence} {what}. Its last unbroken rows: {}. Rows begun anew: {}{}",
            self.name,
            rows.join(", "),
            self.begun,
            self.troubles.tell()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(order: Order, cuts: u64) -> Ledger {
        let troubles = Arc::new(Troubles::default());
        troubles.cuts.store(cuts, Ordering::Release);
        let stamp = Stamp { topic: b'm', flow: 1, sequence: 0 };
        Ledger::new("flow".to_owned(), stamp, order, Shapes::new(1, false), troubles)
    }

    fn take(mut ledger: Ledger, numbers: &[u64]) -> Result<u64, String> {
        numbers.iter().try_for_each(|number| ledger.note(*number))?;
        ledger.finish(10)
    }

    const WHOLE: [u64; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

    #[test]
    fn what_is_whole_needs_no_cut() {
        for order in [Order::Strict, Order::PerConnection] {
            assert_eq!(take(ledger(order, 0), &WHOLE).unwrap(), 0);
        }
    }

    #[test]
    fn a_loss_needs_a_cut() {
        for order in [Order::Strict, Order::PerConnection] {
            assert!(take(ledger(order, 0), &[0, 1, 2, 3, 5, 6, 7, 8, 9]).is_err());
            assert!(take(ledger(order, 0), &WHOLE[..9]).is_err());
            assert!(take(ledger(order, 0), &WHOLE[1..]).is_err());
            assert_eq!(take(ledger(order, 1), &[0, 1, 2, 6, 7, 8, 9]).unwrap(), 3);
            assert!(take(ledger(order, 1), &[0, 1, 3, 4, 6, 7, 8, 9]).is_err());
        }
    }

    #[test]
    fn an_older_connection_may_come_later_than_the_next() {
        let numbers = [0, 1, 2, 6, 3, 7, 8, 4, 9];
        assert_eq!(take(ledger(Order::PerConnection, 1), &numbers).unwrap(), 1);
        assert!(take(ledger(Order::Strict, 1), &numbers).is_err());
    }

    /// Two that there have been.
    fn connections() -> [Connection; 2] {
        use serverlink::{Context, SocketType};
        let context = Context::new().unwrap();
        let pull = context.socket(SocketType::Pull).unwrap();
        pull.bind("inproc://ledger").unwrap();
        [(); 2].map(|()| {
            let push = context.socket(SocketType::Push).unwrap();
            push.connect("inproc://ledger").unwrap();
            push.send("x").unwrap();
            pull.recv_with_peer().unwrap().peer.unwrap()
        })
    }

    #[test]
    fn a_connection_brings_one_after_the_other() {
        let both = connections();
        let take = |numbers: &[(u64, usize)]| {
            let mut ledger = ledger(Order::PerConnection, 5);
            numbers.iter().try_for_each(|(number, by)| ledger.note_from(*number, both[*by].clone()))
        };
        take(&[(0, 0), (1, 0), (2, 0)]).unwrap();
        // In turn, and with something lost at the cut.
        take(&[(0, 0), (4, 1), (1, 0), (5, 1), (2, 0)]).unwrap();
        for wrong in [
            [(0, 0), (2, 0), (1, 0)],
            [(0, 0), (2, 0), (3, 0)],
            [(0, 0), (4, 1), (2, 0)],
            [(0, 0), (2, 1), (1, 1)],
            [(0, 0), (1, 0), (1, 1)],
        ] {
            assert!(take(&wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn nothing_comes_twice() {
        for order in [Order::Strict, Order::PerConnection, Order::Dealt] {
            assert!(take(ledger(order, 5), &[0, 1, 2, 2]).is_err());
            assert!(take(ledger(order, 5), &[0, 1, 2, 3, 1]).is_err());
        }
    }

    #[test]
    fn one_cut_takes_only_so_much() {
        let mut ledger = ledger(Order::Strict, 1);
        ledger.note(0).unwrap();
        ledger.note(2_000_000).unwrap();
        assert!(ledger.finish(2_000_001).is_err());
    }

    /// As many messages as a cut takes, from the second on, without queues.
    fn taken_by_a_cut(ledger: &Ledger) -> u64 {
        let mut bytes = 0;
        (1..)
            .find(|sequence| {
                bytes += ledger.size(*sequence);
                bytes > CUT_BYTES
            })
            .unwrap()
    }

    #[test]
    fn queues_go_besides_where_they_may() {
        let last = taken_by_a_cut(&ledger(Order::Strict, 1));
        for (queues, within, at_the_end) in [
            (Queues::Stay, 0, 0),
            (Queues::GoWithThePeer, QUEUES, QUEUES),
            (Queues::GoWithTheSender, 0, QUEUES),
        ] {
            let lost = |lost| {
                let mut ledger = ledger(Order::Strict, 1).with_queues(queues);
                ledger.note(0).unwrap();
                ledger.note(1 + lost).unwrap();
                ledger.finish(2 + lost)
            };
            assert_eq!(lost(last - 1 + within).unwrap(), last - 1 + within, "{queues:?}");
            assert!(lost(last + within).is_err(), "{queues:?}");
            let missing = |lost| {
                let mut ledger = ledger(Order::Strict, 1).with_queues(queues);
                ledger.note(0).unwrap();
                ledger.finish(1 + lost)
            };
            // There was no other cut since.
            assert!(missing(at_the_end + 10).is_ok(), "{queues:?}");
            assert!(missing(last + at_the_end).is_err(), "{queues:?}");
        }
    }
}
