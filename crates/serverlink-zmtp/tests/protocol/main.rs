//! The protocol, from outside: one program, so that it is linked once.

mod curve;
mod fuzz_smoke;
mod groups;
mod handshake;
mod heartbeat;
mod judgement;
mod libzmq;
mod older;
mod patterns;
mod traffic;
mod web;

#[path = "../support/mod.rs"]
mod support;
