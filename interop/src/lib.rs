//! Tests of ServerLink against real ZeroMQ peers: libzmq in the same process, libzmq in processes
//! of its own, pyzmq, and scripts that write bytes to a TCP stream.
//!
//! A test opens its sockets through [`Contexts`] and treats both libraries alike as [`Peer`]s. It
//! waits for events, never for a time: every wait ends with [`PATIENCE`], and then the test fails.
//! The backend that ServerLink uses is the one that `SERVERLINK_BACKEND` names.
#![forbid(unsafe_code)]
#![allow(
    clippy::missing_panics_doc,
    reason = "everything here is for tests, which fail by panicking"
)]

mod child;
pub mod command;
mod contexts;
pub mod limits;
pub mod lines;
mod monitor;
pub mod older;
pub mod panics;
pub mod payload;
mod peer;
pub mod python;
pub mod raw;
pub mod roles;
mod wait;

pub use child::Process;
pub use contexts::{Contexts, Library, Transport, Way};
pub use monitor::Monitor;
pub use peer::{Frames, Peer};
pub use wait::{OnDrop, PATIENCE, until};
