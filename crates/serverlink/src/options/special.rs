//! Options that are no values a socket keeps: what it is asked to do, and what it tells of itself.

#[cfg(unix)]
use std::os::fd::AsRawFd;
#[cfg(windows)]
use std::os::windows::io::AsRawSocket;

use super::{
    OptionAccess::{Get, Set, SetAndGet},
    OptionForm, OptionInfo,
    OptionOwners::{Sockets, SocketsOf},
    OptionSystems,
    OptionTime::{AtOnce, Later, Never},
    OptionTruth, OptionUnit, SecurityMechanism,
};
use crate::{Error, EventDescriptor, Events, Result, Socket, SocketType};

type Getter = fn(&Socket) -> Result<Vec<u8>>;
type Setter = fn(&Socket, &[u8]) -> Result<()>;

/// The row of such an option.
pub(super) struct SpecialRow {
    pub(super) info: OptionInfo,
    pub(super) get: Option<Getter>,
    pub(super) set: Option<Setter>,
}

pub(super) fn row(id: i32) -> Option<&'static SpecialRow> {
    ROWS.iter().find(|row| row.info.id == id)
}

const ANY_BYTES: OptionForm = OptionForm::Bytes { least: 0, most: usize::MAX };
const NUMBER: OptionForm = OptionForm::int(OptionUnit::One, 0);

const PLAIN: OptionInfo = OptionInfo {
    name: "",
    constant: "",
    id: 0,
    form: NUMBER,
    owners: Sockets,
    time: Never,
    access: Get,
    since: "2.0",
    systems: OptionSystems::ALL,
    summary: "",
    unsupported: None,
    default: || None,
};

pub(super) const ROWS: &[SpecialRow] = &[
    SpecialRow {
        info: OptionInfo {
            name: "subscribe",
            constant: "ZMQ_SUBSCRIBE",
            id: 6,
            form: ANY_BYTES,
            owners: SocketsOf(&[SocketType::Sub, SocketType::XPub]),
            time: AtOnce,
            access: Set,
            summary: "Subscribes to all messages whose first frame begins with these bytes; an XPUB, \
                      for its peer.",
            ..PLAIN
        },
        get: None,
        set: Some(|socket, topic| by_number("subscribe", socket.subscribe(topic))),
    },
    SpecialRow {
        info: OptionInfo {
            name: "unsubscribe",
            constant: "ZMQ_UNSUBSCRIBE",
            id: 7,
            form: ANY_BYTES,
            owners: SocketsOf(&[SocketType::Sub, SocketType::XPub]),
            time: AtOnce,
            access: Set,
            summary: "Takes one subscription back.",
            ..PLAIN
        },
        get: None,
        set: Some(|socket, topic| by_number("unsubscribe", socket.unsubscribe(topic))),
    },
    SpecialRow {
        info: OptionInfo {
            name: "rcvmore",
            constant: "ZMQ_RCVMORE",
            id: 13,
            summary: "Whether more frames of the message received last follow: never, for messages \
                      are received as a whole.",
            ..PLAIN
        },
        get: Some(|_| Ok(int(0))),
        set: None,
    },
    SpecialRow {
        info: OptionInfo {
            name: "change_descriptor",
            constant: "ZMQ_FD",
            id: 14,
            form: OptionForm::Descriptor,
            since: "2.1",
            summary: "A descriptor, to be polled for readability only, that is readable once \
                      something has changed since the option `events` was asked for, or a call \
                      found that it would have to wait: then ask again. It is the socket's, and \
                      must not be read from or closed. libzmq has none for the types whose messages \
                      have one frame.",
            ..PLAIN
        },
        get: Some(|socket| Ok(descriptor(&socket.change_descriptor()?))),
        set: None,
    },
    SpecialRow {
        info: OptionInfo {
            name: "events",
            constant: "ZMQ_EVENTS",
            id: 15,
            since: "2.1",
            summary: "What can be done without waiting: the sum of 1, if a message can be received, \
                      and 2, if one can be sent.",
            ..PLAIN
        },
        get: Some(|socket| {
            let events = socket.events()?;
            let bit = |event, bit| if events.contains(event) { bit } else { 0 };
            Ok(int(bit(Events::IN, 1) | bit(Events::OUT, 2)))
        }),
        set: None,
    },
    SpecialRow {
        info: OptionInfo {
            name: "socket_type",
            constant: "ZMQ_TYPE",
            id: 16,
            summary: "The type of the socket.",
            ..PLAIN
        },
        get: Some(|socket| Ok(int(type_id(socket.socket_type())))),
        set: None,
    },
    SpecialRow {
        info: OptionInfo {
            name: "ipv4_only",
            constant: "ZMQ_IPV4ONLY",
            id: 31,
            form: OptionForm::Flag(OptionTruth::One),
            time: Later,
            access: SetAndGet,
            since: "3.0",
            summary: "The opposite of `ipv6`, for programs of old.",
            default: || Some(int(1)),
            ..PLAIN
        },
        get: Some(|socket| Ok(int(i32::from(!socket.ipv6())))),
        set: Some(|socket, value| match value.try_into().map(i32::from_ne_bytes) {
            Ok(only @ (0 | 1)) => socket.set_ipv6(only == 0),
            _ => {
                Err(Error::InvalidOption { option: "ipv4_only", reason: "it takes 0 or 1".into() })
            }
        }),
    },
    SpecialRow {
        info: OptionInfo {
            name: "last_endpoint",
            constant: "ZMQ_LAST_ENDPOINT",
            id: 32,
            form: OptionForm::Text { most: usize::MAX },
            since: "3.0",
            summary: "The endpoint bound or connected last, with everything filled in.",
            ..PLAIN
        },
        get: Some(|socket| {
            let mut bytes = socket.last_endpoint().unwrap_or_default().into_bytes();
            bytes.push(0);
            Ok(bytes)
        }),
        set: None,
    },
    SpecialRow {
        info: OptionInfo {
            name: "mechanism",
            constant: "ZMQ_MECHANISM",
            id: 43,
            since: "4.0",
            summary: "The security mechanism: 0, which is NULL, 1, PLAIN, or 2, CURVE. The options \
                      of the mechanisms say which, the one set last.",
            ..PLAIN
        },
        get: Some(|socket| Ok(int(socket.mechanism().number()))),
        set: None,
    },
    SpecialRow {
        info: OptionInfo {
            name: "thread_safe",
            constant: "ZMQ_THREAD_SAFE",
            id: 81,
            since: "4.2",
            summary: "Whether threads may share a socket that sends and receives frame by frame, as \
                      libzmq says of each type. Here they may share every socket, for messages are \
                      sent and received as a whole.",
            ..PLAIN
        },
        get: Some(|socket| Ok(int(has_single_frames(socket.socket_type()).into()))),
        set: None,
    },
    SpecialRow {
        info: OptionInfo {
            name: "topics_count",
            constant: "ZMQ_TOPICS_COUNT",
            id: 116,
            owners: SocketsOf(&[
                SocketType::Pub,
                SocketType::Sub,
                SocketType::XPub,
                SocketType::XSub,
            ]),
            since: "4.3.5",
            summary: "How many topics are subscribed to: by its peers if it is a PUB or XPUB, by \
                      itself if it is a SUB or XSUB.",
            ..PLAIN
        },
        get: Some(|socket| Ok(int(i32::try_from(socket.topics_count()).unwrap_or(i32::MAX)))),
        set: None,
    },
];

impl Socket {
    /// The security mechanism that what is bound or connected from now on, but within the process, will
    /// use, by its options as they are set now. This is `ZMQ_MECHANISM`.
    #[must_use]
    pub fn mechanism(&self) -> SecurityMechanism {
        self.field(|options| options.mechanism)
    }
}

/// Whether messages of the type have one frame: libzmq's sockets of these are for several threads.
fn has_single_frames(socket_type: SocketType) -> bool {
    /// `ZMQ_STREAM`, after which all are such but DGRAM, whose messages begin with an address.
    const LAST_OF_MANY: i32 = 11;
    type_id(socket_type) > LAST_OF_MANY && socket_type != SocketType::Dgram
}

/// As libzmq has it, what is not for this socket now is no option of it.
fn by_number(option: &'static str, result: Result<()>) -> Result<()> {
    result.map_err(|error| match error {
        Error::InvalidState(reason) => Error::InvalidOption { option, reason: reason.to_owned() },
        other => other,
    })
}

/// As the system has it: an `int`, or on Windows a `SOCKET`.
#[cfg(unix)]
fn descriptor(descriptor: &EventDescriptor) -> Vec<u8> {
    descriptor.as_raw_fd().to_ne_bytes().to_vec()
}

#[cfg(windows)]
fn descriptor(descriptor: &EventDescriptor) -> Vec<u8> {
    descriptor.as_raw_socket().to_ne_bytes().to_vec()
}

fn int(value: i32) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}

/// ZeroMQ's number of a type, which is its place among all.
fn type_id(socket_type: SocketType) -> i32 {
    let place = SocketType::ALL.iter().position(|&other| other == socket_type);
    place.and_then(|place| place.try_into().ok()).unwrap_or(-1)
}
