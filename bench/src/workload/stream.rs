//! Streams of messages to one socket.

use std::{thread, time::Instant};

use super::{
    contexts,
    pace::{Look, Pace},
};
use crate::{
    case::Case,
    child::{insist, spawn},
    failure::{Failure, Result},
    measurement::{Figures, Plan, Stopwatch},
    payload::{Mark, Payload, check, expect},
    peer::{Kind, Library, Socket},
};

/// The clock is looked at each time so many bytes have arrived, or messages, if that is sooner.
const BYTES_PER_LOOK: u64 = 64 * 1024;
const MESSAGES_PER_LOOK: u64 = 256;

/// How far a sender may be ahead: so many messages, which is more than the high-water marks of both
/// sides, and besides them so many bytes, which is more than the system keeps of a connection.
const MESSAGES_AHEAD: u64 = 2500;
const BYTES_AHEAD: u64 = 16 * 1024 * 1024;

/// From PUSH sockets, each on a thread of its own, to a PULL socket.
pub(super) fn from_producers<L: Library>(
    case: &Case,
    plan: &Plan,
    producers: usize,
) -> Result<Figures> {
    let [here, there] = contexts::<L>(case.transport)?;
    let mut pull = L::socket(&here, Kind::Pull)?;
    let endpoint = L::run(&here, pull.bind(&case.transport.endpoint(), producers))?;
    // Several senders do not know how far the others are.
    let pace =
        if producers == 1 { MESSAGES_AHEAD + BYTES_AHEAD / case.size as u64 } else { u64::MAX };
    let pace = Pace::new(pace);
    thread::scope(|scope| {
        let produce = || {
            plan.cores.place_end(1)?;
            let mut push = L::socket(&there, Kind::Push)?;
            L::run(&there, async {
                push.connect(&endpoint).await?;
                let (payload, last) = payloads(case.size);
                let mut sent = 0;
                loop {
                    match pace.look(sent) {
                        Look::Send => {
                            push.send(&payload).await?;
                            sent += 1;
                        }
                        Look::Wait => {
                            push.flush().await?;
                            pace.wait(sent);
                        }
                        Look::Stop => break,
                    }
                }
                push.send(&last).await?;
                push.flush().await?;
                Ok((sent + 1, push))
            })
        };
        let senders: Vec<_> = (0..producers).map(|_| spawn(scope, produce)).collect();
        plan.cores.place_end(0)?;
        let stream = Stream { case, plan, senders: producers, pace: &pace };
        let (figures, received) = insist(L::run(&here, stream.receive(&mut pull)));
        // The sockets live until everything has arrived.
        let sent: Vec<_> = senders.into_iter().map(|sender| sender()).collect();
        complete(sent.iter().map(|(sent, _)| sent).sum(), received)?;
        Ok(figures)
    })
}

/// From a DEALER socket, which threads share, to a ROUTER socket.
pub(super) fn from_shared<L: Library>(case: &Case, plan: &Plan, threads: usize) -> Result<Figures> {
    let [here, there] = contexts::<L>(case.transport)?;
    let mut router = L::socket(&here, Kind::Router)?;
    let endpoint = L::run(&here, router.bind(&case.transport.endpoint(), 1))?;
    let mut dealer = L::socket(&there, Kind::Dealer)?;
    L::run(&there, dealer.connect(&endpoint))?;
    let dealer = L::share(dealer);
    let pace = Pace::new(u64::MAX);
    thread::scope(|scope| {
        let produce = || {
            plan.cores.place_end(1)?;
            L::run(&there, async {
                let (payload, last) = payloads(case.size);
                let mut sent = 1;
                while pace.look(sent) != Look::Stop {
                    L::send_shared(&dealer, &payload).await?;
                    sent += 1;
                }
                L::send_shared(&dealer, &last).await?;
                L::flush_shared(&dealer).await?;
                Ok(sent)
            })
        };
        let senders: Vec<_> = (0..threads).map(|_| spawn(scope, produce)).collect();
        plan.cores.place_end(0)?;
        let stream = Stream { case, plan, senders: threads, pace: &pace };
        let (figures, received) = insist(L::run(&here, stream.receive(&mut router)));
        complete(senders.into_iter().map(|sender| sender()).sum(), received)?;
        Ok(figures)
    })
}

fn payloads(size: usize) -> (Payload, Payload) {
    (Payload::new(size, Mark::Ordinary), Payload::new(size, Mark::Last))
}

fn complete(sent: u64, received: u64) -> Result<()> {
    if sent == received {
        return Ok(());
    }
    Err(Failure::new(format!("{sent} messages were sent, and {received} arrived")))
}

/// The receiving end.
struct Stream<'a> {
    case: &'a Case,
    plan: &'a Plan,
    senders: usize,
    pace: &'a Pace,
}

impl Stream<'_> {
    /// Receives up to the last message of each sender; returns also how many messages there were.
    async fn receive(&self, socket: &mut impl Socket) -> Result<(Figures, u64)> {
        let size = self.case.size;
        let look = (BYTES_PER_LOOK / size as u64).clamp(1, MESSAGES_PER_LOOK);
        // The first message tells that the connection is there.
        let mut received = take(socket, size, 1).await?;
        let warm = Instant::now() + self.plan.warm_up;
        while Instant::now() < warm {
            received += take(socket, size, look).await?;
            self.pace.took(received);
        }
        let before = received;
        let stopwatch = Stopwatch::start()?;
        let end = Instant::now() + self.plan.window;
        while Instant::now() < end {
            received += take(socket, size, look).await?;
            self.pace.took(received);
        }
        let figures = stopwatch.stop(received - before)?;
        self.pace.enough();
        let mut going = self.senders;
        while going > 0 {
            let mark = check(socket.receive().await?.as_ref(), size)?;
            going -= usize::from(mark == Mark::Last);
            received += 1;
        }
        Ok((figures, received))
    }
}

/// Receives and checks some messages.
async fn take(socket: &mut impl Socket, size: usize, count: u64) -> Result<u64> {
    socket.take(count, |body| expect(body, size, Mark::Ordinary)).await?;
    Ok(count)
}
