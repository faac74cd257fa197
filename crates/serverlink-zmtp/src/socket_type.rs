//! The socket types, and which of them may talk to which.

use std::fmt;
use std::str::FromStr;

/// What a socket is, as announced in the `Socket-Type` property (RFC 37, "The Socket-Type
/// Property").
///
/// ```
/// use serverlink_zmtp::SocketType;
///
/// let kind: SocketType = "dealer".parse()?;
/// assert_eq!(kind.as_str(), "DEALER");
/// assert!(kind.is_compatible_with(SocketType::Router));
/// assert!(!kind.is_compatible_with(SocketType::Sub));
/// # Ok::<(), serverlink_zmtp::UnknownSocketType>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SocketType {
    /// Exclusive pair: exactly one peer, both directions.
    Pair,
    /// Publisher.
    Pub,
    /// Subscriber.
    Sub,
    /// Requester: strictly alternates request and reply.
    Req,
    /// Replier.
    Rep,
    /// Asynchronous requester.
    Dealer,
    /// Asynchronous replier that addresses peers by routing id.
    Router,
    /// Receiving end of a pipeline.
    Pull,
    /// Sending end of a pipeline.
    Push,
    /// Publisher whose application sees the subscriptions.
    XPub,
    /// Subscriber whose application sends the subscriptions.
    XSub,
    /// Bytes to and from peers that do not speak ZMTP: no connection has this type.
    Stream,
    /// Asynchronous replier that addresses peers by number (RFC 41).
    Server,
    /// Asynchronous requester of a SERVER (RFC 41).
    Client,
    /// Publisher to groups (RFC 48).
    Radio,
    /// Subscriber that joins groups (RFC 48).
    Dish,
    /// Receiving end of a pipeline of single-frame messages (RFC 49).
    Gather,
    /// Sending end of such a pipeline (RFC 49).
    Scatter,
    /// Datagrams to and from anybody: no connection has this type.
    Dgram,
    /// One of many that address each other by number (RFC 51).
    Peer,
    /// Exclusive pair for single-frame messages (RFC 52).
    Channel,
}

impl SocketType {
    /// Every socket type, in the order of ZeroMQ's numbering (`ZMQ_PAIR` = 0 and so on).
    pub const ALL: [Self; 21] = [
        Self::Pair,
        Self::Pub,
        Self::Sub,
        Self::Req,
        Self::Rep,
        Self::Dealer,
        Self::Router,
        Self::Pull,
        Self::Push,
        Self::XPub,
        Self::XSub,
        Self::Stream,
        Self::Server,
        Self::Client,
        Self::Radio,
        Self::Dish,
        Self::Gather,
        Self::Scatter,
        Self::Dgram,
        Self::Peer,
        Self::Channel,
    ];

    /// The name on the wire, in capitals.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pair => "PAIR",
            Self::Pub => "PUB",
            Self::Sub => "SUB",
            Self::Req => "REQ",
            Self::Rep => "REP",
            Self::Dealer => "DEALER",
            Self::Router => "ROUTER",
            Self::Pull => "PULL",
            Self::Push => "PUSH",
            Self::XPub => "XPUB",
            Self::XSub => "XSUB",
            Self::Stream => "STREAM",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
            Self::Radio => "RADIO",
            Self::Dish => "DISH",
            Self::Gather => "GATHER",
            Self::Scatter => "SCATTER",
            Self::Dgram => "DGRAM",
            Self::Peer => "PEER",
            Self::Channel => "CHANNEL",
        }
    }

    /// Whether sockets of these two types may be connected (RFC 37, table of legal combinations;
    /// for the types that it does not have, their own RFCs, 41 and 48 to 52). The relation is symmetric.
    #[must_use]
    pub const fn is_compatible_with(self, peer: Self) -> bool {
        use SocketType::{
            Channel, Client, Dealer, Dish, Gather, Pair, Peer, Pub, Pull, Push, Radio, Rep, Req,
            Router, Scatter, Server, Sub, XPub, XSub,
        };
        matches!(
            (self, peer),
            (Pair, Pair)
                | (Pub | XPub, Sub | XSub)
                | (Sub | XSub, Pub | XPub)
                | (Req, Rep | Router)
                | (Rep, Req | Dealer)
                | (Dealer, Rep | Dealer | Router)
                | (Router, Req | Dealer | Router)
                | (Pull, Push)
                | (Push, Pull)
                | (Server, Client)
                | (Client, Server)
                | (Radio, Dish)
                | (Dish, Radio)
                | (Gather, Scatter)
                | (Scatter, Gather)
                | (Peer, Peer)
                | (Channel, Channel)
        )
    }

    /// Whether the type announces its routing id (`Identity`) to its peers (RFC 37, "The Identity
    /// Property").
    #[must_use]
    pub const fn announces_routing_id(self) -> bool {
        matches!(self, Self::Req | Self::Dealer | Self::Router)
    }

    /// Whether peers join groups of this type.
    #[must_use]
    pub const fn receives_memberships(self) -> bool {
        matches!(self, Self::Radio)
    }

    /// Whether peers send subscriptions to this type.
    #[must_use]
    pub const fn receives_subscriptions(self) -> bool {
        matches!(self, Self::Pub | Self::XPub)
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names none of the socket types in [`SocketType::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is not a socket type; use one of PAIR, PUB, SUB, REQ, REP, DEALER, ROUTER, PULL, PUSH, XPUB, XSUB, STREAM, SERVER, CLIENT, RADIO, DISH, GATHER, SCATTER, DGRAM, PEER, CHANNEL", .0.escape_default())]
pub struct UnknownSocketType(String);

impl FromStr for SocketType {
    type Err = UnknownSocketType;

    /// Reads a name in any mixture of upper and lower case.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownSocketType(name.chars().take(64).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_any_case() {
        for kind in SocketType::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(kind.as_str().to_lowercase().parse(), Ok(kind));
            assert_eq!(kind.to_string(), kind.as_str());
        }
        assert!("BUS".parse::<SocketType>().is_err());
        assert!("".parse::<SocketType>().is_err());
    }

    #[test]
    fn compatibility_is_the_table_of_the_rfcs() {
        let legal = [
            ("PAIR", "PAIR"),
            ("PUB", "SUB"),
            ("PUB", "XSUB"),
            ("XPUB", "SUB"),
            ("XPUB", "XSUB"),
            ("REQ", "REP"),
            ("REQ", "ROUTER"),
            ("REP", "DEALER"),
            ("DEALER", "DEALER"),
            ("DEALER", "ROUTER"),
            ("ROUTER", "ROUTER"),
            ("PUSH", "PULL"),
            ("CLIENT", "SERVER"),
            ("RADIO", "DISH"),
            ("SCATTER", "GATHER"),
            ("PEER", "PEER"),
            ("CHANNEL", "CHANNEL"),
        ];
        for ours in SocketType::ALL {
            for theirs in SocketType::ALL {
                let expected = legal.contains(&(ours.as_str(), theirs.as_str()))
                    || legal.contains(&(theirs.as_str(), ours.as_str()));
                assert_eq!(ours.is_compatible_with(theirs), expected, "{ours} with {theirs}");
            }
        }
    }
}
