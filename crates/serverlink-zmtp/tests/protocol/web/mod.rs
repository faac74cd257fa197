//! ZMTP over WebSockets (RFC 45, RFC 6455): opening, frames, and what ends it.

mod control;
mod frames;
mod mechanisms;
mod opening;
mod split;

use std::time::Duration;

use crate::support::{
    secure::{self, keys},
    web::{End, Role},
};
use bytes::Bytes;
use serverlink_zmtp::{
    Config, Error, Mechanism, PeerIncompatible, PeerMisbehaved, PlainLogin, SocketType,
};

const SECOND: Duration = Duration::from_secs(1);

fn of(socket_type: SocketType) -> Config {
    Config::new(socket_type)
}

/// A PULL socket's end, in traffic with a PUSH.
fn pull(role: Role) -> End {
    End::established(role, of(SocketType::Pull), SocketType::Push)
}

/// The close with which an end says this status.
fn close(status: u16) -> (u8, Vec<u8>) {
    (0x88, status.to_be_bytes().to_vec())
}

fn misbehaved(what: &'static str) -> Option<Error> {
    Some(PeerMisbehaved::WebSocket(what).into())
}

fn not_web(what: impl Into<String>) -> Option<Error> {
    Some(PeerIncompatible::NotWebSocket(what.into()).into())
}

fn subprotocols(ours: &str, theirs: &str) -> Option<Error> {
    let (ours, theirs) = (ours.to_owned(), theirs.to_owned());
    Some(PeerIncompatible::Subprotocol { ours, theirs }.into())
}

fn plain_client() -> Config {
    let mut config = of(SocketType::Dealer);
    config.mechanism = Mechanism::PlainClient(PlainLogin {
        username: Bytes::from_static(b"user"),
        password: Bytes::from_static(b"secret"),
    });
    config
}

fn plain_server() -> Config {
    let mut config = of(SocketType::Router);
    config.mechanism = Mechanism::PlainServer;
    config
}

fn curve_pair() -> [Config; 2] {
    let own = keys();
    [secure::client(SocketType::Dealer, &keys(), &own), secure::server(SocketType::Router, &own)]
}

fn judging(socket_type: SocketType) -> Config {
    let mut config = of(socket_type);
    config.judges_peers = true;
    config
}

fn modern(socket_type: SocketType) -> Config {
    let mut config = of(socket_type);
    config.older_peers = false;
    config
}
