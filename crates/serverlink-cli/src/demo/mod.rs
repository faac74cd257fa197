//! The demonstration: three patterns side by side, measured and verified.

mod feed;
mod part;
mod pipeline;
mod progress;
mod report;
mod requests;
mod sequence;
mod stamp;

use std::{
    mem::ManuallyDrop,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    time::{Duration, Instant},
};

use serverlink::Context;

use self::{
    part::{Measured, Plan},
    progress::Progress,
    report::Report,
};
use crate::{args::DemoArgs, console::Console, exit, failure::Failure, interrupt, session};

/// How often the display changes.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug)]
enum Event {
    Measured(usize, Result<Measured, Failure>),
    Interrupted,
}

/// Runs the demonstration and returns the exit code.
pub(crate) fn run(args: &DemoArgs) -> u8 {
    let console = Console { json: args.json, quiet: args.quiet };
    let (events, inbox) = mpsc::channel();
    let interrupted = events.clone();
    interrupt::notify(move || interrupted.send(Event::Interrupted).is_ok());
    let outcome = measure(args, console, &events, &inbox).and_then(|report| match report {
        Some(report) => report.print(args.json),
        None => Ok(exit::INTERRUPTED),
    });
    outcome.unwrap_or_else(|failure| {
        console.failure(&failure);
        failure.code
    })
}

/// Runs all parts to their end; `None` if interrupted.
fn measure(
    args: &DemoArgs,
    console: Console,
    events: &Sender<Event>,
    inbox: &Receiver<Event>,
) -> Result<Option<Report>, Failure> {
    // To drop it would be to wait for parts that are given up.
    let context = ManuallyDrop::new(session::context(args.backend.as_deref(), console)?);
    let start = Instant::now();
    let plan = Plan {
        context: Context::clone(&context),
        start,
        deadline: start + Duration::from_secs(args.seconds),
        clients: args.clients,
        size: args.size,
    };
    let parts = [
        part::start(&plan, 0, events, "requests", requests::run),
        part::start(&plan, 1, events, "feed", feed::run),
        part::start(&plan, 2, events, "pipeline", pipeline::run),
    ];
    let progress = Progress::new(&parts, args);
    let mut measured = [const { None }; 3];
    while measured.iter().any(Option::is_none) {
        match inbox.recv_timeout(TICK) {
            Ok(Event::Measured(index, part)) => measured[index] = Some(part?),
            Err(RecvTimeoutError::Timeout) => progress.show(start.elapsed()),
            Ok(Event::Interrupted) | Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
    progress.finish(start.elapsed());
    Ok(Some(Report {
        backend: context.backend(),
        message_bytes: args.size,
        seconds: start.elapsed().as_secs_f64(),
        parts: measured.into_iter().flatten().collect(),
    }))
}
