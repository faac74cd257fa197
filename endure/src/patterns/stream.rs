//! STREAM: both ends speak records of their own, one STREAM message each, in a stream of bytes.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use serverlink::{Error, Frame, Message, Socket, SocketType};

use super::LINKS;
use crate::{
    ledger::{Ledger, Order},
    relay::Relay,
    stamp::{self, STAMP, Shapes, Stamp},
    world::{PATIENCE, World},
};

/// So many questions may be on their way.
const WINDOW: u64 = 400;
const WAIT: Duration = Duration::from_millis(20);
/// A record begins with its length.
const LENGTH: usize = 4;

struct Streams<'a> {
    world: &'a World,
    shapes: Shapes,
    relays: Vec<Relay>,
    asking: AtomicUsize,
}

pub(super) fn run(world: &World) -> Result<(), String> {
    let socket = world.socket(SocketType::Stream)?;
    let targets = world.bind(&socket, LINKS)?;
    let streams = Streams {
        world,
        shapes: Shapes::new(world.seed, true),
        relays: world.relays(&targets, 0)?,
        asking: AtomicUsize::new(LINKS),
    };
    thread::scope(|scope| {
        for link in 0..LINKS {
            let streams = &streams;
            world.spawn(scope, move || streams.ask(link));
        }
        world.spawn(scope, || streams.answer(&socket));
    });
    streams.relays.iter().for_each(|relay| world.add_troubles(relay.troubles()));
    Ok(())
}

/// What has come of one connection, and was not a whole record yet.
#[derive(Debug, Default)]
struct Incoming(Vec<u8>);

impl Incoming {
    /// Takes bytes, and gives the stamps of the records that are complete with them.
    fn feed(
        &mut self,
        bytes: &[u8],
        mut each: impl FnMut(Stamp) -> Result<(), String>,
    ) -> Result<(), String> {
        self.0.extend_from_slice(bytes);
        let mut rest = &self.0[..];
        while let Some((head, body)) = rest.split_first_chunk::<LENGTH>() {
            let length = u32::from_le_bytes(*head) as usize;
            if !(STAMP..STAMP + (1 << 20)).contains(&length) {
                return Err(format!("a record of {length} bytes: the stream is out of step"));
            }
            let Some(record) = body.get(..length) else { break };
            let frame = Frame::from(record);
            each(stamp::read([&frame].into_iter())?)?;
            rest = &body[length..];
        }
        let left = rest.len();
        self.0.drain(..self.0.len() - left);
        Ok(())
    }
}

impl Streams<'_> {
    fn record(&self, id: &Frame, stamp: Stamp, scratch: &mut Vec<u8>) -> Message {
        let message = self.shapes.compose(stamp, scratch);
        let body = &message[0];
        let mut record = Vec::with_capacity(LENGTH + body.len());
        record.extend_from_slice(&(body.len() as u32).to_le_bytes());
        record.extend_from_slice(body);
        let mut whole = Message::from(id.clone());
        whole.push_back(record);
        whole
    }

    fn ledger(&self, flow: u32, order: Order, what: &str) -> Ledger {
        let link = flow as usize % LINKS;
        let name = format!("{}, {what}", self.world.name(link));
        let stamp = Stamp { topic: b'q', flow, sequence: 0 };
        let troubles = self.relays[link].troubles().clone();
        Ledger::new(name, stamp, order, self.shapes, troubles).answering()
    }

    fn answer(&self, socket: &Socket) -> Result<(), String> {
        let world = self.world;
        let mut connections: HashMap<Vec<u8>, Incoming> = HashMap::new();
        let mut ledgers: Vec<Ledger> = (0..LINKS as u32)
            .map(|flow| self.ledger(flow, Order::PerConnection, "questions"))
            .collect();
        let (mut message, mut scratch) = (Message::new(), Vec::new());
        let mut last = Instant::now();
        while !world.is_over() {
            match socket.recv_into(&mut message) {
                Ok(()) => {}
                Err(Error::WouldBlock) => {
                    if self.asking.load(Ordering::SeqCst) == 0 && last.elapsed() > WAIT * 10 {
                        break;
                    }
                    continue;
                }
                Err(error) => return Err(format!("receiving failed: {error}")),
            }
            if self.asking.load(Ordering::SeqCst) > 0 {
                last = Instant::now();
            }
            let [id, bytes] = [&message[0], &message[1]];
            if bytes.is_empty() {
                // It came, or it left.
                if connections.remove(&id[..]).is_none() {
                    connections.insert(id.to_vec(), Incoming::default());
                }
                continue;
            }
            let Some(incoming) = connections.get_mut(&id[..]) else {
                return Err("bytes came from a connection that was never told of".to_owned());
            };
            incoming.feed(bytes, |stamp| {
                world.received.fetch_add(1, Ordering::Relaxed);
                let ledger = ledgers.get_mut(stamp.flow as usize);
                ledger.ok_or_else(|| format!("{stamp} is of no flow"))?.note(stamp.sequence)?;
                let answer = Stamp { topic: b'r', ..stamp };
                self.reply(socket, self.record(id, answer, &mut scratch))
            })?;
        }
        for ledger in &ledgers {
            let end = ledger.highest().map_or(0, |highest| highest + 1);
            if !world.is_over() {
                world.add_lost(ledger.finish(end)?);
            }
        }
        Ok(())
    }

    fn reply(&self, socket: &Socket, mut answer: Message) -> Result<(), String> {
        while !self.world.is_over() {
            match socket.send(answer) {
                Ok(()) => {
                    self.world.sent.fetch_add(1, Ordering::Relaxed);
                    break;
                }
                Err(refused) => match refused.error {
                    Error::HostUnreachable { .. } => break,
                    Error::WouldBlock => answer = refused.message,
                    error => return Err(format!("answering failed: {error}")),
                },
            }
        }
        Ok(())
    }

    fn ask(&self, link: usize) -> Result<(), String> {
        let socket = self.world.socket(SocketType::Stream)?;
        self.world.connect(&socket, &self.relays[link])?;
        let mut asker = Asker {
            streams: self,
            socket,
            link,
            id: Frame::new(),
            connected: false,
            incoming: Incoming::default(),
            answers: self.ledger(link as u32, Order::Strict, "answers"),
            next: 0,
            settled: 0,
            scratch: Vec::new(),
        };
        let count = self.world.messages / 2 / LINKS as u64;
        while asker.next < count {
            if self.world.is_over() {
                return Ok(());
            }
            asker.step()?;
        }
        self.relays[link].calm();
        let (from, limit) = (asker.next, Instant::now() + PATIENCE);
        while asker.answers.highest() < Some(from) && !self.world.is_over() {
            if Instant::now() > limit {
                let (name, troubles) = (self.world.name(link), self.relays[link].troubles().tell());
                return Err(format!(
                    "{name}: no answer comes, though nothing is cut any more{troubles}"
                ));
            }
            asker.step()?;
            asker.listen(Duration::from_millis(5))?;
        }
        self.asking.fetch_sub(1, Ordering::SeqCst);
        self.world.add_lost(asker.answers.finish(asker.settled)?);
        Ok(())
    }
}

/// Whoever asks over one link.
struct Asker<'a> {
    streams: &'a Streams<'a>,
    socket: Socket,
    link: usize,
    id: Frame,
    connected: bool,
    incoming: Incoming,
    answers: Ledger,
    next: u64,
    settled: u64,
    scratch: Vec<u8>,
}

impl Asker<'_> {
    /// Asks once more, if there is a connection and not too much is open.
    fn step(&mut self) -> Result<(), String> {
        if !self.connected {
            return self.listen(WAIT).map(|_| ());
        }
        while self.next - self.settled >= WINDOW && self.connected {
            if !self.listen(WAIT)? {
                // Perhaps the oldest are lost: there is room for the next few.
                self.settled += 16;
            }
            if self.streams.world.is_over() {
                return Ok(());
            }
        }
        if self.next.is_multiple_of(16) {
            while self.listen(Duration::ZERO)? {}
        }
        let stamp = Stamp { topic: b'q', flow: self.link as u32, sequence: self.next };
        let record = self.streams.record(&self.id, stamp, &mut self.scratch);
        match self.socket.send(record) {
            Ok(()) => {
                self.next += 1;
                self.streams.world.sent.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            // The news that it is lost are on their way.
            Err(refused) => match refused.error {
                Error::HostUnreachable { .. } | Error::WouldBlock => self.listen(WAIT).map(|_| ()),
                error => Err(format!("sending failed: {error}")),
            },
        }
    }

    /// Takes what there is, or soon comes.
    fn listen(&mut self, patience: Duration) -> Result<bool, String> {
        let received = if patience.is_zero() {
            self.socket.try_recv()
        } else {
            self.socket.recv_timeout(patience)
        };
        let message = match received {
            Ok(message) => message,
            Err(Error::WouldBlock) => return Ok(false),
            Err(error) => return Err(format!("receiving failed: {error}")),
        };
        if message[1].is_empty() {
            self.connected = !self.connected;
            self.id = message[0].clone();
            self.incoming = Incoming::default();
            return Ok(true);
        }
        if !self.connected {
            return Err("bytes came from a connection that was over".to_owned());
        }
        let (answers, settled) = (&mut self.answers, &mut self.settled);
        let (flow, next, world) = (self.link as u32, self.next, self.streams.world);
        self.incoming.feed(&message[1], |stamp| {
            world.received.fetch_add(1, Ordering::Relaxed);
            if stamp.topic != b'r' || stamp.flow != flow || stamp.sequence >= next {
                return Err(format!("{stamp} answers what was not asked"));
            }
            answers.note(stamp.sequence)?;
            *settled = (*settled).max(stamp.sequence + 1);
            Ok(())
        })?;
        Ok(true)
    }
}
