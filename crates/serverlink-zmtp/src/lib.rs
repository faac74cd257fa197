//! ZMTP 3.1, the ZeroMQ Message Transport Protocol, as a state machine without I/O. It also talks to
//! peers of the versions 3.0, 2.0 and 1.0.
//!
//! A [`Connection`] is one end of one ZMTP connection. It owns no socket, reads no clock and
//! starts no thread: bytes and the present time go in, events and bytes to send come out. For the keys of
//! CURVE it asks the system for random bytes. The
//! crate says what the bytes mean; what a socket then does with a message is decided elsewhere.
//!
//! * [`Config`] says what this end is; [`Peer`] what the other end turned out to be.
//! * [`Connection`] performs the greeting and the handshake, decodes frames and commands, and keeps
//!   the heartbeat; [`WebConnection`] does the same over a WebSocket.
//! * [`encode_frame`], [`encode_header`], [`encode_subscription`], [`encode_pattern`] and
//!   [`encode_membership`] write what is sent, and [`Frames`] finds the frames in bytes already written;
//!   a [`Sealer`] encrypts them, with the CURVE mechanism.
//! * [`Error`] says whose fault a failure is.
//!
//! Sources: [RFC 37](https://rfc.zeromq.org/spec/37/) (ZMTP 3.1),
//! [RFC 23](https://rfc.zeromq.org/spec/23/) (ZMTP 3.0), [RFC 15](https://rfc.zeromq.org/spec/15/)
//! (ZMTP 2.0), [RFC 13](https://rfc.zeromq.org/spec/13/) (ZMTP 1.0),
//! [RFC 24](https://rfc.zeromq.org/spec/24/) (PLAIN), [RFC 25](https://rfc.zeromq.org/spec/25/) and
//! [RFC 26](https://rfc.zeromq.org/spec/26/) (CURVE), [RFC 45](https://rfc.zeromq.org/spec/45/) (ZeroMQ
//! over WebSockets, [RFC 6455](https://www.rfc-editor.org/rfc/rfc6455)), and the observed behaviour of libzmq 4.3.5 where
//! they leave room.
#![forbid(unsafe_code)]

mod command;
mod config;
mod connection;
mod curve;
mod decoder;
mod error;
mod event;
mod frame;
mod framing;
mod greeting;
mod greetings;
mod handshake;
mod heartbeat;
mod metadata;
mod older;
mod output;
mod peer;
mod plain;
mod room;
mod socket_type;
mod traffic;
mod web;
mod z85;

pub use command::{MAX_PATTERN_LEN, encode_membership, encode_pattern, encode_subscription};
pub use config::{Config, Credentials, Heartbeat, Mechanism, PlainLogin};
pub use connection::Connection;
pub use curve::{
    CurveClient, CurveKeyError, CurveKeyPair, CurvePublicKey, CurveSecretKey, SEALED, Sealer,
};
pub use decoder::VERY_LONG_FRAME;
pub use error::{ApiMisuse, Error, PeerIncompatible, PeerMisbehaved, Refusal, TimedOut};
pub use event::{Event, FrameBody};
pub use frame::{FrameSpan, Frames, MAX_HEADER_LEN, encode_frame, encode_header, frame_len};
pub use framing::{Framing, MAX_OLD_HEADER_LEN};
pub use greeting::Version;
pub use metadata::PATTERNS_PROPERTY;
pub use peer::Peer;
pub use socket_type::{SocketType, UnknownSocketType};
pub use web::{MAX_WEB_HEADER_LEN, WebConnection, WebFramer};
pub use z85::{Z85Error, z85_decode, z85_encode};
