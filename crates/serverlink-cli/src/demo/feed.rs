//! A publisher and its subscribers over TCP. The publisher begins when all have subscribed, and
//! waits for slow subscribers instead of dropping messages, so none may be lost.

use std::{sync::Arc, thread, time::Instant};

use serverlink::{Error, Socket, SocketType};

use super::{
    part::{Measured, Meter, PATIENCE, Plan, Received, caught, receive_stream},
    stamp::Stamp,
};
use crate::{exit, failure::Failure, output::subscription};

const DOING: &str = "demo, PUB/SUB";

const SUBSCRIBERS: usize = 2;

/// Left to themselves, systems buffer megabytes of a connection that is never idle, and the
/// latency would be the time to get through these.
const BUFFER: usize = 128 * 1024;

pub(super) fn run(plan: &Plan, meter: &Arc<Meter>) -> Result<Measured, Failure> {
    let failed = || Failure::while_doing::<Error>(DOING);
    // PUB sockets do not tell who subscribes; XPUB sockets do and are the same otherwise.
    let publisher = plan.context.socket(SocketType::XPub).map_err(failed())?;
    // Each subscription is to be told, also the second one of the same topic.
    publisher.set_xpub_verbose(true).map_err(failed())?;
    publisher.set_xpub_nodrop(true).map_err(failed())?;
    publisher.set_send_buffer(Some(BUFFER)).map_err(failed())?;
    let endpoint = publisher.bind("tcp://127.0.0.1:*").map_err(failed())?;
    let subscribers: Vec<_> = (0..SUBSCRIBERS)
        .map(|_| {
            let (plan, meter, endpoint) = (plan.clone(), Arc::clone(meter), endpoint.clone());
            thread::spawn(move || caught(|| subscribe(&plan, &meter, &endpoint)))
        })
        .collect();
    await_subscriptions(&publisher)?;
    let begun = Instant::now();
    let mut number = 0;
    while let Some(message) = plan.message(number, 0) {
        publisher.send(message).map_err(Failure::while_doing(DOING))?;
        number += 1;
    }
    let end = Stamp::end_of(number).message(plan.size);
    publisher.send(end).map_err(Failure::while_doing(DOING))?;
    let mut received = Received::nothing();
    for subscriber in subscribers {
        received.add(&subscriber.join().unwrap_or_else(|_| Err(Failure::panicked()))?);
    }
    Ok(Measured {
        pattern: "PUB/SUB",
        transport: "tcp",
        elapsed: begun.elapsed(),
        timed: "one way",
        received,
    })
}

fn await_subscriptions(publisher: &Socket) -> Result<(), Failure> {
    let mut subscribed = 0;
    while subscribed < SUBSCRIBERS {
        let message = publisher.recv_timeout(PATIENCE).map_err(|error| match error {
            Error::WouldBlock => Failure::new(
                exit::TIMED_OUT,
                format!("{DOING}: {subscribed} of {SUBSCRIBERS} have subscribed in {PATIENCE:?}"),
                "see that nothing keeps 127.0.0.1 from being connected to",
            ),
            error => Failure::library(DOING, &error),
        })?;
        subscribed += usize::from(subscription(&message).is_some_and(|(begins, _)| begins));
    }
    Ok(())
}

fn subscribe(plan: &Plan, meter: &Meter, endpoint: &str) -> Result<Received, Failure> {
    let failed = || Failure::while_doing::<Error>(DOING);
    let socket = plan.context.socket(SocketType::Sub).map_err(failed())?;
    socket.subscribe("").map_err(failed())?;
    socket.set_receive_buffer(Some(BUFFER)).map_err(failed())?;
    socket.connect(endpoint).map_err(failed())?;
    receive_stream(plan, meter, &socket)
}
