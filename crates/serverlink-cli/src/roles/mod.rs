//! What each socket type does with lines.

mod arrivals;
mod both_ways;
mod duplex;
mod publish;
mod receive;
mod reply;
mod request;
mod send;

use serverlink::SocketType;

use crate::args::Command;

/// Runs a role to its end and returns the exit code.
pub(crate) fn run(command: Command) -> u8 {
    match command {
        Command::Push(args) => send::run(SocketType::Push, args),
        Command::Pub(args) => publish::run(SocketType::Pub, args),
        Command::Xpub(args) => publish::run(SocketType::XPub, args),
        Command::Pull(args) => receive::pull(args),
        Command::Sub(args) => receive::subscribe(SocketType::Sub, args),
        Command::Xsub(args) => receive::subscribe(SocketType::XSub, args),
        Command::Req(args) => request::run(args),
        Command::Rep(args) => reply::run(SocketType::Rep, args),
        Command::Router(args) => reply::run(SocketType::Router, args),
        Command::Dealer(args) => duplex::run(SocketType::Dealer, args),
        Command::Pair(args) => duplex::run(SocketType::Pair, args),
        Command::Proxy(_) | Command::Demo(_) | Command::Backends { .. } => {
            unreachable!("they open no such socket")
        }
    }
}
