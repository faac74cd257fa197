//! A PUSH and a PULL socket within the process. PUSH waits when its peer is full, so nothing may
//! be lost.

use std::{sync::Arc, thread, time::Instant};

use serverlink::{Error, SocketType};

use super::{
    part::{Measured, Meter, Plan, caught, receive_stream},
    stamp::Stamp,
};
use crate::failure::Failure;

const DOING: &str = "demo, PUSH/PULL";

const ENDPOINT: &str = "inproc://demo.pipeline";

pub(super) fn run(plan: &Plan, meter: &Arc<Meter>) -> Result<Measured, Failure> {
    let failed = || Failure::while_doing::<Error>(DOING);
    let pull = plan.context.socket(SocketType::Pull).map_err(failed())?;
    pull.bind(ENDPOINT).map_err(failed())?;
    let receiver = {
        let (plan, meter) = (plan.clone(), Arc::clone(meter));
        thread::spawn(move || caught(|| receive_stream(&plan, &meter, &pull)))
    };
    let push = plan.context.socket(SocketType::Push).map_err(failed())?;
    push.connect(ENDPOINT).map_err(failed())?;
    let begun = Instant::now();
    let mut number = 0;
    while let Some(message) = plan.message(number, 0) {
        push.send(message).map_err(Failure::while_doing(DOING))?;
        number += 1;
    }
    push.send(Stamp::end_of(number).message(plan.size)).map_err(Failure::while_doing(DOING))?;
    let received = receiver.join().unwrap_or_else(|_| Err(Failure::panicked()))?;
    Ok(Measured {
        pattern: "PUSH/PULL",
        transport: "inproc",
        elapsed: begun.elapsed(),
        timed: "one way",
        received,
    })
}
