//! `serverlink-io`.

use std::{
    io::Result,
    net::TcpListener,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use serverlink_io::{Event, Handle, Handler, Port, PortOptions, Sending};

/// Accepts connections and gives each an [`Echo`].
struct Accept {
    port: Port,
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
    port: Port,
    connection: OnceLock<Handle>,
    going: Arc<AtomicUsize>,
}

impl Echo {
    /// What was sent has room for what comes next.
    fn sent(&self, buffers: Vec<Bytes>, result: &Result<()>) -> bool {
        for buffer in buffers {
            if let Ok(buffer) = buffer.try_into_mut() {
                self.port.reuse(buffer);
            }
        }
        result.is_ok()
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
                    Sending::Done { buffers, result, .. } => self.sent(buffers, &result),
                }
            }
            Event::Sent { buffers, result, .. } => self.sent(buffers, &result),
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

/// Accepts so many connections and sends back what they bring, until all have ended.
pub(super) fn serve(
    options: &PortOptions,
    listener: TcpListener,
    connections: usize,
) -> Result<()> {
    let port = Port::new(options)?;
    let going = Arc::new(AtomicUsize::new(connections));
    let accept = Arc::new(Accept { port: port.clone(), listener: OnceLock::new(), going });
    let listening = port.register(listener.into(), accept.clone())?;
    let listening = accept.listener.get_or_init(|| listening);
    listening.accept()?;
    port.run()?;
    listening.retire();
    Ok(())
}
