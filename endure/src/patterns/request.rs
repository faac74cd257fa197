//! REQ and REP: requests that are not answered are made anew, relaxed and correlated.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serverlink::{Error, Events, Message, Poller, Socket, SocketType};

use super::LINKS;
use crate::{
    ledger::{Ledger, Order},
    relay::Relay,
    stamp::{self, Shapes, Stamp},
    world::{PATIENCE, World},
};

/// So many clients there are on each link.
const CLIENTS: usize = 16;
/// How long to wait for an answer, if a connection was cut meanwhile, before asking anew.
const AGAIN: Duration = Duration::from_millis(100);
/// How long it takes at most until the socket has noticed a cut: before, what it sends is lost, too.
const NOTICED: Duration = Duration::from_secs(1);

struct Requests<'a> {
    world: &'a World,
    shapes: Shapes,
    relays: Vec<Relay>,
    /// How many requests were made: the sequence number is that of the request, not of the call.
    asked: Vec<AtomicU64>,
    over: AtomicBool,
}

pub(super) fn run(world: &World) -> Result<(), String> {
    let socket = world.socket(SocketType::Rep)?;
    let targets = world.bind(&socket, LINKS)?;
    let requests = Requests {
        world,
        shapes: Shapes::new(world.seed, false),
        relays: world.relays(&targets, 0)?,
        asked: (0..LINKS * CLIENTS).map(|_| AtomicU64::new(0)).collect(),
        over: AtomicBool::new(false),
    };
    thread::scope(|scope| {
        world.spawn(scope, || requests.answer(&socket));
        let asking = requests.ask();
        if let Err(story) = asking {
            world.fail(story);
        }
        requests.over.store(true, Ordering::SeqCst);
    });
    requests.relays.iter().for_each(|relay| world.add_troubles(relay.troubles()));
    Ok(())
}

/// One REQ.
struct Client {
    socket: Socket,
    index: usize,
    /// The requests of its call so far, by number and time of the last.
    last: u64,
    asked: Instant,
    first: Instant,
    tries: u64,
    finished: bool,
}

impl Requests<'_> {
    fn relay(&self, index: usize) -> &Relay {
        &self.relays[index % LINKS]
    }

    /// All clients, in one thread.
    fn ask(&self) -> Result<(), String> {
        let world = self.world;
        let mut scratch = Vec::new();
        let poller = Poller::new();
        let mut clients = Vec::new();
        for index in 0..LINKS * CLIENTS {
            let client = self.client(index)?;
            let added = poller.add(&client.socket, index as u64, Events::IN);
            added.map_err(|error| error.to_string())?;
            clients.push(client);
        }
        for client in &mut clients {
            self.request(client, &mut scratch)?;
        }
        // Each call is two messages at least.
        let goal = world.messages / 2;
        let (mut answered, mut finished) = (0, 0);
        let (mut events, mut message) = (Vec::new(), Message::new());
        let mut looked = Instant::now();
        while finished < clients.len() && !world.is_over() {
            events.clear();
            poller
                .wait(&mut events, Some(Duration::from_millis(20)))
                .map_err(|error| format!("polling failed: {error}"))?;
            for event in &events {
                let client = &mut clients[event.token as usize];
                if client.finished || !self.take(client, &mut message)? {
                    continue;
                }
                answered += 1;
                if answered == goal {
                    self.relays.iter().for_each(Relay::calm);
                }
                if answered >= goal {
                    client.finished = true;
                    finished += 1;
                } else {
                    self.request(client, &mut scratch)?;
                }
            }
            if looked.elapsed() > AGAIN / 4 {
                looked = Instant::now();
                for client in clients.iter_mut().filter(|client| !client.finished) {
                    self.look_at(client, &mut scratch)?;
                }
            }
        }
        Ok(())
    }

    fn client(&self, index: usize) -> Result<Client, String> {
        let socket = self.world.socket(SocketType::Req)?;
        socket
            .set_req_relaxed(true)
            .and_then(|()| socket.set_req_correlate(true))
            .map_err(|error| error.to_string())?;
        self.world.connect(&socket, self.relay(index))?;
        let now = Instant::now();
        Ok(Client { socket, index, last: 0, asked: now, first: now, tries: 0, finished: false })
    }

    fn request(&self, client: &mut Client, scratch: &mut Vec<u8>) -> Result<(), String> {
        let sequence = self.asked[client.index].fetch_add(1, Ordering::AcqRel);
        let stamp = Stamp { topic: b'q', flow: client.index as u32, sequence };
        client.last = sequence;
        client.asked = Instant::now();
        if client.tries == 0 {
            client.first = client.asked;
        }
        client.tries += 1;
        let message = self.shapes.compose(stamp, scratch);
        self.world.send(&client.socket, message).map(|_| ())
    }

    /// Takes an answer, if there is one: it must be to the last request.
    fn take(&self, client: &mut Client, message: &mut Message) -> Result<bool, String> {
        match client.socket.try_recv_into(message) {
            Ok(()) => {}
            Err(Error::WouldBlock) => return Ok(false),
            Err(error) => return Err(format!("receiving an answer failed: {error}")),
        }
        self.world.received.fetch_add(1, Ordering::Relaxed);
        let stamp = stamp::read(message.iter())?;
        if stamp.topic != b'r' || stamp.flow as usize != client.index {
            return Err(format!("client {} got the answer {stamp}", client.index));
        }
        if stamp.sequence != client.last {
            return Err(format!(
                "client {} asked {} last, and got the answer {stamp}",
                client.index, client.last
            ));
        }
        client.tries = 0;
        Ok(true)
    }

    /// Asks anew if the question or the answer may be lost; and that they are, needs a cut.
    fn look_at(&self, client: &mut Client, scratch: &mut Vec<u8>) -> Result<(), String> {
        let troubles = self.relay(client.index).troubles();
        if client.first.elapsed() > PATIENCE {
            return Err(format!(
                "{}: client {} has had no answer for {PATIENCE:?}, to {} requests{}",
                self.world.name(client.index % LINKS),
                client.index,
                client.tries,
                troubles.tell()
            ));
        }
        let cut = || client.asked.checked_sub(NOTICED).is_some_and(|time| troubles.cut_since(time));
        if client.asked.elapsed() > AGAIN && cut() {
            self.world.lost.fetch_add(1, Ordering::Relaxed);
            self.request(client, scratch)?;
        }
        Ok(())
    }

    fn answer(&self, socket: &Socket) -> Result<(), String> {
        let world = self.world;
        let mut ledgers: HashMap<u32, Ledger> = HashMap::new();
        let (mut message, mut scratch) = (Message::new(), Vec::new());
        while !world.is_over() && !self.over.load(Ordering::SeqCst) {
            if !world.receive(socket, &mut message)? {
                continue;
            }
            let stamp = stamp::read(message.iter())?;
            let Some(asked) = self.asked.get(stamp.flow as usize) else {
                return Err(format!("{stamp} is of no client"));
            };
            if stamp.sequence >= asked.load(Ordering::Acquire) {
                return Err(format!("{stamp} was not asked"));
            }
            let open = || self.ledger(stamp);
            ledgers.entry(stamp.flow).or_insert_with(open).note(stamp.sequence)?;
            let answer = self.shapes.compose(Stamp { topic: b'r', ..stamp }, &mut scratch);
            if !world.send(socket, answer)? {
                break;
            }
        }
        Ok(())
    }

    fn ledger(&self, stamp: Stamp) -> Ledger {
        let index = stamp.flow as usize;
        let name = format!("{}, requests of client {index}", self.world.name(index % LINKS));
        let troubles = self.relay(index).troubles().clone();
        let stamp = Stamp { sequence: 0, ..stamp };
        Ledger::new(name, stamp, Order::PerConnection, self.shapes, troubles)
    }
}
