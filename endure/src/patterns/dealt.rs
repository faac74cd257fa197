//! The same types the other way round: one sender is bound, and deals out to receivers that connect.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use serverlink::{Message, Socket, SocketType};

use super::LINKS;
use crate::{
    ledger::{Ledger, Order},
    relay::Relay,
    stamp::{self, Shapes, Stamp},
    world::{PATIENCE, World},
};

/// What a cut takes of what was given to the connection: a full queue, and what the system holds.
const CUT_BYTES: u64 = 2 << 20;
const FLOW: u32 = 1;
/// So many receivers are there on each link, one after the other.
const RECEIVERS: u64 = 4;

struct Dealing<'a> {
    world: &'a World,
    shapes: Shapes,
    kinds: (SocketType, SocketType),
    relays: Vec<Relay>,
    /// A bit for each message that somebody got.
    got: Vec<AtomicU64>,
    /// Up to which number each receiver got some, and one.
    seen: Vec<AtomicU64>,
    quiet: AtomicBool,
    /// Everything has been sent.
    sent: AtomicBool,
}

pub(super) fn run(world: &World, sender: SocketType, receiver: SocketType) -> Result<(), String> {
    let socket = world.socket(sender)?;
    let targets = world.bind(&socket, LINKS)?;
    // Besides, what is sent in the end until everybody got something.
    let room = world.messages + 1_000_000;
    let dealing = Dealing {
        world,
        shapes: Shapes::new(world.seed, sender == SocketType::Scatter),
        kinds: (sender, receiver),
        relays: world.relays(&targets, 0)?,
        got: (0..room.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
        seen: (0..LINKS).map(|_| AtomicU64::new(0)).collect(),
        quiet: AtomicBool::new(false),
        sent: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        for link in 0..LINKS {
            let dealing = &dealing;
            world.spawn(scope, move || dealing.receive(link));
        }
        world.spawn(scope, || dealing.send(&socket));
    });
    dealing.relays.iter().for_each(|relay| world.add_troubles(relay.troubles()));
    Ok(())
}

impl Dealing<'_> {
    fn send(&self, socket: &Socket) -> Result<(), String> {
        let world = self.world;
        let mut scratch = Vec::new();
        let mut send = |sequence| {
            let stamp = Stamp { topic: b'm', flow: FLOW, sequence };
            world.send(socket, self.shapes.compose(stamp, &mut scratch))
        };
        for sequence in 0..world.messages {
            if !send(sequence)? {
                return Ok(());
            }
        }
        self.quiet.store(true, Ordering::SeqCst);
        self.relays.iter().for_each(Relay::calm);
        let (mut end, limit) = (world.messages, Instant::now() + PATIENCE);
        let behind =
            || self.seen.iter().position(|seen| seen.load(Ordering::Acquire) <= world.messages);
        while let Some(link) = behind() {
            if Instant::now() > limit {
                return Err(self.story(link, "nothing arrives, though nothing is cut any more"));
            }
            if !send(end)? {
                return Ok(());
            }
            end += 1;
            world.wait(Duration::from_millis(5), || behind().is_none());
        }
        self.sent.store(true, Ordering::SeqCst);
        // The last of them are on their way.
        let got =
            || self.got.iter().map(|bits| u64::from(bits.load(Ordering::Acquire).count_ones()));
        let mut before = u64::MAX;
        while before != got().sum::<u64>() && !world.is_over() {
            before = got().sum();
            thread::sleep(Duration::from_millis(300));
        }
        let lost = |sequence: &u64| {
            self.got[*sequence as usize / 64].load(Ordering::Acquire) >> (sequence % 64) & 1 == 0
        };
        let lost: Vec<u64> = (0..end).filter(lost).collect();
        let size = |sequence: &u64| {
            self.shapes.size(Stamp { topic: b'm', flow: FLOW, sequence: *sequence })
        };
        let bytes: u64 = lost.iter().map(size).sum();
        let cuts: u64 = self.relays.iter().map(|relay| relay.troubles().count()).sum();
        if bytes > cuts * CUT_BYTES {
            return Err(format!(
                "{} messages, {bytes} bytes, are lost, though only {cuts} cuts can have taken \
                 them; the last is {}{}",
                lost.len(),
                lost.last().unwrap_or(&0),
                self.relays[0].troubles().tell()
            ));
        }
        world.add_lost(lost.len() as u64);
        Ok(())
    }

    fn receive(&self, link: usize) -> Result<(), String> {
        let (world, relay) = (self.world, &self.relays[link]);
        let mut random = Rng::with_seed(stamp::mix(world.seed ^ link as u64));
        let (mut message, mut number) = (Message::new(), 0);
        while !world.is_over() {
            number += 1;
            let socket = world.socket(self.kinds.1)?;
            world.connect(&socket, relay)?;
            let name = format!("{}, receiver {number}", world.name(link));
            let stamp = Stamp { topic: b'm', flow: FLOW, sequence: 0 };
            let troubles = relay.troubles().clone();
            let mut ledger = Ledger::new(name, stamp, Order::Dealt, self.shapes, troubles);
            let most = world.messages / LINKS as u64 / RECEIVERS * 2;
            let stay = random.u64(most / 8..=most.max(1));
            while ledger.received() < stay || self.quiet.load(Ordering::SeqCst) {
                if world.is_over() {
                    return Ok(());
                }
                if !world.receive(&socket, &mut message)? {
                    if self.sent.load(Ordering::SeqCst) {
                        return Ok(());
                    }
                    continue;
                }
                let stamp = stamp::read(message.iter())?;
                ledger.note(stamp.sequence)?;
                self.note(link, stamp)?;
            }
            relay.troubles().cut(|| "the receiver closed, and another came".to_owned());
            world.reopened.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Nobody else got it.
    fn note(&self, link: usize, stamp: Stamp) -> Result<(), String> {
        let (word, bit) = (stamp.sequence as usize / 64, 1 << (stamp.sequence % 64));
        let Some(bits) = self.got.get(word) else { return Err(format!("{stamp} is of no flow")) };
        if bits.fetch_or(bit, Ordering::AcqRel) & bit != 0 {
            return Err(self.story(link, &format!("{stamp} came once more, or to two receivers")));
        }
        self.seen[link].fetch_max(stamp.sequence + 1, Ordering::AcqRel);
        Ok(())
    }

    fn story(&self, link: usize, what: &str) -> String {
        format!("{}: {what}{}", self.world.name(link), self.relays[link].troubles().tell())
    }
}
