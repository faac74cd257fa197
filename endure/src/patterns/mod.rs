//! The patterns, and how each is tried.

mod datagrams;
mod dealt;
mod echo;
mod gathered;
mod pair;
mod publish;
mod request;
mod stream;

use serverlink::SocketType;

use crate::world::World;

/// So many links each pattern has.
const LINKS: usize = 4;

/// A pattern that can be run.
pub(crate) struct Pattern {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&World) -> Result<(), String>,
    /// Whether it goes over streams, which can be cut, and not over datagrams.
    pub(crate) streams: bool,
}

const fn over_streams(name: &'static str, run: fn(&World) -> Result<(), String>) -> Pattern {
    Pattern { name, run, streams: true }
}

const fn over_datagrams(name: &'static str, run: fn(&World) -> Result<(), String>) -> Pattern {
    Pattern { name, run, streams: false }
}

/// All of them.
pub(crate) const ALL: &[Pattern] = &[
    over_streams("push-pull", |world| gathered::run(world, SocketType::Push, SocketType::Pull)),
    over_streams("pull-push", |world| dealt::run(world, SocketType::Push, SocketType::Pull)),
    over_streams("scatter-gather", |world| {
        gathered::run(world, SocketType::Scatter, SocketType::Gather)
    }),
    over_streams("gather-scatter", |world| {
        dealt::run(world, SocketType::Scatter, SocketType::Gather)
    }),
    over_streams("dealer-router", |world| echo::run(world, echo::Kind::Router)),
    over_streams("dealer-rep", |world| echo::run(world, echo::Kind::Rep)),
    over_streams("client-server", |world| echo::run(world, echo::Kind::Server)),
    over_streams("peer", |world| echo::run(world, echo::Kind::Peer)),
    over_streams("req-rep", request::run),
    over_streams("pub-sub", |world| publish::run(world, publish::Kind::Sub)),
    over_streams("xpub-xsub", |world| publish::run(world, publish::Kind::XSub)),
    over_streams("radio-dish", |world| publish::run(world, publish::Kind::Dish)),
    over_streams("pair", |world| pair::run(world, SocketType::Pair)),
    over_streams("channel", |world| pair::run(world, SocketType::Channel)),
    over_streams("stream", stream::run),
    over_datagrams("radio-dish-udp", |world| datagrams::run(world, datagrams::Kind::Groups)),
    over_datagrams("dgram", |world| datagrams::run(world, datagrams::Kind::Addresses)),
];
