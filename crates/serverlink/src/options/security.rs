//! Which mechanism a socket uses, and what it shows or asks for.

use bytes::Bytes;
use serverlink_zmtp::{Mechanism, PlainLogin};

use super::Options;

/// The security mechanism of a socket's connections over `tcp://` and `ipc://`: see
/// [`Socket::mechanism`](crate::Socket::mechanism).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SecurityMechanism {
    /// No authentication and no encryption.
    #[default]
    Null,
    /// A name and a password, not encrypted.
    Plain,
}

impl SecurityMechanism {
    /// The number libzmq has for it, as of `ZMQ_MECHANISM`.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Null => 0,
            Self::Plain => 1,
        }
    }
}

/// What becomes of a connection whose peer is to be judged when nobody is there to do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unjudged {
    Admitted,
    Refused,
}

impl Options {
    /// Sets what goes with an option of the mechanisms: as in libzmq, the one set last decides which it
    /// is, and in what role.
    pub(super) fn settle_mechanism(&mut self, id: i32) {
        /// `ZMQ_PLAIN_SERVER`, `ZMQ_PLAIN_USERNAME`, `ZMQ_PLAIN_PASSWORD`.
        const PLAIN_SERVER: i32 = 44;
        const PLAIN_USERNAME: i32 = 45;
        const PLAIN_PASSWORD: i32 = 46;
        self.mechanism = match id {
            PLAIN_SERVER if self.plain_server => SecurityMechanism::Plain,
            PLAIN_SERVER => SecurityMechanism::Null,
            PLAIN_USERNAME | PLAIN_PASSWORD => {
                self.plain_server = false;
                // No name takes it back; there may be none with a password.
                match id == PLAIN_USERNAME && self.plain_username.is_none() {
                    true => SecurityMechanism::Null,
                    false => SecurityMechanism::Plain,
                }
            }
            _ => return,
        };
        self.plain_server &= self.mechanism == SecurityMechanism::Plain;
    }

    /// The mechanism as the protocol is told of it.
    pub(super) fn protocol_mechanism(&self) -> Mechanism {
        let bytes =
            |text: &Option<String>| Bytes::from(text.clone().unwrap_or_default().into_bytes());
        match self.mechanism {
            SecurityMechanism::Null => Mechanism::Null,
            SecurityMechanism::Plain if self.plain_server => Mechanism::PlainServer,
            SecurityMechanism::Plain => Mechanism::PlainClient(PlainLogin {
                username: bytes(&self.plain_username),
                password: bytes(&self.plain_password),
            }),
        }
    }

    /// Whether somebody is asked to judge peers.
    pub(super) fn judges_peers(&self) -> bool {
        match self.mechanism {
            SecurityMechanism::Null => self.zap_domain.is_some(),
            SecurityMechanism::Plain => self.plain_server,
        }
    }

    /// What becomes of a peer if there is no ZAP handler.
    pub(crate) fn unjudged(&self) -> Unjudged {
        match self.mechanism {
            SecurityMechanism::Null if !self.zap_enforce_domain => Unjudged::Admitted,
            SecurityMechanism::Null | SecurityMechanism::Plain => Unjudged::Refused,
        }
    }
}
