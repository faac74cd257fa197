//! The command line.

mod demo;
mod input;
mod link;
mod proxy;
mod roles;
mod security;
mod tls;
mod version;

use clap::{Parser, Subcommand};

pub(crate) use demo::DemoArgs;
pub(crate) use input::InputArgs;
pub(crate) use link::{CommonArgs, EndpointArgs, FramingArgs, RunArgs, SocketArgs};
pub(crate) use proxy::ProxyArgs;
pub(crate) use roles::{
    AddressedArgs, DgramArgs, DishArgs, DuplexArgs, PublishArgs, RadioArgs, ReceiveArgs, ReplyArgs,
    RequestArgs, SendArgs, SubscribeArgs,
};
pub(crate) use security::{KeygenArgs, SecurityArgs};
pub(crate) use tls::TlsArgs;

use crate::exit;

const EXAMPLES: &str = "\
Examples:
  serverlink demo
  serverlink pull --bind tcp://*:5555
  seq 1 1000000 | serverlink push --connect tcp://localhost:5555
  serverlink sub --connect tcp://localhost:5556 --topic weather. --json
  serverlink rep --bind tcp://*:5557 --echo
  serverlink req --connect tcp://localhost:5557 --timeout 2s hello
  serverlink proxy router,bind=tcp://*:5559 dealer,bind=tcp://*:5560 --every 10s
  serverlink keygen server.key
  serverlink pull --bind tcp://*:5555 --curve-server --curve-secret-key-file server.key
  serverlink push --connect tcp://localhost:5555 --curve-server-key-file server.key.pub hello

Messages are lines by default: a sender strips the newline, a receiver adds one.
Bound endpoints are told on standard error as `bound to tcp://...`, so that
tcp://127.0.0.1:* (a free port) is of use to scripts.
";

/// Talk to any ZeroMQ peer from the shell.
#[derive(Debug, Parser)]
#[command(name = "serverlink", version, long_version = version::long())]
#[command(after_help = format!("{EXAMPLES}\n{}", exit::help()), max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to be.
#[derive(Debug, Subcommand)]
#[command(disable_help_subcommand = true)]
pub(crate) enum Command {
    /// Send messages, shared out among the pulling peers.
    Push(SendArgs),
    /// Print messages from pushing peers.
    Pull(ReceiveArgs),
    /// Publish messages to every subscriber.
    Pub(PublishArgs),
    /// Print the messages subscribed to.
    Sub(SubscribeArgs),
    /// Publish messages, and print who subscribes to what.
    Xpub(PublishArgs),
    /// Print the messages subscribed to, with an XSUB socket.
    Xsub(SubscribeArgs),
    /// Send requests, and print the reply to each.
    Req(RequestArgs),
    /// Print requests, and reply to each.
    Rep(ReplyArgs),
    /// Send messages while printing what arrives.
    Dealer(DuplexArgs),
    /// Print messages with the routing id of their sender, and perhaps reply.
    Router(ReplyArgs),
    /// Send messages to one peer while printing what arrives.
    Pair(DuplexArgs),
    /// Send messages to SERVERs while printing what arrives.
    Client(DuplexArgs),
    /// Print the messages of CLIENTs, and reply to each.
    Server(ReplyArgs),
    /// Send messages to every DISH in a group.
    Radio(RadioArgs),
    /// Print the messages of some groups, each with its group.
    Dish(DishArgs),
    /// Send messages, shared out among the gathering peers.
    Scatter(SendArgs),
    /// Print messages from scattering peers.
    Gather(ReceiveArgs),
    /// Send messages to one CHANNEL while printing what arrives.
    Channel(DuplexArgs),
    /// Send messages to the PEERs connected to while printing what arrives.
    Peer(AddressedArgs),
    /// Send bytes to the peers connected to, which speak no ZMTP, and print theirs with the
    /// routing id of their connection.
    Stream(AddressedArgs),
    /// Send datagrams to addresses, and print those that arrive with the address of their sender.
    Dgram(DgramArgs),
    /// Pass messages on between two sockets, both ways.
    Proxy(ProxyArgs),
    /// Run the patterns side by side for some seconds and measure them.
    Demo(DemoArgs),
    /// Make a pair of CURVE keys: who knows the public one can encrypt for who has the secret one.
    Keygen(KeygenArgs),
    /// List the I/O backends that start on this machine, best first, and why others do not.
    Backends {
        /// Print a JSON array.
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        let help = Cli::command().render_long_help().to_string();
        for (code, meaning) in exit::TABLE {
            assert!(help.contains(&format!("{code:>3}  {meaning}")), "{code}");
        }
    }
}
