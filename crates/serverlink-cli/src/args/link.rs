//! Options of every socket: where it is bound and connected, how long it works, what it tells.

use std::time::Duration;

use clap::Args;

use super::{SecurityArgs, TlsArgs};
use crate::values::{self, Linger};

/// What all socket commands share.
#[derive(Debug, Clone, Args)]
pub(crate) struct CommonArgs {
    #[command(flatten)]
    pub(crate) socket: SocketArgs,
    #[command(flatten)]
    pub(crate) security: SecurityArgs,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) framing: FramingArgs,
}

/// The socket and its links.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Socket")]
pub(crate) struct SocketArgs {
    #[command(flatten)]
    pub(crate) endpoints: EndpointArgs,
    /// I/O backend, or the first of several that starts, see `serverlink backends`
    /// [default: $SERVERLINK_BACKEND, or else the best]
    #[arg(long, value_name = "NAME,…", value_parser = backend)]
    pub(crate) backend: Option<String>,
    /// Queue at most N messages per peer, in each direction; 0: no limit [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) hwm: Option<u32>,
    /// Wait so long for unsent messages at the end: a duration, 0 or forever
    /// [default: --timeout, or else forever]
    #[arg(long, value_name = "DURATION", value_parser = values::linger)]
    pub(crate) linger: Option<Linger>,
    /// Name this socket has for ROUTER peers: text, or 0x and hexadecimal digits
    #[arg(long, value_name = "ID", value_parser = boxed(values::routing_id))]
    pub(crate) routing_id: Option<Box<[u8]>>,
    /// Use IPv6 for names and `*` too
    #[arg(long, short = '6')]
    pub(crate) ipv6: bool,
}

/// Where the socket is bound and connected.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = true)]
pub(crate) struct EndpointArgs {
    /// Listen here, like tcp://*:5555 or ipc:///tmp/socket; port * takes a free one (repeatable)
    #[arg(long, short, value_name = "ENDPOINT", value_parser = values::bind_endpoint)]
    pub(crate) bind: Vec<String>,
    /// Connect to a peer there, like tcp://localhost:5555 or ipc:///tmp/socket (repeatable)
    #[arg(long, short, value_name = "ENDPOINT", value_parser = values::connect_endpoint)]
    pub(crate) connect: Vec<String>,
}

/// How long to work, and what to tell.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Run")]
pub(crate) struct RunArgs {
    /// Stop after N messages
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// Stop when nothing came, or no peer took a message, for so long, like 500ms or 2s
    #[arg(long, short, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Print messages, errors and statistics as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Tell messages, bytes and rates on standard error at the end
    #[arg(long)]
    pub(crate) stats: bool,
    /// Tell nothing but errors on standard error
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// How messages and their frames are told apart in text.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Format")]
pub(crate) struct FramingArgs {
    /// Messages end with a NUL byte instead of a newline, in input and output
    #[arg(long, short = '0')]
    pub(crate) null: bool,
    /// Text between the frames of a message; \t, \n, \0, \xNN are understood [default: \t]
    #[arg(long, short, value_name = "TEXT", value_parser = boxed(values::unescape))]
    pub(crate) delimiter: Option<Box<[u8]>>,
}

impl FramingArgs {
    /// The byte that ends a message.
    pub(crate) fn separator(&self) -> u8 {
        if self.null { 0 } else { b'\n' }
    }

    /// The bytes between frames.
    pub(crate) fn delimiter(&self) -> &[u8] {
        self.delimiter.as_deref().unwrap_or(b"\t")
    }
}

type Parsed<T> = Result<T, String>;

/// clap takes a `Vec` for an option given several times, but not a boxed slice.
pub(super) fn boxed(
    parse: fn(&str) -> Parsed<Vec<u8>>,
) -> impl Fn(&str) -> Parsed<Box<[u8]>> + Clone + Send + Sync {
    move |text| parse(text).map(Vec::into_boxed_slice)
}

/// The names of backends that this build has.
pub(super) fn backend(names: &str) -> Parsed<String> {
    let backends = serverlink::backends();
    if names.split(',').all(|name| backends.contains(&name.trim())) {
        Ok(names.to_owned())
    } else {
        Err(format!("this machine has: {}", backends.join(", ")))
    }
}
