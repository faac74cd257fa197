//! Options of `serverlink proxy`.

use std::time::Duration;

use clap::Args;

use super::link::backend;
use crate::values::{self, Linger, SocketValue};

/// `proxy`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ProxyArgs {
    /// One side: a type and endpoints, like router,bind=tcp://*:5559
    #[arg(value_name = "FRONTEND", value_parser = values::socket)]
    pub(crate) frontend: SocketValue,
    /// The other side, like dealer,bind=tcp://*:5560
    #[arg(value_name = "BACKEND", value_parser = values::socket)]
    pub(crate) backend: SocketValue,
    /// Send a copy of everything that passes here, too, like pub,bind=tcp://*:5561
    #[arg(long, value_name = "SOCKET", value_parser = values::socket)]
    pub(crate) capture: Option<SocketValue>,
    /// Obey PAUSE, RESUME, TERMINATE and STATISTICS that come here, like rep,bind=ipc:///tmp/wheel
    #[arg(long, value_name = "SOCKET", value_parser = values::socket)]
    pub(crate) control: Option<SocketValue>,
    /// Queue at most N messages per peer, in each direction; 0: no limit [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) hwm: Option<u32>,
    /// Tell on standard error what has passed each time so long, like 5s
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) every: Option<Duration>,
    /// Tell on standard error what has passed at the end
    #[arg(long)]
    pub(crate) stats: bool,
    /// Wait so long for unsent messages at the end: a duration, 0 or forever
    #[arg(long, value_name = "DURATION", value_parser = values::linger, default_value = "1s")]
    pub(crate) linger: Linger,
    /// I/O backend, see `serverlink backends` [default: $SERVERLINK_BACKEND, or else the best]
    #[arg(long = "backend", id = "io_backend", value_name = "NAME", value_parser = backend)]
    pub(crate) io_backend: Option<String>,
    /// Tell everything as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Tell nothing but errors, and what --every and --stats ask for
    #[arg(long, short)]
    pub(crate) quiet: bool,
}
