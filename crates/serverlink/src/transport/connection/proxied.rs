//! The way through a proxy, before the peer is there.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Connection, End, Input, Interlude};
use crate::transport::socks::Turn;

/// How long a proxy may take to connect us, if no time is set for connecting: about as long as systems try
/// by themselves.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

impl Connection {
    pub(super) fn tell_proxy(&self, input: &mut Input, bytes: Bytes) {
        if !bytes.is_empty() {
            self.outbox.push_control(bytes);
            self.write_all();
        }
        self.receive(input);
        self.set_timer(input);
    }

    /// The proxy has said something.
    pub(super) fn hear_proxy(&self, input: &mut Input, bytes: &[u8], now: Instant) {
        let Some(Interlude::Proxy(socks, ..)) = input.interlude.as_deref_mut() else { return };
        match socks.hear(bytes) {
            Turn::Theirs(bytes) => self.tell_proxy(input, bytes),
            Turn::Over(rest) => {
                input.interlude = None;
                self.reached(input);
                self.outbox.set_form(input.protocol.first_form());
                self.hear(input, rest, now);
            }
            Turn::Refused => self.end(input, End::NotConnected),
        }
    }
}

impl Input {
    /// Whether bytes go to a proxy and come from it.
    pub(super) fn is_proxied(&self) -> bool {
        matches!(self.interlude.as_deref(), Some(Interlude::Proxy(..)))
    }
}
