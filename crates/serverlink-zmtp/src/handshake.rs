//! What comes between the greetings and the traffic: the commands of the security mechanism, with the
//! properties of either end.

use std::mem;

use crate::curve::{self, Ciphers};
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
    /// Of a client of CURVE.
    CurveHello,
    CurveInitiate(Box<curve::Greeted>),
    /// Of a server of CURVE.
    CurveWelcome(Box<curve::Client>),
    CurveReady(Box<curve::Introduced>),
    /// Nothing any more: the peer is known.
    Nothing(Box<Peer>, Option<Box<Ciphers>>),
    /// This connection has ended.
    Over,
}

#[derive(Debug)]
struct Judgement {
    credentials: Credentials,
    is_told: bool,
    then: Then,
}

/// What follows a good judgement.
#[derive(Debug)]
enum Then {
    Null,
    Plain,
    Curve(Box<curve::Initiated>, Box<Peer>),
}

/// How far a handshake is.
#[derive(Debug)]
pub(crate) enum Progress {
    /// More input is needed, or our caller's judgement.
    Waits,
    /// The caller is to be told of the [credentials](Handshake::credentials).
    Asks,
    Done(Box<Peer>, Option<Box<Ciphers>>),
}

impl Handshake {
    /// Begins, after a greeting of ours that READY has followed where this mechanism
    /// [has it so](is_ready_sent_at_once).
    pub(crate) fn begin(
        greeting: Greeting,
        config: &Config,
        output: &mut Output,
    ) -> Result<Self, Error> {
        let state = match &config.mechanism {
            Mechanism::Null if config.judges_peers => State::judging(Credentials::None, Then::Null),
            Mechanism::Null => State::Ready,
            Mechanism::PlainClient(login) => {
                output.command(command::HELLO, &plain::hello(login));
                State::PlainWelcome
            }
            Mechanism::PlainServer => State::PlainHello,
            Mechanism::CurveClient(config) => {
                let (client, hello) = curve::Client::begin(config)?;
                output.command(command::HELLO, &hello);
                State::CurveWelcome(Box::new(client))
            }
            Mechanism::CurveServer(_) => State::CurveHello,
        };
        Ok(Self { greeting, state })
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
                State::Nothing(..) => {
                    let State::Nothing(peer, ciphers) = mem::replace(&mut self.state, State::Over)
                    else {
                        return Ok(Progress::Waits);
                    };
                    return Ok(Progress::Done(peer, ciphers));
                }
                State::Over => return Ok(Progress::Waits),
                _ => {}
            }
            let Some(span) = decoder.next_frame()? else { return Ok(Progress::Waits) };
            if !span.is_command() {
                return Err(PeerMisbehaved::MessageBeforeReady.into());
            }
            let body = decoder.body(span);
            if matches!(self.state, State::PlainWelcome | State::PlainReady)
                && let Some(data) = body.strip_prefix(plain::ERROR_OF_LIBZMQ)
            {
                return Err(refused(data));
            }
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
        Ok(match (&self.state, &config.mechanism, name) {
            (_, _, command::ERROR) => return Err(refused(data)),
            (State::Ready | State::PlainReady, _, command::READY) => {
                State::Nothing(self.peer("READY", data, config, output)?, None)
            }
            (State::PlainHello, _, command::HELLO) => {
                State::judging(Credentials::Plain(plain::read_hello(data)?), Then::Plain)
            }
            (State::PlainWelcome, _, command::WELCOME) => {
                plain::read_welcome(data)?;
                output.command(command::INITIATE, &metadata::encode(config)?);
                State::PlainReady
            }
            (State::PlainInitiate, _, command::INITIATE) => {
                let peer = self.peer("INITIATE", data, config, output)?;
                output.command(command::READY, &metadata::encode(config)?);
                State::Nothing(peer, None)
            }
            (State::CurveHello, Mechanism::CurveServer(own), command::HELLO) => {
                let (greeted, welcome) = curve::Greeted::hear(data, own)?;
                output.command(command::WELCOME, &welcome);
                State::CurveInitiate(Box::new(greeted))
            }
            (State::CurveInitiate(greeted), Mechanism::CurveServer(own), command::INITIATE) => {
                let (initiated, key, properties) = greeted.initiate(data, own)?;
                let peer = self.peer("INITIATE", &properties, config, output)?;
                let then = Then::Curve(Box::new(initiated), peer);
                match config.judges_peers {
                    true => State::judging(Credentials::Curve(key), then),
                    false => then.go_on(config, output)?,
                }
            }
            (State::CurveWelcome(client), Mechanism::CurveClient(keys), command::WELCOME) => {
                let welcomed = client.hear(data, keys, &metadata::encode(config)?)?;
                output.command(command::INITIATE, &welcomed.initiate);
                State::CurveReady(Box::new(welcomed.then))
            }
            (State::CurveReady(introduced), _, command::READY) => {
                let (properties, ciphers) = introduced.hear(data)?;
                State::Nothing(self.peer("READY", &properties, config, output)?, Some(ciphers))
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
        // What is known by encryption is not told in clear.
        let is_secret =
            matches!(config.mechanism, Mechanism::CurveClient(_) | Mechanism::CurveServer(_));
        if let Err(Error::PeerIncompatible(PeerIncompatible::SocketType { ours, theirs })) = &peer
            && !is_secret
        {
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
        if self.credentials().is_some()
            && let State::Judgement(judgement) = mem::replace(&mut self.state, State::Over)
        {
            self.state = judgement.then.go_on(config, output)?;
        }
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
    fn judging(credentials: Credentials, then: Then) -> Self {
        Self::Judgement(Box::new(Judgement { credentials, is_told: false, then }))
    }
}

impl Then {
    fn go_on(self, config: &Config, output: &mut Output) -> Result<State, Error> {
        Ok(match self {
            Self::Null => {
                output.command(command::READY, &metadata::encode(config)?);
                State::Ready
            }
            Self::Plain => {
                output.command(command::WELCOME, &[]);
                State::PlainInitiate
            }
            Self::Curve(initiated, peer) => {
                let (ready, ciphers) = initiated.ready(&metadata::encode(config)?);
                output.command(command::READY, &ready);
                State::Nothing(peer, Some(ciphers))
            }
        })
    }
}

/// Whether READY follows our greeting without waiting for anything: then neither side waits for the
/// other's.
pub(crate) fn is_ready_sent_at_once(config: &Config) -> bool {
    matches!(config.mechanism, Mechanism::Null) && !config.judges_peers
}
