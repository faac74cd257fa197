//! Round trips: one message there and back at a time.

use std::{thread, time::Instant};

use super::contexts;
use crate::{
    case::Case,
    child::{insist, spawn},
    failure::Result,
    measurement::{Figures, Plan, Stopwatch, histogram, quantiles, record},
    payload::{Mark, Payload, check},
    peer::{Kind, Library, Socket},
};

pub(super) fn measure<L: Library>(
    case: &Case,
    plan: &Plan,
    client: Kind,
    server: Kind,
) -> Result<Figures> {
    let [here, there] = contexts::<L>(case.transport)?;
    let mut server = L::socket(&here, server)?;
    let endpoint = L::run(&here, server.bind(&case.transport.endpoint(), 1))?;
    let mut client = L::socket(&there, client)?;
    thread::scope(|scope| {
        let serving = spawn(scope, || {
            plan.cores.place_end(1)?;
            L::run(&here, async {
                while server.echo(|body| check(body, case.size)).await? != Mark::Last {}
                // As long as the reply is on its way, the socket is to be open.
                Ok(server)
            })
        });
        plan.cores.place_end(0)?;
        let figures = insist(L::run(&there, async {
            client.connect(&endpoint).await?;
            ask(&mut client, case.size, plan).await
        }));
        serving();
        Ok(figures)
    })
}

async fn ask(socket: &mut impl Socket, size: usize, plan: &Plan) -> Result<Figures> {
    let payload = Payload::new(size, Mark::Ordinary);
    let mut times = histogram()?;
    let warm = Instant::now() + plan.warm_up;
    while Instant::now() < warm {
        exchange(socket, &payload, size).await?;
    }
    let stopwatch = Stopwatch::start()?;
    let mut now = Instant::now();
    let end = now + plan.window;
    while now < end {
        exchange(socket, &payload, size).await?;
        let then = now;
        now = Instant::now();
        record(&mut times, now - then);
    }
    let mut figures = stopwatch.stop(times.len())?;
    quantiles(&times, &mut figures);
    exchange(socket, &Payload::new(size, Mark::Last), size).await?;
    Ok(figures)
}

async fn exchange(socket: &mut impl Socket, payload: &Payload, size: usize) -> Result<()> {
    socket.send(payload).await?;
    check(socket.receive().await?.as_ref(), size)?;
    Ok(())
}
