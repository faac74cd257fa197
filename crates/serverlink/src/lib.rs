//! ZeroMQ's socket patterns in Rust, wire-compatible with every ZeroMQ peer, on an I/O engine
//! that is completion-based everywhere and native IOCP on Windows.
//!
//! A [`Context`] opens [`Socket`]s; sockets [`bind`](Socket::bind) and
//! [`connect`](Socket::connect) to endpoints (`tcp://`, `ipc://`, `inproc://`, `wss://`…) and
//! exchange [`Message`]s of one or more [`Frame`]s, by the pattern of their
//! [`SocketType`].
//!
//! ```
//! use serverlink::{Context, SocketType};
//!
//! let context = Context::new()?;
//! let publisher = context.socket(SocketType::XPub)?;
//! let endpoint = publisher.bind("tcp://127.0.0.1:*")?;
//!
//! let subscriber = context.socket(SocketType::Sub)?;
//! subscriber.subscribe("weather.")?;
//! subscriber.connect(&endpoint)?;
//! assert_eq!(publisher.recv()?[0], "\u{1}weather.");
//!
//! publisher.send("traffic.berlin: jam")?;
//! publisher.send("weather.berlin: rain")?;
//! assert_eq!(subscriber.recv()?[0], "weather.berlin: rain");
//! # Ok::<(), serverlink::Error>(())
//! ```
#![deny(unsafe_code)]

mod cache;
mod context;
mod curve;
mod diagnostics;
mod endpoint;
mod error;
mod message;
mod options;
mod pattern;
mod pipe;
mod poller;
mod proxy;
mod socket;
mod timers;
mod transport;

pub use context::{Context, ContextBuilder, LingeringConnection, OpenSocket, TerminationReport};
pub use curve::{curve_keypair, curve_public};
pub use error::{Error, Result, SendError};
pub use message::{Frame, IntoIter, IntoMessage, Iter, Message};
pub use options::{
    ListeningSocket, OptionAccess, OptionForm, OptionInfo, OptionOwners, OptionSystems, OptionTime,
    OptionTruth, OptionUnit, ReconnectStop, RouterNotify, SecurityMechanism, context_options,
    message_options, socket_options,
};
#[cfg(unix)]
pub use poller::poll_with_signals;
pub use poller::{EventDescriptor, Events, PollEvent, PollItem, Poller, poll};
pub use proxy::{
    Proxy, ProxyBuilder, ProxyCounts, ProxyHandle, ProxyStatistics, proxy, proxy_steerable,
};
#[cfg(unix)]
pub use serverlink_io::SignalMask;
pub use serverlink_io::{PortStatistics, backends};
pub use serverlink_zmtp::{
    CurveKeyError, CurveKeyPair, CurvePublicKey, CurveSecretKey, SocketType, Z85Error, z85_decode,
    z85_encode,
};
pub use socket::{
    Monitor, MonitorEvent, MonitorEventKind, MonitorFault, MonitorVersion, MonitoredPeer,
    PeerProperties, PeerStatistics, PeerStatus, Received, Socket,
};
pub use timers::{TimerId, Timers};
