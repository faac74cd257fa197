//! Many DEALER sockets that ask one ROUTER at the same time.
//!
//! One thread has all DEALERs, and every one of them always has a request under way: the thread goes
//! round, takes the reply of each and sends its next request. What is timed is from a request being
//! sent to its reply being taken.

use std::{thread, time::Instant};

use super::contexts;
use crate::{
    case::{Case, Metric},
    child::{insist, spawn},
    failure::Result,
    measurement::{Figures, Plan, Stopwatch, histogram, quantiles, record},
    payload::{Mark, Payload, check},
    peer::{Kind, Library, Socket},
};

/// How many connect at a time: as many as may wait to be accepted if not set otherwise.
const BATCH: usize = 100;

pub(super) fn measure<L: Library>(case: &Case, plan: &Plan, dealers: usize) -> Result<Figures> {
    let [here, there] = contexts::<L>(case.transport)?;
    let mut router = L::socket(&here, Kind::Router)?;
    let endpoint = L::run(&here, router.bind(&case.transport.endpoint(), dealers))?;
    let sockets = (0..dealers).map(|_| L::socket(&there, Kind::Dealer));
    let mut sockets = sockets.collect::<Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let serving = spawn(scope, || {
            plan.cores.place_end(1)?;
            L::run(&here, async {
                while router.echo(|body| check(body, case.size)).await? != Mark::Last {}
                // As long as the reply is on its way, the socket is to be open.
                Ok(router)
            })
        });
        plan.cores.place_end(0)?;
        let figures = insist(L::run(&there, async {
            for sockets in sockets.chunks_mut(BATCH) {
                come(sockets, &endpoint, case.size).await?;
            }
            ask(&mut sockets, case.size, plan).await
        }));
        serving();
        Ok(figures)
    })
}

/// Connects and asks once.
async fn come(sockets: &mut [impl Socket], endpoint: &str, size: usize) -> Result<()> {
    let payload = Payload::new(size, Mark::Ordinary);
    for socket in &mut *sockets {
        socket.connect(endpoint).await?;
        socket.send(&payload).await?;
    }
    for socket in sockets {
        check(socket.receive().await?.as_ref(), size)?;
    }
    Ok(())
}

async fn ask(sockets: &mut [impl Socket], size: usize, plan: &Plan) -> Result<Figures> {
    let payload = Payload::new(size, Mark::Ordinary);
    let mut asked = Vec::with_capacity(sockets.len());
    for socket in &mut *sockets {
        asked.push(Instant::now());
        socket.send(&payload).await?;
    }
    let mut times = histogram()?;
    let warm = Instant::now() + plan.warm_up;
    while Instant::now() < warm {
        for (socket, asked) in sockets.iter_mut().zip(&mut asked) {
            check(socket.receive().await?.as_ref(), size)?;
            *asked = Instant::now();
            socket.send(&payload).await?;
        }
    }
    let stopwatch = Stopwatch::start()?;
    let end = Instant::now() + plan.window;
    while Instant::now() < end {
        for (socket, asked) in sockets.iter_mut().zip(&mut asked) {
            check(socket.receive().await?.as_ref(), size)?;
            let now = Instant::now();
            record(&mut times, now - *asked);
            *asked = now;
            socket.send(&payload).await?;
        }
    }
    let mut figures = stopwatch.stop(times.len())?;
    quantiles(&times, &mut figures);
    if let Some(rate) = figures.remove(&Metric::Throughput) {
        figures.insert(Metric::Requests, rate);
    }
    for socket in &mut *sockets {
        check(socket.receive().await?.as_ref(), size)?;
    }
    if let Some(socket) = sockets.first_mut() {
        socket.send(&Payload::new(size, Mark::Last)).await?;
        check(socket.receive().await?.as_ref(), size)?;
    }
    Ok(figures)
}
