//! PUB and SUB, XPUB and XSUB, RADIO and DISH: one publisher is bound, and sends to all who want it.

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

/// What is published: of the last, nobody wants anything.
const TOPICS: &[u8] = b"abcd";
/// Which of them each link wants.
const WANTED: [&[u8]; LINKS] = [b"a", b"ab", b"abc", b"bc"];
/// So far a subscriber may fall behind before the publisher waits for it: below that, nothing may be
/// dropped.
const WINDOW: u64 = 4000;
/// How many messages may wait for each.
const HIGH_WATER_MARK: usize = 40_000;
/// How long the publisher waits for one that falls behind, for it may be gone.
const WAIT: Duration = Duration::from_millis(20);
/// So many subscribers are there on each link, one after the other.
const SUBSCRIBERS: u64 = 4;

/// Who subscribes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// To a PUB, which drops.
    Sub,
    /// To an XPUB that does not drop, by messages.
    XSub,
    /// To a RADIO, by joining groups.
    Dish,
}

struct Publishing<'a> {
    world: &'a World,
    shapes: Shapes,
    kind: Kind,
    relays: Vec<Relay>,
    /// How far each link got in each topic.
    seen: Vec<[AtomicU64; TOPICS.len()]>,
    quiet: AtomicBool,
    /// Everything has been sent.
    sent: AtomicBool,
}

pub(super) fn run(world: &World, kind: Kind) -> Result<(), String> {
    let socket = world.socket(match kind {
        Kind::Sub => SocketType::Pub,
        Kind::XSub => SocketType::XPub,
        Kind::Dish => SocketType::Radio,
    })?;
    let set = socket.set_send_high_water_mark(HIGH_WATER_MARK);
    set.and_then(|()| socket.set_xpub_nodrop(kind == Kind::XSub))
        .map_err(|error| error.to_string())?;
    let targets = world.bind(&socket, LINKS)?;
    let publishing = Publishing {
        world,
        shapes: Shapes::new(world.seed, kind == Kind::Dish),
        kind,
        relays: world.relays(&targets, 0)?,
        seen: (0..LINKS).map(|_| Default::default()).collect(),
        quiet: AtomicBool::new(false),
        sent: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        for link in 0..LINKS {
            let publishing = &publishing;
            world.spawn(scope, move || publishing.subscribe(link));
        }
        world.spawn(scope, || publishing.publish(&socket));
    });
    publishing.relays.iter().for_each(|relay| world.add_troubles(relay.troubles()));
    Ok(())
}

fn place(topic: u8) -> Option<usize> {
    TOPICS.iter().position(|known| *known == topic)
}

impl Publishing<'_> {
    fn publish(&self, socket: &Socket) -> Result<(), String> {
        let world = self.world;
        let mut scratch = Vec::new();
        let mut next = [0; TOPICS.len()];
        let mut send = |topic: usize, next: &mut [u64; TOPICS.len()]| {
            let stamp = Stamp { topic: TOPICS[topic], flow: topic as u32, sequence: next[topic] };
            let mut message = self.shapes.compose(stamp, &mut scratch);
            if self.kind == Kind::Dish {
                message = message.with_group([TOPICS[topic]]);
            }
            next[topic] += 1;
            world.send(socket, message)
        };
        // Until all are there.
        while !world.is_over() && (0..TOPICS.len()).any(|topic| self.least(topic) == 0) {
            for topic in 0..TOPICS.len() {
                send(topic, &mut next)?;
            }
            thread::sleep(Duration::from_millis(2));
        }
        let mut late = Instant::now();
        for number in 0..world.messages {
            let topic = (stamp::mix(world.seed ^ number) % TOPICS.len() as u64) as usize;
            if self.kind != Kind::XSub && !self.is_near(topic, next[topic]) {
                if world.wait(WAIT, || self.is_near(topic, next[topic])) {
                    late = Instant::now();
                } else if late.elapsed() > PATIENCE {
                    return Err(self.behind(topic, next[topic]));
                }
            }
            if !send(topic, &mut next)? {
                return Ok(());
            }
        }
        self.quiet.store(true, Ordering::SeqCst);
        self.relays.iter().for_each(Relay::calm);
        // Whoever comes back subscribes again, and then gets what is sent.
        let (from, limit) = (next, Instant::now() + PATIENCE);
        loop {
            for topic in 0..TOPICS.len() {
                if !send(topic, &mut next)? {
                    return Ok(());
                }
            }
            let all = || (0..TOPICS.len()).all(|topic| self.least(topic) > from[topic]);
            if world.wait(WAIT, all) {
                break;
            }
            if Instant::now() > limit {
                let topic = (0..TOPICS.len()).find(|topic| self.least(*topic) <= from[*topic]);
                let topic = topic.unwrap_or(0);
                return Err(self.behind(topic, from[topic]));
            }
        }
        // From now on nothing may be lost.
        for topic in 0..TOPICS.len() {
            for _ in 0..100 {
                if !send(topic, &mut next)? {
                    return Ok(());
                }
            }
        }
        let all = || (0..TOPICS.len()).all(|topic| self.least(topic) >= next[topic]);
        if !world.wait(PATIENCE, all) && !world.is_over() {
            let topic = (0..TOPICS.len()).find(|topic| self.least(*topic) < next[*topic]);
            let topic = topic.unwrap_or(0);
            return Err(self.behind(topic, next[topic]));
        }
        self.sent.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// How far those are who want a topic, at least.
    fn least(&self, topic: usize) -> u64 {
        let wants = |link: &usize| WANTED[*link].contains(&TOPICS[topic]);
        let seen = |link: usize| self.seen[link][topic].load(Ordering::Acquire);
        (0..LINKS).filter(wants).map(seen).min().unwrap_or(u64::MAX)
    }

    fn is_near(&self, topic: usize, next: u64) -> bool {
        self.least(topic).saturating_add(WINDOW) > next
    }

    fn behind(&self, topic: usize, next: u64) -> String {
        let least = self.least(topic);
        let slow = |link: &usize| self.seen[*link][topic].load(Ordering::Acquire) == least;
        let link = (0..LINKS).find(slow).unwrap_or(0);
        format!(
            "{}: of topic {} nothing comes any more: {least} came, {next} were sent; is the \
             subscription in force?{}",
            self.world.name(link),
            char::from(TOPICS[topic]),
            self.relays[link].troubles().tell()
        )
    }

    fn subscribe(&self, link: usize) -> Result<(), String> {
        let world = self.world;
        let mut random = Rng::with_seed(stamp::mix(world.seed ^ link as u64));
        let mut number = 0;
        while !world.is_over() && !self.sent.load(Ordering::SeqCst) {
            number += 1;
            let socket = self.subscriber(link)?;
            let most = world.messages / LINKS as u64 / SUBSCRIBERS * 2;
            let stay = random.u64(most / 8..=most.max(1));
            if self.listen(link, number, &socket, stay)? {
                return Ok(());
            }
            self.relays[link].troubles().cut(|| "the subscriber closed, another came".to_owned());
            world.reopened.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn subscriber(&self, link: usize) -> Result<Socket, String> {
        let socket = self.world.socket(match self.kind {
            Kind::Sub => SocketType::Sub,
            Kind::XSub => SocketType::XSub,
            Kind::Dish => SocketType::Dish,
        })?;
        for topic in WANTED[link] {
            let done = match self.kind {
                Kind::Sub => socket.subscribe([*topic]),
                Kind::XSub => socket.send([1, *topic]).map_err(Into::into),
                Kind::Dish => socket.join([*topic]),
            };
            done.map_err(|error| format!("subscribing failed: {error}"))?;
        }
        socket.set_receive_high_water_mark(HIGH_WATER_MARK).map_err(|error| error.to_string())?;
        self.world.connect(&socket, &self.relays[link])?;
        Ok(socket)
    }

    /// Receives until the run is over, or so many have come; whether the run is.
    fn listen(&self, link: usize, number: u32, socket: &Socket, stay: u64) -> Result<bool, String> {
        let world = self.world;
        let mut ledgers: [Option<Ledger>; TOPICS.len()] = Default::default();
        let (mut message, mut received) = (Message::new(), 0);
        while received < stay || self.quiet.load(Ordering::SeqCst) {
            if world.is_over() {
                return Ok(true);
            }
            if !world.receive(socket, &mut message)? {
                if self.sent.load(Ordering::SeqCst) {
                    break;
                }
                continue;
            }
            received += 1;
            let stamp = stamp::read(message.iter())?;
            let wanted = WANTED[link].contains(&stamp.topic);
            let (Some(topic), true) = (place(stamp.topic), wanted) else {
                let topic = char::from(stamp.topic);
                return Err(format!(
                    "{}: {stamp}, of topic {topic}, came though nobody wants it there",
                    world.name(link)
                ));
            };
            if self.kind == Kind::Dish && message.group() != Some(&[stamp.topic]) {
                return Err(format!("{stamp} came in the group {:?}", message.group()));
            }
            let open = || self.ledger(link, number, stamp);
            ledgers[topic].get_or_insert_with(open).note(stamp.sequence)?;
            self.seen[link][topic].fetch_max(stamp.sequence + 1, Ordering::AcqRel);
        }
        for ledger in ledgers.into_iter().flatten() {
            let end = ledger.highest().map_or(0, |highest| highest + 1);
            world.add_lost(ledger.finish(end)?);
        }
        Ok(self.sent.load(Ordering::SeqCst))
    }

    fn ledger(&self, link: usize, number: u32, stamp: Stamp) -> Ledger {
        let topic = char::from(stamp.topic);
        let name = format!("{}, subscriber {number}, topic {topic}", self.world.name(link));
        let troubles = self.relays[link].troubles().clone();
        Ledger::new(name, stamp, Order::Strict, self.shapes, troubles).unbounded()
    }
}
