//! The values of options: how they are written, and what is refused.

mod bytes;
mod duration;
mod endpoint;
mod number;
mod socket;

pub(crate) use bytes::{pattern, routing_id, unescape};
pub(crate) use duration::{Linger, duration, linger};
pub(crate) use endpoint::{bind_endpoint, connect_endpoint};
pub(crate) use number::{rate, size};
pub(crate) use socket::{SocketValue, socket};
