//! PAIR and CHANNEL: both ends send as they like.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serverlink::{Message, Socket, SocketType};

use crate::{
    ledger::{Ledger, Order, Queues},
    relay::Relay,
    stamp::{Shapes, Stamp, read},
    world::{PATIENCE, World},
};

/// So many pairs there are.
const PAIRS: usize = 2;
/// So many sockets, one after the other, connect to the other.
const GENERATIONS: u32 = 4;
const SILENCE: Duration = Duration::from_millis(400);

/// Two ends, over one link.
struct Pair<'a> {
    world: &'a World,
    shapes: Shapes,
    link: usize,
    bound: Socket,
    relay: Relay,
    /// Up to which message each end got, from the bound one (0) and from the other.
    seen: [AtomicU64; 2],
    /// How many messages the bound end has sent.
    sent: AtomicU64,
    /// What came of them, to whichever socket was connected.
    came: Mutex<Ledger>,
    /// How many messages each connecting socket has sent.
    ends: [AtomicU64; GENERATIONS as usize],
    /// Who has not sent all yet.
    sending: AtomicUsize,
    /// The socket that connects now.
    generation: AtomicUsize,
}

pub(super) fn run(world: &World, kind: SocketType) -> Result<(), String> {
    let pairs = (0..PAIRS).map(|link| Pair::new(world, kind, link));
    let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
    thread::scope(|scope| {
        for pair in &pairs {
            world.spawn(scope, || pair.send_bound());
            world.spawn(scope, || pair.receive_bound());
            world.spawn(scope, || pair.connected(kind));
        }
    });
    pairs.iter().for_each(|pair| world.add_troubles(pair.relay.troubles()));
    Ok(())
}

fn flow(link: usize, end: usize, generation: u32) -> u32 {
    (link as u32) << 16 | (end as u32) << 8 | generation
}

impl<'a> Pair<'a> {
    fn new(world: &'a World, kind: SocketType, link: usize) -> Result<Self, String> {
        let bound = world.socket(kind)?;
        let targets = world.bind(&bound, PAIRS)?;
        let relays = world.relays(&targets[link..=link], link as u64)?;
        let relay = relays.into_iter().next().ok_or("no relay")?;
        let shapes = Shapes::new(world.seed, kind == SocketType::Channel);
        let name = format!("{}, from the bound socket", world.name(link));
        let stamp = Stamp { topic: b'm', flow: flow(link, 0, 0), sequence: 0 };
        let troubles = relay.troubles().clone();
        let came = Ledger::new(name, stamp, Order::Strict, shapes, troubles);
        Ok(Self {
            world,
            shapes,
            link,
            bound,
            came: Mutex::new(came),
            ends: Default::default(),
            relay,
            seen: [AtomicU64::new(0), AtomicU64::new(0)],
            sent: AtomicU64::new(0),
            sending: AtomicUsize::new(2),
            generation: AtomicUsize::new(0),
        })
    }

    fn count(&self) -> u64 {
        self.world.messages / 2 / PAIRS as u64
    }

    fn flow(&self, end: usize, generation: u32) -> u32 {
        flow(self.link, end, generation)
    }

    fn compose(&self, flow: u32, sequence: u64, scratch: &mut Vec<u8>) -> Message {
        self.shapes.compose(Stamp { topic: b'm', flow, sequence }, scratch)
    }

    /// That of a connecting socket. What it has not sent when it leaves may find the next one in its
    /// place.
    fn ledger(&self, generation: u32) -> Ledger {
        let name = format!("{}, from connecting socket {generation}", self.world.name(self.link));
        let stamp = Stamp { topic: b'm', flow: self.flow(1, generation), sequence: 0 };
        let troubles = self.relay.troubles().clone();
        Ledger::new(name, stamp, Order::PerConnection, self.shapes, troubles)
            .with_queues(Queues::GoWithTheSender)
    }

    fn send_bound(&self) -> Result<(), String> {
        let (flow, mut scratch) = (self.flow(0, 0), Vec::new());
        for sequence in 0..self.count() {
            let message = self.compose(flow, sequence, &mut scratch);
            if !self.world.send(&self.bound, message)? {
                return Ok(());
            }
            self.sent.store(sequence + 1, Ordering::Release);
        }
        // The other end ends the run, and has to get something then.
        while self.sending.load(Ordering::SeqCst) > 1 && !self.world.is_over() {
            thread::sleep(Duration::from_millis(1));
        }
        let next = &self.sent;
        self.conclude(0, || {
            let sequence = next.load(Ordering::Acquire);
            let message = self.compose(flow, sequence, &mut scratch);
            let sent = self.world.send(&self.bound, message)?;
            next.store(sequence + 1, Ordering::Release);
            Ok(sent.then_some(sequence))
        })?;
        self.sending.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    /// Sends until something of it arrives, and then what must not be lost; `end` is who sends.
    fn conclude(
        &self,
        end: usize,
        mut send: impl FnMut() -> Result<Option<u64>, String>,
    ) -> Result<(), String> {
        self.relay.calm();
        let limit = Instant::now() + PATIENCE;
        let mut settled = false;
        loop {
            let mut last = None;
            for _ in 0..if settled { 100 } else { 1 } {
                last = send()?;
                if last.is_none() {
                    return Ok(());
                }
            }
            let last = last.unwrap_or(0);
            let seen = || self.seen[end].load(Ordering::Acquire) > last;
            let patience = if settled { PATIENCE } else { Duration::from_millis(100) };
            if self.world.wait(patience, seen) {
                if settled {
                    return Ok(());
                }
                settled = true;
            } else if !self.world.is_over() && (settled || Instant::now() > limit) {
                return Err(format!(
                    "{}: message {last} of the {} end does not arrive, though nothing is cut any \
                     more{}",
                    self.world.name(self.link),
                    ["bound", "connecting"][end],
                    self.relay.troubles().tell()
                ));
            }
        }
    }

    fn receive_bound(&self) -> Result<(), String> {
        let mut ledgers: Vec<Ledger> = (0..GENERATIONS).map(|it| self.ledger(it)).collect();
        let mut message = Message::new();
        let mut last = Instant::now();
        while !self.world.is_over() {
            let Some(connection) = self.world.receive_from(&self.bound, &mut message)? else {
                if self.sending.load(Ordering::SeqCst) == 0 && last.elapsed() > SILENCE {
                    break;
                }
                continue;
            };
            if self.sending.load(Ordering::Relaxed) == 0 {
                last = Instant::now();
            }
            let stamp = read(message.iter())?;
            let generation = stamp.flow & 0xFF;
            if stamp.flow != self.flow(1, generation) || generation >= GENERATIONS {
                return Err(format!("{stamp} is of no flow"));
            }
            ledgers[generation as usize].note_from(stamp.sequence, connection)?;
            if generation as usize == self.generation.load(Ordering::Acquire) {
                self.seen[1].fetch_max(stamp.sequence + 1, Ordering::AcqRel);
            }
        }
        if self.world.is_over() {
            return Ok(());
        }
        for (ledger, end) in ledgers.iter().zip(&self.ends) {
            self.world.add_lost(ledger.finish(end.load(Ordering::Acquire))?);
        }
        let came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        self.world.add_lost(came.finish(self.seen[0].load(Ordering::Acquire))?);
        Ok(())
    }

    /// The other end: one socket after the other.
    fn connected(&self, kind: SocketType) -> Result<(), String> {
        for generation in 0..GENERATIONS {
            let socket = self.world.socket(kind)?;
            self.world.connect(&socket, &self.relay)?;
            self.seen[1].store(0, Ordering::Release);
            self.generation.store(generation as usize, Ordering::Release);
            let last = generation + 1 == GENERATIONS;
            let sending = AtomicUsize::new(1);
            thread::scope(|scope| {
                self.world.spawn(scope, || self.send_connected(&socket, generation, &sending));
                self.world.spawn(scope, || self.receive_connected(&socket, &sending, last));
            });
            self.relay.troubles().cut(|| "the connecting socket closed, and another came".into());
            self.world.reopened.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn send_connected(
        &self,
        socket: &Socket,
        generation: u32,
        sending: &AtomicUsize,
    ) -> Result<(), String> {
        let (flow, mut scratch) = (self.flow(1, generation), Vec::new());
        let count = self.count() / u64::from(GENERATIONS);
        let end = &self.ends[generation as usize];
        for sequence in 0..count {
            let message = self.compose(flow, sequence, &mut scratch);
            if !self.world.send(socket, message)? {
                return Ok(());
            }
            end.store(sequence + 1, Ordering::Release);
        }
        if generation + 1 == GENERATIONS {
            let mut next = count;
            self.conclude(1, || {
                let message = self.compose(flow, next, &mut scratch);
                next += 1;
                let sent = self.world.send(socket, message)?;
                end.store(next, Ordering::Release);
                Ok(sent.then_some(next - 1))
            })?;
            self.sending.fetch_sub(1, Ordering::SeqCst);
        }
        sending.store(0, Ordering::SeqCst);
        Ok(())
    }

    fn receive_connected(
        &self,
        socket: &Socket,
        sending: &AtomicUsize,
        last: bool,
    ) -> Result<(), String> {
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        let mut message = Message::new();
        let flow = self.flow(0, 0);
        while !self.world.is_over() {
            let over = if last {
                self.sending.load(Ordering::SeqCst) == 0
            } else {
                sending.load(Ordering::SeqCst) == 0
            };
            if over {
                break;
            }
            if !self.world.receive(socket, &mut message)? {
                continue;
            }
            let stamp = read(message.iter())?;
            if stamp.flow != flow || stamp.sequence > self.sent.load(Ordering::Acquire) {
                return Err(format!("{stamp} was not sent"));
            }
            came.note(stamp.sequence)?;
            if self.seen[0].fetch_max(stamp.sequence + 1, Ordering::AcqRel) > stamp.sequence {
                return Err(format!("{stamp} came once more, to the next socket"));
            }
        }
        Ok(())
    }
}
