//! DEALER and ROUTER, DEALER and REP, CLIENT and SERVER, PEER: many connect, and one answers.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use fastrand::Rng;
use serverlink::{Error, Frame, Message, Socket, SocketType};

use super::LINKS;
use crate::{
    ledger::{Ledger, Order},
    relay::Relay,
    stamp::{self, Shapes, Stamp},
    world::{PATIENCE, World},
};

/// So many sockets, one after the other, ask over each link.
const GENERATIONS: u32 = 4;
/// So many questions may be on their way: fewer than make anybody drop one.
const WINDOW: u64 = 800;
/// How long to wait for an answer before the next question, for the last may be lost.
const WAIT: Duration = Duration::from_millis(20);

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Router,
    Rep,
    Server,
    Peer,
}

struct Echo<'a> {
    world: &'a World,
    kind: Kind,
    shapes: Shapes,
    relays: Vec<Relay>,
    asking: AtomicUsize,
}

pub(super) fn run(world: &World, kind: Kind) -> Result<(), String> {
    let socket = world.socket(match kind {
        Kind::Router => SocketType::Router,
        Kind::Rep => SocketType::Rep,
        Kind::Server => SocketType::Server,
        Kind::Peer => SocketType::Peer,
    })?;
    if kind == Kind::Router {
        // Some of the dealers have names, and take them along to their next connection.
        socket.set_router_handover(true).map_err(|error| error.to_string())?;
    }
    let targets = world.bind(&socket, LINKS)?;
    let echo = Echo {
        world,
        kind,
        shapes: Shapes::new(world.seed, matches!(kind, Kind::Server | Kind::Peer)),
        relays: world.relays(&targets, 0)?,
        asking: AtomicUsize::new(LINKS),
    };
    thread::scope(|scope| {
        for link in 0..LINKS {
            let echo = &echo;
            world.spawn(scope, move || echo.ask(link));
        }
        world.spawn(scope, || echo.answer(&socket));
    });
    echo.relays.iter().for_each(|relay| world.add_troubles(relay.troubles()));
    Ok(())
}

/// Whoever asks over one link, with one socket.
struct Asker<'a> {
    echo: &'a Echo<'a>,
    socket: Socket,
    /// Whom a PEER asks.
    id: Option<u32>,
    flow: u32,
    next: u64,
    /// Questions before this one are answered, or are not waited for.
    settled: u64,
    answers: Ledger,
    scratch: Vec<u8>,
    message: Message,
}

impl Echo<'_> {
    fn ask(&self, link: usize) -> Result<(), String> {
        let (world, relay) = (self.world, &self.relays[link]);
        // Questions and answers are both messages.
        let count = world.messages / 2 / LINKS as u64 / u64::from(GENERATIONS);
        let mut random = Rng::with_seed(stamp::mix(world.seed ^ link as u64));
        for generation in 0..GENERATIONS {
            relay.disturb();
            let named = self.kind == Kind::Router && generation % 2 == 1;
            let mut asker = self.asker(link, generation, named)?;
            while asker.next < count {
                if !asker.step()? {
                    return Ok(());
                }
            }
            if generation + 1 < GENERATIONS && random.bool() {
                // Leaves with questions open.
                relay.troubles().cut(|| "the asking socket closed, and another came".to_owned());
            } else if !asker.conclude(relay)? {
                return Ok(());
            }
            world.add_lost(asker.answers.finish(asker.settled)?);
            world.reopened.fetch_add(1, Ordering::Relaxed);
        }
        self.asking.fetch_sub(1, Ordering::SeqCst);
        Ok(())
    }

    fn asker(&self, link: usize, generation: u32, named: bool) -> Result<Asker<'_>, String> {
        let (world, relay) = (self.world, &self.relays[link]);
        let socket = world.socket(match self.kind {
            Kind::Router | Kind::Rep => SocketType::Dealer,
            Kind::Server => SocketType::Client,
            Kind::Peer => SocketType::Peer,
        })?;
        let failed = |error: Error| format!("{}: {error}", world.name(link));
        if named {
            let name = format!("dealer {link}.{generation}");
            socket.set_routing_id(name).map_err(failed)?;
        }
        let id = match self.kind {
            Kind::Peer => Some(world.connect_peer(&socket, relay)?),
            _ => {
                world.connect(&socket, relay)?;
                None
            }
        };
        let flow = (link as u32) << 16 | generation;
        let name = format!("{}, answers to sender {generation}", world.name(link));
        let stamp = Stamp { topic: b'r', flow, sequence: 0 };
        let order = if named { Order::PerConnection } else { Order::Strict };
        let answers = Ledger::new(name, stamp, order, self.shapes, relay.troubles().clone());
        Ok(Asker {
            echo: self,
            socket,
            id,
            flow,
            next: 0,
            settled: 0,
            answers: answers.answering(),
            scratch: Vec::new(),
            message: Message::new(),
        })
    }

    fn answer(&self, socket: &Socket) -> Result<(), String> {
        let world = self.world;
        let mut ledgers: HashMap<u32, Ledger> = HashMap::new();
        let (mut message, mut scratch) = (Message::new(), Vec::new());
        let mut last = Instant::now();
        while !world.is_over() {
            let Some(connection) = world.receive_from(socket, &mut message)? else {
                if self.asking.load(Ordering::SeqCst) == 0 && last.elapsed() > WAIT * 10 {
                    break;
                }
                continue;
            };
            if self.asking.load(Ordering::Relaxed) == 0 {
                last = Instant::now();
            }
            let id = if self.kind == Kind::Router { message.pop_front() } else { None };
            let stamp = stamp::read(message.iter())?;
            let open = || self.ledger(stamp);
            let ledger = ledgers.entry(stamp.flow).or_insert_with(open);
            ledger.note_from(stamp.sequence, connection)?;
            let answer = Stamp { topic: b'r', ..stamp };
            let mut answer = self.shapes.compose(answer, &mut scratch);
            if let Some(id) = id {
                answer.push_front(id);
            }
            if let Some(id) = message.routing_id() {
                answer = answer.with_routing_id(id);
            }
            self.reply(socket, answer)?;
        }
        if world.is_over() {
            return Ok(());
        }
        for ledger in ledgers.values() {
            let end = ledger.highest().map_or(0, |highest| highest + 1);
            world.add_lost(ledger.finish(end)?);
        }
        Ok(())
    }

    /// Answers, if whoever asked is still there.
    fn reply(&self, socket: &Socket, mut answer: Message) -> Result<(), String> {
        while !self.world.is_over() {
            match socket.send(answer) {
                Ok(()) => {
                    self.world.sent.fetch_add(1, Ordering::Relaxed);
                    return Ok(());
                }
                Err(refused) => match refused.error {
                    Error::HostUnreachable { .. } => return Ok(()),
                    Error::WouldBlock => answer = refused.message,
                    error => return Err(format!("answering failed: {error}")),
                },
            }
        }
        Ok(())
    }

    fn ledger(&self, stamp: Stamp) -> Ledger {
        let link = (stamp.flow >> 16) as usize % LINKS;
        let name =
            format!("{}, questions of sender {}", self.world.name(link), stamp.flow & 0xFFFF);
        let troubles = self.relays[link].troubles().clone();
        let stamp = Stamp { sequence: 0, ..stamp };
        Ledger::new(name, stamp, Order::PerConnection, self.shapes, troubles)
    }
}

impl Asker<'_> {
    /// Asks once more if it is time to, and takes what answers there are; false if the run is over.
    fn step(&mut self) -> Result<bool, String> {
        let mut waiting = Instant::now();
        while self.next - self.settled >= WINDOW {
            if self.listen(true)? {
                waiting = Instant::now();
            } else if waiting.elapsed() > WAIT {
                // Perhaps the oldest are lost: there is room for the next few.
                self.settled += 16;
            }
            if self.echo.world.is_over() {
                return Ok(false);
            }
        }
        if self.next.is_multiple_of(16) {
            while self.listen(false)? {}
        }
        self.question()
    }

    fn question(&mut self) -> Result<bool, String> {
        let stamp = Stamp { topic: b'q', flow: self.flow, sequence: self.next };
        let mut message = self.echo.shapes.compose(stamp, &mut self.scratch);
        if self.echo.kind == Kind::Rep {
            message.push_front(Frame::new());
        }
        if let Some(id) = self.id {
            message = message.with_routing_id(id);
        }
        self.next += 1;
        self.echo.world.send(&self.socket, message)
    }

    /// Takes an answer, if there is one, or soon.
    fn listen(&mut self, patient: bool) -> Result<bool, String> {
        let received = if patient {
            match self.socket.recv_timeout(Duration::from_millis(5)) {
                Ok(message) => {
                    self.message = message;
                    Ok(())
                }
                Err(error) => Err(error),
            }
        } else {
            self.socket.try_recv_into(&mut self.message)
        };
        match received {
            Ok(()) => {}
            Err(Error::WouldBlock) => return Ok(false),
            Err(error) => return Err(format!("receiving an answer failed: {error}")),
        }
        self.echo.world.received.fetch_add(1, Ordering::Relaxed);
        let delimiter = usize::from(self.echo.kind == Kind::Rep);
        let stamp = stamp::read(self.message.iter().skip(delimiter))?;
        if stamp.flow != self.flow || stamp.topic != b'r' {
            return Err(format!("{stamp} is an answer to somebody else than {:#x}", self.flow));
        }
        if stamp.sequence >= self.next {
            return Err(format!("{stamp} answers what was not asked"));
        }
        self.answers.note(stamp.sequence)?;
        self.settled = self.settled.max(stamp.sequence + 1);
        Ok(true)
    }

    /// Asks, with nothing being cut any more, until answers come; and then nothing may be lost.
    fn conclude(&mut self, relay: &Relay) -> Result<bool, String> {
        relay.calm();
        let (from, limit) = (self.next, Instant::now() + PATIENCE);
        while self.answers.highest() < Some(from) {
            if self.echo.world.is_over() || !self.question()? {
                return Ok(false);
            }
            let asked = Instant::now();
            while asked.elapsed() < WAIT && self.answers.highest() < Some(from) {
                self.listen(true)?;
            }
            if Instant::now() > limit {
                let troubles = relay.troubles().tell();
                return Err(format!(
                    "flow {:#x}: no answer comes, though nothing is cut any more; {} of {} \
                     came{troubles}",
                    self.flow,
                    self.answers.received(),
                    self.next
                ));
            }
        }
        for _ in 0..100 {
            if !self.question()? {
                return Ok(false);
            }
        }
        let limit = Instant::now() + PATIENCE;
        while self.answers.highest() < Some(self.next - 1) {
            self.listen(true)?;
            if self.echo.world.is_over() {
                return Ok(false);
            }
            if Instant::now() > limit {
                return Err(format!(
                    "flow {:#x}: {} was not answered, though nothing was cut{}",
                    self.flow,
                    self.next - 1,
                    relay.troubles().tell()
                ));
            }
        }
        Ok(true)
    }
}
