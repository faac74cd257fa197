//! PUSH and PULL, SCATTER and GATHER: senders connect, one receiver is bound.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use serverlink::{Message, SocketType};

use super::LINKS;
use crate::{
    ledger::{Ledger, Order},
    relay::Relay,
    stamp::{self, Shapes, Stamp},
    world::{PATIENCE, World},
};

/// So many sockets, one after the other, send over each link.
const GENERATIONS: u32 = 4;
/// So many messages a socket has sent, undisturbed, when it closes: its linger time is for them.
const LINGERING: u64 = 300;
/// How long nothing has come when all has.
const SILENCE: Duration = Duration::from_millis(500);
/// So many receivers are there, one after the other.
const RECEIVERS: u64 = 4;

/// What senders and receiver know of each other.
struct Gathering<'a> {
    world: &'a World,
    shapes: Shapes,
    kinds: (SocketType, SocketType),
    relays: Vec<Relay>,
    /// The flow and the number of the last message that came over each link.
    seen: Vec<AtomicU64>,
    /// How long the flows are that are over.
    ends: Mutex<HashMap<u32, u64>>,
    sending: AtomicUsize,
    /// Somebody wants no more trouble: the receiver stays.
    quiet: AtomicUsize,
}

pub(super) fn run(world: &World, sender: SocketType, receiver: SocketType) -> Result<(), String> {
    let socket = world.socket(receiver)?;
    let targets = world.bind(&socket, LINKS)?;
    let single = sender == SocketType::Scatter;
    let gathering = Gathering {
        world,
        shapes: Shapes::new(world.seed, single),
        kinds: (sender, receiver),
        relays: world.relays(&targets, 0)?,
        seen: (0..LINKS).map(|_| AtomicU64::new(0)).collect(),
        ends: Mutex::default(),
        sending: AtomicUsize::new(LINKS),
        quiet: AtomicUsize::new(0),
    };
    thread::scope(|scope| {
        for link in 0..LINKS {
            let gathering = &gathering;
            world.spawn(scope, move || gathering.send(link));
        }
        world.spawn(scope, || gathering.receive(socket));
    });
    gathering.relays.iter().for_each(|relay| world.add_troubles(relay.troubles()));
    Ok(())
}

fn flow(link: usize, generation: u32) -> u32 {
    (link as u32) << 16 | generation
}

/// A flow and a number in one, which grows.
fn place(flow: u32, sequence: u64) -> u64 {
    u64::from(flow & 0xFFFF) << 48 | (sequence + 1)
}

impl Gathering<'_> {
    fn send(&self, link: usize) -> Result<(), String> {
        let total = self.world.messages / LINKS as u64;
        for generation in 0..GENERATIONS {
            self.send_generation(link, generation, total / u64::from(GENERATIONS))?;
        }
        self.sending.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    /// Sends with one socket, up to its end.
    fn send_generation(&self, link: usize, generation: u32, count: u64) -> Result<(), String> {
        let (world, relay) = (self.world, &self.relays[link]);
        let socket = world.socket(self.kinds.0)?;
        world.connect(&socket, relay)?;
        let flow = flow(link, generation);
        let mut scratch = Vec::new();
        let mut compose =
            |sequence| self.shapes.compose(Stamp { topic: b'm', flow, sequence }, &mut scratch);
        let mut next = 0;
        while next < count {
            if !world.send(&socket, compose(next))? {
                return Ok(());
            }
            next += 1;
        }
        // Every other one closes in the midst of trouble.
        let orderly = generation % 2 == 1;
        if orderly {
            self.quiet.fetch_add(1, Ordering::SeqCst);
            relay.calm();
            let seen = || self.seen[link].load(Ordering::Acquire);
            let limit = Instant::now() + PATIENCE;
            loop {
                // What is sent to a connection that is ending may be lost.
                if !world.send(&socket, compose(next))? {
                    return Ok(());
                }
                next += 1;
                let sent = place(flow, next - 1);
                if world.wait(Duration::from_millis(200), || seen() >= sent) {
                    break;
                }
                if Instant::now() > limit {
                    return Err(self.story(link, "nothing arrives, though nothing is cut any more"));
                }
            }
            for _ in 0..LINGERING {
                if !world.send(&socket, compose(next))? {
                    return Ok(());
                }
                next += 1;
            }
            let cuts = relay.troubles().count();
            drop(socket);
            let last = place(flow, next - 1);
            let arrived = world.wait(PATIENCE, || seen() >= last);
            if !arrived && !world.is_over() && relay.troubles().count() == cuts {
                return Err(self.story(link, "a socket that closed did not send all it had to"));
            }
            self.quiet.fetch_sub(1, Ordering::SeqCst);
            relay.disturb();
        }
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).insert(flow, next);
        world.reopened.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn story(&self, link: usize, what: &str) -> String {
        let troubles = self.relays[link].troubles().tell();
        let seen = self.seen[link].load(Ordering::Acquire);
        let (generation, count) = (seen >> 48, seen & ((1 << 48) - 1));
        format!(
            "{}: {what}; {count} messages of its sender {generation} came{troubles}",
            self.world.name(link)
        )
    }

    fn receive(&self, mut socket: serverlink::Socket) -> Result<(), String> {
        let world = self.world;
        let mut random = Rng::with_seed(world.seed);
        let mut ledgers: HashMap<u32, Ledger> = HashMap::new();
        let mut message = Message::new();
        let (mut received, mut last) = (0, Instant::now());
        let mut leaves = self.stay(&mut random);
        while !world.is_over() {
            let Some(connection) = world.receive_from(&socket, &mut message)? else {
                if self.sending.load(Ordering::SeqCst) == 0 && last.elapsed() > SILENCE {
                    break;
                }
                continue;
            };
            received += 1;
            if received % 64 == 0 || self.sending.load(Ordering::Relaxed) == 0 {
                last = Instant::now();
            }
            let stamp = stamp::read(message.iter())?;
            let link = (stamp.flow >> 16) as usize;
            if link >= LINKS {
                return Err(format!("{stamp} is of no flow"));
            }
            let open = || self.ledger(stamp);
            let ledger = ledgers.entry(stamp.flow).or_insert_with(open);
            ledger.note_from(stamp.sequence, connection)?;
            self.seen[link].fetch_max(place(stamp.flow, stamp.sequence), Ordering::AcqRel);
            if received == leaves && self.quiet.load(Ordering::SeqCst) == 0 {
                for relay in &self.relays {
                    relay.troubles().cut(|| "the receiver closed, and another came".to_owned());
                }
                drop(socket);
                socket = world.socket(self.kinds.1)?;
                for (relay, target) in self.relays.iter().zip(world.bind(&socket, LINKS)?) {
                    relay.set_target(&target);
                }
                world.reopened.fetch_add(1, Ordering::Relaxed);
            }
            if received >= leaves {
                leaves = received + self.stay(&mut random);
            }
        }
        if world.is_over() {
            return Ok(());
        }
        for (flow, end) in self.ends.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let stamp = Stamp { topic: b'm', flow: *flow, sequence: 0 };
            let ledger = ledgers.remove(flow).unwrap_or_else(|| self.ledger(stamp));
            world.add_lost(ledger.finish(*end)?);
        }
        Ok(())
    }

    /// How many messages a receiver gets before it leaves.
    fn stay(&self, random: &mut Rng) -> u64 {
        let most = self.world.messages / RECEIVERS * 2;
        random.u64(most / 8..=most.max(1))
    }

    fn ledger(&self, stamp: Stamp) -> Ledger {
        let link = (stamp.flow >> 16) as usize;
        let name = format!("{}, sender {}", self.world.name(link), stamp.flow & 0xFFFF);
        let troubles = self.relays[link].troubles().clone();
        let stamp = Stamp { sequence: 0, ..stamp };
        Ledger::new(name, stamp, Order::PerConnection, self.shapes, troubles)
    }
}
