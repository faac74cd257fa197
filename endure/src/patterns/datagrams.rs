//! `udp://`: RADIO and DISH, DGRAM. Datagrams may be lost and overtake each other; but what comes is
//! whole, and comes once.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use serverlink::{Frame, Message, Socket, SocketType};

use crate::{
    relay::DatagramRelay,
    stamp::{self, Shapes, Stamp},
    world::{PATIENCE, World},
};

/// The longest body: datagrams end at 65,507 bytes.
const LONGEST: usize = 60_000;
/// So many may be on their way.
const WINDOW: u64 = 64;
/// How long to wait for them before the next: they may be lost.
const WAIT: Duration = Duration::from_millis(5);
const FLOW: u32 = 1;
/// Of the groups only this is wanted.
const GROUP: &str = "wanted";

/// What goes as datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// From a RADIO to a DISH.
    Groups,
    /// From a DGRAM to another.
    Addresses,
}

/// What both ends know.
struct Datagrams<'a> {
    world: &'a World,
    kind: Kind,
    shapes: Shapes,
    relay: DatagramRelay,
    seen: AtomicU64,
    sent: AtomicU64,
    over: AtomicBool,
}

pub(super) fn run(world: &World, kind: Kind) -> Result<(), String> {
    let failed = |error: serverlink::Error| error.to_string();
    let (sender, receiver) = match kind {
        Kind::Groups => (SocketType::Radio, SocketType::Dish),
        Kind::Addresses => (SocketType::Dgram, SocketType::Dgram),
    };
    let (sender, receiver) = (world.socket(sender)?, world.socket(receiver)?);
    receiver.set_receive_high_water_mark(10_000).map_err(failed)?;
    let target = receiver.bind("udp://127.0.0.1:*").map_err(failed)?;
    let target = target.strip_prefix("udp://").and_then(|target| target.parse().ok());
    let target: SocketAddr = target.ok_or("no address to send to")?;
    let relay = DatagramRelay::start(target, world.seed)?;
    match kind {
        Kind::Groups => {
            receiver.join(GROUP).map_err(failed)?;
            sender.connect(&format!("udp://{}", relay.address())).map_err(failed)?;
        }
        Kind::Addresses => drop(sender.bind("udp://127.0.0.1:*").map_err(failed)?),
    }
    let shapes = Shapes { longest: LONGEST, ..Shapes::new(world.seed, true) };
    let (seen, sent, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let datagrams = Datagrams { world, kind, shapes, relay, seen, sent, over };
    thread::scope(|scope| {
        world.spawn(scope, || datagrams.send(&sender));
        world.spawn(scope, || datagrams.receive(&receiver));
    });
    world.cuts.fetch_add(datagrams.relay.dropped(), Ordering::Relaxed);
    Ok(())
}

impl Datagrams<'_> {
    fn send(&self, socket: &Socket) -> Result<(), String> {
        let (world, address) = (self.world, self.relay.address().to_string());
        let mut scratch = Vec::new();
        let mut send = |sequence| {
            self.sent.store(sequence + 1, Ordering::Release);
            let stamp = Stamp { topic: b'm', flow: FLOW, sequence };
            let message = self.shapes.compose(stamp, &mut scratch);
            let message = match self.kind {
                Kind::Groups if sequence % 64 == 63 => message.with_group("unwanted"),
                Kind::Groups => message.with_group(GROUP),
                Kind::Addresses => {
                    let body = message[0].clone();
                    let mut whole = Message::from(Frame::from(address.as_bytes()));
                    whole.push_back(body);
                    whole
                }
            };
            world.send(socket, message)
        };
        let seen = || self.seen.load(Ordering::Acquire);
        for sequence in 0..world.messages {
            if seen() + WINDOW <= sequence {
                world.wait(WAIT, || seen() + WINDOW > sequence);
            }
            if !send(sequence)? {
                return Ok(());
            }
        }
        self.relay.calm();
        let mut next = world.messages;
        while seen() <= world.messages {
            if !send(next)? || next > world.messages + 6000 {
                return Err("no datagram arrives any more, though none is dropped".to_owned());
            }
            next += 1;
            world.wait(PATIENCE / 6000, || seen() > world.messages);
        }
        self.over.store(true, Ordering::SeqCst);
        Ok(())
    }

    fn receive(&self, socket: &Socket) -> Result<(), String> {
        let world = self.world;
        let mut message = Message::new();
        // Those of late, which are enough: none is held back for longer.
        let (mut recent, mut highest, mut got) = (HashSet::new(), 0_u64, 0_u64);
        while !world.is_over() {
            if !world.receive(socket, &mut message)? {
                if self.over.load(Ordering::SeqCst) {
                    break;
                }
                continue;
            }
            let body = usize::from(self.kind == Kind::Addresses);
            if message.len() != body + 1 {
                return Err(format!("a datagram came as {} frames", message.len()));
            }
            let stamp = stamp::read(message.iter().skip(body))?;
            if self.kind == Kind::Groups
                && (message.group() != Some(GROUP.as_bytes()) || stamp.sequence % 64 == 63)
            {
                return Err(format!("{stamp} came in the group {:?}", message.group()));
            }
            if stamp.flow != FLOW || stamp.sequence >= self.sent.load(Ordering::Acquire) {
                return Err(format!("{stamp} was not sent"));
            }
            if !recent.insert(stamp.sequence) {
                return Err(format!("{stamp} came once more"));
            }
            got += 1;
            highest = highest.max(stamp.sequence);
            if recent.len() > 100_000 {
                recent.retain(|sequence| sequence + 10_000 > highest);
            }
            self.seen.fetch_max(stamp.sequence + 1, Ordering::AcqRel);
        }
        let sent = self.sent.load(Ordering::Acquire);
        let unwanted = if self.kind == Kind::Groups { sent / 64 } else { 0 };
        world.add_lost(sent - unwanted - got.min(sent - unwanted));
        Ok(())
    }
}
