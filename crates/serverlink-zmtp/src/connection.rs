//! One end of a connection: greeting, handshake, traffic.

use std::mem;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use crate::curve::{Ciphers, SEALED, Sealer};
use crate::decoder::{Decoder, MAX_BODY, Span, command_limit};
use crate::greeting::{self, Greeting, Older, Reading};
use crate::greetings::Greetings;
use crate::handshake::{self, Handshake, Progress};
use crate::metadata::{self, MAX_HANDSHAKE_COMMAND, MAX_ROUTING_ID};
use crate::output::Output;
use crate::traffic::{Step, Traffic};
use crate::{
    ApiMisuse, Config, Credentials, Error, Event, FrameBody, Framing, Mechanism, Peer, Refusal,
    TimedOut, Version, command, encode_frame, older, plain,
};

/// One end of a ZMTP connection.
///
/// Drive it like this, in any order:
///
/// * give it what the socket receives with [`feed`](Self::feed);
/// * ask for [`next_event`](Self::next_event) until it says `None`;
/// * send what [`take_output`](Self::take_output) yields;
/// * call [`handle_timeout`](Self::handle_timeout) when [`next_timeout`](Self::next_timeout) comes.
///
/// Messages do not pass through it on their way out: once [`is_ready`](Self::is_ready), write them
/// with [`encode_frame`](crate::encode_frame), or for a peer of ZMTP 1.0 with the headers of its
/// [`Framing`], and send them on the same stream; where there is a [sealer](Self::take_sealer), encrypted
/// by it, as everything else that is sent from then on. Not earlier: libzmq drops a connection on which a
/// message arrives before it has sent its own READY.
///
/// ```
/// use std::time::Instant;
///
/// use bytes::BytesMut;
/// use serverlink_zmtp::{Config, Connection, Event, SocketType, encode_frame};
///
/// let now = Instant::now();
/// let mut push = Connection::new(Config::new(SocketType::Push), now);
/// let mut pull = Connection::new(Config::new(SocketType::Pull), now);
///
/// // What one end has to send is what the other receives.
/// while !(push.is_ready() && pull.is_ready()) {
///     pull.feed(push.take_output().unwrap_or_default(), now);
///     push.feed(pull.take_output().unwrap_or_default(), now);
///     for end in [&mut push, &mut pull] {
///         assert!(matches!(end.next_event(now)?, None | Some(Event::Ready(_))));
///     }
/// }
///
/// let mut out = BytesMut::new();
/// encode_frame(&mut out, false, b"hello");
/// pull.feed(out.freeze(), now);
/// let Some(Event::Frame { body, more: false }) = pull.next_event(now)? else { panic!() };
/// assert_eq!(body.as_slice(), b"hello");
/// assert!(pull.next_event(now)?.is_none());
/// # Ok::<(), serverlink_zmtp::Error>(())
/// ```
#[derive(Debug)]
pub struct Connection {
    phase: Phase,
    decoder: Decoder,
    output: Output,
    last_arrival: Instant,
}

/// They may be many.
#[cfg(target_pointer_width = "64")]
const _: () = assert!(size_of::<Connection>() <= 248);

#[derive(Debug)]
enum Phase {
    /// Boxed, for connections whose handshake is complete are many.
    Introduction(Box<Introduction>),
    Traffic(Traffic),
    Failed(Error),
}

/// Who we are, and how far we are in telling each other.
#[derive(Debug)]
struct Introduction {
    config: Config,
    deadline: Deadline,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    Greeting(Box<Greetings>),
    Handshake(Handshake),
    /// In place of the handshake, with a peer of an older version and of this socket type.
    Routing(Older, Option<u8>),
    /// In place of the greeting: what is spoken is settled [elsewhere](Connection::agree).
    Agreement,
}

/// What a peer speaks with whom no greetings are exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Agreed {
    /// The commands of our mechanism, from the first on, as in ZMTP 3.0.
    Mechanism,
    /// A routing id, then messages, as in ZMTP 2.0 behind the greeting.
    RoutingId,
}

/// When the handshake must be complete, and how long it was given.
type Deadline = Option<(Instant, Duration)>;

impl Connection {
    /// A connection just made or accepted. The beginning of our greeting is at once ready to be
    /// sent, up to where it would be wrong for an [older peer](Config::older_peers); the rest, and
    /// READY behind it, follow as soon as the peer's greeting shows that they may. The NULL mechanism
    /// lets neither side wait for the other's READY, unless somebody [judges](Config::judges_peers) it.
    ///
    /// A configuration that breaks the contract of [`Config`] shows as [`Error::ApiMisuse`] in the
    /// first [`next_event`](Self::next_event).
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        Self::introduced(config, now, |config, ready, output| {
            let mut ours = Output::default();
            ours.raw(&greeting::encode(config));
            if handshake::is_ready_sent_at_once(config) {
                ours.command(command::READY, &ready);
            }
            let ours = ours.take().unwrap_or_default();
            Stage::Greeting(Box::new(Greetings::new(ours, config, output)))
        })
    }

    /// A connection that neither sends nor awaits a greeting, and reads nothing before it is told what is
    /// [agreed](Self::agree).
    pub(crate) fn without_greeting(config: Config, now: Instant) -> Self {
        Self::introduced(config, now, |_, _, _| Stage::Agreement)
    }

    /// A connection that begins like this, with our properties at hand.
    fn introduced(
        config: Config,
        now: Instant,
        begin: impl FnOnce(&Config, BytesMut, &mut Output) -> Stage,
    ) -> Self {
        let mut output = Output::default();
        let phase = match check(&config).and_then(|()| metadata::encode(&config)) {
            Ok(ready) => {
                let stage = begin(&config, ready, &mut output);
                let deadline = config
                    .handshake_timeout
                    .and_then(|timeout| Some((now.checked_add(timeout)?, timeout)));
                Phase::Introduction(Box::new(Introduction { config, deadline, stage }))
            }
            Err(misuse) => Phase::Failed(misuse.into()),
        };
        let decoder = Decoder::new(MAX_HANDSHAKE_COMMAND as u64);
        Self { phase, decoder, output, last_arrival: now }
    }

    /// What is spoken is agreed upon: begins with it. Once only.
    pub(crate) fn agree(&mut self, agreed: Agreed) {
        let Phase::Introduction(introduction) = &mut self.phase else { return };
        let Introduction { config, stage: stage @ Stage::Agreement, .. } = &mut **introduction
        else {
            return;
        };
        let begun = match agreed {
            Agreed::Mechanism => {
                let as_server = matches!(
                    config.mechanism,
                    Mechanism::PlainClient(_) | Mechanism::CurveClient(_)
                );
                let greeting = Greeting { version: Version::V3_0, as_server };
                let begun = Handshake::begin(greeting, config, &mut self.output);
                if begun.is_ok() && handshake::is_ready_sent_at_once(config) {
                    // It was encoded before.
                    let ready = metadata::encode(config).unwrap_or_default();
                    self.output.command(command::READY, &ready);
                }
                begun.map(Stage::Handshake)
            }
            Agreed::RoutingId => {
                let mut frame = BytesMut::new();
                encode_frame(&mut frame, false, &config.routing_id);
                self.output.raw(&frame);
                self.decoder.expect_older(Framing::Present);
                self.decoder.limit(MAX_ROUTING_ID as u64);
                Ok(Stage::Routing(Older::Revision(Version::V2_0), None))
            }
        };
        match begun {
            Ok(begun) => *stage = begun,
            Err(error) => drop(self.fail(error)),
        }
    }

    /// The longest body that a frame of a message or a command may have once the handshake is complete.
    pub(crate) fn frame_limit(&self) -> u64 {
        match &self.phase {
            Phase::Introduction(introduction) => frame_limit(&introduction.config),
            _ => command_limit(self.decoder.message_limit()),
        }
    }

    /// What has ended it.
    pub(crate) fn failure(&self) -> Option<&Error> {
        match &self.phase {
            Phase::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// The configuration, while the handshake goes on.
    pub(crate) fn config(&self) -> Option<&Config> {
        match &self.phase {
            Phase::Introduction(introduction) => Some(&introduction.config),
            _ => None,
        }
    }

    /// Takes bytes from the peer, cut in any way. They count as a sign of life at `now`.
    ///
    /// The connection keeps them until [`next_event`](Self::next_event) gets to them, so do not read
    /// on from the socket without bound while you do not ask for events. Must not be called between
    /// [`awaited_frame`](Self::awaited_frame) and [`return_frame`](Self::return_frame) with bytes
    /// that precede those in the frame's buffer.
    #[inline]
    pub fn feed(&mut self, data: Bytes, now: Instant) {
        if data.is_empty() || matches!(self.phase, Phase::Failed(_)) {
            return;
        }
        self.arrived(now);
        self.decoder.feed(data);
    }

    /// The next thing that arrived; `None` when more input is needed. You may stop asking at any
    /// time and go on later.
    ///
    /// # Errors
    ///
    /// Any [`Error`] except [`Error::TimedOut`]. It is final: every further call returns it again.
    /// What [`take_output`](Self::take_output) holds, which may be an ERROR command for the peer,
    /// should still be sent before closing.
    #[inline]
    pub fn next_event(&mut self, now: Instant) -> Result<Option<Event<'_>>, Error> {
        if let Phase::Traffic(Traffic { is_plain: true, .. }) = self.phase
            && let Some(span) = self.decoder.whole_message_frame()
        {
            return Ok(Some(Event::Frame { body: self.decoder.body(span), more: span.more() }));
        }
        self.next_event_of_any_kind(now)
    }

    /// Takes messages of one frame, as long as nothing else comes and their input lies in one piece;
    /// at most `most`. Gives the frame of each to `take`, and returns how many there were. It may take
    /// none where [`next_event`](Self::next_event) goes on, but never another than that would report:
    /// ask for both in turn, not in the midst of a message.
    #[inline]
    pub fn take_messages(&mut self, most: usize, take: impl FnMut(FrameBody<'_>)) -> usize {
        match self.phase {
            Phase::Traffic(Traffic { is_plain: true, .. }) => {
                self.decoder.whole_messages(most, take)
            }
            _ => 0,
        }
    }

    #[inline(never)]
    fn next_event_of_any_kind(&mut self, now: Instant) -> Result<Option<Event<'_>>, Error> {
        let step = match self.step(now) {
            Ok(Some(step)) => step,
            Ok(None) => return Ok(None),
            Err(error) => return Err(self.fail(error)),
        };
        let body = |span| self.decoder.body(span);
        Ok(Some(match step {
            Step::Frame(span) => Event::Frame { body: body(span), more: span.more() },
            Step::Subscribe(span) => Event::Subscribe(body(span)),
            Step::Cancel(span) => Event::Cancel(body(span)),
            Step::SubscribePattern(span) => Event::SubscribePattern(body(span)),
            Step::CancelPattern(span) => Event::CancelPattern(body(span)),
            Step::Join(span) => Event::Join(body(span)),
            Step::Leave(span) => Event::Leave(body(span)),
            Step::Ping => Event::Ping,
            Step::Pong => Event::Pong,
            Step::Ready => match &self.phase {
                Phase::Traffic(Traffic { peer: Some(peer), .. }) => Event::Ready(peer),
                _ => return Ok(None),
            },
            Step::Credentials => match self.credentials() {
                Some(credentials) => Event::Credentials(credentials),
                None => return Ok(None),
            },
        }))
    }

    fn step(&mut self, now: Instant) -> Result<Option<Step>, Error> {
        loop {
            match &mut self.phase {
                Phase::Failed(error) => return Err(error.clone()),
                Phase::Introduction(introduction) => {
                    let Introduction { config, stage, .. } = &mut **introduction;
                    match stage {
                        Stage::Greeting(greetings) => {
                            match greetings.read(&mut self.decoder, config, &mut self.output)? {
                                Reading::Needs(_) => return Ok(None),
                                Reading::Complete(greeting) => {
                                    *stage = Stage::Handshake(Handshake::begin(
                                        greeting,
                                        config,
                                        &mut self.output,
                                    )?);
                                }
                                Reading::Older(peer, socket_type) => {
                                    if peer == Older::Unversioned {
                                        // It is the beginning of an ordinary frame.
                                        self.decoder.unread(greetings.theirs());
                                    }
                                    self.output.raw(&older::encode(config, peer));
                                    self.decoder.expect_older(Framing::of(peer.version()));
                                    self.decoder.limit(MAX_ROUTING_ID as u64);
                                    *stage = Stage::Routing(peer, socket_type);
                                }
                                Reading::Foreign => return Err(greetings.quote(&mut self.decoder)),
                            }
                        }
                        Stage::Agreement => return Ok(None),
                        Stage::Routing(peer, socket_type) => {
                            // Known to be wrong before the routing id is there.
                            let socket_type = older::socket_type(*socket_type, config)?;
                            let Some(span) = self.decoder.next_frame()? else { return Ok(None) };
                            let peer =
                                older::read_routing_id(&self.decoder, span, *peer, socket_type)?;
                            let peer = (Box::new(peer), None);
                            self.phase = begin_traffic(&mut self.decoder, peer, config, now);
                            return Ok(Some(Step::Ready));
                        }
                        Stage::Handshake(handshake) => {
                            match handshake.step(&mut self.decoder, config, &mut self.output)? {
                                Progress::Waits => return Ok(None),
                                Progress::Asks => return Ok(Some(Step::Credentials)),
                                Progress::Done(peer, ciphers) => {
                                    let peer = (peer, ciphers);
                                    self.phase =
                                        begin_traffic(&mut self.decoder, peer, config, now);
                                    return Ok(Some(Step::Ready));
                                }
                            }
                        }
                    }
                }
                Phase::Traffic(traffic) => {
                    if mem::take(&mut traffic.subscribes_to_all) {
                        return Ok(Some(Step::Subscribe(Span::EMPTY)));
                    }
                    let Some(mut span) = self.decoder.next_frame()? else {
                        if let Some(ciphers) = &mut traffic.ciphers {
                            ciphers.opener.rest();
                        }
                        return Ok(None);
                    };
                    if let Some(ciphers) = &mut traffic.ciphers {
                        span = self.decoder.open(span, &mut ciphers.opener)?;
                    }
                    if !span.is_command() {
                        return Ok(Some(traffic.message(&self.decoder, span)));
                    }
                    let step = traffic.command(&self.decoder, span, &mut self.output, now)?;
                    if step.is_some() {
                        return Ok(step);
                    }
                }
            }
        }
    }

    /// What the peer has shown of who it is, as long as that waits for a judgement.
    #[must_use]
    pub fn credentials(&self) -> Option<&Credentials> {
        match &self.phase {
            Phase::Introduction(introduction) => match &introduction.stage {
                Stage::Handshake(handshake) => handshake.credentials(),
                _ => None,
            },
            _ => None,
        }
    }

    /// Lets the peer in whose [credentials](Event::Credentials) were shown. Ask for
    /// [`next_event`](Self::next_event) and for output then. Nothing happens if none wait for it.
    pub fn admit(&mut self) {
        if let Phase::Introduction(introduction) = &mut self.phase
            && let Introduction { config, stage: Stage::Handshake(handshake), .. } =
                &mut **introduction
            && let Err(error) = handshake.admit(config, &mut self.output)
        {
            self.fail(error);
        }
    }

    /// Refuses the peer whose [credentials](Event::Credentials) were shown: the connection fails by
    /// [`Error::Denied`], and unless the refusal is [temporary](Refusal::Temporary) there is an ERROR
    /// command to be sent. Nothing happens if none wait for it.
    pub fn refuse(&mut self, refusal: Refusal) {
        if let Phase::Introduction(introduction) = &mut self.phase
            && let Stage::Handshake(handshake) = &mut introduction.stage
            && handshake.refuse(refusal, &mut self.output)
        {
            self.fail(Error::Denied(refusal));
        }
    }

    /// Whether input is waiting that [`next_event`](Self::next_event) has not looked at.
    #[must_use]
    pub fn has_buffered_input(&self) -> bool {
        self.decoder.has_input()
    }

    /// How many bytes of input are waiting that [`next_event`](Self::next_event) has not looked at.
    #[must_use]
    pub fn buffered_input_len(&self) -> usize {
        self.decoder.buffered_len()
    }

    /// The chunk that was fed last, once all of it has been looked at; empty if there is none.
    /// What has been taken from it may still refer to it: see [`Bytes::try_into_mut`].
    #[inline]
    pub fn take_spent_chunk(&mut self) -> Bytes {
        self.decoder.take_spent()
    }

    /// The control bytes to send now, in order: greeting, the commands of the handshake or a routing id,
    /// ERROR, PING, PONG; `None` if there are none. Ask after every `next_event` and `handle_timeout`, but
    /// only when the stream can take bytes: what you take, you must send.
    ///
    /// All output until the handshake is complete goes before any message. Later output consists of whole frames and goes
    /// between two messages; between two frames of one message libzmq accepts it, but the grammar of
    /// RFC 37 does not provide for it.
    pub fn take_output(&mut self) -> Option<Bytes> {
        self.output.take()
    }

    /// With the CURVE mechanism, what encrypts everything that is sent from the
    /// [end of the handshake](Event::Ready) on: messages, and what [`take_output`](Self::take_output)
    /// yields after that event, but not what it holds then. It is there once. `None` with other
    /// mechanisms, where nothing is encrypted.
    pub fn take_sealer(&mut self) -> Option<Box<Sealer>> {
        match &mut self.phase {
            Phase::Traffic(traffic) => traffic.ciphers.as_mut()?.sealer.take(),
            _ => None,
        }
    }

    /// Whether [`take_output`](Self::take_output) has something to send.
    #[inline]
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) next; `None` if no timer runs. Changes
    /// with every other call.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Introduction(introduction) => {
                introduction.deadline.map(|(deadline, _)| deadline)
            }
            Phase::Traffic(traffic) => traffic.pulse.next_timeout(),
            Phase::Failed(_) => None,
        }
    }

    /// Has the time for the handshake begin at `now`, and the peer count as heard then: to be called when
    /// the stream is there, if this was made before. Once the handshake is complete, and for a connection
    /// that has failed, there is no such time.
    ///
    /// ```
    /// use std::time::{Duration, Instant};
    /// use serverlink_zmtp::{Config, Connection, SocketType};
    ///
    /// let mut config = Config::new(SocketType::Push);
    /// config.handshake_timeout = Some(Duration::from_secs(1));
    /// let made = Instant::now();
    /// let mut connection = Connection::new(config, made);
    /// let connected = made + Duration::from_secs(5);
    /// connection.restart_clock(connected);
    /// assert_eq!(connection.next_timeout(), Some(connected + Duration::from_secs(1)));
    /// ```
    pub fn restart_clock(&mut self, now: Instant) {
        self.last_arrival = now;
        if let Phase::Introduction(introduction) = &mut self.phase
            && let Some((deadline, timeout)) = &mut introduction.deadline
            && let Some(later) = now.checked_add(*timeout)
        {
            *deadline = later;
        }
    }

    /// Acts on the timers that are due at `now`: queues a PING, or gives the peer up. Harmless to
    /// call early.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when the peer has taken too long, or the earlier error of a connection
    /// that has failed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Error> {
        let late = match &mut self.phase {
            Phase::Introduction(introduction) => introduction
                .deadline
                .filter(|(deadline, _)| *deadline <= now)
                .map(|(_, timeout)| TimedOut::Handshake(timeout)),
            Phase::Traffic(traffic) => {
                let input_waits = traffic.input_paused || self.decoder.has_input();
                match traffic.pulse.expire(now, input_waits) {
                    Ok(Some(ttl)) => {
                        self.output.heartbeat(command::PING, &ttl.to_be_bytes());
                        None
                    }
                    Ok(None) => None,
                    Err(late) => Some(late),
                }
            }
            Phase::Failed(error) => return Err(error.clone()),
        };
        late.map_or(Ok(()), |late| Err(self.fail(late.into())))
    }

    /// Says that the caller does not read from the peer for now, as at a high-water mark, or that
    /// it reads again. While it does not, silence is no sign of death; nor is it while
    /// [`has_buffered_input`](Self::has_buffered_input).
    pub fn pause_input(&mut self, paused: bool) {
        if let Phase::Traffic(traffic) = &mut self.phase {
            traffic.input_paused = paused;
        }
    }

    /// Whether the handshake is complete and nothing has failed since.
    #[inline]
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Traffic(_))
    }

    /// The peer, while [`is_ready`](Self::is_ready), unless it was [taken](Self::take_peer).
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        match &self.phase {
            Phase::Traffic(traffic) => traffic.peer.as_deref(),
            _ => None,
        }
    }

    /// Hands out what is known of the peer, once it [is ready](Self::is_ready), so that it is kept in one
    /// place only. It is there once.
    pub fn take_peer(&mut self) -> Option<Box<Peer>> {
        match &mut self.phase {
            Phase::Traffic(traffic) => traffic.peer.take(),
            _ => None,
        }
    }

    /// When the peer last sent anything; at first, when the connection was made.
    #[must_use]
    pub fn last_arrival(&self) -> Instant {
        self.last_arrival
    }

    /// In the middle of a long frame (64 KiB or more still missing, or anything of one of 256 KiB or
    /// more) and with no input left: the buffer that holds its beginning, so that the caller can read
    /// from the socket straight into the spare capacity, of at least 64 KiB or what is missing. Give
    /// it back with
    /// [`return_frame`](Self::return_frame), with or without more in it; until then
    /// [`next_event`](Self::next_event) has nothing to report.
    ///
    /// The capacity is never more than the frame's length, nor than the largest of these: four times
    /// what has arrived of it; 64 KiB more than that; the length of the longest frame before it that came
    /// in pieces, or 4 MiB if that was longer.
    pub fn awaited_frame(&mut self) -> Option<BytesMut> {
        if self.is_ready() { self.decoder.lend() } else { None }
    }

    /// Gives the buffer from [`awaited_frame`](Self::awaited_frame) back, with the bytes received
    /// at `now` appended. Bytes beyond the end of the frame are taken as the input that follows it.
    pub fn return_frame(&mut self, buffer: BytesMut, now: Instant) {
        if matches!(self.phase, Phase::Failed(_)) {
            return;
        }
        match self.decoder.take_back(buffer) {
            Ok(true) => self.arrived(now),
            Ok(false) => {}
            Err(error) => drop(self.fail(error)),
        }
    }

    /// Appends a subscription to all messages beginning with `topic`, or with `subscribe` false the
    /// cancelling of one, in the form for this peer: see
    /// [`encode_subscription`](crate::encode_subscription). Before the handshake is complete it is
    /// the older form, which every version accepts.
    pub fn subscribe(&self, topic: &[u8], subscribe: bool, out: &mut BytesMut) {
        let version = match &self.phase {
            Phase::Traffic(traffic) => traffic.version,
            _ => Version::V3_0,
        };
        command::encode_subscription(out, version, topic, subscribe);
    }

    /// Ends the connection; the input that nobody will read is let go.
    fn fail(&mut self, error: Error) -> Error {
        self.phase = Phase::Failed(error.clone());
        self.decoder = Decoder::new(0);
        error
    }

    /// Something came from the peer.
    #[inline]
    pub(crate) fn arrived(&mut self, now: Instant) {
        self.last_arrival = now;
        if let Phase::Traffic(traffic) = &mut self.phase {
            traffic.pulse.traffic();
        }
    }
}

/// Whether a mechanism is fit to be used.
fn check(config: &Config) -> Result<(), ApiMisuse> {
    match &config.mechanism {
        Mechanism::PlainClient(login) => plain::check(login),
        _ => Ok(()),
    }
}

/// The longest body that a frame may have, of whatever kind.
fn frame_limit(config: &Config) -> u64 {
    let commands = command_limit(config.max_message_size.unwrap_or(MAX_BODY));
    let sealed = matches!(config.mechanism, Mechanism::CurveClient(_) | Mechanism::CurveServer(_));
    if sealed { commands.saturating_add(SEALED as u64) } else { commands }
}

/// The peer is known; who we are need be known no longer.
fn begin_traffic(
    decoder: &mut Decoder,
    (peer, mut ciphers): (Box<Peer>, Option<Box<Ciphers>>),
    config: &Config,
    now: Instant,
) -> Phase {
    let messages = config.max_message_size.unwrap_or(MAX_BODY);
    match &mut ciphers {
        None => decoder.limit(messages),
        // Which of them it is shows when it is decrypted.
        Some(ciphers) => {
            ciphers.opener.limit(messages, command_limit(messages));
            decoder.limit(frame_limit(config));
        }
    }
    Phase::Traffic(Traffic::new(peer, ciphers, config, now))
}
