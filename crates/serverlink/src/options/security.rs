//! Which mechanism a socket uses, and what it shows or asks for.

use bytes::Bytes;
use serverlink_zmtp::{CurveClient, CurveKeyPair, CurveSecretKey, Mechanism, PlainLogin};

use super::Options;
use crate::{Error, Result};

/// The security mechanism of a socket's connections, but within the process: see
/// [`Socket::mechanism`](crate::Socket::mechanism).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SecurityMechanism {
    /// No authentication and no encryption.
    #[default]
    Null,
    /// A name and a password, not encrypted.
    Plain,
    /// Keys, and everything is encrypted.
    Curve,
}

impl SecurityMechanism {
    /// The number libzmq has for it, as of `ZMQ_MECHANISM`.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Null => 0,
            Self::Plain => 1,
            Self::Curve => 2,
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
        /// `ZMQ_CURVE_SERVER`, `ZMQ_CURVE_PUBLICKEY`, `ZMQ_CURVE_SECRETKEY`, `ZMQ_CURVE_SERVERKEY`.
        const CURVE_SERVER: i32 = 47;
        const CURVE_PUBLIC_KEY: i32 = 48;
        const CURVE_SECRET_KEY: i32 = 49;
        const CURVE_SERVER_KEY: i32 = 50;
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
            CURVE_SERVER if self.curve_server => SecurityMechanism::Curve,
            CURVE_SERVER => SecurityMechanism::Null,
            CURVE_PUBLIC_KEY | CURVE_SECRET_KEY => SecurityMechanism::Curve,
            CURVE_SERVER_KEY => {
                self.curve_server = false;
                SecurityMechanism::Curve
            }
            _ => return,
        };
        self.curve_server &= self.mechanism == SecurityMechanism::Curve;
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
            SecurityMechanism::Curve => self.curve().unwrap_or_else(|_| {
                // Nobody is bound or connected so. It would end with the first command.
                let secret = CurveSecretKey::from([0; 32]);
                let keys = CurveKeyPair { public: secret.public_key(), secret };
                Mechanism::CurveClient(CurveClient { keys, server: [0; 32].into() })
            }),
        }
    }

    /// Says what the mechanism lacks.
    pub(crate) fn check_mechanism(&self) -> Result<()> {
        match self.mechanism {
            SecurityMechanism::Curve => self.curve().map(drop),
            SecurityMechanism::Null | SecurityMechanism::Plain => Ok(()),
        }
    }

    fn curve(&self) -> Result<Mechanism> {
        let lacks = |option, reason: &str| Error::InvalidOption { option, reason: reason.into() };
        let secret = self.curve_secret_key.clone();
        let secret = secret
            .ok_or_else(|| lacks("curve_secret_key", "the CURVE mechanism needs it to be set"))?;
        if self.curve_server {
            return Ok(Mechanism::CurveServer(secret));
        }
        let server = self
            .curve_server_key
            .ok_or_else(|| lacks("curve_server_key", "a client of CURVE needs it to be set"))?;
        if !server.is_usable() {
            return Err(lacks("curve_server_key", "nothing can be encrypted for this key"));
        }
        let public = secret.public_key();
        if self.curve_public_key.is_some_and(|set| set != public) {
            return Err(lacks("curve_public_key", "it does not go with the secret key"));
        }
        let keys = CurveKeyPair { public, secret };
        Ok(Mechanism::CurveClient(CurveClient { keys, server }))
    }

    /// Whether somebody is asked to judge peers.
    pub(super) fn judges_peers(&self) -> bool {
        match self.mechanism {
            SecurityMechanism::Null => self.zap_domain.is_some(),
            SecurityMechanism::Plain => self.plain_server,
            SecurityMechanism::Curve => {
                self.curve_server && (self.zap_domain.is_some() || !self.zap_enforce_domain)
            }
        }
    }

    /// What becomes of a peer if there is no ZAP handler.
    pub(crate) fn unjudged(&self) -> Unjudged {
        match self.mechanism {
            SecurityMechanism::Null | SecurityMechanism::Curve if !self.zap_enforce_domain => {
                Unjudged::Admitted
            }
            _ => Unjudged::Refused,
        }
    }
}
