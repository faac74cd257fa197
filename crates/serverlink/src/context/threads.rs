//! The I/O threads.

use std::{
    io,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use serverlink_io::{Port, ThreadSchedule};

use super::Runtime;
use crate::{Error, Result};

/// Starts the thread that drives a port, and waits until it runs as the options say.
pub(super) fn start(
    number: usize,
    port: Port,
    runtime: Arc<Runtime>,
) -> Result<JoinHandle<io::Result<()>>> {
    let (name, schedule) = {
        let options = runtime.options();
        let name = match &options.thread_name_prefix {
            Some(prefix) => format!("{prefix}/io-{number}"),
            None => format!("serverlink-io-{number}"),
        };
        let mut schedule = ThreadSchedule::default();
        schedule.policy = options.thread_policy;
        schedule.priority = options.thread_priority;
        schedule.processors = options.thread_affinity.clone();
        (name, schedule)
    };
    let (begun, outcome) = mpsc::channel();
    let thread = thread::Builder::new()
        .name(name)
        .spawn(move || {
            let _guard = FailureGuard(&runtime);
            let applied = schedule.apply();
            let runs = applied.is_ok();
            // Whoever starts it waits for this.
            let _ = begun.send(applied);
            if runs { port.run() } else { Ok(()) }
        })
        .map_err(Error::io("starting an I/O thread"))?;
    match outcome.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(error)) => Err(Error::io("having an I/O thread run as its options say")(error)),
        Err(_) => Err(Error::io("starting an I/O thread")(io::ErrorKind::Other.into())),
    }
}

/// Sees to it that nobody waits for an I/O thread that has ended, be it by a panic.
struct FailureGuard<'a>(&'a Runtime);

impl Drop for FailureGuard<'_> {
    fn drop(&mut self) {
        self.0.io_ended();
    }
}
