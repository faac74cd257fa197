//! Events as messages, in the forms that libzmq has for them.

use std::sync::Arc;

use serverlink_zmtp::SocketType;

use super::MonitorEvent;
use crate::{
    Message, Result,
    context::Runtime,
    options::Options,
    pattern,
    socket::{Patience, SocketInner},
};

/// The form of published events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MonitorVersion {
    /// Two frames: the event's number in 16 bits and its value in 32, both of the machine's byte
    /// order; the endpoint. Events whose number takes more bits are left out.
    V1,
    /// As many frames as there are values, and four more: the event's number, the count of values,
    /// each value, all in 64 bits of the machine's byte order; our end of the connection; the
    /// peer's.
    V2,
}

/// Publishes events to whoever connects.
#[derive(Debug)]
pub(super) struct Publisher {
    socket: Arc<SocketInner>,
    runtime: Arc<Runtime>,
    name: String,
    events: u64,
    version: MonitorVersion,
}

impl Publisher {
    pub(super) fn bind(
        runtime: &Arc<Runtime>,
        name: &str,
        events: u64,
        version: MonitorVersion,
    ) -> Result<Self> {
        let socket = SocketInner::with_pattern(SocketType::Pair, pattern::announcing(), None);
        runtime.inproc.bind(name, &socket, &Arc::new(Options::default()))?;
        Ok(Self { socket, runtime: runtime.clone(), name: name.to_owned(), events, version })
    }

    pub(super) fn publish(&self, event: &MonitorEvent) {
        if event.kind.number() & self.events == 0 {
            return;
        }
        if let Some(mut message) = encode(event, self.version) {
            // It never waits, and fails only when the context has ended.
            let _ = self.socket.send(&mut message, Patience::None);
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.runtime.inproc.unbind(&self.name, &self.socket);
        self.socket.close(&self.runtime);
    }
}

fn encode(event: &MonitorEvent, version: MonitorVersion) -> Option<Message> {
    let (number, values) = (event.kind.number(), event.kind.values());
    let local = || event.local.clone().unwrap_or_default();
    let (local, remote) = match event.is_bound {
        true => (
            event.local.clone().unwrap_or_else(|| event.endpoint.clone()),
            event.remote.clone().unwrap_or_default(),
        ),
        false => (local(), event.endpoint.clone()),
    };
    match version {
        MonitorVersion::V1 => {
            let number = u16::try_from(number).ok()?;
            let value = u32::try_from(*values.first()?).unwrap_or(u32::MAX);
            let first = [&number.to_ne_bytes()[..], &value.to_ne_bytes()].concat();
            let endpoint = if event.is_bound { local } else { remote };
            Some([first, endpoint.into_bytes()].into_iter().collect())
        }
        MonitorVersion::V2 => {
            let numbers = [number, values.len() as u64].into_iter().chain(values);
            let numbers = numbers.map(|number| number.to_ne_bytes().to_vec());
            let ends = [local, remote].map(String::into_bytes);
            Some(numbers.chain(ends).collect())
        }
    }
}
