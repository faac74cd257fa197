//! Tests that run the command as its users do.

mod demo;
mod endings;
mod generation;
mod proxy;
mod roles;
mod round_trip;
mod security;
mod support;
#[cfg(feature = "wss")]
mod tls;
mod usage;
