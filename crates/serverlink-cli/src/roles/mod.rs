//! What each socket type does with lines.

mod addressed;
mod arrivals;
mod both_ways;
mod duplex;
mod publish;
mod receive;
mod reply;
mod request;
mod send;

use serverlink::SocketType;

use crate::args::{Command, RadioArgs, SendArgs};

/// Runs a role to its end and returns the exit code.
pub(crate) fn run(command: Command) -> u8 {
    match command {
        Command::Push(args) => send::run(SocketType::Push, None, args),
        Command::Scatter(args) => send::run(SocketType::Scatter, None, args),
        Command::Radio(args) => {
            let RadioArgs { common, input, group } = args;
            send::run(SocketType::Radio, Some(group), SendArgs { common, input })
        }
        Command::Pub(args) => publish::run(SocketType::Pub, args),
        Command::Xpub(args) => publish::run(SocketType::XPub, args),
        Command::Pull(args) => receive::pull(SocketType::Pull, args),
        Command::Gather(args) => receive::pull(SocketType::Gather, args),
        Command::Dish(args) => receive::groups(args),
        Command::Sub(args) => receive::subscribe(SocketType::Sub, args),
        Command::Xsub(args) => receive::subscribe(SocketType::XSub, args),
        Command::Req(args) => request::run(args),
        Command::Rep(args) => reply::run(SocketType::Rep, args),
        Command::Router(args) => reply::run(SocketType::Router, args),
        Command::Server(args) => reply::run(SocketType::Server, args),
        Command::Dealer(args) => duplex::run(SocketType::Dealer, args),
        Command::Pair(args) => duplex::run(SocketType::Pair, args),
        Command::Client(args) => duplex::run(SocketType::Client, args),
        Command::Channel(args) => duplex::run(SocketType::Channel, args),
        Command::Peer(args) => addressed::peer(args),
        Command::Stream(args) => addressed::stream(args),
        Command::Dgram(args) => addressed::dgram(args),
        Command::Proxy(_) | Command::Demo(_) | Command::Keygen(_) | Command::Backends { .. } => {
            unreachable!("they open no such socket")
        }
    }
}
