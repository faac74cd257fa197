//! `serverlink-io`.

use std::{
    net::TcpListener,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serverlink_io::{Event, Handle, Handler, PortOptions, Sending};

use super::{Answers, Engine, Timers, Wake};
use crate::{
    failure::Result,
    measurement::{histogram, record},
};

/// The engine this is all about.
pub(super) struct Port;

/// Accepts connections and gives each an [`Echo`].
struct Accept {
    port: serverlink_io::Port,
    listener: OnceLock<Handle>,
    /// How many connections have not ended.
    going: Arc<AtomicUsize>,
}

impl Handler for Accept {
    fn complete(&self, event: Event) {
        if let Event::Accepted(Ok((socket, _))) = event {
            // Round trips wait for nothing but this.
            let _ = socket.set_tcp_nodelay(true);
            let echo = Arc::new(Echo {
                port: self.port.clone(),
                connection: OnceLock::new(),
                going: self.going.clone(),
            });
            if let Ok(connection) = self.port.register(socket, echo.clone()) {
                let _ = connection.receive(None);
                let _ = echo.connection.set(connection);
            }
        }
        let _ = self.listener.get().map(Handle::accept);
    }
}

/// Sends back what it receives.
struct Echo {
    port: serverlink_io::Port,
    connection: OnceLock<Handle>,
    going: Arc<AtomicUsize>,
}

impl Handler for Echo {
    fn complete(&self, event: Event) {
        let Some(connection) = self.connection.get() else { return };
        let goes_on = match event {
            Event::Received(Ok(bytes)) if !bytes.is_empty() => {
                match connection.send(vec![bytes.freeze()]) {
                    // `Event::Sent` follows.
                    Sending::Pending => return,
                    Sending::Done { result, .. } => result.is_ok(),
                }
            }
            Event::Sent { result, .. } => result.is_ok(),
            _ => false,
        };
        if goes_on {
            let _ = connection.receive(None);
        } else {
            connection.retire();
            if self.going.fetch_sub(1, Ordering::Relaxed) == 1 {
                self.port.stop();
            }
        }
    }
}

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
        let port = serverlink_io::Port::new(&PortOptions::default())?;
        let going = Arc::new(AtomicUsize::new(connections));
        let accept = Arc::new(Accept { port: port.clone(), listener: OnceLock::new(), going });
        let listening = port.register(listener.into(), accept.clone())?;
        listening.accept()?;
        let _ = accept.listener.set(listening.clone());
        port.run()?;
        listening.retire();
        Ok(())
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
