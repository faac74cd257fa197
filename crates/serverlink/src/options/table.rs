//! The table of the options of sockets.
//!
//! Each row is the only place that tells of an option. From it are made what is kept of it, its
//! setter and its getter with their documentation, its number and form in libzmq's C API, and its
//! row in `docs/options.md`.

use std::{fmt, time::Duration};

use bytes::Bytes;
use serverlink_zmtp::{CurvePublicKey, CurveSecretKey};

use super::{
    ListeningSocket, Network,
    OptionAccess::{Set, SetAndGet},
    OptionForm, OptionInfo,
    OptionOwners::{Sockets, SocketsOf},
    OptionSystems,
    OptionTime::{AtOnce, Later, Next},
    OptionTruth, OptionUnit, ReconnectStop, RouterNotify, SecurityMechanism,
    value::{Keeps, Tells, Value},
};
use crate::{
    Result, Socket,
    SocketType::{
        Client, Dealer, Peer, Pub, Pull, Push, Radio, Req, Router, Server, Stream, Sub, XPub, XSub,
    },
};

/// The row of an option whose value is a field of [`Options`].
pub(super) struct Row {
    pub(super) info: OptionInfo,
    pub(super) get: fn(&Options) -> Vec<u8>,
    /// False refuses the value.
    pub(super) set: fn(&mut Options, &[u8]) -> bool,
}

/// Makes everything of rows like these:
///
/// ```text
/// /// What it does.
/// ZMQ_NAME = id, since "version", owners, time, access, form, systems:
///     set_name(what the setter is given), name(what is kept) = default;
/// ```
///
/// What is kept may be followed by `as` and what the getter tells, if that is something else.
macro_rules! options {
    ($(
        $(#[doc = $line:literal])+
        $constant:ident = $id:literal, since $since:literal, $owners:expr, $time:ident,
            $access:ident, $form:expr, $systems:ident:
            $set:ident($given:ty), $name:ident($kept:ty $(as $told:ty)?) = $default:expr;
    )+) => {
        /// What a socket is set to.
        #[derive(Clone)]
        pub(crate) struct Options {
            $(
                $(#[doc = $line])+
                pub(crate) $name: $kept,
            )+
            /// What the context had when the socket was opened.
            pub(crate) zero_copy_receive: bool,
            /// What the options of the mechanisms together say.
            pub(crate) mechanism: SecurityMechanism,
        }

        /// Not what: there are passwords and keys in it.
        impl fmt::Debug for Options {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("Options").finish_non_exhaustive()
            }
        }

        impl Default for Options {
            fn default() -> Self {
                Self {
                    $($name: $default,)+
                    zero_copy_receive: true,
                    mechanism: SecurityMechanism::Null,
                }
            }
        }

        pub(super) const ROWS: &[Row] = &[$(
            Row {
                info: OptionInfo {
                    name: option_name(stringify!($set)),
                    constant: stringify!($constant),
                    id: $id,
                    form: $form,
                    owners: $owners,
                    time: $time,
                    access: $access,
                    since: $since,
                    systems: OptionSystems::$systems,
                    summary: concat!($($line, "\n"),+),
                    unsupported: None,
                    default: || Some(Options::default().$name.encode(&$form)),
                },
                get: |options| options.$name.encode(&$form),
                set: |options, bytes| match options.$name.changed(bytes, &$form) {
                    Some(value) => {
                        options.$name = value;
                        true
                    }
                    None => false,
                },
            },
        )+];

        /// # Options
        ///
        /// Setters check their values; what a socket, or this system, does not have is refused, too.
        /// `docs/options.md` shows all options in one table.
        impl Socket {
            $(
                $(#[doc = $line])+
                ///
                #[doc = concat!("If not set: `", stringify!($default), "`. ", time!($time))]
                #[doc = concat!(" This is `", stringify!($constant), "`.")]
                ///
                /// # Errors
                ///
                /// [`Error::InvalidOption`](crate::Error::InvalidOption) for a value out of range or
                /// on a socket without this option,
                /// [`Error::UnsupportedOption`](crate::Error::UnsupportedOption) on a system without
                /// it, [`Error::Terminated`](crate::Error::Terminated).
                pub fn $set(&self, value: $given) -> Result<()> {
                    self.set_field($id, <$kept>::keep(value), |options| &mut options.$name)
                }

                #[doc = concat!(
                    "What [`", stringify!($set), "`](Self::", stringify!($set),
                    ") has set, or `", stringify!($default), "`."
                )]
                #[must_use]
                pub fn $name(&self) -> told!($kept $(, $told)?) {
                    self.field(|options| options.$name.tell())
                }
            )+
        }
    };
}

/// What a getter tells.
macro_rules! told {
    ($kept:ty) => {
        $kept
    };
    ($kept:ty, $told:ty) => {
        $told
    };
}

/// What the documentation says about the time when an option holds.
macro_rules! time {
    (AtOnce) => {
        "It may be set at any time, and holds at once."
    };
    (Later) => {
        "It holds for what is bound or connected later."
    };
    (Next) => {
        "It holds for what is bound or connected next, and no longer."
    };
}

/// An option is called as its setter is.
const fn option_name(setter: &'static str) -> &'static str {
    setter.split_at("set_".len()).1
}

const ANY_BYTES: OptionForm = OptionForm::Bytes { least: 0, most: usize::MAX };
const TEXT: OptionForm = OptionForm::Text { most: usize::MAX };
const FLAG: OptionForm = OptionForm::Flag(OptionTruth::One);
const POSITIVE: OptionForm = OptionForm::Flag(OptionTruth::Positive);
const MESSAGES: OptionForm = OptionForm::int(OptionUnit::Messages, 0);
const MILLISECONDS: OptionForm = OptionForm::int(OptionUnit::Milliseconds, 0);
/// Time that may be without end.
const PATIENCE: OptionForm = MILLISECONDS.or_none(&[-1]);
/// Time, none of which turns something off.
const INTERVAL: OptionForm = OptionForm::int(OptionUnit::Milliseconds, 1).or_none(&[0]);
/// As far as every system goes.
const KEEPALIVE_SECONDS: OptionForm =
    OptionForm::int(OptionUnit::Seconds, 1).up_to(32_767).or_none(&[-1]);
const BATCH: OptionForm =
    OptionForm::int(OptionUnit::Bytes, 1).up_to(i32::MAX as i64).or_none(&[-1]);
const SIZE: OptionForm =
    OptionForm::int(OptionUnit::Bytes, 0).up_to(i32::MAX as i64).or_none(&[-1]);

options! {
    /// Which I/O threads serve what is bound or connected, by a bit for each from the lowest; zero, all
    /// of them in turn. Bind and connect fail if there are none of these.
    ZMQ_AFFINITY = 4, since "2.0", Sockets, Later, SetAndGet, OptionForm::Mask, ALL:
        set_affinity(u64), affinity(u64) = 0;

    /// The name by which a ROUTER knows this socket, of 1 to 255 bytes, the first of which is not
    /// zero.
    ZMQ_ROUTING_ID = 5, since "2.0", Sockets, Later, SetAndGet, OptionForm::Name { most: 255 }, ALL:
        set_routing_id(impl AsRef<[u8]>), routing_id(Bytes) = Bytes::new();

    /// The size of the kernel's send buffer of each connection, in bytes; `None`, as the system has
    /// it.
    ZMQ_SNDBUF = 11, since "2.0", Sockets, Later, SetAndGet, SIZE, ALL:
        set_send_buffer(Option<usize>), send_buffer(Option<usize>) = None;

    /// The size of the kernel's receive buffer of each connection, in bytes; `None`, as the system
    /// has it.
    ZMQ_RCVBUF = 12, since "2.0", Sockets, Later, SetAndGet, SIZE, ALL:
        set_receive_buffer(Option<usize>), receive_buffer(Option<usize>) = None;

    /// How long a closed socket goes on sending what it has to send; `None`, for ever.
    ZMQ_LINGER = 17, since "2.1", Sockets, AtOnce, SetAndGet, PATIENCE, ALL:
        set_linger(Option<Duration>), linger(Option<Duration>) = None;

    /// How long to wait before a lost connection is made anew, to which up to as much again is added
    /// at random. `None`: it is never made anew.
    ZMQ_RECONNECT_IVL = 18, since "2.1", Sockets, Later, SetAndGet,
        OptionForm::int(OptionUnit::Milliseconds, 1).or_none(&[-1, 0]), ALL:
        set_reconnect_interval(Option<Duration>), reconnect_interval(Option<Duration>)
            = Some(Duration::from_millis(100));

    /// How many connections may wait to be accepted.
    ZMQ_BACKLOG = 19, since "2.1", Sockets, Later, SetAndGet, OptionForm::int(OptionUnit::One, 0), ALL:
        set_backlog(i32), backlog(i32) = 100;

    /// Up to what the reconnect interval doubles with each failure; zero: it stays as it is.
    ZMQ_RECONNECT_IVL_MAX = 21, since "2.1", Sockets, Later, SetAndGet, MILLISECONDS, ALL:
        set_reconnect_interval_max(Duration), reconnect_interval_max(Duration) = Duration::ZERO;

    /// The largest frame taken from a peer, in bytes; one that sends a larger one is disconnected.
    /// `None`, no limit.
    ZMQ_MAXMSGSIZE = 22, since "3.0", Sockets, Later, SetAndGet,
        OptionForm::int(OptionUnit::Bytes, 0).wide().or_none(&[-1]), ALL:
        set_max_message_size(Option<u64>), max_message_size(Option<u64>) = None;

    /// How many messages may wait for each peer; 0 for no limit. What waits already stays, be it more.
    /// Within the process this and the receive mark of the peer add up.
    ZMQ_SNDHWM = 23, since "3.0", Sockets, AtOnce, SetAndGet, MESSAGES, ALL:
        set_send_high_water_mark(usize), send_high_water_mark(usize) = 1000;

    /// How many messages of each peer may wait to be received; 0 for no limit. What waits already stays,
    /// be it more.
    ZMQ_RCVHWM = 24, since "3.0", Sockets, AtOnce, SetAndGet, MESSAGES, ALL:
        set_receive_high_water_mark(usize), receive_high_water_mark(usize) = 1000;

    /// Through how many routers the multicast datagrams of a RADIO go; with 1 they stay in the network
    /// they are sent to.
    ZMQ_MULTICAST_HOPS = 25, since "3.0", Sockets, Later, SetAndGet,
        OptionForm::int(OptionUnit::One, 1), ALL:
        set_multicast_hops(u32), multicast_hops(u32) = 1;

    /// How long [`recv`](Self::recv) waits; `None`, for ever.
    ZMQ_RCVTIMEO = 27, since "3.0", Sockets, AtOnce, SetAndGet, PATIENCE, ALL:
        set_receive_timeout(Option<Duration>), default_receive_timeout(Option<Duration>) = None;

    /// How long [`send`](Self::send) waits; `None`, for ever.
    ZMQ_SNDTIMEO = 28, since "3.0", Sockets, AtOnce, SetAndGet, PATIENCE, ALL:
        set_send_timeout(Option<Duration>), default_send_timeout(Option<Duration>) = None;

    /// Whether a ROUTER tells of messages it cannot deliver, instead of dropping them.
    ZMQ_ROUTER_MANDATORY = 33, since "3.0", SocketsOf(&[Router]), AtOnce, Set, POSITIVE, ALL:
        set_router_mandatory(bool), router_mandatory(bool) = false;

    /// Whether the system looks after connections on which nothing happens, so that it notices when
    /// the other machine is gone; `None`: as the system has it.
    ZMQ_TCP_KEEPALIVE = 34, since "3.0", Sockets, Later, SetAndGet,
        OptionForm::int(OptionUnit::One, 0).up_to(1).or_none(&[-1]), ALL:
        set_tcp_keepalive(Option<bool>), tcp_keepalive(Option<bool>) = None;

    /// How many times in a row the other machine may fail to answer, where
    /// [`set_tcp_keepalive`](Self::set_tcp_keepalive) is on; `None`: as the system has it.
    ZMQ_TCP_KEEPALIVE_CNT = 35, since "3.0", Sockets, Later, SetAndGet,
        OptionForm::int(OptionUnit::One, 1).up_to(127).or_none(&[-1]), NOT_OPENBSD:
        set_tcp_keepalive_count(Option<u32>), tcp_keepalive_count(Option<u32>) = None;

    /// After what silence it is asked first, where [`set_tcp_keepalive`](Self::set_tcp_keepalive) is
    /// on, in whole seconds; `None`: as the system has it.
    ZMQ_TCP_KEEPALIVE_IDLE = 36, since "3.0", Sockets, Later, SetAndGet, KEEPALIVE_SECONDS, ALL:
        set_tcp_keepalive_idle(Option<Duration>), tcp_keepalive_idle(Option<Duration>) = None;

    /// How long to wait before it is asked again, where
    /// [`set_tcp_keepalive`](Self::set_tcp_keepalive) is on, in whole seconds; `None`: as the system
    /// has it.
    ZMQ_TCP_KEEPALIVE_INTVL = 37, since "3.0", Sockets, Later, SetAndGet, KEEPALIVE_SECONDS, NOT_OPENBSD:
        set_tcp_keepalive_interval(Option<Duration>), tcp_keepalive_interval(Option<Duration>) = None;

    /// From where peers may connect to `tcp://` endpoints: IP addresses, or networks such as
    /// `192.168.1.0/24`. From everywhere if there are none; others are disconnected without a word. The
    /// setter replaces those set before.
    ZMQ_TCP_ACCEPT_FILTER = 38, since "3.2", Sockets, Later, Set, OptionForm::Networks, ALL:
        set_tcp_accept_filter(&[&str]),
        tcp_accept_filter(Vec<(String, Option<Network>)> as Vec<String>) = Vec::new();

    /// Whether messages go only to peers that are connected, and do not wait for those that will be.
    ZMQ_IMMEDIATE = 39, since "3.3", Sockets, Later, SetAndGet, FLAG, ALL:
        set_immediate(bool), immediate(bool) = false;

    /// Whether an XPUB receives every subscription, and not only the first to each topic. Of
    /// cancellations it receives only the last then, whatever
    /// [`set_xpub_verboser`](Self::set_xpub_verboser) has set before.
    ZMQ_XPUB_VERBOSE = 40, since "3.2", SocketsOf(&[XPub]), AtOnce, Set, POSITIVE, ALL:
        set_xpub_verbose(bool), xpub_verbose(bool) = false;

    /// Whether a ROUTER's connections carry bytes as they are, and no ZMTP, as those of a STREAM do: a
    /// message is a routing id and one frame of bytes, of which an empty one tells of a new connection
    /// and of its end, and sent, ends it. It is deprecated; use STREAM.
    ZMQ_ROUTER_RAW = 41, since "3.3", SocketsOf(&[Router]), Later, Set, POSITIVE, ALL:
        set_router_raw(bool), router_raw(bool) = false;

    /// Whether host names may give IPv6 addresses, and `tcp://*` takes IPv6 connections too. Literal
    /// IPv6 addresses work in any case.
    ZMQ_IPV6 = 42, since "4.0", Sockets, Later, SetAndGet, FLAG, ALL:
        set_ipv6(bool), ipv6(bool) = false;

    /// Whether a DEALER, REQ or ROUTER sends an empty message to each peer first, with every connection.
    ZMQ_PROBE_ROUTER = 51, since "4.0", SocketsOf(&[Dealer, Req, Router]), AtOnce, Set, POSITIVE, ALL:
        set_probe_router(bool), probe_router(bool) = false;

    /// Whether connections use the PLAIN mechanism (RFC 24), and this end asks for a name and a password:
    /// the ZAP handler judges them (see [`set_zap_domain`](Self::set_zap_domain)), and if there is no
    /// handler, nobody is let in. Of this and the other options of mechanisms the one set last counts;
    /// turned off, the mechanism is NULL. Within the process, there is no mechanism.
    ZMQ_PLAIN_SERVER = 44, since "4.0", Sockets, Later, SetAndGet, FLAG, ALL:
        set_plain_server(bool), plain_server(bool) = false;

    /// The name that is shown with the PLAIN mechanism, which this makes the one to be used, by a client;
    /// `None` makes it NULL. It is sent as it is: whoever sees the packets can read it.
    ZMQ_PLAIN_USERNAME = 45, since "4.0", Sockets, Later, SetAndGet, OptionForm::Text { most: 255 }, ALL:
        set_plain_username(Option<&str>), plain_username(Option<String>) = None;

    /// The password that goes with [the name](Self::set_plain_username), sent as it is, too; `None`: an
    /// empty one. It makes the mechanism PLAIN as well.
    ZMQ_PLAIN_PASSWORD = 46, since "4.0", Sockets, Later, SetAndGet, OptionForm::Text { most: 255 }, ALL:
        set_plain_password(Option<&str>), plain_password(Option<String>) = None;

    /// Whether connections use the CURVE mechanism (RFC 25), and this end is the server: it is known by its
    /// [secret key](Self::set_curve_secret_key), and everything is encrypted. Who knows the public key may
    /// connect, unless a ZAP handler judges clients by theirs, which it is asked to do if it is there. Of
    /// this and the other options of mechanisms the one set last counts; turned off, the mechanism is NULL.
    /// Within the process, there is no mechanism.
    ZMQ_CURVE_SERVER = 47, since "4.0", Sockets, Later, SetAndGet, FLAG, ALL:
        set_curve_server(bool), curve_server(bool) = false;

    /// The key by which servers know this client of the CURVE mechanism, which this makes the one to be
    /// used. It goes with the [secret key](Self::set_curve_secret_key), of which it is made if it is not
    /// set. See [`curve_keypair`](crate::curve_keypair).
    ZMQ_CURVE_PUBLICKEY = 48, since "4.0", Sockets, Later, SetAndGet, OptionForm::Key, ALL:
        set_curve_public_key(CurvePublicKey), curve_public_key(Option<CurvePublicKey>) = None;

    /// The secret key of this end of the CURVE mechanism, which this makes the one to be used. Bind and
    /// connect fail without it, and with a public key that is another's.
    ZMQ_CURVE_SECRETKEY = 49, since "4.0", Sockets, Later, SetAndGet, OptionForm::Key, ALL:
        set_curve_secret_key(CurveSecretKey), curve_secret_key(Option<CurveSecretKey>) = None;

    /// The public key of the server that a client of the CURVE mechanism, which this makes the one to be
    /// used, talks to, and to no other. Bind and connect fail without it.
    ZMQ_CURVE_SERVERKEY = 50, since "4.0", Sockets, Later, SetAndGet, OptionForm::Key, ALL:
        set_curve_server_key(CurvePublicKey), curve_server_key(Option<CurvePublicKey>) = None;

    /// Whether a REQ numbers its requests and takes only replies with that number. Change it only
    /// between a reply and a request.
    ZMQ_REQ_CORRELATE = 52, since "4.0", SocketsOf(&[Req]), AtOnce, Set, POSITIVE, ALL:
        set_req_correlate(bool), req_correlate(bool) = false;

    /// Whether a REQ may send anew without having its reply. Turn
    /// [`set_req_correlate`](Self::set_req_correlate) on, too.
    ZMQ_REQ_RELAXED = 53, since "4.0", SocketsOf(&[Req]), AtOnce, Set, POSITIVE, ALL:
        set_req_relaxed(bool), req_relaxed(bool) = false;

    /// For whom a ZAP handler is asked about peers: a name that it knows the socket by. It is whoever is
    /// bound to `inproc://zeromq.zap.01` in the same context, a REP or ROUTER (RFC 27). With it, a socket
    /// of the NULL mechanism has the handler judge all of its peers, those that it connects to as well,
    /// and takes none that speak ZMTP 2.0 or 1.0. If there is no handler, see
    /// [`set_zap_enforce_domain`](Self::set_zap_enforce_domain). `None`: no name.
    ZMQ_ZAP_DOMAIN = 55, since "4.0", Sockets, Later, SetAndGet, OptionForm::Text { most: 255 }, ALL:
        set_zap_domain(Option<&str>), zap_domain(Option<String>) = None;

    /// Whether only the last message of each peer waits, to be received and to be sent, whatever the
    /// high-water marks say; a newer one takes its place. Within the process this is up to the socket
    /// that connects.
    ZMQ_CONFLATE = 54, since "4.0", SocketsOf(&[Dealer, Pub, Pull, Push, Sub]), Later, SetAndGet, FLAG, ALL:
        set_conflate(bool), conflate(bool) = false;

    /// Whether a ROUTER gives the routing id of a peer to a newcomer that claims it, instead of
    /// turning the newcomer away. The connection that had it ends; one that the ROUTER has made itself
    /// stays without an id, and claims it again when it is made anew.
    ZMQ_ROUTER_HANDOVER = 56, since "4.1", SocketsOf(&[Router]), AtOnce, Set, POSITIVE, ALL:
        set_router_handover(bool), router_handover(bool) = false;

    /// The type of service of the packets sent over `tcp://`: the byte of IP that was called so
    /// first, and is the differentiated services field today.
    ZMQ_TOS = 57, since "4.1", Sockets, Later, SetAndGet,
        OptionForm::int(OptionUnit::One, 0).up_to(255), ALL:
        set_type_of_service(u32), type_of_service(u32) = 0;

    /// Whose processes may connect to `ipc://` endpoints, by process id. See
    /// [`set_ipc_filter_uid`](Self::set_ipc_filter_uid).
    ZMQ_IPC_FILTER_PID = 58, since "4.1", Sockets, Later, Set, OptionForm::Ids, PROCESS_IDS:
        set_ipc_filter_pid(&[u32]), ipc_filter_pid(Vec<u32>) = Vec::new();

    /// Whose processes may connect to `ipc://` endpoints, by effective user id. A peer is accepted
    /// if any of the filters names it (by user, [group](Self::set_ipc_filter_gid) or
    /// [process](Self::set_ipc_filter_pid)), and everyone is if none does; who is not accepted is
    /// disconnected without a word. The setter replaces the users set before.
    ZMQ_IPC_FILTER_UID = 59, since "4.1", Sockets, Later, Set, OptionForm::Ids, UNIX:
        set_ipc_filter_uid(&[u32]), ipc_filter_uid(Vec<u32>) = Vec::new();

    /// Whose processes may connect to `ipc://` endpoints, by group id: the effective one, and on
    /// Linux, macOS and FreeBSD the others that the process is a member of. See
    /// [`set_ipc_filter_uid`](Self::set_ipc_filter_uid).
    ZMQ_IPC_FILTER_GID = 60, since "4.1", Sockets, Later, Set, OptionForm::Ids, UNIX:
        set_ipc_filter_gid(&[u32]), ipc_filter_gid(Vec<u32>) = Vec::new();

    /// What a ROUTER or STREAM calls the peer that it connects to next, whatever that calls itself.
    /// A ROUTER may send messages to it at once. Connecting fails if another peer has this routing id.
    ZMQ_CONNECT_ROUTING_ID = 61, since "4.1", SocketsOf(&[Router, Stream]), Next, Set,
        OptionForm::Bytes { least: 1, most: usize::MAX }, ALL:
        set_connect_routing_id(impl AsRef<[u8]>), connect_routing_id(Bytes) = Bytes::new();

    /// How long the handshake of a connection may take, once it is connected to the peer; `None` for ever.
    ZMQ_HANDSHAKE_IVL = 66, since "4.1", Sockets, Later, SetAndGet, INTERVAL, ALL:
        set_handshake_interval(Option<Duration>), handshake_interval(Option<Duration>)
            = Some(Duration::from_secs(30));

    /// A SOCKS 5 proxy through which to connect to `tcp://`, `ws://` and `wss://` endpoints, as its address
    /// and port; `None`: directly. Names of hosts are looked up by the proxy, which may take as long as
    /// [connecting](Self::set_connect_timeout), or two minutes if that has no limit.
    ZMQ_SOCKS_PROXY = 68, since "4.1", Sockets, Later, SetAndGet, TEXT, ALL:
        set_socks_proxy(Option<&str>), socks_proxy(Option<String>) = None;

    /// Whether a PUB, XPUB or RADIO waits when a subscriber's high-water mark is reached, instead of
    /// dropping the message for it.
    ZMQ_XPUB_NODROP = 69, since "4.1", SocketsOf(&[Pub, XPub, Radio]), AtOnce, Set, POSITIVE, ALL:
        set_xpub_nodrop(bool), xpub_nodrop(bool) = false;

    /// Whether the user of an XPUB subscribes for its peers: what they ask for is received, all of it,
    /// and has no effect by itself; [`subscribe`](Self::subscribe) and
    /// [`unsubscribe`](Self::unsubscribe) are for the peer whose subscription was received last.
    ZMQ_XPUB_MANUAL = 71, since "4.2", SocketsOf(&[XPub]), AtOnce, Set, POSITIVE, ALL:
        set_xpub_manual(bool), xpub_manual(bool) = false;

    /// What a PUB or XPUB sends to each peer first; empty, nothing. A SUB takes it if it subscribes to
    /// it.
    ZMQ_XPUB_WELCOME_MSG = 72, since "4.2", SocketsOf(&[Pub, XPub]), AtOnce, Set, ANY_BYTES, ALL:
        set_xpub_welcome_message(impl AsRef<[u8]>), xpub_welcome_message(Bytes) = Bytes::new();

    /// Whether a STREAM receives an empty frame when a peer connects, and another when it leaves.
    ZMQ_STREAM_NOTIFY = 73, since "4.2", SocketsOf(&[Stream]), Later, Set, FLAG, ALL:
        set_stream_notify(bool), stream_notify(bool) = true;

    /// Whether a PUB or XPUB sends to those who do *not* subscribe to a message, and a SUB takes what
    /// it does *not* subscribe to. Both ends must agree.
    ZMQ_INVERT_MATCHING = 74, since "4.2", SocketsOf(&[Pub, Sub, XPub]), AtOnce, SetAndGet,
        OptionForm::Flag(OptionTruth::NotZero), ALL:
        set_invert_matching(bool), invert_matching(bool) = false;

    /// How often to ask a silent peer for a sign of life; `None`, never.
    ZMQ_HEARTBEAT_IVL = 75, since "4.2", Sockets, Later, SetAndGet, INTERVAL, ALL:
        set_heartbeat_interval(Option<Duration>), heartbeat_interval(Option<Duration>) = None;

    /// After what silence of ours the peer shall give us up, in tenths of a second, up to 6553.5 s;
    /// zero, never. It is told with each heartbeat.
    ZMQ_HEARTBEAT_TTL = 76, since "4.2", Sockets, Later, SetAndGet, MILLISECONDS.up_to(6_553_599), ALL:
        set_heartbeat_ttl(Duration), heartbeat_ttl(Duration) = Duration::ZERO;

    /// How long the peer may take to answer a heartbeat; `None`, as long as the interval; zero, for
    /// ever.
    ZMQ_HEARTBEAT_TIMEOUT = 77, since "4.2", Sockets, Later, SetAndGet, PATIENCE, ALL:
        set_heartbeat_timeout(Option<Duration>), heartbeat_timeout(Option<Duration>) = None;

    /// Whether an XPUB receives every subscription and every cancellation. Turned off, it takes
    /// [`set_xpub_verbose`](Self::set_xpub_verbose) back, too.
    ZMQ_XPUB_VERBOSER = 78, since "4.2", SocketsOf(&[XPub]), AtOnce, Set, POSITIVE, ALL:
        set_xpub_verboser(bool), xpub_verboser(bool) = false;

    /// How long one attempt to connect may take, and before it the look-up of a name; `None`: as long as
    /// the system tries.
    ZMQ_CONNECT_TIMEOUT = 79, since "4.2", Sockets, Later, SetAndGet, INTERVAL, ALL:
        set_connect_timeout(Option<Duration>), connect_timeout(Option<Duration>) = None;

    /// How long data over `tcp://` may stay without an answer before the connection is given up, in
    /// milliseconds; `None`: as long as the system tries. Bind and connect fail where the system
    /// refuses it.
    ZMQ_TCP_MAXRT = 80, since "4.2", Sockets, Later, SetAndGet, INTERVAL, LINUX:
        set_tcp_max_retransmit(Option<Duration>), tcp_max_retransmit(Option<Duration>) = None;

    /// A socket that listens already, for the next endpoint of streams to be bound to it instead
    /// of to a new one. It has to be one of that transport; the endpoint is then where the socket is, and
    /// options of the listening socket, its backlog and its file are left as they are. Bind has a handle
    /// of its own, closed with the endpoint, and keeps the value only if it fails. What is set by its
    /// number stays whose it was, and has to be open until then: libzmq closes it with the endpoint, and
    /// binds every later one to it, too.
    ZMQ_USE_FD = 89, since "4.2", Sockets, Next, SetAndGet,
        OptionForm::int(OptionUnit::One, 0).or_none(&[-1]), ALL:
        set_listening_socket(Option<ListeningSocket>), listening_socket(Option<ListeningSocket>) = None;

    /// The network device that connections over `tcp://` have to go through, by its name; `None`:
    /// any. Bind and connect fail where the system refuses it, be it for want of such a device, or
    /// of the right to choose.
    ZMQ_BINDTODEVICE = 92, since "4.3", Sockets, Later, SetAndGet, OptionForm::Text { most: 16 }, LINUX:
        set_bind_to_device(Option<&str>), bind_to_device(Option<String>) = None;

    /// Whether peers are refused that a handler is to judge by [its domain](Self::set_zap_domain) when
    /// there is none. If not, those of the NULL mechanism are let in, and those of CURVE that have the
    /// server's key. Those of PLAIN never are without a handler. With CURVE and this, but without a domain,
    /// no handler is asked.
    ZMQ_ZAP_ENFORCE_DOMAIN = 93, since "4.3", Sockets, Later, SetAndGet,
        OptionForm::Flag(OptionTruth::NotZero), ALL:
        set_zap_enforce_domain(bool), zap_enforce_domain(bool) = false;

    /// Whether connections over `tcp://` within this machine take the short way that Windows had for them
    /// from Windows 8 on, where both ends ask for it (`SIO_LOOPBACK_FAST_PATH`). Where the system does not
    /// know it, nothing changes; other systems than Windows never did.
    ZMQ_LOOPBACK_FASTPATH = 94, since "4.3", Sockets, Later, SetAndGet,
        OptionForm::Flag(OptionTruth::NotZero), ALL:
        set_loopback_fast_path(bool), loopback_fast_path(bool) = false;

    /// Properties for peers to see, besides those that ZMTP has: names that begin with `X-`, and
    /// values, neither of which is empty. The setter replaces those set before.
    ZMQ_METADATA = 95, since "4.3", Sockets, Later, Set, OptionForm::Property, ALL:
        set_metadata(&[(&str, &str)]), metadata(Vec<(String, Bytes)>) = Vec::new();

    /// Whether the multicast datagrams of a RADIO also come to DISHes of this machine that are bound to
    /// the group. Windows asks those who receive instead: there, set it at the DISH, too.
    ZMQ_MULTICAST_LOOP = 96, since "4.3", Sockets, Later, SetAndGet,
        OptionForm::Flag(OptionTruth::NotZero), ALL:
        set_multicast_loop(bool), multicast_loop(bool) = true;

    /// Whether a ROUTER receives an empty message from each peer when it connects, and another when
    /// the connection is lost, after its last message. Peers within the process are not told of.
    ZMQ_ROUTER_NOTIFY = 97, since "4.3", SocketsOf(&[Router]), Later, SetAndGet,
        OptionForm::int(OptionUnit::One, 0).up_to(3), ALL:
        set_router_notify(RouterNotify), router_notify(RouterNotify) = RouterNotify::NEVER;

    /// The same as [`set_xpub_manual`](Self::set_xpub_manual), and what is sent right after a
    /// subscription was received goes to that peer only: the last value, which the others have.
    ZMQ_XPUB_MANUAL_LAST_VALUE = 98, since "4.3", SocketsOf(&[XPub]), AtOnce, Set, POSITIVE, ALL:
        set_xpub_manual_last_value(bool), xpub_manual_last_value(bool) = false;

    /// The name by which the [proxy](Self::set_socks_proxy) knows us; `None`: it need not know.
    ZMQ_SOCKS_USERNAME = 99, since "4.3", Sockets, Later, SetAndGet, OptionForm::Text { most: 255 }, ALL:
        set_socks_username(Option<&str>), socks_username(Option<String>) = None;

    /// The password that goes with [the name](Self::set_socks_username).
    ZMQ_SOCKS_PASSWORD = 100, since "4.3", Sockets, Later, SetAndGet, OptionForm::Text { most: 255 }, ALL:
        set_socks_password(Option<&str>), socks_password(Option<String>) = None;

    /// How many bytes are received at once from each connection; `None`: as many as the engine has room
    /// for, which is 128 KiB. libzmq has 8192 by default.
    ZMQ_IN_BATCH_SIZE = 101, since "4.3.3", Sockets, Later, SetAndGet, BATCH, ALL:
        set_in_batch_size(Option<usize>), in_batch_size(Option<usize>) = None;

    /// About how many bytes are given to the system at once of what waits for a connection; `None`: 256
    /// KiB. libzmq has 8192 by default.
    ZMQ_OUT_BATCH_SIZE = 102, since "4.3.3", Sockets, Later, SetAndGet, BATCH, ALL:
        set_out_batch_size(Option<usize>), out_batch_size(Option<usize>) = None;

    /// The private key that goes with [the certificate](Self::set_wss_cert_pem) of a server, in PEM. `bind`
    /// fails where it does not.
    ZMQ_WSS_KEY_PEM = 103, since "4.3.3", Sockets, Later, Set, TEXT, ALL:
        set_wss_key_pem(Option<&str>), wss_key_pem(Option<String>) = None;

    /// The certificate that whoever connects to `wss://` endpoints bound from now on is shown, in PEM, and
    /// behind it those that lead to one that clients trust. It names the server as an alternative name
    /// (`subjectAltName`), not only as its subject. Without it, and [its
    /// key](Self::set_wss_key_pem), `bind` fails.
    ZMQ_WSS_CERT_PEM = 104, since "4.3.3", Sockets, Later, Set, TEXT, ALL:
        set_wss_cert_pem(Option<&str>), wss_cert_pem(Option<String>) = None;

    /// The certificates, in PEM, of those whose word is enough that a server of `wss://` is whom we want to
    /// reach: of authorities, or a server's own, if it is not that of an authority (`CA:TRUE`, which
    /// `openssl req -x509` makes unless it is told not to). Unless there are some, or [the system's](Self::set_wss_trust_system) are, `connect` fails.
    ZMQ_WSS_TRUST_PEM = 105, since "4.3.3", Sockets, Later, Set, TEXT, ALL:
        set_wss_trust_pem(Option<&str>), wss_trust_pem(Option<String>) = None;

    /// The name, or address, that the certificate of a server of `wss://` has to be for; `None`: that of the
    /// endpoint. libzmq takes none for any, which lets everybody in who has a certificate of those that are
    /// [trusted](Self::set_wss_trust_pem).
    ZMQ_WSS_HOSTNAME = 106, since "4.3.3", Sockets, Later, Set, OptionForm::Text { most: 255 }, ALL:
        set_wss_hostname(Option<&str>), wss_hostname(Option<String>) = None;

    /// Whether the certificates that the system trusts are enough for a server of `wss://`.
    ZMQ_WSS_TRUST_SYSTEM = 107, since "4.3.3", Sockets, Later, Set, FLAG, ALL:
        set_wss_trust_system(bool), wss_trust_system(bool) = false;

    /// Whether only the first frame of a message that an XSUB sends, or an XPUB receives, may be a
    /// subscription or its end, and the others are the user's whatever they begin with. The manual is
    /// followed here: libzmq's XPUB goes on to take the others for subscriptions if the first is one.
    ZMQ_ONLY_FIRST_SUBSCRIBE = 108, since "4.3.5", SocketsOf(&[Pub, XPub, XSub]), AtOnce, Set, POSITIVE, ALL:
        set_only_first_subscribe(bool), only_first_subscribe(bool) = false;

    /// When a connection is not made anew.
    ZMQ_RECONNECT_STOP = 109, since "4.3.3", Sockets, Later, SetAndGet,
        OptionForm::int(OptionUnit::One, 0).up_to(7), ALL:
        set_reconnect_stop(ReconnectStop), reconnect_stop(ReconnectStop) = ReconnectStop::NEVER;

    /// What a ROUTER, DEALER, CLIENT, SERVER or PEER sends to each peer first, with every connection;
    /// empty, nothing.
    ZMQ_HELLO_MSG = 110, since "4.3.5", SocketsOf(&[Client, Dealer, Peer, Router, Server]), Later, Set,
        ANY_BYTES, ALL:
        set_hello_message(impl AsRef<[u8]>), hello_message(Bytes) = Bytes::new();

    /// What a ROUTER, SERVER or PEER receives, as if from the peer, when a connection that it accepted is
    /// lost; within the process, when a socket that has connected to it disconnects or is closed. Empty,
    /// nothing.
    ZMQ_DISCONNECT_MSG = 111, since "4.3.5", SocketsOf(&[Peer, Router, Server]), Later, Set, ANY_BYTES,
        ALL:
        set_disconnect_message(impl AsRef<[u8]>), disconnect_message(Bytes) = Bytes::new();

    /// The priority of the packets sent over `tcp://` within the system, from 0. Bind and connect
    /// fail where the system refuses it, which may keep those above 6 to itself.
    ZMQ_PRIORITY = 112, since "4.3.5", Sockets, Later, SetAndGet, OptionForm::int(OptionUnit::One, 0), LINUX:
        set_priority(u32), priority(u32) = 0;

    /// For how many microseconds the system looks at the network device itself when there is nothing
    /// to receive over `tcp://`, instead of waiting to be interrupted. Bind and connect fail where the
    /// system refuses it.
    ZMQ_BUSY_POLL = 113, since "4.3.5", Sockets, Later, Set, OptionForm::int(OptionUnit::One, 0), LINUX:
        set_busy_poll(u32), busy_poll(u32) = 0;

    /// What a DEALER, CLIENT or PEER receives, as if from the peer, when a connection that it made is lost,
    /// but not within the process; empty, nothing.
    ZMQ_HICCUP_MSG = 114, since "4.3.5", SocketsOf(&[Client, Dealer, Peer]), Later, Set, ANY_BYTES, ALL:
        set_hiccup_message(impl AsRef<[u8]>), hiccup_message(Bytes) = Bytes::new();

    /// Whether an XSUB tells its peers of every end of a subscription, and not only of the last to
    /// each topic.
    ZMQ_XSUB_VERBOSE_UNSUBSCRIBE = 115, since "4.3.5", SocketsOf(&[XSub]), AtOnce, Set,
        OptionForm::Flag(OptionTruth::NotZero), ALL:
        set_xsub_verbose_unsubscribe(bool), xsub_verbose_unsubscribe(bool) = false;
}
