//! `serverlink-io`.

#[path = "../../echo/port.rs"]
mod echo;

use std::{
    net::TcpListener,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serverlink_io::{Event, Handler, PortOptions};

use super::{Answers, Engine, Timers, Wake};
use crate::{
    failure::Result,
    measurement::{histogram, record},
};

/// The engine this is all about.
pub(super) struct Port;

/// Answers when it is woken.
struct Woken {
    port: serverlink_io::Port,
    answers: Arc<Answers>,
}

impl Handler for Woken {
    fn complete(&self, _event: Event) {
        if !self.answers.answer() {
            self.port.stop();
        }
    }
}

/// Notes how late timers are.
struct Late {
    port: serverlink_io::Port,
    deadlines: Vec<Instant>,
    late: Mutex<Histogram<u64>>,
}

impl Handler for Late {
    fn complete(&self, event: Event) {
        if let Event::Timer { tag, .. } = event
            && let Some(deadline) = usize::try_from(tag).ok().and_then(|at| self.deadlines.get(at))
        {
            let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
            record(&mut late, deadline.elapsed());
            if late.len() == self.deadlines.len() as u64 {
                self.port.stop();
            }
        }
    }
}

impl Engine for Port {
    fn echo(listener: TcpListener, connections: usize) -> Result<()> {
        let mut options = PortOptions::default();
        // As sockets that answer have it.
        options.stay_awake = true;
        Ok(echo::serve(&options, listener, connections)?)
    }

    fn wakes(tell: impl FnOnce(Wake) -> Result<()>, answers: Arc<Answers>) -> Result<()> {
        let port = serverlink_io::Port::new(&PortOptions::default())?;
        let woken = Arc::new(Woken { port: port.clone(), answers });
        let woken_through = port.clone();
        tell(Box::new(move || woken_through.post(woken.clone(), 0)))?;
        Ok(port.run()?)
    }
}

impl Timers for Port {
    fn timers(start: Instant, delays: &[Duration]) -> Result<Histogram<u64>> {
        let port = serverlink_io::Port::new(&PortOptions::default())?;
        let deadlines: Vec<Instant> = delays.iter().map(|delay| start + *delay).collect();
        let late = Mutex::new(histogram()?);
        let late = Arc::new(Late { port: port.clone(), deadlines, late });
        for (tag, deadline) in (0..).zip(&late.deadlines) {
            port.set_timer(*deadline, late.clone(), tag);
        }
        port.run()?;
        Ok(late.late.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}
