//! What the parts of the demonstration have in common.

use std::{
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::Sender,
    },
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serverlink::{Context, Error, Message, Socket};

use super::{Event, sequence::Sequence, stamp::Stamp};
use crate::failure::Failure;

/// A message that is so late does not come any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What all parts are to do.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) context: Context,
    /// Times in messages count from here.
    pub(super) start: Instant,
    /// Nothing is sent from here on.
    pub(super) deadline: Instant,
    pub(super) clients: u16,
    pub(super) size: usize,
}

impl Plan {
    /// Message `number`, stamped with the present time; `None` after the deadline.
    pub(super) fn message(&self, number: u64, sender: u64) -> Option<Vec<u8>> {
        let now = Instant::now();
        let sent = now.duration_since(self.start);
        (now < self.deadline).then(|| Stamp { number, sender, sent }.message(self.size))
    }
}

/// A count that is shown while it grows.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) name: &'static str,
    messages: AtomicU64,
}

impl Meter {
    pub(super) fn count(&self, messages: u64) {
        self.messages.fetch_add(messages, Relaxed);
    }

    pub(super) fn messages(&self) -> u64 {
        self.messages.load(Relaxed)
    }
}

/// What a part has measured.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) pattern: &'static str,
    pub(super) transport: &'static str,
    /// From the first message to the last.
    pub(super) elapsed: Duration,
    /// What `latency` is the time of.
    pub(super) timed: &'static str,
    pub(super) received: Received,
}

/// What has arrived at one or more receivers.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) lost: u64,
    /// Damaged, repeated or out of order.
    pub(super) wrong: u64,
    /// In nanoseconds.
    pub(super) latency: Histogram<u64>,
}

impl Received {
    pub(super) fn nothing() -> Self {
        // Three digits up to a minute; what is above counts as a minute.
        let latency = Histogram::new_with_bounds(1, 60_000_000_000, 3);
        let latency = latency.expect("the bounds are in order and the digits at most five");
        Self { messages: 0, bytes: 0, lost: 0, wrong: 0, latency }
    }

    /// A message of so many bytes that took so long.
    pub(super) fn record(&mut self, bytes: usize, took: Duration) {
        self.messages += 1;
        self.bytes += bytes as u64;
        self.latency.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.wrong += other.wrong;
        self.latency.add(&other.latency).expect("all histograms have the same bounds");
    }
}

/// Runs a part in a thread of its own.
pub(super) fn start(
    plan: &Plan,
    index: usize,
    events: &Sender<Event>,
    name: &'static str,
    run: fn(&Plan, &Arc<Meter>) -> Result<Measured, Failure>,
) -> Arc<Meter> {
    let meter = Arc::new(Meter { name, messages: AtomicU64::new(0) });
    let (plan, events, counted) = (plan.clone(), events.clone(), Arc::clone(&meter));
    thread::spawn(move || {
        let measured = caught(|| run(&plan, &counted));
        events.send(Event::Measured(index, measured))
    });
    meter
}

/// The result of a thread's work, also if it panics.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    panic::catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Failure::panicked()))
}

/// Receives a stream of numbered messages up to its end mark, and verifies it.
pub(super) fn receive_stream(
    plan: &Plan,
    meter: &Meter,
    socket: &Socket,
) -> Result<Received, Failure> {
    let mut received = Received::nothing();
    let mut sequence = Sequence::default();
    loop {
        let message = match socket.recv_timeout(PATIENCE) {
            Ok(message) => message,
            Err(Error::WouldBlock) => {
                // The end mark has not come, so it is lost at the least.
                sequence.break_off();
                break;
            }
            Err(error) => return Err(Failure::library("the stream breaks off", &error)),
        };
        let Some(stamp) = only_frame(&message).and_then(|body| Stamp::read(body, plan.size)) else {
            received.wrong += 1;
            continue;
        };
        if sequence.accept(&stamp) {
            break;
        }
        received.record(message.byte_len(), plan.start.elapsed().saturating_sub(stamp.sent));
        meter.count(1);
    }
    received.lost += sequence.lost();
    received.wrong += sequence.wrong();
    Ok(received)
}

/// The body of a message of one frame.
pub(super) fn only_frame(message: &Message) -> Option<&[u8]> {
    if message.len() == 1 { message.frame(0).map(|frame| &frame[..]) } else { None }
}
