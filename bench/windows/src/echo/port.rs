//! The engine.

use std::{
    net::TcpListener,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use serverlink_io::{Event, Handle, Handler, Port, PortOptions, Sending};

use crate::Result;

/// Accepts connections and gives each an [`Echo`].
struct Accept {
    port: Port,
    listener: OnceLock<Handle>,
    /// How many connections have not ended.
    going: Arc<AtomicUsize>,
}

/// Sends back what it receives.
struct Echo {
    port: Port,
    connection: OnceLock<Handle>,
    going: Arc<AtomicUsize>,
}

impl Handler for Accept {
    fn complete(&self, event: Event) {
        if let Event::Accepted(Ok((socket, _))) = event {
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

pub(super) fn serve(backend: &str, listener: TcpListener, connections: usize) -> Result<()> {
    let mut options = PortOptions::default();
    options.backend = Some(backend.to_owned());
    let port = Port::new(&options)?;
    let accept = Arc::new(Accept {
        port: port.clone(),
        listener: OnceLock::new(),
        going: Arc::new(AtomicUsize::new(connections)),
    });
    let listening = port.register(listener.into(), accept.clone())?;
    listening.accept()?;
    let _ = accept.listener.set(listening.clone());
    port.run()?;
    listening.retire();
    Ok(())
}
