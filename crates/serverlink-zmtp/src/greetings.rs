//! The exchange of greetings: what may be sent of ours depends on what has arrived of the peer's.

use bytes::Bytes;

use crate::decoder::Decoder;
use crate::error::printable;
use crate::greeting::{self, GREETING_LEN, Reading};
use crate::output::Output;
use crate::{Config, Error, PeerIncompatible};

/// How much of what is no greeting is quoted.
const QUOTED: usize = 16;

/// Both greetings while they are exchanged.
#[derive(Debug)]
pub(crate) struct Greetings {
    theirs: [u8; GREETING_LEN],
    have: usize,
    /// Our greeting, and READY where it follows at once, as far as they are not sent yet.
    ours: Bytes,
    /// How much of them is.
    sent: usize,
}

impl Greetings {
    /// Sends of our greeting and READY what may be sent to anyone.
    pub(crate) fn new(ours: Bytes, config: &Config, output: &mut Output) -> Self {
        let mut greetings = Self { theirs: [0; GREETING_LEN], have: 0, ours, sent: 0 };
        greetings.answer(config, output);
        greetings
    }

    /// What was read of the peer's.
    pub(crate) fn theirs(&self) -> &[u8] {
        &self.theirs[..self.have]
    }

    /// Reads on in the peer's greeting, and sends of ours what may be sent then.
    pub(crate) fn read(
        &mut self,
        decoder: &mut Decoder,
        config: &Config,
        output: &mut Output,
    ) -> Result<Reading, Error> {
        loop {
            let reading = greeting::decode(self.theirs(), config)?;
            let Reading::Needs(needed) = reading else { return Ok(reading) };
            self.have += decoder.read_raw(&mut self.theirs[self.have..needed]);
            if self.have < needed {
                return Ok(reading);
            }
            self.answer(config, output);
        }
    }

    fn answer(&mut self, config: &Config, output: &mut Output) {
        let sendable = if config.admits_older_peers() {
            greeting::sendable(self.theirs()).saturating_sub(self.sent)
        } else {
            usize::MAX
        };
        let piece = self.ours.split_to(sendable.min(self.ours.len()));
        self.sent += piece.len();
        output.raw(&piece);
    }

    /// The error that a peer is that does not greet.
    pub(crate) fn quote(&mut self, decoder: &mut Decoder) -> Error {
        self.have += decoder.read_raw(&mut self.theirs[self.have..QUOTED]);
        PeerIncompatible::NotZmtp(printable(self.theirs(), QUOTED)).into()
    }
}
