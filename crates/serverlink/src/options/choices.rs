//! Options that are several yes or no.

use super::{OptionUnit, value::Number};

/// When a connection is not made anew: [`Socket::set_reconnect_stop`](crate::Socket::set_reconnect_stop).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReconnectStop {
    /// When nobody listens at the endpoint.
    pub connection_refused: bool,
    /// When the handshake fails: whoever listens there does not speak ZMTP, or does not want us.
    pub handshake_failed: bool,
    /// When the socket was disconnected from the endpoint, though messages for it are left.
    pub after_disconnect: bool,
}

/// What a ROUTER is told of its peers: [`Socket::set_router_notify`](crate::Socket::set_router_notify).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RouterNotify {
    /// When a peer connects.
    pub connect: bool,
    /// When a peer's connection is lost.
    pub disconnect: bool,
}

impl ReconnectStop {
    /// It is always made anew.
    pub const NEVER: Self =
        Self { connection_refused: false, handshake_failed: false, after_disconnect: false };
}

impl RouterNotify {
    /// It is told of nothing.
    pub const NEVER: Self = Self { connect: false, disconnect: false };
}

/// The number that has a bit for each.
fn bits<const N: usize>(flags: [bool; N]) -> i128 {
    flags.into_iter().enumerate().map(|(bit, flag)| i128::from(flag) << bit).sum()
}

impl Number for ReconnectStop {
    fn number(&self, _unit: OptionUnit) -> Option<i128> {
        Some(bits([self.connection_refused, self.handshake_failed, self.after_disconnect]))
    }

    fn from_number(number: Option<i64>, _unit: OptionUnit) -> Option<Self> {
        number.map(|number| Self {
            connection_refused: number & 1 != 0,
            handshake_failed: number & 2 != 0,
            after_disconnect: number & 4 != 0,
        })
    }
}

impl Number for RouterNotify {
    fn number(&self, _unit: OptionUnit) -> Option<i128> {
        Some(bits([self.connect, self.disconnect]))
    }

    fn from_number(number: Option<i64>, _unit: OptionUnit) -> Option<Self> {
        number.map(|number| Self { connect: number & 1 != 0, disconnect: number & 2 != 0 })
    }
}
