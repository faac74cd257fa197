//! The mechanism of a socket, as the command line asks for it.

use std::{fmt::Display, fs, path::Path, str::FromStr, thread};

use serverlink::{
    Context, CurveKeyPair, CurvePublicKey, CurveSecretKey, Error, Message, MonitorEvent,
    MonitorEventKind, Result, Socket, SocketType, curve_keypair, curve_public,
};

use crate::{
    args::{EndpointArgs, SecurityArgs},
    exit,
    failure::Failure,
};

/// Who asks whether a peer is admitted, by RFC 27.
const JUDGE: &str = "inproc://zeromq.zap.01";

/// Which it is, and in what role, with all keys and passwords read.
pub(crate) enum Security {
    None,
    PlainClient(Login),
    PlainServer(Login),
    CurveClient { keys: CurveKeyPair, server: CurvePublicKey },
    CurveServer { secret: CurveSecretKey, clients: Vec<CurvePublicKey> },
}

/// A name and its password.
#[derive(Clone)]
pub(crate) struct Login {
    name: String,
    password: String,
}

impl Security {
    /// Reads what the arguments name. They go together, as `clap` has seen.
    pub(crate) fn new(args: &SecurityArgs) -> Result<Self, Failure> {
        if let Some(name) = &args.plain_username {
            let password = match &args.plain_password_file {
                Some(path) => password(path)?,
                None => args.plain_password.clone().unwrap_or_default(),
            };
            let login = Login { name: name.clone(), password };
            return Ok(match args.plain_server {
                true => Self::PlainServer(login),
                false => Self::PlainClient(login),
            });
        }
        let secret = match (&args.curve_secret_key, &args.curve_secret_key_file) {
            (Some(key), _) => Some(key_of(key, "--curve-secret-key")?),
            (None, Some(path)) => Some(key_in(path)?),
            (None, None) => None,
        };
        if let (Some(public), Some(secret)) = (&args.curve_public_key, &secret)
            && key_of::<CurvePublicKey>(public, "--curve-public-key")? != curve_public(secret)
        {
            return Err(misused(
                "--curve-public-key does not go with the secret key",
                "leave it out, or give both keys of one pair",
            ));
        }
        if let (true, Some(secret)) = (args.curve_server, &secret) {
            let keys = args.curve_client_key.iter();
            let clients =
                keys.map(|key| key_of(key, "--curve-client-key")).collect::<Result<_, _>>()?;
            return Ok(Self::CurveServer { secret: secret.clone(), clients });
        }
        let server: CurvePublicKey = match (&args.curve_server_key, &args.curve_server_key_file) {
            (Some(key), _) => key_of(key, "--curve-server-key")?,
            (None, Some(path)) => key_in(path)?,
            (None, None) => return Ok(Self::None),
        };
        let keys = match secret {
            Some(secret) => CurveKeyPair { public: curve_public(&secret), secret },
            None => curve_keypair().map_err(Failure::while_doing("no keys can be made"))?,
        };
        Ok(Self::CurveClient { keys, server })
    }

    /// Refuses what would not be protected.
    pub(crate) fn check(&self, kind: SocketType, endpoints: &EndpointArgs) -> Result<(), Failure> {
        if matches!(self, Self::None) {
            return Ok(());
        }
        if kind == SocketType::Stream {
            return Err(misused(
                "a STREAM socket speaks no ZMTP, so that none of its connections is protected",
                "leave the options of PLAIN and CURVE out",
            ));
        }
        let open = |endpoint: &&String| endpoint.starts_with("udp://");
        match endpoints.bind.iter().chain(&endpoints.connect).find(open) {
            Some(endpoint) => Err(misused(
                &format!("nothing is protected over {endpoint}"),
                "use tcp:// or ipc://, or leave the options of PLAIN and CURVE out",
            )),
            None => Ok(()),
        }
    }

    /// Sets the socket up, and judges its peers, if some are to be refused. Before it is bound or
    /// connected.
    pub(crate) fn apply(&self, context: &Context, socket: &Socket) -> Result<()> {
        match self {
            Self::None => Ok(()),
            Self::PlainClient(Login { name, password }) => {
                socket.set_plain_username(Some(name))?;
                socket.set_plain_password(Some(password))
            }
            Self::PlainServer(Login { name, password }) => {
                let admitted = vec![vec![name.clone().into(), password.clone().into()]];
                judge(context, admitted)?;
                socket.set_plain_server(true)
            }
            Self::CurveClient { keys, server } => {
                socket.set_curve_server_key(*server)?;
                socket.set_curve_public_key(keys.public)?;
                socket.set_curve_secret_key(keys.secret.clone())
            }
            Self::CurveServer { secret, clients } => {
                if !clients.is_empty() {
                    let admitted = clients.iter().map(|key| vec![key.as_bytes().to_vec()]);
                    judge(context, admitted.collect())?;
                }
                socket.set_curve_server(true)?;
                socket.set_curve_secret_key(secret.clone())
            }
        }
    }

    /// Why a handshake has failed, if that is what happened.
    pub(crate) fn failure(&self, event: &MonitorEvent) -> Option<Failure> {
        let MonitorEvent { kind, endpoint, is_bound, remote, .. } = event;
        let (what, advice) = match kind {
            MonitorEventKind::HandshakeFailedAuthentication { status } if *is_bound => {
                (format!("it is not admitted (status {status})"), String::new())
            }
            MonitorEventKind::HandshakeFailedAuthentication { status } => {
                (format!("it does not admit this client (status {status})"), self.advice())
            }
            // They say what to do.
            MonitorEventKind::HandshakeFailedProtocol { reason, .. } => {
                (reason.clone(), String::new())
            }
            // Who left has its reason, or was too slow.
            MonitorEventKind::HandshakeFailed(fault) if !is_bound => {
                (fault.to_string(), self.advice())
            }
            _ => return None,
        };
        let whose = match (is_bound, remote) {
            (true, Some(remote)) => format!("{remote} at {endpoint}"),
            _ => endpoint.clone(),
        };
        Some(Failure::new(exit::FAILED, format!("no handshake with {whose}: {what}"), advice))
    }

    /// What to do when the peer that was connected to does not talk to us.
    fn advice(&self) -> String {
        match self {
            Self::None => "see what it asks for: PLAIN or CURVE, perhaps".to_owned(),
            Self::PlainClient(_) => {
                "see that it is a server of PLAIN, and that name and password are right".to_owned()
            }
            Self::CurveClient { keys, .. } => format!(
                "see that it is a server of CURVE, that its public key is the one given here, and \
                 that it admits this client's, {}",
                keys.public
            ),
            Self::PlainServer(_) => "see that it is a client of PLAIN".to_owned(),
            Self::CurveServer { .. } => {
                "see that it is a client of CURVE, and has this server's public key".to_owned()
            }
        }
    }

    /// Whether a handshake that failed is the end: who connects with a name or a key has the wrong one,
    /// or one for somebody else. Before the first that succeeds, a connection that breaks tells as much:
    /// a server of CURVE ends it without a word (RFC 26).
    pub(crate) fn is_fatal(&self, event: &MonitorEvent, has_met: bool) -> bool {
        let is_certain = !matches!(event.kind, MonitorEventKind::HandshakeFailed(_));
        !event.is_bound && !matches!(self, Self::None) && (is_certain || !has_met)
    }
}

/// Admits those who show one of these credentials, and nobody else, until the context ends.
fn judge(context: &Context, admitted: Vec<Vec<Vec<u8>>>) -> Result<()> {
    let handler = context.socket(SocketType::Rep)?;
    handler.bind(JUDGE)?;
    thread::spawn(move || {
        loop {
            match handler.recv() {
                Ok(request) => _ = handler.send(verdict(&request, &admitted)),
                // What was answered last may have gone with its connection.
                Err(Error::Terminated | Error::Closed) => return,
                Err(_) => {}
            }
        }
    });
    Ok(())
}

/// The answer to a request, whose frames are the version, a number, the domain, the address, the routing
/// id, the mechanism, and the credentials.
fn verdict(request: &Message, admitted: &[Vec<Vec<u8>>]) -> Message {
    let shown: Vec<&[u8]> = request.iter().skip(6).map(|frame| &frame[..]).collect();
    let is_admitted = admitted.iter().any(|credentials| {
        credentials.len() == shown.len()
            && credentials.iter().zip(&shown).fold(true, |all, (one, other)| all & same(one, other))
    });
    let (status, text) = if is_admitted { ("200", "") } else { ("400", "not admitted") };
    let mut answer = Message::from("1.0");
    answer.push_back(request.frame(1).cloned().unwrap_or_default());
    [status, text, "", ""].into_iter().for_each(|frame| answer.push_back(frame));
    answer
}

/// Compares, and takes the same time wherever they differ.
fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && one.iter().zip(other).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

fn key_of<Key: FromStr<Err: Display>>(text: &str, whose: &str) -> Result<Key, Failure> {
    text.parse().map_err(|error| {
        misused(
            &format!("{whose} has no key: {error}"),
            "make a pair of keys with `serverlink keygen`",
        )
    })
}

fn key_in<Key: FromStr<Err: Display>>(path: &Path) -> Result<Key, Failure> {
    key_of(read(path)?.trim(), &path.display().to_string())
}

fn password(path: &Path) -> Result<String, Failure> {
    let text = read(path)?;
    let line = text.lines().next().unwrap_or_default();
    match line.len() {
        0..=255 => Ok(line.to_owned()),
        length => Err(misused(
            &format!("the password in {} has {length} bytes", path.display()),
            "255 is the most",
        )),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))
}

fn misused(what: &str, advice: &str) -> Failure {
    Failure::new(exit::USAGE, what, advice)
}
