//! A ROUTER server and its DEALER clients over TCP. Each client waits for the reply to one
//! request before it sends the next, so the time of a round trip is a latency and no queueing of
//! its own.

use std::{sync::Arc, thread, time::Instant};

use serverlink::{Error, Socket, SocketType};

use super::{
    part::{Measured, Meter, PATIENCE, Plan, Received, caught, only_frame},
    stamp::Stamp,
};
use crate::failure::Failure;

const DOING: &str = "demo, ROUTER/DEALER";

pub(super) fn run(plan: &Plan, meter: &Arc<Meter>) -> Result<Measured, Failure> {
    let failed = || Failure::while_doing::<Error>(DOING);
    let server = plan.context.socket(SocketType::Router).map_err(failed())?;
    let endpoint = server.bind("tcp://127.0.0.1:*").map_err(failed())?;
    let begun = Instant::now();
    let clients: Vec<_> = (0..u64::from(plan.clients))
        .map(|client| {
            let (plan, meter, endpoint) = (plan.clone(), Arc::clone(meter), endpoint.clone());
            thread::spawn(move || caught(|| ask(&plan, &meter, &endpoint, client)))
        })
        .collect();
    let server = thread::spawn(move || caught(|| serve(&server)));
    let mut received = Received::nothing();
    for client in clients {
        received.add(&client.join().unwrap_or_else(|_| Err(Failure::panicked()))?);
    }
    let elapsed = begun.elapsed();
    // The server ends with the last client's farewell.
    let end = plan.context.socket(SocketType::Dealer).map_err(failed())?;
    end.connect(&endpoint).map_err(failed())?;
    end.send(FAREWELL).map_err(Failure::while_doing(DOING))?;
    server.join().unwrap_or_else(|_| Err(Failure::panicked()))?;
    Ok(Measured {
        pattern: "ROUTER/DEALER",
        transport: "tcp",
        elapsed,
        timed: "round trip",
        received,
    })
}

/// A message that no client sends as a request.
const FAREWELL: &[u8] = b"farewell";

/// Replies to all requests with what they are, until the farewell, or until no client asks any
/// more.
fn serve(server: &Socket) -> Result<(), Failure> {
    loop {
        let request = match server.recv_timeout(PATIENCE) {
            Ok(request) => request,
            Err(Error::WouldBlock) => return Ok(()),
            Err(error) => return Err(Failure::library(DOING, &error)),
        };
        if request.frame(1).is_some_and(|body| body == FAREWELL) {
            return Ok(());
        }
        server.send(request).map_err(Failure::while_doing(DOING))?;
    }
}

fn ask(plan: &Plan, meter: &Meter, endpoint: &str, client: u64) -> Result<Received, Failure> {
    let failed = || Failure::while_doing::<Error>(DOING);
    let socket = plan.context.socket(SocketType::Dealer).map_err(failed())?;
    socket.connect(endpoint).map_err(failed())?;
    let mut received = Received::nothing();
    let mut number = 0;
    while let Some(request) = plan.message(number, client) {
        socket.send(request).map_err(Failure::while_doing(DOING))?;
        let reply = match socket.recv_timeout(PATIENCE) {
            Ok(reply) => reply,
            Err(Error::WouldBlock) => {
                received.lost += 1;
                break;
            }
            Err(error) => return Err(Failure::library(DOING, &error)),
        };
        match only_frame(&reply).and_then(|body| Stamp::read(body, plan.size)) {
            Some(stamp) if (stamp.number, stamp.sender) == (number, client) => {
                let took = plan.start.elapsed().saturating_sub(stamp.sent);
                received.record(reply.byte_len(), took);
                meter.count(1);
            }
            _ => received.wrong += 1,
        }
        number += 1;
    }
    Ok(received)
}
