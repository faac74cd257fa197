//! A stream from one PUB socket to many SUB sockets.
//!
//! One thread publishes, and one has all subscribers and takes some messages from each in turn. All
//! messages must arrive, and the rate of those that do is measured: PUB sockets are told to wait for
//! slow subscribers rather than drop messages (`ZMQ_XPUB_NODROP`). For libraries that cannot be told,
//! the publisher waits by itself before their queues are full.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use super::{
    contexts,
    pace::{Look, Pace},
};
use crate::{
    case::Case,
    child::{insist, spawn},
    failure::Result,
    measurement::{Figures, Plan, Stopwatch},
    payload::{Mark, Payload, TOPIC, check, expect},
    peer::{Kind, Library, Socket},
};

/// How many messages the publisher may be ahead: more than the high-water marks of those that can
/// wait, and less than the queues of those that cannot.
const AHEAD: u64 = 20_000;

/// How many messages are taken from each subscriber in turn.
const TURN: u64 = 20;

/// How often to publish while subscriptions arrive.
const PROBE: Duration = Duration::from_millis(1);

/// How many subscriptions that nothing meets each subscriber has, if there are others.
const OTHERS: usize = 100;

pub(super) fn measure<L: Library>(
    case: &Case,
    plan: &Plan,
    subscribers: usize,
    others: bool,
) -> Result<Figures> {
    let [here, there] = contexts::<L>(case.transport)?;
    let mut publisher = L::socket(&here, Kind::Pub)?;
    let endpoint = L::run(&here, publisher.bind(&case.transport.endpoint(), subscribers))?;
    let sockets = (0..subscribers).map(|_| L::socket(&there, Kind::Sub));
    let mut sockets = sockets.collect::<Result<Vec<_>>>()?;
    let (ready, pace) = (AtomicBool::new(false), Pace::new(AHEAD));
    thread::scope(|scope| {
        let publishing = spawn(scope, || {
            plan.cores.place_end(1)?;
            L::run(&here, async {
                let probe = Payload::new(case.size, Mark::Probe);
                while !ready.load(Ordering::Acquire) {
                    publisher.send(&probe).await?;
                    publisher.flush().await?;
                    thread::sleep(PROBE);
                }
                publish(&mut publisher, case.size, others, &pace).await
            })?;
            // The socket lives until everything has arrived.
            Ok(publisher)
        });
        plan.cores.place_end(0)?;
        let figures = insist(L::run(&there, async {
            for (number, socket) in sockets.iter_mut().enumerate() {
                socket.subscribe(TOPIC).await?;
                for other in 0..if others { OTHERS } else { 0 } {
                    socket.subscribe(&format!("other.{number}.{other}")).await?;
                }
                socket.connect(&endpoint).await?;
            }
            for socket in &mut sockets {
                socket.take(1, |body| expect(body, case.size, Mark::Probe)).await?;
            }
            ready.store(true, Ordering::Release);
            receive(&mut sockets, case.size, plan, &pace).await
        }));
        publishing();
        Ok(figures)
    })
}

async fn publish(socket: &mut impl Socket, size: usize, others: bool, pace: &Pace) -> Result<()> {
    let (payload, unwanted) = (Payload::new(size, Mark::Ordinary), Payload::unwanted(size));
    let mut sent = 0;
    loop {
        match pace.look(sent) {
            Look::Send => {
                if others {
                    socket.send(&unwanted).await?;
                }
                socket.send(&payload).await?;
                sent += 1;
            }
            Look::Wait => {
                socket.flush().await?;
                pace.wait(sent);
            }
            Look::Stop => break,
        }
    }
    socket.send(&Payload::new(size, Mark::Last)).await?;
    socket.flush().await
}

async fn receive(
    sockets: &mut [impl Socket],
    size: usize,
    plan: &Plan,
    pace: &Pace,
) -> Result<Figures> {
    // The probes end with the first ordinary message.
    for socket in &mut *sockets {
        while check(socket.receive().await?.as_ref(), size)? == Mark::Probe {}
        take(socket, size, TURN - 1).await?;
    }
    let mut taken = TURN;
    let warm = Instant::now() + plan.warm_up;
    while Instant::now() < warm {
        taken += turn(sockets, size).await?;
        pace.took(taken);
    }
    let before = taken;
    let stopwatch = Stopwatch::start()?;
    let end = Instant::now() + plan.window;
    while Instant::now() < end {
        taken += turn(sockets, size).await?;
        pace.took(taken);
    }
    let figures = stopwatch.stop((taken - before) * sockets.len() as u64)?;
    pace.enough();
    // In turn here too: the publisher waits for the slowest.
    loop {
        let mut mark = Mark::Ordinary;
        for socket in &mut *sockets {
            mark = check(socket.receive().await?.as_ref(), size)?;
        }
        if mark == Mark::Last {
            return Ok(figures);
        }
    }
}

/// Takes some messages from each subscriber.
async fn turn(sockets: &mut [impl Socket], size: usize) -> Result<u64> {
    for socket in sockets {
        take(socket, size, TURN).await?;
    }
    Ok(TURN)
}

async fn take(socket: &mut impl Socket, size: usize, count: u64) -> Result<()> {
    socket.take(count, |body| expect(body, size, Mark::Ordinary)).await
}
