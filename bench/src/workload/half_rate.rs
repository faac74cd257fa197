//! Latency under load: a stream from a PUSH to a PULL socket at half the rate that is possible.
//!
//! The highest rate is found first, on the same sockets. Then messages are sent as they are due, not
//! as the receiver is done: whoever makes them wait has them counted late. They are timed from when
//! they are due, or from when their sender woke up if that is later, to when they are received.

use std::{
    sync::{
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use super::contexts;
use crate::{
    case::{Case, Metric},
    child::{insist, spawn},
    failure::{Failure, Result},
    measurement::{Figures, Plan, histogram, quantiles, record},
    payload::{Mark, Payload, check, expect},
    peer::{Kind, Library, Socket},
};

/// How long the sender sleeps when nothing is due, at the least.
const TICK: Duration = Duration::from_micros(50);

/// One message of so many is timed: to look at the clock takes as long as to receive some messages.
const SAMPLE: u32 = 8;

/// How many messages between two looks at the clock while the highest rate is found.
const LOOK: u64 = 256;

pub(super) fn measure<L: Library>(case: &Case, plan: &Plan) -> Result<Figures> {
    let [here, there] = contexts::<L>(case.transport)?;
    let mut pull = L::socket(&here, Kind::Pull)?;
    let endpoint = L::run(&here, pull.bind(&case.transport.endpoint(), 1))?;
    let enough = AtomicBool::new(false);
    let (found, rate) = mpsc::channel();
    let start = Instant::now();
    thread::scope(|scope| {
        let (there, endpoint, enough) = (&there, &endpoint, &enough);
        let sender = spawn(scope, move || {
            plan.cores.place_end(1)?;
            let mut push = L::socket(there, Kind::Push)?;
            L::run(there, async {
                push.connect(endpoint).await?;
                let payload = Payload::new(case.size, Mark::Ordinary);
                while !enough.load(Relaxed) {
                    push.send(&payload).await?;
                }
                let last = Payload::new(case.size, Mark::Last);
                push.send(&last).await?;
                push.flush().await?;
                send_at(&mut push, rate.recv()?, case.size, start, plan).await?;
                push.send(&last).await?;
                push.flush().await?;
                Ok(push)
            })
        });
        plan.cores.place_end(0)?;
        let figures = insist(L::run(&here, async {
            let rate = highest_rate(&mut pull, case.size, plan, enough).await? / 2.0;
            found.send(rate)?;
            let mut figures = Figures::from([(Metric::Throughput, rate)]);
            receive(&mut pull, case.size, start, plan, &mut figures).await?;
            Ok(figures)
        }));
        sender();
        Ok(figures)
    })
}

async fn highest_rate(
    socket: &mut impl Socket,
    size: usize,
    plan: &Plan,
    enough: &AtomicBool,
) -> Result<f64> {
    check(socket.receive().await?.as_ref(), size)?;
    let mut rate = 0.0;
    for period in [plan.warm_up, plan.window / 2] {
        let start = Instant::now();
        let mut received = 0;
        while start.elapsed() < period {
            socket.take(LOOK, |body| expect(body, size, Mark::Ordinary)).await?;
            received += LOOK;
        }
        rate = received as f64 / start.elapsed().as_secs_f64();
    }
    enough.store(true, Relaxed);
    while check(socket.receive().await?.as_ref(), size)? == Mark::Ordinary {}
    Ok(rate)
}

/// Sends at a rate, each message with the time from which it is timed, in nanoseconds since `start`.
async fn send_at(
    socket: &mut impl Socket,
    rate: f64,
    size: usize,
    start: Instant,
    plan: &Plan,
) -> Result<()> {
    let mut body = Payload::new(size, Mark::Ordinary).bytes().to_vec();
    let interval = 1e9 / rate;
    let begun = nanoseconds(start)?;
    let end = begun + u64::try_from((plan.warm_up + plan.window).as_nanos())?;
    let mut woken = begun;
    let mut sent = 0_u64;
    loop {
        let now = nanoseconds(start)?;
        if now >= end {
            return Ok(());
        }
        let due = ((now - begun) as f64 / interval) as u64;
        while sent < due {
            stamp(&mut body, (begun + (sent as f64 * interval) as u64).max(woken))?;
            socket.send_copy(&body).await?;
            sent += 1;
        }
        socket.flush().await?;
        let next = begun + ((due + 1) as f64 * interval) as u64;
        let left = next.saturating_sub(nanoseconds(start)?);
        if left > 0 {
            thread::sleep(TICK.max(Duration::from_nanos(left)));
            woken = nanoseconds(start)?;
        }
    }
}

async fn receive(
    socket: &mut impl Socket,
    size: usize,
    start: Instant,
    plan: &Plan,
    figures: &mut Figures,
) -> Result<()> {
    let mut times = histogram()?;
    let mut warm = None;
    loop {
        for _ in 1..SAMPLE {
            if check(socket.receive().await?.as_ref(), size)? == Mark::Last {
                quantiles(&times, figures);
                return Ok(());
            }
        }
        let message = socket.receive().await?;
        let body = message.as_ref();
        if check(body, size)? == Mark::Last {
            quantiles(&times, figures);
            return Ok(());
        }
        let now = nanoseconds(start)?;
        let warm = *warm.get_or_insert(now + u64::try_from(plan.warm_up.as_nanos())?);
        if now >= warm {
            record(&mut times, Duration::from_nanos(now.saturating_sub(stamped(body)?)));
        }
    }
}

fn nanoseconds(start: Instant) -> Result<u64> {
    Ok(u64::try_from(start.elapsed().as_nanos())?)
}

fn stamp(body: &mut [u8], time: u64) -> Result<()> {
    *body.first_chunk_mut().ok_or_else(too_small)? = time.to_le_bytes();
    Ok(())
}

fn stamped(body: &[u8]) -> Result<u64> {
    Ok(u64::from_le_bytes(*body.first_chunk().ok_or_else(too_small)?))
}

fn too_small() -> Failure {
    Failure::new("the messages are too small for a time")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_reads_back_and_leaves_the_mark_alone() {
        let mut body = Payload::new(16, Mark::Ordinary).bytes().to_vec();
        let time = 1_234_567_890_123;
        stamp(&mut body, time).unwrap();
        assert_eq!(stamped(&body).unwrap(), time);
        assert_eq!(check(&body, 16).unwrap(), Mark::Ordinary);
        assert!(stamp(&mut [0; 7], time).is_err());
    }
}
