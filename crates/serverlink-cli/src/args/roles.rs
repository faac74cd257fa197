//! Options of each family of sockets.

use std::net::SocketAddr;

use clap::Args;

use super::{CommonArgs, InputArgs, link::boxed};
use crate::values;

/// `push` and `scatter`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
}

/// `pull` and `gather`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReceiveArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// How what arrives is printed.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Format")]
pub(crate) struct OutputArgs {
    /// Print the messages' bytes and nothing else: no newline after them, and nothing
    /// between frames unless --delimiter is given. Without it a terminal is shown control
    /// characters as \xNN, and obeys none
    #[arg(long, conflicts_with_all = ["json", "null"])]
    pub(crate) raw: bool,
}

/// `pub` and `xpub`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PublishArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Put a frame with this topic before each message
    #[arg(long, value_name = "TOPIC", help_heading = "Topics")]
    pub(crate) topic: Option<String>,
    /// Begin each message's first frame with this text
    #[arg(long, value_name = "TEXT", help_heading = "Topics", conflicts_with = "topic")]
    pub(crate) prefix: Option<String>,
    /// Send nothing before N subscriptions have come; what is published earlier is lost
    #[arg(long, value_name = "N", help_heading = "Topics", default_value_t = 0)]
    pub(crate) wait_subscribers: u64,
}

/// `sub` and `xsub`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SubscribeArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Receive messages that begin with this text (repeatable) [default: all messages]
    #[arg(long, value_name = "TOPIC", help_heading = "Topics")]
    pub(crate) topic: Vec<String>,
    /// Receive messages whose whole first frame matches: * is anything, ? any byte, [a-c] and [^a-c]
    /// a byte that is one of them and that is not, and \ before a byte takes it as it is
    /// (repeatable)
    #[arg(long, value_name = "PATTERN", help_heading = "Topics", value_parser = values::pattern)]
    pub(crate) pattern: Vec<String>,
}

/// `radio`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RadioArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    /// Send the messages to this group
    #[arg(long, short, value_name = "GROUP", help_heading = "Groups", default_value = "")]
    pub(crate) group: String,
}

/// `dish`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DishArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Receive the messages of this group (repeatable) [default: those that name none]
    #[arg(long, short, value_name = "GROUP", help_heading = "Groups", default_value = "")]
    pub(crate) group: Vec<String>,
}

/// `req`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RequestArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `rep`, `router` and `server`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReplyArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Reply with this text to every message; \n, \xNN and the like are understood
    #[arg(value_name = "REPLY", value_parser = boxed(values::unescape), conflicts_with = "echo")]
    pub(crate) reply: Option<Box<[u8]>>,
    /// Reply with what came; `rep` and `server` do so unless they have a REPLY
    #[arg(long, short)]
    pub(crate) echo: bool,
}

/// `dealer`, `pair`, `client` and `channel`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DuplexArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    /// Print nothing, and end when the input is sent
    #[arg(long, conflicts_with_all = ["receive_only", "raw"])]
    pub(crate) send_only: bool,
    /// Read no input
    #[arg(long, conflicts_with_all = ["messages", "file", "size"])]
    pub(crate) receive_only: bool,
}

/// `stream` and `peer`.
#[derive(Debug, Clone, Args)]
pub(crate) struct AddressedArgs {
    #[command(flatten)]
    pub(crate) both: DuplexArgs,
    /// Send what comes back to whom it came from, and no input
    #[arg(long, short, conflicts_with_all = ["messages", "file", "size", "send_only"])]
    pub(crate) echo: bool,
}

/// `dgram`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DgramArgs {
    #[command(flatten)]
    pub(crate) addressed: AddressedArgs,
    /// Send the input to this address, like 127.0.0.1:5555 (repeatable)
    #[arg(long, value_name = "ADDRESS:PORT", conflicts_with = "echo")]
    pub(crate) to: Vec<SocketAddr>,
}
