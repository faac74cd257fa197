//! What comes between the greetings and the traffic: the commands of the security mechanism, with the
//! properties of either end.

use std::mem;

use crate::decoder::Decoder;
use crate::error::printable;
use crate::greeting::Greeting;
use crate::output::Output;
use crate::traffic::refused;
use crate::{
    Config, Credentials, Error, Mechanism, Peer, PeerIncompatible, PeerMisbehaved, Refusal,
    command, metadata, plain,
};

/// A handshake with a peer whose greeting is known.
#[derive(Debug)]
pub(crate) struct Handshake {
    greeting: Greeting,
    state: State,
}

/// What is awaited.
#[derive(Debug)]
enum State {
    /// The judgement of our caller, who has been told of the credentials or not yet.
    Judgement(Box<Judgement>),
    /// READY, after which all is said.
    Ready,
    /// Of a client of PLAIN.
    PlainHello,
    PlainInitiate,
    /// Of a server of PLAIN.
    PlainWelcome,
    PlainReady,
    /// Nothing any more: the peer is known.
    Nothing(Box<Peer>),
    /// This connection has ended.
    Over,
}

#[derive(Debug)]
struct Judgement {
    credentials: Credentials,
    is_told: bool,
}

/// How far a handshake is.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More input is needed, or our caller's judgement.
    Waits,
    /// The caller is to be told of the [credentials](Handshake::credentials).
    Asks,
    Done(Peer),
}

impl Handshake {
    /// Begins, after a greeting of ours that READY has followed where this mechanism
    /// [has it so](is_ready_sent_at_once).
    pub(crate) fn begin(greeting: Greeting, config: &Config, output: &mut Output) -> Self {
        let state = match &config.mechanism {
            Mechanism::Null if config.judges_peers => State::judging(Credentials::None),
            Mechanism::Null => State::Ready,
            Mechanism::PlainClient(login) => {
                output.command(command::HELLO, &plain::hello(login));
                State::PlainWelcome
            }
            Mechanism::PlainServer => State::PlainHello,
        };
        Self { greeting, state }
    }

    /// Goes as far as the input allows.
    pub(crate) fn step(
        &mut self,
        decoder: &mut Decoder,
        config: &Config,
        output: &mut Output,
    ) -> Result<Progress, Error> {
        loop {
            match &mut self.state {
                State::Judgement(judgement) => {
                    let is_told = mem::replace(&mut judgement.is_told, true);
                    return Ok(if is_told { Progress::Waits } else { Progress::Asks });
                }
                State::Nothing(_) => {
                    let State::Nothing(peer) = mem::replace(&mut self.state, State::Over) else {
                        return Ok(Progress::Waits);
                    };
                    return Ok(Progress::Done(*peer));
                }
                State::Over => return Ok(Progress::Waits),
                _ => {}
            }
            let Some(span) = decoder.next_frame()? else { return Ok(Progress::Waits) };
            if !span.is_command() {
                return Err(PeerMisbehaved::MessageBeforeReady.into());
            }
            let body = decoder.body(span);
            let (name, data) = command::split(&body)?;
            self.state = self.hear(name, data, config, output)?;
        }
    }

    /// What a command leads to.
    fn hear(
        &mut self,
        name: &[u8],
        data: &[u8],
        config: &Config,
        output: &mut Output,
    ) -> Result<State, Error> {
        Ok(match (&self.state, name) {
            (_, command::ERROR) => return Err(refused(data)),
            (State::Ready | State::PlainReady, command::READY) => {
                State::Nothing(self.peer("READY", data, config, output)?)
            }
            (State::PlainHello, command::HELLO) => {
                State::judging(Credentials::Plain(plain::read_hello(data)?))
            }
            (State::PlainWelcome, command::WELCOME) => {
                plain::read_welcome(data)?;
                output.command(command::INITIATE, &metadata::encode(config)?);
                State::PlainReady
            }
            (State::PlainInitiate, command::INITIATE) => {
                let peer = self.peer("INITIATE", data, config, output)?;
                output.command(command::READY, &metadata::encode(config)?);
                State::Nothing(peer)
            }
            _ => return Err(PeerMisbehaved::UnexpectedCommand(printable(name, 32)).into()),
        })
    }

    /// The peer by the properties in the command that it sends last.
    fn peer(
        &self,
        command: &'static str,
        data: &[u8],
        config: &Config,
        output: &mut Output,
    ) -> Result<Box<Peer>, Error> {
        let peer = metadata::decode(command, data, self.greeting, config);
        if let Err(Error::PeerIncompatible(PeerIncompatible::SocketType { ours, theirs })) = &peer {
            output.error(&format!("{ours} cannot talk to {theirs}"));
        }
        peer.map(Box::new)
    }

    /// What the peer has shown, while that is judged.
    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        match &self.state {
            State::Judgement(judgement) => Some(&judgement.credentials),
            _ => None,
        }
    }

    /// The judgement is good.
    pub(crate) fn admit(&mut self, config: &Config, output: &mut Output) -> Result<(), Error> {
        let State::Judgement(judgement) = &self.state else { return Ok(()) };
        self.state = match judgement.credentials {
            Credentials::None => {
                output.command(command::READY, &metadata::encode(config)?);
                State::Ready
            }
            Credentials::Plain(_) => {
                output.command(command::WELCOME, &[]);
                State::PlainInitiate
            }
        };
        Ok(())
    }

    /// The judgement is bad, and the peer is told if it should be (RFC 27, "The Status Codes"). True if
    /// there was one to be made.
    pub(crate) fn refuse(&mut self, refusal: Refusal, output: &mut Output) -> bool {
        let judged = matches!(self.state, State::Judgement(_));
        if judged && refusal != Refusal::Temporary {
            output.error(&refusal.status().to_string());
        }
        judged
    }
}

impl State {
    fn judging(credentials: Credentials) -> Self {
        Self::Judgement(Box::new(Judgement { credentials, is_told: false }))
    }
}

/// Whether READY follows our greeting without waiting for anything: then neither side waits for the
/// other's.
pub(crate) fn is_ready_sent_at_once(config: &Config) -> bool {
    matches!(config.mechanism, Mechanism::Null) && !config.judges_peers
}
