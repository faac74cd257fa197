//! The I/O engine of ServerLink.
//!
//! A [`Port`] is a completion port: operations are started on registered
//! sockets, the kernel (or an emulation of one, where the platform only tells
//! of readiness) carries them out, and each is answered by exactly one
//! [`Event`] given to the [`Handler`] of its registration.

mod errors;
mod event;
mod handle;
mod lock;
mod options;
mod port;
mod sys;
mod timers;

pub use errors::is_cancelled;
pub use event::{Event, Handler, Interest};
pub use handle::{Direction, Handle, Sending};
pub use options::{PortOptions, backends};
pub use port::{Port, Turn};
pub use timers::TimerId;
